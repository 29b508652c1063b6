"""From samples to invoices that stand in the sandbox, as a person does it."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect
from watching import Demo, Watched, picture, sandbox_page, settled

pytestmark = pytest.mark.browser

NOTHING_APPROVED = re.compile(r"^0 of \d+ parts approved$")


def press(page: Page, name: str, *, nth: int = 0) -> None:
    settled(page)  # a button that is drawn anew at this moment loses the click
    page.get_by_role("button", name=name).nth(nth).click()


def approved(page: Page) -> int:
    text = page.get_by_text(re.compile(r"^\d+ of \d+ parts approved$")).inner_text()
    return int(text.split()[0])


def test_samples_review_approve_save_dry_run_run(demo: Demo, watched: Watched) -> None:
    page = watched.page
    page.goto(demo.app)
    press(page, "Start from samples")
    press(page, "Take these 15")
    expect(page.get_by_text("15 samples stored:")).to_be_visible()
    picture(page, "samples-1280")
    press(page, "Propose a mapping")
    expect(page.get_by_text(NOTHING_APPROVED)).to_be_visible()

    press(page, "Accept the sure")
    expect(page.get_by_role("dialog")).to_contain_text("Money, tax, keys and the flow itself are not in this list")
    press(page, "Accept these")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.get_by_text(NOTHING_APPROVED)).to_have_count(0)
    settled(page)

    # A reload in the middle: the same part, the same decisions.
    page.keyboard.press("n")
    expect(page).to_have_url(re.compile(r"part=client\.note"))
    settled(page)
    before = approved(page)
    assert before > 10
    page.reload()
    settled(page)
    expect(page).to_have_url(re.compile(r"part=client\.note"))
    expect(page.get_by_test_id("stCode").filter(has_text="client.note").first).to_be_visible()
    assert approved(page) == before
    picture(page, "review-1280")

    # The rest one by one, by key.
    while not page.get_by_text("Everything is decided").count():
        before = approved(page)
        page.keyboard.press("a")
        expect(page.get_by_text(re.compile(rf"^{before + 1} of \d+ parts approved$"))).to_be_visible()
        settled(page)

    press(page, "Diff & publish")
    press(page, "Save YAML")
    expect(page.get_by_text("Saved. The runner reads these files.")).to_be_visible()
    assert "by: ana" in (demo.folder / "mappings/order-to-invoice.yaml").read_text("utf-8")

    page.get_by_role("link", name="Runs").click()
    press(page, "Dry run")
    expect(page.get_by_text("Would be written")).to_be_visible()
    assert "None yet." in sandbox_page(watched, demo)

    # The runner outlives the page that started it.
    press(page, "Run now")
    posted = page.get_by_text("Posted to FreshBooks")
    expect(page.get_by_text(re.compile("^Run is at work")).or_(posted).first).to_be_visible()
    page.reload()
    expect(posted).to_be_visible()
    expect(page.get_by_text(re.compile("^Run is at work"))).to_have_count(0)
    settled(page)
    picture(page, "run-1280")
    books = sandbox_page(watched, demo)
    assert re.search(r"Invoices \((?!0\))\d+\)", books)
    assert re.search(r"Payments \((?!0\))\d+\)", books)
    page.reload()
    expect(posted).to_be_visible()
    watched.check()
