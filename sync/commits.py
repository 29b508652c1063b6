"""Short transactions of many threads: connections kept by thread, and on SQLite one commit for what came together.

A commit on SQLite waits for the disk, and only one can be under way. What other threads want to commit meanwhile is
run as one transaction next, each piece of it undone alone when it fails. Nobody goes on before the commit that holds
its own piece is durable.
"""

from __future__ import annotations

import sqlite3
import threading
import weakref
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import DBAPIError

T = TypeVar("T")
_MOST = 64


class KeptConnections:
    """One connection a thread, for reading or for writing; given back when the thread or the store ends."""

    def __init__(self, engine: Engine, **options: Any) -> None:
        """Open nothing yet."""
        self._engine = engine
        self._options = options
        self._own = threading.local()
        self._all: weakref.WeakSet[Connection] = weakref.WeakSet()
        self._lock = threading.Lock()

    def driver(self) -> Any:
        """This thread's, as the driver knows it."""
        conn: Connection | None = getattr(self._own, "conn", None)
        if conn is None or conn.closed or conn.invalidated:
            self.get()
        return self._own.driver

    def get(self) -> Connection:
        """This thread's."""
        conn: Connection | None = getattr(self._own, "conn", None)
        if conn is None or conn.closed or conn.invalidated:
            conn = self._engine.connect().execution_options(**self._options)
            self._own.conn, self._own.driver = conn, conn.connection.driver_connection
            with self._lock:
                self._all.add(conn)
        return conn

    def drop(self) -> None:
        """Forget this thread's, which is broken."""
        conn: Connection | None = getattr(self._own, "conn", None)
        self._own.conn = None
        if conn is not None:
            conn.close()

    def close(self) -> None:
        """Give all of them back."""
        with self._lock:
            for conn in list(self._all):
                conn.close()


class _Piece(Generic[T]):
    """What one thread wants to have committed."""

    def __init__(self, work: Callable[[Connection], T]) -> None:
        self.work = work
        self.done = False
        self.result: T | None = None
        self.error: BaseException | None = None

    def run(self, conn: Connection, *, alone: bool) -> None:
        driver: Any = conn.connection.driver_connection
        try:
            if alone:
                self.result = self.work(conn)
                return
            driver.execute("SAVEPOINT piece")
            try:
                self.result = self.work(conn)
            except Exception:
                if driver.in_transaction:
                    driver.execute("ROLLBACK TO piece")
                raise
            finally:
                if driver.in_transaction:
                    driver.execute("RELEASE piece")
        except Exception as error:
            self.error = error
            if not driver.in_transaction:  # SQLite has undone all of it, as for a full disk
                raise


class GroupCommit:
    """Runs pieces of work in order, those that wait together in one transaction."""

    def __init__(self, connections: KeptConnections, turn: threading.Lock) -> None:
        """Share the turn with whoever else writes."""
        self._connections = connections
        self._turn = turn
        self._waiting: list[_Piece[Any]] = []
        self._lock = threading.Lock()

    def run(self, work: Callable[[Connection], T]) -> T:
        """The result of one piece, once it is committed; what it raises undoes it alone."""
        piece: _Piece[T] = _Piece(work)
        with self._lock:
            self._waiting.append(piece)
        with self._turn:
            if not piece.done:
                with self._lock:
                    batch, self._waiting = self._waiting[:_MOST], self._waiting[_MOST:]
                self._commit(batch)
        if piece.error is not None:
            raise piece.error
        return piece.result  # type: ignore[return-value]  # set when there was no error

    def _commit(self, batch: list[_Piece[Any]]) -> None:
        try:
            _transact_on_sqlite(self._connections, lambda conn: _run_all(batch, conn))
        except BaseException as error:
            for piece in batch:
                piece.error = error if isinstance(error, Exception) else RuntimeError("the process is ending")
            if not isinstance(error, Exception):
                raise
        finally:
            for piece in batch:
                piece.done = True


def _run_all(batch: list[_Piece[Any]], conn: Connection) -> None:
    for piece in batch:
        piece.error = None
        piece.run(conn, alone=len(batch) == 1)
    if len(batch) == 1 and batch[0].error is not None:
        raise batch[0].error


def _transact_on_sqlite(connections: KeptConnections, work: Callable[[Connection], T]) -> T:
    """As ``transact``, with SQLAlchemy's own bookkeeping only where the work asks for it; it begins nothing itself."""
    conn, driver = connections.get(), connections.driver()
    try:
        driver.execute("BEGIN IMMEDIATE")
    except sqlite3.Error as error:
        raise _told(conn, "BEGIN IMMEDIATE", error) from error
    try:
        result = work(conn)
    except BaseException:
        if conn.in_transaction():
            conn.rollback()
        driver.rollback()
        raise
    try:
        if conn.in_transaction():
            conn.commit()
        else:
            conn.dialect.do_commit(conn.connection)
    except sqlite3.Error as error:
        connections.drop()
        raise _told(conn, "COMMIT", error) from error
    except BaseException:
        connections.drop()
        raise
    return result


def _told(conn: Connection, statement: str, error: sqlite3.Error) -> Exception:
    """The error as SQLAlchemy tells it."""
    return DBAPIError.instance(statement, None, error, sqlite3.Error, hide_parameters=True, dialect=conn.dialect)


def transact(connections: KeptConnections, work: Callable[[Connection], T]) -> T:
    """Run one transaction on this thread's connection; again when that one had died before anything was committed."""
    for again in (True, False):
        conn = connections.get()
        try:
            began = conn.begin()
            result = work(conn)
        except BaseException as error:
            died = isinstance(error, DBAPIError) and error.connection_invalidated
            if died or conn.invalidated:
                connections.drop()
                if died and again:
                    continue
            else:
                conn.rollback()
            raise
        try:
            began.commit()
        except BaseException:
            connections.drop()
            raise
        return result
    raise AssertionError("not reached")
