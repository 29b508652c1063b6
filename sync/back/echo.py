"""FreshBooks' records as we left them: what differs from that was done by somebody else, and is news. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from connectors.freshbooks import DELETED
from sync.ledger import Entry
from sync.plan import digest

Row = Mapping[str, Any]

FALLS_BACK_ON: Final = {"organization": "email"}
"""FreshBooks fills a client's organization with the e-mail when nothing else is given (facts §5): nobody typed it."""
EDITABLE: Final = frozenset(
    {
        *("email", "fname", "lname", "organization", "bus_phone", "mob_phone", "home_phone", "fax", "note"),
        *(f"{kind}_{name}" for kind in "ps" for name in ("street", "street2", "city", "province", "code", "country")),
        *("currency_code", "language", "vat_name", "vat_number"),
    }
)
"""Members of a client that a person can set; the others are FreshBooks' own and no news."""


def invoice_as_left(invoice: Row, payments: Iterable[tuple[Row, Sequence[Entry]]]) -> dict[str, Any]:
    """An invoice with the payments that we booked, as we booked them, and no others.

    Args:
        payments: Every payment of the invoice, deleted ones too, and the ledger's entries for it.
    """
    amount, paid = _amount(invoice.get("amount")), _amount(invoice.get("paid"))
    own = sum((_booked(row, entries[0]) for row, entries in payments if entries), Decimal(0))
    if own == paid:
        return dict(invoice)
    code = (invoice.get("amount") or {}).get("code")
    state = "unpaid" if own <= 0 else "partial" if own < amount else "paid"
    return {
        **invoice,
        "paid": {"amount": str(own), "code": code},
        "outstanding": {"amount": str(amount - own), "code": code},
        "payment_status": state,
    }


def is_as_booked(payment: Row, entries: Sequence[Entry]) -> bool:
    """Whether a payment is ours, there, and over what we booked."""
    return bool(entries) and payment.get("vis_state") != DELETED and entries[0].total == _amount(payment.get("amount"))


def client_as_left(client: Row, written: Mapping[str, str]) -> dict[str, Any]:
    """A client without the members that somebody else has set.

    Args:
        written: Digest of each member as we wrote it or last agreed on it.
    """
    return {name: value for name, value in client.items() if _is_ours(name, value, client, written)}


def _is_ours(name: str, value: Any, client: Row, written: Mapping[str, str]) -> bool:
    if name in written:
        return as_written(value, written[name])
    if name not in EDITABLE or value in (None, ""):
        return True
    return name in FALLS_BACK_ON and str(value) == str(client.get(FALLS_BACK_ON[name]))


def as_written(value: Any, written: str) -> bool:
    """Whether a text or number has the digest that was noted when it was written."""
    return digest(value) == written or digest(str(value)) == written


def _booked(row: Row, entry: Entry) -> Decimal:
    """What we booked; a ledger that was rebuilt knows the payment and not always its amount."""
    return entry.total if entry.total is not None else _amount(row.get("amount"))


def _amount(value: Any) -> Decimal:
    return Decimal(str((value or {}).get("amount") or "0"))
