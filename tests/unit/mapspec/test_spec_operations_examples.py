"""Every operation shows what it does, the shown is true, and the page of operations is made from it."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from mapspec.chains import chain_type
from mapspec.conditions import fold
from mapspec.errors import TransformError
from mapspec.numbers import Money, exactly
from mapspec.ops import CATALOGUE, CompileContext, Example, Operation, Output, Table, bind_chain, parse_step, write_step
from mapspec.ops.page import operations_page
from mapspec.paths import Scope, parse_path

PAGE = Path(__file__).parents[3] / "docs/spec-operations.md"
EXAMPLES = [
    pytest.param(kind, example, id=f"{name}-{position}")
    for name, kind in CATALOGUE.items()
    for position, example in enumerate(kind.examples)
]
SUPPLIES = {"default", "append", "count"}  # give something where nothing came


def run(kind: type[Operation], example: Example) -> Any:
    tables = {name: Table(name, rows, "hold", None) for name, rows in example.tables.items()}
    lookups = {step: parse_path(path) for step, path in example.lookups.items()}
    context = CompileContext(tables, example.settings, "shop/order-to-invoice", lookups)
    item = None if example.each is None else example.record[example.each][example.index]
    scope = Scope(example.record, example.settings, dict(example.values).get, item, example.index)
    if example.found is not None:
        scope.found = {(step, fold(value)): row for step in lookups for value, row in example.found.items()}
    with exactly():
        return bind_chain([parse_step({kind.name: example.argument})], context)(example.value, scope)


@pytest.mark.parametrize(("kind", "example"), EXAMPLES)
def test_an_example_is_true(kind: type[Operation], example: Example) -> None:
    if example.refused is None:
        made = run(kind, example)
        assert made == example.gives
        assert type(made) is type(example.gives)
        if isinstance(made, Decimal):
            assert str(made) == str(example.gives)
        return
    with pytest.raises(TransformError) as caught:
        run(kind, example)
    assert caught.value.reason == example.refused
    assert caught.value.message.startswith(f"step 1 ({kind.name}): ") or "element " in caught.value.message
    if isinstance(example.value, str) and len(example.value) > 2:
        assert example.value not in caught.value.message


@pytest.mark.parametrize(("kind", "example"), EXAMPLES)
def test_an_example_gives_the_type_it_promises(kind: type[Operation], example: Example) -> None:
    if example.refused is not None or example.gives is None or isinstance(example.gives, Output):
        return
    given = chain_type([parse_step({kind.name: example.argument})], "any")
    names: dict[type, set[str]] = {
        str: {"text"}, int: {"int"}, bool: {"bool"}, Decimal: {"decimal"}, date: {"date"}, datetime: {"instant"},
        Money: {"money"}, list: {"list"}, dict: {"object"},
    }  # fmt: skip
    assert given in names[type(example.gives)] | {"any"}


@pytest.mark.parametrize(("kind", "example"), EXAMPLES)
def test_an_example_survives_being_written(kind: type[Operation], example: Example) -> None:
    parsed = parse_step({kind.name: example.argument})
    assert parse_step(write_step(parsed)) == parsed
    assert write_step(parse_step(write_step(parsed))) == write_step(parsed)


@pytest.mark.parametrize("name", CATALOGUE)
def test_every_operation_is_described_and_has_an_example(name: str) -> None:
    kind = CATALOGUE[name]
    assert kind.examples
    assert kind.__doc__
    assert kind.__doc__ != Operation.__doc__
    assert kind.__doc__.strip().endswith(".")


@pytest.mark.parametrize("name", sorted(set(CATALOGUE) - SUPPLIES))
def test_nothing_stays_nothing(name: str) -> None:
    kind = CATALOGUE[name]
    if kind.source:
        return
    for example in kind.examples:
        step = parse_step({name: example.argument})
        if step.starts() or "default" in step.arguments():
            continue
        tables = {table: Table(table, rows, "hold", None) for table, rows in example.tables.items()}
        bound = step.bind(CompileContext(tables=tables, spec="shop/order-to-invoice"))
        assert bound(None, Scope({}, {}, {}.get)) is None


@pytest.mark.parametrize("name", CATALOGUE)
@pytest.mark.parametrize("value", [1.5, [1.5], {"a": 1.5}])
def test_no_float_comes_out(name: str, value: Any) -> None:
    """Lists and objects pass their elements on as they are; a single float is refused or never looked at."""
    kind = CATALOGUE[name]
    if kind.source or kind.takes in (("any",), ("list",), ("object",)):
        return
    for example in kind.examples:
        step = parse_step({name: example.argument})
        tables = {table: Table(table, rows, "hold", None) for table, rows in example.tables.items()}
        bound = step.bind(CompileContext(tables=tables, spec="shop/order-to-invoice"))
        with pytest.raises(TransformError):
            bound(value, Scope(example.record, {}, {}.get))


def test_the_page_is_what_the_code_says() -> None:
    assert PAGE.read_text(encoding="utf-8") == operations_page(), (
        "run: python -m mapspec.ops.page > docs/spec-operations.md"
    )
