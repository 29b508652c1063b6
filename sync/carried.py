"""What the work on an event still has to tell the store, until the event's next commit takes it along.

The end of a write needs no commit of its own. Until it is told, the intent in front of it stands, as it does when a
process dies after an answer: whoever comes next looks what became of the write before anything is sent again. So the
ends go with whatever the event commits next, which is the intent of its next write or its outcome, and always in order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError

from sync.store import Store

T = TypeVar("T")

Piece = Callable[[Connection], Exception | None]
"""Tells the store one thing; what it returns means that nothing may be built on it, and is raised once it is told."""


class Carried:
    """The pieces of one event, in order; for the one thread that works on it."""

    def __init__(self) -> None:
        """Nothing to tell."""
        self._pieces: list[Piece] = []

    def __bool__(self) -> bool:
        """Whether there is something to tell."""
        return bool(self._pieces)

    def add(self, piece: Piece) -> None:
        """Tell it with the next commit."""
        self._pieces.append(piece)

    def commit(self, store: Store, work: Callable[[Connection], T]) -> T:
        """Commit what is carried, and then some work in the same transaction.

        Raises:
            Exception: What a piece returned; what is carried is committed then, the work is not done. Or what the work
                raised: nothing is committed, and what is carried waits for the next commit.
        """

        def told(conn: Connection) -> tuple[Exception | None, T | None]:
            error = None
            for piece in self._pieces:
                found = piece(conn)
                error = error or found
            return error, None if error is not None else work(conn)

        try:
            error, result = store.transact(told)
        except DBAPIError:
            # Nobody knows whether it was committed; the intents stand, and what came of them is looked up.
            self._pieces = []
            raise
        self._pieces = []
        if error is not None:
            raise error
        return result  # type: ignore[return-value]  # the work was done

    def flush(self, store: Store) -> None:
        """Commit what is carried now, if anything; raises as ``commit``."""
        if self._pieces:
            self.commit(store, lambda _: None)
