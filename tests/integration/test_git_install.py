"""`mapper install-git` in a real clone: git's own diff and merge go part by part."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mapper_ai.__main__ import main
from mapspec import load_spec, unapproved
from tests.review_repo import MAPPING, Repo, approved, make_repo

COMMAND = f'"{sys.executable}" -m mapper_ai'


@pytest.fixture
def repo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Repo:
    made = make_repo(tmp_path / "repo")
    monkeypatch.chdir(made.root)
    # git starts the drivers in the repository's folder.
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    assert main(["install-git", "--command", COMMAND]) == 0
    assert "commit the file" in capsys.readouterr().out
    made.commit({}, "attributes")
    return made


def branches(repo: Repo, ours: tuple[str, str], theirs: tuple[str, str]) -> None:
    """Two branches from one commit, each with an approved change; `ours` is checked out."""
    repo.git("checkout", "--quiet", "-b", "theirs")
    repo.commit({MAPPING: approved(repo.edit(theirs))}, "theirs")
    repo.git("checkout", "--quiet", "-B", "ours", "main")
    repo.commit({MAPPING: approved(repo.edit(ours))}, "ours")


def merge(repo: Repo) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["git", "-c", "user.name=Ana", "-c", "user.email=ana@example.com", "merge", "--no-edit", "theirs"],
        cwd=repo.root,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_diff_has_one_line_for_one_field(repo: Repo) -> None:
    repo.commit({MAPPING: approved(repo.edit(("- {path: notes}", "- {path: customerNotes}")))})
    rows = [row for row in repo.git("diff", "HEAD~1").splitlines() if row[:1] in "+-" and row[:3] not in ("+++", "---")]
    assert [row for row in rows if "invoice.notes" in row] == [row for row in rows if "version" not in row]
    assert len(rows) == 4


def test_a_version_that_is_no_mapping_does_not_stop_the_diff(repo: Repo) -> None:
    repo.commit({MAPPING: "not: a mapping\n"})
    assert "+not: a mapping" in repo.git("diff", "HEAD~1")


def test_different_fields_merge_and_wait_for_approval(repo: Repo) -> None:
    # The lines around both are changed by approvals and version: line by line this is a conflict.
    branches(repo, ("- {path: notes}", "- {path: customerNotes}"), ("- {path: poNumber}", "- {path: po}"))
    done = merge(repo)
    assert done.returncode == 0, done.stderr
    assert "to be approved again: " in done.stderr
    spec = load_spec(repo.text())
    assert {row.part for row in unapproved(spec)} == {"invoice.notes", "invoice.po_number"}
    assert spec.version == 3
    assert "{path: customerNotes}" in repo.text() and "{path: po}" in repo.text()


def test_one_field_changed_on_both_sides_is_a_conflict_with_marks_around_that_field(repo: Repo) -> None:
    branches(repo, ("- {path: notes}", "- {path: customerNotes}"), ("- {path: notes}", "- {path: remarks}"))
    done = merge(repo)
    assert done.returncode == 1
    assert "both sides changed fields.invoice.notes" in done.stderr
    text = repo.text()
    assert "<<<<<<< ours\n      - {path: customerNotes}\n=======\n      - {path: remarks}\n>>>>>>> theirs\n" in text
    assert text.count("<<<<<<<") == 1
    assert repo.git("diff", "--name-only", "--diff-filter=U") == MAPPING


def test_what_is_no_mapping_on_one_side_is_merged_by_lines(repo: Repo) -> None:
    repo.git("checkout", "--quiet", "-b", "theirs")
    repo.commit({MAPPING: "not: a mapping\n"}, "theirs")
    repo.git("checkout", "--quiet", "-B", "ours", "main")
    repo.commit({MAPPING: approved(repo.edit(("- {path: notes}", "- {path: remarks}")))}, "ours")
    done = merge(repo)
    assert done.returncode == 1
    assert "merged line by line" in done.stderr


def test_parts_that_make_no_mapping_together_are_never_merged_silently(repo: Repo) -> None:
    step = "  - {id: send, do: mark_as_sent, of: invoice, needs: [invoice]}\n"
    repo.git("checkout", "--quiet", "-b", "theirs")
    more = step + "  - {id: again, do: mark_as_sent, of: invoice, needs: [send]}\n"
    repo.commit({MAPPING: approved(repo.edit((step, more)))}, "theirs")
    repo.git("checkout", "--quiet", "-B", "ours", "main")
    repo.commit({MAPPING: approved(repo.edit((step, ""), ("needs: [send]", "needs: [invoice]")))}, "ours")
    done = merge(repo)
    assert done.returncode == 1
    assert "needs 'send'" in done.stderr


def test_it_is_taken_back(repo: Repo, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["install-git", "--remove"]) == 0
    assert main(["install-git", "--remove"]) == 0
    assert "mapping" not in repo.git("config", "--local", "--list")
    assert main(["install-git", "--command", COMMAND]) == 0
    assert "commit the file" not in capsys.readouterr().out.split("again")[-1]
    assert repo.text(".gitattributes").count("merge=mapping") == 2


def test_outside_a_repository_it_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    assert main(["install-git"]) == 3
    assert "not a git repository" in capsys.readouterr().err
