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
        *("at", "date", "updated", "created", "time", "country", "language", "days", "action", "entity"),
        *("included", "include", "inclusive", "active", "test", "sent", "late", "errno"),
    }
)
_NEVER: Final = frozenset(
    {
        *("phone", "mobile", "fax", "postal", "zip", "vat", "name", "card", "iban", "email", "mail", "po", "street"),
        *("city", "national", "government", "passport", "social", "personal", "license", "driver", "birth"),
    }
)
_NUMBERED: Final = frozenset({"order", "invoice", "payment", "line", "item", "refund", "transaction"})
_PERSON: Final = frozenset({"customer", "client", "address", "contact", "user", "person", "billing", "recipient"})
_OF_A_PERSON: Final = frozenset({"id", "ids", "country", "currency", "language", "at", "updated", "created", "type"})
_WORDS: Final = re.compile(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])")
_CURRENCY: Final = re.compile(r"[A-Z]{3}")
_LONGEST: Final = 64
_MOMENTS: Final = frozenset({"at", "date", "updated", "created", "time", "due"})
_MOMENT: Final = re.compile(r"[0-9TZ:+. /-]+")


def masked(value: Any, name: str = "", *, person: bool = False) -> Any:
    """A copy in which values that could be a customer's are covered; shape, ids and amounts are as they were."""
    if isinstance(value, Mapping):
        return {key: masked(item, str(key), person=person or _is_person(name)) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [masked(item, name, person=person) for item in value]
    if value is None or isinstance(value, bool) or value == "":
        return value
    return value if _shown(name, value, person=person) else COVERED


def _is_person(name: str) -> bool:
    return bool(_PERSON & set(_split(name)))


def _shown(name: str, value: Any, *, person: bool) -> bool:
    words = _split(name)
    if not words or words[-1] not in (_OF_A_PERSON if person else _SHOWN) or _NEVER & set(words):
        return False
    if words[-1] == "number" and not _NUMBERED & set(words):
        return False
    if "tax" in words and words[-1] in ("id", "ids"):
        return False
    if words[-1] in _MOMENTS and isinstance(value, str) and not _MOMENT.fullmatch(value):
        return False
    if words[-1] == "code" and not (isinstance(value, str) and _CURRENCY.fullmatch(value)):
        return False  # of a currency, not of a town
    # Under a harmless name a text may still be a sentence or an address.
    return not isinstance(value, str) or ("@" not in value and len(value) <= _LONGEST)


def _split(name: str) -> list[str]:
    return [word.lower() for word in _WORDS.findall(name)]


def shown_key(key: str) -> str:
    """A natural key as it may be shown: that of a client without an id is made of an e-mail."""
    return f"{key.rpartition(':')[0]}:{COVERED}" if "@" in key else key
