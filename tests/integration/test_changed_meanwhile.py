"""What people and the shop change between two steps of ours: nothing is sent, paid or lost on what was true before."""

from __future__ import annotations

from collections.abc import Callable, Iterator
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
from tests.desk import Desk, desks
from tests.flows import Books, envelope, order, reasons
from tests.reconciling import sale

LATER = "2026-03-09T00:00:00Z"
LESS = {"lines": [{"name": "Agreed by phone", "qty": "1", "unit_cost": {"amount": "5.00", "code": "USD"}}]}


@pytest.fixture
def desk(make_books: Callable[..., Books]) -> Iterator[Desk]:
    with desks(make_books) as found:
        yield found


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


def test_an_order_that_goes_to_another_customer_after_its_invoice_waits_until_the_invoice_does(books: Books) -> None:
    plain = order()
    books.run(envelope("order.created", plain))
    moved = {**plain, "customer": {**plain["customer"], "id": "999", "email": "zoe@example.org"}, "updatedAt": LATER}
    assert reasons(books.run(envelope("order.updated", moved))) == {"order:10066": "customer-changed-after-invoice"}
    (other,) = [row["id"] for row in books.table("client") if row["email"] == "zoe@example.org"]
    by_hand(books, {"customerid": other})
    again = [envelope("order.updated", {**moved, "updatedAt": f"2026-03-1{day}T00:00:00Z"}) for day in (0, 1)]
    assert [reasons(books.run(event)) for event in again] == [{}, {}]


def test_a_guest_who_signs_up_is_no_other_customer(books: Books) -> None:
    plain = order()
    guest = {name: value for name, value in plain["customer"].items() if name != "id"}
    books.run(envelope("order.created", {**plain, "customer": guest}))
    assert reasons(books.run(envelope("order.updated", {**plain, "updatedAt": LATER}))) == {}
    assert len(books.table("client")) == 1


# --- corrections that are booked -------------------------------------------------------------------------------------


def at(day: int) -> str:
    return f"2026-03-{day}T12:00:00-05:00"


@pytest.mark.parametrize(("way", "entity", "undone"), [("credit_note", "credit_note", 1), ("archive", "invoice", 0)])
def test_an_order_that_lives_again_after_it_was_credited_waits_until_that_is_undone(
    desk: Desk, way: str, entity: str, undone: int
) -> None:
    record = {**sale(1, amount="100.00"), "payments": []}
    for change in (record, {**record, "status": "Cancelled", "updatedAt": at(15)}):
        desk.put(change)
        desk.run()
    desk.decide("cancel:1", way)
    assert desk.run() == {}
    desk.put({**record, "status": "Processing", "updatedAt": at(16)})
    assert desk.run() == {"order:1": "correction-taken-back"}
    assert desk.compare().of("invoice", "1").cause == "correction-taken-back"
    cheaper = {**sale(1, amount="80.00"), "payments": []}
    desk.put({**cheaper, "updatedAt": at(17)})
    assert desk.run() == {"order:1": "correction-taken-back"}
    assert set(desk.proposed()) == set()
    desk.person.update(entity, desk.books.table(entity)[0]["id"], {"vis_state": undone})
    desk.put({**record, "updatedAt": at(18)})
    assert desk.run() == {}


def test_a_refund_that_changes_or_fails_after_it_was_booked_is_told(desk: Desk) -> None:
    desk.put(sale(1, amount="100.00"), sale(2, amount="100.00"))
    desk.run()
    for number in (1, 2):
        desk.refund(number, "10.00")
    desk.run()
    desk.decide("refund:r1")
    desk.decide("refund:r2", "lower_payment")
    assert desk.run() == {}
    desk.refund(1, "30.00", updatedAt=at(21))
    desk.refund(2, "10.00", updatedAt=at(21), status="failed")
    assert desk.run() == {"refund:r1": "refund-changed", "refund:r2": "correction-taken-back"}
    assert (desk.credited(), desk.paid(2)) == (["10.00"], "90.00")
    assert desk.compare().of("refund", "r1").cause == "refund-changed"


def test_a_payment_that_counts_again_after_it_was_taken_back_is_told(desk: Desk) -> None:
    record = sale(1, amount="100.00")
    desk.put(record)
    desk.run()
    for day, status in ((12, "failed"), (14, "captured")):
        with desk.books.sandbox.state.lock:
            entry = {**record["payments"][0], "orderId": "1", "status": status, "updatedAt": at(day)}
            desk.books.sandbox.state.clarity.put("payments", entry, silent=True)
        found = desk.run()
        if status == "failed":
            desk.decide("payment:p1")
            assert desk.run() == {}
    assert found == {"payment:p1": "correction-taken-back"}


def test_a_refund_that_a_person_may_have_booked_already_is_not_offered_again(desk: Desk) -> None:
    desk.put(sale(1, amount="100.00"))
    desk.run()
    lowered = {"amount": {"amount": "75.00", "code": "USD"}}
    desk.person.update("payment", desk.books.table("payment")[0]["id"], lowered)
    desk.refund(1, "25.00")
    assert desk.run() == {"refund:r1": "refund-proposed"}
    (proposed,) = desk.proposed().values()
    assert proposed.offered == []
    assert {way["why_not"] for way in proposed.content["ways"]} == {
        "25.00 USD was taken from the payment by hand: it may be this refund"
    }
