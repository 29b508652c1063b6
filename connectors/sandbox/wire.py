"""JSON text in and out of both stand-ins: decimals stay exact, floats are refused."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any, NoReturn

JsonObject = dict[str, Any]


def loads(text: str | bytes) -> Any:
    """Parse JSON with decimals kept exact.

    Raises:
        ValueError: Not JSON, or NaN and Infinity, which JSON does not have.
    """
    return json.loads(text, parse_float=Decimal, parse_constant=_refuse_constant)


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


def _refuse_constant(name: str) -> NoReturn:
    msg = f"{name} is not JSON"
    raise ValueError(msg)
