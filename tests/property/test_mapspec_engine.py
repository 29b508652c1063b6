"""Whatever a record holds: a draft comes back, within bounded work, and without a float in it."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from mapspec.codec import load_spec
from mapspec.drafts import Draft
from mapspec.engine import CompiledSpec, compile_spec
from mapspec.ops import Output

ROOT = Path(__file__).parents[2]
SPECS = {
    path.stem: compile_spec(load_spec(path.read_text(encoding="utf-8")))
    for path in sorted((ROOT / "mappings/clarity-freshbooks").glob("*.yaml"))
}
FIXTURES = [
    json.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)
    for path in sorted((ROOT / "fixtures/clarity").glob("order__*.json"))
]


def deep(depth: int) -> Any:
    value: Any = "x"
    for _ in range(depth):
        value = [value]
    return value


def deep_object(depth: int) -> Any:
    value: Any = {}
    for _ in range(depth):
        value = {"amount": value, "status": value}
    return value


HOSTILE: list[Any] = [
    None, True, False, 0, -1, 10**30, 10**5000, 1.5, float("nan"), float("inf"),
    Decimal("1e999999"), Decimal("-1e-999999"), Decimal("1e999999999"), Decimal("0e999999999"),
    Decimal("NaN"), Decimal("sNaN"), Decimal("Infinity"), Decimal("1." + "3" * 5000),
    "1e999999", "NaN", "-0", "", " ", "\x00", "\ud800", "captured", "true", "2026-03-01T00:00:00Z",
    "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00",
    "x" * 1_000_000, "<br" + " " * 99_000, "<!--" * 20_000, "&#" + "9" * 6000 + ";", "a" + "\u0315\u0300" * 40_000,
    [], {}, [[]], [None], [{}], ["x"], [True], [[{}]], deep(100_000), deep_object(500), [{"amount": {}}] * 3,
    {"key": "test", "value": "true"}, [{"key": "test", "value": deep(5000)}],
]  # fmt: skip


def names_of(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place of a record."""
    if isinstance(value, dict):
        return [at, *(place for key, inner in value.items() for place in names_of(inner, (*at, key)))]
    if isinstance(value, list):
        return [at, *(place for index, inner in enumerate(value) for place in names_of(inner, (*at, index)))]
    return [at]


def changed(record: Any, place: tuple[Any, ...], value: Any) -> Any:
    """A copy of a record with one place changed."""
    if not place:
        return value
    copy = dict(record) if isinstance(record, dict) else list(record)
    copy[place[0]] = changed(record[place[0]], place[1:], value)
    return copy


def assert_sound(draft: Draft) -> None:
    assert draft.decision in {"go", "skip", "wait", "hold"}
    assert (draft.decision == "go") == (not draft.reasons)
    for documents in draft.documents.values():
        for document in documents:
            assert_plain(document.body)
            json.dumps(document.body, default=lambda value: None).encode()
    for reason in (*draft.reasons, *draft.warnings):
        assert len(reason.message) < 2000
        assert "\n" not in reason.id


def assert_plain(value: Any) -> None:
    """Texts, whole numbers, booleans, and what later steps fill in; nothing inexact."""
    assert not isinstance(value, float | Decimal)
    if isinstance(value, dict):
        for inner in value.values():
            assert_plain(inner)
    elif isinstance(value, list):
        for inner in value:
            assert_plain(inner)
    else:
        assert isinstance(value, str | int | Output)


@pytest.mark.parametrize("name", list(SPECS))
def test_hostile_values_at_every_place_of_an_order(name: str) -> None:
    order = FIXTURES[0]
    places = names_of(order)
    for number, value in enumerate(HOSTILE):
        # each value at a third of the places, each place with a third of the values
        for place in places[number % 3 :: 3]:
            assert_sound(SPECS[name].apply(changed(order, place, value)))


scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.decimals(allow_nan=True, allow_infinity=True)
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["captured", "processing", "USD", "JPY", "2026-03-01", "10.00", "1e999999", "a@example.com"])
)
names = st.sampled_from(
    ["id", "orderNumber", "orderDate", "status", "currency", "customer", "email", "lineItems", "sku", "quantity",
     "unitPrice", "lineTotal", "taxLines", "rate", "amount", "name", "total", "subtotal", "taxTotal", "discountTotal",
     "shippingTotal", "shippingLines", "payments", "method", "paidAt", "paymentTerms", "price", "orderId",
     "customAttributes", "key", "value"]
)  # fmt: skip
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=8), max_leaves=25
)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(record=st.dictionaries(names, values, max_size=14))
@example(record={})
def test_any_record_gives_a_draft(record: dict[str, Any]) -> None:
    for spec in SPECS.values():
        assert_sound(spec.apply(record))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(order=st.sampled_from(FIXTURES), data=st.data())
def test_an_order_with_odd_members_gives_a_draft(order: dict[str, Any], data: st.DataObject) -> None:
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.sampled_from(names_of(order)))
        order = changed(order, place, data.draw(values))
    if isinstance(order, dict):
        assert_sound(SPECS["order-to-invoice"].apply(order))


OTHERS = [
    (flow, record)
    for flow, file in (
        ("customer-to-client", "customers"),
        ("payment-to-payment", "payments"),
        ("product-to-item", "products"),
    )
    for record in json.loads((ROOT / f"fixtures/clarity/{file}.json").read_text(encoding="utf-8"), parse_float=Decimal)
]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(chosen=st.sampled_from(OTHERS), data=st.data())
def test_any_other_record_with_odd_members_gives_a_draft(chosen: tuple[str, Any], data: st.DataObject) -> None:
    flow, record = chosen
    for _ in range(data.draw(st.integers(1, 3))):
        record = changed(record, data.draw(st.sampled_from(names_of(record)[1:] or [()])), data.draw(values))
    if isinstance(record, dict):
        assert_sound(SPECS[flow].apply(record))


def test_an_inexact_or_foreign_value_in_a_draft_would_be_seen() -> None:
    for bad in (1.5, Decimal("1.5"), {"a": [1.5]}, {"a": object()}):
        with pytest.raises(AssertionError):
            assert_plain({"lines": [{"x": bad}]})


class Counting(dict[str, Any]):
    """An order that counts how often its members are looked at."""

    looks = 0

    def get(self, key: str, default: Any = None) -> Any:
        Counting.looks += 1
        return super().get(key, default)


def looks_of(spec: CompiledSpec, lines: int) -> int:
    Counting.looks = 0
    order = {**FIXTURES[0], "lineItems": [Counting(FIXTURES[0]["lineItems"][0]) for _ in range(lines)],
             "payments": [Counting(FIXTURES[0]["payments"][0]) for _ in range(lines)]}  # fmt: skip
    assert_sound(spec.apply(order))
    return Counting.looks


def test_work_grows_with_the_lines_and_not_with_their_square() -> None:
    spec = SPECS["order-to-invoice"]
    few, many = looks_of(spec, 20), looks_of(spec, 400)
    assert many <= 25 * few


def test_applying_changes_nothing_and_gives_the_same_again() -> None:
    for order in FIXTURES:
        before = json.dumps(order, default=str)
        first, second = (SPECS["order-to-invoice"].apply(order) for _ in range(2))
        assert first == second
        assert json.dumps(order, default=str) == before
