"""Operations on lists: what they give, where the current element is, and that blocks and flow steps can use them."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest

from mapspec.chains import ChainError, chain_type
from mapspec.checks import check_spec
from mapspec.codec import dump_spec, load_spec, load_with_lines
from mapspec.engine import compile_spec
from mapspec.errors import TransformError
from mapspec.fingerprint import digests
from mapspec.numbers import exactly
from mapspec.ops import CompileContext, Output, bind_chain, parse_step
from mapspec.paths import Scope

RECORD: dict[str, Any] = {
    "number": "1007",
    "discount": "1.00",
    "currency": "USD",
    "lines": [
        {"sku": "A", "kind": "tea", "total": "10.00", "tags": ["green", "loose"]},
        {"sku": "B", "kind": "cup", "total": "10.00", "tags": []},
        {"sku": "C", "kind": "tea", "total": "10.00", "tags": ["black"]},
    ],
    "taxes": [{"id": 7, "name": "GST"}, {"id": 9, "name": "PST"}],
    "tags": ["x", None, "", "y"],
}


def run(steps: Any, value: Any = None, *, record: Mapping[str, Any] = RECORD, item: Any = None, index: int = 0) -> Any:
    chain = [parse_step(one) for one in (steps if isinstance(steps, list) else [steps])]
    scope = Scope(record, {}, {}.get, item, index)
    with exactly():
        made = bind_chain(chain, CompileContext())(value, scope)
    assert (scope.item, scope.index) == (item, index), "a step left another element behind"
    return made


def refused(steps: Any, value: Any = None, **where: Any) -> TransformError:
    with pytest.raises(TransformError) as caught:
        run(steps, value, **where)
    return caught.value


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([{"list": "lines[].sku"}, {"concat": "-"}], "A-B-C"),
        ([{"list": "tags"}], ["x", None, "", "y"]),
        ([{"list": "tags"}, {"concat": ","}], "x,y"),
        ([{"list": "number"}], ["1007"]),
        ([{"list": "nothing[]"}, {"each": [{"trim": None}]}, {"concat": ","}], None),
        ([{"list": "lines[]"}, {"filter": {"where": {"equal": [".kind", "tea"]}}}, {"count": None}], 2),
        ([{"list": "lines[]"}, {"filter": {"where": {"equal": [".kind", "hat"]}}}, {"count": None}], 0),
        ([{"list": "lines[]"}, {"each": [{"path": ".tags[]"}]}], ["green", "black"]),
        ([{"list": "lines[]"}, {"each": [{"list": ".tags[]"}]}, {"flatten": None}], ["green", "loose", "black"]),
        ([{"list": "lines[]"}, {"each": [{"list": ".tags[]"}, {"each": [{"template": "{.}{#}"}]}, {"concat": ""}]}],
         ["green1loose2", "black1"]),
        ([{"list": "lines[]"}, {"each": [{"template": "{$.number}-{#}"}]}], ["1007-1", "1007-2", "1007-3"]),
        ([{"list": "lines[]"}, {"each": [{"path": ".total"}, {"multiply": "2"}]}, {"sum": None}], Decimal("60.00")),
        ([{"list": "lines[]"}, {"last": {"where": {"equal": [".kind", "tea"]}}}, {"get": "sku"}], "C"),
        ([{"list": "lines[]"}, {"first": {"where": {"equal": [".kind", "hat"]}}}], None),
        ([{"list": "lines[]"}, {"group_by": ".kind"}, {"each": [{"sum": ".rows[].total"}]}],
         [Decimal("20.00"), Decimal("10.00")]),
        ([{"list": "taxes[]"}, {"index_by": ".id"}, {"get": "9"}, {"get": "name"}], "PST"),
        ([{"list": "lines[].sku"}, {"append": [{"const": "D"}]}, {"append": [{"path": "nothing"}]}, {"concat": ""}],
         "ABCD"),
        ([{"const": "a, b"}, {"split": ","}, {"each": [{"trim": None}]}], ["a", "b"]),
        ([{"count": "lines[].tags[]"}], 3),
        ([{"sum": ["lines[].total", "discount", "nothing"]}], Decimal("31.00")),
        ([{"sum": "nothing[]"}], None),
    ],
)  # fmt: skip
def test_lists(steps: Any, expected: Any) -> None:
    assert run(steps) == expected


def test_an_error_names_the_element_and_the_step_in_it() -> None:
    error = refused([{"list": "lines[]"}, {"each": [{"path": ".sku"}, {"decimal": None}]}])
    assert error.message == "element 1: step 2 (decimal): value: expected a number, got a text of 1 characters"
    assert error.reason == "bad-number"
    assert refused([{"list": "lines[]"}, {"filter": {"where": {"gt": [".sku", "1"]}}}]).message.startswith(
        "step 2 (filter): element 1: .sku: expected a number"
    )
    assert "element 3" in refused({"sum": None}, ["1", None, "x"]).message


@pytest.mark.parametrize(
    ("steps", "value", "reason"),
    [
        ({"each": [{"trim": None}]}, "text", "bad-list"),
        ({"flatten": None}, {"a": 1}, "bad-list"),
        ({"count": None}, "text", "bad-list"),
        ({"get": "a"}, ["a"], "bad-object"),
        ({"index_by": ".id"}, [{"id": 7}, {"id": " 7 "}], "duplicate-key"),
        ({"group_by": ".id"}, [{"id": {"deep": []}}], "bad-value"),
        ({"concat": ","}, ["x" * 60_000, "y" * 60_000], "too-long"),
        ({"concat": "z" * 60_000}, ["x", "y", "z"], "too-long"),
    ],
)
def test_what_is_no_list_of_such_elements_is_refused(steps: Any, value: Any, reason: str) -> None:
    assert refused(steps, value).reason == reason


def deep(depth: int) -> Any:
    value: Any = "x"
    for _ in range(depth):
        value = [value]
    return value


def test_deep_and_long_lists_are_bounded_work() -> None:
    nested = deep(100_000)
    assert run({"flatten": None}, nested)
    assert run({"count": None}, nested) == 1
    assert refused({"concat": ""}, nested).reason == "bad-value"
    assert refused({"each": [{"trim": None}]}, nested).reason == "bad-value"
    many = [{"k": str(n)} for n in range(50_000)]
    assert len(run({"index_by": ".k"}, many)) == 50_000
    assert len(run({"group_by": ".k"}, many)) == 50_000


# --- allocate --------------------------------------------------------------------------------------------------

SHARE = {"amount": "$.discount", "over": "$.lines[]", "weight": ".total", "places": "2"}


def test_allocate_gives_each_element_its_share() -> None:
    shares = [run({"allocate": SHARE}, item=row, index=index) for index, row in enumerate(RECORD["lines"])]
    assert shares == [Decimal("0.34"), Decimal("0.33"), Decimal("0.33")]
    assert run({"allocate": {**SHARE, "amount": "nothing"}}, item=RECORD["lines"][0]) is None


def test_allocate_refuses_an_element_of_another_list() -> None:
    assert refused({"allocate": SHARE}, item={"total": "10.00"}).reason == "other-list"
    assert refused({"allocate": SHARE}, item=None).reason == "other-list"
    assert refused({"allocate": SHARE}, item=RECORD["lines"][0], index=9).reason == "other-list"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"places": None}, "either 'places' or 'currency'"),
        ({"currency": "currency"}, "either 'places' or 'currency'"),
        ({"over": "$.discount"}, "'over' is a list path"),
        ({"over": "$.lines[].total"}, "'over' is a list path"),
        ({"weight": "total"}, "'weight' is a member"),
        ({"over": ".parts[]"}, "are the record's"),
        ({"amount": ".total"}, "are the record's"),
    ],
)
def test_allocate_refuses_arguments_that_do_not_fit(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_step({"allocate": {**SHARE, **change}})


def test_allocate_is_worked_out_once_a_record_and_never_mixes_records() -> None:
    bound = parse_step({"allocate": SHARE}).bind(CompileContext())
    for count in (1, 3, 4):
        record = {"discount": "1.00", "lines": [{"total": "1"} for _ in range(count)]}
        scope = Scope(record, {}, lambda name: None)
        total = Decimal(0)
        for index, row in enumerate(record["lines"]):
            scope.item, scope.index = row, index
            total += bound(None, scope)
        assert total == 1
    bad = {"discount": "1.00", "lines": [{"total": "x"} for _ in range(20_000)]}
    scope = Scope(bad, {}, lambda name: None)
    for index, row in enumerate(bad["lines"]):
        scope.item, scope.index = row, index
        with pytest.raises(TransformError, match=r"element 1: \.total"):
            bound(None, scope)


# --- in a spec -------------------------------------------------------------------------------------------------

SPEC = """
spec: shop/order
source: {system: shop, entity: order, id: number}
targets: {invoice: freshbooks/invoice, payment: freshbooks/payment}
flow:
  - {id: items, do: lookup, entity: item, match: [sku], value: .sku, each: "lines[]"}
  - {id: invoice, do: create_once, target: invoice, key: ["{number}"], needs: [items]}
  - {id: payment, do: create_once, target: payment, key: ["{#}"], each: "lines[]", needs: [invoice]}
values:
  taxes: {steps: [{list: "taxes[]"}, {index_by: .id}]}
fields:
  invoice.notes:
    steps: [{list: "lines[]"}, {filter: {equal: [.kind, tea]}}, {each: [{path: .sku}]}, {concat: ", "}]
  invoice.lines[]:
    each: "lines[]"
    fields:
      name: {steps: [{list: ".tags[]"}, {each: [{template: "{.}/{#}"}]}, {concat: " "}]}
      description: {steps: [{path: values.taxes}, {get: "7"}, {get: name}]}
      qty: {steps: [{allocate: {amount: $.discount, over: "$.lines[]", weight: .total, places: "2"}}]}
  payment.note: {steps: [{list: ".tags[]"}, {first: }, {default: none}]}
  payment.amount:
    steps:
      - {allocate: {amount: $.discount, over: "$.lines[]", weight: .total, places: "2"}}
      - {money: $.currency}
  payment.transactionid: {steps: [{lookup_remote: items.id}]}
"""


def test_list_operations_work_in_blocks_and_in_flow_steps_with_each() -> None:
    draft = compile_spec(load_spec(SPEC)).apply(RECORD)
    assert draft.reasons == ()
    invoice = draft.documents["invoice"][0].body
    assert invoice["notes"] == "A, C"
    assert invoice["lines"] == [
        {"name": "green/1 loose/2", "description": "GST", "qty": "0.34"},
        {"description": "GST", "qty": "0.33"},
        {"name": "black/1", "description": "GST", "qty": "0.33"},
    ]
    payments = [document.body for document in draft.documents["payment"]]
    assert [body["note"] for body in payments] == ["green", "none", "black"]
    assert [body["amount"]["amount"] for body in payments] == ["0.34", "0.33", "0.33"]
    assert payments[0]["transactionid"] == Output("items", "id")


def test_a_spec_with_list_operations_survives_being_written() -> None:
    spec = load_spec(SPEC)
    assert load_spec(dump_spec(spec)) == spec
    assert digests(load_spec(dump_spec(spec))) == digests(spec)


SOURCE = [
    "number",
    "discount",
    "currency",
    "lines[].sku",
    "lines[].kind",
    "lines[].total",
    "lines[].tags[]",
    "taxes[].id",
]


def findings(old: str = "", new: str = "") -> list[tuple[str, str]]:
    text = SPEC.replace(old, new) if old else SPEC
    assert not old or text != SPEC
    spec, lines = load_with_lines(text)
    found = check_spec(spec, lines=lines, contracts={}, source_fields=SOURCE)
    return [(finding.id, finding.message) for finding in found if finding.id != "unknown-contract"]


def test_the_checks_know_what_a_leading_dot_means_in_list_operations() -> None:
    assert findings() == []
    assert findings("{equal: [.kind, tea]}", "{equal: [.kin, tea]}") == [
        ("unknown-source-path", "the source contract of order has no field 'lines[].kin'")
    ]
    assert findings("{each: [{path: .sku}]}", "{each: [{path: .skew}]}") == [
        ("unknown-source-path", "the source contract of order has no field 'lines[].skew'")
    ]
    assert ("unknown-source-path", "the source contract of order has no field 'lines[].weight'") in findings(
        "weight: .total", "weight: .weight"
    )
    assert findings("{index_by: .id}", "{index_by: .ids}") == [
        ("unknown-source-path", "the source contract of order has no field 'taxes[].ids'")
    ]


def test_lookup_remote_names_a_lookup_step() -> None:
    assert [rule for rule, _ in findings("{lookup_remote: items.id}", "{lookup_remote: invoice.id}")] == [
        "not-a-lookup"
    ]
    assert [rule for rule, _ in findings("{lookup_remote: items.id}", "{lookup_remote: item.id}")] == ["unknown-step"]


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ([{"list": "a[]"}, {"trim": None}], "'trim' takes a single value, the step before it gives list"),
        ([{"path": "a"}, {"decimal": None}, {"each": [{"trim": None}]}], "'each' takes list"),
        ([{"list": "a[]"}, {"index_by": ".b"}, {"filter": {"where": {"present": "."}}}], "'filter' takes list"),
        ([{"each": [{"trim": None}]}], "'each' has nothing to work on"),
        ([{"list": "a[]"}, {"each": [{"decimal": None}, {"to_date": None}]}], "'to_date' takes instant or date"),
        (
            [{"path": "a"}, {"parse_date": "YYYY-MM-DD"}, {"days_between": [{"path": "b"}, {"trim": None}]}],
            "the steps inside 'days_between' must give date, and give text",
        ),
        ([{"path": "a"}, {"format_date": "YYYY-MM-DD"}, {"add_days": "1"}], "'add_days' takes date"),
        ([{"path": "a"}, {"money": "c"}, {"round": "2"}], "'round' takes text or int or decimal"),
    ],
)
def test_chains_that_do_not_fit_are_found_without_running(steps: Any, message: str) -> None:
    with pytest.raises(ChainError, match="'") as caught:
        chain_type([parse_step(step) for step in steps])
    assert message in caught.value.message


@pytest.mark.parametrize(
    ("steps", "kind"),
    [
        ([{"sum": "a[].b"}], "decimal"),
        ([{"count": None}], "int"),
        ([{"append": [{"path": "a"}]}], "list"),
        ([{"allocate": SHARE}], "decimal"),
        ([{"allocate": {**SHARE, "give": "list"}}, {"sum": None}], "decimal"),
        ([{"path": "a"}, {"parse_number": "de"}, {"round": "2"}], "decimal"),
        ([{"step_output": "client.id"}], "output"),
        ([{"lookup_remote": "items.id"}], "any"),
        ([{"lookup_remote": "items.unit_cost.amount"}, {"decimal": None}], "decimal"),
    ],
)
def test_the_type_of_a_chain_is_known(steps: Any, kind: str) -> None:
    assert chain_type([parse_step(step) for step in steps]) == kind
