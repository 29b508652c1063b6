"""Target fields as a person sees them: a money object is one field, what the system computes is none."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from connectors.profiles import ContractField
from connectors.registry import load_system
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


@dataclass(frozen=True)
class Goal:
    """One target field.

    Attributes:
        path: Below the target: `lines[].unit_cost`.
        leaf: The path that a profile names: `lines[].unit_cost.amount` for money.
        type: text, int, decimal, bool, date, instant, money, object or list.
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
    """Fields of target samples: types from their values, nothing required."""
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
    # JSON text that holds digits stays text: order numbers and postal codes read as integers.
    kind = _TYPES.get(entry.format, "text")
    if kind == "int" and not entry.types.get("integer"):
        kind = "text"
    formats = {"email": "email", "currency": "currency"}
    names = entry.format == "country" and entry.min_length > 3
    return Goal(
        path=entry.path,
        leaf=entry.path,
        type=kind,
        enum=entry.values if entry.is_enum and kind == "text" else (),
        format="country-name" if names else formats.get(entry.format, ""),
    )


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
