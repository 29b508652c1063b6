"""What a person decided is not to be posted.

The decision stays when the record changes: somebody has booked it by hand, and the next status of the order must not
double it. Only ``replay RECORD`` lifts it. A record of which something is posted already is different: the decision is
about the change at hand, and the next change is looked at afresh.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from mapspec import Reason
from sync import audit, inbox
from sync.errors import InputError
from sync.lanes import wake_in
from sync.outcome import Outcome
from sync.prepared import Prepared
from sync.store import Store
from sync.store import inbox as inbox_table
from sync.store import lane as lane_table
from sync.store import ledger as ledger_table
from sync.store import skip as skip_table

REASON: Final = "skipped-by-person"


def outcome(store: Store, record_key: str) -> Outcome | None:
    """What becomes of an event of a record that is not to be posted; None when nobody decided so."""
    rows = store.rows(_SKIP, {"wanted": record_key})
    return Outcome("skipped", (Reason(REASON, _message(rows[0].who, rows[0].reason)),)) if rows else None


_SKIP = Prepared(sa.select(skip_table).where(skip_table.c.record_key == sa.bindparam("wanted")))


def stands(store: Store, record_key: str) -> bool:
    """Whether a record is not to be posted; natural keys have no case, so neither has the question."""
    return bool(store.rows(_STANDS, {"wanted": record_key.lower()}))


_STANDS = Prepared(
    sa.select(skip_table.c.record_key).where(sa.func.lower(skip_table.c.record_key) == sa.bindparam("wanted"))
)


def skip(store: Store, record: str, *, reason: str, who: str, now: float) -> tuple[str, bool]:
    """Decide that a record is not posted.

    Args:
        record: Record key or number.
        reason: Why; for the audit and everybody who looks.

    Returns:
        The record key, and whether the decision outlives later changes of the record.

    Raises:
        InputError: No such record, several, nothing that could be skipped, a write under way, or no reason.
    """
    if not reason.strip():
        raise InputError("a skipped record needs a reason: say why with --reason")

    def decided(conn: Connection) -> tuple[str, bool]:
        key = one_called(conn, record)
        hold_lanes(conn, [key])
        _require_rest(conn, key, now=now)
        posted = conn.scalar(
            sa.select(ledger_table.c.key)
            .where(ledger_table.c.record_key == key, ledger_table.c.remote_id.is_not(None))
            .limit(1)
        )
        open_rows = sa.and_(inbox_table.c.record_key == key, inbox_table.c.state.in_(("pending", "held", "dead")))
        newest = conn.scalar(sa.select(sa.func.max(inbox_table.c.seq)).where(open_rows))
        if newest is None and posted is not None:
            raise InputError(f"{key} is posted and nothing of it is open: there is nothing to skip")
        if posted is None:
            values = {"who": who, "reason": reason.strip(), "at": now}
            statement = store.insert(skip_table).values(record_key=key, **values)
            conn.execute(statement.on_conflict_do_update(index_elements=["record_key"], set_=values))
        told = json.dumps([{"id": REASON, "message": _message(who, reason.strip())}])
        settled = {"fate": "skipped", "reasons": told, "waits_for": None, "settled_at": now}
        conn.execute(sa.update(inbox_table).where(open_rows).values(state="superseded"))
        if newest is not None:
            conn.execute(sa.update(inbox_table).where(inbox_table.c.seq == newest).values(state="skipped", **settled))
        wake_in(conn, key, now=now, also_held=False)  # what waits for it is held with it
        audit.add_in(conn, who=who, what="skip", subject=key, detail=reason.strip(), now=now)
        return key, posted is None

    return store.transact(decided)


def replay(store: Store, record: str | None, *, reason: str | None = None, who: str, now: float) -> list[str]:
    """Try set-aside records again, as `inbox.redrive`; of one record it also lifts the decision to skip it."""
    if record is not None:
        with store.write() as conn:
            keys = conn.scalars(sa.select(inbox_table.c.record_key).where(inbox.called(record)).distinct()).all()
            conn.execute(sa.delete(skip_table).where(skip_table.c.record_key.in_(keys)))
    found = inbox.redrive(store, record, reason=reason, now=now)
    if found:
        what = reason or ("everything held or dead" if record is None else found[0])
        audit.add(store, who=who, what="replay", subject=what, detail=f"{len(found)} records", now=now)
    return found


def one_called(conn: Connection, record: str, *, rather: str = "") -> str:
    """The one record that a person means.

    Args:
        rather: Of several, the one of this entity is meant: a payment is called by its order's number.

    Raises:
        InputError: None, or several.
    """
    statement = sa.select(inbox_table.c.record_key).where(inbox.called(record), inbox_table.c.record_id != "?")
    found = conn.scalars(statement.distinct().limit(5)).all()
    meant = [key for key in found if key.partition(":")[0] == rather]
    if len(found) == 1 or len(meant) == 1:
        return str((meant or found)[0])
    if found:
        raise InputError(f"{record!r} are several records: name one of {', '.join(sorted(found))}")
    raise InputError(f"no record {record!r} in the inbox; 'mapper-sync errors' lists what is set aside")


def hold_lanes(conn: Connection, keys: Sequence[str]) -> None:
    """Until the transaction ends, no worker claims an event of these records; at most a few hundred."""
    of_records = sa.select(inbox_table.c.lane_key).where(inbox_table.c.record_key.in_(keys))
    conn.execute(sa.select(lane_table.c.key).where(lane_table.c.key.in_(of_records)).with_for_update())


def _require_rest(conn: Connection, key: str, *, now: float) -> None:
    """Nothing is decided over a worker's head."""
    claimed = conn.scalar(
        sa.select(lane_table.c.key)
        .join(inbox_table, inbox_table.c.seq == lane_table.c.seq)
        .where(inbox_table.c.record_key == key, lane_table.c.owner.is_not(None), lane_table.c.until > now)
    )
    live = conn.scalar(
        sa.select(ledger_table.c.key).where(
            ledger_table.c.record_key == key, ledger_table.c.state.in_(("intent", "doubt"))
        )
    )
    if claimed is not None:
        raise InputError(f"{key} is being worked on right now; try again in a moment")
    if live is not None:
        raise InputError(f"{key}: a write has no clear answer yet; the runner looks it up first, then decide")


def _message(who: str, reason: str) -> str:
    return f"not to be posted, says {who}: {reason}"
