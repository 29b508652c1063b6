"""`mapper demo --headless`, and how its verdict is found."""

from __future__ import annotations

import shutil
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from connectors.sandbox.generator import Case, generate
from mapper_ai.services.demo import main
from mapper_ai.services.demo_check import compare
from mapspec import approve, dump_spec, load_spec

PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with approved mappings."""
    folder = tmp_path / "mappings" / "clarity-freshbooks"
    shutil.copytree(PROJECT / "mappings/clarity-freshbooks", folder)
    for file in folder.glob("*.yaml"):
        spec = approve(load_spec(file.read_text("utf-8")), None, by="maria", at="2026-03-01T09:00:00Z")
        file.write_text(dump_spec(spec), "utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_one_pass_posts_and_holds_what_the_labels_ask_for(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FRESHBOOKS_API_URL", "http://127.0.0.1:1")  # a real connection never reaches the demo
    code = main(["--headless", "--orders", "45", "--seed", "11"])
    told = capsys.readouterr().out
    assert "Agrees with the labels of the sample orders" in told, told
    assert code == 0
    assert (project / ".mapper/demo/mapper.db").is_file()


def test_an_unapproved_mapping_is_named(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = project / "mappings/clarity-freshbooks/product-to-item.yaml"
    file.write_text(file.read_text("utf-8").replace("state: approved", "state: rejected"), "utf-8")
    assert main(["--headless", "--orders", "1"]) == 1
    assert "product-to-item.yaml" in capsys.readouterr().err


def test_a_folder_with_other_things_is_left_alone(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kept = project / "mine"
    kept.mkdir()
    (kept / "thesis.txt").write_text("years of work", "utf-8")
    assert main(["--headless", "--keep", str(kept)]) == 1
    assert "holds other things" in capsys.readouterr().err
    assert (kept / "thesis.txt").read_text("utf-8") == "years of work"


@pytest.mark.parametrize("argv", [["--port", "0"], ["--port", "x"], ["--orders", "-1"], ["--what"]])
def test_wrong_usage_ends_with_two(argv: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(argv)
    assert ended.value.code == 2


def post_case() -> Case:
    return next(case for case in generate(5, 40) if case.label == "post" and case.payments)


def hold_case() -> Case:
    return next(case for case in generate(5, 40) if case.label == "hold" and case.order.get("orderNumber"))


def invoice(case: Case, **changes: Any) -> dict[str, Any]:
    code = str(case.order["currency"]).upper()
    return {
        "invoice_number": case.order["orderNumber"],
        "amount": {"amount": str(case.order["total"]), "code": code},
        "paid": {"amount": str(case.payments), "code": code},
        **changes,
    }


def held(case: Case, reason: str) -> dict[str, Any]:
    return {"entity": "order", "id": str(case.order["id"]), "reason_id": reason}


def test_books_that_agree_with_the_labels() -> None:
    post, hold = post_case(), hold_case()
    verdict = compare([post, hold], [invoice(post)], [], [held(hold, hold.reason)])
    assert verdict.differences == ()
    assert (verdict.must_post, verdict.must_hold, dict(verdict.held)) == (1, 1, {hold.reason: 1})


def test_every_kind_of_difference_is_told() -> None:
    post, hold = post_case(), hold_case()
    code = str(post.order["currency"]).upper()
    cent = {"amount": str(Decimal(str(post.order["total"])) + Decimal("0.01")), "code": code}
    cases = [post, hold]
    assert "must have one invoice, has 0" in compare(cases, [], [], [held(hold, hold.reason)]).differences[0]
    assert "has 2" in compare([post], [invoice(post), invoice(post)], [], []).differences[0]
    assert "invoice" in compare([post], [invoice(post, amount=cent)], [], []).differences[0]
    assert "was captured" in compare([post], [invoice(post, paid={**cent, "amount": "0"})], [], []).differences[0]
    assert "must be held" in compare([hold], [], [], []).differences[0]
    assert "was for other" in compare([hold], [], [], [held(hold, "other")]).differences[0]
    both = compare([hold], [invoice(replace(hold, payments=Decimal(0)))], [], [held(hold, hold.reason)])
    assert "but has an invoice" in both.differences[0]
    stray = compare([], [invoice(post)], [], [])
    assert "belongs to no order" in stray.differences[0]
