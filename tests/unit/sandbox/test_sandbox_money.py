"""The stand-in's arithmetic: currency digits, rounding rules and invoice totals."""

from decimal import Decimal

import pytest

from connectors.sandbox.money import (
    LineTax,
    PricedLine,
    RoundingMode,
    currency_digits,
    invoice_totals,
    plain,
    rounded,
    unit_cost_digits,
)

D = Decimal


def line(quantity: str, cost: str, *taxes: tuple[str, str], compounded: bool = False) -> PricedLine:
    return PricedLine(D(quantity), D(cost), tuple(LineTax(name, D(rate)) for name, rate in taxes), compounded)


def test_published_sample_of_discount_and_tax_agrees() -> None:
    lines = [line("4", "5.00", ("HST", "13")), line("6", "4.00")]
    totals = invoice_totals(lines, discount_percent=D(10), digits=2, mode="line")
    assert totals.line_amounts == (D("20.00"), D("24.00"))
    assert (totals.subtotal, totals.discount, totals.tax) == (D("44.00"), D("-4.40"), D("2.34"))
    assert totals.total == D("41.94")


@pytest.mark.parametrize(
    ("mode", "tax"), [("line", "0.15"), ("tax", "0.14"), ("total", "0.14"), ("half_even_line", "0.12")]
)
def test_rounding_rules_differ_where_halves_add_up(mode: RoundingMode, tax: str) -> None:
    # 0.90 x 5 % = 0.045, three times: 0.05 each, or 0.135 together, or 0.04 each
    lines = [line("1", "0.90", ("GST", "5"))] * 3
    totals = invoice_totals(lines, discount_percent=D(0), digits=2, mode=mode)
    assert totals.tax == D(tax)
    assert totals.total == D("2.70") + D(tax)


def test_per_tax_rounding_keeps_taxes_apart_by_name_and_percent() -> None:
    lines = [line("1", "0.90", ("GST", "5"), ("PST", "5")), line("1", "0.90", ("GST", "5"))]
    totals = invoice_totals(lines, discount_percent=D(0), digits=2, mode="tax")
    assert totals.tax == D("0.09") + D("0.05")


def test_compound_tax_stands_on_base_and_first_tax() -> None:
    taxes = (("GST", "5"), ("QST", "10"))
    plain_tax = invoice_totals([line("1", "100", *taxes)], discount_percent=D(0), digits=2, mode="line")
    compound = line("1", "100", *taxes, compounded=True)
    compound_tax = invoice_totals([compound], discount_percent=D(0), digits=2, mode="line")
    assert (plain_tax.tax, compound_tax.tax) == (D("15.00"), D("15.50"))


def test_total_mode_rounds_line_amounts_only_at_the_end() -> None:
    lines = [line("0.5", "0.01")] * 2
    by_line = invoice_totals(lines, discount_percent=D(0), digits=2, mode="line")
    at_end = invoice_totals(lines, discount_percent=D(0), digits=2, mode="total")
    assert (by_line.total, at_end.total) == (D("0.02"), D("0.01"))


def test_no_lines_give_zero_without_a_sign() -> None:
    totals = invoice_totals([], discount_percent=D(10), digits=2, mode="line")
    assert plain(totals.discount, least_digits=2) == "0.00"
    assert totals.total == 0


@pytest.mark.parametrize(("code", "digits"), [("USD", 2), ("JPY", 0), ("jpy", 0), ("KWD", 3), ("ZZZ", 2)])
def test_currency_digits(code: str, digits: int) -> None:
    assert currency_digits(code) == digits


@pytest.mark.parametrize(
    ("code", "places", "kept"), [("USD", 2, 2), ("USD", 4, 4), ("JPY", 2, 0), ("KWD", 2, 3), ("JPY", 0, 0)]
)
def test_unit_cost_digits_shift_with_the_currency(code: str, places: int, kept: int) -> None:
    assert unit_cost_digits(code, places) == kept


def test_halves_go_away_from_zero_or_to_the_even_digit() -> None:
    assert rounded(D("-0.125"), 2) == D("-0.13")
    assert rounded(D("0.125"), 2, half_even=True) == D("0.12")


@pytest.mark.parametrize(
    ("value", "least", "text"),
    [("13.00", 0, "13"), ("9.5", 2, "9.50"), ("1E+2", 0, "100"), ("-0.00", 2, "0.00"), ("-0", 0, "0")],
)
def test_plain_text_of_decimals(value: str, least: int, text: str) -> None:
    assert plain(D(value), least_digits=least) == text
