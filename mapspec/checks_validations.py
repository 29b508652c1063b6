"""Rules over the checks and assertions of a spec: those that can never hold, and those that have no place."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from mapspec.model import FieldRule, ListBlock, MappingSpec
from mapspec.validations import Check, LengthCheck, MinLengthCheck, UniqueCheck
from mapspec.yamltext import Loc

# The members of a line that FreshBooks' total depends on.
_PRICED: tuple[str, ...] = ("qty", "unit_cost")


@dataclass(frozen=True)
class Remark:
    """What a rule found; `mapspec.checks` makes a finding of it."""

    id: str
    severity: Literal["error", "warning", "info"]
    part: str
    message: str
    mend: str
    at: Loc


def remarks(spec: MappingSpec) -> Iterator[Remark]:
    """Everything about checks and assertions, in the order of the spec's parts."""
    lists = {step.target for step in spec.flow if step.target and step.each is not None}
    for name, rule in spec.values.items():
        yield from _rule(rule, f"values.{name}", ("values", name), in_list=False)
    for target, entry in spec.fields.items():
        if isinstance(entry, FieldRule):
            yield from _rule(entry, target, ("fields", target), in_list=target.split(".", 1)[0] in lists)
            continue
        for name, rule in entry.fields.items():
            yield from _rule(rule, f"{target}.{name}", ("fields", target, "fields", name), in_list=True)
    yield from _assertions(spec)


def _rule(rule: FieldRule, part: str, loc: Loc, *, in_list: bool) -> Iterator[Remark]:
    at: Loc = (*loc, "check")
    written: set[str] = set()
    for check in rule.check:
        if check.name in written:
            message = f"the check '{check.name}' stands twice"
            yield Remark("check-twice", "warning", part, message, "keep one", at)
        written.add(check.name)
        if isinstance(check, UniqueCheck) and not in_list:
            message = "unique_in_list looks at the elements of a list, and there is no list here"
            mend = "remove it, or assert {unique: …} over a list of the record"
            yield Remark("unique-outside-list", "error", part, message, mend, at)
    low, high = _ends(rule.check)
    if low is not None and high is not None and low > high:
        message = f"no text has at least {low} and at most {high} characters"
        yield Remark("length-window-empty", "error", part, message, "correct min_length or max_length", at)


def _ends(checks: tuple[Check, ...]) -> tuple[int | None, int | None]:
    low = max((check.min_length for check in checks if isinstance(check, MinLengthCheck)), default=None)
    return low, min((check.max_length for check in checks if isinstance(check, LengthCheck)), default=None)


def _assertions(spec: MappingSpec) -> Iterator[Remark]:
    seen: set[str] = set()
    for position, assertion in enumerate(spec.assertions):
        at: Loc = ("assertions", position)
        if assertion.id in seen:
            message = f"two assertions have the id '{assertion.id}'"
            yield Remark("assertion-twice", "warning", "flow", message, "give each its own id", at)
        seen.add(assertion.id)
        if assertion.predicted_total is None:
            continue
        lines = assertion.predicted_total.lines
        block = spec.fields.get(lines)
        if not isinstance(block, ListBlock):
            message = f"assertion '{assertion.id}' adds up '{lines}', which is no list of this spec"
            yield Remark("predicted-total-without-lines", "error", "flow", message, "name the list of lines", at)
            continue
        for name in _PRICED:
            if not any(member == name or member.startswith(name + ".") for member in block.fields):
                message = f"assertion '{assertion.id}' adds up '{lines}', whose elements have no rule for '{name}'"
                yield Remark("predicted-total-without-lines", "error", "flow", message, f"add a rule for {name}", at)
