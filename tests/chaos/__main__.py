"""`make chaos`: the long form of the suite. Every seed is printed, and `--seed` repeats one."""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from tests.chaos.run import Chaos, chaos_run
from tests.postgres import fresh_database, packaged_server


def main() -> int:
    """Run and print; 1 when a promise was broken."""
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--seed", type=int, help="of the first run; the next ones count on (default: any)")
    parser.add_argument("--events", type=int, default=1000, help="changes in the shop, each run (default 1000)")
    parser.add_argument("--runs", type=int, default=2, help="on each store (default 2)")
    parser.add_argument("--store", choices=["sqlite", "postgresql"], help="one store only (default: both)")
    parser.add_argument("--within", type=float, default=1800.0, metavar="SECONDS", help="longest run (default 1800)")
    parser.add_argument("--folder", type=Path, help="keep the logs of all processes here")
    wanted = parser.parse_args()
    first = random.SystemRandom().randrange(10**6) if wanted.seed is None else wanted.seed
    broken = 0
    with ExitStack() as stack:
        folder = wanted.folder or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="chaos-")))
        for store in [wanted.store] if wanted.store else ["sqlite", "postgresql"]:
            server = stack.enter_context(packaged_server()) if store == "postgresql" else ""
            for seed in range(first, first + wanted.runs):
                broken += _run(store, server, Chaos(seed, wanted.events, within_s=wanted.within), folder)
    print(f"{broken} of the runs broke a promise" if broken else "every promise was kept")
    return 1 if broken else 0


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
