"""Lanes: who works on which customer's events, in which order, and for how long.

A lane is a customer; one worker at a time holds it, with a lease. Its row says from when on there is something to do
(``due``, by the event ``head``), so that a claim looks at one index and never at the events of lanes that are held,
wait or have to be tried again later. Within a lane order comes from ``seq`` alone: what waits for another record, is
held or dead blocks nothing; what is to be retried blocks the later events of its own lane.

``due`` is a hint that may be too early and is never too late: whoever makes an event of a lane due calls ``touch`` in
the same transaction, and whoever gives a lane back works it out anew while holding the lane's row.
"""

from __future__ import annotations

import json
import os
import socket
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from sync import lane_statements as sql
from sync.carried import Carried
from sync.envelope import loads, resource_of
from sync.errors import LaneLostError
from sync.outcome import Settled
from sync.store import NOT_WAITING, PENDING, Store, inbox, lane

LEASE_S: Final = 30.0
MAX_CLAIMS: Final = 5
"""An event whose workers died this often without an outcome is set aside."""

State = Literal["pending", "done", "skipped", "held", "dead"]
_WELL: Final = ("done", "skipped")
"""After which a held record that waits for this one may be settled too."""


def uptime() -> float:
    """Seconds that no clock change and, where the system tells, no sleep of the machine can hide."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


@dataclass
class Lease:
    """For how long a lane is known to be ours.

    Attributes:
        proved_at: Unix seconds of the last moment at which the store said so.
        proved_up: The same by `uptime`.
    """

    seconds: float
    proved_at: float
    proved_up: float

    def age_s(self, now: float) -> float:
        """Seconds since the proof: the longer of what both clocks say, so that neither can hide a pause."""
        return max(uptime() - self.proved_up, now - self.proved_at)


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
        carried: What its next commit tells the store besides.
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
    lease: Lease = field(compare=False, repr=False)
    carried: Carried = field(default_factory=Carried, compare=False, repr=False)

    @property
    def resource(self) -> dict[str, Any] | None:
        """The snapshot that came with the event; None when it carried none."""
        return resource_of(self.envelope)

    @property
    def holder(self) -> str:
        """Names this claim among all that ever were."""
        return f"{self.owner}#{self.fence}"


def here() -> str:
    """Names what shares our process numbers: this machine since it started, or this container."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii")[:8]
        numbers = Path("/proc/self/ns/pid").readlink().name.strip("pid:[]")
    except OSError:
        return socket.gethostname()
    return f"{socket.gethostname()}/{boot}/{numbers}"


def new_owner() -> str:
    """A name for one worker of this process: host, process id, start of the process, and something unique."""
    return f"{here()}|{os.getpid()}|{_started(os.getpid())}|{uuid.uuid4().hex[:12]}"


def next_due(
    store: Store, *, now: float, owner: str, lease_s: float = LEASE_S, lane_key: str | None = None
) -> Event | None:
    """Claim the event that has been due the longest and whose lane is free; None when there is none.

    The lane belongs to ``owner`` until the outcome is settled or the lease ends; after that the event is due again.

    Args:
        lane_key: Of this lane only.
    """
    return store.transact(lambda conn: claim_in(conn, now=now, owner=owner, lease_s=lease_s, lane_key=lane_key))


def claim_in(
    conn: Connection, *, now: float, owner: str, lease_s: float = LEASE_S, lane_key: str | None = None
) -> Event | None:
    """As ``next_due``, inside the caller's transaction; the lane is ours once that is committed."""
    proved_up = uptime()
    wanted = {"now": now} if lane_key is None else {"now": now, "lane_key": lane_key}
    claims = sql.DUE_LANE if lane_key is None else sql.THIS_LANE
    while (found := claims(conn, wanted).first()) is not None:
        if found.seq is not None:
            _count_claim(conn, found.seq, now=now)
        row, due, head = _next_of(conn, found.key, now)
        if row is None:
            sql.IDLE(conn, {"lane_key": found.key, "next_due": due, "next_head": head})
            continue
        fence = found.fence + 1
        taken = {"lane_key": found.key, "by": owner, "to": now + lease_s, "with_fence": fence, "event_seq": row.seq}
        sql.TAKE(conn, taken)
        return _event(row, now=now, owner=owner, fence=fence, lease=Lease(lease_s, now, proved_up))
    return None


def _count_claim(conn: Connection, seq: int, *, now: float) -> None:
    """A worker had this event in hand when it died; an event that does so again and again is set aside."""
    died = sql.COUNT_CLAIM(conn, {"event_seq": seq}).first()
    if died is None or died.claims < MAX_CLAIMS:
        return
    reason = {"id": "runner-died", "message": f"the runner died {died.claims} times on this event"}
    conn.execute(
        sa.update(inbox)
        .where(inbox.c.seq == seq)
        .values(state="dead", fate="dead", reasons=json.dumps([reason]), settled_at=now)
    )
    wake_in(conn, died.record_key, now=now, also_held=False)


def _next_of(conn: Connection, lane_key: str, now: float) -> tuple[Row[Any] | None, float | None, int | None]:
    """The event of a lane to work on now; and when there is one to look for again, with its number."""
    ready = sql.READY(conn, {"lane_key": lane_key}).first()
    waiting = sql.WAITING_EVENT(conn, {"lane_key": lane_key}).first()
    if waiting is not None and ready is not None and waiting.seq > ready.seq:
        # It has its turn after the other one; where that one is to be tried again later, an earlier one may go on.
        waiting = (
            None if ready.due <= now else sql.WAITING_BEFORE(conn, {"lane_key": lane_key, "before": ready.seq}).first()
        )
    for row in (waiting, ready):
        if row is not None and row.due <= now:
            return row, row.due, row.seq
    first = min((row for row in (waiting, ready) if row is not None), key=lambda row: row.due, default=None)
    return None, None if first is None else first.due, None if first is None else first.seq


def _event(row: Row[Any], *, now: float, owner: str, fence: int, lease: Lease) -> Event:
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
        lease=lease,
    )


def renew(store: Store, event: Event, *, now: float, lease_s: float | None = None) -> None:
    """Prolong the lease of a claimed event's lane, and prove that it is ours.

    Raises:
        LaneLostError: Another worker has the lane.
    """
    proved_up = uptime()
    store.transact(lambda conn: renew_in(conn, event, now=now, lease_s=lease_s))
    proved(event, now=now, up=proved_up)


def renew_in(conn: Connection, event: Event, *, now: float, lease_s: float | None = None) -> None:
    """As ``renew``, inside the caller's transaction, who calls ``proved`` once that is committed."""
    until = now + (event.lease.seconds if lease_s is None else lease_s)
    if sql.RENEW(conn, {**_own(event), "to": until}).rowcount != 1:
        raise LaneLostError(f"{event.record_key}: another runner has taken over this lane")


def proved(event: Event, *, now: float, up: float) -> None:
    """Note that the lane was ours; the times are those before the store was asked."""
    event.lease.proved_at, event.lease.proved_up = now, up


def _own(event: Event) -> dict[str, Any]:
    return {
        "lane_key": event.lane_key,
        "own_owner": event.owner,
        "own_fence": event.fence,
        "own_seq": event.seq,
    }


def settle(
    store: Store,
    event: Event,
    *,
    state: State,
    fate: str,
    reasons: Sequence[Mapping[str, str]] = (),
    due: float | None = None,
    waits_for: str | None = None,
    settled: Settled | None = None,
    now: float,
) -> bool:
    """Record the outcome of a claimed event and free its lane.

    A later event's verdict replaces earlier held and dead ones of the same record, since every event means "this
    record changed" and was worked on with the newest snapshot. Records that waited for a settled one become due.

    Args:
        state: ``pending`` for what is tried again, at ``due``.
        fate: The flow's word: done, skipped, held, dead, retry, waiting.
        reasons: ``{"id", "message"}`` each.
        waits_for: Record key this one waits for; pending or held, it is due at once when that one is done or skipped.
        settled: The snapshot that need not be worked on again by the same mapping.

    Returns:
        False when another worker has taken the lane or the event meanwhile; nothing was recorded then.
    """
    return store.transact(
        lambda conn: settle_in(
            conn,
            event,
            state=state,
            fate=fate,
            reasons=reasons,
            due=due,
            waits_for=waits_for,
            settled=settled,
            now=now,
        )
    )


def settle_in(
    conn: Connection,
    event: Event,
    *,
    state: State,
    fate: str,
    reasons: Sequence[Mapping[str, str]] = (),
    due: float | None = None,
    waits_for: str | None = None,
    settled: Settled | None = None,
    now: float,
) -> bool:
    """As ``settle``, inside the caller's transaction."""
    _alone(conn, *([event.record_key] if state != "pending" else []), *([waits_for] if waits_for else []))
    if sql.GIVE_BACK(conn, _own(event)).rowcount != 1:
        return False
    if waits_for is not None and _settled_since(conn, waits_for, event.claimed_at, well=state == "held"):
        state, due = "pending", now  # what it waits for was settled while this one was being worked on
    outcome = {
        "event_seq": event.seq,
        "from_lane": event.lane_key,
        "to_state": state,
        "to_fate": fate,
        "with_reasons": json.dumps([dict(reason) for reason in reasons]),
        "to_due": now if due is None else due,
        "to_wait_for": waits_for,
        "at": None if state == "pending" else now,
    }
    if sql.SETTLE(conn, outcome).rowcount != 1:
        _refresh(conn, event.lane_key, now)
        return False
    if settled is not None:
        known = {"record": event.record_key, "snapshot": settled.sha256, "by": str(settled)}
        sql.SETTLE_RECORD(conn, known)
    if state in ("done", "held", "dead"):
        sql.SUPERSEDE(conn, {"record": event.record_key, "event_seq": event.seq})
    if state != "pending":
        wake_in(conn, event.record_key, now=now, also_held=state in _WELL)
    _refresh(conn, event.lane_key, now)
    return True


def _alone(conn: Connection, *record_keys: str) -> None:
    """Of two transactions, one that settles a record and one that lets another wait for it, the later one sees the
    earlier one's end; on SQLite only one writes at a time anyway."""
    if conn.dialect.name != "sqlite":
        for key in sorted(record_keys):
            sql.LOCK_RECORD(conn, {"record": key})


def _refresh(conn: Connection, lane_key: str, now: float) -> None:
    _, due, head = _next_of(conn, lane_key, now)
    sql.IDLE(conn, {"lane_key": lane_key, "next_due": due, "next_head": head})


def _settled_since(conn: Connection, record_key: str, since: float, *, well: bool) -> bool:
    statement = sa.select(inbox.c.seq).where(
        inbox.c.record_key == record_key,
        inbox.c.state.in_(_WELL if well else (*_WELL, "held", "dead")),
        inbox.c.settled_at >= since,
    )
    return conn.execute(statement.limit(1)).first() is not None


def release(store: Store, event: Event) -> None:
    """Give a claimed event back as it was: nothing about it was decided."""

    def released(conn: Connection) -> None:
        if sql.GIVE_BACK(conn, _own(event)).rowcount == 1:
            conn.execute(sa.update(inbox).where(inbox.c.seq == event.seq).values(claims=0))
            _refresh(conn, event.lane_key, event.claimed_at)

    store.transact(released)


def touch(conn: Connection, heads: Mapping[str, int], *, now: float) -> None:
    """Make lanes claimable, in the transaction that made events of theirs due.

    Args:
        heads: An event of each lane.
    """
    # In one order for everybody, so that two transactions do not wait for each other.
    sql.TOUCH.each(conn, [{"key": key, "due": now, "head": heads[key]} for key in sorted(heads)])


def wake(store: Store, record_key: str, *, now: float) -> int:
    """Make everything that waits for a record due at once; the number of rows."""
    return store.transact(lambda conn: wake_in(conn, record_key, now=now))


def wake_in(conn: Connection, record_key: str, *, now: float, also_held: bool = True) -> int:
    """As ``wake``, inside the caller's transaction; what waits goes into the lane of what it waited for."""
    found = (sql.WOKEN_AND_HELD if also_held else sql.WOKEN)(conn, {"waited_for": record_key}).all()
    if not found:
        return 0
    moved_to = lane_of_record(conn, record_key)
    values: dict[str, Any] = {"due": now, "state": "pending", "settled_at": None}
    if moved_to is not None:
        values["lane_key"] = moved_to
    conn.execute(sa.update(inbox).where(inbox.c.seq.in_([row.seq for row in found])).values(**values))
    heads: dict[str, int] = {}
    for row in found:
        key = moved_to or row.lane_key
        heads[key] = min(row.seq, heads.get(key, row.seq))
    touch(conn, heads, now=now)
    return len(found)


def lane_of_record(conn: Connection, record_key: str | None) -> str | None:
    """The lane a record is known to be in."""
    if record_key is None:
        return None
    known: str | None = sql.LANE_OF_RECORD(conn, {"record": record_key}).scalar()
    return known if known is not None else sql.LANE_OF_EVENT(conn, {"record": record_key}).scalar()


def next_due_at(store: Store, *, now: float, waiting: bool) -> float | None:
    """When the next lane can be claimed, unix seconds; None when nothing is left to do.

    Args:
        waiting: Count lanes in which everything waits for another record; otherwise only those with an event that is
            retried or was never tried.
    """
    statement = sa.select(lane.c.due).where(lane.c.due.is_not(None)).order_by(lane.c.due).limit(1)
    if not waiting:
        to_do = sa.select(inbox.c.seq).where(inbox.c.lane_key == lane.c.key, PENDING, NOT_WAITING)
        statement = statement.where(to_do.exists())
    rows = store.rows(statement)
    return rows[0].due if rows else None


def claimable(store: Store, *, now: float, limit: int) -> list[str]:
    """Lanes that a worker would get now, the one that is due the longest first."""
    statement = sa.select(lane.c.key).where(lane.c.due <= now).order_by(lane.c.due, lane.c.head).limit(limit)
    return [row.key for row in store.rows(statement)]


def release_dead(store: Store) -> int:
    """Free the lanes of workers on this machine whose process is gone; the number of lanes.

    Workers elsewhere are only known by their lease.
    """
    owners = store.rows(sa.select(lane.c.owner).where(lane.c.owner.is_not(None)).distinct())
    gone = [row.owner for row in owners if is_gone(row.owner)]
    if not gone:
        return 0
    # `seq` stays: whoever claims the lane next counts that a worker died on this event.
    freed = sa.update(lane).where(lane.c.owner.in_(gone)).values(owner=None, until=0.0, due=0.0)
    with store.write() as conn:
        return conn.execute(freed).rowcount


def is_gone(owner: str) -> bool:
    host, _, rest = owner.partition("|")
    pid, _, rest = rest.partition("|")
    started = rest.partition("|")[0]
    if host != here() or not pid.isdigit():
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
