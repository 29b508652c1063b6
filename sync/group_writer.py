"""Group commit: what many requests bring is stored by one thread, one transaction a batch.

A commit waits for the disk; a thousand deliveries can share one. Nobody is answered before the commit of its own.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from sync.intake import Prepared, Result, store_all
from sync.store import Store
from sync.traffic import Traffic

log = logging.getLogger(__name__)

QUEUE_SIZE = 10_000
"""Deliveries that may wait for their commit; one more is told to come again."""
BATCH = 256


@dataclass(frozen=True, slots=True)
class _Waiting:
    delivery: Prepared
    loop: asyncio.AbstractEventLoop
    answer: asyncio.Future[Result]


class GroupWriter:
    """Stores deliveries from many requests in few transactions."""

    def __init__(
        self,
        store: Store,
        *,
        now: Callable[[], float],
        on_new: Callable[[], None] | None = None,
        traffic: Traffic | None = None,
    ) -> None:
        """Start the writing thread.

        Args:
            on_new: Called after a commit that brought new events.
            traffic: Told of every batch.
        """
        self._traffic = traffic or Traffic()
        self._store = store
        self._now = now
        self._on_new = on_new or (lambda: None)
        self._queue: queue.Queue[_Waiting | None] = queue.Queue(QUEUE_SIZE)
        self._thread = threading.Thread(target=self._work, name="inbox-writer", daemon=True)
        self._thread.start()

    def submit(self, delivery: Prepared) -> asyncio.Future[Result]:
        """Store a delivery; the future, of the running loop, ends after the commit.

        Raises:
            queue.Full: Too many are waiting.
        """
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Result] = loop.create_future()
        self._queue.put_nowait(_Waiting(delivery, loop, answer))
        return answer

    @property
    def alive(self) -> bool:
        """Whether deliveries can be stored."""
        return self._thread.is_alive()

    @property
    def waiting(self) -> int:
        """How many deliveries wait to be taken into a batch."""
        return self._queue.qsize()

    def close(self) -> None:
        """Store what is waiting and end the thread."""
        self._queue.put(None)
        self._thread.join()

    def _work(self) -> None:
        running = True
        while running:
            batch = [self._queue.get()]
            while len(batch) < BATCH and batch[-1] is not None:
                try:
                    batch.append(self._queue.get_nowait())
                except queue.Empty:
                    break
            running = batch[-1] is not None
            waiting = [item for item in batch if item is not None]
            if waiting:
                self._traffic.arrived(len(waiting))
                self._store_batch(waiting)

    def _store_batch(self, batch: Sequence[_Waiting]) -> None:
        told: Sequence[Result | Exception]
        try:
            told = self._store_these([item.delivery for item in batch])
        except Exception as error:  # every waiting request must get an answer, and one bad row must not fail the others
            log.error("deliveries could not be stored together", exc_info=error)
            told = [self._store_one(item.delivery) for item in batch]
        if "new" in told:
            self._on_new()
        answers = list(zip(batch, told, strict=True))
        for loop in {item.loop for item in batch}:
            mine = [(item.answer, result) for item, result in answers if item.loop is loop]
            with suppress(RuntimeError):  # the server has ended; the deliveries are stored all the same
                loop.call_soon_threadsafe(_answer, mine)

    def _store_one(self, delivery: Prepared) -> Result | Exception:
        try:
            return self._store_these([delivery])[0]
        except Exception as error:  # the sender is told 503 and tries again
            return error

    def _store_these(self, deliveries: list[Prepared]) -> list[Result]:
        return store_all(self._store, deliveries, now=self._now())


def _answer(answers: Sequence[tuple[asyncio.Future[Result], Result | Exception]]) -> None:
    for answer, result in answers:
        if answer.done():
            continue  # the sender has gone; the delivery is stored all the same
        if isinstance(result, Exception):
            answer.set_exception(result)
        else:
            answer.set_result(result)
