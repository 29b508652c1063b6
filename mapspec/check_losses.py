"""Steps that lose a part of the value, and targets that two steps write."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Literal

from mapspec.checks_validations import Remark
from mapspec.model import FieldRule, MappingSpec, operations_of
from mapspec.ops import MaxLength, Operation, ToMoney
from mapspec.yamltext import Loc

# What a record is found again by: two different ones must not read the same.
_KEYS: Final = frozenset({"invoice_number", "transactionid", "sku", "email"})
_PLACES: Final = ("decimal", "round", "divide", "percent_of")


def losses(spec: MappingSpec) -> Iterator[Remark]:
    """Lossy steps: told where a person reads the value, a warning in money, an error in a key."""
    keys = {f"{step.target}.{name}" for step in spec.flow if step.target for name in step.match}
    for target, entry in spec.fields.items():
        if isinstance(entry, FieldRule):
            is_key = target in keys or target.rpartition(".")[2] in _KEYS
            yield from _rule(target, ("fields", target), entry, is_key)
            continue
        for name, rule in entry.fields.items():
            yield from _rule(f"{target}.{name}", ("fields", target, "fields", name), rule, False)


def _rule(part: str, loc: Loc, rule: FieldRule, is_key: bool) -> Iterator[Remark]:
    for position, top in enumerate(rule.steps):
        into_money = any(isinstance(step, ToMoney) for step in rule.steps[position:])
        for op in operations_of((top,)):
            lost = _lost(op)
            if lost is None:
                continue
            severity: Literal["error", "warning", "info"] = "info"
            mend = "keep it where a person reads the value, else refuse what does not fit"
            if is_key:
                severity, mend = "error", "a key must not change: refuse what does not fit, with over: error"
            elif into_money and not isinstance(op, MaxLength):
                severity, mend = "warning", "check that the parts still add up to the total"
            yield Remark("lossy-step", severity, part, f"'{op.name}' {lost}", mend, (*loc, "steps", position))


def _lost(op: Operation) -> str | None:
    if isinstance(op, MaxLength):
        return f"cuts what is longer than {op.n} characters" if op.over == "truncate" else None
    places = getattr(op, "places", None) if op.name in _PLACES else None
    return None if places is None else f"rounds to {places} digits after the point"


def doubles(spec: MappingSpec) -> Iterator[Remark]:
    """Two steps that write one target. (Two rules for one place do not even compile.)"""
    written: dict[str, str] = {}
    for position, step in enumerate(spec.flow):
        if step.target is None:
            continue
        first = written.setdefault(step.target, step.id)
        if first != step.id:
            message = f"the steps '{first}' and '{step.id}' write the same target '{step.target}'"
            mend = "keep one, or give each a target of its own"
            yield Remark("target-written-twice", "error", "flow", message, mend, ("flow", position))
