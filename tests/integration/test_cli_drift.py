"""`mapper drift`: what changed in payloads, and the proposed change as a patch or a branch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mapper_ai.__main__ import main
from mapspec import load_spec, unapproved
from tests.review_repo import MAPPING, Repo, make_repo, order

Captured = pytest.CaptureFixture[str]


def drifted(number: int) -> dict[str, Any]:
    """An order after a release of the store: a field renamed, one new, one of another type, a new word."""
    made = order(number)
    made["orderedDate"] = made.pop("orderDate")
    made["giftMessage"] = "For you"
    made["paymentTerms"] = 30
    made["payments"][0]["method"] = "klarna"
    made["payments"][0]["paidOn"] = made["payments"][0].pop("paidAt")
    return made


@pytest.fixture
def repo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repo:
    made = make_repo(tmp_path / "repo")
    for number in range(1, 6):
        made.write({f"new/order__{number}.json": json.dumps(drifted(number))})
    monkeypatch.chdir(made.root)
    for who in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{who}_NAME", "Ana")
        monkeypatch.setenv(f"GIT_{who}_EMAIL", "ana@example.com")
    return made


def test_it_tells_what_changed_and_what_to_do(repo: Repo, capsys: Captured) -> None:
    assert main(["drift", MAPPING, "--samples", "new", "--json"]) == 1
    data = json.loads(capsys.readouterr().out)
    assert [(row["kind"], row["path"], row["detail"]) for row in data["drift"]] == [
        ("missing", "orderDate", ""),
        ("missing", "payments[].paidAt", ""),
        ("changed", "paymentTerms", "text -> number"),
        ("value", "payments[].method", "klarna"),
        ("new", "giftMessage", "text"),
        ("new", "orderedDate", "text"),
        ("new", "payments[].paidOn", "text"),
    ]
    assert data["done"] == [
        "invoice.create_date: reads orderedDate where orderDate is absent",
        "payment.date: reads payments[].paidOn where payments[].paidAt is absent",
        "tables.kinds: row 'klarna' gives 'Other', as it has been given so far",
        "giftMessage is listed as ignored: new in the payloads; not mapped yet",
    ]
    assert data["left"] == ["paymentTerms: text -> number; read by invoice.due_offset_days"]


def test_payloads_as_before_have_not_drifted(repo: Repo, capsys: Captured) -> None:
    assert main(["drift", MAPPING, "--samples", "samples"]) == 0
    assert "nothing changed" in capsys.readouterr().out


def test_the_proposal_is_a_branch_ready_for_the_same_review(repo: Repo, capsys: Captured) -> None:
    before = repo.git("status", "--porcelain"), repo.git("rev-parse", "HEAD"), repo.text()
    assert main(["drift", MAPPING, "--samples", "new", "--branch", "drift"]) == 1
    assert "mapper review --head drift" in capsys.readouterr().out
    assert before == (repo.git("status", "--porcelain"), repo.git("rev-parse", "HEAD"), repo.text())
    spec = load_spec(repo.git("show", f"drift:{MAPPING}") + "\n")
    assert {row.part for row in unapproved(spec)} == {"invoice.create_date", "payment.date", "payment.type"}
    assert repo.git("diff", "--name-only", "main..drift") == MAPPING
    assert main(["review", "--base", "main", "--head", "drift", "--today", "2026-11-21"]) == 1
    out = capsys.readouterr().out
    assert "source-changed: invoice.create_date" in out and "digest-mismatch" not in out
    assert "not-approved: payment.type" in out
    assert main(["drift", MAPPING, "--samples", "new", "--branch", "drift"]) == 3
    assert "branch 'drift' exists already" in capsys.readouterr().err


def test_the_proposal_is_a_patch_that_git_applies(repo: Repo, tmp_path: Path, capsys: Captured) -> None:
    patch = tmp_path / "drift.patch"
    assert main(["drift", MAPPING, "--samples", "new", "--patch", str(patch)]) == 1
    repo.git("apply", "--check", str(patch))
    repo.git("apply", str(patch))
    assert "{coalesce: [orderDate, orderedDate]}" in repo.text()
    assert "{coalesce: [.paidAt, .paidOn]}" in repo.text()
    capsys.readouterr()
    assert main(["validate", MAPPING]) == 0
    capsys.readouterr()
    assert main(["drift", MAPPING, "--samples", "new", "--json"]) == 1
    assert [row["kind"] for row in json.loads(capsys.readouterr().out)["drift"]] == ["changed"]


def test_a_file_with_other_changes_is_not_put_on_a_branch(repo: Repo, capsys: Captured) -> None:
    repo.write({MAPPING: repo.text().replace("version: 1", "version: 2")})
    assert main(["drift", MAPPING, "--samples", "new", "--branch", "other"]) == 3
    assert "differs from what is committed" in capsys.readouterr().err


def test_old_payloads_still_map_after_the_proposal(repo: Repo, capsys: Captured) -> None:
    main(["drift", MAPPING, "--samples", "new", "--branch", "drift"])
    repo.git("checkout", "--quiet", "drift")
    capsys.readouterr()
    for sample in ("samples/order__plain.json", "new/order__1.json"):
        assert main(["preview", MAPPING, "--sample", sample, "--json"]) == 0
        body = json.loads(capsys.readouterr().out)["documents"]["invoice"][0]["body"]
        assert body["create_date"] == "2026-11-01"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--samples", "nowhere"], "nowhere: no such file or folder"),
        (["--samples", "new", "--known", "nowhere"], "nowhere: no such file or folder"),
        (["--samples", "new", "--branch", "a..b"], "is no name of a branch"),
    ],
)
def test_bad_input_is_one_line(repo: Repo, arguments: list[str], says: str, capsys: Captured) -> None:
    assert main(["drift", MAPPING, *arguments]) == 3
    error = capsys.readouterr().err
    assert says in error and error.count("\n") == 1
