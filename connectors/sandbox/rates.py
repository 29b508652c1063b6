"""The rate limit of the FreshBooks stand-in: so many requests a window, and the headers that say so."""

from __future__ import annotations

import math
from collections.abc import Callable

from connectors.sandbox.switches import Switches
from connectors.sandbox.times import Clock


class RateLimiter:
    """Counts requests in fixed windows. Callers hold the state's lock."""

    def __init__(self, switches: Callable[[], Switches], clock: Clock) -> None:
        """Start with an untouched window.

        Args:
            switches: Returns the switches in force.
            clock: The present instant.
        """
        self._switches = switches
        self._clock = clock
        self.reset()

    def reset(self) -> None:
        """Forget what was counted."""
        self._window_ends = 0.0
        self._used = 0

    def count(self) -> tuple[bool, dict[str, str]]:
        """Count one request.

        Returns:
            Whether it may pass, and the headers for its answer: none without a limit, and Retry-After on a refusal.
        """
        switches, now = self._switches(), self._clock().timestamp()
        if switches.rate_limit is None:
            return True, {}
        if now >= self._window_ends:
            self._window_ends, self._used = now + switches.rate_window_s, 0
        self._used += 1
        left = switches.rate_limit - self._used
        headers = {
            "x-ratelimit-limit": str(switches.rate_limit),
            "x-ratelimit-remaining": str(max(left, 0)),
            "x-ratelimit-reset": str(math.ceil(self._window_ends)),
        }
        if left >= 0:
            return True, headers
        return False, headers | {"retry-after": str(math.ceil(self._window_ends - now))}
