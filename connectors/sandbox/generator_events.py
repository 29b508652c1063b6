"""What Clarity shows beside an order: customer, payment and product resources, webhook envelopes, exact JSON."""

from __future__ import annotations

import copy
import hashlib
import json
import random
from collections.abc import Iterable, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final
from zoneinfo import ZoneInfo

from connectors.sandbox import generator_catalogue as catalogue
from connectors.sandbox.generator_order import Case, Payload, counts_as_money, currency_of, utc_text

_CATALOGUE_DAY = date(2026, 1, 5)
_SCALAR: Final = json.JSONEncoder(ensure_ascii=False).encode


def customers(cases: Iterable[Case]) -> list[Payload]:
    """Return one record per registered customer met in the orders, oldest first.

    A record agrees with every snapshot of its customer; guests have no id and hence no record. `updatedAt` is
    that of the customer's last order.
    """
    records: dict[str, Payload] = {}
    for case in cases:
        order = case.order
        identifier = order["customer"].get("id")
        if identifier is None:
            continue
        known = records.get(str(identifier))
        if known is not None:
            known["updatedAt"] = max(known["updatedAt"], order["updatedAt"])
            continue
        snapshot, address = order["customer"], order["billingAddress"]
        records[str(identifier)] = {
            **snapshot,
            "id": str(identifier),
            "currency": currency_of(order),
            "language": "en",
            "customerGroup": "Business" if snapshot["company"] else "Retail",
            "billingAddress": dict(address),
            "addresses": [dict(address)],
            "createdAt": order["createdAt"],
            "updatedAt": order["updatedAt"],
        }
    return list(records.values())


def payments(cases: Iterable[Case]) -> list[Payload]:
    """Return every payment that has an id as its own resource, whatever became of it."""
    return [_payment(case.order, row) for case in cases for row in case.order["payments"] if row.get("id") is not None]


def refunds(cases: Iterable[Case]) -> list[Payload]:
    """Return one refund of everything for each refunded order: a record of its own, a day after the order (A34)."""
    found = []
    for case in cases:
        order = case.order
        if case.reason != "refunded":
            continue
        day_after = utc_text(datetime.fromisoformat(order["updatedAt"]) + timedelta(days=1))
        found.append(
            {
                "id": f"8{order['id']}",
                "orderId": order["id"],
                "amount": order["total"],
                "taxAmount": order["taxTotal"],
                "currency": currency_of(order),
                "transactionId": f"re_{order['id']}",
                "status": "completed",
                "createdAt": day_after,
                "updatedAt": day_after,
            }
        )
    return found


def products() -> list[Payload]:
    """Return the store's catalogue; prices are net, in USD. SKUs that orders call unknown are not in it."""
    odd = [product for group in catalogue.ODD_PRODUCTS.values() for product in group]
    opened = datetime.combine(_CATALOGUE_DAY, time(9), ZoneInfo(catalogue.STORE_ZONE))
    rows = [*catalogue.PRODUCTS, *catalogue.BULK_PRODUCTS, *odd]
    return [
        {
            "id": product.product_id,
            "sku": product.sku,
            "name": product.name,
            "description": product.description,
            "price": format(product.price, "f"),
            "currency": "USD",
            "taxable": product.sku not in catalogue.UNTAXED_PRODUCTS,
            "taxCode": "EXEMPT" if product.sku in catalogue.UNTAXED_PRODUCTS else "GENERAL",
            "inventoryQuantity": 40 + 3 * position,
            "unitOfMeasure": product.unit,
            "active": product.active,
            "createdAt": utc_text(opened),
            "updatedAt": utc_text(opened + timedelta(minutes=position)),
        }
        for position, product in enumerate(rows)
    ]


def events(cases: Sequence[Case], *, shuffle_seed: int | None = None, duplicate_percent: int = 10) -> list[Payload]:
    """Return webhook envelopes: order.created, customer.updated and payment.captured.

    Ids depend on content alone, so the same cases give the same ids in every call. Each envelope carries its
    own copy of the resource.

    Args:
        cases: From `generate`.
        shuffle_seed: None sends everything once, oldest first. A number shuffles and adds redeliveries, which
            have the same id and a higher `attempt`.
        duplicate_percent: How many events come twice when shuffled, in [0, 100]; at least one unless zero.
    """
    found = [_event("order.created", case.order, case.order["createdAt"]) for case in cases]
    found += [_event("customer.updated", record, record["updatedAt"]) for record in customers(cases)]
    found += [
        _event("payment.captured", record, record["paidAt"])
        for record in payments(cases)
        if counts_as_money(record) and Decimal(record["amount"]) > 0
    ]
    found.sort(key=lambda event: (event["occurredAt"], event["id"]))
    if shuffle_seed is None:
        return found
    chance = random.Random(shuffle_seed)  # noqa: S311 - reproducible disorder, nothing secret
    twice = max(1, len(found) * duplicate_percent // 100) if duplicate_percent and found else 0
    again = [copy.deepcopy(event) | {"attempt": 2} for event in chance.sample(found, twice)]
    found += again
    chance.shuffle(found)
    return found


def to_ndjson(found: Iterable[Payload]) -> str:
    """Write one compact JSON object a line, each line ended; empty for no events."""
    return "".join(f"{dumps_exact(event)}\n" for event in found)


def dumps_exact(value: Any, *, indent: int = 0) -> str:
    """Write JSON in which a Decimal is a number with all its digits, so that reading it back loses nothing.

    Args:
        value: Made of dict, list, str, int, bool, None and finite Decimal.
        indent: Spaces per level; 0 writes one line.

    Raises:
        TypeError: Anything else, a float above all.
        ValueError: A Decimal that is no number.
    """
    return _write(value, indent, "\n" if indent else "")


def _write(value: Any, indent: int, margin: str) -> str:
    if value is None or isinstance(value, bool | int | str):
        return _SCALAR(value)
    if isinstance(value, Decimal):
        if not value.is_finite():
            raise ValueError("JSON knows no infinite or undefined number")
        return format(value, "f")
    inner = margin + " " * indent
    if isinstance(value, dict):
        colon = ": " if indent else ":"
        parts = [f"{_SCALAR(key)}{colon}{_write(item, indent, inner)}" for key, item in value.items()]
        return f"{{{inner}{f',{inner}'.join(parts)}{margin}}}" if parts else "{}"
    if isinstance(value, list):
        parts = [_write(item, indent, inner) for item in value]
        return f"[{inner}{f',{inner}'.join(parts)}{margin}]" if parts else "[]"
    raise TypeError(f"{type(value).__name__} has no exact form in JSON")


def _payment(order: Payload, row: Payload) -> Payload:
    stamp = row["paidAt"] or order["createdAt"]
    return {
        **row,
        "orderId": order["id"],
        "orderNumber": order.get("orderNumber"),
        "createdAt": stamp,
        "updatedAt": stamp,
    }


def _event(kind: str, resource: Payload, occurred_at: str) -> Payload:
    """Wrap a resource; the id is a digest of what the event says."""
    entity = kind.partition(".")[0]
    digest = hashlib.sha256(f"{kind} {dumps_exact(resource)}".encode()).hexdigest()
    return {
        "id": f"evt_{digest[:20].upper()}",
        "type": kind,
        "occurredAt": occurred_at,
        "storeId": catalogue.STORE_ID,
        "apiVersion": "v1",
        "attempt": 1,
        "data": {
            "object": entity,
            "id": str(resource["id"]),
            "updatedAt": resource["updatedAt"],
            "resource": copy.deepcopy(resource),
        },
    }
