"""Lets a program see its requests as they happen: which kind, how long, what came of it; never what they held."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass

Told = Callable[[str], None]
"""Takes the outcome: a status such as "200", "no-answer" where nothing changed, or "in-doubt"."""


@dataclass(frozen=True)
class Sent:
    """One request.

    Attributes:
        host: Host and port.
        operation: Names the call, without values: "POST invoices/invoices".
    """

    host: str
    method: str
    operation: str


Watcher = Callable[[Sent], AbstractContextManager[Told]]

_watchers: tuple[Watcher, ...] = ()


@contextmanager
def watched_by(watcher: Watcher) -> Iterator[None]:
    """Show every request of this process to the watcher while the block lasts."""
    global _watchers
    _watchers = (*_watchers, watcher)
    try:
        yield
    finally:
        _watchers = tuple(known for known in _watchers if known is not watcher)


@contextmanager
def shown(host: str, method: str, operation: str) -> Iterator[Told]:
    """Around one request; what is yielded takes the outcome."""
    watchers = _watchers
    if not watchers:
        yield _nobody
        return
    sent = Sent(host, method, operation)
    with ExitStack() as stack:
        told = [stack.enter_context(watcher(sent)) for watcher in watchers]

        def tell(outcome: str) -> None:
            for one in told:
                one(outcome)

        yield tell


def _nobody(_outcome: str) -> None:
    """Nobody is watching."""
