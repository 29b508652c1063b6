"""The store: tables and connections. The same tables on SQLite (WAL, synchronous=FULL) and on PostgreSQL.

Our own tables are the truth of what was promised (inbox), what was done (ledger, attempt) and how far a source was
read (cursor). Times are unix seconds, amounts are decimal text, bodies are JSON text.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event as sa_event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, Connection, Engine, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError
from sqlalchemy.pool import StaticPool

from sync.errors import NoStoreError, StoreError

SCHEMA_VERSION = 2
CUSTOMER_VALUES = frozenset(
    {
        ("inbox", "body"),
        ("record", "payload"),
        ("attempt", "request"),
        ("attempt", "response"),
    }
)
"""The columns that may hold customer values, scrubbed of card data and secrets; the others hold ids, digests, amounts
and reasons only. A test keeps it so. A client without an id has its e-mail in its natural key (rule 12), so in
``ledger.key`` and ``attempt.key``; no message, log or screen shows such a key."""
BUSY_TIMEOUT_S = 30

metadata = sa.MetaData()
_BigInt = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

inbox = sa.Table(
    "inbox",
    metadata,
    sa.Column("seq", _BigInt, primary_key=True, autoincrement=True),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("delivery_id", sa.Text, nullable=False, unique=True),
    sa.Column("event", sa.Text, nullable=False),
    sa.Column("entity", sa.Text, nullable=False),
    sa.Column("record_id", sa.Text, nullable=False),
    sa.Column("record_key", sa.Text, nullable=False),
    sa.Column("number", sa.Text),
    sa.Column("lane_key", sa.Text, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    sa.Column("raw_sha256", sa.Text, nullable=False),
    sa.Column("version", sa.Text),
    sa.Column("received_at", sa.Double, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("fate", sa.Text),
    sa.Column("reasons", sa.Text, nullable=False, default="[]"),
    sa.Column("attempts", sa.Integer, nullable=False, default=0),
    sa.Column("claims", sa.Integer, nullable=False, default=0),
    sa.Column("due", sa.Double, nullable=False),
    sa.Column("waits_for", sa.Text),
    sa.Column("settled_at", sa.Double),
    sa.Index("inbox_state_seq", "state", "seq"),
    sa.Index("inbox_lane", "lane_key", "state", "seq"),
    sa.Index("inbox_record", "record_key", "seq"),
    sa.Index("inbox_waits_for", "waits_for"),
    sa.Index("inbox_settled", "settled_at"),
    sqlite_autoincrement=True,
)

lane = sa.Table(
    "lane",
    metadata,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("owner", sa.Text),
    sa.Column("until", sa.Double, nullable=False, default=0.0),
    sa.Column("fence", _BigInt, nullable=False, default=0),
    sa.Column("seq", _BigInt),
)

record = sa.Table(
    "record",
    metadata,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("entity", sa.Text, nullable=False),
    sa.Column("id", sa.Text, nullable=False),
    sa.Column("lane_key", sa.Text, nullable=False),
    sa.Column("version", sa.Text),
    sa.Column("payload", sa.Text, nullable=False),
    sa.Column("sha256", sa.Text, nullable=False),
    sa.Column("seen_at", sa.Double, nullable=False),
)

ledger = sa.Table(
    "ledger",
    metadata,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("entity", sa.Text, nullable=False),
    sa.Column("record_key", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("phase", sa.Text, nullable=False, default=""),
    sa.Column("remote_id", sa.Text),
    sa.Column("body_hash", sa.Text),
    sa.Column("content_hash", sa.Text),
    sa.Column("source_version", sa.Text),
    sa.Column("spec_fingerprint", sa.Text),
    sa.Column("total", sa.Text),
    sa.Column("currency", sa.Text),
    sa.Column("detail", sa.Text, nullable=False, default="{}"),
    sa.Column("created_at", sa.Double, nullable=False),
    sa.Column("at", sa.Double, nullable=False),
    sa.Index("ledger_record", "record_key"),
    sa.Index("ledger_state", "entity", "state"),
)

attempt = sa.Table(
    "attempt",
    metadata,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("n", sa.Integer, primary_key=True),
    sa.Column("at", sa.Double, nullable=False),
    sa.Column("request", sa.Text, nullable=False),
    sa.Column("response", sa.Text),
    sa.Column("outcome", sa.Text, nullable=False),
    sa.Index("attempt_at", "at"),
)

cursor = sa.Table(
    "cursor",
    metadata,
    sa.Column("connection", sa.Text, primary_key=True),
    sa.Column("stream", sa.Text, primary_key=True),
    sa.Column("position", sa.Text, nullable=False),
    sa.Column("at", sa.Double, nullable=False),
)

digest = sa.Table(
    "digest",  # of every record of a source that tells changes by their hashes, as the last poll saw it
    metadata,
    sa.Column("connection", sa.Text, primary_key=True),
    sa.Column("stream", sa.Text, primary_key=True),
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("hash", sa.Text, nullable=False),
)

token = sa.Table(
    "token",
    metadata,
    sa.Column("connection", sa.Text, primary_key=True),
    sa.Column("sealed", sa.Text),
)

sign_in = sa.Table(
    "sign_in",
    metadata,
    sa.Column("connection", sa.Text, primary_key=True),
    sa.Column("person", sa.Text),
    sa.Column("account_id", sa.Text),
    sa.Column("account_name", sa.Text),
    sa.Column("redirect_uri", sa.Text),
    sa.Column("scopes", sa.Text),
    sa.Column("expires_at", sa.Double),
    sa.Column("renewed_at", sa.Double),
    sa.Column("signed_in_at", sa.Double),
)

webhook = sa.Table(
    "webhook",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),  # also of its secret in the token table, after "webhook:"
    sa.Column("system", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("detail", sa.Text, nullable=False, default="{}"),
    sa.Column("at", sa.Double, nullable=False),
    sa.Column("until", sa.Double),
    sa.Index("webhook_state", "system", "state"),
)

spec = sa.Table(
    "spec",
    metadata,
    sa.Column("fingerprint", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("at", sa.Double, nullable=False),
)

mapping = sa.Table(
    "mapping",
    metadata,
    sa.Column("file", sa.Text, primary_key=True),
    sa.Column("spec", sa.Text),
    sa.Column("entity", sa.Text),
    sa.Column("account", sa.Text, nullable=False),  # of the target, when it was approved
    sa.Column("fingerprint", sa.Text),  # of the version that was approved last
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("problem", sa.Text),
    sa.Column("at", sa.Double, nullable=False),
)

drift = sa.Table(
    "drift",
    metadata,
    sa.Column("fingerprint", sa.Text, primary_key=True),
    sa.Column("day", sa.Text, primary_key=True),
    sa.Column("kind", sa.Text, primary_key=True),
    sa.Column("path", sa.Text, primary_key=True),
    sa.Column("detail", sa.Text, primary_key=True),
    sa.Column("parts", sa.Text, nullable=False, default="[]"),
    sa.Column("count", _BigInt, nullable=False),
    sa.Column("first_at", sa.Double, nullable=False),
    sa.Column("last_at", sa.Double, nullable=False),
)

note = sa.Table(
    "note",
    metadata,
    sa.Column("record_key", sa.Text, primary_key=True),
    sa.Column("kind", sa.Text, primary_key=True),
    sa.Column("subject", sa.Text, primary_key=True),
    sa.Column("message", sa.Text, nullable=False),
    sa.Column("at", sa.Double, nullable=False),
)

connection = sa.Table(
    "connection",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("reason", sa.Text),
    sa.Column("at", sa.Double, nullable=False),
)

control = sa.Table(
    "control",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),  # "pause" while everything is paused
    sa.Column("who", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False, default=""),
    sa.Column("at", sa.Double, nullable=False),
)

skip = sa.Table(
    "skip",
    metadata,
    sa.Column("record_key", sa.Text, primary_key=True),
    sa.Column("who", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("at", sa.Double, nullable=False),
)

alias = sa.Table(
    "alias",
    metadata,
    sa.Column("kind", sa.Text, primary_key=True),
    sa.Column("folded", sa.Text, primary_key=True),  # the name as it is compared
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("target", sa.Text, nullable=False),
    sa.Column("who", sa.Text, nullable=False),
    sa.Column("at", sa.Double, nullable=False),
)

alert = sa.Table(
    "alert",
    metadata,
    sa.Column("kind", sa.Text, primary_key=True),
    sa.Column("cause", sa.Text, primary_key=True),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),  # open, resolved
    sa.Column("since", sa.Double, nullable=False),
    sa.Column("told", sa.Text, nullable=False, default=""),  # the state of the last message
    sa.Column("told_at", sa.Double),
    sa.Column("claimed_until", sa.Double, nullable=False, default=0.0),
)

audit = sa.Table(
    "audit",
    metadata,
    sa.Column("seq", _BigInt, primary_key=True, autoincrement=True),
    sa.Column("at", sa.Double, nullable=False),
    sa.Column("who", sa.Text, nullable=False),
    sa.Column("what", sa.Text, nullable=False),
    sa.Column("subject", sa.Text, nullable=False, default=""),
    sa.Column("detail", sa.Text, nullable=False, default=""),
    sa.Index("audit_subject", "subject", "seq"),
    sqlite_autoincrement=True,
)

schema_version = sa.Table("schema_version", metadata, sa.Column("version", sa.Integer, primary_key=True))


class Store:
    """An open store. Safe to share between threads; transactions are not to be nested."""

    def __init__(self, engine: Engine, *, path: Path | None) -> None:
        self.engine = engine
        self.path = path
        self.is_sqlite = engine.dialect.name == "sqlite"
        # An in-memory store is one connection, so its users take turns.
        self._turn = threading.RLock() if self.is_sqlite and path is None else None
        # Who finds a SQLite file locked sleeps up to 100 ms between two looks; a lock of our own hands over at once.
        self._writing = threading.RLock() if self.is_sqlite and path is not None else None

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that writes: durable when the block ends, undone when it raises."""
        with self._transaction(immediate=True) as conn:
            yield conn

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that only reads; it sees one state of the store."""
        with self._transaction(immediate=False) as conn:
            yield conn

    def insert(self, table: sa.Table) -> sqlite.Insert | postgresql.Insert:
        """An INSERT of this store's dialect, which knows ON CONFLICT."""
        return sqlite.insert(table) if self.is_sqlite else postgresql.insert(table)

    def close(self) -> None:
        """Give all connections back."""
        self.engine.dispose()

    @contextmanager
    def _transaction(self, *, immediate: bool) -> Iterator[Connection]:
        turn = self._turn or (self._writing if immediate else None)
        if turn is not None:
            turn.acquire()
        try:
            with self.engine.connect().execution_options(mapper_immediate=immediate) as conn, conn.begin():
                yield conn
        finally:
            if turn is not None:
                turn.release()


def open_store(url: str, *, read_only: bool = False) -> Store:
    """Open the store at a URL and create what is missing.

    Args:
        url: ``sqlite:///relative.db``, ``sqlite:////absolute.db``, ``sqlite://`` (in memory) or
            ``postgresql://user:password@host/database``.
        read_only: Never create or change anything.

    Raises:
        StoreError: The URL is unusable, the folder is missing, the file is no store, or a newer version wrote it.
    """
    address = _address(url)
    shown = address.render_as_string(hide_password=True)
    path = None
    if address.get_backend_name() == "sqlite":
        path = _sqlite_path(address, shown, read_only=read_only)
        engine = _sqlite_engine(path, read_only=read_only)
    else:
        engine = _postgresql_engine(address)
    store = Store(engine, path=path)
    try:
        _prepare(store, shown, read_only=read_only)
    except DBAPIError as error:
        store.close()
        raise StoreError(f"the store {shown} cannot be used: {_first_line(error)}") from None
    except BaseException:
        store.close()
        raise
    return store


def sqlite_file(url: str) -> Path | None:
    """The file of a SQLite store; None for a store in memory or on a server.

    Raises:
        StoreError: Not a URL of a store.
    """
    address = _address(url)
    if address.get_backend_name() != "sqlite" or address.database in (None, "", ":memory:"):
        return None
    return Path(str(address.database))


def _address(url: str) -> URL:
    text = "postgresql://" + url.removeprefix("postgres://") if url.startswith("postgres://") else url
    try:
        address = make_url(text)
        backend = address.get_backend_name()
    except (ArgumentError, ValueError):
        raise StoreError(
            "MAPPER_STORE_URL is not a store's address: expected sqlite:///FILE or postgresql://HOST/DATABASE"
        ) from None
    if backend not in ("sqlite", "postgresql"):
        raise StoreError(f"MAPPER_STORE_URL: {backend!r} is not supported; use sqlite or postgresql")
    return address.set(drivername="postgresql+psycopg") if backend == "postgresql" else address


def _sqlite_path(address: URL, shown: str, *, read_only: bool) -> Path | None:
    if address.database in (None, "", ":memory:"):
        return None
    path = Path(str(address.database))
    if path.is_dir():
        raise StoreError(f"the store {shown} is a folder; name a file in MAPPER_STORE_URL")
    if not path.parent.is_dir():
        raise StoreError(f"the store's folder {path.parent} does not exist; create it or change MAPPER_STORE_URL")
    if read_only and not path.exists():
        raise NoStoreError(f"there is no store at {path}; run 'mapper-sync run' first or change MAPPER_STORE_URL")
    return path


def _sqlite_engine(path: Path | None, *, read_only: bool) -> Engine:
    arguments: dict[str, Any] = {"timeout": BUSY_TIMEOUT_S, "check_same_thread": False}
    if path is None:
        engine = sa.create_engine("sqlite://", connect_args=arguments, poolclass=StaticPool, hide_parameters=True)
    else:
        # The path goes through a URI, so that a missing file is not created when only reading.
        uri = f"{path.absolute().as_uri()}?mode={'ro' if read_only else 'rwc'}"
        engine = sa.create_engine(
            "sqlite://",
            creator=lambda: sqlite3.connect(uri, uri=True, **arguments),
            poolclass=sa.QueuePool,
            hide_parameters=True,  # a statement's values are customers'
        )

    @sa_event.listens_for(engine, "connect")
    def configure(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None  # the driver begins nothing by itself; "begin" below does
        connection.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_S * 1000}")
        if not read_only and path is not None:
            connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")

    @sa_event.listens_for(engine, "begin")
    def begin(conn: Connection) -> None:
        # A deferred transaction that first reads and then writes fails at once when another has written between.
        immediate = conn.get_execution_options().get("mapper_immediate", False) and not read_only
        conn.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")

    return engine


def _postgresql_engine(address: URL) -> Engine:
    try:
        return sa.create_engine(address, pool_pre_ping=True, connect_args={"connect_timeout": 10}, hide_parameters=True)
    except (ModuleNotFoundError, NoSuchModuleError):
        raise StoreError("a PostgreSQL store needs its driver: pip install 'mapper-ai[postgres]'") from None


def _prepare(store: Store, shown: str, *, read_only: bool) -> None:
    if not read_only:
        with store.write() as conn:
            if not store.is_sqlite:
                # Two processes starting at once would both try to create the tables.
                conn.execute(sa.select(sa.func.pg_advisory_xact_lock(0x6D6170)))
            known = _version(conn, shown) if sa.inspect(conn).has_table("schema_version") else None
            metadata.create_all(conn)
            if known is not None and known < SCHEMA_VERSION:
                from sync.migrations import upgrade

                upgrade(conn, known, SCHEMA_VERSION)
            if known != SCHEMA_VERSION:
                conn.execute(sa.delete(schema_version))
                conn.execute(sa.insert(schema_version).values(version=SCHEMA_VERSION))
        return
    with store.read() as conn:
        if not sa.inspect(conn).has_table("schema_version"):
            raise NoStoreError(f"{shown} is no store of mapper-sync; change MAPPER_STORE_URL")
        if _version(conn, shown) < SCHEMA_VERSION:
            raise StoreError(
                f"the store {shown} was written by an older version; 'mapper-sync run' brings it up to date"
            )


def _version(conn: Connection, shown: str) -> int:
    found: int | None = conn.scalar(sa.select(sa.func.max(schema_version.c.version)))
    if found is None or found > SCHEMA_VERSION:
        raise StoreError(f"the store {shown} was written by a newer version; update this installation")
    return found


def _first_line(error: DBAPIError) -> str:
    return (str(error.orig).strip().splitlines() or ["no answer"])[0]
