"""The JSON Schema for editors: published as generated, complete, and of one mind with the loader."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from mapspec import SpecError, load_spec
from mapspec.ops import CATALOGUE, parse_step, write_step
from mapspec.schema import SCHEMA_ID, schema_text, spec_schema
from mapspec.validations import CHECKS

ROOT = Path(__file__).parents[3]
SHIPPED = sorted((ROOT / "mappings/clarity-freshbooks").glob("*.yaml"))
SCHEMA = spec_schema()  # made from all models, which takes a while; only read
VALIDATOR = Draft202012Validator(SCHEMA)
OPERATION = Draft202012Validator({"$ref": "#/$defs/Operation", "$defs": SCHEMA["$defs"]})
HEAD = "spec: a/b\nsource: {system: s, entity: e}\ntargets: {client: freshbooks/client}\n"


def problems(text: str) -> list[str]:
    """What an editor, which reads YAML 1.2 with its types, finds."""
    return [error.message for error in VALIDATOR.iter_errors(yaml.safe_load(text))]


def test_the_published_schema_is_the_generated_one() -> None:
    published = (ROOT / "mapspec/data/spec.schema.json").read_text(encoding="utf-8")
    assert published == schema_text(), "run: mapper schema --out mapspec/data/spec.schema.json"


def test_the_schema_is_a_schema_without_an_address_of_any_machine() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$id"] == SCHEMA_ID == "urn:mapper-ai:spec:1"
    text = schema_text()
    assert text.count("://") == text.count("https://json-schema.org/draft/2020-12/schema") == 1


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_specs_fit(path: Path) -> None:
    assert len(SHIPPED) == 9
    assert problems(path.read_text(encoding="utf-8")) == []


def test_every_operation_and_check_can_be_completed_and_explains_itself() -> None:
    defs = SCHEMA["$defs"]
    assert list(defs["Operation"]["properties"]) == list(CATALOGUE)
    assert [name for name in defs["Check"]["properties"] if name != "on_fail"] == list(CHECKS)
    for name, entry in (*defs["Operation"]["properties"].items(), *defs["Check"]["properties"].items()):
        assert entry["description"], name
        assert "`" not in entry["description"]


@pytest.mark.parametrize("name", list(CATALOGUE))
def test_the_examples_of_an_operation_fit(name: str) -> None:
    for example in CATALOGUE[name].examples:
        step = {name: example.argument}
        assert [error.message for error in OPERATION.iter_errors(step)] == []
        assert [error.message for error in OPERATION.iter_errors(write_step(parse_step(step)))] == []


RULES = [
    ("steps: [{trim: }]", True),
    ("steps: [{trim: x}]", False),
    ("steps: [{trimm: }]", False),
    ("steps: [{path: a, trim: }]", False),
    ("steps: [{path: }]", False),
    ("steps: [{const: 5}]", True),
    ("steps: [{max_length: 5}]", True),
    ("steps: [{max_length: {n: '5', over: truncate}}]", True),
    ("steps: [{max_length: 0}]", False),
    ("steps: [{max_length: {n: 5, ower: error}}]", False),
    ("steps: [{case: title}]", False),
    ("steps: [{when: {if: {in: [a, [b]]}, then: [{const: x}]}}]", True),
    ("steps: [{when: {if: {in: [a, [b]], present: c}, then: [{const: x}]}}]", False),
    ("steps: [{when: {if: {present: c}}}]", False),
    ("steps: [{join: {parts: [[{path: a}]], with: ' '}}]", True),
    ("steps: [{join: [[{pth: a}]]}]", False),
    ("steps: []\n    required: yes", True),
    ("steps: []\n    required: maybe", False),
    ("steps: []\n    check: [{format: email, on_fail: warn}]", True),
    ("steps: []\n    check: [{format: mail}]", False),
    ("steps: []\n    check: [{on_fail: warn}]", False),
    ("steps: []\n    check: [{format: email, max_length: 5}]", False),
    ("steps: []\n    check: [{integer: }, {integer: {from: 1}}, {unique_in_list: }, {unique_in_list: exact}]", True),
    ("steps: []\n    check: [{integer: {form: 1}}]", False),
    ("steps: []\n    check: [{date_window: {from: '2020-01-01', to: {path: a, days: -3}}}]", True),
    ("steps: []\n    check: [{between: [0]}]", False),
    ("each: items[]\n    fields: {qty: {steps: []}}", True),
    ("each: items[]\n    steps: []", False),
    ("origin: {by: me}\n    steps: []", False),
]


@pytest.mark.parametrize(("rule", "fits"), RULES)
def test_schema_and_loader_agree(rule: str, fits: bool) -> None:
    text = f"{HEAD}fields:\n  client.x:\n    {rule}\n"
    assert (problems(text) == []) is fits, problems(text)
    assert loads(text) is fits


@pytest.mark.parametrize(
    ("member", "fits"),
    [
        ("format: 1", True),
        ("format: 2", False),
        ("version: 0", False),
        ("colour: red", False),
        ("gate: [{id: a, do: skip, when: {present: $}, reason: r}]", True),
        ("gate: [{id: a, do: stop, when: {present: $}, reason: r}]", False),
        ("flow: [{id: a, do: create_once, target: client, key: ['{id}']}]", True),
        ("flow: [{id: a, do: create_once, target: client}]", False),
        ("flow: [{id: a, do: lookup, entity: item, match: [sku]}]", False),
        ("assertions: [{id: a, equal: [a, {sum: [b, {negate: c}]}], within: 0.01, message: m}]", True),
        ("assertions: [{id: a, equal: [a, {product: [b]}], message: m}]", False),
        ("assertions: [{id: a, message: m}]", False),
        ("assertions: [{id: a, unique: 'b[].c', not_empty: 'b[]', message: m}]", False),
        ("assertions: [{id: a, required_together: [b], message: m}]", False),
        ("assertions: [{id: a, predicted_total: {lines: 'client.x[]', total: t, currency: c}, message: m}]", True),
        ("assertions: [{id: a, predicted_total: {lines: x, total: t, currency: c}, message: m}]", False),
        ("tables: {t: {rows: {a: 1, b: true}, missing: keep}}", True),
        ("tables: {t: {rows: {a: [1]}}}", False),
    ],
)
def test_schema_and_loader_agree_on_the_spec(member: str, fits: bool) -> None:
    text = HEAD + member + "\n"
    assert (problems(text) == []) is fits, problems(text)
    assert loads(text) is fits


def loads(text: str) -> bool:
    try:
        load_spec(text)
    except SpecError:
        return False
    return True


def test_a_members_words_are_one_line() -> None:
    def walk(value: Any) -> None:
        if isinstance(value, dict):
            if isinstance(value.get("description"), str):
                assert "\n" not in value["description"]
            for part in value.values():
                walk(part)
        elif isinstance(value, list):
            for part in value:
                walk(part)

    walk(SCHEMA)
