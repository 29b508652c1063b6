"""Money in several members of a line: parts of a quantity, a second price, rows of discounts, places of taxes."""

from __future__ import annotations

from typing import Any

import pytest

from mapspec import Draft, compile_spec, load_spec
from mapspec.errors import SpecError
from tests.two_ways import assert_same, both_ways

SPEC = """
spec: shop/orders
format: 1
source: {system: shop, entity: order}
targets: {invoice: freshbooks/invoice}
tables:
  rates: {rows: {US/Sales tax: "10", US-NY/City tax: "8", GB/VAT: "20", Levy: "2"}}
flow:
  - {id: invoice, do: create_once, target: invoice, key: ["{id}"]}
fields:
  invoice.lines[]:
    each: rows[]
    money:
      currency: currency
      quantity: .now
      more_quantity: [.later, .sold]
      unit_price: .price
      unit_price_else: .list
      total: $.total
      discounts: .rebates[]
      discount_amount: .off
      tax: .tax
      order_tax: $.tax
      rates: rates
      rates_place: place
    fields:
      qty: {steps: [{line_price: quantity}]}
      unit_cost: {steps: [{line_price: unit_cost}]}
      taxName1: {steps: [{line_price: tax_name_1}]}
assertions:
  - {id: overpaid, at_most: [{path: "paid[].by.sum", where: {equal: [.by.state, in]}}, total], message: too much}
"""
COMPILED = compile_spec(load_spec(SPEC))


def mapped(row: dict[str, Any], total: str, **rest: Any) -> Draft:
    record = {"id": "1", "currency": "USD", "total": total, "rows": [row], **rest}
    quick, thorough = both_ways(COMPILED, record)
    assert_same(quick, thorough)
    return thorough


def line(draft: Draft) -> dict[str, Any]:
    assert draft.decision == "go", draft.reasons
    (made,) = draft.documents["invoice"][0].body["lines"]
    return dict(made)


def test_parts_of_a_quantity_add_up() -> None:
    made = line(mapped({"now": "1", "later": "2", "sold": "0.5", "price": "4.00"}, "14.00"))
    assert made["qty"] == "3.5"
    assert line(mapped({"now": "3", "price": "4.00"}, "12.00"))["qty"] == "3"


def test_the_other_price_stands_in_only_where_there_is_none() -> None:
    assert line(mapped({"now": "1", "list": "7.00"}, "7.00"))["unit_cost"]["amount"] == "7.00"
    assert line(mapped({"now": "1", "price": "0", "list": "7.00"}, "0"))["unit_cost"]["amount"] == "0.00"
    (reason,) = mapped({"now": "1"}, "7.00").reasons
    assert reason.target == "invoice.lines[]"


def test_rows_of_discounts_are_subtracted_whatever_their_sign() -> None:
    row = {"now": "1", "price": "10.00", "rebates": [{"off": "-1.00"}, {"off": "2.50"}, {}]}
    assert line(mapped(row, "6.50"))["unit_cost"]["amount"] == "6.50"


@pytest.mark.parametrize("rebates", [["x"], [{"off": "much"}]], ids=["no-object", "no-number"])
def test_a_discount_that_cannot_be_read_holds_the_order(rebates: list[Any]) -> None:
    assert mapped({"now": "1", "price": "10.00", "rebates": rebates}, "10.00").decision == "hold"


@pytest.mark.parametrize(
    ("place", "tax", "name"),
    [
        ("US", "1.00", "Sales tax"),
        ("us-tx", "1.00", "Sales tax"),
        ("US-NY", "0.80", "City tax"),
        ("GB", "2.00", "VAT"),
        ("GB", "0.20", "Levy"),
        (None, "0.20", "Levy"),
    ],
)
def test_a_rate_counts_in_its_place(place: str | None, tax: str, name: str) -> None:
    total = str(10 + float(tax))
    row = {"now": "1", "price": "10.00", "tax": tax}
    assert line(mapped(row, total, tax=tax, place=place))["taxName1"] == name


@pytest.mark.parametrize(("place", "tax"), [("US-TX", "0.80"), ("USA", "1.00"), ("GB", "1.00"), (None, "2.00")])
def test_a_rate_of_another_place_explains_nothing(place: str | None, tax: str) -> None:
    row = {"now": "1", "price": "10.00", "tax": tax}
    (reason,) = mapped(row, str(10 + float(tax)), tax=tax, place=place).reasons
    assert reason.id == "tax-rate-unknown"


def test_a_sum_chooses_among_elements_by_what_stands_deeper_in_them() -> None:
    row = {"now": "1", "price": "10.00"}
    paid = [{"by": {"sum": "8.00", "state": "in"}}, {"by": {"sum": "8.00", "state": "open"}}, {"by": None}]
    assert mapped(row, "10.00", paid=paid).decision == "go"
    paid[1] = {"by": {"sum": "8.00", "state": "in"}}
    assert [reason.id for reason in mapped(row, "10.00", paid=paid).reasons] == ["overpaid"]


def test_a_condition_needs_a_list_on_the_path() -> None:
    with pytest.raises(SpecError, match="a member inside a list"):
        load_spec(SPEC.replace('"paid[].by.sum"', '"paid.by.sum"'))
