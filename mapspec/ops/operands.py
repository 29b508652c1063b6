"""The numbers that operations work on: the one at hand, the other one, the digits of a currency."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Annotated, Any, Final

from pydantic import BeforeValidator

from mapspec.conditions import is_present, number_at, parse_path_field
from mapspec.errors import TransformError
from mapspec.numbers import currency_digits, to_decimal
from mapspec.ops.base import MAX_DIGITS, CompileContext, Step, text_of
from mapspec.ops.sources import ReadPath
from mapspec.paths import Path, Scope

_LIKE_NUMBER: Final = re.compile(r"[+-]|\.?[0-9]")


def parse_operand(value: Any) -> Decimal | Path:
    """Pydantic hook for a number or a path.

    Raises:
        ValueError: Neither.
    """
    if isinstance(value, Path):
        return value
    if isinstance(value, str) and not _LIKE_NUMBER.match(value.strip()):
        return parse_path_field(value)
    try:
        return to_decimal(value, "number")
    except TransformError:
        raise ValueError("expected a number such as 8.25, or a path such as shippingTotal") from None


Operand = Annotated[Decimal | Path, BeforeValidator(parse_operand)]


def operand(value: Decimal | Path, context: CompileContext) -> Callable[[Scope], Decimal | None]:
    """The other number of an operation, None where its path has nothing."""
    if isinstance(value, Decimal):
        return lambda scope: value
    read = ReadPath(path=value).reader()
    text = value.text

    def number(scope: Scope) -> Decimal | None:
        return number_at(read(scope), text)

    return number


def number_of(value: Any) -> Decimal:
    """The number at hand; what arithmetic made of record values may have more digits than a record's own.

    Raises:
        TransformError: `bad-number`.
    """
    if type(value) is str:
        return to_decimal(value, "value")
    if isinstance(value, Decimal) and value.is_finite() and abs(value.adjusted()) <= MAX_DIGITS:
        exponent = value.as_tuple().exponent
        if isinstance(exponent, int) and exponent >= -MAX_DIGITS:
            return value
    return to_decimal(value, "value")


def each_number(function: Callable[[Decimal], Any]) -> Step:
    """A step that works on the number at hand, and leaves nothing as nothing."""

    def step(value: Any, scope: Scope) -> Any:
        number = number_at(value, "value") if type(value) is str else None if value is None else number_or_none(value)
        return None if number is None else function(number)

    return step


def number_or_none(value: Any) -> Decimal | None:
    """The number at hand, None where there is none.

    Raises:
        TransformError: `bad-number`.
    """
    return number_of(value) if is_present(value) else None


def digits_of(path: Path, context: CompileContext) -> Callable[[Scope], int]:
    """Digits of the minor unit of the currency at a path.

    The function raises TransformError `currency-missing` where there is none.
    """
    read = ReadPath(path=path).reader()

    def digits(scope: Scope) -> int:
        code = read(scope)
        if not is_present(code):
            raise TransformError("the amount has no currency", reason="currency-missing")
        return currency_digits(text_of(code).strip().upper())

    return digits
