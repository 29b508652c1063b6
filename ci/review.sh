#!/usr/bin/env bash
# Validates and reviews the mappings for the GitHub action: summary, annotations, files for comment and code scanning.
#
# In: BASE, PATHS (one a line), SAMPLES, FAIL_ON, COMMAND, RUNNER_TEMP, GITHUB_OUTPUT, GITHUB_STEP_SUMMARY.
# Ends with 0 whatever is found: the comment comes next, and the last step of the action fails the job by the exit code.
set -u

out="$RUNNER_TEMP/mapper-review-out"
mkdir -p "$out"
if [ -n "${COMMAND:-}" ]; then
  read -r -a mapper <<< "$COMMAND"
else
  mapper=("$RUNNER_TEMP/mapper-review/bin/mapper")
fi
paths=()
while IFS= read -r path; do
  if [ -n "$path" ]; then paths+=("$path"); fi
done <<< "${PATHS:-mappings}"
arguments=(review "--base=$BASE" "--fail-on=${FAIL_ON:-high}")
if [ -n "${SAMPLES:-}" ]; then arguments+=("--samples=$SAMPLES"); fi

# Annotations go to stdout, which GitHub reads; what goes wrong is one line on stderr.
rm -f "$out/review.md" "$out/review.sarif"
"${mapper[@]}" "${arguments[@]}" --format=github --also="markdown=$out/review.md" --also="sarif=$out/review.sarif" \
  -- "${paths[@]}" 2> "$out/errors.txt"
code=$?
cat "$out/errors.txt" >&2
if [ "$code" -le 1 ] && [ -s "$out/review.md" ]; then
  files=()
  while IFS= read -r -d '' file; do files+=("$file"); done \
    < <(find "${paths[@]}" -type f \( -name '*.yaml' -o -name '*.yml' \) -print0 2> /dev/null | sort -z)
  if [ "${#files[@]}" -gt 0 ] && ! "${mapper[@]}" validate "${files[@]}" > "$out/validate.txt" 2>&1; then
    if [ "$code" -eq 0 ]; then code=3; fi
    {
      printf '\n### mapper validate found errors\n\n```\n'
      grep -E ': error |^mapper: ' "$out/validate.txt" | head -50 | sed 's/```/ʼʼʼ/g'
      printf '```\n'
    } >> "$out/review.md"
    echo "::error title=mapper validate::a mapping has errors; the job's summary lists them"
  fi
else
  # A comparison that failed must not look like one that found nothing.
  if [ "$code" -le 1 ]; then code=4; fi
  reason="$(head -c 2000 "$out/errors.txt" | tr '\r\n' '  ' | sed 's/`/ʼ/g')"
  printf '<!-- mapper-review -->\n\n### Mapping review failed (exit code %s)\n\nNothing was compared.\n\n`%s`\n' \
    "$code" "${reason:-no reason was given}" > "$out/review.md"
  escaped="${reason//'%'/%25}"
  echo "::error title=mapper review failed::${escaped:-no reason was given}"
fi

cat "$out/review.md" >> "$GITHUB_STEP_SUMMARY"
{
  echo "exit-code=$code"
  echo "markdown=$out/review.md"
  if [ -s "$out/review.sarif" ]; then echo "sarif=$out/review.sarif"; fi
} >> "$GITHUB_OUTPUT"
