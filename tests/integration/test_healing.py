"""What comes too late, in the wrong order or never heals by itself: by waiting, by asking, by polling."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sync.runner import run
from tests.flows import Books, envelope, order, reasons
from tests.integration.test_backfill import fill, paged, plain_orders


@pytest.fixture
def shop(make_books: Callable[..., Books]) -> Books:
    return make_books(books={"with_clarity": True})


def payment(of: dict[str, Any], **changes: Any) -> dict[str, Any]:
    known = {"id": "pay-1", "orderId": of["id"], "amount": of["total"], "currency": "USD", "status": "captured"}
    return {**known, "method": "cash", "paidAt": of["updatedAt"], "updatedAt": of["updatedAt"], **changes}


def numbers(books: Books) -> list[str]:
    return sorted(row["invoice_number"] for row in books.table("invoice"))


def test_a_payment_whose_orders_webhook_was_lost_brings_the_order(shop: Books) -> None:
    (one,) = plain_orders(1)
    shop.run()  # the first poll is over before the order is made
    fill(shop, {**one, "updatedAt": "2020-01-01T00:00:00Z"})  # and no poll will list it
    report = shop.run(envelope("payment.captured", payment(one)))
    assert (report.exit_code, numbers(shop), len(shop.table("payment"))) == (0, ["B-1"], 1)


def test_an_update_that_comes_before_its_create_counts(books: Books) -> None:
    (old,) = plain_orders(1)
    new = {**old, "updatedAt": "2026-03-05T00:00:00Z", "poNumber": "PO-NEW"}
    assert books.run(envelope("order.updated", new)).exit_code == 0
    written = len(books.writes())
    assert books.run(envelope("order.created", old)).exit_code == 0
    assert [row["po_number"] for row in books.table("invoice")] == ["PO-NEW"]
    assert len(books.writes()) == written


def test_every_lost_webhook_of_an_order_is_made_up_for(shop: Books) -> None:
    one, two = plain_orders(2)
    fill(shop, one)
    shop.run()
    late = datetime.now(UTC) - timedelta(minutes=4)  # within the overlap, though before what was seen last
    fill(shop, {**plain_orders(3)[2], "updatedAt": datetime.now(UTC).isoformat()})
    shop.run()
    fill(shop, {**two, "updatedAt": late.isoformat()})
    with shop.sandbox.state.lock:
        shop.sandbox.state.clarity.put("payments", payment(one, updatedAt=datetime.now(UTC).isoformat()), silent=True)
    assert shop.run().exit_code == 0
    assert numbers(shop) == ["B-1", "B-2", "B-3"]
    assert [row["note"] for row in shop.table("payment")] == ["Clarity payment pay-1"]


def test_a_store_whose_clock_is_ahead_loses_nothing(shop: Books) -> None:
    ahead = datetime.now(UTC) + timedelta(hours=2)
    one, two = plain_orders(2)
    fill(shop, {**one, "updatedAt": ahead.isoformat()})
    shop.run()
    fill(shop, {**two, "updatedAt": (ahead - timedelta(hours=1)).isoformat()})  # its clock was corrected
    shop.run()
    assert numbers(shop) == ["B-1", "B-2"]


def test_a_poll_reads_many_changes_of_one_instant_across_pages(shop: Books) -> None:
    orders = plain_orders(27)
    for record in orders[3:]:
        record["updatedAt"] = "2026-06-01T00:00:00Z"
    fill(shop, *orders)
    report = run(paged(shop), shop.mappings, max_wait_s=20)
    assert report.polled.new == 27
    assert len(numbers(shop)) == 27


def test_the_first_poll_looks_for_hand_typed_invoices_too(shop: Books) -> None:
    from connectors.freshbooks import FreshBooks
    from connectors.tokens import StaticToken

    (one,) = plain_orders(1)
    fill(shop, order(**one))
    token = StaticToken(shop.sandbox.access_token)
    with FreshBooks(base_url=shop.sandbox.freshbooks_url, account_id=shop.sandbox.account_id, tokens=token) as api:
        client = api.create("client", {"email": one["customer"]["email"], "fname": "B"})["id"]
        line = {"name": "x", "qty": "1", "unit_cost": {"amount": str(one["total"]), "code": "USD"}}
        day = one["orderDate"][:10]
        body = {"customerid": client, "create_date": day, "currency_code": "USD", "lines": [line]}
        api.create("invoice", body)
    report = shop.run()
    assert [line["reason_id"] for line in report.status["held"]] == ["adoption-proposed"]


def test_a_cancellation_is_heard_though_its_record_was_posted_just_as_it_is(books: Books) -> None:
    (one,) = plain_orders(1)
    assert books.run(envelope("order.created", one)).exit_code == 0
    report = books.run(envelope("order.cancelled", one, event_id="evt-gone"))
    assert reasons(report) == {f"order:{one['id']}": "event-contradicts-record"}


def test_an_event_that_brings_neither_its_record_nor_a_time_is_asked_about(shop: Books) -> None:
    (one,) = plain_orders(1)
    fill(shop, one)
    shop.run()
    with shop.sandbox.state.lock:
        shop.sandbox.state.clarity.put("orders", {**one, "status": "Cancelled"}, silent=True)
    thin = {"id": "evt-thin", "type": "order.updated", "data": {"object": "order", "id": one["id"]}}
    report = shop.run(thin)
    assert reasons(report) == {f"order:{one['id']}": "cancelled-after-invoice"}
