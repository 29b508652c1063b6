"""What the engine tests share: a context around a store, and workers that note what they took from its inbox."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

from sync import inbox
from sync.settings import Settings
from sync.store import Store
from sync.worker import Context, Drained, Step

PATIENCE_S = 60.0


def context_of(store: Store, now: Callable[[], float] = time.time) -> Context:
    """A context without systems."""
    return Context(Settings(), store, None, cast(Any, None), None, False, "run", now)


def customers(*numbers: int) -> list[dict[str, Any]]:
    """An event each, of different customers."""
    return [
        {
            "id": f"e{number}",
            "type": "customer.updated",
            "data": {"object": "customer", "id": str(number), "resource": {"id": number}},
        }
        for number in numbers
    ]


class Taker:
    """A worker that settles what it claims at once."""

    def __init__(self, context: Context, done: list[str] | None = None, *, lease_s: float = inbox.LEASE_S) -> None:
        self.context = context
        self.done = [] if done is None else done
        self.owner = inbox.new_owner()
        self.lease_s = lease_s

    def claim(self) -> inbox.Event | None:
        context = self.context
        return inbox.next_due(context.store, now=context.now(), owner=self.owner, lease_s=self.lease_s)

    def drain(self, *, most: int | None = None, on_step: Callable[[Step], None] | None = None) -> Drained:
        drained = Drained()
        while drained.events != most and not self.context.stop.is_set() and (step := self.step()) is not None:
            drained.add(step)
            if on_step is not None:
                on_step(step)
            if drained.stopped is not None:
                break
        return drained

    def step(self) -> Step | None:
        event = self.claim()
        if event is None:
            return None
        self.done.append(event.record_key)
        inbox.settle(self.context.store, event, state="done", fate="done", now=self.context.now())
        return Step("done", "")


def wait_until(condition: Callable[[], Any], *, what: str) -> Any:
    """What the condition gives as soon as it is true."""
    until, pause = time.monotonic() + PATIENCE_S, threading.Event()
    while not (found := condition()):
        assert time.monotonic() < until, f"not within {PATIENCE_S:g} s: {what}"
        pause.wait(0.02)
    return found


@contextmanager
def running(engine: Any) -> Iterator[Any]:
    """An engine between start and stop."""
    engine.start()
    try:
        yield engine
    finally:
        engine.stop(20)
