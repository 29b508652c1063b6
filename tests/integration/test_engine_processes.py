"""Several real processes on one store, SQLite and PostgreSQL: shared work, kill -9, wakes, and a clean end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx2
import pytest
import sqlalchemy as sa

from connectors.sandbox.faults import ScriptedFault
from connectors.sandbox.generator import dumps_exact
from connectors.sandbox.server import Sandbox, running_sandbox
from connectors.webhooks import sign_clarity
from sync.engine.dbos_parts import SCHEMA
from sync.inbox import ingest
from sync.status import read_status, status
from sync.store import Store, lane
from tests.engines import PATIENCE_S, wait_until
from tests.flows import MAPPINGS, ROOT, envelope, order

Start = Callable[..., "Child"]
on_sqlite = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
"""For what does not depend on the store."""


class Child:
    """A runner process, with its first line on stdout and its log lines so far."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines: list[dict[str, Any]] = []
        self.said: dict[str, Any] = {}
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(json.loads(line) if line.startswith("{") else {"message": line})

    def ready(self) -> Child:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self.lines
        self.said = json.loads(line)
        return self

    def signal(self, number: signal.Signals) -> Child:
        self.process.send_signal(number)
        return self

    def code(self) -> int:
        code = self.process.wait(PATIENCE_S)
        self._reader.join(PATIENCE_S)
        return code

    def warnings(self) -> list[dict[str, Any]]:
        return [line for line in self.lines if line.get("level", "info") != "info"]


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with running_sandbox() as started:
        yield started


@pytest.fixture
def start(sandbox: Sandbox, store_url: str, tmp_path: Path) -> Iterator[Start]:
    """Starts ``mapper-sync serve`` or ``work``; all of them are gone at the end."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith(("FRESHBOOKS_", "CLARITY_"))}
    environ = {
        **kept,
        "PYTHONPATH": str(ROOT),
        "MAPPER_STORE_URL": store_url,
        "FRESHBOOKS_API_URL": sandbox.freshbooks_url,
        "FRESHBOOKS_ACCOUNT_ID": sandbox.account_id,
        "FRESHBOOKS_ACCESS_TOKEN": sandbox.access_token,
        "CLARITY_WEBHOOK_SECRET": "hook-secret",
        "MAPPER_SETTLE_S": "0",
    }
    with ExitStack() as stack:

        def begin(command: str, *, runner: str = "", **more: str) -> Child:
            folder = tmp_path / f"child-{len(list(tmp_path.iterdir()))}"
            folder.mkdir()
            (folder / "mapper.toml").write_text(f"[runner]\n{runner}\n", encoding="utf-8")
            words = [sys.executable, "-m", "sync", command, "--mappings", str(MAPPINGS), "--json"]
            words += ["--port", "0"] if command == "serve" else []
            process = subprocess.Popen(
                words, env=environ | more, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=folder
            )
            stack.enter_context(process)
            stack.callback(process.kill)
            return Child(process)

        yield begin


def put(store: Store, *numbers: int) -> None:
    """An order each, of different customers."""
    orders = [
        order(id=number, orderNumber=f"WEB-{number}", customerId=number, payments=None, paymentStatus="unpaid")
        for number in numbers
    ]
    for record in orders:
        record["customer"] = {**record["customer"], "id": record["id"], "email": f"c{record['id']}@example.com"}
    ingest(store, [envelope("order.created", record) for record in orders], source="webhook", now=time.time())


def deliver(url: str, number: int) -> int:
    record = order(id=number, orderNumber=f"WEB-{number}", payments=None, paymentStatus="unpaid")
    raw = dumps_exact(envelope("order.created", record)).encode()
    headers = {"X-Clarity-Signature": sign_clarity("hook-secret", int(time.time()), raw)}
    return int(httpx2.post(f"{url}/webhooks/clarity", content=raw, headers=headers).status_code)


def invoices(sandbox: Sandbox) -> Counter[str]:
    with sandbox.state.lock:
        return Counter(row["invoice_number"] for row in sandbox.state.freshbooks.tables["invoice"].values())


def in_hand(sandbox: Sandbox) -> bool:
    """Whether an invoice is being created at this moment."""
    with sandbox.state.lock:
        return any(
            entry["method"] == "POST" and entry["path"].endswith("/invoices/invoices") and not entry["status"]
            for entry in sandbox.state.history
        )


def done(store: Store, count: int) -> Callable[[], bool]:
    return lambda: status(store)["inbox"]["done"] == count


def held_lanes(store: Store) -> list[str]:
    with store.read() as conn:
        return list(conn.scalars(sa.select(lane.c.key).where(lane.c.owner.is_not(None))))


def bells(store: Store, **where: str) -> list[Any]:
    """The rows of DBOS."""
    table = "workflow_status" if store.is_sqlite else f"{SCHEMA}.workflow_status"
    terms = " AND ".join(f"{name} = :{name}" for name in where)
    statement = sa.text(f"SELECT * FROM {table}" + (f" WHERE {terms}" if terms else ""))  # noqa: S608  our own names
    with store.read() as conn:
        return list(conn.execute(statement, where).mappings())


def test_two_processes_share_the_work_and_end_cleanly(
    start: Start, store: Store, store_url: str, sandbox: Sandbox
) -> None:
    children = [start("work"), start("work", runner="workers = 2")]
    for child in children:
        child.ready()
    assert [child.said["workers"] for child in children] == [4, 2]
    put(store, *range(1, 11))
    wait_until(done(store, 10), what="10 orders")
    assert set(invoices(sandbox).values()) == {1}
    assert len(invoices(sandbox)) == 10
    shown = read_status(store_url)
    assert sorted((one["role"], one["workers"], one["engine"]) for one in shown["processes"]) == [
        ("work", 2, "dbos"),
        ("work", 4, "dbos"),
    ]
    assert [child.signal(signal.SIGTERM).code() for child in children] == [0, 0]
    assert held_lanes(store) == []
    assert read_status(store_url)["processes"] == []
    assert [child.warnings() for child in children] == [[], []]


def test_what_a_killed_worker_had_in_hand_is_done_once_by_another(start: Start, store: Store, sandbox: Sandbox) -> None:
    sandbox.state.change_switches(slow_s=1.0)
    sandbox.state.faults.script(ScriptedFault("slow", "freshbooks", "POST", "invoices/invoices"))
    first = start("work", runner="workers = 1", MAPPER_HTTP_TIMEOUT_S="2").ready()
    put(store, 1, 2)
    wait_until(lambda: in_hand(sandbox), what="a write in hand")
    assert first.signal(signal.SIGKILL).code() == -9
    assert len(held_lanes(store)) == 1
    second = start("work", MAPPER_HTTP_TIMEOUT_S="2").ready()  # and so long it waits before it looks
    wait_until(done(store, 2), what="both orders")
    assert invoices(sandbox) == {"WEB-1": 1, "WEB-2": 1}
    assert second.signal(signal.SIGTERM).code() == 0


@on_sqlite
def test_serve_ends_with_the_write_in_hand_and_says_meanwhile_that_it_is_not_ready(
    start: Start, store: Store, sandbox: Sandbox
) -> None:
    sandbox.state.change_switches(slow_s=1.0)
    sandbox.state.faults.script(ScriptedFault("slow", "freshbooks", "POST", "invoices/invoices"))
    child = start("serve", runner="workers = 2").ready()
    url = child.said["url"]
    wait_until(lambda: httpx2.get(f"{url}/readyz").status_code == 200, what="ready")
    assert deliver(url, 1) == 202
    wait_until(lambda: in_hand(sandbox), what="a write in hand")
    child.signal(signal.SIGTERM)
    assert wait_until(lambda: httpx2.get(f"{url}/readyz").status_code == 503, what="not ready")
    assert deliver(url, 2) == 202  # what arrives is kept for the next start
    assert child.code() == 0
    assert invoices(sandbox) == {"WEB-1": 1}
    found = status(store)
    assert (found["inbox"]["done"], found["inbox"]["pending"], held_lanes(store)) == (1, 1, [])
    assert found["processes"] == []


@on_sqlite
def test_a_second_signal_ends_at_once(start: Start, store: Store, sandbox: Sandbox) -> None:
    sandbox.state.change_switches(slow_s=600.0)
    sandbox.state.faults.script(ScriptedFault("slow", "freshbooks", "POST", "invoices/invoices"))
    child = start("serve", runner="shutdown_s = 3600", MAPPER_HTTP_TIMEOUT_S="900").ready()
    url = child.said["url"]
    put(store, 1)
    wait_until(lambda: in_hand(sandbox), what="a write in hand")
    child.signal(signal.SIGTERM)
    assert wait_until(lambda: httpx2.get(f"{url}/readyz").status_code == 503, what="not ready")
    assert child.signal(signal.SIGINT).code() == -signal.SIGINT


@on_sqlite
def test_a_write_that_hangs_does_not_keep_the_process(start: Start, store: Store, sandbox: Sandbox) -> None:
    sandbox.state.change_switches(slow_s=600.0)
    sandbox.state.faults.script(ScriptedFault("slow", "freshbooks", "POST", "invoices/invoices"))
    child = start("work", runner="shutdown_s = 0.2", MAPPER_HTTP_TIMEOUT_S="900").ready()
    put(store, 1)
    wait_until(lambda: in_hand(sandbox), what="a write in hand")
    assert child.signal(signal.SIGTERM).code() == 0
    assert [line["message"] for line in child.warnings()] == ["stopped with work in hand; the next process settles it"]


@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
def test_a_process_without_workers_rings_for_one_with(start: Start, store: Store, sandbox: Sandbox) -> None:
    helper = start("work").ready()
    ingress = start("serve", runner="workers = 0").ready()
    url = ingress.said["url"]
    assert deliver(url, 1) == 202
    (bell,) = wait_until(lambda: bells(store, name="mapper-wake", status="SUCCESS"), what="a bell that was heard")
    assert bell["executor_id"].split("|")[1] == str(helper.process.pid)
    wait_until(done(store, 1), what="the order")
    assert invoices(sandbox) == {"WEB-1": 1}
    assert [child.signal(signal.SIGTERM).code() for child in (ingress, helper)] == [0, 0]
    assert ingress.warnings() + helper.warnings() == []
