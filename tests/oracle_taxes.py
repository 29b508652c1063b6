"""The independent reading of an order's taxes: which rates bear on what, in exact fractions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from itertools import combinations
from typing import Any

Row = Mapping[str, Any]
Part = tuple[Row, Fraction]  # a line or a charge, and the amount that may bear tax


def number(value: Any) -> Fraction:
    """Read a money text or JSON number; absent and null are zero.

    Raises:
        ValueError: It is neither.
    """
    if value is None:
        return Fraction(0)
    if isinstance(value, bool | float):
        raise ValueError("not an exact number")
    return Fraction(str(value).strip())


def sums(numbers: Iterable[Fraction]) -> Fraction:
    """Add up, exactly."""
    return sum(numbers, Fraction(0))


def rates(rows: Iterable[Row] | None) -> list[Fraction]:
    """The rates above zero of tax lines, as fractions."""
    return [number(row["rate"]) for row in rows or [] if row.get("rate") is not None and number(row["rate"])]


def tax_reason(
    lines: Sequence[Part],
    charges: Sequence[Part],
    order: Row,
    *,
    stated: Fraction,
    unit: Fraction,
    approved: Mapping[str, Fraction],
    combined: Iterable[str],
) -> str:
    """Why an order may not post for its taxes; empty when they are sound.

    Args:
        lines: Goods with their amounts after all discounts; gross where the order's prices are.
        charges: Everything else with its amount; a row without `taxAmount` says nothing about tax.
        order: For its own tax lines.
        stated: The order's tax total.
        unit: The currency's smallest amount.
        approved: Percents that an analyst approved, by name.
        combined: Names of more than two taxes, joined by " + ", that one tax stands for.
    """
    for row, _ in lines:
        named = [tax for tax in row.get("taxLines") or [] if number(tax.get("rate")) or number(tax.get("amount"))]
        if len(named) > 2 and " + ".join(tax["name"] for tax in named) not in combined:
            return "too-many-taxes"
    gross = bool(order.get("pricesIncludeTax"))
    if not _of_order(lines, order) and stated:
        taxed = [(amount, number(row.get("taxAmount"))) for row, amount in (*lines, *charges)]
        taxed = [(amount, tax) for amount, tax in taxed if tax]
        fitting = [
            rate / 100
            for rate in approved.values()
            if all(abs(_tax(amount, [rate / 100], gross) - tax) < unit for amount, tax in taxed)
        ]
        return "" if len(fitting) == 1 else "tax-rate-unknown"
    gap = tax_gap(lines, charges, order, stated=stated)
    return "tax-does-not-agree" if gap > 5 * unit else ""


def tax_gap(lines: Sequence[Part], charges: Sequence[Part], order: Row, *, stated: Fraction) -> Fraction:
    """How far rate x amount is from the tax that the order states, by the reading that comes nearest.

    What is said about tax, and what is left to those that say nothing, are compared apart.
    """
    gross = bool(order.get("pricesIncludeTax"))
    of_order = _of_order(lines, order)
    calculated, shown, silent_lines, silent_charges = Fraction(0), Fraction(0), Fraction(0), []
    named_ones = any(row.get("taxLines") for row, _ in lines)
    for row, amount in (*lines, *charges):
        own, tax = rates(row.get("taxLines")), row.get("taxAmount")
        if own and tax is None:
            shown += _tax(amount, own, gross)
            calculated += _tax(amount, own, gross)
        elif tax is not None:
            shown += number(tax)
            by_itself = _tax(amount, own, gross) if number(tax) else Fraction(0)
            calculated += by_itself if own else _nearest(amount, of_order, number(tax), gross)
        elif any(row is line for line, _ in lines):
            silent_lines += 0 if named_ones else amount
        else:
            silent_charges.append(amount)
    some = [()] + [some for count in range(1, len(silent_charges) + 1) for some in combinations(silent_charges, count)]
    ways = [_tax(silent_lines, of_order, gross) + _tax(sums(of), mix, gross) for of in some for mix in _mixes(of_order)]
    missed = min((abs(way - (stated - shown)) for way in ways), default=abs(stated - shown))
    return max(missed, abs(calculated - shown))


def _of_order(lines: Sequence[Part], order: Row) -> list[Fraction]:
    """The rates of the order's tax lines, else those that its lines name."""
    return rates(order.get("taxLines")) or list(
        dict.fromkeys(rate for row, _ in lines for rate in rates(row.get("taxLines")))
    )


def _mixes(of_order: Sequence[Fraction]) -> list[tuple[Fraction, ...]]:
    return [mix for count in range(1, len(of_order) + 1) for mix in combinations(of_order, count)]


def _nearest(amount: Fraction, of_order: Sequence[Fraction], tax: Fraction, gross: bool) -> Fraction:
    """What the order's rates make of an amount, by the mix that comes nearest to the tax that is stated."""
    return min((_tax(amount, mix, gross) for mix in [(), *_mixes(of_order)]), key=lambda made: abs(made - tax))


def _tax(amount: Fraction, bearing: Sequence[Fraction], gross: bool) -> Fraction:
    rate = sums(bearing)
    return amount * rate / (1 + rate) if gross else amount * rate
