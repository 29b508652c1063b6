"""Webhooks over the real application and a real file: what is refused, and that 202 means stored."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from connectors.webhooks import sign_clarity
from sync import inbox
from sync.ingress import MAX_BODY_BYTES, create_app
from sync.store import Store, open_store

NOW = 1_772_000_000
SECRETS = ["new-secret", "old-secret"]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(f"sqlite:///{tmp_path / 'm.db'}")
    yield opened
    opened.close()


def body(event_id: str = "evt_1", **resource: Any) -> bytes:
    data = {"object": "order", "id": "10045", "resource": {"orderNumber": "WEB-1", **resource}}
    return json.dumps({"id": event_id, "type": "order.created", "data": data}).encode()


def signed(raw: bytes, secret: str = SECRETS[0], at: int = NOW) -> dict[str, Any]:
    header = {"X-Clarity-Signature": sign_clarity(secret, at, raw), "Content-Type": "application/json"}
    return {"method": "POST", "url": "/webhooks/clarity", "content": raw, "headers": header}


def call(store: Store, *requests: dict[str, Any], secrets: list[str] = SECRETS, **more: Any) -> list[httpx2.Response]:
    """Send requests together, then shut the application down as its server would."""

    async def go() -> list[httpx2.Response]:
        app = create_app(store, clarity_secrets=secrets, now=lambda: float(NOW), **more)
        transport = httpx2.ASGITransport(app=app)
        async with (
            app.router.lifespan_context(app),
            httpx2.AsyncClient(transport=transport, base_url="http://runner") as client,
        ):
            return list(await asyncio.gather(*(client.request(**request) for request in requests)))

    return asyncio.run(go())


def get(store: Store, path: str, **more: Any) -> httpx2.Response:
    return call(store, {"method": "GET", "url": path}, **more)[0]


@pytest.mark.parametrize("secret", SECRETS)
def test_a_signed_delivery_is_stored_before_the_answer(store: Store, secret: str) -> None:
    woken: list[bool] = []
    (answer,) = call(store, signed(body(), secret), on_new=lambda: woken.append(True))
    assert answer.status_code == 202
    assert inbox.counts(store) == {"pending": 1}
    assert woken == [True]


def test_a_repeated_delivery_is_accepted_and_stored_once(store: Store) -> None:
    answers = call(store, *[signed(body()) for _ in range(5)])
    answers += call(store, signed(body()))
    assert [answer.status_code for answer in answers] == [202] * 6
    assert inbox.counts(store) == {"pending": 1}


def test_many_deliveries_at_once_are_all_stored(store: Store) -> None:
    answers = call(store, *[signed(body(f"evt_{number}")) for number in range(150)])
    assert {answer.status_code for answer in answers} == {202}
    assert inbox.counts(store) == {"pending": 150}


@pytest.mark.parametrize(
    ("request_", "status", "code"),
    [
        (signed(body(), "wrong-secret"), 401, "wrong-signature"),
        (signed(body(), at=NOW - 301), 401, "outside-tolerance"),
        ({**signed(body()), "content": body("evt_2")}, 401, "wrong-signature"),
        ({**signed(body()), "headers": {}}, 401, "missing-signature"),
        (signed(b'{"id": '), 400, "bad-body"),
        (signed(b"[]"), 400, "bad-body"),
        (signed(b'{"id": "x"}'), 400, "bad-body"),
        (signed(b" " * (MAX_BODY_BYTES + 1)), 413, "too-large"),
    ],
)
def test_what_is_refused_is_not_stored(store: Store, request_: dict[str, Any], status: int, code: str) -> None:
    (answer,) = call(store, request_)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert inbox.counts(store) == {}


def test_a_body_without_a_declared_length_is_limited_too(store: Store) -> None:
    async def endless() -> Any:
        for _ in range(MAX_BODY_BYTES // 65536 + 2):
            yield b" " * 65536

    (answer,) = call(store, {"method": "POST", "url": "/webhooks/clarity", "content": endless()})
    assert answer.status_code == 413


def test_without_a_secret_nothing_is_accepted(store: Store) -> None:
    (answer,) = call(store, signed(body()), secrets=[])
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "no-secret")


def test_unknown_event_types_are_accepted_and_ignored(store: Store) -> None:
    (answer,) = call(store, signed(json.dumps({"id": "e", "type": "coupon.created", "data": {}}).encode()))
    assert answer.status_code == 202
    assert inbox.counts(store) == {"ignored": 1}


def test_a_store_that_fails_answers_503(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    with store.write() as conn:
        conn.exec_driver_sql("ALTER TABLE inbox RENAME TO gone")
    (answer,) = call(store, signed(body()))
    assert answer.status_code == 503


def test_freshbooks_forms_are_kept_without_their_verifier(store: Store) -> None:
    form = {"name": "callback.verify", "object_id": "1", "verifier": "s3cret", "account_id": "A1"}
    (answer,) = call(store, {"method": "POST", "url": "/webhooks/freshbooks", "data": form})
    assert answer.status_code == 202
    assert inbox.counts(store) == {"ignored": 1}
    with store.read() as conn:
        assert "s3cret" not in str(conn.exec_driver_sql("SELECT body FROM inbox").scalar())


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"object_id=1"])
def test_what_is_no_form_is_refused(store: Store, content: bytes) -> None:
    (answer,) = call(store, {"method": "POST", "url": "/webhooks/freshbooks", "content": content})
    assert answer.status_code == 400


def test_health_and_readiness(store: Store) -> None:
    assert get(store, "/healthz").text == "ok\n"
    assert get(store, "/readyz").json() == {"store": True, "writer": True, "worker": True}
    assert get(store, "/readyz", ready=lambda: False).status_code == 503


def test_status_and_metrics_tell_what_is_stored(store: Store) -> None:
    call(store, signed(body()))
    answers = call(
        store,
        signed(body("evt_2"), "wrong-secret"),
        {"method": "GET", "url": "/api/status"},
    )
    assert answers[1].json()["inbox"]["pending"] == 1
    assert {"inbox", "held", "ledger", "connections"} <= answers[1].json().keys()
    text = get(store, "/metrics").text
    assert 'mapper_inbox_events{state="pending"} 1\n' in text
    assert "mapper_inbox_lag_seconds 0.000\n" in text


def test_only_posts_are_taken(store: Store) -> None:
    assert get(store, "/webhooks/clarity").status_code == 405
