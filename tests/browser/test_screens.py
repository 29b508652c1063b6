"""Every page with hostile samples, in one visit each: at both widths, light and dark, and values that stay text."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from watching import Demo, Watched, fits, picture, settled, workspace

from mapper_ai.services.workspace import Sample
from mapper_ai.ui.parts.frame import PAGE_TITLES
from mapper_ai.ui.parts.records import read_folder

pytestmark = pytest.mark.browser

FLOW = "order-to-invoice"
HARM = "<img src=x onerror='window.harmed = 1'><script>window.harmed=1</script> **b** [l](https://example.com) =1+1"
PARTS = {
    "test": ("Fields & checks", "Planned calls"),
    "runs": ("Dry run", "Error inbox", "Waiting for you", "Record", "Reconciliation", "By hand"),
    "settings": ("Limits & alerts", "Language model", "Masking", "People & roles"),
}
AT = {"samples": "", "review": "&part=invoice.notes&filter=All", "runs": "&record=WEB-26-10001"}
OF_A_FLOW = ("samples", "review", "lines", "test")
LOOKS: tuple[tuple[int, int, Any], ...] = ((1920, 1080, "dark"), (1280, 800, "light"))


def looked_at(page: Page, name: str) -> None:
    """Both ways to look at what is drawn; a resize draws nothing anew. It stays as narrow as it gets."""
    for width, height, scheme in LOOKS:
        page.set_viewport_size({"width": width, "height": height})
        page.emulate_media(color_scheme=scheme)
        fits(page, f"{name} at {width}")
        picture(page, f"page-{name}-{width}")


def test_every_page_fits_both_widths_and_shows_values_as_text(shared_demo: Demo, watched: Watched) -> None:
    work, page = workspace(shared_demo), watched.page
    work.adopt(shared_demo.folder / "mappings" / f"{FLOW}.yaml")
    samples = read_folder(shared_demo.folder.parents[1] / "fixtures/clarity", "order")
    first = samples[0].record
    items = [{**first["lineItems"][0], "name": HARM, "sku": f"=cmd|'{HARM}'"}]
    evil = {**first, "notes": HARM, "poNumber": HARM, "orderDate": HARM, "paymentTerms": HARM, "lineItems": items}
    work.set_samples(FLOW, [Sample(HARM[:40], evil), *samples[:8]])
    digests = {row.part: row.digest for row in work.rows(FLOW)}
    work.set_steps(FLOW, "invoice.notes", "- {path: notes}", digest=digests["invoice.notes"])
    work.reject(FLOW, "client.lname", digest=digests["client.lname"], by="ana", reason=HARM)
    page.goto(f"{shared_demo.app}/runs")
    page.get_by_role("button", name="Run now").click()
    expect(page.get_by_text("Posted to FreshBooks")).to_be_visible()
    expect(page.get_by_text(re.compile("^Run is at work"))).to_have_count(0)
    for name, title in PAGE_TITLES.items():
        if name in AT or name == "projects":
            page.goto(f"{shared_demo.app}/{name.removeprefix('projects')}?flow={FLOW}{AT.get(name, '')}")
        else:  # as a person goes there, which loads nothing anew
            page.get_by_role("link", name=title).click()
        expect(page.get_by_role("heading", name=title).first).to_be_visible()
        expect(page.get_by_text("development identity").first).to_be_visible()
        if name in OF_A_FLOW:
            expect(page.get_by_role("combobox", name="Flow")).to_have_value("Order → invoice")
        looked_at(page, name)
        for part in PARTS.get(name, ()):  # what fits the narrow page fits a wider one
            page.get_by_role("radio", name=part).click()
            fits(page, f"{name}, {part}")
    watched.check()


def test_the_editor_and_the_picture_fit(shared_demo: Demo, watched: Watched) -> None:
    page = watched.page
    workspace(shared_demo).adopt(shared_demo.folder / "mappings" / f"{FLOW}.yaml")
    for part in ("client.p_city", "payment.type"):
        page.goto(f"{shared_demo.app}/review?flow={FLOW}&part={part}&filter=All")
        expect(page.get_by_test_id("stCode").filter(has_text=part).first).to_be_visible()
        settled(page)
        page.keyboard.press("e")
        steps = page.get_by_text("Source fields", exact=True)
        expect(steps).to_be_in_viewport()
        looked_at(page, f"editor-{part}")
        expect(steps).to_be_in_viewport()  # on the narrow screen too, without scrolling
    page.get_by_role("button", name="Picture").click()
    expect(page.get_by_role("dialog")).to_contain_text("As thick as there are fields")
    settled(page)
    watched.check()
