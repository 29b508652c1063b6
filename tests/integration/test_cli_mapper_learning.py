"""`mapper profile`, `decisions` and `bench`, and `approve` as what they learn from."""

from __future__ import annotations

import csv
import gzip
import io
import json
from pathlib import Path
from typing import Any

import pytest

from tests.flows import Books
from tests.integration.test_cli_mapper_specs import FIXTURES, ORDER, ROOT, assert_one_line, fresh, mapper


@pytest.fixture(autouse=True)
def _workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAPPER_WORKSPACE", str(tmp_path / "workspace"))


def profile(*arguments: str | Path) -> dict[str, Any]:
    result = mapper("profile", *arguments, "--json")
    assert result.returncode == 0, result.stderr
    found: dict[str, Any] = json.loads(result.stdout)
    return found


# --- profile -----------------------------------------------------------------------------------------------------


def test_a_profile_is_a_table_without_personal_values() -> None:
    result = mapper("profile", ORDER)
    assert result.returncode == 0, result.stderr
    head, *rows = result.stdout.splitlines()
    assert head.split()[:2] == ["field", "looks"]
    assert any(row.startswith("lineItems[].sku") for row in rows)
    assert any(row.startswith("lineItems[] ") and "items" not in row for row in rows)
    email = json.loads(ORDER.read_text("utf-8"))["customer"]["email"]
    assert email not in result.stdout
    assert email in mapper("profile", ORDER, "--reveal").stdout


def test_a_profile_says_what_kind_of_nothing_is_there(tmp_path: Path) -> None:
    file = tmp_path / "rows.ndjson.gz"
    rows = [{"id": n, "a.b": ["x", None, "", "y"][n], "l": [[], [1], [1, 2, 3], [1]][n]} for n in range(4)]
    rows[3].pop("a.b")
    file.write_bytes(gzip.compress("\n".join(map(json.dumps, rows)).encode()))
    found = profile(file)
    fields = {row["path"]: row for row in found["fields"]}
    odd = fields['"a.b"']
    assert (odd["absent_share"], odd["present_share"]) == (0.25, 0.75)
    assert (odd["null_share"], odd["empty_share"]) == (pytest.approx(1 / 3), pytest.approx(1 / 3))
    assert fields["id"]["is_key"]
    (lengths,) = found["arrays"]
    assert (lengths["path"], lengths["min_length"], lengths["median_length"], lengths["max_length"]) == ("l[]", 0, 1, 3)


def test_kinds_of_records_show_what_points_where() -> None:
    result = mapper("profile", FIXTURES, "--by-entity")
    assert result.returncode == 0, result.stderr
    assert [line.split() for line in result.stdout.splitlines() if line.startswith("payment  orderId")] == [
        ["payment", "orderId", "order.id", "100%"]
    ]


def test_a_live_system_is_sampled(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    books.sandbox.seed(seed=7, orders=6)
    for name, value in {
        **books.environ(),
        "CLARITY_API_URL": books.sandbox.clarity_url,
        "CLARITY_CLIENT_ID": books.sandbox.client_id,
        "CLARITY_CLIENT_SECRET": books.sandbox.client_secret,
    }.items():
        monkeypatch.setenv(name, value)
    found = profile("clarity-rest:order", "--live", "4")
    assert found["records"] == 4
    fields = {row["path"]: row for row in found["fields"]}
    assert fields["orderNumber"]["occurrences"] == 4
    assert fields["orderNumber"]["contract"] is not None


@pytest.mark.parametrize(
    ("content", "place"),
    [
        (b'{"a": 1}\n{"a": oops}\n', ":2: is not JSON"),
        (b"", ": holds no record"),
        (b'{"a": "\xff"}', ":1: is not UTF-8"),
    ],
)
def test_a_bad_file_is_one_line(tmp_path: Path, content: bytes, place: str) -> None:
    file = tmp_path / "rows.ndjson"
    file.write_bytes(content)
    assert_one_line(mapper("profile", file), 3, f"rows.ndjson{place}")


def test_live_wants_one_system() -> None:
    assert_one_line(mapper("profile", ORDER, "--live", "3"), 2, "SYSTEM:ENTITY")


# --- suggest on odd input ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("one record", [{"id": 1, "total": "3.00", "customer": {"email": "a@b.example"}}]),
        ("empty objects", [{}, {}]),
        ("nulls only", [{"a": None, "b": {"c": None}}]),
        ("empty lists", [{"lines": [], "more": [[]]}]),
        ("odd names", [{"customer.email": "a@b.example", "$": 1, "9 lives": "x", "naïve 名": {" ": "y", "[0]": "z"}}]),
        ("deep", [{"a": {"b": {"c": {"d": {"e": {"f": {"email": "a@b.example"}}}}}}}]),
    ],
)
def test_odd_samples_give_a_result(tmp_path: Path, name: str, source: list[dict[str, Any]]) -> None:
    file, out = tmp_path / "source.json", tmp_path / "spec.yaml"
    file.write_text(json.dumps(source), "utf-8")
    arguments = ("suggest", "--source", file, "--target", "freshbooks:client")
    result = mapper(*arguments, "--json", "-")
    assert result.returncode == 0, result.stderr
    assert isinstance(json.loads(result.stdout), list)
    written = mapper(*arguments, "--spec", out)
    assert written.returncode in (0, 1), written.stderr
    assert mapper("validate", out).returncode in (0, 1)


@pytest.mark.parametrize("content", ["[]", "", "[[]]", "3", "{"])
def test_samples_without_a_record_are_one_line(tmp_path: Path, content: str) -> None:
    file = tmp_path / "source.json"
    file.write_text(content, "utf-8")
    assert_one_line(mapper("suggest", "--source", file, "--target", "freshbooks:client"), 3, "source.json")


def test_a_schema_may_stand_at_either_end(tmp_path: Path) -> None:
    schema = tmp_path / "person.schema.json"
    members = {"emailAddress": {"type": "string"}, "familyName": {"type": "string"}, "boss": {"$ref": "#"}}
    schema.write_text(json.dumps({"title": "Person", "type": "object", "properties": members}), "utf-8")
    for ends in (
        ("--source", schema, "--target", "freshbooks:client"),
        ("--source", FIXTURES / "customers.json", "--target", schema),
    ):
        result = mapper("suggest", *ends, "--json", "-")
        assert result.returncode == 0, result.stderr
        first = {row["target"]: row["source"] for row in reversed(json.loads(result.stdout))}
        # A contract alone is thin evidence: what counts is that the right field stands first.
        assert ("email", "emailAddress") in first.items() or ("emailAddress", "email") in first.items()
    assert {row["path"] for row in profile(schema)["fields"]} >= {"emailAddress", "familyName"}


# --- decisions ---------------------------------------------------------------------------------------------------


def test_approvals_are_learned_listed_exported_and_forgotten(tmp_path: Path) -> None:
    path = fresh(tmp_path)
    given = ("--part", "payment.date", "payment.note", "--by", "ana", "--reason", "as agreed")
    assert mapper("approve", path, *given).returncode == 0
    listed = json.loads(mapper("decisions", "list", "--json").stdout)
    assert [(row["number"], row["action"], row["by"], row["reason"]) for row in listed] == [
        (1, "accept", "ana", "as agreed"), (2, "accept", "ana", "as agreed"),
    ]  # fmt: skip
    shown = mapper("decisions", "list", "--field", "date")
    assert "freshbooks/payment: date" in shown.stdout
    assert "freshbooks/payment: note" not in shown.stdout
    assert "1 decision(s)" in shown.stderr
    assert [json.loads(line)["number"] for line in mapper("decisions", "export").stdout.splitlines()] == [1, 2]
    out = tmp_path / "decisions.csv"
    assert mapper("decisions", "export", "--out", out).returncode == 0
    assert [row["number"] for row in csv.DictReader(io.StringIO(out.read_text("utf-8")))] == ["1", "2"]
    assert_one_line(mapper("decisions", "forget", "7"), 1, "there is no decision 7")
    assert_one_line(mapper("decisions", "forget"), 2, "say which")
    assert_one_line(mapper("decisions", "list", "7"), 2, "takes no numbers")
    assert "1 decision(s) forgotten" in mapper("decisions", "forget", "1").stdout
    assert "1 decision(s) forgotten" in mapper("decisions", "forget", "--all").stdout
    assert json.loads(mapper("decisions", "list", "--json").stdout) == []


def test_a_learned_pair_is_proposed_first_until_it_is_forgotten(tmp_path: Path) -> None:
    source, target = tmp_path / "orders.json", tmp_path / "bills.json"
    source.write_text(json.dumps([{"id": "1", "city": "Ulm", "region": "Tirol", "town": "Graz"}]), "utf-8")
    target.write_text(json.dumps([{"town": "Wien"}]), "utf-8")
    ends = ("suggest", "--source", source, "--target", target)

    def first(*more: str) -> str:
        rows = json.loads(mapper(*ends, "--json", "-", *more).stdout)
        return str(next(row["source"] for row in rows if row["target"] == "town"))

    assert first() == "town"
    spec = tmp_path / "spec.yaml"
    assert mapper(*ends, "--spec", spec).returncode in (0, 1)
    spec.write_text(spec.read_text("utf-8").replace("path: town", "path: region"), "utf-8")
    result = mapper("approve", spec, "--part", "bills.town", "--by", "ana")
    assert result.returncode == 0, result.stderr
    assert first() == "region"
    assert first("--no-history") == "town"
    assert mapper("decisions", "forget", "--all").returncode == 0
    assert first() == "town"


def test_an_approval_stands_where_it_cannot_be_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "workspace").write_text("a file in the way", "utf-8")
    result = mapper("approve", fresh(tmp_path), "--part", "payment.date", "--by", "ana")
    assert result.returncode == 0
    assert "approved payment.date" in result.stdout
    assert result.stderr.startswith("mapper: approved, but not remembered")


# --- bench -------------------------------------------------------------------------------------------------------


def test_bench_prints_and_draws(tmp_path: Path) -> None:
    case = tmp_path / "gold" / "web_erp_invoice"
    case.mkdir(parents=True)
    samples = ROOT / "fixtures" / "suggest"
    for name, other in (("source", "web_order"), ("target", "erp_invoice")):
        (case / f"{name}.json").write_text((samples / f"{other}.json").read_text("utf-8"), "utf-8")
    pairs = [{"source": "customer.id", "target": "customerid"}, {"source": "orderNumber", "target": "invoice_number"}]
    (case / "gold.json").write_text(json.dumps({"pairs": pairs}), "utf-8")
    result = mapper("bench", tmp_path / "gold", "--out", tmp_path / "report")
    assert result.returncode == 0, result.stderr
    assert "web_erp_invoice" in result.stdout
    assert "MRR" in result.stdout
    assert (tmp_path / "report" / "bench.html").is_file()
    data = json.loads(mapper("bench", tmp_path / "gold", "--json").stdout)
    assert data["cases"]["web_erp_invoice"]["gold"] == 2
    assert_one_line(mapper("bench", tmp_path / "none"), 3, "no such folder")
    assert_one_line(mapper("bench", tmp_path / "gold", "--leave-out"), 3, "at least 3 platform pairs")
