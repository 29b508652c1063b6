"""An order's money as invoice lines (rules 3 to 6).

The order's own amounts are the truth. Discounts are folded into line nets, a unit price is never rounded, gross
prices are netted by the order's tax amounts, and nothing of the total may stay unexplained: whatever cannot be
explained raises a TransformError with a reason id, and the order is held for a person.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import cache

from mapspec.gross_prices import balanced_nets, gross_charges, net_gross_prices
from mapspec.line_costs import quantity_and_cost
from mapspec.line_taxes import UNTAXED, Rates, agreed_rate, fit, hold, known_taxes, own_taxes
from mapspec.numbers import ZERO, allocate, currency_digits, decimals_of, exactly, minor_unit, plain, round_to
from mapspec.order_parts import IDENTITY_TOLERANCE, Charge, InvoiceLine, Item, OrderMoney, PricedOrder
from mapspec.ordinary import MAX_ROUNDING_UNITS, price_ordinary
from mapspec.silent_taxes import Silent, explain, named_mixes, told_by_amounts, total_tax
from mapspec.totals import HUNDRED, Mode, line_taxes, predict


def price_order(order: OrderMoney) -> PricedOrder:
    """Turn an order's money into invoice lines that explain its total to the cent.

    Raises:
        TransformError: The total cannot be explained; `reason` says why (totals-do-not-add-up, line-sum-differs,
            no-lines, negative-line, too-many-taxes, tax-rate-unknown, tax-does-not-agree, ...).
    """
    with exactly():
        return price_exactly(order)


def price_exactly(order: OrderMoney) -> PricedOrder:
    """`price_order` where exact arithmetic is on already."""
    return price_ordinary(order) or price_thoroughly(order)


def price_thoroughly(order: OrderMoney) -> PricedOrder:
    """`price_exactly` for an order of any kind."""
    digits = currency_digits(order.currency)
    notes: list[tuple[str, str]] = []
    products = [item for item in order.items if not item.is_discount]
    kept: list[Item] = []
    for item in products:
        _check_line(item, digits)
        if item.quantity == 0:
            notes.append(("zero-quantity-line", f"line {item.row + 1} has quantity 0 and was left out"))
        else:
            kept.append(item)
    if not kept:
        hold("no-lines", "the order has no lines to invoice")
    kept = _as_added_up(order, kept, digits)
    charges = [charge for charge in order.charges if charge.amount > 0]
    # A negative fee is a discount under another name (pitfall 13).
    negative_charges = -sum([c.amount for c in order.charges if c.amount < 0], ZERO)

    spread, stated_discount = _order_discount(order, kept, digits)
    spread += negative_charges
    _check_identity(order, kept, stated_discount)

    listed = [item.listed for item in kept]
    discounts = [item.discount for item in kept]
    if spread:
        weights = [max(amount - own, ZERO) for amount, own in zip(listed, discounts, strict=True)]
        if spread > sum(weights, ZERO):
            hold("discount-too-large", "the discount is larger than the lines it applies to")
        places = max(digits, decimals_of(spread))
        discounts = [d + part for d, part in zip(discounts, allocate(spread, weights, places), strict=True)]
    after_discount = [amount - d for amount, d in zip(listed, discounts, strict=True)]

    if order.prices_include_tax:
        line_nets, charge_nets, line_rates, charge_rates = net_gross_prices(
            order, kept, after_discount, charges, digits
        )
    else:
        line_nets = [round_to(amount, digits) for amount in after_discount]
        charge_nets = [round_to(charge.amount, digits) for charge in charges]
        line_rates, charge_rates = _rates(order, kept, line_nets, charges, charge_nets, digits)
    rates = [*line_rates, *charge_rates]

    def written(nets: Sequence[Decimal]) -> list[InvoiceLine]:
        return _lines(order, kept, discounts, charges, nets, rates, digits)

    lines = written([*line_nets, *charge_nets])
    predicted = predict(lines, digits)
    if order.prices_include_tax and _farthest(predicted, order, digits) > MAX_ROUNDING_UNITS * minor_unit(digits):
        gross = [*after_discount, *gross_charges(order, after_discount, charges)]
        balanced = balanced_nets(gross, rates, digits)
        # the order's own amounts stay the measure: no line moves by more than what rounding hid
        if all(abs(net - line.net) <= minor_unit(digits) for net, line in zip(balanced, lines, strict=True)):
            other = written(balanced)
            totals_then = predict(other, digits)
            if _farthest(totals_then, order, digits) < _farthest(predicted, order, digits):
                lines, predicted = other, totals_then
    limit = MAX_ROUNDING_UNITS * minor_unit(digits)
    order_total = round_to(order.total, digits)  # clarity A19: amounts may come with more digits than the currency has
    totals = predicted.values()
    nearest = order_total if order_total in totals else min(totals, key=lambda total: abs(total - order_total))
    if abs(nearest - order_total) > limit:
        reason = "tax-does-not-agree" if any(line.taxes for line in lines) else "total-does-not-agree"
        hold(
            reason,
            f"the invoice would come to {plain(nearest, digits)} {order.currency}, "
            f"the order says {plain(order_total, digits)} {order.currency}",
        )
    return PricedOrder(tuple(lines), order_total, predicted, tuple(notes))


def _lines(
    order: OrderMoney,
    kept: Sequence[Item],
    discounts: Sequence[Decimal],
    charges: Sequence[Charge],
    nets: Sequence[Decimal],
    rates: Sequence[Rates],
    digits: int,
) -> list[InvoiceLine]:
    """Invoice lines of goods and charges; `nets` and `rates` are those of the goods, then those of the charges."""
    places = digits if digits != 2 else order.unit_cost_places
    lines: list[InvoiceLine] = []
    for item, discount, net, (taxes, compound) in zip(kept, discounts, nets, rates, strict=False):
        if (net < 0 or item.quantity < 0) and not order.negative_lines:
            hold("negative-line", f"line {item.row + 1} is negative; FreshBooks may refuse negative lines")
        quantity, unit_cost, note = quantity_and_cost(item, net, discount, places, digits, order)
        lines.append(InvoiceLine(item.row, "", quantity, unit_cost, net, taxes, compound, note))
    for charge, net, (taxes, compound) in zip(charges, nets[len(kept) :], rates[len(kept) :], strict=True):
        lines.append(InvoiceLine(None, charge.name, Decimal(1), net, net, taxes, compound, ""))
    return lines


def _farthest(predicted: Mapping[Mode, Decimal], order: OrderMoney, digits: int) -> Decimal:
    """How far the total may lie from the order's under the worst rounding rule."""
    total = round_to(order.total, digits)
    return max(abs(found - total) for found in predicted.values())


def _as_added_up(order: OrderMoney, kept: list[Item], digits: int) -> list[Item]:
    """The lines as the order adds them up: shown with more digits than money has, they are rounded one by one."""
    if order.subtotal is None or sum([item.listed for item in kept], ZERO) == order.subtotal:
        return kept
    rounded = [round_to(item.listed, digits) for item in kept]
    if sum(rounded, ZERO) != order.subtotal:
        return kept
    return [item._replace(line_total=amount) for item, amount in zip(kept, rounded, strict=True)]


@cache  # by the digits of a currency: five different ones at most
def _line_tolerance(digits: int) -> Decimal:
    """How far a line's stated total may lie from quantity × price: rounding to whole yen takes up to half a yen."""
    return max(IDENTITY_TOLERANCE, minor_unit(digits) / 2)


def _check_line(item: Item, digits: int) -> None:
    if item.line_total is None or item.line_total == item.quantity * item.unit_price:
        return
    if abs(item.line_total - item.quantity * item.unit_price) > _line_tolerance(digits):
        hold(
            "line-total-differs",
            f"line {item.row + 1}: the line total is not quantity × unit price",
        )


def _order_discount(order: OrderMoney, kept: Sequence[Item], digits: int) -> tuple[Decimal, Decimal]:
    """The part of the discount that no line carries yet, and the discount that the identity subtracts.

    Checks the lines against the subtotal on the way. `discountTotal` covers order and line discounts together (A24).
    Discount rows among the lines are no products; they count in `discountTotal`, unless the subtotal shows that they
    are part of it. Without a `discountTotal` the line discounts and the rows are the discount.
    """
    line_discounts = sum([item.discount for item in kept], ZERO)
    rows = sum([abs(item.listed) for item in order.items if item.is_discount], ZERO)
    listed = sum([item.listed for item in kept], ZERO)
    # Lines shown with rounded totals may add up to half a minor unit a line beside the exact sum.
    slack = _line_tolerance(digits) + minor_unit(digits) / 2 * (len(kept) - 1)
    rows_inside = False
    if order.subtotal is not None and abs(listed - order.subtotal) > slack:
        exact = sum((item.quantity * item.unit_price for item in kept), ZERO)
        if rows and abs(listed - rows - order.subtotal) <= slack:
            rows_inside = True
        elif not (order.prices_include_tax and _subtotal_is_net(order, kept, listed, slack)) and (
            abs(exact - order.subtotal) > slack
        ):
            hold("line-sum-differs", "the lines do not add up to the order's subtotal")
    stated = line_discounts + (ZERO if rows_inside else rows) if order.discount is None else abs(order.discount)
    if stated < line_discounts:
        hold("discounts-differ", "the lines carry more discount than the order's discount total")
    return stated - line_discounts + (rows if rows_inside else ZERO), stated


def _subtotal_is_net(order: OrderMoney, kept: Sequence[Item], listed: Decimal, slack: Decimal) -> bool:
    tax = sum((item.tax or ZERO for item in kept), ZERO)
    return order.subtotal is not None and abs(listed - tax - order.subtotal) <= slack


def _check_identity(order: OrderMoney, kept: Sequence[Item], discount: Decimal) -> None:
    """total = subtotal + charges + tax − |discounts| within `totals_within`; gross prices hold the tax already."""
    subtotal = sum([item.listed for item in kept], ZERO) if order.subtotal is None else order.subtotal
    charges = sum([charge.amount for charge in order.charges], ZERO)
    tax = total_tax(order, kept, order.charges)
    sums = [subtotal + charges + tax - discount]
    if sums[0] == order.total:
        return
    if order.prices_include_tax:
        charge_tax = sum((charge.tax or ZERO for charge in order.charges), ZERO)
        sums = [subtotal + charges - discount, subtotal + charges + charge_tax - discount, *sums]
    if all(abs(order.total - total) > order.totals_within for total in sums):
        hold(
            "totals-do-not-add-up",
            "the order's total is not subtotal + shipping + handling + fees + tax − discounts",
        )


def _rates(
    order: OrderMoney,
    kept: Sequence[Item],
    nets: Sequence[Decimal],
    charges: Sequence[Charge],
    charge_nets: Sequence[Decimal],
    digits: int,
) -> tuple[list[Rates], list[Rates]]:
    """Name and percent of every line's and charge's taxes, from the order's own tax lines and amounts (rule 6)."""
    known = known_taxes(order)
    if not known:
        pairs = [(net, item.tax) for item, net in zip(kept, nets, strict=True) if not item.taxes]
        pairs += [(net, charge.tax) for charge, net in zip(charges, charge_nets, strict=True)]
        known = agreed_rate(order, pairs, lambda net, tax: net * tax.percent / HUNDRED, digits)
    line_rates: list[Rates | None] = []
    for item, net in zip(kept, nets, strict=True):
        if item.taxes:
            line_rates.append(own_taxes(item, net, known, order, digits))
        elif item.tax is not None:
            line_rates.append(fit(net, item.tax, known, order, digits, f"line {item.row + 1}"))
        else:
            line_rates.append(None)
    charge_rates: list[Rates | None] = [
        None if charge.tax is None else fit(net, charge.tax, known, order, digits, charge.name.lower())
        for charge, net in zip(charges, charge_nets, strict=True)
    ]
    silent = Silent(
        lines=[i for i, rates in enumerate(line_rates) if rates is None],
        charges=[i for i, rates in enumerate(charge_rates) if rates is None],
        line_amounts=nets,
        charge_amounts=charge_nets,
        named=named_mixes(kept),
        stated=all(item.tax is not None for item in kept),
    )
    charge_taxes = [charge.tax for charge in charges]
    told = told_by_amounts(order, silent, charge_rates, charge_taxes, digits, _on_top) if silent.lines else None
    if told:
        for i, found in told[0].items():
            line_rates[i] = found
        for i, found in told[1].items():
            charge_rates[i] = found
    elif silent.lines or silent.charges:
        explained = sum((charge.tax or ZERO for charge in charges), ZERO)
        for item, net, rates in zip(kept, nets, line_rates, strict=True):
            if rates is not None:
                explained += item.tax if item.tax is not None else _named_tax(item, net, rates, digits)
        left = total_tax(order, kept, charges) - explained
        way = explain(order, silent, known, left, digits, _on_top)
        for i in silent.lines:
            line_rates[i] = way.rates if way.lines else UNTAXED
        for i in silent.charges:
            charge_rates[i] = way.rates if i in way.charges else UNTAXED
    return [rate or UNTAXED for rate in line_rates], [rate or UNTAXED for rate in charge_rates]


def _on_top(net: Decimal, rates: Rates) -> Decimal:
    """The unrounded tax on a net amount."""
    return sum(line_taxes(net, *rates), ZERO)


def _named_tax(item: Item, net: Decimal, rates: Rates, digits: int) -> Decimal:
    """The tax of a line that names its taxes: each as it states or makes it, not what the books combine them into."""
    made = [net * tax.percent / HUNDRED if tax.percent is not None else None for tax in item.taxes]
    parts = [tax.amount if tax.amount is not None else amount for tax, amount in zip(item.taxes, made, strict=True)]
    if any(part is None for part in parts):
        parts = list(line_taxes(net, *rates))
    return sum((round_to(part or ZERO, digits) for part in parts), ZERO)
