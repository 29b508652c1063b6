"""Whose turn a job is: it runs in one process at a time, under a lease in the store, and its last run is kept.

The lease is of the run, not of the process: who dies or is paused for longer loses it, and the job is due again.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import sqlalchemy as sa
from sqlalchemy.engine import Row

from sync.inbox import is_gone
from sync.store import Store, job
from sync.times import iso

if TYPE_CHECKING:
    from sync.jobs import Job

JOB_LEASE_S = 60.0
RENEW_S = 10.0


@dataclass(frozen=True)
class Turn:
    """One run of a job.

    Attributes:
        number: Counts the runs of this job.
    """

    name: str
    number: int
    owner: str


def enlist(store: Store, jobs: Iterable[Job]) -> None:
    """Make jobs known, with how often they are to run."""
    with store.write() as conn:
        for one in jobs:
            fresh = store.insert(job).values(name=one.name, every_s=one.every_s)
            conn.execute(fresh.on_conflict_do_update(index_elements=["name"], set_={"every_s": one.every_s}))


def due(store: Store, names: Iterable[str], *, now: float) -> dict[str, int]:
    """Jobs that nobody runs and whose time has come, with the number their next run will have."""
    with store.read() as conn:
        rows = conn.execute(sa.select(job).where(job.c.name.in_(list(names)))).all()
    return {row.name: row.runs + 1 for row in rows if _is_due(row, now)}


def take(store: Store, name: str, *, owner: str, now: float) -> Turn | None:
    """Begin a run; None when it is not due or another process was quicker."""
    with store.write() as conn:
        row = conn.execute(sa.select(job).where(job.c.name == name).with_for_update()).one_or_none()
        if row is None or not _is_due(row, now):
            return None
        values = {"owner": owner, "until": now + JOB_LEASE_S, "runs": row.runs + 1, "started_at": now}
        conn.execute(sa.update(job).where(job.c.name == name).values(**values))
        return Turn(name, row.runs + 1, owner)


def renew(store: Store, turn: Turn, *, now: float) -> bool:
    """Prolong the lease of a run; False when it was lost."""
    with store.write() as conn:
        return conn.execute(_mine(turn).values(until=now + JOB_LEASE_S)).rowcount == 1


def finish(store: Store, turn: Turn, *, result: Literal["ok", "failed"], now: float) -> None:
    """End a run; without effect when it was lost meanwhile."""
    with store.write() as conn:
        conn.execute(_mine(turn).values(owner=None, until=0.0, ended_at=now, result=result))


def jobs_status(store: Store, *, now: float) -> dict[str, dict[str, Any]]:
    """For the status: each job with its last run."""
    with store.read() as conn:
        rows = conn.execute(sa.select(job).order_by(job.c.name)).all()
    return {
        row.name: {
            "every_s": round(row.every_s),
            "running": row.owner is not None and not _is_free(row, now),
            "runs": row.runs,
            "last_run": iso(row.ended_at),
            "last_result": row.result,
        }
        for row in rows
    }


def _is_due(row: Row[Any], now: float) -> bool:
    return _is_free(row, now) and (row.ended_at is None or row.ended_at + row.every_s <= now)


def _is_free(row: Row[Any], now: float) -> bool:
    return row.owner is None or row.until <= now or is_gone(row.owner)


def _mine(turn: Turn) -> sa.Update:
    return sa.update(job).where(job.c.name == turn.name, job.c.owner == turn.owner, job.c.runs == turn.number)
