"""What a setting may hold, written as one short text beside it, and the check of a value against it. Pure.

`int 1..1000 records`, `decimal 0..0.05`, `bool`, `text`, `name` (a member, parameter or status), `header`, `path`
(begins with a slash), `zone` (IANA), `currency`, `one | of | these`, `[kind]` for a list; `?` behind the kind lets it
be "none". A mapping of names to kinds is an object whose members are corrected one by one.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from functools import cache
from typing import Any, Final
from zoneinfo import available_timezones

_WRITTEN: Final = re.compile(
    r"(?P<list>\[)?(?P<name>[a-z]+)(?P<null>\?)?\]?(?: (?P<low>[\d.]+?)\.\.(?P<high>[\d.]+))?(?: (?P<unit>.+))?"
)
_TEXTS: Final[Mapping[str, tuple[re.Pattern[str], str]]] = {
    "text": (re.compile(r"[^\x00-\x1f\x7f]{1,500}"), "a text"),
    "name": (re.compile(r"[^\x00-\x20\x7f]([^\x00-\x1f\x7f]{0,98}[^\x00-\x20\x7f])?"), "a name"),
    "header": (re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}"), "the name of a header"),
    "path": (re.compile(r"(/[A-Za-z0-9._~{}-]+)+|/?"), "a path such as /api/v1"),
    "list": (re.compile(r"[A-Za-z0-9._~-]+(/[A-Za-z0-9._~-]+)*"), "the path of a list such as orders"),
    "currency": (re.compile(r"[A-Z]{3}"), "an ISO 4217 code such as USD"),
}
_NONE: Final = "none"


class KindError(ValueError):
    """A value does not fit.

    Attributes:
        member: Member of an object setting that is to blame, "" for the whole.
        expected: What stands there instead, in words.
    """

    def __init__(self, expected: str, *, member: str = "") -> None:
        super().__init__(expected)
        self.expected = expected
        self.member = member


@dataclass(frozen=True)
class Kind:
    """One parsed kind; `any` accepts everything (a setting that nobody has typed)."""

    name: str = "any"
    nullable: bool = False
    is_list: bool = False
    low: Decimal | None = None
    high: Decimal | None = None
    unit: str = ""
    choices: tuple[str, ...] = ()
    members: Mapping[str, Kind] = field(default_factory=dict)


def parse_kind(written: Any) -> Kind:
    """Read a kind from a profile.

    Raises:
        ValueError: Not a kind.
    """
    if isinstance(written, Mapping):
        return Kind("object", members={name: parse_kind(item) for name, item in written.items()})
    return _parse_text(str(written or "any"))


@cache
def _parse_text(written: str) -> Kind:
    if " | " in written:
        choices = tuple(part.strip() for part in written.split(" | "))
        return Kind("choice", choices=tuple(c for c in choices if c != _NONE), nullable=_NONE in choices)
    found = _WRITTEN.fullmatch(written)
    if found is None or found["name"] not in (*_TEXTS, "int", "decimal", "bool", "zone", "any"):
        raise ValueError(f"not a kind of setting: {written!r}")
    low, high = (None if found[end] is None else Decimal(found[end]) for end in ("low", "high"))
    return Kind(found["name"], bool(found["null"]), bool(found["list"]), low, high, found["unit"] or "")


def describe(kind: Kind) -> str:
    """A kind in words, for one line."""
    if kind.name == "object":
        return "members " + ", ".join(kind.members)
    if kind.name == "choice":
        said = " or ".join(kind.choices)
    elif kind.name in ("int", "decimal"):
        said = "a whole number" if kind.name == "int" else "a decimal number"
        if kind.low is not None:
            said += f" from {kind.low} to {kind.high}"
        said += f" ({kind.unit})" if kind.unit else ""
    elif kind.name == "zone":
        said = "a time zone such as America/Chicago"
    else:
        said = {"bool": "true or false", "any": "a value"}.get(kind.name) or _TEXTS[kind.name][1]
    return ("a list, each " if kind.is_list else "") + said + (' or "none"' if kind.nullable else "")


def fit(kind: Kind, value: Any, *, now: Any = None) -> Any:
    """A value as the code reads it: numbers exact, "none" as None, an object's members over those of `now`.

    Raises:
        KindError: The value does not fit.
    """
    if kind.name == "any":
        return value
    if kind.nullable and (value is None or value == _NONE):
        return None
    if kind.name == "object":
        return _fit_object(kind, value, now)
    if kind.is_list:
        if not isinstance(value, list) or not value:
            raise KindError(f"{describe(kind)}")
        return [_fit_one(kind, item) for item in value]
    return _fit_one(kind, value)


def _fit_object(kind: Kind, value: Any, now: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise KindError(f"{describe(kind)}, for instance {{{next(iter(kind.members))} = …}}")
    known = dict(now) if isinstance(now, Mapping) else {}
    for name, item in value.items():
        if name not in kind.members:
            raise KindError(f"one of {', '.join(kind.members)}{did_you_mean(name, kind.members)}", member=name)
        try:
            known[name] = fit(kind.members[name], item, now=known.get(name))
        except KindError as error:
            raise KindError(error.expected, member=name) from None
    return known


def _fit_one(kind: Kind, value: Any) -> Any:
    if kind.name == "bool":
        if isinstance(value, bool):
            return value
    elif kind.name in ("int", "decimal"):
        number = _number(value)
        whole = kind.name != "int" or (number is not None and number == number.to_integral_value())
        if (
            number is not None
            and whole
            and (kind.low is None or kind.low <= number)
            and (kind.high is None or number <= kind.high)
        ):
            return int(number) if kind.name == "int" else number
    elif kind.name == "choice":
        if value in kind.choices:
            return value
        if isinstance(value, str):
            raise KindError(describe(kind) + did_you_mean(value, kind.choices))
    elif kind.name == "zone":
        if isinstance(value, str) and value in available_timezones():
            return value
        if isinstance(value, str):
            raise KindError(describe(kind) + did_you_mean(value, available_timezones()))
    elif isinstance(value, str) and _TEXTS[kind.name][0].fullmatch(value):
        return value
    raise KindError(describe(kind))


def _number(value: Any) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, int | Decimal | str):
        return None
    try:
        number = Decimal(value)
    except InvalidOperation:
        return None
    return number if number.is_finite() and abs(number.adjusted()) < 20 else None


def did_you_mean(name: str, known: Any) -> str:
    """`; did you mean "…"?`, or nothing when no known name comes near."""
    folded = {str(word).casefold(): str(word) for word in known}
    near = difflib.get_close_matches(name.casefold(), folded, n=1, cutoff=0.6)
    return f'; did you mean "{folded[near[0]]}"?' if near else ""
