"""The kill switch: one row that every worker of every process reads before it claims and before each write.

A pause lets the write in hand finish; what was claimed is given back as it was. Webhooks are taken all the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from sync import audit
from sync.errors import SyncError
from sync.prepared import Prepared
from sync.store import Store
from sync.store import control as control_table
from sync.times import iso

PAUSE: Final = "pause"


class PausedError(SyncError):
    """Somebody has paused all writing; what is claimed is given back."""


@dataclass(frozen=True)
class Pause:
    """Who paused the runner, why ("" when nothing was said) and since when (unix seconds)."""

    who: str
    reason: str
    at: float

    @property
    def text(self) -> str:
        """For people, with the way out."""
        why = f": {self.reason}" if self.reason else ""
        return f"paused by {self.who} since {iso(self.at)}{why}; 'mapper-sync resume' goes on"

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {"by": self.who, "reason": self.reason, "since": iso(self.at)}


def paused(store: Store) -> Pause | None:
    """The pause that holds now; None when work goes on."""
    rows = store.rows(_PAUSE, {"wanted": PAUSE})
    return Pause(rows[0].who, rows[0].reason, rows[0].at) if rows else None


_PAUSE = Prepared(sa.select(control_table).where(control_table.c.name == sa.bindparam("wanted")))


def require_going(store: Store) -> None:
    """To be called before a write to another system.

    Raises:
        PausedError: Writing is paused.
    """
    found = paused(store)
    if found is not None:
        raise PausedError(found.text)


def paused_in(conn: Connection) -> PausedError | None:
    """What stops a write, or a claim, that this transaction is to commit."""
    row = _PAUSE(conn, {"wanted": PAUSE}).first()
    return None if row is None else PausedError(Pause(row.who, row.reason, row.at).text)


def pause(store: Store, *, who: str, reason: str = "", now: float) -> Pause:
    """Pause every worker on this store. A pause that holds already stays as it is and is returned."""
    values = {"who": who, "reason": reason.strip(), "at": now}
    statement = store.insert(control_table).values(name=PAUSE, **values)
    with store.write() as conn:
        fresh = statement.on_conflict_do_nothing(index_elements=["name"]).returning(control_table.c.name)
        if conn.execute(fresh).one_or_none() is not None:
            audit.add_in(conn, who=who, what="pause", detail=reason.strip(), now=now)
        row = conn.execute(sa.select(control_table).where(control_table.c.name == PAUSE)).one()
    return Pause(row.who, row.reason, row.at)


def resume(store: Store, *, who: str, now: float) -> bool:
    """Let the workers go on; False when nothing was paused."""
    with store.write() as conn:
        ended = conn.execute(sa.delete(control_table).where(control_table.c.name == PAUSE)).rowcount == 1
        if ended:
            audit.add_in(conn, who=who, what="resume", now=now)
    return ended
