"""A copy of the store that is whole at one moment, while runners work on, and the way back.

Whatever the store is, the copy is one SQLite file of the same tables: it is checked when it is made, and can be looked
at with any tool. Sign-ins are in it, encrypted; their key is not.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from sync import audit, control
from sync.errors import InputError, StoreError
from sync.store import Store, metadata, open_store
from sync.store import lane as lane_table
from sync.times import iso

_OWN_ROWS = frozenset({"schema_version"})


@dataclass(frozen=True)
class Copied:
    """A finished copy: rows by table."""

    file: Path
    rows: dict[str, int]

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {"file": str(self.file), "rows": self.rows}


def backup(store: Store, target: Path, *, force: bool = False) -> Copied:
    """Copy a store into a file that only its owner may read.

    Args:
        force: Replace a file that is there.

    Raises:
        InputError: The file is there, or cannot be written.
        StoreError: The copy is not sound.
    """
    if target.exists() and not force:
        raise InputError(f"{target}: there is a file already; name another one or use --force")
    try:
        with tempfile.TemporaryDirectory(prefix=".mapper-backup-", dir=target.parent) as folder:
            part = Path(folder) / "copy.db"
            os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            if store.path is not None:
                _copy_file(store.path, part)
            else:
                _copy_tables(store, part)
            rows = _checked(part)
            _put(part, target, force=force)
    except FileExistsError:
        raise InputError(f"{target}: there is a file already; name another one or use --force") from None
    except OSError as error:
        raise InputError(f"{target}: cannot be written ({error.strerror or type(error).__name__})") from None
    return Copied(target, rows)


def restore(file: Path, store_url: str, *, who: str, now: float) -> Copied:
    """Fill an empty store from a copy, and leave it paused: FreshBooks may have got more since the copy was made.

    Raises:
        InputError: The file is no sound copy.
        StoreError: The store is not empty, or cannot be used.
    """
    with tempfile.TemporaryDirectory(prefix="mapper-restore-") as folder:
        copy = Path(folder) / "copy.db"
        try:
            made_at = file.stat().st_mtime
            shutil.copyfile(file, copy)
            _checked(copy)
        except FileNotFoundError:
            raise InputError(f"{file}: no such file") from None
        except (OSError, StoreError, sqlite3.DatabaseError):
            raise InputError(f"{file}: is no sound copy of a store") from None
        with closing(open_store(f"sqlite:///{copy}")) as origin, closing(open_store(store_url)) as store:
            # An older copy was brought to today's tables by being opened.
            with origin.read() as source, store.write() as conn:
                filled = [table.name for table in _tables() if conn.execute(sa.select(table).limit(1)).first()]
                if filled:
                    raise StoreError(f"the store is not empty ({', '.join(sorted(filled))}): restore into an empty one")
                rows = copy_rows(source, conn)
                conn.execute(sa.update(lane_table).values(owner=None, until=0.0, seq=None))
                if not store.is_sqlite:
                    _set_sequences(conn)
                audit.add_in(conn, who=who, what="restore", detail=f"a copy of {iso(made_at)}", now=now)
            control.pause(store, who=who, reason=f"restored from a copy of {iso(made_at)}; look, then resume", now=now)
    return Copied(file, rows)


def copy_rows(source: Connection, target: Connection) -> dict[str, int]:
    """Copy every row of every table that both have; rows by table."""
    there = set(sa.inspect(source).get_table_names())  # a store that is only read may lack the newest tables
    counts = {}
    for table in _tables():
        if table.name not in there:
            continue
        counts[table.name] = 0
        rows = source.execution_options(yield_per=1000).execute(sa.select(table))
        for part in rows.mappings().partitions():
            target.execute(sa.insert(table), [dict(row) for row in part])
            counts[table.name] += len(part)
    return counts


def _tables() -> list[sa.Table]:
    return [table for table in metadata.sorted_tables if table.name not in _OWN_ROWS]


def _copy_file(origin: Path, part: Path) -> None:
    uri = f"{origin.absolute().as_uri()}?mode=ro"
    with closing(sqlite3.connect(uri, uri=True)) as source, closing(sqlite3.connect(part)) as copy:
        source.backup(copy)  # in one go: a copy in steps starts anew with every write of a runner
        copy.execute("PRAGMA journal_mode=DELETE")  # one file, nothing beside it


def _copy_tables(store: Store, part: Path) -> None:
    with closing(open_store(f"sqlite:///{part}")) as copy, _one_moment(store) as source, copy.write() as target:
        copy_rows(source, target)
    with closing(sqlite3.connect(part)) as conn:
        conn.execute("PRAGMA journal_mode=DELETE")


@contextmanager
def _one_moment(store: Store) -> Iterator[Connection]:
    """A reading transaction in which every table is of the same moment."""
    if store.is_sqlite:
        with store.read() as conn:
            yield conn
        return
    options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    with store.engine.connect().execution_options(**options) as conn, conn.begin():
        yield conn


def _checked(file: Path) -> dict[str, int]:
    """Rows by table of a sound copy."""
    with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as conn:
        answer = conn.execute("PRAGMA integrity_check").fetchall()
        if answer != [("ok",)]:
            raise StoreError(f"the copy is damaged: {len(answer)} problems; try again, and look at the disk")
        there = {row[0] for row in conn.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if "schema_version" not in there:
            raise StoreError("the file is no store of mapper-sync")
        counts = {}
        for table in _tables():
            if table.name in there:
                counts[table.name] = conn.execute(f'SELECT count(*) FROM "{table.name}"').fetchone()[0]  # noqa: S608
    return counts


def _put(part: Path, target: Path, *, force: bool) -> None:
    """Give the finished file its name; without force never over another one, however it came there meanwhile."""
    with part.open("rb") as handle:
        os.fsync(handle.fileno())
    if force:
        part.replace(target)
    else:
        os.link(part, target)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _set_sequences(conn: Connection) -> None:
    for table in _tables():
        column = table.autoincrement_column
        if column is None or not isinstance(column.type, sa.Integer):
            continue
        newest = conn.scalar(sa.select(sa.func.max(column)))
        if newest is not None:
            name = sa.func.pg_get_serial_sequence(table.name, column.name)
            conn.execute(sa.select(sa.func.setval(name, newest)))
