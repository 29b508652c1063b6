"""The worker threads of one process: each claims whatever is due, until nothing is, and then waits for a hint."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Final

from sync import records
from sync.engine.port import Work
from sync.log import bound
from sync.worker import Context, Step

log = logging.getLogger(__name__)

_FAILED_PAUSE_S: Final = 1.0
_STOPPED_PAUSE_S: Final = 60.0


class Pool:
    """Worker threads."""

    def __init__(self, context: Context, make_worker: Callable[[], Work], size: int) -> None:
        """Start nothing yet.

        Args:
            make_worker: Called once in each thread.
            size: Threads; 0 is allowed, for a process that only takes webhooks.
        """
        self._context = context
        self._make_worker = make_worker
        self._changed = threading.Condition()
        self._hints = 0
        self._waiting = 0
        self._look_again_at = 0.0
        self._threads = [
            threading.Thread(target=self._run, name=f"worker-{number}", daemon=True) for number in range(1, size + 1)
        ]

    def start(self) -> None:
        """Start the threads."""
        for thread in self._threads:
            thread.start()

    def hint(self, count: int = 1) -> None:
        """Let so many idle workers look; one that finds something hands the hint on to the next."""
        with self._changed:
            self._hints = min(len(self._threads), self._hints + max(1, count))
            self._changed.notify(self._hints)

    @property
    def idle(self) -> int:
        """Threads that wait and that nobody has hinted at."""
        with self._changed:
            return max(0, self._waiting - self._hints)

    @property
    def alive(self) -> int:
        """Threads that live."""
        return sum(thread.is_alive() for thread in self._threads)

    @property
    def whole(self) -> bool:
        """Whether every thread lives."""
        return self.alive == len(self._threads)

    def join(self, until: float) -> bool:
        """Wait for the writes in hand, with the stop event set; True when all threads ended before (monotonic)."""
        with self._changed:
            self._changed.notify_all()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(max(0.0, until - time.monotonic()))
        return self.alive == 0

    def _run(self) -> None:
        with bound(run=self._context.run_id):
            worker = self._make_worker()
            while self._hinted():
                self._drain(worker)

    def _hinted(self) -> bool:
        """Wait for a hint and take it; False when it is time to end."""
        with self._changed:
            self._waiting += 1
            self._changed.wait_for(lambda: self._hints or self._context.stop.is_set())
            self._waiting -= 1
            self._hints = max(0, self._hints - 1)
        return not self._context.stop.is_set()

    def _drain(self, worker: Work) -> None:
        try:
            if self._is_paused():
                return
            if worker.drain(on_step=self._pass_on()).stopped is not None:
                self._look_again_at = time.monotonic() + _STOPPED_PAUSE_S
        except Exception as error:  # the store failed, or worse: a worker never ends by itself
            log.error("a worker failed; trying again", exc_info=error)
            self._context.stop.wait(_FAILED_PAUSE_S)

    def _pass_on(self) -> Callable[[Step], None]:
        """Hands the hint on after the first event that is worked on: where one was, there may be more."""
        passed: list[bool] = []

        def on_step(step: Step) -> None:
            if not passed and step.fate != "stop":
                passed.append(True)
                self.hint()

        return on_step

    def _is_paused(self) -> bool:
        """No record can succeed: wait a while, or until somebody, in whatever process, has signed in again."""
        if time.monotonic() >= self._look_again_at:
            return False
        known = records.connections(self._context.store).get("freshbooks")
        if known is None or known.state != "ok":
            return True
        self._look_again_at = 0.0
        return False
