"""`mapper show`, `explain` and `schema` as a process."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mapspec import load_spec
from mapspec.schema import SCHEMA_ID, schema_text
from tests.integration.test_cli_mapper_specs import INVOICE, MAPPINGS, assert_one_line, copy_of, fresh, mapper


def lines_of(path: Path) -> list[str]:
    result = mapper("show", "--one-line-per-field", path)
    assert (result.returncode, result.stderr) == (0, "")
    return result.stdout.splitlines()


def test_one_line_a_field_in_fixed_columns() -> None:
    lines = lines_of(INVOICE)
    (line,) = [line for line in lines if line.startswith("invoice.create_date |")]
    assert line.startswith(
        "invoice.create_date | required | orderDate | path: orderDate > parse_instant > to_date: settings.timezone"
        " | format: date | approved by "
    )
    spec = load_spec(INVOICE.read_text(encoding="utf-8"))
    heads = [line.split(" | ")[0] for line in lines]
    for part in spec.rules():
        assert heads.count(part) == 1
    assert len(lines) == len(set(lines))


def test_a_change_of_one_rule_is_a_change_of_its_line(tmp_path: Path) -> None:
    before = lines_of(MAPPINGS / "payment-to-payment.yaml")
    path = copy_of("payment-to-payment", tmp_path, **{"[paidAt, createdAt, updatedAt]": "[createdAt, updatedAt]"})
    changed = [(old, new) for old, new in zip(before, lines_of(path), strict=True) if old != new]
    assert len(changed) == 1
    old, new = (row.split(" | ") for row in changed[0])
    assert old[0] == new[0] == "payment.date"
    assert old[2] == "paidAt, createdAt, updatedAt"
    assert new[2] == "createdAt, updatedAt"
    assert new[5].startswith("changed since it was approved by ")


def test_layout_comments_and_wording_change_no_line(tmp_path: Path) -> None:
    path = copy_of("payment-to-payment", tmp_path, **{"spec: ": "spec:   "})
    path.write_text("# a comment\n" + path.read_text(encoding="utf-8"), encoding="utf-8")
    assert lines_of(path) == lines_of(MAPPINGS / "payment-to-payment.yaml")


def test_what_is_not_approved_says_so_and_text_stays_on_its_line(tmp_path: Path) -> None:
    path = fresh(tmp_path)
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace('"Clarity payment {id}"', '"a\\n| b {id}"'), encoding="utf-8")
    lines = lines_of(path)
    assert next(line for line in lines if line.startswith("payment.note | ")).endswith(" | proposed")
    assert not [line for line in lines if line.startswith("| b")]


def test_show_tells_every_part_in_words() -> None:
    result = mapper("show", MAPPINGS / "product-to-item.yaml")
    assert result.returncode == 0
    head, *_ = result.stdout.splitlines()
    assert head.startswith("clarity-freshbooks/product-to-item, format 1, version ")
    spec = load_spec((MAPPINGS / "product-to-item.yaml").read_text(encoding="utf-8"))
    for part in ("flow", *spec.rules()):
        assert f"\n{part}, " in result.stdout
    assert "\n  sku, without blanks at the ends\n" in result.stdout


def test_explain_says_where_a_field_comes_from_and_who_approved_it() -> None:
    result = mapper("explain", INVOICE, "invoice.create_date")
    assert result.returncode == 0
    first, *rest = result.stdout.splitlines()
    assert first.startswith(
        "invoice.create_date is the order date (orderDate), read as a moment in time, as calendar date"
    )
    assert "; required; must be a date; proposed by the trained scorer at 0." in first
    assert "; approved by " in first
    assert rest[0] == "reads: orderDate"
    assert rest[-1].startswith("digest 2adf9bfff274d9ab, ")
    assert rest[-1].rsplit(":", 1)[1].isdigit()


@pytest.mark.parametrize(
    ("part", "told"),
    [
        ("flow", "Create the invoice exactly once"),
        ("invoice.lines[]", "invoice.lines[] is a list: one element of invoice.lines[] for each of lineItems[]"),
        ("invoice.lines[].qty", "the quantity of the priced line; required"),
        ("values.email", "values.email is the first of customer.email"),
        ("invoice.customerid", "invoice.customerid: if the value client_key is there: the id of the client"),
        ("payment.amount", "payment.amount is the item's amount (.amount), as an amount in the value currency"),
        ("payment.type", "table payment_types: 15 rows; what is not in it gives “Other”"),
        ("client.email", "the value email is the first of"),
        ("invoice.city", "the billing address's city (billingAddress.city)"),
    ],
)
def test_every_kind_of_part_is_explained(part: str, told: str) -> None:
    result = mapper("explain", INVOICE, part)
    assert result.returncode == 0, result.stderr
    assert told in result.stdout


def test_an_unknown_part_names_the_nearest() -> None:
    result = mapper("explain", INVOICE, "invoice.creat_date")
    assert_one_line(result, 3, "no part 'invoice.creat_date'", "did you mean 'invoice.create_date'?")


@pytest.mark.parametrize("arguments", [("show",), ("explain", "x")])
def test_a_broken_spec_is_one_line(arguments: tuple[str, ...], tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text("spec: [", encoding="utf-8")
    assert_one_line(mapper(arguments[0], path, *arguments[1:]), 3, "bad.yaml:", "not YAML")


def test_the_schema_is_printed() -> None:
    result = mapper("schema")
    assert result.stdout == schema_text()
    assert json.loads(result.stdout)["$id"] == SCHEMA_ID


def test_the_schema_is_written_and_named_in_specs_which_stay_approved(tmp_path: Path) -> None:
    path = copy_of("payment-to-payment", tmp_path)
    out = tmp_path / "schemas" / "spec.schema.json"
    result = mapper("schema", "--out", out, "--header", path)
    assert result.returncode == 0, result.stderr
    assert out.read_text(encoding="utf-8") == schema_text()
    text = path.read_text(encoding="utf-8")
    first = "# yaml-language-server: $schema=schemas/spec.schema.json\n"
    shipped = (MAPPINGS / "payment-to-payment.yaml").read_text(encoding="utf-8")
    assert text == first + shipped.split("\n", 1)[1]  # the shipped one names the schema of this project
    assert mapper("validate", "--approved", path).returncode == 0
    checked = mapper("fmt", "--check", path)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")
    path.write_text(text.replace("spec: ", "spec:  "), encoding="utf-8")
    assert mapper("fmt", path).stderr == ""
    assert path.read_text(encoding="utf-8") == text


def test_without_a_file_the_schemas_own_name_stands_in_the_header(tmp_path: Path) -> None:
    path = copy_of("payment-to-payment", tmp_path)
    assert mapper("schema", "--header", path).returncode == 0
    assert path.read_text(encoding="utf-8").startswith(f"# yaml-language-server: $schema={SCHEMA_ID}\n")


def test_a_name_that_cannot_stand_in_a_header_changes_nothing(tmp_path: Path) -> None:
    path = copy_of("payment-to-payment", tmp_path)
    before = path.read_text(encoding="utf-8")
    assert_one_line(mapper("schema", "--out", tmp_path / "a b.json", "--header", path), 3, "cannot stand in a header")
    assert path.read_text(encoding="utf-8") == before
    assert not (tmp_path / "a b.json").exists()
