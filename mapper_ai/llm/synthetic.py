"""Values made up from a field's format alone. Nothing here ever sees a sample."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

# Reserved names and numbers (RFC 2606, the 555-01xx range), so that they belong to nobody.
BY_FORMAT: Final[Mapping[str, tuple[str, ...]]] = {
    "bool": ("true", "false"),
    "integer": ("3", "12"),
    "decimal": ("12.50", "7.00"),
    "uuid": ("00000000-0000-4000-8000-000000000001",),
    "email": ("someone@example.com",),
    "url": ("https://www.example.com/x",),
    "instant": ("2031-02-03T04:05:06Z",),
    "date": ("2031-02-03",),
    "currency": ("USD", "EUR"),
    "country": ("US", "DE"),
    "percent": ("8.25 %",),
    "phone": ("+1 202-555-0100",),
    "code": ("AB-0001",),
    "word": ("sample",),
    "text": ("a few words",),
}
EVERY: Final = frozenset(value for values in BY_FORMAT.values() for value in values)


def made_up(format_: str) -> tuple[str, ...]:
    """Example values of a format; none for one that is not known."""
    return BY_FORMAT.get(format_, ())
