"""Target fields as a person sees them: a money object is one field, what the system computes is none."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from connectors.profiles import ContractField
from connectors.registry import load_system
from mapper_ai.core.fields import Contract
from mapper_ai.core.profile import FieldProfile, Profile

_TYPES: Final = {
    "bool": "bool",
    "integer": "int",
    "decimal": "decimal",
    "percent": "decimal",
    "date": "date",
    "instant": "instant",
}
MONEY_MEMBERS: Final = ("amount", "code")
# Texts of a person's own: few different ones in a handful of samples are chance, not a list of allowed values.
_FREE: Final = re.compile(
    r"name|title|desc|note|memo|comment|remark|message|street|addr|city|town|phone|mail|brand|company|sku|number|id$"
    r"|reference|zip|postal|state|province|region",
    re.IGNORECASE,
)
_E164: Final = re.compile(r"\+[1-9]\d{6,14}")
_CONSTANT_FROM: Final = 3


@dataclass(frozen=True)
class Goal:
    """One target field.

    Attributes:
        path: Below the target: `lines[].unit_cost`.
        leaf: The path that a profile names: `lines[].unit_cost.amount` for money.
        type: text, int, decimal, bool, date, instant, money, object or list.
        enum: Allowed values, or those seen when `seen` is set.
        seen: The values come from samples, so that there may be others.
        constant: What every record holds, "" when they differ or too few are known.
    """

    path: str
    leaf: str
    type: str
    required: bool = False
    enum: tuple[str, ...] = ()
    max_length: int | None = None
    format: str = ""
    note: str = ""
    aliases: tuple[str, ...] = ()
    read_only: bool = False
    seen: bool = False
    constant: str = ""

    @property
    def nested(self) -> bool:
        """In a list within a list, which a spec has no place for."""
        return self.path.count("[]") > 1 or self.path.endswith("[]")

    @property
    def list_path(self) -> str:
        """The list the field stands in (`lines[]`), "" when in none."""
        return self.path[: self.path.index("[]") + 2] if "[]" in self.path else ""

    @property
    def member(self) -> str:
        """The path below the list, or the whole path."""
        return self.path[len(self.list_path) :].lstrip(".")


def contract_goals(system: str, entity: str) -> list[Goal]:
    """Fields of a system's contract in its order, read-only ones included.

    Raises:
        ValueError: Unknown system or entity.
    """
    fields = load_system(system).fields(entity)
    return _merged(
        [
            Goal(
                path=entry.path,
                leaf=entry.path,
                type=entry.type,
                required=entry.required,
                enum=tuple(str(value) for value in entry.enum),
                max_length=entry.max_length,
                format=_format(entry),
                note=entry.note,
                aliases=entry.aliases,
                read_only=entry.read_only or entry.access == "RO",
            )
            for entry in fields
        ]
    )


def profile_goals(profile: Profile) -> list[Goal]:
    """Fields of target samples or of a schema: types from the values, the rest as the schema says."""
    return _merged([_of_profile(entry) for entry in profile.fields if entry.addressable])


def _format(entry: ContractField) -> str:
    if entry.format:
        return entry.format
    last = entry.path.rsplit(".", 1)[-1].lower()
    if last in ("currency", "currency_code", "code") and entry.max_length == 3:
        return "currency"
    if "country" in last and "full name" in entry.note.lower():
        return "country-name"
    return ""


def _of_profile(entry: FieldProfile) -> Goal:
    kind = _TYPES.get(entry.format, "text")
    # JSON text that holds digits stays text: order numbers and postal codes read as integers.
    if kind == "int" and entry.types.get("text"):
        kind = "text"
    said = entry.contract or Contract()
    last = entry.segments[-1][0] if entry.segments else entry.path
    seen = entry.is_enum and kind == "text" and not _FREE.search(last) and entry.format not in ("currency", "country")
    return Goal(
        path=entry.path,
        leaf=entry.path,
        type=kind,
        required=said.required,
        enum=said.enum or (entry.values if seen else ()),
        max_length=said.max_length,
        format=_seen_format(entry, last),
        note=said.note,
        aliases=said.aliases,
        read_only=said.read_only,
        seen=not said.enum,
        constant=_constant(entry, said, last),
    )


def _seen_format(entry: FieldProfile, last: str) -> str:
    if entry.format in ("email", "currency"):
        return entry.format
    if "country" in last.lower() and entry.format == "country":
        return "country-name" if entry.min_length > 3 else "country-code" if entry.max_length == 2 else ""
    if entry.format == "phone" and entry.examples and all(_E164.fullmatch(text) for text in entry.examples):
        return "phone"
    return ""


def _constant(entry: FieldProfile, said: Contract, last: str) -> str:
    """The one allowed value of a required field, or the word that every sample holds."""
    if said.required and len(said.enum) == 1:
        return said.enum[0]
    steady = entry.distinct == 1 and entry.occurrences >= _CONSTANT_FROM and entry.present_share == 1.0
    plain = entry.format in ("word", "code", "bool") and entry.filled_share == 1.0
    return entry.values[0] if steady and plain and not _FREE.search(last) and not said.read_only else ""


def _merged(goals: Iterable[Goal]) -> list[Goal]:
    """`unit_cost.amount` and `unit_cost.code` become one field `unit_cost` of type money."""
    found = list(goals)
    paths = {goal.path for goal in found}
    merged = []
    for goal in found:
        parent, _, last = goal.path.rpartition(".")
        if not parent or not all(f"{parent}.{member}" in paths for member in MONEY_MEMBERS):
            merged.append(goal)
        elif last == "amount":
            merged.append(replace(goal, path=parent, type="money"))
    return merged
