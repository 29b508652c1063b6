"""DBOS Transact, set up so that its traps are shut: see docs/decisions/0022.

Its tables stand in the store's own database: beside ours in the SQLite file, in a schema of their own on PostgreSQL.
"""

from __future__ import annotations

import logging
import os
import re
import sqlite3
import time
from typing import Final

import sqlalchemy as sa
from dbos import DBOSConfig, DBOSPortableJSONSerializer
from sqlalchemy import event as sa_event

from sync.engine.port import EngineError
from sync.store import BUSY_TIMEOUT_S, Store

APPLICATION: Final = "mapper-sync"
BELL_VERSION: Final = "1"
"""Processes hear each other when this agrees; to be raised when a bell's arguments change. DBOS's own choice, a hash of
our code, would keep old and new processes from hearing each other during an update."""
SCHEMA: Final = "mapper_engine"
_REPEATED_S: Final = 60.0
_LATE_WORDS: Final = re.compile(r"[:(\[{'\"].*", re.DOTALL)


def config_of(engine: sa.Engine, executor_id: str) -> DBOSConfig:
    """The configuration: nothing leaves this machine but for the store, and nothing needs a licence.

    Args:
        engine: Of `engine_of`.
        executor_id: Fresh at every start: two living processes with one id would run each other's work twice.
    """
    return DBOSConfig(
        name=APPLICATION,
        system_database_engine=engine,
        dbos_system_schema=SCHEMA,
        executor_id=executor_id,
        application_version=BELL_VERSION,
        serializer=DBOSPortableJSONSerializer(),  # the default unpickles what it finds in the database
        use_listen_notify=False,  # for messages between workflows, which we do not use
        notification_listener_polling_interval_sec=0.2,
        enable_otlp=False,
        log_level="WARNING",
    )


def engine_of(store: Store) -> sa.Engine:
    """Connections of DBOS's own to the store's database.

    Raises:
        EngineError: DBOS's own cloud is switched on, which overrules all of the settings.
    """
    if os.environ.get("DBOS__CLOUD") == "true":
        raise EngineError('DBOS__CLOUD is set: unset it, or set [runner] engine = "inprocess" in mapper.toml')
    if store.path is None:
        return sa.create_engine(
            store.engine.url,
            pool_size=4,
            max_overflow=8,
            pool_pre_ping=True,
            connect_args={"connect_timeout": 10},
            hide_parameters=True,
        )
    uri = f"{store.path.absolute().as_uri()}?mode=rw"
    engine = sa.create_engine(
        "sqlite://",
        creator=lambda: sqlite3.connect(uri, uri=True, timeout=BUSY_TIMEOUT_S, check_same_thread=False),
        poolclass=sa.QueuePool,
        pool_size=4,
        max_overflow=8,
        hide_parameters=True,
    )

    @sa_event.listens_for(engine, "connect")
    def configure(connection: sqlite3.Connection, _record: object) -> None:
        # Left to itself DBOS takes the rollback journal, which is slow and locks our readers out.
        connection.isolation_level = "IMMEDIATE"
        connection.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_S * 1000}")
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA foreign_keys=ON")

    return engine


class _OwnWords(logging.Filter):
    """Cuts a line of DBOS before what varies: it writes statements, arguments and texts of errors into its messages.

    Without a database it would write the same few lines many times a second; each comes once a minute.
    """

    def __init__(self) -> None:
        super().__init__()
        self._told: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        place, now = f"{record.filename}:{record.lineno}", time.monotonic()
        if now - self._told.get(place, -_REPEATED_S) < _REPEATED_S:
            return False
        self._told[place] = now
        record.msg, record.args = _LATE_WORDS.sub("", record.getMessage()).strip(), ()
        record.place = place
        return True


def quiet_logs() -> None:
    """Let DBOS log through our handlers, warnings and worse only; without a handler it would print by itself."""
    logger = logging.getLogger("dbos")
    if not any(isinstance(known, _OwnWords) for known in logger.filters):
        logger.addFilter(_OwnWords())
        logger.addHandler(logging.NullHandler())
    logger.setLevel(logging.WARNING)
