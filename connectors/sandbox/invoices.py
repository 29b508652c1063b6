"""Invoices of the FreshBooks stand-in: numbers, dates, and the status that follows from payments."""

from __future__ import annotations

import re
import uuid
from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from connectors.sandbox import errors
from connectors.sandbox.document_lines import build_lines, money, price
from connectors.sandbox.errors import AccountingError
from connectors.sandbox.times import eastern, eastern_micros, eastern_today
from connectors.sandbox.wire import JsonObject

if TYPE_CHECKING:
    from connectors.sandbox.books import Books

DISPUTED, DRAFT, SENT, VIEWED, PAID = 0, 1, 2, 3, 4
_WORDS = {DISPUTED: "disputed", DRAFT: "draft", SENT: "sent", VIEWED: "viewed"}
_STATUSES = {word: status for status, word in _WORDS.items()}
_FIRST_NUMBER = "0000001"
# invoice field <- client field, copied once at creation
_SNAPSHOT = {
    "fname": "fname",
    "lname": "lname",
    "organization": "organization",
    "street": "p_street",
    "street2": "p_street2",
    "city": "p_city",
    "province": "p_province",
    "code": "p_code",
    "country": "p_country",
    "vat_name": "vat_name",
    "vat_number": "vat_number",
}


def create(books: Books, identifier: int, sent: JsonObject, clean: JsonObject) -> JsonObject:
    """Build a draft invoice from checked fields.

    Raises:
        AccountingError: Unknown or deleted client, taken number, bad status or line.
    """
    client = books.referenced("client", "customerid", clean["customerid"], "invoice")
    clean |= {name: value for name, value in snapshot(client).items() if name not in sent}
    clean["currency_code"] = (clean["currency_code"] or client["currency_code"]).upper()
    clean["invoice_number"] = claim_number(books, clean["invoice_number"], identifier)
    worded = _STATUSES.get(clean.pop("v3_status") or "", DRAFT)
    base_status = _checked_status(clean.pop("status"), worded)
    lines = clean.pop("lines")
    _due_date(clean)
    now = books.clock()
    invoice = {
        **_constants(books, identifier),
        **clean,
        "_base_status": base_status,
        "created_at": eastern(now),
        "lines": build_lines(books, "invoice", identifier, lines, clean["currency_code"], ()),
    }
    invoice.pop("use_default_presentation")
    refresh(books, invoice)
    books.last_number = invoice["invoice_number"]
    return invoice


def snapshot(client: JsonObject) -> JsonObject:
    """Name and address of a client as a document keeps them from its creation on."""
    return {ours: client[theirs] for ours, theirs in _SNAPSHOT.items()}


def update(books: Books, invoice: JsonObject, clean: JsonObject) -> None:
    """Merge checked fields into an invoice; `lines` replaces all lines.

    Raises:
        AccountingError: As `create`; then the invoice is unchanged.
    """
    changed = dict(invoice)
    if "customerid" in clean:
        books.referenced("client", "customerid", clean["customerid"], "invoice")
    if "invoice_number" in clean:
        wanted = clean.pop("invoice_number") or invoice["invoice_number"]
        changed["invoice_number"] = claim_number(books, wanted, invoice["id"])
    if "status" in clean:
        changed["_base_status"] = _checked_status(clean.pop("status"), invoice["_base_status"])
    if clean.get("currency_code"):
        clean["currency_code"] = clean["currency_code"].upper()
    else:
        clean.pop("currency_code", None)
    lines = clean.pop("lines", None)
    clean.pop("use_default_presentation", None)
    changed.update(clean)
    _due_date(changed)
    if lines is not None or changed["currency_code"] != invoice["currency_code"]:
        sources = invoice["lines"] if lines is None else lines
        code = changed["currency_code"]
        changed["lines"] = build_lines(books, "invoice", invoice["id"], sources, code, invoice["lines"])
    invoice.clear()
    invoice.update(changed)
    refresh(books, invoice)


def claim_number(books: Books, wanted: str | None, identifier: int) -> str:
    """The number to store: the wanted one if it is free, else the next after the last one used.

    Deleted and archived invoices keep their number.

    Raises:
        AccountingError: Taken (422, errno 1029), unless the switch `duplicate_number` accepts it.
    """
    taken = {invoice["invoice_number"] for key, invoice in books.tables["invoice"].items() if key != identifier}
    if not wanted:
        number = _FIRST_NUMBER if books.last_number is None else next_number(books.last_number)
        while number in taken:
            number = next_number(number)
        return number
    if wanted in taken and books.switches.duplicate_number == "refuse":
        message = "Invoice number already exists."
        errno = books.switches.duplicate_number_errno
        raise AccountingError(422, errno, message, "invoice_number", "invoice", wanted)
    return wanted


def next_number(number: str) -> str:
    """Count up the digits at the end, keeping their width.

    >>> next_number("0000009"), next_number("WEB-099"), next_number("A-9"), next_number("X")
    ('0000010', 'WEB-100', 'A-10', 'X1')
    """
    match = re.search(r"[0-9]{1,18}$", number)
    if match is None:
        return f"{number}1"
    digits = match.group()
    return number[: match.start()] + str(int(digits) + 1).zfill(len(digits))


def refresh(books: Books, invoice: JsonObject) -> None:
    """Recompute everything that follows from lines, payments and dates, and stamp the change."""
    now = books.clock()
    code = invoice["currency_code"]
    totals = price(books, invoice, Decimal(invoice["discount_value"] or "0"))
    payments = [payment for payment in books.payments_of(invoice["id"]) if payment["vis_state"] != 1]
    received = sum((Decimal(payment["amount"]["amount"]) for payment in payments), Decimal(0))
    # what exceeds the total became a credit of the client, see payments.py
    paid = min(received, max(totals.total, Decimal(0)))
    settled = paid > 0 and paid == totals.total
    if invoice["deposit_amount"]:
        invoice["deposit_amount"]["code"] = code
    invoice.update(
        amount=money(totals.total, code),
        discount_total=money(totals.discount, code),
        paid=money(paid, code),
        outstanding=money(totals.total - paid, code),
        # as in a sample: a computed amount may carry far more digits than the currency has
        net_paid_amount={"amount": format(paid, ".26f"), "code": code},
        payment_status="paid" if settled else "partial" if paid else "unpaid",
        date_paid=max(payment["date"] for payment in payments) if settled else None,
        due_date=_due_date(invoice),
        description=invoice["lines"][0]["description"] if invoice["lines"] else "",
        status=PAID if settled else invoice["_base_status"],
        display_status="sent" if invoice["_base_status"] == DISPUTED else _WORDS[invoice["_base_status"]],
        dispute_status="disputed" if invoice["_base_status"] == DISPUTED else None,
        updated=eastern(now),
        version=eastern_micros(now),
    )
    client = books.tables["client"].get(invoice["customerid"])
    invoice["current_organization"] = client["organization"] if client else invoice["organization"]


def v3_status(books: Books, invoice: JsonObject) -> str:
    """The newer status; computed when read, because an invoice becomes overdue by time alone."""
    if invoice["payment_status"] != "unpaid":
        return str(invoice["payment_status"])
    overdue = date.fromisoformat(invoice["due_date"]) < eastern_today(books.clock())
    if invoice["_base_status"] in (SENT, VIEWED) and overdue:
        return "overdue"
    return _WORDS[invoice["_base_status"]]


def act(books: Books, invoice: JsonObject, sent: JsonObject) -> bool:
    """Run the actions of a PUT: mark as sent, or e-mail (recorded, nothing leaves the machine).

    Returns:
        Whether it was e-mailed.
    """
    if sent.get("action_email"):
        recipients = sent.get("email_recipients") or [
            books.tables["client"].get(invoice["customerid"], {}).get("email", "")
        ]
        books.emails.append({"object": "invoice", "id": invoice["id"], "recipients": recipients})
    if sent.get("action_email") or sent.get("action_mark_as_sent"):
        mark_sent(invoice)
    refresh(books, invoice)
    return bool(sent.get("action_email"))


def mark_sent(invoice: JsonObject) -> None:
    """Turn a draft into a sent invoice; the caller refreshes it."""
    if invoice["_base_status"] == DRAFT:
        invoice["_base_status"] = SENT


def _checked_status(value: int | None, present: int) -> int:
    if value is None:
        return present
    if value not in _WORDS:
        message = "The field 'status' must be one of 'draft','sent','viewed' or 'disputed'"
        raise AccountingError(422, errors.INVALID_VALUE, message, "status", "invoice", str(value))
    return value


def _due_date(invoice: JsonObject) -> str:
    try:
        due = date.fromisoformat(invoice["create_date"]) + timedelta(days=invoice["due_offset_days"])
    except OverflowError:
        message = "The field 'due_offset_days' is out of range."
        days = str(invoice["due_offset_days"])
        raise AccountingError(422, errors.INVALID_RANGE, message, "due_offset_days", "invoice", days) from None
    return due.isoformat()


def _constants(books: Books, identifier: int) -> JsonObject:
    return {
        "id": identifier,
        "invoiceid": identifier,
        "accountid": books.account_id,
        "accounting_systemid": books.account_id,
        "address": "",
        "autobill_status": None,
        "basecampid": 0,
        "ext_archive": 0,
        "gmail": False,
        "last_order_status": None,
        "uuid": str(uuid.uuid4()),
        "vis_state": 0,
    }
