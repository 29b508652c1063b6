"""Functions on one text that the operations stand on. Each takes linear time, whatever the text."""

from __future__ import annotations

import html
import re
import unicodedata
from functools import cache
from typing import Any, Final, Literal

import re2

from mapspec.errors import TransformError

Form = Literal["NFC", "NFD", "NFKC", "NFKD"]
_MAX_MARKS: Final = 30  # combining marks on one letter (Unicode's stream-safe limit): sorting more takes quadratic time
_MAX_KEY: Final = 100  # characters; no name of a country, region or currency is longer

# No character below these is a combining mark, and none of the typographic signs between them.
_MAYBE_MARK: Final = re.compile("[\u0300-\u1fff\u20d0-\U0010ffff]")

# Both patterns look at each character a bounded number of times, whatever the text.
_TAG: Final = re.compile(r"<(/?[a-zA-Z][a-zA-Z0-9]{0,20})(?![a-zA-Z0-9])[^<>]{0,2000}>")
_CODE: Final = re.compile(r"<(script|style)(?![a-zA-Z0-9])", re.IGNORECASE | re.ASCII)
_CODE_END: Final = {name: re.compile(f"</{name}", re.IGNORECASE | re.ASCII) for name in ("script", "style")}
_BLOCK: Final = re.compile(r"/(?:p|li|div|h[0-9]|tr)|/?br", re.IGNORECASE)


def strip_html(text: str) -> str:
    """Text of an HTML fragment, without scripts and styles; block ends become a blank."""
    if "<" in text:
        text = _without_code(_without_comments(text))
        text = _TAG.sub(lambda tag: " " if _BLOCK.fullmatch(tag[1]) else "", text)
    if "&" in text:
        try:
            text = html.unescape(text)
        except ValueError:  # a character number of more digits than Python converts
            raise TransformError("the text has a character reference that stands for no character") from None
    return " ".join(text.split())


def _without_comments(text: str) -> str:
    kept = []
    start = 0
    while (begin := text.find("<!--", start)) >= 0 and (end := text.find("-->", begin + 4)) >= 0:
        kept.append(text[start:begin])
        start = end + 3
    return "".join(kept) + text[start:]


def _without_code(text: str) -> str:
    """What stands between the tags of a script or a style is for browsers; one that never ends is kept as text."""
    kept = []
    start = 0
    endless = set()
    for tag in _CODE.finditer(text):
        name = tag[1].lower()
        if tag.start() < start or name in endless:
            continue
        end = _CODE_END[name].search(text, tag.end())
        if end is None:
            endless.add(name)
            continue
        kept.append(text[start : tag.start()])
        start = end.start()
    return "".join(kept) + text[start:]


def normalized(text: str, form: Form) -> str:
    """A Unicode normal form; of more than thirty marks on one letter the rest is dropped."""
    return unicodedata.normalize(form, _limit_marks(text))


def _limit_marks(text: str) -> str:
    if len(text) <= _MAX_MARKS or not _MAYBE_MARK.search(text):
        return text
    kept = []
    marks = 0
    for character in text:
        marks = marks + 1 if unicodedata.combining(character) else 0
        if marks <= _MAX_MARKS:
            kept.append(character)
    return "".join(kept)


def bare(text: str) -> str:
    """A key to compare by: no case, no accents, no full stops, single blanks, plain apostrophes."""
    if len(text) > _MAX_KEY:
        return text
    letters = (c for c in normalized(text, "NFKD") if not unicodedata.combining(c) and c != ".")
    return " ".join("".join(letters).replace("\u2019", "'").casefold().split())


def well_formed(text: str) -> str:
    """The text itself.

    Raises:
        TransformError: `bad-text`: half a surrogate pair, which JSON can spell but nothing can send.
    """
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        raise TransformError("the text has half a surrogate pair in it", reason="bad-text") from None
    return text


def truncate(text: str, n: int) -> str:
    """At most n characters; a cut is marked by an ellipsis and never parts a letter from its combining marks."""
    if len(text) <= n:
        return text
    cut = n - 1
    while cut > 0 and (unicodedata.combining(text[cut]) or text[cut] in "\u200d\ufe0f" or text[cut - 1] == "\u200d"):
        cut -= 1
    return text[:cut].rstrip() + "…"


@cache
def linear_pattern(pattern: str) -> Any:
    """A pattern for the linear-time engine.

    Raises:
        ValueError: It is none.
    """
    options = re2.Options()
    options.log_errors = False
    options.max_mem = 1 << 20
    try:
        return re2.compile(pattern, options)
    except re2.error:
        raise ValueError(
            "the pattern is not valid for a linear-time engine (no look-around, no back-references)"
        ) from None
