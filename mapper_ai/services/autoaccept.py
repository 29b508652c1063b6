"""Approves the parts of a proposed spec that may go without a person: sure enough, and no money, tax or key."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from mapper_ai.core.fields import FieldProfile, Profile, split_path
from mapper_ai.core.names import read_names
from mapper_ai.core.suggest import risk_of
from mapspec import MappingSpec, approve
from mapspec.model import FieldRule, operations_of
from mapspec.ops import LookupTable, ToMoney


@dataclass(frozen=True)
class Accepted:
    """A spec with its safe parts approved.

    Attributes:
        spec: The approval of each says that no person gave it.
        parts: The approved ones, in the spec's order.
        left: As sure, but money, taxes, keys or values by a table; a person decides.
        expected: Share of wrong ones among `parts` that their confidences foretell; 0 when there are none.
    """

    spec: MappingSpec
    parts: tuple[str, ...]
    left: tuple[str, ...]
    expected: float


def approve_safe(spec: MappingSpec, at: float, *, when: str) -> Accepted:
    """Approve what the trained scorer is at least so sure of, as long as little rests on it."""
    sure = _sure(spec, at)
    risky = _risky(list(sure))
    left = tuple(part for part, rule in sure.items() if part in risky or _weighty(rule))
    parts = tuple(part for part in sure if part not in left)
    doubts = [1.0 - float(rule.origin.confidence or 0) for part, rule in sure.items() if part in parts and rule.origin]
    done = approve(spec, parts, by=f"auto-accept at {at:g}", at=when) if parts else spec
    return Accepted(done, parts, left, sum(doubts) / len(doubts) if doubts else 0.0)


def _sure(spec: MappingSpec, at: float) -> dict[str, FieldRule]:
    return {
        part: rule
        for part, rule in spec.rules().items()
        if isinstance(rule, FieldRule)
        and rule.origin is not None
        and rule.origin.by == "learned"
        and not rule.origin.why.get("llm", "").startswith("+")
        and (rule.origin.confidence or Decimal(0)) >= Decimal(str(at))
    }


def _risky(parts: Sequence[str]) -> set[str]:
    paths = [part.partition(".")[2] or part for part in parts]
    fields = tuple(FieldProfile(path=path, segments=split_path(path)) for path in paths)
    return {part for part, meaning in zip(parts, read_names(Profile(fields)), strict=True) if risk_of(meaning)}


def _weighty(rule: FieldRule) -> bool:
    # A table made by rule says what values mean: that is more than which field feeds which.
    return any(isinstance(step, ToMoney | LookupTable) for step in operations_of(rule.steps))
