"""Refunds that wait for a person, decided in a browser: one written, one left; then the books are compared."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import ExitStack, closing

import pytest
from playwright.sync_api import Page, expect
from watching import Watched, fits, picture, running_app, settled

from sync import proposals
from sync.store import open_store
from tests.flows import Books
from tests.reconciling import opening, sale

pytestmark = pytest.mark.browser


def day(page: Page, label: str, text: str) -> None:
    """Type a day's digits into a field, which moves on by itself from year to month to day."""
    page.get_by_label(label, exact=True).get_by_role("spinbutton").first.click()
    page.keyboard.type(text)
    page.keyboard.press("Enter")
    settled(page)


def test_one_refund_is_written_one_is_left_and_the_books_are_compared(
    make_books: Callable[..., Books], watched: Watched
) -> None:
    page = watched.page
    with ExitStack() as stack:
        shop = stack.enter_context(opening(make_books))()
        books, sandbox = shop.books, shop.books.sandbox
        shop.put(sale(1), sale(2))
        for number in (1, 2):
            shop.put_refund(number, f"{number}.00")
        books.run()
        books.run()  # the refunds now find their invoices
        environ = {
            **books.environ(),
            "CLARITY_API_URL": sandbox.clarity_url,
            "CLARITY_CLIENT_ID": sandbox.client_id,
            "CLARITY_CLIENT_SECRET": sandbox.client_secret,
            "MAPPER_MAPPINGS": str(books.mappings),
            "MAPPER_USER": "ana",
        }
        url = stack.enter_context(running_app(books.folder, environ))
        page.goto(f"{url}/runs?show=Waiting+for+you")
        accept = page.get_by_role("button", name="Write it this way")
        expect(accept).to_have_count(2)
        for number in (1, 2):
            expect(page.get_by_text(re.compile(rf"^WEB-{number}: .*{number}\.00 USD"))).to_be_visible()
        fits(page, "what waits")
        picture(page, "waiting")

        titles = page.get_by_text(re.compile(r"^WEB-\d: refund of ")).all_inner_texts()
        first, second = (int(title[4]) for title in titles)  # in the order in which they were proposed

        # The first is written in the other way than the one that stands first.
        page.get_by_test_id("stRadio").filter(has_text="Which way").first.get_by_text("lower payment").click()
        settled(page)
        accept.first.click()
        expect(accept).to_have_count(1)
        settled(page)

        # The second is left as it is, which needs a reason.
        leave = page.get_by_role("button", name="Leave the books as they are")
        expect(leave).to_be_disabled()
        page.get_by_label("Why it is left as it is").fill("paid back in cash")
        page.get_by_label("Why it is left as it is").press("Enter")
        expect(leave).to_be_enabled()
        leave.click()
        expect(page.get_by_text("Nothing waits for a decision")).to_be_visible()
        with closing(open_store(books.settings.store_url)) as store:
            decided = {one.name: (one.state, one.way, one.decided_by, one.why) for one in proposals.listed(store, None)}
        assert decided == {
            f"refund:r{first}": ("accepted", "lower_payment", "ana", None),
            f"refund:r{second}": ("refused", None, "ana", "paid back in cash"),
        }
        books.run()
        paid = [str(shop.payment(number)["amount"]["amount"]) for number in (first, second)]
        assert paid == [f"{20 - first}.00", "20.00"]

        page.set_viewport_size({"width": 1920, "height": 1080})
        page.emulate_media(color_scheme="dark")
        page.goto(f"{url}/runs?show=Reconciliation")
        expect(page.get_by_text("Not compared yet.", exact=False)).to_be_visible()
        day(page, "From", "20260301")
        day(page, "To", "20260331")
        page.get_by_role("button", name="Compare the books").click()
        expect(page.get_by_text(re.compile("^The books .*2026-03-01 to 2026-03-31"))).to_be_visible()
        fits(page, "Reconciliation at 1920")
        picture(page, "reconciliation-1920-dark")
        watched.check()
