"""The judge itself: a judge that cannot say no is worth nothing, so each of its sentences is provoked."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from tests.chaos.judge import Books, Effect, Finding, Wanted, WantedOrder, judge

ORDER = WantedOrder("10045", "WEB-10045", Decimal("11.80"), "USD", (Decimal("5.00"), Decimal("6.80")))
WANTED = Wanted({"10045": ORDER}, {"a@example.org": 2}, {"KTL": 1}, {"9045": "10045"})


def client(revision: int = 2, **changes: Any) -> dict[str, Any]:
    return {
        "id": 1, "email": "a@example.org", "note": "Clarity customer 5", "vis_state": 0,
        "p_street2": f"Rev {revision}", **changes,
    }  # fmt: skip


def invoice(status: int = 2, **changes: Any) -> dict[str, Any]:
    amount = {"amount": "11.80", "code": "USD"}
    return {
        "id": 7, "invoice_number": "WEB-10045", "notes": "Order WEB-10045\nthanks", "status": status,
        "amount": amount, "vis_state": 0, **changes,
    }  # fmt: skip


def payment(number: int, amount: str, **changes: Any) -> dict[str, Any]:
    return {
        "id": number, "invoiceid": 7, "note": f"Clarity payment 90{number}", "overpaymentid": None,
        "amount": {"amount": amount, "code": "USD"}, **changes,
    }  # fmt: skip


def item(**changes: Any) -> dict[str, Any]:
    return {"id": 3, "sku": "KTL", "description": "kettle, Rev 1", **changes}


def effects() -> list[Effect]:
    return [
        Effect("create", "client", 1, client(1)),
        Effect("update", "client", 1, client(2)),
        Effect("create", "item", 3, item()),
        Effect("create", "invoice", 7, invoice(1)),
        Effect("update", "invoice", 7, invoice(2)),
        Effect("create", "payment", 1, payment(1, "5.00")),
        Effect("create", "payment", 2, payment(2, "6.80")),
    ]


GOOD = Books([client()], [invoice()], [payment(1, "5.00"), payment(2, "6.80")], [item()], effects())


def said(books: Books = GOOD, wanted: Wanted = WANTED, held: dict[str, str] | None = None) -> list[str]:
    return [str(finding) for finding in judge(wanted, books, held or {})]


def test_a_faultless_run_is_acquitted() -> None:
    assert said() == []


@pytest.mark.parametrize(
    ("books", "sentence"),
    [
        (replace(GOOD, clients=[client(), client(id=2, note="")]), "doubled: 2 clients with e-mail a@example.org"),
        (
            replace(GOOD, clients=[client(), client(id=2, email="B@example.org")]),
            "doubled: 2 clients marked Clarity customer 5",
        ),
        (replace(GOOD, invoices=[invoice(), invoice(id=8)]), "doubled: 2 invoices numbered WEB-10045"),
        (
            replace(GOOD, invoices=[invoice(), invoice(id=8, invoice_number="X")]),
            "doubled: 2 invoices marked Order WEB-10045",
        ),
        (
            replace(GOOD, payments=[*GOOD.payments, payment(3, "6.80", note="Clarity payment 901")]),
            "doubled: 2 payments marked Clarity payment 901",
        ),
        (
            replace(GOOD, payments=[*GOOD.payments, payment(3, "6.80")]),
            "doubled: payments of order 10045: 1 x 6.80",
        ),
        (
            replace(GOOD, payments=[payment(1, "5.00"), payment(2, "6.80", overpaymentid=4)]),
            "doubled: payment 2 was more than its invoice left open",
        ),
        (replace(GOOD, items=[item(), item(id=4)]), "doubled: 2 items with SKU KTL"),
        (replace(GOOD, invoices=[], payments=[]), "lost: order 10045 has no invoice"),
        (replace(GOOD, invoices=[invoice(1)]), "lost: the invoice of order 10045 was left a draft"),
        (replace(GOOD, payments=[payment(1, "5.00")]), "lost: payments of order 10045: 1 x 6.80"),
        (replace(GOOD, clients=[]), "lost: customer a@example.org is not in the books"),
        (replace(GOOD, clients=[client(1)]), "lost: customer a@example.org ended as revision 1, not 2"),
        (replace(GOOD, items=[]), "lost: product KTL is not in the books"),
        (
            replace(GOOD, invoices=[invoice(amount={"amount": "11.81", "code": "USD"})]),
            "wrong-amount: order 10045 is 11.80 USD, not 11.81 USD",
        ),
        (
            replace(GOOD, invoices=[invoice(amount={"amount": "11.80", "code": "CAD"})]),
            "wrong-amount: order 10045 is 11.80 USD, not 11.80 CAD",
        ),
        (
            replace(GOOD, invoices=[invoice(), invoice(id=8, invoice_number="X", notes="")]),
            "unjustified: nobody asked for invoice X",
        ),
        (
            replace(GOOD, effects=[*effects(), Effect("update", "client", 1, client(1))]),
            "out-of-order: change 7 wrote revision 1 of client 1 over revision 2",
        ),
        (
            replace(GOOD, effects=[effect for effect in effects() if effect.row.get("status") != 2]),
            "out-of-order: payment 1 came before invoice 7 was sent",
        ),
    ],
)
def test_each_broken_promise_is_found(books: Books, sentence: str) -> None:
    assert sentence in said(books)


def test_a_deleted_double_of_a_client_was_mended_by_a_person() -> None:
    assert said(replace(GOOD, clients=[client(), client(id=2, vis_state=1)])) == []


def test_what_was_to_be_held_is_held_for_its_own_reason() -> None:
    wanted = replace(WANTED, orders={"10045": replace(ORDER, held_for=frozenset({"bad-total"}))})
    empty = replace(GOOD, invoices=[], payments=[])
    held = {"order:10045": "bad-total", "payment:9045": "order-not-posted"}
    assert said(empty, wanted, held) == []
    assert said(empty, wanted) == ["lost: order 10045 is not told of as held (None)"]
    assert said(empty, wanted, {"order:10045": "gave-up"}) == ["lost: order 10045 is not told of as held (gave-up)"]
    assert said(GOOD, wanted, held) == ["unjustified: order 10045 is in the books and had to be held"]


def test_holding_what_must_post_is_losing_it() -> None:
    empty = replace(GOOD, invoices=[], payments=[])
    assert said(empty, held={"order:10045": "unexpected-error"}) == [
        "lost: order 10045 is held without need: unexpected-error"
    ]
    assert said(held={"payment:9045": "overpaid"}) == ["lost: payment 9045 is held without need: overpaid"]


def test_a_finding_reads_as_a_sentence() -> None:
    assert str(Finding("lost", "x")) == "lost: x"
