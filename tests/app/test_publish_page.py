"""Diff & publish: what changes is shown with its risk, and is published without a further tool."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from studio_app import FLOW, Studio, button, press, shown


def git(root: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def repo(studio: Studio) -> Path:
    root = studio.mappings.parent.parent
    for arguments in (
        ("init", "-q", "-b", "main"),
        ("config", "user.name", "Ana"),
        ("config", "user.email", "ana@example.com"),
        ("add", "mappings"),
        ("commit", "-q", "-m", "Start"),
    ):
        git(root, *arguments)
    return root


def test_nothing_to_publish_is_said_so(studio: Studio) -> None:
    app = studio.page("publish", flow=FLOW)
    assert "Everything is published as it stands" in shown(app)
    assert "compared with the saved files" in shown(app)


def test_save_waits_for_approval_then_writes_the_file(studio: Studio) -> None:
    studio.propose()
    app = studio.page("publish", flow=FLOW)
    assert button(app, "save").disabled
    assert "Not approved yet" in shown(app)
    studio.accept_all(by="ben")
    app = press(studio.page("publish", flow=FLOW), "save")
    assert "Saved. The runner reads these files." in shown(app)
    assert "by: ben" in (studio.mappings / "order-to-invoice.yaml").read_text("utf-8")
    assert next(card for card in studio.work.flows() if card.name == FLOW).runnable


def test_a_change_is_committed_on_a_branch_of_its_own(studio: Studio, repo: Path) -> None:
    work = studio.work
    part = "invoice.po_number"
    digest = next(row.digest for row in work.rows(FLOW) if row.part == part)
    work.set_steps(FLOW, part, "- {path: orderNumber}", digest=digest)
    app = studio.page("publish", flow=FLOW)
    text = shown(app)
    assert "Compared with `main`" in text
    assert "1 changed" in text
    app.segmented_control(key="publish-how").select("Commit on a branch").run()
    app = press(app, "commit")
    assert "Committed. Push it" in shown(app)
    (branch,) = [name for name in git(repo, "branch", "--format=%(refname:short)").splitlines() if name != "main"]
    assert branch.startswith("mapping/order-to-invoice-v")
    assert "orderNumber" in git(repo, "diff", "main", branch)
    assert git(repo, "status", "--porcelain", "mappings") == ""


def test_a_patch_can_be_downloaded(studio: Studio, repo: Path) -> None:
    studio.propose()
    app = studio.page("publish", flow=FLOW)
    app.segmented_control(key="publish-how").select("Download a patch").run()
    assert not app.exception
    assert len(app.get("download_button")) == 1


def test_a_branch_that_cannot_be_written_is_one_clear_line(studio: Studio, repo: Path) -> None:
    studio.propose()
    app = studio.page("publish", flow=FLOW)
    app.segmented_control(key="publish-how").select("Commit on a branch").run()
    (field,) = [entry for entry in app.text_input if entry.label == "Branch"]
    field.set_value("main").run()
    app = press(app, "commit")
    assert "'main' is the base itself" in shown(app)
