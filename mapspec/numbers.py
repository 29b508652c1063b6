"""Exact numbers: decimals from JSON, currencies and their digits, rounding, spreading without losing a cent."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, ROUND_HALF_UP, Context, Decimal, getcontext, setcontext
from typing import Any, Final, Literal, cast

from mapspec.errors import TransformError

Rounding = Literal["half_up", "half_even", "down"]
ROUNDINGS: Final = {"half_up": ROUND_HALF_UP, "half_even": ROUND_HALF_EVEN, "down": ROUND_DOWN}
# Longer numbers are no money: they are mistakes or attacks (1e999999 would fill memory when written out).
_NUMBER = re.compile(r"[+-]?(?:[0-9]{1,15}(?:\.[0-9]{0,12})?|\.[0-9]{1,12})")
MAX_ADJUSTED: Final = 15
MAX_INT: Final = 10 ** (MAX_ADJUSTED + 1) - 1
MIN_EXPONENT: Final = -12

# ISO 4217 minor units that are not 2.
_DIGITS: Final = {
    **dict.fromkeys(
        [
            "BIF",
            "CLP",
            "DJF",
            "GNF",
            "ISK",
            "JPY",
            "KMF",
            "KRW",
            "PYG",
            "RWF",
            "UGX",
            "UYI",
            "VND",
            "VUV",
            "XAF",
            "XOF",
            "XPF",
        ],
        0,
    ),
    **dict.fromkeys(["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"], 3),
    **dict.fromkeys(["CLF", "UYW"], 4),
}
ZERO: Final = Decimal(0)
# quantity x price x percent of numbers with 28 digits each, with room for a compound tax: nothing is ever cut off.
PRECISION: Final = 120


# The minor units: 1, 0.1, 0.01 ...; rounding to places asks for them by their number.
_UNITS: Final = tuple(Decimal(1).scaleb(-places) for places in range(13))
_CENT: Final = _UNITS[2]
# Longer texts than this are not looked at digit by digit: the default context would round them.
_SHORT: Final = 28
# A number of so few characters has no more digits before or after its point than `_NUMBER` allows.
SMALL: Final = 13


class exactly:  # noqa: N801 - a context manager, used and named as a function
    """Decimal arithmetic with so many digits that sums and products of record values are exact.

    Where the arithmetic is exact already nothing is switched: a record passes here many times, a switch takes longer
    than the sum.
    """

    __slots__ = ("_outer",)

    def __enter__(self) -> None:
        outer = getcontext()
        self._outer = outer
        if outer.prec != PRECISION:
            setcontext(Context(prec=PRECISION))

    def __exit__(self, *_: object) -> None:
        setcontext(self._outer)


def currency_digits(code: str) -> int:
    """Digits of the currency's minor unit (ISO 4217): 0 for JPY, 3 for KWD, else 2."""
    return _DIGITS.get(code, 2)


def to_decimal(value: Any, what: str) -> Decimal:
    """An exact decimal from a JSON string, int or Decimal.

    Raises:
        TransformError: `bad-number`; floats are refused because they are not exact.
    """
    # What comes nearly always is told by its type, and a text of digits with a point at most without the pattern.
    kind = type(value)
    if kind is Decimal:
        if value.same_quantum(_CENT) and value.adjusted() <= MAX_ADJUSTED:
            return cast(Decimal, value)
    elif kind is str:
        if len(value) <= SMALL and value.isascii() and value.replace(".", "", 1).isdigit():
            return Decimal(value)
    elif kind is int and 0 <= value <= MAX_INT:
        return Decimal(value)
    if isinstance(value, bool | float) or not isinstance(value, str | int | Decimal):
        raise TransformError(f"{what}: expected a number, got {shape(value)}", reason="bad-number")
    if isinstance(value, str):
        text = value.strip()
        if not _NUMBER.fullmatch(text):
            raise TransformError(f"{what}: expected a number, got {shape(value)}", reason="bad-number")
        return Decimal(text)
    if isinstance(value, int) and abs(value) > MAX_INT:  # before the conversion, whose cost grows with the square
        raise TransformError(f"{what}: the number is out of range", reason="bad-number")
    number = Decimal(value)
    if not number.is_finite() or number.adjusted() > MAX_ADJUSTED or _exponent(number) < MIN_EXPONENT:
        raise TransformError(f"{what}: the number is out of range", reason="bad-number")
    return number


def shape(value: Any) -> str:
    """What a value looks like, without the value: customer data stays out of messages."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, str):
        return "an empty text" if not value.strip() else f"a text of {len(value)} characters"
    if isinstance(value, int | float | Decimal):
        return "a number"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    return "an object" if isinstance(value, dict) else f"a {type(value).__name__}"


def _exponent(number: Decimal) -> int:
    exponent = number.as_tuple().exponent
    return exponent if isinstance(exponent, int) else 0


def decimals_of(number: Decimal) -> int:
    """Digits after the point that matter: 2.50 has 1, 100 has 0."""
    text = str(number)
    if len(text) <= _SHORT and "E" not in text and "N" not in text:
        return len(text.partition(".")[2].rstrip("0"))
    return max(0, -_exponent(number.normalize()))


def round_to(number: Decimal, places: int, rounding: Rounding = "half_up") -> Decimal:
    """Round to `places` digits after the point (half up as clarity A19 says)."""
    return number.quantize(minor_unit(places), ROUNDINGS[rounding])


def minor_unit(places: int) -> Decimal:
    """One unit of the last of so many digits after the point: 0.01 for 2."""
    return _UNITS[places] if 0 <= places < len(_UNITS) else Decimal(1).scaleb(-places)


def short_plain(number: Decimal) -> str | None:
    """What `plain` gives for a number of few digits, None for another one."""
    short = _written_out(number)
    return None if short is None else f"{short[0]}.{short[1]}" if short[1] else short[0]


def _written_out(number: Decimal) -> tuple[str, str] | None:
    """The digits before the point and those behind it that matter; None for zero and for what takes more care."""
    if not number or not number.is_finite():
        return None
    text = str(number)
    if len(text) > _SHORT or "E" in text:
        return None
    whole, _, digits = text.partition(".")
    return whole, digits.rstrip("0")


def plain(number: Decimal, least: int = 0) -> str:
    """Decimal text without exponent, at least `least` digits after the point: 12.5 -> "12.50"; no negative zero."""
    if number and least < len(_UNITS) and number.same_quantum(_UNITS[least]):
        return str(number)  # it has just the digits that are wanted
    short = _written_out(number)
    if short is not None:
        whole, digits = short
        digits = digits.ljust(least, "0")
        return f"{whole}.{digits}" if digits else whole
    places = max(least, decimals_of(number))
    if number == 0:
        number = ZERO
    return f"{number:.{places}f}"


def divide_exactly(amount: Decimal, by: Decimal, places: int) -> Decimal | None:
    """amount / by when the quotient has at most `places` digits, else None."""
    if by == 0:
        return None
    with exactly():
        quotient = (amount / by).quantize(minor_unit(places), ROUND_HALF_UP)
        return quotient if quotient * by == amount else None


def allocate(amount: Decimal, weights: Sequence[Decimal], places: int) -> list[Decimal]:
    """Spread an amount by weight in whole minor units; the parts add up to it exactly.

    Largest remainder, ties to the earlier position, so equal input gives equal output.

    Raises:
        TransformError: No positive weight to carry a non-zero amount.
    """
    if amount == 0:
        return [ZERO for _ in weights]
    with exactly():
        total = sum(weights, ZERO)
        if total <= 0 or any(weight < 0 for weight in weights):
            raise TransformError("there is nothing to spread the amount over", reason="nothing-to-spread-over")
        unit = minor_unit(places)
        exact = [amount * weight / total for weight in weights]
        parts = [share.quantize(unit, rounding=ROUND_DOWN) for share in exact]
        left = amount - sum(parts, ZERO)
        step = unit if left > 0 else -unit
        order = sorted(range(len(weights)), key=lambda i: (-abs(exact[i] - parts[i]), i))
        position = 0
        while abs(left) >= unit:
            parts[order[position % len(order)]] += step
            left -= step
            position += 1
        if left != 0:  # the amount itself is finer than the minor unit: the heaviest line carries the crumb
            parts[max(range(len(weights)), key=lambda i: (weights[i], -i))] += left
    return parts


@dataclass(frozen=True)
class Money:
    """An amount in one currency."""

    amount: Decimal
    currency: str

    def __init__(self, amount: Decimal, currency: str) -> None:
        # as the generated one, which takes twice as long: an invoice has an amount on every line
        members = self.__dict__
        members["amount"] = amount
        members["currency"] = currency

    def wire(self) -> dict[str, str]:
        """FreshBooks' form: {"amount": "12.50", "code": "USD"} with at least the currency's digits."""
        code = self.currency
        return {"amount": plain(self.amount, _DIGITS.get(code, 2)), "code": code}
