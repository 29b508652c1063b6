"""Which moments of a record always come in the same order, and which rise with the record's own key."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from itertools import pairwise, permutations
from typing import Any

from mapper_ai.core.fields import FieldProfile, Profile, TimeOrder

# Beyond that many moments a record is an event log, and all pairs would say nothing to a person.
_MAX_MOMENTS = 12
_MIN_ROWS = 3


def fields_of_time(profile: Profile) -> list[FieldProfile]:
    """The fields that `compare_times` needs: moments outside arrays, and whole-number keys to sort by."""
    single = [entry for entry in profile.fields if not entry.arrays]
    moments = [entry for entry in single if _is_moment(entry)][:_MAX_MOMENTS]
    keys = [entry for entry in single if entry.is_key and entry.types.keys() == {"integer"} and _is_named_key(entry)]
    return [*moments, *keys[:1]] if moments else []


def compare_times(
    fields: Sequence[FieldProfile], rows: Iterable[Sequence[Any]]
) -> tuple[tuple[TimeOrder, ...], dict[str, str]]:
    """Orders between moments, and moment -> the key it rises with.

    The order of the rows is no matter. An order or a rise needs at least three records that show both sides.

    Args:
        fields: As `fields_of_time` gives them.
        rows: One a record, values in the order of `fields`.
    """
    moments = [number for number, entry in enumerate(fields) if _is_moment(entry)]
    key = next((number for number, entry in enumerate(fields) if number not in moments), None)
    pairs = {pair: [0, 0] for pair in permutations(moments, 2)}
    series: dict[int, list[tuple[int, datetime]]] = {number: [] for number in moments}
    for row in rows:
        known = {number: moment for number in moments if (moment := _moment(row[number])) is not None}
        for (first, second), seen in pairs.items():
            if first in known and second in known:
                seen[0] += 1
                seen[1] += known[first] < known[second] if known[first] <= known[second] else -1_000_000_000
        if key is not None and row[key] is not None:
            for number, moment in known.items():
                series[number].append((int(row[key]), moment))
    orders = sorted(
        (fields[first].path, fields[second].path)
        for (first, second), (both, before) in pairs.items()
        if both >= _MIN_ROWS and before > 0
    )
    rising = {}
    for number, points in series.items():
        ordered = [moment for _, moment in sorted(points)]
        if key is not None and len(set(ordered)) >= _MIN_ROWS and all(a <= b for a, b in pairwise(ordered)):
            rising[fields[number].path] = fields[key].path
    return tuple(TimeOrder(*order) for order in orders), rising


def _is_named_key(entry: FieldProfile) -> bool:
    """A stock that happens to differ everywhere is no key to sort by."""
    return entry.segments[-1][0].casefold().rstrip("s").endswith(("id", "number", "no", "key"))


def _is_moment(entry: FieldProfile) -> bool:
    return entry.format in ("instant", "date") and entry.types.get("text", 0.0) > 0


def _moment(value: Any) -> datetime | None:
    """An ISO date or instant; without an offset it counts as UTC. None for anything else."""
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value.strip())
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
