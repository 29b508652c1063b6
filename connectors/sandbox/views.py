"""How stored FreshBooks records look in an answer: what is left out, and what `include[]` adds."""

from __future__ import annotations

from collections.abc import Collection
from decimal import Decimal

from connectors.sandbox import invoices
from connectors.sandbox.books import Books
from connectors.sandbox.document_lines import money
from connectors.sandbox.resources import Resource
from connectors.sandbox.wire import JsonObject

_BALANCES = (
    "outstanding_balance",
    "credit_balance",
    "draft_balance",
    "overdue_balance",
    "grand_total_balance",
)
_PRESENTATION: JsonObject = {
    "date_format": "yyyy-mm-dd",
    "theme_font_name": "modern",
    "theme_layout": "simple",
    "theme_primary_color": "#0075dd",
    "image_logo_src": None,
    "label": None,
}


def show(books: Books, resource: Resource, record: JsonObject, includes: Collection[str]) -> JsonObject:
    """The answer's form of a record.

    Lines of an invoice or credit note are absent unless `lines` is included, also on a single GET.
    """
    shown = _outside(record)
    match resource.name:
        case "invoice":
            shown["v3_status"] = invoices.v3_status(books, record)
            shown.pop("presentation", None)
            if "lines" not in includes:
                del shown["lines"]
            if "presentation" in includes:
                shown["presentation"] = _PRESENTATION | (record["presentation"] or {})
            if "allowed_gateways" in includes:
                shown["allowed_gateways"] = []
        case "credit_note":
            if "lines" not in includes:
                del shown["lines"]
        case "client":
            shown |= _client_extras(books, record, includes)
        case "payment":
            shown |= _payment_extras(books, record, includes)
    return shown


def _outside(record: JsonObject, *hidden: str) -> JsonObject:
    return {name: value for name, value in record.items() if not name.startswith("_") and name not in hidden}


def _client_extras(books: Books, client: JsonObject, includes: Collection[str]) -> JsonObject:
    extras: JsonObject = {name: balance(books, client, name) for name in _BALANCES if name in includes}
    if "late_reminders" in includes:
        extras["late_reminders"] = []
    if "late_fee" in includes:
        extras["late_fee"] = None
    return extras


def balance(books: Books, client: JsonObject, name: str) -> list[JsonObject]:
    """A client's balance of the named kind, one entry for each currency with a balance."""
    sums: dict[str, Decimal] = {}
    if name == "credit_balance":
        for credit in books.tables["credit_note"].values():
            if credit["clientid"] == client["id"] and credit["vis_state"] != 1:
                code = credit["currency_code"]
                sums[code] = sums.get(code, Decimal(0)) + Decimal(credit["amount"]["amount"])
    else:
        for invoice in books.tables["invoice"].values():
            if invoice["customerid"] != client["id"] or invoice["vis_state"] == 1:
                continue
            if _counts(books, invoice, name):
                code = invoice["currency_code"]
                sums[code] = sums.get(code, Decimal(0)) + Decimal(invoice["outstanding"]["amount"])
    return [{"amount": money(amount, code)} for code, amount in sorted(sums.items()) if amount]


def _counts(books: Books, invoice: JsonObject, name: str) -> bool:
    draft = bool(invoice["display_status"] == "draft")
    if name == "draft_balance":
        return draft
    if name == "overdue_balance":
        return invoices.v3_status(books, invoice) == "overdue"
    return name == "grand_total_balance" or not draft


def _payment_extras(books: Books, payment: JsonObject, includes: Collection[str]) -> JsonObject:
    extras: JsonObject = {}
    if "client" in includes:
        extras["client"] = _outside(books.tables["client"][payment["clientid"]])
    if "invoice" in includes:
        extras["invoice"] = _outside(books.tables["invoice"][payment["invoiceid"]], "lines")
    if "credit_note" in includes:
        extras["credit_note"] = None
    for name in ("order", "gateway"):
        if name in includes:
            extras[name] = None
    return extras
