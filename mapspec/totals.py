"""FreshBooks' arithmetic, predicted under every plausible rounding rule.

Facts §5: amount = sum of line amounts (qty × unit_cost) plus tax, tax on the line, at most two a line, the second
optionally compound. How and where the server rounds is unknown (§12), so a prediction is a set of totals.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal
from typing import Final, Literal, NamedTuple, Protocol

from mapspec.numbers import ZERO, exactly, minor_unit

Mode = Literal["line", "tax", "total", "line_even", "tax_even"]
MODES: Final[tuple[Mode, ...]] = ("line", "tax", "total", "line_even", "tax_even")
HUNDRED: Final = Decimal(100)


class Tax(NamedTuple):
    """One tax of a line; `percent` like 8.25."""

    name: str
    percent: Decimal


class TotalLine(NamedTuple):
    """What the total depends on, of one invoice line."""

    quantity: Decimal
    unit_cost: Decimal
    taxes: tuple[Tax, ...] = ()
    compound: bool = False


class Line(Protocol):
    """What the total depends on, of a line of any kind: `TotalLine`, or a priced line."""

    @property
    def quantity(self) -> Decimal:
        """How many."""

    @property
    def unit_cost(self) -> Decimal:
        """Price of one."""

    @property
    def taxes(self) -> tuple[Tax, ...]:
        """At most two."""

    @property
    def compound(self) -> bool:
        """The second tax is on net and first."""


def line_taxes(net: Decimal, taxes: Sequence[Tax], compound: bool) -> list[Decimal]:
    """Unrounded tax amounts of one line, in order; the second on net + first where compound."""
    if len(taxes) == 1:
        return [net * taxes[0].percent / HUNDRED]
    amounts: list[Decimal] = []
    for position, tax in enumerate(taxes):
        base = net + amounts[0] if compound and position == 1 else net
        amounts.append(base * tax.percent / HUNDRED)
    return amounts


def predict(lines: Iterable[Line], digits: int) -> dict[Mode, Decimal]:
    """The invoice total under each rounding mode.

    Args:
        lines: The invoice's lines.
        digits: Digits of the currency's minor unit.

    Returns:
        line: every line amount and every tax of a line rounded half up; tax: each tax rounded once over the
        invoice; total: one rounding at the end; *_even: the same with half-even rounding.
    """
    with exactly():
        return predict_exactly(list(lines), digits)


def predict_exactly(rows: Sequence[Line], digits: int) -> dict[Mode, Decimal]:
    """`predict` where exact arithmetic is on already."""
    unit = minor_unit(digits)
    nets = [row.quantity * row.unit_cost for row in rows]
    up = [net.quantize(unit, ROUND_HALF_UP) for net in nets]
    if up == nets:  # amounts in whole minor units, which is nearly always, round to themselves
        taxes_up = taxes_even = taxes_exact = _taxes(rows, up)
        net_up = net_even = net_exact = sum(up, ZERO)
    else:
        even = [net.quantize(unit, ROUND_HALF_EVEN) for net in nets]
        taxes_up, taxes_even, taxes_exact = _taxes(rows, up), _taxes(rows, even), _taxes(rows, nets)
        net_up, net_even, net_exact = sum(up, ZERO), sum(even, ZERO), sum(nets, ZERO)
    sums_up = _by_tax(taxes_up)
    sums_even = sums_up if taxes_even is taxes_up else _by_tax(taxes_even)
    exact = net_exact + sum([amount for _, amount in taxes_exact], ZERO)
    return {
        "line": net_up + sum([amount.quantize(unit, ROUND_HALF_UP) for _, amount in taxes_up], ZERO),
        "tax": net_up + sum([amount.quantize(unit, ROUND_HALF_UP) for amount in sums_up], ZERO),
        "total": exact.quantize(unit, ROUND_HALF_UP),
        "line_even": net_even + sum([amount.quantize(unit, ROUND_HALF_EVEN) for _, amount in taxes_even], ZERO),
        "tax_even": net_even + sum([amount.quantize(unit, ROUND_HALF_EVEN) for amount in sums_even], ZERO),
    }


def _taxes(rows: Sequence[Line], nets: Sequence[Decimal]) -> list[tuple[Tax, Decimal]]:
    """Every tax of every line with its unrounded amount."""
    found: list[tuple[Tax, Decimal]] = []
    for row, net in zip(rows, nets, strict=True):
        taxes = row.taxes
        if len(taxes) == 1:
            found.append((taxes[0], net * taxes[0].percent / HUNDRED))
        elif taxes:
            found += zip(taxes, line_taxes(net, taxes, row.compound), strict=True)
    return found


def _by_tax(amounts: Sequence[tuple[Tax, Decimal]]) -> Collection[Decimal]:
    """What each tax comes to over the invoice."""
    if len(amounts) < 2:
        return [amount for _, amount in amounts]
    sums: dict[Tax, Decimal] = {}
    for tax, amount in amounts:
        sums[tax] = sums.get(tax, ZERO) + amount
    return sums.values()
