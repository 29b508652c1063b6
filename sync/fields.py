"""A field's values beside each other: what the source says, what was written last, what FreshBooks holds. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from mapspec.engine import record_instant
from sync.plan import digest


def same_value(current: Any, wanted: Any) -> bool:
    """True when FreshBooks holds what we would write: texts trimmed, numbers by value, {amount, code} by both."""
    if isinstance(wanted, Mapping) and "amount" in wanted:
        return (
            isinstance(current, Mapping)
            and _decimal(current.get("amount")) == _decimal(wanted["amount"])
            and current.get("code") == wanted.get("code")
        )
    if isinstance(wanted, bool) or isinstance(current, bool):
        return current is wanted
    left, right = _decimal(current), _decimal(wanted)
    if left is not None and right is not None:
        return left == right
    return str(current if current is not None else "").strip() == str(wanted if wanted is not None else "").strip()


def as_written(current: Any, written: str, wanted: Any) -> bool:
    """True when the current value is the one last written, judged by its digest in the shape we would write it."""
    if isinstance(wanted, Mapping) and isinstance(current, Mapping):
        places = str(wanted.get("amount", "")).partition(".")[2]
        amount = _decimal(current.get("amount"))
        text = None if amount is None else f"{amount:.{len(places)}f}"
        return digest({"amount": text, "code": current.get("code")}) == written
    return digest(current) == written or digest(str(current)) == written or current in (None, "")


def _decimal(value: Any) -> Decimal | None:
    try:
        return None if value is None or isinstance(value, bool) else Decimal(str(value))
    except ArithmeticError:
        return None


def is_older(version: str | None, known: str | None) -> bool:
    left, right = record_instant(version), record_instant(known)
    if left is None or right is None or (left.tzinfo is None) != (right.tzinfo is None):
        return False
    return bool(left < right)
