"""The quick ways of the engine give what the general ones give, for every kind of value that reaches them."""

from __future__ import annotations

import copy
import itertools
import pickle
import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal, getcontext, localcontext
from types import MappingProxyType
from typing import Any

import pytest

from mapspec import TransformError
from mapspec.conditions import Condition, number_at
from mapspec.numbers import PRECISION, Money, decimals_of, exactly, minor_unit, plain, short_plain, to_decimal
from mapspec.ops import CompileContext, bind_chain, bind_source, parse_instant, parse_step
from mapspec.paths import Scope, compile_path, member, parse_path
from mapspec.totals import Tax, TotalLine, line_taxes, predict

ROWS = [{"key": "po", "value": "7"}, {"name": "gift", "value": "yes"}]
VALUES: list[Any] = [None, "", " ", "tea", 0, 1, True, Decimal("1.50"), [], {}, ["a"], {"b": "c"}, ROWS]


def scope(record: Any, item: Any = None) -> Scope:
    return Scope(record, {"zone": "UTC", "blank": " ", "empty": ""}, lambda name: f"value of {name}", item=item)


def walked(value: Any, *names: str) -> Any:
    for name in names:
        value = member(value, name)
    return value


@pytest.mark.parametrize("outer", VALUES)
@pytest.mark.parametrize("inner", VALUES)
def test_short_paths_read_like_a_walk_through_their_members(outer: Any, inner: Any) -> None:
    for value in ({"b": inner}, outer, ROWS, MappingProxyType({"b": inner})):
        record = {"a": value}
        assert compile_path(parse_path("a"))(scope(record)) == value
        assert compile_path(parse_path("a.b"))(scope(record)) == walked(record, "a", "b")
        assert compile_path(parse_path(".a"))(scope({}, record)) == value
        rows = value if isinstance(value, list) else [] if value is None else [value]
        assert compile_path(parse_path("a[]"))(scope(record)) == rows
        found = [one for row in rows if (one := member(row, "b")) is not None]
        assert compile_path(parse_path("a[].b"))(scope(record)) == found


@pytest.mark.parametrize("record", [None, "text", 7, [], ROWS, MappingProxyType({"po": "7"})])
def test_a_record_that_is_no_object_is_read_as_before(record: Any) -> None:
    assert compile_path(parse_path("po"))(scope(record)) == member(record, "po")
    assert compile_path(parse_path("po.b"))(scope(record)) is None
    expected = [member(record, "po")] if isinstance(record, Mapping) or record == ROWS else []
    assert compile_path(parse_path("po[]"))(scope(record)) == expected


def test_a_named_value_is_asked_for_once_it_is_not_known() -> None:
    read = compile_path(parse_path("values.x"))
    here = scope({})
    assert read(here) == "value of x"
    here.known["x"] = None
    assert read(here) is None


@pytest.mark.parametrize(
    "text",
    ["0", "00.50", "5.", ".5", ".", "", " ", " 5 ", "1.2.3", "1,5", "1e5", "-1", "+1.50", "1_000", "١٢", "²", "9" * 13,
     "9" * 15, "9" * 16, "0." + "1" * 11, "0." + "1" * 12, "0." + "1" * 13, "NaN", "Infinity"],
)  # fmt: skip
def test_a_text_is_the_number_it_spells_or_none(text: str) -> None:
    plain_digits = text.strip().lstrip("+-")
    whole, _, fraction = plain_digits.partition(".")
    good = (
        plain_digits.isascii()
        and all(part.isdigit() or not part for part in (whole, fraction))
        and (whole or fraction)
        and len(whole) <= 15
        and len(fraction) <= 12
    )
    if not text.strip():
        assert number_at(text, "x") is None
        return
    for read in (to_decimal, number_at):
        if good:
            assert str(read(text, "x")) == str(Decimal(text.strip()))
        else:
            with pytest.raises(TransformError):
                read(text, "x")


@pytest.mark.parametrize("text", ["1.50", "1E+15", "1E+16", "NaN", "sNaN", "Infinity", "0.00", "-0", "1E-12", "1E-13"])
def test_a_decimal_in_range_is_taken_as_it_is(text: str) -> None:
    if text in ("1.50", "1E+15", "0.00", "-0", "1E-12"):
        assert str(to_decimal(Decimal(text), "x")) == text
    else:
        with pytest.raises(TransformError):
            to_decimal(Decimal(text), "x")


@pytest.mark.parametrize(
    "text",
    ["0", "-0", "0.00", "-0.00", "1", "100", "1E+2", "12.5", "12.50", "-12.50", "0.001", "1E-7", "0.00000001",
     "1234567890123456.123456789012", "1" * 40, "0." + "1" * 40],
)  # fmt: skip
@pytest.mark.parametrize("least", [0, 2, 3, 4])
def test_plain_text_has_the_digits_that_matter_and_no_exponent(text: str, least: int) -> None:
    with exactly():
        number = Decimal(text)
        written = plain(number, least)
        assert Decimal(written) == number
        assert "E" not in written
        assert written.lstrip("-") == written or number
        digits = written.partition(".")[2]
        assert len(digits) == max(least, decimals_of(number))
        assert short_plain(number) in (None, plain(number))


def test_exact_arithmetic_is_switched_once_and_left_as_it_was() -> None:
    outer = getcontext()
    with exactly():
        inner = getcontext()
        assert inner.prec == PRECISION
        with exactly():
            assert getcontext() is inner
        assert getcontext() is inner
    assert getcontext() is outer
    with pytest.raises(ZeroDivisionError), exactly():
        raise ZeroDivisionError
    assert getcontext() is outer
    with localcontext() as small:
        small.prec = 5
        with exactly():
            assert Decimal("1.123456789") + 1 == Decimal("2.123456789")
        assert getcontext().prec == 5


def test_an_amount_of_money_is_a_frozen_value() -> None:
    one = Money(Decimal("1.50"), "USD")
    assert one == Money(amount=Decimal("1.5"), currency="USD")
    assert hash(one) == hash(copy.copy(one))
    assert pickle.loads(pickle.dumps(one)) == one  # noqa: S301 - our own bytes
    assert repr(one) == "Money(amount=Decimal('1.50'), currency='USD')"
    with pytest.raises(AttributeError):
        one.amount = Decimal(2)  # type: ignore[misc]


@pytest.mark.parametrize("emoji", ["keep", "remove"])
@pytest.mark.parametrize(
    "text",
    ["tea", " tea ", "a\x00b", "a\tb\n", "\x7f", "Nu\u0301n\u0303ez", "tea \U0001f375", "a\u200db\ufe0f", "\ue000",
     "\u00a0x", "\u2028", "a\u0301" * 40, "a" + "\u0301" * 40, "x" * 40 + "\u20d0" * 35, "§ – „x“", "\u00ad"],
)  # fmt: skip
def test_clean_text_drops_the_same_characters_by_every_way(text: str, emoji: str) -> None:
    kept, marks = [], 0
    for c in text:
        marks = marks + 1 if unicodedata.combining(c) else 0
        if marks <= 30:
            kept.append(c)
    expected = "".join(
        c
        for c in unicodedata.normalize("NFC", "".join(kept))
        if (c in "\n\t" or unicodedata.category(c) not in {"Cc", "Cs", "Co", "Cn"})
        and not (emoji == "remove" and (ord(c) > 0xFFFF or c in "\u200d\ufe0f"))
    ).strip()
    step = parse_step({"clean_text": emoji}).bind(CompileContext())
    assert step(text, scope({})) == (expected or None)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-03-02T16:15:48-05:00", datetime(2026, 3, 2, 16, 15, 48, tzinfo=timezone(timedelta(hours=-5)))),
        ("2026-03-02T16:15:48Z", datetime(2026, 3, 2, 16, 15, 48, tzinfo=UTC)),
        ("2026-03-02T16:15:48.250Z", datetime(2026, 3, 2, 16, 15, 48, 250_000, tzinfo=UTC)),
        (" 2026-03-02 16:15z ", datetime(2026, 3, 2, 16, 15, tzinfo=UTC)),
        ("2026-03-02", datetime(2026, 3, 2)),
    ],
)
def test_instants_in_the_usual_form_and_in_others_are_read_alike(text: str, expected: datetime) -> None:
    assert parse_instant(text) == expected
    assert parse_instant(text).tzinfo == expected.tzinfo


@pytest.mark.parametrize("text", ["2026-13-02T16:15:48Z", "2026-03-02T25:15:48Z", "2026-03-02T16:15:48+24:00", "x"])
def test_an_instant_that_is_none_says_how_long_the_text_was(text: str) -> None:
    with pytest.raises(TransformError, match=f"got a text of {len(text) + 2} characters"):
        parse_instant(f" {text} ")


CHAINS: list[tuple[list[dict[str, Any]], str]] = [
    ([{"path": "a"}, {"money": "currency"}], "step 2 (money): "),
    ([{"path": "a"}, {"trim": None}, {"max_length": 2}], "step 3 (max_length): "),
    ([{"path": "a"}, {"trim": None}, {"case": "lower"}, {"decimal": None}, {"abs": None}], "step 4 (decimal): "),
    ([{"path": "a"}, {"when": {"if": {"present": "a"}, "then": [{"path": "a"}, {"int": None}]}}], "step 2 (int): "),
    ([{"trim": None}, {"path": "a"}, {"parse_instant": None}], "step 3 (parse_instant): "),
]


@pytest.mark.parametrize(("chain", "expected"), CHAINS)
def test_an_error_names_its_step_in_chains_of_every_make(chain: list[dict[str, Any]], expected: str) -> None:
    steps = [parse_step(step) for step in chain]
    here = scope({"a": " Tea ", "currency": "USD"})
    with pytest.raises(TransformError) as by_step:
        bind_chain(steps, CompileContext())(None, here)
    with pytest.raises(TransformError) as by_source:
        bind_source(steps, CompileContext())(here)
    assert by_step.value.message.startswith(expected)
    assert by_source.value.message == by_step.value.message


def test_a_chain_of_no_steps_leaves_the_value_alone() -> None:
    assert bind_chain((), CompileContext())("tea", scope({})) == "tea"


@pytest.mark.parametrize("setting", ["zone", "blank", "empty"])
def test_a_blank_setting_makes_a_text_absent_and_an_empty_one_does_not(setting: str) -> None:
    here = scope({})
    step = parse_step({"template": f"<{{settings.{setting}}}>"}).bind(CompileContext(settings=here.settings))
    assert step(None, here) == {"zone": "<UTC>", "blank": None, "empty": "<>"}[setting]


@pytest.mark.parametrize("value", VALUES)
def test_in_and_equal_look_at_single_values_and_lists_alike(value: Any) -> None:
    wanted = Condition.model_validate({"in": ["a", ["TEA", "true", "1.5", ""]]}).compile()
    one = Condition.model_validate({"equal": ["a", " tea "]}).compile()
    is_wanted = value == "tea" or value is True or isinstance(value, Decimal)
    assert wanted(scope({"a": value})) is is_wanted
    assert one(scope({"a": value})) is (value == "tea")
    # blank text is no value by itself, and an element of a list like any other
    assert wanted(scope({"a": [value]})) is (is_wanted or value in ("", " "))


@pytest.mark.parametrize("digits", [0, 2, 3])
def test_the_modes_computed_together_are_those_computed_one_by_one(digits: int) -> None:
    unit = minor_unit(digits)
    gst, pst = Tax("GST", Decimal("5")), Tax("PST", Decimal("9.975"))
    nets = ["1", "0.5", "10.005", "2.675", "-3.335", "0.125", "19.99"]
    for chosen in itertools.combinations(nets, 3):
        rows = [
            TotalLine(Decimal(3), Decimal(net), taxes, compound)
            for net, (taxes, compound) in zip(
                chosen, [((), False), ((gst,), False), ((gst, pst), len(chosen[0]) > 3)], strict=True
            )
        ]
        expected = {}
        with exactly():
            exact = [row.quantity * row.unit_cost for row in rows]
            for mode, rule in (("", ROUND_HALF_UP), ("_even", ROUND_HALF_EVEN)):
                rounded = [net.quantize(unit, rule) for net in exact]
                taxes = [
                    (tax, amount)
                    for row, net in zip(rows, rounded, strict=True)
                    for tax, amount in zip(row.taxes, line_taxes(net, row.taxes, row.compound), strict=True)
                ]
                each = sum(amount.quantize(unit, rule) for _, amount in taxes)
                once = sum(
                    sum(amount for tax, amount in taxes if tax == wanted).quantize(unit, rule) for wanted in (gst, pst)
                )
                expected[f"line{mode}"] = sum(rounded) + each
                expected[f"tax{mode}"] = sum(rounded) + once
            inside = [sum(line_taxes(n, r.taxes, r.compound)) for n, r in zip(exact, rows, strict=True)]
            expected["total"] = (sum(exact) + sum(inside)).quantize(unit, ROUND_HALF_UP)
            assert predict(rows, digits) == expected
