"""A table of records of the other system, for a preview without a connection to it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mapper_ai.errors import InputError
from mapspec import Lookup
from mapspec.conditions import fold
from sync.envelope import EnvelopeError, loads

Row = Mapping[str, Any]
_FORM = 'expected JSON such as {"items": [{"sku": "A-1", "name": "Tea"}]}, by the ids of lookup steps'


def read_found(path: Path) -> dict[str, list[Row]]:
    """Records by the id of the lookup step that would find them.

    Raises:
        InputError: No such file, or another form.
    """
    try:
        data = loads(path.read_bytes())
    except OSError:
        raise InputError(f"{path}: no such file; {_FORM}") from None
    except EnvelopeError as error:
        raise InputError(f"{path}: {error}; {_FORM}") from None
    fits = isinstance(data, dict) and all(
        isinstance(rows, list) and all(isinstance(row, dict) for row in rows) for rows in data.values()
    )
    if not fits:
        raise InputError(f"{path}: {_FORM}")
    return dict(data)


def found_in(table: Mapping[str, Sequence[Row]], lookups: Iterable[Lookup]) -> dict[tuple[str, str], Row | None]:
    """What the lookups find in the table, as a run would find it in the other system.

    Raises:
        InputError: Several records have a value; a run would hold the record.
    """
    found: dict[tuple[str, str], Row | None] = {}
    for lookup in lookups:
        value = fold(lookup.value)
        rows = [row for row in table.get(lookup.step, ()) if fold(row.get(lookup.field)) == value]
        if len(rows) > 1:
            raise InputError(f"{lookup.step}: {len(rows)} records have this {lookup.field} ({lookup.where}): keep one")
        found[lookup.step, value] = rows[0] if rows else None
    return found
