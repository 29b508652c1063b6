"""What a value looks like: e-mail, phone, date, currency, ... recognised from its text alone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal

from mapper_ai.core.codes import COUNTRY_CODES, COUNTRY_NAMES, CURRENCY_CODES
from mapper_ai.core.vocabulary import fold

# Longer text is prose or a document; recognising starts are enough and keep hostile input cheap.
_MAX_RECOGNISED = 320

# Order is precedence: the first format that fits is the value's format.
FORMATS: tuple[str, ...] = (
    "empty",
    "bool",
    "integer",
    "decimal",
    "uuid",
    "email",
    "url",
    "instant",
    "date",
    "currency",
    "country",
    "percent",
    "phone",
    "code",
    "word",
    "text",
)

_PATTERNS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("uuid", re.compile(r"[0-9a-fA-F]{8}-?(?:[0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}")),
    ("email", re.compile(r"[^@\s]{1,64}@[^@\s.]+(?:\.[^@\s.]+)+")),
    ("url", re.compile(r"(?:[a-z][a-z0-9+.-]{1,15}://|www\.)\S+", re.IGNORECASE)),
    (
        "instant",
        re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?\s?(?:Z|[+-]\d\d:?\d\d)?|/Date\(-?\d+.*\)/"),
    ),
    ("date", re.compile(r"\d{4}-\d\d-\d\d|\d{1,2}[/.]\d{1,2}[/.]\d{4}|\d{4}/\d\d/\d\d")),
    ("integer", re.compile(r"-?\d{1,18}")),
    ("decimal", re.compile(r"-?\d{1,18}[.,]\d{1,26}")),
    ("percent", re.compile(r"-?\d+(?:[.,]\d+)?\s?%")),
    ("phone", re.compile(r"(?:\+|00|\()?\d[\d\s()./-]{5,20}\d(?:\s?(?:x|ext\.?)\s?\d{1,6})?")),
)
_CODE = re.compile(r"(?=.*\d)[^\W_]*[\w]*(?:[-_/.#:]?\w+)*|[A-Z0-9]+(?:[-_/.][A-Z0-9]+)+|[#]\w+")
_BOOL_WORDS = frozenset({"true", "false", "yes", "no", "y", "n"})


def recognise(value: object) -> str:
    """The format of one scalar; one of `FORMATS`.

    Text that holds a number is a number ("10.00" is decimal): systems differ in how they write money. A run of
    digits that starts with 0 and is longer than one is a code, because reading it as a number would lose the 0.
    """
    if value is None:
        return "empty"
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        return "integer"
    if isinstance(value, (float, Decimal)):
        return "decimal"
    return _recognise_text(str(value).strip())


def _recognise_text(text: str) -> str:
    if not text:
        return "empty"
    if len(text) > _MAX_RECOGNISED:
        return "text"
    if text.casefold() in _BOOL_WORDS and len(text) > 1:
        return "bool"
    if text.isdigit() and len(text) > 1 and text.startswith("0"):
        return "code"
    for name, pattern in _PATTERNS:
        if pattern.fullmatch(text):
            return name
    if text.upper() in CURRENCY_CODES and len(text) == 3:
        return "currency"
    if text in COUNTRY_CODES or fold(text) in COUNTRY_NAMES:
        return "country"
    if " " not in text and _CODE.fullmatch(text):
        return "code"
    return "word" if len(text.split()) == 1 else "text"


# What one format answers for another, 0..1; the same format is 1 and pairs not listed are 0.
_NEAR: Mapping[frozenset[str], float] = {
    frozenset((first, second)): share
    for first, second, share in (
        ("integer", "decimal", 0.75),
        ("integer", "percent", 0.5),
        ("decimal", "percent", 0.7),
        ("integer", "code", 0.6),
        ("integer", "word", 0.25),
        ("integer", "text", 0.15),
        ("integer", "uuid", 0.5),
        ("integer", "bool", 0.3),
        ("integer", "phone", 0.35),
        ("integer", "url", 0.25),
        ("date", "instant", 0.9),
        ("date", "integer", 0.15),
        ("instant", "integer", 0.3),
        ("bool", "word", 0.35),
        ("bool", "code", 0.15),
        ("uuid", "code", 0.6),
        ("uuid", "url", 0.3),
        ("code", "word", 0.6),
        ("code", "text", 0.4),
        ("code", "phone", 0.2),
        ("code", "url", 0.25),
        ("code", "country", 0.2),
        ("code", "currency", 0.2),
        ("currency", "word", 0.4),
        ("currency", "integer", 0.25),
        ("country", "word", 0.5),
        ("country", "text", 0.35),
        ("country", "integer", 0.25),
        ("country", "currency", 0.3),
        ("percent", "text", 0.2),
        ("percent", "word", 0.2),
        ("email", "text", 0.3),
        ("email", "word", 0.3),
        ("url", "text", 0.3),
        ("url", "word", 0.2),
        ("phone", "text", 0.3),
        ("word", "text", 0.8),
        ("decimal", "text", 0.1),
        ("decimal", "code", 0.15),
    )
}


def nearness(first: str, second: str) -> float:
    """How well values of one format answer for the other, in [0, 1]; "empty" says nothing and gives 0.5."""
    if "empty" in (first, second):
        return 0.5
    if first == second:
        return 1.0
    return _NEAR.get(frozenset((first, second)), 0.0)
