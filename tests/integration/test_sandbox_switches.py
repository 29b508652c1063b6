"""What the facts leave open is a switch of the FreshBooks stand-in, each with its own effect, over HTTP."""

from typing import Any

import httpx2
import pytest

from connectors import FreshBooks, StaticToken, TransientError
from connectors.sandbox.server import running_sandbox
from connectors.sandbox.switches import Switches
from tests.freshbooks_api import Api, Body, Watch, line, serving


def statuses(api: Api, invoice: Body) -> tuple[Any, ...]:
    now = api.one("GET", f"invoices/invoices/{invoice['id']}")
    return now["status"], now["display_status"], now["payment_status"], now["v3_status"]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("keep_draft", (1, "draft", "partial", "partial")), ("mark_sent", (2, "sent", "partial", "partial"))],
)
def test_payment_on_a_draft(kind: str, expected: tuple[Any, ...]) -> None:
    for api in serving(payment_on_draft=kind):
        invoice = api.invoice()
        api.pay(invoice, "4.00")
        assert statuses(api, invoice) == expected


def test_payment_on_a_draft_can_be_refused() -> None:
    for api in serving(payment_on_draft="refuse"):
        invoice = api.invoice()
        body = {"invoiceid": invoice["id"], "amount": {"amount": "4"}, "date": "2026-02-01"}
        assert api.error("POST", "payments/payments", {"payment": body}) == (422, 1004, "invoiceid")
        api.one("PUT", f"invoices/invoices/{invoice['id']}", {"invoice": {"action_mark_as_sent": True}})
        assert api.pay(invoice, "4.00")["amount"]["amount"] == "4.00"


def test_a_refused_payment_leaves_a_draft_alone() -> None:
    for api in serving(payment_on_draft="mark_sent"):
        invoice = api.invoice()
        body = {"invoiceid": invoice["id"], "amount": {"amount": "4"}, "date": "2026-02-01", "type": "Stripe"}
        assert api.error("POST", "payments/payments", {"payment": body})[1] == 1004
        assert statuses(api, invoice)[1] == "draft"


def test_negative_payments() -> None:
    for api in serving(negative_payment="accept"):
        invoice = api.invoice()
        api.pay(invoice, "10.00")
        api.pay(invoice, "-4.00")
        now = api.one("GET", f"invoices/invoices/{invoice['id']}")
        assert (now["paid"]["amount"], now["outstanding"]["amount"]) == ("6.00", "4.00")


@pytest.mark.parametrize(("kind", "stored"), [("kept", "tx_1"), ("dropped", None)])
def test_transaction_ids(kind: str, stored: str | None) -> None:
    for api in serving(transactionid=kind):
        paid = api.pay(api.invoice(), "4.00", transactionid="tx_1")
        assert paid["transactionid"] == stored
        changed = api.one("PUT", f"payments/payments/{paid['id']}", {"payment": {"transactionid": "tx_1"}})
        assert changed["transactionid"] == stored


def test_new_records_reach_lists_late_but_can_be_read() -> None:
    watch = Watch()
    for api in serving(list_lag_s=5.0):
        api.sandbox.state.freshbooks.clock = watch
        client = api.client(email="late@b.example")
        assert api.one("GET", f"users/clients/{client}")["id"] == client
        assert api.listed("users/clients?search[email]=late@b.example")["total"] == 0
        watch.pass_by(5)
        assert api.listed("users/clients?search[email]=late@b.example")["total"] == 1
        api.one("PUT", f"users/clients/{client}", {"client": {"fname": "Ana"}})
        assert api.listed("users/clients")["clients"][0]["fname"] == "Ana"


def test_the_errno_of_a_taken_number_and_the_version_of_the_new_shape() -> None:
    for api in serving(duplicate_number_errno=1004, new_errors_since="2023-02-20"):
        invoice = api.invoice(invoice_number="A")
        again = {"invoice": {"customerid": invoice["customerid"], "create_date": "2026-01-31", "invoice_number": "A"}}
        assert api.error("POST", "invoices/invoices", again) == (422, 1004, "invoice_number")
        for version, new in (("2021-01-01", False), ("2023-02-20", True), ("2024-01-01", True)):
            body = api.call("GET", "users/clients/1", headers={"X-API-VERSION": version}).json()
            assert ("details" in body) is new


@pytest.mark.parametrize(("kind", "body"), [("json", b'{"message": "Too many requests."}'), ("empty", b"")])
def test_rate_limit_refuses_says_when_and_ends(kind: str, body: bytes) -> None:
    watch = Watch()
    for api in serving(rate_limit=2, rate_window_s=60, rate_limit_body=kind):
        api.sandbox.state.rates._clock = watch
        first = api.call("GET", "users/clients")
        assert first.status_code == 200
        shown = {name: first.headers[f"x-ratelimit-{name}"] for name in ("limit", "remaining", "reset")}
        assert shown == {"limit": "2", "remaining": "1", "reset": str(int(watch.now.timestamp()) + 60)}
        watch.pass_by(20)
        assert api.call("POST", "users/clients", {"client": {"email": "a@b.example"}}).status_code == 200
        refused = api.call("POST", "users/clients", {"client": {"email": "b@b.example"}})
        assert (refused.status_code, refused.headers["retry-after"], refused.content) == (429, "40", body)
        assert len(api.sandbox.state.freshbooks.tables["client"]) == 1
        watch.pass_by(40)
        assert api.call("GET", "users/clients").status_code == 200


@pytest.mark.parametrize("kind", ["json", "text", "empty"])
def test_our_connector_needs_no_body_to_know_that_it_came_too_often(kind: str) -> None:
    with running_sandbox(rate_limit=1, rate_limit_body=kind) as sandbox:
        tokens = StaticToken(sandbox.access_token)
        with FreshBooks(base_url=sandbox.freshbooks_url, account_id=sandbox.account_id, tokens=tokens) as books:
            books.whoami()
            with pytest.raises(TransientError) as often:
                books.whoami()
            assert often.value.retry_after_s is not None
            assert 5 < often.value.retry_after_s <= 60


def test_scripted_rate_limits_carry_their_retry_after() -> None:
    for api in serving(retry_after_s=7):
        body = {"fault": "rate_limited", "system": "freshbooks"}
        httpx2.post(f"{api.sandbox.freshbooks_url}/_control/faults", json=body)
        assert api.call("GET", "users/clients").headers["retry-after"] == "7"


@pytest.mark.parametrize(
    "bad",
    [
        {"payment_on_draft": "maybe"},
        {"negative_payment": "perhaps"},
        {"rate_limit": 0},
        {"rate_limit_body": "xml"},
        {"enabled_scopes": ["user:nonsense:read"]},
        {"pkce": "on"},
    ],
)
def test_unknown_values_are_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="switch"):
        Switches().changed(**bad)


def test_hostile_numbers_and_depths_are_refused_not_computed() -> None:
    deep = b'{"client": {"contacts": ' + b"[" * 5000 + b"]" * 5000 + b"}}"
    for api in serving():
        customer = api.client()
        for cost in ("1e999999999", "1e-999999999", "9" * 400, "NaN"):
            body = {"customerid": customer, "create_date": "2026-01-31", "lines": [line(cost)]}
            assert api.error("POST", "invoices/invoices", {"invoice": body})[:2] == (422, 1015)
        for raw in (deep, b'{"client": {"note": 1e999999999}}'):
            answer = api.http.post("users/clients", content=raw)
            assert (answer.status_code, answer.json()["response"]["errors"][0]["errno"]) == (400, 1005)
        long = api.invoice(customerid=customer, invoice_number="9" * 5000)["invoice_number"]
        assert api.invoice(customerid=customer)["invoice_number"] != long
        assert api.error("GET", "users/clients?search[userid]=1e9999999")[1] == 1024
        assert api.error("GET", "users/clients?search[userid]=1.5")[1] == 1024
