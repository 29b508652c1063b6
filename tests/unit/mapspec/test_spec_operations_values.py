"""What operations on one value do where it gets difficult: dates, numbers of other countries, names, phones, codes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from mapspec.errors import TransformError
from mapspec.numbers import exactly
from mapspec.ops import CompileContext, bind_chain, countries, parse_step
from mapspec.ops.codes import AMBIGUOUS, currencies, regions
from mapspec.paths import Scope

CONTEXT = CompileContext(settings={"code": "+49", "prefix": "x"}, spec="shop/orders")


def run(step: Any, value: Any = None, record: Mapping[str, Any] | None = None) -> Any:
    steps = step if isinstance(step, list) else [step]
    with exactly():
        return bind_chain([parse_step(one) for one in steps], CONTEXT)(value, Scope(record or {}, {}, {}.get))


def refused(step: Any, value: Any = None, record: Mapping[str, Any] | None = None) -> str:
    with pytest.raises(TransformError) as caught:
        run(step, value, record)
    return caught.value.reason


@pytest.mark.parametrize(
    ("format_", "text", "day"),
    [
        ("YYYY-MM-DD", "2026-03-01", date(2026, 3, 1)),
        ("D/M/YYYY", " 1/3/2026 ", date(2026, 3, 1)),
        ("MM/DD/YY", "03/01/26", date(2026, 3, 1)),
        ("DDMMMYYYY", "01mar2026", date(2026, 3, 1)),
        ("D. MMMM YYYY", "1. MARCH 2026", date(2026, 3, 1)),
        ("MMM D YYYY", "Sep. 1 2026", date(2026, 9, 1)),
        ("YYYYMMDD", "20240229", date(2024, 2, 29)),
    ],
)
def test_dates_are_read_by_their_format(format_: str, text: str, day: date) -> None:
    assert run({"parse_date": format_}, text) == day


@pytest.mark.parametrize(
    ("format_", "text"),
    [
        ("YYYY-MM-DD", "2026-3-1"),
        ("YYYY-MM-DD", "2026-13-01"),
        ("YYYY-MM-DD", "0000-01-01"),
        ("YYYY-MM-DD", "2026-03-01T00:00:00Z"),
        ("YYYY-MM-DD", "٢٠٢٦-٠٣-٠١"),
        ("DD.MM.YYYY", "01/03/2026"),
        ("D MMM YYYY", "1 Foo 2026"),
        ("D MMMM YYYY", "1 Mar 2026"),
    ],
)
def test_a_text_of_another_format_is_no_date(format_: str, text: str) -> None:
    assert refused({"parse_date": format_}, text) == "bad-date"


def test_formats_that_agree_are_not_ambiguous() -> None:
    both = {"parse_date": ["DD/MM/YYYY", "MM/DD/YYYY"]}
    assert run(both, "04/04/2026") == date(2026, 4, 4)
    assert refused(both, "04/05/2026") == "ambiguous-date"


@pytest.mark.parametrize(
    "format_", ["", "YYYY", "YYYY-MM", "YYYY-MM-DD-DD", "YYYY-MM-DDThh", "DMYYYY", "YYYYMMD", "YYYY_MM_DD", [], None, 7]
)
def test_a_format_that_could_be_misread_is_refused(format_: Any) -> None:
    with pytest.raises(ValueError, match="parse_date"):
        parse_step({"parse_date": {"format": format_}})


def test_two_digits_of_a_year_are_of_this_century() -> None:
    assert refused({"format_date": "DD.MM.YY"}, date(1999, 1, 1)) == "bad-date"
    assert refused({"format_date": "DD.MM.YYYY"}, datetime(2026, 3, 1, tzinfo=UTC)) == "bad-date"
    assert run({"format_date": "YYYY-MM-DD"}, date(1, 1, 1)) == "0001-01-01"


def test_days_between_counts_back_too() -> None:
    step = {"days_between": [{"path": "due"}, {"parse_date": "YYYY-MM-DD"}]}
    assert run(step, date(2024, 3, 1), {"due": "2024-02-28"}) == -2
    assert run(step, date(2024, 3, 1), {}) is None
    assert refused(step, "2024-03-01", {"due": "2024-02-28"}) == "bad-date"


@pytest.mark.parametrize(
    ("locale", "text", "number"),
    [
        ("en", "1,234,567.89", "1234567.89"),
        ("en", "£1,234.50", "1234.50"),
        ("en", "USD 12", "12"),
        ("en", "-$5.00", "-5.00"),
        ("en", "$-5.00", "-5.00"),
        ("en", "5.00-", "-5.00"),
        ("en", "(1,000.00)", "-1000.00"),
        ("en", ".5", "0.5"),
        ("en-IN", "12,34,567.8", "1234567.8"),
        ("de", "1.234", "1234"),
        ("de", "\u22121.234,5", "-1234.5"),
        ("de-CH", "CHF 1\u2019234.50", "1234.50"),
        ("fr", "1\u202f234,50\u00a0€", "1234.50"),
        ("pt-BR", "R$ 1.234,50", "1234.50"),
        ("sv", "1 234,50 kr", "1234.50"),
        ("auto", "1.234,50", "1234.50"),
        ("auto", "1,234.50", "1234.50"),
        ("auto", "1.234.567", "1234567"),
        ("auto", "1'234.567", "1234.567"),
        ("auto", "0,123", "0.123"),
        ("auto", "1234,567", "1234.567"),
        ("auto", "12,5", "12.5"),
        ("auto", "1234", "1234"),
        ("auto", "Kč 7", "7"),
    ],
)
def test_numbers_are_read_as_their_locale_writes_them(locale: str, text: str, number: str) -> None:
    made = run({"parse_number": locale}, text)
    assert str(made) == number


@pytest.mark.parametrize(
    ("locale", "text"),
    [
        ("en", "1.234,50"),
        ("en", "1,2345"),
        ("en", "12,34,567"),
        ("en", "1 234"),
        ("de", "1.5"),
        ("de", "1,234,5"),
        ("auto", "1,2,3"),
        ("auto", "1.2.3,4"),
        ("auto", "1 234'567"),
        ("auto", "$5€"),
        ("auto", "-(5)"),
        ("auto", "--5"),
        ("auto", "5%"),
        ("auto", "5 apples"),
        ("auto", "1e5"),
        ("auto", "12."),
        ("auto", "."),
        ("auto", "١٢"),
        ("auto", "9" * 40),
        ("auto", "9" * 90_000),
    ],
)
def test_what_is_no_number_of_the_locale_is_refused(locale: str, text: str) -> None:
    assert refused({"parse_number": locale}, text) == "bad-number"


@pytest.mark.parametrize("text", ["1,234", "1.234", "-12.345", "$999,999", "¥1,000"])
def test_a_number_of_two_readings_is_refused_until_told(text: str) -> None:
    assert refused({"parse_number": None}, text) == "ambiguous-number"
    assert run({"parse_number": "en"}, text) != run({"parse_number": "de"}, text.replace("$", "").replace("¥", "")) or (
        "," not in text and "." not in text
    )


def test_arithmetic_is_exact_beyond_the_digits_of_records() -> None:
    steps = [{"multiply": "0.123456789012"}, {"multiply": "0.123456789012"}, {"negate": None}, {"round": "24"}]
    with pytest.raises(ValueError, match="'places'"):
        parse_step(steps[-1])
    steps[-1] = {"add": "1"}
    assert run(steps, "1") == 1 - Decimal("0.123456789012") ** 2
    assert run([{"multiply": "0.3333333333"}, {"round": "2"}], "12.345") == Decimal("4.11")


@pytest.mark.parametrize("name", ["add", "subtract", "multiply", "percent_of", "sum"])
@pytest.mark.parametrize("bad", [1.5, True, "1e5", Decimal("1e999999"), Decimal("NaN"), 10**400, {"a": 1}])
def test_the_other_number_is_as_strict_as_the_first(name: str, bad: Any) -> None:
    assert refused({name: "other"}, "1", {"other": bad}) == "bad-number"


@pytest.mark.parametrize("text", ["1e5", "1,5", "-", "+x", ".5.5", "1e999999", "12 apples", 1.5, True, None])
def test_what_starts_like_a_number_is_one_or_refused(text: Any) -> None:
    with pytest.raises(ValueError, match=r"expected a number such as 8\.25, or a path"):
        parse_step({"add": {"number": text}})


def test_a_step_needs_what_it_cannot_guess() -> None:
    for step, message in (
        ({"divide": {"by": "3"}}, "'places' is missing"),
        ({"divide": {"by": "3", "places": "2"}}, "'rounding' is missing"),
        ({"divide": {"by": "0.0", "places": "2", "rounding": "half_up"}}, "divided by zero"),
        ({"divide": "3"}, "takes named arguments"),
        ({"scale": {}}, "either 'by' or 'minor_units_of'"),
        ({"scale": {"by": "-2", "minor_units_of": "currency"}}, "either 'by' or 'minor_units_of'"),
        ({"split_part": {"on": "-", "part": "0"}}, "counts from 1"),
        ({"map_enum": {"rows": {}}}, "'rows'"),
        ({"map_enum": {"rows": {"a": "1", " A ": "2"}}}, "the same key"),
        ({"map_enum": {"rows": {"a": "1"}, "missing": "default"}}, "'default' goes with"),
        ({"currency_code": {"signs": {"$": "usd"}}}, "no ISO 4217 code"),
        ({"normalize_unicode": "NFX"}, "'form'"),
        ({"hash": "4"}, "'length'"),
    ):
        with pytest.raises(ValueError, match=message):
            parse_step(step)


@pytest.mark.parametrize(
    ("name", "given", "family"),
    [
        ("Ana López", "Ana", "López"),
        ("  Ana   María  López ", "Ana María", "López"),
        ("Ludwig van der Rohe", "Ludwig", "van der Rohe"),
        ("Vincent Van Gogh", "Vincent", "Van Gogh"),
        ("Van Morrison", "Van", "Morrison"),
        ("Juan Carlos de la Cruz", "Juan Carlos", "de la Cruz"),
        ("José Ortega y Gasset", "José", "Ortega y Gasset"),
        ("John E. Smith", "John E.", "Smith"),
        ("Mary Li Chen", "Mary Li", "Chen"),
        ("Sammy Davis, Jr.", "Sammy", "Davis, Jr."),
        ("Henry Ford II", "Henry", "Ford II"),
        ("Ford, Henry", "Henry", "Ford"),
        ("Smith,", "Smith,", None),
        ("King Jr.", None, "King Jr."),
        ("Cher", "Cher", None),
        ("李小龙", "李小龙", None),
        ("  ", None, None),
        ("Jr.", "Jr.", None),
    ],
)
def test_names_are_split_without_losing_a_word(name: str, given: str | None, family: str | None) -> None:
    assert run({"split_name": "given"}, name) == given
    assert run({"split_name": "family"}, name) == family


@pytest.mark.parametrize(
    ("code", "text", "number"),
    [
        ("1", "512-555-0100", "+15125550100"),
        ("1", "1 (512) 555.0100 ext. 7", "+15125550100 ext 7"),
        ("1", "011 44 20 7946 0958", "+442079460958"),
        ("1", "+1 512 555 0100 #7", "+15125550100 ext 7"),
        ("1", "0512 555 010", "0512 555 010"),
        ("1", "555-0100", "555-0100"),
        ("1", "1-800-FLOWERS", "1-800-FLOWERS"),
        ("1", "512 555 0100 / 512 555 0101", "512 555 0100 / 512 555 0101"),
        ("settings.code", "030/1234567", "+49301234567"),
        ("49", "0201234/0205678", "0201234/0205678"),
        ("49", "0049 30 1234567", "+49301234567"),
        ("49", "30 1234567", "30 1234567"),
        ("45", "32 12 34 56", "+4532123456"),
        ("39", "06 1234 5678", "+390612345678"),
        ("39", "+39 (0)6 1234 5678", "+39 (0)6 1234 5678"),
        ("7", "8 495 123-45-67", "8 495 123-45-67"),
        (None, "+49 (0)30 1234567", "+49301234567"),
        (None, "00", "00"),
        (None, "+1 23", "+1 23"),
        (None, "+12 345 678 901 234 567", "+12 345 678 901 234 567"),
        (None, "  ", None),
        (None, "x" * 5000, "x" * 5000),
    ],
)
def test_a_phone_is_changed_only_where_it_is_certain(code: str | None, text: str, number: str | None) -> None:
    assert run({"phone": {"country_code": code}}, text) == number


def test_a_calling_code_is_one() -> None:
    for code in ("US", "0", "1234", "settings.prefix"):
        with pytest.raises(ValueError, match="calling code"):
            run({"phone": code}, "1")


@pytest.mark.parametrize(
    ("step", "value", "record", "expected"),
    [
        ({"region": None}, "US-TX", {}, "TX"),
        ({"region": None}, " new york ", {}, "NY"),
        ({"region": None}, "Québec", {}, "QC"),
        ({"region": None}, "Wash. D.C.", {}, "Wash. D.C."),
        ({"region": None}, None, {}, None),
        ({"region": {"country": "country"}}, "ON", {"country": "United States"}, "ON"),
        ({"region": {"country": "country", "missing": "absent"}}, "ON", {"country": "US"}, None),
        ({"region": {"country": "country"}}, "Ontario", {"country": "CA"}, "ON"),
        ({"region": {"country": "country"}}, "Ontario", {}, "ON"),
        ({"region": {"country": "country", "missing": "hold"}}, "Bavaria", {"country": "DE"}, "Bavaria"),
        ({"country_code": None}, "gb", {}, "GB"),
        ({"country_code": None}, "Côte d’Ivoire", {}, "CI"),
        ({"country_code": "absent"}, "Ruritania", {}, None),
        ({"currency_code": None}, "US$", {}, "USD"),
        ({"currency_code": None}, "kč", {}, "CZK"),
        ({"currency_code": None}, "U.S. Dollars", {}, "USD"),
        ({"currency_code": None}, " ", {}, None),
        ({"currency_code": {"signs": {"kr": "SEK", "Dollar": "AUD"}}}, "Kr.", {}, "SEK"),
        ({"currency_code": {"signs": {"kr": "SEK", "Dollar": "AUD"}}}, "dollar", {}, "AUD"),
        ({"map_enum": {"rows": {"a": "1"}, "missing": "keep"}}, "b", {}, "b"),
        ({"map_enum": {"rows": {"a": "1"}, "missing": "absent"}}, "b", {}, None),
        ({"map_enum": {"rows": {"a": "1"}, "missing": "default", "default": "settings.prefix"}}, "b", {}, "x"),
        ({"scale": "-2"}, "1250", {}, Decimal("12.50")),
        ({"scale": {"minor_units_of": "currency"}}, 1250, {"currency": " kwd"}, Decimal("1.250")),
        ({"hash": "64"}, " ", {}, None),
    ],
)
def test_codes_and_tables(step: Any, value: Any, record: dict[str, Any], expected: Any) -> None:
    made = run(step, value, record)
    assert made == expected


def test_ambiguous_signs_of_currencies_are_refused() -> None:
    for sign in ("$", "¥", "kr", "Rs.", "pounds", "peso"):
        assert refused({"currency_code": None}, sign) == "ambiguous-currency"
    assert not AMBIGUOUS & set(currencies())


def test_the_data_files_are_whole() -> None:
    assert len(set(currencies().values())) > 150
    assert len(set(regions().values())) == 59 + 13
    assert all(len(code) == 3 and code.isupper() for code in currencies().values())
    assert all(run({"country_code": "hold"}, name) == code for code, name in countries().items())


def test_a_hash_is_keyed_by_the_spec_and_ignores_case_and_blanks() -> None:
    other = parse_step({"hash": None}).bind(CompileContext(spec="shop/customers"))("Ana", Scope({}, {}, {}.get))
    assert run({"hash": None}, " ANA ") == run({"hash": None}, "ana")
    assert run({"hash": None}, "ana") != other
    assert refused({"hash": None}, "\ud800") == "bad-text"
    with pytest.raises(ValueError, match="needs the spec's id"):
        parse_step({"hash": None}).bind(CompileContext())


def test_hostile_texts_take_linear_work() -> None:
    """None of these may end the process, take long, or raise anything but a TransformError."""
    texts = ["x" * 100_000, "," * 100_000, "(" * 100_000, "a\u0315\u0300" * 33_000, "ﷺ" * 100_000, "1 " * 50_000]
    steps: list[Any] = [
        {"normalize_unicode": "NFKD"}, {"split_part": {"on": ",", "part": "-1"}}, {"split": ","},
        {"split_name": "family"}, {"phone": "1"}, {"region": None}, {"country_code": None},
        {"parse_date": "D MMMM YYYY"}, {"url_encode": None},
        {"escape_html": None}, {"hash": None}, {"map_enum": {"rows": {"a": "b"}, "missing": "keep"}},
    ]  # fmt: skip
    for step in steps:
        for text in texts:
            try:
                run(step, text)
            except TransformError as error:
                assert error.reason == "bad-date"
    assert refused({"trim": None}, "x" * 100_001) == "too-long"
