"""Conditions that can never hold, or always do where they stand: branches and rules that nothing reaches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Final

from mapspec.checks_validations import Remark
from mapspec.conditions import Condition, fold
from mapspec.model import FieldRule, MappingSpec
from mapspec.ops import Operation, When
from mapspec.paths import Path
from mapspec.yamltext import Loc

_ORDERS: Final = ("gt", "gte", "lt", "lte")
_MANY_FACTS: Final = 200  # paths that something is remembered of
_MANY_PARTS: Final = 200  # of a condition; more are not worked through, which says nothing about them


@dataclass(frozen=True)
class Known:
    """What is known of the value at a path: among these texts, none of those, there or not, above and below."""

    among: frozenset[str] | None = None
    none_of: frozenset[str] = frozenset()
    there: bool | None = None
    low: tuple[Decimal, bool] | None = None  # the bound, and whether it belongs to the range
    high: tuple[Decimal, bool] | None = None

    def left(self) -> frozenset[str] | None:
        """The texts it may still be, None for no limit."""
        return None if self.among is None else self.among - self.none_of

    @property
    def impossible(self) -> bool:
        """No value is like this."""
        if self.left() == frozenset() or (self.there is False and self.among is not None):
            return True
        if self.low is None or self.high is None:
            return False
        return self.low[0] > self.high[0] or (self.low[0] == self.high[0] and not (self.low[1] and self.high[1]))


Facts = Mapping[tuple[str, str], Known]


def unreachable(spec: MappingSpec) -> Iterator[Remark]:
    """Everything that nothing reaches, in the order of the spec's parts."""
    facts: Facts | None = {}
    for position, gate in enumerate(spec.gate):
        at: Loc = ("gate", position)
        if facts is None:
            message = f"gate rule '{gate.id}' is never reached: an earlier rule holds for every record"
            yield _remark("flow", message, "move it up, or remove it", at)
            continue
        holds = settle(gate.when, facts)
        if holds is False:
            alone = settle(gate.when, {}) is False
            why = "its condition can never hold" if alone else "where it would hold, an earlier rule has decided"
            yield _remark("flow", f"gate rule '{gate.id}' is never reached: {why}", "correct the condition", at)
        facts = assume(gate.when, facts, holds=False)
    for position, step in enumerate(spec.flow):
        if step.when is not None and settle(step.when, {}) is False:
            message = f"step '{step.id}' never runs: its condition can never hold"
            yield _remark("flow", message, "correct the condition", ("flow", position))
    for position, assertion in enumerate(spec.assertions):
        if assertion.when is not None and settle(assertion.when, {}) is False:
            message = f"assertion '{assertion.id}' is never looked at: its condition can never hold"
            yield _remark("flow", message, "correct the condition", ("assertions", position))
    for part, loc, rule in _rules(spec):
        for position, op in enumerate(rule.steps):
            yield from _step(op, part, (*loc, "steps", position), {})


def _rules(spec: MappingSpec) -> Iterator[tuple[str, Loc, FieldRule]]:
    for name, rule in spec.values.items():
        yield f"values.{name}", ("values", name), rule
    for target, entry in spec.fields.items():
        if isinstance(entry, FieldRule):
            yield target, ("fields", target), entry
            continue
        for name, rule in entry.fields.items():
            yield f"{target}.{name}", ("fields", target, "fields", name), rule


def _step(op: Operation, part: str, at: Loc, facts: Facts) -> Iterator[Remark]:
    if isinstance(op, When):
        yield from _when(op, part, at, facts)
        return
    if op.of_elements:  # a leading dot means another element inside
        facts = {key: known for key, known in facts.items() if key[0] != "item"}
        for value in op.__dict__.values():
            if isinstance(value, Condition) and settle(value, facts) is False:
                yield _remark(part, f"the condition of '{op.name}' can never hold", "correct the condition", at)
    for chain in op.nested():
        for inner in chain:
            yield from _step(inner, part, at, facts)


def _when(op: When, part: str, at: Loc, facts: Facts) -> Iterator[Remark]:
    for branch, holds, chain in (("then", True, op.then), ("else", False, op.else_)):
        inside = assume(op.if_, facts, holds=holds)
        if inside is None:
            if branch == "then" or chain:
                never = "never" if holds else "always"
                message = f"'{branch}' of 'when' is never reached: its condition {never} holds here"
                yield _remark(part, message, "correct the condition, or leave the branch out", at)
            continue
        for inner in chain:
            yield from _step(inner, part, at, inside)


def _remark(part: str, message: str, mend: str, at: Loc) -> Remark:
    return Remark("unreachable-when", "warning", part, message, mend, at)


def settle(condition: Condition, facts: Facts) -> bool | None:
    """True or False where the facts decide a condition, None where it depends on the record."""
    if assume(condition, facts, holds=True) is None:
        return False
    return True if assume(condition, facts, holds=False) is None else None


def assume(condition: Condition, facts: Facts, *, holds: bool) -> Facts | None:
    """The facts where a condition holds, or does not; None where that cannot be.

    Never claims more than is sure of records whose single members are no lists.
    """
    if condition.not_ is not None:
        return assume(condition.not_, facts, holds=not holds)
    parts = condition.all if condition.all is not None else condition.any
    if parts is not None:
        every = (condition.all is not None) == holds
        return _every(parts, facts, holds) if every else _one_of(parts, facts, holds)
    name, argument = next((key, value) for key, value in condition.__dict__.items() if value is not None)
    path = argument if isinstance(argument, Path) else argument[0]
    if path.many:  # such a path has many values: one may be this and another that
        return None if holds and name == "in_" and not argument[1] else facts
    key = (path.root, path.source_path())
    before = facts.get(key, Known())
    after = _known(before, name, argument, holds)
    if len(facts) >= _MANY_FACTS and key not in facts:
        return None if after.impossible else facts
    return None if after.impossible else {**facts, key: after}


def _every(parts: Sequence[Condition], facts: Facts, holds: bool) -> Facts | None:
    if len(parts) > _MANY_PARTS:
        return facts
    for part in parts:
        assumed = assume(part, facts, holds=holds)
        if assumed is None:
            return None
        facts = assumed
    return facts


def _one_of(parts: Sequence[Condition], facts: Facts, holds: bool) -> Facts | None:
    if len(parts) > _MANY_PARTS:
        return facts
    possible = [assumed for part in parts if (assumed := assume(part, facts, holds=holds)) is not None]
    if not possible:
        return None
    return possible[0] if len(possible) == 1 else facts


def _known(before: Known, name: str, argument: Any, holds: bool) -> Known:
    if name in ("present", "absent"):
        there = (name == "present") == holds
        if before.there is not None and before.there != there:
            return replace(before, among=frozenset())
        return replace(before, there=there)
    value = argument[1]  # every other comparison is a pair
    if name in _ORDERS:
        return _ordered(before, name, value) if holds else before  # what is absent is neither above nor below
    texts = frozenset(fold(text) for text in (value if name == "in_" else (value,))) - {""}
    if (name != "not_equal") == holds:
        among = texts if before.among is None else before.among & texts
        return replace(before, among=among, there=before.there is not False)
    return replace(before, none_of=before.none_of | texts)


def _ordered(before: Known, name: str, bound: Decimal) -> Known:
    end = (bound, name in ("gte", "lte"))
    if name in ("gt", "gte"):
        tighter = before.low is None or (end[0], not end[1]) > (before.low[0], not before.low[1])
        return replace(before, low=end) if tighter else before
    tighter = before.high is None or (end[0], end[1]) < (before.high[0], before.high[1])
    return replace(before, high=end) if tighter else before
