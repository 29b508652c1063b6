"""The FreshBooks client against a server that answers like FreshBooks, oddities included."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from connectors.errors import AmbiguousWriteError, ConnectorError, RejectedError, TransientError
from connectors.freshbooks import FreshBooks, parse_accounting_time
from connectors.tokens import StaticToken

ROOT = "/accounting/account/AB%2F1/"


@pytest.fixture
def books(stub: Any) -> Iterator[FreshBooks]:
    with FreshBooks(base_url=stub.url, account_id="AB/1", tokens=StaticToken("t"), timeout_s=5) as made:
        yield made


def single(key: str, value: Any) -> dict[str, Any]:
    return {"response": {"result": {key: value}}}


def listing(reply: Any, key: str, rows: list[dict[str, Any]], size: int = 100) -> Callable[[Any], Any]:
    """A list that honours page and vis_state and ignores every other filter, as for an unknown name."""

    def answer(seen: Any) -> Any:
        query = seen.query
        wanted = {query["search[vis_state]"]} if "search[vis_state]" in query else {"0", "2"}
        visible = [row for row in rows if str(row.get("vis_state", 0)) in wanted]
        page = int(query["page"])
        part = visible[(page - 1) * size : page * size]
        result = {key: part, "page": page, "pages": -(-len(visible) // size), "total": len(visible)}
        return reply(200, {"response": {"result": result}})

    return answer


def test_find_reads_every_page_and_encodes_values(stub: Any, reply: Any, books: FreshBooks) -> None:
    rows = [{"id": number} for number in range(250)]
    stub.answer = listing(reply, "clients", rows)
    assert list(books.find("client", {"email": "a+b@c.d"}, include=["late_fee"], vis_state=0)) == rows
    assert [seen.query["page"] for seen in stub.seen] == ["1", "2", "3"]
    assert stub.seen[0].raw_path == (
        ROOT + "users/clients?search%5Bemail%5D=a%2Bb%40c.d&search%5Bvis_state%5D=0"
        "&include%5B%5D=late_fee&page=1&per_page=100"
    )
    assert stub.seen[0].query["search[email]"] == "a+b@c.d"


def test_empty_list_has_no_pages(stub: Any, reply: Any, books: FreshBooks) -> None:
    stub.answer = listing(reply, "taxes", [])
    assert list(books.find("tax", {})) == []
    assert len(stub.seen) == 1


def test_server_with_smaller_pages_is_read_to_the_end(stub: Any, reply: Any, books: FreshBooks) -> None:
    rows = [{"incomeid": number} for number in range(7)]
    stub.answer = listing(reply, "other_income", rows, size=3)
    assert list(books.find("other_income", {})) == rows


def test_repeated_page_is_an_error(stub: Any, reply: Any, books: FreshBooks) -> None:
    result = {"clients": [{"id": 1}, {"id": 2}], "page": 1, "pages": 3}
    stub.replies(reply(200, {"response": {"result": result}}))
    with pytest.raises(ConnectorError, match="repeats") as caught:
        list(books.find("client", {}))
    assert type(caught.value) is ConnectorError


def test_row_that_moved_to_the_next_page_comes_once(stub: Any, reply: Any, books: FreshBooks) -> None:
    pages = {"1": [{"id": 1}, {"id": 2}], "2": [{"id": 2}, {"id": 3}]}
    stub.answer = lambda seen: reply(200, {"response": {"result": {"items": pages[seen.query["page"]], "pages": 2}}})
    assert [row["id"] for row in books.find("item", {})] == [1, 2, 3]


@pytest.mark.parametrize("body", [{}, {"response": {}}, {"response": {"result": {"clients": [{}]}}}, []])
def test_list_without_rows_is_a_failed_read(stub: Any, reply: Any, books: FreshBooks, body: Any) -> None:
    stub.replies(reply(200, body))
    with pytest.raises(TransientError):
        list(books.find("client", {}))


def test_clients_are_compared_again_when_the_filter_is_ignored(stub: Any, reply: Any, books: FreshBooks) -> None:
    stub.answer = listing(
        reply,
        "clients",
        [
            {"id": 1, "email": "Ana@Example.com ", "vis_state": 0},
            {"id": 2, "email": "bob@example.com", "vis_state": 0},
            {"id": 3, "email": "ana@example.com", "vis_state": 2},
            {"id": 4, "email": "ANA@example.com", "vis_state": 1},
            {"id": 5, "email": None, "vis_state": 0},
        ],
    )
    found = books.find_clients_by_email(" ANA@Example.com")
    assert [(row["id"], row["vis_state"]) for row in found] == [(1, 0), (3, 2), (4, 1)]
    *equal, alike = stub.seen
    assert alike.query["search[email_like]"] == "ana@example.com"
    asked = [(seen.query["search[email]"], seen.query.get("search[vis_state]")) for seen in equal]
    assert asked == [
        ("ana@example.com", None),
        ("ana@example.com", "1"),
        ("ANA@Example.com", None),
        ("ANA@Example.com", "1"),
    ]


def test_normal_spelling_is_asked_for_once_and_then_by_substring(stub: Any, reply: Any, books: FreshBooks) -> None:
    stub.answer = listing(reply, "clients", [])
    assert books.find_clients_by_email("ana@example.com") == []
    assert ["email_like" in seen.raw_path for seen in stub.seen] == [False, False, True]
    assert books.find_clients_by_email("  ") == []
    assert len(stub.seen) == 3


def test_invoices_match_the_number_exactly_deleted_ones_too(stub: Any, reply: Any, books: FreshBooks) -> None:
    stub.answer = listing(
        reply,
        "invoices",
        [
            {"id": 1, "invoice_number": "C-1"},
            {"id": 2, "invoice_number": "C-10"},
            {"id": 3, "invoice_number": "c-1"},
            {"id": 4, "invoice_number": "C-1", "vis_state": 1},
        ],
    )
    assert [row["id"] for row in books.find_invoices_by_number("C-1")] == [1, 4]
    assert {seen.query["include[]"] for seen in stub.seen} == {"lines"}


def test_payments_of_one_invoice(stub: Any, reply: Any, books: FreshBooks) -> None:
    rows = [
        {"id": 1, "invoiceid": 7, "vis_state": 0},
        {"id": 2, "invoiceid": 77, "vis_state": 0},
        {"id": 3, "invoiceid": 7, "vis_state": 1},
    ]
    stub.replies(reply(200, {"response": {"result": {"payments": rows, "pages": 1}}}))
    assert [row["id"] for row in books.find_payments_of_invoice("7")] == [1]


def test_items_by_sku_without_case(stub: Any, reply: Any, books: FreshBooks) -> None:
    rows: list[dict[str, Any]] = [{"id": 1, "sku": " abc-1"}, {"id": 2, "sku": "ABC-10"}, {"id": 3, "sku": None}]
    stub.answer = listing(reply, "items", rows)
    assert [row["id"] for row in books.find_items_by_sku("ABC-1 ")] == [1]
    assert [seen.query["search[sku]"] for seen in stub.seen] == ["ABC-1"]
    assert books.find_items_by_sku("NONE") == []
    assert [seen.query["search[sku]"] for seen in stub.seen][1:] == ["NONE", "none"]
    assert books.find_items_by_sku("Mixed") == []
    assert [seen.query["search[sku]"] for seen in stub.seen][3:] == ["Mixed", "mixed", "MIXED"]


def test_get_asks_for_includes(stub: Any, reply: Any, books: FreshBooks) -> None:
    stub.replies(reply(200, single("invoice", {"id": 5, "lines": []})))
    assert books.get("invoice", 5, include=["lines"])["lines"] == []
    assert stub.seen[0].raw_path == ROOT + "invoices/invoices/5?include%5B%5D=lines"
    with pytest.raises(ValueError, match="empty id"):
        books.get("invoice", " ")


def test_create_wraps_the_body_and_sends_money_as_text(stub: Any, reply: Any, books: FreshBooks) -> None:
    stub.replies(reply(200, single("invoice", {"id": 9, "amount": {"amount": "21.00", "code": "USD"}})))
    body = {"customerid": 1, "lines": [{"qty": Decimal("2"), "unit_cost": {"amount": Decimal("9.50")}}]}
    created = books.create("invoice", body)
    assert created["id"] == 9
    seen = stub.seen[0]
    assert (seen.method, seen.path, seen.query) == ("POST", ROOT + "invoices/invoices", {"include[]": "lines"})
    assert json.loads(seen.body) == {
        "invoice": {"customerid": 1, "lines": [{"qty": "2", "unit_cost": {"amount": "9.50"}}]}
    }


def test_created_object_without_an_id_is_ambiguous(stub: Any, reply: Any, books: FreshBooks) -> None:
    stub.replies(reply(200, {"response": {}}))
    with pytest.raises(AmbiguousWriteError):
        books.create("client", {"email": "a@b.c"})


def test_refused_create_names_number_and_field(stub: Any, reply: Any, books: FreshBooks) -> None:
    problem = {"errno": 1038, "field": "due_date", "message": "read-only"}
    stub.replies(reply(403, {"response": {"errors": [problem]}}))
    with pytest.raises(RejectedError, match=r"^POST invoices/invoices: status 403, errno 1038, field due_date"):
        books.create("invoice", {"due_date": "2026-01-01"})


@pytest.mark.parametrize(
    "body",
    [
        {"vis_state": 1, "notes": "x"},
        {"action_mark_as_sent": True, "notes": "x"},
        {"action_email": True, "vis_state": 0},
        {"ext_vis_state": 1, "vis_state": 1},
    ],
)
def test_update_refuses_what_freshbooks_would_drop(stub: Any, books: FreshBooks, body: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="a request each"):
        books.update("invoice", 5, body)
    assert stub.seen == []


def test_update_puts_one_phase(stub: Any, reply: Any, books: FreshBooks) -> None:
    stub.replies(reply(200, single("invoice", {"id": 5})))
    books.update("invoice", 5, {"notes": "x", "due_offset_days": 30})
    books.update("invoice", 5, {"vis_state": 0})
    books.update("invoice", 5, {"action_email": True, "email_recipients": []})
    books.mark_invoice_sent(5)
    assert {(seen.method, seen.path) for seen in stub.seen} == {("PUT", ROOT + "invoices/invoices/5")}
    assert json.loads(stub.seen[-1].body) == {"invoice": {"action_mark_as_sent": True}}


def test_whoami(stub: Any, reply: Any, books: FreshBooks) -> None:
    stub.replies(reply(200, {"response": {"identity_id": 1, "business_memberships": []}}))
    assert books.whoami()["identity_id"] == 1
    assert stub.seen[0].path == "/auth/api/v1/users/me"
    stub.replies(reply(200, {"something": "else"}))
    with pytest.raises(TransientError):
        books.whoami()


def test_setup_refuses_what_cannot_work() -> None:
    with pytest.raises(ValueError, match="account id"):
        FreshBooks(base_url="http://127.0.0.1:1", account_id=" ", tokens=StaticToken("t"))
    with pytest.raises(ValueError, match="base URL"):
        FreshBooks(base_url="api.freshbooks.com", account_id="A", tokens=StaticToken("t"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-31 22:30:00", datetime(2026, 2, 1, 3, 30, tzinfo=UTC)),
        ("2026-07-01 00:00:00", datetime(2026, 7, 1, 4, 0, tzinfo=UTC)),
        ("2026-11-01 01:30:00", datetime(2026, 11, 1, 5, 30, tzinfo=UTC)),
    ],
)
def test_accounting_times_are_eastern(text: str, expected: datetime) -> None:
    assert parse_accounting_time(text) == expected
