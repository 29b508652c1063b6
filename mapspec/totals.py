"""FreshBooks' arithmetic, predicted under every plausible rounding rule.

Facts §5: amount = sum of line amounts (qty × unit_cost) plus tax, tax on the line, at most two a line, the second
optionally compound. How and where the server rounds is unknown (§12), so a prediction is a set of totals.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Literal

from mapspec.numbers import ZERO, Rounding, exactly, round_to

Mode = Literal["line", "tax", "total", "line_even", "tax_even"]
MODES: Final[tuple[Mode, ...]] = ("line", "tax", "total", "line_even", "tax_even")
HUNDRED: Final = Decimal(100)


@dataclass(frozen=True)
class Tax:
    """One tax of a line; `percent` like 8.25."""

    name: str
    percent: Decimal


@dataclass(frozen=True)
class TotalLine:
    """What the total depends on, of one invoice line."""

    quantity: Decimal
    unit_cost: Decimal
    taxes: tuple[Tax, ...] = ()
    compound: bool = False


def line_taxes(net: Decimal, taxes: Sequence[Tax], compound: bool) -> list[Decimal]:
    """Unrounded tax amounts of one line, in order; the second on net + first where compound."""
    amounts: list[Decimal] = []
    for position, tax in enumerate(taxes):
        base = net + amounts[0] if compound and position == 1 else net
        amounts.append(base * tax.percent / HUNDRED)
    return amounts


def predict(lines: Iterable[TotalLine], digits: int) -> dict[Mode, Decimal]:
    """The invoice total under each rounding mode.

    Args:
        lines: The invoice's lines.
        digits: Digits of the currency's minor unit.

    Returns:
        line: every line amount and every tax of a line rounded half up; tax: each tax rounded once over the
        invoice; total: one rounding at the end; *_even: the same with half-even rounding.
    """
    rows = list(lines)
    totals: dict[Mode, Decimal] = {}
    with exactly():
        nets = [row.quantity * row.unit_cost for row in rows]
        for mode in MODES:
            rounding: Rounding = "half_even" if mode.endswith("even") else "half_up"
            if mode == "total":
                exact = sum(nets, ZERO)
                exact += sum(
                    (sum(line_taxes(n, r.taxes, r.compound), ZERO) for n, r in zip(nets, rows, strict=True)),
                    ZERO,
                )
                totals[mode] = round_to(exact, digits, rounding)
                continue
            rounded = [round_to(net, digits, rounding) for net in nets]
            by_tax: dict[Tax, Decimal] = {}
            tax_sum = ZERO
            for net, row in zip(rounded, rows, strict=True):
                for tax, amount in zip(row.taxes, line_taxes(net, row.taxes, row.compound), strict=True):
                    if mode.startswith("line"):
                        tax_sum += round_to(amount, digits, rounding)
                    else:
                        by_tax[tax] = by_tax.get(tax, ZERO) + amount
            tax_sum += sum((round_to(amount, digits, rounding) for amount in by_tax.values()), ZERO)
            totals[mode] = sum(rounded, ZERO) + tax_sum
    return totals
