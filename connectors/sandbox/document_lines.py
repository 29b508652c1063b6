"""Lines of invoices and credit notes at the FreshBooks stand-in, and the totals that follow from them."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from connectors.sandbox import errors
from connectors.sandbox.errors import AccountingError
from connectors.sandbox.intake import read_fields
from connectors.sandbox.money import (
    LineTax,
    PricedLine,
    Totals,
    currency_digits,
    invoice_totals,
    plain,
    rounded,
    unit_cost_digits,
)
from connectors.sandbox.resources import LINE_FIELDS
from connectors.sandbox.times import eastern
from connectors.sandbox.wire import JsonObject

if TYPE_CHECKING:
    from connectors.sandbox.books import Books


def build_lines(
    books: Books,
    object_name: str,
    identifier: int,
    sent_lines: Sequence[Any],
    currency: str,
    previous: Sequence[JsonObject],
) -> list[JsonObject]:
    """Stored lines from what was sent; a known `lineid` is kept, other lines get the next free one.

    The currency of the document wins silently over a line's own code, and a unit cost is rounded silently to
    the decimals that are kept, so that a caller's mistake shows in the total.

    Raises:
        AccountingError: A value has the wrong type, or is below zero while the switch refuses that.
    """
    known_ids = {line["lineid"] for line in previous}
    next_id = max(known_ids, default=0) + 1
    stamp = eastern(books.clock())
    lines: list[JsonObject] = []
    for sent in sent_lines:
        if not isinstance(sent, dict):
            raise AccountingError(422, errors.MAPPING_ERROR, "A line must be an object.", "lines", object_name)
        clean = read_fields("line", LINE_FIELDS, sent, books.switches, creating=True)
        if clean["type"] == 1 and not clean["expenseid"]:
            raise errors.required("line", "expenseid")
        line_id = clean["lineid"]
        if line_id not in known_ids or any(line["lineid"] == line_id for line in lines):
            line_id, next_id = next_id, next_id + 1
        cost = Decimal(clean["unit_cost"]["amount"]) if clean["unit_cost"] else Decimal(0)
        if cost < 0 and books.switches.negative_unit_cost == "refuse":
            message = "The field 'unit_cost' must not be negative."
            raise AccountingError(422, errors.NEGATIVE_VALUE, message, "unit_cost", "line", str(cost))
        cost = rounded(cost, unit_cost_digits(currency, books.switches.unit_cost_places))
        least_digits = currency_digits(currency)
        lines.append(
            {
                **clean,
                "lineid": line_id,
                "unit_cost": {"amount": plain(cost, least_digits=least_digits), "code": currency},
                "taxNumber1": _tax_number(books, clean["taxName1"]),
                "taxNumber2": _tax_number(books, clean["taxName2"]),
                "invoiceid" if object_name == "invoice" else "creditid": identifier,
                "taskno": len(lines) + 1,
                "basecampid": 0,
                "date": None,
                "modern_project_id": None,
                "modern_time_entries": [],
                "retainer_id": None,
                "retainer_period_id": None,
                "updated": stamp,
            }
        )
    return lines


def price(books: Books, document: JsonObject, discount_percent: Decimal) -> Totals:
    """Totals of a document with `lines` and `currency_code`; writes each line's `amount`."""
    code = document["currency_code"]
    digits = currency_digits(code)
    totals = invoice_totals(
        [_priced(line) for line in document["lines"]],
        discount_percent=discount_percent,
        digits=digits,
        mode=books.switches.rounding,
    )
    for line, amount in zip(document["lines"], totals.line_amounts, strict=True):
        line["amount"] = money(amount, code)
    return totals


def money(amount: Decimal, code: str) -> JsonObject:
    """The wire form of an amount, at least with the currency's digits."""
    return {"amount": plain(amount, least_digits=currency_digits(code)), "code": code}


def _priced(line: JsonObject) -> PricedLine:
    taxes = [
        LineTax(line[f"taxName{position}"], Decimal(line[f"taxAmount{position}"] or "0"))
        for position in (1, 2)
        if line[f"taxName{position}"]
    ]
    return PricedLine(Decimal(line["qty"]), Decimal(line["unit_cost"]["amount"]), tuple(taxes), line["compounded_tax"])


def _tax_number(books: Books, name: str | None) -> str | None:
    return next((tax["number"] for tax in books.tables["tax"].values() if name and tax["name"] == name), None)
