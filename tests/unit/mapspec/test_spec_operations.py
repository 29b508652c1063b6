"""Every operation: input, step, output; and what it refuses."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from mapspec.errors import TransformError
from mapspec.numbers import Money
from mapspec.ops import (
    CompileContext,
    Output,
    Table,
    bind_chain,
    message_of,
    parse_instant,
    parse_step,
    text_of,
    write_step,
)
from mapspec.paths import Scope

CONTEXT = CompileContext(
    tables={
        "terms": Table("terms", {"Net 30": "30", "Due on receipt": "0"}, "hold", None),
        "kinds": Table("kinds", {"visa": "VISA"}, "absent", None),
        "types": Table("types", {"card": "Credit Card"}, "default", "settings.type"),
        "names": Table("names", {"a": "A"}, "keep", None),
    },
    settings={"prefix": "W-", "empty": "", "zone": "America/Chicago", "type": "Other"},
)
RECORD = {
    "email": "ana@example.com",
    "empty": "",
    "blank": "  ",
    "zero": 0,
    "no": False,
    "number": Decimal("12.50"),
    "rows": [{"sku": ""}, {"sku": "A-1"}, {"sku": "B-2"}],
    "object": {"inner": 1},
}


def scope(record: Mapping[str, Any] = RECORD, item: Any = None, index: int = 0, **extras: Any) -> Scope:
    values = {"currency": "USD", "none": None}
    return Scope(record, CONTEXT.settings, values.get, item, index, extras)


def run(step: Any, value: Any = None, *, where: Scope | None = None) -> Any:
    steps = step if isinstance(step, list) else [step]
    return bind_chain([parse_step(one) for one in steps], CONTEXT)(value, where or scope())


D = date(2026, 3, 1)
INSTANT = datetime(2026, 3, 1, 23, 30, tzinfo=UTC)

CASES: list[tuple[Any, Any, Any]] = [
    # (step, input, output)
    ({"path": "email"}, None, "ana@example.com"),
    ({"path": "rows[].sku"}, None, "A-1"),
    ({"path": "nothing.here"}, None, None),
    ({"path": "zero"}, None, 0),
    ({"const": "en"}, "what came before", "en"),
    ({"const": ""}, None, ""),
    ({"setting": "prefix"}, None, "W-"),
    ({"coalesce": ["nothing", "blank", "zero"]}, None, 0),
    ({"coalesce": ["nothing", "rows[].sku"]}, None, "A-1"),
    ({"coalesce": ["nothing", "empty"]}, None, None),
    ({"template": "Order {email}"}, None, "Order ana@example.com"),
    ({"template": "{nothing}-{email}"}, None, None),
    ({"template": "{settings.prefix}{zero}"}, None, "W-0"),
    ({"template": "{settings.empty}{number}"}, None, "12.5"),
    ({"template": "{no}"}, None, "false"),
    ({"template": "line {#}"}, None, "line 1"),
    ({"join": [[{"path": "email"}], [{"path": "nothing"}], [{"const": "x"}]]}, None, "ana@example.com x"),
    ({"join": {"parts": [[{"path": "zero"}], [{"const": "x"}]], "with": ", "}}, None, "0, x"),
    ({"join": [[{"path": "nothing"}], [{"path": "blank"}]]}, None, None),
    (
        {"when": {"if": {"present": "email"}, "then": [{"const": "yes"}], "else": [{"const": "no"}]}},
        None,
        "yes",
    ),
    ({"when": {"if": {"absent": "email"}, "then": [{"const": "yes"}]}}, "kept", "kept"),
    ({"step_output": "client.id"}, None, Output("client", "id")),
    ({"default": "en"}, None, "en"),
    ({"default": "en"}, "  ", "en"),
    ({"default": "en"}, 0, 0),
    ({"default": "settings.type"}, None, "Other"),
    ({"trim": None}, " a b ", "a b"),
    ({"trim": None}, "  ", None),
    ({"trim": None}, None, None),
    ({"case": "lower"}, "ÀB", "àb"),
    ({"case": "upper"}, "usd", "USD"),
    ({"collapse_space": None}, " a \n\t b ", "a b"),
    ({"strip_html": None}, "<p>Fine <b>tea</b></p><p>50&nbsp;g &amp; more</p>", "Fine tea 50 g & more"),
    ({"strip_html": None}, "a<br/>b<br>c</li>d", "a b c d"),
    ({"strip_html": None}, "a <!-- 1 > 0 --> b", "a b"),
    ({"strip_html": None}, "1 < 2 and 3 > 2", "1 < 2 and 3 > 2"),
    ({"strip_html": None}, "<p></p>", None),
    ({"clean_text": None}, "Nu\u0301n\u0303ez\x00\u200b", "Núñez\u200b"),
    ({"clean_text": "remove"}, "tea \U0001f375 leaf", "tea  leaf"),
    ({"clean_text": None}, "茶 \U0001f375", "茶 \U0001f375"),
    ({"clean_text": None}, "\x07", None),
    ({"max_length": {"n": "5", "over": "truncate"}}, "abcdefg", "abcd…"),
    ({"max_length": {"n": "5", "over": "truncate"}}, "abcde", "abcde"),
    ({"max_length": {"n": "4", "over": "truncate"}}, "abe\u0301cd", "ab…"),
    ({"max_length": "5"}, "abcde", "abcde"),
    ({"replace_literal": {"find": "-", "with": ""}}, "a-b-c", "abc"),
    ({"replace_literal": {"find": "."}}, "a.b", "ab"),
    ({"regex_extract": r"(\d+)"}, "net 30 days", "30"),
    ({"regex_extract": r"\d+"}, "net 30", "30"),
    ({"regex_extract": r"\d+"}, "none", None),
    ({"lookup_table": "terms"}, " net 30 ", "30"),
    ({"lookup_table": "terms"}, None, None),
    ({"lookup_table": "kinds"}, "amex", None),
    ({"lookup_table": "types"}, "barter", "Other"),
    ({"lookup_table": "types"}, None, "Other"),
    ({"lookup_table": "names"}, "b", "b"),
    ({"country_name": None}, "us", "United States"),
    ({"country_name": None}, "Ruritania", "Ruritania"),
    ({"parse_instant": None}, "2026-03-01", datetime(2026, 3, 1)),
    ({"parse_instant": None}, "2026-03-01T23:30:00.1234567Z", datetime(2026, 3, 1, 23, 30, 0, 123456, tzinfo=UTC)),
    ([{"parse_instant": None}, {"to_date": "as_written"}], "2026-03-01T23:30:00-0500", D),
    ([{"parse_instant": None}, {"to_date": "settings.zone"}], "2026-03-02T03:30:00Z", D),
    ([{"parse_instant": None}, {"to_date": "settings.zone"}], "2026-03-01T23:30:00", D),
    ({"to_date": "Asia/Tokyo"}, INSTANT, date(2026, 3, 2)),
    ({"to_date": None}, D, D),
    ({"to_date": None}, None, None),
    ({"add_days": "30"}, D, date(2026, 3, 31)),
    ({"add_days": "-1"}, D, date(2026, 2, 28)),
    ({"decimal": None}, " 12.50 ", Decimal("12.50")),
    ({"decimal": {"places": "2"}}, "2.345", Decimal("2.35")),
    ({"decimal": {"places": "2", "rounding": "half_even"}}, "2.345", Decimal("2.34")),
    ({"decimal": {"places": "2", "rounding": "down"}}, Decimal("-2.349"), Decimal("-2.34")),
    ({"decimal": None}, "", None),
    ({"int": None}, "30", 30),
    ({"int": None}, Decimal("3E1"), 30),
    ({"bool": None}, "Yes", True),
    ({"bool": None}, 0, False),
    ({"bool": None}, None, None),
    ({"money": "values.currency"}, "12.5", Money(Decimal("12.5"), "USD")),
    ({"money": "values.currency"}, None, None),
    ({"multiply": "100"}, "0.0825", Decimal("8.2500")),
    ({"negate": None}, "5", Decimal(-5)),
    ({"abs": None}, Decimal("-0.5"), Decimal("0.5")),
]


@pytest.mark.parametrize(("step", "value", "expected"), CASES, ids=[f"{i}-{c[0]}"[:60] for i, c in enumerate(CASES)])
def test_operation_gives(step: Any, value: Any, expected: Any) -> None:
    made = run(step, value)
    assert made == expected
    assert type(made) is type(expected)


def test_line_price_reads_the_priced_line() -> None:
    where = Scope(RECORD, {}, lambda name: None, extras={"line.note": "7 × 12.345"})
    assert run({"line_price": "note"}, where=where) == "7 × 12.345"
    assert run({"line_price": "quantity"}, where=where) is None


ERRORS: list[tuple[Any, Any, str]] = [
    # (step, input, reason)
    ({"trim": None}, {"a": 1}, "bad-value"),
    ({"trim": None}, ["a"], "bad-value"),
    ({"trim": None}, 1.5, "bad-value"),
    ({"trim": None}, "x" * 100_001, "too-long"),
    ({"trim": None}, Decimal("1e999999"), "bad-number"),
    ({"trim": None}, 10**5000, "bad-number"),
    ({"template": "{object}"}, None, "bad-value"),
    ({"strip_html": None}, "&#" + "9" * 5000 + ";", "bad-value"),
    ({"max_length": "3"}, "abcd", "too-long"),
    ({"regex_extract": "a"}, "\ud800", "bad-text"),
    ({"lookup_table": "terms"}, "Net 45", "not-in-table"),
    ({"parse_instant": None}, "01/03/2026", "bad-date"),
    ({"parse_instant": None}, "2026-02-30", "bad-date"),
    ({"parse_instant": None}, "2026-03-01T25:00:00Z", "bad-date"),
    ([{"parse_instant": None}, {"to_date": "America/Chicago"}], "0001-01-01T00:00:00+14:00", "bad-date"),
    ({"to_date": None}, "2026-03-01", "bad-date"),
    ({"add_days": "1"}, date.max, "bad-date"),
    ({"add_days": "1"}, "2026-03-01", "bad-date"),
    ({"decimal": None}, "1,50", "bad-number"),
    ({"decimal": None}, "1e5", "bad-number"),
    ({"decimal": None}, "١٢", "bad-number"),
    ({"decimal": None}, True, "bad-number"),
    ({"decimal": None}, 1.5, "bad-number"),
    ({"decimal": None}, Decimal("NaN"), "bad-number"),
    ({"decimal": None}, Decimal("sNaN"), "bad-number"),
    ({"decimal": None}, Decimal("1e999999"), "bad-number"),
    ({"decimal": None}, 10**5000, "bad-number"),
    ({"int": None}, "1.5", "bad-number"),
    ({"bool": None}, "perhaps", "bad-boolean"),
    ({"money": "values.none"}, "1", "currency-missing"),
    ({"multiply": "2"}, "two", "bad-number"),
]


@pytest.mark.parametrize(("step", "value", "reason"), ERRORS, ids=[f"{i}-{e[0]}"[:60] for i, e in enumerate(ERRORS)])
def test_operation_refuses(step: Any, value: Any, reason: str) -> None:
    with pytest.raises(TransformError) as caught:
        run(step, value)
    assert caught.value.reason == reason


def test_an_error_names_its_step_and_not_the_value() -> None:
    with pytest.raises(TransformError) as caught:
        run([{"path": "email"}, {"trim": None}, {"decimal": None}])
    assert caught.value.message == "step 3 (decimal): value: expected a number, got a text of 15 characters"


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ({"trimm": None}, "unknown operation 'trimm'; did you mean 'trim'?"),
        ({"zzz": None}, "unknown operation 'zzz'; known: abs, "),
        ({"trim": "x"}, "operation 'trim' takes no argument"),
        ({"case": "title"}, "operation 'case': 'to': input should be 'lower' or 'upper'"),
        ({"path": "a..b"}, "operation 'path': 'a..b' is not a path"),
        ({"max_length": {"over": "error"}}, "operation 'max_length': 'n' is missing"),
        ({"max_length": {"n": "5", "size": "1"}}, "operation 'max_length': unknown key 'size'"),
        ({"regex_extract": "(?=a)"}, "not valid for a linear-time engine"),
        ({"step_output": "client"}, "write STEP.MEMBER, such as client.id"),
        ({"template": "{a..b}"}, "'a..b' is not a path"),
        ({"multiply": "1e999999"}, "operation 'multiply'"),
        ("trim", "a step is one operation with its argument"),
        ({"trim": None, "path": "a"}, "a step is one operation with its argument"),
    ],
)
def test_a_wrong_step_is_refused_with_a_hint(step: Any, message: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        parse_step(step)
    assert message in str(caught.value)


@pytest.mark.parametrize("step", [case[0] for case in CASES if isinstance(case[0], dict)])
def test_a_step_survives_being_written(step: dict[str, Any]) -> None:
    parsed = parse_step(step)
    assert parse_step(write_step(parsed)) == parsed


def test_hostile_markup_takes_linear_work() -> None:
    """Each of these once took minutes, or ended the process."""
    for text in ("<br" + " " * 90_000, "<!--" * 20_000, "<" * 90_000, "<a" * 45_000, "<" + "a" * 90_000):
        run({"strip_html": None}, text)
    run({"clean_text": None}, "a" + "\u0315" * 40_000 + "\u0300" * 40_000)


def test_a_message_is_made_whatever_the_record_holds() -> None:
    say = message_of("status {email}, {nothing}, {object}, {long}, {#}", CONTEXT)
    where = scope({"email": "failed", "object": {}, "long": ["x" * 200]}, index=1)
    assert say(where) == "status failed, nothing, nothing, unreadable, 2"
    assert len(message_of("{long}", CONTEXT)(scope({"long": "x" * 200}))) == 60


@pytest.mark.parametrize("value", [None, [], {}, 1.0, object()])
def test_only_scalars_have_a_text(value: Any) -> None:
    with pytest.raises(TransformError):
        text_of(value)


def test_a_table_default_may_be_a_setting() -> None:
    assert run({"lookup_table": "types"}, "unknown") == "Other"


def test_an_unknown_table_or_zone_does_not_compile() -> None:
    with pytest.raises(ValueError, match="no table 'nope'"):
        run({"lookup_table": "nope"}, "x")
    with pytest.raises(ValueError, match="unknown time zone 'Mars/Olympus'"):
        run({"to_date": "Mars/Olympus"}, D)


def test_instants_without_offset_stay_local() -> None:
    assert parse_instant("2026-03-01 09:05").tzinfo is None
    assert parse_instant("2026-03-01T09:05:08+0530").utcoffset() is not None
