"""Starts the real `mapper-sync` with a disturbance inside: `python -m tests.chaos.launch PLAN COMMAND...`.

The product knows nothing of this; what is patched is named here, all of it. PLAN is JSON, see `Plan`.
"""

from __future__ import annotations

import json
import os
import random
import re
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from importlib import import_module
from typing import Any, cast
from urllib.parse import unquote

import httpx2

from connectors.errors import AmbiguousWriteError
from connectors.freshbooks import FreshBooks
from connectors.http import Transport

HANGING = b"hangs as planned\n"
"""What a process says when a thread of it begins to wait for ever."""


_renewing = threading.Lock()


@dataclass(frozen=True)
class Plan:
    """What is to happen in one process. Requests are named "METHOD URL".

    Attributes:
        seed: Of its choices.
        host: Name of the machine it believes to be on; another one's workers are known by their lease alone.
        die_between: Share of writes before which it is killed, after the right to write was checked.
        die_after: Share of writes after which it is killed, the server having applied them.
        die_at: It is killed before every request that matches.
        stop_at: Once, before a request that matches, all of it stops, like a frozen machine, until it is told to go on.
        hang_at: Before a request that matches its thread waits for ever, and the others go on.
        naive: A write without a clear answer is sent again at once.
        unchecked: Nobody looks whether the right to write has grown old when a write is sent.
    """

    seed: int = 0
    host: str = ""
    die_between: float = 0.0
    die_after: float = 0.0
    die_at: str = ""
    stop_at: str = ""
    hang_at: str = ""
    naive: bool = False
    unchecked: bool = False

    def text(self) -> str:
        """As the command line takes it: what differs from doing nothing."""
        return json.dumps({name: value for name, value in vars(self).items() if value != getattr(Plan, name)})


def arrange(plan: Plan) -> None:
    """Patch this process."""
    if plan.host:
        socket.gethostname = lambda: plan.host
    if plan.naive:
        _naive()
    if plan.unchecked:
        _unchecked()
    _watch_renewals()
    _before_requests(plan)
    _after_writes(plan)


def _unchecked() -> None:
    """The lane is proved ours before a write is prepared, and never looked at again."""
    leases: Any = import_module("sync.leases")
    leases.Leases.check = lambda *_arguments: None


def _naive() -> None:
    original = FreshBooks.create

    @wraps(original)
    def create(self: FreshBooks, *arguments: Any, **options: Any) -> Any:
        for _ in range(3):
            try:
                return original(self, *arguments, **options)
            except AmbiguousWriteError:
                continue
        return original(self, *arguments, **options)

    cast(Any, FreshBooks).create = create


def _before_requests(plan: Plan) -> None:
    """Between the last look at the lane and the first byte."""
    exchange = Transport.exchange
    chance = random.Random(plan.seed)  # noqa: S311 - reproducible kills
    stops = [re.compile(plan.stop_at)] if plan.stop_at else []
    in_store = _one_in_the_store() if stops else None

    def disturbed(transport: Transport, method: str, url: str, **options: Any) -> Any:
        named = f"{method} {unquote(url)}"
        dies = method != "GET" and "/accounting/" in url and chance.random() < plan.die_between
        if dies or (plan.die_at and re.search(plan.die_at, named)):
            _die()
        if plan.hang_at and re.search(plan.hang_at, named):
            os.write(2, HANGING)
            threading.Event().wait()
        if stops and stops[0].search(named) and in_store is not None:
            stops.clear()
            with in_store:  # a process that is frozen with the store's lock is another story
                signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)  # this thread is the first to stand still
        return exchange(transport, method, url, **options)

    cast(Any, Transport).exchange = disturbed


def _die() -> None:
    """Not in the middle of a token's renewal: that hole is FreshBooks', and a person's work to mend."""
    if _renewing.acquire(blocking=False):
        os.kill(os.getpid(), signal.SIGKILL)


def _watch_renewals() -> None:
    from connectors.tokens import RefreshingToken

    original = RefreshingToken.refreshed

    def refreshed(tokens: Any, *arguments: Any) -> Any:
        with _renewing:
            return original(tokens, *arguments)

    cast(Any, RefreshingToken).refreshed = refreshed


def _one_in_the_store() -> Any:
    """Let one thread at a time into the store, so that a stop can wait until nobody is there."""
    from sync.store import Store

    lock = threading.RLock()
    original = Store._transaction

    @contextmanager
    def transaction(self: Store, **options: Any) -> Iterator[Any]:
        with lock, original(self, **options) as conn:
            yield conn

    cast(Any, Store)._transaction = transaction
    return lock


def _after_writes(plan: Plan) -> None:
    """After the server has applied a write and before anybody here knows."""
    send = httpx2.Client.send
    chance = random.Random(plan.seed + 1)  # noqa: S311 - reproducible kills

    def do_send(client: httpx2.Client, request: httpx2.Request, **options: Any) -> Any:
        answer = send(client, request, **options)
        if request.method != "GET" and "/accounting/" in request.url.path and chance.random() < plan.die_after:
            _die()
        return answer

    cast(Any, httpx2.Client).send = do_send


def main() -> int:
    """Patch, then be `mapper-sync`."""
    arrange(Plan(**json.loads(sys.argv[1])))
    from sync.__main__ import main as mapper_sync

    return mapper_sync(sys.argv[2:])


if __name__ == "__main__":
    sys.exit(main())
