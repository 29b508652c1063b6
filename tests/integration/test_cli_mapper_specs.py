"""`mapper`: what it prints, its exit codes, and one clear line for every mistake."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from contextlib import chdir, redirect_stderr, redirect_stdout
from pathlib import Path
from unittest.mock import patch

import pytest

from mapper_ai.__main__ import main

ROOT = Path(__file__).resolve().parents[2]
MAPPINGS = ROOT / "mappings" / "clarity-freshbooks"
FIXTURES = ROOT / "fixtures" / "clarity"
ORDER = FIXTURES / "order__plain-card.json"
INVOICE = MAPPINGS / "order-to-invoice.yaml"


def mapper(*arguments: str | Path, user: str = "") -> subprocess.CompletedProcess[str]:
    """The command in this process: a start of Python takes many times longer than what most commands do."""
    environment = {key: value for key, value in os.environ.items() if key != "MAPPER_USER"}
    if user:
        environment["MAPPER_USER"] = user
    out, told = io.StringIO(), io.StringIO()
    with (
        patch.dict(os.environ, environment, clear=True),
        chdir(ROOT),
        redirect_stdout(out),
        redirect_stderr(told),
    ):
        code = main([str(argument) for argument in arguments])
    return subprocess.CompletedProcess(arguments, code, out.getvalue(), told.getvalue())


def process(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """The command as a process of its own."""
    command = [sys.executable, "-m", "mapper_ai", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)


def copy_of(name: str, folder: Path, **changes: str) -> Path:
    text = (MAPPINGS / f"{name}.yaml").read_text(encoding="utf-8")
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    path = folder / f"{name}.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def fresh(folder: Path, name: str = "payment-to-payment") -> Path:
    """A spec without approvals."""
    source = ROOT / "mapper_ai" / "services" / "blueprints" / f"{name}.yaml"
    path = folder / f"{name}.yaml"
    path.write_text(source.read_text(encoding="utf-8"), encoding="utf-8")
    return path


def assert_one_line(result: subprocess.CompletedProcess[str], code: int, *parts: str) -> None:
    assert result.returncode == code, result.stderr
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1, result.stderr
    assert "Traceback" not in result.stderr
    for part in parts:
        assert part in result.stderr


def test_a_process_says_the_same_and_ends_with_the_same_code(tmp_path: Path) -> None:
    for arguments in (
        ("preview", INVOICE, "--sample", ORDER, "--json"),
        ("validate", fresh(tmp_path), "--approved"),
        ("preview", "none.yaml", "--sample", ORDER),
        ("approve", "--moon"),
    ):
        ended, here = process(*arguments), mapper(*arguments)
        assert (ended.returncode, ended.stdout, ended.stderr) == (here.returncode, here.stdout, here.stderr)


# --- mistakes ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["validate", "fmt", "preview", "approve"])
def test_malformed_yaml_is_one_line_with_file_and_line(command: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text("spec: a/b\nfields:\n  x: [1, 2\n", encoding="utf-8")
    more = {"preview": ["--sample", ORDER], "approve": ["--all", "--by", "ana"]}.get(command, [])
    assert_one_line(mapper(command, path, *more), 3, "bad.yaml:", "not YAML")


def test_an_unknown_operation_names_line_field_and_the_nearest(tmp_path: Path) -> None:
    text = INVOICE.read_text(encoding="utf-8").replace("- {parse_instant: }", "- {parse_instnat: }", 1)
    path = tmp_path / "bad.yaml"
    path.write_text(text, encoding="utf-8")
    line = 1 + text[: text.index("parse_instnat")].count("\n")
    assert_one_line(
        mapper("preview", path, "--sample", ORDER),
        3,
        f"bad.yaml:{line}: ",
        "invoice.create_date",
        "unknown operation 'parse_instnat'; did you mean 'parse_instant'?",
    )


def test_an_unknown_time_zone_names_the_part(tmp_path: Path) -> None:
    path = copy_of("payment-to-payment", tmp_path, **{"timezone: as_written": "timezone: Mars"})
    assert_one_line(mapper("validate", path), 3, "payment-to-payment.yaml:", "payment.date", "unknown time zone 'Mars'")


@pytest.mark.parametrize("name", ["missing.json", "."])
def test_a_missing_sample_is_one_line(name: str) -> None:
    assert_one_line(mapper("preview", INVOICE, "--sample", name), 3, f"{name}: no such file", "--sample")


def test_a_missing_spec_is_one_line() -> None:
    assert_one_line(mapper("preview", "none.yaml", "--sample", ORDER), 3, "none.yaml: no such file", "such as")


def test_a_sample_that_is_no_json_names_the_line(tmp_path: Path) -> None:
    path = tmp_path / "order.json"
    path.write_text('{"id": 1,\n "total": }\n', encoding="utf-8")
    assert_one_line(mapper("preview", INVOICE, "--sample", path), 3, "order.json:2", "JSON")


def test_an_index_beyond_the_list_says_how_many_there_are() -> None:
    result = mapper(
        "preview", MAPPINGS / "product-to-item.yaml", "--sample", FIXTURES / "products.json", "--index", "99"
    )
    assert_one_line(result, 3, "products.json: has ", "--index 99")


def test_an_unknown_part_names_the_nearest(tmp_path: Path) -> None:
    path = fresh(tmp_path)
    before = path.read_text(encoding="utf-8")
    result = mapper("approve", path, "--part", "payment.dat", "--by", "ana")
    assert_one_line(result, 3, "payment-to-payment.yaml", "no part 'payment.dat'", "did you mean 'payment.date'?")
    assert path.read_text(encoding="utf-8") == before


def test_nobody_approves_without_a_name(tmp_path: Path) -> None:
    assert_one_line(mapper("approve", fresh(tmp_path), "--all"), 2, "--by", "MAPPER_USER")


def test_a_spec_that_does_not_compile_is_not_approved(tmp_path: Path) -> None:
    path = fresh(tmp_path)
    path.write_text(
        path.read_text(encoding="utf-8").replace("timezone: as_written", "timezone: Mars"), encoding="utf-8"
    )
    before = path.read_text(encoding="utf-8")
    assert_one_line(mapper("approve", path, "--all", "--by", "ana"), 3, "Mars")
    assert path.read_text(encoding="utf-8") == before


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["vlidate"], "did you mean 'validate'?"),
        (["approve", "x.yaml", "--by", "ana"], "--part --all"),
        (["preview", "x.yaml"], "--sample"),
        (["preview"], "SPEC"),
        (["fmt"], "SPEC"),
        (["suggest", "--source", "a", "--target", "b", "--top", "0"], "from 1"),
        (["sandbox", "--orders", "many"], "whole number"),
        (["sandbox", "--set", "rounding"], "NAME=VALUE"),
        (["app", "--port", "99999"], "65535"),
    ],
)
def test_usage_is_one_line_with_exit_code_2(arguments: list[str], told: str) -> None:
    assert_one_line(mapper(*arguments), 2, told)


def test_an_unknown_contract_lists_the_known_ones() -> None:
    assert_one_line(mapper("profile", "freshbooks:moon"), 3, "freshbooks:moon", "invoice")
    assert_one_line(mapper("profile", "xero:invoice"), 3, "clarity-cef, clarity-rest, freshbooks")


# --- help --------------------------------------------------------------------------------------------------------


def test_help_lists_the_commands_and_loads_nothing_heavy() -> None:
    code = (
        "import sys; from mapper_ai.__main__ import main; assert main(['--help']) == 0;"
        " print([m for m in ('pydantic', 'yaml', 'numpy', 'rapidfuzz', 'streamlit', 'mapspec') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert result.stdout.splitlines()[-1] == "[]"
    assert all(name in result.stdout for name in ("suggest", "validate", "preview", "approve", "fmt", "demo"))


def test_a_preview_loads_neither_the_suggester_nor_the_http_client() -> None:
    code = (
        "import sys; from mapper_ai.__main__ import main;"
        f" assert main(['preview', {str(INVOICE)!r}, '--sample', {str(ORDER)!r}, '--json']) == 0;"
        " print([m for m in ('numpy', 'rapidfuzz', 'sklearn', 'httpx2', 'sqlalchemy') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert result.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    "command",
    ["profile", "suggest", "validate", "preview", "approve", "fmt", "sandbox", "app", "show", "explain", "schema"],
)
def test_every_command_has_help_with_an_example(command: str) -> None:
    result = mapper(command, "--help")
    assert result.returncode == 0
    assert f"example:\n  mapper {command}" in result.stdout


def test_no_command_shows_the_overview_and_is_a_usage_error() -> None:
    result = mapper()
    assert result.returncode == 2
    assert "commands:" in result.stdout


# --- preview -----------------------------------------------------------------------------------------------------


def preview(path: Path) -> dict[str, object]:
    result = mapper("preview", INVOICE, "--sample", path, "--json")
    assert result.returncode == 0, result.stderr
    found: dict[str, object] = json.loads(result.stdout)
    return found


def test_a_bare_record_an_envelope_and_a_list_give_the_same(tmp_path: Path) -> None:
    order = json.loads(ORDER.read_text(encoding="utf-8"))
    data = {"object": "order", "id": order["id"], "updatedAt": order["updatedAt"], "resource": order}
    envelope = {"id": "evt_1", "type": "order.created", "occurredAt": order["updatedAt"], "data": data}
    shapes = {"envelope": envelope, "list": [order, order], "page": {"data": [order], "page": 1, "pageSize": 100}}
    expected = preview(ORDER)
    assert expected["decision"] == "go"
    for name, shape in shapes.items():
        path = tmp_path / f"{name}.json"
        path.write_text(json.dumps(shape), encoding="utf-8")
        assert preview(path) == expected, name


def test_a_held_order_says_why() -> None:
    result = mapper("preview", INVOICE, "--sample", FIXTURES / "order__totals-do-not-add-up.json")
    assert result.returncode == 0
    assert ": hold\n" in result.stdout
    assert "because totals-do-not-add-up" in result.stdout


def test_a_waiting_order_says_why() -> None:
    result = mapper("preview", INVOICE, "--sample", FIXTURES / "order__on-hold.json", "--json")
    shown = json.loads(result.stdout)
    assert (shown["decision"], shown["reasons"][0]["id"], shown["documents"]) == ("wait", "on-hold", {})


def test_the_nth_record_of_a_list_can_be_chosen() -> None:
    products = json.loads((FIXTURES / "products.json").read_text(encoding="utf-8"))
    path = MAPPINGS / "product-to-item.yaml"
    result = mapper("preview", path, "--sample", FIXTURES / "products.json", "--index", "3", "--json")
    assert json.loads(result.stdout)["record"] == str(products[2]["id"])


# --- validate, approve, fmt --------------------------------------------------------------------------------------


def test_the_shipped_mappings_are_valid_approved_and_canonical() -> None:
    files = sorted(MAPPINGS.glob("*.yaml"))
    assert mapper("validate", "--approved", *files).returncode == 0
    assert mapper("fmt", "--check", *files).returncode == 0


def test_validate_lists_what_is_not_approved_with_its_line(tmp_path: Path) -> None:
    path = fresh(tmp_path)
    result = mapper("validate", path)
    line = 1 + path.read_text(encoding="utf-8").split("  payment.date:")[0].count("\n")
    assert result.returncode == 0
    assert f"payment-to-payment.yaml:{line}:3: note unapproved: payment.date is not approved" in result.stdout
    assert mapper("validate", "--approved", path).returncode == 1


def test_validate_reports_every_file_and_keeps_the_worst_exit_code(tmp_path: Path) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text("spec: [", encoding="utf-8")
    result = mapper("validate", bad, MAPPINGS / "product-to-item.yaml", "--json")
    reports = json.loads(result.stdout)
    assert result.returncode == 3
    assert [(Path(row["file"]).name, row["ok"]) for row in reports] == [
        ("bad.yaml", False),
        ("product-to-item.yaml", True),
    ]


def test_a_target_field_that_does_not_exist_is_an_error(tmp_path: Path) -> None:
    path = copy_of("payment-to-payment", tmp_path, **{"  payment.type:": "  payment.tipe:"})
    result = mapper("validate", path)
    assert result.returncode == 1
    assert "error" in result.stdout
    assert "tipe" in result.stdout


def test_parts_are_approved_one_by_one_and_a_change_takes_it_back(tmp_path: Path) -> None:
    path = fresh(tmp_path)
    result = mapper("approve", path, "--part", "payment.date", "payment.type", "--part", "flow", user="ana")
    assert result.returncode == 0, result.stderr
    approved = {line.split()[1] for line in result.stdout.splitlines() if line.startswith("approved ")}
    assert approved == {"payment.date", "payment.type", "flow"}
    assert "by ana" in result.stdout
    path.write_text(
        path.read_text(encoding="utf-8").replace("paidAt, createdAt", "createdAt, paidAt"), encoding="utf-8"
    )
    assert "payment.date was changed after its approval" in mapper("validate", path).stdout


def test_everything_is_approved_at_once_and_twice_changes_nothing(tmp_path: Path) -> None:
    path = fresh(tmp_path)
    assert mapper("approve", path, "--all", "--by", "ana").returncode == 0
    first = path.read_text(encoding="utf-8")
    again = mapper("approve", path, "--all", "--by", "bo")
    assert "0 part(s) approved, 0 still to approve" in again.stdout
    assert path.read_text(encoding="utf-8") == first
    assert mapper("validate", "--approved", path).returncode == 0


def test_fmt_writes_the_canonical_text_once(tmp_path: Path) -> None:
    path = fresh(tmp_path)
    canonical = path.read_text(encoding="utf-8")
    path.write_text("# by hand\n" + canonical.replace("spec: ", "spec:    "), encoding="utf-8")
    assert mapper("fmt", "--check", path).returncode == 1
    result = mapper("fmt", path)
    assert result.returncode == 0
    assert "comments are not kept" in result.stderr
    assert path.read_text(encoding="utf-8") == canonical
    assert mapper("fmt", path).stdout == ""
