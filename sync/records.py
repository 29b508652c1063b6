"""What is known besides the work itself: newest snapshots, notes for people, approved specs, connection states."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from connectors.scrub import scrub
from sync.envelope import dumps, lane_of, loads, version_of
from sync.prepared import Prepared
from sync.reading import Reading, shipped
from sync.store import Store, insert_into
from sync.store import connection as connection_table
from sync.store import note as note_table
from sync.store import record as record_table
from sync.store import spec as spec_table


@dataclass(frozen=True)
class Snapshot:
    """The newest known state of a source record.

    Attributes:
        key: Record key, e.g. "order:10045".
        version: ``updatedAt`` as sortable UTC text; None when the source gave none.
        sha256: Digest of the payload's exact text.
        settled: The `sync.outcome.Settled` of the last snapshot that was done, as text.
    """

    key: str
    entity: str
    id: str
    version: str | None
    payload: dict[str, Any]
    sha256: str
    settled: str | None = None


@dataclass(frozen=True)
class Note:
    """Something a person should know that stops nothing: an unknown SKU, a price that differs."""

    record_key: str
    kind: str
    subject: str
    message: str
    at: float


@dataclass(frozen=True)
class ConnectionState:
    """``ok``, ``reconnect`` (a person has to sign in) or ``stopped``, with the reason, since ``at`` (unix seconds)."""

    name: str
    state: str
    reason: str | None
    at: float


_LATEST = Prepared(sa.select(record_table).where(record_table.c.key == sa.bindparam("wanted")))


def latest(store: Store, key: str) -> Snapshot | None:
    """The newest known snapshot of a record."""
    rows = store.rows(_LATEST, {"wanted": key})
    if not rows:
        return None
    row = rows[0]
    return Snapshot(row.key, row.entity, row.id, row.version, loads(row.payload), row.sha256, row.settled)


@dataclass(frozen=True)
class Fresh:
    """A snapshot that came in: scrubbed, and written out as text; ``members`` is how many it has."""

    entity: str
    id: str
    version: str | None
    lane_key: str
    text: str
    members: int

    @property
    def key(self) -> str:
        """Record key."""
        return f"{self.entity}:{self.id}"

    @cached_property
    def sha256(self) -> str:
        """Digest of the text."""
        return hashlib.sha256(self.text.encode()).hexdigest()


def remember(
    store: Store,
    entity: str,
    record_id: str,
    payload: Mapping[str, Any],
    *,
    updated: str | None,
    now: float,
    reading: Reading | None = None,
) -> bool:
    """Keep a fetched record as the newest snapshot, scrubbed, unless a newer one is known.

    Args:
        updated: When it last changed, as its source says.

    Returns:
        Whether it was kept.
    """
    reading = reading or shipped()
    kept = scrub(reading.record(payload))
    lane_key = lane_of(entity, f"{entity}:{record_id}", kept, reading)
    fresh = Fresh(entity, record_id, version_of(updated, reading.zone), lane_key, dumps(kept), len(kept))
    return store.transact(lambda conn: bool(keep(conn, [fresh], now=now)))


def keep(conn: Connection, found: Iterable[Fresh], *, now: float) -> int:
    """Keep those that are newest, inside the caller's transaction; of how many records a snapshot was kept."""
    snapshots = list(found)
    if not snapshots:
        return 0
    columns = (record_table.c.key, record_table.c.version)
    rows = conn.execute(sa.select(*columns).where(record_table.c.key.in_(sorted({one.key for one in snapshots}))))
    known: dict[str, tuple[str | None, int | None]] = {row.key: (row.version, None) for row in rows}
    newest: dict[str, Fresh] = {}
    for one in snapshots:
        version, members = known.get(one.key, (None, None))
        if version is not None:
            if one.version is None or one.version < version:
                continue
            # Of two snapshots of one moment the fuller one counts: a webhook may carry a few members only.
            if one.version == version and one.members < (_members(conn, one.key) if members is None else members):
                continue
        known[one.key] = (one.version, one.members)
        newest[one.key] = one
    # Everywhere in the same order: two processes that keep the same records must not wait for each other.
    rows_of = [
        {
            "key": key,
            "entity": one.entity,
            "id": one.id,
            "lane_key": one.lane_key,
            "version": one.version,
            "payload": one.text,
            "sha256": one.sha256,
            "seen_at": now,
        }
        for key, one in sorted(newest.items())
    ]
    _REMEMBER.each(conn, rows_of)
    return len(newest)


def _members(conn: Connection, key: str) -> int:
    payload: str | None = conn.scalar(sa.select(record_table.c.payload).where(record_table.c.key == key))
    return 0 if payload is None else len(loads(payload))


def _remembering(dialect: str) -> sa.Executable:
    names = ("key", "entity", "id", "lane_key", "version", "payload", "sha256", "seen_at")
    fresh = insert_into(record_table, dialect).values({name: sa.bindparam(name) for name in names})
    return fresh.on_conflict_do_update(
        index_elements=["key"],
        set_={name: fresh.excluded[name] for name in names if name != "key"},
        # Asked again while the row is locked: another transaction may have kept a newer snapshot since it was read.
        where=sa.or_(record_table.c.version.is_(None), fresh.excluded.version >= record_table.c.version),
    )


_REMEMBER = Prepared(_remembering)


def set_notes(store: Store, record_key: str, found: Iterable[tuple[str, str, str]], *, now: float) -> None:
    """Replace all that was said about a record; nothing is written where nothing changes.

    Args:
        found: Kind (kebab-case), message and subject each: ``unknown-sku`` (subject: the SKU), ``price-differs``,
            ``payment-skipped``, ...
    """
    store.transact(lambda conn: set_notes_in(conn, record_key, found, now=now))


def set_notes_in(conn: Connection, record_key: str, found: Iterable[tuple[str, str, str]], *, now: float) -> None:
    """As ``set_notes``, inside the caller's transaction, which may be repeated."""
    wanted = {(kind, subject): message for kind, message, subject in found}
    if wanted == {(row.kind, row.subject): row.message for row in _NOTES_OF(conn, {"record": record_key}).all()}:
        return
    _DROP_NOTES(conn, {"record": record_key})
    _ADD_NOTE.each(
        conn,
        [
            {"record_key": record_key, "kind": kind, "subject": subject, "message": message, "at": now}
            for (kind, subject), message in wanted.items()
        ],
    )


def _noting(dialect: str) -> sa.Executable:
    fresh = insert_into(note_table, dialect).values({column.name: sa.bindparam(column.name) for column in note_table.c})
    return fresh.on_conflict_do_nothing()


_DROP_NOTES = Prepared(sa.delete(note_table).where(note_table.c.record_key == sa.bindparam("record")))
_ADD_NOTE = Prepared(_noting)
_NOTES_OF = Prepared(sa.select(note_table).where(note_table.c.record_key == sa.bindparam("record")))


def add_note(store: Store, record_key: str, kind: str, message: str, *, now: float) -> None:
    """Tell one more thing about a record, beside what its last event told; its next event replaces them all."""
    values = {"message": message, "at": now}
    statement = store.insert(note_table).values(record_key=record_key, kind=kind, subject="", **values)
    with store.write() as conn:
        conn.execute(statement.on_conflict_do_update(index_elements=["record_key", "kind", "subject"], set_=values))


def notes(store: Store, kind: str | None = None, *, most: int | None = None) -> list[Note]:
    """All notes, or those of one kind, by record and subject."""
    order = (note_table.c.record_key, note_table.c.kind, note_table.c.subject)
    statement = sa.select(note_table).order_by(*order).limit(most)
    with store.read() as conn:
        rows = conn.execute(statement if kind is None else statement.where(note_table.c.kind == kind)).all()
    return [Note(row.record_key, row.kind, row.subject, row.message, row.at) for row in rows]


def save_spec(store: Store, fingerprint: str, name: str, text: str, *, now: float) -> None:
    """Keep the text of an approved spec; a fingerprint that is known already stays as it is."""
    values = {"fingerprint": fingerprint, "name": name, "text": text, "at": now}
    with store.write() as conn:
        conn.execute(store.insert(spec_table).values(**values).on_conflict_do_nothing())


def load_spec(store: Store, fingerprint: str) -> str | None:
    """The text of an approved spec by its fingerprint."""
    with store.read() as conn:
        return conn.scalar(sa.select(spec_table.c.text).where(spec_table.c.fingerprint == fingerprint))


def set_connection(
    store: Store, name: str, state: Literal["ok", "stopped", "reconnect"], *, reason: str | None = None, now: float
) -> None:
    """Record whether a connection works."""
    values = {"state": state, "reason": reason, "at": now}
    statement = store.insert(connection_table).values(name=name, **values)
    with store.write() as conn:
        conn.execute(statement.on_conflict_do_update(index_elements=["name"], set_=values))


def connections(store: Store) -> dict[str, ConnectionState]:
    """The last known state of every connection that was used."""
    with store.read() as conn:
        rows = conn.execute(sa.select(connection_table).order_by(connection_table.c.name)).all()
    return {row.name: ConnectionState(row.name, row.state, row.reason, row.at) for row in rows}
