"""Two versions of one mapping, compared: findings with their places, approvals, suppressions, effects. No git."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cached_property

from mapper_ai.services.masking import Masker
from mapper_ai.services.review.approvals import History, approval_problems, approved_by
from mapper_ai.services.review.coverage import coverage_of
from mapper_ai.services.review.effects import effect_text, effects_of, passed_by
from mapper_ai.services.review.policy import Policy
from mapper_ai.services.review.reach import Reach
from mapper_ai.services.review.report import Effects, Finding, SpecReview, TotalChange
from mapper_ai.services.review.samples import Sample
from mapspec import CompiledSpec, MappingSpec, digests, part_line, unapproved
from mapspec.diff import Diff, diff_specs, sides
from mapspec.diff_rules import NEVER_SUPPRESSED, RISKS, RULES, Judged, Risk, judge
from mapspec.fingerprint import FLOW
from mapspec.model import Suppression
from mapspec.yamltext import Line, Loc, column_of


@dataclass(frozen=True)
class Side:
    """A mapping as it stands on one side.

    Attributes:
        lines: Line of each member, by location.
    """

    path: str
    spec: MappingSpec
    lines: Mapping[Loc, int]
    compiled: CompiledSpec
    samples: Sequence[Sample] = ()

    @cached_property
    def digests(self) -> dict[str, str]:
        """Digests of the parts."""
        return digests(self.spec)


@dataclass(frozen=True)
class Terms:
    """What a comparison goes by beside the two sides.

    Attributes:
        today: The day on which suppressions count or are over.
        key: Of the pseudonyms in what is shown.
        counted: False where it is not known how many samples there were before.
    """

    today: date
    policy: Policy = field(default_factory=Policy)
    key: bytes = b""
    counted: bool = True


def compare_sides(old: Side, new: Side, terms: Terms, history: Callable[[], History] = tuple) -> SpecReview:
    """Compare two versions of a mapping."""
    diff = diff_specs(old.spec, new.spec)
    effects, passed = Effects(len(new.samples), len(old.samples)), (0, 0)
    if new.samples and _differ(old.spec, new.spec):
        effects, *both = effects_of(old.compiled, new.compiled, new.samples, Masker(terms.key), len(old.samples))
        passed = both[0], both[1]
    elif new.samples:
        passed = (passed_by(new.compiled, new.samples),) * 2
    reach = Reach(diff.old, diff.new) if diff.changes else Reach()
    judged = list(judge(diff))
    found = [*_of_changes(diff, judged, new, effects, reach), *_of_effects(diff, judged, new, effects, reach)]
    if diff.changes and new.spec.version <= old.spec.version:
        message = (
            f"the meaning changed and the version is still {new.spec.version}; set version: {old.spec.version + 1}"
        )
        found.append(_finding(new, "version-not-bumped", "spec", message, ("version",)))
    found += _of_samples(old, new, terms)
    found += _of_approvals(old, new, terms, history)
    return replace(
        _reviewed(new, found, terms, old.spec.suppressed),
        state="changed" if found or diff.changes or diff.renames or old.path != new.path else "same",
        version_before=old.spec.version,
        moved_from=old.path if old.path != new.path else "",
        renames=tuple(f"{one} -> {other}" for one, other in diff.renames.pairs()),
        counts=_counts(diff, new),
        before=coverage_of(old.spec, passed[0], old.digests),
        after=coverage_of(new.spec, passed[1], new.digests),
        effects=effects,
    )


def new_side(new: Side, terms: Terms, history: Callable[[], History] = tuple) -> SpecReview:
    """A mapping that the base does not have."""
    parts = new.digests
    found = [_finding(new, "spec-added", "spec", f"new mapping with {len(parts)} parts", ("spec",))]
    found += _of_approvals(None, new, terms, history)
    return replace(
        _reviewed(new, found, terms, ()),
        state="added",
        counts={"changed": 0, "added": len(parts), "removed": 0, "unapproved": len(unapproved(new.spec, parts))},
        after=coverage_of(new.spec, passed_by(new.compiled, new.samples), parts),
        effects=Effects(len(new.samples), len(new.samples)),
    )


def gone_side(old: Side) -> SpecReview:
    """A mapping that the head does not have."""
    finding = Finding(
        "spec-removed", RULES["spec-removed"].risk, old.spec.spec, "spec", "the mapping was removed", old.path
    )
    return SpecReview(
        old.spec.spec,
        old.path,
        "removed",
        version_before=old.spec.version,
        counts={"changed": 0, "added": 0, "removed": len(old.digests), "unapproved": 0},
        before=coverage_of(old.spec, passed_by(old.compiled, old.samples), old.digests),
        effects=Effects(0, len(old.samples)),
        findings=(finding,),
    )


def _reviewed(new: Side, found: list[Finding], terms: Terms, earlier: Sequence[Suppression]) -> SpecReview:
    kept, left = _suppressed(new, found, terms, earlier)
    kept.sort(key=lambda row: RISKS.index(row.risk))
    spec = new.spec
    return SpecReview(
        spec.spec,
        new.path,
        "same",
        version_after=spec.version,
        findings=tuple(kept),
        suppressed=tuple(left),
        parts=(*new.digests, *(f"assertion {row.id}" for row in spec.assertions)),
    )


def _differ(old: MappingSpec, new: MappingSpec) -> bool:
    # Not the fingerprint: the texts of the gate are no meaning, and are shown.
    return (old.fields, old.values, old.flow, old.gate, old.assertions, old.settings, old.tables, old.source) != (
        (new.fields, new.values, new.flow, new.gate, new.assertions, new.settings, new.tables, new.source)
    )


def _counts(diff: Diff, new: Side) -> dict[str, int]:
    ways: dict[str, str] = {}
    for change in diff.changes:
        whole = change.aspect in ("rule", "list")
        ways.setdefault(change.part, change.what if whole else "changed")
    counts = {way: list(ways.values()).count(way) for way in ("changed", "added", "removed")}
    return {**counts, "unapproved": len(unapproved(new.spec, new.digests))}


def _of_changes(diff: Diff, judged: Sequence[Judged], new: Side, effects: Effects, reach: Reach) -> Iterator[Finding]:
    alone = all(change.part == FLOW for change in diff.changes)
    for row in judged:
        yield _of_change(row, new, effects, reach, alone=alone)


def _of_change(row: Judged, new: Side, effects: Effects, reach: Reach, *, alone: bool) -> Finding:
    change, current = row.change, new.digests
    before, after = sides(change)
    users = sorted(part for part in reach.of(row.part) if part in current) if row.part.startswith("tables.") else []
    approvals = [approved_by(new.spec, part, current) for part in (users or [row.part])]
    missing = next((text for text in approvals if text.startswith("NO")), "")
    return replace(
        _finding(new, row.rule, row.part, row.message, row.loc, risk=row.risk),
        name=f"{change.name}.{row.about}" if row.about else change.name,
        before=before,
        after=after,
        approved=missing or next(filter(None, approvals), ""),
        origin=_origin(new.spec, row.part),
        effect=_effect_of(row, effects, reach, alone=alone),
    )


def _effect_of(row: Judged, effects: Effects, reach: Reach, *, alone: bool) -> str:
    if row.rule == "key-changed" and effects.keys:
        return f"{effects.keys} of {effects.samples} samples are known by another key"
    if row.part != FLOW:
        return effect_text(effects, reach.of(row.part))
    # The flow reaches everything: what samples show is its doing only where nothing else changed.
    if not alone or not effects.samples:
        return ""
    differ = {row.sample for row in effects.requests} | {row.sample for row in effects.decisions}
    return f"{len(differ) or 'none'} of {effects.samples} samples sent otherwise"


def _origin(spec: MappingSpec, part: str) -> str:
    rule = spec.rules().get(part) or spec.blocks().get(part)
    if rule is None or rule.origin is None:
        return ""
    sure = f"{rule.origin.confidence} " if rule.origin.confidence is not None else ""
    return f"{sure}{rule.origin.by}"


def _of_effects(diff: Diff, judged: Sequence[Judged], new: Side, effects: Effects, reach: Reach) -> Iterator[Finding]:
    explained = {part for change in diff.changes for part in reach.of(change.part)}
    explained |= {change.name for change in diff.changes if change.aspect == "moved"}
    for part in effects.parts:
        if part not in explained and not any(part.startswith(f"{other}.") for other in explained):
            finding = _finding(new, "outputs-changed", part, "gives other values on the samples", ())
            yield replace(finding, effect=effect_text(effects, {part}))
    if effects.decisions:
        ways: dict[str, int] = {}
        for row in effects.decisions:
            ways[f"{row.before} -> {row.after}"] = ways.get(f"{row.before} -> {row.after}", 0) + 1
        text = ", ".join(f"{count} of {effects.samples} samples {way}" for way, count in ways.items())
        finding = _finding(new, "decision-changed", FLOW, "samples are treated otherwise", _cause(judged))
        yield replace(finding, effect=f"{text} ({effects.decisions[0].sample})")
    by_target: dict[str, list[TotalChange]] = {}
    for total in effects.totals:
        by_target.setdefault(total.target, []).append(total)
    for target, rows in by_target.items():
        finding = _finding(new, "total-changed", "spec", f"{target}: the samples come to another total", _cause(judged))
        texts = [
            f"{row.before} -> {row.after} {row.currency} ({row.change}) in {row.samples} of {effects.samples} samples"
            for row in rows
        ]
        yield replace(finding, name=target, effect=", ".join(texts))


def _cause(judged: Sequence[Judged]) -> Loc:
    """Where the first change stands that is about amounts, else the first of all."""
    about = ("money-changed", "tax-changed", "currency-changed")
    return next((row.loc for row in judged if row.rule in about), judged[0].loc if judged else ())


def _of_samples(old: Side, new: Side, terms: Terms) -> Iterator[Finding]:
    if not terms.counted or len(new.samples) >= len(old.samples):
        return
    gone = sorted({row.file for row in old.samples} - {row.file for row in new.samples})
    names = f"; gone: {', '.join(gone[:3])}{' …' if len(gone) > 3 else ''}" if gone else ""
    message = f"{len(old.samples)} -> {len(new.samples)} samples{names}"
    yield _finding(new, "samples-shrunk", "spec", message, ("spec",))


def _of_approvals(old: Side | None, new: Side, terms: Terms, history: Callable[[], History]) -> Iterator[Finding]:
    current = new.digests
    sides = (None, {}) if old is None else (old.spec, old.digests)
    for rule, part, message in approval_problems(sides[0], new.spec, terms.policy, history, sides[1], current):
        place = ("approval",) if part == FLOW else (*_place_of(new.spec, part), "approval")
        finding = _finding(new, rule, part, message, place)
        yield replace(finding, approved=approved_by(new.spec, part, current), origin=_origin(new.spec, part))


def _place_of(spec: MappingSpec, part: str) -> Loc:
    if part.startswith("values."):
        return ("values", part[7:])
    if part in spec.fields:
        return ("fields", part)
    head, _, last = part.rpartition("[].")
    return ("fields", head + "[]", "fields", last)


def _suppressed(
    new: Side, found: Iterable[Finding], terms: Terms, earlier: Sequence[Suppression]
) -> tuple[list[Finding], list[Finding]]:
    kept: list[Finding] = []
    left: list[Finding] = []
    rows = new.spec.suppressed
    valid = [row for row in rows if row.id in RULES and row.id not in NEVER_SUPPRESSED]
    current = [row for row in valid if terms.today <= date.fromisoformat(row.until)]
    for finding in found:
        fits = [row for row in current if row.id == finding.id and row.part in (None, finding.part)]
        if fits:
            left.append(replace(finding, suppressed=f"{fits[0].reason} (until {fits[0].until})"))
        else:
            kept.append(finding)
    for place, row in enumerate(rows):
        at: Loc = ("suppressed", place)
        about = f"{row.id} of {row.part}" if row.part else row.id
        if row not in valid:
            why = "cannot be left out" if row.id in RULES else "is no rule of the review"
            kept.append(_finding(new, "suppression-unknown", row.part or "spec", f"{row.id} {why}", at, name=row.id))
        elif row not in current:
            text = f"{about} was left out until {row.until}: {row.reason}"
            kept.append(_finding(new, "suppression-expired", row.part or "spec", text, at, name=row.id))
        elif row not in earlier:
            text = f"{about} is left out until {row.until}: {row.reason}"
            kept.append(_finding(new, "suppression-added", row.part or "spec", text, at, name=row.id))
    return kept, left


def _finding(
    side: Side, rule: str, part: str, message: str, loc: Loc, *, risk: Risk | None = None, name: str = ""
) -> Finding:
    line = _line_of(side, part, loc)
    return Finding(
        rule,
        risk or RULES[rule].risk,
        side.spec.spec,
        part,
        message,
        side.path,
        int(line),
        column_of(line) or 1,
        name=name,
    )


def _line_of(side: Side, part: str, loc: Loc) -> int:
    """The line of a member, or of the nearest thing around it that the text has."""
    while loc:
        if loc in side.lines:
            return side.lines[loc]
        loc = loc[:-1]
    return (part_line(dict(side.lines), part) if part != "spec" else None) or Line(1, 1)
