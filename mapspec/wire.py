"""Mapped values as they are sent."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any, Final

from mapspec.numbers import Money
from mapspec.ops import Output, text_of, well_formed


def wire(value: Any) -> Any:
    """A mapped value as FreshBooks takes it: exact texts for decimals, ISO dates, {amount, code} for money.

    Raises:
        TransformError: A list, an object or a float; or a number or text out of all range.
    """
    if isinstance(value, Money):
        return value.wire()
    if value is None or isinstance(value, (bool, Output)):
        return value
    if isinstance(value, int):
        text_of(value)
        return value
    return well_formed(text_of(value))


_WHOLE: Final = 2**63
# How single values of these types are sent, all of them present; the others pass through `wire`.
WIRES: Final[dict[type, Callable[[Any], Any]]] = {
    Money: Money.wire,
    date: date.isoformat,
    Output: lambda value: value,
    bool: lambda value: value,
    Decimal: text_of,
    int: lambda value: value if -_WHOLE < value < _WHOLE else wire(value),
}
