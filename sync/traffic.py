"""Webhooks first: while they pour in, workers of the same process hold back before they begin another event.

Python runs one thread at a time. A sender gives up after seconds, an event that is stored can wait.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

MANY: Final = 8
"""Deliveries in one batch that show a rush; one by one they cost the workers nothing worth the pause."""

RUSH_S: Final = 0.1
"""For how long one such batch tells of a rush."""

LONGEST_S: Final = 0.5
"""A worker begins its event after that, whatever arrives: a rush without end slows the work and never ends it."""


class Traffic:
    """What arrives at this process; safe to share between threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Nothing has arrived.

        Args:
            clock: Monotonic seconds.
        """
        self._clock = clock
        self._rush_until = float("-inf")

    def arrived(self, deliveries: int) -> None:
        """So many were stored by one commit."""
        if deliveries >= MANY:
            self._rush_until = self._clock() + RUSH_S

    def give_way(self, stop: threading.Event) -> float:
        """Wait for the end of a rush, but not for long; the seconds waited."""
        began = now = self._clock()
        while not stop.is_set():
            pause_s = min(self._rush_until, began + LONGEST_S) - now
            if pause_s <= 0:
                break
            stop.wait(pause_s)
            now = self._clock()
        return now - began
