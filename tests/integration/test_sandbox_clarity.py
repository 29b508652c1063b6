"""The Clarity stand-in over HTTP: tokens, lists, simple writes and signed webhooks."""

import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx2
import pytest

from connectors.sandbox.server import Sandbox, running_sandbox

ORDER: dict[str, Any] = {
    "id": "10045",
    "orderNumber": "WEB-26-10045",
    "updatedAt": "2026-03-01T14:05:08Z",
    "status": "Processing",
    "total": "25.57",
    "customAttributes": {"campaign": "spring"},
}


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with running_sandbox(webhook_gap_s=0.0, webhook_attempts=3) as running:
        yield running


def signed_in(sandbox: Sandbox, scope: str = "") -> httpx2.Client:
    fields = {"grant_type": "client_credentials", "client_id": sandbox.client_id, "scope": scope}
    answer = httpx2.post(
        f"{sandbox.clarity_url}/oauth/token", data={**fields, "client_secret": sandbox.client_secret}
    ).json()
    assert (answer["token_type"], answer["expires_in"]) == ("Bearer", 3600)
    bearer = {"Authorization": f"Bearer {answer['access_token']}"}
    return httpx2.Client(base_url=f"{sandbox.clarity_url}/api/v1", headers=bearer)


def put(sandbox: Sandbox, list_name: str, body: Any) -> None:
    answer = httpx2.post(f"{sandbox.clarity_url}/_control/clarity/{list_name}", json=body)
    assert answer.status_code == 200, answer.text


class Receiver:
    """Collects deliveries; answers the queued statuses first, then 202."""

    def __init__(self) -> None:
        self.deliveries: list[tuple[dict[str, str], bytes]] = []
        self.statuses: list[int] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                raw = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.deliveries.append((dict(self.headers.items()), raw))
                self.send_response(receiver.statuses.pop(0) if receiver.statuses else 202)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/webhooks/clarity?store=1"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()

    def envelopes(self) -> list[dict[str, Any]]:
        return [json.loads(raw) for _, raw in self.deliveries]

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    running = Receiver()
    yield running
    running.close()


def register(sandbox: Sandbox, receiver: Receiver) -> None:
    answer = httpx2.post(f"{sandbox.clarity_url}/_control/webhooks", json={"url": receiver.url})
    assert answer.json() == {"receivers": [receiver.url]}


def test_token_takes_credentials_in_body_or_basic(sandbox: Sandbox) -> None:
    url = f"{sandbox.clarity_url}/oauth/token"
    grant = {"grant_type": "client_credentials"}
    basic = httpx2.post(url, data=grant, auth=(sandbox.client_id, sandbox.client_secret))
    assert basic.status_code == 200
    wrong = httpx2.post(url, data=grant, auth=(sandbox.client_id, "wrong"))
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (401, "invalid_client")
    assert httpx2.post(url, data=grant, headers={"Authorization": "Basic !"}).status_code == 401
    other = httpx2.post(url, data={"grant_type": "password"})
    assert (other.status_code, other.json()["error"]["code"]) == (400, "unsupported_grant_type")
    greedy = httpx2.post(url, data={**grant, "scope": "all"}, auth=(sandbox.client_id, sandbox.client_secret))
    assert greedy.json()["error"]["code"] == "invalid_scope"


def test_lists_and_single_records_in_the_assumed_shape(sandbox: Sandbox) -> None:
    put(sandbox, "orders", ORDER)
    put(sandbox, "refunds", [{"id": 3, "amount": "1.00", "updatedAt": "2026-03-02T00:00:00Z"}])
    with signed_in(sandbox) as clarity:
        page = clarity.get("/orders", params={"updatedSince": "2026-03-01T14:05:08Z", "sort": "updatedAt"}).json()
        assert {key: page[key] for key in page if key != "data"} == {
            "page": 1,
            "pageSize": 50,
            "totalCount": 1,
            "totalPages": 1,
        }
        assert page["data"][0] == {**ORDER, "createdAt": ORDER["updatedAt"]}
        later = clarity.get("/orders", params={"updatedSince": "2026-03-01T14:05:09Z"}).json()
        assert (later["data"], later["totalPages"]) == ([], 0)
        assert clarity.get("/orders/10045").json()["orderNumber"] == "WEB-26-10045"
        assert clarity.get("/refunds/3").json()["amount"] == "1.00"


def test_number_amounts_keep_their_digits(sandbox: Sandbox) -> None:
    raw = b'{"id": "1", "total": 25.5700}'
    json_type = {"Content-Type": "application/json"}
    httpx2.post(f"{sandbox.clarity_url}/_control/clarity/orders", content=raw, headers=json_type)
    with signed_in(sandbox) as clarity:
        assert '"total": 25.5700' in clarity.get("/orders/1").text


def test_errors_have_the_assumed_shape(sandbox: Sandbox) -> None:
    with signed_in(sandbox) as clarity:
        for path, status, code in (
            ("/orders/404", 404, "not_found"),
            ("/nothing", 404, "not_found"),
            ("/orders?page=0", 400, "invalid_parameter"),
            ("/orders?updatedSince=soon", 400, "invalid_parameter"),
        ):
            answer = clarity.get(path)
            assert answer.status_code == status
            assert set(answer.json()["error"]) == {"code", "message", "details"}
            assert answer.json()["error"]["code"] == code
    anonymous = httpx2.get(f"{sandbox.clarity_url}/api/v1/orders", headers={"Authorization": "Bearer no"})
    assert (anonymous.status_code, anonymous.json()["error"]["code"]) == (401, "unauthorized")
    assert httpx2.get(f"{sandbox.clarity_url}/nowhere").json()["error"]["code"] == "not_found"


def test_scopes_guard_lists_and_writes(sandbox: Sandbox) -> None:
    put(sandbox, "orders", ORDER)
    with signed_in(sandbox, "orders:read") as clarity:
        assert clarity.get("/orders").status_code == 200
        assert clarity.get("/customers").status_code == 403
        assert clarity.patch("/orders/10045", json={}).status_code == 403


def test_patch_merges_and_is_for_orders_and_customers_only(sandbox: Sandbox) -> None:
    put(sandbox, "orders", ORDER)
    put(sandbox, "payments", {"id": "9"})
    with signed_in(sandbox) as clarity:
        changed = clarity.patch(
            "/orders/10045",
            json={"paymentStatus": "paid", "customAttributes": {"x": 1}, "id": "other", "updatedAt": "never"},
        ).json()
        assert (changed["id"], changed["paymentStatus"]) == ("10045", "paid")
        assert changed["customAttributes"] == {"campaign": "spring", "x": 1}
        assert changed["updatedAt"] > ORDER["updatedAt"]
        assert clarity.patch("/payments/9", json={}).status_code == 405
        assert clarity.patch("/orders/10045", json=[]).status_code == 400


def test_bare_lists_are_a_switch() -> None:
    with running_sandbox(clarity_bare_lists=True) as sandbox:
        put(sandbox, "orders", ORDER)
        with signed_in(sandbox) as clarity:
            assert [row["id"] for row in clarity.get("/orders").json()] == ["10045"]


def test_tokens_expire(sandbox: Sandbox) -> None:
    with signed_in(sandbox) as clarity:
        assert clarity.get("/orders").status_code == 200
        httpx2.post(f"{sandbox.clarity_url}/_control/oauth/expire", json={})
        assert clarity.get("/orders").status_code == 401


def test_webhooks_are_signed_envelopes(sandbox: Sandbox, receiver: Receiver) -> None:
    register(sandbox, receiver)
    put(sandbox, "orders", ORDER)
    sandbox.state.deliveries.flush()
    ((headers, raw),) = receiver.deliveries
    envelope = json.loads(raw)
    assert set(envelope) == {"id", "type", "occurredAt", "storeId", "apiVersion", "attempt", "data"}
    assert (envelope["type"], envelope["attempt"], envelope["apiVersion"]) == ("order.created", 1, "v1")
    assert envelope["data"]["object"] == "order"
    assert envelope["data"]["id"] == "10045"
    assert envelope["data"]["updatedAt"] == ORDER["updatedAt"]
    assert envelope["data"]["resource"]["total"] == "25.57"
    assert headers["X-Clarity-Event"] == "order.created"
    assert headers["X-Clarity-Delivery"] == envelope["id"]
    stamp, signature = (part.partition("=")[2] for part in headers["X-Clarity-Signature"].split(","))
    mac = hmac.new(sandbox.webhook_secret.encode(), f"{stamp}.".encode() + raw, hashlib.sha256)
    assert signature == mac.hexdigest()


def test_refused_webhooks_are_retried_with_the_same_id_then_dropped(sandbox: Sandbox, receiver: Receiver) -> None:
    register(sandbox, receiver)
    receiver.statuses = [500, 302]
    put(sandbox, "customers", {"id": "501"})
    sandbox.state.deliveries.flush()
    assert [envelope["attempt"] for envelope in receiver.envelopes()] == [1, 2, 3]
    assert len({envelope["id"] for envelope in receiver.envelopes()}) == 1
    receiver.statuses = [500] * 3
    put(sandbox, "products", {"id": "7"})
    log = httpx2.post(f"{sandbox.clarity_url}/_control/webhooks/flush", json={}).json()["deliveries"]
    assert [(row["statuses"], row["delivered"]) for row in log] == [
        ([500, 302, 202], True),
        ([500, 500, 500], False),
    ]


def test_unreachable_receivers_do_not_hold_up_the_store(sandbox: Sandbox, receiver: Receiver) -> None:
    register(sandbox, receiver)
    receiver.close()
    put(sandbox, "orders", ORDER)
    sandbox.state.deliveries.flush()
    assert sandbox.state.deliveries.log[0].statuses == [0, 0, 0]


def test_silent_records_are_lost_webhooks_that_polling_finds(sandbox: Sandbox, receiver: Receiver) -> None:
    register(sandbox, receiver)
    put(sandbox, "orders", {"records": [ORDER], "silent": True})
    sandbox.state.deliveries.flush()
    assert receiver.deliveries == []
    with signed_in(sandbox) as clarity:
        assert clarity.get("/orders").json()["totalCount"] == 1


def test_duplicates_and_disorder_by_rate(receiver: Receiver) -> None:
    with running_sandbox(webhook_duplicate_rate=1.0, webhook_gap_s=0.0) as sandbox:
        register(sandbox, receiver)
        put(sandbox, "orders", ORDER)
        sandbox.state.deliveries.flush()
        first, second = receiver.envelopes()
        assert first == second
    receiver.deliveries.clear()
    with running_sandbox(webhook_reorder_rate=1.0, webhook_gap_s=0.0) as sandbox:
        register(sandbox, receiver)
        put(sandbox, "orders", [{"id": "1"}, {"id": "2"}, {"id": "3"}])
        sandbox.state.deliveries.flush()
        assert [envelope["data"]["id"] for envelope in receiver.envelopes()] == ["2", "1", "3"]


def test_explicit_events_are_sent_at_once(sandbox: Sandbox, receiver: Receiver) -> None:
    resource = {"id": "9", "updatedAt": "2026-03-01T14:05:10Z", "amount": Decimal("25.570")}
    delivery = sandbox.state.deliveries.send_webhook(receiver.url, "payment.captured", resource)
    assert (delivery.delivered, delivery.statuses) == (True, [202])
    assert b'"amount": 25.570' in receiver.deliveries[0][1]
