"""FreshBooks' records as we left them: what differs from that was done by somebody else, and is news. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from connectors.freshbooks import DELETED
from sync.ledger import Entry
from sync.plan import digest
from sync.proposals import Lowered

Row = Mapping[str, Any]
_NONE: Final[Mapping[str, Lowered]] = {}

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


def invoice_as_left(
    invoice: Row, payments: Iterable[tuple[Row, Sequence[Entry]]], lowered: Mapping[str, Lowered] = _NONE
) -> dict[str, Any]:
    """An invoice with the payments that we booked, as we booked and corrected them, and no others.

    Args:
        payments: Every payment of the invoice, deleted ones too, and the ledger's entries for it.
        lowered: What our own corrections have taken from them, by payment.
    """
    own = sum((_left(row, entries[0], lowered) for row, entries in payments if entries), Decimal(0))
    return _paid(invoice, own)


def invoice_as_people_left(
    invoice: Row, payments: Iterable[tuple[Row, Sequence[Entry]]], lowered: Mapping[str, Lowered]
) -> dict[str, Any]:
    """An invoice without what our own corrections took from payments that people booked: that is no news of theirs."""
    taken = Decimal(0)
    for row, entries in payments:
        ours = lowered.get(str(row.get("id")))
        if not entries and ours is not None and (ours.gone or row.get("vis_state") != DELETED):
            taken += ours.amount
    return _paid(invoice, _amount(invoice.get("paid")) + taken)


def _paid(invoice: Row, paid: Decimal) -> dict[str, Any]:
    if paid == _amount(invoice.get("paid")):
        return dict(invoice)
    amount = _amount(invoice.get("amount"))
    code = (invoice.get("amount") or {}).get("code")
    state = "unpaid" if paid <= 0 else "partial" if paid < amount else "paid"
    return {
        **invoice,
        "paid": {"amount": str(paid), "code": code},
        "outstanding": {"amount": str(amount - paid), "code": code},
        "payment_status": state,
    }


def is_as_booked(payment: Row, entries: Sequence[Entry], lowered: Mapping[str, Lowered] = _NONE) -> bool:
    """Whether a payment is ours and over what we left of it; there, unless a correction of ours took all of it."""
    return bool(entries) and entries[0].total is not None and _left(payment, entries[0], lowered) == stands(payment)


def stands(payment: Row) -> Decimal:
    """What a payment comes to now; a deleted one to nothing."""
    return Decimal(0) if payment.get("vis_state") == DELETED else _amount(payment.get("amount"))


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


def _left(row: Row, entry: Entry, lowered: Mapping[str, Lowered]) -> Decimal:
    """What we left of a payment; a ledger that was rebuilt knows the payment and not always its amount."""
    booked = entry.total if entry.total is not None else _amount(row.get("amount"))
    return lowered.get(str(row.get("id")), Lowered()).from_(booked, stands(row))


def _amount(value: Any) -> Decimal:
    return Decimal(str((value or {}).get("amount") or "0"))
