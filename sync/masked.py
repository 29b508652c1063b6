"""Payloads as they may stand on a screen: members that say what happened stay, what says who it was is covered. Pure.

By rule, not by guess: a member is shown because its name is on the list; any other text and number is covered.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

COVERED: Final = "•••"

# The last word of a member's name, without case: ids, amounts, moments and words out of short lists.
_SHOWN: Final = frozenset(
    {
        *("id", "ids", "number", "sku", "type", "object", "event", "status", "state", "method", "currency", "code"),
        *("amount", "total", "subtotal", "price", "cost", "tax", "taxes", "rate", "percent", "discount", "shipping"),
        *("qty", "quantity", "count", "ordinal", "position", "fee", "fees", "balance", "due", "paid", "refunded"),
        *("at", "date", "updated", "created", "time", "country", "language", "terms", "days", "action", "entity"),
        *("included", "include", "inclusive", "active", "test", "sent", "included", "late", "flag", "visa", "errno"),
    }
)
_NEVER: Final = ("tax_id", "taxid", "vat", "phone", "mobile", "fax", "po_number", "account_number", "vis_number")
_WORDS: Final = re.compile(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])")


def masked(value: Any, name: str = "") -> Any:
    """A copy in which values that could be a customer's are covered; shape, ids and amounts are as they were."""
    if isinstance(value, Mapping):
        return {key: masked(item, str(key)) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [masked(item, name) for item in value]
    if value is None or isinstance(value, bool) or value == "":
        return value
    if not _shown(name):
        return COVERED
    # Under a harmless name a text may still be a sentence or an address.
    return COVERED if isinstance(value, str) and ("@" in value or len(value) > 64) else value


def _shown(name: str) -> bool:
    words = [word.lower() for word in _WORDS.findall(name)]
    return bool(words) and "_".join(words) not in _NEVER and "".join(words) not in _NEVER and words[-1] in _SHOWN


def shown_key(key: str) -> str:
    """A natural key as it may be shown: that of a client without an id is made of an e-mail."""
    return f"{key.rpartition(':')[0]}:{COVERED}" if "@" in key else key
