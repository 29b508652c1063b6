"""Callbacks of the FreshBooks stand-in: handshake, signed form deliveries, and who hears what."""

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl

import httpx2
import pytest
from freshbooks import Client as FreshBooksClient
from freshbooks import FilterBuilder, FreshBooksError

from connectors.sandbox.server import Sandbox, running_sandbox

ACCOUNT = "SANDBOX"
Form = dict[str, str]


class Receiver:
    """Collects form posts with their signature; answers the queued statuses first, then 204."""

    def __init__(self) -> None:
        self.forms: list[Form] = []
        self.signatures: list[str | None] = []
        self.statuses: list[int] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                raw = self.rfile.read(int(self.headers["Content-Length"])).decode()
                assert self.headers["Content-Type"] == "application/x-www-form-urlencoded"
                receiver.forms.append(dict(parse_qsl(raw, keep_blank_values=True, strict_parsing=True)))
                receiver.signatures.append(self.headers["X-FreshBooks-Hmac-SHA256"])
                self.send_response(receiver.statuses.pop(0) if receiver.statuses else 204)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    @contextmanager
    def serving(self) -> Iterator["Receiver"]:
        self._thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()

    def heard(self) -> list[tuple[str, str]]:
        return [(form["name"], form["object_id"]) for form in self.forms]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver().serving() as running:
        yield running


@pytest.fixture(scope="module")
def shared() -> Iterator[Sandbox]:
    with running_sandbox(webhook_gap_s=0.0, webhook_attempts=3) as running:
        yield running


@pytest.fixture
def sandbox(shared: Sandbox) -> Sandbox:
    """No callbacks, and empty books, on a server that all tests share."""
    shared.state.reset()
    return shared


@pytest.fixture
def sdk(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("FRESHBOOKS_API_URL", sandbox.freshbooks_url)
    return FreshBooksClient("any", access_token=sandbox.access_token, auto_retry=False)


def flush(sandbox: Sandbox) -> None:
    sandbox.state.callbacks.outbox.flush()


def verified(sandbox: Sandbox, sdk: Any, receiver: Receiver, event: str) -> tuple[int, str]:
    """A verified callback and its verifier."""
    made = sdk.callbacks.create(ACCOUNT, {"event": event, "uri": receiver.url})
    flush(sandbox)
    verifier = receiver.forms[-1]["verifier"]
    assert sdk.callbacks.verify(ACCOUNT, made.callbackid, verifier).verified is True
    return made.callbackid, verifier


def expected_signature(verifier: str, form: Form) -> str:
    return base64.b64encode(hmac.new(verifier.encode(), json.dumps(form).encode(), hashlib.sha256).digest()).decode()


def test_a_new_callback_gets_a_handshake_and_nothing_else(sandbox: Sandbox, sdk: Any, receiver: Receiver) -> None:
    made = sdk.callbacks.create(ACCOUNT, {"event": "client.create", "uri": receiver.url})
    assert set(made.data) == {"callbackid", "verified", "uri", "event", "updated_at"}
    assert (made.verified, made.uri, made.event) == (False, receiver.url, "client.create")
    sdk.clients.create(ACCOUNT, {"email": "a@b.example"})
    flush(sandbox)
    (form,) = receiver.forms
    assert list(form) == ["name", "object_id", "verifier", "account_id", "business_id", "identity_id", "user_id"]
    assert (form["name"], form["object_id"], form["account_id"]) == ("callback.verify", str(made.callbackid), ACCOUNT)
    assert receiver.signatures == [expected_signature(form["verifier"], form)]


def test_deliveries_hold_ids_and_are_signed_over_the_fields(sandbox: Sandbox, sdk: Any, receiver: Receiver) -> None:
    _, verifier = verified(sandbox, sdk, receiver, "client.create")
    client = sdk.clients.create(ACCOUNT, {"email": "a@b.example"})
    flush(sandbox)
    form = receiver.forms[-1]
    assert form == {
        "name": "client.create",
        "object_id": str(client.id),
        "account_id": ACCOUNT,
        "business_id": "4711",
        "identity_id": "127001",
        "user_id": "1",
    }
    assert receiver.signatures[-1] == expected_signature(verifier, form)


def test_a_handshake_can_be_sent_again_and_only_its_own_verifier_counts(
    sandbox: Sandbox, sdk: Any, receiver: Receiver
) -> None:
    made = sdk.callbacks.create(ACCOUNT, {"event": "invoice", "uri": receiver.url})
    with pytest.raises(FreshBooksError) as wrong:
        sdk.callbacks.verify(ACCOUNT, made.callbackid, "guessed")
    assert (wrong.value.status_code, wrong.value.error_code) == (422, 422)
    sdk.callbacks.resend_verification(ACCOUNT, made.callbackid)
    flush(sandbox)
    first, second = receiver.forms
    assert first == second
    assert sdk.callbacks.verify(ACCOUNT, made.callbackid, second["verifier"]).verified is True
    sdk.callbacks.update(ACCOUNT, made.callbackid, {"uri": f"{receiver.url}/moved"})
    assert sdk.callbacks.get(ACCOUNT, made.callbackid).verified is False


def test_every_change_of_a_record_is_told(sandbox: Sandbox, sdk: Any, receiver: Receiver) -> None:
    nouns = ("client", "invoice", "payment", "item", "tax", "credit_note")
    for noun in nouns:
        verified(sandbox, sdk, receiver, noun)
    receiver.forms.clear()
    client = sdk.clients.create(ACCOUNT, {"email": "a@b.example"})
    sdk.clients.update(ACCOUNT, client.id, {"fname": "Ana"})
    invoice = sdk.invoices.create(
        ACCOUNT,
        {
            "customerid": client.id,
            "create_date": "2026-01-31",
            "lines": [{"name": "Mug", "qty": 1, "unit_cost": {"amount": "10.00", "code": "USD"}}],
        },
    )
    sdk.invoices.update(ACCOUNT, invoice.id, {"action_mark_as_sent": True})
    sdk.invoices.update(ACCOUNT, invoice.id, {"action_email": True})
    body = {"invoiceid": invoice.id, "amount": {"amount": "15.00", "code": "USD"}, "date": "2026-01-31"}
    payment = sdk.payments.create(ACCOUNT, body)
    sdk.payments.delete(ACCOUNT, payment.id)
    item = sdk.items.create(ACCOUNT, {"name": "Mug"})
    sdk.items.delete(ACCOUNT, item.id)
    tax = sdk.taxes.create(ACCOUNT, {"name": "GST"})
    sdk.taxes.delete(ACCOUNT, tax.id)
    sdk.other_income.create(ACCOUNT, {"amount": {"amount": "5", "code": "USD"}, "date": "2026-01-31"})
    sdk.invoices.delete(ACCOUNT, invoice.id)
    with pytest.raises(FreshBooksError):
        sdk.clients.update(ACCOUNT, client.id, {"allow_late_fees": "perhaps"})
    flush(sandbox)
    ids = {
        "client": client.id,
        "invoice": invoice.id,
        "payment": payment.id,
        "item": item.id,
        "tax": tax.id,
        "credit_note": payment.overpaymentid,
    }
    expected = [
        *("client.create", "client.update", "invoice.create", "invoice.update", "invoice.sendByEmail"),
        *("credit_note.create", "payment.create", "invoice.update"),
        *("payment.delete", "credit_note.delete", "invoice.update"),
        *("item.create", "item.delete", "tax.create", "tax.delete", "invoice.delete"),
    ]
    assert receiver.heard() == [(name, str(ids[name.partition(".")[0]])) for name in expected]


def test_a_callback_hears_its_own_event_alone(sandbox: Sandbox, sdk: Any, receiver: Receiver) -> None:
    verified(sandbox, sdk, receiver, "client.update")
    client = sdk.clients.create(ACCOUNT, {"email": "a@b.example"})
    sdk.clients.update(ACCOUNT, client.id, {"fname": "Ana"})
    flush(sandbox)
    assert receiver.heard()[1:] == [("client.update", str(client.id))]


def test_failed_deliveries_are_repeated_unchanged_and_then_dropped(
    sandbox: Sandbox, sdk: Any, receiver: Receiver
) -> None:
    verified(sandbox, sdk, receiver, "client")
    receiver.forms.clear()
    receiver.statuses = [500, 302]
    sdk.clients.create(ACCOUNT, {"email": "a@b.example"})
    flush(sandbox)
    assert len(receiver.forms) == 3
    assert receiver.forms[0] == receiver.forms[2]
    receiver.statuses = [500] * 3
    sdk.clients.create(ACCOUNT, {"email": "b@b.example"})
    flush(sandbox)
    assert len(receiver.forms) == 6
    shown = httpx2.get(f"{sandbox.freshbooks_url}/_control/callbacks").json()["deliveries"]
    assert [delivery["statuses"] for delivery in shown[-2:]] == [[500, 302, 204], [500, 500, 500]]


def test_lists_page_and_filter_by_event_and_its_parent(sandbox: Sandbox, sdk: Any, receiver: Receiver) -> None:
    ids = [
        sdk.callbacks.create(ACCOUNT, {"event": event, "uri": receiver.url}).callbackid
        for event in ("invoice", "invoice.create", "payment.create")
    ]
    listed = sdk.callbacks.list(ACCOUNT)
    assert [callback.callbackid for callback in listed] == ids
    assert (listed.pages.page, listed.pages.pages, listed.pages.per_page, listed.pages.total) == (1, 1, 15, 3)
    found = sdk.callbacks.list(ACCOUNT, builders=[FilterBuilder().equals("event", "invoice.create")])
    assert [callback.callbackid for callback in found] == ids[:2]
    sdk.callbacks.delete(ACCOUNT, ids[0])
    assert len(sdk.callbacks.list(ACCOUNT)) == 2
    with pytest.raises(FreshBooksError) as gone:
        sdk.callbacks.get(ACCOUNT, ids[0])
    assert (gone.value.status_code, str(gone.value)) == (404, "Requested resource could not be found.")


def test_a_deleted_callback_hears_nothing(sandbox: Sandbox, sdk: Any, receiver: Receiver) -> None:
    identifier, _ = verified(sandbox, sdk, receiver, "client")
    sdk.callbacks.delete(ACCOUNT, identifier)
    sdk.clients.create(ACCOUNT, {"email": "a@b.example"})
    flush(sandbox)
    assert len(receiver.forms) == 1


def test_refusals_have_the_shapes_of_events(sandbox: Sandbox) -> None:
    base = f"{sandbox.freshbooks_url}/events/account/{ACCOUNT}/events/callbacks"
    bearer = {"Authorization": f"Bearer {sandbox.access_token}"}
    bad = {"callback": {"event": "invoice.paid", "uri": "hook"}}
    refused = httpx2.post(base, json=bad, headers=bearer)
    assert refused.status_code == 422
    assert refused.json() == {
        "errno": 422,
        "message": "The request was well-formed but was unable to be followed due to semantic errors.",
        "details": [
            "event: Value error, Unrecognized event.",
            "uri: Input should be a valid URL, relative URL without a base",
        ],
    }
    newer = httpx2.post(base, json=bad, headers=bearer | {"X-API-VERSION": "2023-02-20"}).json()
    assert newer["code"] == 3
    assert [row["field"] for row in newer["details"][0]["fieldViolations"]] == ["event", "uri"]
    missing = httpx2.post(base, json={"callback": {}}, headers=bearer).json()
    assert missing["details"] == ["event: Field required", "uri: Field required"]
    assert httpx2.post(base, content=b"{", headers=bearer).status_code == 400
    stranger = httpx2.get(base)
    assert (stranger.status_code, stranger.json()["errno"]) == (401, 401)
    assert stranger.json()["message"].startswith("invalid_token: ")
    assert httpx2.get(f"{base}/x", headers=bearer).json()["errno"] == 404
    assert httpx2.patch(base, headers=bearer).status_code == 405


def test_delete_answers_and_unsigned_handshakes_are_switches(receiver: Receiver) -> None:
    with running_sandbox(callback_delete="body", handshake_signature="unsigned") as sandbox:
        base = f"{sandbox.freshbooks_url}/events/account/{ACCOUNT}/events/callbacks"
        bearer = {"Authorization": f"Bearer {sandbox.access_token}"}
        body = {"callback": {"event": "client", "uri": receiver.url}}
        made = httpx2.post(base, json=body, headers=bearer).json()["response"]["result"]["callback"]
        flush(sandbox)
        assert receiver.signatures == [None]
        gone = httpx2.delete(f"{base}/{made['callbackid']}", headers=bearer)
        assert (gone.status_code, gone.json()) == (200, {"response": {}})
