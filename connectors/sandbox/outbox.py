"""Sends webhooks of a stand-in from one background thread: retried, sometimes doubled or out of order."""

from __future__ import annotations

import heapq
import http.client
import itertools
import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from connectors.sandbox.switches import Switches
from connectors.sandbox.wire import JsonObject

_TIMEOUT_S = 10.0  # both systems' receivers have to answer within ten seconds
_GROWTH = 4  # eight attempts from 16 s on take a day (A14)

Attempt = Callable[[int], int]
"""Posts one attempt, counted from 1, and returns the receiver's HTTP status, 0 for no answer."""


@dataclass
class Delivery:
    """One message on its way to one receiver.

    Attributes:
        url: The receiver.
        label: What is delivered, for the control API.
        attempt: Posts it once.
        statuses: An HTTP status an attempt, 0 for no answer.
    """

    url: str
    label: JsonObject
    attempt: Attempt
    statuses: list[int] = field(default_factory=list)

    @property
    def delivered(self) -> bool:
        """Whether a receiver took it with a 2xx."""
        return bool(self.statuses) and 200 <= self.statuses[-1] < 300

    def again(self) -> Delivery:
        """A copy that was not tried yet."""
        return Delivery(self.url, self.label, self.attempt)

    def as_json(self) -> JsonObject:
        """For the control API, without the record."""
        return {"url": self.url, **self.label, "statuses": self.statuses, "delivered": self.delivered}


class Outbox:
    """Deliveries in order, unless the switches double them or hold some back until after the next.

    One that is refused waits for its next attempt while later ones go on.

    Attributes:
        log: Every delivery ever queued, oldest first.
    """

    def __init__(self, name: str, switches: Callable[[], Switches]) -> None:
        """Start empty; the thread starts with the first delivery.

        Args:
            name: Of the thread.
            switches: Returns the switches in force.
        """
        self._name = name
        self._switches = switches
        self._random = random.Random(switches().fault_seed)  # noqa: S311 (faults, not secrets)
        # (due in monotonic seconds, order of arrival, delivery)
        self._waiting: list[tuple[float, int, Delivery]] = []
        self._order = itertools.count()
        self._under_way = False
        self._flushing = 0
        self._stopping = False
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._held_back: list[Delivery] = []
        self.log: list[Delivery] = []

    def send(self, deliveries: Sequence[Delivery], *, straight: bool = False) -> None:
        """Queue the deliveries of one event; returns at once.

        Args:
            straight: Neither doubled nor held back.
        """
        switches = self._switches()
        with self._changed:
            if not deliveries or self._stopping:
                return
            if straight:
                self._queue(deliveries)
                return
            held, self._held_back = self._held_back, []
            hold = self._random.random() < switches.webhook_reorder_rate
            copies = 2 if self._random.random() < switches.webhook_duplicate_rate else 1
            fresh = [delivery.again() for delivery in deliveries for _ in range(copies)]
            if hold and not held:
                self._held_back = fresh
                return
            self._queue(fresh + held)

    def send_now(self, delivery: Delivery) -> Delivery:
        """Deliver in this thread, with retries but without gaps, and wait for the end of it."""
        with self._changed:
            self.log.append(delivery)
        while not self._ended(delivery):
            delivery.statuses.append(delivery.attempt(len(delivery.statuses) + 1))
        return delivery

    def flush(self) -> None:
        """Deliver now: no gap is waited for until every queued delivery, held-back ones too, was taken or dropped."""
        with self._changed:
            held, self._held_back = self._held_back, []
            self._queue(held)
            self._flushing += 1
            self._changed.notify_all()
            while (self._waiting or self._under_way) and not self._stopping:
                self._changed.wait()
            self._flushing -= 1

    def clear(self) -> None:
        """Forget the log, what still waits and what is held back."""
        with self._changed:
            self._waiting.clear()
            self._held_back.clear()
            self.log.clear()
            self._changed.notify_all()

    def close(self) -> None:
        """Stop the thread; what was not delivered is dropped."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join()

    def _queue(self, deliveries: Sequence[Delivery]) -> None:
        """Put deliveries behind those that are due; the caller holds the lock."""
        if self._thread is None and deliveries:
            self._thread = threading.Thread(target=self._work, name=self._name, daemon=True)
            self._thread.start()
        for delivery in deliveries:
            self.log.append(delivery)
            self._push(time.monotonic(), delivery)
        self._changed.notify_all()

    def _push(self, due: float, delivery: Delivery) -> None:
        heapq.heappush(self._waiting, (due, next(self._order), delivery))

    def _work(self) -> None:
        while True:
            with self._changed:
                delivery = self._next()
            if delivery is None:
                return
            status = delivery.attempt(len(delivery.statuses) + 1)
            with self._changed:
                delivery.statuses.append(status)
                self._under_way = False
                forgotten = not any(known is delivery for known in self.log)
                if not forgotten and not self._ended(delivery):
                    pause_s = gap_s(self._switches().webhook_gap_s, len(delivery.statuses))
                    self._push(time.monotonic() + pause_s, delivery)
                self._changed.notify_all()

    def _next(self) -> Delivery | None:
        """Wait for the next delivery that is due, None at the end; the caller holds the lock."""
        while not self._stopping:
            now = time.monotonic()
            if self._waiting and (self._flushing or self._waiting[0][0] <= now):
                self._under_way = True
                return heapq.heappop(self._waiting)[2]
            self._changed.wait(self._waiting[0][0] - now if self._waiting else None)
        return None

    def _ended(self, delivery: Delivery) -> bool:
        return delivery.delivered or len(delivery.statuses) >= self._switches().webhook_attempts


def gap_s(first_s: float, attempts: int) -> float:
    """Seconds to wait after so many refused attempts; each gap is four times the one before."""
    return float(first_s * _GROWTH ** (attempts - 1))


def check_receiver(url: str) -> None:
    """Refuse an address nothing can be posted to.

    Raises:
        ValueError: Not an http or https address.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        msg = "a webhook receiver needs an http or https address"
        raise ValueError(msg)
    _ = parts.port  # raises ValueError when it is none


def post(url: str, raw: bytes, headers: Mapping[str, str]) -> int:
    """Post once and return the HTTP status, 0 when there is no answer within ten seconds."""
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=_TIMEOUT_S)
    try:
        target = f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"
        connection.request("POST", target, body=raw, headers=dict(headers))
        response = connection.getresponse()
        response.read()
    except (OSError, ValueError, http.client.HTTPException):
        return 0
    else:
        return response.status
    finally:
        connection.close()
