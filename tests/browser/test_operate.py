"""From a decided draft to posted invoices and back to what was held, in few clicks; every page at both widths."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect
from watching import Demo, Watched, picture, settled

from mapper_ai.services.workspace import Sample, Workspace

pytestmark = pytest.mark.browser

FLOW = "order-to-invoice"
MOST_CLICKS = 9
MARKUP = "<img src=x onerror='window.hacked = 1'> **bold** [link](https://example.com)"
PAGES = {
    "test": ("Fields & checks", "Planned calls"),
    "publish": (),
    "runs": ("Dry run", "Error inbox", "Waiting for you", "Record", "By hand"),
    "decisions": (),
    "settings": ("Limits & alerts", "Language model", "Masking", "People & roles"),
}
CUT_OFF = """() => {
  const wide = document.documentElement.clientWidth;
  const found = [];
  for (const element of document.querySelectorAll('.stMainBlockContainer *')) {
    if (element.closest('[aria-hidden="true"], .stDataFrameGlideDataEditor, pre, canvas, svg')) continue;
    const box = element.getBoundingClientRect();
    if (box.width && box.height && box.right > wide + 1) found.push(element.className || element.tagName);
    const label = element.tagName === 'P' && element.closest('button');
    const hidden = getComputedStyle(element).overflow === 'hidden';
    if (label && hidden && element.scrollWidth > element.clientWidth + 1) found.push(element.textContent);
  }
  for (const table of document.querySelectorAll('.dvn-scroller'))
    if (table.scrollWidth > table.clientWidth + 1) found.push('a table hides columns');
  return found;
}"""


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


def workspace(demo: Demo) -> Workspace:
    return Workspace.open(demo.folder / "workspace", mappings=demo.folder / "mappings")


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


def test_every_page_fits_both_widths_and_shows_values_as_text(demo: Demo, watched: Watched) -> None:
    work, page = workspace(demo), watched.page
    samples = work.samples(FLOW)
    evil = {**samples[0].record, "notes": MARKUP, "poNumber": MARKUP, "orderDate": MARKUP}
    work.set_samples(FLOW, [*samples[:8], Sample(MARKUP, evil)])
    change(work, "invoice.notes", "- {path: notes}")
    digest = next(row.digest for row in work.rows(FLOW) if row.part == "client.lname")
    work.reject(FLOW, "client.lname", digest=digest, by="ana", reason=MARKUP)
    page.goto(f"{demo.app}/runs")
    page.get_by_role("button", name="Run now").click()
    expect(page.get_by_text("Posted to FreshBooks")).to_be_visible()
    expect(page.get_by_text(re.compile("^Run is at work"))).to_have_count(0)
    for width, height, scheme in ((1280, 800, "light"), (1920, 1080, "dark")):
        page.set_viewport_size({"width": width, "height": height})
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]  # one of two words
        for name, parts in PAGES.items():
            page.goto(f"{demo.app}/{name}?flow={FLOW}&record=WEB-26-10001")
            expect(page.get_by_text("development identity").first).to_be_visible()
            fits(page, f"{name} at {width}")
            for part in parts if width == 1280 else ():  # what fits there fits a wider page
                page.get_by_role("radio", name=part).click()
                fits(page, f"{name}, {part} at {width}")
    watched.check()


def fits(page: Page, where: str) -> None:
    """Nothing is cut off, nothing failed, and no value was taken for anything but text."""
    settled(page)
    assert page.evaluate(CUT_OFF) == [], where
    assert not page.get_by_test_id("stException").count(), where
    assert page.evaluate("window.hacked") is None, where
    assert not page.locator(".stMainBlockContainer img, .stMainBlockContainer a[href*='example.com']").count(), where


def sandbox_page(watched: Watched, demo: Demo) -> str:
    """What the FreshBooks stand-in shows to a person, in a tab of its own."""
    tab = watched.page.context.new_page()
    tab.goto(demo.sandbox)
    text = tab.inner_text("main")
    tab.close()
    return text
