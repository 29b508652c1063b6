"""Answers are read strictly, and steps on the wire become the steps of a spec."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from mapper_ai.llm.budget import Meter, Usage
from mapper_ai.llm.errors import TroubleError
from mapper_ai.llm.settings import Budget, LlmSettings
from mapper_ai.llm.tasks.step_wire import checks_kind, operations_for, plain_checks, plain_steps, steps_kind
from mapper_ai.llm.tasks.telling import Sentence
from mapper_ai.llm.wire import read_answer, schema_of
from mapspec.model import FieldRule
from mapspec.ops import CATALOGUE

PATHS = ["order.total", ".sku", "values.currency"]


@pytest.mark.parametrize("text", ["", "no", "[1]", "{", "{" * 5000, '{"a":' * 3000])
def test_what_holds_no_object_is_not_json(text: str) -> None:
    with pytest.raises(TroubleError) as caught:
        read_answer(Sentence, text)
    assert caught.value.kind == "not-json"


@pytest.mark.parametrize(
    "text", ['{"sentence": 3}', "{}", '{"sentence": "a", "approve": true}', json.dumps({"sentence": "x" * 1000})]
)
def test_what_does_not_fit_is_refused_and_not_repaired(text: str) -> None:
    with pytest.raises(TroubleError) as caught:
        read_answer(Sentence, text)
    assert caught.value.kind == "not-fitting" and caught.value.detail


def test_a_fence_around_the_object_is_forgiven() -> None:
    assert read_answer(Sentence, 'Sure {not json} ```json\n{"sentence": "So."}\n```').sentence == "So."


@pytest.mark.parametrize("kind", ["text", "date", "instant", "int", "decimal", "money", "bool"])
def test_every_operation_on_offer_has_a_schema_and_becomes_a_step(kind: str) -> None:
    names = operations_for(kind)
    wire = steps_kind(names, PATHS, ["as_written"])
    schema = schema_of(wire)
    members = {row["properties"]["op"]["enum"][0]: row for key, row in schema["$defs"].items() if key.startswith("Op_")}
    assert set(members) == set(names) <= set(CATALOGUE)
    for name, member in members.items():
        step = {key: example(part, schema["$defs"], key) for key, part in member["properties"].items()}
        answer = read_answer(wire, json.dumps({"steps": [step], "why": ""}))
        (plain,) = plain_steps(answer)
        assert set(plain) == {name}
        # The shape is the spec's; whether the made-up argument means something is the spec's word.
        try:
            FieldRule.model_validate({"steps": [plain]})
        except ValueError as error:
            assert "unknown key" not in str(error) and "is missing" not in str(error), name


def example(part: dict[str, Any], defs: dict[str, Any], key: str) -> Any:
    if "$ref" in part:
        return example(defs[part["$ref"].rsplit("/", 1)[1]], defs, key)
    if "anyOf" in part:
        return example(part["anyOf"][0], defs, key)
    if "enum" in part:
        return part["enum"][0]
    if part["type"] == "array":
        return [example(part["items"], defs, key)] * part.get("minItems", 1)
    if part["type"] == "object":
        return {name: example(inner, defs, name) for name, inner in part["properties"].items()}
    return {"integer": 2, "boolean": True, "null": None}.get(part["type"], "%Y" if key == "format" else "x")


def test_checks_become_checks_of_a_spec() -> None:
    rows = [
        {"check": "between", "low": 0, "high": 365},
        {"check": "date_window", "first": "2020-01-01", "last": None},
        {"check": "format", "value": "email"},
    ]
    made = plain_checks(read_answer(checks_kind(), json.dumps({"checks": rows, "why": ""})))
    assert made == [{"between": ["0", "365"]}, {"date_window": {"from": "2020-01-01"}}, {"format": "email"}]
    FieldRule.model_validate({"steps": [{"path": "a"}], "check": made})


def test_a_budget_counts_what_is_under_way() -> None:
    meter = Meter(LlmSettings(model="m", budget=Budget(tokens=100)))
    assert meter.take(Usage(40, 20))
    assert not meter.take(Usage(90, 20))
    with ThreadPoolExecutor(1) as other:
        # Both together do not fit; it waits until the first has taken less than was set aside.
        waiting = other.submit(meter.take, Usage(40, 20))
        assert not waiting.done()
        meter.settle(Usage(40, 20), Usage(10, 5))
        assert waiting.result(10)
    assert meter.used == Usage(10, 5)
    meter.settle(Usage(40, 20), Usage(40, 20))
    assert not meter.take(Usage(40, 20))


def test_steps_within_steps_become_those_of_a_spec() -> None:
    read = [{"op": "path", "path": ".sku"}]
    steps = [
        {"op": "join", "parts": [read, [*read, {"op": "trim"}]], "with": "-"},
        {"op": "when", "if": {"test": "in", "path": "order.total", "values": ["1", "2"]}, "then": read, "else": None},
        {"op": "when", "if": {"test": "present", "path": ".sku"}, "then": read, "else": read},
        {"op": "when", "if": {"test": "gt", "path": "order.total", "value": "9"}, "then": read, "else": read},
    ]
    wire = steps_kind(operations_for("text"), PATHS, ["as_written"])
    made = plain_steps(read_answer(wire, json.dumps({"steps": steps, "why": ""})))
    sku = [{"path": ".sku"}]
    assert made == [
        {"join": {"parts": [sku, [*sku, {"trim": None}]], "with": "-"}},
        {"when": {"if": {"in": ["order.total", ["1", "2"]]}, "then": sku}},
        {"when": {"if": {"present": ".sku"}, "then": sku, "else": sku}},
        {"when": {"if": {"gt": ["order.total", "9"]}, "then": sku, "else": sku}},
    ]
    FieldRule.model_validate({"steps": made})


def test_steps_nest_once() -> None:
    inner: dict[str, Any] = {"op": "path", "path": ".sku"}
    for _ in range(2):
        inner = {"op": "when", "if": {"test": "present", "path": ".sku"}, "then": [inner], "else": None}
    wire = steps_kind(operations_for("text"), PATHS, ["as_written"])
    with pytest.raises(TroubleError):
        read_answer(wire, json.dumps({"steps": [inner], "why": ""}))


@pytest.mark.parametrize(
    ("step", "told"),
    [
        ({"op": "eval", "code": "1"}, "steps.0.op: none of those on offer"),
        ({"op": "path", "path": "secret"}, "steps.0.Op_path.path"),
        ({"op": "join", "parts": [], "with": ""}, "steps.0.Op_join.parts: list should have at least 2 items"),
    ],
)
def test_the_error_sent_back_is_of_the_operation_that_was_meant(step: dict[str, Any], told: str) -> None:
    wire = steps_kind(operations_for("text"), PATHS, ["as_written"])
    with pytest.raises(TroubleError) as caught:
        read_answer(wire, json.dumps({"steps": [step], "why": ""}))
    assert told in caught.value.detail
