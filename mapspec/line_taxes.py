"""Name and percent of a line's taxes, from what the order says about them (rule 6)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from itertools import combinations
from typing import Final, NoReturn

from mapspec.errors import TransformError
from mapspec.numbers import ZERO, decimals_of, minor_unit, round_to
from mapspec.order_parts import Item, OrderMoney
from mapspec.totals import HUNDRED, Tax, line_taxes

MAX_TAXES: Final = 2  # FreshBooks takes two per line
MAX_GUESSED: Final = 6  # different taxes, or charges silent about tax, whose combinations are tried
TAX_PLACES: Final = 3  # FreshBooks' percent has up to three decimals
Rates = tuple[tuple[Tax, ...], bool]
UNTAXED: Final[Rates] = ((), False)


def hold(reason: str, message: str) -> NoReturn:
    raise TransformError(message, reason=reason)


def known_taxes(order: OrderMoney) -> list[Tax]:
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


def own_taxes(item: Item, net: Decimal, known: Sequence[Tax], order: OrderMoney, digits: int) -> Rates:
    where = f"line {item.row + 1}"
    if len(item.taxes) == 1:
        (only,) = item.taxes
        if only.percent and only.amount:  # one tax with its rate and its amount: nothing to merge or to find out
            made = Tax(only.name, only.percent)
            check_percent(made, where)
            return (made,), False
    merged: dict[Tax, Decimal | None] = {}  # by name and rate: two taxes may share a name
    for tax in item.taxes:
        if tax.percent is None and tax.amount is None:
            hold("tax-rate-unknown", f"{where}: a tax has neither a rate nor an amount")
        if not tax.percent and not tax.amount:
            continue
        percent = tax.percent
        if percent is None:
            by_name = {t.percent for t in known if t.name == tax.name}
            if len(by_name) == 1:
                percent = by_name.pop()
            else:
                percent = fit(net, tax.amount or ZERO, [], order, digits, where)[0][0].percent
        if tax.amount == 0 and not same(net * percent / HUNDRED, ZERO, digits):
            continue  # the order names the tax, but this line is exempt from it
        own = Tax(tax.name, percent)
        earlier = merged.get(own, ZERO)
        merged[own] = None if tax.amount is None or earlier is None else earlier + tax.amount
    taxes = tuple(merged)
    if len(taxes) > MAX_TAXES:
        return combined(taxes, order, where)
    for own in taxes:
        check_percent(own, where)
    if len(taxes) == MAX_TAXES:
        first, second = merged.values()
        if first is not None and second is not None:
            flat, compound = (line_taxes(net, taxes, mode)[1] for mode in (False, True))
            if not same(flat, second, digits) and same(compound, second, digits):
                return taxes, True
    return taxes, False


def combined(taxes: Sequence[Tax], order: OrderMoney, where: str) -> Rates:
    """More than two taxes: the approved table names the one tax that stands for them (their percents added)."""
    key = " + ".join(tax.name for tax in taxes)
    name = order.combined_taxes.get(key)
    if name is None:
        hold(
            "too-many-taxes",
            f"{where} has {len(taxes)} taxes; FreshBooks takes two, and no approved entry combines them",
        )
    tax = Tax(name, sum((t.percent for t in taxes), ZERO))
    check_percent(tax, where)
    return (tax,), False


def check_percent(tax: Tax, where: str) -> None:
    if not 0 <= tax.percent <= HUNDRED:
        hold("tax-rate-out-of-range", f"{where}: a tax rate is not between 0 and 100 percent")
    if decimals_of(tax.percent) > TAX_PLACES:
        hold("tax-rate-too-fine", f"{where}: a tax rate has more than FreshBooks' three decimals of a percent")


def same(exact: Decimal, stated: Decimal, digits: int, taxes: int = 1) -> bool:
    """True when `stated` is `exact` rounded to the minor unit in either direction, or the sum of taxes rounded so."""
    return abs(exact - stated) < minor_unit(digits) * (taxes + 1) / 2


def agreed_rate(
    order: OrderMoney,
    pairs: Sequence[tuple[Decimal, Decimal | None]],
    tax_of: Callable[[Decimal, Tax], Decimal],
    digits: int,
) -> list[Tax]:
    """The one approved rate that makes every tax amount of an order that names no rate; empty when none or several do.

    A small line alone fits several rates; all lines together mostly fit one.
    """
    taxed = [(base, amount) for base, amount in pairs if amount]
    if not taxed:
        return []
    found = []
    for name, percent in order.approved_rates.items():
        tax = Tax(name, percent)
        if percent > 0 and all(
            round_to(tax_of(base, tax), digits) == round_to(amount, digits) for base, amount in taxed
        ):
            found.append(tax)
    return found if len(found) == 1 else []


def fit(
    net: Decimal,
    amount: Decimal,
    known: Sequence[Tax],
    order: OrderMoney,
    digits: int,
    where: str,
    *,
    gross: Decimal | None = None,
) -> Rates:
    """The taxes that make `amount` out of `net`: the order's own, else an approved rate of the table.

    A rate of the table has to make the amount to the cent: on `net`, or inside `gross` where that is given.
    """
    if amount == 0:
        return UNTAXED
    if len(known) == 1:
        # One tax in the whole order: the amounts are checked against it by the predicted total.
        check_percent(known[0], where)
        return (known[0],), False
    fits: list[Rates] = [
        rates
        for rates in mixes(known, where)
        if same(sum(line_taxes(net, *rates), ZERO), amount, digits, len(rates[0]))
    ]
    if not known:
        fits = [
            ((Tax(name, percent),), False)
            for name, percent in order.approved_rates.items()
            if percent > 0 and round_to(_approved_tax(net, gross, percent), digits) == round_to(amount, digits)
        ]
    plain_fits = [fit for fit in fits if not fit[1]] or fits
    if len(plain_fits) != 1:
        what = "no approved rate reproduces" if not plain_fits else "several rates reproduce"
        hold("tax-rate-unknown", f"{where}: {what} the tax amount; add the rate to the table tax_rates")
    if len(plain_fits[0][0]) > MAX_TAXES:
        return combined(plain_fits[0][0], order, where)
    for tax in plain_fits[0][0]:
        check_percent(tax, where)
    return plain_fits[0]


def _approved_tax(net: Decimal, gross: Decimal | None, percent: Decimal) -> Decimal:
    return net * percent / HUNDRED if gross is None else gross * percent / (HUNDRED + percent)


def mixes(known: Sequence[Tax], where: str) -> list[Rates]:
    """The ways in which taxes of the order may fall on one line: pairs, compound pairs, single ones, all of them."""
    if len(known) > MAX_GUESSED:
        hold("tax-rate-unknown", f"{where}: the order has {len(known)} taxes, and nothing says which of them apply")
    pairs = list(combinations(known, MAX_TAXES))
    mixes: list[Rates] = [(pair, False) for pair in pairs] + [((tax,), False) for tax in known]
    if len(known) > MAX_TAXES:
        mixes.append((tuple(known), False))
    return mixes + [(pair, True) for pair in pairs]


def subsets(positions: Sequence[int]) -> list[tuple[int, ...]]:
    """Every choice of charges that may be taxed; of many charges only none or all."""
    if len(positions) > MAX_GUESSED:
        return [(), tuple(positions)]
    return [subset for count in range(len(positions) + 1) for subset in combinations(positions, count)]
