"""Suggestions for large records, beside valentine's Coma where it is installed.

Made records of business words: 300 and 1,000 fields a side, 20 records, snake_case against camelCase. Each size runs in
a child process, so that its time and peak memory are its own. Coma gets the same columns as flat tables.

    python -m benchmarks.suggest [--coma-python PYTHON]

valentine does not install beside this project's own packages; give the interpreter of an environment that has it.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
SIZES = (300, 1000)
RECORDS = 20
# What a size may take, in seconds; peak memory in MB.
LIMITS = {300: 1.0, 1000: 4.0}
MEMORY_MB = 600
# fmt: off
_WORDS = (
    "billing", "shipping", "customer", "order", "invoice", "line", "item", "tax", "total", "unit", "price",
    "quantity", "discount", "date", "name", "street", "city", "postal", "code", "country", "phone", "email", "note",
    "status", "currency", "amount", "number", "reference", "payment", "method", "due", "terms", "account", "created",
    "updated", "description", "sku", "weight", "vendor", "category", "project", "warehouse", "channel", "rate",
    "percent", "gross", "net", "balance",
)
# fmt: on
_PLACES = ("", "", "customer.", "billing_address.", "lines[].", "lines[].taxes[].", "payments[].", "custom.")


def records(size: int, seed: int) -> list[dict[str, Any]]:
    """RECORDS records of `size` leaves."""
    draw = random.Random(seed)  # noqa: S311  # the same records in every run
    paths: dict[str, None] = {}
    while len(paths) < size:
        words = draw.sample(_WORDS, draw.randint(1, 3))
        name = "_".join(words) if seed % 2 else words[0] + "".join(word.capitalize() for word in words[1:])
        # The last letter keeps a leaf's name from being an object's.
        paths.setdefault(draw.choice(_PLACES) + name + draw.choice(("_a", "_b", f"_{draw.randint(1, 9)}")))
    makers: dict[str, Callable[[], Any]] = {
        path: draw.choice(
            (
                lambda: f"{draw.randint(1, 900)}.{draw.randint(10, 99)}",
                lambda: draw.randint(1, 9999),
                lambda: f"2026-{draw.randint(1, 12):02}-{draw.randint(1, 28):02}",
                lambda: f"{draw.choice(_WORDS)} {draw.choice(_WORDS)} {draw.randint(1, 99)}",
                lambda: draw.random() < 0.5,
            )
        )
        for path in paths
    }
    return [_record(makers) for _ in range(RECORDS)]


def _record(makers: dict[str, Callable[[], Any]]) -> dict[str, Any]:
    record: dict[str, Any] = {}
    for path, make in makers.items():
        place: dict[str, Any] = record
        *parents, leaf = path.split(".")
        for parent in parents:
            many = parent.endswith("[]")
            place = place.setdefault(parent[:-2], [{}])[0] if many else place.setdefault(parent, {})
        place[leaf] = make()
    return record


def measure_ours(size: int) -> dict[str, float]:
    """Seconds for profiles and suggestions, imports included, and peak memory; in this process."""
    left, right = records(size, 1), records(size, 2)
    began = time.perf_counter()
    from mapper_ai.core.profile import profile_records
    from mapper_ai.core.suggest import suggest

    found = suggest(profile_records(left), profile_records(right))
    took = time.perf_counter() - began
    return {"seconds": took, "memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, "rows": len(found)}


# Runs in the other environment, which knows nothing of this project.
_COMA = """
import json, sys, time
import pandas
from valentine import valentine_match
from valentine.algorithms import Coma
left, right = (pandas.DataFrame(rows) for rows in json.load(sys.stdin))
began = time.perf_counter()
# Version 1.0 takes a list of tables, older ones two.
try:
    valentine_match([left, right], Coma(use_instances=False))
except TypeError:
    valentine_match(left, right, Coma(use_instances=False))
print(time.perf_counter() - began)
"""


def measure_coma(python: str, size: int) -> float | str:
    """Seconds of Coma on the same columns, or why there are none."""
    tables = [[_flat(record) for record in records(size, seed)] for seed in (1, 2)]
    done = subprocess.run([python, "-c", _COMA], input=json.dumps(tables), capture_output=True, text=True, check=False)
    if done.returncode == 0 and done.stdout.split():
        return float(done.stdout.split()[-1])
    return (done.stderr.strip().splitlines() or ["no answer"])[-1]


def _flat(value: Any, path: str = "") -> dict[str, Any]:
    """Leaf path, with underscores for dots (a dot breaks Coma) -> value."""
    if isinstance(value, dict):
        pairs = [_flat(child, f"{path}_{key}".strip("_")) for key, child in value.items()]
        return {name: leaf for pair in pairs for name, leaf in pair.items()}
    if isinstance(value, list):
        return _flat(value[0], path)
    return {path: value}


def suggest_benchmark(coma_python: str = sys.executable) -> bool:
    """Print a row a size; whether all stayed within their limits."""
    good = True
    for size in SIZES:
        child = [sys.executable, "-m", "benchmarks.suggest", "--child", str(size)]
        ours = json.loads(subprocess.run(child, cwd=ROOT, capture_output=True, text=True, check=True).stdout)
        fits = ours["seconds"] < LIMITS[size] and ours["memory_mb"] < MEMORY_MB
        good = good and fits
        print(
            f"suggest {size:5} x {size:<5} {ours['seconds']:6.2f} s  {ours['memory_mb']:4.0f} MB"
            f"  {'within' if fits else 'OVER'} {LIMITS[size]:g} s and {MEMORY_MB} MB",
            flush=True,
        )
        coma = measure_coma(coma_python, size)
        told = f"not measured: {coma}" if isinstance(coma, str) else f"{coma:6.2f} s, {coma / ours['seconds']:.0f} x"
        print(f"  valentine's Coma   {told}", flush=True)
    return good


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--coma-python", default=sys.executable, metavar="PYTHON", help="an interpreter with valentine")
    parser.add_argument("--child", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        print(json.dumps(measure_ours(args.child)))
        return 0
    return 0 if suggest_benchmark(args.coma_python) else 1


if __name__ == "__main__":
    raise SystemExit(main())
