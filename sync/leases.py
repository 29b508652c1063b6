"""Keeps the lanes in hand: renews their leases by time, and lets no write leave on a lease that has grown old.

A worker that is paused (a stopped process, a machine that slept, a store that did not answer) may find its lane taken
over when it goes on. It cannot know by itself, so whatever it is about to send is refused unless the store said
recently that the lane is its own: at most half a lease ago, and not longer ago than the settle time, on which those
rely who look for a write that somebody else began.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError

from sync import lanes
from sync.errors import LaneLostError, StaleLeaseError
from sync.lanes import LEASE_S, Event
from sync.store import Store

_LEAST_S = 1.0
"""A busy machine needs this long between two lines."""

log = logging.getLogger(__name__)


class Leases:
    """The lanes that this process has in hand; safe to share between threads."""

    def __init__(
        self, store: Store, now: Callable[[], float], *, lease_s: float = LEASE_S, fresh_s: float | None = None
    ) -> None:
        """Renew nothing yet.

        Args:
            now: Unix seconds.
            fresh_s: How old the proof of a lease may be when a write leaves, if that is less than half a lease.
        """
        self._store = store
        self._now = now
        self.seconds = lease_s
        self.fresh_s = lease_s / 2 if fresh_s is None else min(lease_s / 2, max(fresh_s, _LEAST_S))
        self._held: dict[int, Event] = {}
        self._lost: set[int] = set()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closed = False

    @contextmanager
    def held(self, event: Event) -> Iterator[None]:
        """Renew the lease of a claimed event's lane as long as the block lasts."""
        with self._changed:
            self._held[event.seq] = event
            if self._thread is None:
                self._thread = threading.Thread(target=self._keep, name="leases", daemon=True)
                self._thread.start()
        try:
            yield
        finally:
            with self._changed:
                self._held.pop(event.seq, None)
                self._lost.discard(event.seq)

    def check(self, event: Event) -> None:
        """To be called when the bytes of a write are about to leave.

        Raises:
            LaneLostError: Another worker has the lane.
            StaleLeaseError: The proof that it is ours is too old.
        """
        if event.seq in self._lost:
            raise LaneLostError(f"{event.record_key}: another runner has taken over this lane")
        age_s = event.lease.age_s(self._now())
        if age_s > self.fresh_s:
            raise StaleLeaseError(f"{event.record_key}: paused for {age_s:.1f} s before the write")

    def renew(self, event: Event) -> None:
        """Prove now that the lane is ours; raises LaneLostError when it is not."""
        lanes.renew(self._store, event, now=self._now())

    def close(self) -> None:
        """End the thread that renews."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join()

    def _keep(self) -> None:
        while True:
            with self._changed:
                if self._changed.wait_for(lambda: self._closed, timeout=self.seconds / 6):
                    return
                held = list(self._held.values())
            for event in held:
                if event.lease.age_s(self._now()) > self.seconds / 6:
                    self._renewed(event)

    def _renewed(self, event: Event) -> None:
        try:
            self.renew(event)
        except LaneLostError:
            with self._changed:
                if event.seq in self._held:  # else it was settled meanwhile
                    self._lost.add(event.seq)
        except DBAPIError as error:  # the next turn tries again, and no write leaves meanwhile
            log.warning("lease not renewed", extra={"seq": event.seq, "error": type(error).__name__})
