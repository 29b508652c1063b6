"""The inbox: what a 202 promised. Deliveries in, once each; how they come out again tells `sync.lanes`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from sync.envelope import (
    Delivery,
    EnvelopeError,
    parse_delivery,
)
from sync.errors import InputError
from sync.intake import IngestResult as IngestResult
from sync.intake import prepare, store_all
from sync.lanes import (
    LEASE_S,
    MAX_CLAIMS,
    Event,
    claimable,
    is_gone,
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
from sync.reading import Reading
from sync.store import NOT_WAITING, PENDING, Store, inbox
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
        source: Where they came from: "webhook", "file", "poll", "backfill", "freshbooks".
        now: Unix seconds.
        reading: How the source's records are read; as shipped when None.
        settled_by: Of what was asked for, snapshots that these specs (fingerprint by entity) have done already count
            as duplicates and are not stored.
    """
    prepared = [prepare(item, reading, source=source) for item in envelopes]
    told = store_all(store, prepared, now=now, settled_by=settled_by)
    return IngestResult(told.count("new"), told.count("duplicate"), told.count("ignored"))


def record_id_of(store: Store, entity: str, number: str) -> str | None:
    """Id of the record that people call by this number; None when it is not known, or several are called so."""
    found = store.rows(_CALLED, {"kind": entity, "called": number})
    return found[0].record_id if len(found) == 1 else None


_CALLED = Prepared(
    sa.select(inbox.c.record_id)
    .where(inbox.c.entity == sa.bindparam("kind"), inbox.c.number == sa.bindparam("called"))
    .distinct()
    .limit(2)
)


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


def redrive(store: Store, record: str | None, *, reason: str | None = None, now: float) -> list[str]:
    """Make set-aside events due again.

    Args:
        record: A record key ("order:10045", "order 10045") or what people call the record ("WEB-26-10045"): its
            newest event, whatever its state. None: every event that is held or dead.
        reason: Without a record: only what is held or dead with this reason id in front.

    Returns:
        Record keys of what will be tried again, in order of arrival.
    """
    if record is None:
        chosen: sa.ColumnElement[bool] = inbox.c.state.in_(("held", "dead"))
        if reason is not None:
            chosen = sa.and_(chosen, inbox.c.reasons.startswith(f'[{{"id": {json.dumps(reason)},', autoescape=True))
    else:
        newest = sa.select(sa.func.max(inbox.c.seq)).where(
            called(record), inbox.c.state.not_in(("ignored", "superseded"))
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


def called(record: str) -> sa.ColumnElement[bool]:
    """Rows of what people mean by a record key ("order:10045", "order 10045") or by a number ("WEB-26-10045")."""
    name = record.strip()
    entity, _, rest = name.replace(" ", ":", 1).partition(":")
    return sa.or_(inbox.c.record_key == f"{entity.lower()}:{rest.strip().partition(' (')[0]}", inbox.c.number == name)
