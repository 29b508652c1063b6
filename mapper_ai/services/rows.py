"""The parts of a spec as rows for a person to decide about. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from mapper_ai.services.goals import Goal
from mapper_ai.services.kinds import why_left_out
from mapper_ai.services.propose import Alternative
from mapper_ai.services.sources import part_sources
from mapper_ai.services.targets import has_rule, target_goals
from mapper_ai.services.words import block_in_words, flow_in_words, rule_in_words
from mapspec import MappingSpec, digests, ops
from mapspec.fingerprint import FLOW, plain_part
from mapspec.model import Approval, FieldRule, ListBlock, Origin, operations_of
from mapspec.yamltext import flow as one_line

State = Literal["proposed", "approved", "rejected", "unmapped"]
_MONEY_NAME: Final = re.compile(
    r"amount|price|cost|total|tax|vat|currency|discount|qty|quantity|balance|deposit|due_offset", re.IGNORECASE
)
# Fields by which the runner finds a record again; a wrong one doubles or loses money.
_KEY_FIELDS: Final = frozenset({"invoice.invoice_number", "item.sku", "payment.note", "payment.transactionid"})
_PRICED: Final = frozenset({"name", "note"})


@dataclass(frozen=True)
class TargetRow:
    """One row of the review: a target field, a named value, a list's head, or the flow.

    Attributes:
        part: Name for decisions: `flow`, `values.NAME`, `invoice.lines[]`, `invoice.lines[].qty`.
        target: Path to show; equal to `part`.
        required: The target system refuses the record without it, or the spec says so.
        sources: Source paths from the record's root.
        steps: YAML, one step a line; of the flow and of list heads one rule a line.
        words: The same in plain words.
        confidence: 0..1, None where nobody estimated one.
        origin: fuzzy, learned, llm, history, person, rule; "" when unmapped.
        reason: Why it was proposed, why it was rejected, or why it is left out.
        evidence: Signal -> what it added to the confidence, in log-odds.
        digest: Of the part's meaning; give it back with the decision. "" when unmapped.
        money: Money, tax or a key: never accepted in bulk.
        by, at: Who decided, and when (ISO instant); "" when nobody did.
        comment: What was said with the decision.
        checks: YAML, one check a line.
        stale: It was approved, and has another meaning since.
    """

    part: str
    target: str
    required: bool
    sources: tuple[str, ...]
    steps: str
    words: str
    confidence: float | None
    origin: str
    reason: str
    evidence: Mapping[str, float]
    state: State
    alternatives: tuple[Alternative, ...]
    digest: str
    money: bool
    by: str = ""
    at: str = ""
    comment: str = ""
    checks: str = ""
    stale: bool = False


def spec_rows(
    spec: MappingSpec,
    alternatives: Mapping[str, tuple[Alternative, ...]],
    undecided: Sequence[TargetRow] | None = None,
) -> list[TargetRow]:
    """Every part with a rule and every writable target field without one; required and undecided first.

    Args:
        spec: The spec.
        alternatives: Part -> ranked sources.
        undecided: What `undecided_rows` gave for the same meaning.
    """
    rows = undecided_rows(spec) if undecided is None else undecided
    approvals = _approvals(spec)
    return sorted((_decided(row, approvals.get(row.part), alternatives) for row in rows), key=_rank)


def undecided_rows(spec: MappingSpec) -> list[TargetRow]:
    """The rows without alternatives and decisions: what depends on the meaning of a spec alone."""
    goals = {f"{entry.name}.{goal.path}": goal for entry in target_goals(spec) for goal in entry.goals}
    rows = list(_with_rules(spec, goals))
    rows += [
        _unmapped(spec, part, goal)
        for part, goal in goals.items()
        if not goal.read_only and not goal.nested and not has_rule(spec, part) and goal.type not in ("object", "list")
    ]
    return rows


def _approvals(spec: MappingSpec) -> dict[str, tuple[Approval, Origin | None]]:
    found = {part: (rule.approval, rule.origin) for part, rule in spec.rules().items()}
    found |= {part: (block.approval, block.origin) for part, block in spec.blocks().items()}
    return found | {FLOW: (spec.approval, None)}


def _decided(
    row: TargetRow,
    known: tuple[Approval, Origin | None] | None,
    alternatives: Mapping[str, tuple[Alternative, ...]],
) -> TargetRow:
    found = alternatives.get(row.part, ())
    if known is None:
        return replace(row, alternatives=found) if found else row
    approval, origin = known[0], known[1] or Origin(by="rule")
    chosen = next((other for other in found if set(other.sources) & set(row.sources)), None)
    return replace(
        row,
        reason=_reason(approval, origin, chosen),
        evidence=dict(chosen.evidence) if chosen else {},
        state=part_state(approval, row.digest),
        alternatives=found,
        by=approval.by or "",
        at=approval.at or "",
        comment=approval.comment or "",
        stale=approval.state == "approved" and approval.digest != row.digest,
    )


def part_steps(rule: FieldRule) -> str:
    """Steps as YAML, one a line, as `parse_steps` reads them."""
    return "\n".join(f"- {one_line(plain_part(step))}" for step in rule.steps)


def part_state(approval: Approval, digest: str) -> State:
    """approved and rejected count only for the content they were given for."""
    if approval.state == "rejected":
        return "rejected"
    return "approved" if approval.state == "approved" and approval.digest == digest else "proposed"


def is_money(spec: MappingSpec, part: str, goal: Goal | None = None) -> bool:
    """Money, tax or a key: what is decided one by one."""
    if part == FLOW or part in spec.blocks():
        return True
    last = part.rsplit(".", 1)[-1]
    if part.startswith("values."):
        return last in key_values(spec) or bool(_MONEY_NAME.search(last))
    target = part.split(".", 1)[0]
    matched = {name for step in spec.flow if step.target == target for name in step.match}
    is_key = last in matched or f"{spec.entity_of(target)}.{last}" in _KEY_FIELDS
    if is_key or (goal is not None and goal.type == "money") or _MONEY_NAME.search(last):
        return True
    rule = spec.rules().get(part)
    steps = operations_of(rule.steps) if rule else []
    return any(
        isinstance(step, ops.ToMoney | ops.StepOutput | ops.LookupRemote)
        or (isinstance(step, ops.LinePrice) and step.part not in _PRICED)
        for step in steps
    )


def key_values(spec: MappingSpec) -> set[str]:
    """Named values that the keys of flow steps are made of, directly or through other values."""
    texts = " ".join(key for step in spec.flow for key in step.key)
    names = set(re.findall(r"\{(?:\$\.)?values\.([^{}.\[\]]+)", texts))
    waiting = list(names)
    while waiting:
        rule = spec.values.get(waiting.pop())
        paths = [path for step in operations_of(rule.steps) for path in step.paths()] if rule else []
        for path in paths:
            if path.root == "values" and path.segments[0][0] not in names:
                names.add(path.segments[0][0])
                waiting.append(path.segments[0][0])
    return names


def _with_rules(spec: MappingSpec, goals: Mapping[str, Goal]) -> Iterator[TargetRow]:
    rules, blocks = spec.rules(), spec.blocks()
    for part, digest in digests(spec).items():
        rule, block = rules.get(part), blocks.get(part)
        goal = goals.get(part)
        origin = rule.origin if rule else block.origin if block else Origin(by="rule")
        yield TargetRow(
            part=part,
            target=part,
            required=part == FLOW or bool(rule and rule.required) or bool(goal and goal.required),
            sources=part_sources(spec, part),
            steps=_text(spec, rule, block),
            words=_words(spec, part, rule, block),
            confidence=float(origin.confidence) if origin and origin.confidence is not None else None,
            origin=origin.by if origin else "",
            reason="",
            evidence={},
            state="proposed",
            alternatives=(),
            digest=digest,
            money=is_money(spec, part, goal),
            checks="\n".join(f"- {one_line(check.plain())}" for check in rule.check) if rule else "",
        )


def _unmapped(spec: MappingSpec, part: str, goal: Goal) -> TargetRow:
    name = part.split(".", 1)[0]
    why = why_left_out(spec, name, goal.path)
    return TargetRow(
        part=part,
        target=part,
        required=goal.required and not goal.list_path,
        sources=(),
        steps="",
        words="",
        confidence=None,
        origin="",
        reason=f"left out: {why}" if why else "",
        evidence={},
        state="unmapped",
        alternatives=(),
        digest="",
        money=is_money(spec, part, goal),
    )


def _text(spec: MappingSpec, rule: FieldRule | None, block: ListBlock | None) -> str:
    if rule is not None:
        return part_steps(rule)
    if block is not None:
        lines = [f"each: {one_line(block.each.text)}"]
        money = plain_part(block.money) if block.money else {}
        return "\n".join([*lines, *(f"{key}: {one_line(value)}" for key, value in money.items())])
    return "\n".join(f"- {one_line(plain_part(part))}" for part in (*spec.gate, *spec.flow, *spec.assertions))


def _words(spec: MappingSpec, part: str, rule: FieldRule | None, block: ListBlock | None) -> str:
    if rule is not None:
        return rule_in_words(rule, spec.settings)
    return block_in_words(part, block) if block is not None else flow_in_words(spec)


def _reason(approval: Approval, origin: Origin | None, chosen: Alternative | None) -> str:
    if approval.state == "rejected":
        return f"rejected: {approval.comment}" if approval.comment else "rejected"
    if origin is None:
        return ""
    if origin.by == "person":
        return "chosen by a person"
    if origin.by == "rule":
        return "how this kind of flow works"
    if chosen is not None:
        return chosen.reason
    return ", ".join(f"{name} {share}" for name, share in origin.why.items())


def _rank(row: TargetRow) -> int:
    if row.state in ("proposed", "unmapped", "rejected") and row.required:
        return 0
    return {"proposed": 1, "approved": 2, "rejected": 3, "unmapped": 4}[row.state]
