"""The judge: what was lost, doubled, out of order or not to the cent, by what Clarity emitted and FreshBooks holds.

Pure, and blind to the runner's own tables: it reads the books' rows, the changes that made them, and what
`/api/status` tells an operator. It shares no code with the runner.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal

Row = Mapping[str, Any]
Kind = Literal["lost", "doubled", "out-of-order", "wrong-amount", "unjustified"]

_DRAFT = 1
_DELETED = 1
_REVISION = re.compile(r"\bRev (\d+)\b")


@dataclass(frozen=True)
class Finding:
    """One broken promise."""

    kind: Kind
    what: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.what}"


@dataclass(frozen=True)
class Effect:
    """One change that the books made, in the order in which they made them.

    Attributes:
        row: The whole record after the change.
    """

    verb: Literal["create", "update"]
    entity: str
    id: int
    row: Row


@dataclass(frozen=True)
class WantedOrder:
    """What an order must come to.

    Attributes:
        payments: Amounts to be received, captured or settled.
        held_for: Reason ids that keep it out of the books; empty when it must post.
    """

    id: str
    number: str
    total: Decimal
    currency: str
    payments: tuple[Decimal, ...] = ()
    held_for: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Wanted:
    """What must be true at the end, from what Clarity emitted alone.

    Attributes:
        orders: By id.
        customers: Newest revision by e-mail, lower case; 0 where only orders tell of a customer.
        items: Newest revision by SKU.
        payments: Order id by payment id, of the payments that were told of in events of their own.
    """

    orders: Mapping[str, WantedOrder] = field(default_factory=dict)
    customers: Mapping[str, int] = field(default_factory=dict)
    items: Mapping[str, int] = field(default_factory=dict)
    payments: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Books:
    """What FreshBooks holds and how it came about."""

    clients: Sequence[Row] = ()
    invoices: Sequence[Row] = ()
    payments: Sequence[Row] = ()
    items: Sequence[Row] = ()
    effects: Sequence[Effect] = ()


Held = Mapping[str, str]
"""Reason id by "entity:id", as `/api/status` tells."""


def judge(wanted: Wanted, books: Books, held: Held) -> list[Finding]:
    """Everything that is wrong; empty for a faultless run that has come to its end."""
    return [*doubled(books), *out_of_order(books.effects), *lost(wanted, books, held), *wrong_amounts(wanted, books)]


def doubled(books: Books) -> list[Finding]:
    """What is there twice: by natural key, by marker, and by the credit that FreshBooks makes of a surplus."""
    live = [row for row in books.clients if row["vis_state"] != _DELETED]
    counted: list[tuple[str, Iterable[Any]]] = [
        ("clients with e-mail", (row["email"].casefold() for row in live if row.get("email"))),
        ("clients marked", (row["note"] for row in live if str(row.get("note") or "").startswith("Clarity "))),
        ("invoices numbered", (row["invoice_number"] for row in books.invoices)),
        ("invoices marked", (_first_line(row.get("notes")) for row in books.invoices if row.get("notes"))),
        ("payments marked", (row["note"] for row in books.payments if row.get("note"))),
        ("items with SKU", (row["sku"] for row in books.items if row.get("sku"))),
    ]
    found = [
        Finding("doubled", f"{count} {what} {key}")
        for what, keys in counted
        for key, count in sorted(Counter(keys).items())
        if count > 1
    ]
    return found + [
        Finding("doubled", f"payment {row['id']} was more than its invoice left open")
        for row in books.payments
        if row.get("overpaymentid")
    ]


def out_of_order(effects: Sequence[Effect]) -> list[Finding]:
    """Older revisions written over newer ones, and payments on invoices that were not sent."""
    found = []
    revisions: dict[tuple[str, int], int] = {}
    invoice_status: dict[int, int] = {}
    for number, effect in enumerate(effects):
        if effect.entity in ("client", "item"):
            key, revision = (effect.entity, effect.id), revision_of(effect.row)
            if revision < revisions.get(key, 0):
                found.append(
                    Finding(
                        "out-of-order",
                        f"change {number} wrote revision {revision} of {effect.entity} {effect.id} over revision"
                        f" {revisions[key]}",
                    )
                )
            revisions[key] = max(revision, revisions.get(key, 0))
        elif effect.entity == "invoice":
            invoice_status[effect.id] = int(effect.row["status"])
        elif effect.entity == "payment" and effect.verb == "create":
            invoice_id = int(effect.row["invoiceid"])
            if invoice_status.get(invoice_id, _DRAFT) == _DRAFT:
                found.append(Finding("out-of-order", f"payment {effect.id} came before invoice {invoice_id} was sent"))
    return found


def lost(wanted: Wanted, books: Books, held: Held) -> list[Finding]:
    """What was promised and is neither in the books nor held for a reason that its own record gives."""
    invoices = {str(row["invoice_number"]): row for row in books.invoices}
    found = []
    for order in wanted.orders.values():
        reason = held.get(f"order:{order.id}")
        posted = invoices.get(order.number)
        if order.held_for:
            if posted is not None:
                found.append(Finding("unjustified", f"order {order.id} is in the books and had to be held"))
            elif reason not in order.held_for:
                found.append(Finding("lost", f"order {order.id} is not told of as held ({reason})"))
        elif reason is not None:
            found.append(Finding("lost", f"order {order.id} is held without need: {reason}"))
        elif posted is None:
            found.append(Finding("lost", f"order {order.id} has no invoice"))
        elif int(posted["status"]) == _DRAFT:
            found.append(Finding("lost", f"the invoice of order {order.id} was left a draft"))
    found += _lost_revisions("customer", wanted.customers, books.clients, lambda row: str(row["email"]).casefold())
    found += _lost_revisions("product", wanted.items, books.items, lambda row: str(row["sku"]))
    for payment_id, order_id in wanted.payments.items():
        known = wanted.orders.get(order_id)
        reason = held.get(f"payment:{payment_id}")
        if reason is not None and (known is None or not known.held_for):
            found.append(Finding("lost", f"payment {payment_id} is held without need: {reason}"))
    return found


def wrong_amounts(wanted: Wanted, books: Books) -> list[Finding]:
    """Invoices and payments that are not the order's, to the cent."""
    found = []
    paid: dict[int, list[Decimal]] = defaultdict(list)
    for row in books.payments:
        paid[int(row["invoiceid"])].append(Decimal(str(row["amount"]["amount"])))
    orders = {order.number: order for order in wanted.orders.values()}
    for invoice in books.invoices:
        order = orders.get(str(invoice["invoice_number"]))
        if order is None:
            found.append(Finding("unjustified", f"nobody asked for invoice {invoice['invoice_number']}"))
            continue
        amount, code = Decimal(str(invoice["amount"]["amount"])), invoice["amount"]["code"]
        if (amount, code) != (order.total, order.currency):
            found.append(
                Finding("wrong-amount", f"order {order.id} is {order.total} {order.currency}, not {amount} {code}")
            )
        received, expected = Counter(paid[int(invoice["id"])]), Counter(order.payments)
        if missing := expected - received:
            found.append(Finding("lost", f"payments of order {order.id}: {_amounts(missing)}"))
        if surplus := received - expected:
            found.append(Finding("doubled", f"payments of order {order.id}: {_amounts(surplus)}"))
    return found


def revision_of(row: Row) -> int:
    """The revision that the stream wrote into a record; 0 for one that it did not make."""
    text = f"{row.get('p_street2') or ''} {row.get('description') or ''}"
    found = _REVISION.search(text)
    return int(found.group(1)) if found else 0


def _lost_revisions(
    what: str, newest: Mapping[str, int], rows: Sequence[Row], key_of: Callable[[Row], str]
) -> list[Finding]:
    by_key = {key_of(row): row for row in rows}
    found = []
    for key, revision in newest.items():
        row = by_key.get(key)
        if row is None:
            found.append(Finding("lost", f"{what} {key} is not in the books"))
        elif revision_of(row) != revision:
            found.append(Finding("lost", f"{what} {key} ended as revision {revision_of(row)}, not {revision}"))
    return found


def _first_line(text: Any) -> str:
    return str(text).partition("\n")[0]


def _amounts(counted: Counter[Decimal]) -> str:
    return ", ".join(f"{count} x {amount}" for amount, count in sorted(counted.items()))
