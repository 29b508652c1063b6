"""Several workers of one process, until nothing is due."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable

from sync.worker import Context, Drained, Flow, Step, Worker

_TURN = 20
"""Events after which a worker looks whether the others have ended."""

_LOOK_AGAIN_S = 0.5
"""How often a worker without work looks whether another process has made some."""


class Pool:
    """N workers that share a context; each of them has at most one lane in hand."""

    def __init__(self, context: Context, flow: Flow, workers: int) -> None:
        """Start nothing yet."""
        self._context = context
        self._workers = [Worker(context, flow) for _ in range(workers)]
        self._changed = threading.Condition()
        self._busy = 0
        self._steps = 0
        self._over = False
        self._drained = Drained()
        self._error: BaseException | None = None
        self._on_step: Callable[[Step], None] | None = None

    def drain(self, *, on_step: Callable[[Step], None] | None = None) -> Drained:
        """Work until no lane is due and none is in hand here, no record can succeed, or the context's stop is set.

        Args:
            on_step: Called after every event, by one thread at a time.

        Raises:
            Exception: What a worker did not expect, such as a failing store; the others have ended.
        """
        self._drained, self._on_step = Drained(), on_step
        self._busy, self._over, self._error = 0, False, None
        if len(self._workers) == 1:
            self._drained = self._workers[0].drain(on_step=on_step)
            return self._drained
        threads = [
            threading.Thread(
                target=contextvars.copy_context().run, args=(self._work, worker), name=f"worker-{number}", daemon=True
            )
            for number, worker in enumerate(self._workers, start=1)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if self._error is not None:
            raise self._error
        return self._drained

    def _work(self, worker: Worker) -> None:
        try:
            while self._turn(worker):
                pass
        except BaseException as error:
            with self._changed:
                self._error = self._error or error
        finally:
            with self._changed:
                self._over = self._over or self._error is not None
                self._changed.notify_all()

    def _turn(self, worker: Worker) -> bool:
        """Drain once, then wait for others to make work; False when there is none left."""
        with self._changed:
            if self._over:
                return False
            self._busy += 1
            seen = self._steps
        try:
            found = worker.drain(most=_TURN, on_step=self._count).events
        finally:
            with self._changed:
                self._busy -= 1
        with self._changed:
            if self._drained.stopped is not None or self._context.stop.is_set():
                self._over = True
            if self._busy == 0 and not found and seen == self._steps:
                self._over = True  # the last one at work found nothing, so nobody made work after it looked
            if self._over:
                self._changed.notify_all()
                return False
            if not found:
                self._changed.wait_for(lambda: self._over or self._steps != seen, timeout=_LOOK_AGAIN_S)
        return True

    def _count(self, step: Step) -> None:
        with self._changed:
            self._steps += 1
            self._drained.add(step)
            if self._on_step is not None:
                self._on_step(step)
            self._changed.notify_all()
