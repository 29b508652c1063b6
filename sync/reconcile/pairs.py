"""Which order belongs to which invoice, and which payment to which: by the id map first, then by what bears a marker.

Every record is paired once. What is in force in the books goes before a draft, and a draft before what was deleted, so
that a deleted invoice stands for its order only when nothing else does.
"""

from __future__ import annotations

from typing import Final

from sync.reconcile.tables import Tables

_INVOICES: Final = (
    ("ledger", "ledger l JOIN invoices i ON l.entity = 'invoice' AND l.remote_id = i.id", "l.key = o.ledger_key"),
    ("number", "invoices i", "o.invoice_number = i.number"),
    ("notes", "invoices i", "o.marker = i.marker"),
)
_POSTINGS: Final = (
    ("ledger", "ledger l JOIN postings p ON l.entity = 'payment' AND l.remote_id = p.id", "l.key = r.key"),
    ("note", "postings p", "r.note = p.note"),
    (
        "transaction",
        "postings p JOIN pairs q ON q.invoice_id = p.invoice_id",
        "q.order_id = r.order_id AND r.transaction <> '' AND r.amount = p.amount"
        " AND list_contains(string_split(p.note, ' '), r.transaction)",
    ),
    (
        "amount",
        "postings p JOIN pairs q ON q.invoice_id = p.invoice_id",
        # By its amount alone a payment is found only where it is wanted, and never a deleted one.
        "q.order_id = r.order_id AND r.amount = p.amount AND r.currency = p.currency"
        " AND r.decision = 'go' AND p.state = 'live'",
    ),
)


_NEXT_INVOICES: Final = """
INSERT INTO pairs SELECT o.id, i.id, ? FROM orders o, {joined}
WHERE {condition} AND i.state = ?
  AND o.id NOT IN (SELECT order_id FROM pairs) AND i.id NOT IN (SELECT invoice_id FROM pairs)
QUALIFY row_number() OVER (PARTITION BY o.id ORDER BY length(i.id), i.id) = 1
  AND row_number() OVER (PARTITION BY i.id ORDER BY o.inside DESC, length(o.id), o.id) = 1"""

_NEXT_PAYMENTS: Final = """
INSERT INTO payment_pairs SELECT r.key, p.id, ? FROM receipts r, {joined}
WHERE {condition} AND p.state = ?
  AND r.key NOT IN (SELECT key FROM payment_pairs) AND p.id NOT IN (SELECT posting_id FROM payment_pairs)
QUALIFY row_number() OVER (PARTITION BY r.key ORDER BY abs(coalesce(r.day - p.day, 0)), length(p.id), p.id) = 1
  AND row_number() OVER (PARTITION BY p.id ORDER BY abs(coalesce(r.day - p.day, 0)), length(r.key), r.key) = 1"""


def pair_invoices(tables: Tables) -> None:
    """Pair orders with invoices; may be called again after more of either was read."""
    tables.run("DELETE FROM pairs")
    for state in ("live", "draft", "deleted"):
        for found_by, joined, condition in _INVOICES:
            _until_all(tables, _NEXT_INVOICES.format(joined=joined, condition=condition), found_by, state)


def pair_payments(tables: Tables) -> None:
    """Pair the source's payments with those in the books; needs the pairs of invoices."""
    tables.run("DELETE FROM payment_pairs")
    for state in ("live", "deleted"):
        for found_by, joined, condition in _POSTINGS:
            _until_all(tables, _NEXT_PAYMENTS.format(joined=joined, condition=condition), found_by, state)


def _until_all(tables: Tables, statement: str, found_by: str, state: str) -> None:
    # Two that want the same one leave the second choice of one of them for the next round.
    while tables.run(statement, [found_by, state]):
        pass
