"""Exact numbers: decimals from JSON, currencies and their digits, rounding, spreading without losing a cent."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, ROUND_HALF_UP, Context, Decimal, localcontext
from typing import Any, Final, Literal

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


@contextmanager
def exactly() -> Iterator[None]:
    """Decimal arithmetic with so many digits that sums and products of record values are exact."""
    with localcontext(Context(prec=PRECISION)):
        yield


def currency_digits(code: str) -> int:
    """Digits of the currency's minor unit (ISO 4217): 0 for JPY, 3 for KWD, else 2."""
    return _DIGITS.get(code, 2)


def to_decimal(value: Any, what: str) -> Decimal:
    """An exact decimal from a JSON string, int or Decimal.

    Raises:
        TransformError: `bad-number`; floats are refused because they are not exact.
    """
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
    return max(0, -_exponent(number.normalize()))


def round_to(number: Decimal, places: int, rounding: Rounding = "half_up") -> Decimal:
    """Round to `places` digits after the point (half up as clarity A19 says)."""
    return number.quantize(Decimal(1).scaleb(-places), rounding=ROUNDINGS[rounding])


def plain(number: Decimal, least: int = 0) -> str:
    """Decimal text without exponent, at least `least` digits after the point: 12.5 -> "12.50"; no negative zero."""
    places = max(least, decimals_of(number))
    if number == 0:
        number = ZERO
    return f"{number:.{places}f}"


def divide_exactly(amount: Decimal, by: Decimal, places: int) -> Decimal | None:
    """amount / by when the quotient has at most `places` digits, else None."""
    if by == 0:
        return None
    with exactly():
        quotient = round_to(amount / by, places)
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
        unit = Decimal(1).scaleb(-places)
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

    def wire(self) -> dict[str, str]:
        """FreshBooks' form: {"amount": "12.50", "code": "USD"} with at least the currency's digits."""
        return {"amount": plain(self.amount, currency_digits(self.currency)), "code": self.currency}
