"""JSON Schema (2020-12) of a spec, made from the models and the catalogues of operations and checks; for editors.

A spec is YAML read as text: `30`, `"30"` and `true` are all texts to the loader. So the schema takes a number or a
boolean wherever a text may stand, and a quoted number where a number is meant. It is a little more generous than the
loader, which has the last word (`mapper validate`).
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue

from mapspec.conditions import Condition
from mapspec.expressions import ExpressionNode
from mapspec.model import FORMAT, RECORD_RULES, STEP_NEEDS, Assertion, FieldRule, FlowStep, ListBlock, MappingSpec
from mapspec.ops import CATALOGUE, Operation
from mapspec.paths import Path
from mapspec.validations import CHECKS, Check, DateBound
from mapspec.yamltext import flow

SCHEMA_ID: Final = f"urn:mapper-ai:spec:{FORMAT}"
DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_REF: Final = "#/$defs/"
_NUMBER_TEXT: Final = r"^\s*[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?\s*$"
_INTEGER: Final = {"type": ["integer", "string"], "pattern": r"^\s*[+-]?[0-9]+\s*$"}
_PATH: Final = {
    "description": "A field: customer.email; lineItems[].sku through a list; .sku of the list's element; $.total of "
    "the record; values.NAME; settings.NAME.",
    "type": "string",
    "minLength": 1,
}


def spec_schema() -> dict[str, Any]:
    """The schema; equal for equal models, so that the published file can be compared with it."""
    made = _generated(MappingSpec)
    defs: dict[str, Any] = made.pop("$defs")
    steps = {name: _argument(kind, defs) for name, kind in CATALOGUE.items()}
    checks = {name: _argument(kind, defs, short=kind.name) for name, kind in CHECKS.items()}
    defs[Condition.__name__] = _condition(defs[Condition.__name__])
    defs[Assertion.__name__]["oneOf"] = [{"required": [name]} for name in RECORD_RULES]
    defs[FlowStep.__name__]["allOf"] = [
        {"if": {"properties": {"do": {"const": do}}}, "then": {"required": list(needs)}}
        for do, needs in STEP_NEEDS.items()
    ]
    # what is not written as its model is
    defs[Path.__name__] = dict(_PATH)
    defs[DateBound.__name__] = _bound()
    defs[ExpressionNode.__name__] = _expression()
    defs[Operation.__name__] = _exactly_one(steps, "One operation with its argument.")
    defs[Check.__name__] = _check(checks)
    defs["Entry"] = {
        "if": {"type": "object", "required": ["each"]},
        "then": _ref(ListBlock),
        "else": _ref(FieldRule),
    }
    made["properties"]["fields"]["additionalProperties"] = {"$ref": _REF + "Entry"}
    made["properties"]["format"] = {
        "description": "The version of the spec format; mapper fmt writes the newest.",
        "enum": [FORMAT, str(FORMAT)],
    }
    used = _reachable(made, defs)
    head = {"$schema": DIALECT, "$id": SCHEMA_ID, "title": f"Mapping spec, format {FORMAT}"}
    return {**head, **_tidy(made), "$defs": {name: _tidy(defs[name]) for name in sorted(used)}}


def schema_text() -> str:
    """The schema as it is published in the package (`data/spec.schema.json`)."""
    return json.dumps(spec_schema(), indent=1, ensure_ascii=False) + "\n"


class _Generator(GenerateJsonSchema):
    """Pydantic's generator with the scalars of this format."""

    def str_schema(self, schema: Any) -> JsonSchemaValue:
        made = super().str_schema(schema)
        # texts that cannot be empty are no null, and a pattern asks for letters
        return made | {"type": "string" if made.keys() & {"pattern", "minLength"} else _text()}

    def bool_schema(self, schema: Any) -> JsonSchemaValue:
        return {"enum": [True, False, "true", "false"]}

    def int_schema(self, schema: Any) -> JsonSchemaValue:
        return super().int_schema(schema) | _INTEGER

    def decimal_schema(self, schema: Any) -> JsonSchemaValue:
        return {"type": ["number", "string"], "pattern": _NUMBER_TEXT}

    def nullable_schema(self, schema: Any) -> JsonSchemaValue:
        # an absent member is left out, not written as null
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: Any) -> JsonSchemaValue:
        made = super().default_schema(schema)
        default = made.pop("default", None)
        plain = isinstance(default, str | bool | int) and default != ""
        return made | {"default": default} if plain else made


def _text() -> list[str]:
    return ["string", "number", "boolean", "null"]


def _generated(kind: type[BaseModel]) -> dict[str, Any]:
    return dict(_Generator(by_alias=True).generate(kind.__pydantic_core_schema__, mode="validation"))


def _argument(kind: type[Operation] | type[Check], defs: dict[str, Any], short: str | None = None) -> dict[str, Any]:
    """What may stand behind a name: the short form, nothing, or (for operations) the arguments by name."""
    model = _generated(kind)
    for name, value in model.pop("$defs", {}).items():
        defs.setdefault(name, value)
    model.pop("description", None)
    needed = set(model.get("required", []))
    main = short if short is not None else getattr(kind, "main", None)
    forms: list[dict[str, Any]] = []
    if main is not None and needed <= {main}:
        forms.append({key: value for key, value in model["properties"][main].items() if key != "default"})
    if not needed:
        forms.append({"type": "null"})
    if short is None:
        forms.append(model)
    words = " ".join(inspect.cleandoc(kind.__doc__ or "").split())
    for example in getattr(kind, "examples", ())[:1]:
        words += f" For example {flow({kind.name: example.argument})}."
    return {"description": words, "anyOf": forms}


def _exactly_one(members: Mapping[str, Any], words: str) -> dict[str, Any]:
    """An object with exactly one of the members; editors complete its name and show its description."""
    return {
        "description": words,
        "type": "object",
        "properties": dict(members),
        "minProperties": 1,
        "maxProperties": 1,
        "additionalProperties": False,
    }


def _check(checks: Mapping[str, Any]) -> dict[str, Any]:
    words = "hold the record, or note it and let the value go as it is; without it the rule decides"
    return {
        "description": "One check with its argument, and what a miss does.",
        "type": "object",
        "properties": {**checks, "on_fail": {"description": words, "enum": ["hold", "warn"]}},
        "additionalProperties": False,
        "oneOf": [{"required": [name]} for name in checks],
    }


def _condition(generated: Mapping[str, Any]) -> dict[str, Any]:
    members = {name.rstrip("_"): value for name, value in generated["properties"].items()}
    return _exactly_one(members, inspect.cleandoc(Condition.__doc__ or ""))


def _expression() -> dict[str, Any]:
    filtered = {
        "type": "object",
        "properties": {"path": _ref(Path), "where": _ref(Condition)},
        "required": ["path"],
        "additionalProperties": False,
    }
    named = {
        "sum": {"type": "array", "items": _ref(ExpressionNode), "description": "All of them added."},
        "abs": _ref(ExpressionNode) | {"description": "Without sign."},
        "negate": _ref(ExpressionNode) | {"description": "With the other sign."},
    }
    return {
        "description": "A number of the record: a path, a path with a condition on the list's elements, or a sum.",
        "anyOf": [_ref(Path), filtered, _exactly_one(named, "A number made of others.")],
    }


def _bound() -> dict[str, Any]:
    moved = {
        "type": "object",
        "properties": {"path": _ref(Path), "days": dict(_INTEGER)},
        "required": ["path"],
        "additionalProperties": False,
    }
    words = "A day such as 2026-01-31, a field's path, or a path moved by whole days."
    return {"description": words, "anyOf": [{"type": "string", "minLength": 1}, moved]}


def _ref(kind: type[Any]) -> dict[str, str]:
    return {"$ref": _REF + kind.__name__}


def _reachable(value: Any, defs: Mapping[str, Any]) -> set[str]:
    found: set[str] = set()
    waiting = list(_references(value))
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting.extend(_references(defs[name]))
    return found


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"].removeprefix(_REF)
        for part in value.values():
            yield from _references(part)
    elif isinstance(value, list):
        for part in value:
            yield from _references(part)


def _tidy(value: Any) -> Any:
    """A copy with one-line descriptions and without pydantic's titles, which only repeat names."""
    if isinstance(value, list):
        return [_tidy(part) for part in value]
    if not isinstance(value, dict):
        return value
    kept: dict[str, Any] = {}
    for key, part in value.items():
        if key == "properties":
            kept[key] = {name: _tidy(inner) for name, inner in part.items()}
        elif key == "description":
            kept[key] = " ".join(str(part).split()).replace("`", "")
        elif key != "title":
            kept[key] = _tidy(part)
    return kept
