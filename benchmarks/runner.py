"""The runner beside a bare httpx2 loop that makes the same calls, at the same concurrency, to the same sandbox.

Also: claims a second with many lanes pending, the others' pace beside one poisoned customer, and what it costs to meet
a record again that is done.
"""

from __future__ import annotations

import json
import queue
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx2
from pydantic import SecretStr

from connectors.sandbox import generator
from sync import inbox
from sync.runner import run
from sync.settings import FreshBooksSettings, RunnerSettings, Settings
from sync.store import Store, open_store

ROOT = Path(__file__).resolve().parents[1]
MAPPINGS = ROOT / "mappings" / "clarity-freshbooks"


@dataclass(frozen=True)
class Books:
    """A sandbox's FreshBooks in a process of its own."""

    url: str
    account_id: str
    token: str

    def settings(self, store: Path, workers: int) -> Settings:
        """Of a runner with this many workers."""
        return Settings(
            store_url=f"sqlite:///{store}",
            runner=RunnerSettings(workers=workers),
            freshbooks=FreshBooksSettings(
                api_url=self.url, account_id=self.account_id, access_token=SecretStr(self.token)
            ),
        )

    def history(self) -> list[dict[str, Any]]:
        """The requests since the last reset, and a reset."""
        control = f"{self.url}/_control"
        calls = httpx2.get(f"{control}/history", params={"system": "freshbooks"}, timeout=60).json()["history"]
        httpx2.post(f"{control}/reset", json={}, timeout=60)
        return [call for call in calls if "/accounting/" in call["path"]]


@contextmanager
def sandbox() -> Iterator[Books]:
    """A sandbox that ends with the block."""
    command = [sys.executable, "-m", "mapper_ai", "sandbox", "--json"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            told = json.loads(process.stdout.readline())["freshbooks"]
            yield Books(told["url"], told["account_id"], told["access_token"])
        finally:
            process.terminate()


@dataclass(frozen=True)
class Took:
    """Seconds by the clock, and of a core of this process."""

    wall_s: float
    core_s: float


def took(work: Callable[[], object]) -> Took:
    """What some work takes."""
    wall_s, core_s = time.perf_counter(), time.process_time()
    work()
    return Took(time.perf_counter() - wall_s, time.process_time() - core_s)


def runner(orders: int = 300, rounds: int = 3) -> None:
    """The runner's share of the bare loop's pace, for one worker and for four.

    Both sides are warm: the modules are loaded and the store is there, as on every day but the first. The mappings are
    read and compiled within the time. On a busy machine the time of a core tells more than the clock.
    """
    with sandbox() as books, tempfile.TemporaryDirectory() as folder:
        _pair(books, Path(folder), 1, 5, seed=1)
    for workers in (1, 4):
        pairs = []
        for number in range(rounds):
            with sandbox() as books, tempfile.TemporaryDirectory() as folder:
                pairs.append(_pair(books, Path(folder), workers, orders, seed=number + 1))
        share = statistics.median(theirs.wall_s / ours.wall_s for ours, theirs, _ in pairs)
        ours, theirs, calls = pairs[-1]
        made = sum(1 for call in calls if call["method"] == "POST" and call["path"].endswith("invoices/invoices"))
        core = [side.core_s / len(calls) * 1000 for side in (ours, theirs)]
        print(
            f"runner, {workers} worker{'s' * (workers > 1):1}     {share:.0%} of a bare loop"
            f" (last: {ours.wall_s:.1f} s and {theirs.wall_s:.1f} s for {len(calls)} calls, {made} invoices;"
            f" {core[0]:.2f} ms and {core[1]:.2f} ms of a core each)"
        )


def _pair(
    books: Books, folder: Path, workers: int, orders: int, *, seed: int
) -> tuple[Took, Took, list[dict[str, Any]]]:
    """The runner, and then the bare loop with the calls that the runner made; the answers are the same."""
    events = folder / "events.ndjson"
    events.write_text(generator.to_ndjson(generator.events(generator.generate(seed, orders))), encoding="utf-8")
    settings = books.settings(folder / "store.db", workers)
    open_store(settings.store_url).close()
    ours = took(lambda: run(settings, MAPPINGS, events=events))
    calls = books.history()
    return ours, took(lambda: replay(books, calls, workers)), calls


def replay(books: Books, calls: list[dict[str, Any]], threads: int) -> None:
    """Send the same requests by bare clients, one a thread, whatever they answer."""
    waiting: queue.SimpleQueue[tuple[str, str, bytes | None]] = queue.SimpleQueue()
    for call in calls:
        url = f"{books.url}{call['path']}" + (f"?{quote(call['query'], safe='=&[]')}" if call["query"] else "")
        body = generator.dumps_exact(call["body"]).encode() if call.get("body") is not None else None
        waiting.put((call["method"], url, body))

    def work() -> None:
        headers = {"Authorization": f"Bearer {books.token}", "Content-Type": "application/json"}
        with httpx2.Client(headers=headers, trust_env=False, timeout=30) as client:
            while True:
                try:
                    method, url, body = waiting.get_nowait()
                except queue.Empty:
                    return
                client.request(method, url, content=body).json()

    workers = [threading.Thread(target=work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


def _event(number: int, customer: str) -> dict[str, Any]:
    resource = {"id": str(number), "customerId": customer}
    return {
        "id": f"e{number}",
        "type": "order.created",
        "data": {"object": "order", "id": str(number), "resource": resource},
    }


def _work(store: Store, events: int) -> float:
    """Seconds for that many events, from claim to settled, of which every lane has its own."""
    began = time.perf_counter()
    for _ in range(events):
        event = inbox.next_due(store, now=2.0, owner="bench")
        assert event is not None
        inbox.settle(store, event, state="done", fate="done", now=2.0)
    return time.perf_counter() - began


def claims(pending: int = 100_000, blocked: int = 10_000, events: int = 100, rounds: int = 7) -> None:
    """Claims a second with few and with many lanes pending, and beside a customer whose events wait for a retry.

    The three take turns, so that a busy disk slows all of them.
    """
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        stores = []
        for number, (lanes, poisoned) in enumerate([(events * 9, 0), (pending, 0), (events * 9, blocked)]):
            store = open_store(f"sqlite:///{folder}/{number}.db")
            stack.callback(store.close)
            if poisoned:
                inbox.ingest(store, [_event(-n - 1, "poisoned") for n in range(poisoned)], source="bench", now=0.0)
                head = inbox.next_due(store, now=1.0, owner="bench")
                assert head is not None
                inbox.settle(store, head, state="pending", fate="retry", due=1e9, now=1.0)
            for first in range(0, lanes, 5_000):
                part = range(first, min(first + 5_000, lanes))
                inbox.ingest(store, [_event(n, f"c{n}") for n in part], source="bench", now=1.0)
            _work(store, 20)
            stores.append(store)
        times = [[_work(store, events) for store in stores] for _ in range(rounds)]
    few, many = (events / statistics.median(turn[i] for turn in times) for i in (0, 1))
    beside = statistics.median(turn[0] / turn[2] for turn in times)
    print(f"claim and settle     {few:.0f} a second; {many:.0f} with {pending:,} lanes pending")
    print(f"one poisoned customer ({blocked:,} blocked events): the others reach {beside:.2f} of their pace")


def settled(orders: int = 200) -> None:
    """What an order costs that is done already and comes again by another delivery."""
    with sandbox() as books, tempfile.TemporaryDirectory() as folder:
        settings, first = books.settings(Path(folder) / "store.db", 4), Path(folder) / "first.ndjson"
        bodies = [body for body in generator.events(generator.generate(1, orders)) if body["type"].startswith("order.")]
        first.write_text(generator.to_ndjson(bodies), encoding="utf-8")
        run(settings, MAPPINGS, events=first)
        books.history()
        again = Path(folder) / "again.ndjson"
        again.write_text(
            generator.to_ndjson([{**body, "id": f"again-{body['id']}"} for body in bodies]), encoding="utf-8"
        )
        began = time.perf_counter()
        report = run(settings, MAPPINGS, events=again)
        took = time.perf_counter() - began
        done, asked = report.fates.get("done", 0), len(books.history())
    each_ms = took / len(bodies) * 1000
    print(f"met again            {each_ms:.1f} ms an order, {asked} requests ({done} of {len(bodies)} were done)")
