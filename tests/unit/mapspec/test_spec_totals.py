"""FreshBooks' arithmetic under every rounding rule, and the exact numbers below it."""

from __future__ import annotations

from decimal import Decimal

import pytest

from mapspec.errors import TransformError
from mapspec.numbers import Money, allocate, currency_digits, divide_exactly, plain, round_to, shape, to_decimal
from mapspec.totals import MODES, Tax, TotalLine, line_taxes, predict


def line(quantity: str, cost: str, *taxes: str, compound: bool = False) -> TotalLine:
    named = tuple(Tax(f"T{percent}", Decimal(percent)) for percent in taxes)
    return TotalLine(Decimal(quantity), Decimal(cost), named, compound)


def totals(*lines: TotalLine, digits: int = 2) -> dict[str, str]:
    return {mode: str(total) for mode, total in predict(lines, digits).items()}


def test_the_sample_of_the_sdks() -> None:
    # facts §5 without the discount: 4 × 5.00 with 13 % = 2.60, 6 × 4.00 without tax
    assert set(totals(line("4", "5.00", "13"), line("6", "4.00")).values()) == {"46.60"}


def test_rounding_by_line_and_by_tax_differ() -> None:
    # 8.25 % of 10.06 is 0.82995, of 0.10 0.00825: three lines of 0.10 give 3 × 0.01 by line, 0.02 by tax
    assert totals(*[line("1", "0.10", "8.25")] * 3) == {
        "line": "0.33",
        "tax": "0.32",
        "total": "0.32",
        "line_even": "0.33",
        "tax_even": "0.32",
    }


def test_half_even_differs_from_half_up() -> None:
    # 5 % of 0.50 = 0.025
    assert totals(line("1", "0.50", "5"))["line"] == "0.53"
    assert totals(line("1", "0.50", "5"))["line_even"] == "0.52"


def test_a_compound_tax_stands_on_the_first() -> None:
    two = (Tax("GST", Decimal(5)), Tax("PST", Decimal(7)))
    assert line_taxes(Decimal(100), two, False) == [Decimal(5), Decimal(7)]
    assert line_taxes(Decimal(100), two, True) == [Decimal(5), Decimal("7.35")]
    assert set(totals(line("1", "100", "5", "7", compound=True)).values()) == {"112.35"}


def test_no_lines_come_to_nothing() -> None:
    assert {Decimal(total) for total in totals().values()} == {Decimal(0)}
    assert set(totals()) == set(MODES)


def test_digits_follow_the_currency() -> None:
    assert [currency_digits(code) for code in ("USD", "JPY", "KWD", "CLF", "XXX")] == [2, 0, 3, 4, 2]
    assert totals(line("1", "999", "10"), digits=0)["line"] == "1099"
    assert totals(line("1", "1.255", "5"), digits=3)["line"] == "1.318"


@pytest.mark.parametrize(
    ("amount", "weights", "places", "parts"),
    [
        ("10.00", ["1", "1", "1"], 2, ["3.34", "3.33", "3.33"]),
        ("0.01", ["1", "1"], 2, ["0.01", "0.00"]),
        ("10", ["0", "5"], 0, ["0", "10"]),
        ("-10.00", ["1", "1", "1"], 2, ["-3.34", "-3.33", "-3.33"]),
        ("1.005", ["1", "3"], 2, ["0.25", "0.755"]),
        ("0", [], 2, []),
        ("0", ["0"], 2, ["0"]),
    ],
)
def test_an_amount_is_spread_without_losing_a_cent(
    amount: str, weights: list[str], places: int, parts: list[str]
) -> None:
    made = allocate(Decimal(amount), [Decimal(weight) for weight in weights], places)
    assert [Decimal(part) for part in parts] == made
    assert sum(made, Decimal(0)) == Decimal(amount)


@pytest.mark.parametrize("weights", [[], ["0", "0"], ["-1", "2"]])
def test_nothing_can_be_spread_over_nothing(weights: list[str]) -> None:
    with pytest.raises(TransformError) as caught:
        allocate(Decimal(1), [Decimal(weight) for weight in weights], 2)
    assert caught.value.reason == "nothing-to-spread-over"


@pytest.mark.parametrize(
    ("amount", "by", "places", "quotient"),
    [("19.00", "2", 2, "9.50"), ("10.00", "3", 2, None), ("5.00", "0", 2, None), ("86.415", "7", 3, "12.345")],
)
def test_division_is_exact_or_not_done(amount: str, by: str, places: int, quotient: str | None) -> None:
    made = divide_exactly(Decimal(amount), Decimal(by), places)
    assert made == (None if quotient is None else Decimal(quotient))


@pytest.mark.parametrize(
    ("number", "least", "text"),
    [("12.5", 2, "12.50"), ("1E+3", 0, "1000"), ("2.500", 0, "2.5"), ("-0.00", 2, "0.00"), ("12.3456", 2, "12.3456")],
)
def test_decimals_are_written_plainly(number: str, least: int, text: str) -> None:
    assert plain(Decimal(number), least) == text


def test_money_on_the_wire_has_the_digits_of_its_currency() -> None:
    assert Money(Decimal("12.5"), "USD").wire() == {"amount": "12.50", "code": "USD"}
    assert Money(Decimal("1200"), "JPY").wire() == {"amount": "1200", "code": "JPY"}
    assert Money(Decimal("1.5"), "KWD").wire() == {"amount": "1.500", "code": "KWD"}


def test_rounding_is_half_up_away_from_zero() -> None:
    assert round_to(Decimal("2.345"), 2) == Decimal("2.35")
    assert round_to(Decimal("-2.345"), 2) == Decimal("-2.35")


@pytest.mark.parametrize("text", ["1", "-1.50", "+.5", "0.000000000001", "999999999999999", " 7 "])
def test_numbers_are_read(text: str) -> None:
    assert to_decimal(text, "total") == Decimal(text.strip())


def test_messages_show_the_shape_and_not_the_value() -> None:
    shapes = [shape(value) for value in (None, True, "", " ", "abc", 5, Decimal(1), [1, 2], {"a": 1})]
    assert shapes == [
        "nothing", "a boolean", "an empty text", "an empty text", "a text of 3 characters", "a number", "a number",
        "a list of 2", "an object",
    ]  # fmt: skip
