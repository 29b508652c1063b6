"""What drafts change against what is published, and publishing them without touching anything else."""

from __future__ import annotations

import subprocess
from datetime import date
from pathlib import Path

import pytest

from mapper_ai.errors import Conflict, InputError
from mapper_ai.services import publishing
from mapper_ai.services.publishing import Change, Ground
from mapper_ai.services.sampling import read_samples
from mapper_ai.services.workspace import Sample, Workspace
from mapspec import approve, dump_spec, load_spec

PROJECT = Path(__file__).resolve().parents[3]
FLOW = "payment-to-payment"
TODAY = date(2026, 3, 1)
PART = "payment.type"


def git(root: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def mappings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One approved mapping, in no repository."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "repo" / "mappings"
    folder.mkdir(parents=True)
    text = (PROJECT / f"mappings/clarity-freshbooks/{FLOW}.yaml").read_text("utf-8")
    spec = approve(load_spec(text), None, by="maria", at="2026-02-01T09:00:00Z")
    (folder / f"{FLOW}.yaml").write_text(dump_spec(spec), "utf-8")
    return folder


@pytest.fixture
def repo(mappings: Path) -> Path:
    """The same, committed on main."""
    root = mappings.parent
    git(root, "init", "-q", "-b", "main")
    git(root, "config", "user.name", "Ana Analyst")
    git(root, "config", "user.email", "ana@example.com")
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "Start")
    return root


def open_work(mappings: Path) -> Workspace:
    work = Workspace.open(mappings.parent.parent / "work", mappings=mappings)
    rows = read_samples(PROJECT / "fixtures/clarity/payments.json")[:4]
    work.set_samples(FLOW, [Sample(f"payment {n}", row) for n, row in enumerate(rows)])
    return work


def edit(work: Workspace, steps: str, *, approver: str | None) -> None:
    digest = next(row.digest for row in work.rows(FLOW) if row.part == PART)
    work.set_steps(FLOW, PART, steps, digest=digest)
    if approver:
        digest = next(row.digest for row in work.rows(FLOW) if row.part == PART)
        work.accept(FLOW, PART, digest=digest, by=approver)


def ground(mappings: Path) -> Ground:
    return publishing.ground_of(mappings, {})


def the_change(work: Workspace, by: str = "ana@example.com") -> Change:
    (found,) = publishing.changes(work, ground(work.mappings), by=by, today=TODAY)
    return found


def test_nothing_changed_is_said_so(repo: Path) -> None:
    found = the_change(open_work(repo / "mappings"))
    assert found.review is not None
    assert (found.review.state, found.blocked, found.path) == ("same", "", f"mappings/{FLOW}.yaml")


def test_a_change_gets_the_next_version_and_shows_what_it_does_to_the_samples(repo: Path) -> None:
    work = open_work(repo / "mappings")
    before = load_spec(work.text(FLOW)).version
    edit(work, "- {const: Cash}", approver="ben")
    found = the_change(work)
    assert found.review is not None
    assert (found.review.version_before, found.version) == (before, before + 1)
    assert "version-not-bumped" not in {row.id for row in found.review.findings}
    (of_part,) = [row for row in found.review.findings if row.part == PART]
    assert "of 4 samples" in of_part.effect
    assert found.waiting == ()


def test_a_branch_gets_the_change_alone_and_nothing_else_is_touched(repo: Path) -> None:
    work = open_work(repo / "mappings")
    file = repo / f"mappings/{FLOW}.yaml"
    kept = file.read_text("utf-8")
    (repo / "half-done.txt").write_text("mine", "utf-8")
    git(repo, "add", "half-done.txt")
    before = git(repo, "status", "--porcelain")
    edit(work, "- {const: Cash}", approver="ben")
    found = the_change(work)
    made = publishing.commit(work, [found], ground(repo / "mappings"), branch="mapping/x", by="ana", message="")
    assert git(repo, "rev-parse", "mapping/x") == made
    assert git(repo, "diff", "--name-only", "main", "mapping/x") == f"mappings/{FLOW}.yaml"
    assert git(repo, "show", f"mapping/x:mappings/{FLOW}.yaml") == found.new.rstrip("\n")
    assert git(repo, "log", "-1", "--format=%an %ae %s", "mapping/x") == (
        f"Ana Analyst ana@example.com Change {FLOW} v{found.version}: 1 changed"
    )
    assert git(repo, "branch", "--show-current") == "main"
    assert (git(repo, "status", "--porcelain"), file.read_text("utf-8")) == (before, kept)


def test_a_second_commit_goes_on_top_and_the_same_twice_is_refused(repo: Path) -> None:
    work, base = open_work(repo / "mappings"), ground(repo / "mappings")
    edit(work, "- {const: Cash}", approver="ben")
    first = publishing.commit(work, [the_change(work)], base, branch="x", by="ana", message="One")
    with pytest.raises(InputError, match="holds this already"):
        publishing.commit(work, [the_change(work)], base, branch="x", by="ana", message="One")
    edit(work, "- {const: Check}", approver="ben")
    second = publishing.commit(work, [the_change(work)], base, branch="x", by="eve@example.com", message="Two")
    assert git(repo, "rev-parse", "x^") == first
    assert git(repo, "log", "-1", "--format=%ae %s", second) == "eve@example.com Two"


@pytest.mark.parametrize(
    ("branch", "said"),
    [("main", "base itself"), ("other", "checked out"), ("a..b", "no name of a branch"), ("-x", "no name of a branch")],
)
def test_a_branch_that_must_not_be_written_is_refused(repo: Path, branch: str, said: str) -> None:
    git(repo, "checkout", "-q", "-b", "other")
    work = open_work(repo / "mappings")
    edit(work, "- {const: Cash}", approver="ben")
    with pytest.raises(InputError, match=said):
        publishing.commit(work, [the_change(work)], ground(repo / "mappings"), branch=branch, by="ana", message="")


def test_the_patch_applies(repo: Path) -> None:
    work = open_work(repo / "mappings")
    edit(work, "- {const: Cash}", approver="ben")
    found = the_change(work)
    (repo / "p.patch").write_text(publishing.patch_of([found]), "utf-8")
    git(repo, "apply", "p.patch")
    assert (repo / f"mappings/{FLOW}.yaml").read_text("utf-8") == found.new


def test_what_waits_for_approval_is_not_saved_but_may_be_committed(repo: Path) -> None:
    work = open_work(repo / "mappings")
    edit(work, "- {const: Cash}", approver=None)
    found = the_change(work)
    assert found.waiting == (PART,)
    with pytest.raises(InputError, match="1 of its parts wait"):
        publishing.save_files(work, [found])
    assert publishing.commit(work, [found], ground(repo / "mappings"), branch="x", by="ana", message="")


def test_an_approved_draft_is_saved_with_its_new_version(repo: Path) -> None:
    work = open_work(repo / "mappings")
    edit(work, "- {const: Cash}", approver="ben")
    found = the_change(work)
    assert publishing.save_files(work, [found]) == [repo / f"mappings/{FLOW}.yaml"]
    assert load_spec((repo / f"mappings/{FLOW}.yaml").read_text("utf-8")).version == found.version
    again = the_change(work)
    assert again.saved
    assert again.review is not None
    assert again.review.state == "changed"  # the base branch has the old one still


def test_a_draft_that_changed_meanwhile_is_not_published(repo: Path) -> None:
    work = open_work(repo / "mappings")
    edit(work, "- {const: Cash}", approver="ben")
    found = the_change(work)
    edit(work, "- {const: Check}", approver="ben")
    with pytest.raises(Conflict):
        publishing.save_files(work, [found])


def test_four_eyes_asks_for_another_person(repo: Path) -> None:
    (repo / "mapper.toml").write_text("[review]\nfour_eyes = true\n", "utf-8")
    git(repo, "add", "-A")
    git(repo, "commit", "-q", "-m", "Four eyes")
    work = open_work(repo / "mappings")
    edit(work, "- {const: Cash}", approver="ana")
    found = the_change(work)
    assert [row.id for row in found.second] == ["self-approval"]
    with pytest.raises(InputError, match="another person has to approve"):
        publishing.save_files(work, [found])
    assert the_change(work, by="ben@example.com").second == ()


def test_without_git_the_saved_files_are_the_base(mappings: Path) -> None:
    work = open_work(mappings)
    assert the_change(work).review is not None
    edit(work, "- {const: Cash}", approver="ben")
    base, found = ground(mappings), the_change(work)
    assert (base.kind, found.review.state if found.review else "") == ("files", "changed")
    with pytest.raises(InputError, match="no git repository"):
        publishing.commit(work, [found], base, branch="x", by="ana", message="")
    publishing.save_files(work, [found])
    again = the_change(work)
    assert again.review is not None
    assert again.review.state == "same"


def test_ignored_mappings_count_as_outside_git(repo: Path) -> None:
    (repo / ".gitignore").write_text("demo/\n", "utf-8")
    (repo / "demo").mkdir()
    assert ground(repo / "demo" / "mappings").kind == "files"


def test_a_base_that_is_named_must_be_there(repo: Path) -> None:
    with pytest.raises(Exception, match="no such commit"):
        publishing.ground_of(repo / "mappings", {"MAPPER_BASE": "origin/nowhere"})


def test_the_pull_request_says_what_the_review_says(repo: Path) -> None:
    work = open_work(repo / "mappings")
    edit(work, "- {const: Cash}", approver=None)
    found = the_change(work)
    text = publishing.pull_request([found], ground(repo / "mappings"))
    assert text.title == f"Change {FLOW} v{found.version}: 1 changed"
    assert text.body.startswith("### Mapping review: payment-to-payment")
    assert "not-approved" in text.body
    assert "1 of its parts wait for approval" in text.body
