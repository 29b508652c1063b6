"""Samples are read from what both systems and people hand over."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from mapper_ai.services.sampling import SampleError, choose, parse_samples, read_samples, unwrap, without_secrets

ONE = {"id": "1", "total": "2.00"}


@pytest.mark.parametrize(
    "value",
    [
        ONE,
        [ONE],
        {"data": [ONE]},
        {"data": [ONE], "page": 1, "pageSize": 50, "totalCount": 1, "totalPages": 1},
        {"Results": [ONE], "CurrentCount": 1, "CurrentPage": 1, "TotalCount": 1, "TotalPages": 1},
        {"response": {"result": {"invoice": ONE}}},
        {"response": {"result": {"invoices": [ONE], "page": 1, "pages": 1, "per_page": 15, "total": 1}}},
        {"response": {"result": {"other_income": [ONE], "page": 1, "pages": 1, "per_page": 15, "total": 1}}},
        {"invoice": ONE},
        {"id": "evt_1", "type": "order.created", "data": {"object": "order", "id": "1", "resource": ONE}},
        [{"id": "evt_1", "type": "order.created", "data": {"object": "order", "id": "1", "resource": ONE}}],
    ],
)
def test_envelopes_are_opened(value: Any) -> None:
    assert unwrap(value) == [ONE]


@pytest.mark.parametrize(
    "record",
    [
        {"items": [ONE], "total": "2.00", "status": "paid"},
        {"data": {"a": 1}, "name": "x"},
        {"customer": {"id": 1}, "total": "1.00"},
        {"results": 3},
    ],
)
def test_a_record_that_only_looks_like_an_envelope_stays(record: dict[str, Any]) -> None:
    assert unwrap(record) == [record]


def test_a_delivery_without_a_resource_has_no_record() -> None:
    assert unwrap({"type": "order.created", "data": {"object": "order", "id": "1"}}) == []


def test_an_error_answer_is_no_record() -> None:
    with pytest.raises(SampleError, match="error answer of FreshBooks"):
        unwrap({"response": {"errors": [{"errno": 1012, "message": "Client not found."}]}})


def test_money_becomes_decimal() -> None:
    assert parse_samples('{"total": 10.10}') == [{"total": Decimal("10.10")}]


def test_lines_are_read_and_counted() -> None:
    assert parse_samples('{"a": 1}\n\n{"a": 2}\n', suffix=".ndjson") == [{"a": 1}, {"a": 2}]
    assert parse_samples('{"a": 1}\n{"a": 2}\n') == [{"a": 1}, {"a": 2}]
    with pytest.raises(SampleError, match=r"^f\.ndjson:3: is not JSON"):
        parse_samples('{"a": 1}\n\n{"a": \n', suffix=".ndjson", where="f.ndjson")
    with pytest.raises(SampleError, match=r"^f\.ndjson:2: expected an object or a list of objects, got a number"):
        parse_samples('{"a": 1}\n7\n', suffix=".ndjson", where="f.ndjson")


def test_tables_are_read_with_their_groups() -> None:
    text = 'id;customer.email;note\n1;a@b.test;"two\nlines"\n\n2;c@d.test\n'
    assert parse_samples(text, suffix=".csv") == [
        {"id": "1", "customer": {"email": "a@b.test"}, "note": "two\nlines"},
        {"id": "2", "customer": {"email": "c@d.test"}},
    ]


@pytest.mark.parametrize(
    ("text", "suffix", "message"),
    [
        ('{\n "a": 1,\n}', ".json", r"^s:3: is not JSON"),
        ("", ".json", "^s: is empty"),
        ("[]", ".json", "^s: holds no record"),
        ("[1]", ".json", "^s: expected an object"),
        ('{"a": NaN}', ".json", "NaN is no JSON value"),
        ('{"a": ' + "9" * 5000 + "}", ".json", "is not readable"),
        ("[" * 100_000, ".json", "nested too deeply|is not JSON"),
        ("a,a\n1,2\n", ".csv", "^s:1: column 'a' stands twice"),
        ("a,a.b\n1,2\n", ".csv", "value and a group"),
        ("a,\n1,2\n", ".csv", "^s:1: the first line must name every column"),
        ("a,b\n1,2,3\n", ".csv", "^s:2: 3 cells, but the header names 2 columns"),
        ('a,b\n1,"2\n', ".csv", "is not CSV"),
    ],
)
def test_errors_are_one_line_with_file_and_line(text: str, suffix: str, message: str) -> None:
    with pytest.raises(SampleError, match=message) as caught:
        parse_samples(text, suffix=suffix, where="s")
    assert "\n" not in str(caught.value)


def test_secrets_do_not_get_past() -> None:
    record = {"id": 1, "payment": [{"CardNumber": "4111", "cvv": "1", "last4": "1111", "access_token": "t"}]}
    assert without_secrets(record) == {"id": 1, "payment": [{"last4": "1111"}]}


def test_folders_are_read_in_the_order_of_their_names(tmp_path: Path) -> None:
    (tmp_path / "b.json").write_text('{"n": 2}', "utf-8")
    (tmp_path / "a.csv").write_text("n\n1\n", "utf-8-sig")
    (tmp_path / "notes.txt").write_text("no sample", "utf-8")
    assert read_samples(tmp_path) == [{"n": "1"}, {"n": 2}]


def test_what_is_not_there_or_not_text_is_named(tmp_path: Path) -> None:
    with pytest.raises(SampleError, match="no such file or folder"):
        read_samples(tmp_path / "x.json")
    (tmp_path / "bad.json").write_bytes(b'{"a":\n "\xff"}')
    with pytest.raises(SampleError, match=r"bad\.json:2: is not UTF-8"):
        read_samples(tmp_path / "bad.json")
    (tmp_path / "empty").mkdir()
    with pytest.raises(SampleError, match="no sample file"):
        read_samples(tmp_path / "empty")


def test_the_choice_does_not_depend_on_the_order() -> None:
    records = [{"id": number} for number in range(50)]
    assert choose(records, 5) == choose(records[::-1], 5)
    assert len(choose(records, 100)) == 50
    with pytest.raises(ValueError, match="limit must be at least 1"):
        choose(records, 0)
