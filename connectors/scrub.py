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
_DIGIT_RUN = re.compile(r"(?<![0-9])[0-9](?:[ -]?[0-9]){12,18}(?![0-9])")


def scrub(value: Any) -> Any:
    """A copy without card data and secrets; everything else as it was.

    Members are found by name at any depth, without case, ``_`` or ``-``, also as ``{"key": NAME, "value": ...}``;
    card numbers also by their look (13-19 digits, a card brand's beginning, a right check digit) outside of
    members that hold identifiers or phone numbers.
    """
    return _scrub(value, name="")


def _scrub(value: Any, *, name: str) -> Any:
    if isinstance(value, Mapping):
        label = next((_squeeze(value[k]) for k in ("key", "Key", "name", "Name") if _is_label(value.get(k))), "")
        return {
            key: REMOVED
            if _holds(item) and (_is_secret(_squeeze(key)) or (_squeeze(key) == "value" and _is_secret(label)))
            else _scrub(item, name=_squeeze(key))
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [_scrub(item, name=name) for item in value]
    if name.endswith(_IDENTIFIER_ENDINGS):
        return value
    if isinstance(value, str):
        return _DIGIT_RUN.sub(lambda found: REMOVED if _is_card(found[0]) else found[0], value)
    if isinstance(value, int) and not isinstance(value, bool) and 10**12 <= value < 10**19:
        return REMOVED if _is_card(str(value)) else value
    return value


def _is_label(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= 40


def _holds(value: Any) -> bool:
    return value is not None and value != "" and not isinstance(value, bool)


def _is_secret(squeezed: str) -> bool:
    return squeezed in _SECRET_NAMES or squeezed.endswith(_SECRET_ENDINGS)


@lru_cache(maxsize=4096)
def _squeezed(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())


def _squeeze(name: Any) -> str:
    text = str(name)
    return _squeezed(text) if len(text) < 100 else _squeezed.__wrapped__(text)  # memory holds usual names only


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
