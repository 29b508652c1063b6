"""The framework's client against answers that no honest server gives."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from connectors.cef_session import CefSession, session_header
from connectors.clarity_cef import ClarityCef
from connectors.errors import AuthError, ConnectorError, TransientError, read_problem
from connectors.tokens import StaticToken

API = "/DesktopModules/ClarityEcommerce/API-Admin"


@pytest.fixture
def clarity(stub: Any) -> Iterator[ClarityCef]:
    with ClarityCef(base_url=stub.url, session=StaticToken("ss-id=1"), timeout_s=5) as made:
        yield made


def test_a_repeated_page_is_an_error(stub: Any, reply: Any, clarity: ClarityCef) -> None:
    stub.replies(reply(200, {"Results": [{"ID": 1}, {"ID": 2}], "TotalPages": 9, "TotalCount": 900}))
    with pytest.raises(ConnectorError, match="page 2 repeats the page before"):
        list(clarity.fetch_accounts())
    assert len(stub.seen) == 2


def test_a_list_that_ignores_paging_is_complete(stub: Any, reply: Any, clarity: ClarityCef) -> None:
    stub.replies(reply(200, [{"ID": number} for number in range(1, 141)]))
    assert len(list(clarity.fetch_accounts())) == 140
    assert len(stub.seen) == 1
    assert stub.seen[0].headers["cookie"] == "ss-id=1"
    assert "authorization" not in stub.seen[0].headers


@pytest.mark.parametrize("body", ["text", {"Results": {}}, {"Results": ["x"]}, {"Results": [{"Name": "no ID"}]}, {}])
def test_other_answers_are_a_failed_read(stub: Any, reply: Any, clarity: ClarityCef, body: Any) -> None:
    stub.replies(reply(200, body))
    with pytest.raises(TransientError):
        list(clarity.fetch_products())


def test_the_other_flavours_records_are_named(stub: Any, reply: Any, clarity: ClarityCef) -> None:
    stub.replies(reply(200, [{"id": "1"}]))
    with pytest.raises(ConnectorError, match="CLARITY_FLAVOUR=rest"):
        list(clarity.fetch_products())


def test_keys_are_encoded_whole(stub: Any, reply: Any, clarity: ClarityCef) -> None:
    stub.replies(reply(200, {"ID": 1}))
    clarity.get_by_key("product", "A/B ?#")
    assert stub.seen[0].raw_path == f"{API}/Products/Product/Key/A%2FB%20%3F%23"


@pytest.mark.parametrize(
    ("headers", "cookies"),
    [
        ({"Set-Cookie": "ss-id=a1; path=/; HttpOnly"}, "ss-id=a1"),
        ({"Set-Cookie": "ss-pid=p; expires=Wed, 21 Oct 2046 07:28:00 GMT, ss-id=a1; path=/"}, "ss-pid=p; ss-id=a1"),
    ],
)
def test_cookies_of_a_login(stub: Any, reply: Any, headers: dict[str, str], cookies: str) -> None:
    stub.replies(reply(200, {}, headers=headers))
    session = CefSession(base_url=stub.url, user_name="u", password="p")
    assert session.token() == cookies
    assert session_header(cookies) == {"Cookie": cookies}
    assert session.refreshed("another") == cookies  # somebody else renewed it meanwhile
    assert len(stub.seen) == 1


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ({"status": 200, "body": {}}, TransientError),
        ({"status": 503, "body": {}}, TransientError),
        ({"status": 302, "body": {}}, TransientError),
        ({"status": 200, "body": {"ActionSucceeded": False, "Messages": ["locked out"]}}, AuthError),
        ({"status": 401, "body": None}, AuthError),
        ({"cut": True}, TransientError),
    ],
)
def test_logins_that_fail(stub: Any, reply: Any, answer: dict[str, Any], error: type[Exception]) -> None:
    stub.replies(reply(**answer))
    session = CefSession(base_url=stub.url, user_name="somebody", password="hush-hush")
    with pytest.raises(error) as caught:
        session.token()
    assert "hush-hush" not in str(caught.value)


def test_error_bodies_of_the_framework() -> None:
    body = {"ResponseStatus": {"ErrorCode": "Bad", "Message": "no", "Errors": [{"FieldName": "Name", "Message": "x"}]}}
    found = read_problem(body)
    assert found is not None
    assert (found.code, found.field, found.message) == ("Bad", "Name", "Bad: no")
    failed = read_problem({"ActionSucceeded": False, "Messages": ["one", "of ana@example.com"]})
    assert failed is not None
    assert failed.message == "one; of …"
    assert read_problem({"ActionSucceeded": True}) is None
    assert read_problem({"ResponseStatus": {}}) is None
