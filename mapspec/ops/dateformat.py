"""Formats of dates, made of a closed set of tokens."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from typing import Final

from mapspec.errors import TransformError

MONTHS: Final = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
# Token of a date format -> the pattern it reads. Longer tokens stand first.
_TOKENS: Final = {
    "YYYY": r"(?P<year>[0-9]{4})",
    "YY": r"(?P<year>[0-9]{2})",
    "MMMM": r"(?P<name>[A-Za-z]{3,9})",
    "MMM": r"(?P<short>[A-Za-z]{3})\.?",
    "MM": r"(?P<month>[0-9]{2})",
    "M": r"(?P<month>[0-9]{1,2})",
    "DD": r"(?P<day>[0-9]{2})",
    "D": r"(?P<day>[0-9]{1,2})",
}
_FORMAT: Final = re.compile(r"YYYY|YY|MMMM|MMM|MM|M|DD|D|[-/., ]")
_CENTURY: Final = 2000  # two digits of a year are 2000 to 2099: orders and invoices of shops are not older


class DateFormat:
    """A format of dates, made of the tokens YYYY YY MMMM MMM MM M DD D and the characters - / . , and blank.

    Raises:
        ValueError: Other letters, or not exactly one year, one month and one day, or digits that run together.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self._parts = _FORMAT.findall(text)
        kinds = sorted(part[0] for part in self._parts if part in _TOKENS)
        if "".join(self._parts) != text or kinds != ["D", "M", "Y"]:
            raise ValueError(
                f"'{text}' is no date format: write one year (YYYY, YY), one month (MM, M, MMM, MMMM) and one day "
                "(DD, D) with - / . , or blanks between, such as DD.MM.YYYY"
            )
        for first, second in zip(self._parts, self._parts[1:], strict=False):
            digits = {first, second} <= _TOKENS.keys() and not {first, second} & {"MMM", "MMMM"}
            if digits and {first, second} & {"D", "M"}:
                raise ValueError(f"'{text}' is no date format: D and M need a character between them and other digits")
        self._pattern = re.compile("".join(_TOKENS.get(part, re.escape(part)) for part in self._parts))

    def parse(self, text: str) -> date | None:
        """The date that a text stands for in this format; None where it is none."""
        match = self._pattern.fullmatch(text)
        if match is None:
            return None
        found = match.groupdict()
        year = int(found["year"]) + (_CENTURY if len(found["year"]) == 2 else 0)
        try:
            return date(year, _month(found), int(found["day"]))
        except ValueError:
            return None

    def write(self, day: date) -> str:
        """The date in this format.

        Raises:
            TransformError: `bad-date`: the format has two digits for the year, and it is not in 2000-2099.
        """
        if "YY" in self._parts and not _CENTURY <= day.year < _CENTURY + 100:
            raise TransformError("two digits stand for the years 2000 to 2099 only", reason="bad-date")
        return "".join(_WRITTEN[part](day) if part in _WRITTEN else part for part in self._parts)


_WRITTEN: Final[dict[str, Callable[[date], str]]] = {
    "YYYY": lambda day: f"{day.year:04}",
    "YY": lambda day: f"{day.year % 100:02}",
    "MMMM": lambda day: MONTHS[day.month - 1],
    "MMM": lambda day: MONTHS[day.month - 1][:3],
    "MM": lambda day: f"{day.month:02}",
    "M": lambda day: str(day.month),
    "DD": lambda day: f"{day.day:02}",
    "D": lambda day: str(day.day),
}


def _month(found: dict[str, str]) -> int:
    if "month" in found:
        return int(found["month"])
    name = (found.get("name") or found.get("short") or "").capitalize()
    names = MONTHS if "name" in found else tuple(month[:3] for month in MONTHS)
    return names.index(name) + 1  # ValueError where it is no month
