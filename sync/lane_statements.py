"""The statements of `sync.lanes`. Built once: making a statement costs more than running it."""

from __future__ import annotations

import sqlalchemy as sa

from sync.prepared import Prepared
from sync.store import NOT_WAITING, PENDING, WAITING, inbox, insert_into, lane
from sync.store import record as record_table

_LANE, _NOW = sa.bindparam("lane_key", type_=sa.Text), sa.bindparam("now", type_=sa.Double)
_DUE = (
    sa.select(lane.c.key, lane.c.fence, lane.c.seq)
    .where(lane.c.due <= _NOW)
    .order_by(lane.c.due, lane.c.head)
    .limit(1)
    .with_for_update(skip_locked=True)
)
DUE_LANE = Prepared(_DUE)
THIS_LANE = Prepared(_DUE.where(lane.c.key == _LANE))
READY = Prepared(
    sa.select(inbox).where(inbox.c.lane_key == _LANE, PENDING, NOT_WAITING).order_by(inbox.c.seq).limit(1),
    by=("inbox", "inbox_ready"),
)
WAITING_EVENT = Prepared(
    sa.select(inbox).where(inbox.c.lane_key == _LANE, PENDING, WAITING).order_by(inbox.c.due, inbox.c.seq).limit(1),
    by=("inbox", "inbox_waiting"),
)
WAITING_BEFORE = Prepared(
    sa.select(inbox)
    .where(inbox.c.lane_key == _LANE, PENDING, WAITING, inbox.c.seq < sa.bindparam("before"))
    .order_by(inbox.c.due, inbox.c.seq)
    .limit(1),
    by=("inbox", "inbox_waiting"),
)
_SET_LANE = sa.update(lane).where(lane.c.key == _LANE)
_OWN_LANE = sa.update(lane).where(
    lane.c.key == _LANE,
    lane.c.owner == sa.bindparam("own_owner"),
    lane.c.fence == sa.bindparam("own_fence"),
    lane.c.seq == sa.bindparam("own_seq"),
)
RENEW = Prepared(_OWN_LANE.values(until=sa.bindparam("to"), due=sa.bindparam("to")))
GIVE_BACK = Prepared(_OWN_LANE.values(owner=None, until=0.0, seq=None))
TAKE = Prepared(
    _SET_LANE.values(
        owner=sa.bindparam("by"),
        until=sa.bindparam("to"),
        due=sa.bindparam("to"),
        fence=sa.bindparam("with_fence"),
        seq=sa.bindparam("event_seq"),
        head=sa.bindparam("event_seq"),
    )
)
IDLE = Prepared(
    _SET_LANE.values(owner=None, until=0.0, seq=None, due=sa.bindparam("next_due"), head=sa.bindparam("next_head"))
)
COUNT_CLAIM = Prepared(
    sa.update(inbox)
    .where(inbox.c.seq == sa.bindparam("event_seq"), PENDING)
    .values(claims=inbox.c.claims + 1)
    .returning(inbox.c.claims, inbox.c.record_key)
)
_IN_HAND = (
    sa.select(lane.c.key)
    .where(lane.c.key == inbox.c.lane_key, lane.c.seq == inbox.c.seq, lane.c.owner.is_not(None))
    .correlate(inbox)
)
_WAITERS = sa.select(inbox.c.seq, inbox.c.lane_key).where(
    inbox.c.waits_for == sa.bindparam("waited_for"),
    # Whoever has it in hand sees at its end that this one was settled meanwhile.
    ~_IN_HAND.exists(),
)
WOKEN = Prepared(_WAITERS.where(PENDING), by=("inbox", "inbox_waits_for"))
WOKEN_AND_HELD = Prepared(
    _WAITERS.where(sa.or_(PENDING, inbox.c.state == sa.literal_column("'held'"))), by=("inbox", "inbox_waits_for")
)
LANE_OF_RECORD = Prepared(sa.select(record_table.c.lane_key).where(record_table.c.key == sa.bindparam("record")))
LANE_OF_EVENT = Prepared(
    sa.select(inbox.c.lane_key)
    .where(inbox.c.record_key == sa.bindparam("record"))
    .order_by(inbox.c.seq.desc())
    .limit(1)
)
SETTLE = Prepared(
    sa.update(inbox)
    # One that was moved to another lane meanwhile is due there, and its outcome is told from there.
    .where(inbox.c.seq == sa.bindparam("event_seq"), inbox.c.lane_key == sa.bindparam("from_lane"), PENDING)
    .values(
        state=sa.bindparam("to_state"),
        fate=sa.bindparam("to_fate"),
        reasons=sa.bindparam("with_reasons"),
        attempts=sa.case((inbox.c.fate == sa.bindparam("to_fate"), inbox.c.attempts + 1), else_=1),
        claims=0,
        due=sa.bindparam("to_due"),
        waits_for=sa.bindparam("to_wait_for"),
        settled_at=sa.bindparam("at"),
    )
)
SETTLE_RECORD = Prepared(
    sa.update(record_table)
    .where(record_table.c.key == sa.bindparam("record"), record_table.c.sha256 == sa.bindparam("snapshot"))
    .values(settled=sa.bindparam("by"))
)
LOCK_RECORD = Prepared(sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtextextended(sa.bindparam("record"), 0))))
SUPERSEDE = Prepared(
    sa.update(inbox)
    .where(
        inbox.c.record_key == sa.bindparam("record"),
        inbox.c.seq < sa.bindparam("event_seq"),
        # Not by the index of states: a customer's ten thousand held events are nobody else's business.
        sa.or_(inbox.c.state.concat("") == "held", inbox.c.state.concat("") == "dead"),
        inbox.c.record_id != "?",
    )
    .values(state="superseded")
)


def _touching(dialect: str) -> sa.Insert:
    values: dict[str, sa.BindParameter[object]] = {
        "key": sa.bindparam("key"),
        "due": sa.bindparam("due"),
        "head": sa.bindparam("head"),
    }
    fresh = insert_into(lane, dialect).values(until=0.0, fence=0, **values)
    earlier = sa.and_(lane.c.owner.is_(None), sa.or_(lane.c.due.is_(None), lane.c.due > fresh.excluded.due))
    return fresh.on_conflict_do_update(
        index_elements=["key"],
        set_={
            "due": sa.case((earlier, fresh.excluded.due), else_=lane.c.due),
            "head": sa.case((earlier, fresh.excluded.head), else_=lane.c.head),
        },
    )


TOUCH = Prepared(_touching)
