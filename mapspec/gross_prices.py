"""Net amounts of prices that hold their tax: by line from the order's own tax amounts, never per unit (rule 3)."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_DOWN, Decimal

from mapspec.line_taxes import UNTAXED, Rates, agreed_rate, check_percent, fit, known_taxes, own_taxes
from mapspec.numbers import ZERO, allocate, minor_unit, round_to
from mapspec.order_parts import IDENTITY_TOLERANCE, Charge, Item, OrderMoney
from mapspec.silent_taxes import Silent, explain, named_mixes, told_by_amounts, total_tax
from mapspec.totals import HUNDRED

Netted = tuple[list[Decimal], list[Decimal], list[Rates], list[Rates]]


def tax_inside(amount: Decimal, rates: Rates) -> Decimal:
    """The unrounded tax that an amount holds."""
    return amount - amount / _factor(rates)


def net_gross_prices(
    order: OrderMoney, kept: Sequence[Item], gross: Sequence[Decimal], charges: Sequence[Charge], digits: int
) -> Netted:
    """Nets of lines and charges, and the taxes on them."""
    known = known_taxes(order)
    for tax in known:
        if not 0 <= tax.percent <= HUNDRED:  # what it would be inside of may be nothing at all
            check_percent(tax, "the order")
    charge_gross = gross_charges(order, gross, charges)
    taxes = [_inside(item, amount, digits) for item, amount in zip(kept, gross, strict=True)]
    charge_taxes = [charge.tax for charge in charges]
    if not known:
        pairs = [(amount, _stated(item)) for item, amount in zip(kept, gross, strict=True)]
        pairs += [(amount, charge.tax) for charge, amount in zip(charges, charge_gross, strict=True)]
        known = agreed_rate(order, pairs, lambda amount, rate: tax_inside(amount, ((rate,), False)), digits)
    silent = Silent(
        lines=[i for i, tax in enumerate(taxes) if tax is None],
        charges=[i for i, tax in enumerate(charge_taxes) if tax is None],
        line_amounts=gross,
        charge_amounts=charge_gross,
        named=named_mixes(kept),
        stated=all(_stated(item) is not None for item in kept),
    )
    stated_rates: list[Rates | None] = [
        None if tax is None else fit(amount - tax, tax, known, order, digits, charge.name.lower(), gross=amount)
        for charge, amount, tax in zip(charges, charge_gross, charge_taxes, strict=True)
    ]
    silent_lines: dict[int, Rates] = {}
    silent_charges: dict[int, Rates] = {}
    told = told_by_amounts(order, silent, stated_rates, charge_taxes, digits, tax_inside) if silent.lines else None
    if told:
        silent_lines, silent_charges = told
        for i, rates in silent_lines.items():
            taxes[i] = round_to(tax_inside(gross[i], rates), digits)
        for i, rates in silent_charges.items():
            charge_taxes[i] = round_to(tax_inside(charge_gross[i], rates), digits)
    elif silent.lines or silent.charges:
        left = total_tax(order, kept, charges) - sum((tax for tax in (*taxes, *charge_taxes) if tax is not None), ZERO)
        way = explain(order, silent, known, left, digits, tax_inside)
        silent_lines = dict.fromkeys(silent.lines, way.rates if way.lines else UNTAXED)
        silent_charges = {i: way.rates if i in way.charges else UNTAXED for i in silent.charges}
        taxed_lines = list(silent.lines) if way.lines else []
        weights = [gross[i] for i in taxed_lines] + [charge_gross[i] for i in way.charges]
        parts = allocate(left if sum(weights, ZERO) else ZERO, weights, digits)
        for i, part in zip(taxed_lines, parts, strict=False):
            taxes[i] = part
        for i, part in zip(way.charges, parts[len(taxed_lines) :], strict=True):
            charge_taxes[i] = part
    line_nets = [round_to(amount - (tax or ZERO), digits) for amount, tax in zip(gross, taxes, strict=True)]
    charge_nets = [
        round_to(amount - (tax or ZERO), digits) for amount, tax in zip(charge_gross, charge_taxes, strict=True)
    ]
    line_rates: list[Rates] = []
    for i, (item, net) in enumerate(zip(kept, line_nets, strict=True)):
        if item.taxes:
            line_rates.append(own_taxes(item, net, known, order, digits))
        elif i in silent_lines:
            line_rates.append(silent_lines[i])
        else:
            line_rates.append(fit(net, taxes[i] or ZERO, known, order, digits, f"line {item.row + 1}", gross=gross[i]))
    charge_rates = [rates or silent_charges.get(i, UNTAXED) for i, rates in enumerate(stated_rates)]
    return line_nets, charge_nets, line_rates, charge_rates


def gross_charges(order: OrderMoney, gross: Sequence[Decimal], charges: Sequence[Charge]) -> list[Decimal]:
    """What the charges come to with their tax: some shops state them net beside gross prices."""
    amounts = [charge.amount for charge in charges]
    inside = sum(gross, ZERO) + sum(amounts, ZERO)
    charge_tax = sum((charge.tax or ZERO for charge in charges), ZERO)
    if abs(inside - order.total) > IDENTITY_TOLERANCE and abs(inside + charge_tax - order.total) <= IDENTITY_TOLERANCE:
        return [charge.amount + (charge.tax or ZERO) for charge in charges]
    return amounts


def balanced_nets(gross: Sequence[Decimal], rates: Sequence[Rates], digits: int) -> list[Decimal]:
    """Nets in whole minor units whose sums over each mix of taxes are right, not only each by itself.

    Six lines of 9.99 with 20 % inside are 8.325 net each. Rounded one by one they lose or win a cent a line; here
    three become 8.32 and three 8.33, and come to six times 9.99 again.
    """
    unit = minor_unit(digits)
    exact = [amount / _factor(rate) for amount, rate in zip(gross, rates, strict=True)]
    nets = [amount.quantize(unit, ROUND_DOWN) for amount in exact]
    mixes: dict[Rates, list[int]] = {}
    for position, rate in enumerate(rates):
        mixes.setdefault(rate, []).append(position)
    for positions in mixes.values():
        left = round_to(sum((exact[i] for i in positions), ZERO), digits) - sum((nets[i] for i in positions), ZERO)
        for i in sorted(positions, key=lambda i: (nets[i] - exact[i], i))[: max(0, int(left / unit))]:
            nets[i] += unit
    return nets


def _factor(rates: Rates) -> Decimal:
    taxes, compound = rates
    if compound:
        first, second = taxes
        return (HUNDRED + first.percent) * (HUNDRED + second.percent) / (HUNDRED * HUNDRED)
    return 1 + sum((tax.percent for tax in taxes), ZERO) / HUNDRED


def _stated(item: Item) -> Decimal | None:
    """The line's tax as it states it itself."""
    if item.tax is not None:
        return item.tax
    amounts = [tax.amount for tax in item.taxes if tax.amount is not None]
    return sum(amounts, ZERO) if item.taxes and len(amounts) == len(item.taxes) else None


def _inside(item: Item, gross: Decimal, digits: int) -> Decimal | None:
    """The line's tax as it states it, or as the rates that it names make it; None when it says nothing."""
    stated = _stated(item)
    if stated is not None or not item.taxes:
        return stated
    percents = [tax.percent for tax in item.taxes if tax.percent is not None]
    if len(percents) < len(item.taxes):
        return None
    whole = HUNDRED + sum(percents, ZERO)
    return sum((round_to(gross * percent / whole, digits) for percent in percents), ZERO)
