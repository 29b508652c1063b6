"""What every outcome of a request becomes, and how bodies are written and read."""

from __future__ import annotations

import json
import logging
import socket
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from connectors.errors import (
    AmbiguousWriteError,
    AuthError,
    ConnectorError,
    RateLimitedError,
    RejectedError,
    TransientError,
)
from connectors.http import Api, Transport, dumps, loads, parse_retry_after, query_string, root_url
from connectors.tokens import StaticToken

SECRET = "token-that-must-not-show"


@pytest.fixture
def api(stub: Any) -> Iterator[Api]:
    made = Api(base_url=stub.url, tokens=StaticToken(SECRET), timeout_s=5)
    yield made
    made.close()


def outcome(api: Api, method: str) -> ConnectorError:
    body = None if method == "GET" else {"invoice": {"email": "ana@example.com", "notes": "Ana Núñez"}}
    with pytest.raises(ConnectorError) as caught:
        api.request(method, "/x", body=body, operation=f"{method} x")
    text = f"{caught.value} {caught.value!r} {caught.value.message}"
    assert SECRET not in text
    assert "ana@" not in text
    assert "Núñez" not in text
    return caught.value


@pytest.mark.parametrize("method", ["GET", "POST", "PUT"])
@pytest.mark.parametrize("status", [409, 425, 429])
def test_nothing_changed_is_transient(stub: Any, reply: Any, api: Api, method: str, status: int) -> None:
    stub.replies(reply(status, {}, headers={"Retry-After": "7"}))
    error = outcome(api, method)
    assert type(error) is (RateLimitedError if status == 429 else TransientError)
    assert error.retry_after_s == 7.0


@pytest.mark.parametrize("status", [408, 500, 502, 503, 504])
def test_server_failure_is_ambiguous_for_a_write_only(stub: Any, reply: Any, api: Api, status: int) -> None:
    stub.replies(reply(status, raw=b"<html>oops</html>"))
    assert type(outcome(api, "POST")) is AmbiguousWriteError
    assert type(outcome(api, "PUT")) is AmbiguousWriteError
    assert type(outcome(api, "GET")) is TransientError


@pytest.mark.parametrize(
    "lost",
    [
        {"cut": True},
        {"raw": b'{"response"', "declared_length": 500},
        {"raw": b"<html>welcome</html>"},
        {"raw": b""},
        {"raw": b'{"amount": NaN}'},
        {"body": {"response": {"errors": [{"errno": 500, "message": "FreshAlchemyUnexpected"}]}}},
    ],
    ids=["cut", "cut-body", "html", "empty", "nan", "errno-500"],
)
def test_lost_answer_is_ambiguous_for_a_write_only(stub: Any, reply: Any, api: Api, lost: dict[str, Any]) -> None:
    stub.replies(reply(200, **lost))
    assert type(outcome(api, "POST")) is AmbiguousWriteError
    assert type(outcome(api, "GET")) is TransientError


def test_read_timeout_is_ambiguous_for_a_write_only(stub: Any, reply: Any) -> None:
    stub.replies(reply(hang=True))
    api = Api(base_url=stub.url, tokens=StaticToken(SECRET), timeout_s=0.05)
    assert type(outcome(api, "POST")) is AmbiguousWriteError
    assert type(outcome(api, "GET")) is TransientError
    api.close()


def test_total_time_ends_a_trickling_answer(stub: Any, reply: Any) -> None:
    ticks = iter([0.0, 31.0])
    stub.replies(reply(200, {"ok": True}))
    with (
        Transport(stub.url, timeout_s=30, clock=lambda: next(ticks)) as transport,
        pytest.raises(AmbiguousWriteError),
    ):
        transport.exchange("POST", stub.url, headers={}, content=b"{}", operation="POST x")


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_refused_connection_left_nothing(method: str) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    api = Api(base_url=f"http://127.0.0.1:{port}", tokens=StaticToken(SECRET), timeout_s=5)
    error = outcome(api, method)
    assert type(error) is TransientError
    assert error.message == f"{method} x: no connection (connect error)"
    api.close()


def test_unknown_host_left_nothing() -> None:
    api = Api(base_url="http://no-such-host.invalid", tokens=StaticToken(SECRET), timeout_s=5)
    assert type(outcome(api, "POST")) is TransientError
    api.close()


@pytest.mark.parametrize("status", [400, 403, 404, 422])
def test_refused_record_is_rejected_with_its_reason(stub: Any, reply: Any, api: Api, status: int) -> None:
    error_body = {"errno": 1038, "field": "due_date", "message": "ana@example.com may not be written."}
    stub.replies(reply(status, {"response": {"errors": [error_body]}}))
    error = outcome(api, "POST")
    assert isinstance(error, RejectedError)
    assert (error.status, error.errno, error.field) == (status, 1038, "due_date")
    assert error.message == "… may not be written."


def test_refusal_without_a_readable_body_is_still_rejected(stub: Any, reply: Any, api: Api) -> None:
    stub.replies(reply(404, raw=b"{broken", declared_length=900))
    error = outcome(api, "POST")
    assert isinstance(error, RejectedError)
    assert error.errno is None


def test_error_body_with_status_200_is_an_error(stub: Any, reply: Any, api: Api) -> None:
    stub.replies(reply(200, {"response": {"errors": [{"errno": 1001, "field": "name", "message": "required"}]}}))
    error = outcome(api, "POST")
    assert isinstance(error, RejectedError)
    assert (error.status, error.errno) == (200, 1001)


@pytest.mark.parametrize("status", [200, 422])
def test_errno_409_changed_nothing(stub: Any, reply: Any, api: Api, status: int) -> None:
    stub.replies(reply(status, {"response": {"errors": [{"errno": 409, "message": "Conflict"}]}}))
    assert type(outcome(api, "PUT")) is TransientError


def test_logs_hold_no_searched_value(stub: Any, reply: Any, api: Api, caplog: pytest.LogCaptureFixture) -> None:
    stub.replies(reply(200, {"ok": True}))
    with caplog.at_level(logging.DEBUG):
        api.request("GET", "/x", query=[("search[email]", "ana@example.com")], operation="GET x")
    assert "ana" not in caplog.text
    assert SECRET not in caplog.text


def test_proxy_of_the_environment_is_not_asked_for_loopback(
    stub: Any, reply: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    stub.replies(reply(200, {"ok": True}))
    api = Api(base_url=stub.url, tokens=StaticToken(SECRET))
    assert api.request("GET", "/x", operation="GET x") == {"ok": True}
    api.close()


def test_redirect_is_not_followed(stub: Any, reply: Any, api: Api) -> None:
    stub.replies(reply(302, {}, headers={"Location": "/elsewhere"}))
    assert type(outcome(api, "POST")) is TransientError
    assert {seen.raw_path for seen in stub.seen} == {"/x"}


class OneRenewal:
    """Hands out "old", after a refusal "new"."""

    def __init__(self) -> None:
        self.rejected: list[str] = []

    def token(self) -> str:
        return "old"

    def refreshed(self, rejected: str) -> str:
        self.rejected.append(rejected)
        return "new"


def test_401_renews_the_token_once_and_sends_again(stub: Any, reply: Any) -> None:
    tokens = OneRenewal()
    stub.answer = lambda seen: reply(401, {}) if seen.token == "old" else reply(200, {"ok": True})
    api = Api(base_url=stub.url, tokens=tokens)
    assert api.request("POST", "/x", body={}, operation="POST x") == {"ok": True}
    assert [seen.token for seen in stub.seen] == ["old", "new"]
    assert tokens.rejected == ["old"]
    api.close()


def test_401_twice_stops_the_connection(stub: Any, reply: Any) -> None:
    tokens = OneRenewal()
    stub.replies(reply(401, {"error": "unauthenticated", "error_description": "x"}))
    api = Api(base_url=stub.url, tokens=tokens)
    assert type(outcome(api, "POST")) is AuthError
    assert len(stub.seen) == 2
    api.close()


def test_static_token_refused_stops_the_connection(stub: Any, reply: Any, api: Api) -> None:
    stub.replies(reply(401, {}))
    assert type(outcome(api, "GET")) is AuthError
    assert len(stub.seen) == 1


def test_decimals_are_exact_both_ways(stub: Any, reply: Any, api: Api) -> None:
    stub.replies(reply(200, raw=b'{"amount": 0.1, "long": 12345678901234567890.12345, "count": 3}'))
    sent = {"amount": Decimal("19.90"), "many": [Decimal("1E+2"), {"tiny": Decimal("0.00000001")}], "n": 2}
    got = api.request("POST", "/x", body=sent, operation="POST x")
    assert got == {"amount": Decimal("0.1"), "long": Decimal("12345678901234567890.12345"), "count": 3}
    assert json.loads(stub.seen[0].body) == {"amount": "19.90", "many": ["100", {"tiny": "0.00000001"}], "n": 2}
    assert stub.seen[0].headers["content-type"] == "application/json"


@pytest.mark.parametrize("value", [1.5, {"a": [1.0]}, {1: "a"}, object()])
def test_floats_and_foreign_types_are_refused(value: Any) -> None:
    with pytest.raises(TypeError):
        dumps(value)


def test_a_float_is_refused_before_anything_is_sent(stub: Any, api: Api) -> None:
    with pytest.raises(TypeError):
        api.request("POST", "/x", body={"amount": 1.5}, operation="POST x")
    assert stub.seen == []


@pytest.mark.parametrize("text", ["NaN", "Infinity", "1E+999999"])
def test_unusable_decimals_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="number"):
        dumps(Decimal(text))


@pytest.mark.parametrize("text", ["", "{", "NaN", "[-Infinity]", b"\xff\xfe", "[" * 100_000])
def test_unusable_json_is_a_value_error(text: str | bytes) -> None:
    with pytest.raises(ValueError, match=r".*"):
        loads(text)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, None),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("0", 0.0),
        ("59", 59.0),
        (" 1.5 ", 1.5),
        ("Thu, 01 Jan 1970 00:02:00 GMT", 20.0),
        ("Thu, 01 Jan 1970 00:00:30 GMT", 0.0),
        ("Thu, 01 Jan 1970 00:02:00 -0000", 20.0),
        ("Thu, 99 Jan 1970 00:02:00 GMT", None),
    ],
)
def test_retry_after_in_seconds_or_as_a_date(header: str | None, expected: float | None) -> None:
    assert parse_retry_after(header, now=100.0) == expected


def test_query_encodes_everything() -> None:
    pairs = [("search[email]", "a+b@c.d"), ("q", "x y&z=ü")]
    assert query_string(pairs) == "search%5Bemail%5D=a%2Bb%40c.d&q=x%20y%26z%3D%C3%BC"


def test_root_url() -> None:
    assert root_url(" https://shop.example/api/v1/ ", "/api/v1") == "https://shop.example"
    assert root_url("http://127.0.0.1:8080/") == "http://127.0.0.1:8080"
    for wrong in ("", "shop.example", "ftp://x", "http://", "https://x/?a=1"):
        with pytest.raises(ValueError, match="base URL"):
            root_url(wrong)
