"""The store: tables and connections. The same tables on SQLite (WAL, synchronous=FULL) and on PostgreSQL.

Our own tables are the truth of what was promised (inbox), what was done (ledger, attempt) and how far a source was
read (cursor). Times are unix seconds, amounts are decimal text, bodies are JSON text.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy import event as sa_event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, Connection, Engine, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, OperationalError
from sqlalchemy.pool import StaticPool

from sync.commits import GroupCommit, KeptConnections, transact
from sync.errors import NoStoreError, StoreError
from sync.prepared import Prepared

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
``ledger.key``, ``attempt.key`` and ``reservation.key``; no message, log or screen shows such a key."""
BUSY_TIMEOUT_S = 30
_DEADLOCKS = 5
_AUTOCOMMIT = {"isolation_level": "AUTOCOMMIT"}
_T = TypeVar("_T")

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
    sa.Index("inbox_record", "record_key", "seq"),
    sa.Index("inbox_waits_for", "waits_for"),
    sa.Index("inbox_settled", "settled_at"),
    sa.Index("inbox_number", "number"),
    sqlite_autoincrement=True,
)

# Literals, not parameters: only so do both databases see that a query may use the index of the same condition.
PENDING = inbox.c.state == sa.literal_column("'pending'")
WAITING = inbox.c.fate == sa.literal_column("'waiting'")
NOT_WAITING = sa.or_(inbox.c.fate.is_(None), inbox.c.fate != sa.literal_column("'waiting'"))
_READY = sa.and_(PENDING, NOT_WAITING)
_LATER = sa.and_(PENDING, WAITING)
sa.Index("inbox_ready", inbox.c.lane_key, inbox.c.seq, sqlite_where=_READY, postgresql_where=_READY)
sa.Index("inbox_waiting", inbox.c.lane_key, inbox.c.due, inbox.c.seq, sqlite_where=_LATER, postgresql_where=_LATER)

lane = sa.Table(
    "lane",
    metadata,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("owner", sa.Text),
    sa.Column("until", sa.Double, nullable=False, default=0.0),
    sa.Column("fence", _BigInt, nullable=False, default=0),
    sa.Column("seq", _BigInt),  # the event in hand, also after its worker died
    sa.Column("due", sa.Double),  # from when on the lane can be claimed; the end of the lease while it is held
    sa.Column("head", _BigInt),  # the event that is due then
    sa.Index("lane_due", "due", "head"),
)
sa.Index("lane_owner", lane.c.owner, sqlite_where=lane.c.owner.is_not(None), postgresql_where=lane.c.owner.is_not(None))

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
    sa.Column("settled", sa.Text),  # digest of the snapshot that was worked off last, and of the mapping it was by
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
    sa.Column("holder", sa.Text),  # the claim that began the write
    sa.Column("revision", _BigInt, nullable=False, server_default="0"),  # grows with every change
    sa.Index("ledger_record", "record_key"),
    sa.Index("ledger_state", "entity", "state", "currency", "total"),
    sa.Index("ledger_remote", "remote_id"),
)

reservation = sa.Table(
    "reservation",
    metadata,
    # What may stand at one remote object only, whatever natural keys want it: a client's e-mail as a digest, a number.
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("key", sa.Text, nullable=False),  # the ledger row that wrote it last or writes it now
    sa.Column("revision", _BigInt, nullable=False),
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

process = sa.Table(
    "process",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),  # as `inbox.new_owner` names it
    sa.Column("role", sa.Text, nullable=False),
    sa.Column("engine", sa.Text, nullable=False),
    sa.Column("workers", sa.Integer, nullable=False),
    sa.Column("wakes_sent", sa.Integer, nullable=False, default=0),
    sa.Column("wakes_heard", sa.Integer, nullable=False, default=0),
    sa.Column("started_at", sa.Double, nullable=False),
    sa.Column("seen_at", sa.Double, nullable=False),
)

job = sa.Table(
    "job",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("every_s", sa.Double, nullable=False),
    sa.Column("owner", sa.Text),
    sa.Column("until", sa.Double, nullable=False, default=0.0),
    sa.Column("runs", sa.Integer, nullable=False, default=0),
    sa.Column("started_at", sa.Double),
    sa.Column("ended_at", sa.Double),
    sa.Column("result", sa.Text),
)

budget = sa.Table(
    "budget",
    metadata,
    sa.Column("connection", sa.Text, primary_key=True),
    sa.Column("per_minute", sa.Double),  # what was learned; null while nothing was
    sa.Column("next_at", sa.Double, nullable=False, default=0.0),
    sa.Column("window", sa.Text, nullable=False, default="[]"),
    sa.Column("not_before", sa.Double, nullable=False, default=0.0),
    sa.Column("learned_at", sa.Double, nullable=False, default=0.0),
    sa.Column("span_at", sa.Double, nullable=False, default=0.0),
    sa.Column("span_sent", sa.Integer, nullable=False, default=0),
    sa.Column("span_refused", sa.Integer, nullable=False, default=0),
    sa.Column("before_sent", sa.Integer, nullable=False, default=0),
    sa.Column("before_refused", sa.Integer, nullable=False, default=0),
    sa.Column("refused", _BigInt, nullable=False, default=0),
)

first_run = sa.Table(
    "first_run",
    metadata,
    sa.Column("fingerprint", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),  # counting | lifted
    sa.Column("since", sa.Double, nullable=False),
    sa.Column("lifted_at", sa.Double),
    sa.Column("lifted_by", sa.Text),
)

first_run_use = sa.Table(
    "first_run_use",
    metadata,
    sa.Column("key", sa.Text, primary_key=True),  # of the invoice, so that a repetition counts once
    sa.Column("fingerprint", sa.Text, nullable=False),
    sa.Column("total", sa.Text, nullable=False),
    sa.Column("currency", sa.Text, nullable=False),
    sa.Index("first_run_use_of", "fingerprint"),
)

adoption = sa.Table(
    "adoption",
    metadata,
    sa.Column("key", sa.Text, primary_key=True),  # of the invoice that would be created
    sa.Column("record_key", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),  # proposed | accepted | refused
    sa.Column("wanted", sa.Text, nullable=False),
    sa.Column("candidates", sa.Text, nullable=False),
    sa.Column("remote_id", sa.Text),
    sa.Column("at", sa.Double, nullable=False),
    sa.Column("decided_at", sa.Double),
    sa.Column("decided_by", sa.Text),
    sa.Index("adoption_state", "state", "record_key"),
)

proposal = sa.Table(
    "proposal",
    metadata,
    sa.Column("key", sa.Text, primary_key=True),  # natural key of the correction
    sa.Column("record_key", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),  # refund | edit | cancel
    sa.Column("state", sa.Text, nullable=False),  # proposed | accepted | writing | done | refused | withdrawn
    sa.Column("said", sa.Text, nullable=False),  # digest of what the record says
    sa.Column("snapshot", sa.Text, nullable=False),  # of the record, as it was
    sa.Column("basis", sa.Text, nullable=False),  # digest of the invoice without what our own corrections did to it
    sa.Column("invoice_id", sa.Text, nullable=False),
    sa.Column("amount", sa.Text, nullable=False),
    sa.Column("currency", sa.Text, nullable=False),
    sa.Column("transaction", sa.Text),
    sa.Column("weak", sa.Boolean, nullable=False),
    sa.Column("content", sa.Text, nullable=False),  # what is shown: the ways, before and after
    sa.Column("way", sa.Text),  # accepted
    sa.Column("plan", sa.Text),  # what is written, exactly, once it was begun
    sa.Column("payment_id", sa.Text),  # that was lowered
    sa.Column("remote_id", sa.Text),
    sa.Column("at", sa.Double, nullable=False),
    sa.Column("decided_at", sa.Double),
    sa.Column("decided_by", sa.Text),
    sa.Column("why", sa.Text),
    sa.Index("proposal_state", "state", "at"),
    sa.Index("proposal_invoice", "invoice_id"),
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
        # One writes at a time. Waiting for SQLite's own lock means sleeping longer than a transaction takes.
        self._writing = threading.Lock() if self.is_sqlite and path is not None else None
        self._readers = KeptConnections(engine, mapper_plain=True, **({} if self.is_sqlite else _AUTOCOMMIT))
        # On a file the group commit begins by itself.
        begun = {"mapper_plain": True} if self._writing is not None else {"mapper_immediate": True}
        self._writers = KeptConnections(engine, **begun)
        self._group = GroupCommit(self._writers, self._writing) if self._writing is not None else None

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

    def transact(self, work: Callable[[Connection], _T]) -> _T:
        """Run a short writing transaction: durable when this returns, undone when it raises.

        Args:
            work: Changes nothing but the store. It may be run again when another transaction was let through first,
                and by another thread, together with what others want to have committed (`sync.commits`).
        """
        for _ in range(_DEADLOCKS):
            try:
                return self._transacted(work)
            except OperationalError as error:
                if getattr(error.orig, "sqlstate", None) not in ("40P01", "40001"):
                    raise
        return self._transacted(work)

    def _transacted(self, work: Callable[[Connection], _T]) -> _T:
        if self._group is not None:
            return self._group.run(work)
        if self._turn is not None:
            with self.write() as conn:
                return work(conn)
        return transact(self._writers, work)

    def rows(self, statement: sa.Select[Any] | Prepared, values: Mapping[str, Any] | None = None) -> Sequence[Any]:
        """The rows of one statement: what `read` gives, without a transaction around it."""
        if self._turn is not None:
            with self.read() as conn:
                return _rows(conn, statement, values or {})
        if self.is_sqlite and isinstance(statement, Prepared):
            return statement.on_sqlite(self._readers.driver(), self.engine.dialect, values or {}).all()
        for again in (True, False):
            conn = self._readers.get()
            try:
                found = _rows(conn, statement, values or {})
                conn.commit()
                return found
            except DBAPIError as error:
                self._readers.drop()
                if not (error.connection_invalidated and again):
                    raise
        raise AssertionError("not reached")

    def insert(self, table: sa.Table) -> sqlite.Insert | postgresql.Insert:
        """An INSERT of this store's dialect, which knows ON CONFLICT."""
        return insert_into(table, self.engine.dialect.name)

    def close(self) -> None:
        """Give all connections back."""
        self._readers.close()
        self._writers.close()
        self.engine.dispose()

    @contextmanager
    def _transaction(self, *, immediate: bool) -> Iterator[Connection]:
        turn = self._turn or (self._writing if immediate else None) or nullcontext()
        with (
            turn,
            self.engine.connect().execution_options(mapper_immediate=immediate) as conn,
            conn.begin(),
        ):
            yield conn


def _rows(conn: Connection, statement: sa.Select[Any] | Prepared, values: Mapping[str, Any]) -> Sequence[Any]:
    return statement(conn, values).all() if isinstance(statement, Prepared) else conn.execute(statement, values).all()


def insert_into(table: sa.Table, dialect: str) -> sqlite.Insert | postgresql.Insert:
    """An INSERT that knows ON CONFLICT."""
    return sqlite.insert(table) if dialect == "sqlite" else postgresql.insert(table)


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
            max_overflow=-1,  # every thread keeps one to read and one to write
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
        if conn.get_execution_options().get("mapper_plain", False):
            return
        # A deferred transaction that first reads and then writes fails at once when another has written between.
        immediate = conn.get_execution_options().get("mapper_immediate", False) and not read_only
        driver: Any = conn.connection.driver_connection
        try:
            driver.execute("BEGIN IMMEDIATE" if immediate else "BEGIN")
        except sqlite3.OperationalError as error:
            raise OperationalError("BEGIN", None, error) from error

    return engine


def _postgresql_engine(address: URL) -> Engine:
    try:
        return sa.create_engine(
            address,
            pool_pre_ping=True,
            max_overflow=-1,  # every thread keeps one to read and one to write
            connect_args={"connect_timeout": 10},
            hide_parameters=True,
        )
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
