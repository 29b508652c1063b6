"""A lost store: the ledger comes back from FreshBooks' markers, and the next run writes nothing."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from connectors.sandbox.generator import events, generate
from sync import ledger
from sync.log import JsonFormatter
from sync.rebuild import RebuildReport, rebuild
from sync.runner import RunReport, run
from sync.settings import Settings
from sync.store import open_store
from tests.flows import Books, envelope, order, reasons


def lose_the_store(books: Books) -> None:
    for path in books.folder.glob("store.db*"):
        path.unlink()


def settings_of(books: Books, store_url: str) -> Settings:
    return books.settings.model_copy(update={"store_url": store_url})


def go(books: Books, *bodies: Any, settings: Settings | None = None) -> RunReport:
    return run(settings or books.settings, books.mappings, events=books.file(bodies), max_wait_s=20)


def back(books: Books, **more: Any) -> RebuildReport:
    return rebuild(more.pop("settings", books.settings), books.mappings, **more)


def customer(**changes: Any) -> dict[str, Any]:
    known = {"id": "501", "email": "ana@example.com", "firstName": "Ana", "lastName": "Sol", "company": "Sol SA"}
    return {**known, "updatedAt": "2026-03-01T10:00:00Z", "createdAt": "2026-03-01T10:00:00Z", **changes}


def test_a_full_run_a_lost_store_and_the_same_events_write_nothing(books: Books) -> None:
    cases = generate(21, 18)
    bodies = events(cases)
    first = go(books, *bodies)
    written = len(books.writes())
    confirmed = first.status["ledger"]["counts"]["invoice"]["confirmed"]
    lose_the_store(books)
    report = back(books)
    assert report.ambiguous == []
    assert report.entities["invoice"].marked == confirmed
    assert report.entities["payment"].marked == first.status["ledger"]["counts"]["payment"]["confirmed"]
    again = go(books, *bodies)
    assert len(books.writes()) == written
    assert again.status["ledger"]["sums"] == first.status["ledger"]["sums"]
    assert reasons(again) == reasons(first)


def test_it_does_so_on_either_store(make_books: Callable[..., Books], store_url: str, tmp_path: Path) -> None:
    books = make_books()
    bodies = [envelope("order.created", order()), envelope("customer.updated", customer())]
    go(books, *bodies)  # in a store that is lost
    written = len(books.writes())
    settings = settings_of(books, store_url if "postgresql" in store_url else f"sqlite:///{tmp_path / 'new.db'}")
    assert back(books, settings=settings).entities["invoice"].marked == 1
    assert go(books, *bodies, settings=settings).exit_code == 0
    assert len(books.writes()) == written


def test_partly_paid_deleted_edited_and_held_ones_stay_as_they_are(books: Books) -> None:
    payment = {"id": "p1", "transactionId": "ch_1", "amount": "5.00", "currency": "USD", "status": "captured"}
    payment |= {"method": "credit_card", "paidAt": "2026-03-01T14:05:10Z"}
    partly = order(id="1", orderNumber="P-1", payments=[payment])
    deleted = order(id="2", orderNumber="P-2", payments=[])
    edited = order(id="3", orderNumber="P-3", payments=[])
    wrong = order(id="4", orderNumber="P-4", payments=[], total="99.00")
    bodies = [envelope("order.created", one) for one in (partly, deleted, edited, wrong)]
    first = go(books, *bodies)
    assert set(reasons(first)) == {"order:4"}
    ids = {row["invoice_number"]: row["id"] for row in books.table("invoice")}
    with books.sandbox.state.lock:
        invoices = books.sandbox.state.freshbooks.tables["invoice"]
        invoices[ids["P-2"]]["vis_state"] = 1
        invoices[ids["P-3"]]["amount"] = {"amount": "1.00", "code": "USD"}
        invoices[ids["P-3"]]["lines"] = [
            {**invoices[ids["P-3"]]["lines"][0], "unit_cost": {"amount": "1.00", "code": "USD"}, "qty": "1"}
        ]
    written = len(books.writes())
    lose_the_store(books)
    report = back(books)
    assert report.entities["invoice"].deleted == 1
    again = go(books, *bodies)
    assert len(books.writes()) == written
    assert reasons(again) == {
        "order:2": "invoice-deleted",
        "order:3": "edited-after-invoice",
        "order:4": reasons(first)["order:4"],
    }


def test_a_draft_that_was_held_is_not_touched(make_books: Callable[..., Books]) -> None:
    books = make_books()
    one = order(id="1", orderNumber="D-1", payments=[])
    go(books, envelope("order.created", one))
    (row,) = books.table("invoice")
    with books.sandbox.state.lock:  # as a draft that never agreed was left
        held = books.sandbox.state.freshbooks.tables["invoice"][row["id"]]
        held["status"] = 1
        held["amount"] = {"amount": "3.00", "code": "USD"}
        held["lines"] = [{**held["lines"][0], "unit_cost": {"amount": "3.00", "code": "USD"}, "qty": "1"}]
    written = len(books.writes())
    lose_the_store(books)
    assert back(books).entities["invoice"].drafts == 1
    again = go(books, envelope("order.created", one))
    assert reasons(again) == {"order:1": "total-differs"}
    assert len(books.writes()) == written


def test_what_a_person_changed_in_a_client_is_not_overwritten(books: Books) -> None:
    body = envelope("customer.updated", customer())
    go(books, body)
    (row,) = books.table("client")
    with books.sandbox.state.lock:
        books.sandbox.state.freshbooks.tables["client"][row["id"]]["organization"] = "Sol Ltd (as they asked)"
    written = len(books.writes())
    lose_the_store(books)
    back(books)
    again = go(books, body)
    assert reasons(again) == {"customer:501": "changed-in-freshbooks"}
    assert len(books.writes()) == written


def test_two_payments_with_one_marker_are_told_and_held(books: Books) -> None:
    payment = {"id": "p1", "amount": "2.00", "currency": "USD", "status": "captured", "method": "cash"}
    payment["paidAt"] = "2026-03-01T14:05:10Z"
    body = envelope("order.created", order(id="1", orderNumber="A-1", payments=[payment]))
    go(books, body)
    with books.sandbox.state.lock:
        payments = books.sandbox.state.freshbooks.tables["payment"]
        (row,) = payments.values()
        payments[row["id"] + 1] = {**row, "id": row["id"] + 1, "logid": row["id"] + 1}
    written = len(books.writes())
    lose_the_store(books)
    report = back(books)
    assert (report.exit_code, [case["entity"] for case in report.ambiguous]) == (3, ["payment"])
    assert len(report.ambiguous[0]["ids"]) == 2
    again = go(books, body)
    assert reasons(again) == {"order:1": "rebuilt-ambiguous"}
    assert len(books.writes()) == written


def test_a_payment_deleted_and_posted_again_counts_once(books: Books) -> None:
    payment = {"id": "p1", "amount": "2.00", "currency": "USD", "status": "captured", "method": "cash"}
    payment["paidAt"] = "2026-03-01T14:05:10Z"
    body = envelope("order.created", order(id="1", orderNumber="A-1", payments=[payment]))
    go(books, body)
    with books.sandbox.state.lock:
        payments = books.sandbox.state.freshbooks.tables["payment"]
        (row,) = payments.values()
        payments[row["id"] + 1] = {**row, "id": row["id"] + 1, "logid": row["id"] + 1, "vis_state": 1}
    written = len(books.writes())
    lose_the_store(books)
    assert back(books).ambiguous == []
    go(books, body)
    assert len(books.writes()) == written
    store = open_store(books.settings.store_url)
    assert [entry.remote_id for entry in ledger.list_by_prefix(store, "clarity:payment:")] == [str(row["id"])]
    store.close()


def test_hand_typed_invoices_are_none_of_ours_and_a_dry_run_changes_nothing(books: Books) -> None:
    go(books, envelope("order.created", order(id="1", orderNumber="A-1", payments=[])))
    with books.sandbox.state.lock:
        invoices = books.sandbox.state.freshbooks.tables["invoice"]
        (row,) = invoices.values()
        invoices[row["id"] + 1] = {**row, "id": row["id"] + 1, "invoice_number": "0000009", "notes": "Thank you"}
    lose_the_store(books)
    report = back(books, dry_run=True)
    found = report.entities["invoice"]
    assert (found.read, found.marked, report.dry_run) == (2, 1, True)
    assert not (books.folder / "store.db").exists()
    assert "Dry run" in report.as_text()


def test_it_may_be_repeated_and_keeps_what_is_known(books: Books) -> None:
    body = envelope("order.created", order(id="1", orderNumber="A-1", payments=[]))
    go(books, body)
    report = back(books)
    assert (report.entities["invoice"].known, report.entities["invoice"].marked) == (1, 0)
    lose_the_store(books)
    back(books)
    assert back(books).entities["invoice"].marked == 1


def test_the_command_prints_what_was_found(
    books: Books, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from sync.__main__ import main

    go(books, envelope("order.created", order(id="1", orderNumber="A-1")))
    lose_the_store(books)
    for name, value in books.environ().items():
        monkeypatch.setenv(name, value)
    arguments = ["rebuild", "--mappings", str(books.mappings)]
    assert main([*arguments, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["entities"]["invoice"]["sums"] == {"USD": "11.80"}
    assert main(arguments) == 0
    assert "invoice: 1 read, 1 with our marker" in capsys.readouterr().out


def test_what_was_found_is_claimed_at_once_and_told_without_an_address(
    books: Books, caplog: pytest.LogCaptureFixture
) -> None:
    guest = {"email": "kim@canary.example", "firstName": "Kim", "lastName": "Ro"}  # its natural key is the e-mail
    bodies = [envelope("order.created", order(id="1", orderNumber="G-1", customer=guest)), *plain_orders(2)]
    go(books, *bodies)
    lose_the_store(books)
    back(books)
    with caplog.at_level(logging.INFO):
        again = go(books, *bodies)
    assert again.fates == {"done": 3}  # none of them was looked at twice
    assert again.exit_code == 0
    shown = "\n".join(JsonFormatter().format(line) for line in caplog.records)
    assert "claimed after a rebuild" in shown and "canary" not in shown


def plain_orders(count: int) -> list[dict[str, Any]]:
    numbers = range(10, 10 + count)
    return [envelope("order.created", order(id=str(n), orderNumber=f"R-{n}", payments=[])) for n in numbers]
