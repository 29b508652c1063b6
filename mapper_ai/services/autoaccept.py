"""Approves the parts of a proposed spec that may go without a person: sure enough, and no money, tax or key."""

from __future__ import annotations

from decimal import Decimal

from mapper_ai.core.fields import FieldProfile, Profile, split_path
from mapper_ai.core.names import read_names
from mapper_ai.core.suggest import risk_of
from mapspec import MappingSpec, approve
from mapspec.model import FieldRule, operations_of
from mapspec.ops import ToMoney


def safe_parts(spec: MappingSpec, at: float) -> list[str]:
    """Rules by the trained scorer alone at or above a confidence whose targets bear no risk, in the spec's order."""
    rules = {
        part: rule
        for part, rule in spec.rules().items()
        if isinstance(rule, FieldRule)
        and rule.origin is not None
        and rule.origin.by == "learned"
        and not rule.origin.why.get("llm", "").startswith("+")
        and (rule.origin.confidence or Decimal(0)) >= Decimal(str(at))
    }
    paths = [part.partition(".")[2] or part for part in rules]
    fields = tuple(FieldProfile(path=path, segments=split_path(path)) for path in paths)
    risky = [bool(risk_of(meaning)) for meaning in read_names(Profile(fields))]
    return [
        part
        for (part, rule), risk in zip(rules.items(), risky, strict=True)
        if not risk and not any(isinstance(step, ToMoney) for step in operations_of(rule.steps))
    ]


def approve_safe(spec: MappingSpec, at: float, *, when: str) -> tuple[MappingSpec, list[str]]:
    """The spec with those parts approved, and their names; the approval says that no person gave it."""
    parts = safe_parts(spec, at)
    return (approve(spec, parts, by=f"auto-accept at {at:g}", at=when), parts) if parts else (spec, [])
