"""A backfill of many orders, most of them settled already, killed half-way and begun again.

`python -m benchmarks.backfill [ORDERS FRESH]`: seconds, memory of the runner at the beginning and at its most, and how
often each order that was not settled has been invoiced, as FreshBooks tells. It ends with 1 when one was not invoiced
exactly once.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from benchmarks.runner import MAPPINGS, ROOT
from connectors.profiles import load_profile
from connectors.sandbox import generator
from connectors.sandbox.server import Sandbox, running_sandbox
from sync import inbox
from sync.adoption import BACKFILL
from sync.reading import reading_of
from sync.store import inbox as inbox_table
from sync.store import lane as lane_table
from sync.store import open_store

BATCH = 1000
PAGES_UNTIL_KILLED = 0.5


def orders(count: int) -> Iterator[dict[str, Any]]:
    """Orders that go through, paid, each of its own number; of a few hundred customers."""
    cases = [case.order for case in generator.generate(1, 400) if case.label == "post"]
    for number in range(count):
        plain = cases[number % len(cases)]
        payments = [{**one, "id": f"{number}-{place}"} for place, one in enumerate(plain["payments"])]
        yield {**plain, "id": str(1_000_000 + number), "orderNumber": f"BULK-{number}", "payments": payments}


def settle(store_url: str, wanted: list[dict[str, Any]]) -> None:
    """Leave a store as a runner leaves it that has worked off these orders."""
    reading = reading_of(load_profile("clarity-rest"))
    store = open_store(store_url)
    for first in range(0, len(wanted), BATCH):
        part = [
            {
                "id": f"was:{one['id']}",
                "type": "order.updated",
                "data": {"object": "order", "id": one["id"], "updatedAt": one["updatedAt"], "resource": one},
            }
            for one in wanted[first : first + BATCH]
        ]
        inbox.ingest(store, part, source=BACKFILL, now=time.time(), reading=reading)
    with store.write() as conn:
        conn.execute(sa.update(inbox_table).values(state="done", fate="done", settled_at=time.time()))
        conn.execute(sa.update(lane_table).values(due=None, head=None))
    store.close()


def rss_mb(process: subprocess.Popen[Any]) -> float:
    """Resident memory of a process that lives."""
    try:
        lines = Path(f"/proc/{process.pid}/status").read_text("ascii").splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS")), 0.0)


def pages_read(sandbox: Sandbox) -> int:
    """How many pages of orders Clarity has given."""
    with sandbox.state.lock:
        return sum(1 for one in sandbox.state.history if one["system"] == "clarity" and one["path"].endswith("/orders"))


def backfill(count: int = 100_000, fresh: int = 1_000) -> int:
    """Run it; the number of orders that were not invoiced exactly once."""
    every = list(orders(count))
    step = count // fresh
    left = {one["orderNumber"] for one in every[::step]}
    with tempfile.TemporaryDirectory() as folder, running_sandbox() as sandbox:
        url = f"sqlite:///{folder}/store.db"
        settle(url, [one for one in every if one["orderNumber"] not in left])
        for one in every:
            sandbox.state.clarity.put("orders", one, silent=True)
        every.clear()
        environ = {
            **os.environ,
            "MAPPER_STORE_URL": url,
            "FRESHBOOKS_API_URL": sandbox.freshbooks_url,
            "FRESHBOOKS_ACCOUNT_ID": sandbox.account_id,
            "FRESHBOOKS_ACCESS_TOKEN": sandbox.access_token,
            "CLARITY_API_URL": sandbox.clarity_url,
            "CLARITY_CLIENT_ID": sandbox.client_id,
            "CLARITY_CLIENT_SECRET": sandbox.client_secret,
        }
        words = ["backfill", "--mappings", str(MAPPINGS), "--from", "2000-01-01", "--entities", "order", "--json"]
        took, memory = 0.0, []
        for kill_at in (count / 100 * PAGES_UNTIL_KILLED, None):
            began, seen = time.monotonic(), []
            child = subprocess.Popen(
                [sys.executable, "-m", "sync", *words],
                cwd=ROOT,
                env=environ,
                stdout=subprocess.DEVNULL,
            )
            while child.poll() is None:
                time.sleep(0.5)
                seen.append(rss_mb(child))
                if kill_at is not None and pages_read(sandbox) >= kill_at:
                    child.kill()
                    child.wait()
            took += time.monotonic() - began
            memory.append((seen[min(len(seen) - 1, 10)], max(seen)))
        invoiced = Counter(str(row["invoice_number"]) for row in sandbox.state.freshbooks.tables["invoice"].values())
    wrong = {number for number in left | set(invoiced) if invoiced[number] != (number in left)}
    shown = ", ".join(f"{early:.0f} MB after 5 s, {most:.0f} MB at most" for early, most in memory)
    print(
        f"backfill             {count:,} orders, {count - len(left):,} settled: {took:.0f} s, killed half-way; {shown};"
    )
    print(f"                     {len(left) - len(wrong & left)} of {len(left)} invoiced once, {len(wrong)} not")
    return len(wrong)


if __name__ == "__main__":
    sys.exit(1 if backfill(*(int(word) for word in sys.argv[1:3])) else 0)
