"""What holds for every input of an operation: nothing is lost, what is written reads as before, no float appears."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mapspec.errors import TransformError
from mapspec.numbers import exactly
from mapspec.ops import CATALOGUE, CompileContext, Table, bind_chain, parse_step
from mapspec.ops.dateformat import DateFormat
from mapspec.ops.localnumbers import LOCALES
from mapspec.paths import Scope

AMOUNTS = st.decimals(min_value="-99999999", max_value="99999999", allow_nan=False, places=2)
WEIGHTS = st.lists(st.decimals(min_value=0, max_value=100000, allow_nan=False, places=4), min_size=1, max_size=30)
TEXTS = st.text(max_size=60)
FORMATS = [
    "YYYY-MM-DD", "DD.MM.YYYY", "MM/DD/YYYY", "D/M/YYYY", "YYYYMMDD", "DDMMMYYYY", "MMMM D, YYYY", "D MMM YYYY",
    "YYYY.M.D", "YYYY DD MM",
]  # fmt: skip
# Amounts as records have them and as hostile records have them.
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.text(max_size=30), st.floats(),
    st.decimals(allow_nan=True, allow_infinity=True), st.dates(), st.datetimes(),
    st.sampled_from([Decimal("1e999999"), Decimal("sNaN"), 10**400, "1,234", "2026-03-01", "\ud800", "US", "$", "+1"]),
)  # fmt: skip
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("abk"), inner, max_size=3),
    max_leaves=12,
)  # fmt: skip


def run(steps: Any, value: Any = None, record: Any = None) -> Any:
    chain = [parse_step(step) for step in (steps if isinstance(steps, list) else [steps])]
    context = CompileContext(spec="shop/orders")
    with exactly():
        return bind_chain(chain, context)(value, Scope(record or {}, {}, {}.get))


@given(amount=AMOUNTS, weights=WEIGHTS, places=st.integers(2, 4))
def test_allocate_sums_exactly(amount: Decimal, weights: list[Decimal], places: int) -> None:
    record = {"amount": amount, "rows": [{"weight": weight} for weight in weights]}
    step = {"allocate": {"amount": "amount", "over": "rows[]", "weight": ".weight", "places": places, "give": "list"}}
    if amount and not any(weights):
        with pytest.raises(TransformError, match="nothing to spread"):
            run(step, record=record)
        return
    shares = run(step, record=record)
    assert len(shares) == len(weights)
    assert sum(shares, Decimal(0)) == amount
    assert all(share * amount >= 0 for share in shares)
    assert all(share == 0 for share, weight in zip(shares, weights, strict=True) if weight == 0)
    unit = Decimal(1).scaleb(-places)
    total = sum(weights, Decimal(0))
    if total:
        with exactly():
            assert all(
                abs(share - amount * weight / total) < unit for share, weight in zip(shares, weights, strict=True)
            )


@given(amount=AMOUNTS, weights=WEIGHTS)
def test_the_shares_of_the_elements_are_those_of_the_list(amount: Decimal, weights: list[Decimal]) -> None:
    record = {"amount": amount, "rows": [{"weight": weight} for weight in weights]}
    arguments = {"amount": "$.amount", "over": "$.rows[]", "weight": ".weight", "places": "2"}
    bound = parse_step({"allocate": arguments}).bind(CompileContext())
    scope = Scope(record, {}, lambda name: None)
    try:
        whole = run({"allocate": {**arguments, "give": "list"}}, record=record)
    except TransformError:
        return
    shares = []
    for index, row in enumerate(record["rows"]):
        scope.item, scope.index = row, index
        shares.append(bound(None, scope))
    assert shares == whole


@given(
    parts=st.lists(st.text(max_size=10).filter(lambda text: text.strip() and "," not in text), min_size=1, max_size=8)
)
def test_split_and_concat_are_inverse(parts: list[str]) -> None:
    assert run([{"split": ","}], ",".join(parts)) == parts
    assert run([{"split": ","}, {"concat": ","}], ",".join(parts)) == ",".join(parts)
    for position in range(len(parts)):
        assert run({"split_part": {"on": ",", "part": position + 1}}, ",".join(parts)) == parts[position].strip()
        assert (
            run({"split_part": {"on": ",", "part": position - len(parts)}}, ",".join(parts)) == parts[position].strip()
        )


@given(name=st.text(max_size=40).filter(lambda text: "," not in text))
def test_both_parts_of_a_name_are_the_name(name: str) -> None:
    parts = [run({"split_name": part}, name) for part in ("given", "family")]
    assert " ".join(part for part in parts if part) == " ".join(name.split())


@pytest.mark.parametrize("format_", FORMATS)
@given(day=st.dates())
@settings(max_examples=50)
def test_a_written_date_reads_as_the_same(format_: str, day: date) -> None:
    assert run([{"format_date": format_}, {"parse_date": format_}], day) == day
    assert DateFormat(format_).write(day) == run({"format_date": format_}, day)


@given(day=st.dates(min_value=date(2000, 1, 1), max_value=date(2099, 12, 31)))
def test_a_short_year_reads_as_the_same(day: date) -> None:
    assert run([{"format_date": "DD.MM.YY"}, {"parse_date": "DD.MM.YY"}], day) == day


@given(day=st.dates())
def test_both_orders_of_day_and_month_agree_or_are_refused(day: date) -> None:
    both = {"parse_date": ["DD/MM/YYYY", "MM/DD/YYYY"]}
    text = f"{day.day:02}/{day.month:02}/{day.year:04}"
    if day.day <= 12 and day.day != day.month:
        with pytest.raises(TransformError, match="several formats"):
            run(both, text)
    else:
        assert run(both, text) == day


@given(
    text=st.from_regex(r"\+?[0-9 ()./-]{3,20}( ?(x|ext\.? ?)[0-9]{1,5})?", fullmatch=True) | TEXTS,
    code=st.sampled_from([None, "1", "44", "49", "39", "45", "7"]),
)
@settings(max_examples=300)
def test_phone_is_idempotent(text: str, code: str | None) -> None:
    once = run({"phone": {"country_code": code}}, text)
    assert once is None or run({"phone": {"country_code": code}}, once) == once
    assert once is None or once == text.strip() or (once.startswith("+") and once[1:].split(" ext ")[0].isdigit())


@pytest.mark.parametrize("locale", LOCALES)
@given(amount=AMOUNTS, places=st.integers(0, 4), group=st.integers(0, 2))
@settings(max_examples=40)
def test_numbers_of_every_locale_read_as_written(locale: str, amount: Decimal, places: int, group: int) -> None:
    mark, groups = LOCALES[locale]
    number = amount.quantize(Decimal(1).scaleb(-places)) if places < 2 else amount
    parted = f"{number:,.{places}f}".replace(",", "G").replace(".", mark)
    written = parted.replace("G", (groups + " ")[group % len(groups)] if group else "")
    assert run({"parse_number": locale}, written) == number
    try:
        assert run({"parse_number": None}, written) in (number, None)
    except TransformError as error:
        assert error.reason == "ambiguous-number"


@given(number=st.decimals(min_value="-9999999", max_value="9999999", allow_nan=False, places=4), by=st.integers(-6, 6))
def test_scaling_there_and_back_changes_nothing(number: Decimal, by: int) -> None:
    assert run([{"scale": str(by)}, {"scale": str(-by)}], number) == number


@given(left=AMOUNTS, right=AMOUNTS)
def test_subtract_undoes_add(left: Decimal, right: Decimal) -> None:
    assert run([{"add": "other"}, {"subtract": "other"}], left, {"other": right}) == left
    assert run({"sum": ["left", "right"]}, None, {"left": left, "right": right}) == left + right


@given(rows=st.lists(st.fixed_dictionaries({"k": st.sampled_from("abcd"), "n": st.integers()}), max_size=20))
def test_groups_have_every_element_once(rows: list[dict[str, Any]]) -> None:
    groups = run({"group_by": ".k"}, rows)
    assert sorted(map(id, rows)) == sorted(id(row) for group in groups for row in group["rows"])
    assert [group["key"] for group in groups] == list(dict.fromkeys(row["k"] for row in rows))


def floats_in(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return any(map(floats_in, value))
    if isinstance(value, dict):
        return any(map(floats_in, value.values()))
    return isinstance(value, float)


@pytest.mark.parametrize("name", CATALOGUE)
@given(value=VALUES, record=VALUES, item=VALUES)
@settings(max_examples=40, deadline=None)
def test_whatever_comes_in_only_a_transform_error_comes_out(name: str, value: Any, record: Any, item: Any) -> None:
    for example in CATALOGUE[name].examples:
        tables = {table: Table(table, rows, "hold", None) for table, rows in example.tables.items()}
        chain = [parse_step({name: example.argument})]
        bound = bind_chain(chain, CompileContext(tables=tables, settings=example.settings, spec="shop/orders"))
        root = dict.fromkeys(example.record, record) or {"a": record}
        scope = Scope(root, {}, {}.get, item)
        try:
            with exactly():
                made = bound(value, scope)
        except TransformError:
            continue
        assert scope.item is item
        if not floats_in([value, record, item]):
            assert not floats_in(made)
