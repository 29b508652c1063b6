"""What people and the shop change between two steps of ours: nothing is sent, paid or lost on what was true before."""

from __future__ import annotations

from contextlib import closing
from datetime import date
from typing import Any

import pytest

from connectors import FreshBooks, StaticToken
from connectors.sandbox.faults import ScriptedFault
from sync import ledger
from sync.runner import run
from sync.settings import Policies
from sync.store import open_store
from tests.flows import Books, envelope, order, reasons

LATER = "2026-03-09T00:00:00Z"
LESS = {"lines": [{"name": "Agreed by phone", "qty": "1", "unit_cost": {"amount": "5.00", "code": "USD"}}]}


def by_hand(books: Books, body: dict[str, Any], *, entity: str = "invoice") -> None:
    """What a person does to the one invoice, or payment."""
    sandbox, (row,) = books.sandbox, books.table(entity)
    tokens = StaticToken(sandbox.access_token)
    with FreshBooks(base_url=sandbox.freshbooks_url, account_id=sandbox.account_id, tokens=tokens) as freshbooks:
        freshbooks.update(entity, row["id"], body)


def left_as_draft(books: Books, record: dict[str, Any]) -> None:
    """An invoice that agrees and cannot be sent for the time being."""
    faults = books.sandbox.state.faults
    faults.script(ScriptedFault("server_error", system="freshbooks", method="PUT", path="invoices", times=50))
    run(books.settings, books.mappings, events=books.file([envelope("order.created", record)]), max_wait_s=0.3)
    faults.reset()
    assert [(row["status"], row["amount"]["amount"]) for row in books.table("invoice")] == [(1, "11.80")]


# --- drafts ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("body", "reason"), [(LESS, "total-differs"), ({"vis_state": 1}, "invoice-deleted")])
def test_a_draft_that_somebody_changed_before_it_was_sent_is_neither_sent_nor_paid(
    books: Books, body: dict[str, Any], reason: str
) -> None:
    left_as_draft(books, order())
    by_hand(books, body)
    report = books.run(envelope("order.updated", order(updatedAt=LATER)))
    assert reasons(report) == {"order:10066": reason}
    assert [row["status"] for row in books.table("invoice")] == [1]
    assert (books.table("payment"), books.table("credit_note")) == ([], [])


@pytest.mark.parametrize(("action", "changes"), [("hold", {}), ("today", {}), ("today", {"poNumber": "PO-9"})])
def test_a_draft_whose_period_was_closed_meanwhile_is_not_sent_into_it(
    books: Books, action: Any, changes: dict[str, Any]
) -> None:
    left_as_draft(books, order(payments=[]))
    books.policies = Policies(lock_date=date(2026, 4, 1), lock_date_action=action)
    report = books.run(envelope("order.updated", order(payments=[], updatedAt=LATER, **changes)))
    (invoice,) = books.table("invoice")
    if action == "hold":
        assert reasons(report) == {"order:10066": "closed-period"}
        assert invoice["status"] == 1
    else:
        assert reasons(report) == {}
        assert invoice["status"] == 2
        assert invoice["create_date"] >= "2026-04-01"


# --- payments --------------------------------------------------------------------------------------------------------


def captured(**changes: Any) -> dict[str, Any]:
    """The plain order's payment as an event of its own."""
    return envelope("payment.captured", {**order()["payments"][0], "orderId": "10066", "updatedAt": LATER, **changes})


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (LESS, "overpaid"),
        ({"vis_state": 1}, "invoice-deleted"),
        (
            {
                "currency_code": "EUR",
                "lines": [{"name": "x", "qty": "1", "unit_cost": {"amount": "20", "code": "EUR"}}],
            },
            "payment-currency",
        ),
    ],
)
def test_a_payment_is_measured_by_the_invoice_as_it_is_now(books: Books, body: dict[str, Any], reason: str) -> None:
    books.run(envelope("order.created", order(payments=[])))
    by_hand(books, body)
    assert reasons(books.run(captured())) == {"payment:9061": reason}
    assert (books.table("payment"), books.table("credit_note")) == ([], [])


def test_a_payment_whose_amount_changes_after_it_was_posted_is_told_until_it_is_put_right(books: Books) -> None:
    part = {**order()["payments"][0], "amount": "5.00"}
    books.run(envelope("order.created", order(payments=[part])))
    assert reasons(books.run(envelope("order.updated", order(updatedAt=LATER)))) == {"order:10066": "payment-changed"}
    assert reasons(books.run(captured()))["payment:9061"] == "payment-changed"
    (payment,) = books.table("payment")
    assert payment["amount"]["amount"] == "5.00"
    by_hand(books, {"amount": {"amount": "11.80", "code": "USD"}}, entity="payment")
    report = books.run(
        envelope("order.updated", order(updatedAt="2026-03-10T00:00:00Z")), captured(updatedAt="2026-03-10")
    )
    assert reasons(report) == {}


def test_payments_without_ids_that_change_places_are_told_and_none_is_posted_twice(books: Books) -> None:
    plain = order()["payments"][0]
    one, two, five = ({**plain, "id": None, "transactionId": None, "amount": f"{n}.00"} for n in (1, 2, 5))
    books.run(envelope("order.created", order(payments=[one, two])))
    report = books.run(envelope("order.updated", order(payments=[five, one, two], updatedAt=LATER)))
    assert reasons(report) == {"order:10066": "payment-changed"}
    assert [row["amount"]["amount"] for row in books.table("payment")] == ["1.00", "2.00"]


def test_client_credit_that_came_of_a_payment_is_told_again_by_every_event_of_its_order(books: Books) -> None:
    books.run(envelope("order.created", order(payments=[])))
    books.run(captured())
    with closing(open_store(books.settings.store_url)) as store:
        entry = ledger.get(store, "clarity:payment:9061")
        assert entry is not None
        ledger.confirm(store, entry.key, remote_id=str(entry.remote_id), detail={**entry.detail, "credit": "8"}, now=1)
    with books.sandbox.state.lock:
        books.sandbox.state.freshbooks.tables["payment"][int(str(entry.remote_id))]["overpaymentid"] = 8
    report = books.run(envelope("order.updated", order(updatedAt=LATER, status="Shipped")))
    assert reasons(report) == {"order:10066": "overpayment-credit"}


# --- records that look like another one ------------------------------------------------------------------------------


def test_an_invoice_of_another_order_is_not_taken_over_with_its_number(books: Books) -> None:
    unpaid = order(payments=[])
    books.run(envelope("order.created", unpaid))
    report = books.run(envelope("order.created", {**unpaid, "id": "77", "updatedAt": LATER}))
    assert reasons(report) == {"order:77": "number-taken"}
    assert len(books.table("invoice")) == 1


def test_ids_that_differ_in_their_case_alone_are_no_one_order(books: Books) -> None:
    first, second = (order(id=name, orderNumber=f"WEB-{name}", payments=[]) for name in ("aB1", "Ab1"))
    books.run(envelope("order.created", first))
    assert reasons(books.run(envelope("order.created", second))) == {"order:Ab1": "order-id-reused"}
    assert [row["invoice_number"] for row in books.table("invoice")] == ["WEB-aB1"]


def test_addresses_that_only_look_alike_are_two_customers(books: Books) -> None:
    guests = [
        order(id=name, orderNumber=f"WEB-{name}", payments=[], customer={"email": f"info@{name}.example"})
        for name in ("gross", "groß")
    ]
    for guest in guests:
        books.run(envelope("order.created", guest))
    assert sorted(row["email"] for row in books.table("client")) == ["info@gross.example", "info@groß.example"]
    assert len({row["customerid"] for row in books.table("invoice")}) == 2
