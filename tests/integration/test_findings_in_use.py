"""What the doctor found changes what the runner does; each against the same run without findings."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

import pytest

from connectors.freshbooks import FreshBooks
from connectors.tokens import StaticToken
from sync.findings import ClarityFindings, FreshBooksFindings
from sync.inbox import counts
from sync.poll import poll_clarity
from sync.runner import run
from sync.store import open_store
from tests.flows import Books, envelope, order, reasons

MakeBooks = Callable[..., Books]


def examined(books: Books, **known: Any) -> FreshBooksFindings:
    common = {"date": date(2026, 3, 1), "url": books.sandbox.freshbooks_url, "account": books.sandbox.account_id}
    return FreshBooksFindings.model_validate({**common, **known})


def post(books: Books, record: dict[str, Any], findings: FreshBooksFindings | None) -> dict[str, str]:
    settings = books.settings.model_copy(update={"findings": findings})
    events = books.file([envelope("order.created", record)])
    return reasons(run(settings, books.mappings, events=events, max_wait_s=60))


def asked(books: Books) -> list[str]:
    with books.sandbox.state.lock:
        return [entry["query"] for entry in books.sandbox.state.history if "users/clients" in entry["path"]]


def test_a_text_that_the_account_cuts_is_held_before_anything_is_sent(books: Books) -> None:
    limits = examined(books, max_lengths={"line.name": 3})
    assert set(post(books, order(), limits).values()) == {"account-limits"}
    assert books.table("invoice") == []


def test_without_findings_the_same_order_is_posted(books: Books) -> None:
    assert post(books, order(), None) == {}
    assert len(books.table("invoice")) == 1


def test_a_filter_that_misses_rows_is_not_sent_and_every_page_is_read(books: Books) -> None:
    email = order()["customer"]["email"]
    tokens = StaticToken(books.sandbox.access_token)
    url, account = books.sandbox.freshbooks_url, books.sandbox.account_id
    with FreshBooks(base_url=url, account_id=account, tokens=tokens) as client:
        there = client.create("client", {"email": email.upper()})
    assert post(books, order(), examined(books, filters={"client.email": "misses"})) == {}
    assert not any("search[email]" in query for query in asked(books))
    assert [row["id"] for row in books.table("client")] == [there["id"]]


def test_a_search_proved_to_ignore_case_is_asked_once(make_books: MakeBooks) -> None:
    books = make_books(email_search="casefold")
    assert post(books, order(), examined(books, filters={"client.email": "equals-nocase"})) == {}
    assert any("search[email]" in query for query in asked(books))
    assert not any("email_like" in query for query in asked(books))


@pytest.mark.parametrize(("known", "tried"), [({"negative_lines": False}, 0), ({}, 1)])
def test_a_rounding_line_below_zero_is_only_tried_where_it_may_be_taken(
    make_books: MakeBooks, known: dict[str, Any], tried: int
) -> None:
    books = make_books(negative_unit_cost="refuse", unit_cost_places=1)  # 9.99 becomes 10.0, a cent too much
    record = order(taxLines=None, shippingLines=None, payments=None, paymentStatus="unpaid")
    item = {**record["lineItems"][0], "quantity": 1, "unitPrice": "9.99", "lineTotal": "9.99", "taxAmount": "0.00"}
    sums = {name: "0.00" for name in record if name.endswith("Total") and name != "subtotal"}
    record |= {**sums, "lineItems": [{**item, "taxLines": []}], "subtotal": "9.99", "total": "9.99"}
    assert set(post(books, record, examined(books, **known)).values()) == {"total-differs"}
    assert [row["amount"]["amount"] for row in books.table("invoice")] == ["10.00"]
    assert len([entry for entry in books.writes() if entry["method"] == "PUT"]) == tried


def test_incomplete_list_rows_are_fetched_by_id(make_books: MakeBooks) -> None:
    books = make_books(books={"with_clarity": True})
    books.sandbox.seed(seed=1, orders=3)
    findings = ClarityFindings(date=date(2026, 3, 1), url=books.sandbox.clarity_url, complete_rows=False)
    from sync.connections import open_clarity

    store = open_store("sqlite://")
    client = open_clarity(books.settings)
    assert client is not None
    with client:
        poll_clarity(store, client, now=0.0, complete_rows=findings.complete_rows is not False, entities=["order"])
    paths = [entry["path"] for entry in books.sandbox.state.history if entry["path"].startswith("/api/v1/orders/")]
    assert len(set(paths)) == 3
    assert sum(counts(store).values()) == 3
    store.close()
