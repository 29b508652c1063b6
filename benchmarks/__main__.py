"""Timings as ratios to a peer in the same run: `make bench`.

startup   `mapper --help` and `mapper preview` beside a bare interpreter
transform a spec's engine beside hand-written Python and JSONata bindings; orders a second; a large spec's start
suggest   suggestions for 300 and 1,000 fields a side beside valentine's Coma, where it is installed
review    `mapper review` of ten specs with 300 fields each on 200 samples beside `git diff`
ingress   durable webhooks a second over 32 connections, on SQLite (also with workers at work) and on PostgreSQL
runner    `sync.runner.run` beside a bare httpx2 loop that makes the same calls, with one worker and with four; claims
          a second; one poisoned customer; records that are done already
backfill  100,000 orders, most of them settled, killed half-way (`python -m benchmarks.backfill`, alone: it takes long)
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

from benchmarks.ingress import ingress_benchmark, on_postgresql
from benchmarks.review import review_benchmark
from benchmarks.runner import MAPPINGS, ROOT, claims, runner, settled
from benchmarks.suggest import suggest_benchmark
from benchmarks.timing import median_s
from benchmarks.transform import transform

SAMPLE = ROOT / "fixtures" / "clarity" / "order__plain-card.json"


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


if __name__ == "__main__":
    startup()
    transform()
    suggest_benchmark()
    review_benchmark()
    ingress_benchmark()
    ingress_benchmark(shipped=True)
    on_postgresql()
    runner()
    claims()
    settled()
