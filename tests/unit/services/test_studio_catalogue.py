"""Whatever the catalogue holds: a spec is carried over to another source whole, and its sources are known."""

from __future__ import annotations

from typing import Any

import pytest

from mapper_ai.services.rewrite import rewrite_spec
from mapper_ai.services.sources import part_sources
from mapspec import MappingSpec, TransformError
from mapspec.check_reads import reads_of
from mapspec.conditions import fold
from mapspec.model import RECORD_RULES
from mapspec.numbers import exactly
from mapspec.ops import CATALOGUE, CompileContext, Example, Operation, Table, bind_chain
from mapspec.paths import Scope
from mapspec.validations import CHECKS, parse_check

EXAMPLES = [
    pytest.param(name, example, id=f"{name}-{position}")
    for name, kind in CATALOGUE.items()
    for position, example in enumerate(kind.examples)
]


def renamed(value: Any) -> Any:
    """The same record in a shop that calls everything otherwise."""
    if isinstance(value, dict):
        rows = {"key", "value"} == set(value)  # custom attributes go by their name
        return {key if rows else f"new_{key}": renamed(inner) for key, inner in value.items()}
    return [renamed(inner) for inner in value] if isinstance(value, list) else value


def without_names(value: Any) -> Any:
    """What stands in objects, in order: what an operation gives may hold whole parts of the record."""
    if isinstance(value, dict):
        return [without_names(inner) for inner in value.values()]
    return [without_names(inner) for inner in value] if isinstance(value, list) else value


def leaves(value: Any, path: str = "") -> list[str]:
    """Every leaf of a record in the dotted notation."""
    if isinstance(value, dict):
        return [leaf for key, inner in value.items() for leaf in leaves(inner, f"{path}.{key}" if path else key)]
    if isinstance(value, list):
        return [leaf for inner in value or [None] for leaf in leaves(inner, path + "[]")]
    return [path]


def new_name(path: str) -> str:
    return ".".join(f"new_{name}" for name in path.split("."))


def spec_of(name: str, example: Example) -> MappingSpec:
    step = {name: example.argument}
    rule = {"steps": [step] if CATALOGUE[name].source or example.value is None else [{"list": "at[]"}, step]}
    if CATALOGUE[name].takes != ("list",) and not CATALOGUE[name].source:
        rule = {"steps": [{"path": "at"}, step]}
    fields: dict[str, Any] = {"invoice.made": rule}
    if example.each is not None:
        fields = {"invoice.made[]": {"each": f"{example.each}[]", "fields": {"made": rule}}}
    flow = [
        {"id": key, "do": "lookup", "entity": "item", "match": ["sku"], "value": path,
         **({"each": f"{example.each}[]"} if example.each else {})}
        for key, path in example.lookups.items()
    ]  # fmt: skip
    flow.append({"id": "client", "do": "find", "entity": "client", "key": ["{id}"]})
    return MappingSpec.model_validate(
        {
            "spec": "shop/order",
            "source": {"system": "s", "entity": "order"},
            "targets": {"invoice": "freshbooks/invoice"},
            "settings": dict(example.settings),
            "tables": {table: {"rows": dict(rows)} for table, rows in example.tables.items()},
            "flow": flow,
            "values": {key: {"steps": [{"const": "x"}]} for key in example.values},
            "fields": fields,
        }
    )


def outcome(spec: MappingSpec, record: dict[str, Any], example: Example) -> Any:
    context = CompileContext(
        {name: Table(name, rows, "hold", None) for name, rows in example.tables.items()},
        example.settings,
        "shop/order-to-invoice",
        {step.id: step.value for step in spec.flow if step.value is not None},
    )
    scope = Scope(record, example.settings, dict(example.values).get)
    for block in spec.blocks().values():
        scope.item, scope.index = record[block.each.segments[0][0]][example.index], example.index
    if example.found is not None:
        scope.found = {(step, fold(key)): row for step in example.lookups for key, row in example.found.items()}
    try:
        with exactly():
            return bind_chain(made(spec), context)(None, scope)
    except TransformError as error:
        return ("refused", error.reason)


def made(spec: MappingSpec) -> tuple[Operation, ...]:
    return next(rule.steps for part, rule in spec.rules().items() if part.endswith("made"))


@pytest.mark.parametrize(("name", "example"), EXAMPLES)
def test_every_operation_gives_the_same_of_another_source(name: str, example: Example) -> None:
    record = {"id": "1", **example.record}
    if not CATALOGUE[name].source and example.value is not None:
        record["at"] = example.value
    found = {path: new_name(path) for path in leaves(record) if "customAttributes" not in path}
    found["customAttributes.po"] = "new_customAttributes.po"
    old = spec_of(name, example)
    for read in reads_of(old):  # what examples read and do not have
        path = read.path.source_path(read.each or "")
        if "customAttributes" not in path:
            path += ".x" if path.endswith("[]") else ""
            found.setdefault(path, new_name(path))
    new, told = rewrite_spec(old, found)
    assert told == []
    before = outcome(old, record, example)
    other = renamed(record)
    if CATALOGUE[name].takes == ("object",) and "at" in record:
        other["new_at"] = record["at"]  # the members of an object at hand are data, not places in the record
    after = outcome(new, other, example)
    assert without_names(after) == without_names(before)
    for read in reads_of(new):
        if read.path.root in ("record", "item") and read.path.segments and read.each is not None:
            assert read.path.source_path(read.each).startswith("new_")
        elif read.path.root == "record" and read.path.segments:
            assert read.path.source_path().startswith("new_")


@pytest.mark.parametrize(("name", "example"), EXAMPLES)
def test_every_path_an_operation_reads_is_among_its_sources(name: str, example: Example) -> None:
    spec = spec_of(name, example)
    part = next(part for part in spec.rules() if part.endswith("made"))
    known = part_sources(spec, part)
    wanted = {
        read.path.source_path(read.each or "")
        for read in reads_of(spec)
        if read.part == part and read.path.root in ("record", "item")
    }
    assert wanted <= {*known, ""}
    if example.lookups:
        assert known


RULES: dict[str, Any] = {
    "equal": ["a", {"sum": ["rows[].x", {"negate": "b"}]}],
    "at_most": [{"path": "rows[].x", "where": {"present": ".y"}}, "a"],
    "same_text": ["a", "b"],
    "required_together": ["a", "rows[].x"],
    "one_of_present": ["gone", "a"],
    "not_empty": "rows[]",
    "unique": "rows[].x",
    "predicted_total": {"lines": "invoice.lines[]", "total": "a", "currency": "b"},
}
FOUND = {"id": "n_id", "a": "n_a", "b": "n_b", "rows[].x": "n_rows[].n_x", "rows[].y": "n_rows[].n_y"}


def with_rules(**members: Any) -> MappingSpec:
    head = {"spec": "a/b", "source": {"system": "s", "entity": "e"}, "targets": {"client": "freshbooks/client"}}
    return MappingSpec.model_validate(head | members)


@pytest.mark.parametrize("name", RECORD_RULES)
def test_every_assertion_reads_the_new_source_or_is_left_out_and_told(name: str) -> None:
    spec = with_rules(assertions=[{"id": "a", "message": "m", name: RULES[name]}])
    new, told = rewrite_spec(spec, FOUND)
    assert told == []
    assert len(new.assertions) == 1
    assert all(read.path.source_path(read.each or "").startswith("n_") for read in reads_of(new))
    assert set(part_sources(spec, "flow")) >= {"a"} or name in ("not_empty", "unique")
    left, told = rewrite_spec(spec, {"id": "n_id"})
    assert left.assertions == ()
    assert [part for part, _ in told] == ["flow"]


def test_every_check_that_reads_a_field_reads_the_new_one() -> None:
    window = {"date_window": {"from": {"path": "a", "days": "-3"}, "to": "gone"}}
    reading = {name for name, kind in CHECKS.items() if kind.paths is not CHECKS["enum"].paths}
    assert reading == {"date_window"}
    spec = with_rules(
        fields={"client.note": {"steps": [{"path": "b"}], "check": [window, {"date_window": {"to": "gone"}}]}}
    )
    assert part_sources(spec, "client.note") == ("b", "a", "gone")
    new, _ = rewrite_spec(spec, FOUND)
    rule = new.rules()["client.note"]
    assert rule.check == (parse_check({"date_window": {"from": {"path": "n_a", "days": "-3"}}}),)
