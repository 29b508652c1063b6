"""What kinds and statuses are called on every screen and page, and their colours."""

from __future__ import annotations

from typing import Final

TITLES: Final = {"invoice": "Orders and invoices", "payment": "Payments", "refund": "Refunds"}
STATUS_WORDS: Final = {
    "agree": "agree",
    "left-out": "left out",
    "missing": "missing in the books",
    "different": "different",
    "extra": "too much in the books",
}
COLOURS: Final = {
    "agree": "#3a7d5c",
    "left-out": "#9aa5b1",
    "missing": "#c4413b",
    "different": "#d98a1f",
    "extra": "#6b4fa0",
}


def status_words(status: str, differs: str) -> str:
    """A status, and what is different."""
    return f"{STATUS_WORDS[status]}{' in ' if differs else ''}{differs.replace(' ', ', ')}"


def verdict_words(compared: int, differences: int, first: str, last: str) -> str:
    """The result in one line."""
    period = f"{first} to {last}"
    if not compared:
        return f"Neither system has an order, an invoice or a payment, {period}."
    if not differences:
        return f"The books agree, {period}."
    return f"The books differ, {period}: {differences} record{'s differ' if differences > 1 else ' differs'}."
