"""Refunds, edits and cancellations after the invoice: nothing is written before a person accepts, then once, and the
books agree to the cent."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest

from sync import audit, records
from sync.errors import InputError
from tests import oracle
from tests.desk import Desk, desks
from tests.flows import Books, order
from tests.reconciling import sale

LATER = "2026-03-15T12:00:00-05:00"


@pytest.fixture
def desk(make_books: Callable[..., Books]) -> Iterator[Desk]:
    with desks(make_books) as found:
        yield found


def sold(desk: Desk, *records: dict[str, Any]) -> None:
    desk.put(*(records or (sale(1, amount="100.00"),)))
    assert desk.run() == {}


def taxed(number: int = 1, *, net: str = "100.00", percent: str = "8.25", **changes: Any) -> dict[str, Any]:
    """A sale of one taxed line."""
    tax = (Decimal(net) * Decimal(percent) / 100).quantize(Decimal("0.01"))
    gross = Decimal(net) + tax
    plain = sale(number, amount=net)
    rate = str(Decimal(percent) / 100)
    line = {**plain["lineItems"][0], "taxAmount": str(tax), "taxLines": [{"name": "Tax", "rate": rate}]}
    paid = [{**plain["payments"][0], "amount": str(gross)}]
    taxes = {"taxTotal": str(tax), "taxLines": [{"name": "Tax", "rate": rate, "amount": str(tax)}]}
    return {**plain, "lineItems": [line], "total": str(gross), "payments": paid, **taxes, **changes}


# --- refunds ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("way", "credited", "paid"), [(None, ["30.00"], "100.00"), ("lower_payment", [], "70.00")])
def test_a_partial_refund_is_written_once_it_is_accepted(
    desk: Desk, way: str | None, credited: list[str], paid: str
) -> None:
    sold(desk)
    desk.refund(1, "30.00")
    assert desk.run() == {"refund:r1": "refund-proposed"}
    assert desk.corrected() == []
    found = desk.compare()
    assert found.of("refund", "r1").cause == "held: refund-proposed"
    assert "mapper-sync proposals show refund:r1" in found.of("refund", "r1").detail
    desk.decide("refund:r1", way)
    assert desk.corrected() == []
    assert desk.run() == {}
    assert (desk.credited(), desk.paid(1)) == (credited, paid)
    assert desk.agrees()
    desk.run()
    assert len(desk.corrected()) == 1


def test_several_refunds_in_different_ways_go_up_to_what_was_paid(desk: Desk) -> None:
    sold(desk)
    for number, amount in enumerate(("30.00", "20.00", "50.00"), start=1):
        desk.refund(1, amount, id=f"r{number}")
    desk.run()
    desk.decide("refund:r1", "lower_payment")
    desk.decide("refund:r2")
    desk.decide("refund:r3", "lower_payment")
    assert desk.run() == {}
    assert (desk.credited(), desk.paid(1)) == (["20.00"], "20.00")
    assert desk.agrees()
    desk.refund(1, "0.01", id="r4")
    assert desk.run() == {"refund:r4": "refund-beyond-paid"}
    assert len(desk.corrected()) == 3


@pytest.mark.parametrize(("way", "credited"), [("credit_note", ["108.25"]), ("lower_payment", [])])
def test_a_full_refund_of_a_taxed_sale_takes_its_taxes_back_and_settles_the_order(
    desk: Desk, way: str, credited: list[str]
) -> None:
    record = taxed()
    sold(desk, record)
    desk.refund(1, "108.25", taxAmount="8.25")
    desk.put({**record, "status": "Refunded", "paymentStatus": "refunded", "updatedAt": LATER})
    assert set(desk.run().values()) == {"refund-proposed", "refunded-after-invoice"}
    desk.decide("r1", way)
    assert desk.run() == {}
    assert desk.credited() == credited
    if credited:
        (line,) = desk.books.table("credit_note")[0]["lines"]
        assert (line["taxName1"], Decimal(line["taxAmount1"])) == ("Tax", Decimal("8.25"))
    else:
        assert desk.payment(1)["vis_state"] == 1
    assert desk.agrees()
    with desk.books.sandbox.state.lock:
        entry = {**record["payments"][0], "orderId": "1", "status": "refunded", "updatedAt": LATER}
        desk.books.sandbox.state.clarity.put("payments", entry, silent=True)
    assert desk.run() == {}
    assert desk.agrees()


def test_a_refund_s_parts_bear_the_taxes_of_the_lines_they_pay_back(desk: Desk) -> None:
    record = order("two-taxes")
    sold(desk, record)
    invoice = desk.books.table("invoice")[0]
    mixes = {(line["taxName1"], line["taxName2"]) for line in invoice["lines"]}
    gross = oracle.expected_total(record)
    desk.refund(1, str(gross), id="whole", orderId=record["id"], currency=oracle.currency(record))
    desk.run()
    desk.decide("refund:whole", "credit_note")
    assert desk.run() == {}
    (credit,) = desk.books.table("credit_note")
    assert Decimal(credit["amount"]["amount"]) == gross
    assert {(line["taxName1"], line["taxName2"]) for line in credit["lines"]} == mixes


def test_a_refund_that_does_not_say_its_tax_is_not_credited_by_guess(desk: Desk) -> None:
    record = taxed()
    untaxed = {**record["lineItems"][0], "id": "2", "taxAmount": "0.00", "taxLines": []}
    total = str(Decimal(record["total"]) + 100)
    paid = [{**record["payments"][0], "amount": total}]
    sold(
        desk,
        {
            **record,
            "lineItems": [*record["lineItems"], untaxed],
            "subtotal": "200.00",
            "total": total,
            "payments": paid,
        },
    )
    desk.refund(1, "10.00")
    desk.run()
    (proposal,) = desk.proposed().values()
    assert proposal.offered == ["lower_payment"]
    with pytest.raises(InputError, match="does not say its tax"):
        desk.decide("refund:r1", "credit_note")


def test_a_refund_before_its_payment_waits_and_is_proposed_by_itself(desk: Desk) -> None:
    record = sale(1, amount="100.00", payments=[])
    sold(desk, record)
    desk.refund(1, "40.00", paymentId="p1")
    desk.run()
    assert desk.proposed() == {}
    desk.put(sale(1, amount="100.00", updatedAt=LATER))
    assert desk.run() == {"refund:r1": "refund-proposed"}
    desk.decide("refund:r1")
    assert desk.run() == {}
    assert desk.agrees()


def test_one_refund_as_an_event_and_inside_its_order_is_one(desk: Desk) -> None:
    sold(desk)
    refund = desk.refund(1, "25.00", transactionId="re_1")
    inside = {name: value for name, value in refund.items() if name not in ("orderId", "updatedAt")}
    nameless = {name: value for name, value in inside.items() if name != "id"}
    desk.put(sale(1, amount="100.00", refunds=[inside], updatedAt=LATER))
    assert desk.run() == {"refund:r1": "refund-proposed", "order:1": "refund-proposed"}
    assert set(desk.proposed()) == {"refund:r1"}
    desk.decide("refund:r1")
    assert desk.run() == {}
    desk.put(sale(1, amount="100.00", refunds=[nameless], updatedAt="2026-03-16T12:00:00-05:00"))
    assert desk.run() == {}
    assert desk.credited() == ["25.00"]
    assert desk.agrees()


def test_a_refund_that_only_its_order_lists_is_proposed(desk: Desk) -> None:
    sold(desk)
    desk.put(sale(1, amount="100.00", refunds=[{"amount": "5.00", "createdAt": LATER}], updatedAt=LATER))
    assert desk.run() == {"order:1": "refund-proposed"}
    desk.decide("order:1")
    assert desk.run() == {}
    assert desk.credited() == ["5.00"]


def test_a_refund_in_another_currency_is_held(desk: Desk) -> None:
    sold(desk)
    desk.refund(1, "30.00", currency="EUR")
    assert desk.run() == {"refund:r1": "refund-currency"}
    assert desk.proposed() == {}


def test_a_refund_of_an_order_that_was_never_invoiced_is_left_out(desk: Desk) -> None:
    desk.put(sale(1, status="Refunded", payments=[]))
    desk.refund(1, "20.00")
    held = desk.run()
    assert held == {"order:1": "refunded"}
    assert desk.corrected() == []


def test_a_payment_that_failed_after_it_was_posted_is_taken_back_once_accepted(desk: Desk) -> None:
    record = sale(1, amount="100.00")
    sold(desk, record)
    with desk.books.sandbox.state.lock:
        entry = {**record["payments"][0], "orderId": "1", "status": "voided", "updatedAt": LATER}
        desk.books.sandbox.state.clarity.put("payments", entry, silent=True)
    assert desk.run() == {"payment:p1": "refund-proposed"}
    assert desk.paid(1) == "100.00"
    desk.decide("payment:p1")
    assert desk.run() == {}
    assert desk.paid(1) == "0.00"


@pytest.mark.parametrize("status", ["authorized", "failed", "voided"])
def test_what_never_was_money_is_neither_posted_nor_proposed(desk: Desk, status: str) -> None:
    plain = sale(1, amount="100.00")
    sold(desk, {**plain, "payments": [{**plain["payments"][0], "status": status}]})
    assert desk.books.table("payment") == []
    assert desk.proposed(None) == {}


# --- edits -----------------------------------------------------------------------------------------------------------


def edited(amount: str, *, paid: str | None = "100.00") -> dict[str, Any]:
    record = sale(1, amount=amount, updatedAt=LATER)
    return {**record, "payments": [{**record["payments"][0], "amount": paid}] if paid else []}


@pytest.mark.parametrize(
    ("paid", "amount", "way", "total", "credited"),
    [
        ("100.00", "130.00", "change_invoice", "130.00", []),
        (None, "80.00", "change_invoice", "80.00", []),
        (None, "80.00", "credit_note", "100.00", ["20.00"]),
    ],
)
def test_an_edited_order_is_brought_into_the_books_as_accepted(
    desk: Desk, paid: str | None, amount: str, way: str, total: str, credited: list[str]
) -> None:
    sold(desk, {**edited("100.00", paid=paid), "updatedAt": "2026-03-11T12:00:00-05:00"})
    desk.put(edited(amount, paid=paid))
    assert desk.run() == {"order:1": "edited-after-invoice"}
    assert desk.corrected() == []
    assert not desk.agrees()
    desk.decide("order:1", way)
    assert desk.run() == {}
    assert (desk.invoice(1)["amount"]["amount"], desk.credited()) == (total, credited)
    assert desk.agrees()
    desk.run()
    assert len(desk.corrected()) == 1


def test_what_is_captured_for_an_accepted_edit_is_paid_then(desk: Desk) -> None:
    sold(desk)
    record = edited("130.00")
    more = {**record["payments"][0], "id": "p1b", "transactionId": "ch_1b", "amount": "30.00"}
    desk.put({**record, "payments": [*record["payments"], more]})
    desk.run()
    assert desk.paid(1) == "100.00"
    desk.decide("order:1")
    assert desk.run() == {}
    assert desk.paid(1) == "130.00"
    assert desk.agrees()


def test_edits_one_after_the_other_are_credited_one_after_the_other(desk: Desk) -> None:
    sold(desk, edited("100.00", paid=None) | {"updatedAt": "2026-03-11T12:00:00-05:00"})
    for day, amount in ((15, "80.00"), (16, "100.00"), (17, "80.00"), (18, "75.00")):
        desk.put({**edited(amount, paid=None), "updatedAt": f"2026-03-{day}T12:00:00-05:00"})
        held = desk.run()
        if held:
            (proposal,) = desk.proposed().values()
            if proposal.offered:
                desk.decide(proposal.name, "credit_note")
                assert desk.run() == {}
    assert desk.credited() == ["20.00", "5.00"]
    assert desk.agrees()


def test_another_tax_is_credited_where_one_credit_note_can_say_it(desk: Desk) -> None:
    sold(desk, taxed(payments=[]))
    desk.put(taxed(percent="0", payments=[], updatedAt=LATER))
    desk.run()
    (proposal,) = desk.proposed().values()
    why_not = {way["name"]: way.get("why_not", "") for way in proposal.content["ways"]}
    assert "less and in another more" in why_not["credit_note"]
    desk.decide("order:1", "change_invoice")
    assert desk.run() == {}
    assert desk.invoice(1)["amount"]["amount"] == "100.00"
    assert desk.agrees()


def test_a_refused_edit_comes_back_when_the_record_says_something_else(desk: Desk) -> None:
    sold(desk, edited("100.00", paid=None) | {"updatedAt": "2026-03-11T12:00:00-05:00"})
    desk.put(edited("80.00", paid=None))
    desk.run()
    desk.refuse("order:1", "a mistake of the shop")
    assert desk.run() == {}
    desk.put({**edited("80.00", paid=None), "updatedAt": "2026-03-16T12:00:00-05:00"})
    assert desk.run() == {}
    with desk.opened() as store:
        (deed,) = [one for one in audit.deeds(store) if one.what == "refuse-proposal"]
    assert (deed.who, deed.detail) == ("ana", "edit:1-1: a mistake of the shop")
    found = desk.compare().of("invoice", "1")
    assert found.status == "different"
    assert "was refused" in found.detail
    desk.put({**edited("70.00", paid=None), "updatedAt": "2026-03-17T12:00:00-05:00"})
    assert desk.run() == {"order:1": "edited-after-invoice"}
    assert desk.corrected() == []


# --- cancellations ---------------------------------------------------------------------------------------------------


def cancelled(record: dict[str, Any]) -> dict[str, Any]:
    return {**record, "status": "Cancelled", "updatedAt": LATER}


def test_an_order_cancelled_before_its_invoice_writes_nothing(desk: Desk) -> None:
    desk.put(cancelled(sale(1, payments=[])))
    desk.run()
    assert desk.books.writes() == []
    assert desk.proposed(None) == {}


@pytest.mark.parametrize(("way", "credited", "state"), [(None, ["100.00"], 0), ("archive", [], 2)])
def test_an_unpaid_order_that_is_cancelled_is_credited_or_archived(
    desk: Desk, way: str | None, credited: list[str], state: int
) -> None:
    record = sale(1, amount="100.00", payments=[])
    sold(desk, record)
    desk.put(cancelled(record))
    assert desk.run() == {"order:1": "cancelled-after-invoice"}
    assert "mapper-sync proposals show cancel:1" in desk.compare().of("invoice", "1").detail
    desk.decide("cancel:1", way)
    assert desk.run() == {}
    assert (desk.credited(), desk.invoice(1)["vis_state"]) == (credited, state)
    assert desk.agrees()


def test_a_paid_order_that_is_cancelled_is_credited_and_its_refund_pays_that_back(desk: Desk) -> None:
    record = sale(1, amount="100.00")
    sold(desk, record)
    desk.put(cancelled(record))
    desk.run()
    desk.decide("cancel:1")
    assert desk.run() == {}
    desk.refund(1, "100.00")
    desk.run()
    (proposal,) = desk.proposed().values()
    assert proposal.offered == ["lower_payment"]
    desk.decide("refund:r1")
    assert desk.run() == {}
    assert (desk.credited(), desk.paid(1)) == (["100.00"], "0.00")
    assert desk.agrees()


def test_a_draft_of_a_cancelled_order_can_only_be_archived(make_books: Callable[..., Books]) -> None:
    with desks(make_books, unit_cost_places=0) as desk:  # the draft does not come to the order's total: not sent
        record = sale(1, amount="10.45", payments=[])
        desk.put(record)
        assert desk.run() == {"order:1": "total-differs"}
        desk.put(cancelled(record))
        assert desk.run() == {"order:1": "cancelled-after-invoice"}
        (proposal,) = desk.proposed().values()
        assert proposal.offered == ["archive"]
        desk.decide("cancel:1")
        assert desk.run() == {}
        assert desk.invoice(1)["vis_state"] == 2
        assert desk.credited() == []


# --- more was paid than is due ---------------------------------------------------------------------------------------


def overpaid(amount: str = "100.00", more: str = "30.00", **changes: Any) -> dict[str, Any]:
    """A sale with a second payment that nothing is due for."""
    record = sale(1, amount=amount, updatedAt=LATER)
    first = {**record["payments"][0], "amount": "100.00"}
    second = {**first, "id": "p1b", "transactionId": "ch_1b", "amount": more}
    return {**record, "payments": [first, second], **changes}


def test_what_was_paid_too_much_is_held_and_posted_once_an_edit_makes_it_due(desk: Desk) -> None:
    sold(desk)
    desk.put(overpaid())
    assert set(desk.run().values()) == {"overpaid"}
    assert (desk.paid(1), desk.proposed(None)) == ("100.00", {})
    desk.put({**overpaid("130.00"), "updatedAt": "2026-03-16T12:00:00-05:00"})
    assert desk.run()["order:1"] == "edited-after-invoice"
    assert desk.paid(1) == "100.00"
    desk.decide("order:1", "change_invoice")
    assert desk.run() == {}
    assert (desk.invoice(1)["amount"]["amount"], desk.paid(1)) == ("130.00", "130.00")
    assert desk.agrees()


def test_an_edit_below_what_was_paid_is_credited_and_its_refund_pays_that_back(desk: Desk) -> None:
    sold(desk)
    desk.put(edited("80.00"))
    assert desk.run() == {"order:1": "edited-after-invoice"}
    (proposal,) = desk.proposed().values()
    assert proposal.offered == ["credit_note"]  # the invoice cannot come to less than was paid
    assert desk.corrected() == []
    assert desk.compare().of("invoice", "1").cause == "edited-after-invoice"
    desk.decide("order:1")
    assert desk.run() == {}
    assert (desk.credited(), desk.paid(1)) == (["20.00"], "100.00")
    assert desk.agrees()
    desk.refund(1, "20.00")
    desk.run()
    (proposal,) = desk.proposed().values()
    assert proposal.offered == ["lower_payment"]
    desk.decide("refund:r1")
    assert desk.run() == {}
    assert (desk.credited(), desk.paid(1)) == (["20.00"], "80.00")
    assert desk.agrees()


def test_an_edit_below_what_was_paid_that_is_refused_stays_as_it_was(desk: Desk) -> None:
    sold(desk)
    desk.put(edited("80.00"))
    desk.run()
    desk.refuse("order:1")
    assert desk.run() == {}
    assert (desk.corrected(), desk.paid(1)) == ([], "100.00")


def test_an_order_held_for_more_than_its_payments_says_that_its_invoice_stands(desk: Desk) -> None:
    sold(desk)
    record = edited("80.00")
    desk.put({**record, "payments": [{**record["payments"][0], "currency": "EUR"}], "currency": "USD"})
    assert desk.run()["order:1"] == "payment-currency"
    told = next(line for line in desk.report.status["held"] if line["entity"] == "order")
    assert "was sent over 100.00 USD and the order comes to 80.00 now: no correction is proposed" in told["reason"]
    assert (desk.proposed(None), desk.corrected()) == ({}, [])


def test_a_refund_of_what_was_paid_too_much_takes_nothing_from_the_payment_that_was_due(desk: Desk) -> None:
    sold(desk)
    desk.put(overpaid())
    desk.refund(1, "30.00", paymentId="p1b", updatedAt="2026-03-20T09:00:00-05:00")
    held = desk.run()
    assert "overpaid" in held.values()
    assert desk.proposed() == {}
    assert (desk.paid(1), desk.credited()) == ("100.00", [])


# --- an order that is split ------------------------------------------------------------------------------------------


def test_an_order_that_is_split_is_corrected_and_its_new_part_invoiced(desk: Desk) -> None:
    sold(desk, sale(1, amount="100.00", payments=[]))
    desk.put(sale(1, amount="60.00", payments=[], updatedAt=LATER), sale(2, amount="40.00", at=LATER, payments=[]))
    assert desk.run() == {"order:1": "edited-after-invoice"}
    assert desk.invoice(2)["amount"]["amount"] == "40.00"
    desk.decide("order:1", "credit_note")
    assert desk.run() == {}
    assert (desk.invoice(1)["amount"]["amount"], desk.credited()) == ("100.00", ["40.00"])
    assert desk.agrees()


def test_a_payment_that_moves_to_the_new_part_is_not_posted_twice(desk: Desk) -> None:
    sold(desk)
    part = sale(1, amount="60.00", updatedAt=LATER)
    kept = {**part["payments"][0], "amount": "60.00"}
    moved = {**kept, "amount": "40.00"}
    desk.put({**part, "payments": [kept]})
    rest = sale(2, amount="40.00", at=LATER)
    with desk.books.sandbox.state.lock:
        desk.books.sandbox.state.clarity.put("orders", {**rest, "payments": [moved]}, silent=True)
    held = desk.run()
    assert held["order:1"] == "edited-after-invoice"
    assert sum(Decimal(row["amount"]["amount"]) for row in desk.books.table("payment")) == Decimal("100.00")
    assert "order:2" in held


# --- what changes meanwhile ------------------------------------------------------------------------------------------


def test_a_changed_invoice_makes_accepting_fail_and_a_fresh_proposal(desk: Desk) -> None:
    sold(desk)
    desk.refund(1, "30.00")
    desk.run()
    line = [{"name": "x", "qty": "1", "unit_cost": {"amount": "120.00", "code": "USD"}}]
    desk.person.update("invoice", desk.invoice(1)["id"], {"lines": line})
    with pytest.raises(InputError, match=r"invoice WEB-1 has changed in FreshBooks since this was proposed"):
        desk.decide("refund:r1")
    assert desk.run() == {"refund:r1": "refund-proposed"}
    assert desk.proposed()["refund:r1"].content["invoice"]["invoice"] == "120.00"
    desk.decide("refund:r1", "lower_payment")
    assert desk.run() == {}


def test_what_is_accepted_without_a_look_is_looked_at_before_it_is_written(desk: Desk) -> None:
    sold(desk)
    desk.refund(1, "30.00")
    desk.run()
    desk.person.update("payment", desk.payment(1)["id"], {"amount": {"amount": "90.00", "code": "USD"}})
    desk.decide("refund:r1", "lower_payment", looks=False)
    assert desk.run() == {"refund:r1": "refund-proposed"}
    assert desk.paid(1) == "90.00"
    assert set(desk.proposed()) == {"refund:r1"}


def test_a_changed_record_makes_accepting_fail(desk: Desk) -> None:
    sold(desk)
    desk.refund(1, "30.00")
    desk.run()
    desk.refund(1, "35.00", updatedAt="2026-03-21T09:00:00-05:00")
    with desk.opened() as store:
        changed = desk.refund(1, "35.00", updatedAt="2026-03-21T09:00:00-05:00")
        records.remember(store, "refund", "r1", changed, updated=changed["updatedAt"], now=2.0)
    with pytest.raises(InputError, match="refund:r1 has changed since this was proposed"):
        desk.decide("refund:r1")
    assert desk.run() == {"refund:r1": "refund-proposed"}
    desk.decide("refund:r1")
    assert desk.run() == {}
    assert desk.credited() == ["35.00"]


def test_a_dry_run_shows_what_was_accepted_and_writes_nothing(desk: Desk) -> None:
    sold(desk)
    desk.refund(1, "30.00")
    desk.run()
    desk.decide("refund:r1")
    desk.run(dry_run=True)
    assert [(row["method"], row["entity"]) for row in desk.report.planned] == [("POST", "credit_note")]
    assert desk.corrected() == []
