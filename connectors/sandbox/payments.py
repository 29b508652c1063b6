"""Payments of the FreshBooks stand-in: what they do to an invoice, and the credit made of a surplus."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from connectors.sandbox import errors, invoices
from connectors.sandbox.document_lines import money
from connectors.sandbox.errors import AccountingError
from connectors.sandbox.money import currency_digits, rounded
from connectors.sandbox.resources import PAYMENT_TYPES
from connectors.sandbox.times import eastern
from connectors.sandbox.wire import JsonObject

if TYPE_CHECKING:
    from connectors.sandbox.books import Books


def create(books: Books, identifier: int, clean: JsonObject) -> JsonObject:
    """Book a payment; more than is outstanding is accepted, the surplus becomes a credit of the client.

    Raises:
        AccountingError: Unknown or deleted invoice, unknown type, an amount of zero or less.
    """
    invoice = books.referenced("invoice", "invoiceid", clean["invoiceid"], "payment")
    if invoice["display_status"] == "draft" and books.switches.payment_on_draft == "refuse":
        message = "A draft invoice cannot be paid."
        raise AccountingError(422, errors.INVALID_VALUE, message, "invoiceid", "payment", str(invoice["id"]))
    _check(books, clean)
    _normalise(clean, invoice["currency_code"])
    if books.switches.transactionid == "dropped":
        clean["transactionid"] = None
    if books.switches.payment_on_draft == "mark_sent":
        invoices.mark_sent(invoice)
    payment = {
        "id": identifier,
        "logid": identifier,
        "accounting_systemid": books.account_id,
        "bulk_paymentid": None,
        "clientid": invoice["customerid"],
        "creditid": None,
        "from_credit": False,
        "gateway": None,
        "overpaymentid": None,
        "vis_state": 0,
        **clean,
        "updated": eastern(books.clock()),
    }
    if clean["send_client_notification"]:
        books.emails.append({"object": "payment", "id": identifier, "recipients": []})
    _book_surplus(books, invoice, payment)
    return payment


def update(books: Books, payment: JsonObject, clean: JsonObject) -> None:
    """Merge checked fields; the invoice and a credit of a surplus follow.

    Raises:
        AccountingError: As `create`.
    """
    _check(books, clean)
    if books.switches.transactionid == "dropped":
        clean.pop("transactionid", None)
    invoice = books.tables["invoice"][payment["invoiceid"]]
    _normalise(clean, invoice["currency_code"])
    payment.update(clean)
    payment["updated"] = eastern(books.clock())
    _book_surplus(books, invoice, payment)


def visibility_changed(books: Books, payment: JsonObject) -> None:
    """Follow a deletion or restoration: deleting a payment reverses it; the caller refreshes the invoice."""
    invoice = books.tables["invoice"][payment["invoiceid"]]
    _book_surplus(books, invoice, payment)


def _check(books: Books, clean: JsonObject) -> None:
    kind = clean.get("type")
    if kind is not None and kind.casefold() not in PAYMENT_TYPES:
        message = "The field 'type' is not a valid payment type."
        raise AccountingError(422, errors.INVALID_VALUE, message, "type", "payment", kind)
    if "amount" in clean:
        amount = Decimal(clean["amount"]["amount"])
        if amount < 0 and books.switches.negative_payment == "refuse":
            message = "The field 'amount' must not be negative."
            raise AccountingError(422, errors.NEGATIVE_VALUE, message, "amount", "payment", str(amount))
        if amount == 0:
            message = "The field 'amount' must be greater than zero."
            raise AccountingError(422, errors.LESS_THAN_ONE, message, "amount", "payment", str(amount))


def _normalise(clean: JsonObject, currency: str) -> None:
    if "amount" in clean:
        # the currency is the invoice's, whatever was sent
        amount = rounded(Decimal(clean["amount"]["amount"]), currency_digits(currency))
        clean["amount"] = money(amount, currency)


def _book_surplus(books: Books, invoice: JsonObject, payment: JsonObject) -> None:
    others = sum(
        (
            Decimal(other["amount"]["amount"])
            for other in books.payments_of(invoice["id"])
            if other["id"] != payment["id"] and other["vis_state"] != 1
        ),
        Decimal(0),
    )
    total = Decimal(invoice["amount"]["amount"])
    own = Decimal(payment["amount"]["amount"])
    surplus = min(own, own + others - total) if payment["vis_state"] != 1 else Decimal(0)
    credit = books.tables["credit_note"].get(payment["overpaymentid"])
    if surplus <= 0:
        if credit is not None and credit["vis_state"] != 1:
            credit["vis_state"] = 1
            books.on_event("credit_note.delete", credit["id"])
        if payment["vis_state"] != 1:
            payment["overpaymentid"] = None
        return
    if credit is None:
        credit = books.add_credit(
            clientid=invoice["customerid"], currency=invoice["currency_code"], day=payment["date"]
        )
        payment["overpaymentid"] = credit["id"]
    elif credit["vis_state"] or Decimal(credit["amount"]["amount"]) != surplus:
        books.on_event("credit_note.update", credit["id"])
    credit["vis_state"] = 0
    credit["amount"] = money(surplus, invoice["currency_code"])
