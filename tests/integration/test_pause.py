"""The kill switch: nobody claims, nothing is written, the write in hand finishes, webhooks are taken all the same."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from connectors.watching import Sent, Told, watched_by
from sync import audit, control, ledger
from sync.__main__ import main
from sync.runner import RunReport, run
from sync.settings import Settings
from sync.status import status
from sync.store import Store
from tests.flows import MAPPINGS, Books, envelope, order

NOW = 1_750_000_000.0


@pytest.fixture
def settings(books: Books, store_url: str) -> Settings:
    return books.settings.model_copy(update={"store_url": store_url})


def work(books: Books, settings: Settings, *envelopes: dict[str, object]) -> RunReport:
    events = books.file(envelopes) if envelopes else None
    return run(settings, MAPPINGS, events=events, max_wait_s=60)


def test_a_pause_is_told_with_who_why_and_since_when(store: Store) -> None:
    assert control.paused(store) is None
    held = control.pause(store, who="ana", reason=" wrong tax rate ", now=NOW)
    again = control.pause(store, who="bob", reason="me too", now=NOW + 5)
    assert again == held  # the first one stands
    assert status(store)["paused"] == {"by": "ana", "reason": "wrong tax rate", "since": "2025-06-15T15:06:40+00:00"}
    assert control.resume(store, who="bob", now=NOW + 9)
    assert not control.resume(store, who="bob", now=NOW + 9)
    assert status(store)["paused"] is None
    assert [(deed.who, deed.what, deed.detail) for deed in audit.deeds(store)] == [
        ("bob", "resume", ""),
        ("ana", "pause", "wrong tax rate"),
    ]


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
def test_nothing_is_claimed_or_written_while_paused(books: Books, settings: Settings, store: Store) -> None:
    control.pause(store, who="ana", now=NOW)
    report = work(books, settings, envelope("order.created", order()))
    assert report.exit_code == 1
    assert report.stopped is not None and "paused by ana" in report.stopped
    assert report.ingested.new == 1  # what comes is kept
    assert books.writes() == []
    assert report.status["inbox"]["pending"] == 1
    control.resume(store, who="ana", now=NOW)
    assert work(books, settings).exit_code == 0
    assert [row["customerid"] for row in books.table("invoice")] == [row["id"] for row in books.table("client")]


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
def test_a_dry_run_shows_what_would_be_written_all_the_same(books: Books, settings: Settings, store: Store) -> None:
    control.pause(store, who="ana", now=NOW)
    file = books.file([envelope("order.created", order())])
    report = run(settings, MAPPINGS, events=file, dry_run=True)
    assert report.stopped is None and report.planned


def test_a_pause_between_two_writes_of_one_event_lets_the_first_finish(
    books: Books, settings: Settings, store: Store
) -> None:
    @contextmanager
    def pausing(sent: Sent) -> Iterator[Told]:
        if sent.method == "POST":  # while the write is under way
            control.pause(store, who="ana", now=NOW)
        yield lambda _outcome: None

    with watched_by(pausing):
        report = work(books, settings, envelope("order.created", order()))
    assert report.stopped is not None
    assert [write["method"] for write in books.writes()] == ["POST"]
    assert len(books.table("client")) == 1
    assert ledger.list_by_state(store, "intent", "doubt") == []
    assert [entry.entity for entry in ledger.list_by_state(store, "confirmed")] == ["client"]
    assert report.status["inbox"]["pending"] == 1
    control.resume(store, who="ana", now=NOW)
    assert work(books, settings).exit_code == 0
    assert len(books.table("client")) == len(books.table("invoice")) == 1


def test_the_commands_pause_resume_and_tell(
    books: Books, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for name, value in books.environ().items():
        monkeypatch.setenv(name, value)

    def told(*words: str) -> str:
        assert main([*words]) == 0
        return capsys.readouterr().out

    assert main(["pause"]) == 3  # a store that is not there is not made by pausing it
    assert "there is no store" in capsys.readouterr().err
    assert not (tmp_path / "store.db").exists()
    books.run()
    assert "Paused: paused by" in told("pause", "--reason", "look at 10045")
    assert "It was paused already" in told("pause")
    assert told("status").startswith("PAUSED by ")
    assert main(["run", "--mappings", str(MAPPINGS)]) == 1
    assert "look at 10045; 'mapper-sync resume' goes on" in capsys.readouterr().err
    assert json.loads(told("resume", "--json")) == {"paused": None}
    assert "Nothing was paused" in told("resume")
    assert "look at 10045" in told("audit")
