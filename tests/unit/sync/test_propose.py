"""What a correction would do, worked out: lines, taxes and amounts, and what is not offered and why."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from mapspec.drafts import Claim
from sync.propose import Booked, NotOfferedError, Payment, basis, cancel_ways, refund_lines, refund_ways

CREDIT = {"clientid": 1, "create_date": "2026-03-05", "credit_number": "REFUND-1"}


def line(net: str, *taxes: tuple[str, str], qty: str = "1") -> dict[str, Any]:
    made: dict[str, Any] = {"name": "x", "qty": qty, "unit_cost": {"amount": net, "code": "USD"}}
    for place, (name, percent) in zip("12", taxes, strict=False):
        made |= {f"taxName{place}": name, f"taxAmount{place}": percent}
    return made


SALES, CITY = ("Sales tax", "8.25"), ("City", "1")
TAXED, PLAIN = line("130.00", SALES), line("50.00")  # 10.725 of tax: this account rounds half up


def booked(*lines: dict[str, Any], total: str, paid: str = "") -> Booked:
    payments = (Payment("7", Decimal(paid or total), "2026-03-01"),)
    return Booked("5", "WEB-1", "1", "USD", Decimal(total), "2026-03-01", False, 0, lines, payments)


def shape(lines: list[Any]) -> list[tuple[str, str | None, str | None]]:
    return [(one["unit_cost"]["amount"], one.get("taxName1"), one.get("taxName2")) for one in lines]


def claim(amount: str, tax: str | None = None, *lines: tuple[str, str | None]) -> Claim:
    parts = tuple((Decimal(one), None if its is None else Decimal(its)) for one, its in lines)
    return Claim(Decimal(amount), None if tax is None else Decimal(tax), "USD", lines=parts)


@pytest.mark.parametrize(
    ("wanted", "lines"),
    [
        (claim("10.83", "0.83"), [("10.00", "Sales tax", None)]),
        (claim("10.00", "0.00"), [("10.00", None, None)]),
        (claim("20.83", "0.83", ("10.83", "0.83")), [("10.00", "Sales tax", None), ("10.00", None, None)]),
        (claim("190.73"), [("130.00", "Sales tax", None), ("50.00", None, None)]),
    ],
    ids=["taxed", "untaxed", "a taxed line, and shipping without tax", "all of it"],
)
def test_each_part_bears_the_one_tax_of_the_invoice_that_makes_it(wanted: Claim, lines: list[Any]) -> None:
    assert shape(refund_lines(wanted, booked(TAXED, PLAIN, total="190.73"))) == lines


@pytest.mark.parametrize(
    ("wanted", "why"), [(claim("10.82"), "does not say its tax"), (claim("10.83", "0.50"), "no single tax")]
)
def test_a_tax_that_cannot_be_told_is_not_guessed(wanted: Claim, why: str) -> None:
    with pytest.raises(NotOfferedError, match=why):
        refund_lines(wanted, booked(TAXED, PLAIN, total="190.73"))


def test_an_amount_alone_is_enough_where_everything_is_taxed_alike() -> None:
    made = refund_lines(claim("65.55"), booked(line("100.00", SALES, CITY), total="109.25"))
    assert shape(made) == [("60.00", "Sales tax", "City")]


def test_nothing_of_a_closed_period_is_changed() -> None:
    found = booked(TAXED, total="140.73")
    ways = refund_ways(("lower_payment",), claim("8.25"), found, CREDIT, payment=found.payments[0], locked="2026-03-02")
    assert [way.why_not for way in ways] == ["the payment is dated 2026-03-01, before the lock date 2026-03-02"]


def test_credits_of_one_invoice_never_exceed_it() -> None:
    found = replace(booked(PLAIN, total="50.00"), credits={"refund": (Decimal(30), (line("30.00"),))})
    (way,) = refund_ways(("credit_note",), claim("25.00"), found, CREDIT, payment=None, locked="")
    assert way.why_not == "more would be credited than was invoiced"
    (cancelled,) = cancel_ways(("credit_note",), found, CREDIT, locked="")
    assert (cancelled.amount, shape(list(cancelled.body["lines"]))) == (Decimal(20), [("20.00", None, None)])


def test_what_our_own_corrections_did_leaves_a_refund_s_basis_as_it_was() -> None:
    before = booked(PLAIN, total="50.00")
    lowered = replace(before, payments=(Payment("7", Decimal(40), "2026-03-01", Decimal(10)),))
    by_hand = replace(before, payments=(Payment("7", Decimal(40), "2026-03-01"),))
    assert basis("refund", lowered, "7") == basis("refund", before, "7") != basis("refund", by_hand, "7")
