"""The review as a person works in it: keys, reload, back, two tabs, a browser that is killed."""

from __future__ import annotations

import re
from collections.abc import Callable

import psutil
import pytest
from playwright.sync_api import Browser, Page, expect
from test_journey import approved
from watching import Demo, Watched, settled, workspace

from mapper_ai.services.workspace import TargetRow, Workspace
from mapper_ai.ui.parts.records import read_folder

pytestmark = pytest.mark.browser

FLOW = "order-to-invoice"


def propose(demo: Demo) -> Workspace:
    """A fresh draft, nothing decided."""
    work = workspace(demo)
    work.start(FLOW, read_folder(demo.folder.parents[1] / "fixtures/clarity", "order"))
    return work


def row_of(demo: Demo, part: str) -> TargetRow:
    return next(row for row in workspace(demo).rows(FLOW) if row.part == part)


def open_at(page: Page, demo: Demo, part: str) -> None:
    page.goto(f"{demo.app}/review?flow={FLOW}&part={part}&filter=To+decide")
    expect(page.get_by_test_id("stCode").filter(has_text=part).first).to_be_visible()
    settled(page)


def leave(page: Page, part: str) -> str:
    """Wait until another part is looked at, and give it."""
    expect(page).not_to_have_url(re.compile(rf"part={re.escape(part)}(&|$)"))
    settled(page)
    return re.findall(r"part=([^&]+)", page.url)[0].replace("%5B", "[").replace("%5D", "]")


def test_every_key_does_what_it_says(shared_demo: Demo, watched: Watched) -> None:
    page, part = watched.page, "client.p_city"
    propose(shared_demo)
    open_at(page, shared_demo, part)
    page.keyboard.press("n")
    following = leave(page, part)
    page.keyboard.press("p")
    assert leave(page, following) == part
    page.keyboard.press("1")
    expect(page.get_by_text("Source changed")).to_be_visible()
    assert row_of(shared_demo, part).sources == ("shippingAddress.city",)
    page.keyboard.press("u")
    expect(page.get_by_text("The last change was taken back")).to_be_visible()
    settled(page)
    assert row_of(shared_demo, part).sources == ("billingAddress.city",)
    page.keyboard.press("e")
    expect(page.get_by_text("The same as text, one step a line")).to_be_visible()
    settled(page)
    page.keyboard.press("a")
    following = leave(page, part)
    assert (row_of(shared_demo, part).state, row_of(shared_demo, part).by) == ("approved", "ana")
    page.keyboard.press("x")
    leave(page, following)
    assert row_of(shared_demo, following).state == "rejected"
    page.keyboard.press("h")
    expect(page.get_by_role("dialog")).to_contain_text("take another source")
    watched.check()


def test_reload_back_and_a_second_tab_find_the_same(shared_demo: Demo, watched: Watched) -> None:
    page, part = watched.page, "client.p_city"
    propose(shared_demo)
    open_at(page, shared_demo, part)
    page.keyboard.press("a")
    following = leave(page, part)
    page.reload()
    expect(page.get_by_test_id("stCode").filter(has_text=following).first).to_be_visible()
    settled(page)
    assert approved(page) == 1
    page.get_by_role("link", name="Decisions").click()
    expect(page).to_have_url(re.compile("/decisions"))
    settled(page)
    page.go_back()
    expect(page.get_by_text(re.compile(r"^1 of \d+ parts approved$"))).to_be_visible()

    # Somebody else changes in another tab what is still on the screen here.
    open_at(page, shared_demo, "client.p_street")
    other = page.context.new_page()
    open_at(other, shared_demo, "client.p_street")
    other.keyboard.press("1")
    expect(other.get_by_text("Source changed")).to_be_visible()
    page.keyboard.press("a")
    expect(page.get_by_text("It changed meanwhile")).to_be_visible()
    assert row_of(shared_demo, "client.p_street").state == "proposed"
    watched.check()


def test_a_browser_that_is_killed_loses_nothing(
    shared_demo: Demo, launch: Callable[[], Browser], watched: Watched
) -> None:
    propose(shared_demo)
    before = set(psutil.Process().children(recursive=True))
    dying = launch()
    (main,) = [
        one
        for one in set(psutil.Process().children(recursive=True)) - before
        if one.is_running() and "--headless" in " ".join(one.cmdline()) and "--type=" not in " ".join(one.cmdline())
    ]
    page = dying.new_page()
    open_at(page, shared_demo, "client.p_city")
    page.get_by_placeholder("Comment, or why it is rejected").fill("as the buyer wrote it")
    page.get_by_role("button", name=re.compile("^Accept(?! the sure)")).click()
    following = leave(page, "client.p_city")
    page.keyboard.press("x")  # and at once, with no time to say goodbye:
    main.kill()
    main.wait(30)
    watched.page.goto(f"{shared_demo.app}/review?flow={FLOW}&part={following}")
    expect(watched.page.get_by_text(re.compile(r"^1 of \d+ parts approved$"))).to_be_visible()
    kept = row_of(shared_demo, "client.p_city")
    assert (kept.state, kept.by, kept.comment) == ("approved", "ana", "as the buyer wrote it")
    # The last key was pressed or it was not: there is no third, and the part can be decided either way.
    assert row_of(shared_demo, following).state in ("proposed", "rejected")
    assert not dying.is_connected()
    watched.check()
