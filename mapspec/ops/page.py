"""The page of operations, made from the operations themselves: `python -m mapspec.ops.page` prints it."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any, Final, Literal, get_args, get_origin

from mapspec.numbers import Money, plain
from mapspec.ops import THEMES, Example, Operation, Output
from mapspec.yamltext import flow

_INTRO: Final = """# Operations

A field's value is made by a chain of steps; each is one operation with its argument, as in `{case: lower}`. What the
step before gave goes in on the left, what it makes comes out on the right. This page is made from the code
(`python -m mapspec.ops.page > docs/spec-operations.md`), and every example on it is a test.

- **Absent values** run through: where nothing came, nothing comes out, but for the operations that read or supply a
  value.
- **A misfit** raises an error with a stable id and holds the record (or warns, by the field's `on_fail`); it never
  becomes a wrong value. Messages name the step and the shape of the value, not the value.
- **Numbers** are decimals and exact. Texts of more than 100,000 characters and numbers of more than 40 digits before or
  after the point are refused. No operation takes more than linear time in what comes in; `allocate` sorts it.
- **Paths** start at the record; `.sku` is a member of the list element at hand, `$.total` the record's in any case.
- **A number or path** argument is read as a number where it starts like one (`8.25`), else as a path.
- *takes* and *gives* are checked before a spec runs: a chain whose steps do not fit is refused with its line. A single
  value is anything but a list or an object.
"""
_NAMES: Final = {"scalar": "a single value", "any": "anything", "same": "what came in"}
_ARGUMENTS: Final = {
    "PathField": "path", "Path": "path", "Chain": "steps", "Condition": "condition", "int": "whole number",
    "str": "text", "bool": "true or false",
}  # fmt: skip


def operations_page() -> str:
    """The page as Markdown, with a line feed at its end."""
    parts = [_INTRO]
    for theme, kinds in THEMES.items():
        links = " · ".join(f"[{kind.name}](#{kind.name})" for kind in kinds)
        parts.append(f"## {theme}\n\n{links}\n")
        parts += [_section(kind) for kind in kinds]
    return "\n".join(parts)


def _section(kind: type[Operation]) -> str:
    lines = [f"### {kind.name}", "", " ".join((kind.__doc__ or "").split()), "", _types(kind), ""]
    arguments = [_argument(kind, key) for key in kind.model_fields]
    lines += [f"- {argument}" for argument in arguments]
    if arguments:
        lines.append("")
    lines += ["| in | step | out |", "| --- | --- | --- |", *(_row(kind, example) for example in kind.examples)]
    return "\n".join(lines) + "\n"


def _types(kind: type[Operation]) -> str:
    takes = " or ".join(_NAMES.get(name, name) for name in kind.takes)
    gives = f"gives *{_NAMES.get(kind.gives, kind.gives)}*"
    if kind.source:
        return f"Reads what it needs; {gives}."
    reads = " or reads what it names" if kind.starts is not Operation.starts else ""
    return f"Takes *{takes}*{reads}; {gives}."


def _argument(kind: type[Operation], key: str) -> str:
    info = kind.model_fields[key]
    name = info.alias or key
    text = f"`{name}`: {_kind_of(info.annotation)}"
    if not info.is_required() and info.default not in (None, (), {}):
        chosen = info.default if get_origin(info.annotation) is Literal else _scalar(info.default)
        text += f", `{chosen}` unless said"
    elif not info.is_required():
        text += ", may be left out"
    short = kind.main in (key, name)
    return f"{text}; the short form `{{{kind.name}: …}}` sets it" if short else text


def _kind_of(annotation: Any) -> str:
    if get_origin(annotation) is Literal:
        return ", ".join(f"`{value}`" for value in get_args(annotation))
    inner = [part for part in get_args(annotation) if part is not type(None) and part is not Ellipsis]
    if get_origin(annotation) is dict:
        return "rows of texts"
    if get_origin(annotation) is not tuple and any(get_origin(part) is tuple for part in inner):
        return "one text or more" if str in inner else "one path or more"
    if Decimal in inner:
        return "number or path"
    if get_origin(annotation) is tuple:
        first = inner[0]
        if get_origin(first) is tuple:
            return "a list of lists of steps"
        return {"Path": "one path or more", "Operation": "steps"}.get(_name(first), "one text or more")
    if inner and not isinstance(annotation, type):
        return _kind_of(inner[0])
    return _ARGUMENTS.get(_name(annotation), "text")


def _name(annotation: Any) -> str:
    while getattr(annotation, "__origin__", None) is not None and get_args(annotation):
        annotation = get_args(annotation)[0]
    return str(getattr(annotation, "__name__", annotation))


def _row(kind: type[Operation], example: Example) -> str:
    given = []
    if example.value is not None or not (example.record or kind.source):
        given.append(_scalar(example.value))
    if example.record:
        given.append(_scalar(example.record))
    if example.each is not None:
        given.append(f"element {example.index + 1} of {example.each}")
    given += [
        f"{name} {_scalar(rows)}" for name, rows in (("settings", example.settings), ("tables", example.tables)) if rows
    ]
    if example.lookups:
        given += [f"{step} looks up {path}" for step, path in example.lookups.items()]
        given.append("not looked up" if example.found is None else f"found {_scalar(example.found)}")
    out = f"refused: {example.refused}" if example.refused else _scalar(example.gives)
    return f"| {_code(', '.join(given))} | {_code(flow({kind.name: example.argument}))} | {_code(out)} |"


def _code(text: str) -> str:
    if not text:
        return ""
    return "`" + text.replace("|", "\\|").replace("\n", "\\n") + "`"


def _scalar(value: Any) -> str:
    """A value as the page shows it: texts in quotes, numbers as they are."""
    if value is None:
        return "nothing"
    if isinstance(value, Decimal):
        return plain(value) if value == value.to_integral_value() else str(value)
    if isinstance(value, Money):
        return f"{value.wire()['amount']} {value.currency}"
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Output):
        return f"{value.member} of step {value.step}"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_scalar(part)}" for key, part in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_scalar(part) for part in value) + "]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False) if value.isprintable() else json.dumps(value)
    return json.dumps(value)


if __name__ == "__main__":
    sys.stdout.write(operations_page())
