"""The app where people sign in: `mapper app` with a real provider, in a real Chromium."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import expect
from watching import Watched, running_app, settled

from mapper_ai.services.workspace import TargetRow, Workspace
from mapper_ai.ui.parts.records import read_folder
from tests.oidc_stub import running_provider

pytestmark = pytest.mark.browser

PROJECT = Path(__file__).resolve().parents[2]
FLOW, PART = "order-to-invoice", "client.p_city"
PEOPLE = {
    "Ana": {"sub": "ana-1", "email": "ana@example.com", "email_verified": True},
    "Mallory": {"sub": "mallory-7", "email": "ana@example.com", "email_verified": False},
}


@dataclass(frozen=True)
class Shared:
    """`mapper app` in a folder of its own, whose mapper.toml demands that people sign in."""

    url: str
    folder: Path

    @property
    def work(self) -> Workspace:
        return Workspace.open(self.folder / ".mapper", mappings=self.folder / "mappings/clarity-freshbooks")

    def row(self) -> TargetRow:
        return next(row for row in self.work.rows(FLOW) if row.part == PART)

    def secrets(self, text: str) -> None:
        (self.folder / ".streamlit").mkdir(exist_ok=True)
        (self.folder / ".streamlit/secrets.toml").write_text(text, "utf-8")


@pytest.fixture
def shared(tmp_path: Path) -> Iterator[Shared]:
    shutil.copytree(PROJECT / "mappings/clarity-freshbooks", tmp_path / "mappings/clarity-freshbooks")
    (tmp_path / "mapper.toml").write_text("[studio]\nsign_in = true\n", "utf-8")
    with running_app(tmp_path, {"MAPPER_USER": "root"}) as url:
        yield Shared(url, tmp_path)


def test_nobody_approves_without_signing_in_and_approvals_carry_who_did(shared: Shared, watched: Watched) -> None:
    page = watched.page
    shared.work.start(FLOW, read_folder(PROJECT / "fixtures/clarity", "order"))

    def said(text: str) -> None:
        """One line instead of the page, nothing to press, nothing of the mapping."""
        page.goto(f"{shared.url}/review?flow={FLOW}&part={PART}")
        expect(page.get_by_text("Nobody can sign in yet")).to_be_visible()
        expect(page.get_by_test_id("stCode")).to_contain_text(text)
        assert not page.locator(".stMainBlockContainer button").filter(has_text=re.compile("Accept|Sign")).count()

    said("secrets.toml: auth: missing; mapper.toml (studio.sign_in) wants people to sign in")
    shared.secrets('[auth]\nclient_id = "half a line\n')
    said("~/.streamlit/secrets.toml: cannot be read as TOML")
    with running_provider(PEOPLE) as provider:
        shared.secrets(provider.secrets_toml(shared.url))
        page.goto(f"{shared.url}/review?flow={FLOW}&part={PART}")
        sign_in = page.get_by_role("button", name="Sign in")
        expect(sign_in).to_be_visible()
        settled(page)
        page.keyboard.press("a")
        settled(page)
        assert page.get_by_text("parts approved").count() == 0
        assert shared.row().state == "proposed"

        sign_in.click()
        page.get_by_role("link", name="Ana").click()
        expect(page.get_by_text("ana@example.com")).to_be_visible()
        page.goto(f"{shared.url}/review?flow={FLOW}&part={PART}&filter=To+decide")
        expect(page.get_by_test_id("stCode").filter(has_text=PART).first).to_be_visible()
        settled(page)
        page.keyboard.press("a")
        expect(page.get_by_text(re.compile(r"^1 of \d+ parts approved$"))).to_be_visible()
        assert (shared.row().state, shared.row().by) == ("approved", "ana@example.com")

        # An address that the provider did not check is not worth more than the person's own number.
        page.get_by_role("button", name="Sign out").click()
        sign_in.click()
        page.get_by_role("link", name="Mallory").click()
        expect(page.get_by_text("mallory-7")).to_be_visible()
        expect(page.get_by_text("ana@example.com")).to_have_count(0)
        page.get_by_role("button", name="Sign out").click()
        expect(sign_in).to_be_visible()
        settled(page)

    # The provider is gone: who presses the button stays here and reads why.
    sign_in.click()
    expect(page.get_by_test_id("stCode")).to_contain_text("does not answer; nobody can sign in until it does")
    watched.check()
