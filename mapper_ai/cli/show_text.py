"""The text of `mapper show`. Stable: equal specs give equal text, and a change of one rule changes one line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mapper_ai.services.words import block_in_words, flow_in_words, rule_in_words
from mapspec import MappingSpec, approval_of, digests, fingerprint
from mapspec.fingerprint import FLOW, plain_part
from mapspec.model import FieldRule, LineMoney, ListBlock, Part, operations_of
from mapspec.ops import write_step
from mapspec.yamltext import flow, scalar


def as_lines(spec: MappingSpec) -> Iterator[str]:
    """One line for each part and for every setting, table row, gate, step and assertion; in the spec's order."""
    current = digests(spec)
    yield _row("spec", spec.spec, f"format {spec.format}", f"version {spec.version}")
    source = _members(spec.source, leave=("events",))
    yield _row("source", *(f"{name}: {text}" for name, text in source))
    yield from (_row("event", event) for event in spec.source.events)
    yield from (_row(f"target {name}", reference) for name, reference in spec.targets.items())
    yield from (_row(f"setting {name}", scalar(text)) for name, text in spec.settings.items())
    for name, table in spec.tables.items():
        missing = table.missing if table.default is None else f"{table.missing} {scalar(table.default)}"
        yield _row(f"table {name}", f"missing: {missing}")
        yield from (_row(f"table {name}", f"{scalar(key)}: {scalar(text)}") for key, text in table.rows.items())
    for gate in spec.gate:
        does = f"{gate.do}, ends" if gate.ends else gate.do
        yield _row(f"gate {gate.id}", does, flow(gate.when.plain()), scalar(gate.reason))
    for step in spec.flow:
        rest = [f"{name}: {text}" for name, text in _members(step, leave=("id", "do"))]
        yield _row(f"step {step.id}", step.do, *rest)
    for assertion in spec.assertions:
        rest = [f"{name}: {text}" for name, text in _members(assertion, leave=("id",))]
        yield _row(f"assertion {assertion.id}", *rest)
    yield _row(FLOW, "", "", "", "", state_of(spec, FLOW, current))
    for name, rule in spec.values.items():
        yield _field(spec, f"values.{name}", rule, current)
    for target, entry in spec.fields.items():
        if isinstance(entry, FieldRule):
            yield _field(spec, target, entry, current)
        else:
            yield from _block(spec, target, entry, current)
    yield from (_row(f"ignored {ignored.source}", scalar(ignored.reason)) for ignored in spec.ignored)
    for row in spec.suppressed:
        yield _row(f"suppressed {row.id}", row.part or "every part", f"until {row.until}", scalar(row.reason))


def as_text(spec: MappingSpec) -> Iterator[str]:
    """The spec in words, a paragraph a part."""
    current = digests(spec)
    approved = sum(state_of(spec, part, current).startswith("approved") for part in current)
    yield f"{spec.spec}, format {spec.format}, version {spec.version}, fingerprint {fingerprint(spec)}"
    if spec.description:
        yield " ".join(spec.description.split())
    yield f"{len(current)} parts, {approved} approved"
    rules, blocks = spec.rules(), spec.blocks()
    for part in current:
        yield ""
        rule = rules.get(part)
        needed = f", {_needed(rule)}" if rule is not None else ""
        yield f"{part}{needed}, {state_of(spec, part, current)}"
        if rule is not None:
            words = rule_in_words(rule, spec.settings)
        else:
            words = block_in_words(part, blocks[part]) if part in blocks else flow_in_words(spec)
        yield from (f"  {line}" for line in words.splitlines())


def state_of(spec: MappingSpec, part: str, current: Mapping[str, str]) -> str:
    """The approval of a part in words; `current` holds the digests as they are now."""
    approval = approval_of(spec, part)
    whom = f" by {approval.by}" if approval.by else ""
    when = f" on {approval.at[:10]}" if approval.at else ""
    if approval.state == "approved" and approval.digest != current[part]:
        return f"changed since it was approved{whom}{when}"
    return f"{approval.state}{whom}{when}" if approval.state != "proposed" else "proposed"


def sources_of(rule: FieldRule) -> list[str]:
    """The paths a rule reads, in order, each once."""
    found = [path.text for op in operations_of(rule.steps) for path in (*op.paths(), *op.element_paths())]
    return list(dict.fromkeys([*found, *(path.text for check in rule.check for path in check.paths())]))


def _field(spec: MappingSpec, part: str, rule: FieldRule, current: Mapping[str, str]) -> str:
    checks = [_bare(check.plain()) for check in rule.check]
    if rule.on_fail != "hold":
        checks.append(f"on_fail: {rule.on_fail}")
    return _row(
        part,
        _needed(rule),
        ", ".join(sources_of(rule)),
        " > ".join(_bare(write_step(step)) for step in rule.steps),
        "; ".join(checks),
        state_of(spec, part, current),
    )


def _block(spec: MappingSpec, target: str, block: ListBlock, current: Mapping[str, str]) -> Iterator[str]:
    yield _row(target, "", block.each.text, "each", "", state_of(spec, target, current))
    if block.money is not None:
        yield from _money(target, block.money)
    for name, rule in block.fields.items():
        yield _field(spec, f"{target}.{name}", rule, current)


def _money(target: str, money: LineMoney) -> Iterator[str]:
    for name, text in _members(money, leave=("charges",)):
        yield _row(f"{target} money", f"{name}: {text}")
    for charge in money.charges:
        yield _row(f"{target} charge {charge.name}", *(f"{n}: {text}" for n, text in _members(charge, leave=("name",))))


def _needed(rule: FieldRule) -> str:
    return ("required" if rule.required else "optional") + (", only on create" if rule.only_on_create else "")


def _members(part: Part, *, leave: Sequence[str]) -> Iterator[tuple[str, str]]:
    for name, value in plain_part(part).items():
        if name not in leave:
            yield name, flow(value)


def _bare(step: Mapping[str, Any]) -> str:
    """`to_date: settings.timezone`; a name alone where there is no argument."""
    return ", ".join(name if value is None else f"{name}: {flow(value)}" for name, value in step.items())


def _row(*columns: str) -> str:
    return " | ".join(" ".join(column.split()) for column in columns).rstrip()
