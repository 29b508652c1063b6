"""Who did what to the runner by hand, and when. Written in the transaction of the deed, and never changed."""

from __future__ import annotations

import getpass
import socket
from dataclasses import asdict, dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from sync.store import Store
from sync.store import audit as audit_table
from sync.times import iso


@dataclass(frozen=True)
class Deed:
    """One line of the audit.

    Attributes:
        what: pause, resume, replay, skip, alias, reveal, forget, backup, restore, accept-adoption, ...
        subject: Record key, reason id, alias or file; never a customer value.
        detail: Free text, such as the reason a person gave.
        at: Unix seconds.
    """

    seq: int
    at: float
    who: str
    what: str
    subject: str
    detail: str

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready, the time as text."""
        return {**asdict(self), "at": iso(self.at)}


def os_user() -> str:
    """Who works at this terminal, as user@host."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # a container's user id without a name
        user = "unknown"
    return f"{user}@{socket.gethostname()}"


def add_in(conn: Connection, *, who: str, what: str, subject: str = "", detail: str = "", now: float) -> None:
    """Write a line inside the caller's transaction, so that no deed is without its line."""
    conn.execute(sa.insert(audit_table).values(at=now, who=who, what=what, subject=subject, detail=detail))


def add(store: Store, *, who: str, what: str, subject: str = "", detail: str = "", now: float) -> None:
    """Write a line of its own."""
    with store.write() as conn:
        add_in(conn, who=who, what=what, subject=subject, detail=detail, now=now)


def deeds(store: Store, *, subject: str | None = None, limit: int = 100) -> list[Deed]:
    """The newest lines, newest first; of one subject when given."""
    statement = sa.select(audit_table).order_by(audit_table.c.seq.desc()).limit(limit)
    if subject is not None:
        statement = statement.where(audit_table.c.subject == subject)
    with store.read() as conn:
        return [Deed(**row._mapping) for row in conn.execute(statement)]
