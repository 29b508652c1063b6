"""The days that are compared, and the errors of a comparison. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

from sync.errors import SyncError


class CompareError(SyncError):
    """The books could not be compared: a system did not answer, or not completely. Never to be read as "agree"."""

    exit_code = 4


@dataclass(frozen=True)
class Period:
    """Days, both inclusive: of orders, invoices and payments each by its own date."""

    first: date
    last: date

    def __post_init__(self) -> None:
        """Refuse a period that ends before it begins.

        Raises:
            ValueError: It does.
        """
        if self.last < self.first:
            raise ValueError(f"the period ends on {self.last}, before it begins on {self.first}")

    def has(self, day: date | None) -> bool:
        """Whether a day counts; a record without one always does, so that it is told and not lost."""
        return day is None or self.first <= day <= self.last

    @property
    def asked_from(self) -> date:
        """From when on a source is asked for changes: what counts at the first day's border in any zone included."""
        return self.first - timedelta(days=2)

    def __str__(self) -> str:
        return f"{self.first} to {self.last}"
