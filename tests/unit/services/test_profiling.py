"""Files become profiles: big ones by way of DuckDB with the same result, broken ones as one line with the place."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mapper_ai.core.profile import profile_records
from mapper_ai.errors import InputError
from mapper_ai.services import profiling
from mapper_ai.services.bigprofile import is_big, profile_files
from mapper_ai.services.profiling import entity_of_file, fetch_samples, profile_entities, profile_paths
from mapper_ai.services.sampling import SampleError, read_samples
from mapper_ai.services.schema_files import is_schema, schema_fields
from tests.flows import Books


def rows(count: int, seed: int = 7) -> list[dict[str, Any]]:
    """Records with everything that profiles tell apart, in no order."""
    draw = random.Random(seed)  # noqa: S311  no secret
    found: list[dict[str, Any]] = []
    for number in range(count):
        record: dict[str, Any] = {
            "id": number,
            "number": f"W-{number}",
            "createdAt": f"2026-01-{number % 28 + 1:02}T10:00:00Z",
            "updatedAt": f"2026-02-{number % 28 + 1:02}T10:00:00+02:00",
            "total": round(draw.random() * 1000, 2),
            "big": 12345678901234567890123,
            "tiny": 1.5e-7,
            "paid": draw.random() < 0.5,
            "text": draw.choice([" padded ", "", "  ", "naïve 名", 'say "hi"\n', "12.50", "true"]),
            "unit.price": {"a[0]": number, 'q"uote': None, "back\\slash": "x", "": 1, "$": "d", "9x": []},
            "customer": {"email": f"u{number % 50}@x.example", "phone": None},
            "password": "hunter2",
            "lines": [
                {"id": f"L{number}-{k}", "taxId": f"T{k}", "qty": k + 1, "taxes": [{"rate": 0.19}] * (k % 2)}
                for k in range(number % 4)
            ],
            "taxes": [{"id": f"T{k}", "number": number} for k in range(3)][: number % 3 + 1],
            "grid": [[1, 2], [number]],
            "empty": {},
        }
        for name in ("text", "lines"):
            if draw.random() < 0.2:
                record.pop(name)
            elif draw.random() < 0.1:
                record[name] = None
        found.append(record)
    draw.shuffle(found)
    return found


def ndjson(path: Path, records: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in records), "utf-8")


def array(path: Path, records: list[dict[str, Any]]) -> None:
    path.write_text(json.dumps(records, indent=1), "utf-8")


def packed(path: Path, records: list[dict[str, Any]]) -> None:
    path.write_bytes(gzip.compress("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in records).encode()))


def table(path: Path, records: list[dict[str, Any]]) -> None:
    lines = ["id,customer.email,total,note,password"]
    lines += [
        f'{row["id"]},{row["customer"]["email"]},{row["total"]},"a, ""b""\n {row["id"] % 3}",x' for row in records
    ]
    path.write_text("\n".join([*lines, ",,,,", ""]), "utf-8")


@pytest.mark.parametrize(
    ("name", "write"), [("a.ndjson", ndjson), ("a.json", array), ("a.jsonl.gz", packed), ("a.csv", table)]
)
def test_duckdb_counts_what_reading_the_records_shows(
    tmp_path: Path, name: str, write: Callable[[Path, list[dict[str, Any]]], None]
) -> None:
    file = tmp_path / name
    write(file, rows(400))
    found = profile_files([file])
    assert found is not None
    assert found == profile_records(read_samples(file))
    assert found.record_count == 400
    assert "password" not in found.paths


def test_several_big_files_are_counted_together(tmp_path: Path) -> None:
    ndjson(tmp_path / "a.ndjson", rows(100))
    packed(tmp_path / "b.ndjson.gz", rows(150, seed=8))
    both = [tmp_path / "a.ndjson", tmp_path / "b.ndjson.gz"]
    assert profile_files(both) == profile_records(record for file in both for record in read_samples(file))


@pytest.mark.parametrize(
    "text",
    [
        '{"type": "order.created", "data": {"object": "order", "id": "1", "resource": {"id": 1}}}\n',
        '{"a": 1}\n{"data": [{"b": 1}], "page": 1}\n',
        '{"a": 1}\n[1]\n',
        '{"a": 1, "a": 2}\n',
        '{"n": {"a": 1, "a": 2}}\n',
        '{"a": NaN}\n',
        '{"a": 1}\n{"a": \n',
        '{"a": "\\ud800"}\n',
        "\n",
    ],
)
def test_what_is_no_plain_list_of_records_is_left_to_reading(tmp_path: Path, text: str) -> None:
    file = tmp_path / "a.ndjson"
    file.write_text(text, "utf-8")
    assert profile_files([file]) is None


def test_the_way_is_chosen_by_size_and_shows_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "orders.ndjson"
    ndjson(file, rows(60))
    read = profile_paths([file])
    assert not is_big([file])
    monkeypatch.setattr(profiling, "is_big", lambda files: True)
    assert profile_paths([tmp_path]) == read


@pytest.mark.parametrize("big", [True, False])
@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.ndjson", b'{"a": 1}\n{"a": \n', "a.ndjson:2: is not JSON"),
        ("a.ndjson", b'{"a": 1}\n{"b": "\xff"}\n', "a.ndjson:2: is not UTF-8"),
        ("a.ndjson", b'{"a": 1}\n7\n', "a.ndjson:2: expected an object"),
        ("a.ndjson", b"\n\n", "a.ndjson: holds no record"),
        ("a.json", b'[{"a": 1},\n {"a": }]', "a.json:2: is not JSON"),
        ("a.json", b"[]", "a.json: holds no record"),
        ("a.csv", b"a,b\n1,2,3\n", "a.csv:2: 3 cells"),
        ("a.csv", b"a,a\n1,2\n", "a.csv:1: column 'a' stands twice"),
        ("a.ndjson.gz", b"plain text", "a.ndjson.gz: is no complete gzip file"),
        ("a.ndjson.gz", gzip.compress(b'{"a": 1}\n' * 500, mtime=0)[:-9], "a.ndjson.gz: is no complete gzip file"),
        ("a.json.gz", gzip.compress(b'{"a": 1', mtime=0)[:-4], "a.json.gz: is no complete gzip file"),
    ],
)
def test_a_bad_file_is_named_with_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, big: bool, name: str, content: bytes, message: str
) -> None:
    monkeypatch.setattr(profiling, "is_big", lambda files: big)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SampleError) as caught:
        profile_paths([tmp_path / name])
    assert str(caught.value).endswith(message) or message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("big", [True, False])
def test_a_structure_without_end_is_refused_by_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, big: bool
) -> None:
    monkeypatch.setattr(profiling, "is_big", lambda files: big)
    file = tmp_path / "deep.ndjson"
    file.write_text('{"a": 1}\n' + '{"a":' * 100 + "1" + "}" * 100 + "\n", "utf-8")
    with pytest.raises(SampleError, match=r"record 2: nested deeper than 64 levels"):
        profile_paths([file])


@pytest.mark.parametrize("depth", [70, 600, 50_000])
@pytest.mark.parametrize("name", ["a.json", "a.ndjson"])
def test_any_depth_is_one_clear_line(tmp_path: Path, name: str, depth: int) -> None:
    file = tmp_path / name
    file.write_text('{"a":' * depth + "1" + "}" * depth, "utf-8")
    with pytest.raises(SampleError, match="nested"):
        profile_paths([file])
    file.write_text("[" * depth + "1" + "]" * depth, "utf-8")
    with pytest.raises(SampleError, match=r"nested|expected an object"):
        profile_paths([file])


def test_kinds_of_records_are_told_by_file_and_point_at_each_other(tmp_path: Path) -> None:
    for name, records in {
        "customers.json": [{"id": f"C{n}", "name": "x"} for n in range(5)],
        "order__one.json": [{"id": "O1", "customerId": "C1"}],
        "order__two.json": [{"id": "O2", "customerId": "C3"}],
    }.items():
        (tmp_path / name).write_text(json.dumps(records), "utf-8")
    profiles, between = profile_entities([tmp_path])
    assert {name: profile.record_count for name, profile in profiles.items()} == {"customer": 5, "order": 2}
    assert [(row.source, row.entity, row.target) for row in between["order"]] == [("customerId", "customer", "id")]
    assert entity_of_file(Path("addresses.ndjson.gz")) == "addresse"


def test_records_of_a_live_system_are_the_same_ones_again(books: Books) -> None:
    books.with_clarity = True
    books.sandbox.seed(seed=7, orders=12)
    first = fetch_samples("clarity-rest", "order", 3, settings=books.settings)
    assert len(first) == 3
    assert fetch_samples("clarity-rest", "order", 3, settings=books.settings) == first
    more = fetch_samples("clarity-rest", "order", 6, settings=books.settings)
    assert [row["id"] for row in more][:3] == [row["id"] for row in first]


def test_a_system_that_is_not_connected_is_named(books: Books) -> None:
    with pytest.raises(InputError, match="clarity-rest: is not connected; set CLARITY_API_URL"):
        fetch_samples("clarity-rest", "order", 3, settings=books.settings)
    with pytest.raises(InputError, match="freshbooks:unicorn"):
        fetch_samples("freshbooks", "unicorn", 3, settings=books.settings)


SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "Order",
    "type": "object",
    "required": ["number"],
    "properties": {
        "number": {"type": "string"},
        "id": {"type": "string"},
        "lines": {"type": "array", "items": {"type": "object", "properties": {"qty": {"type": "integer"}}}},
        "parent": {"$ref": "#"},
    },
}


def test_schemas_are_told_from_records(tmp_path: Path) -> None:
    files: dict[str, Any] = {
        "schema.json": SCHEMA,
        "plain.json": {"type": "object", "properties": {"a": {"type": "string"}}},
        "record.json": {"type": "object", "id": 1, "total": "2.00"},
        "records.json": [SCHEMA],
        "openapi.json": {"openapi": "3.1.0", "info": {"title": "t", "version": "1"}, "paths": {}},
    }
    for name, content in files.items():
        (tmp_path / name).write_text(json.dumps(content), "utf-8")
    told = {name: is_schema(str(tmp_path / name)) for name in files}
    assert told == {
        "schema.json": True, "plain.json": True, "record.json": False, "records.json": False, "openapi.json": True,
    }  # fmt: skip


def test_a_schema_that_contains_itself_is_read(tmp_path: Path) -> None:
    file = tmp_path / "order.json"
    file.write_text(json.dumps(SCHEMA), "utf-8")
    entity, fields = schema_fields(str(file))
    assert entity == "order"
    assert {"id", "lines[].qty"} <= {entry.path for entry in fields}
    assert next(entry for entry in fields if entry.path == "number").required


def test_a_file_with_several_kinds_of_record_asks_which(tmp_path: Path) -> None:
    file = tmp_path / "api.json"
    kinds = {name: {"type": "object", "properties": {"id": {"type": "string"}}} for name in ("Bill", "Payer")}
    api = {"openapi": "3.0.3", "info": {"title": "t", "version": "1"}, "paths": {}, "components": {"schemas": kinds}}
    file.write_text(json.dumps(api), "utf-8")
    with pytest.raises(InputError, match=r"choose one as .*api.json#NAME: "):
        schema_fields(str(file))
    assert [entry.path for entry in schema_fields(f"{file}#payer")[1]] == ["id"]
