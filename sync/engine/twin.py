"""The deterministic twin of the in-process engine, for tests: no threads, and time passes when it is told to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sync.engine.inprocess import SWEEP_S, InProcessEngine
from sync.engine.pool import Pool
from sync.engine.port import Work
from sync.worker import Context, Step

_ENDLESS: Final = 100_000


class Clock:
    """Unix seconds that stand still."""

    def __init__(self, at: float = 1_772_000_000.0) -> None:
        self.at = at

    def __call__(self) -> float:
        return self.at


class _InlinePool(Pool):
    """Workers without threads, that take turns."""

    def __init__(self, context: Context, workers: Sequence[Work]) -> None:
        super().__init__(context, lambda: workers[0], 0)
        self._context = context
        self._workers = workers
        self.hinted = False

    def hint(self, count: int = 1) -> None:
        self.hinted = True

    def settle(self) -> list[Step]:
        """Let every worker make a step in turn, until none finds anything."""
        steps: list[Step] = []
        while self.hinted:
            self.hinted = False
            for worker in self._workers:
                if self._context.stop.is_set():
                    break
                drained = worker.drain(most=1, on_step=steps.append)
                self.hinted = self.hinted or bool(drained.events and drained.stopped is None)
            if len(steps) > _ENDLESS:
                raise AssertionError("the workers find something for ever")
        return steps


class TwinEngine(InProcessEngine):
    """Does what the in-process engine does, in the caller's thread, when `settle` or `advance` is called."""

    name = "twin"

    def __init__(self, context: Context, workers: Sequence[Work], *, clock: Clock, wakes: bool = True) -> None:
        """Start nothing yet.

        Args:
            context: Its ``now`` is the clock.
            workers: At least one; a list whose members may change between two calls.
            clock: Is moved by `advance` alone.
            wakes: False drops every wake.
        """
        super().__init__(context, lambda: workers[0], workers=len(workers), role="twin", wakes=wakes)
        self._inline = _InlinePool(context, workers)
        self.pool = self._inline
        self.clock = clock

    def start(self) -> None:
        """As the port says, without a thread."""
        self.enlist()

    def begin(self, name: str, _number: int) -> None:
        """Run a job that is due, here and now."""
        self._run_job(self._jobs[name])

    def settle(self) -> list[Step]:
        """Work on what somebody was woken for; what came of it, in order."""
        return self._inline.settle()

    def advance(self, seconds: float) -> list[Step]:
        """Let time pass, with a sweep every second."""
        steps, until = self.settle(), self.clock.at + seconds
        while self.clock.at < until:
            self.clock.at = min(until, self.clock.at + SWEEP_S)
            self.sweep()
            steps += self.settle()
        return steps
