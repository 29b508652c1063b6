"""What the last polls knew of a source that tells the hashes of its records; see ``connectors.clarity_port.Changes``.

A hash is kept only after its record is in the inbox, so a poll that ends early goes on where it was.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import sqlalchemy as sa

from sync.records import add_note, latest
from sync.store import Store
from sync.store import digest as digest_table

_KEY = ("connection", "stream", "id")


def known_hashes(store: Store, entity: str) -> dict[str, int | None]:
    """Id to hash of every record of an entity that was read, or left out on purpose."""
    statement = sa.select(digest_table.c.id, digest_table.c.hash).where(_of(entity))
    with store.read() as conn:
        return {row.id: int(row.hash) for row in conn.execute(statement)}


def keep_hashes(store: Store, entity: str, hashes: Mapping[str, Any]) -> None:
    """Remember the hashes of records that are in the inbox now; what is no whole number is none."""
    rows = [
        {"connection": "clarity", "stream": entity, "id": one, "hash": str(value)}
        for one, value in hashes.items()
        if isinstance(value, int) and not isinstance(value, bool)
    ]
    if not rows:
        return
    statement = store.insert(digest_table)
    statement = statement.on_conflict_do_update(index_elements=_KEY, set_={"hash": statement.excluded.hash})
    with store.write() as conn:
        conn.execute(statement, rows)


def tell_gone(store: Store, entity: str, ids: Iterable[str], *, now: float) -> None:
    """Records that a digest lists no longer: told to the operator, and nothing is done about it."""
    for one in ids:
        if latest(store, f"{entity}:{one}") is not None:
            message = "Clarity lists this record no longer; nothing was changed in FreshBooks"
            add_note(store, f"{entity}:{one}", "gone-at-source", message, now=now)
        with store.write() as conn:
            conn.execute(sa.delete(digest_table).where(_of(entity), digest_table.c.id == one))


def _of(entity: str) -> sa.ColumnElement[bool]:
    return sa.and_(digest_table.c.connection == "clarity", digest_table.c.stream == entity)
