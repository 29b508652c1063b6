"""`make chaos`: the long form of the suite. Every seed is printed, and `--seed` repeats one."""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from connectors.sandbox.server import running_sandbox
from tests.chaos.crash import forker
from tests.chaos.launch import Plan
from tests.chaos.recorder import Recorder
from tests.chaos.run import DIE_AFTER, DIE_BETWEEN, Chaos, chaos_run
from tests.chaos.sweep import FLOWS, MORE_FLOWS, sweep
from tests.flows import Books
from tests.postgres import fresh_database, packaged_server


def main() -> int:
    """Run and print; 1 when a promise was broken."""
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--seed", type=int, help="of the first run; the next ones count on (default: any)")
    parser.add_argument("--events", type=int, default=1000, help="changes in the shop, each run (default 1000)")
    parser.add_argument("--runs", type=int, default=2, help="on each store (default 2; 0 for the crashes alone)")
    parser.add_argument("--store", choices=["sqlite", "postgresql"], help="one store only, and no crash by crash")
    parser.add_argument("--within", type=float, default=1800.0, metavar="SECONDS", help="longest run (default 1800)")
    parser.add_argument("--naive", action="store_true", help="with a runner that sends blindly again: must break")
    parser.add_argument("--folder", type=Path, help="keep the logs of all processes here")
    wanted = parser.parse_args()
    first = random.SystemRandom().randrange(10**6) if wanted.seed is None else wanted.seed
    plan = Plan(die_between=DIE_BETWEEN, die_after=DIE_AFTER, naive=wanted.naive)
    broken = 0
    with ExitStack() as stack:
        folder = wanted.folder or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="chaos-")))
        if wanted.store is None and not wanted.naive:
            broken += _crashes(folder)
        for store in [wanted.store] if wanted.store else ["sqlite", "postgresql"]:
            server = stack.enter_context(packaged_server()) if store == "postgresql" and wanted.runs else ""
            for seed in range(first, first + wanted.runs):
                chaos = Chaos(seed, wanted.events, within_s=wanted.within, plan=plan)
                broken += _run(store, server, chaos, folder)
    print(f"{broken} promises were broken" if broken else "every promise was kept")
    return 1 if broken else 0


def _crashes(folder: Path) -> int:
    """Every flow, crashed at every single boundary."""
    broken, crashes = 0, 0
    for flow in (*FLOWS, *MORE_FLOWS):
        place = folder / f"crashes-{flow.name}"
        place.mkdir(parents=True)
        with running_sandbox() as sandbox, forker(place) as runs:
            books = Books(sandbox, place, http_timeout_s=10.0)
            swept = sweep(flow, books, Recorder(sandbox.state), runs, every=True)
        crashes += swept.crashes
        broken += len(swept.wrong)
        print(f"{flow.name}: crashed at each of {swept.crashes} boundaries, {len(swept.wrong)} with another end")
        print("".join(f"  {line}\n" for line in swept.wrong), end="", flush=True)
    print(f"{crashes} crashes one by one", flush=True)
    return broken


def _run(store: str, server: str, chaos: Chaos, folder: Path) -> int:
    place = folder / f"{store}-{chaos.seed}"
    place.mkdir(parents=True)
    print(f"{store}, seed {chaos.seed} ...", flush=True)
    with ExitStack() as stack:
        if store == "postgresql":
            url, processes = stack.enter_context(fresh_database(server)), 3
        else:
            url, processes = f"sqlite:///{place / 'store.db'}", 1
        several = Chaos(**{**vars(chaos), "processes": processes})
        verdict = chaos_run(several, url, place, say=lambda line: print(line, flush=True))
    print(f"{store}, {verdict}", flush=True)
    return bool(verdict.findings)


if __name__ == "__main__":
    sys.exit(main())
