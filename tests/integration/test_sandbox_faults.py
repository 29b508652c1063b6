"""Faults, the control API, the pages and the command-line server of the sandbox."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from connectors.sandbox.server import Sandbox, running_sandbox


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with running_sandbox(slow_s=0.0, retry_after_s=7) as running:
        yield running


def bearer(sandbox: Sandbox) -> dict[str, str]:
    return {"Authorization": f"Bearer {sandbox.access_token}"}


def clients_url(sandbox: Sandbox) -> str:
    return f"{sandbox.freshbooks_url}/accounting/account/SANDBOX/users/clients"


def create(sandbox: Sandbox, email: str = "a@b.example") -> httpx2.Response:
    return httpx2.post(clients_url(sandbox), json={"client": {"email": email}}, headers=bearer(sandbox))


def stored(sandbox: Sandbox) -> int:
    return len(sandbox.state.freshbooks.tables["client"])


def control(sandbox: Sandbox, method: str, path: str, body: Any = None) -> Any:
    answer = httpx2.request(method, f"{sandbox.freshbooks_url}/_control/{path}", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def script(sandbox: Sandbox, fault: str, **more: Any) -> None:
    control(sandbox, "POST", "faults", {"fault": fault, **more})


def test_lost_answer_applies_then_cuts(sandbox: Sandbox) -> None:
    script(sandbox, "lost_answer", method="POST", path="/users/clients$")
    with pytest.raises(httpx2.RemoteProtocolError):
        create(sandbox)
    assert stored(sandbox) == 1
    assert create(sandbox).status_code == 200


def test_conflict_refuses_and_applies_nothing(sandbox: Sandbox) -> None:
    script(sandbox, "conflict")
    refused = create(sandbox)
    assert (refused.status_code, refused.json()["response"]["errors"][0]["errno"]) == (409, 409)
    assert stored(sandbox) == 0
    assert create(sandbox).status_code == 200


def test_cut_before_applies_nothing(sandbox: Sandbox) -> None:
    script(sandbox, "cut_before")
    with pytest.raises(httpx2.RemoteProtocolError):
        create(sandbox)
    assert stored(sandbox) == 0


def test_late_apply_lands_between_two_looks(sandbox: Sandbox) -> None:
    script(sandbox, "late_apply", method="POST")
    with pytest.raises(httpx2.RemoteProtocolError):
        create(sandbox)
    looks = [
        httpx2.get(clients_url(sandbox), headers=bearer(sandbox)).json()["response"]["result"]["total"]
        for _ in range(3)
    ]
    assert looks == [0, 1, 1]


def test_server_errors_before_and_after_applying(sandbox: Sandbox) -> None:
    script(sandbox, "server_error")
    script(sandbox, "error_after")
    assert create(sandbox).status_code == 503
    assert stored(sandbox) == 0
    assert create(sandbox).status_code == 502
    assert stored(sandbox) == 1


def test_rate_limit_names_the_wait(sandbox: Sandbox) -> None:
    script(sandbox, "rate_limited", times=2)
    for _ in range(2):
        limited = create(sandbox)
        assert (limited.status_code, limited.headers["retry-after"]) == (429, "7")
    assert create(sandbox).status_code == 200
    assert stored(sandbox) == 1


def test_slow_and_expired_answers(sandbox: Sandbox) -> None:
    script(sandbox, "slow")
    assert create(sandbox).status_code == 200
    script(sandbox, "expired_token")
    expired = create(sandbox)
    assert (expired.status_code, expired.json()["error"]) == (401, "unauthenticated")
    script(sandbox, "expired_token", system="clarity")
    assert create(sandbox).status_code == 200
    answer = httpx2.get(f"{sandbox.clarity_url}/api/v1/orders")
    assert answer.json()["error"]["code"] == "unauthorized"


def test_scripted_faults_skip_and_search_path_and_query(sandbox: Sandbox) -> None:
    script(sandbox, "server_error", method="GET", path=r"search\[email\]=a@b", skip=1)
    create(sandbox)
    url = f"{clients_url(sandbox)}?search%5Bemail%5D=a%40b.example"
    statuses = [httpx2.get(url, headers=bearer(sandbox)).status_code for _ in range(3)]
    assert statuses == [200, 503, 200]
    assert control(sandbox, "GET", "faults") == {"faults": []}


def test_faults_by_rate_repeat_with_their_seed() -> None:
    def run() -> list[int]:
        with running_sandbox(fault_rates={"server_error": 0.5}, fault_seed=3) as sandbox:
            return [create(sandbox).status_code for _ in range(20)]

    first = run()
    assert first == run()
    assert set(first) == {200, 503}


def test_history_shows_every_request_with_body_status_and_fault(sandbox: Sandbox) -> None:
    script(sandbox, "lost_answer", method="POST")
    with pytest.raises(httpx2.RemoteProtocolError):
        create(sandbox)
    httpx2.get(clients_url(sandbox), headers=bearer(sandbox))
    httpx2.post(f"{sandbox.freshbooks_url}/auth/oauth/token", data={"client_secret": "hush"})
    rows = control(sandbox, "GET", "history")["history"]
    assert [(row["method"], row["status"], row["fault"]) for row in rows] == [
        ("POST", 200, "lost_answer"),
        ("GET", 200, None),
        ("POST", 401, None),
    ]
    assert rows[0]["body"] == {"client": {"email": "a@b.example"}}
    assert "hush" not in json.dumps(rows)
    assert sandbox.access_token not in json.dumps(rows)
    only = control(sandbox, "GET", "history?method=get&path=clients&system=freshbooks")["history"]
    assert [row["number"] for row in only] == [2]
    control(sandbox, "DELETE", "history")
    assert control(sandbox, "GET", "history") == {"history": []}


def test_state_reset_and_switches(sandbox: Sandbox) -> None:
    create(sandbox)
    control(sandbox, "POST", "clarity/orders", {"id": "1"})
    state = control(sandbox, "GET", "state")
    assert state["freshbooks"]["client"][0]["email"] == "a@b.example"
    assert state["clarity"]["orders"][0]["id"] == "1"
    changed = control(sandbox, "PATCH", "switches", {"duplicate_email": "refuse", "slow_s": 0.25})
    assert (changed["duplicate_email"], changed["slow_s"]) == ("refuse", 0.25)
    assert create(sandbox).status_code == 422
    control(sandbox, "POST", "reset", {})
    assert stored(sandbox) == 0
    assert create(sandbox).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("PATCH", "switches", {"rounding": "sideways"}, 400),
        ("PATCH", "switches", {"nothing": 1}, 400),
        ("POST", "faults", {"fault": "bang"}, 400),
        ("POST", "faults", {"fault": "slow", "when": "now"}, 400),
        ("POST", "clarity/nothing", {"id": 1}, 404),
        ("POST", "clarity/orders", {"total": 1}, 400),
        ("POST", "webhooks", {"url": "file:///etc/passwd"}, 400),
        ("POST", "oauth/code", {"redirect_uri": "http://elsewhere.example"}, 400),
        ("GET", "history?path=(", None, 400),
        ("GET", "nothing", None, 404),
    ],
)
def test_control_refuses_nonsense(sandbox: Sandbox, method: str, path: str, body: Any, status: int) -> None:
    answer = httpx2.request(method, f"{sandbox.clarity_url}/_control/{path}", json=body)
    assert answer.status_code == status
    assert answer.json()["error"]


def test_control_is_for_loopback_json_and_can_be_off(sandbox: Sandbox) -> None:
    url = f"{sandbox.freshbooks_url}/_control/reset"
    assert httpx2.post(url, json={}, headers={"Host": "evil.example"}).status_code == 404
    assert httpx2.post(url, content=b"{}", headers={"Content-Type": "text/plain"}).status_code == 415
    with running_sandbox(control=False) as closed:
        assert httpx2.get(f"{closed.freshbooks_url}/_control/state").status_code == 404


def test_servers_listen_on_loopback_only(sandbox: Sandbox) -> None:
    assert sandbox.freshbooks_url.startswith("http://127.0.0.1:")
    assert sandbox.clarity_url.startswith("http://127.0.0.1:")


def test_pages_show_what_was_posted_escaped_and_self_contained(sandbox: Sandbox) -> None:
    empty = httpx2.get(f"{sandbox.freshbooks_url}/")
    assert "None yet." in empty.text
    base = f"{sandbox.freshbooks_url}/accounting/account/SANDBOX"
    body = {"client": {"organization": "<script>alert(1)</script> & Söhne", "email": "a@b.example"}}
    client = httpx2.post(f"{base}/users/clients", json=body, headers=bearer(sandbox))
    invoice = {
        "customerid": client.json()["response"]["result"]["client"]["id"],
        "create_date": "2026-01-31",
        "invoice_number": "WEB-26-1",
        "lines": [{"name": "Mug", "qty": 2, "unit_cost": {"amount": "9.5"}, "taxName1": "TX", "taxAmount1": 8.25}],
    }
    made = httpx2.post(f"{base}/invoices/invoices", json={"invoice": invoice}, headers=bearer(sandbox))
    number = made.json()["response"]["result"]["invoice"]["id"]
    payment = {"invoiceid": number, "amount": {"amount": "30"}, "date": "2026-02-01", "note": "ch_1"}
    httpx2.post(f"{base}/payments/payments", json={"payment": payment}, headers=bearer(sandbox))
    index = httpx2.get(f"{sandbox.freshbooks_url}/").text
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; Söhne" in index
    assert "<script" not in index
    assert "20.57 USD" in index
    detail = httpx2.get(f"{sandbox.freshbooks_url}/invoice/{number}")
    for part in ("WEB-26-1", "TX 8.25 %", "20.57 USD", "ch_1", "overpaid", "paid"):
        assert part in detail.text
    assert "http://" not in detail.text
    assert "https://" not in detail.text
    assert detail.headers["content-security-policy"].startswith("default-src 'none'")
    for missing in ("1", "x", "²"):
        assert httpx2.get(f"{sandbox.freshbooks_url}/invoice/{missing}").status_code == 404


def test_a_taken_port_starts_nothing() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(OSError, match="in use"):
            Sandbox(clarity_port=taken.getsockname()[1]).start()


def test_seeded_records_are_listed_and_repeat() -> None:
    def run() -> Any:
        sandbox = Sandbox()
        sandbox.seed(seed=5, orders=12)
        return sandbox.state.clarity.lists

    lists = run()
    assert len(lists["orders"]) == 12
    assert lists["products"]
    assert lists["payments"]
    assert lists == run()


def serve(*arguments: str) -> subprocess.Popen[str]:
    code = (
        "import sys; from connectors.sandbox.server import serve; "
        f"sys.exit(serve({', '.join(arguments)}, seed=1, orders=3))"
    )
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=os.environ)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_serve_prints_one_line_of_json_and_ends_cleanly(number: signal.Signals) -> None:
    with serve("json_line=True", "rounding='tax'") as process:
        assert process.stdout
        ready = json.loads(process.stdout.readline())
        assert set(ready["freshbooks"]) >= {"url", "account_id", "access_token"}
        assert set(ready["clarity"]) >= {"url", "client_id", "client_secret", "webhook_secret"}
        state = httpx2.get(f"{ready['clarity']['url']}/_control/state").json()
        assert len(state["clarity"]["orders"]) == 3
        switches = httpx2.get(f"{ready['freshbooks']['url']}/_control/switches").json()
        assert switches["rounding"] == "tax"
        process.send_signal(number)
        assert process.wait(20) == 0
        assert process.stdout.read() == ""
