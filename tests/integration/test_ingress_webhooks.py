"""Webhooks over the real application and a real file: what is refused, and that 202 means stored."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx2
import pytest

from connectors.webhooks import sign_clarity, sign_freshbooks
from sync import inbox
from sync.ingress import MAX_BODY_BYTES, create_app
from sync.store import Store, open_store
from sync.webhook_secrets import WebhookSecrets

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


VERIFIER = "s3cret-verifier"
CHANGED = {"name": "invoice.update", "object_id": "7", "account_id": "A1", "business_id": "1", "identity_id": "2"}


def known(store: Store) -> WebhookSecrets:
    return WebhookSecrets(store, key=None, now=lambda: float(NOW))


@pytest.fixture
def confirmed(store: Store) -> Store:
    known(store).keep("freshbooks", "freshbooks:2001", "valid", secret=VERIFIER, id="2001")
    return store


def form(fields: dict[str, str] = CHANGED, verifier: str | None = VERIFIER, **headers: str) -> dict[str, Any]:
    signature = {} if verifier is None else {"X-FreshBooks-Hmac-SHA256": sign_freshbooks(verifier, fields)}
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    content = urlencode(fields).encode()
    return {
        "method": "POST",
        "url": "/webhooks/freshbooks",
        "content": content,
        "headers": {**kind, **signature, **headers},
    }


def test_a_signed_callback_is_stored_and_left_alone(confirmed: Store) -> None:
    (answer,) = call(confirmed, form())
    assert answer.status_code == 202
    assert inbox.counts(confirmed) == {"ignored": 1}
    with confirmed.read() as conn:
        row = conn.exec_driver_sql("SELECT source, event, record_key FROM inbox").one()
    assert tuple(row) == ("freshbooks", "freshbooks.invoice.update", "freshbooks-invoice:7")


def test_odd_values_are_signed_as_python_writes_them(confirmed: Store) -> None:
    odd = {"z": "ä\U0001f642", "name": "client.create", "object_id": "1", "a": 'say: "x", y', "empty": ""}
    (answer,) = call(confirmed, form(odd))
    assert answer.status_code == 202
    swapped = dict(reversed(odd.items()))
    header = sign_freshbooks(VERIFIER, odd)
    (answer,) = call(confirmed, form(swapped, **{"X-FreshBooks-Hmac-SHA256": header}))
    assert answer.status_code == 401


def test_a_repeated_callback_is_counted_and_not_stored_again(confirmed: Store) -> None:
    async def go() -> list[int]:
        app = create_app(confirmed, clarity_secrets=[], now=lambda: float(NOW))
        transport = httpx2.ASGITransport(app=app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://runner") as client:
            codes = [(await client.request(**form())).status_code for _ in range(4)]
            text = (await client.get("/metrics")).text
            assert 'mapper_webhooks_total{result="accepted",system="freshbooks"} 1.0' in text
            assert 'mapper_webhooks_total{result="duplicate",system="freshbooks"} 3.0' in text
            return codes

    assert asyncio.run(go()) == [202] * 4
    assert inbox.counts(confirmed) == {"ignored": 1}


def test_a_change_after_the_first_one_was_worked_on_is_news(confirmed: Store) -> None:
    call(confirmed, form())
    with confirmed.write() as conn:
        conn.exec_driver_sql("UPDATE inbox SET state = 'done'")
    assert call(confirmed, form())[0].status_code == 202
    assert inbox.counts(confirmed) == {"done": 1, "ignored": 1}


@pytest.mark.parametrize(
    ("request_", "status", "code"),
    [
        (form(verifier="another"), 401, "wrong-signature"),
        (form(verifier=None), 401, "missing-signature"),
        (form(verifier=None, **{"X-FreshBooks-Hmac-SHA256": "not base64"}), 401, "malformed-signature"),
        ({**form(), "content": urlencode({**CHANGED, "object_id": "8"}).encode()}, 401, "wrong-signature"),
        ({**form(), "content": b""}, 400, "bad-body"),
        ({**form(), "content": b"\xff\xfe"}, 400, "bad-body"),
        ({**form(), "content": b"object_id=1"}, 400, "bad-body"),
        ({**form(), "content": b"name=a&name=b"}, 400, "bad-body"),
        ({**form(), "content": b"{}"}, 400, "bad-body"),
        ({**form(), "content": b"name=a&" + b"&".join(b"x%d=" % n for n in range(200))}, 400, "bad-body"),
        ({**form(), "content": b"a" * (MAX_BODY_BYTES + 1)}, 413, "too-large"),
        (form({"name": "callback.verify", "object_id": "2001", "verifier": "v"}, None), 403, "unexpected-handshake"),
        (form({"name": "callback.verify", "object_id": "x", "verifier": "v"}, None), 400, "bad-body"),
        (form({"name": "callback.verify", "object_id": "2001"}, None), 400, "bad-body"),
    ],
)
def test_a_bad_callback_is_counted_and_not_stored(
    confirmed: Store, request_: dict[str, Any], status: int, code: str
) -> None:
    (answer,) = call(confirmed, request_)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert inbox.counts(confirmed) == {}
    assert known(confirmed).known("freshbooks", "offered") == []


def test_without_a_confirmed_callback_nothing_is_accepted(store: Store) -> None:
    (answer,) = call(store, form())
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "no-secret")


def test_an_expected_handshake_is_kept_encrypted_and_trusted_by_nobody_yet(store: Store) -> None:
    known(store).expect("2001")
    handshake = {"name": "callback.verify", "object_id": "2001", "verifier": VERIFIER, "account_id": "A1"}
    assert call(store, form(handshake, verifier="another"))[0].status_code == 401
    assert call(store, form(handshake))[0].status_code == 202
    (offer,) = known(store).known("freshbooks", "offered")
    assert offer.secret == VERIFIER
    assert inbox.counts(store) == {}
    with store.read() as conn:
        tables = [conn.exec_driver_sql(f"SELECT * FROM {name}").all() for name in ("webhook", "token")]  # noqa: S608
    assert VERIFIER not in str(tables)
    # Signed with what FreshBooks has not confirmed: come back, and what is signed otherwise is refused as ever.
    assert call(store, form())[0].json()["error"]["code"] == "not-confirmed-yet"
    assert call(store, form(verifier="another"))[0].status_code == 503


def test_false_handshakes_cannot_crowd_the_store(store: Store) -> None:
    known(store).expect("2001")
    forms = [form({"name": "callback.verify", "object_id": "2001", "verifier": f"v{n}"}, None) for n in range(8)]
    codes = [call(store, one)[0].status_code for one in forms]
    assert codes == [202] * 5 + [503] * 3


def test_a_lost_key_answers_503_and_says_so_in_the_code(confirmed: Store, tmp_path: Path) -> None:
    (tmp_path / "m.db.key").unlink()
    (answer,) = call(confirmed, form())
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "no-key")


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
    assert 'mapper_inbox_events{state="pending"} 1.0\n' in text
    assert "mapper_inbox_lag_seconds 0.0\n" in text


def test_only_posts_are_taken(store: Store) -> None:
    assert get(store, "/webhooks/clarity").status_code == 405
