"""Which processes work on a store: a row each, renewed every few seconds while it lives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from sync.inbox import is_gone, new_owner
from sync.store import Store, process
from sync.times import iso

BEAT_S = 5.0
SILENT_S = 20.0
"""A process that was not seen for so long counts as dead; one on this machine is known to be as soon as it is."""


@dataclass(frozen=True)
class Process:
    """One that lives: its id and how many workers it has."""

    id: str
    workers: int


class Presence:
    """This process's own row."""

    def __init__(self, store: Store, *, role: str, engine: str, workers: int, now: Callable[[], float]) -> None:
        """Choose a fresh id; nothing is written yet.

        Args:
            role: "serve" or "work".
            now: Unix seconds.
        """
        self.id = new_owner()
        self._store = store
        self._fixed = {"role": role, "engine": engine, "workers": workers}
        self._now = now
        self._beat_at: float | None = None

    def beat(self, *, wakes_sent: int = 0, wakes_heard: int = 0, at_once: bool = False) -> bool:
        """Say that this process lives, if it is time to; True when it was."""
        now = self._now()
        if not at_once and self._beat_at is not None and abs(now - self._beat_at) < BEAT_S:
            return False
        counted = {"wakes_sent": wakes_sent, "wakes_heard": wakes_heard, "seen_at": now}
        fresh = self._store.insert(process).values(id=self.id, started_at=now, **self._fixed, **counted)
        with self._store.write() as conn:
            conn.execute(fresh.on_conflict_do_update(index_elements=["id"], set_=counted))
        self._beat_at = now
        return True

    def leave(self) -> None:
        """This process ends."""
        with self._store.write() as conn:
            conn.execute(sa.delete(process).where(process.c.id == self.id))

    def others(self) -> list[Process]:
        """The other processes that live and have workers."""
        return [one for one in alive(self._store, now=self._now()) if one.id != self.id and one.workers]


def alive(store: Store, *, now: float) -> list[Process]:
    """The processes that live, longest-lived first."""
    statement = sa.select(process).where(process.c.seen_at > now - SILENT_S).order_by(process.c.started_at)
    with store.read() as conn:
        rows = conn.execute(statement).all()
    return [Process(row.id, row.workers) for row in rows if not is_gone(row.id)]


def forget_dead(store: Store, *, now: float) -> None:
    """Delete the rows of processes that ended without a word."""
    living = [one.id for one in alive(store, now=now)]
    with store.write() as conn:
        conn.execute(sa.delete(process).where(process.c.id.not_in(living)))


def processes(store: Store, *, now: float) -> list[dict[str, Any]]:
    """For the status: the processes that live."""
    living = {one.id for one in alive(store, now=now)}
    with store.read() as conn:
        rows = conn.execute(sa.select(process).order_by(process.c.started_at)).all()
    return [
        {
            "host": row.id.split("|")[0],
            "pid": int(row.id.split("|")[1]),
            "role": row.role,
            "engine": row.engine,
            "workers": row.workers,
            "wakes_sent": row.wakes_sent,
            "wakes_heard": row.wakes_heard,
            "since": iso(row.started_at),
        }
        for row in rows
        if row.id in living
    ]
