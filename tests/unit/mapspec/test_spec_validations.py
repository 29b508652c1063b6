"""Checks of values: what each one takes, what a miss does, and the checks that look beyond the value."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from mapspec import Draft, compile_spec, load_spec
from mapspec.numbers import Money
from mapspec.paths import Scope
from mapspec.validations import CHECKS, bind_checks, check_value, parse_check, run_checks

VALUES: list[tuple[dict[str, Any], Any, bool]] = [
    ({"format": "date"}, "2026-02-29", False),
    ({"format": "date"}, date(2026, 2, 28), True),
    ({"format": "instant"}, "2026-03-01T09:05:08-05:00", True),
    ({"format": "instant"}, datetime(2026, 3, 1, tzinfo=UTC), True),
    ({"format": "instant"}, "2026-03-01T09:05:08", False),
    ({"format": "instant"}, "2026-03-01", False),
    ({"format": "url"}, "https://shop.example.com:8443/a?b=c#d", True),
    ({"format": "url"}, "http://localhost/", False),
    ({"format": "url"}, "javascript:alert(1)", False),
    ({"format": "url"}, "https://user@example.com/", False),
    ({"format": "url"}, "https://example.com/" + "a" * 2040, False),
    ({"format": "country"}, "US", True),
    ({"format": "country"}, "us", False),
    ({"format": "country"}, "XX", False),
    ({"format": "phone"}, "+1 (555) 010-0199", True),
    ({"format": "phone"}, "(555) 010-0199 ext. 12", True),
    ({"format": "phone"}, "12345", False),
    ({"format": "phone"}, "call me", False),
    ({"format": "sku"}, "AB-1/2.3_x", True),
    ({"format": "sku"}, "AB 1", False),
    ({"format": "sku"}, "-", False),
    ({"format": "language"}, "en", True),
    ({"format": "language"}, "English", False),
    ({"min_length": "2"}, "ab", True),
    ({"min_length": "2"}, " a ", False),
    ({"at_least": "0"}, "0", True),
    ({"at_least": "0"}, "-0.01", False),
    ({"at_most": "2.5"}, Decimal("2.5"), True),
    ({"at_most": "2.5"}, Money(Decimal("2.51"), "USD"), False),
    ({"integer": ""}, "7", True),
    ({"integer": ""}, "7.5", False),
    ({"integer": {"from": "1"}}, 10**9, True),
    ({"integer": {"from": "1"}}, 0, False),
    ({"integer": {"to": "9"}}, -5, True),
    ({"integer": {"to": "9"}}, "9.0", True),
    ({"integer": {"from": "1", "to": "9"}}, "10", False),
    ({"date_window": {"from": "2026-01-01"}}, "2026-01-01", True),
    ({"date_window": {"from": "2026-01-01"}}, "2025-12-31T23:59:59Z", False),
    ({"date_window": {"from": "2026-01-01", "to": "2026-12-31"}}, date(2027, 1, 1), False),
    ({"date_window": {"to": "2026-12-31"}}, datetime(2026, 12, 31, 23, tzinfo=UTC), True),
    ({"date_window": {"to": "2026-12-31"}}, "soon", False),
    ({"unique_in_list": ""}, "a", True),
]


@pytest.mark.parametrize(("check", "value", "fits"), VALUES)
def test_check(check: dict[str, Any], value: Any, fits: bool) -> None:
    missed = check_value((parse_check(check),), value)
    assert (missed is None) is fits, missed


@pytest.mark.parametrize("check", [check for check, _, _ in VALUES])
@pytest.mark.parametrize("on_fail", [None, "hold", "warn"])
def test_a_check_is_written_as_it_was_read(check: dict[str, Any], on_fail: str | None) -> None:
    parsed = parse_check(check if on_fail is None else check | {"on_fail": on_fail})
    assert parse_check(parsed.plain()) == parsed
    assert ("on_fail" in parsed.plain()) == (on_fail is not None)


def test_every_check_is_tried_somewhere() -> None:
    elsewhere = {"max_length", "between", "enum", "regex", "money"}  # test_spec_conditions
    assert {next(iter(check)) for check, _, _ in VALUES} | elsewhere == set(CHECKS)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ({"min_length": "0"}, "greater than or equal to 1"),
        ({"integer": {"from": "2", "to": "1"}}, "no number is from 2 to 1"),
        ({"integer": {"form": "2"}}, "unknown key 'form'"),
        ({"date_window": {}}, "needs 'from', 'to' or both"),
        ({"date_window": {"from": "2026-13-01"}}, "there is no day 2026-13-01"),
        ({"date_window": {"from": "2026-02-01", "to": "2026-01-01"}}, "no day is from 2026-02-01 to 2026-01-01"),
        ({"date_window": {"from": {"path": "a", "days": "1.5"}}}, "whole number"),
        ({"date_window": {"from": {"days": "1"}}}, "expected a day"),
        ({"date_window": {"from": "a..b"}}, "is not a path"),
        ({"format": "email", "on_fail": "skip"}, "'on_fail'"),
        ({"format": "email", "max_length": "5"}, "a check is one key"),
        ({"on_fail": "warn"}, "a check is one key"),
        ({"money": "positive", "on_fail": "warn"}, "never sent"),
        ({"at_least": "1e999999"}, "'at_least'"),
        ({"at_most": "NaN"}, "finite"),
        ({"unique_in_list": "loosely"}, "'folded' or 'exact'"),
    ],
)
def test_a_wrong_check_is_refused_in_one_line(data: Any, told: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        parse_check(data)
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


def window(record: dict[str, Any], value: Any, **ends: Any) -> str | None:
    bound = bind_checks([parse_check({"date_window": ends})])
    scope = Scope(record, {}, lambda name: None, item={"at": "2026-05-01"})
    missed = run_checks(bound, value, scope, set())
    return missed[0].expected if missed else None


def test_a_window_can_hang_on_another_field() -> None:
    record = {"orderDate": "2026-03-01T23:30:00-05:00", "days": ["", "2026-03-02"]}
    assert window(record, date(2026, 3, 1), **{"from": "orderDate"}) is None
    assert window(record, date(2026, 2, 28), **{"from": "orderDate"}) == "expected a date not before orderDate"
    near = {"from": {"path": "orderDate", "days": "-2"}, "to": {"path": "orderDate", "days": "30"}}
    assert window(record, date(2026, 3, 31), **near) is None
    assert window(record, date(2026, 4, 1), **near) == "expected a date not after 30 days after orderDate"
    assert window(record, date(2026, 2, 26), **near) == "expected a date not before 2 days before orderDate"
    assert window(record, date(2026, 4, 30), **{"from": ".at"}) == "expected a date not before .at"
    assert window(record, date(2026, 3, 1), **{"from": "days[]"}) == "expected a date not before days[]"


def test_an_absent_field_bounds_nothing_and_one_that_is_no_date_is_told() -> None:
    assert window({}, date(2026, 3, 1), **{"from": "orderDate", "to": "days[]"}) is None
    assert window({"d": "soon"}, date(2026, 3, 1), to="d") == "d is no date to compare with"
    assert (
        window({"d": "9999-12-31"}, date(2026, 3, 1), to={"path": "d", "days": "1"}) == "the date leaves the calendar"
    )


SPEC = """\
spec: shop/flow
source: {system: s, entity: order}
targets: {client: freshbooks/client, invoice: freshbooks/invoice, payment: freshbooks/payment}
flow:
  - {id: payment, do: create_once, target: payment, key: ["{.id}"], each: "payments[]"}
values:
  code:
    steps: [{path: code}]
    check: [VALUE]
fields:
  client.email:
    steps: [{path: email}]
    FIELD
  client.note:
    steps: [{path: values.code}]
  payment.note:
    steps: [{path: .note}]
    check: [{unique_in_list: }]
  invoice.lines[]:
    each: items[]
    fields:
      name:
        steps: [{path: .name}]
        check: [{unique_in_list: , on_fail: warn}]
"""


def draft(record: dict[str, Any], *, field: str = "note: x", value: str = "{max_length: 3}") -> Draft:
    text = SPEC.replace("FIELD", field).replace("VALUE", value)
    return compile_spec(load_spec(text)).apply({"id": "1", **record})


def email_of(found: Draft) -> Any:
    return found.documents["client"][0].body.get("email")


BAD = {"email": "nobody"}


@pytest.mark.parametrize(
    ("field", "decision", "sent", "warned"),
    [
        ("check: [{format: email}]", "hold", None, 0),
        ("check: [{format: email}]\n    on_fail: warn", "go", None, 1),
        ("check: [{format: email}]\n    on_fail: warn\n    required: true", "hold", None, 0),
        ("check: [{format: email, on_fail: warn}]", "go", "nobody", 1),
        ("check: [{format: email, on_fail: warn}]\n    required: true", "go", "nobody", 1),
        ("check: [{format: email, on_fail: hold}]\n    on_fail: warn", "hold", None, 0),
        ("check: [{format: email, on_fail: warn}, {min_length: 9, on_fail: warn}]", "go", "nobody", 2),
        ("check: [{format: email, on_fail: warn}, {min_length: 9}]", "hold", None, 1),
        ("check: [{min_length: 9}, {format: email, on_fail: warn}]", "hold", None, 0),
    ],
)
def test_a_checks_own_on_fail_stands_above_the_rules(field: str, decision: str, sent: str | None, warned: int) -> None:
    found = draft(BAD, field=field)
    assert (found.decision, email_of(found), len(found.warnings)) == (decision, sent, warned)
    assert {reason.id for reason in (*found.reasons, *found.warnings)} == {"check-failed"}
    assert all("nobody" not in reason.message for reason in (*found.reasons, *found.warnings))


def test_a_named_value_is_checked_once_and_goes_with_a_warning() -> None:
    found = draft({"code": "abcd"}, value="{max_length: 3, on_fail: warn}")
    assert (found.decision, found.documents["client"][0].body) == ("go", {"note": "abcd"})
    assert [w.target for w in found.warnings] == ["values.code"]
    assert draft({"code": "abcd"}).decision == "hold"


def test_values_are_unique_within_each_list_only() -> None:
    rows = [{"name": "Cup"}, {"name": " cup "}, {}, {"name": None}, {"name": "Pot"}]
    found = draft({"items": rows})
    assert [(w.target, w.message.rsplit(" ", 1)[1]) for w in found.warnings] == [("invoice.lines[].name", "2)")]
    assert found.decision == "go"
    assert len(found.documents["invoice"][0].body["lines"]) == 5
    again = draft({"items": rows})  # a compiled spec remembers nothing
    assert again.warnings == found.warnings


def test_documents_of_one_target_are_a_list_too() -> None:
    found = draft({"payments": [{"id": "1", "note": "A"}, {"id": "2", "note": "B"}, {"id": "3", "note": "a"}]})
    assert found.decision == "hold"
    assert [reason.target for reason in found.reasons] == ["payment.note"]


def test_exact_uniqueness_tells_case_apart() -> None:
    bound = bind_checks([parse_check({"unique_in_list": "exact"})])
    seen: set[str] = set()
    scope = Scope({}, {}, lambda name: None)
    assert [len(run_checks(bound, text, scope, seen)) for text in ("a", "A", "a")] == [0, 0, 1]
