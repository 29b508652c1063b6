"""Profiles say what the records hold, whatever their order."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pytest

from mapper_ai.core.fields import Relation, TimeOrder
from mapper_ai.core.formats import FORMATS, nearness, recognise
from mapper_ai.core.profile import (
    MAX_DEPTH,
    MAX_EXAMPLES,
    Profile,
    merge_profiles,
    profile_contract,
    profile_records,
    split_path,
)
from mapper_ai.core.relations import relations_between
from mapspec.paths import parse_path


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (None, "empty"),
        ("  ", "empty"),
        (True, "bool"),
        ("false", "bool"),
        (12, "integer"),
        ("12", "integer"),
        ("007", "code"),
        (Decimal("1.5"), "decimal"),
        ("10.00", "decimal"),
        ("8.25 %", "percent"),
        ("a+b@c.example", "email"),
        ("+1 512 555 0100", "phone"),
        ("2026-02-03", "date"),
        ("2026-02-03T10:00:00Z", "instant"),
        ("2026-02-03 10:00:00", "instant"),
        ("EUR", "currency"),
        ("DE", "country"),
        ("United Kingdom", "country"),
        ("https://x.example/a", "url"),
        ("3b2c1f0e-5a64-4f7e-9a37-1d2c3b4a5f60", "uuid"),
        ("TEA-01", "code"),
        ("paid", "word"),
        ("two words", "text"),
        ("x" * 100_000, "text"),
    ],
)
def test_formats_are_recognised(value: object, name: str) -> None:
    assert recognise(value) == name


def test_nearness_is_symmetric_and_bounded() -> None:
    for first in FORMATS:
        for second in FORMATS:
            assert nearness(first, second) == nearness(second, first)
            assert 0.0 <= nearness(first, second) <= 1.0


def test_null_empty_and_absent_are_three_things() -> None:
    entry = profile_records([{"a": None}, {"a": ""}, {"a": "x"}, {}]).field("a")
    assert entry.null_share == pytest.approx(1 / 3)
    assert entry.empty_share == pytest.approx(1 / 3)
    assert entry.present_share == 0.75
    assert entry.filled_share == pytest.approx(1 / 3)


def test_arrays_have_brackets_and_a_length() -> None:
    profile = profile_records([{"lines": [{"qty": "1"}, {"qty": "2.5"}], "tags": ["a"], "grid": [[1, 2]]}])
    assert profile.paths == ("grid[][]", "lines[].qty", "tags[]")
    entry = profile.field("lines[].qty")
    assert (entry.minimum, entry.maximum, entry.mean) == (Decimal(1), Decimal("2.5"), Decimal("1.75"))
    assert (entry.list_length, entry.arrays) == (2, ("lines[]",))
    assert profile.field("grid[][]").addressable is False


def test_presence_in_a_list_is_counted_per_item() -> None:
    profile = profile_records([{"lines": [{"sku": "a", "note": "x"}, {"sku": "b"}]}])
    assert profile.field("lines[].note").present_share == 0.5


def test_numbers_that_no_book_holds_do_not_break_the_range() -> None:
    entry = profile_records([{"n": Decimal("NaN")}, {"n": Decimal("1E+999999")}, {"n": float("inf")}, {"n": 3}]).field(
        "n"
    )
    assert (entry.minimum, entry.maximum) == (Decimal(3), Decimal(3))


def test_odd_names_get_their_own_path_and_are_marked() -> None:
    profile = profile_records([{"a.b": 1, "a": {"b": 2}, "": 3, "$": 4, "9x": 5, "naïve": 6, " a": 7}])
    marks = {entry.path: entry.addressable for entry in profile.fields}
    assert list(marks) == ['" a"', '""', '"$"', '"a.b"', "9x", "a.b", "naïve"]
    assert all(marks.values())
    for entry in profile.fields:
        assert split_path(entry.path) == entry.segments
        assert parse_path(entry.path).source_path() == entry.path


def test_few_words_again_and_again_are_an_enum() -> None:
    profile = profile_records([{"s": word, "n": number} for number, word in enumerate(["paid", "open"] * 5)])
    assert (profile.field("s").is_enum, profile.field("n").is_enum) == (True, False)


def test_examples_are_few_and_short() -> None:
    entry = profile_records([{"t": f"{number} " + "y" * 500} for number in range(50)]).field("t")
    assert len(entry.examples) == MAX_EXAMPLES
    assert max(map(len, entry.examples)) == 80


def test_no_records_give_an_empty_profile() -> None:
    assert profile_records([]) == Profile(())
    assert profile_records([{}]).fields == ()


def _nested(depth: int) -> dict[str, Any]:
    record: dict[str, Any] = {"x": 1}
    for _ in range(depth):
        record = {"a": record}
    return record


def test_deep_nesting_and_recursion_are_refused_by_name() -> None:
    assert len(profile_records([_nested(MAX_DEPTH - 2)]).fields) == 1
    endless: dict[str, Any] = {}
    endless["self"] = endless
    endless_list: list[Any] = []
    endless_list.append(endless_list)
    for record in (_nested(MAX_DEPTH + 1), endless, {"l": endless_list}):
        with pytest.raises(ValueError, match=r"record 1: nested deeper"):
            profile_records([record])


def test_a_record_that_is_no_object_is_named() -> None:
    with pytest.raises(ValueError, match="record 2: expected an object, got a list"):
        profile_records([{}, []])  # type: ignore[list-item]  # the error under test


def test_keys_are_filled_everywhere_and_never_repeat() -> None:
    rows = [
        {"id": n, "order": 7, "total": Decimal(n) / 8, "lines": [{"id": f"L{n}-{k}"} for k in range(2)]}
        for n in range(4)
    ]
    assert [entry.path for entry in profile_records(rows).fields if entry.is_key] == ["id", "lines[].id"]
    assert not profile_records([*rows, {"total": 1}]).field("id").is_key


def test_arrays_tell_empty_null_and_absent_apart() -> None:
    lengths = profile_records([{"a": [1, 2, 3]}, {"a": [1]}, {"a": []}, {"a": None}, {}, {"a": [1, 2]}]).arrays
    (entry,) = lengths
    assert (entry.path, entry.occurrences, entry.items) == ("a[]", 5, 6)
    assert (entry.present_share, entry.null_share, entry.empty_share) == (pytest.approx(5 / 6), 0.2, 0.2)
    assert (entry.min_length, entry.median_length, entry.max_length) == (0, 1, 3)


def test_relations_need_values_and_a_name_that_fits() -> None:
    rows = [
        {
            "id": number,
            "taxes": [{"id": f"T{number}1", "rate": 19}, {"id": f"T{number}2", "rate": 7}],
            "lines": [{"taxId": f"T{number}2", "quantity": number}, {"taxId": f"T{number}1", "quantity": 1}],
        }
        for number in range(5)
    ]
    assert profile_records(rows).relations == (Relation("lines[].taxId", "", "taxes[].id", 1.0),)


def test_relations_between_entities_survive_sampling_of_values() -> None:
    customers = profile_records([{"id": f"C{number}"} for number in range(3000)])
    orders = profile_records([{"customerId": f"C{number * 3}", "number": number} for number in range(900)])
    strangers = profile_records([{"customerId": f"X{number}"} for number in range(900)])
    found = relations_between({"customer": customers, "order": orders, "import": strangers})
    assert found["order"] == (Relation("customerId", "customer", "id", 1.0),)
    assert found["import"] == ()


def test_moments_that_keep_their_order_are_found_whatever_the_order_of_the_records() -> None:
    rows = [
        {"id": n, "createdAt": f"2026-01-0{n}T10:00:00Z", "paidAt": f"2026-02-0{9 - n}T10:00:00+02:00", "due": "soon"}
        for n in range(1, 6)
    ]
    profile = profile_records(rows)
    assert profile.time_orders == (TimeOrder("createdAt", "paidAt"),)
    assert (profile.field("createdAt").rises_with, profile.field("paidAt").rises_with) == ("id", "")
    assert profile_records(rows[::-1]) == profile


@dataclass(frozen=True)
class Described:
    path: str
    type: str = "string"
    required: bool = False
    read_only: bool = False
    enum: tuple[str, ...] = ()
    max_length: int | None = None
    aliases: tuple[str, ...] = field(default=())
    note: str = ""


def test_a_contract_joins_the_samples() -> None:
    contract = profile_contract(
        [
            Described("create_date", "date", required=True, aliases=("issue_date",)),
            Described("state", enum=("on", "off")),
        ]
    )
    merged = merge_profiles(profile_records([{"create_date": "2026-01-01", "extra": 1}]), contract)
    assert merged.paths == ("create_date", "extra", "state")
    assert merged.field("create_date").values == ("2026-01-01",)
    described = merged.field("create_date").contract
    assert described is not None
    assert (described.required, described.aliases) == (True, ("issue_date",))
    assert (merged.field("state").is_enum, merged.field("state").values) == (True, ("off", "on"))


def test_a_path_described_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="'a' is described twice"):
        profile_contract([Described("a"), Described("a")])


def test_paths_split_where_they_join() -> None:
    assert split_path("$.lines[].unit_cost.code") == (("lines", True), ("unit_cost", False), ("code", False))
