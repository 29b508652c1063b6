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
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any, cast

import httpx2

from connectors.errors import AmbiguousWriteError
from connectors.freshbooks import FreshBooks


@dataclass(frozen=True)
class Plan:
    """What is to happen in one process.

    Attributes:
        seed: Of its choices.
        host: Name of the machine it believes to be on; another one's workers are known by their lease alone.
        lease_s: Lease of a lane.
        die_between: Share of writes before which it is killed, after the right to write was checked.
        die_after: Share of writes after which it is killed, the server having applied them.
        stop_at: Once, before a write whose "METHOD entity" matches, it stops like a frozen machine until it is told
            to go on.
        naive: A write without a clear answer is sent again at once.
        unchecked: Nobody looks whether the right to write has run out before a write is sent.
    """

    seed: int = 0
    host: str = ""
    lease_s: float = 0.0
    die_between: float = 0.0
    die_after: float = 0.0
    stop_at: str = ""
    naive: bool = False
    unchecked: bool = False

    def text(self) -> str:
        """As the command line takes it: what differs from doing nothing."""
        return json.dumps({name: value for name, value in vars(self).items() if value != getattr(Plan, name)})


def arrange(plan: Plan) -> None:
    """Patch this process."""
    chance = random.Random(plan.seed)  # noqa: S311 - reproducible kills
    if plan.host:
        socket.gethostname = lambda: plan.host
    if plan.lease_s:
        _lease(plan.lease_s)
    if plan.naive:
        _naive()
    if plan.unchecked:
        _unchecked()
    _before_writes(plan, chance)
    _after_writes(plan, chance)


def _lease(lease_s: float) -> None:
    from sync import inbox

    for function in (inbox.next_due, inbox.renew):
        defaults = cast(dict[str, Any], function.__kwdefaults__)
        defaults["lease_s"] = lease_s


def _unchecked() -> None:
    """Only the fence is checked, and what happens after that check is not looked at."""


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


def _before_writes(plan: Plan, chance: random.Random) -> None:
    """Between the check of the right to write and the send."""
    stops = [re.compile(plan.stop_at)] if plan.stop_at else []

    def disturbed(method: str, original: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(original)
        def write(self: FreshBooks, entity: str, *arguments: Any, **options: Any) -> Any:
            if chance.random() < plan.die_between:
                os.kill(os.getpid(), signal.SIGKILL)
            if stops and stops[0].search(f"{method} {entity}"):
                stops.clear()
                os.kill(os.getpid(), signal.SIGSTOP)
            return original(self, entity, *arguments, **options)

        return write

    patched = cast(Any, FreshBooks)
    patched.create, patched.update = disturbed("POST", FreshBooks.create), disturbed("PUT", FreshBooks.update)


def _after_writes(plan: Plan, chance: random.Random) -> None:
    """After the server has applied a write and before anybody here knows."""
    send = httpx2.Client.send

    def do_send(client: httpx2.Client, request: httpx2.Request, **options: Any) -> Any:
        answer = send(client, request, **options)
        if request.method != "GET" and "/accounting/" in request.url.path and chance.random() < plan.die_after:
            os.kill(os.getpid(), signal.SIGKILL)
        return answer

    cast(Any, httpx2.Client).send = do_send


def main() -> int:
    """Patch, then be `mapper-sync`."""
    arrange(Plan(**json.loads(sys.argv[1])))
    from sync.__main__ import main as mapper_sync

    return mapper_sync(sys.argv[2:])


if __name__ == "__main__":
    sys.exit(main())
