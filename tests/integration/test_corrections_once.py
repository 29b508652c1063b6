"""An accepted correction is written exactly once, whatever ends or is lost on the way; and who may decide, and how."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest
from pydantic import SecretStr

from connectors.sandbox.faults import ScriptedFault
from sync import proposals
from sync.__main__ import main
from sync.store import open_store
from tests.chaos.crash import forker, until_it_ends
from tests.chaos.recorder import Recorder
from tests.flows import Books, envelope, order, reasons
from tests.integration.test_admin_api import SECRET, TOKEN, serving

LATER = "2026-03-09T00:00:00Z"


def refund(**changes: Any) -> dict[str, Any]:
    made = {"id": "r1", "orderId": order()["id"], "amount": "2.00", "taxAmount": "0.15", "currency": "USD"}
    return {**made, "createdAt": LATER, "updatedAt": LATER, "status": "completed", **changes}


def accept(books: Books, name: str, way: str) -> None:
    with closing(open_store(books.settings.store_url)) as store:
        proposals.accept(store, name, way=way, who="ana", now=1.0)


CORRECTIONS = [
    ("refund.created", refund(), "refund:r1", "credit_note"),
    ("refund.created", refund(), "refund:r1", "lower_payment"),
    ("order.updated", order(updatedAt=LATER, notes="other"), "order:10066", "change_invoice"),
]


def state_of(books: Books) -> tuple[Any, ...]:
    """What counts in the books: credit notes, payments and invoices."""
    credited = [row["amount"]["amount"] for row in books.table("credit_note") if row["vis_state"] != 1]
    paid = [row["amount"]["amount"] for row in books.table("payment") if row["vis_state"] != 1]
    return credited, paid, [(row["amount"]["amount"], row["vis_state"], row["notes"]) for row in books.table("invoice")]


@pytest.mark.parametrize(("event", "record", "name", "way"), CORRECTIONS, ids=lambda value: str(value)[:14])
def test_crashed_at_each_boundary_in_turn_a_correction_is_written_once(
    make_books: Callable[..., Books], event: str, record: dict[str, Any], name: str, way: str
) -> None:
    books = make_books(books={"http_timeout_s": 10.0})
    recorder = Recorder(books.sandbox.state)
    with forker(books.folder) as runs:
        runs.run(books.environ(), books.mappings, books.file([envelope("order.created", order())]))
        untouched = state_of(books)
        runs.run(books.environ(), books.mappings, books.file([envelope(event, record)]))
        assert state_of(books) == untouched
        accept(books, name, way)
        beginning = books.folder / "beginning"
        beginning.mkdir()
        for path in books.folder.glob("store.db*"):
            shutil.copy2(path, beginning / path.name)
        start = recorder.snapshot()

        def crashing(number: int) -> dict[str, Any] | None:
            for path in books.folder.glob("store.db*"):
                path.unlink()
            for path in beginning.iterdir():
                shutil.copy2(path, books.folder / path.name)
            recorder.restore(start)
            return runs.run(books.environ(), books.mappings, None, crash_at=number)

        assert crashing(0) is not None
        undisturbed = state_of(books)
        assert undisturbed != untouched
        crashes = 0
        for number in until_it_ends(crashing):
            crashes, where = number, f"{number} ({runs.last_words()})"
            report = runs.run(books.environ(), books.mappings, None)
            assert report is not None, where
            assert (report["held"], report["left"]) == ({}, 0), where
            assert state_of(books) == undisturbed, where
            with closing(open_store(books.settings.store_url)) as store:
                assert [one.state for one in proposals.listed(store, None)] == ["done"], where
        assert crashes > 4


@pytest.mark.parametrize("fault", ["lost_answer", "server_error"])
@pytest.mark.parametrize(("event", "record", "name", "way"), CORRECTIONS, ids=lambda value: str(value)[:14])
def test_a_lost_answer_is_looked_up_and_never_written_twice(
    books: Books, fault: str, event: str, record: dict[str, Any], name: str, way: str
) -> None:
    books.run(envelope("order.created", order()))
    books.run(envelope(event, record))
    accept(books, name, way)
    method = "POST" if way == "credit_note" else "PUT"
    with books.sandbox.state.lock:
        books.sandbox.state.faults.script(ScriptedFault(fault, system="freshbooks", method=method))
    assert reasons(books.run()) == {}
    credited, paid, invoices = state_of(books)
    assert credited == (["2.00"] if way == "credit_note" else [])
    assert paid == (["9.80"] if way == "lower_payment" else ["11.80"])
    assert len(invoices) == 1
    with closing(open_store(books.settings.store_url)) as store:
        assert [one.state for one in proposals.listed(store, None)] == ["done"]


def test_what_freshbooks_refuses_is_proposed_again_without_that_way(books: Books) -> None:
    books.run(envelope("order.created", order()))
    books.run(envelope("refund.created", refund()))
    accept(books, "refund:r1", "credit_note")
    client = books.table("client")[0]["id"]
    with books.sandbox.state.lock:
        books.sandbox.state.freshbooks.tables["client"][client]["vis_state"] = 1
    assert reasons(books.run()) == {"refund:r1": "refund-proposed"}
    with closing(open_store(books.settings.store_url)) as store:
        (proposal,) = proposals.listed(store)
    assert proposal.offered == ["lower_payment"]
    assert "FreshBooks refused it" in proposal.content["ways"][0]["why_not"]
    assert books.table("credit_note") == []


@pytest.fixture
def waiting(books: Books, monkeypatch: pytest.MonkeyPatch) -> Iterator[Books]:
    """A refund that waits, and the environment of the command line."""
    books.run(envelope("order.created", order()))
    books.run(envelope("refund.created", refund()))
    for name, value in books.environ().items():
        monkeypatch.setenv(name, value)
    yield books


def test_the_command_lists_shows_and_decides_without_naming_anybody(
    waiting: Books, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["proposals"]) == 0
    assert "refund:r1: refund of 2.00 USD on invoice WEB-26-10066" in capsys.readouterr().out
    assert main(["proposals", "show", "refund:r1"]) == 0
    shown = capsys.readouterr().out
    assert "credit notes          0.00 -> 2.00" in shown
    assert "paid                 11.80 -> 9.80" in shown
    assert order()["customer"]["lastName"] not in shown
    assert main(["status"]) == 0
    assert "mapper-sync proposals show refund:r1" in capsys.readouterr().out
    assert main(["proposals", "refuse", "refund:r1"]) == 3
    assert "needs a reason" in capsys.readouterr().err
    assert main(["proposals", "accept", "refund:r1", "--way", "archive"]) == 3
    assert "name a way with --way: credit_note, lower_payment" in capsys.readouterr().err
    assert main(["proposals", "accept", "refund:r1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"decided": "refund:r1", "action": "accept", "left": 0}
    assert main(["proposals", "accept", "refund:r1"]) == 3
    assert reasons(waiting.run()) == {}
    assert [row["credit_number"] for row in waiting.table("credit_note")] == ["REFUND-r1"]


def test_the_admin_api_shows_and_decides_as_the_command_does(waiting: Books) -> None:
    change = {"clarity": waiting.settings.clarity.model_copy(update={"webhook_secrets": (SecretStr(SECRET),)})}
    with serving(waiting.settings.model_copy(update={**change, "admin_token": SecretStr(TOKEN)})) as runner:
        (one,) = runner.ask("GET", "/proposals").json()
        told = one["correction"]
        assert (one["kind"], one["name"], told["state"], told["amount"]) == (
            "correction",
            "refund:r1",
            "proposed",
            "2.00",
        )
        assert told["ways"][0]["after"]["credit notes"] == "2.00"
        decision = {"kind": "correction", "name": "refund:r1"}
        assert runner.ask("POST", "/proposals", {**decision, "decision": "refuse"}).status_code == 422
        accepted = runner.ask("POST", "/proposals", {**decision, "decision": "accept", "choice": "credit_note"})
        assert accepted.json() == {"decided": "refund:r1"}
        runner.wait_for("done", 2)
        assert runner.ask("GET", "/proposals").json() == []
    assert len(waiting.table("credit_note")) == 1
