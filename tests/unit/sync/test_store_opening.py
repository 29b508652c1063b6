"""Opening a store: durable SQLite settings, and a plain word for what cannot be one."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateTable

from sync import store as store_module
from sync.errors import StoreError
from sync.store import metadata, open_store, sqlite_file


def test_sqlite_is_set_to_lose_nothing(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path / 'm.db'}")
    with store.read() as conn:
        settings = [conn.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("journal_mode", "synchronous")]
    store.close()
    assert settings == ["wal", 2]


def test_opening_again_keeps_everything(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'm.db'}"
    for expected in (1, 2):
        store = open_store(url)
        with store.write() as conn:
            values = {"connection": f"c{expected}", "stream": "s", "position": "p", "at": 1.5}
            conn.execute(sa.insert(store_module.cursor).values(**values))
        with store.read() as conn:
            assert len(conn.execute(sa.select(store_module.cursor)).all()) == expected
        store.close()


def test_a_failing_transaction_leaves_nothing(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path / 'm.db'}")
    with pytest.raises(ZeroDivisionError), store.write() as conn:
        conn.execute(sa.insert(store_module.schema_version).values(version=99))
        _ = 1 / 0
    with store.read() as conn:
        assert conn.scalars(sa.select(store_module.schema_version.c.version)).all() == [store_module.SCHEMA_VERSION]
    store.close()


@pytest.mark.parametrize("url", ["sqlite://", "file"])
def test_writers_take_turns(tmp_path: Path, url: str) -> None:
    store = open_store(f"sqlite:///{tmp_path / 'm.db'}" if url == "file" else url)
    counter = store_module.schema_version

    def count_up() -> None:
        for _ in range(20):
            with store.write() as conn:
                newest = conn.scalar(sa.select(sa.func.max(counter.c.version))) or 0
                conn.execute(sa.insert(counter).values(version=newest + 1))

    threads = [threading.Thread(target=count_up) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with store.read() as conn:
        assert conn.scalar(sa.select(sa.func.count()).select_from(counter)) == 81
    store.close()


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("nonsense", "not a store's address"),
        ("mysql://x/y", "'mysql' is not supported"),
        ("sqlite:///{tmp}/missing/m.db", "missing does not exist; create it"),
        ("sqlite:///{tmp}", "is a folder"),
        ("sqlite:///{tmp}/text.db", "cannot be used: file is not a database"),
    ],
)
def test_an_unusable_address_is_one_line(tmp_path: Path, url: str, says: str) -> None:
    (tmp_path / "text.db").write_text("no database at all " * 100)
    with pytest.raises(StoreError) as caught:
        open_store(url.replace("{tmp}", str(tmp_path)))
    assert says in caught.value.message
    assert "\n" not in caught.value.message


def test_a_store_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path / 'm.db'}")
    with store.write() as conn:
        conn.execute(sa.insert(store_module.schema_version).values(version=99))
    store.close()
    with pytest.raises(StoreError, match="newer version"):
        open_store(f"sqlite:///{tmp_path / 'm.db'}")


def test_reading_only_creates_nothing(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="there is no store at"):
        open_store(f"sqlite:///{tmp_path / 'm.db'}", read_only=True)
    assert list(tmp_path.iterdir()) == []


def test_another_database_is_no_store(tmp_path: Path) -> None:
    sqlite3.connect(tmp_path / "m.db").execute("CREATE TABLE t (a)").connection.close()
    with pytest.raises(StoreError, match="no store of mapper-sync"):
        open_store(f"sqlite:///{tmp_path / 'm.db'}", read_only=True)


def test_reading_only_cannot_write(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'm.db'}"
    open_store(url).close()
    store = open_store(url, read_only=True)
    with pytest.raises(sa.exc.OperationalError, match="readonly"), store.write() as conn:
        conn.execute(sa.insert(store_module.schema_version).values(version=7))
    store.close()


def test_passwords_of_an_unreachable_server_are_not_shown() -> None:
    pytest.importorskip("psycopg")
    with pytest.raises(StoreError) as caught:
        open_store("postgresql://u:s3cret@127.0.0.1:1/x")
    assert "s3cret" not in caught.value.message
    assert "\n" not in caught.value.message


def test_the_file_of_a_store() -> None:
    assert sqlite_file("sqlite:///a/b.db") == Path("a/b.db")
    assert sqlite_file("sqlite://") is None
    assert sqlite_file("postgres://h/d") is None


def test_the_tables_compile_for_postgresql() -> None:
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    text = "".join(str(CreateTable(table).compile(dialect=dialect)) for table in metadata.sorted_tables)
    assert "seq BIGSERIAL" in text
