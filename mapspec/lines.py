"""An order's money as invoice lines (rules 3 to 6).

The order's own amounts are the truth. Discounts are folded into line nets, a unit price is never rounded, gross
prices are netted by the order's tax amounts, and nothing of the total may stay unexplained: whatever cannot be
explained raises a TransformError with a reason id, and the order is held for a person.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache
from itertools import combinations
from typing import Final, NoReturn

from mapspec.errors import TransformError
from mapspec.numbers import (
    ZERO,
    allocate,
    currency_digits,
    decimals_of,
    divide_exactly,
    exactly,
    minor_unit,
    plain,
    round_to,
)
from mapspec.totals import HUNDRED, Mode, Tax, line_taxes, predict

IDENTITY_TOLERANCE: Final = Decimal("0.01")  # clarity A39
MAX_ROUNDING_UNITS: Final = 5  # rule 7: minor units that one rounding line may carry
MAX_TAXES: Final = 2  # FreshBooks takes two per line
MAX_GUESSED: Final = 6  # different taxes, or charges silent about tax, whose combinations are tried
TAX_PLACES: Final = 3  # FreshBooks' percent has up to three decimals


@dataclass(frozen=True)
class TaxAmount:
    """A tax as the order states it; `percent` and `amount` may be missing."""

    name: str
    percent: Decimal | None
    amount: Decimal | None


@dataclass(frozen=True)
class Item:
    """One order line. Amounts in the order's currency; `tax` None means the line says nothing about tax."""

    index: int
    quantity: Decimal
    unit_price: Decimal
    line_total: Decimal | None
    discount: Decimal
    tax: Decimal | None
    taxes: tuple[TaxAmount, ...]
    is_discount: bool = False

    @property
    def listed(self) -> Decimal:
        """The line before discount: its own total, else quantity × unit price."""
        return self.quantity * self.unit_price if self.line_total is None else self.line_total


@dataclass(frozen=True)
class Charge:
    """Shipping, handling or a fee; `tax` None means the order does not say how much of it is tax."""

    name: str
    amount: Decimal
    tax: Decimal | None


@dataclass(frozen=True)
class OrderMoney:
    """Everything of an order that makes its total."""

    currency: str
    items: tuple[Item, ...]
    charges: tuple[Charge, ...]
    total: Decimal
    subtotal: Decimal | None
    discount: Decimal | None
    tax: Decimal | None
    taxes: tuple[TaxAmount, ...]
    prices_include_tax: bool = False
    unit_cost_places: int = 2
    negative_lines: bool = False
    totals_within: Decimal = IDENTITY_TOLERANCE
    approved_rates: Mapping[str, Decimal] = field(default_factory=dict)
    combined_taxes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class InvoiceLine:
    """One line of the invoice; `index` is the order line behind it, None for a charge."""

    index: int | None
    name: str
    quantity: Decimal
    unit_cost: Decimal
    net: Decimal
    taxes: tuple[Tax, ...]
    compound: bool
    note: str


@dataclass(frozen=True)
class PricedOrder:
    """The lines and what FreshBooks will make of them.

    Attributes:
        predicted: The invoice total under each rounding mode; at least one lies within five minor units of `total`.
        notes: (id, text) for the analyst, such as a dropped line of quantity zero.
    """

    lines: tuple[InvoiceLine, ...]
    total: Decimal
    predicted: Mapping[Mode, Decimal]
    notes: tuple[tuple[str, str], ...]


def price_order(order: OrderMoney) -> PricedOrder:
    """Turn an order's money into invoice lines that explain its total to the cent.

    Raises:
        TransformError: The total cannot be explained; `reason` says why (totals-do-not-add-up, line-sum-differs,
            no-lines, negative-line, too-many-taxes, tax-rate-unknown, tax-does-not-agree, ...).
    """
    with exactly():
        return _price(order)


def _hold(reason: str, message: str) -> NoReturn:
    raise TransformError(message, reason=reason)


def _price(order: OrderMoney) -> PricedOrder:
    digits = currency_digits(order.currency)
    notes: list[tuple[str, str]] = []
    products = [item for item in order.items if not item.is_discount]
    kept: list[Item] = []
    for item in products:
        _check_line(item, digits)
        if item.quantity == 0:
            notes.append(("zero-quantity-line", f"line {item.index + 1} has quantity 0 and was left out"))
        else:
            kept.append(item)
    if not kept:
        _hold("no-lines", "the order has no lines to invoice")
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
            _hold("discount-too-large", "the discount is larger than the lines it applies to")
        places = max(digits, decimals_of(spread))
        discounts = [d + part for d, part in zip(discounts, allocate(spread, weights, places), strict=True)]
    after_discount = [amount - d for amount, d in zip(listed, discounts, strict=True)]

    if order.prices_include_tax:
        line_nets, charge_nets, line_rates, charge_rates = _net_gross_prices(
            order, kept, after_discount, charges, digits
        )
    else:
        line_nets = [round_to(amount, digits) for amount in after_discount]
        charge_nets = [round_to(charge.amount, digits) for charge in charges]
        line_rates, charge_rates = _rates(order, kept, line_nets, charges, charge_nets, digits)

    places = digits if digits != 2 else order.unit_cost_places
    lines: list[InvoiceLine] = []
    for item, discount, net, (taxes, compound) in zip(kept, discounts, line_nets, line_rates, strict=True):
        if (net < 0 or item.quantity < 0) and not order.negative_lines:
            _hold("negative-line", f"line {item.index + 1} is negative; FreshBooks may refuse negative lines")
        quantity, unit_cost, note = _quantity_and_cost(item, net, discount, places, digits, order)
        lines.append(InvoiceLine(item.index, "", quantity, unit_cost, net, taxes, compound, note))
    for charge, net, (taxes, compound) in zip(charges, charge_nets, charge_rates, strict=True):
        lines.append(InvoiceLine(None, charge.name, Decimal(1), net, net, taxes, compound, ""))
    predicted = predict(lines, digits)
    limit = MAX_ROUNDING_UNITS * minor_unit(digits)
    order_total = round_to(order.total, digits)  # clarity A19: amounts may come with more digits than the currency has
    totals = predicted.values()
    nearest = order_total if order_total in totals else min(totals, key=lambda total: abs(total - order_total))
    if abs(nearest - order_total) > limit:
        reason = "tax-does-not-agree" if any(line.taxes for line in lines) else "total-does-not-agree"
        _hold(
            reason,
            f"the invoice would come to {plain(nearest, digits)} {order.currency}, "
            f"the order says {plain(order_total, digits)} {order.currency}",
        )
    return PricedOrder(tuple(lines), order_total, predicted, tuple(notes))


@cache  # by the digits of a currency: five different ones at most
def _line_tolerance(digits: int) -> Decimal:
    """How far a line's stated total may lie from quantity × price: rounding to whole yen takes up to half a yen."""
    return max(IDENTITY_TOLERANCE, minor_unit(digits) / 2)


def _check_line(item: Item, digits: int) -> None:
    if item.line_total is None or item.line_total == item.quantity * item.unit_price:
        return
    if abs(item.line_total - item.quantity * item.unit_price) > _line_tolerance(digits):
        _hold(
            "line-total-differs",
            f"line {item.index + 1}: the line total is not quantity × unit price",
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
            _hold("line-sum-differs", "the lines do not add up to the order's subtotal")
    stated = line_discounts + (ZERO if rows_inside else rows) if order.discount is None else abs(order.discount)
    if stated < line_discounts:
        _hold("discounts-differ", "the lines carry more discount than the order's discount total")
    return stated - line_discounts + (rows if rows_inside else ZERO), stated


def _subtotal_is_net(order: OrderMoney, kept: Sequence[Item], listed: Decimal, slack: Decimal) -> bool:
    tax = sum((item.tax or ZERO for item in kept), ZERO)
    return order.subtotal is not None and abs(listed - tax - order.subtotal) <= slack


def _check_identity(order: OrderMoney, kept: Sequence[Item], discount: Decimal) -> None:
    """total = subtotal + charges + tax − |discounts| within `totals_within`; gross prices hold the tax already."""
    subtotal = sum([item.listed for item in kept], ZERO) if order.subtotal is None else order.subtotal
    charges = sum([charge.amount for charge in order.charges], ZERO)
    tax = order.tax if order.tax is not None else _stated_tax(order, kept)
    sums = [subtotal + charges + tax - discount]
    if sums[0] == order.total:
        return
    if order.prices_include_tax:
        charge_tax = sum((charge.tax or ZERO for charge in order.charges), ZERO)
        sums = [subtotal + charges - discount, subtotal + charges + charge_tax - discount, *sums]
    if all(abs(order.total - total) > order.totals_within for total in sums):
        _hold(
            "totals-do-not-add-up",
            "the order's total is not subtotal + shipping + handling + fees + tax − discounts",
        )


def _stated_tax(order: OrderMoney, kept: Sequence[Item]) -> Decimal:
    if order.taxes and all(tax.amount is not None for tax in order.taxes):
        return sum((tax.amount or ZERO for tax in order.taxes), ZERO)
    return sum((item.tax or ZERO for item in kept), ZERO) + sum((c.tax or ZERO for c in order.charges), ZERO)


def _quantity_and_cost(
    item: Item, net: Decimal, discount: Decimal, places: int, digits: int, order: OrderMoney
) -> tuple[Decimal, Decimal, str]:
    """Quantity and unit cost whose product is the net exactly; 1 × net where no such unit cost exists (rule 3)."""
    texts: list[str] = []
    unit = divide_exactly(net, item.quantity, places)
    if unit != item.unit_price and not discount and not order.prices_include_tax:
        unit = None  # 0.5 × 10.01 is 5.01, but 10.02 is not the order's price
    if unit is not None and not discount and not order.prices_include_tax:
        return item.quantity, unit, ""
    if unit is None:
        texts.append(f"{plain(item.quantity)} × {plain(item.unit_price, digits)}")
    elif discount:
        texts.append(f"list price {plain(item.unit_price, digits)}")
    if discount:
        texts.append(f"discount {plain(discount, digits)}")
    if order.prices_include_tax and (unit is None or unit != item.unit_price):
        texts.append("price incl. tax" if unit is None or discount else f"{plain(item.unit_price, digits)} incl. tax")
    if unit is None:
        return Decimal(1), net, ", ".join(texts)
    return item.quantity, unit, ", ".join(texts)


Rates = tuple[tuple[Tax, ...], bool]
UNTAXED: Final[Rates] = ((), False)


def _rates(
    order: OrderMoney,
    kept: Sequence[Item],
    nets: Sequence[Decimal],
    charges: Sequence[Charge],
    charge_nets: Sequence[Decimal],
    digits: int,
) -> tuple[list[Rates], list[Rates]]:
    """Name and percent of every line's and charge's taxes, from the order's own tax lines and amounts (rule 6)."""
    known = _known_taxes(order)
    line_rates: list[Rates | None] = []
    for item, net in zip(kept, nets, strict=True):
        if item.taxes:
            line_rates.append(_own_taxes(item, net, known, order, digits))
        elif item.tax is not None:
            line_rates.append(_fit(net, item.tax, known, order, digits, f"line {item.index + 1}"))
        else:
            line_rates.append(None)
    charge_rates: list[Rates | None] = [
        None if charge.tax is None else _fit(net, charge.tax, known, order, digits, charge.name.lower())
        for charge, net in zip(charges, charge_nets, strict=True)
    ]
    if None in line_rates or None in charge_rates:
        _resolve_silent(order, kept, nets, charges, charge_nets, line_rates, charge_rates, known, digits)
    return [rate or UNTAXED for rate in line_rates], [rate or UNTAXED for rate in charge_rates]


def _known_taxes(order: OrderMoney) -> list[Tax]:
    """The order's distinct taxes with a rate above zero, order-level ones first."""
    known: dict[Tax, None] = {}
    seen = None
    for tax in (*order.taxes, *[t for item in order.items for t in item.taxes]):
        if tax.percent:
            if (tax.name, tax.percent) == seen:
                continue  # the same tax on every line, mostly
            seen = tax.name, tax.percent
            known.setdefault(Tax(tax.name, tax.percent))
    return list(known)


def _own_taxes(item: Item, net: Decimal, known: Sequence[Tax], order: OrderMoney, digits: int) -> Rates:
    where = f"line {item.index + 1}"
    if len(item.taxes) == 1:
        (only,) = item.taxes
        if only.percent and only.amount:  # one tax with its rate and its amount: nothing to merge or to find out
            made = Tax(only.name, only.percent)
            _check_percent(made, where)
            return (made,), False
    merged: dict[Tax, Decimal | None] = {}  # by name and rate: two taxes may share a name
    for tax in item.taxes:
        if tax.percent is None and tax.amount is None:
            _hold("tax-rate-unknown", f"{where}: a tax has neither a rate nor an amount")
        if not tax.percent and not tax.amount:
            continue
        percent = tax.percent
        if percent is None:
            by_name = {t.percent for t in known if t.name == tax.name}
            if len(by_name) == 1:
                percent = by_name.pop()
            else:
                percent = _fit(net, tax.amount or ZERO, [], order, digits, where)[0][0].percent
        if tax.amount == 0 and not _same(net * percent / HUNDRED, ZERO, digits):
            continue  # the order names the tax, but this line is exempt from it
        own = Tax(tax.name, percent)
        earlier = merged.get(own, ZERO)
        merged[own] = None if tax.amount is None or earlier is None else earlier + tax.amount
    taxes = tuple(merged)
    if len(taxes) > MAX_TAXES:
        return _combined(taxes, order, where)
    for own in taxes:
        _check_percent(own, where)
    if len(taxes) == MAX_TAXES:
        first, second = merged.values()
        if first is not None and second is not None:
            flat, compound = (line_taxes(net, taxes, mode)[1] for mode in (False, True))
            if not _same(flat, second, digits) and _same(compound, second, digits):
                return taxes, True
    return taxes, False


def _combined(taxes: Sequence[Tax], order: OrderMoney, where: str) -> Rates:
    """More than two taxes: the approved table names the one tax that stands for them (their percents added)."""
    key = " + ".join(tax.name for tax in taxes)
    name = order.combined_taxes.get(key)
    if name is None:
        _hold(
            "too-many-taxes",
            f"{where} has {len(taxes)} taxes; FreshBooks takes two, and no approved entry combines them",
        )
    tax = Tax(name, sum((t.percent for t in taxes), ZERO))
    _check_percent(tax, where)
    return (tax,), False


def _check_percent(tax: Tax, where: str) -> None:
    if not 0 <= tax.percent <= HUNDRED:
        _hold("tax-rate-out-of-range", f"{where}: a tax rate is not between 0 and 100 percent")
    if decimals_of(tax.percent) > TAX_PLACES:
        _hold("tax-rate-too-fine", f"{where}: a tax rate has more than FreshBooks' three decimals of a percent")


def _same(exact: Decimal, stated: Decimal, digits: int) -> bool:
    """True when `stated` is `exact` rounded to the minor unit in either direction."""
    return abs(exact - stated) < minor_unit(digits)


def _fit(net: Decimal, amount: Decimal, known: Sequence[Tax], order: OrderMoney, digits: int, where: str) -> Rates:
    """The taxes that make `amount` out of `net`: the order's own, else an approved rate of the table."""
    if amount == 0:
        return UNTAXED
    if len(known) == 1:
        # One tax in the whole order: the amounts are checked against it by the predicted total.
        _check_percent(known[0], where)
        return (known[0],), False
    fits: list[Rates] = [
        rates for rates in _mixes(known, where) if _same(sum(line_taxes(net, *rates), ZERO), amount, digits)
    ]
    if not known:
        fits = [
            ((Tax(name, percent),), False)
            for name, percent in order.approved_rates.items()
            if round_to(net * percent / HUNDRED, digits) == round_to(amount, digits)
        ]
    plain_fits = [fit for fit in fits if not fit[1]] or fits
    if len(plain_fits) != 1:
        what = "no approved rate reproduces" if not plain_fits else "several rates reproduce"
        _hold("tax-rate-unknown", f"{where}: {what} the tax amount; add the rate to the table tax_rates")
    if len(plain_fits[0][0]) > MAX_TAXES:
        return _combined(plain_fits[0][0], order, where)
    for tax in plain_fits[0][0]:
        _check_percent(tax, where)
    return plain_fits[0]


def _mixes(known: Sequence[Tax], where: str) -> list[Rates]:
    """The ways in which taxes of the order may fall on one line: pairs, compound pairs, single ones, all of them."""
    if len(known) > MAX_GUESSED:
        _hold("tax-rate-unknown", f"{where}: the order has {len(known)} taxes, and nothing says which of them apply")
    pairs = list(combinations(known, MAX_TAXES))
    mixes: list[Rates] = [(pair, False) for pair in pairs] + [((tax,), False) for tax in known]
    if len(known) > MAX_TAXES:
        mixes.append((tuple(known), False))
    return mixes + [(pair, True) for pair in pairs]


def _subsets(positions: Sequence[int]) -> list[tuple[int, ...]]:
    """Every choice of charges that may be taxed; of many charges only none or all."""
    if len(positions) > MAX_GUESSED:
        return [(), tuple(positions)]
    return [subset for count in range(len(positions) + 1) for subset in combinations(positions, count)]


def _resolve_silent(
    order: OrderMoney,
    kept: Sequence[Item],
    nets: Sequence[Decimal],
    charges: Sequence[Charge],
    charge_nets: Sequence[Decimal],
    line_rates: list[Rates | None],
    charge_rates: list[Rates | None],
    known: Sequence[Tax],
    digits: int,
) -> None:
    """Give lines and charges that say nothing about tax the taxes that explain what is left of the tax total."""

    def tax_of(net: Decimal, rates: Rates) -> Decimal:
        return sum((round_to(x, digits) for x in line_taxes(net, *rates)), ZERO)

    explained = ZERO
    for item, net, rates in zip(kept, nets, line_rates, strict=True):
        if rates is not None:
            explained += item.tax if item.tax is not None else tax_of(net, rates)
    explained += sum((charge.tax or ZERO for charge in charges), ZERO)
    total_tax = order.tax if order.tax is not None else _stated_tax(order, kept)
    left = total_tax - explained
    silent_lines = [i for i, rates in enumerate(line_rates) if rates is None]
    silent_charges = [i for i, rates in enumerate(charge_rates) if rates is None]
    cent = minor_unit(digits)
    # Where every line states its tax, what is left is a charge's tax to the cent, or rounding of the order's tax total.
    slack = cent * (max(1, min(MAX_ROUNDING_UNITS, len(kept))) if silent_lines else 1)
    chosen: Rates = UNTAXED
    taxed_charges: tuple[int, ...] = ()
    if abs(left) >= cent:
        found = _explanations(order, nets, charge_nets, silent_lines, silent_charges, known, left, slack)
        clear = len(found) == 1 or (len(found) > 1 and found[1][0] - found[0][0] >= cent)
        if clear:
            _, chosen, taxed_charges = found[0]
            if len(chosen[0]) > MAX_TAXES:
                chosen = _combined(chosen[0], order, "the order")
            for tax in chosen[0]:
                _check_percent(tax, "the order's tax")
        elif silent_lines or abs(left) > cent * MAX_ROUNDING_UNITS:
            if found:
                _hold(
                    "tax-rate-unknown",
                    "several ways to tax the lines and charges explain the order's tax total",
                )
            reason = "tax-does-not-agree" if known else "tax-rate-unknown"
            _hold(reason, "the order's tax total is not explained by its lines, charges and tax rates")
    for i in silent_lines:
        line_rates[i] = chosen
    for i in silent_charges:
        charge_rates[i] = chosen if i in taxed_charges else UNTAXED


def _explanations(
    order: OrderMoney,
    nets: Sequence[Decimal],
    charge_nets: Sequence[Decimal],
    silent_lines: Sequence[int],
    silent_charges: Sequence[int],
    known: Sequence[Tax],
    left: Decimal,
    slack: Decimal,
) -> list[tuple[Decimal, Rates, tuple[int, ...]]]:
    """(miss, taxes, taxed charges) of every way to tax the silent lines and charges that makes `left`, best first."""
    if known:
        choices = _mixes(known, "the order")
    else:
        choices = [((Tax(name, rate),), False) for name, rate in order.approved_rates.items()]
    base = sum((nets[i] for i in silent_lines), ZERO)
    found: list[tuple[Decimal, Rates, tuple[int, ...]]] = []
    for rates in choices:
        for subset in _subsets(silent_charges):
            taxed = base + sum((charge_nets[i] for i in subset), ZERO)
            miss = abs(sum(line_taxes(taxed, *rates), ZERO) - left)
            if miss <= slack:
                found.append((miss, rates, subset))
    plain_ways = [way for way in found if not way[1][1]]  # a compound tax only where nothing plainer explains it
    return sorted(plain_ways or found, key=lambda way: way[0])


def _net_gross_prices(
    order: OrderMoney,
    kept: Sequence[Item],
    gross: Sequence[Decimal],
    charges: Sequence[Charge],
    digits: int,
) -> tuple[list[Decimal], list[Decimal], list[Rates], list[Rates]]:
    """Net lines of gross prices by the order's own tax amounts, never per unit (rule 3)."""
    charge_gross = [charge.amount for charge in charges]
    goods = sum(gross, ZERO)
    inside = goods + sum(charge_gross, ZERO)
    charge_tax = sum((charge.tax or ZERO for charge in charges), ZERO)
    if abs(inside - order.total) > IDENTITY_TOLERANCE and abs(inside + charge_tax - order.total) <= IDENTITY_TOLERANCE:
        charge_gross = [charge.amount + (charge.tax or ZERO) for charge in charges]  # charges are stated net
    taxes: list[Decimal | None] = [
        item.tax if item.tax is not None else (_sum_stated([t.amount for t in item.taxes]) if item.taxes else None)
        for item in kept
    ]
    charge_taxes: list[Decimal | None] = [charge.tax for charge in charges]
    known = _known_taxes(order)
    silent = {i for i, tax in enumerate(taxes) if tax is None}
    silent_charges = {i for i, tax in enumerate(charge_taxes) if tax is None}
    inside_rates = UNTAXED
    if silent or silent_charges:
        inside_rates = _spread_tax_inside(order, gross, charge_gross, taxes, charge_taxes, known, digits)
    line_tax = [tax or ZERO for tax in taxes]
    line_nets = [round_to(amount - tax, digits) for amount, tax in zip(gross, line_tax, strict=True)]
    charge_nets = [
        round_to(amount - (tax or ZERO), digits) for amount, tax in zip(charge_gross, charge_taxes, strict=True)
    ]
    line_rates: list[Rates] = []
    for i, (item, net, tax) in enumerate(zip(kept, line_nets, line_tax, strict=True)):
        if item.taxes:
            line_rates.append(_own_taxes(item, net, known, order, digits))
        elif i in silent:
            line_rates.append(inside_rates)
        else:
            line_rates.append(_fit(net, tax, known, order, digits, f"line {item.index + 1}"))
    charge_rates: list[Rates] = []
    for i, (charge, net) in enumerate(zip(charges, charge_nets, strict=True)):
        own = charge_taxes[i] or ZERO
        if i in silent_charges:
            charge_rates.append(inside_rates if own else UNTAXED)
        else:
            charge_rates.append(_fit(net, own, known, order, digits, charge.name.lower()))
    return line_nets, charge_nets, line_rates, charge_rates


def _spread_tax_inside(
    order: OrderMoney,
    gross: Sequence[Decimal],
    charge_gross: Sequence[Decimal],
    taxes: list[Decimal | None],
    charge_taxes: list[Decimal | None],
    known: list[Tax],
    digits: int,
) -> Rates:
    """Spread what is left of the tax total over the amounts that say nothing about tax (pitfall 2).

    The silent charges are taxed when that explains the total and untaxed when that does. Gives the taxes inside
    those prices: the order's own, else the one of the approved table that explains the total.
    """
    total_tax = order.tax if order.tax is not None else sum((t.amount or ZERO for t in order.taxes), ZERO)
    left = total_tax - sum((t for t in (*taxes, *charge_taxes) if t is not None), ZERO)
    lines = [i for i, tax in enumerate(taxes) if tax is None]
    charges = [i for i, tax in enumerate(charge_taxes) if tax is None]
    cent = minor_unit(digits)
    mixes = [known] if known else [[Tax(name, rate)] for name, rate in order.approved_rates.items()]
    silent = sum((gross[i] for i in lines), ZERO)
    found: list[tuple[Decimal, list[Tax], tuple[int, ...]]] = []
    for mix in mixes if left else []:
        percent = sum((tax.percent for tax in mix), ZERO)
        if percent < 0:
            continue
        for subset in _subsets(charges):
            base = silent + sum((charge_gross[i] for i in subset), ZERO)
            miss = abs(base * percent / (HUNDRED + percent) - left)
            if miss <= cent * MAX_ROUNDING_UNITS:
                found.append((miss, mix, subset))
    found.sort(key=lambda way: way[0])
    if left and not found:
        _hold("tax-rate-unknown", "the tax inside the prices is not explained by the order's tax rates")
    if any(way[1] != found[0][1] and way[0] - found[0][0] < cent for way in found):
        _hold("tax-rate-unknown", "several approved rates explain the tax inside the prices")
    mix, subset = found[0][1:] if found else ([], ())
    weights = [gross[i] for i in lines] + [charge_gross[i] for i in subset]
    # without any weight, what is left is rounding of the order's tax total: the predicted total tells
    parts = allocate(left if sum(weights, ZERO) else ZERO, weights, digits)
    for position, i in enumerate(lines):
        taxes[i] = parts[position]
    for position, i in enumerate(subset):
        charge_taxes[i] = parts[len(lines) + position]
    for i in charges:
        charge_taxes[i] = charge_taxes[i] or ZERO
    if len(mix) > MAX_TAXES:
        return _combined(mix, order, "the order")
    for tax in mix:
        _check_percent(tax, "the order's tax")
    return tuple(mix), False


def _sum_stated(amounts: Sequence[Decimal | None]) -> Decimal | None:
    """The sum, None when one of the amounts is not stated."""
    stated = [amount for amount in amounts if amount is not None]
    return sum(stated, ZERO) if len(stated) == len(amounts) else None
