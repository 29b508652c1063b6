"""Removal of card data and secrets from a payload, by name and by look. Pure.

Everything that comes in passes here before it is stored, shown or handed on.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

REMOVED = "[removed]"

# Compared without case and punctuation. The names are those of the CEF payment and user models, plus OAuth's.
_SECRET_NAMES = frozenset(
    {
        *("cardnumber", "creditcardnumber", "pan", "cvv", "cvv2", "cvc", "cvc2", "csc", "securitycode"),
        *("accountnumber", "routingnumber", "paymentdata", "trackdata", "iban"),
        *("password", "passwordhash", "securitystamp", "overridepassword"),
        *("token", "secret", "clientsecret", "apikey", "authorization", "verifier", "privatekey"),
    }
)
_SECRET_ENDINGS = ("cardnumber", "accountnumber", "routingnumber", "password", "token", "cvv", "secret")
# Digits there are identifiers: removing one would make two records look alike or lose a payment's reference.
_IDENTIFIER_ENDINGS = ("id", "ids", "number", "sku", "phone", "fax", "barcode", "gtin", "ean", "upc", "mobile")
_LABELS = ("key", "Key", "name", "Name")
_SHORTEST_CARD = 13
_LONGEST_NAME = 100
_DIGIT_RUN = re.compile(r"(?<![0-9])[0-9](?:[ -]?[0-9]){12,18}(?![0-9])")


def scrub(value: Any) -> Any:
    """A copy without card data and secrets; everything else as it was.

    Members are found by name at any depth, without case, ``_`` or ``-``, also as ``{"key": NAME, "value": ...}``;
    card numbers also by their look (13-19 digits, a card brand's beginning, a right check digit) outside of
    members that hold identifiers or phone numbers.
    """
    return _scrub(value, name="")


def _scrub(value: Any, *, name: str) -> Any:
    if isinstance(value, (dict, Mapping)):  # a dict is told apart much faster than a Mapping
        return _scrub_members(value)
    if isinstance(value, list | tuple):
        return [_scrub(item, name=name) for item in value]
    if isinstance(value, str):
        if len(value) < _SHORTEST_CARD or name.endswith(_IDENTIFIER_ENDINGS):
            return value
        return _DIGIT_RUN.sub(lambda found: REMOVED if _is_card(found[0]) else found[0], value)
    if isinstance(value, int) and not isinstance(value, bool) and 10**12 <= value < 10**19:
        return value if name.endswith(_IDENTIFIER_ENDINGS) or not _is_card(str(value)) else REMOVED
    return value


def _scrub_members(value: Mapping[Any, Any]) -> dict[Any, Any]:
    label = next((value[k] for k in _LABELS if k in value and _is_label(value[k])), "")
    of_secret = bool(label) and _about(label)[1]
    cleaned: dict[Any, Any] = {}
    for key, item in value.items():
        text = str(key)
        squeezed, secret = _about(text) if len(text) <= _LONGEST_NAME else _about.__wrapped__(text)
        if (secret or (of_secret and squeezed == "value")) and _holds(item):
            cleaned[key] = REMOVED
        elif type(item) is dict:
            cleaned[key] = _scrub_members(item)
        elif item is None or (type(item) is str and len(item) < _SHORTEST_CARD):
            cleaned[key] = item
        else:
            cleaned[key] = _scrub(item, name=squeezed)
    return cleaned


def _is_label(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= 40


def _holds(value: Any) -> bool:
    return value is not None and value != "" and not isinstance(value, bool)


@lru_cache(maxsize=4096)  # records repeat their names; what is longer than any of them is not kept
def _about(name: str) -> tuple[str, bool]:
    """A member's name without case and punctuation, and whether it is a secret's."""
    squeezed = "".join(letter for letter in name.lower() if letter.isalnum())
    return squeezed, squeezed in _SECRET_NAMES or squeezed.endswith(_SECRET_ENDINGS)


def _is_card(text: str) -> bool:
    digits = [int(letter) for letter in text if letter.isdigit()]
    head = int("".join(map(str, digits[:4])))
    # The beginnings of the card brands; without them one long number in ten would pass for a card.
    branded = (
        str(head)[0] == "4"
        or 5000 <= head <= 5899
        or 2221 <= head <= 2720
        or head // 100 in (34, 37, 30, 36, 38, 62, 64, 65)
        or 3528 <= head <= 3589
        or head == 6011
    )
    doubled = [digit * 2 - 9 * (digit > 4) for digit in digits[-2::-2]]
    return branded and (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0
