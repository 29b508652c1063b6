"""How a Clarity `rest` order is written down: field names, money texts and what counts as money received.

Field names are those published or assumed for the profile `rest`; money is a decimal string.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Literal

from connectors.sandbox import generator_catalogue as catalogue
from connectors.sandbox.generator_money import ZERO, Basket, Priced, minor_unit, price

Payload = dict[str, Any]
_SNAPSHOT = ("id", "email", "firstName", "lastName", "company", "phone", "taxExempt", "taxId")


@dataclass(frozen=True)
class Case:
    """One order and what must become of it.

    Attributes:
        order: The resource as Clarity would send it; money as str, or exact Decimal in some orders.
        label: "post": invoice (and captured payments) at FreshBooks; "hold": nothing is written.
        reason: Kebab-case id of why it is held; "" when it posts.
        tags: What is odd about it; the first one names the scenario.
        payments: Captured or settled money in the order's currency, purchase orders not counted.
    """

    order: Payload
    label: Literal["post", "hold"]
    reason: str
    tags: tuple[str, ...]
    payments: Decimal


def amount_text(amount: Decimal, currency: str) -> str:
    """Write money with at least the currency's digits; more when the amount has them."""
    step = minor_unit(currency)
    cents = amount.quantize(step)
    return format(cents if cents == amount else amount, "f")


def utc_text(moment: datetime) -> str:
    """Write an instant as ISO 8601 UTC to the second."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True)
class Head:
    """What stands at the top of an order.

    Attributes:
        ordered: When it was placed, in the store's zone.
        named_taxes: Whether lines name their taxes themselves.
    """

    serial: int
    ordered: datetime
    created: datetime
    updated: datetime
    status: str
    payment_status: str
    named_taxes: bool


def write_order(head: Head, basket: Basket, customer: Payload, payments: list[Payload]) -> Payload:
    """Write down a priced order; the balance is what the payments leave open."""
    priced = price(basket)
    currency = basket.currency
    order: Payload = {
        "id": str(head.serial),
        "orderNumber": f"WEB-{head.ordered.year % 100:02d}-{head.serial}",
        "orderDate": head.ordered.isoformat(timespec="seconds"),
        "createdAt": utc_text(head.created),
        "updatedAt": utc_text(head.updated),
        "status": head.status,
        "paymentStatus": head.payment_status,
        "currency": currency,
        "pricesIncludeTax": basket.gross,
        "storeId": catalogue.STORE_ID,
        "test": False,
        "customer": {key: customer[key] for key in _SNAPSHOT},
        "billingAddress": dict(customer["billingAddress"]),
        "lineItems": [_line(basket, priced, position, head.named_taxes) for position in range(len(basket.lines))],
        "subtotal": amount_text(priced.subtotal, currency),
        "discountTotal": amount_text(priced.discount_total, currency),
        "shippingTotal": amount_text(basket.shipping, currency),
        "handlingTotal": amount_text(basket.handling, currency),
        "feesTotal": amount_text(basket.fees, currency),
        "taxTotal": amount_text(priced.tax_total, currency),
        "total": amount_text(priced.total, currency),
        "balanceDue": "",
        "taxLines": [
            {"name": tax.name, "rate": format(tax.rate, "f"), "amount": amount_text(amount, currency)}
            for tax, amount in priced.tax_by_name
        ],
        "shippingLines": [
            {
                "title": "Parcel" if basket.shipping else "Free shipping",
                "amount": amount_text(basket.shipping, currency),
                "taxAmount": amount_text(priced.shipping_tax, currency),
            }
        ],
        "payments": payments,
    }
    order["balanceDue"] = amount_text(priced.total - captured_sum(order), currency)
    return order


def counts_as_money(payment: Payload) -> bool:
    return payment["status"] in ("captured", "settled") and payment["method"] != "purchase_order"


def currency_of(order: Payload) -> str:
    """Return the order's currency; where only its lines say it, theirs."""
    rows = [order, *order["lineItems"], *order["payments"]]
    return next((str(row["currency"]).upper() for row in rows if row.get("currency")), "USD")


def captured_sum(order: Payload) -> Decimal:
    """Return the captured or settled money of an order in its own currency."""
    own = currency_of(order)
    rows = [row for row in order["payments"] if counts_as_money(row) and row["currency"].upper() == own]
    return sum((Decimal(row["amount"]) for row in rows), ZERO)


def _line(basket: Basket, priced: Priced, position: int, named_taxes: bool) -> Payload:
    line, currency = basket.lines[position], basket.currency
    amounts = priced.line_taxes[position]
    whole = line.quantity == line.quantity.to_integral_value()
    row: Payload = {
        "id": str(position + 1),
        "productId": line.product.product_id,
        "sku": line.product.sku,
        "name": line.product.name,
        "description": line.product.description,
        "type": "product",
        "quantity": int(line.quantity) if whole else line.quantity,
        "unitOfMeasure": line.product.unit,
        "unitPrice": amount_text(line.unit_price, currency),
        "discountAmount": amount_text(line.discount, currency),
        "taxAmount": amount_text(sum(amounts, ZERO), currency),
        "lineTotal": amount_text(priced.shown[position], currency),
    }
    if named_taxes:
        row["taxLines"] = [
            {"name": tax.name, "rate": format(tax.rate, "f"), "amount": amount_text(amount, currency)}
            for tax, amount in zip(line.taxes, amounts, strict=True)
        ]
    return row
