"""Text <-> spec. One canonical form: fixed key order, one step a line; load(dump(spec)) == spec."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from pydantic import ValidationError

from mapspec.errors import SpecError
from mapspec.fingerprint import plain_part
from mapspec.model import MappingSpec
from mapspec.ops import first_problem
from mapspec.upgrades import upgrade
from mapspec.yamltext import Line, Loc, flow, read_yaml, scalar

SCHEMA_MARK: Final = "# yaml-language-server: $schema="
_SCHEMA_LINE: Final = re.compile(r"\ufeff?# yaml-language-server: \$schema=(?P<schema>[^\s]+)[ \t]*\r?(?:\n|\Z)")
_SCHEMA: Final = re.compile(r"urn:[a-z0-9][a-z0-9:.\-]*|(?!/)(?!~)[A-Za-z0-9._\-][A-Za-z0-9._/\-]*")

# Members that are written on one line wherever they stand.
_ON_ONE_LINE: Final = {
    "source",
    "check",
    "origin",
    "approval",
    "gate",
    "flow",
    "assertions",
    "ignored",
    "suppressed",
    "charges",
    "steps",
}
MAX_LINE: Final = 140
_ORDER: Final = (
    "required",
    "only_on_create",
    "conflict",
    "steps",
    "each",
    "money",
    "fields",
    "check",
    "on_fail",
    "note",
    "origin",
    "approval",
)


def load_spec(text: str, *, where: str = "<spec>") -> MappingSpec:
    """Read a spec.

    Raises:
        SpecError: With file, line, field and what to mend.
    """
    return load_with_lines(text, where=where)[0]


def load_with_lines(text: str, *, where: str = "<spec>") -> tuple[MappingSpec, dict[Loc, int]]:
    """Read a spec and the 1-based line of each of its members.

    Raises:
        SpecError: As in load_spec.
    """
    data, lines = read_yaml(text, where=where)
    if not isinstance(data, dict):
        raise SpecError("a spec is a YAML mapping that starts with 'spec: name/flow'", where=where, line=1)
    try:
        data = upgrade(data)
    except ValueError as error:
        raise SpecError(str(error), where=where, line=lines.get(("format",), 1)) from None
    try:
        spec = MappingSpec.model_validate(data)
    except ValidationError as error:
        loc, message = first_problem(error)
        place, line = _place(loc, lines)
        more = error.error_count() - 1
        rest = f" (and {more} more)" if more else ""
        raise SpecError(f"{place}: {message}{rest}" if place else message + rest, where=where, line=line) from None
    except RecursionError:
        raise SpecError("nested too deeply", where=where) from None
    return with_schema(spec, schema_of(text)), lines


def schema_of(text: str) -> str | None:
    """The schema that the first line names for editors, when it is a relative path or a URN; else None."""
    match = _SCHEMA_LINE.match(text)
    return match["schema"] if match and is_schema_reference(match["schema"]) else None


def is_schema_reference(text: str) -> bool:
    """True for a relative path without blanks and for a URN; an address of one machine helps nobody else."""
    return _SCHEMA.fullmatch(text) is not None


def with_schema(spec: MappingSpec, schema: str | None) -> MappingSpec:
    """A copy whose text starts with a line that tells editors where the JSON Schema is; None leaves the line out.

    Raises:
        ValueError: It is no `is_schema_reference`.
    """
    if schema is not None and not is_schema_reference(schema):
        raise ValueError(f"'{schema}' is neither a relative path without blanks nor a URN")
    if schema == spec.schema_reference:
        return spec
    return spec.with_schema_reference(schema)


def dump_spec(spec: MappingSpec) -> str:
    """The canonical text."""
    header = f"{SCHEMA_MARK}{spec.schema_reference}\n" if spec.schema_reference else ""
    written = plain_part(spec)
    head = {"spec": spec.spec, "format": spec.format, "version": spec.version}
    return header + "\n".join(_block(head | written, 0)) + "\n"


def part_line(lines: dict[Loc, int], part: str) -> int | None:
    """The line on which an approvable part starts."""
    if part in ("flow", ""):
        return lines.get(("flow",)) or lines.get(("gate",)) or Line(1, 1)
    if part.startswith("values."):
        return lines.get(("values", part[7:]))
    if ("fields", part) in lines:
        return lines[("fields", part)]
    head, _, last = part.rpartition("[].")
    return lines.get(("fields", head + "[]", "fields", last))


def _place(loc: Loc, lines: dict[Loc, int]) -> tuple[str, int | None]:
    """The part of pydantic's location that stands in the text, and its line."""
    known: Loc = ()
    for part in loc:
        if (*known, part) in lines:
            known = (*known, part)
    return ".".join(str(part) for part in known), lines.get(known)


def _block(data: dict[str, Any], depth: int) -> Iterator[str]:
    pad = "  " * depth
    keys = sorted(data, key=lambda key: _ORDER.index(key)) if depth and set(data) <= set(_ORDER) else list(data)
    for key in keys:
        value = data[key]
        written = scalar(key)
        if isinstance(value, dict) and value and key not in _ON_ONE_LINE:
            yield f"{pad}{written}:"
            yield from _block(value, depth + 1)
        elif isinstance(value, list) and value and key in _ON_ONE_LINE and key != "check":
            yield f"{pad}{written}:"
            for row in value:
                yield from _row(row, pad + "  ")
        elif isinstance(value, dict | list):
            yield f"{pad}{written}: {flow(value)}"
        else:
            yield f"{pad}{written}: {'' if value is None else scalar(value)}".rstrip()


def _row(row: Any, pad: str) -> Iterator[str]:
    """A list element on one line; one member a line where that would get long."""
    line = f"{pad}- {flow(row)}"
    if len(line) <= MAX_LINE or not isinstance(row, dict) or len(row) < 2:
        yield line
        return
    lead = "- "
    for key, value in row.items():
        yield f"{pad}{lead}{scalar(key)}: {flow(value)}".rstrip()
        lead = "  "
