"""``mapper-sync webhooks`` against the sandbox and a running ``serve``, over real HTTP."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from prometheus_client.parser import text_string_to_metric_families

from connectors.sandbox.faults import ScriptedFault
from connectors.sandbox.server import Sandbox, running_sandbox
from connectors.webhooks import sign_clarity, sign_freshbooks
from sync import hooks
from sync.__main__ import main
from sync.runner import serve
from sync.settings import load_settings
from tests.flows import MAPPINGS

Command = Callable[..., tuple[int, Any]]


@pytest.fixture(params=["signed", "unsigned"])
def sandbox(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    delete = "body" if request.param == "signed" else "no_content"
    with running_sandbox(webhook_gap_s=0.0, handshake_signature=request.param, callback_delete=delete) as running:
        yield running


@pytest.fixture(autouse=True)
def connected(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith(("MAPPER_", "FRESHBOOKS_", "CLARITY_"))]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MAPPER_STORE_URL", f"sqlite:///{tmp_path / 'store.db'}")
    monkeypatch.setenv("FRESHBOOKS_API_URL", sandbox.freshbooks_url)
    monkeypatch.setenv("FRESHBOOKS_ACCOUNT_ID", sandbox.account_id)
    monkeypatch.setenv("FRESHBOOKS_ACCESS_TOKEN", sandbox.access_token)


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Command:
    def run(*arguments: str) -> tuple[int, Any]:
        capsys.readouterr()
        code = main(["webhooks", *arguments, "--json"])
        caught = capsys.readouterr()
        return code, json.loads(caught.out) if caught.out else caught.err

    return run


@contextmanager
def serving(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """``serve`` in a thread; its address."""
    stop, ready = threading.Event(), threading.Event()
    address: list[str] = []

    def on_ready(url: str) -> None:
        address.append(url)
        ready.set()

    arguments = {"port": 0, "on_ready": on_ready, "stop": stop}
    thread = threading.Thread(target=serve, args=(load_settings(), MAPPINGS), kwargs=arguments)
    thread.start()
    try:
        assert ready.wait(20)
        yield address[0]
    finally:
        stop.set()
        thread.join()


def api(sandbox: Sandbox, path: str, body: dict[str, Any]) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {sandbox.access_token}"}
    url = f"{sandbox.freshbooks_url}/accounting/account/{sandbox.account_id}/{path}"
    answer = httpx2.post(url, json=body, headers=headers)
    assert answer.status_code == 200
    return dict(answer.json()["response"]["result"])


def results(url: str) -> dict[str, int]:
    families = text_string_to_metric_families(httpx2.get(f"{url}/metrics").text)
    samples = [sample for family in families for sample in family.samples if sample.name == "mapper_webhooks_total"]
    return {f"{sample.labels['system']} {sample.labels['result']}": int(sample.value) for sample in samples}


def test_register_deliver_list_rotate_and_delete(
    sandbox: Sandbox, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox.state.change_switches(webhook_duplicate_rate=1.0)
    with serving(monkeypatch) as url:
        code, found = command("register", "freshbooks", "--url", url)
        assert code == 0
        assert [(one["event"], one["verified"], one["secret"]) for one in found["callbacks"]] == [
            (event, True, True) for event in ("invoice", "payment", "client")
        ]
        again = command("register", "freshbooks", "--url", url)
        assert again == (0, found)

        client = api(sandbox, "users/clients", {"client": {"organization": "Lee Ltd"}})["client"]
        day = {"customerid": client["id"], "create_date": "2026-01-01"}
        api(sandbox, "invoices/invoices", {"invoice": day})
        sandbox.state.callbacks.outbox.flush()
        _, listed = command("list")
        assert [(one["event"], one["state"], one["count"]) for one in listed["freshbooks"]["received"]] == [
            ("freshbooks.client.create", "ignored", 1),
            ("freshbooks.invoice.create", "ignored", 1),
        ]
        assert results(url)["freshbooks duplicate"] == 2
        assert httpx2.get(f"{url}/api/status").json()["inbox"]["ignored"] == 2

        code, rotated = command("rotate", "freshbooks")
        assert code == 0
        old = [one["id"] for one in found["callbacks"]]
        assert sorted(rotated["deleted"]) == sorted(old)
        assert not set(old) & {one["id"] for one in rotated["callbacks"]}
        api(sandbox, "users/clients", {"client": {"organization": "Kim Ltd"}})
        sandbox.state.callbacks.outbox.flush()
        assert command("list")[1]["freshbooks"]["received"][0]["count"] == 2

        assert len(command("delete", "freshbooks", "--url", url)[1]["deleted"]) == 3
        assert command("list")[1]["freshbooks"]["callbacks"] == []
        assert sandbox.state.callbacks.rows == {}
        late = {"name": "client.update", "object_id": str(client["id"])}
        headers = {"X-FreshBooks-Hmac-SHA256": sign_freshbooks("any", late)}
        assert httpx2.post(f"{url}/webhooks/freshbooks", data=late, headers=headers).status_code == 503


def test_a_handshake_that_nobody_answered_is_asked_for_again(
    sandbox: Sandbox, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox.state.change_switches(webhook_attempts=1)
    with serving(monkeypatch) as url:
        port = url.rpartition(":")[2]
    code, _ = command("register", "freshbooks", "--url", f"http://127.0.0.1:{port}", "--wait", "0")
    assert code == 1
    sandbox.state.callbacks.outbox.flush()
    assert not any(callback.verified for callback in sandbox.state.callbacks.rows.values())
    with serving(monkeypatch) as url:
        for callback in sandbox.state.callbacks.rows.values():
            callback.uri = f"{url}/webhooks/freshbooks"
        code, found = command("verify", "freshbooks")
        assert code == 0
        assert [one["verified"] and one["secret"] for one in found["callbacks"]] == [True] * 3


def test_a_false_verifier_is_refused_by_freshbooks_and_the_right_one_counts(
    sandbox: Sandbox, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(monkeypatch) as url:
        assert command("register", "freshbooks", "--url", url, "--events", "client", "--wait", "20")[0] == 0
        (callback,) = sandbox.state.callbacks.rows.values()
        false = {"name": "callback.verify", "object_id": str(callback.identifier), "verifier": "false"}
        assert httpx2.post(f"{url}/webhooks/freshbooks", data=false).status_code == 403
        forged = {"name": "client.create", "object_id": "1"}
        headers = {"X-FreshBooks-Hmac-SHA256": sign_freshbooks("false", forged)}
        assert httpx2.post(f"{url}/webhooks/freshbooks", data=forged, headers=headers).status_code == 401
        assert results(url)["freshbooks unexpected-handshake"] == 1


def test_a_verifier_is_brought_back_after_a_failure_of_freshbooks(
    sandbox: Sandbox, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sync.callbacks.RETRY_S", 0.05)
    fault = ScriptedFault("lost_answer", system="freshbooks", method="PUT", path="callbacks", times=1)
    with serving(monkeypatch) as url:
        sandbox.state.faults.script(fault)
        code, found = command("register", "freshbooks", "--url", url, "--events", "client", "--wait", "20")
        assert code == 0
        assert found["callbacks"][0]["secret"]


def test_clarity_secrets_are_made_rotated_and_forgotten(
    command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("sync.callbacks.REREAD_S", 0.0)
    with serving(monkeypatch) as url:
        code, made = command("register", "clarity", "--url", url)
        assert code == 0
        assert made["url"] == f"{url}/webhooks/clarity"
        assert {"order.created", "payment.captured"} <= set(made["events"])
        assert command("register", "clarity", "--url", url)[1]["secret"] is None  # shown once
        assert command("verify", "clarity", "--url", url)[0] == 0
        rotated = command("rotate", "clarity", "--overlap-hours", "1")[1]["secret"]
        assert [clarity_status(url, secret) for secret in (made["secret"], rotated, "other")] == [202, 202, 401]
        _, listed = command("list", "clarity")
        assert [life is None for life in listed["clarity"]["secrets"]] == [False, True]
        last = command("rotate", "clarity", "--overlap-hours", "0")[1]["secret"]
        assert [clarity_status(url, secret) for secret in (made["secret"], rotated, last)] == [401, 401, 202]
        assert command("delete", "clarity")[1]["forgotten"] == 1
        assert clarity_status(url, last) == 503
    assert last.encode() not in (tmp_path / "store.db").read_bytes()


def clarity_status(url: str, secret: str) -> int:
    import time

    raw = json.dumps({"id": os.urandom(4).hex(), "type": "mapper.ping", "data": {}}).encode()
    headers = {"X-Clarity-Signature": sign_clarity(secret, int(time.time()), raw)}
    return httpx2.post(f"{url}/webhooks/clarity", content=raw, headers=headers).status_code


@pytest.mark.parametrize(
    ("arguments", "code", "part"),
    [
        (("register",), 2, "name the system"),
        (("register", "freshbooks"), 2, "--url is missing"),
        (("register", "freshbooks", "--url", "http://sync.example.com"), 3, "expected https"),
        (("register", "clarity", "--url", "sync.example.com"), 3, "expected the public address"),
        (("register", "freshbooks", "--url", "https://sync.example.com", "--events", "invoice.paid"), 3, "status 422"),
        (("rotate", "freshbooks"), 3, "no callback of this runner"),
        (("verify", "clarity", "--url", "https://sync.example.com"), 2, "there is no secret"),
    ],
)
def test_what_cannot_be_done_is_one_clear_line(command: Command, arguments: Any, code: int, part: str) -> None:
    found, error = command(*arguments)
    assert found == code
    assert part in error
    assert error.count("\n") == 1


def test_the_address_is_completed_once() -> None:
    assert hooks.receiver("https://a.example/", "clarity") == "https://a.example/webhooks/clarity"
    assert hooks.receiver("https://a.example/x/webhooks/clarity", "clarity") == "https://a.example/x/webhooks/clarity"
