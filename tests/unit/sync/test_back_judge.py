"""The way back's pure parts: who has news, who prevails, what is never written, what is ours."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from connectors.clarity_writes import SAFE, refusal
from connectors.profiles import load_profile
from mapspec.model import Conflict
from sync.back.echo import client_as_left, invoice_as_left, invoice_as_people_left, is_as_booked
from sync.back.judge import Side, judge, mark, payment_refusal
from sync.ledger import ANY, Entry
from sync.plan import digest
from sync.proposals import Lowered

EARLY, LATE = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    ("books", "shop", "policy", "verdict"),
    [
        (Side("", True), Side("b", False), "source_wins", "leave"),
        (Side(" a ", True), Side("a", True), "hold", "same"),
        (Side("a", False), Side("b", True), "source_wins", "leave"),
        (Side("a", True), Side("b", False), "hold", "write"),
        (Side("a", None), Side(None, None), "hold", "write"),
        (Side("a", True), Side("b", True), "source_wins", "write"),
        (Side("a", True), Side("b", None), "target_wins", "yield"),
        (Side("a", True, LATE), Side("b", True, EARLY), "newest_wins", "write"),
        (Side("a", True, EARLY), Side("b", True, LATE), "newest_wins", "yield"),
        (Side("a", True, EARLY), Side("b", True, EARLY), "newest_wins", "write"),
        (Side("a", True, None), Side("b", True, LATE), "newest_wins", "hold"),
        (Side("a", True), Side("b", True), None, "hold"),
    ],
)
def test_who_has_news_and_who_prevails(books: Side, shop: Side, policy: Conflict | None, verdict: str) -> None:
    assert judge(books, shop, policy) == verdict


@pytest.mark.parametrize(
    ("wanted", "now", "told", "refused"),
    [
        ("paid", "unpaid", None, False),
        ("paid", None, None, False),
        ("unpaid", "paid", None, True),
        ("unpaid", "paid", mark("paid"), False),
        ("unpaid", "Paid", mark("partially_paid"), True),
        ("paid", "refunded", None, True),
        ("paid", "authorized", mark("authorized"), True),
        ("nonsense", "unpaid", None, True),
    ],
)
def test_a_payment_state_is_raised_and_lowered_only_where_it_was_ours(
    wanted: str, now: str | None, told: str | None, refused: bool
) -> None:
    assert (payment_refusal(wanted, now, told) is not None) == refused


def booked(total: str) -> tuple[Entry, ...]:
    return (Entry(**{**ANY.__dict__, "total": Decimal(total)}),)


def test_an_invoice_as_we_left_it_knows_our_payments_only() -> None:
    def money(amount: str) -> dict[str, str]:
        return {"amount": amount, "code": "USD"}

    invoice: dict[str, Any] = {"amount": money("10.00"), "paid": money("10.00"), "payment_status": "paid"}
    typed, ours = {"amount": money("4.00")}, {"amount": money("6.00")}
    assert invoice_as_left(invoice, [(ours, booked("6.00")), (typed, ())])["payment_status"] == "partial"
    assert invoice_as_left(invoice, [(typed, ())])["payment_status"] == "unpaid"
    assert invoice_as_left(invoice, [(ours, booked("10.00"))]) == invoice


def test_what_our_own_corrections_took_from_payments_is_no_news_and_what_people_took_is() -> None:
    def row(amount: str, **more: Any) -> dict[str, Any]:
        return {"id": 7, "amount": {"amount": amount, "code": "USD"}, **more}

    done, begun = {"7": Lowered(Decimal("4.00"))}, {"7": Lowered(under_way=Decimal("4.00"))}
    assert is_as_booked(row("6.00"), booked("10.00"), done)
    assert not is_as_booked(row("6.00"), booked("10.00"))
    assert not is_as_booked(row("5.00"), booked("10.00"), done)
    assert not is_as_booked(row("10.00"), booked("10.00"), done)
    assert not is_as_booked(row("6.00", vis_state=1), booked("10.00"), done)
    assert is_as_booked(row("10.00", vis_state=1), booked("10.00"), {"7": Lowered(Decimal("10.00"), gone=True)})
    # Begun: it may have landed or not, and nothing else is ours.
    assert is_as_booked(row("6.00"), booked("10.00"), begun)
    assert is_as_booked(row("10.00"), booked("10.00"), begun)
    assert not is_as_booked(row("5.00"), booked("10.00"), begun)


def test_an_invoice_as_people_left_it_has_back_what_our_corrections_took_from_their_payments() -> None:
    def shown(row: dict[str, Any], entries: tuple[Entry, ...], lowered: Lowered, paid: str) -> str:
        invoice = {"amount": {"amount": "10.00", "code": "USD"}, "paid": {"amount": paid, "code": "USD"}}
        left = invoice_as_people_left({**invoice, "payment_status": "?"}, [(row, entries)], {"7": lowered})
        return str(left["paid"]["amount"])

    lowered = Lowered(Decimal("4.00"))
    row = {"id": 7, "amount": {"amount": "6.00", "code": "USD"}}
    assert shown(row, (), lowered, "6.00") == "10.00"
    assert shown(row, booked("10.00"), lowered, "6.00") == "6.00"
    assert shown({**row, "vis_state": 1}, (), lowered, "0.00") == "0.00"
    assert shown({**row, "vis_state": 1}, (), Lowered(Decimal("10.00"), gone=True), "0.00") == "10.00"


def test_a_client_as_we_left_it_lacks_what_a_person_set() -> None:
    client = {
        "id": 5,
        "fname": "Ana",
        "lname": "Lee",
        "email": "a@b.c",
        "organization": "a@b.c",
        "fax": "",
        "num_logins": 3,
    }
    written = {"fname": digest("Ana"), "lname": digest("Li"), "email": digest("a@b.c")}
    assert client_as_left(client, written) == {name: value for name, value in client.items() if name != "lname"}
    assert "organization" not in client_as_left({**client, "organization": "Lee Ltd"}, written)


def test_what_is_safe_holds_neither_money_nor_a_sign_in() -> None:
    members = {name for names in SAFE.values() for name in names}
    assert not {"email", "payments", "status", "total", "balanceDue", "lineItems", "password"} & members
    everything = {"A43": {"enabled": True, "order": ["paymentStatus", "total", "payments"], "customer": ["email"]}}
    profile = load_profile("clarity-rest").with_settings(everything)
    assert refusal(profile, "order", ["paymentStatus"]) is None
    assert "payments, total is never written back" in str(refusal(profile, "order", ["total", "payments"]))
    assert "email is never written back" in str(refusal(profile, "customer", ["email"]))
    assert "never written back" in str(refusal(profile, "payment", ["amount"]))
    assert "A43.enabled is false" in str(refusal(load_profile("clarity-rest"), "order", ["paymentStatus"]))
