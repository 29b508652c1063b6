"""Payload values as plain text for table cells and code blocks; nothing is ever read as markup."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

MAX_CELL_CHARS = 300
_UNPRINTED = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def exact_json(value: Any) -> str:
    """Indented JSON; numbers with decimals are written as text, the way FreshBooks is sent money."""
    return json.dumps(_plain(value), ensure_ascii=False, indent=2)


def cell(value: Any) -> str:
    """One line for a table cell: a list of single values with commas, an object as JSON, absent as a dash."""
    if value is None:
        return "—"
    if isinstance(value, list | tuple):
        text = ", ".join(cell(item) for item in value) if value else "—"
    elif isinstance(value, Mapping):
        money = _money(value)
        text = money if money is not None else json.dumps(_plain(value), ensure_ascii=False)
    else:
        text = _scalar(value)
    text = _UNPRINTED.sub("�", " ".join(text.split()))
    return text if len(text) <= MAX_CELL_CHARS else f"{text[: MAX_CELL_CHARS - 1]}…"


def shortened(text: str, limit: int) -> str:
    """At most `limit` characters; a cell shows three lines, and a fourth would be cut in its middle."""
    return text if len(text) <= limit else f"{text[: limit - 1].rstrip()}…"


def before_lines(before: Mapping[str, Any]) -> str:
    """Source paths with their values, one a line; absent ones only when nothing else is there."""
    found = {path: value for path, value in before.items() if value is not None} or before
    return "\n".join(f"{path} = {cell(value)}" for path, value in found.items()) or "—"


def percent(share: float) -> str:
    """A share of 0..1 for people."""
    return f"{round(share * 100)} %"


def listed(names: Iterable[str], limit: int = 3) -> str:
    """A few names and how many more there are."""
    found = list(names)
    return ", ".join(found[:limit]) + (f" and {len(found) - limit} more" if len(found) > limit else "")


def _money(value: Mapping[str, Any]) -> str | None:
    """FreshBooks' money object {amount, code}."""
    if set(value) != {"amount", "code"}:
        return None
    return f"{_scalar(value['amount'])} {_scalar(value['code'])}"


def _scalar(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return format(value, "f")
    return "" if value is None else str(value)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value if value is None or isinstance(value, bool | int | str) else _scalar(value)
