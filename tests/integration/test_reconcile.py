"""Both systems' books side by side, after a run and after somebody has tampered with either of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from connectors.sandbox import generator
from sync import ledger
from sync.reconcile import books as reading
from sync.reconcile.period import Period
from sync.settings import Policies
from sync.store import open_store
from tests import oracle
from tests.flows import Books
from tests.reconciling import APRIL, MARCH, Shop, opening, sale

ZERO, TWENTY = Decimal(0), Decimal(20)


@pytest.fixture
def make_shop(make_books: Callable[..., Books]) -> Iterator[Callable[..., Shop]]:
    """Makes an empty shop."""
    with opening(make_books) as make:
        yield make


@pytest.fixture
def shop(make_shop: Callable[..., Shop]) -> Shop:
    """Three sales in March, posted."""
    found = make_shop()
    found.put(sale(1), sale(2), sale(3, amount="30.00", currency="EUR"))
    found.books.run()
    assert found.compare().differing == set()
    return found


def lines(amount: str, currency: str = "USD") -> list[dict[str, Any]]:
    return [{"name": "Changed", "qty": "1", "unit_cost": {"amount": amount, "code": currency}}]


def invoice_raised(shop: Shop, number: int = 1) -> None:
    shop.person.update("invoice", shop.invoice(number)["id"], {"lines": lines("25.00")})


def invoice_deleted(shop: Shop, number: int = 1) -> None:
    shop.person.delete("payment", shop.payment(number)["id"])
    shop.person.delete("invoice", shop.invoice(number)["id"])


def invoice_taken_back(shop: Shop, number: int = 1) -> None:
    shop.person.delete("payment", shop.payment(number)["id"])
    shop.person.update("invoice", shop.invoice(number)["id"], {"status": 1})


def invoice_in_another_currency(shop: Shop, number: int = 1) -> None:
    shop.person.delete("payment", shop.payment(number)["id"])
    change = {"currency_code": "GBP", "lines": lines("20.00", "GBP")}
    shop.person.update("invoice", shop.invoice(number)["id"], change)


def invoice_by_hand(shop: Shop, number: int = 1) -> None:
    body = {"customerid": shop.invoice(number)["customerid"], "create_date": "2026-03-12", "currency_code": "USD"}
    made = shop.person.create("invoice", {**body, "invoice_number": "HAND-1", "lines": lines("99.00")})
    shop.person.mark_invoice_sent(made["id"])


def invoice_for_another_client(shop: Shop, number: int = 1) -> None:
    shop.person.update("invoice", shop.invoice(number)["id"], {"customerid": shop.invoice(99)["customerid"]})


def invoice_dated_in_april(shop: Shop, number: int = 1) -> None:
    shop.person.update("invoice", shop.invoice(number)["id"], {"create_date": "2026-04-02"})


def client_deleted(shop: Shop, number: int = 1) -> None:
    shop.person.delete("client", shop.invoice(number)["customerid"])


def payment_by_hand(shop: Shop, number: int = 1) -> None:
    amount = {"amount": "5.00", "code": "USD"}
    body = {"invoiceid": shop.invoice(number)["id"], "amount": amount, "date": "2026-03-11", "type": "Cash"}
    shop.person.update("invoice", shop.invoice(number)["id"], {"lines": lines("25.00")})
    shop.person.create("payment", body)


def payment_too_much(shop: Shop, number: int = 1) -> None:
    amount = {"amount": "20.00", "code": "USD"}
    body = {"invoiceid": shop.invoice(number)["id"], "amount": amount, "date": "2026-03-11", "type": "PayPal"}
    shop.person.create("payment", body)


def payment_deleted(shop: Shop, number: int = 1) -> None:
    shop.person.delete("payment", shop.payment(number)["id"])


def payment_lowered(shop: Shop, number: int = 1) -> None:
    shop.person.update("payment", shop.payment(number)["id"], {"amount": {"amount": "12.00", "code": "USD"}})


def payment_dated_otherwise(shop: Shop, number: int = 1) -> None:
    shop.person.update("payment", shop.payment(number)["id"], {"date": "2026-03-14"})


def order_raised(shop: Shop, number: int = 1) -> None:
    plain = sale(number)
    shop.put(sale(number, amount="26.00", payments=plain["payments"], updatedAt="2026-03-15T12:00:00-05:00"))


def order_deleted(shop: Shop, number: int = 1) -> None:
    with shop.books.sandbox.state.lock:
        del shop.books.sandbox.state.clarity.lists["orders"][str(number)]
        del shop.books.sandbox.state.clarity.lists["payments"][f"p{number}"]


def order_cancelled(shop: Shop, number: int = 1) -> None:
    payments = [{**sale(number)["payments"][0], "status": "voided"}]
    shop.put(sale(number, status="Cancelled", payments=payments, updatedAt="2026-03-15T12:00:00-05:00"))


def order_refunded(shop: Shop, number: int = 1) -> None:
    shop.put_refund(number, "8.00")


TAMPERED: list[tuple[Callable[[Shop, int], None], list[tuple[str, str, str, str, str]]]] = [
    (invoice_raised, [("invoice", "{n}", "different", "total", "changed-in-freshbooks")]),
    (
        invoice_deleted,
        [
            ("invoice", "{n}", "missing", "", "deleted-in-freshbooks"),
            ("payment", "p{n}", "missing", "", "order: deleted-in-freshbooks"),
        ],
    ),
    (
        invoice_taken_back,
        [
            ("invoice", "{n}", "missing", "", "draft-not-sent"),
            ("payment", "p{n}", "missing", "", "order: draft-not-sent"),
        ],
    ),
    (
        invoice_in_another_currency,
        [
            ("invoice", "{n}", "different", "currency", "changed-in-freshbooks"),
            ("payment", "p{n}", "missing", "", "deleted-in-freshbooks"),
        ],
    ),
    (invoice_by_hand, [("invoice", "{hand}", "extra", "", "made-by-hand")]),
    (invoice_for_another_client, [("invoice", "{n}", "different", "client", "changed-in-freshbooks")]),
    (invoice_dated_in_april, [("invoice", "{n}", "different", "date", "changed-in-freshbooks")]),
    (client_deleted, [("invoice", "{n}", "different", "client", "client-deleted")]),
    (
        payment_by_hand,
        [
            ("invoice", "{n}", "different", "total paid", "changed-in-freshbooks"),
            ("payment", "{cash}", "extra", "", "entered-by-hand"),
        ],
    ),
    (payment_too_much, [("payment", "{paypal}", "extra", "", "overpayment-credit")]),
    (
        payment_deleted,
        [
            ("invoice", "{n}", "different", "paid", "payment: deleted-in-freshbooks"),
            ("payment", "p{n}", "missing", "", "deleted-in-freshbooks"),
        ],
    ),
    (
        payment_lowered,
        [
            ("invoice", "{n}", "different", "paid", "payment: changed-in-freshbooks"),
            ("payment", "p{n}", "different", "amount", "changed-in-freshbooks"),
        ],
    ),
    (payment_dated_otherwise, [("payment", "p{n}", "different", "date", "changed-in-freshbooks")]),
    (order_raised, [("invoice", "{n}", "different", "total", "edited-after-invoice")]),
    (
        order_deleted,
        [("invoice", "{invoice}", "extra", "", "order-gone"), ("payment", "{payment}", "extra", "", "payment-gone")],
    ),
    (
        order_cancelled,
        [
            ("invoice", "{n}", "extra", "", "cancelled-after-invoice"),
            ("payment", "p{n}", "extra", "", "not-money-yet-after-payment"),
        ],
    ),
    (order_refunded, [("refund", "r{n}", "missing", "", "refund-not-booked")]),
]


def test_what_was_tampered_with_is_named_and_nothing_else(make_shop: Callable[..., Shop]) -> None:
    """Every tampering has an order of its own, and its neighbours have to stay in agreement."""
    shop = make_shop()
    shop.put(*(sale(number) for number in range(1, len(TAMPERED) + 1)), sale(98), sale(99))
    shop.books.run()
    assert shop.compare().exit_code == 0
    shop.put(sale(97))
    store = open_store(shop.books.settings.store_url)
    key = "clarity:invoice:96"
    ledger.open_intent(store, key, entity="invoice", record_key="order:96", phase="created", total=TWENTY, now=1.0)
    store.close()
    shop.put(sale(96, payments=[]))
    expected = {
        ("invoice", "97", "missing", "", "never-taken"),
        ("payment", "p97", "missing", "", "order: never-taken"),
        ("invoice", "96", "missing", "", "in-doubt"),
    }
    for number, (tamper, found) in enumerate(TAMPERED, start=1):
        names = {"n": str(number), "invoice": shop.invoice(number)["id"], "payment": shop.payment(number)["id"]}
        tamper(shop, number)
        names |= {"hand": _id(shop, "invoice", "invoice_number", "HAND-1")}
        names |= {kind: _id(shop, "payment", "type", kind) for kind in ("cash", "paypal")}
        expected |= {(one[0], one[1].format(**names), *one[2:]) for one in found}
    outcome = shop.compare()
    assert outcome.differing == expected
    assert outcome.exit_code == 1
    assert {"98", "99"} <= {one.record for one in outcome.records if (one.kind, one.status) == ("invoice", "agree")}


def _id(shop: Shop, table: str, member: str, value: str) -> str:
    return next((str(row["id"]) for row in shop.books.table(table) if row[member].casefold() == value.casefold()), "")


GONE = ("payment", "p1", "missing", "", "deleted-in-freshbooks")
UNPAID = ("invoice", "1", "different", "paid", "payment: deleted-in-freshbooks")


def test_a_difference_is_told_per_currency_and_month_and_the_sums_close(shop: Shop) -> None:
    invoice_in_another_currency(shop)
    sums = shop.compare().sums()
    changed = ("2026-03", "different", "changed-in-freshbooks")
    assert sums == {
        ("EUR", "2026-03", "agree", ""): (Decimal(30), Decimal(30)),
        ("USD", "2026-03", "agree", ""): (TWENTY, TWENTY),
        ("USD", *changed): (TWENTY, ZERO),
        ("GBP", *changed): (ZERO, TWENTY),
    }


def test_an_invoice_moved_to_another_month_is_told_in_both(shop: Shop) -> None:
    invoice_dated_in_april(shop)
    march, april = shop.compare(MARCH), shop.compare(APRIL)
    moved = ("different", "changed-in-freshbooks")
    assert march.sums()["USD", "2026-03", *moved] == (TWENTY, ZERO)
    assert april.sums() == {("USD", "2026-04", *moved): (ZERO, TWENTY)}
    assert april.of("invoice", "1").differs == "date"


def test_an_archived_client_and_a_new_number_change_nothing_about_the_money(shop: Shop) -> None:
    shop.person.update("client", shop.invoice(1)["customerid"], {"vis_state": 2})
    shop.person.update("invoice", shop.invoice(2)["id"], {"invoice_number": "ANOTHER", "notes": "rewritten"})
    outcome = shop.compare()
    assert (outcome.exit_code, outcome.differing) == (0, set())
    assert outcome.of("invoice", "1").cause == "client-archived"
    assert outcome.of("invoice", "2").found_by == "ledger"


def test_without_a_ledger_the_markers_find_the_pairs(shop: Shop) -> None:
    shop.person.update("invoice", shop.invoice(2)["id"], {"invoice_number": "ANOTHER"})
    for path in shop.books.folder.glob("store.db*"):
        path.unlink()
    outcome = shop.compare()
    assert outcome.differing == set()
    assert {one.record: one.found_by for one in outcome.records if one.kind == "invoice"} == {
        "1": "number",
        "2": "notes",
        "3": "number",
    }
    assert {one.found_by for one in outcome.records if one.kind == "payment"} == {"note"}
    assert outcome.notes
    invoice_raised(shop)
    assert shop.compare().differing == {("invoice", "1", "different", "total", "unknown")}
    assert not list(shop.books.folder.glob("store.db")), "comparing wrote a store"


def test_money_entered_by_hand_counts_once(make_shop: Callable[..., Shop]) -> None:
    shop = make_shop()
    unpaid = [{**sale(1)["payments"][0], "status": "authorized"}]
    shop.put(sale(1, payments=unpaid))
    shop.books.run()
    amount = {"amount": "20.00", "code": "USD"}
    body = {"invoiceid": shop.invoice(1)["id"], "amount": amount, "date": "2026-03-10", "type": "Check"}
    shop.person.create("payment", body)
    shop.put(sale(1, updatedAt="2026-03-11T12:00:00-05:00"))
    shop.books.run()
    outcome = shop.compare()
    assert outcome.differing == set()
    assert (outcome.of("payment", "p1").found_by, outcome.of("payment", "p1").cause) == ("amount", "entered-by-hand")


def test_a_refund_that_a_person_booked_by_lowering_the_payment_agrees(shop: Shop) -> None:
    shop.put_refund(1, "8.00")
    payment_lowered(shop)
    outcome = shop.compare()
    assert outcome.differing == set()
    assert outcome.of("invoice", "1").cause == "refunded"
    assert outcome.of("refund", "r1").cause == "entered-by-hand"


def test_a_second_invoice_for_an_order_is_told(make_shop: Callable[..., Shop]) -> None:
    shop = make_shop(duplicate_number="accept")
    shop.put(sale(1))
    shop.books.run()
    body = {"customerid": shop.invoice(1)["customerid"], "create_date": "2026-03-12", "currency_code": "USD"}
    made = shop.person.create("invoice", {**body, "invoice_number": "WEB-1", "lines": lines("20.00")})
    shop.person.mark_invoice_sent(made["id"])
    assert shop.compare().differing == {("invoice", str(made["id"]), "extra", "", "second-invoice")}


def test_other_business_of_the_account_can_be_accepted(shop: Shop) -> None:
    invoice_by_hand(shop)
    outcome = shop.compare(hand_made="accept")
    assert (outcome.exit_code, outcome.differing) == (0, set())
    assert outcome.sums()["USD", "2026-03", "left-out", "made-by-hand"] == (ZERO, Decimal(99))


def test_an_invoice_typed_in_place_of_a_missing_one_is_pointed_out(shop: Shop) -> None:
    shop.put(sale(4, amount="99.00", payments=[]))
    invoice_by_hand(shop)
    outcome = shop.compare(hand_made="accept")
    typed = next(one for one in outcome.records if one.cause == "made-by-hand")
    assert typed.status == "extra"
    assert "looks like order WEB-4" in typed.detail


def test_what_the_policy_dates_after_the_lock_agrees_in_both_months(make_shop: Callable[..., Shop]) -> None:
    policies = Policies(lock_date=date(2026, 4, 1), lock_date_action="today")
    shop = make_shop()
    shop.books.policies = policies
    shop.put(sale(1))
    shop.books.run()
    booked = date.fromisoformat(shop.invoice(1)["create_date"])
    later = Period(booked, booked)
    for period in (MARCH, later):
        outcome = shop.compare(period, policies=policies)
        assert outcome.differing == set()
        assert outcome.of("invoice", "1").cause == "closed-period"
    shop.books.policies = Policies()
    assert shop.compare(later).differing, "without the policy the date is a difference"


BORDERS = {
    "2026-02-28T23:30:00-05:00": "2026-02",
    "2026-03-01T00:00:00-05:00": "2026-03",
    "2026-03-08T01:59:59-05:00": "2026-03",  # clocks go forward an hour
    "2026-03-08T03:00:00-04:00": "2026-03",
    "2026-03-31T23:30:00-04:00": "2026-03",  # in UTC it is April
    "2026-04-01T00:15:00-04:00": "2026-04",
    "2026-11-01T01:30:00-04:00": "2026-11",  # this hour comes twice
    "2026-11-01T01:30:00-05:00": "2026-11",
}


def test_orders_at_the_borders_of_a_month_count_once_and_by_the_stores_day(make_shop: Callable[..., Shop]) -> None:
    shop = make_shop()
    shop.put(*(sale(number, at=at) for number, at in enumerate(BORDERS, start=1)))
    shop.books.run()
    periods = {
        "2026-02": Period(date(2026, 2, 1), date(2026, 2, 28)),
        "2026-03": MARCH,
        "2026-04": APRIL,
        "2026-11": Period(date(2026, 11, 1), date(2026, 11, 30)),
    }
    for month, period in periods.items():
        outcome = shop.compare(period)
        assert outcome.differing == set()
        expected = {str(n) for n, of in enumerate(BORDERS.values(), start=1) if of == month}
        assert {one.record for one in outcome.records if one.kind == "invoice"} == expected
        assert {one.record for one in outcome.records if one.kind == "payment"} == {f"p{n}" for n in expected}


def test_a_payment_counts_by_its_own_day(make_shop: Callable[..., Shop]) -> None:
    shop = make_shop()
    late = [{**sale(1)["payments"][0], "paidAt": "2026-04-03T10:00:00-04:00"}]
    shop.put(sale(1, payments=late, updatedAt="2026-04-03T10:00:01-04:00"))
    shop.books.run()
    march, april = shop.compare(MARCH), shop.compare(APRIL)
    assert {one.kind for one in march.records} == {"invoice"}
    assert {one.kind for one in april.records} == {"payment"}
    assert march.differing == april.differing == set()
    payment_deleted(shop)
    assert shop.compare(APRIL).differing == {GONE}
    assert shop.compare(MARCH).differing == {UNPAID}


def test_generated_orders_agree_but_for_what_is_held(make_shop: Callable[..., Shop]) -> None:
    """The labels of the generator, which shares no code with mapping and runner, are what the report has to say."""
    shop = make_shop(rounding="tax")
    shop.books.sandbox.seed(seed=11, orders=45)
    cases = generator.generate(11, 45)
    shop.books.run()
    outcome = shop.compare()
    by_policy = {"test-order", "on-hold", "cancelled", "refunded"}
    held = {
        (str(case.order["id"]), f"held: {case.reason}")
        for case in cases
        if case.label == "hold" and case.reason not in by_policy
    }
    assert {(one[1], one[4]) for one in outcome.differing if one[0] == "invoice"} == held
    assert {one[4].startswith("order: held: ") for one in outcome.differing if one[0] == "payment"} <= {True}
    left_out = {one.record for one in outcome.records if one.kind == "invoice" and one.status == "left-out"}
    assert left_out == {str(case.order["id"]) for case in cases if case.reason in by_policy}
    posted = sum((oracle.expected_total(case.order) for case in cases if case.label == "post"), ZERO)
    agreed = [one for one in outcome.groups if (one.kind, one.status) == ("invoice", "agree")]
    assert sum((one.source for one in agreed), ZERO) == sum((one.books for one in agreed), ZERO) == posted


def test_many_missing_records_are_looked_for_page_by_page(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    invoice_dated_in_april(shop)
    payment_deleted(shop)
    single = shop.compare()
    monkeypatch.setattr(reading, "LOOKED_UP_SINGLY", 0)
    assert shop.compare().differing == single.differing != set()


def test_nothing_is_written_by_comparing(shop: Shop) -> None:
    before, store = len(shop.books.writes()), Path(shop.books.folder / "store.db").read_bytes()
    shop.compare()
    assert len(shop.books.writes()) == before
    assert Path(shop.books.folder / "store.db").read_bytes() == store
