"""YAML as text: every scalar stays the text that was written, with the line it stands on.

`NO`, `010` and `12:30:45` are texts here, duplicate keys and aliases are errors. PyYAML's C loader reads a spec in
about a millisecond.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Final

import yaml

from mapspec.errors import SpecError

Loc = tuple[str | int, ...]
MAX_TEXT: Final = 2_000_000  # characters; the largest real spec is a hundredth of it
MAX_DEPTH: Final = 40
_LOADER: Final = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
_TAGS: Final = {
    "tag:yaml.org,2002:str",
    "tag:yaml.org,2002:map",
    "tag:yaml.org,2002:seq",
    "!",
}


class Line(int):
    """A 1-based line that knows its 1-based column; elsewhere a plain number."""

    column: int

    def __new__(cls, line: int, column: int) -> Line:
        """Both from 1."""
        made = super().__new__(cls, line)
        made.column = column
        return made


def _line(mark: Any) -> Line:
    return Line(mark.line + 1, mark.column + 1)


def column_of(line: int | None) -> int | None:
    """The column of a line that was read from a text, else None."""
    return line.column if isinstance(line, Line) else None


def read_yaml(text: str, *, where: str) -> tuple[Any, dict[Loc, int]]:
    """Parse YAML into dicts, lists and texts.

    Returns:
        The value, and the 1-based line of every member by its location; each is a `Line`, which knows its column.

    Raises:
        SpecError: Not YAML, too large or deep, a duplicate key, an alias or a tag; with the line.
    """
    if len(text) > MAX_TEXT:
        raise SpecError(f"the text has more than {MAX_TEXT} characters", where=where)
    lines: dict[Loc, int] = {}
    events = _events(text, where)

    def build(event: Any, loc: Loc) -> Any:
        line = _line(event.start_mark)
        lines.setdefault(loc, line)
        if isinstance(event, yaml.AliasEvent):
            raise SpecError("aliases (*name) are not used in specs: write the value out", where=where, line=line)
        if event.tag is not None and event.tag not in _TAGS:
            raise SpecError("tags (!name) are not used in specs: remove it", where=where, line=line)
        if len(loc) > MAX_DEPTH:
            raise SpecError("nested too deeply", where=where, line=line)
        if isinstance(event, yaml.MappingStartEvent):
            return build_mapping(loc)
        if isinstance(event, yaml.SequenceStartEvent):
            rows: list[Any] = []
            while not isinstance(child := next(events), yaml.SequenceEndEvent):
                rows.append(build(child, (*loc, len(rows))))
            return rows
        return str(event.value)

    def build_mapping(loc: Loc) -> dict[str, Any]:
        members: dict[str, Any] = {}
        while not isinstance(key_event := next(events), yaml.MappingEndEvent):
            line = _line(key_event.start_mark)
            if not isinstance(key_event, yaml.ScalarEvent):
                raise SpecError("a key must be a plain text", where=where, line=line)
            key = str(key_event.value)
            if key in members:
                first = lines[(*loc, key)]
                raise SpecError(f"'{key}' stands twice (first on line {first}): keep one", where=where, line=line)
            lines[(*loc, key)] = line
            members[key] = build(next(events), (*loc, key))
        return members

    result: Any = None
    found = False
    for node in (event for event in events if isinstance(event, yaml.NodeEvent)):
        if found:
            mark: Any = node.start_mark
            raise SpecError("a spec is one YAML document: remove the second", where=where, line=_line(mark))
        result, found = build(node, ()), True
    return result, lines


def _events(text: str, where: str) -> Iterator[Any]:
    """The parser's events one by one. Composing nodes instead would recurse in C: deep nesting ends the process."""
    try:
        yield from yaml.parse(text, Loader=_LOADER)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or "cannot be read"
        raise SpecError(f"not YAML: {problem}", where=where, line=_line(mark) if mark else None) from None
    except ValueError:
        raise SpecError("not YAML: unreadable characters", where=where) from None


_PLAIN: Final = re.compile(r"[A-Za-z_$./][A-Za-z0-9_$./()\[\]@+ -]*(?<! )")
_UNPRINTED: Final = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff\ud800-\udfff]")
_WORDS: Final = {"true", "false", "yes", "no", "on", "off", "null", "~", "y", "n", "nan", "inf", "none"}


def scalar(value: object) -> str:
    """One scalar in canonical form: plain where every YAML reader sees the same text, else double-quoted."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    text = str(value)
    if _PLAIN.fullmatch(text) and text.lower() not in _WORDS and text not in {".", "..", "-"} and " #" not in text:
        return text
    return _quoted(text)


def _quoted(text: str) -> str:
    """Double-quoted; characters that YAML does not print are escaped."""
    return _UNPRINTED.sub(lambda m: f"\\u{ord(m.group()):04X}", json.dumps(text, ensure_ascii=False))


def flow(value: Any) -> str:
    """A value on one line: {a: 1, b: [x, y]}."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_flow_scalar(k)}: {flow(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(flow(v) for v in value) + "]"
    return "" if value is None else _flow_scalar(value)


def _flow_scalar(value: object) -> str:
    written = scalar(value)
    if written.startswith('"') or not re.search(r"[\[\]{},]", written):
        return written
    return _quoted(str(value))
