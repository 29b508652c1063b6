"""Paths into nested JSON: `customer.email`, `lineItems[].sku`, `.sku` (current list item), `$.total` (record root).

A name that holds a dot or a bracket, or begins or ends oddly, stands in double quotes: `"unit.price"`, `"2[a]"[]`.

Two roots beside the record can be named: `values.NAME` (a value of the spec computed once a record) and
`settings.NAME`. `$.values...` reaches a record's own member of that name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

Root = Literal["record", "item", "values", "settings"]
Json = Any
_NAME = r'"(?:[^"\\]|\\.)*"|[^.\[\]"][^.\[\]]*'
_SEGMENT = re.compile(rf"(?:{_NAME})(?:\[\])?", re.DOTALL)
# Quoted names hold dots; a quote inside a plain name is a letter like any other.
_PARTS = re.compile(r'(?:"(?:[^"\\]|\\.)*"(?=[.\[]|$)|[^.])(?:[^.]*)', re.DOTALL)
_PLAIN = re.compile(r'[^.\[\]"\s$](?:[^.\[\]]*[^.\[\]\s])?|\$[^.\[\]]*[^.\[\]\s]')


@dataclass(frozen=True)
class Path:
    """A parsed path.

    Attributes:
        root: What the first segment is looked up in.
        segments: (name, is_array) pairs; empty means the root itself.
    """

    root: Root
    segments: tuple[tuple[str, bool], ...]
    text: str

    @property
    def many(self) -> bool:
        """True when the path runs through an array, so that reading it gives a list."""
        return any(is_array for _, is_array in self.segments)

    def source_path(self, each: str = "") -> str:
        """The path from the record root in plain dotted notation; `each` is the enclosing list."""
        dotted = ".".join(quoted_name(name) + ("[]" if is_array else "") for name, is_array in self.segments)
        if self.root == "item":
            return f"{each}.{dotted}" if dotted else each
        return dotted


# The one record of the other system that a lookup found for a value, None where there is none.
Found = Mapping[tuple[str, str], Mapping[str, Any] | None]


@dataclass(slots=True)
class Scope:
    """What paths are read against while one record is mapped; `known` are named values that were found already.

    `found` is what lookups brought, by (step id, folded value); None where nothing was looked up.
    """

    record: Json
    settings: Mapping[str, str]
    value_of: Callable[[str], Any]
    item: Json = None
    index: int = 0
    extras: dict[str, Any] = field(default_factory=dict)
    known: dict[str, Any] = field(default_factory=dict)
    found: Found | None = None


def parse_path(text: str) -> Path:
    """Parse the dotted notation.

    Raises:
        ValueError: The text is no path; the message says what is wrong.
    """
    rest = text.strip()
    root: Root = "record"
    if rest in {".", "$"}:
        return Path("item" if rest == "." else "record", (), text)
    if rest.startswith("$."):
        rest = rest[2:]
    elif rest.startswith("."):
        root, rest = "item", rest[1:]
    elif rest.startswith("values."):
        root, rest = "values", rest[7:]
    elif rest.startswith("settings."):
        root, rest = "settings", rest[9:]
    segments: list[tuple[str, bool]] = []
    for part in path_parts(rest):
        if not _SEGMENT.fullmatch(part):
            raise ValueError(
                f"'{text}' is not a path: write names joined by dots, [] after a list; a name with a dot in quotes"
            )
        segments.append((unquoted_name(part.removesuffix("[]")), part.endswith("[]")))
    if root in ("values", "settings") and (len(segments) != 1 or segments[0][1]):
        raise ValueError(f"'{text}' is not a path: {root}.NAME has one name and no members")
    return Path(root, tuple(segments), text)


def path_parts(dotted: str) -> list[str]:
    """The parts of a dotted path as they are written; dots inside quoted names do not part."""
    if '"' not in dotted:
        return dotted.split(".")
    parts: list[str] = []
    position = 0
    while True:
        found = _PARTS.match(dotted, position)
        parts.append(found[0] if found else "")
        position = found.end() if found else position
        if position >= len(dotted):
            return parts
        position += 1


def quoted_name(name: str) -> str:
    """A member's name as it stands in a path."""
    if _PLAIN.fullmatch(name):
        return name
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def unquoted_name(part: str) -> str:
    """The member's name that a part of a path stands for."""
    if len(part) >= 2 and part[0] == part[-1] == '"':
        return re.sub(r"\\(.)", r"\1", part[1:-1], flags=re.DOTALL)
    return part


def member(value: Json, name: str) -> Json:
    """One member of an object; a list of {key, value} or {name, value} rows counts as an object (clarity A38)."""
    if type(value) is dict or isinstance(value, Mapping):  # the first is JSON's and far quicker to tell
        return value.get(name)
    if value is not None and isinstance(value, Sequence) and not isinstance(value, str):
        for row in value:
            if isinstance(row, Mapping) and name in (row.get("key"), row.get("name")) and "value" in row:
                return row["value"]
    return None


def compile_path(path: Path) -> Callable[[Scope], Json]:
    """A reader for the path: the value, None when absent, a list (possibly empty) when the path is `many`."""
    segments = path.segments

    def walk(value: Json, start: int) -> Json:
        for position in range(start, len(segments)):
            name, is_array = segments[position]
            value = member(value, name)
            if value is None:
                return [] if any(a for _, a in segments[position:]) else None
            if is_array:
                rows = value if isinstance(value, list) else [value]
                if position == len(segments) - 1:
                    return rows
                found: list[Json] = []
                for row in rows:
                    below = walk(row, position + 1)
                    if isinstance(below, list) and any(a for _, a in segments[position + 1 :]):
                        found.extend(below)
                    elif below is not None:
                        found.append(below)
                return found
        return value

    if path.root == "values":
        return _read_value(segments[0][0])
    if path.root == "settings":
        name = segments[0][0]
        return lambda scope: scope.settings.get(name)
    short = [name for name, _ in segments] if len(segments) in (1, 2) else []
    shape = tuple(is_array for _, is_array in segments)
    if short and (shape in _RECORD_READERS) and path.root != "item":
        return _RECORD_READERS[shape](*short)
    if path.root == "item":
        if shape == (False,):
            return _read_item(short[0])
        return lambda scope: walk(scope.item, 0)
    return lambda scope: walk(scope.record, 0)


def _read_value(name: str) -> Callable[[Scope], Json]:
    def read(scope: Scope) -> Json:
        known = scope.known
        return known[name] if name in known else scope.value_of(name)

    return read


# Nearly all paths of a spec have one of these four shapes; each is read without a walk through its segments.


def _read_item(name: str) -> Callable[[Scope], Json]:
    def read(scope: Scope) -> Json:
        item = scope.item
        return item.get(name) if type(item) is dict else member(item, name)

    return read


def _read_one(name: str) -> Callable[[Scope], Json]:
    def read(scope: Scope) -> Json:
        record = scope.record
        return record.get(name) if type(record) is dict else member(record, name)

    return read


def _read_two(outer: str, inner: str) -> Callable[[Scope], Json]:
    def read(scope: Scope) -> Json:
        record = scope.record
        value = record.get(outer) if type(record) is dict else member(record, outer)
        return value.get(inner) if type(value) is dict else member(value, inner)

    return read


def _read_rows(name: str) -> Callable[[Scope], Json]:
    def read(scope: Scope) -> Json:
        record = scope.record
        rows = record.get(name) if type(record) is dict else member(record, name)
        if type(rows) is list:
            return rows
        return [] if rows is None else [rows]

    return read


def _read_of_rows(name: str, inner: str) -> Callable[[Scope], Json]:
    rows = _read_rows(name)
    return lambda scope: [found for row in rows(scope) if (found := member(row, inner)) is not None]


_RECORD_READERS: Final[dict[tuple[bool, ...], Callable[..., Callable[[Scope], Json]]]] = {
    (False,): _read_one,
    (False, False): _read_two,
    (True,): _read_rows,
    (True, False): _read_of_rows,
}


def rows_of(value: Any) -> list[Any]:
    """What a list path gave, as a list also where the record has one object in its place."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def set_at(document: dict[str, Any], dotted: str, value: Json) -> None:
    """Set a target member, making the objects on the way."""
    *parents, last = (unquoted_name(part) for part in path_parts(dotted))
    for name in parents:
        document = document.setdefault(name, {})
    document[last] = value


def get_at(document: Mapping[str, Any], dotted: str) -> Json:
    """Read a target member; None when absent."""
    value: Json = document
    for part in path_parts(dotted):
        if not isinstance(value, Mapping):
            return None
        value = value.get(unquoted_name(part))
    return value
