"""The Clarity client: nothing is lost while a list changes under it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from connectors.clarity import Clarity
from connectors.errors import ConnectorError, RejectedError, TransientError
from connectors.profiles import load_profile
from connectors.tokens import StaticToken

START = datetime(2026, 3, 1, tzinfo=UTC)
SIZE = 100


@pytest.fixture
def clarity(stub: Any) -> Iterator[Clarity]:
    with Clarity(base_url=stub.url, tokens=StaticToken("t"), timeout_s=5) as made:
        yield made


def text_of(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def orders(count: int, step_s: int = 60) -> list[dict[str, Any]]:
    return [{"id": str(n), "updatedAt": text_of(START + timedelta(seconds=n * step_s))} for n in range(count)]


class Store:
    """A list as assumed in A7 and A8; `edit` runs before each answer."""

    def __init__(self, reply: Any, rows: list[dict[str, Any]], *, filters: bool = True, bare: bool = False) -> None:
        self.reply, self.rows, self.filters, self.bare = reply, rows, filters, bare
        self.edit: Callable[[int], None] = lambda _: None
        self.answered = 0

    def __call__(self, seen: Any) -> Any:
        self.edit(self.answered)
        self.answered += 1
        rows = sorted(self.rows, key=lambda row: (row["updatedAt"], row["id"]))
        if self.filters and "updatedSince" in seen.query:
            since = datetime.fromisoformat(seen.query["updatedSince"])
            rows = [row for row in rows if datetime.fromisoformat(row["updatedAt"]) >= since]
        page, size = int(seen.query["page"]), int(seen.query["pageSize"])
        part = rows[(page - 1) * size : page * size]
        if self.bare:
            return self.reply(200, part)
        body = {"data": part, "page": page, "totalCount": len(rows), "totalPages": -(-len(rows) // size)}
        return self.reply(200, body)


@pytest.mark.parametrize("filters", [True, False], ids=["filters", "ignores-updatedSince"])
@pytest.mark.parametrize("bare", [False, True], ids=["envelope", "bare-array"])
@pytest.mark.parametrize("count", [0, 1, 99, 100, 101, 250, 300])
@pytest.mark.parametrize("step_s", [60, 0], ids=["spread", "one-instant"])
def test_every_record_comes_once_in_order(
    stub: Any, reply: Any, clarity: Clarity, filters: bool, bare: bool, count: int, step_s: int
) -> None:
    rows = orders(count, step_s)
    stub.answer = Store(reply, rows, filters=filters, bare=bare)
    got = list(clarity.list_updated("order", None))
    assert sorted(got, key=lambda row: int(row["id"])) == rows
    assert [row["updatedAt"] for row in got] == sorted(row["updatedAt"] for row in rows)


def test_record_edited_while_listing_hides_no_other(stub: Any, reply: Any, clarity: Clarity) -> None:
    rows = orders(250)
    store = Store(reply, rows)

    def edit(answered: int) -> None:
        if answered in (1, 2):  # a row already read moves to the end; all others move up by one
            rows[answered]["updatedAt"] = text_of(START + timedelta(days=answered))

    store.edit = edit
    stub.answer = store
    got = [row["id"] for row in clarity.list_updated("order", None)]
    assert {int(row_id) for row_id in got} == set(range(250))


def test_request_names_what_it_wants(stub: Any, reply: Any, clarity: Clarity) -> None:
    stub.answer = Store(reply, [])
    since = datetime(2026, 3, 1, 12, 0, tzinfo=timezone(timedelta(hours=-5)))
    assert list(clarity.list_updated("customer", since)) == []
    assert stub.seen[0].path == "/api/v1/customers"
    assert stub.seen[0].query == {
        "page": "1",
        "pageSize": "100",
        "sort": "updatedAt",
        "updatedSince": "2026-03-01T17:00:00Z",
    }


def test_since_is_inclusive_and_needs_a_zone(stub: Any, reply: Any, clarity: Clarity) -> None:
    stub.answer = Store(reply, orders(5))
    got = list(clarity.list_updated("order", START + timedelta(seconds=180)))
    assert [row["id"] for row in got] == ["3", "4"]
    with pytest.raises(ValueError, match="time zone"):
        list(clarity.list_updated("order", datetime(2026, 3, 1)))


def test_repeated_page_is_an_error(stub: Any, reply: Any, clarity: Clarity) -> None:
    stub.replies(reply(200, {"data": orders(3), "totalPages": 9}))
    with pytest.raises(ConnectorError, match="repeats"):
        list(clarity.list_updated("order", None))


def test_unpaged_bare_array_is_complete(stub: Any, reply: Any, clarity: Clarity) -> None:
    stub.replies(reply(200, orders(140)))
    assert len(list(clarity.list_updated("order", None))) == 140
    assert len(stub.seen) == 1


def test_rows_without_update_times_are_read_page_by_page(stub: Any, reply: Any, clarity: Clarity) -> None:
    rows = [{"id": str(number)} for number in range(230)]

    def answer(seen: Any) -> Any:
        page = int(seen.query["page"])
        return reply(200, {"data": rows[(page - 1) * SIZE : page * SIZE], "totalPages": 3})

    stub.answer = answer
    assert list(clarity.list_updated("product", None)) == rows


@pytest.mark.parametrize("body", [{}, {"data": {}}, {"data": ["x"]}, "text"])
def test_other_answers_are_a_failed_read(stub: Any, reply: Any, clarity: Clarity, body: Any) -> None:
    stub.replies(reply(200, body))
    with pytest.raises(TransientError):
        list(clarity.list_updated("order", None))


def test_get_one_record(stub: Any, reply: Any, clarity: Clarity) -> None:
    stub.replies(reply(200, raw=b'{"id": 10045, "total": 25.57}'))
    assert clarity.get("order", "10/045") == {"id": 10045, "total": Decimal("25.57")}
    assert stub.seen[0].raw_path == "/api/v1/orders/10%2F045"
    stub.replies(reply(200, {"data": {"id": "1"}}))
    assert clarity.get("payment", 1) == {"id": "1"}
    stub.replies(reply(200, {"id": None}))
    with pytest.raises(TransientError):
        clarity.get("payment", 1)
    with pytest.raises(ValueError, match="empty id"):
        clarity.get("order", "")


def test_unknown_record_is_rejected_with_claritys_reason(stub: Any, reply: Any, clarity: Clarity) -> None:
    stub.replies(reply(404, {"error": {"code": "not_found", "message": "no such order", "details": []}}))
    with pytest.raises(RejectedError, match=r"^GET orders: status 404: not_found: no such order$"):
        clarity.get("order", "1")


@pytest.mark.parametrize("ending", ["", "/", "/api/v1", "/api/v1/"])
def test_base_url_with_or_without_the_api_path(stub: Any, reply: Any, ending: str) -> None:
    stub.replies(reply(200, {"id": "1"}))
    with Clarity(base_url=stub.url + ending, tokens=StaticToken("t")) as clarity:
        clarity.get("order", "1")
    assert stub.seen[0].path == "/api/v1/orders/1"


def test_rows_that_are_not_whole_are_fetched_one_by_one(stub: Any, reply: Any) -> None:
    whole = {"id": "1", "updatedAt": "2026-03-01T00:00:00Z", "lineItems": []}
    stub.replies(reply(200, {"data": [{"id": "1"}], "totalPages": 1}), reply(200, whole))
    profile = load_profile("clarity-rest").with_settings({"A9": False})
    with Clarity(base_url=stub.url, tokens=StaticToken("t"), profile=profile) as clarity:
        assert list(clarity.list_updated("order", None)) == [whole]
    assert stub.seen[1].path == "/api/v1/orders/1"


def test_the_other_flavours_records_are_named(stub: Any, reply: Any, clarity: Clarity) -> None:
    stub.replies(reply(200, [{"ID": 1, "CustomKey": "A"}]))
    with pytest.raises(ConnectorError, match="CLARITY_FLAVOUR=cef"):
        list(clarity.list_updated("order", None))


def test_assumptions_are_settings(stub: Any, reply: Any) -> None:
    profile = load_profile("clarity-rest")
    paging = {**profile.settings["A7"].value, "size_param": "limit", "size": 20}
    stub.replies(reply(200, {"data": [], "totalPages": 0}))
    changed = profile.with_settings({"A1": "/rest", "A7": paging})
    with Clarity(base_url=stub.url, tokens=StaticToken("t"), profile=changed) as clarity:
        assert list(clarity.list_updated("refund", None)) == []
    assert stub.seen[0].path == "/rest/refunds"
    assert stub.seen[0].query["limit"] == "20"
