"""Steps and checks on the wire: made from the catalogues, so that what is new there can be proposed here.

An operation becomes an object with `op` and all its arguments. `join` and `when` hold steps that hold none themselves,
a condition is one comparison; what works on lists stays out, and so does what belongs to the flow. Paths are an
enumeration of what the part may read.
"""

from __future__ import annotations

import inspect
import types
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from enum import Enum
from functools import reduce
from operator import or_
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

from pydantic import Field
from pydantic.fields import FieldInfo

from mapper_ai.llm.wire import Wire, answer_type, list_of, one_of, text
from mapspec.ops import CATALOGUE, THEMES, Operation
from mapspec.paths import Path
from mapspec.validations import CHECKS

MAX_STEPS: Final = 6
MAX_CHECKS: Final = 3
_TEXT: Final = 60
_ROWS: Final = 12
MAX_INNER: Final = 3
_PARTS: Final = 4
_NESTING: Final = ("join", "when")
_PAIRS: Final = ("equal", "not_equal", "gt", "gte", "lt", "lte")
# The flow's own, what works on lists, and what needs a table of the spec.
_LEFT_OUT: Final = {
    *("step_output", "lookup_remote", "line_price", "setting", "hash", "allocate", "lookup_table", "days_between"),
    *("each", "filter", "first", "last", "append", "index_by", "group_by", "get", "flatten", "list"),
}
_ALWAYS: Final = ("path", "coalesce", "default", "const", "when")
_THEMES: Final[Mapping[str, tuple[str, ...]]] = {
    "text": ("Texts", "People", "Codes and tables"),
    "date": ("Dates",),
    "instant": ("Dates",),
    "int": ("Numbers",),
    "decimal": ("Numbers",),
    "money": ("Numbers",),
    "bool": (),
}
_FURTHER: Final[Mapping[str, tuple[str, ...]]] = {
    "text": ("template", "join", "format_date", "parse_instant", "concat"),
    "int": ("count", "sum"),
    "decimal": ("count", "sum"),
    "money": ("sum",),
    "bool": ("bool", "map_enum"),
}


def operations_for(kind: str) -> tuple[str, ...]:
    """Names of the operations that may be proposed for a target of a type, in the catalogue's order."""
    themes = _THEMES.get(kind, ("Texts",))
    wanted = {*_ALWAYS, *_FURTHER.get(kind, ()), *(one.name for theme in themes for one in THEMES[theme])}
    return tuple(name for name in CATALOGUE if name in wanted - _LEFT_OUT)


def in_words(names: Sequence[str]) -> dict[str, str]:
    """Operations with the first sentence of what the catalogue says of them."""
    return {name: _sentence(CATALOGUE[name]) for name in names}


def steps_kind(names: Sequence[str], paths: Sequence[str], zones: Sequence[str]) -> type[Wire]:
    """The schema of an answer with steps."""
    source = path_enum(paths)
    flat = [_operation(CATALOGUE[name], source, zones) for name in names if name not in _NESTING]
    inner = list_of(reduce(or_, flat), MAX_INNER, least=1)
    nesting = [_nesting(name, inner, source) for name in names if name in _NESTING]
    step = reduce(or_, [*flat, *nesting])
    return answer_type("Steps", steps=list_of(step, MAX_STEPS, least=1), why=text(_TEXT * 2))


def path_enum(paths: Sequence[str]) -> type[Enum]:
    """The paths as one enumeration, which stands in the schema once."""
    return Enum("SourcePath", {f"p{number}": path for number, path in enumerate(dict.fromkeys(paths))})  # type: ignore[return-value]


def plain_steps(answer: Any) -> list[dict[str, Any]]:
    """The steps as in a spec file, unchanged in meaning; the spec's own models read them next."""
    return _plain_chain(step.model_dump(mode="json", by_alias=True) for step in answer.steps)


def checks_kind() -> type[Wire]:
    """The schema of an answer with checks."""
    number = Annotated[int, Field(ge=-1_000_000, le=1_000_000)]
    length = Annotated[int, Field(ge=1, le=100_000)]
    day = text(10) | None
    fields: dict[str, dict[str, Any]] = {
        "format": {"value": one_of(get_args(CHECKS["format"].model_fields["format"].annotation))},
        "min_length": {"value": length},
        "max_length": {"value": length},
        "between": {"low": number, "high": number},
        "at_least": {"value": number},
        "at_most": {"value": number},
        "enum": {"values": list_of(text(_TEXT), _ROWS, least=1)},
        "regex": {"value": text(_TEXT)},
        "money": {"value": one_of(get_args(CHECKS["money"].model_fields["money"].annotation))},
        "date_window": {"first": day, "last": day},
    }
    check = reduce(or_, [answer_type(f"Check_{name}", check=one_of([name]), **own) for name, own in fields.items()])
    return answer_type("Checks", checks=list_of(check, MAX_CHECKS), why=text(_TEXT * 2))


def plain_checks(answer: Any) -> list[dict[str, Any]]:
    """The checks as in a spec file."""
    made: list[dict[str, Any]] = []
    for check in answer.checks:
        if check.check == "between":
            argument: Any = [str(check.low), str(check.high)]
        elif check.check == "date_window":
            argument = {key: day for key, day in (("from", check.first), ("to", check.last)) if day is not None}
        elif check.check == "enum":
            argument = list(check.values)
        else:
            argument = str(check.value)
        made.append({check.check: argument})
    return made


def _operation(kind: type[Operation], source: type[Enum], zones: Sequence[str]) -> Any:
    fields: dict[str, Any] = {"op": (one_of([kind.name]), ...)}
    for name, info in kind.model_fields.items():
        wire = one_of(zones) if name == "zone" else _wire(info.annotation, source)
        fields[_written(name, info)] = (wire if info.is_required() or name == "zone" else wire | None, ...)
    # Python's own words cannot be members; pydantic knows them by alias.
    named = {_safe(key): (value[0], Field(alias=key)) for key, value in fields.items()}
    return answer_type(f"Op_{kind.name}", **named)


def _nesting(name: str, inner: Any, source: type[Enum]) -> Any:
    if name == "join":
        members: dict[str, Any] = {"parts": list_of(inner, _PARTS, least=2), "with_": (text(20), Field(alias="with"))}
    else:
        kinds: dict[str, tuple[Sequence[str], dict[str, Any]]] = {
            "Compared": (_PAIRS, {"value": text(_TEXT)}),
            "Listed": (["in"], {"values": list_of(text(_TEXT), _ROWS, least=1)}),
            "There": (["present", "absent"], {}),
        }
        tests = [answer_type(key, test=one_of(one), path=source, **more) for key, (one, more) in kinds.items()]
        test = reduce(or_, tests)
        members = {"if_": (test, Field(alias="if")), "then": inner, "else_": (inner | None, Field(alias="else"))}
    return answer_type(f"Op_{name}", op=one_of([name]), **members)


def _wire(annotation: Any, source: type[Enum]) -> Any:
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _wire(inner[0], source)
    if origin in (Union, types.UnionType):
        kinds = {_root(one) for one in inner if one is not type(None)}
        if Path in kinds and Decimal in kinds:
            return source | text(20)
        if tuple in kinds and Path in kinds:
            return _paths(source)
        # One text instead of one or several.
        return _wire(next(one for one in inner if one is not type(None) and _root(one) is not tuple), source)
    if annotation is Path:
        return source
    if origin is tuple:
        return _paths(source) if _root(inner[0]) is Path else list_of(text(_TEXT), 4)
    if origin is dict:
        return list_of(answer_type("Row", key=text(_TEXT), value=text(_TEXT)), _ROWS)
    if annotation is int:
        return Annotated[int, Field(ge=-400, le=10_000)]
    return annotation if origin is Literal or annotation is bool else text(_TEXT)


def _paths(source: type[Enum]) -> Any:
    return list_of(source, 4, least=1)


def _root(annotation: Any) -> Any:
    if get_origin(annotation) is Annotated:
        return _root(get_args(annotation)[0])
    return get_origin(annotation) or annotation


def _written(name: str, info: FieldInfo) -> str:
    return info.alias or name


def _safe(name: str) -> str:
    return f"{name}_" if name in ("with", "if", "else", "from") or not name.isidentifier() else name


def _plain_chain(steps: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return [_plain(step) for step in steps]


def _plain(step: dict[str, Any]) -> dict[str, Any]:
    name = step["op"]
    arguments: dict[str, Any] = {}
    for key, value in step.items():
        if key == "op" or value is None:
            continue
        if key in ("rows", "signs"):
            arguments[key] = {row["key"]: row["value"] for row in value}
        elif name == "join" and key == "parts":
            arguments[key] = [_plain_chain(part) for part in value]
        elif name == "when":
            arguments[key] = _plain_test(value) if key == "if" else _plain_chain(value)
        else:
            arguments[key] = value
    kind = CATALOGUE[name]
    if not arguments:
        return {name: None}
    # The short form where it says all, so that texts are read as a spec's are.
    return {name: arguments[kind.main]} if kind.main and set(arguments) == {kind.main} else {name: arguments}


def _plain_test(test: dict[str, Any]) -> dict[str, Any]:
    name, *arguments = test.values()
    return {name: arguments[0] if len(arguments) == 1 else arguments}


def _sentence(kind: type[Operation]) -> str:
    text = " ".join(inspect.cleandoc(kind.__doc__ or "").replace("`", "").split())
    return text.split(". ")[0].split("; ")[0][:110]
