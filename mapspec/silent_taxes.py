"""Taxes of lines and charges about which the order says nothing but its tax total (rule 6, pitfall 2).

Every way to tax them is tried; one that makes the total, and makes it clearly better than any other, is the answer.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from decimal import Decimal
from itertools import combinations
from typing import Final, NamedTuple

from mapspec.line_taxes import MAX_GUESSED, MAX_TAXES, UNTAXED, Rates, check_percent, combined, hold, mixes, subsets
from mapspec.numbers import ZERO, minor_unit
from mapspec.order_parts import Charge, Item, OrderMoney
from mapspec.ordinary import MAX_ROUNDING_UNITS
from mapspec.totals import Tax


class Way(NamedTuple):
    """One way to tax what is silent: these taxes on the lines or not, and on these charges.

    Attributes:
        miss: How far it is from what is left of the tax total.
    """

    miss: Decimal
    rates: Rates
    lines: bool
    charges: tuple[int, ...]


NOTHING = Way(ZERO, UNTAXED, False, ())
_MOST_PARTS: Final = 8  # lines and charges whose choices are tried one by one


class Silent(NamedTuple):
    """What says nothing about tax, by position, with the amounts that would be taxed.

    Attributes:
        named: The mixes of taxes that other lines name: more likely than any other, and the silent ones may have none.
        stated: Every other line states its tax as an amount.
    """

    lines: Sequence[int]
    charges: Sequence[int]
    line_amounts: Sequence[Decimal]
    charge_amounts: Sequence[Decimal]
    named: Collection[Rates]
    stated: bool


def total_tax(order: OrderMoney, kept: Sequence[Item], charges: Sequence[Charge]) -> Decimal:
    """The order's tax total, else the sum of what its tax lines, or its lines and charges, state."""
    if order.tax is not None:
        return order.tax
    if order.taxes and all(tax.amount is not None for tax in order.taxes):
        return sum((tax.amount or ZERO for tax in order.taxes), ZERO)
    return sum((item.tax or ZERO for item in kept), ZERO) + sum((charge.tax or ZERO for charge in charges), ZERO)


def named_mixes(kept: Sequence[Item]) -> Collection[Rates]:
    """The mixes of taxes that lines name with their rates, in the order of the lines."""
    found: dict[Rates, None] = {}
    for item in kept:
        if item.taxes and all(tax.percent is not None for tax in item.taxes):
            found[tuple(Tax(tax.name, tax.percent or ZERO) for tax in item.taxes if tax.percent), False] = None
    found.pop(UNTAXED, None)
    return list(found)


def explain(
    order: OrderMoney,
    silent: Silent,
    known: Sequence[Tax],
    left: Decimal,
    digits: int,
    tax_of: Callable[[Decimal, Rates], Decimal],
) -> Way:
    """The way to tax what is silent that makes `left`, what the others leave of the tax total.

    Args:
        order: The order.
        silent: What says nothing.
        known: The order's taxes; without any, those of the approved table are tried.
        left: Tax to explain.
        digits: Of the currency.
        tax_of: Unrounded tax in, or on, an amount.

    Raises:
        TransformError: No way makes it (`tax-rate-unknown`, `tax-does-not-agree`), or several do.
    """
    cent = minor_unit(digits)
    if abs(left) < cent:
        return NOTHING
    found = _ways(order, silent, known, left, cent, tax_of)
    if len(found) == 1 or (len(found) > 1 and found[1].miss - found[0].miss >= cent):
        best = found[0]
        if len(best.rates[0]) > MAX_TAXES:
            best = best._replace(rates=combined(best.rates[0], order, "the order"))
        for tax in best.rates[0]:
            check_percent(tax, "the order's tax")
        return best
    if not silent.lines and abs(left) <= cent * MAX_ROUNDING_UNITS:
        return NOTHING  # rounding of the order's tax total: the predicted total tells
    if found:
        hold("tax-rate-unknown", "several ways to tax the lines and charges explain the order's tax total")
    reason = "tax-does-not-agree" if known else "tax-rate-unknown"
    return hold(reason, "the order's tax total is not explained by its lines, charges and tax rates")


def told_by_amounts(
    order: OrderMoney,
    silent: Silent,
    charge_rates: Sequence[Rates | None],
    charge_taxes: Sequence[Decimal | None],
    digits: int,
    tax_of: Callable[[Decimal, Rates], Decimal],
) -> tuple[dict[int, Rates], dict[int, Rates]] | None:
    """Which of an order's several taxes bear on which of its silent lines and charges, told by the amount of each tax.

    A tax of 3.50 at 7 % bears on 50.00: where only one choice of lines and charges comes to it, that is the answer.

    Args:
        order: The order; every one of its tax lines has to state rate and amount.
        silent: What says nothing, all lines among it.
        charge_rates: The taxes of charges that state an amount.
        charge_taxes: That amount.
        digits: Of the currency.
        tax_of: Unrounded tax in, or on, an amount.

    Returns:
        The taxes of lines and of charges by position, None where the amounts do not tell.
    """
    left: dict[Tax, Decimal] = {}
    for stated in order.taxes:
        if not stated.percent or stated.amount is None:
            return None
        tax = Tax(stated.name, stated.percent)
        left[tax] = left.get(tax, ZERO) + stated.amount
    parts = [(True, i, silent.line_amounts[i]) for i in silent.lines if silent.line_amounts[i]]
    parts += [(False, i, silent.charge_amounts[i]) for i in silent.charges]
    if (
        not MAX_TAXES <= len(left) <= MAX_GUESSED
        or len(parts) > _MOST_PARTS
        or len(silent.lines) < len(silent.line_amounts)
    ):
        return None
    for rates, amount in zip(charge_rates, charge_taxes, strict=True):
        if rates is None or not rates[0] or amount is None:
            continue
        (only,) = rates[0] if len(rates[0]) == 1 else (None,)
        if only is None or only not in left:
            return None
        left[only] -= amount
    half = minor_unit(digits) / 2
    bearing: dict[tuple[bool, int], tuple[Tax, ...]] = {(is_line, i): () for is_line, i, _ in parts}
    for tax, amount in left.items():
        found = [
            chosen
            for count in range(len(parts) + 1)
            for chosen in combinations(parts, count)
            if abs(tax_of(sum((part[2] for part in chosen), ZERO), ((tax,), False)) - amount) <= half * max(1, count)
        ]
        if len(found) != 1:
            return None
        for is_line, i, _ in found[0]:
            bearing[is_line, i] += (tax,)
    if any(len(taxes) > MAX_TAXES for taxes in bearing.values()):
        return None
    for tax in left:
        check_percent(tax, "the order's tax")
    lines = {i: (bearing.get((True, i), ()), False) for i in silent.lines}
    return lines, {i: (bearing[False, i], False) for i in silent.charges}


def _ways(
    order: OrderMoney,
    silent: Silent,
    known: Sequence[Tax],
    left: Decimal,
    cent: Decimal,
    tax_of: Callable[[Decimal, Rates], Decimal],
) -> list[Way]:
    """Every way that makes `left`, best first."""
    if silent.named and (found := _made_by(silent.named, silent, left, cent, tax_of)):
        return found
    if known:
        choices = mixes(known, "the order")
    else:
        choices = [((Tax(name, rate),), False) for name, rate in order.approved_rates.items() if rate >= 0]
    return _made_by(choices, silent, left, cent, tax_of)


def _made_by(
    choices: Collection[Rates],
    silent: Silent,
    left: Decimal,
    cent: Decimal,
    tax_of: Callable[[Decimal, Rates], Decimal],
) -> list[Way]:
    # Where lines state their tax, what is left is a charge's tax to the cent, or rounding of the order's tax total.
    lines = len(silent.line_amounts)
    slack = cent * (1 if silent.stated and not silent.lines else max(1, min(MAX_ROUNDING_UNITS, lines)))
    half = cent / 2  # what one rounded tax may be off
    base = sum((silent.line_amounts[i] for i in silent.lines), ZERO)
    with_lines = [True, False] if base and silent.named else [bool(base)]
    found = []
    if (False in with_lines) and abs(left) <= slack:
        found.append(NOTHING._replace(miss=abs(left)))
    for rates in choices:
        for taxed_lines in with_lines:
            for subset in subsets(silent.charges):
                if not taxed_lines and not subset:
                    continue
                taxed = base if taxed_lines else ZERO
                taxed += sum((silent.charge_amounts[i] for i in subset), ZERO)
                miss = abs(tax_of(taxed, rates) - left)
                rounded = len(rates[0]) * (len(subset) + (len(silent.lines) if taxed_lines else 0))
                if miss <= max(slack, min(half * rounded, MAX_ROUNDING_UNITS * cent)):
                    found.append(Way(miss, rates, taxed_lines, subset))
    plain_ways = [way for way in found if not way.rates[1]]  # a compound tax only where nothing plainer explains it
    return sorted(plain_ways or found, key=lambda way: way.miss)
