"""Times as FreshBooks writes them: accounting datetimes are US/Eastern without saying so."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

Clock = Callable[[], datetime]
"""Returns the present instant, aware, UTC."""

_EASTERN = ZoneInfo("America/New_York")


def utc_now() -> datetime:
    """The present instant, aware, UTC."""
    return datetime.now(UTC)


def eastern(instant: datetime) -> str:
    """`YYYY-MM-DD HH:MM:SS` in US/Eastern, without a zone."""
    return instant.astimezone(_EASTERN).strftime("%Y-%m-%d %H:%M:%S")


def eastern_micros(instant: datetime) -> str:
    """As `eastern`, with microseconds: the form of an invoice's `version`."""
    return instant.astimezone(_EASTERN).strftime("%Y-%m-%d %H:%M:%S.%f")


def eastern_today(instant: datetime) -> date:
    """The calendar date in US/Eastern."""
    return instant.astimezone(_EASTERN).date()


def utc_text(instant: datetime) -> str:
    """`YYYY-MM-DD HH:MM:SS` in UTC: the form of a client's `signup_date`, the one exception."""
    return instant.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def iso_z(instant: datetime) -> str:
    """ISO 8601 with `Z`, to the second unless there are microseconds."""
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")


def parse_instant(text: str) -> datetime:
    """Read ISO 8601; without an offset it counts as UTC.

    Raises:
        ValueError: Not ISO 8601.
    """
    parsed = datetime.fromisoformat(text)
    return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)
