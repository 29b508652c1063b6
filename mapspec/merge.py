"""Merge two versions of a spec that come from one, part by part; and take back the approvals of what was merged.

Two sides are in conflict only where both changed the same part in different ways. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from mapspec.approval import reset_changed, with_approvals
from mapspec.fingerprint import digests, plain_part
from mapspec.model import Approval, MappingSpec
from mapspec.renames import BESIDE

Side = Literal["ours", "theirs"]
# Lists of the spec whose elements have a name, and which member that is.
_NAMED: Final[Mapping[str, tuple[str, ...]]] = {
    "gate": ("id",),
    "flow": ("id",),
    "assertions": ("id",),
    "charges": ("name",),
    "ignored": ("source",),
    "suppressed": ("id", "part"),
}
# Where the order of the elements says something.
_ORDERED: Final = ("gate", "flow", "charges")
# Members that are merged member by member; anything else is one thing.
_OPEN: Final = ("source", "targets", "settings", "tables", "rows", "values", "fields", "money")
_GONE: Final = object()


@dataclass(frozen=True)
class Merged:
    """What came of a merge.

    Attributes:
        ours: The merged spec, in conflicts as our side has it.
        theirs: The same, in conflicts as the other side has it.
        conflicts: What both sides changed, as `fields.invoice.notes`; empty when the merge is done.
        reset: Parts whose approval was taken back.
    """

    ours: MappingSpec
    theirs: MappingSpec
    conflicts: tuple[str, ...]
    reset: tuple[str, ...]


def merge_specs(base: MappingSpec, ours: MappingSpec, theirs: MappingSpec) -> Merged:
    """Merge.

    Raises:
        ValueError: The parts fit one by one and make no spec together.
    """
    sides = [plain_part(spec) for spec in (base, ours, theirs)]
    before, *after = (digests(spec) for spec in (base, ours, theirs))
    both = all(side != before for side in after)
    version = max(ours.version, theirs.version) + (1 if both else 0)
    for side in sides:
        side.pop("version", None)
    made: dict[Side, MappingSpec] = {}
    conflicts: list[str] = []
    touched = {part for side in after for part, digest in side.items() if before.get(part) != digest}
    kept: tuple[str, ...] = ()
    for pick in ("ours", "theirs"):
        merge = _Merge(pick)
        data = merge.members(*sides, place="", beside=("approval", "description"))
        spec = MappingSpec.model_validate({**data, "version": version}).with_schema_reference(ours.schema_reference)
        reset = _reset(reset_changed(spec), touched)
        made[pick] = reset
        if pick == "ours":
            conflicts = merge.conflicts
            kept = tuple(part for part in digests(reset) if part in touched)
    return Merged(made["ours"], made["theirs"], tuple(conflicts), kept)


def _reset(spec: MappingSpec, parts: set[str]) -> MappingSpec:
    """What was approved on one side alone was never looked at together with the other."""

    def change(part: str, approval: Approval) -> Approval:
        if part in parts and approval.state == "approved":
            return Approval(comment=approval.comment)
        return approval

    return with_approvals(spec, change)


class _Merge:
    """One way through three versions; conflicts are decided for one side, and noted."""

    def __init__(self, pick: Side) -> None:
        self._pick = pick
        self.conflicts: list[str] = []

    def members(self, base: Any, ours: Any, theirs: Any, *, place: str, beside: Sequence[str] = ()) -> dict[str, Any]:
        """Objects member by member; the order is ours, then what the other side added."""
        found: dict[str, Any] = {}
        for name in _union(ours, theirs):
            one = [side.get(name, _GONE) if isinstance(side, dict) else _GONE for side in (base, ours, theirs)]
            where = f"{place}.{name}" if place else name
            value = self._value(*one, name=name, place=where, beside=name in beside)
            if value is not _GONE:
                found[name] = value
        return found

    def _value(self, base: Any, ours: Any, theirs: Any, *, name: str, place: str, beside: bool = False) -> Any:
        if ours == theirs or theirs == base:
            return ours
        if ours == base:
            return theirs
        objects = all(isinstance(side, dict) for side in (ours, theirs))
        if name in _NAMED and all(isinstance(side, list) for side in (ours, theirs)):
            return self._named(base if isinstance(base, list) else [], ours, theirs, name, place)
        if objects and _is_rule(ours) and _is_rule(theirs):
            return self._rule(base if isinstance(base, dict) else {}, ours, theirs, place)
        lists = objects and "fields" in ours and "fields" in theirs
        if objects and (lists or name in _OPEN or _parent(place) == "tables"):
            before = base if isinstance(base, dict) else {}
            return self.members(before, ours, theirs, place=place, beside=BESIDE if lists else ())
        if beside:
            return ours  # words, and approvals that are looked at again anyway
        return self._conflict(ours, theirs, place)

    def _rule(self, base: Mapping[str, Any], ours: Any, theirs: Any, place: str) -> Any:
        """A field is one thing: steps of one side with checks of the other were never tried together."""
        meanings = [{key: value for key, value in side.items() if key not in BESIDE} for side in (base, ours, theirs)]
        if meanings[1] == meanings[2] or meanings[2] == meanings[0]:
            lead = ours
        elif meanings[1] == meanings[0]:
            lead = theirs
        else:
            return self._conflict(ours, theirs, place)
        other = theirs if lead is ours else ours
        words = self.members(
            *({key: side[key] for key in BESIDE if key in side} for side in (base, lead, other)),
            place=place,
            beside=BESIDE,
        )
        return {**{key: value for key, value in lead.items() if key not in BESIDE}, **words}

    def _named(self, base: list[Any], ours: list[Any], theirs: list[Any], name: str, place: str) -> list[Any]:
        keyed = [{_key(row, name): row for row in side} for side in (base, ours, theirs)]
        order = self._order([list(side) for side in keyed], place, ordered=name in _ORDERED)
        found = []
        for key in order:
            rows = [side.get(key, _GONE) for side in keyed]
            value = self._value(*rows, name="", place=f"{place}.{key}")
            if value is not _GONE:
                found.append(value)
        return found

    def _order(self, keys: Sequence[list[str]], place: str, *, ordered: bool) -> list[str]:
        base, ours, theirs = keys
        common = [key for key in base if key in ours and key in theirs]
        mine, other = ([key for key in side if key in common] for side in (ours, theirs))
        lead, rest = ours, theirs
        if mine == common and other != common:
            lead, rest = theirs, ours
        elif ordered and mine != common and other != common and mine != other:
            lead, rest = self._conflict((ours, theirs), (theirs, ours), f"{place} (order)")
        found = list(lead)
        for position, key in enumerate(rest):
            if key not in found:
                before = next((other for other in reversed(rest[:position]) if other in found), None)
                found.insert(found.index(before) + 1 if before is not None else 0, key)
        return found

    def _conflict(self, ours: Any, theirs: Any, place: str) -> Any:
        self.conflicts.append(place)
        return ours if self._pick == "ours" else theirs


def _union(ours: Any, theirs: Any) -> list[str]:
    found = list(ours)
    for position, name in enumerate(theirs):
        if name not in ours:
            before: Callable[[str], bool] = found.__contains__
            place = next((found.index(n) for n in reversed(list(theirs)[:position]) if before(n)), len(found) - 1)
            found.insert(place + 1, name)
    return found


def _is_rule(value: Mapping[str, Any]) -> bool:
    return "steps" in value


def _parent(place: str) -> str:
    return place.rpartition(".")[0]


def _key(row: Mapping[str, Any], name: str) -> str:
    return " ".join(str(row.get(member, "")) for member in _NAMED[name]).strip()
