"""Operations on dates and instants. A date is a day of the calendar; an instant has a time and maybe an offset."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Annotated, Any, Final, Literal
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, Field

from mapspec.errors import TransformError
from mapspec.numbers import shape
from mapspec.ops.base import SCALAR, Chain, CompileContext, Example, Operation, Step, bind_chain, each_text
from mapspec.ops.dateformat import DateFormat
from mapspec.ops.operands import number_or_none
from mapspec.paths import Scope

AS_WRITTEN: Final = "as_written"
_INSTANT: Final = re.compile(
    r"(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2}(?::\d{2})?)(?:[.,](\d{1,12}))?\s*(Z|z|[+-]\d{2}:?\d{2})?)?"
)


# The forms shops write, which need no taking apart: Python reads them as they are.
_USUAL: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{3})?(?:Z|[+-][0-9]{2}:[0-9]{2})"
)


def _parse_formats(value: Any) -> Any:
    formats = (value,) if isinstance(value, str) else value
    if not isinstance(formats, list | tuple) or not formats or not all(isinstance(text, str) for text in formats):
        raise ValueError("expected a date format such as DD.MM.YYYY, or a list of them")
    for text in formats:
        DateFormat(text)
    return value if isinstance(value, str) else tuple(formats)


def _parse_format(value: Any) -> Any:
    if not isinstance(value, str):
        raise ValueError("expected a date format such as DD.MM.YYYY")
    DateFormat(value)
    return value


class ParseDate(Operation):
    """A text in one of the given formats to a date; a text that two of them read as different days is refused.

    Formats are made of YYYY YY MM M MMM MMMM DD D and - / . , or blanks; names of months are English.
    """

    name = "parse_date"
    main = "format"
    takes = SCALAR
    gives = "date"
    examples = (
        Example("DD.MM.YYYY", value="01.03.2026", gives=date(2026, 3, 1)),
        Example("MMM D, YYYY", value="Mar 1, 2026", gives=date(2026, 3, 1)),
        Example(["DD/MM/YYYY", "MM/DD/YYYY"], value="25/03/2026", gives=date(2026, 3, 25)),
        Example(["DD/MM/YYYY", "MM/DD/YYYY"], value="03/04/2026", refused="ambiguous-date"),
        Example("YYYY-MM-DD", value="2026-02-30", refused="bad-date"),
    )
    format: Annotated[str | tuple[str, ...], BeforeValidator(_parse_formats)]

    def bind(self, context: CompileContext) -> Step:
        written = (self.format,) if isinstance(self.format, str) else self.format
        formats = [DateFormat(text) for text in written]

        def parse(text: str) -> date | None:
            text = text.strip()
            if not text:
                return None
            days = {day for known in formats if (day := known.parse(text)) is not None}
            if not days:
                expected = " or ".join(written)
                raise TransformError(f"expected a date as {expected}, got {shape(text)}", reason="bad-date")
            if len(days) > 1:
                raise TransformError("the date fits several formats as different days", reason="ambiguous-date")
            return days.pop()

        return each_text(parse)


class FormatDate(Operation):
    """A date as text, in a format of YYYY YY MM M MMM MMMM DD D and - / . , or blanks."""

    name = "format_date"
    main = "format"
    takes = ("date",)
    gives = "text"
    examples = (
        Example("MMMM D, YYYY", value=date(2026, 3, 1), gives="March 1, 2026"),
        Example("DD.MM.YY", value=date(2026, 3, 1), gives="01.03.26"),
    )
    format: Annotated[str, BeforeValidator(_parse_format)]

    def bind(self, context: CompileContext) -> Step:
        known = DateFormat(self.format)
        return lambda value, scope: None if value is None else known.write(_day(value))


class ParseInstant(Operation):
    """ISO 8601 text to an instant; fraction digits beyond microseconds are cut. Without offset it stays local."""

    name = "parse_instant"
    takes = SCALAR
    gives = "instant"
    examples = (
        Example(value="2026-03-01T09:05", gives=datetime(2026, 3, 1, 9, 5)),  # noqa: DTZ001 - local on purpose
        Example(value="01/03/2026", refused="bad-date"),
    )

    def bind(self, context: CompileContext) -> Step:
        return each_text(parse_instant)


class FromEpoch(Operation):
    """Seconds, or milliseconds (`ms`), since the first of January 1970 to an instant in UTC; microseconds are cut."""

    name = "from_epoch"
    main = "unit"
    takes = SCALAR
    gives = "instant"
    examples = (
        Example(value=1782028429, gives=datetime(2026, 6, 21, 7, 53, 49, tzinfo=UTC)),
        Example("ms", value="1782028429500", gives=datetime(2026, 6, 21, 7, 53, 49, 500000, tzinfo=UTC)),
        Example(value="2026-06-21", refused="bad-number"),
        Example(value=1782028429500, refused="bad-date"),
    )
    unit: Literal["s", "ms"] = "s"

    def bind(self, context: CompileContext) -> Step:
        share = 1000 if self.unit == "ms" else 1

        def step(value: Any, scope: Scope) -> Any:
            number = number_or_none(value)
            if number is None:
                return None
            try:
                micro = int(number * 1_000_000 / share)
                return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micro)
            except OverflowError:
                said = "seconds" if share == 1 else "milliseconds"
                raise TransformError(f"expected {said} since 1970, got a number too large", reason="bad-date") from None

        return step


class ToDate(Operation):
    """The calendar date of an instant in an IANA zone, in `settings.timezone`, or as_written.

    as_written keeps the date as the offset in the text says it: shops write `orderDate` with the store's own offset.
    """

    name = "to_date"
    main = "zone"
    takes = ("instant", "date")
    gives = "date"
    examples = (
        Example(value=datetime.fromisoformat("2026-03-01T23:30:00-05:00"), gives=date(2026, 3, 1)),
        Example("Asia/Tokyo", value=datetime.fromisoformat("2026-03-01T23:30:00+00:00"), gives=date(2026, 3, 2)),
    )
    zone: str = AS_WRITTEN

    def bind(self, context: CompileContext) -> Step:
        zone_name = context.setting(self.zone)
        zone = None if zone_name in ("", AS_WRITTEN) else load_zone(zone_name)

        def step(value: Any, scope: Scope) -> Any:
            if value is None:
                return None
            if isinstance(value, datetime):
                if zone is None:
                    return value.date()
                try:
                    return value.date() if value.tzinfo is None else value.astimezone(zone).date()
                except OverflowError:
                    raise TransformError("the date leaves the calendar", reason="bad-date") from None
            return _day(value)

        return step


class AddDays(Operation):
    """Move a date by whole days, back with a minus."""

    name = "add_days"
    main = "days"
    takes = ("date",)
    gives = "date"
    examples = (Example("30", value=date(2026, 3, 1), gives=date(2026, 3, 31)),)
    days: int = Field(ge=-36500, le=36500)

    def bind(self, context: CompileContext) -> Step:
        def step(value: Any, scope: Scope) -> Any:
            if value is None:
                return None
            try:
                return _day(value) + timedelta(days=self.days)
            except OverflowError:
                raise TransformError("the date leaves the calendar", reason="bad-date") from None

        return step


class DaysBetween(Operation):
    """Days from the date at hand to the date that other steps give; negative when that is earlier."""

    name = "days_between"
    main = "to"
    takes = ("date",)
    gives = "int"
    inner = ("date",)
    examples = (
        Example(
            [{"path": "dueDate"}, {"parse_date": "YYYY-MM-DD"}],
            value=date(2026, 3, 1),
            record={"dueDate": "2026-03-31"},
            gives=30,
        ),
    )
    to: Chain = Field(min_length=1)

    def bind(self, context: CompileContext) -> Step:
        other = bind_chain(self.to, context)

        def step(value: Any, scope: Scope) -> Any:
            if value is None:
                return None
            end = other(None, scope)
            return None if end is None else (_day(end) - _day(value)).days

        return step

    def nested(self) -> list[tuple[Operation, ...]]:
        return [self.to]


def _day(value: Any) -> date:
    if not isinstance(value, date) or isinstance(value, datetime):
        raise TransformError(f"expected a date, got {shape(value)}", reason="bad-date")
    return value


def parse_instant(text: str) -> datetime:
    """ISO 8601 instant or date.

    Raises:
        TransformError: `bad-date`.
    """
    try:
        if _USUAL.fullmatch(text):
            return datetime.fromisoformat(text)
        match = _INSTANT.fullmatch(text.strip())
        if match is None:
            raise ValueError
        day, clock, fraction, offset = match.groups()
        if clock is None:
            return datetime.fromisoformat(day)
        if offset is not None and offset not in "Zz" and ":" not in offset:
            offset = offset[:3] + ":" + offset[3:]
        zone = "" if offset is None else "+00:00" if offset in "Zz" else offset
        micro = "." + (fraction or "0")[:6].ljust(6, "0")
        seconds = clock if clock.count(":") == 2 else clock + ":00"
        return datetime.fromisoformat(f"{day}T{seconds}{micro}{zone}")
    except ValueError:
        raise TransformError(
            f"expected a date such as 2026-03-01 or 2026-03-01T09:05:08-05:00, got {shape(text)}",
            reason="bad-date",
        ) from None


@cache
def load_zone(name: str) -> ZoneInfo:
    """An IANA time zone.

    Raises:
        ValueError: Unknown name.
    """
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError(f"unknown time zone '{name}': write an IANA name such as America/Chicago") from None
