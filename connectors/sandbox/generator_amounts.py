"""Scenarios that must be posted and whose awkwardness is in the amounts: discounts, taxes, shipping, currencies.

Each builder returns an order whose totals agree to the minor unit; the tag names what makes it awkward.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from connectors.sandbox.generator_catalogue import BULK_PRODUCTS, PRODUCTS, REGIONS, UNTAXED_PRODUCTS
from connectors.sandbox.generator_mint import Mint, Scenario, ordinary
from connectors.sandbox.generator_money import Basket, Line, minor_unit, rounded
from connectors.sandbox.generator_order import Payload, amount_text

_HOME = ("tx", "ny")
_TAXED_SHIPPING = ("tx", "on", "gb", "de")


def _part(amount: Decimal, percent: int, currency: str) -> Decimal:
    return rounded(amount * percent / 100, minor_unit(currency))


def _discounted(mint: Mint, line: Line, currency: str) -> Line:
    discount = _part(line.quantity * line.unit_price, mint.pick((5, 10, 15, 25)), currency)
    return replace(line, discount=discount)


def _subtotal(basket: Basket) -> Decimal:
    return sum((line.quantity * line.unit_price - line.discount for line in basket.lines), Decimal(0))


def _with_order_discount(mint: Mint, basket: Basket) -> Basket:
    return replace(basket, order_discount=_part(_subtotal(basket), mint.pick((5, 7, 12, 20)), basket.currency))


def plain_card(mint: Mint) -> Payload:
    return mint.order(mint.basket("tx", 1, shipping=False), mint.customer("tx"), pay="card", status="Processing")


def several_lines(mint: Mint) -> Payload:
    place = mint.pick((*_HOME, "on"))
    return mint.order(mint.basket(place, mint.random.randint(4, 6)), mint.customer(place))


def line_discount(mint: Mint) -> Payload:
    place = mint.pick((*_HOME, "de"))
    basket = mint.basket(place, mint.random.randint(2, 3))
    basket = basket.with_line(0, _discounted(mint, basket.lines[0], basket.currency))
    return mint.order(basket, mint.customer(place))


def order_discount(mint: Mint) -> Payload:
    place = mint.pick((*_HOME, "gb"))
    basket = mint.basket(place, mint.random.randint(2, 4))
    if mint.chance(40):
        basket = basket.with_line(1, _discounted(mint, basket.lines[1], basket.currency))
    return mint.order(_with_order_discount(mint, basket), mint.customer(place))


def shipping_taxed(mint: Mint) -> Payload:
    place = mint.pick(_TAXED_SHIPPING)
    return mint.order(mint.basket(place, shipping=True), mint.customer(place))


def shipping_untaxed(mint: Mint) -> Payload:
    order = mint.order(mint.basket("ny", shipping=True), mint.customer("ny"))
    if mint.chance(50):
        del order["shippingLines"]
    return order


def handling(mint: Mint) -> Payload:
    place = mint.pick(_HOME)
    basket = replace(mint.basket(place), handling=mint.pick((Decimal("1.75"), Decimal("3.00"))))
    return mint.order(basket, mint.customer(place))


def fees(mint: Mint) -> Payload:
    place = mint.pick(_HOME)
    basket = replace(mint.basket(place), fees=mint.pick((Decimal("2.50"), Decimal("0.99"), Decimal("6.00"))))
    order = mint.order(basket, mint.customer(place))
    order["notes"] = mint.pick(("Fees: gift wrap", "Fees: tip for the packers", "Fees: card surcharge"))
    return order


def two_taxes(mint: Mint) -> Payload:
    basket = mint.basket("bc", mint.random.randint(1, 3), shipping=mint.chance(40))
    return mint.order(basket, mint.customer("bc"), line_tax_lines=True)


def tax_exempt(mint: Mint) -> Payload:
    basket = mint.basket("tx", shipping=mint.chance(40))
    lines = tuple(replace(line, taxes=()) for line in basket.lines)
    mint.tags.discard("shipping-taxed")
    return mint.order(replace(basket, lines=lines, shipping_taxes=()), mint.customer("tx", "exempt"))


def order_level_tax_lines(mint: Mint) -> Payload:
    place = mint.pick(("tx", "on", "gb"))
    return mint.order(mint.basket(place, mint.random.randint(2, 3)), mint.customer(place), line_tax_lines=False)


def mixed_rates(mint: Mint) -> Payload:
    place = mint.pick(("de", "fr"))
    basket = mint.basket(place, 3, shipping=False)
    reduced = REGIONS[place].reduced
    assert reduced is not None  # noqa: S101 - both regions have one; tells the type checker
    basket = basket.with_line(1, replace(basket.lines[1], taxes=(reduced,)))
    return mint.order(basket, mint.customer(place), line_tax_lines=True)


def untaxed_line(mint: Mint) -> Payload:
    place = mint.pick((*_HOME, "gb"))
    basket = mint.basket(place, 2)
    book = mint.pick([product for product in PRODUCTS if product.sku in UNTAXED_PRODUCTS])
    return mint.order(replace(basket, lines=(*basket.lines, mint.line(place, book))), mint.customer(place))


def long_unit_price(mint: Mint) -> Payload:
    """A price of three or four decimals; the line total shows them too, the subtotal adds rounded lines."""
    place = mint.pick(_HOME)
    basket = mint.basket(place, 1)
    product, quantity = mint.pick(
        ((BULK_PRODUCTS[0], 7), (BULK_PRODUCTS[0], 3), (BULK_PRODUCTS[1], 26), (BULK_PRODUCTS[2], 5))
    )
    line = Line(product, Decimal(quantity), product.price, REGIONS[place].taxes, long_amount=True)
    return mint.order(replace(basket, lines=(line, *basket.lines)), mint.customer(place))


def fractional_quantity(mint: Mint) -> Payload:
    place = mint.pick((*_HOME, "gb"))
    basket = mint.basket(place, 2)
    quantity = mint.pick((Decimal("0.5"), Decimal("1.25"), Decimal("2.75"), Decimal("0.333")))
    basket = basket.with_line(0, replace(basket.lines[0], quantity=quantity))
    order = mint.order(basket, mint.customer(place))
    if mint.chance(40):
        order["lineItems"][0]["quantity"] = format(quantity, "f")
    return order


def zero_quantity_line(mint: Mint) -> Payload:
    basket = mint.basket("tx", 2)
    basket = basket.with_line(1, replace(basket.lines[1], quantity=Decimal(0)))
    return mint.order(basket, mint.customer("tx"))


def free_order(mint: Mint) -> Payload:
    """Total zero: either nothing has a price, or a discount takes all of it."""
    basket = mint.basket("tx", mint.random.randint(1, 2), shipping=False)
    if mint.chance(50):
        lines = tuple(replace(line, unit_price=Decimal(0)) for line in basket.lines)
        basket = replace(basket, lines=lines)
    else:
        basket = replace(basket, order_discount=_subtotal(basket))
    return mint.order(basket, mint.customer("tx"), pay=mint.pick(("none", "zero")), status="Processing")


def prices_include_tax(mint: Mint) -> Payload:
    place = mint.pick(("de", "gb", "fr"))
    return mint.order(replace(mint.basket(place), gross=True), mint.customer(place))


def gross_discount(mint: Mint) -> Payload:
    """Gross prices, a gross discount on the order, taxed shipping and an untaxed fee, all at once."""
    place = mint.pick(("de", "gb"))
    basket = replace(mint.basket(place, 3, shipping=True), gross=True, fees=Decimal("1.50"))
    return mint.order(_with_order_discount(mint, basket), mint.customer(place))


def japanese_yen(mint: Mint) -> Payload:
    return mint.order(mint.basket("jp", mint.random.randint(1, 3)), mint.customer("jp", "unicode"))


def negative_discount(mint: Mint) -> Payload:
    """Discounts written with a minus mean the same as without."""
    basket = mint.basket("tx", 2)
    if mint.chance(50):
        basket = basket.with_line(0, _discounted(mint, basket.lines[0], basket.currency))
    order = mint.order(_with_order_discount(mint, basket), mint.customer("tx"))
    order["discountTotal"] = f"-{order['discountTotal']}"
    row = order["lineItems"][0]
    if Decimal(row["discountAmount"]) and mint.chance(50):
        row["discountAmount"] = f"-{row['discountAmount']}"
    return order


def discount_row(mint: Mint) -> Payload:
    """The order's discount also stands among the lines; it is no product and no part of the subtotal."""
    basket = _with_order_discount(mint, mint.basket("tx", 2))
    order = mint.order(basket, mint.customer("tx"))
    shown = amount_text(basket.order_discount, basket.currency)
    sign = mint.pick(("-", ""))
    row = {
        "id": "99",
        "productId": None,
        "sku": mint.pick((None, "COUPON-SPRING")),
        "name": "Coupon SPRING",
        "description": "",
        "type": "discount",
        "quantity": 1,
        "unitPrice": f"{sign}{shown}",
        "discountAmount": "0.00",
        "taxAmount": "0.00",
        "lineTotal": f"{sign}{shown}",
    }
    order["lineItems"].insert(mint.random.randint(1, 2), row)
    return order


AMOUNTS: dict[str, Scenario] = {
    "plain-card": plain_card,
    "several-lines": several_lines,
    "line-discount": line_discount,
    "order-discount": order_discount,
    "negative-discount": negative_discount,
    "discount-row": discount_row,
    "shipping-taxed": shipping_taxed,
    "shipping-untaxed": shipping_untaxed,
    "handling": handling,
    "fees": fees,
    "two-taxes": two_taxes,
    "tax-exempt": tax_exempt,
    "order-level-tax-lines": order_level_tax_lines,
    "mixed-rates": mixed_rates,
    "untaxed-line": untaxed_line,
    "long-unit-price": long_unit_price,
    "fractional-quantity": fractional_quantity,
    "zero-quantity-line": zero_quantity_line,
    "free-order": free_order,
    "prices-include-tax": prices_include_tax,
    "gross-discount": gross_discount,
    "currency-cad": ordinary("on"),
    "currency-eur": ordinary("de"),
    "currency-gbp": ordinary("gb"),
    "currency-jpy": japanese_yen,
    "currency-kwd": ordinary("kw"),
}
