"""From a decided draft to posted invoices and back to what was held, in few clicks."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect
from watching import Demo, Watched, picture, sandbox_page, settled, workspace

from mapper_ai.services.workspace import Workspace

pytestmark = pytest.mark.browser

FLOW = "order-to-invoice"
MOST_CLICKS = 9


class Person:
    """Somebody at the screen whose clicks are counted."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.clicks = 0

    def press(self, name: str | re.Pattern[str]) -> None:
        self.page.get_by_role("button", name=name).first.click()
        self.clicks += 1

    def show(self, name: str) -> None:
        self.page.get_by_role("radio", name=name).click()
        self.clicks += 1

    def go(self, name: str) -> None:
        self.page.get_by_role("link", name=name).click()
        self.clicks += 1


def change(work: Workspace, part: str, steps: str) -> None:
    digest = next(row.digest for row in work.rows(FLOW) if row.part == part)
    work.set_steps(FLOW, part, steps, digest=digest)


def test_a_decided_draft_becomes_posted_invoices_and_held_ones_are_followed(demo: Demo, watched: Watched) -> None:
    work, page, ana = workspace(demo), watched.page, Person(watched.page)
    change(work, "invoice.po_number", "- {path: orderNumber}")
    page.goto(f"{demo.app}/publish?flow={FLOW}")
    expect(page.get_by_text("Not approved yet; the runner refuses it until it is")).to_be_visible()
    settled(page)
    picture(page, "publish")
    part = next(row for row in work.rows(FLOW) if row.part == "invoice.po_number")
    work.accept(FLOW, part.part, digest=part.digest, by="ben")  # another person, in another tab
    page.reload()
    ana.press("Save YAML")
    expect(page.get_by_text("Saved. The runner reads these files.")).to_be_visible()
    assert "by: ben" in (demo.folder / "mappings" / f"{FLOW}.yaml").read_text("utf-8")

    ana.go("Runs")
    ana.press(re.compile("^Dry run"))
    expect(page.get_by_text("Would be written")).to_be_visible()
    assert "None yet." in sandbox_page(watched, demo)
    ana.press("Run now")
    at_work = page.get_by_text(re.compile("^Run is at work"))
    posted = page.get_by_text("Posted to FreshBooks")
    expect(at_work.or_(posted).first).to_be_visible()
    page.reload()  # the runner outlives the page that started it
    expect(posted).to_be_visible()
    expect(at_work).to_have_count(0)
    settled(page)
    picture(page, "runs")
    books = sandbox_page(watched, demo)
    assert re.search(r"Invoices \((?!0\))\d+\)", books)
    assert re.search(r"Payments \((?!0\))\d+\)", books)

    ana.show("Error inbox")
    expect(page.get_by_text(re.compile(r"^\d+ records, \d+ causes$"))).to_be_visible()
    picture(page, "errors")
    ana.press("Its whole story")
    expect(page.get_by_text("What the approved mapping makes of it now")).to_be_visible()
    assert ana.clicks <= MOST_CLICKS

    # The kill switch holds for everybody, in every tab, until somebody lifts it.
    ana.press("Pause all writing")
    ana.press(re.compile("^Pause$"))
    other = page.context.new_page()
    other.goto(f"{demo.app}/runs")
    expect(other.get_by_text("All writing is paused")).to_be_visible()
    other.get_by_role("button", name="Resume").click()
    expect(other.get_by_text("All writing is paused")).to_have_count(0)
    other.close()
    watched.check()
