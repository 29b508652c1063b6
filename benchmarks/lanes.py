"""What a claim costs with 100,000 events waiting, and what a customer whose events always fail costs the others.

The flow is left out: an event is claimed and settled, so that nothing but inbox and lanes is measured.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sync import inbox
from sync.envelope import Delivery
from sync.intake import prepare, store_all
from sync.store import Store, open_store

BATCH = 1000


@contextmanager
def fresh_store() -> Iterator[Store]:
    """An empty SQLite store that goes with the block."""
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(f"sqlite:///{Path(folder) / 'lanes.db'}")
        try:
            yield store
        finally:
            store.close()


def fill(store: Store, count: int, *, customers: int, first: str = "c") -> None:
    """Orders of so many customers, in turn."""
    for begin in range(0, count, BATCH):
        made = []
        for number in range(begin, min(begin + BATCH, count)):
            resource = {"id": f"{first}{number}", "customer": {"id": f"{first}{number % customers}"}}
            data = {"object": "order", "id": resource["id"], "resource": resource}
            envelope = {"id": f"evt_{first}{number}", "type": "order.created", "data": data}
            made.append(prepare(Delivery(envelope, "0" * 64), source="webhook"))
        store_all(store, made, now=0.0)


def claim_s(store: Store, count: int) -> float:
    """Seconds for claiming and settling one event, the median of many."""
    owner = inbox.new_owner()
    took = []
    for _ in range(count):
        began = time.perf_counter()
        event = inbox.next_due(store, now=1.0, owner=owner)
        if event is None:
            raise SystemExit("nothing is due: too few events for the measurement")
        inbox.settle(store, event, state="done", fate="done", now=1.0)
        took.append(time.perf_counter() - began)
    return statistics.median(took)


def claims(waiting: int = 100_000) -> None:
    """What a claim costs with few and with many events waiting."""
    found = {}
    for count in (1000, waiting):
        with fresh_store() as store:
            fill(store, count, customers=max(1, count // 5))
            found[count] = claim_s(store, 300)
    few, many = found[1000], found[waiting]
    print(
        f"claims               {many * 1e6:.0f} us each with {waiting:,} events waiting, {few * 1e6:.0f} us with 1,000:"
        f" {many / few:.2f} x"
    )


def others_s(store: Store, *, poisoned: bool, count: int) -> float:
    """Seconds until the others' events are done; those of the poisoned customer fail and are tried again."""
    fill(store, count, customers=20)
    if poisoned:
        fill(store, count, customers=1, first="poison")
    owner, done = inbox.new_owner(), 0
    began = time.perf_counter()
    while done < count:
        now = 1.0 + time.perf_counter() - began
        event = inbox.next_due(store, now=now, owner=owner)
        if event is None:
            raise SystemExit("the others' events are not claimed while one customer fails")
        if event.lane_key == "customer:poison0":
            inbox.settle(store, event, state="pending", fate="retry", due=now + 0.2, now=now)
        else:
            inbox.settle(store, event, state="done", fate="done", now=now)
            done += 1
    return time.perf_counter() - began


def poison(pairs: int = 5, count: int = 300) -> None:
    """The others' throughput beside a poisoned customer, as a share of that without one; medians of pairs."""
    shares = []
    for number in range(2 * pairs):
        with fresh_store() as store:
            took = others_s(store, poisoned=bool((number + number // 2) % 2), count=count)
        shares.append((bool((number + number // 2) % 2), took))
    ratios = []
    for one, other in zip(shares[::2], shares[1::2], strict=True):
        clean, beside = (one[1], other[1]) if other[0] else (other[1], one[1])
        ratios.append(clean / beside)
    print(
        f"poisoned customer    the others reach {statistics.median(ratios):.2f} of their throughput without it"
        f" (pairs: {', '.join(f'{ratio:.2f}' for ratio in ratios)})"
    )


if __name__ == "__main__":
    claims()
    poison()
