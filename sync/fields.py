"""A field's values beside each other: what the source says, what was written last, what FreshBooks holds. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from mapspec.engine import record_instant
from sync.plan import digest

MOST_PLACES: Final = 6  # decimals of an amount that anything was written with


@dataclass(frozen=True)
class Weighed:
    """What becomes of each field that differs.

    Attributes:
        wanted: To be written.
        kept: A person changed them, and the source has said nothing new since; or nobody knows who wrote them.
        clashing: Both have changed.
    """

    wanted: Mapping[str, Any]
    kept: tuple[str, ...]
    clashing: tuple[str, ...]


def weigh(
    body: Mapping[str, Any],
    current: Mapping[str, Any],
    written: Sequence[Mapping[str, str]],
    *,
    leave: Collection[str],
    fill_only: bool,
) -> Weighed:
    """Compare what is wanted with what is there, field by field.

    Args:
        body: What the source says; what it leaves out is left alone.
        current: What FreshBooks holds.
        written: Digests of what was written, then of what may have been.
        leave: Fields that are never changed.
        fill_only: Of fields that were never written, only empty ones are.
    """
    wanted: dict[str, Any] = {}
    kept, clashing = [], []
    for name, value in body.items():
        there = current.get(name)
        if name in leave or same_value(there, value):
            continue
        bases = [known[name] for known in written if name in known]
        if name not in written[0]:  # what was only meant may never have come there
            if fill_only and not is_empty(there):
                kept.append(name)
            else:
                wanted[name] = value
        elif set(bases) == {digest(value)}:
            kept.append(name)
        elif any(as_written(there, base, value) for base in bases):
            wanted[name] = value
        else:
            clashing.append(name)
    return Weighed(wanted, tuple(sorted(kept)), tuple(sorted(clashing)))


def is_empty(value: Any) -> bool:
    """True for what FreshBooks shows of a field that nobody has filled in."""
    return value in (None, "", "0", 0) or (isinstance(value, Mapping) and not _decimal(value.get("amount")))


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
    """True when nothing is there, or the value last written, judged by its digest in the shape we would write it."""
    if isinstance(wanted, Mapping) and isinstance(current, Mapping):
        amount, code = _decimal(current.get("amount")), current.get("code")
        # The currency may have changed since, and with it the digits.
        texts = [] if amount is None else [f"{amount:.{places}f}" for places in range(MOST_PLACES + 1)]
        return any(digest({"amount": text, "code": code}) == written for text in texts if _decimal(text) == amount)
    return digest(current) == written or digest(str(current)) == written or current in (None, "")


def _decimal(value: Any) -> Decimal | None:
    try:
        return None if value is None or isinstance(value, bool) else Decimal(str(value))
    except ArithmeticError:
        return None


def is_older(version: str | None, known: str | None) -> bool:
    """True when a source's version is known to be older than another."""
    left, right = record_instant(version), record_instant(known)
    if left is None or right is None or (left.tzinfo is None) != (right.tzinfo is None):
        return False
    return bool(left < right)
