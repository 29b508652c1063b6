"""Payloads against what a spec reads: what is told, what is not, and how often."""

from __future__ import annotations

import copy
from decimal import Decimal
from typing import Any

from mapspec import load_spec
from mapspec.drift import Drift, compare, compare_one, expected_shape

SPEC = """
spec: acme/order-to-invoice
source: {system: acme, entity: order, number: orderNumber}
targets: {invoice: freshbooks/invoice}
tables:
  kinds: {rows: {card: Credit Card, cash: Cash}, missing: default, default: Other}
  terms: {rows: {Net 30: "30"}, missing: keep}
gate:
  - {id: cancelled, do: skip, when: {in: [status, [cancelled]]}, reason: no}
flow:
  - {id: invoice, do: create_once, target: invoice, key: ["{id}"]}
fields:
  invoice.create_date:
    required: true
    steps: [{coalesce: [orderDate, createdAt]}]
  invoice.terms:
    required: true
    steps: [{path: terms}, {lookup_table: terms}, {default: none}]
  invoice.notes:
    steps: [{path: notes}]
  invoice.kind:
    steps: [{path: payment.method}, {lookup_table: kinds}]
  invoice.lines[]:
    each: lineItems[]
    fields:
      qty:
        required: true
        steps: [{path: .quantity}, {decimal: }]
ignored:
  - {source: internal, reason: not ours}
"""
RECORD: dict[str, Any] = {
    "id": "1",
    "orderNumber": "A-1",
    "orderDate": "2026-11-01",
    "status": "paid",
    "terms": "Net 30",
    "notes": None,
    "payment": {"method": "Card"},
    "lineItems": [{"quantity": Decimal("1.5")}, {"quantity": 2}],
    "internal": {"anything": 1},
}


def _records(count: int = 8, **changes: Any) -> list[dict[str, Any]]:
    return [copy.deepcopy(RECORD) | {"id": str(n)} | copy.deepcopy(changes) for n in range(count)]


def _told(found: list[Drift]) -> list[tuple[str, str, str]]:
    return [(row.kind, row.path, row.detail) for row in found]


def test_records_like_the_earlier_ones_differ_in_nothing() -> None:
    shape = expected_shape(load_spec(SPEC), earlier=_records())
    assert compare(shape, _records()) == []


def test_a_new_object_is_told_once_and_not_by_its_members() -> None:
    shape = expected_shape(load_spec(SPEC), earlier=_records())
    found = compare(shape, _records(loyalty={"tier": "gold", "points": {"now": 1}}))
    assert found == [Drift("new", "loyalty", "object", (), 8, 8)]


def test_a_new_member_of_a_list_element_has_the_lists_path() -> None:
    shape = expected_shape(load_spec(SPEC), earlier=_records())
    lines = [{"quantity": 1, "gift": True}, {"quantity": 2, "gift": None}]
    assert _told(compare(shape, _records(lineItems=lines))) == [("new", "lineItems[].gift", "bool")]


def test_what_a_required_field_is_made_of_is_missing_only_when_every_stand_in_is() -> None:
    shape = expected_shape(load_spec(SPEC))
    gone = {name: value for name, value in RECORD.items() if name != "orderDate"}
    assert [row for row in compare_one(shape, gone) if row.kind == "missing"] == [
        Drift("missing", "orderDate", "", ("invoice.create_date",))
    ]
    assert not [row for row in compare_one(shape, gone | {"createdAt": "2026-11-02"}) if row.kind == "missing"]


def test_a_field_whose_every_reader_has_a_stand_in_is_not_missing() -> None:
    shape = expected_shape(load_spec(SPEC), earlier=_records())
    gone = [{k: v for k, v in row.items() if k != "orderDate"} | {"createdAt": "2026-11-02"} for row in _records()]
    assert [row.path for row in compare(shape, gone) if row.kind == "missing"] == []


def test_an_optional_field_is_missing_when_all_had_it_and_none_has_it_now() -> None:
    shape = expected_shape(load_spec(SPEC), earlier=_records(notes="leave at dock"))
    assert _told(compare(shape, _records())) == [("missing", "notes", "")]
    assert compare(shape, _records() + _records(1, notes="ring")) == []


def test_a_field_that_half_of_the_records_had_is_not_missing_from_three() -> None:
    shape = expected_shape(load_spec(SPEC), earlier=_records(4, notes="ring") + _records(4))
    assert compare(shape, _records(3)) == []
    assert _told(compare(shape, _records(8))) == [("missing", "notes", "")]


def test_another_type_is_told_with_both_types_and_who_reads_it() -> None:
    shape = expected_shape(load_spec(SPEC), earlier=_records())
    found = compare(shape, _records(orderDate=1_793_000_000))
    assert found == [Drift("changed", "orderDate", "text -> number", ("invoice.create_date",), 8, 8)]


def test_a_list_that_became_an_object_is_one_change() -> None:
    shape = expected_shape(load_spec(SPEC), earlier=_records())
    found = compare(shape, _records(lineItems={"first": {"quantity": 1}}))
    assert _told(found) == [("changed", "lineItems[]", "list -> object")]


def test_a_word_that_a_table_does_not_have_is_told_unless_the_table_keeps_it() -> None:
    shape = expected_shape(load_spec(SPEC))
    found = compare_one(shape, RECORD | {"payment": {"method": " Klarna"}, "terms": "Net 45"})
    assert [(row.kind, row.path, row.detail) for row in found if row.kind == "value"] == [
        ("value", "payment.method", "klarna")
    ]


def test_words_of_a_condition_count_as_a_list_once_earlier_records_show_the_usual_ones() -> None:
    new = RECORD | {"status": "parked"}
    assert not [row for row in compare_one(expected_shape(load_spec(SPEC)), new) if row.kind == "value"]
    shape = expected_shape(load_spec(SPEC), earlier=_records())
    assert _told(compare_one(shape, new)) == [("value", "status", "parked")]
    assert compare_one(shape, RECORD | {"status": "Cancelled"}) == []


def test_long_texts_are_no_words() -> None:
    shape = expected_shape(load_spec(SPEC), earlier=_records())
    assert compare_one(shape, RECORD | {"status": "x" * 200}) == []


def test_rows_of_key_and_value_are_an_object() -> None:
    spec = load_spec(SPEC)
    shape = expected_shape(spec, earlier=_records(custom=[{"key": "campaign", "value": "a"}]))
    assert compare(shape, _records(custom={"campaign": "b"})) == []
    found = compare(shape, _records(custom=[{"key": "campaign", "value": "a"}, {"key": "dock", "value": "4"}]))
    assert _told(found) == [("new", "custom.dock", "text")]


def test_no_records_no_drift() -> None:
    assert compare(expected_shape(load_spec(SPEC), earlier=_records()), []) == []
