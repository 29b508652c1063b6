"""Checks and assertions under hostile values and hostile text: a draft or one clear error, nothing else."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from mapspec import MappingSpec, SpecError, TransformError, compile_spec, dump_spec, load_spec
from mapspec.model import RECORD_RULES
from mapspec.paths import Scope
from mapspec.schema import spec_schema
from mapspec.validations import CHECKS, BoundCheck, bind_checks, parse_check, run_checks
from tests.property.test_mapspec_codec import specs
from tests.property.test_mapspec_engine import HOSTILE, assert_sound

EXAMPLES: dict[str, list[Any]] = {
    "format": ["email", "currency", "date", "instant", "url", "country", "phone", "sku", "language"],
    "min_length": ["2"],
    "max_length": ["5"],
    "between": [["0", "365"]],
    "at_least": ["-1.5"],
    "at_most": ["99"],
    "integer": ["", {"from": "1"}, {"to": "9"}],
    "enum": [["a", "b"]],
    "regex": ["(a+)+b"],
    "money": ["positive"],
    "date_window": [{"from": "2020-01-01", "to": {"path": "at", "days": "-36500"}}, {"to": "rows[].at"}],
    "unique_in_list": ["", "exact"],
}
BOUND: list[BoundCheck] = [
    bind_checks([parse_check({name: argument})])[0] for name, given in EXAMPLES.items() for argument in given
]
ASSERTIONS = """\
spec: a/b
source: {system: s, entity: e}
targets: {invoice: freshbooks/invoice}
fields:
  invoice.discount_value: {steps: [{path: discount}]}
  invoice.lines[]:
    each: items[]
    fields:
      qty: {steps: [{path: .a}], check: [{unique_in_list: , on_fail: warn}]}
      unit_cost: {steps: [{path: .b}, {money: code}], check: [{money: positive}]}
      taxAmount1: {steps: [{path: .c}], check: [{date_window: {from: .b}}]}
      taxAmount2: {steps: [{path: .c}]}
      compounded_tax: {steps: [{path: .d}]}
assertions:
  - {id: r1, equal: [total, {sum: ["items[].a", {abs: x}]}], message: m}
  - {id: r2, at_most: [{path: "items[].a", where: {present: .b}}, total], message: m}
  - {id: r3, same_text: [total, code], message: m}
  - {id: r4, required_together: [total, "items[].a"], message: m}
  - {id: r5, one_of_present: [total, "items[].c"], message: m}
  - {id: r6, not_empty: "items[]", message: m}
  - {id: r7, unique: "items[].d", message: m}
  - id: r8
    predicted_total: {lines: "invoice.lines[]", total: total, currency: code, rounding: every}
    within: 5
    message: m
"""
COMPILED = compile_spec(load_spec(ASSERTIONS))
# by position: hypothesis writes out what it samples from, and some of these cannot be written
hostile = st.integers(0, len(HOSTILE) - 1).map(lambda position: HOSTILE[position])
scalars = st.none() | st.text(max_size=12) | st.integers() | st.decimals() | hostile
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
    st.sampled_from(["a", "b", "c", "d", "at"]), inner, max_size=4), max_leaves=6)  # fmt: skip
BOUNDED = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))


def test_every_check_is_among_the_examples() -> None:
    assert set(EXAMPLES) == set(CHECKS)


@pytest.mark.parametrize("number", range(len(BOUND)))
def test_no_check_raises_for_what_a_value_or_a_record_holds(number: int) -> None:
    seen: set[str] = set()
    for value in HOSTILE:
        scope = Scope({"at": value, "rows": [{"at": value}]}, {}, lambda name: None, item=value)
        for tried in (value, "2026-03-01"):
            for missed in run_checks([BOUND[number]], tried, scope, seen):
                assert 0 < len(missed.expected) < 500


@BOUNDED
@given(st.fixed_dictionaries({}, optional=dict.fromkeys(("total", "code", "discount", "x", "items"), values)))
def test_assertions_give_a_draft_for_every_record(record: dict[str, Any]) -> None:
    assert_sound(COMPILED.apply({"id": "1", **record}))


def test_assertions_give_a_draft_for_every_hostile_value_at_every_place() -> None:
    good = {"a": "1", "b": "2.00", "c": "5", "d": "true"}
    for value in HOSTILE:
        for name in ("total", "code", "discount", "x", "items"):
            record = {"id": "1", "total": "2.10", "code": "USD", "items": [good, dict(good)], name: value}
            assert_sound(COMPILED.apply(record))
        for name in good:
            assert_sound(
                COMPILED.apply({"id": "1", "total": "2.10", "code": "USD", "items": [good, good | {name: value}]})
            )


names = st.sampled_from([*CHECKS, "on_fail", "unknown", "", "from"])
arguments: st.SearchStrategy[Any] = st.recursive(
    st.sampled_from(["", "1", "-1", "1e999999", "9" * 6000, "NaN", "email", "warn", "a..b", "a[].b", "2026-02-30", "("])
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["from", "to", "path", "days", "x"]), inner, max_size=3)
    ),
    max_leaves=5,
)


@BOUNDED
@given(st.lists(st.dictionaries(names, arguments, max_size=3), max_size=3))
def test_any_check_in_a_spec_is_taken_or_refused_in_one_line(checks: list[Any]) -> None:
    text = yaml.safe_dump(
        {
            "spec": "a/b",
            "source": {"system": "s", "entity": "e"},
            "targets": {"client": "freshbooks/client"},
            "fields": {"client.email": {"steps": [{"path": "email"}], "check": checks}},
        },
        allow_unicode=True,
    )
    assert_loads_or_says_why(text)


members = st.sampled_from([*RECORD_RULES, "each", "when", "within", "on_fail", "message", "id"])
bodies: st.SearchStrategy[Any] = st.recursive(
    arguments,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["sum", "abs", "path", "where", "lines", "total", "currency"]), inner, max_size=3
        )
    ),
    max_leaves=5,
)


@BOUNDED
@given(st.dictionaries(members, bodies, max_size=5))
def test_any_assertion_in_a_spec_is_taken_or_refused_in_one_line(assertion: dict[str, Any]) -> None:
    head = {"spec": "a/b", "source": {"system": "s", "entity": "e"}, "targets": {"client": "freshbooks/client"}}
    assertion = {"id": "a", "message": "m", **assertion}
    assert_loads_or_says_why(yaml.safe_dump(head | {"assertions": [assertion]}, allow_unicode=True))


def assert_loads_or_says_why(text: str) -> None:
    try:
        spec = load_spec(text)
        compile_spec(spec)
    except (SpecError, TransformError) as error:
        assert "\n" not in str(error)
        return
    assert load_spec(dump_spec(spec)) == spec


VALIDATOR = Draft202012Validator(spec_schema())


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(specs())
def test_what_the_loader_takes_the_schema_takes(spec: MappingSpec) -> None:
    data = yaml.load(dump_spec(spec), Loader=yaml.SafeLoader)
    assert [error.message for error in VALIDATOR.iter_errors(data)] == []


@given(st.decimals(allow_nan=False, allow_infinity=False, places=4), st.decimals(places=4, min_value=0, max_value=9))
def test_open_ends_are_inclusive(number: Decimal, more: Decimal) -> None:
    if abs(number) < 10**10:
        low = bind_checks([parse_check({"at_least": str(number)})])
        scope = Scope({}, {}, lambda name: None)
        assert run_checks(low, number, scope, set()) == []
        assert run_checks(low, number + more, scope, set()) == []
