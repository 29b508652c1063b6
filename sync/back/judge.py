"""Three-way comparison of one field: what FreshBooks says now, what Clarity says now, and what both last agreed on.

Pure. Everything is judged by content: our own writes are known by the digests in the ledger, never by when they came.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from mapspec.model import Conflict
from sync.plan import digest

Verdict = Literal["same", "leave", "write", "yield", "hold"]
"""same: both say it. leave: FreshBooks has no news. write: to Clarity. yield: both have news and Clarity prevails.
hold: both have news, and a person decides."""

RANKS: Final = {"unpaid": 0, "partially_paid": 1, "paid": 2}
"""Payment states that the way back may change one into another."""
PAYMENT_STATE: Final = "paymentStatus"


@dataclass(frozen=True)
class Side:
    """One side of a field.

    Attributes:
        value: As it is now, in Clarity's shape; None when it is not there.
        changed: Whether it has changed since both agreed; None when nobody can tell.
        at: When the record changed last.
    """

    value: Any
    changed: bool | None
    at: datetime | None = None


def judge(books: Side, shop: Side, policy: Conflict | None) -> Verdict:
    """Who has news, and who prevails when both have."""
    if is_empty(books.value):
        return "leave"  # an empty value never blanks a stored one
    if same(books.value, shop.value):
        return "same"
    if books.changed is False:
        return "leave"
    if shop.changed is False or (shop.changed is None and is_empty(shop.value)):
        return "write"
    if policy == "source_wins":
        return "write"
    if policy == "target_wins":
        return "yield"
    if policy == "newest_wins" and books.at is not None and shop.at is not None:
        # FreshBooks tells whole seconds: within one and the same second its change counts as the later one.
        return "yield" if shop.at.replace(microsecond=0) > books.at.replace(microsecond=0) else "write"
    return "hold"


def payment_refusal(wanted: str, current: Any, told: str | None) -> str | None:
    """Why an order's payment state may not be set, whatever the mapping says; None when it may (▲).

    Args:
        told: Digest of the state that the way back wrote last; None when it wrote none.
    """
    now = str(current or "unpaid").strip().lower()
    if now not in RANKS:
        return f"the order is {now} in Clarity, which FreshBooks' payments do not undo: decide"
    if RANKS.get(wanted, -1) < RANKS[now] and mark(now) != told:
        return (
            f"the order is {now} in Clarity and its invoice {wanted} in FreshBooks: a payment is missing there, decide"
        )
    return None


def same(one: Any, other: Any) -> bool:
    """Whether two values read the same: texts trimmed, absent like empty."""
    return _text(one) == _text(other)


def is_empty(value: Any) -> bool:
    """Nothing, or a blank text."""
    return _text(value) == ""


def mark(value: Any) -> str:
    """The digest under which a value is remembered."""
    return digest(_text(value))


def flat(body: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """The leaves of a body by dotted path."""
    found: dict[str, Any] = {}
    for name, value in body.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{prefix}{name}.")
        else:
            found[f"{prefix}{name}"] = value
    return found


def _text(value: Any) -> str:
    return "" if value is None else str(value).strip()
