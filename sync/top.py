"""What the runners do right now, for a terminal that is looked at every few seconds."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import sqlalchemy as sa

from sync import control, inbox, records
from sync.alerts import alerts
from sync.mends import mend_of
from sync.store import Store
from sync.store import inbox as inbox_table
from sync.store import lane as lane_table
from sync.times import iso, span

_SHOWN_LANES: Final = 10
_CLEAR: Final = "\x1b[H\x1b[J"
_STATES: Final = ("pending", "done", "held", "dead", "skipped")


def look(store: Store, *, now: float) -> dict[str, Any]:
    """The state of the work; JSON-ready. Asks only what has an index, so it may be asked often."""
    with store.read() as conn:
        counts = {
            row[0]: row[1]
            for row in conn.execute(sa.select(inbox_table.c.state, sa.func.count()).group_by(inbox_table.c.state))
        }
        settled = {
            minutes: conn.scalar(sa.select(sa.func.count()).where(inbox_table.c.settled_at > now - minutes * 60)) or 0
            for minutes in (1, 15, 60)
        }
        first = sa.func.substr(inbox_table.c.reasons, 1, 80)
        causes = conn.execute(
            sa.select(inbox_table.c.state, first, sa.func.count())
            .where(inbox_table.c.state.in_(("held", "dead")))
            .group_by(inbox_table.c.state, first)
        ).all()
        working = conn.execute(
            sa.select(lane_table.c.key, lane_table.c.owner, lane_table.c.until, inbox_table.c.record_key)
            .join(inbox_table, inbox_table.c.seq == lane_table.c.seq)
            .where(lane_table.c.owner.is_not(None), lane_table.c.until > now)
            .order_by(lane_table.c.key)
        ).all()
    due = inbox.next_due_at(store, now=now, waiting=False)
    held: dict[str, int] = {}
    for _, text, count in causes:
        reason = text.removeprefix('[{"id": "').partition('"')[0] or "unknown"
        held[reason] = held.get(reason, 0) + count
    pause = control.paused(store)
    return {
        "at": iso(now),
        "paused": None if pause is None else pause.as_dict(),
        "inbox": {state: counts.get(state, 0) for state in _STATES},
        "settled": {"last minute": settled[1], "last 15 minutes": settled[15], "last hour": settled[60]},
        "lag_s": 0 if due is None else max(0, int(now - due)),
        "working": [{"lane": row.key, "record": row.record_key, "worker": _worker(row.owner)} for row in working],
        "set_aside": [
            {"reason_id": reason, "count": count, "mend": mend_of(reason)}
            for reason, count in sorted(held.items(), key=lambda item: (-item[1], item[0]))
        ],
        "connections": {
            name: {"state": known.state, "reason": known.reason} for name, known in records.connections(store).items()
        },
        "alerts": [alert.as_dict() for alert in alerts(store)],
    }


def _worker(owner: str) -> str:
    host, _, rest = owner.partition("|")
    return f"{host}:{rest.partition('|')[0]}"


def text_of(found: Mapping[str, Any], *, width: int = 100, height: int = 40) -> str:
    """The state as lines that fit a terminal; what does not fit is counted."""
    inbox_counts = ", ".join(f"{count} {state}" for state, count in found["inbox"].items())
    settled = ", ".join(f"{count} in the {when}" for when, count in found["settled"].items())
    lines = [f"mapper-sync  {found['at']}"]
    if found["paused"]:
        reason = found["paused"]["reason"] or "no reason given"
        lines.append(f"PAUSED by {found['paused']['by']} since {found['paused']['since']}: {reason}")
    lines += [
        f"Inbox     {inbox_counts}",
        f"Settled   {settled}",
        f"Lag       {span(found['lag_s'])}",
        *(f"{name:<9} {known['state']} {known['reason'] or ''}" for name, known in found["connections"].items()),
    ]
    working = found["working"]
    lines.append(f"Working   {len(working)} lanes")
    lines += [f"  {row['worker']}  {row['record']}" for row in working[:_SHOWN_LANES]]
    if found["set_aside"]:
        lines.append("Set aside")
        lines += [f"  {row['count']:>6}  {row['reason_id']}: {row['mend']}" for row in found["set_aside"]]
    if found["alerts"]:
        lines.append("Alerts")
        lines += [f"  {row['since']}  {row['text']}" for row in found["alerts"]]
    shown = [line.rstrip()[:width] for line in lines]
    if len(shown) > height:
        shown = [*shown[: height - 1], f"... {len(shown) - height + 1} more lines"]
    return "\n".join(shown)


def watch(
    store: Store,
    *,
    every_s: float,
    show: Callable[[str], None],
    size: Callable[[], tuple[int, int]],
    wait: Callable[[float], bool],
    now: Callable[[], float] = time.time,
) -> None:
    """Draw the state again and again.

    Args:
        size: Columns and lines of the terminal.
        wait: Sleeps so many seconds; True ends the watching.
    """
    while True:
        width, height = size()
        show(_CLEAR + text_of(look(store, now=now()), width=width, height=height - 1))
        if wait(every_s):
            return
