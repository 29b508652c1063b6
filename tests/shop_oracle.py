"""What the books must hold after a shop's orders, read from the orders by the shops' own public documentation.

Nothing here is shared with `mapspec` or a mapping: a total is the order's own member, its meaning the shop's.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from tests.flows import Books


@dataclass(frozen=True)
class Expected:
    """One order: `fate` posted, held or skipped; what is paid of a posted one, None for nothing."""

    id: str
    number: str
    fate: str
    total: Decimal
    currency: str
    paid: Decimal | None
    client: str | None


def orders_of(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_text("utf-8")) for path in sorted(folder.glob("order__*.json"))]


def real_orders(shop: str, folder: Path) -> list[dict[str, Any]]:
    """The whole orders among a folder of API answers, the last of each id.

    Documentation gives one number to several orders, which no shop does; each gets one of its own.
    """
    found: dict[str, dict[str, Any]] = {}
    for path in sorted((folder / shop).glob("*order*.json")):
        held = json.loads(path.read_text("utf-8"))
        rows = held if isinstance(held, list) else held.get("orders") or [held.get("order") or held]
        for row in rows:
            total = row.get("total") if shop == "woocommerce" else row.get("total_price")
            if total and row.get("line_items") and row.get("date_created" if shop == "woocommerce" else "created_at"):
                found[str(row["id"])] = row
    name = "number" if shop == "woocommerce" else "order_number"
    return [{**row, name: type(row[name])(7000 + count)} for count, row in enumerate(found.values())]


def contradicts_itself(shop: str, order: dict[str, Any]) -> bool:
    """Whether a Shopify order's rates do not make its own tax amounts: documentation has such made-up ones."""
    if shop != "shopify":
        return False
    for line in order["line_items"]:
        off = sum(Decimal(part["amount"]) for part in line.get("discount_allocations", []))
        base = Decimal(line["price"]) * line["quantity"] - off
        for tax in line.get("tax_lines", []):
            rate = Decimal(str(tax["rate"]))
            made = base * rate / (1 + rate) if order.get("taxes_included") else base * rate
            if abs(made - Decimal(tax["price"])) > Decimal("0.02"):
                return True
    return False


def expected(shop: str, order: dict[str, Any]) -> Expected:
    return {"woocommerce": _woocommerce, "shopify": _shopify}[shop](order)


def _woocommerce(order: dict[str, Any]) -> Expected:
    if order["status"] in ("cancelled", "refunded", "failed", "on-hold", "trash", "checkout-draft"):
        fate = "skipped"
    else:
        fate = "held" if order["refunds"] else "posted"
    total = Decimal(order["total"])
    paid = total if order["date_paid"] else None
    email = order["billing"]["email"].lower() or None
    return Expected(str(order["id"]), str(order["number"]), fate, total, order["currency"], paid, email)


def _shopify(order: dict[str, Any]) -> Expected:
    status = order["financial_status"]
    if order.get("test") or order.get("cancelled_at") or status in ("refunded", "voided"):
        fate = "skipped"
    else:
        fate = "held" if order.get("refunds") or status == "partially_refunded" else "posted"
    total = Decimal(order["total_price"])
    email = ((order.get("customer") or {}).get("email") or "").lower() or None
    paid = total if status == "paid" else None
    return Expected(str(order["id"]), str(order["order_number"]), fate, total, order["currency"], paid, email)


def same_books(books: Books, orders: list[Expected], held: set[str]) -> None:
    """Every posted order is one sent invoice of its own total and its payment; nothing else is in the books."""
    invoices = {row["invoice_number"]: row for row in books.table("invoice")}
    clients = {row["id"]: row for row in books.table("client")}
    payments: dict[str, list[dict[str, Any]]] = {}
    for row in books.table("payment"):
        payments.setdefault(str(row["invoiceid"]), []).append(row)
    assert sorted(invoices) == sorted(order.number for order in orders if order.fate == "posted")
    assert held == {order.id for order in orders if order.fate == "held"}
    for order in orders:
        if order.fate != "posted":
            continue
        row = invoices[order.number]
        total = row["amount"]
        assert (Decimal(total["amount"]), total["code"]) == (order.total, order.currency), order.number
        assert str(row["status"]) not in ("1", "draft"), order.number
        found = payments.pop(str(row["id"]), [])
        sums = [(Decimal(pay["amount"]["amount"]), pay["amount"]["code"]) for pay in found]
        assert sums == ([(order.paid, order.currency)] if order.paid else []), order.number
        client = clients[row["customerid"]]
        assert (client.get("email") or None) == order.client, order.number
        assert order.client is not None or client["organization"].startswith("Guest sales"), order.number
    assert not payments
