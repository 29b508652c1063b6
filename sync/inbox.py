"""The inbox: what a 202 promised. Deliveries in, once each; events out, in order within a lane.

A lane is a customer; one worker at a time holds it, with a lease. Order comes from ``seq`` alone. What waits for
another record, is held or dead blocks nothing; what is to be retried blocks the later events of its own lane.
"""

from __future__ import annotations

import json
import os
import socket
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from connectors.scrub import scrub
from sync.envelope import (
    HANDLED_ENTITIES,
    Delivery,
    EnvelopeError,
    Filing,
    dumps,
    file_delivery,
    loads,
    parse_delivery,
    resource_of,
)
from sync.errors import InputError, LaneLostError
from sync.reading import Reading, shipped
from sync.records import remember_in
from sync.store import Store, inbox, lane
from sync.store import record as record_table

LEASE_S = 300.0
MAX_CLAIMS = 5
"""A row claimed this often without an outcome kills its runner; it is set aside."""

State = Literal["pending", "done", "skipped", "held", "dead"]


@dataclass(frozen=True)
class IngestResult:
    """Counts of one ingestion."""

    new: int = 0
    duplicate: int = 0
    ignored: int = 0

    def __add__(self, other: IngestResult) -> IngestResult:
        return IngestResult(self.new + other.new, self.duplicate + other.duplicate, self.ignored + other.ignored)


@dataclass(frozen=True)
class Event:
    """One claimed row.

    Attributes:
        type: Event type as delivered, e.g. "order.created".
        record_key: "<entity>:<id>".
        number: Order number or SKU, when the snapshot told.
        envelope: The scrubbed body.
        version: ``updatedAt`` of the snapshot as sortable UTC text.
        attempts: How often in a row the last fate (retry, waiting) was recorded; 0 for a fresh event.
        claimed_at: When it was claimed, unix seconds.
        fence: The lane's fence; it grows with every claim.
    """

    seq: int
    source: str
    delivery_id: str
    type: str
    entity: str
    record_id: str
    record_key: str
    number: str | None
    lane_key: str
    envelope: dict[str, Any]
    version: str | None
    attempts: int
    received_at: float
    claimed_at: float
    owner: str
    fence: int

    @property
    def resource(self) -> dict[str, Any] | None:
        """The snapshot that came with the event; None when it carried none."""
        return resource_of(self.envelope)


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
) -> IngestResult:
    """Store deliveries, all or none, scrubbed of card data and secrets; committed when this returns.

    Args:
        envelopes: Deliveries, or bare envelopes made by ourselves (with our member names).
        source: Where they came from: "webhook", "file", "poll", "backfill", "freshbooks".
        now: Unix seconds.
        reading: How the source's records are read; as shipped when None.
    """
    reading = reading or shipped()
    counts = {"new": 0, "duplicate": 0, "ignored": 0}
    asked = source in ("poll", "backfill", "fetch")
    prepared = [_prepare(item, reading, asked=asked) for item in envelopes]
    # A8, A16: what was asked for is whole and of now; what was sent may be neither.
    whole = reading.snapshots or asked
    with store.write() as conn:
        for filing, body, digest in prepared:
            kept = body if whole else _without_resource(body)
            counts[_ingest_one(store, conn, filing, kept, digest, source=source, now=now, reading=reading)] += 1
    return IngestResult(**counts)


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
    *,
    source: str,
    now: float,
    reading: Reading,
) -> str:
    lane_key = _lane_of_order(conn, filing.order_key) or filing.lane_key
    state, reasons = ("pending", []) if filing.handled else ("ignored", [])
    if filing.handled and filing.record_id == "?":
        reason = {"id": "no-record-id", "message": 'the event names no record: "data.id" is missing'}
        state, reasons = "dead", [reason]
    added = conn.execute(
        store.insert(inbox)
        .values(
            source=source,
            delivery_id=filing.delivery_id,
            event=filing.event,
            entity=filing.entity,
            record_id=filing.record_id,
            record_key=filing.record_key,
            number=filing.number,
            lane_key=lane_key,
            body=dumps(body),
            raw_sha256=digest,
            version=filing.version,
            received_at=now,
            state=state,
            fate="dead" if state == "dead" else None,
            reasons=json.dumps(reasons),
            due=now,
        )
        .on_conflict_do_nothing(index_elements=["delivery_id"])
        .returning(inbox.c.seq)
    ).one_or_none()
    if added is None:
        return "duplicate"
    if state != "pending":
        return "ignored" if state == "ignored" else "new"
    conn.execute(store.insert(lane).values(key=lane_key).on_conflict_do_nothing(index_elements=["key"]))
    resource = resource_of(body)
    if resource is not None:
        entity, version = filing.entity, filing.version
        remember_in(store, conn, entity, filing.record_id, resource, version, now=now, reading=reading)
    return "new"


def _lane_of_order(conn: Connection, order_key: str | None) -> str | None:
    if order_key is None:
        return None
    known = conn.scalar(sa.select(record_table.c.lane_key).where(record_table.c.key == order_key))
    if known is None:
        statement = sa.select(inbox.c.lane_key).where(inbox.c.record_key == order_key)
        known = conn.scalar(statement.order_by(inbox.c.seq.desc()).limit(1))
    return known


def new_owner() -> str:
    """A name for one worker of this process: host, process id, start of the process, and something unique."""
    return f"{socket.gethostname()}|{os.getpid()}|{_started(os.getpid())}|{uuid.uuid4().hex[:12]}"


def next_due(store: Store, *, now: float, owner: str, lease_s: float = LEASE_S) -> Event | None:
    """Claim the earliest event that is due and whose lane is free.

    The lane belongs to ``owner`` until the outcome is settled or the lease ends; after that the row is due again.
    """
    while True:
        with store.write() as conn:
            row = conn.execute(_candidate(now)).one_or_none()
            if row is None:
                return None
            # On PostgreSQL the row may have been settled between the snapshot and the lock.
            taken = conn.execute(
                sa.update(inbox)
                .where(inbox.c.seq == row.seq, inbox.c.state == "pending", inbox.c.claims == row.claims)
                .values(claims=inbox.c.claims + 1)
            )
            if taken.rowcount != 1:
                continue
            if row.claims >= MAX_CLAIMS:
                reason = {"id": "runner-died", "message": f"the runner died {row.claims} times on this event"}
                conn.execute(
                    sa.update(inbox)
                    .where(inbox.c.seq == row.seq)
                    .values(state="dead", fate="dead", reasons=json.dumps([reason]), settled_at=now)
                )
                continue
            fence = row.fence + 1
            conn.execute(
                sa.update(lane)
                .where(lane.c.key == row.lane_key)
                .values(owner=owner, until=now + lease_s, fence=fence, seq=row.seq)
            )
            return _event(row, now=now, owner=owner, fence=fence)


def _candidate(now: float) -> sa.Select[Any]:
    return (
        sa.select(inbox, lane.c.fence)
        .join(lane, lane.c.key == inbox.c.lane_key)
        .where(
            inbox.c.state == "pending",
            inbox.c.due <= now,
            sa.or_(lane.c.owner.is_(None), lane.c.until <= now),
            ~_blocked(now),
        )
        .order_by(inbox.c.seq)
        .limit(1)
        .with_for_update(of=lane, skip_locked=True)
    )


def _blocked(now: float) -> sa.Exists:
    earlier = inbox.alias("earlier")
    return sa.exists().where(
        earlier.c.lane_key == inbox.c.lane_key,
        earlier.c.seq < inbox.c.seq,
        earlier.c.state == "pending",
        earlier.c.fate == "retry",
        earlier.c.due > now,
    )


def _event(row: Row[Any], *, now: float, owner: str, fence: int) -> Event:
    return Event(
        seq=row.seq,
        source=row.source,
        delivery_id=row.delivery_id,
        type=row.event,
        entity=row.entity,
        record_id=row.record_id,
        record_key=row.record_key,
        number=row.number,
        lane_key=row.lane_key,
        envelope=loads(row.body),
        version=row.version,
        attempts=row.attempts,
        received_at=row.received_at,
        claimed_at=now,
        owner=owner,
        fence=fence,
    )


def renew(store: Store, event: Event, *, now: float, lease_s: float = LEASE_S) -> None:
    """Prolong the lease of a claimed event's lane; to be called before every write to another system.

    Raises:
        LaneLostError: Another worker has the lane.
    """
    with store.write() as conn:
        held = conn.execute(_own_lane(event).values(until=now + lease_s))
    if held.rowcount != 1:
        raise LaneLostError(f"{event.record_key}: another runner has taken over this lane")


def settle(
    store: Store,
    event: Event,
    *,
    state: State,
    fate: str,
    reasons: Sequence[Mapping[str, str]] = (),
    due: float | None = None,
    waits_for: str | None = None,
    now: float,
) -> bool:
    """Record the outcome of a claimed event and free its lane.

    A later event's verdict replaces earlier held and dead ones of the same record, since every event means "this
    record changed" and was worked on with the newest snapshot. Records that waited for a settled one become due.

    Args:
        state: ``pending`` for what is tried again, at ``due``.
        fate: The flow's word: done, skipped, held, dead, retry, waiting.
        reasons: ``{"id", "message"}`` each.
        waits_for: Record key this one waits for; pending or held, it is due at once when that one is done.

    Returns:
        False when another worker has taken the lane meanwhile; nothing was recorded then.
    """
    with store.write() as conn:
        if conn.execute(_own_lane(event).values(owner=None, until=0.0, seq=None)).rowcount != 1:
            return False
        if waits_for is not None and _settled_since(conn, waits_for, event.claimed_at, done_only=state == "held"):
            state, due = "pending", now  # what it waits for was settled while this one was being worked on
        conn.execute(
            sa.update(inbox)
            .where(inbox.c.seq == event.seq)
            .values(
                state=state,
                fate=fate,
                reasons=json.dumps([dict(reason) for reason in reasons]),
                attempts=sa.case((inbox.c.fate == fate, inbox.c.attempts + 1), else_=1),
                claims=0,
                due=now if due is None else due,
                waits_for=waits_for,
                settled_at=None if state == "pending" else now,
            )
        )
        if state in ("done", "held", "dead"):
            conn.execute(
                sa.update(inbox)
                .where(
                    inbox.c.record_key == event.record_key,
                    inbox.c.seq < event.seq,
                    inbox.c.state.in_(("held", "dead")),
                    inbox.c.record_id != "?",
                )
                .values(state="superseded")
            )
        if state != "pending":
            _wake(store, conn, event.record_key, now=now, also_held=state == "done")
    return True


def release(store: Store, event: Event) -> None:
    """Give a claimed event back as it was: nothing about it was decided."""
    with store.write() as conn:
        if conn.execute(_own_lane(event).values(owner=None, until=0.0, seq=None)).rowcount == 1:
            conn.execute(sa.update(inbox).where(inbox.c.seq == event.seq).values(claims=0))


def wake(store: Store, record_key: str, *, now: float) -> int:
    """Make everything that waits for a record due at once; the number of rows."""
    with store.write() as conn:
        return _wake(store, conn, record_key, now=now)


def _wake(store: Store, conn: Connection, record_key: str, *, now: float, also_held: bool = True) -> int:
    states = ("pending", "held") if also_held else ("pending",)
    waiting = sa.and_(inbox.c.state.in_(states), inbox.c.waits_for == record_key)
    lane_key = _lane_of_order(conn, record_key)
    values: dict[str, Any] = {"due": now, "state": "pending", "settled_at": None}
    if lane_key is not None:
        conn.execute(store.insert(lane).values(key=lane_key).on_conflict_do_nothing(index_elements=["key"]))
        values["lane_key"] = lane_key
    return conn.execute(sa.update(inbox).where(waiting).values(**values)).rowcount


def record_id_of(store: Store, entity: str, number: str) -> str | None:
    """Id of the record that people call by this number; None when it is not known, or several are called so."""
    statement = sa.select(inbox.c.record_id).where(inbox.c.entity == entity, inbox.c.number == number).distinct()
    with store.read() as conn:
        found = conn.scalars(statement.limit(2)).all()
    return found[0] if len(found) == 1 else None


def verdict(store: Store, record_key: str) -> str | None:
    """State of a record's newest event that counts; None when the record is not known here."""
    statement = (
        sa.select(inbox.c.state)
        .where(inbox.c.record_key == record_key, inbox.c.state.not_in(("ignored", "superseded")))
        .order_by(inbox.c.seq.desc())
        .limit(1)
    )
    with store.read() as conn:
        found: str | None = conn.scalar(statement)
    return found


def _settled_since(conn: Connection, record_key: str, since: float, *, done_only: bool) -> bool:
    statement = sa.select(inbox.c.seq).where(
        inbox.c.record_key == record_key,
        inbox.c.state.in_(("done",) if done_only else ("done", "skipped", "held", "dead")),
        inbox.c.settled_at >= since,
    )
    return conn.execute(statement.limit(1)).first() is not None


def _own_lane(event: Event) -> sa.Update:
    return sa.update(lane).where(lane.c.owner == event.owner, lane.c.fence == event.fence, lane.c.seq == event.seq)


def next_due_at(store: Store, *, now: float, waiting: bool) -> float | None:
    """When the next row can be claimed, unix seconds; None when nothing is left to do.

    Args:
        waiting: Count rows that wait for another record; otherwise only what is retried or was never tried.
    """
    ready = sa.case((sa.and_(lane.c.owner.is_not(None), lane.c.until > inbox.c.due), lane.c.until), else_=inbox.c.due)
    statement = (
        sa.select(sa.func.min(ready))
        .select_from(inbox.join(lane, lane.c.key == inbox.c.lane_key))
        .where(inbox.c.state == "pending", ~_blocked(now))
    )
    if not waiting:
        statement = statement.where(sa.or_(inbox.c.fate.is_(None), inbox.c.fate != "waiting"))
    with store.read() as conn:
        found: float | None = conn.scalar(statement)
    return found


def counts(store: Store) -> dict[str, int]:
    """Rows by state."""
    statement = sa.select(inbox.c.state, sa.func.count()).group_by(inbox.c.state)
    with store.read() as conn:
        return {row[0]: row[1] for row in conn.execute(statement)}


def count_to_do(store: Store) -> int:
    """Pending rows that do not wait for another record."""
    to_do = sa.or_(inbox.c.fate.is_(None), inbox.c.fate != "waiting")
    with store.read() as conn:
        return conn.scalar(sa.select(sa.func.count(inbox.c.seq)).where(inbox.c.state == "pending", to_do)) or 0


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
    with store.write() as conn:
        rows = conn.execute(
            sa.select(inbox.c.seq, inbox.c.record_key, inbox.c.lane_key)
            .where(chosen, inbox.c.record_id != "?")
            .order_by(inbox.c.seq)
        ).all()
        for row in rows:
            conn.execute(sa.update(inbox).where(inbox.c.seq == row.seq).values(settled_at=None, **fresh))
            lane_row = store.insert(lane).values(key=row.lane_key)
            conn.execute(lane_row.on_conflict_do_nothing(index_elements=["key"]))
    return [row.record_key for row in rows]


def release_dead(store: Store) -> int:
    """Free the lanes of workers on this machine whose process is gone; the number of lanes.

    Workers elsewhere are only known by their lease.
    """
    with store.write() as conn:
        owners = conn.scalars(sa.select(lane.c.owner).where(lane.c.owner.is_not(None)).distinct()).all()
        gone = [owner for owner in owners if owner is not None and _is_gone(owner)]
        if not gone:
            return 0
        freed = sa.update(lane).where(lane.c.owner.in_(gone)).values(owner=None, until=0.0, seq=None)
        return conn.execute(freed).rowcount


def _is_gone(owner: str) -> bool:
    host, _, rest = owner.partition("|")
    pid, _, rest = rest.partition("|")
    started = rest.partition("|")[0]
    if host != socket.gethostname() or not pid.isdigit():
        return False
    if started != _started(int(pid)):
        return True  # no such process, or its number was given to another one
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False


def _started(pid: int) -> str:
    """Start of a process in clock ticks since boot; "gone" without one, "-" where the system does not say."""
    if not Path("/proc/self/stat").exists():
        return "-"
    try:
        # The second member is the command in parentheses, which may hold blanks.
        return Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return "gone"
