"""Small parts of the framework's models that several records share: names, amounts, addresses, totals."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from connectors.sandbox.generator_events import dumps_exact
from connectors.sandbox.generator_order import Payload

ZERO = Decimal(0)
STATUSES = (
    *("Pending", "Confirmed", "Backordered", "Split", "Partial Payment Received", "Full Payment Received"),
    *("Processing", "Shipped from Vendor", "Shipped", "Completed", "Void", "On Hold"),
)
CURRENCIES = ("USD", "CAD", "GBP", "EUR", "JPY", "KWD")
FLAT = {"ID": "ID", "Key": "CustomKey", "Name": "Name"}


def raw_prices(record: Payload) -> Payload:
    """A product's prices as the pricing route gives them, from the `rest` product; names are an assumption."""
    return {"ID": int(record["id"]), "PriceBase": Decimal(record["price"]), "PriceMsrp": Decimal(record["price"])}


def pruned(record: Payload) -> Payload:
    """Without null and empty members, at any depth: the framework's JSON has none."""
    inner = {key: _pruned(value) for key, value in record.items()}
    return {key: value for key, value in inner.items() if value is not None and value not in ("", [], {})}


def _pruned(value: Any) -> Any:
    if isinstance(value, dict):
        return pruned(value)
    return [_pruned(item) for item in value] if isinstance(value, list) else value


def content_hash(record: Payload) -> int:
    """The hash of a record's content, a signed 64-bit number that changes with it."""
    plain = {key: value for key, value in record.items() if key != "Hash"}
    return int.from_bytes(hashlib.sha256(dumps_exact(plain).encode(errors="replace")).digest()[:8], "big", signed=True)


def status_of(rest: Payload) -> str:
    text = str(rest["status"])
    match text.casefold():
        case "cancelled" | "refunded":
            return "Void"
        case "processing" if rest["paymentStatus"] == "partially_paid":
            return "Partial Payment Received"
        case "processing" if rest["paymentStatus"] == "paid" and int(rest["id"]) % 2:
            return "Full Payment Received"
    return text


def state_of(status: str) -> str:
    return "HISTORY" if status in ("Completed", "Void") else "WORK"


def totals_of(rest: Payload) -> Payload:
    discount = abs(amount_of(rest["discountTotal"]))
    negative = str(rest["discountTotal"]).startswith("-") or int(rest["id"]) % 2 == 0
    return {
        "SubTotal": amount_of(rest["subtotal"]),
        "Shipping": amount_of(rest["shippingTotal"]),
        "Handling": amount_of(rest["handlingTotal"]),
        "Fees": amount_of(rest["feesTotal"]),
        "Tax": amount_of(rest["taxTotal"]),
        "Discounts": -discount if negative and discount else discount,
        "Total": amount_of(rest["total"]),
    }


def order_discount_of(rest: Payload) -> Decimal:
    """What of the discounts no line has of its own; with the sign this order uses."""
    lines = sum((abs(amount_of(row.get("discountAmount"))) for row in rest["lineItems"]), ZERO)
    own = abs(amount_of(rest["discountTotal"])) - lines
    return own if int(rest["id"]) % 2 else -own


def discount_of(amount: Decimal, number: int, code: str, kind: int) -> Payload:
    return {
        "ID": number,
        "DiscountTotal": amount,
        "DiscountValue": abs(amount),
        "DiscountValueType": 1,
        "DiscountTypeID": kind,
        "SlaveKey": code,
        "SlaveName": f"Discount {code}",
        "ApplicationsUsed": 1,
    }


def quantities_of(quantity: Decimal, turn: int) -> Payload:
    """Now and then a part is back-ordered or pre-sold; the three add up."""
    if turn % 3 or quantity < 2 or quantity != quantity.to_integral_value():
        return {"Quantity": quantity}
    name = "QuantityBackOrdered" if turn % 2 else "QuantityPreSold"
    return {"Quantity": quantity - 1, name: Decimal(1)}


def quotes_of(rest: Payload, serial: int) -> list[Payload]:
    titles = [row["title"] for row in rest.get("shippingLines") or []]
    chosen, cost = titles[0] if titles else "Parcel", amount_of(rest["shippingTotal"])
    return [
        {"ID": serial * 10 + 1, "Selected": False, "Rate": cost * 3, "ShipCarrierName": "Express"},
        {"ID": serial * 10 + 2, "Selected": True, "Rate": cost, "ShipCarrierName": chosen},
    ]


def attributes_of(rest: Payload) -> Payload:
    sent = rest.get("customAttributes") or {}
    pairs: Iterable[tuple[str, Any]] = (
        sent.items() if isinstance(sent, dict) else [(row["key"], row["value"]) for row in sent]
    )
    found = {name: {"ID": number, "Key": name, "Value": value} for number, (name, value) in enumerate(pairs, 1)}
    if rest.get("test"):
        found["test"] = {"ID": len(found) + 1, "Key": "test", "Value": "true"}
    return found


def address_of(rest: Payload) -> Payload:
    return {
        "Company": rest.get("company"),
        "Street1": rest.get("line1"),
        "Street2": rest.get("line2"),
        "City": rest.get("city"),
        "RegionCode": rest.get("state"),
        "PostalCode": rest.get("postalCode"),
        "CountryCode": rest.get("country"),
    }


def named(prefix: str, number: int, name: str) -> Payload:
    return {f"{prefix}ID": number, f"{prefix}Key": name, f"{prefix}Name": name}


def dates_of(record: Payload) -> Payload:
    return {name: record[name] for name in ("CreatedDate", "UpdatedDate")}


def key_of(record: Payload, name: str) -> str:
    return str(record.get(name, "")).casefold()


def amount_of(value: Any) -> Decimal:
    return Decimal(str(value)) if value not in (None, "") else ZERO
