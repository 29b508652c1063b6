"""Orders whose money has nothing to it: what `mapspec.lines` makes of them, in a third of the time.

Net prices, sums that agree to the last digit, discounts that their own lines carry, taxes that every line states.
Most orders of a shop are so. For all others there is no answer here, and `mapspec.lines` looks at them step by step.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache
from typing import Final

from mapspec.errors import TransformError
from mapspec.line_costs import quantity_and_cost
from mapspec.line_taxes import TAX_PLACES, UNTAXED, Rates, fit, known_taxes, own_taxes
from mapspec.numbers import ZERO, currency_digits, decimals_of, minor_unit
from mapspec.order_parts import InvoiceLine, Item, OrderMoney, PricedOrder, TaxAmount
from mapspec.totals import HUNDRED, Tax, predict_exactly

MAX_ROUNDING_UNITS: Final = 5  # rule 7: minor units that one rounding line may carry
_ONE: Final = Decimal(1)


def price_ordinary(order: OrderMoney) -> PricedOrder | None:
    """The order's lines, or None when anything about its money is out of the ordinary. Needs exact arithmetic."""
    if order.prices_include_tax or order.tax is None:
        return None
    try:
        return _priced(order, order.tax)
    except TransformError:  # it is told with everything else that is to be said about the order
        return None


def _priced(order: OrderMoney, order_tax: Decimal) -> PricedOrder | None:
    digits = currency_digits(order.currency)
    unit = minor_unit(digits)
    cost_digits = digits if digits != 2 else order.unit_cost_places
    cost_unit = minor_unit(cost_digits)
    lines: list[InvoiceLine] = []
    listed_sum = discounts = charged = stated_tax = ZERO
    silent = False
    known: list[Tax] | None = None
    for item in order.items:
        row, quantity, price, line_total, discount, tax, taxes, is_discount = item
        listed = after = quantity * price
        if discount:
            after -= discount
            discounts += discount
        net = after.quantize(unit, ROUND_HALF_UP)
        if is_discount or quantity <= 0 or net.is_signed() or tax is None or net != after:
            return None
        if line_total is not None and line_total != listed:
            return None
        listed_sum += listed
        stated_tax += tax
        rates = _own_rate(taxes) if taxes else None if tax else UNTAXED
        if rates is None:
            known = known_taxes(order) if known is None else known
            rates = _found_rates(item, net, tax, known, order, digits)
        cost, note = price.quantize(cost_unit, ROUND_HALF_UP), ""
        if discount or cost != price:
            quantity, cost, note = quantity_and_cost(item, net, discount, cost_digits, digits, order)
        lines.append(InvoiceLine(row, "", quantity, cost, net, rates[0], rates[1], note))
    if not lines:
        return None
    for name, amount, tax in order.charges:
        if amount <= 0:
            return None
        charged += amount
        rates = UNTAXED
        net = amount.quantize(unit, ROUND_HALF_UP)
        if tax is None:
            silent = True
        elif tax:
            stated_tax += tax
            known = known_taxes(order) if known is None else known
            rates = fit(net, tax, known, order, digits, name.lower())
        lines.append(InvoiceLine(None, name, _ONE, net, net, rates[0], rates[1], ""))
    if not _agrees(order, listed_sum, discounts, charged + order_tax) or (
        silent and abs(order_tax - stated_tax) >= unit
    ):
        return None
    total = order.total.quantize(unit, ROUND_HALF_UP)
    predicted = predict_exactly(lines, digits)
    totals = predicted.values()
    if total not in totals and min(abs(found - total) for found in totals) > MAX_ROUNDING_UNITS * unit:
        return None
    return PricedOrder(tuple(lines), total, predicted, ())


def _agrees(order: OrderMoney, listed: Decimal, discounts: Decimal, added: Decimal) -> bool:
    """True when all sums of the order agree to the last digit."""
    if order.subtotal is not None and order.subtotal != listed:
        return False
    if order.discount is not None and abs(order.discount) != discounts:
        return False
    return listed + added - discounts == order.total


def _own_rate(taxes: Sequence[TaxAmount]) -> Rates | None:
    """The one tax of a line that states its rate and its amount."""
    if len(taxes) == 1:
        name, percent, amount = taxes[0]
        if percent and amount and _is_sendable(percent):
            return (Tax(name, percent),), False
    return None


def _found_rates(item: Item, net: Decimal, tax: Decimal, known: list[Tax], order: OrderMoney, digits: int) -> Rates:
    if item.taxes:
        return own_taxes(item, net, known, order, digits)
    return fit(net, tax, known, order, digits, f"line {item.row + 1}")


@lru_cache(maxsize=500)
def _is_sendable(percent: Decimal) -> bool:
    return 0 <= percent <= HUNDRED and decimals_of(percent) <= TAX_PLACES
