"""Payments that look alike, customers that are hardly known, and events that contradict their records."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from connectors import FreshBooks, StaticToken
from tests.flows import Books, envelope, order, reasons


def paid(**changes: Any) -> dict[str, Any]:
    """One captured payment of the plain order, with members replaced; None removes one."""
    payment = {**order()["payments"][0], **changes}
    return {name: value for name, value in payment.items() if value is not None}


def amounts(books: Books) -> list[str]:
    return sorted(row["amount"]["amount"] for row in books.table("payment"))


@pytest.mark.parametrize(
    "payments",
    [
        [paid(id="A1", transactionId="ch_1", amount="5.90"), paid(id="A2", transactionId="ch_1", amount="5.90")],
        [paid(id=None, transactionId="ch_1", amount="5.90"), paid(id=None, transactionId="ch_1", amount="5.90")],
        [paid(id=None, transactionId=None, amount="5.90"), paid(id=None, transactionId=None, amount="5.90")],
    ],
    ids=["one transaction captured in parts", "no ids", "neither ids nor transactions"],
)
def test_payments_that_look_alike_are_all_posted_once(books: Books, payments: list[dict[str, Any]]) -> None:
    record = order(payments=payments)
    books.run(envelope("order.created", record))
    assert amounts(books) == ["5.90", "5.90"]
    books.run(envelope("order.updated", {**record, "updatedAt": "2026-03-09T00:00:00Z"}))
    assert amounts(books) == ["5.90", "5.90"]


def test_parts_of_one_transaction_that_come_as_events_are_all_posted(books: Books) -> None:
    record = order(payments=[])
    parts = [paid(id=name, amount="5.90", orderId=record["id"], updatedAt=record["updatedAt"]) for name in ("C1", "C2")]
    report = books.run(
        envelope("order.created", record),
        *(envelope("payment.captured", {**part, "transactionId": "t"}) for part in parts),
    )
    assert report.status["held"] == []
    assert amounts(books) == ["5.90", "5.90"]


def test_a_payment_id_that_two_orders_use_is_held_for_the_second(books: Books) -> None:
    first = order(payments=[paid(id="1")])
    second = order(id="20", orderNumber="WEB-20", payments=[paid(id="1", transactionId="ch_other")])
    report = books.run(envelope("order.created", first), envelope("order.created", second))
    assert reasons(report) == {"order:20": "payment-id-reused"}
    assert len(books.table("payment")) == 1


def test_a_customer_of_whom_only_the_id_is_known_is_held(books: Books) -> None:
    report = books.run(envelope("order.created", order(customer=None, customerId="9951", billingAddress=None)))
    assert reasons(report) == {"order:10066": "customer-unknown"}
    assert books.writes() == []


def test_a_second_client_in_another_spelling_is_seen(make_books: Callable[..., Books]) -> None:
    books = make_books(email_search="exact")
    sandbox = books.sandbox
    with FreshBooks(
        base_url=sandbox.freshbooks_url, account_id=sandbox.account_id, tokens=StaticToken(sandbox.access_token)
    ) as client:
        for email in ("pavel.ibarra.40@example.org", "Pavel.Ibarra.40@example.org"):
            client.create("client", {"email": email})
    assert reasons(books.run(envelope("order.created", order()))) == {"order:10066": "several-clients"}


def test_a_refused_rounding_line_leaves_the_draft_and_names_both_totals(make_books: Callable[..., Books]) -> None:
    books = make_books(negative_unit_cost="refuse")
    report = books.run(envelope("order.created", order(total="11.79", payments=[])))
    assert reasons(report) == {"order:10066": "total-differs"}
    assert "11.80 USD" in report.status["held"][0]["reason"]
    assert books.table("invoice")[0]["status"] == 1


def test_a_cancellation_whose_record_says_otherwise_waits_for_a_person(books: Books) -> None:
    report = books.run(envelope("order.cancelled", order()))
    assert reasons(report) == {"order:10066": "event-contradicts-record"}
    assert books.writes() == []


def test_a_payment_that_names_its_order_by_number_finds_it(books: Books) -> None:
    record = order(payments=[])
    payment = paid(orderId=None, orderNumber=record["orderNumber"], updatedAt="2026-03-09T00:00:00Z")
    report = books.run(envelope("order.created", record), envelope("payment.captured", payment))
    assert report.status["held"] == []
    assert amounts(books) == ["11.80"]
