"""The review as text for a terminal, and as JSON for machines."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any, Final

from mapper_ai.services.review.report import FailOn, Finding, Review, SpecReview, why

FORMAT: Final = "mapper-review/1"


def as_text(review: Review, fail_on: FailOn = "high") -> str:
    """One line a finding, as compilers write them; then what it comes to."""
    return "\n".join(_lines(review, fail_on)) + "\n"


def as_json(review: Review, fail_on: FailOn = "high") -> str:
    """Everything the review knows. `format` changes when a member does."""
    blocking = review.blocking(fail_on)
    data = {
        "format": FORMAT,
        "base": review.base,
        "head": review.head,
        "fail_on": fail_on,
        "risk": review.risk,
        "blocking": len(blocking),
        "notices": list(review.notices),
        "specs": [_spec(spec) for spec in review.specs],
    }
    return json.dumps(data, ensure_ascii=False, indent=2) + "\n"


def _spec(spec: SpecReview) -> dict[str, Any]:
    data = asdict(spec)
    data.pop("parts")
    data["risk"] = spec.risk
    data["findings"] = [{**asdict(row), "fingerprint": row.fingerprint} for row in spec.findings]
    data["suppressed"] = [{**asdict(row), "fingerprint": row.fingerprint} for row in spec.suppressed]
    data["effects"]["parts"] = [asdict(part) for part in spec.effects.parts.values()]
    return data


def _lines(review: Review, fail_on: FailOn) -> Iterator[str]:
    for spec in review.specs:
        if spec.state == "same" and not spec.suppressed:
            continue
        yield _head(spec)
        yield from (f"  renamed, same meaning: {row}" for row in spec.renames)
        if spec.moved_from:
            yield f"  moved from {spec.moved_from}"
        for row in spec.findings:
            yield from _finding(row)
        yield from (f"  left out: {row.id} {row.part}: {row.suppressed}" for row in spec.suppressed)
        for decision in spec.effects.decisions:
            reason = f" ({decision.reason})" if decision.reason else ""
            yield f"  sample {decision.sample}: {decision.before} -> {decision.after}{reason}"
        for total in spec.effects.totals:
            yield f"  total of {total.target}: {total.before} -> {total.after} {total.currency} ({total.change})"
        for request in spec.effects.requests:
            pair = f"{request.before or 'not sent'} -> {request.after or 'not sent'}"
            yield f"  request {request.sample} {request.target} {request.number}: {pair}"
    same = sum(spec.state == "same" for spec in review.specs)
    counts = {risk: sum(row.risk == risk for row in review.findings) for risk in ("high", "medium", "low")}
    found = ", ".join(f"{count} {risk}" for risk, count in counts.items() if count) or "no findings"
    yield f"{found}; {len(review.blocking(fail_on))} blocking; {same} of {len(review.specs)} mapping(s) unchanged"


def _head(spec: SpecReview) -> str:
    after = spec.after
    versions = f"v{spec.version_before} -> v{spec.version_after}" if spec.state in ("changed", "same") else spec.state
    rows = [f"{spec.path}: {spec.spec} {versions}"]
    if after.required:
        rows.append(f"{after.covered}/{after.required} required (was {spec.before.covered}/{spec.before.required})")
    rows.append(f"{after.approved}/{after.parts} approved")
    if spec.effects.samples:
        rows.append(f"{after.passed}/{spec.effects.samples} samples pass (was {spec.before.passed})")
    return ", ".join(rows)


def _finding(row: Finding) -> Iterator[str]:
    approved = f" [{row.approved}]" if row.approved else ""
    yield f"{row.path}:{row.line}:{row.column}: {row.risk} {row.id}: {row.part}: {row.change}{approved}"
    if row.effect:
        yield f"  {row.effect}"


def explained(rule: str) -> str:
    """A rule for people who meet it for the first time."""
    return f"{rule}: {why(rule)}"
