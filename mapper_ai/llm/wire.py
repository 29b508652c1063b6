"""Answers of a language model: their schema for the wire and their strict reading.

The wire knows little: an object at the root, enums, bounded whole numbers and texts, plain unions with literal tags,
lists, null instead of absence. No dicts, no defaults, every member required. What is read here is read again by the
real models of the spec; nothing is repaired.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Annotated, Any, Final, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from mapper_ai.llm.errors import TroubleError

MAX_ANSWER: Final = 60_000
# What tells the members of a union apart.
_TAGS: Final = ("op", "check", "test")
_DROPPED: Final = frozenset({"title", "description", "default"})
# Not every endpoint takes them in a strict schema; the reading insists on them whatever it says.
_BOUNDS: Final = frozenset({"maxLength", "minLength", "minimum", "maximum", "maxItems", "minItems", "pattern"})


class Wire(BaseModel):
    """Base of all answers."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


Answer = TypeVar("Answer", bound=Wire)


def answer_type(name: str, **members: Any) -> type[Wire]:
    """An answer made for the fields at hand; every member is required."""
    fields: dict[str, Any] = {key: kind if isinstance(kind, tuple) else (kind, ...) for key, kind in members.items()}
    return create_model(name, __base__=Wire, **fields)


def one_of(values: Iterable[str]) -> Any:
    """One of some texts; at least one must be given."""
    return Literal[tuple(dict.fromkeys(values))]


def text(most: int) -> Any:
    """A text of at most so many characters."""
    return Annotated[str, Field(max_length=most)]


def list_of(kind: Any, most: int, *, least: int = 0) -> Any:
    """A list of bounded length."""
    return Annotated[list[kind], Field(min_length=least, max_length=most)]


def schema_of(kind: type[Wire], *, bounds: bool = True) -> dict[str, Any]:
    """The JSON Schema of an answer in the subset that endpoints understand."""
    found = _plain(kind.model_json_schema(), bounds)
    made: dict[str, Any] = found
    return made


def _plain(value: Any, bounds: bool) -> Any:
    if isinstance(value, list):
        return [_plain(part, bounds) for part in value]
    if not isinstance(value, dict):
        return value
    made: dict[str, Any] = {}
    for key, part in value.items():
        if key in ("properties", "$defs"):
            made[key] = {name: _plain(inner, bounds) for name, inner in part.items()}
        elif key == "const":
            made["enum"] = [part]
        elif key not in _DROPPED and (bounds or key not in _BOUNDS):
            made[key] = _plain(part, bounds)
    if made.get("type") == "object":
        made["required"] = list(made.get("properties", {}))
        made["additionalProperties"] = False
    return made


def read_answer(kind: type[Answer], text: str) -> Answer:
    """An answer from its text; a fence or words around the one object are forgiven, for endpoints without schemas.

    Raises:
        TroubleError: not-json, or not-fitting with the first problem.
    """
    document = _object(text)
    try:
        return kind.model_validate_json(json.dumps(document))
    except ValidationError as error:
        raise TroubleError("not-fitting", problem_of(error)) from None


def problem_of(error: ValidationError) -> str:
    """Place and message of the first problem that says most: of a union's members the one that was meant."""
    rows = error.errors(include_url=False, include_input=False, include_context=False)
    others = {row["loc"][:-1] for row in rows if row["type"] == "literal_error" and row["loc"][-1] in _TAGS}
    meant = [row for row in rows if not any(row["loc"][: len(loc)] == loc for loc in others)]
    if not meant and others:
        place = next(row["loc"] for row in rows if row["loc"][:-1] in others)
        return f"{_place((*place[:-2], place[-1]))}: none of those on offer"
    row = max(meant or rows, key=lambda one: (len(one["loc"]), -rows.index(one)))
    return f"{_place(row['loc'])}: {row['msg'][:1].lower()}{row['msg'][1:]}"[:400]


def _place(loc: tuple[int | str, ...]) -> str:
    return ".".join(map(str, loc)) or "the answer"


def _object(text: str) -> dict[str, Any]:
    if len(text) > MAX_ANSWER:
        raise TroubleError("not-json", f"{len(text)} characters")
    start = text.find("{")
    decoder = json.JSONDecoder()
    while start >= 0:
        try:
            found, _ = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            found = None
        if isinstance(found, dict):
            return found
        start = text.find("{", start + 1)
        # A text of nothing but braces is read once, not once a brace.
        if text.count("{", 0, max(0, start)) > 50:
            break
    raise TroubleError("not-json")
