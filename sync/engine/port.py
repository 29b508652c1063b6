"""The port: what the runner asks of an engine."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Protocol

from sync.errors import SyncError
from sync.jobs import Job
from sync.worker import Drained, Step


class EngineError(SyncError):
    """The engine cannot be started; the message says what to change."""


class Work(Protocol):
    """What an engine lets do: one worker. Each thread has one of its own."""

    def drain(self, *, most: int | None = None, on_step: Callable[[Step], None] | None = None) -> Drained:
        """Work on what is due until nothing is, or on so many events; calls back after every one."""
        ...


@dataclass(frozen=True)
class EngineStatus:
    """How the engine of this process is.

    Attributes:
        workers: Threads that are alive.
        wakes_sent: To other processes, since the start.
        wakes_heard: From whatever process, itself included.
    """

    name: str
    workers: int
    wakes_sent: int
    wakes_heard: int


class Engine(Protocol):
    """Wakes workers and runs jobs. Safe to call from several threads between ``start`` and ``stop``."""

    name: str

    def schedule(self, job: Job) -> None:
        """Repeat a job, in one process at a time; before ``start``."""
        ...

    def start(self) -> None:
        """Begin.

        Raises:
            EngineError: It cannot.
        """
        ...

    def wake(self, lanes: Collection[str] = ()) -> None:
        """Something became due on these lanes, or somewhere. A hint: never blocks, never raises, may get lost."""
        ...

    def sweep(self) -> None:
        """Look for everything that nobody was woken for: due rows, lanes and jobs of the dead. Also done every second.

        Raises:
            DBAPIError: The store fails.
        """
        ...

    def status(self) -> EngineStatus:
        """How it is."""
        ...

    @property
    def healthy(self) -> bool:
        """Whether this process does its part: all of its threads live, and it was not told to stop."""
        ...

    def stop(self, within_s: float) -> bool:
        """End after the writes in hand; True when they ended in time. What did not is settled by the next process."""
        ...
