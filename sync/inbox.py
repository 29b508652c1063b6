"""The inbox: what a 202 promised. Deliveries in, once each; how they come out again tells `sync.lanes`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from connectors.scrub import scrub
from sync.envelope import (
    HANDLED_ENTITIES,
    Delivery,
    EnvelopeError,
    Filing,
    dumps,
    file_delivery,
    parse_delivery,
    resource_of,
)
from sync.errors import InputError
from sync.lanes import (
    LEASE_S,
    MAX_CLAIMS,
    Event,
    claimable,
    is_gone,
    lane_of_record,
    new_owner,
    next_due,
    next_due_at,
    release,
    release_dead,
    renew,
    settle,
    touch,
    wake,
)
from sync.prepared import Prepared
from sync.reading import Reading, shipped
from sync.records import is_settled, remember_in
from sync.store import NOT_WAITING, PENDING, Store, inbox, insert_into
from sync.store import record as record_table

__all__ = [
    "LEASE_S",
    "MAX_CLAIMS",
    "Event",
    "IngestResult",
    "claimable",
    "count_to_do",
    "counts",
    "ingest",
    "is_gone",
    "new_owner",
    "next_due",
    "next_due_at",
    "parse_delivery",
    "read_events",
    "record_id_of",
    "redrive",
    "release",
    "release_dead",
    "renew",
    "settle",
    "verdict",
    "wake",
]


@dataclass(frozen=True)
class IngestResult:
    """Counts of one ingestion."""

    new: int = 0
    duplicate: int = 0
    ignored: int = 0

    def __add__(self, other: IngestResult) -> IngestResult:
        return IngestResult(self.new + other.new, self.duplicate + other.duplicate, self.ignored + other.ignored)


def read_events(path: Path, reading: Reading | None = None) -> list[Delivery]:
    """Read an NDJSON file of webhook bodies, one a line; blank lines are passed over.

    Raises:
        InputError: The file cannot be read, or a line is no envelope: "FILE:LINE: what was expected".
    """
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; --events takes one webhook body a line") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or type(error).__name__})") from None
    found = []
    for number, line in enumerate(raw.removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1):
        body = line.strip()
        if not body:
            continue
        try:
            found.append(parse_delivery(body, reading))
        except EnvelopeError as error:
            raise InputError(f"{path}:{number}: {error}") from None
    return found


def ingest(
    store: Store,
    envelopes: Iterable[Delivery | Mapping[str, Any]],
    *,
    source: str,
    now: float,
    reading: Reading | None = None,
    settled_by: Mapping[str, str] | None = None,
) -> IngestResult:
    """Store deliveries, all or none, scrubbed of card data and secrets; committed when this returns.

    Args:
        envelopes: Deliveries, or bare envelopes made by ourselves (with our member names).
        source: Where they came from: "webhook", "file", "poll", "freshbooks".
        now: Unix seconds.
        reading: How the source's records are read; as shipped when None.
        settled_by: Of what was asked for, snapshots that these specs (fingerprint by entity) have done already count
            as duplicates and are not stored.
    """
    reading = reading or shipped()
    asked = source in ("poll", "fetch")
    prepared = [_prepare(item, reading, asked=asked) for item in envelopes]
    # A8, A16: what was asked for is whole and of now; what was sent may be neither.
    whole = reading.snapshots or asked

    def stored(conn: Connection) -> IngestResult:
        counts, heads = {"new": 0, "duplicate": 0, "ignored": 0}, dict[str, int]()
        for filing, body, digest in prepared:
            if asked and settled_by and _is_settled(conn, filing, body, settled_by):
                counts["duplicate"] += 1
                continue
            kept = body if whole else _without_resource(body)
            counts[_ingest_one(store, conn, filing, kept, digest, heads, source=source, now=now, reading=reading)] += 1
        touch(conn, heads, now=now)
        return IngestResult(**counts)

    return store.transact(stored)


def _is_settled(conn: Connection, filing: Filing, body: Mapping[str, Any], settled_by: Mapping[str, str]) -> bool:
    resource, fingerprint = resource_of(body), settled_by.get(filing.entity)
    return (
        resource is not None and fingerprint is not None and is_settled(conn, filing.record_key, resource, fingerprint)
    )


def _prepare(
    item: Delivery | Mapping[str, Any], reading: Reading, *, asked: bool
) -> tuple[Filing, dict[str, Any], str]:
    if not isinstance(item, Delivery):
        item = parse_delivery(dumps(item).encode())
    body = scrub(item.envelope)
    filing = file_delivery(Delivery(body, item.raw_sha256), reading)
    if asked:  # A15 is about what the source sends by itself
        filing = replace(filing, handled=filing.entity in HANDLED_ENTITIES)
    return filing, body, item.raw_sha256


def _without_resource(body: Mapping[str, Any]) -> dict[str, Any]:
    data = body.get("data")
    if not isinstance(data, Mapping):
        return dict(body)
    return {**body, "data": {name: value for name, value in data.items() if name != "resource"}}


def _ingest_one(
    store: Store,
    conn: Connection,
    filing: Filing,
    body: Mapping[str, Any],
    digest: str,
    heads: dict[str, int],
    *,
    source: str,
    now: float,
    reading: Reading,
) -> str:
    lane_key = _lane(conn, filing)
    state, reasons = ("pending", []) if filing.handled else ("ignored", [])
    if filing.handled and filing.record_id == "?":
        reason = {"id": "no-record-id", "message": 'the event names no record: "data.id" is missing'}
        state, reasons = "dead", [reason]
    row = {
        "source": source,
        "delivery_id": filing.delivery_id,
        "event": filing.event,
        "entity": filing.entity,
        "record_id": filing.record_id,
        "record_key": filing.record_key,
        "number": filing.number,
        "lane_key": lane_key,
        "body": dumps(body),
        "raw_sha256": digest,
        "version": filing.version,
        "received_at": now,
        "state": state,
        "fate": "dead" if state == "dead" else None,
        "reasons": json.dumps(reasons),
        "due": now,
    }
    added = _ADD(conn, row).first()
    if added is None:
        return "duplicate"
    if state != "pending":
        return "ignored" if state == "ignored" else "new"
    heads.setdefault(lane_key, added.seq)
    resource = resource_of(body)
    if resource is not None:
        entity, version = filing.entity, filing.version
        remember_in(store, conn, entity, filing.record_id, resource, version, now=now, reading=reading)
    return "new"


def _adding(dialect: str) -> sa.Executable:
    names = (column.name for column in inbox.c if column.name not in ("seq", "attempts", "claims"))
    values: dict[str, Any] = {name: sa.bindparam(name) for name in names if name not in ("waits_for", "settled_at")}
    added = insert_into(inbox, dialect).values(**values, attempts=0, claims=0)
    return added.on_conflict_do_nothing(index_elements=["delivery_id"]).returning(inbox.c.seq)


_ADD = Prepared(_adding)


def _lane(conn: Connection, filing: Filing) -> str:
    """Where a record still has work, so that no two workers have it in hand; else with its order; else its own."""
    at_work: str | None = None
    if filing.record_id != "?":
        at_work = _LANE_AT_WORK(conn, {"record": filing.record_key}).scalar()
    return at_work or lane_of_record(conn, filing.order_key) or filing.lane_key


_LANE_AT_WORK = Prepared(
    sa.select(inbox.c.lane_key)
    .where(inbox.c.record_key == sa.bindparam("record"), PENDING)
    .order_by(inbox.c.seq.desc())
    .limit(1)
)


def record_id_of(store: Store, entity: str, number: str) -> str | None:
    """Id of the record that people call by this number; None when it is not known, or several are called so."""
    statement = sa.select(inbox.c.record_id).where(inbox.c.entity == entity, inbox.c.number == number).distinct()
    found = store.rows(statement.limit(2))
    return found[0].record_id if len(found) == 1 else None


def verdict(store: Store, record_key: str) -> str | None:
    """State of a record's newest event that counts; None when the record is not known here."""
    statement = (
        sa.select(inbox.c.state)
        .where(inbox.c.record_key == record_key, inbox.c.state.not_in(("ignored", "superseded")))
        .order_by(inbox.c.seq.desc())
        .limit(1)
    )
    rows = store.rows(statement)
    return rows[0].state if rows else None


def counts(store: Store) -> dict[str, int]:
    """Rows by state."""
    statement = sa.select(inbox.c.state, sa.func.count()).group_by(inbox.c.state)
    with store.read() as conn:
        return {row[0]: row[1] for row in conn.execute(statement)}


def count_to_do(store: Store) -> int:
    """Pending rows that do not wait for another record."""
    with store.read() as conn:
        return conn.scalar(sa.select(sa.func.count(inbox.c.seq)).where(PENDING, NOT_WAITING)) or 0


def redrive(store: Store, record: str | None, *, now: float) -> list[str]:
    """Make set-aside events due again.

    Args:
        record: A record key ("order:10045", "order 10045") or what people call the record ("WEB-26-10045"): its
            newest event, whatever its state. None: every event that is held or dead.

    Returns:
        Record keys of what will be tried again, in order of arrival.
    """
    if record is None:
        chosen = inbox.c.state.in_(("held", "dead"))
    else:
        name = record.strip()
        entity, _, rest = name.replace(" ", ":", 1).partition(":")
        key = f"{entity.lower()}:{rest.strip().partition(' (')[0]}"
        newest = sa.select(sa.func.max(inbox.c.seq)).where(
            sa.or_(inbox.c.record_key == key, inbox.c.number == name),
            inbox.c.state.not_in(("ignored", "superseded")),
        )
        chosen = inbox.c.seq.in_(newest.group_by(inbox.c.record_key))
    fresh = {"state": "pending", "fate": None, "due": now, "waits_for": None, "attempts": 0, "claims": 0}

    def redriven(conn: Connection) -> list[str]:
        rows = conn.execute(
            sa.select(inbox.c.seq, inbox.c.record_key, inbox.c.lane_key)
            .where(chosen, inbox.c.record_id != "?")
            .order_by(inbox.c.seq)
        ).all()
        heads: dict[str, int] = {}
        for row in rows:
            conn.execute(sa.update(inbox).where(inbox.c.seq == row.seq).values(settled_at=None, **fresh))
            conn.execute(sa.update(record_table).where(record_table.c.key == row.record_key).values(settled=None))
            heads.setdefault(row.lane_key, row.seq)
        touch(conn, heads, now=now)
        return [row.record_key for row in rows]

    return store.transact(redriven)
