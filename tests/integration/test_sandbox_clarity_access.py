"""The Clarity stand-in's doors: consent with PKCE, rotating tokens, API keys, limits; and how webhooks are retried."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx2
import pytest

from connectors.clarity import Clarity, api_key
from connectors.errors import AuthError, TransientError
from connectors.sandbox.outbox import gap_s
from connectors.sandbox.server import Sandbox, running_sandbox
from connectors.sandbox.switches import Switches
from connectors.tokens import StaticToken
from connectors.webhooks import WebhookRefused, verify_clarity

VERIFIER = "a-verifier-of-at-least-forty-three-characters-0123456789"
REDIRECT = "https://example.com/callback"


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with running_sandbox() as running:
        yield running


def challenge(verifier: str = VERIFIER) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def authorize(sandbox: Sandbox, method: str = "POST", decision: str = "allow", **changes: str) -> httpx2.Response:
    query = {
        "response_type": "code",
        "client_id": sandbox.client_id,
        "redirect_uri": REDIRECT,
        "scope": "orders:read",
        "state": "s-1",
        "code_challenge": challenge(),
        "code_challenge_method": "S256",
    }
    data = {"decision": decision} if method == "POST" else None
    return httpx2.request(method, f"{sandbox.clarity_url}/oauth/authorize", params=query | changes, data=data)


def answered(response: httpx2.Response) -> dict[str, str]:
    assert response.status_code == 303
    parts = urlsplit(response.headers["location"])
    assert f"{parts.scheme}://{parts.netloc}{parts.path}" == REDIRECT
    return dict(parse_qsl(parts.query))


def token(sandbox: Sandbox, **fields: str) -> httpx2.Response:
    data = {"client_id": sandbox.client_id, "redirect_uri": REDIRECT, **fields}
    return httpx2.post(f"{sandbox.clarity_url}/oauth/token", data=data)


def test_a_person_consents_and_the_refresh_token_rotates(sandbox: Sandbox) -> None:
    page = authorize(sandbox, "GET")
    assert (page.status_code, "orders:read" in page.text) == (200, True)
    answer = answered(authorize(sandbox))
    assert answer["state"] == "s-1"
    grant = {"grant_type": "authorization_code", "code": answer["code"], "code_verifier": VERIFIER}
    first = token(sandbox, **grant).json()
    assert first["scope"] == "orders:read"
    assert token(sandbox, **grant).json()["error"]["code"] == "invalid_grant"  # a code is good for one use
    second = token(sandbox, grant_type="refresh_token", refresh_token=first["refresh_token"]).json()
    assert second["refresh_token"] != first["refresh_token"]
    used = token(sandbox, grant_type="refresh_token", refresh_token=first["refresh_token"])
    assert (used.status_code, used.json()["error"]["code"]) == (400, "invalid_grant")
    with Clarity(base_url=sandbox.clarity_url, tokens=StaticToken(second["access_token"])) as clarity:
        assert list(clarity.list_updated("order", None)) == []
    revoked = {"client_id": sandbox.client_id, "token": second["refresh_token"]}
    assert httpx2.post(f"{sandbox.clarity_url}/oauth/revoke", data=revoked).status_code == 200
    assert token(sandbox, grant_type="refresh_token", refresh_token=second["refresh_token"]).status_code == 400


def test_consent_is_refused_where_it_is_not_safe(sandbox: Sandbox) -> None:
    assert answered(authorize(sandbox, decision="deny")) == {"error": "access_denied", "state": "s-1"}
    for changes in (
        {"redirect_uri": "http://example.com/callback"},
        {"client_id": "somebody"},
        {"code_challenge_method": "plain"},
        {"response_type": "token"},
        {"scope": "everything"},
    ):
        assert authorize(sandbox, **changes).status_code == 400, changes
    code = answered(authorize(sandbox))["code"]
    wrong = token(sandbox, grant_type="authorization_code", code=code, code_verifier="another")
    assert wrong.json()["error"]["code"] == "invalid_grant"
    elsewhere = {"code": answered(authorize(sandbox))["code"], "code_verifier": VERIFIER}
    other = token(sandbox, grant_type="authorization_code", **(elsewhere | {"redirect_uri": "https://example.com/x"}))
    assert other.status_code == 400
    assert token(sandbox, grant_type="refresh_token", refresh_token="x", client_secret="wrong").status_code == 401


def test_an_api_key_replaces_the_token(sandbox: Sandbox) -> None:
    tokens = StaticToken(sandbox.credentials.clarity_api_key)
    with Clarity(base_url=sandbox.clarity_url, tokens=tokens, credential=api_key("X-Api-Key")) as clarity:
        assert list(clarity.list_updated("product", None)) == []
    with Clarity(base_url=sandbox.clarity_url, tokens=tokens) as clarity:
        assert list(clarity.list_updated("product", None)) == []
    with (
        Clarity(base_url=sandbox.clarity_url, tokens=StaticToken("other"), credential=api_key("X-Api-Key")) as clarity,
        pytest.raises(AuthError),
    ):
        list(clarity.list_updated("product", None))


def test_more_requests_a_minute_than_allowed_are_told_when_to_come_back() -> None:
    with running_sandbox(clarity_requests_per_minute=2) as sandbox:
        tokens = StaticToken(sandbox.credentials.clarity_api_key)
        with Clarity(base_url=sandbox.clarity_url, tokens=tokens) as clarity:
            for _ in range(2):
                list(clarity.list_updated("product", None))
            with pytest.raises(TransientError) as caught:
                list(clarity.list_updated("product", None))
            assert 1 <= (caught.value.retry_after_s or 0) <= 61


class Receiver:
    """Refuses records by id, takes the others; `seen` is set by each delivery."""

    def __init__(self, refused: set[str]) -> None:
        self.taken: list[str] = []
        self.attempts: list[tuple[str, int]] = []
        self.headers: list[tuple[str, bytes]] = []
        self.seen = threading.Semaphore(0)
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                raw = self.rfile.read(int(self.headers["Content-Length"]))
                envelope = json.loads(raw)
                identifier = envelope["data"]["id"]
                receiver.attempts.append((identifier, envelope["attempt"]))
                receiver.headers.append((self.headers["X-Clarity-Signature"], raw))
                if identifier not in refused:
                    receiver.taken.append(f"{envelope['type']} {identifier}")
                self.send_response(500 if identifier in refused else 202)
                self.end_headers()
                receiver.seen.release()

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/hook"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    running = Receiver({"bad"})
    yield running
    running.close()


def control(sandbox: Sandbox, method: str, path: str, body: Any = None) -> Any:
    answer = httpx2.request(method, f"{sandbox.clarity_url}/_control/{path}", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_refused_event_waits_while_later_ones_go_on(receiver: Receiver) -> None:
    with running_sandbox(webhook_gap_s=3600.0) as sandbox:
        control(sandbox, "POST", "webhooks", {"url": receiver.url})
        control(sandbox, "POST", "clarity/orders", [{"id": "bad"}, {"id": "1"}, {"id": "2"}])
        for _ in range(3):
            assert receiver.seen.acquire(timeout=10)
        assert receiver.taken == ["order.created 1", "order.created 2"]
        # an hour has not passed; delivered now, the refused one gets its other seven attempts
        log = control(sandbox, "POST", "webhooks/flush", {})["deliveries"]
    assert [attempt for identifier, attempt in receiver.attempts if identifier == "bad"] == list(range(1, 9))
    assert [row["delivered"] for row in log] == [False, True, True]


def test_eight_attempts_from_sixteen_seconds_on_take_a_day() -> None:
    gaps = [gap_s(16.0, attempts) for attempts in range(1, Switches().webhook_attempts)]
    assert gaps == sorted(gaps)
    assert sum(gaps) / 3600 == pytest.approx(24, abs=0.5)


def test_two_secrets_are_valid_while_rotating(sandbox: Sandbox, receiver: Receiver) -> None:
    control(sandbox, "POST", "webhooks", {"url": receiver.url})
    old = sandbox.webhook_secret
    for number, (body, accepted, refused) in enumerate(
        [
            ({"secret": "new"}, (old, "new"), ()),
            ({"secret": "new", "alone": True}, ("new",), (old,)),
        ]
    ):
        control(sandbox, "POST", "webhooks/secret", body)
        control(sandbox, "POST", "clarity/orders", {"id": str(number)})
        control(sandbox, "POST", "webhooks/flush", {})
        header, raw = receiver.headers[-1]
        now = datetime.now(UTC).timestamp()
        for secret in accepted:
            verify_clarity(header, raw, [secret], now)
        for secret in refused:
            with pytest.raises(WebhookRefused):
                verify_clarity(header, raw, [secret], now)


def test_deleted_records_say_so(sandbox: Sandbox, receiver: Receiver) -> None:
    control(sandbox, "POST", "webhooks", {"url": receiver.url})
    control(sandbox, "POST", "clarity/customers", {"id": "7"})
    control(sandbox, "DELETE", "clarity/customers/7")
    control(sandbox, "POST", "webhooks/flush", {})
    assert receiver.taken == ["customer.created 7", "customer.deleted 7"]
    assert control(sandbox, "GET", "state")["clarity"]["customers"] == []
