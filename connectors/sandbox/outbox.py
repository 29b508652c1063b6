"""Sends webhooks of both stand-ins from one background thread: retried, sometimes doubled or out of order."""

from __future__ import annotations

import http.client
import queue
import random
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from connectors.sandbox.switches import Switches
from connectors.sandbox.wire import JsonObject

_TIMEOUT_S = 10.0  # both systems' receivers have to answer within ten seconds
_LONGEST_GAP_S = 30.0

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
        self._waiting: queue.Queue[Delivery | None] = queue.Queue()
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._held_back: list[Delivery] = []
        self.log: list[Delivery] = []

    def send(self, deliveries: Sequence[Delivery], *, straight: bool = False) -> None:
        """Queue the deliveries of one event; returns at once.

        Args:
            straight: Neither doubled nor held back.
        """
        switches = self._switches()
        with self._lock:
            if not deliveries or self._stopping.is_set():
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
        """Deliver in this thread, with retries, and wait for the end of it."""
        with self._lock:
            self.log.append(delivery)
        self._deliver(delivery)
        return delivery

    def flush(self) -> None:
        """Block until every queued delivery, held-back ones included, was taken or dropped."""
        with self._lock:
            held, self._held_back = self._held_back, []
            self._queue(held)
        self._waiting.join()

    def clear(self) -> None:
        """Forget the log and what is held back."""
        with self._lock:
            self.log.clear()
            self._held_back.clear()

    def close(self) -> None:
        """Stop the thread; what was not delivered is dropped."""
        self._stopping.set()
        if self._thread is not None:
            self._waiting.put(None)
            self._thread.join()

    def _queue(self, deliveries: Sequence[Delivery]) -> None:
        if self._thread is None and deliveries:
            self._thread = threading.Thread(target=self._work, name=self._name, daemon=True)
            self._thread.start()
        for delivery in deliveries:
            self.log.append(delivery)
            self._waiting.put(delivery)

    def _work(self) -> None:
        while True:
            delivery = self._waiting.get()
            try:
                if delivery is None:
                    return
                self._deliver(delivery)
            finally:
                self._waiting.task_done()

    def _deliver(self, delivery: Delivery) -> None:
        switches = self._switches()
        gap_s = switches.webhook_gap_s
        for number in range(1, switches.webhook_attempts + 1):
            if self._stopping.is_set():
                return
            delivery.statuses.append(delivery.attempt(number))
            if delivery.delivered or number == switches.webhook_attempts:
                return
            self._stopping.wait(gap_s)
            gap_s = min(gap_s * 2, _LONGEST_GAP_S)


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
