"""Samples dispose: whatever is proposed is type-checked, executed on the samples and held against the contract."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Final

from pydantic import ValidationError

from mapper_ai.errors import UnknownPartError
from mapper_ai.services.edits import with_list, with_rule
from mapper_ai.services.findings import spec_findings
from mapper_ai.services.goals import Goal
from mapper_ai.services.proof import failures
from mapper_ai.services.sources import read_at
from mapper_ai.services.targets import Record
from mapspec import MappingSpec, SpecError, compile_spec
from mapspec.model import FieldRule, TableRule
from mapspec.ops import first_problem

MAX_TRIED: Final = 200
_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}")
_NUMBER: Final = re.compile(r"-?\d+(\.\d+)?")


@dataclass(frozen=True)
class Place:
    """Where a proposal is to stand.

    Attributes:
        spec: As it is now.
        part: The field, list member or named value.
        goal: The target field.
        sources: Paths the part may read, for the list around it.
        records: Samples.
    """

    spec: MappingSpec
    part: str
    goal: Goal
    sources: Sequence[str]
    records: Sequence[Record]

    @property
    def rule(self) -> FieldRule | None:
        """The rule that stands there now."""
        return self.spec.rules().get(self.part)


def rule_of(data: Mapping[str, Any]) -> tuple[FieldRule | None, str]:
    """A rule by the real models, or why it is none."""
    try:
        return FieldRule.model_validate(data), ""
    except ValidationError as error:
        loc, message = first_problem(error)
        place = next((f"step {part + 1}: " for part in loc if isinstance(part, int)), "")
        return None, f"{place}{message}"


def problem_with(place: Place, rule: FieldRule, tables: Mapping[str, TableRule] | None = None) -> str:
    """Why a rule cannot be proposed for a part; "" when it can.

    The first of: it breaks a check of the spec or the contract, it fails on samples, what it makes does not fit the
    target field, or it makes nothing at all.
    """
    try:
        spec = with_rule(with_list(place.spec, place.part, place.sources), place.part, rule, dict(tables or {}))
        old = {(row.id, row.message) for row in spec_findings(place.spec) if row.level == "error"}
        for row in spec_findings(spec):
            if row.level == "error" and row.part == place.part and (row.id, row.message) not in old:
                return row.message.removeprefix(f"{place.part}: ")
    except (SpecError, UnknownPartError) as error:
        return error.message
    tried = place.records[:MAX_TRIED]
    wanting = failures(spec, tried)
    row_ = wanting.get("") or wanting.get(place.part)
    if row_ is not None:
        return f"fails on {row_.count} of {row_.tried} samples: {row_.message}" if tried else row_.message
    return _values_fit(spec, place, tried)


def _values_fit(spec: MappingSpec, place: Place, tried: Sequence[Record]) -> str:
    if place.part.startswith("values.") or not tried:
        return ""
    # Parts may fail that are none of this proposal's business; only what it makes is looked at.
    compiled = compile_spec(spec.model_copy(update={"gate": (), "assertions": ()}))
    target, _, path = place.part.partition(".")
    made = (document for record in tried for document in compiled.apply(record).documents.get(target, ()))
    seen = 0
    for document in made:
        for value in _flat(read_at(document.body, path)):
            if value is not None and value != "":
                seen += 1
                problem = _misfit(value, place.goal)
                if problem:
                    return problem
    return "" if seen else f"gives nothing on any of {len(tried)} samples"


def _flat(value: object) -> list[object]:
    return [part for row in value for part in _flat(row)] if isinstance(value, list) else [value]


def _misfit(value: object, goal: Goal) -> str:
    text = str(value)
    if goal.enum and text not in goal.enum:
        return f"gives a value that is not allowed; allowed: {', '.join(goal.enum[:24])}"
    if goal.max_length and goal.type == "text" and len(text) > goal.max_length:
        return f"gives {len(text)} characters, allowed are {goal.max_length}"
    fits = {
        "int": lambda: isinstance(value, int) and not isinstance(value, bool),
        "bool": lambda: isinstance(value, bool),
        "decimal": lambda: isinstance(value, int | Decimal) or bool(_NUMBER.fullmatch(text)),
        "date": lambda: isinstance(value, date) or bool(_DAY.fullmatch(text)),
        "money": lambda: isinstance(value, dict) and value.keys() == {"amount", "code"},
    }.get(goal.type)
    return "" if fits is None or fits() else f"gives {type(value).__name__}, expected {goal.type}"
