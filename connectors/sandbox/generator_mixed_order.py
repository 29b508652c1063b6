"""How an order with everything mixed is written down: who says what about tax, and which members are there at all."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

from connectors.sandbox.generator_mint import Mint
from connectors.sandbox.generator_mixed_money import Bill, Cart, Taxed
from connectors.sandbox.generator_money import ZERO
from connectors.sandbox.generator_order import Payload, amount_text

TaxWords = Literal["own", "own-rates", "order", "silent", "bare"]
"""Who names taxes.

own: every line its taxes with rate and amount. own-rates: every line its rates, the order the amounts. order: lines
state their amount, the order the rates. silent: only the order says anything. bare: amounts without any rate.
"""
TAX_WORDS: tuple[TaxWords, ...] = ("own", "own-rates", "order", "silent", "bare")


def rewrite_money(mint: Mint, order: Payload, cart: Cart, priced: Bill, words: TaxWords, *, fee_rows: bool) -> None:
    """Put lines, charges, taxes and sums of a mixed cart into an order made by the mint."""
    currency = cart.currency

    def text(amount: Decimal) -> str:
        return amount_text(amount, currency)

    order["pricesIncludeTax"] = cart.gross
    order["lineItems"] = [_line(cart, priced, position, words) for position in range(len(cart.goods))]
    order["subtotal"] = text(priced.subtotal)
    order["discountTotal"] = text(priced.discount_total)
    order["taxTotal"] = text(priced.tax_total)
    order["total"] = text(priced.total)
    for part in ("shipping", "handling", "fees"):
        order[f"{part}Total"] = text(priced.charged(cart, part))
    order["taxLines"] = _tax_lines(priced.by_tax, currency)
    if words == "bare":
        variant = mint.random.randrange(3)
        if variant == 0:
            del order["taxLines"]
        else:
            order["taxLines"] = [{**row, "rate": None} for row in order["taxLines"]] if variant == 1 else []
    elif words == "own" and mint.chance(30):
        del order["taxLines"]
    order.pop("shippingLines", None)
    order.pop("feeLines", None)
    rows = {"shipping": "shippingLines", "fees": "feeLines"} if fee_rows else {"shipping": "shippingLines"}
    for part, member in rows.items():
        found = [
            {"title": extra.title, "amount": text(extra.amount), "taxAmount": text(_sum(taxed))}
            for extra, taxed in zip(cart.extras, priced.extra_taxes, strict=True)
            if extra.part == part
        ]
        if found:
            order[member] = found


def _line(cart: Cart, priced: Bill, position: int, words: TaxWords) -> Payload:
    line, currency, taxed = cart.goods[position], cart.currency, priced.line_taxes[position]
    whole = line.quantity == line.quantity.to_integral_value()
    row: Payload = {
        "id": str(position + 1),
        "productId": line.product.product_id,
        "sku": line.product.sku,
        "name": line.product.name,
        "description": line.product.description,
        "type": line.kind,
        "quantity": int(line.quantity) if whole else line.quantity,
        "unitOfMeasure": line.product.unit,
        "unitPrice": amount_text(line.unit_price, currency),
        "discountAmount": amount_text(line.discount, currency),
        "taxAmount": amount_text(_sum(taxed), currency),
        "lineTotal": amount_text(priced.shown[position], currency),
    }
    if words in ("own", "own-rates"):
        row["taxLines"] = _tax_lines(taxed, currency)
    if words in ("own-rates", "silent"):
        del row["taxAmount"]
        for named in row.get("taxLines", []):
            del named["amount"]
    return row


def _tax_lines(taxed: Taxed, currency: str) -> list[Payload]:
    return [
        {"name": tax.name, "rate": format(tax.rate, "f"), "amount": amount_text(amount, currency)}
        for tax, amount in taxed
    ]


def _sum(taxed: Taxed) -> Decimal:
    return sum((amount for _, amount in taxed), ZERO)
