"""Operations on what belongs to a person: names and telephone numbers. What is not certain stays as it is."""

from __future__ import annotations

import re
from typing import Final, Literal

from mapspec.ops.base import SCALAR, CompileContext, Example, Operation, Step, each_text

_PARTICLES: Final = frozenset({
    "af", "al", "bin", "bint", "da", "das", "de", "degli", "dei", "del", "dell", "della", "den", "der", "des", "di",
    "dos", "du", "el", "ibn", "la", "las", "los", "st", "st.", "ter", "van", "vande", "vanden", "vander", "vom", "von",
    "zu", "zum", "zur", "'t",
})  # fmt: skip
# Particles in small letters only: with a capital they are names or initials of their own (Mary Li Chen).
_SMALL_PARTICLES: Final = frozenset({"av", "do", "le", "li", "lo", "mac", "mc", "san", "santa", "ten", "y"})
_CONNECTOR: Final = "y"  # stands between two family names: Ortega y Gasset
_SUFFIXES: Final = frozenset({"jr", "sr", "ii", "iii", "iv", "phd", "md", "esq"})

# Calling codes of countries where a national number starts with one zero that is left out after the country's code.
_TRUNK_ZERO: Final = frozenset({
    "27", "31", "32", "33", "40", "41", "43", "44", "46", "49", "61", "64", "81", "82", "90", "91", "353", "358",
    "359", "380", "381", "385", "386", "972",
})  # fmt: skip
# Calling codes of countries whose national numbers are dialled as they are, with a leading zero or without.
_NO_TRUNK: Final = frozenset({
    "30", "34", "39", "45", "47", "48", "65", "351", "352", "354", "356", "357", "371", "372", "376", "377", "378",
    "420", "852",
})  # fmt: skip
_EXTENSION: Final = re.compile(r"(?:[\s,;]*(?:ext(?:ension|n)?\.?|x|#)|;ext=)\s*:?\s*([0-9]{1,7})", re.IGNORECASE)
_DIALLED: Final = re.compile(r"\+?[0-9()./\- \u00a0\u2010-\u2015]+")
_MAX_AREA: Final = 6  # digits of an area code before a stroke
_MAX_PHONE: Final = 60  # characters; longer texts are notes and no numbers


class SplitName(Operation):
    """The given or the family part of a full name; particles (van, de la) and suffixes (Jr.) stay with the family name.

    «Family, Given» is understood; a name of one word is a given name. Both parts together are the whole name.
    """

    name = "split_name"
    main = "part"
    takes = SCALAR
    gives = "text"
    examples = (
        Example("given", value="Vincent Willem van Gogh", gives="Vincent Willem"),
        Example("family", value="Vincent Willem van Gogh", gives="van Gogh"),
        Example("family", value="de la Cruz, Juan", gives="de la Cruz"),
        Example("family", value="Martin Luther King Jr.", gives="King Jr."),
        Example("family", value="Björk", gives=None),
    )
    part: Literal["given", "family"]

    def bind(self, context: CompileContext) -> Step:
        position = 0 if self.part == "given" else 1
        return each_text(lambda text: split_name(text)[position])


class Phone(Operation):
    """A telephone number as + and digits; `country_code` is the calling code of numbers that are written without one.

    The extension is kept as « ext 12». What is no certain number stays as it is, but for blanks at its ends.
    """

    name = "phone"
    main = "country_code"
    takes = SCALAR
    gives = "text"
    examples = (
        Example("1", value="(512) 555-0100 x12", gives="+15125550100 ext 12"),
        Example("44", value="020 7946 0958", gives="+442079460958"),
        Example(value="+44 (0)20 7946 0958", gives="+442079460958"),
        Example(value="(512) 555-0100", gives="(512) 555-0100"),
        Example("1", value="call the office", gives="call the office"),
    )
    country_code: str | None = None

    def bind(self, context: CompileContext) -> Step:
        code = context.setting(self.country_code or "").strip().removeprefix("+")
        if code and not re.fullmatch(r"[1-9][0-9]{0,2}", code):
            raise ValueError("'country_code' is a calling code of one to three digits, such as 1 or 44")
        return each_text(lambda text: normal_phone(text, code) or None)


def split_name(text: str) -> tuple[str | None, str | None]:
    """(given, family) of a full name; either may be None."""
    before, comma, after = text.partition(",")
    if comma and "," not in after and not all(_is_suffix(word) for word in after.split()):
        return " ".join(after.split()) or None, " ".join(before.split()) or None
    words = text.split()
    end = len(words)
    while end > 1 and _is_suffix(words[end - 1]):
        end -= 1
    if end < 2:
        if len(words) > 1:  # a family name and its suffix
            return None, " ".join(words)
        return (words[0], None) if words else (None, None)
    start = end - 1
    while start > 1 and (words[start - 1].casefold() in _PARTICLES or words[start - 1] in _SMALL_PARTICLES):
        connects = words[start - 1] == _CONNECTOR
        start -= 1
        if connects and start > 1:
            start -= 1
    return " ".join(words[:start]), " ".join(words[start:])


def _is_suffix(word: str) -> bool:
    return word.casefold().replace(".", "").strip(",") in _SUFFIXES


def normal_phone(text: str, code: str) -> str:
    """The number as + and digits with its extension, or the text without blanks at its ends where it is none for sure.

    Args:
        code: Calling code without + for numbers that have none; empty for none.
    """
    text = text.strip()
    number, extension = text, ""
    if len(text) > _MAX_PHONE:
        return text
    if (found := next((m for m in _EXTENSION.finditer(text) if m.end() == len(text)), None)) is not None:
        number, extension = text[: found.start()].rstrip(" ,;"), f" ext {found[1]}"
    area, slash, rest = number.partition("/")
    if not _DIALLED.fullmatch(number) or "/" in rest or (slash and len(re.sub(r"[^0-9]", "", area)) > _MAX_AREA):
        return text  # beside words, two numbers with a stroke between them
    digits = re.sub(r"[^0-9]", "", number)
    if number.startswith("+"):
        if digits.startswith("39") and "(0)" in number:  # Italy dials the zero from abroad, too
            return text
        international = re.sub(r"[^0-9]", "", number.replace("(0)", "", 1))
    elif digits.startswith("00"):
        international = digits[2:]
    elif code == "1" and digits.startswith("011"):
        international = digits[3:]
    else:
        international = _international(digits, code)
    if not 8 <= len(international) <= 15 or international.startswith("0"):
        return text
    if international.startswith("1") and len(international) != 11:
        return text
    return f"+{international}{extension}"


def _international(digits: str, code: str) -> str:
    """The digits with the calling code in front; empty where it is not certain what they mean."""
    if code == "1":
        national = digits[1:] if len(digits) == 11 and digits.startswith("1") else digits
        return "1" + national if len(national) == 10 and national[0] in "23456789" else ""
    if code in _TRUNK_ZERO:
        return code + digits[1:] if digits.startswith("0") else ""
    return code + digits if code in _NO_TRUNK and not digits.startswith(code) else ""
