"""Deliveries into the inbox, many in one transaction: prepared outside of it, stored by a handful of statements.

Preparing is pure and belongs to whoever receives; storing takes as many deliveries as are waiting, so that one commit
makes all of them durable.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from connectors.scrub import scrub
from sync.envelope import (
    HANDLED_ENTITIES,
    Delivery,
    EnvelopeError,
    Filing,
    dumps,
    dumps_loaded,
    file_delivery,
    lane_of,
    parse_delivery,
    resource_of,
)
from sync.lanes import touch
from sync.outcome import Settled
from sync.reading import Reading, shipped
from sync.records import Fresh, keep
from sync.store import Store, inbox, insert_into
from sync.store import record as record_table

Result = Literal["new", "duplicate", "ignored"]

ASKED = ("poll", "backfill", "fetch")
"""Sources that were asked: what they give is whole and of now."""

_NO_RECORD_ID = json.dumps([{"id": "no-record-id", "message": 'the event names no record: "data.id" is missing'}])
_SLOT = secrets.token_hex(12)  # stands for the record while the body around it is written; nobody can guess it


@dataclass(frozen=True)
class IngestResult:
    """Counts of one ingestion."""

    new: int = 0
    duplicate: int = 0
    ignored: int = 0

    def __add__(self, other: IngestResult) -> IngestResult:
        return IngestResult(self.new + other.new, self.duplicate + other.duplicate, self.ignored + other.ignored)


@dataclass(frozen=True)
class Prepared:
    """A delivery that is ready to be stored: scrubbed, filed and written out as text."""

    filing: Filing
    body: str
    raw_sha256: str
    source: str
    snapshot: Fresh | None

    @property
    def state(self) -> str:
        """Of its inbox row."""
        if not self.filing.handled:
            return "ignored"
        return "dead" if self.filing.record_id == "?" else "pending"


def prepare(item: Delivery | Mapping[str, Any], reading: Reading | None = None, *, source: str) -> Prepared:
    """Scrub, file and write out one delivery, or a bare envelope made by ourselves (with our member names).

    Raises:
        EnvelopeError: It is nested too deeply.
    """
    reading = reading or shipped()
    asked = source in ASKED
    if not isinstance(item, Delivery):
        item = parse_delivery(dumps(item).encode())
    try:
        body = scrub(item.envelope)
        filing = file_delivery(Delivery(body, item.raw_sha256), reading)
        if asked:  # A15 is about what the source sends by itself
            filing = replace(filing, handled=filing.entity in HANDLED_ENTITIES)
        # A8, A16: what was asked for is whole and of now; what was sent may be neither.
        whole = reading.snapshots or asked
        callback = filing.entity.startswith("freshbooks-")  # what it carries is its form, and no record
        resource = resource_of(body) if whole and not callback else None
        data = body.get("data")
        if resource is not None:
            body = {**body, "data": {**data, "resource": _SLOT}}
        elif not whole and isinstance(data, Mapping):
            body = {**body, "data": {name: value for name, value in data.items() if name != "resource"}}
        text = dumps_loaded(body)
        snapshot = None
        if resource is not None:
            written = dumps_loaded(resource)
            text = text.replace(f'"{_SLOT}"', written, 1)
            lane_key = lane_of(filing.entity, filing.record_key, resource, reading)
            snapshot = Fresh(filing.entity, filing.record_id, filing.version, lane_key, written, len(resource))
    except RecursionError:
        raise EnvelopeError("not usable: nested too deeply") from None
    return Prepared(filing, text, item.raw_sha256, source, snapshot)


def store_all(
    store: Store, deliveries: Iterable[Prepared], *, now: float, settled_by: Mapping[str, str] | None = None
) -> list[Result]:
    """Store deliveries, all or none, each once; committed when this returns. What became of each, in order.

    Args:
        settled_by: Of what was asked for, snapshots that these specs (fingerprint by entity) have done already count
            as duplicates and are not stored.
    """
    wanted = list(deliveries)
    return store.transact(lambda conn: store_in(conn, wanted, now=now, settled_by=settled_by or {}))


def store_in(
    conn: Connection, deliveries: Sequence[Prepared], *, now: float, settled_by: Mapping[str, str]
) -> list[Result]:
    """As ``store_all``, inside the caller's transaction."""
    # Of two deliveries of one id the first counts, as it would alone.
    first: dict[str, Prepared] = {}
    for one in _unsettled(conn, deliveries, settled_by):
        first.setdefault(one.filing.delivery_id, one)
    if not first:
        return ["duplicate"] * len(deliveries)
    lanes = _lanes(conn, list(first.values()))
    added = _insert(conn, first, lanes, now=now)
    due = [one for delivery_id, one in first.items() if delivery_id in added and one.state == "pending"]
    heads: dict[str, int] = {}
    for one in due:
        heads.setdefault(lanes[one.filing.delivery_id], added[one.filing.delivery_id])
    touch(conn, heads, now=now)
    keep(conn, (one.snapshot for one in due if one.snapshot is not None), now=now)
    told: list[Result] = []
    for one in deliveries:
        delivery_id = one.filing.delivery_id
        if delivery_id not in added or first.get(delivery_id) is not one:
            told.append("duplicate")
        else:
            told.append("ignored" if one.state == "ignored" else "new")
    return told


@cache
def _adding(dialect: str) -> sa.Executable:
    """Building a statement takes as long as sending it, so it is built once."""
    added = insert_into(inbox, dialect).on_conflict_do_nothing(index_elements=["delivery_id"])
    return added.returning(inbox.c.delivery_id, inbox.c.seq)


def _insert(conn: Connection, first: Mapping[str, Prepared], lanes: Mapping[str, str], *, now: float) -> dict[str, int]:
    """Insert what is new; its place in the inbox by delivery id."""
    rows = [
        {
            "source": one.source,
            "delivery_id": delivery_id,
            "event": one.filing.event,
            "entity": one.filing.entity,
            "record_id": one.filing.record_id,
            "record_key": one.filing.record_key,
            "number": one.filing.number,
            "lane_key": lanes[delivery_id],
            "body": one.body,
            "raw_sha256": one.raw_sha256,
            "version": one.filing.version,
            "received_at": now,
            "state": one.state,
            "fate": "dead" if one.state == "dead" else None,
            "reasons": _NO_RECORD_ID if one.state == "dead" else "[]",
            "attempts": 0,
            "claims": 0,
            "due": now,
        }
        for delivery_id, one in first.items()
    ]
    return {row.delivery_id: row.seq for row in conn.execute(_adding(conn.dialect.name), rows)}


def _unsettled(conn: Connection, deliveries: Sequence[Prepared], settled_by: Mapping[str, str]) -> Sequence[Prepared]:
    """Without what was asked for and has been done already, by the mapping of today, just as it is."""
    marks: dict[str, str] = {}
    for one in deliveries:
        fingerprint = settled_by.get(one.filing.entity)
        if fingerprint is not None and one.snapshot is not None and one.source in ASKED:
            marks[one.filing.record_key] = str(Settled(one.snapshot.sha256, fingerprint))
    if not marks:
        return deliveries
    columns = (record_table.c.key, record_table.c.settled)
    rows = conn.execute(sa.select(*columns).where(record_table.c.key.in_(sorted(marks))))
    done = {row.key for row in rows if row.settled == marks[row.key]}
    return [one for one in deliveries if one.filing.record_key not in done or one.source not in ASKED]


def _lanes(conn: Connection, deliveries: Sequence[Prepared]) -> dict[str, str]:
    """The lane of each delivery by its id.

    It is where its record still has work, so that no two workers have that in hand; else its order's; else its own.
    """
    named = sorted({one.filing.record_key for one in deliveries if one.filing.record_id != "?"})
    at_work: dict[str, str] = {row.record_key: row.lane_key for row in conn.execute(at_work_of(named))}
    orders = {one.filing.order_key for one in deliveries if one.filing.order_key}
    known = lanes_of_records(conn, orders) if orders else {}
    found: dict[str, str] = {}
    for one in deliveries:
        filing = one.filing
        lane_key = at_work.get(filing.record_key) or known.get(filing.order_key or "") or filing.lane_key
        found[filing.delivery_id] = lane_key
        if one.state == "pending":
            at_work[filing.record_key] = lane_key
        if filing.record_key in orders:  # an order that comes together with its payments
            known.setdefault(filing.record_key, lane_key)
    return found


def at_work_of(record_keys: Sequence[str]) -> sa.Select[Any]:
    """The lanes where records have work to be done, the newest event last."""
    # Not by the index of states, which holds all that is pending.
    pending = inbox.c.state.concat("") == "pending"
    return (
        sa.select(inbox.c.record_key, inbox.c.lane_key)
        .where(inbox.c.record_key.in_(record_keys), pending)
        .order_by(inbox.c.seq)
    )


def lanes_of_records(conn: Connection, keys: Iterable[str]) -> dict[str, str]:
    """The lanes of records that are known, by record key: of the newest snapshot, else of the newest event."""
    wanted = sorted(set(keys))
    columns = (record_table.c.key, record_table.c.lane_key)
    rows = conn.execute(sa.select(*columns).where(record_table.c.key.in_(wanted)))
    found: dict[str, str] = {row.key: row.lane_key for row in rows}
    left = [key for key in wanted if key not in found]
    if left:
        columns = (inbox.c.record_key, inbox.c.lane_key)
        events = sa.select(*columns).where(inbox.c.record_key.in_(left)).order_by(inbox.c.seq)
        found.update({row.record_key: row.lane_key for row in conn.execute(events)})
    return found
