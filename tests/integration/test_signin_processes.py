"""Several processes with one sign-in: nobody is refused, and a kill at the worst moment ends in "reconnect"."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import httpx2
import pytest

from connectors.sandbox.generator import dumps_exact
from connectors.sandbox.server import Sandbox, running_sandbox
from connectors.webhooks import sign_clarity
from sync import signin
from sync.settings import Settings, load_settings
from sync.signin_status import read_connections
from sync.store import open_store
from tests.flows import MAPPINGS, ROOT, envelope, order
from tests.signin import consent, expiring

KEY = "t3Q0c0FUWjY0bG5vdC1hLXJlYWwta2V5LWp1c3QtYTE="
_PATIENCE_S = 60.0

CALLER = """
import sys
from sync.connections import open_freshbooks
from sync.settings import load_settings
from sync.store import open_store
settings = load_settings()
store = open_store(settings.store_url)
with open_freshbooks(settings, lambda: store) as client:
    print("ready", flush=True)
    sys.stdin.readline()
    for _ in range(int(sys.argv[1])):
        client.whoami()
store.close()
"""

KILLED = """
import os, signal
from sync import tokens_db
from sync.connections import open_freshbooks
from sync.settings import load_settings
from sync.store import open_store
tokens_db.Cell.save = lambda self, pair: os.kill(os.getpid(), signal.SIGKILL)
settings = load_settings()
store = open_store(settings.store_url)
with open_freshbooks(settings, lambda: store) as client:
    client.whoami()
"""


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with running_sandbox() as started:
        yield started


@pytest.fixture
def environ(store_url: str, sandbox: Sandbox) -> dict[str, str]:
    """Of processes that share one store, on SQLite and on PostgreSQL."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("FRESHBOOKS_", "CLARITY_"))}
    return {
        **kept,
        "PYTHONPATH": str(ROOT),
        "MAPPER_STORE_URL": store_url,
        "MAPPER_TOKEN_KEY": KEY,
        "FRESHBOOKS_API_URL": sandbox.freshbooks_url,
        "FRESHBOOKS_CLIENT_ID": sandbox.freshbooks_client_id,
        "FRESHBOOKS_CLIENT_SECRET": sandbox.freshbooks_client_secret,
        "CLARITY_WEBHOOK_SECRET": "hook-secret",
        "MAPPER_SETTLE_S": "0",
    }


def sign_in(environ: dict[str, str]) -> Settings:
    settings = load_settings(environ)
    url = signin.begin(settings, "freshbooks", scopes=())
    found = signin.finish(settings, "freshbooks", consent(url))
    assert found.account_id == "SANDBOX"
    return settings


def python(code: str, environ: dict[str, str], *words: str, **more: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *words],
        env=environ,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **more,
    )


def token_answers(sandbox: Sandbox) -> list[int]:
    return [entry["status"] for entry in sandbox.state.history if entry["path"].endswith("/oauth/token")]


def test_three_processes_share_one_token_without_a_refused_refresh(sandbox: Sandbox, environ: dict[str, str]) -> None:
    sign_in(environ)
    sandbox.state.history.clear()
    with ExitStack() as stack:
        children = [stack.enter_context(python(CALLER, environ, "200")) for _ in range(3)]
        for child in children:
            assert child.stdout is not None
            assert child.stdout.readline() == "ready\n"
        with expiring(sandbox, calls=60):
            for child in children:
                assert child.stdin is not None
                child.stdin.write("\n")
                child.stdin.flush()
            ends = [child.communicate(timeout=120) for child in children]
    assert [child.returncode for child in children] == [0, 0, 0], ends
    calls = [entry["status"] for entry in sandbox.state.history if entry["path"].endswith("/users/me")]
    assert calls.count(200) == 600
    assert set(calls) == {200, 401}
    # Every expiry is met by one renewal, whoever was first; the last expiry may come after the last call.
    answers = token_answers(sandbox)
    assert set(answers) == {200}
    assert 9 <= len(answers) <= 10


def test_a_kill_between_answer_and_save_ends_in_reconnect_and_work_resumes_after_login(
    sandbox: Sandbox, environ: dict[str, str], tmp_path: Path
) -> None:
    settings = sign_in(environ)
    sandbox.state.oauth.expire_all()
    with python(KILLED, environ) as child:
        child.communicate(timeout=60)
    assert child.returncode == -9
    assert token_answers(sandbox)[-1] == 200  # FreshBooks has burnt the old refresh token

    words = ["-m", "sync", "serve", "--mappings", str(MAPPINGS), "--port", "0", "--json"]
    with subprocess.Popen(
        [sys.executable, *words], env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path
    ) as runner:
        try:
            assert runner.stdout is not None
            url = json.loads(runner.stdout.readline())["url"]
            # Read along, or a full pipe would stop the runner.
            reader = threading.Thread(target=runner.stderr.read if runner.stderr else None)
            reader.start()
            with httpx2.Client(base_url=url, trust_env=False) as outside:
                assert deliver(outside, "1") == 202
                wait_until(outside, lambda found: connection(found) == "reconnect")
                reason = outside.get("/api/status").json()["connections"]["freshbooks"]["reason"]
                assert reason.startswith("reconnect FreshBooks: invalid_grant")
                assert "run 'mapper-sync auth login freshbooks'" in reason
                (books, _) = read_connections(settings, {})
                assert (books.state, books.needs_reconnect) == ("reconnect", True)
                assert deliver(outside, "2") == 202  # ingress goes on
                refused = token_answers(sandbox).count(400)
                sign_in(environ)
                wait_until(outside, lambda found: found["inbox"]["done"] == 2)
                assert connection(outside.get("/api/status").json()) == "ok"
                assert token_answers(sandbox).count(400) == refused == 1  # a dead token is not tried twice
        finally:
            runner.terminate()
            reader.join(_PATIENCE_S)
    assert len(sandbox.state.freshbooks.tables["invoice"]) == 2


def deliver(outside: httpx2.Client, number: str) -> int:
    record = order(id=number, orderNumber=f"WEB-{number}", payments=None, paymentStatus="unpaid")
    raw = dumps_exact(envelope("order.created", record)).encode()
    headers = {
        "X-Clarity-Signature": sign_clarity("hook-secret", int(time.time()), raw),
        "Content-Type": "application/json",
    }
    return int(outside.post("/webhooks/clarity", content=raw, headers=headers).status_code)


def connection(found: dict[str, Any]) -> str | None:
    state = found["connections"].get("freshbooks")
    return None if state is None else str(state["state"])


def wait_until(outside: httpx2.Client, true: Any) -> None:
    """Ask the runner's status until it is so; the runner tells nobody by itself."""
    pause, until = threading.Event(), time.monotonic() + _PATIENCE_S
    while not true(found := outside.get("/api/status").json()):
        assert time.monotonic() < until, found
        pause.wait(0.05)


def test_a_refresh_lock_held_for_too_long_is_said(environ: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    from sync import tokens_db
    from sync.errors import StoreError
    from sync.tokens_db import DatabaseTokenStore

    monkeypatch.setattr(tokens_db, "LOCK_TIMEOUT_S", 1)
    settings = load_settings(environ)
    with (
        closing(open_store(settings.store_url)) as store,
        closing(open_store(settings.store_url)) as other,
        DatabaseTokenStore(store, "freshbooks", key=settings.token_key).exclusive(),
        pytest.raises(StoreError, match="another process has been renewing the token for 1 s"),
        DatabaseTokenStore(other, "freshbooks", key=settings.token_key).exclusive(),
    ):
        pass
