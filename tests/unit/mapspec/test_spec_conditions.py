"""Conditions and value checks."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from mapspec.conditions import Condition, fold, is_present
from mapspec.errors import TransformError
from mapspec.numbers import Money
from mapspec.paths import Scope
from mapspec.validations import check_value, parse_check, parse_expression, same_text

RECORD = {
    "status": " Processing ",
    "empty": "",
    "null": None,
    "zero": 0,
    "no": False,
    "total": "10.50",
    "word": "ten",
    "exact": Decimal("2.50"),
    "rows": [],
    "payments": [
        {"status": "captured", "amount": "5.00", "currency": "USD"},
        {"status": "failed", "amount": 3},
        {"status": "Captured", "amount": Decimal("0.50")},
    ],
    "object": {"a": 1},
}


def scope(item: Any = None) -> Scope:
    return Scope(RECORD, {}, lambda name: None, item)


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ({"equal": ["status", "PROCESSING"]}, True),
        ({"equal": ["nothing", ""]}, False),
        ({"equal": ["no", "false"]}, True),
        ({"equal": ["zero", "0"]}, True),
        ({"equal": ["exact", "2.5"]}, True),
        ({"equal": ["object", "{'a': 1}"]}, False),
        ({"not_equal": ["status", "shipped"]}, True),
        ({"not_equal": ["nothing", "x"]}, True),
        ({"in": ["status", ["shipped", "processing"]]}, True),
        ({"in": ["payments[].status", ["captured"]]}, True),
        ({"in": ["nothing", ["x"]]}, False),
        ({"present": "zero"}, True),
        ({"present": "no"}, True),
        ({"present": "empty"}, False),
        ({"present": "null"}, False),
        ({"present": "rows"}, False),
        ({"present": "$"}, True),
        ({"absent": "nothing"}, True),
        ({"gt": ["total", "10"]}, True),
        ({"gte": ["total", "10.5"]}, True),
        ({"lt": ["total", "10.5"]}, False),
        ({"lte": ["zero", "0"]}, True),
        ({"gt": ["nothing", "0"]}, False),
        ({"all": [{"present": "status"}, {"present": "nothing"}]}, False),
        ({"any": [{"present": "nothing"}, {"present": "status"}]}, True),
        ({"not": {"present": "nothing"}}, True),
        ({"all": []}, True),
    ],
)
def test_condition(condition: dict[str, Any], expected: bool) -> None:
    parsed = Condition.model_validate(condition)
    assert parsed.compile()(scope()) is expected
    assert Condition.model_validate(parsed.plain()) == parsed


def test_an_ordered_condition_refuses_what_is_no_number() -> None:
    test = Condition.model_validate({"gt": ["word", "1"]}).compile()
    with pytest.raises(TransformError) as caught:
        test(scope())
    assert caught.value.reason == "bad-number"


@pytest.mark.parametrize("data", [{}, {"present": "a", "absent": "a"}, {"equals": ["a", "b"]}, {"gt": ["a", "x"]}])
def test_a_malformed_condition_is_refused(data: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Condition.model_validate(data)


def test_paths_of_a_nested_condition_are_all_found() -> None:
    parsed = Condition.model_validate({"all": [{"not": {"present": "a"}}, {"in": ["b", ["x"]]}, {"gt": ["c", "1"]}]})
    assert [path.text for path in parsed.paths()] == ["a", "b", "c"]


def test_deep_values_compare_without_being_written_out() -> None:
    deep: Any = "x"
    for _ in range(50_000):
        deep = [deep]
    assert fold(deep) != fold("x")
    assert is_present(deep)


CHECKS: list[tuple[dict[str, Any], Any, bool]] = [
    ({"format": "email"}, "ana@example.com", True),
    ({"format": "email"}, "ana@example", False),
    ({"format": "email"}, "a b@example.com", False),
    ({"format": "currency"}, "USD", True),
    ({"format": "currency"}, "usd", False),
    ({"format": "date"}, "2026-03-01", True),
    ({"max_length": "3"}, "abc", True),
    ({"max_length": "3"}, "abcd", False),
    ({"between": ["0", "365"]}, 365, True),
    ({"between": ["0", "365"]}, "366", False),
    ({"between": ["0", "365"]}, "many", False),
    ({"between": ["0", "1"]}, Money(Decimal("0.5"), "USD"), True),
    ({"enum": ["Check", "Cash"]}, "Cash", True),
    ({"enum": ["Check", "Cash"]}, "cash", False),
    ({"regex": "[A-Z]+"}, "ABC", True),
    ({"regex": "[A-Z]+"}, "ABC1", False),
    ({"regex": "a"}, "\ud800", False),
    ({"money": "positive"}, Money(Decimal("0.01"), "USD"), True),
    ({"money": "positive"}, Money(Decimal(0), "USD"), False),
    ({"money": "not_negative"}, Money(Decimal(0), "USD"), True),
    ({"money": "not_negative"}, Money(Decimal("-1"), "USD"), False),
    ({"money": "positive"}, Money(Decimal("0.5"), "JPY"), False),
    ({"money": "positive"}, "5.00", False),
    ({"format": "email"}, ["a@example.com"], False),
]


@pytest.mark.parametrize(("check", "value", "fits"), CHECKS)
def test_check(check: dict[str, Any], value: Any, fits: bool) -> None:
    missed = check_value((parse_check(check),), value)
    assert (missed is None) is fits
    assert missed is None or str(value) not in missed or len(str(value)) < 5


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"formt": "email"}, "unknown check 'formt'; known: format"),
        ({"format": "fone"}, "check 'format': 'format': input should be 'email', 'currency', 'date', "),
        ({"regex": "(?=x)"}, "linear-time"),
        ("email", "a check is one key"),
    ],
)
def test_a_wrong_check_is_refused_in_one_line(data: Any, message: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        parse_check(data)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("total", "10.50"),
        ("nothing", "0"),
        ("payments[].amount", "8.50"),
        ({"path": "payments[].amount", "where": {"equal": [".status", "captured"]}}, "5.50"),
        ({"sum": ["total", "payments[].amount"]}, "19.00"),
        ({"negate": "total"}, "-10.50"),
        ({"abs": {"negate": "total"}}, "10.50"),
    ],
)
def test_expression(data: Any, expected: str) -> None:
    parsed = parse_expression(data)
    assert parsed.compile()(scope()) == Decimal(expected)
    assert parse_expression(parsed.plain()) == parsed


@pytest.mark.parametrize(
    "data",
    [{"product": ["a"]}, {"path": "total", "where": {"present": ".a"}}, 5, {"path": "p[].a", "where": {"nope": "x"}}],
)
def test_a_wrong_expression_is_refused_in_one_line(data: Any) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        parse_expression(data)
    assert "\n" not in str(caught.value)


def test_same_text_says_nothing_about_an_absent_side() -> None:
    assert same_text("USD", " usd ")
    assert same_text(None, "USD")
    assert not same_text("EUR", "USD")
