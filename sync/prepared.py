"""Statements that are compiled once. SQLAlchemy's way from a statement to SQLite takes ten times as long as SQLite.

On SQLite a prepared statement goes straight to the driver, in the transaction of the connection it is given; on
PostgreSQL, where the way to the server is longer than any of that, it goes the usual way.
"""

from __future__ import annotations

import re
import sqlite3
from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError


class Found:
    """What a statement gave: its rows, and how many it changed."""

    __slots__ = ("_rows", "rowcount")

    def __init__(self, rows: Sequence[Any], rowcount: int) -> None:
        self._rows = rows
        self.rowcount = rowcount

    def all(self) -> Sequence[Any]:
        """The rows, with the columns as attributes."""
        return self._rows

    def first(self) -> Any | None:
        """The first row, if there is one."""
        return self._rows[0] if self._rows else None

    def scalar(self) -> Any | None:
        """The first column of the first row, if there is one."""
        return self._rows[0][0] if self._rows else None


class Prepared:
    """A statement with named parameters, to be called with a connection and their values."""

    def __init__(
        self, statement: sa.Executable | Callable[[str], sa.Executable], *, by: tuple[str, str] | None = None
    ) -> None:
        """Compile nothing yet.

        Args:
            statement: Or what makes it for a dialect's name.
            by: Table and index: SQLite, which knows no figures of a fresh store, has to use this one.
        """
        self._statement = statement
        self._by = by
        self._usual: dict[str, sa.Executable] = {}
        self._text = ""
        self._names: Sequence[str] = ()
        self._given: Mapping[str, Any] = {}
        self._row: Callable[..., Any] | None = None

    def of(self, dialect: str) -> sa.Executable:
        """The statement for a dialect."""
        if dialect not in self._usual:
            self._usual[dialect] = self._statement(dialect) if callable(self._statement) else self._statement
        return self._usual[dialect]

    def __call__(self, conn: Connection, values: Mapping[str, Any]) -> Found:
        """Run it; raises what SQLAlchemy raises."""
        if conn.dialect.name != "sqlite":
            result = conn.execute(self.of(conn.dialect.name), values)
            return Found(result.all() if result.returns_rows else (), result.rowcount)
        driver: Any = conn.connection.driver_connection
        return self.on_sqlite(driver, conn.dialect, values)

    def on_sqlite(self, driver: sqlite3.Connection, dialect: sa.Dialect, values: Mapping[str, Any]) -> Found:
        """Run it on SQLite's own connection; raises what SQLAlchemy raises."""
        if not self._text:
            self._compile(dialect)
        try:
            # Most statements are given all of their parameters.
            arguments = [values[name] for name in self._names]
        except KeyError:
            given = self._given
            arguments = [values[name] if name in values else given[name] for name in self._names]
        try:
            cursor = driver.execute(self._text, arguments)
            rows = cursor.fetchall()
        except sqlite3.Error as error:
            raise DBAPIError.instance(
                self._text, None, error, sqlite3.Error, hide_parameters=True, dialect=dialect
            ) from error
        if rows:
            if self._row is None:
                names = [column[0] for column in cursor.description]
                make: Any = namedtuple  # the columns are known at run time only
                self._row = make("Row", names)._make
            rows = [self._row(row) for row in rows]
        return Found(rows, cursor.rowcount)

    def each(self, conn: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        """Run it once for every row of values."""
        if conn.dialect.name == "sqlite":
            for values in rows:
                self(conn, values)
        elif rows:
            conn.execute(self.of(conn.dialect.name), rows)

    def _compile(self, dialect: sa.Dialect) -> None:
        statement: Any = self.of("sqlite")  # no IN (...): a list has no fixed text
        compiled = statement.compile(dialect=dialect)
        self._names = compiled.positiontup or ()
        self._given = compiled.params
        self._text = self.text(str(compiled))

    def text(self, compiled: str) -> str:
        """The statement's text for SQLite."""
        if self._by is None:
            return compiled
        table, index = self._by
        return re.sub(rf"FROM {table}\b", f"FROM {table} INDEXED BY {index}", compiled, count=1)
