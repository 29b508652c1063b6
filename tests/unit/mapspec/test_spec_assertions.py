"""Rules over a record: presence, uniqueness, and the total that FreshBooks will come to."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from mapspec import Draft, SpecError, compile_spec, load_spec
from mapspec.assertions import invoice_totals
from mapspec.errors import TransformError

SPEC = """\
spec: shop/flow
source: {system: s, entity: order}
targets: {invoice: freshbooks/invoice}
fields:
  invoice.discount_value:
    steps: [{path: discount}]
  invoice.lines[]:
    each: items[]
    fields:
      qty: {steps: [{path: .qty}, {decimal: }]}
      unit_cost: {steps: [{path: .price}, {money: $.code}]}
      taxName1: {steps: [{path: .tax1}]}
      taxAmount1: {steps: [{path: .rate1}, {decimal: }]}
      taxName2: {steps: [{path: .tax2}]}
      taxAmount2: {steps: [{path: .rate2}, {decimal: }]}
      compounded_tax: {steps: [{path: .compound}, {bool: }]}
assertions:
  - {id: rule, RULE, message: told}
"""
TOTAL = 'predicted_total: {lines: "invoice.lines[]", total: total, currency: code}'


def draft(rule: str, record: dict[str, Any]) -> Draft:
    return compile_spec(load_spec(SPEC.replace("RULE", rule))).apply({"id": "1", **record})


def agrees(rule: str, record: dict[str, Any]) -> bool:
    found = draft(rule, record)
    assert {reason.id for reason in found.reasons} <= {"rule"}, found.reasons
    return found.decision == "go"


@pytest.mark.parametrize(
    ("rule", "record", "holds"),
    [
        ("required_together: [a, b.c]", {}, True),
        ("required_together: [a, b.c]", {"a": "1", "b": {"c": 0}}, True),
        ("required_together: [a, b.c]", {"a": "1", "b": {"c": " "}}, False),
        ("one_of_present: [a, b]", {"b": "x"}, True),
        ("one_of_present: [a, 'b[].c']", {"a": "", "b": [{"c": None}]}, False),
        ("one_of_present: [a, 'b[].c']", {"b": [{}, {"c": "x"}]}, True),
        ("not_empty: 'b[]'", {"b": [{"c": "x"}]}, True),
        ("not_empty: 'b[]'", {"b": []}, False),
        ("not_empty: 'b[]'", {}, False),
        ("unique: 'b[].c'", {"b": [{"c": "x"}, {"c": "y"}, {}, {"c": ""}]}, True),
        ("unique: 'b[].c'", {"b": [{"c": "x"}, {"c": " X "}]}, False),
        ("unique: 'b[].c'", {}, True),
        ("same_text: [a, b]", {"a": "USD", "b": "usd"}, True),
        ("same_text: [a, b]", {"a": "USD", "b": "EUR"}, False),
        ("equal: [a, {sum: [b, c]}], within: 0.01", {"a": "3.00", "b": "1", "c": "2.01"}, True),
        ("equal: [a, {sum: [b, c]}], within: 0.01", {"a": "3.00", "b": "1", "c": "2.02"}, False),
        ("at_most: [a, b]", {"a": "3", "b": "2"}, False),
        ("required_together: [.x, .y], each: 'b[]'", {"b": [{"x": 1, "y": 2}, {"x": 1}]}, False),
        ("required_together: [.x, .y], each: 'b[]', when: {present: .y}", {"b": [{"x": 1, "y": 2}, {"x": 1}]}, True),
    ],
)
def test_rule(rule: str, record: dict[str, Any], holds: bool) -> None:
    assert agrees(rule, record) is holds


def test_a_miss_can_be_a_warning_only() -> None:
    found = draft("not_empty: 'b[]', on_fail: warn", {})
    assert (found.decision, [(w.id, w.message) for w in found.warnings]) == ("go", [("rule", "told")])


def test_uniqueness_of_what_is_no_text_is_told() -> None:
    found = draft("unique: 'b[].c'", {"b": [{"c": [1]}]})
    assert [(r.id, r.message) for r in found.reasons] == [("bad-value", "rule: expected a text, got a list of 1")]


LINES = [{"qty": "4", "price": "5.00", "tax1": "HST", "rate1": "13"}, {"qty": "6", "price": "4.00"}]
DIMES = [{"qty": 1, "price": "0.10", "tax1": "TX", "rate1": "8.25"}] * 3


@pytest.mark.parametrize(
    ("rule", "record", "holds"),
    [
        (TOTAL, {"items": LINES, "total": "46.60"}, True),
        (TOTAL, {"items": LINES, "total": "46.61"}, False),
        (TOTAL + ", within: 1", {"items": LINES, "total": "46.61"}, True),
        (TOTAL + ", within: 1", {"items": LINES, "total": "46.62"}, False),
        # facts §5: discount of 10 percent, tax on the discounted line
        (TOTAL, {"items": LINES, "total": "41.94", "discount": "10"}, True),
        # by line 0.33, by tax 0.32: the rounding rule decides
        (TOTAL, {"items": DIMES, "total": "0.33"}, True),
        (TOTAL, {"items": DIMES, "total": "0.32"}, True),
        (TOTAL.replace("}", ", rounding: every}"), {"items": DIMES, "total": "0.33"}, False),
        (TOTAL.replace("}", ", rounding: every}") + ", within: 1", {"items": DIMES, "total": "0.33"}, True),
        # 100 + 5 % + 10 % of 105, or of 100
        (TOTAL, {"items": [{"qty": 1, "price": "100", "rate1": "5", "rate2": "10", "compound": "true"}],
                 "total": "115.50"}, True),
        (TOTAL, {"items": [{"qty": 1, "price": "100", "rate1": "5", "rate2": "10"}], "total": "115.00"}, True),
        (TOTAL, {"items": [{"qty": 3, "price": "100"}], "total": "300", "code": "JPY"}, True),
        (TOTAL, {"items": [{"qty": 3, "price": "100"}], "total": "301", "code": "JPY"}, False),
        (TOTAL + ", when: {present: nothing}", {"items": LINES, "total": "1"}, True),
    ],
)  # fmt: skip
def test_predicted_total(rule: str, record: dict[str, Any], holds: bool) -> None:
    assert agrees(rule, {"code": "USD", **record}) is holds


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({"items": LINES, "total": "46.60"}, "currency-missing"),
        ({"items": LINES, "code": "USD"}, "bad-number"),
        ({"items": LINES, "code": "USD", "total": "much"}, "bad-number"),
        ({"items": [], "code": "USD", "total": "0"}, "no-lines"),
        ({"items": [{"qty": "1"}], "code": "USD", "total": "0"}, "bad-number"),
    ],
)
def test_what_cannot_be_added_up_is_held(record: dict[str, Any], reason: str) -> None:
    found = draft(TOTAL, record)
    assert found.decision == "hold"
    assert reason in {r.id for r in found.reasons}


def test_lines_that_are_held_already_are_not_held_twice() -> None:
    found = draft(TOTAL, {"items": [{"qty": "many", "price": "1"}], "code": "USD", "total": "5"})
    assert [r.target for r in found.reasons] == ["invoice.lines[].qty"]


def test_a_discount_may_be_rounded_once_or_by_line() -> None:
    body = {"discount_value": "10", "lines": [{"qty": "1", "unit_cost": {"amount": "0.05", "code": "USD"}}] * 3}
    # one tenth of 0.15 is 0.015: once 0.02 or 0.01, or 0.005 of each line
    assert Decimal("0.13") in invoice_totals(body, "lines", 2)
    assert Decimal("0.15") in invoice_totals(body, "lines", 2)


def test_a_line_that_is_no_object_is_told() -> None:
    with pytest.raises(TransformError, match="line 1 is no object"):
        invoice_totals({"lines": ["x"]}, "lines", 2)


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        ("equal: [a, b], unique: 'b[]'", "exactly one of equal, at_most"),
        ("unique: b", "a path through a list"),
        ("not_empty: b", "a path through a list"),
        ("required_together: [a]", "required_together"),
        (TOTAL + ", within: 0.5", "whole number of minor units"),
        (TOTAL + ", within: 1001", "whole number of minor units"),
        (TOTAL + ", each: 'b[]'", "remove 'each'"),
        (TOTAL.replace("invoice.lines[]", "invoice.lines"), "lines"),
    ],
)
def test_a_rule_that_says_nothing_is_refused(rule: str, told: str) -> None:
    with pytest.raises(SpecError) as caught:
        load_spec(SPEC.replace("RULE", rule))
    assert told in str(caught.value)
    assert caught.value.line == 18
