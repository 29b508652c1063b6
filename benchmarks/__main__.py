"""Timings as ratios to a peer in the same run: `make bench`.

startup   `mapper --help` and `mapper preview` beside a bare interpreter
transform a spec's engine beside hand-written Python and JSONata bindings; orders a second; a large spec's start
suggest   suggestions for 300 and 1,000 fields a side beside valentine's Coma, where it is installed
review    `mapper review` of ten specs with 300 fields each on 200 samples beside `git diff`
runner    `sync.runner.run` beside a bare httpx2 loop that makes the same calls to the same sandbox
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import httpx2
from pydantic import SecretStr

from benchmarks.review import review_benchmark
from benchmarks.suggest import suggest_benchmark
from benchmarks.transform import transform
from connectors.sandbox import generator
from connectors.sandbox.server import Sandbox, running_sandbox
from sync.runner import run
from sync.settings import FreshBooksSettings, Settings

ROOT = Path(__file__).resolve().parents[1]
MAPPINGS = ROOT / "mappings" / "clarity-freshbooks"
SAMPLE = ROOT / "fixtures" / "clarity" / "order__plain-card.json"


def median_s(work: Callable[[], object], runs: int = 5) -> float:
    """Median wall time of a few runs, in seconds, after one that does not count."""
    work()
    times = []
    for _ in range(runs):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def python(*words: str) -> Callable[[], object]:
    """A child interpreter with these arguments."""
    return lambda: subprocess.run([sys.executable, *words], cwd=ROOT, stdout=subprocess.DEVNULL, check=True)


def startup() -> None:
    """How much slower than a bare interpreter the commands start."""
    bare = median_s(python("-c", "pass"))
    spec = str(MAPPINGS / "order-to-invoice.yaml")
    for name, words in {
        "mapper --help": ("-m", "mapper_ai", "--help"),
        "mapper preview": ("-m", "mapper_ai", "preview", spec, "--sample", str(SAMPLE), "--json"),
    }.items():
        took = median_s(python(*words))
        print(f"{name:20} {took:.3f} s   {took / bare:.1f} x a bare interpreter ({bare:.3f} s)")


def runner(orders: int = 100) -> None:
    """The runner's share of what the bare calls need."""
    cases = generator.generate(1, orders)
    with tempfile.TemporaryDirectory() as folder, running_sandbox() as sandbox:
        events = Path(folder) / "events.ndjson"
        events.write_text(generator.to_ndjson(generator.events(cases)), encoding="utf-8")
        settings = Settings(
            store_url=f"sqlite:///{folder}/store.db",
            freshbooks=FreshBooksSettings(
                api_url=sandbox.freshbooks_url,
                account_id=sandbox.account_id,
                access_token=SecretStr(sandbox.access_token),
            ),
        )
        began = time.perf_counter()
        run(settings, MAPPINGS, events=events)
        ours = time.perf_counter() - began
        with sandbox.state.lock:
            calls = [dict(entry) for entry in sandbox.state.history]
            sandbox.state.reset()
        theirs = replay(sandbox, calls)
        invoices = sum(1 for call in calls if call["method"] == "POST" and "invoices" in call["path"])
    print(f"runner               {ours:.2f} s for {len(calls)} calls ({invoices} invoices)")
    print(f"bare httpx2 loop     {theirs:.2f} s; the runner reaches {theirs / ours:.0%} of its speed")


def replay(sandbox: Sandbox, calls: list[dict[str, object]]) -> float:
    """Seconds a bare client needs for the same requests, whatever they answer."""
    headers = {"Authorization": f"Bearer {sandbox.access_token}", "Content-Type": "application/json"}
    with httpx2.Client(headers=headers, trust_env=False) as client:
        began = time.perf_counter()
        for call in calls:
            url = f"{sandbox.freshbooks_url}{call['path']}" + (f"?{call['query']}" if call["query"] else "")
            body = generator.dumps_exact(call["body"]).encode() if call.get("body") is not None else None
            client.request(str(call["method"]), url, content=body)
        return time.perf_counter() - began


if __name__ == "__main__":
    startup()
    transform()
    suggest_benchmark()
    review_benchmark()
    runner()
