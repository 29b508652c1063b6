"""FreshBooks' scopes: which there are, and which one a request needs."""

from __future__ import annotations

_OBJECTS = (
    *("bill_payments", "bill_vendors", "billable_items", "bills", "business", "clients", "credit_notes", "estimates"),
    *("expenses", "invoices", "journal_entries", "notifications", "online_payments", "other_income", "payments"),
    *("profile", "projects", "reports", "retainers", "taxes", "teams", "time_entries", "uploads", "account"),
)
_READ_ONLY = frozenset({"profile", "notifications", "reports"})

KNOWN = frozenset(f"user:{name}:read" for name in _OBJECTS) | frozenset(
    f"user:{name}:write" for name in _OBJECTS if name not in _READ_ONLY
)

OF_RESOURCE = {
    "client": "clients",
    "invoice": "invoices",
    "payment": "payments",
    "item": "billable_items",
    "tax": "taxes",
    "credit_note": "credit_notes",
    "other_income": "other_income",
}
"""Resource name to the object in its scopes."""

ENABLED = ("user:profile:read", *(f"user:{name}:{verb}" for name in OF_RESOURCE.values() for verb in ("read", "write")))
"""What an application is registered for unless a switch says otherwise."""
