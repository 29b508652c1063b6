"""Scenarios that must be posted and whose awkwardness is in who buys, how it is paid and how it is written down."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from connectors.sandbox import generator_catalogue as catalogue
from connectors.sandbox.generator_catalogue import ODD_PRODUCTS, Product
from connectors.sandbox.generator_mint import CustomerKind, Mint, Scenario, Settlement, ordinary
from connectors.sandbox.generator_order import Payload

_HOME = ("tx", "ny")


def _for(kind: CustomerKind, region: str) -> Scenario:
    return lambda mint: mint.order(mint.basket(region), mint.customer(region, kind))


def guest_without_email(mint: Mint) -> Payload:
    place = mint.pick(_HOME)
    order = mint.order(mint.basket(place), mint.guest(place, email=False))
    if mint.chance(50):
        del order["customer"]["id"], order["customer"]["email"]
    return order


def guest_email(mint: Mint) -> Payload:
    place = mint.pick((*_HOME, "gb"))
    return mint.order(mint.basket(place), mint.guest(place, email=True))


def email_spelling(mint: Mint) -> Payload:
    """A guest, met before if there was one, spells the e-mail with capitals and blanks."""
    known = [guest for guest in mint.guests if guest["currency"] == "USD"]
    guest = mint.pick(known) if known else mint.guest("tx", email=True)
    spelling = mint.pick((str.upper, str.title, " {} ".format))(guest["email"])
    return mint.order(mint.basket("tx"), {**guest, "email": spelling})


def _odd_product(kind: str) -> Scenario:
    def build(mint: Mint) -> Payload:
        place = mint.pick((*_HOME, "gb"))
        basket = mint.basket(place, 1)
        odd = mint.line(place, mint.pick(ODD_PRODUCTS[kind]))
        person: CustomerKind = "unicode" if kind == "unicode-text" else "person"
        return mint.order(replace(basket, lines=(odd, *basket.lines)), mint.customer(place, person))

    return build


def unknown_sku(mint: Mint) -> Payload:
    basket = mint.basket("tx")
    code = f"ZZZ-{mint.random.randint(1000, 9999)}"
    stranger = Product(str(mint.random.randint(880000, 889999)), code, "Clearance item", "Last one", Decimal("15.40"))
    return mint.order(replace(basket, lines=(*basket.lines, mint.line("tx", stranger))), mint.customer("tx"))


def missing_sku(mint: Mint) -> Payload:
    basket = mint.basket("tx")
    custom = Product(None, None, "Engraving to your text", "", Decimal("9.50"))
    order = mint.order(replace(basket, lines=(*basket.lines, mint.line("tx", custom))), mint.customer("tx"))
    row = order["lineItems"][-1]
    del row["productId"]
    variant = mint.random.randrange(3)
    if variant == 0:
        del row["sku"]
    elif variant == 1:
        row["sku"] = ""
    return order


def sku_spelling(mint: Mint) -> Payload:
    order = mint.order(mint.basket("tx"), mint.customer("tx"))
    row = order["lineItems"][0]
    row["sku"] = mint.pick((f" {row['sku']}", row["sku"].lower(), f"{row['sku'].title()} "))
    return order


def unpaid_pending(mint: Mint) -> Payload:
    place = mint.pick(_HOME)
    order = mint.order(mint.basket(place), mint.customer(place, "company"), pay="none", status="Pending")
    order["paymentTerms"] = "Net 30"
    return order


def failed_payment(mint: Mint) -> Payload:
    order = mint.order(mint.basket("tx"), mint.customer("tx"), pay="failed", status="Pending")
    if mint.chance(50):
        order["status"] = "Processing"
    return order


def purchase_order(mint: Mint) -> Payload:
    order = mint.order(mint.basket("tx"), mint.customer("tx", "company"), pay="purchase-order", status="Processing")
    order["poNumber"] = f"PO-{mint.random.randint(100, 9999)}"
    return order


def near_midnight(mint: Mint) -> Payload:
    """Placed so that the store's calendar day and the UTC day differ, or nearly so."""
    hour, minute = mint.pick(((23, mint.random.randint(30, 59)), (0, mint.random.randint(0, 29))))
    mint.moment = mint.moment.replace(hour=hour, minute=minute)
    return mint.order(mint.basket("tx"), mint.customer("tx"))


def purchase_order_number(mint: Mint) -> Payload:
    order = mint.order(mint.basket("tx"), mint.customer("tx", "company"))
    order["poNumber"] = mint.pick(("PO-7", "4500012345", "Kitchen/3rd floor #12"))
    return order


def _terms(tag: str) -> Scenario:
    def build(mint: Mint) -> Payload:
        pay: Settlement = "none" if mint.chance(60) else "any"
        order = mint.order(mint.basket("tx"), mint.customer("tx"), pay=pay, status="Processing")
        order.pop("paymentTerms", None)
        if catalogue.TERMS[tag] is not None:
            order["paymentTerms"] = catalogue.TERMS[tag]
        return order

    return build


def attributes_object(mint: Mint) -> Payload:
    order = mint.order(mint.basket("tx"), mint.customer("tx"))
    order["customAttributes"] = {"costCentre": f"CC-{mint.random.randint(10, 99)}", "giftMessage": ""}
    return order


_MONEY = frozenset(
    {
        "subtotal",
        "discountTotal",
        "shippingTotal",
        "handlingTotal",
        "feesTotal",
        "taxTotal",
        "total",
        "balanceDue",
        "unitPrice",
        "discountAmount",
        "taxAmount",
        "lineTotal",
        "rate",
        "amount",
        "feeAmount",
    }
)


def _as_numbers(value: Any) -> Any:
    if isinstance(value, list):
        return [_as_numbers(item) for item in value]
    if isinstance(value, dict):
        return {
            key: Decimal(item) if key in _MONEY and isinstance(item, str) else _as_numbers(item)
            for key, item in value.items()
        }
    return value


def _json_numbers(mint: Mint, order: Payload) -> None:
    """Money as JSON numbers, in the whole order or in its lines only."""
    keys = ("lineItems",) if mint.chance(30) else tuple(order)
    for key in keys:
        order[key] = _as_numbers({key: order[key]})[key]


def _integer_ids(_mint: Mint, order: Payload) -> None:
    for record in (order, order["customer"], *order["lineItems"], *order["payments"]):
        if record.get("id") is not None:
            record["id"] = int(record["id"])


def _status_case(mint: Mint, order: Payload) -> None:
    order["status"] = mint.pick((str.upper, str.lower))(order["status"])


def _attributes_list(mint: Mint, order: Payload) -> None:
    order["customAttributes"] = [
        {"key": "costCentre", "value": f"CC-{mint.random.randint(10, 99)}"},
        {"key": "giftMessage", "value": ""},
    ]


def _date_without_offset(_mint: Mint, order: Payload) -> None:
    moment = datetime.fromisoformat(order["orderDate"])
    order["orderDate"] = moment.replace(tzinfo=None).isoformat()


# ways to write any order differently without changing what must become of it; each is a scenario of its own and
# now and then laid over another one
REWRITES: dict[str, Callable[[Mint, Payload], None]] = {
    "attributes-list": _attributes_list,
    "json-numbers": _json_numbers,
    "integer-ids": _integer_ids,
    "status-case": _status_case,
    "date-without-offset": _date_without_offset,
}


def _rewritten(tag: str) -> Scenario:
    def build(mint: Mint) -> Payload:
        order = ordinary("tx")(mint)
        REWRITES[tag](mint, order)
        return order

    return build


def date_with_milliseconds(mint: Mint) -> Payload:
    mint.moment += timedelta(microseconds=mint.random.randrange(1, 999_999))
    order = mint.order(mint.basket("tx"), mint.customer("tx"))
    order["orderDate"] = mint.moment.isoformat(timespec="milliseconds")
    return order


FORMS: dict[str, Scenario] = {
    "guest-email": guest_email,
    "guest-without-email": guest_without_email,
    "email-spelling": email_spelling,
    "company": _for("company", "tx"),
    "long-company": _for("long-company", "ny"),
    "unicode-text": _odd_product("unicode-text"),
    "emoji-text": _odd_product("emoji-text"),
    "html-text": _odd_product("html-text"),
    "long-text": _odd_product("long-text"),
    "unknown-sku": unknown_sku,
    "missing-sku": missing_sku,
    "sku-spelling": sku_spelling,
    "unpaid-pending": unpaid_pending,
    "authorized-only": ordinary("tx", pay="authorized", status="Processing"),
    "failed-payment": failed_payment,
    "split-payment": ordinary("tx", pay="split"),
    "partial-payment": ordinary("tx", pay="partial", status="Processing"),
    "purchase-order": purchase_order,
    "near-midnight": near_midnight,
    "date-with-milliseconds": date_with_milliseconds,
    "po-number": purchase_order_number,
    **{tag: _terms(tag) for tag in catalogue.TERMS},
    "attributes-object": attributes_object,
    **{tag: _rewritten(tag) for tag in REWRITES},
}
