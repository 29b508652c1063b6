"""Named forms of a text that a check can ask for: `{format: email}`.

Each looks at a character a bounded number of times, whatever the text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date
from typing import Final, Literal

from mapspec.errors import TransformError
from mapspec.ops import countries, parse_instant

Format = Literal["email", "currency", "date", "instant", "url", "country", "phone", "sku", "language"]

_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}")
_PATTERNS: Final[Mapping[str, re.Pattern[str]]] = {
    "email": re.compile(r"[^@\s,;<>()\"]{1,64}@[^@\s,;<>()\".]{1,63}(?:\.[^@\s,;<>()\".]{1,63})+"),
    "currency": re.compile(r"[A-Z]{3}"),
    # a host with at least one dot: what a shop calls its own machine is of no use to a reader of an invoice
    "url": re.compile(r"https?://(?:[^\s/?#@:.\[\]]{1,63}\.)+[^\s/?#@:.\[\]]{2,63}(?::[0-9]{1,5})?(?:[/?#]\S*)?"),
    # 7 to 15 digits (E.164 has at most 15) as people write them, with an extension
    "phone": re.compile(r"\+?\(?[0-9](?:[ ().\-/]{0,3}[0-9]){6,14}(?:\s{0,2}(?:x|ext\.?)\s?[0-9]{1,6})?"),
    "sku": re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._/+#-]{0,98}[A-Za-z0-9])?"),
    "language": re.compile(r"[a-z]{2}(?:[-_][A-Za-z]{2})?"),
}
# What a value was expected to be, to stand after "expected" and after "must be".
NAMES: Final[Mapping[Format, str]] = {
    "email": "an e-mail address",
    "currency": "an ISO 4217 currency code",
    "date": "a date",
    "instant": "a moment in time with its offset",
    "url": "a web address",
    "country": "an ISO 3166 country code of two letters",
    "phone": "a phone number",
    "sku": "an article number without blanks",
    "language": "a language code such as en",
}
MAX_URL: Final = 2048  # characters; browsers and servers cut longer ones


def has_format(name: Format, text: str) -> bool:
    """True when the whole text has the form.

    date is a day of the calendar as YYYY-MM-DD; instant an ISO 8601 moment that says its offset; country an assigned
    ISO 3166-1 alpha-2 code in capital letters.
    """
    special = _SPECIAL.get(name)
    if special is not None:
        return special(text)
    return (name != "url" or len(text) <= MAX_URL) and _PATTERNS[name].fullmatch(text) is not None


def form_of(name: Format) -> Callable[[str], object]:
    """`has_format` of one form, as a function that says yes by anything but None and false."""
    return (lambda text: has_format(name, text)) if name in _SPECIAL or name == "url" else _PATTERNS[name].fullmatch


def _is_date(text: str) -> bool:
    try:
        return _DATE.fullmatch(text) is not None and bool(date.fromisoformat(text))
    except ValueError:
        return False


def _is_instant(text: str) -> bool:
    try:
        return parse_instant(text).tzinfo is not None
    except TransformError:
        return False


_SPECIAL: Final[Mapping[str, Callable[[str], bool]]] = {
    "date": _is_date,
    "instant": _is_instant,
    "country": lambda text: text in countries(),
}
