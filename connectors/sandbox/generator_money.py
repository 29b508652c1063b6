"""The arithmetic of one generated order: nets, spread discounts, taxes and totals, exact to the minor unit.

This is the shop's side of the books. It knows nothing of FreshBooks and shares no code with the mapping that is
tried on its output, so an error in either shows as a difference.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import ROUND_HALF_UP, Decimal

from connectors.sandbox.generator_catalogue import Product, Tax

ZERO = Decimal(0)
_DIGITS = {"JPY": 0, "KRW": 0, "KWD": 3, "BHD": 3}  # ISO 4217; every other currency of the catalogue has two


@dataclass(frozen=True)
class Line:
    """One row of a basket before it is priced.

    Attributes:
        quantity: May be fractional, zero, or (in orders that must be held) negative.
        unit_price: In the order's currency; gross when the basket is.
        discount: Of the whole line, a positive amount.
        taxes: In the order the shop lists them.
        long_amount: Show quantity x unit price with up to four decimals instead of rounding it.
    """

    product: Product
    quantity: Decimal
    unit_price: Decimal
    taxes: tuple[Tax, ...] = ()
    discount: Decimal = ZERO
    long_amount: bool = False


@dataclass(frozen=True)
class Basket:
    """What is bought, in one currency.

    Attributes:
        order_discount: Positive; on top of the lines' own discounts.
        shipping: Gross when `gross` is set, else net; handling and fees bear no tax.
        gross: Prices, discounts and shipping contain their tax.
    """

    currency: str
    lines: tuple[Line, ...]
    order_discount: Decimal = ZERO
    shipping: Decimal = ZERO
    shipping_taxes: tuple[Tax, ...] = ()
    handling: Decimal = ZERO
    fees: Decimal = ZERO
    gross: bool = False

    def with_line(self, position: int, line: Line) -> Basket:
        """Return a copy with the line at `position` replaced."""
        return replace(self, lines=(*self.lines[:position], line, *self.lines[position + 1 :]))


@dataclass(frozen=True)
class Priced:
    """Every amount an order shows; the sequences run parallel to the basket's lines.

    Attributes:
        shown: Line totals before discount, as displayed.
        line_taxes: Amount per tax of each line, parallel to the line's `taxes`.
        discount_total: Line discounts and order discount together.
        tax_by_name: (tax, amount) in the order of first use, shipping's share included.
    """

    shown: tuple[Decimal, ...]
    line_taxes: tuple[tuple[Decimal, ...], ...]
    shipping_tax: Decimal
    subtotal: Decimal
    discount_total: Decimal
    tax_total: Decimal
    tax_by_name: tuple[tuple[Tax, Decimal], ...]
    total: Decimal


def minor_unit(currency: str) -> Decimal:
    """Return the smallest amount of a currency, such as 0.01."""
    return Decimal(1).scaleb(-_DIGITS.get(currency, 2))


def rounded(amount: Decimal, step: Decimal) -> Decimal:
    """Round half up (away from zero) to a multiple of `step`, keeping the digits of `step`."""
    return ((amount / step).quantize(Decimal(1), ROUND_HALF_UP) * step).quantize(step)


def spread(amount: Decimal, weights: Sequence[Decimal], step: Decimal) -> list[Decimal]:
    """Split an amount in proportion to weights, without losing a minor unit (largest remainder).

    Units left over go to the largest remainders; equal remainders are served first come, first served.

    Args:
        amount: A non-negative multiple of `step`.
        weights: Non-negative; a weight of zero receives nothing.
        step: The minor unit.

    Returns:
        Shares that sum to `amount` exactly.

    Raises:
        ValueError: There is something to share out and no weight above zero.
    """
    whole = sum(weights, ZERO)
    if not amount:
        return [ZERO for _ in weights]
    if whole <= 0:
        raise ValueError("an amount cannot be spread over weights that sum to zero")
    units = int(amount / step)
    floors = [int(units * weight // whole) for weight in weights]
    remainders = [units * weight % whole for weight in weights]
    neediest = sorted(range(len(weights)), key=lambda position: (-remainders[position], position))
    for position in neediest[: units - sum(floors)]:
        floors[position] += 1
    return [count * step for count in floors]


def price(basket: Basket) -> Priced:
    """Compute every amount of a basket.

    Tax per line and tax name = round half up of (line net after all discounts x rate); of gross lines the part
    contained is taken out. The totals identity then holds exactly: total = subtotal + shipping + handling +
    fees + tax - discounts, where tax is left out for gross baskets because it is already inside.
    """
    step = minor_unit(basket.currency)
    exact = [line.quantity * line.unit_price for line in basket.lines]
    amounts = [rounded(amount, step) for amount in exact]
    shown = [
        amount if line.long_amount else cents for line, amount, cents in zip(basket.lines, exact, amounts, strict=True)
    ]
    bases = [amount - line.discount for line, amount in zip(basket.lines, amounts, strict=True)]
    # only an order without a discount may carry a negative line, so the weights never have to be negative
    shares = spread(basket.order_discount, [max(base, ZERO) for base in bases], step)
    line_taxes = [
        _taxes_of(base - share, line.taxes, step, gross=basket.gross)
        for line, base, share in zip(basket.lines, bases, shares, strict=True)
    ]
    shipping_taxes = _taxes_of(basket.shipping, basket.shipping_taxes, step, gross=basket.gross)
    by_name: dict[Tax, Decimal] = {}
    for line, parts in zip(basket.lines, line_taxes, strict=True):
        for tax, part in zip(line.taxes, parts, strict=True):
            by_name[tax] = by_name.get(tax, ZERO) + part
    for tax, part in zip(basket.shipping_taxes, shipping_taxes, strict=True):
        by_name[tax] = by_name.get(tax, ZERO) + part
    subtotal = sum(amounts, ZERO)
    discount_total = basket.order_discount + sum((line.discount for line in basket.lines), ZERO)
    tax_total = sum(by_name.values(), ZERO)
    total = subtotal + basket.shipping + basket.handling + basket.fees - discount_total
    if not basket.gross:
        total += tax_total
    return Priced(
        shown=tuple(shown),
        line_taxes=tuple(line_taxes),
        shipping_tax=sum(shipping_taxes, ZERO),
        subtotal=subtotal,
        discount_total=discount_total,
        tax_total=tax_total,
        tax_by_name=tuple(by_name.items()),
        total=total,
    )


def _taxes_of(amount: Decimal, taxes: tuple[Tax, ...], step: Decimal, *, gross: bool) -> tuple[Decimal, ...]:
    divisor = 1 + sum((tax.rate for tax in taxes), ZERO) if gross else Decimal(1)
    return tuple(rounded(amount * tax.rate / divisor, step) for tax in taxes)
