"""A spec as one quick function: the drafts are those of going step by step, and no text of a spec is in it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from connectors.http import loads
from connectors.sandbox import generator
from connectors.sandbox.generator_cef import cef_batch
from mapspec import compile_spec, load_spec
from mapspec.lines import price_thoroughly
from mapspec.numbers import exactly
from mapspec.ops import CATALOGUE, CompileContext, Example, Operation, parse_step, write_step
from mapspec.ops.base import Table
from mapspec.order_parts import OrderMoney, PricedOrder
from mapspec.ordinary import price_ordinary
from mapspec.quick.record import _Writer
from tests.two_ways import assert_same, both_ways

SHIPPED = sorted(Path("mappings").glob("clarity-*freshbooks/*.yaml"))
ORDERS = Path("mappings/clarity-freshbooks/order-to-invoice.yaml")
CEF_ORDERS = Path("mappings/clarity-cef-freshbooks/order-to-invoice.yaml")
EXAMPLES = [(kind, example) for kind in CATALOGUE.values() for example in kind.examples]


def generated(seed: int, count: int) -> list[Any]:
    return [loads(generator.dumps_exact(case.order)) for case in generator.generate(seed, count)]


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: f"{file.parent.name}-{file.stem}")
def test_every_shipped_spec_has_a_quick_function(file: Path) -> None:
    compiled = compile_spec(load_spec(file.read_text(encoding="utf-8")))
    compiled.warm_up()
    assert compiled._quick is not None


@pytest.mark.parametrize("seed", [3, 4])
def test_nearly_all_orders_are_mapped_quickly_and_as_step_by_step(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = compile_spec(load_spec(ORDERS.read_text(encoding="utf-8")))
    priced = []

    def price_both_ways(order: OrderMoney) -> PricedOrder | None:
        found = price_ordinary(order)
        if found is not None:
            priced.append(found)
            assert repr(found) == repr(price_thoroughly(order))
        return found

    monkeypatch.setattr("mapspec.lines.price_ordinary", price_both_ways)
    answered = 0
    for order in generated(seed, 300):
        quick, thorough = both_ways(compiled, order)
        assert_same(quick, thorough)
        answered += quick is not None
    assert answered > 270
    assert len(priced) > 2 * 150  # of the orders that go through, more than half


ODD = [
    None,
    "",
    " ",
    "  x ",
    0,
    1,
    True,
    Decimal("-0.50"),
    [],
    ["x"],
    {},
    {"a": 1},
    "Tee \U0001f375",
    "a\nb",
    "<b>x</b>",
]


def leaves(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The places of everything in a record, objects and lists included."""
    if place:
        yield place
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, member in inner:
        yield from leaves(member, (*place, name))


@pytest.mark.parametrize("name", ["plain-card", "two-taxes", "order-discount", "guest-without-email"])
def test_every_member_of_an_order_may_be_odd(name: str) -> None:
    compiled = compile_spec(load_spec(ORDERS.read_text(encoding="utf-8")))
    text = Path(f"fixtures/clarity/order__{name}.json").read_bytes()
    for place in leaves(loads(text)):
        for value in ODD:
            order = loads(text)
            inside = order
            for step in place[:-1]:
                inside = inside[step]
            inside[place[-1]] = value
            assert_same(*both_ways(compiled, order))


def test_every_member_of_an_order_of_the_framework_may_be_odd() -> None:
    compiled = compile_spec(load_spec(CEF_ORDERS.read_text(encoding="utf-8")))
    text = Path("fixtures/clarity-cef/order__line-discount.json").read_bytes()
    for place in leaves(loads(text)):
        for value in ODD:
            order = loads(text)
            inside = order
            for step in place[:-1]:
                inside = inside[step]
            inside[place[-1]] = value
            assert_same(*both_ways(compiled, order))


def test_nearly_all_orders_of_the_framework_are_mapped_quickly_and_as_step_by_step() -> None:
    compiled = compile_spec(load_spec(CEF_ORDERS.read_text(encoding="utf-8")))
    orders = [loads(generator.dumps_exact(case.order)) for case in cef_batch(generator.generate(3, 300)).cases]
    answers = [both_ways(compiled, order) for order in orders]
    for quick, thorough in answers:
        assert_same(quick, thorough)
    assert sum(quick is not None for quick, _ in answers) > 0.8 * len(orders)


def test_a_wrong_quick_function_is_seen() -> None:
    compiled = compile_spec(load_spec(ORDERS.read_text(encoding="utf-8")))
    compiled.warm_up()
    right = compiled._quick
    assert right is not None
    (order,) = [o for o in generated(3, 40) if o["orderNumber"]][:1]
    compiled._quick = lambda record: replace(found, number="other") if (found := right(record)) else None
    with exactly():
        quick, thorough = compiled.quick(order), compiled.thorough(order)
    with pytest.raises(AssertionError):
        assert_same(quick, thorough)


def spec_of(chain: list[dict[str, Any]], example: Example, target: str = "invoice.x") -> str:
    fields: dict[str, Any] = {target: {"steps": chain}}
    if example.each:
        fields = {"invoice.lines[]": {"each": f"{example.each}[]", "fields": {"x": {"steps": chain}}}}
    return dumped(
        {
            "spec": "test/quick",
            "source": {"system": "shop", "entity": "order"},
            "targets": {"invoice": "freshbooks/invoice"},
            "settings": dict(example.settings),
            "tables": {name: {"rows": dict(rows)} for name, rows in example.tables.items()},
            "values": {name: {"steps": [{"path": f"_{name}"}]} for name in example.values},
            "flow": [{"id": "invoice", "do": "create_once", "target": "invoice", "key": ["{id}"]}],
            "fields": fields,
        }
    )


def dumped(data: Any) -> str:
    """Data as a spec's text, in which nothing is written as nothing."""
    return json.dumps(data, default=str).replace(": null}", ": }")


@pytest.mark.parametrize(("kind", "example"), EXAMPLES, ids=lambda value: getattr(value, "name", ""))
def test_every_operation_gives_the_same_both_ways(kind: type[Operation], example: Example) -> None:
    step = write_step(parse_step({kind.name: example.argument}))
    chain = [step] if kind.source and not isinstance(example.value, str) else [{"path": "given"}, step]
    compiled = compile_spec(load_spec(spec_of(chain, example)))
    record = {"id": "7", **example.record, **{f"_{name}": v for name, v in example.values.items()}}
    odd: list[Any] = [
        " ",
        "",
        12,
        Decimal("-0.50"),
        True,
        "Nu\u0301n\u0303ez \U0001f375",
        [example.value],
        {"a": 1},
    ]
    for value in [example.value, *odd]:
        assert_same(*both_ways(compiled, {**record, "given": value}))
    assert_same(*both_ways(compiled, record))


def test_no_text_of_a_spec_becomes_part_of_the_source() -> None:
    plain = load_spec(ORDERS.read_text(encoding="utf-8"))
    hostile = load_spec(
        ORDERS.read_text(encoding="utf-8")
        .replace("Guest sales", "'''\\n__import__('os')#")
        .replace("billingAddress", "b__import__('os')")
        .replace("Clarity customer", '\\"\\"\\"); raise SystemExit')
    )
    assert source_of(hostile) == source_of(plain)
    assert "import" not in source_of(hostile)


def source_of(spec: Any) -> str:
    tables = {name: Table(name, table.rows, table.missing, table.default) for name, table in spec.tables.items()}
    context = CompileContext(tables=tables, settings=spec.settings, spec=spec.spec)
    return _Writer(spec, context, with_scope=True).code.source()


def test_many_threads_may_use_a_spec_while_it_warms_up() -> None:
    orders = generated(5, 60)
    alone = compile_spec(load_spec(ORDERS.read_text(encoding="utf-8")))
    expected = [repr(alone.apply(order)) for order in orders]
    shared = compile_spec(load_spec(ORDERS.read_text(encoding="utf-8")))
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda order: repr(shared.apply(order)), orders)) == expected
