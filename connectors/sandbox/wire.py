"""JSON text in and out of both stand-ins: decimals stay exact, floats are refused."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any, NoReturn

JsonObject = dict[str, Any]

_DEEPEST = 64
_LONGEST_EXPONENT = 1000


def loads(text: str | bytes) -> Any:
    """Parse JSON with decimals kept exact.

    Raises:
        ValueError: Not JSON, or NaN and Infinity, which JSON does not have, or deeper or longer than anyone means.
    """
    try:
        parsed = json.loads(text, parse_float=_decimal, parse_constant=_refuse_constant)
    except RecursionError:
        parsed = None
        deep = True
    else:
        deep = _is_deep(parsed)
    if deep:
        msg = "nested too deep"
        raise ValueError(msg)
    return parsed


def dumps(value: Any) -> str:
    """Write JSON; a `Decimal` becomes a JSON number with all of its digits.

    Raises:
        TypeError: A float or any other type that JSON has no exact form for.
    """
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(str(key))}: {dumps(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(dumps, value)) + "]"
    if value is None or isinstance(value, str | bool | int):
        return json.dumps(value)
    msg = f"cannot write {type(value).__name__} as exact JSON"
    raise TypeError(msg)


def _decimal(text: str) -> Decimal:
    try:
        number = Decimal(text)
    except ArithmeticError as error:
        raise ValueError(text[:20]) from error
    exponent = number.as_tuple().exponent
    if not isinstance(exponent, int) or abs(exponent) > _LONGEST_EXPONENT:
        raise ValueError(text[:20])
    return number


def _is_deep(parsed: Any) -> bool:
    level = [parsed]
    for _ in range(_DEEPEST):
        level = [
            item
            for value in level
            if isinstance(value, dict | list)
            for item in (value.values() if isinstance(value, dict) else value)
        ]
        if not level:
            return False
    return True


def _refuse_constant(name: str) -> NoReturn:
    msg = f"{name} is not JSON"
    raise ValueError(msg)
