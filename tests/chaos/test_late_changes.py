"""A change that was still under way in the server when its process died ends under the newer one, not over it."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from connectors.sandbox import gate
from connectors.sandbox.faults import ScriptedFault
from sync import runner
from tests.chaos.cluster import wait_until
from tests.chaos.judge import out_of_order
from tests.chaos.recorder import Recorder
from tests.flows import Books, envelope, order

LONG_S = 60.0
TIMEOUT_S = 300.0
_LATER = "2026-03-09T00:00:00Z"


class LateServer:
    """A sandbox whose next slow request is worked on when the test says so, and the two runs that meet it."""

    def __init__(self, books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
        self.books = books
        self.recorder = Recorder(books.sandbox.state)
        self.waited_s = 0.0
        self._go_on = threading.Event()

        async def sleep(_seconds: float) -> None:
            while not self._go_on.is_set():
                await asyncio.sleep(0.01)

        monkeypatch.setattr(gate, "asyncio", SimpleNamespace(**{**vars(asyncio), "sleep": sleep}))

    def die_during(self, path: str, *events: Mapping[str, Any]) -> None:
        """A process is killed while the server has its PUT and has not begun to work on it."""
        state = self.books.sandbox.state
        with state.lock:
            state.faults.script(ScriptedFault("slow", method="PUT", path=path))
        file = self.books.file(events)
        command = [sys.executable, "-m", "sync", "run", "--events", str(file), "--mappings", str(self.books.mappings)]
        environ = {"PATH": os.environ["PATH"], "PYTHONPATH": os.environ.get("PYTHONPATH", ""), **self.books.environ()}
        with subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            assert wait_until(self._has_it, within_s=LONG_S)
            process.kill()

    def _has_it(self) -> bool:
        with self.books.sandbox.state.lock:
            return any(entry["fault"] == "slow" for entry in self.books.sandbox.state.history)

    def apply(self) -> None:
        """The server works on what it has, if it has any; once."""
        if self._has_it() and not self._go_on.is_set():
            before = len(self.recorder.effects)
            self._go_on.set()
            assert wait_until(lambda: len(self.recorder.effects) > before, within_s=LONG_S)

    def go_on(self, *events: Mapping[str, Any]) -> None:
        """Another process, whose clock need not be waited for; the server wakes as soon as that one waits."""

        def wait(seconds: float) -> None:
            self.waited_s += seconds
            self.apply()

        report = runner.run(
            self.books.settings,
            self.books.mappings,
            events=self.books.file(events),
            now=lambda: time.time() + self.waited_s,
            wait=wait,
            max_wait_s=4 * TIMEOUT_S,
        )
        assert report.left == 0
        self.apply()


@pytest.fixture
def server(make_books: Callable[..., Books], monkeypatch: pytest.MonkeyPatch) -> LateServer:
    return LateServer(make_books(books={"http_timeout_s": TIMEOUT_S}, rounding="total"), monkeypatch)


def _customer(revision: int) -> dict[str, Any]:
    address = {**order()["billingAddress"], "line2": f"Rev {revision}"}
    return {
        **order()["customer"],
        "billingAddress": address,
        "currency": "USD",
        "updatedAt": f"2026-03-09T00:00:0{revision}Z",
    }


def _product(revision: int) -> dict[str, Any]:
    return {
        "id": "7001", "sku": "KTL-GSN-17", "name": "Gooseneck kettle", "description": f"Rev {revision}",
        "price": f"6{revision}.50", "currency": "USD", "active": True, "updatedAt": f"2026-03-09T00:00:0{revision}Z",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "path", "record"), [("customer", "users/clients/", _customer), ("product", "items/items/", _product)]
)
def test_a_dead_processes_change_is_waited_for_before_a_newer_one_is_written(
    server: LateServer, kind: str, path: str, record: Callable[[int], Mapping[str, Any]]
) -> None:
    server.books.run(envelope(f"{kind}.created", record(1)))
    server.die_during(path, envelope(f"{kind}.updated", record(2)))
    server.go_on(envelope(f"{kind}.updated", record(3)))
    assert out_of_order(server.recorder.effects) == []
    last = server.recorder.effects[-1].row
    assert "Rev 3" in (last.get("p_street2"), last.get("description"))
    assert server.waited_s > TIMEOUT_S / 2  # the rest went by while processes started


def test_a_dead_processes_rounding_line_does_not_come_into_a_newer_invoice(server: LateServer) -> None:
    old = order("line-discount", payments=[])
    new = order(id=old["id"], orderNumber=old["orderNumber"], customer=old["customer"], updatedAt=_LATER)
    server.die_during("invoices/invoices/", envelope("order.created", old))
    server.go_on(envelope("order.updated", new))
    (invoice,) = server.books.table("invoice")
    assert (str(invoice["amount"]["amount"]), invoice["status"]) == (new["total"], 4)
    assert server.waited_s > TIMEOUT_S / 2  # the rest went by while processes started


def test_a_change_without_a_clear_answer_is_waited_for_as_well(server: LateServer) -> None:
    server.books.run(envelope("customer.created", _customer(1)))
    state = server.books.sandbox.state
    with state.lock:
        state.faults.script(ScriptedFault("error_after", method="PUT", path="users/clients/"))
    server.go_on(envelope("customer.updated", _customer(2)))
    assert [effect.row["p_street2"] for effect in server.recorder.effects] == ["Rev 1", "Rev 2"]
    assert server.waited_s > TIMEOUT_S / 2  # the rest went by while processes started
