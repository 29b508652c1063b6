"""Exact money arithmetic of the FreshBooks stand-in: currency digits, rounding and invoice totals.

FreshBooks does not publish how it rounds, so the rule is a parameter (see `RoundingMode`). Everything is
`Decimal`; floats never appear.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal, localcontext
from typing import Literal

RoundingMode = Literal["line", "tax", "total", "half_even_line"]
"""How a server gets from lines to a total.

line: every tax of every line is rounded half up. tax: one tax (name and percent) is summed over the lines,
then rounded half up. total: nothing is rounded before the total. half_even_line: as line, banker's rounding.
"""

ROUNDING_MODES: tuple[RoundingMode, ...] = ("line", "tax", "total", "half_even_line")

# ISO 4217 minor units that are not two digits
_NO_DIGITS = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"
_THREE_DIGITS = "BHD IQD JOD KWD LYD OMR TND"
_PRECISION = 120  # far more digits than any product of amounts, so that only `rounded` ever rounds


@dataclass(frozen=True)
class LineTax:
    """One tax of a line; `percent` 13 means 13 %."""

    name: str
    percent: Decimal


@dataclass(frozen=True)
class PricedLine:
    """What the total needs of one line; `compounded` computes the second tax on base plus first tax."""

    quantity: Decimal
    unit_cost: Decimal
    taxes: tuple[LineTax, ...] = ()
    compounded: bool = False


@dataclass(frozen=True)
class Totals:
    """Sums of an invoice; `discount` is zero or negative, `total` = subtotal + discount + tax, rounded."""

    line_amounts: tuple[Decimal, ...]
    subtotal: Decimal
    discount: Decimal
    tax: Decimal
    total: Decimal


def currency_digits(code: str) -> int:
    """Minor-unit digits of an ISO 4217 code; 2 for every code not known to differ."""
    known = code.upper()
    return 0 if known in _NO_DIGITS.split() else 3 if known in _THREE_DIGITS.split() else 2


def unit_cost_digits(code: str, unit_cost_places: int) -> int:
    """Decimals kept of a unit cost; `unit_cost_places` is stated for a two-digit currency, others shift it."""
    return max(currency_digits(code) + unit_cost_places - 2, 0)


def rounded(value: Decimal, digits: int, *, half_even: bool = False) -> Decimal:
    """Round to `digits` decimals, halves away from zero unless `half_even`."""
    with localcontext() as context:
        context.prec = _PRECISION
        return value.quantize(Decimal(1).scaleb(-digits), ROUND_HALF_EVEN if half_even else ROUND_HALF_UP)


def plain(value: Decimal, *, least_digits: int = 0) -> str:
    """Decimal text without exponent and needless zeros, but with at least `least_digits` decimals.

    >>> plain(Decimal("13.00")), plain(Decimal("9.5"), least_digits=2), plain(Decimal("1E+2"))
    ('13', '9.50', '100')
    """
    whole, _, fraction = format(value if value else abs(value), "f").partition(".")
    fraction = fraction.rstrip("0").ljust(least_digits, "0")
    return f"{whole}.{fraction}" if fraction else whole


def invoice_totals(
    lines: Sequence[PricedLine], *, discount_percent: Decimal, digits: int, mode: RoundingMode
) -> Totals:
    """Add up an invoice the way the chosen rule does.

    The percentage discount cuts every line before tax (sample of the Java and PHP SDKs: 4 x 5.00 with 13 %
    and 6 x 4.00 untaxed, discount 10, give 44.00, -4.40, 2.34 and 41.94).

    Args:
        lines: Any number; none gives zeros.
        discount_percent: 10 means 10 %.
        digits: Minor-unit digits of the invoice's currency.
        mode: Rounding rule.

    Returns:
        Rounded sums. In mode "total" the parts may differ from `total` by a minor unit; only that is exact.
    """
    half_even = mode == "half_even_line"
    with localcontext() as context:
        context.prec = _PRECISION
        exact = [line.quantity * line.unit_cost for line in lines]
        amounts = tuple(rounded(amount, digits, half_even=half_even) for amount in exact)
        kept = 1 - discount_percent / 100
        bases = exact if mode == "total" else amounts
        taxes = [
            (tax.name, tax.percent, amount)
            for line, base in zip(lines, bases, strict=True)
            for tax, amount in _line_taxes(line, base * kept)
        ]
        subtotal = sum(amounts, Decimal(0))
        discount = rounded(-subtotal * discount_percent / 100, digits, half_even=half_even)
        if mode == "tax":
            by_tax: dict[tuple[str, Decimal], Decimal] = {}
            for name, percent, amount in taxes:
                by_tax[name, percent] = by_tax.get((name, percent), Decimal(0)) + amount
            tax_sum = sum((rounded(amount, digits) for amount in by_tax.values()), Decimal(0))
        elif mode == "total":
            exact_tax = sum((amount for _, _, amount in taxes), Decimal(0))
            total = rounded(sum(exact, Decimal(0)) * kept + exact_tax, digits)
            return Totals(amounts, rounded(subtotal, digits), discount, rounded(exact_tax, digits), total)
        else:
            tax_sum = sum((rounded(amount, digits, half_even=half_even) for _, _, amount in taxes), Decimal(0))
        total = rounded(subtotal + discount + tax_sum, digits)
        return Totals(amounts, rounded(subtotal, digits), discount, rounded(tax_sum, digits), total)


def _line_taxes(line: PricedLine, base: Decimal) -> list[tuple[LineTax, Decimal]]:
    found: list[tuple[LineTax, Decimal]] = []
    for position, tax in enumerate(line.taxes):
        taxed = base + found[0][1] if line.compounded and position == 1 else base
        found.append((tax, taxed * tax.percent / 100))
    return found
