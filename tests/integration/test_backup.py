"""A backup is whole at one moment while runners write, is checked, and a store made from it goes on without doubles."""

from __future__ import annotations

import json
import sqlite3
import stat
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from sync import control, inbox, ledger
from sync.__main__ import main
from sync.backup import backup, restore
from sync.errors import InputError, StoreError
from sync.runner import run
from sync.store import Store, metadata, open_store
from sync.store import lane as lane_table
from tests.flows import MAPPINGS, Books, envelope, order

NOW = 1_750_000_000.0


@pytest.fixture
def other_url(request: pytest.FixtureRequest, store: Store, tmp_path: Path) -> str:
    """An empty store of the same kind."""
    if store.is_sqlite:
        return f"sqlite:///{tmp_path / 'other.db'}"
    from tests.postgres import fresh_database

    context = fresh_database(request.getfixturevalue("_postgres_server"))
    url = context.__enter__()
    request.addfinalizer(lambda: context.__exit__(None, None, None))
    return url


def rows(store: Store) -> dict[str, list[tuple[Any, ...]]]:
    with store.read() as conn:
        return {t.name: sorted(map(tuple, conn.execute(sa.select(t))), key=str) for t in metadata.sorted_tables}


def test_a_store_comes_back_from_its_backup_and_nothing_is_posted_twice(
    books: Books, store: Store, store_url: str, other_url: str, tmp_path: Path
) -> None:
    settings = books.settings.model_copy(update={"store_url": store_url})
    events = [envelope("order.created", order(id="1", orderNumber="WEB-1"))]
    events.append(envelope("order.created", order(id="2", orderNumber="WEB-2", total="999.99", payments=[])))
    run(settings, MAPPINGS, events=books.file(events), max_wait_s=60)
    writes = len(books.writes())
    file = tmp_path / "backup.db"
    made = backup(store, file)
    assert made.rows["inbox"] == 2 and made.rows["ledger"] >= 3
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.glob("*backup*")] == ["backup.db"]  # nothing beside it

    restored = restore(file, other_url, who="ana", now=NOW)
    assert restored.rows == made.rows
    with closing(open_store(other_url)) as other:
        held = control.paused(other)
        assert held is not None and held.reason.startswith("restored from a copy of ")
        before, after = rows(store), rows(other)
        for name in ("inbox", "ledger", "attempt", "record", "spec"):
            assert after[name] == before[name], name
        control.resume(other, who="ana", now=NOW)
        new = envelope("order.created", order(id="3", orderNumber="WEB-3", payments=[]))
        inbox.ingest(other, [new], source="file", now=NOW)  # its number follows the restored ones
        assert inbox.counts(other)["pending"] == 1
    onward = settings.model_copy(update={"store_url": other_url})
    again = [envelope("order.updated", order(id="1", orderNumber="WEB-1"), event_id="again")]
    run(onward, MAPPINGS, events=books.file(again), max_wait_s=60)
    fresh = books.writes()[writes:]
    assert [write["path"].rsplit("/", 1)[-1] for write in fresh if write["method"] == "POST"] == ["invoices"]


def test_a_backup_is_of_one_moment_while_a_runner_writes(store: Store, tmp_path: Path) -> None:
    """Every transaction writes a pair; a copy that holds half of one is torn."""
    stop, begun = threading.Event(), threading.Event()

    def write() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            with store.write() as conn:
                for half in ("left", "right"):
                    conn.execute(sa.insert(lane_table).values(key=f"{half}:{number}", until=0.0, fence=number))
            begun.set()

    thread = threading.Thread(target=write)
    thread.start()
    try:
        assert begun.wait(20)
        for number in range(3):
            file = tmp_path / f"copy-{number}.db"
            backup(store, file)
            with closing(sqlite3.connect(file)) as conn:
                halves = {row[0] for row in conn.execute("SELECT key FROM lane")}
            assert halves
            assert {key.partition(":")[2] for key in halves if key.startswith("left")} == {
                key.partition(":")[2] for key in halves if key.startswith("right")
            }
    finally:
        stop.set()
        thread.join()


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
def test_what_is_there_is_not_overwritten(store: Store, tmp_path: Path) -> None:
    file = tmp_path / "backup.db"
    file.write_text("mine", "utf-8")
    with pytest.raises(InputError, match="there is a file already"):
        backup(store, file)
    assert file.read_text("utf-8") == "mine"
    backup(store, file, force=True)
    assert file.read_bytes().startswith(b"SQLite format 3")
    with pytest.raises(InputError, match=r"gone.*cannot be written"):
        backup(store, tmp_path / "gone" / "backup.db")


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
def test_only_a_sound_copy_goes_into_an_empty_store(store: Store, store_url: str, tmp_path: Path) -> None:
    ledger.open_intent(store, "k", entity="invoice", record_key="order:1", phase="created", now=NOW)
    file = tmp_path / "backup.db"
    backup(store, file)
    with pytest.raises(StoreError, match=r"not empty \(ledger\)"):
        restore(file, store_url, who="ana", now=NOW)
    torn, empty = tmp_path / "torn.db", f"sqlite:///{tmp_path / 'empty.db'}"
    raw = bytearray(file.read_bytes())
    raw[4096:12288] = b"\0" * 8192
    torn.write_bytes(raw)
    (tmp_path / "text").write_text("no store", "utf-8")
    with closing(sqlite3.connect(tmp_path / "foreign.db")) as conn:
        conn.execute("CREATE TABLE x (y)")
    for name in ("torn.db", "text", "foreign.db"):
        with pytest.raises(InputError, match="is no sound copy"):
            restore(tmp_path / name, empty, who="ana", now=NOW)
    with pytest.raises(InputError, match="no such file"):
        restore(tmp_path / "none", empty, who="ana", now=NOW)
    assert not (tmp_path / "empty.db").exists()


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
def test_the_commands(
    store: Store,
    store_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    inbox.ingest(store, [envelope("order.created", order())], source="file", now=time.time())
    monkeypatch.setenv("MAPPER_STORE_URL", store_url)
    assert main(["backup", str(tmp_path / "b.db"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["rows"]["inbox"] == 1
    assert main(["backup", str(tmp_path / "b.db")]) == 3
    monkeypatch.setenv("MAPPER_STORE_URL", f"sqlite:///{tmp_path / 'new.db'}")
    capsys.readouterr()
    assert main(["restore", str(tmp_path / "b.db")]) == 0
    assert "The store is paused" in capsys.readouterr().out
    assert main(["top", "--once"]) == 0
    out = capsys.readouterr().out
    assert "PAUSED by " in out and "1 pending" in out
