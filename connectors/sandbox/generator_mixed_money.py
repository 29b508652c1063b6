"""The arithmetic of an order with everything mixed: charges with taxes of their own, fine discounts, gross prices.

The shop's side of the books, as `generator_money`; it shares nothing with the mapping that is tried on its output.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal

from connectors.sandbox.generator_catalogue import Product, Tax
from connectors.sandbox.generator_money import ZERO, minor_unit, rounded, spread


@dataclass(frozen=True)
class Goods:
    """One line before it is priced.

    Attributes:
        discount: Of the whole line, positive, perhaps finer than the currency.
        fine: Show quantity x unit price with all its digits; the line is rounded for the sum all the same.
    """

    product: Product
    quantity: Decimal
    unit_price: Decimal
    taxes: tuple[Tax, ...] = ()
    discount: Decimal = ZERO
    fine: bool = False
    kind: str = "product"


@dataclass(frozen=True)
class Extra:
    """A charge: `part` is shipping, handling or fees."""

    part: str
    title: str
    amount: Decimal
    taxes: tuple[Tax, ...] = ()


@dataclass(frozen=True)
class Cart:
    """What is bought; amounts hold their taxes where `gross` is set."""

    currency: str
    goods: tuple[Goods, ...]
    extras: tuple[Extra, ...] = ()
    order_discount: Decimal = ZERO
    gross: bool = False

    def with_goods(self, position: int, line: Goods) -> Cart:
        """A copy with one line replaced."""
        return replace(self, goods=(*self.goods[:position], line, *self.goods[position + 1 :]))


Taxed = tuple[tuple[Tax, Decimal], ...]


@dataclass(frozen=True)
class Bill:
    """Every amount of the order; `line_taxes` and `extra_taxes` run parallel to goods and extras."""

    shown: tuple[Decimal, ...]
    line_taxes: tuple[Taxed, ...]
    extra_taxes: tuple[Taxed, ...]
    subtotal: Decimal
    discount_total: Decimal
    tax_total: Decimal
    by_tax: Taxed
    total: Decimal

    def charged(self, cart: Cart, part: str) -> Decimal:
        """What the charges of one part come to."""
        return sum((extra.amount for extra in cart.extras if extra.part == part), ZERO)


def bill(cart: Cart) -> Bill:
    """Price a cart: every line rounded, then every tax of every line and charge, then the sums.

    A negative fee is a discount under another name: it lowers what is taxed, as the order's own discount does.
    """
    step = minor_unit(cart.currency)
    exact = [line.quantity * line.unit_price for line in cart.goods]
    amounts = [rounded(amount, step) for amount in exact]
    bases = [rounded(amount - line.discount, step) for line, amount in zip(cart.goods, amounts, strict=True)]
    lowered = cart.order_discount - sum((extra.amount for extra in cart.extras if extra.amount < 0), ZERO)
    shares = spread(lowered, [max(base, ZERO) for base in bases], step)
    line_taxes = tuple(
        _taxes(base - share, line.taxes, step, gross=cart.gross)
        for line, base, share in zip(cart.goods, bases, shares, strict=True)
    )
    extra_taxes = tuple(_taxes(extra.amount, extra.taxes, step, gross=cart.gross) for extra in cart.extras)
    by_tax: dict[Tax, Decimal] = {}
    for taxed in (*line_taxes, *extra_taxes):
        for tax, amount in taxed:
            by_tax[tax] = by_tax.get(tax, ZERO) + amount
    subtotal = sum(amounts, ZERO)
    discount_total = cart.order_discount + sum((line.discount for line in cart.goods), ZERO)
    tax_total = sum(by_tax.values(), ZERO)
    total = subtotal + sum((extra.amount for extra in cart.extras), ZERO) - discount_total
    return Bill(
        shown=tuple(
            amount if line.fine else cents for line, amount, cents in zip(cart.goods, exact, amounts, strict=True)
        ),
        line_taxes=line_taxes,
        extra_taxes=extra_taxes,
        subtotal=subtotal,
        discount_total=discount_total,
        tax_total=tax_total,
        by_tax=tuple(by_tax.items()),
        total=rounded(total if cart.gross else total + tax_total, step),
    )


def _taxes(amount: Decimal, taxes: tuple[Tax, ...], step: Decimal, *, gross: bool) -> Taxed:
    divisor = 1 + sum((tax.rate for tax in taxes), ZERO) if gross else Decimal(1)
    return tuple((tax, rounded(amount * tax.rate / divisor, step)) for tax in taxes)
