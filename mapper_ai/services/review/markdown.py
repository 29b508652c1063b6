"""The review as Markdown for a comment or a job summary: escaped, and never longer than a comment may be."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from mapper_ai.services.review.report import FailOn, Finding, Review, SpecReview

MARKER: Final = "<!-- mapper-review -->"  # by it the one comment of a pull request is found again
MAX_BYTES: Final = 60_000
MAX_ROWS: Final = 50  # findings of one mapping, and samples of one list
MAX_CELL: Final = 300
_ENTITIES: Final = {sign: f"&#{ord(sign)};" for sign in "&<>|`*_[]~#@\\$"}
_SHOWN: Final = {"high": "HIGH", "medium": "medium", "low": "low"}


def as_markdown(review: Review, fail_on: FailOn = "high") -> str:
    """The whole review; starts with `MARKER`."""
    blocking = {id(row) for row in review.blocking(fail_on)}
    told = [spec for spec in review.specs if spec.state != "same" or spec.suppressed]
    same = len(review.specs) - len(told)
    lines = [MARKER]
    if len(told) != 1:
        lines += [f"## Mapping review: {_risk(review.risk)}", ""]
        lines.append(f"{len(told)} mapping(s) changed, {same} without a change of meaning.")
    sections = [list(_section(spec, blocking)) for spec in told]
    tail = [f"- {escaped(notice)}" for notice in review.notices]
    tail.append(f"\n<sub>{review.base[:10]} → {review.head[:10]} · fails on: {fail_on}</sub>")
    return _fitted("\n".join(lines), ["\n".join(rows) for rows in sections], "\n".join(tail))


def escaped(text: str) -> str:
    """Text that no reader of Markdown takes for anything else: no markup, mention, reference, link or comment."""
    short = _one_line(text)
    return re.sub(r"[&<>|`*_\[\]~#@\\$]", lambda sign: _ENTITIES[sign[0]], short).replace("://", "&#58;//")


def code(text: str) -> str:
    """Text as it is, in a code span that fits into a table."""
    short = _one_line(text)
    if not short:
        return ""
    fence = "`" * (max((len(run) for run in re.findall("`+", short)), default=0) + 1)
    pad = " " if short[0] == "`" or short[-1] == "`" else ""
    # A cell ends at a pipe unless a backslash stands before it, and two backslashes are one.
    piped = re.sub(r"(\\*)\|", lambda run: run[1] + ("\\" if len(run[1]) % 2 else "") + "\\|", short)
    return f"{fence}{pad}{piped}{pad}{fence}"


def _one_line(text: str) -> str:
    short = re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]+", " ", text).strip()
    return short if len(short) <= MAX_CELL else short[: MAX_CELL - 1] + "…"


def _risk(risk: str | None) -> str:
    return f"RISK: {_SHOWN[risk]}" if risk else "no findings"


def _section(spec: SpecReview, blocking: set[int]) -> Iterator[str]:
    stopping = sum(id(row) in blocking for row in spec.findings)
    versions = f"v{spec.version_before} → v{spec.version_after}"
    if spec.state in ("added", "removed"):
        versions = f"v{spec.version_after} (new)" if spec.state == "added" else f"v{spec.version_before} (removed)"
    yield f"\n### Mapping review: {escaped(spec.name)} {versions} · {_risk(spec.risk)} · {stopping} blocking"
    yield ""
    yield _summary(spec)
    yield from (f"Renamed, same meaning: {code(row)}  " for row in spec.renames)
    if spec.moved_from:
        yield f"Moved from {code(spec.moved_from)}."
    if spec.findings:
        yield ""
        yield "| risk | rule | part | change | samples | proposed by | approved |"
        yield "| --- | --- | --- | --- | --- | --- | --- |"
        yield from (_row(row, id(row) in blocking) for row in spec.findings[:MAX_ROWS])
        if len(spec.findings) > MAX_ROWS:
            yield f"\n… and {len(spec.findings) - MAX_ROWS} more; `mapper review --format text` lists all."
    elif spec.state == "changed":
        yield "\nNo change of meaning."
    yield from _totals(spec)
    yield from _details(spec)


def _summary(spec: SpecReview) -> str:
    before, after, counts = spec.before, spec.after, spec.counts
    rows = []
    if before.required or after.required:
        rows.append(f"Coverage {after.covered}/{after.required} required (was {before.covered}/{before.required})")
    rows += [f"{counts[way]} {way}" for way in ("changed", "added", "removed") if counts.get(way)]
    rows.append(f"{after.approved}/{after.parts} approved (was {before.approved}/{before.parts})")
    if counts.get("unapproved"):
        rows.append(f"**{counts['unapproved']} unapproved**")
    if spec.effects.samples:
        rows.append(f"{after.passed}/{spec.effects.samples} samples pass (was {before.passed})")
    return " · ".join(rows)


def _row(row: Finding, blocks: bool) -> str:
    change = escaped(row.message)
    if row.before or row.after:
        change += f"<br>{code(row.before or 'none')} → {code(row.after or 'none')}"
    place = f"{code(row.part)}<br>{escaped(row.path)}:{row.line}"
    risk = f"**{_SHOWN[row.risk]}**" if blocks else _SHOWN[row.risk]
    approved = escaped(row.approved)
    if approved.startswith("NO"):
        approved = f"**{approved}**"
    cells = (risk, row.id, place, change, escaped(row.effect) or "–", escaped(row.origin) or "–", approved or "–")
    return f"| {' | '.join(cells)} |"


def _totals(spec: SpecReview) -> Iterator[str]:
    rows = spec.effects.totals
    if rows:
        yield ""
        yield "**Projected change of totals**  "
        for row in rows:
            money = f"{row.before} → {row.after} {row.currency} ({row.change})"
            yield f"{code(row.target)}: {escaped(money)} in {row.samples} of {spec.effects.samples} samples  "


def _details(spec: SpecReview) -> Iterator[str]:
    effects = spec.effects
    if effects.parts or effects.decisions:
        yield "\n<details><summary>Samples, before → after</summary>\n"
        for decision in effects.decisions[:MAX_ROWS]:
            why = f": {escaped(decision.reason)}" if decision.reason else ""
            yield f"- {code(decision.sample)} {decision.before} → **{decision.after}**{why}"
        for part in list(effects.parts.values())[:MAX_ROWS]:
            yield f"- {code(part.part)}: {part.count} of {effects.samples} samples"
            for row in part.examples:
                yield f"  - {code(row.sample)} {code(row.before)} → {code(row.after)}"
        yield "\n</details>"
    if effects.requests:
        yield f"\n<details><summary>{len(effects.requests)} request(s) with another body</summary>\n"
        yield "| sample | request | before | after |"
        yield "| --- | --- | --- | --- |"
        for request in effects.requests[:MAX_ROWS]:
            body = f"{request.target} {request.number}"
            yield (
                f"| {code(request.sample)} | {code(body)} | {request.before or 'not sent'} |"
                f" {request.after or 'not sent'} |"
            )
        if len(effects.requests) > MAX_ROWS:
            yield f"\n… and {len(effects.requests) - MAX_ROWS} more."
        yield "\n</details>"
    if spec.suppressed:
        yield f"\n<details><summary>{len(spec.suppressed)} finding(s) left out by the mapping</summary>\n"
        for finding in spec.suppressed[:MAX_ROWS]:
            yield f"- {finding.id} {code(finding.part)}: {escaped(finding.suppressed)}"
        yield "\n</details>"


def _fitted(head: str, sections: list[str], tail: str) -> str:
    """As many sections as fit whole; what is left out is said, never silently dropped."""
    room = MAX_BYTES - len(head.encode()) - len(tail.encode()[: MAX_BYTES // 4]) - 400
    kept: list[str] = []
    left = 0
    for section in sections:
        size = len(section.encode()) + 1
        if size > room:
            # Details go before findings do.
            section = re.sub(r"\n<details>.*?</details>", "", section, flags=re.DOTALL)
            size = len(section.encode()) + 1
        if size > room:
            rows = section.split("\n")
            while rows and len("\n".join(rows).encode()) > room - 200:
                rows.pop()
            if len(rows) < 4:
                left += 1
                continue
            section = "\n".join([*rows, "\n… cut here: the comment would get too long."])
            size = len(section.encode()) + 1
        kept.append(section)
        room -= size
    if left:
        kept.append(f"\n{left} more mapping(s) changed; `mapper review --format text` lists all.")
    return "\n".join([head, *kept, "", tail.encode()[: MAX_BYTES // 4].decode(errors="ignore")]) + "\n"
