"""What is not as usual, for which the quick function has to be silent or exact: each of these it once got wrong."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from mapspec import MappingSpec, compile_spec
from mapspec.engine import CompiledSpec
from mapspec.lines import price_thoroughly
from mapspec.numbers import exactly
from mapspec.order_parts import Item, OrderMoney
from mapspec.ordinary import price_ordinary
from tests.two_ways import assert_same, both_ways

A, V = {"path": "a"}, {"path": "values.v"}
DATE: list[Any] = [{"parse_instant": None}, {"to_date": None}]
LONG = "x" * 60_000


def compiled(fields: dict[str, Any], **parts: Any) -> CompiledSpec:
    head: dict[str, Any] = {"spec": "shop/flow", "source": {"system": "shop", "entity": "order"}}
    head["targets"] = {"invoice": "freshbooks/invoice"}
    return compile_spec(MappingSpec.model_validate(head | {"fields": fields} | parts))


def rule(*steps: Any, **members: Any) -> dict[str, Any]:
    return {"steps": list(steps), "on_fail": "warn", **members}


CHAINS: dict[str, tuple[list[Any], dict[str, Any]]] = {
    "a template whose first field is no text, and another is absent": ([{"template": "{a}{b}"}], {"a": ["x"]}),
    "a template that is too long before what is absent": ([{"template": "{a}{b}{c}"}], {"a": LONG, "b": LONG}),
    "a template with a blank setting after what is no text": ([{"template": "{a}{settings.blank}"}], {"a": ["x"]}),
    "a template with a list's field outside of lists": ([{"template": "{a}{.b}"}, {"default": "x"}], {"a": ["x"]}),
    "a join counted with what stands between": ([{"join": {"parts": [[A]], "with": "x" * 100_000}}], {"a": "x"}),
    "a limit above that of all texts": ([A, {"trim": None}, {"max_length": "200000"}], {"a": "x" * 150_000}),
    "a blank default of a text": ([A, {"trim": None}, {"default": " "}], {}),
    "a default of a whole number": ([A, {"int": None}, {"default": "5"}], {}),
    "a blank default of a number": ([A, {"decimal": None}, {"default": " "}], {}),
    "a default of a date": ([A, *DATE, {"default": "2026-01-01"}], {}),
    "a fixed number as money": ([{"const": "5"}, {"round": "2"}, {"money": "currency"}], {"currency": "USD"}),
    "a fixed list": ([{"const": "a,b"}, {"split": ","}], {}),
    "a blank setting that a step takes for a value": ([{"setting": "blank"}, {"get": "sku"}], {}),
    "a source after one that does not fit": ([{"path": "values.none"}, A], {"a": "x"}),
    "a branch that goes on with what came": ([A, {"when": {"if": {"present": "id"}, "then": []}}], {"a": "x"}),
    "a branch that works on what came": (
        [A, {"when": {"if": {"present": "id"}, "then": [{"case": "upper"}]}}, {"trim": None}],
        {"a": "x"},
    ),
}


@pytest.mark.parametrize("name", CHAINS)
def test_a_field_is_the_same_both_ways(name: str) -> None:
    chain, record = CHAINS[name]
    assert_same(*both_ways(compiled({"invoice.x": rule(*chain)}, settings={"blank": " "}), {"id": "7", **record}))


@pytest.mark.parametrize("text", ["ß" * 60_000, " ", "", "tea"])
def test_a_named_value_that_a_word_may_not_be(text: str) -> None:
    spec = compiled({"invoice.x": rule(V)}, values={"v": rule(A, {"case": "upper"})})
    assert_same(*both_ways(spec, {"id": "7", "a": text}))


def test_a_named_instant_stays_one_for_whoever_reads_it_next() -> None:
    fields: dict[str, list[Any]] = {
        "x": [{"to_date": None}],
        "y": [{"to_date": None}, {"format_date": "D.M.YYYY"}],
        "z": [{"default": "x"}],
    }
    spec = compiled(
        {f"invoice.{name}": rule(V, *steps) for name, steps in fields.items()},
        values={"v": rule(A, {"parse_instant": None})},
    )
    quick, thorough = both_ways(spec, {"id": "7", "a": "2026-01-01T10:00:00Z"})
    assert quick is not None
    assert_same(quick, thorough)


@pytest.mark.parametrize("form", ["instant", "url", "date"])
def test_a_day_is_checked_as_its_text(form: str) -> None:
    spec = compiled({"invoice.x": rule(A, *DATE, check=[{"format": form}])})
    assert_same(*both_ways(spec, {"id": "7", "a": "2026-01-01"}))


@pytest.mark.parametrize("when", [{"all": []}, {"any": []}, {"not": {"all": []}}, {"gt": ["settings.word", "5"]}])
def test_a_condition_without_parts_or_of_a_setting_alone(when: Any) -> None:
    gate = [{"id": "g", "do": "skip", "when": when, "reason": "because"}]
    assert_same(*both_ways(compiled({"invoice.x": rule(A)}, gate=gate, settings={"word": "x"}), {"id": "7", "a": "x"}))


def test_only_a_targets_own_fields_are_left_alone_on_updates() -> None:
    targets = {"a": "freshbooks/invoice", "a.b": "freshbooks/invoice"}
    spec = compiled({"a.b.c": rule(A, only_on_create=True)}, targets=targets)
    quick, thorough = both_ways(spec, {"id": "7", "a": "x"})
    assert_same(quick, thorough)
    assert [thorough.documents[name][0].create_only for name in targets] == [("b.c",), ()]


PATHS = {"currency": "currency", "quantity": ".q", "unit_price": ".p", "total": "total"} | {
    "order_tax": "tax",
    "tax": ".t",
}
ORDER = {"id": "7", "currency": "USD", "total": "6", "tax": "1", "items": [{"q": "1", "p": "5", "t": "1"}]}


def lines(**money: Any) -> dict[str, Any]:
    fields = {"tax": rule({"line_price": "tax_name_1"}), "price": rule({"line_price": "unit_cost"})}
    return {"each": "items[]", "money": PATHS | money, "fields": fields}


def test_a_second_order_that_cannot_be_priced_leaves_the_first() -> None:
    spec = compiled({"invoice.a[]": lines(rates="vat"), "invoice.b[]": lines(rates="vat", total="other")},
                    tables={"vat": {"rows": {"VAT": "20"}}})  # fmt: skip
    quick, thorough = both_ways(spec, {**ORDER, "other": "99"})
    assert quick is not None
    assert quick.priced is not None
    assert_same(quick, thorough)


def test_an_approved_tax_with_a_blank_name() -> None:
    spec = compiled({"invoice.a[]": lines(rates="vat")}, tables={"vat": {"rows": {"": "20"}}})
    assert_same(*both_ways(spec, ORDER))


@pytest.mark.parametrize("kind", [None, "", {}, "none"])
def test_a_line_without_a_kind_is_no_discount(kind: Any) -> None:
    spec = compiled({"invoice.a[]": lines(rates="vat", kind=".kind", discount_kinds=["none", ""])},
                    tables={"vat": {"rows": {"VAT": "20"}}})  # fmt: skip
    quick, thorough = both_ways(spec, {**ORDER, "items": [{**ORDER["items"][0], "kind": kind}]})  # type: ignore[dict-item]
    assert_same(quick, thorough)
    assert (thorough.priced is None) == (kind == "none")


def test_a_price_of_minus_zero_is_not_ordinary() -> None:
    one, zero = Decimal(1), Decimal(0)
    items = (
        Item(0, one, Decimal(5), None, zero, zero, ()),
        Item(1, one, Decimal("-0.00"), zero, zero, zero, ()),
    )
    order = OrderMoney("USD", items, (), Decimal(5), None, None, zero, ())
    with exactly():
        quick = price_ordinary(order)
        assert quick is None or repr(quick) == repr(price_thoroughly(order))


EACH = "values.v"


@pytest.mark.parametrize(
    "parts",
    [
        {"flow": [{"id": "i", "do": "create_once", "target": "invoice", "key": ["{id}"], "each": EACH}]},
        {"flow": [{"id": "l", "do": "lookup", "entity": "item", "match": ["sku"], "value": ".sku", "each": EACH}]},
        {"fields": {"invoice.x[]": {"each": EACH, "fields": {}}}},
        {"assertions": [{"id": "r", "same_text": [".a", ".b"], "each": EACH, "message": "differs"}]},
    ],
)
def test_a_list_that_cannot_be_made_holds_the_record(parts: dict[str, Any]) -> None:
    spec = compiled(**({"fields": {}} | parts), values={"v": rule({"path": "n"}, {"int": None}, on_fail="hold")})
    quick, thorough = both_ways(spec, {"id": "7", "n": "many"})
    assert_same(quick, thorough)
    assert thorough.decision == "hold"
    assert {reason.id for reason in thorough.reasons} == {"bad-number"}
