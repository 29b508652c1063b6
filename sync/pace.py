"""How fast the work went: events settled by time, and how long the slowest of each moment had waited."""

from __future__ import annotations

from typing import Any, Final

import sqlalchemy as sa

from sync.store import Store
from sync.store import inbox as inbox_table
from sync.times import iso

STATES: Final = ("done", "held", "dead", "skipped")
SPANS: Final = {"15 minutes": 900, "hour": 3600, "day": 86_400, "week": 604_800}
STEPS: Final = 60


def pace(store: Store, *, now: float, span_s: float) -> dict[str, Any]:
    """Sixty steps of equal length up to now; JSON-ready. Asks by the index of settled moments only.

    Args:
        span_s: How far back, in seconds; above 0.
    """
    began, width = now - span_s, span_s / STEPS
    since = (inbox_table.c.settled_at - began) / width
    # A cast cuts off in SQLite and rounds in PostgreSQL.
    step = sa.cast(since, sa.Integer) if store.is_sqlite else sa.cast(sa.func.floor(since), sa.Integer)
    longest = sa.func.max(inbox_table.c.settled_at - inbox_table.c.received_at)
    statement = (
        sa.select(step.label("step"), inbox_table.c.state, sa.func.count(), longest)
        .where(inbox_table.c.settled_at > began, inbox_table.c.settled_at <= now, inbox_table.c.state.in_(STATES))
        .group_by(step, inbox_table.c.state)
    )
    with store.read() as conn:
        rows = conn.execute(statement).all()
        newest = conn.scalar(sa.select(sa.func.max(inbox_table.c.settled_at)))
    steps: list[dict[str, Any]] = [
        {"at": iso(began + n * width), **dict.fromkeys(STATES, 0), "wait_s": 0} for n in range(STEPS)
    ]
    for number, state, count, waited in rows:
        one = steps[min(max(int(number), 0), STEPS - 1)]
        one[state] += count
        one["wait_s"] = max(one["wait_s"], int(waited or 0))
    return {"span_s": int(span_s), "steps": steps, "last": iso(newest)}
