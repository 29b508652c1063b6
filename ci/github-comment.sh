#!/usr/bin/env bash
# Keeps one comment of a pull request up to date. It is found by the hidden marker on its first line.
#
# In: TOKEN, NUMBER (of the pull request), FILE (Markdown), GITHUB_REPOSITORY, GITHUB_API_URL.
set -euo pipefail

marker='<!-- mapper-review -->'
api="${GITHUB_API_URL:-https://api.github.com}/repos/$GITHUB_REPOSITORY/issues"

call() {
  # The token goes in by stdin: arguments are seen by every process of the machine.
  printf 'header = "Authorization: Bearer %s"\n' "$TOKEN" |
    curl --silent --show-error --fail --max-time 30 --config - \
      --header 'Accept: application/vnd.github+json' "$@"
}

id=''
for page in $(seq 1 50); do
  rows="$(call "$api/$NUMBER/comments?per_page=100&page=$page")"
  # Anybody can write the marker; only a bot's comment is this one.
  id="$(jq -r --arg marker "$marker" \
    'map(select(.user.type == "Bot" and (.body | startswith($marker)))) | .[0].id // empty' <<< "$rows")"
  if [ -n "$id" ] || [ "$(jq length <<< "$rows")" -lt 100 ]; then break; fi
done

body="$(mktemp)"
trap 'rm -f "$body"' EXIT
jq --null-input --rawfile text "$FILE" '{body: $text}' > "$body"
if [ -n "$id" ]; then
  call --request PATCH --data "@$body" "$api/comments/$id" > /dev/null
  echo "comment $id was updated"
else
  call --request POST --data "@$body" "$api/$NUMBER/comments" > /dev/null
  echo "a comment was added"
fi
