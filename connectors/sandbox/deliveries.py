"""Webhooks of the Clarity stand-in: signed envelopes, retried, sometimes doubled or out of order.

Envelope, headers and signature are those of the fact sheet (assumptions A12 to A15): `X-Clarity-Signature` is
`t=<unix>,v1=<hex>` with v1 = HMAC-SHA256(secret, t + "." + raw body).
"""

from __future__ import annotations

import hashlib
import heapq
import hmac
import http.client
import itertools
import random
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from connectors.sandbox.switches import Switches
from connectors.sandbox.times import Clock, iso_z
from connectors.sandbox.wire import JsonObject, dumps

STORE_ID = "store-1"
_TIMEOUT_S = 10.0  # A14: a receiver has to answer within ten seconds
_GROWTH = 4  # eight attempts from 16 s on take a day (A14)
_SECRETS = 2  # valid at a time while rotating (A13)


@dataclass(frozen=True)
class Event:
    """What happened to a record; `identifier` stays the same over all attempts and duplicates."""

    identifier: str
    kind: str
    entity: str
    resource: JsonObject
    occurred_at: str


@dataclass
class Delivery:
    """One event on its way to one receiver; `statuses` holds an HTTP status an attempt, 0 for no answer."""

    url: str
    event: Event
    statuses: list[int] = field(default_factory=list)

    @property
    def delivered(self) -> bool:
        """Whether a receiver took it with a 2xx."""
        return bool(self.statuses) and 200 <= self.statuses[-1] < 300

    def as_json(self) -> JsonObject:
        """For the control API, without the record."""
        return {
            "url": self.url,
            "id": self.event.identifier,
            "type": self.event.kind,
            "statuses": self.statuses,
            "delivered": self.delivered,
        }


class WebhookSender:
    """Delivers events to the registered receivers from one background thread, in order unless told otherwise.

    An event that is refused waits for its next attempt while later ones go on.
    """

    def __init__(self, secret: str, switches: Callable[[], Switches], clock: Clock) -> None:
        """Start without receivers; the thread starts with the first event.

        Args:
            secret: Key of the signature.
            switches: Returns the switches in force.
            clock: The present instant.
        """
        self._secrets = [secret]
        self._switches = switches
        self._clock = clock
        self._random = random.Random(switches().fault_seed)  # noqa: S311 (faults, not secrets)
        # (due in monotonic seconds, order of arrival, delivery)
        self._waiting: list[tuple[float, int, Delivery]] = []
        self._order = itertools.count()
        self._under_way = 0
        self._flushing = 0
        self._stopping = False
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._thread: threading.Thread | None = None
        self._held_back: list[Delivery] = []
        self.receivers: list[str] = []
        self.log: list[Delivery] = []

    def register(self, url: str) -> None:
        """Send every later event to this address, once however often it is registered.

        Raises:
            ValueError: Not an http or https address.
        """
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            msg = "a webhook receiver needs an http or https address"
            raise ValueError(msg)
        with self._lock:
            if url not in self.receivers:
                self.receivers.append(url)

    def clear(self) -> None:
        """Forget receivers, what still waits, and the log of deliveries."""
        with self._lock:
            self._waiting.clear()
            self._changed.notify_all()
            self.receivers.clear()
            self.log.clear()
            self._held_back.clear()

    def emit(self, kind: str, entity: str, resource: JsonObject) -> None:
        """Queue an event for every receiver; returns at once."""
        event = self._event(kind, entity, resource)
        switches = self._switches()
        with self._lock:
            if not self.receivers or self._stopping:
                return
            held, self._held_back = self._held_back, []
            hold = self._random.random() < switches.webhook_reorder_rate
            copies = 2 if self._random.random() < switches.webhook_duplicate_rate else 1
            fresh = [Delivery(url, event) for url in self.receivers for _ in range(copies)]
            if hold and not held:
                self._held_back = fresh
                return
            self._queue(fresh + held)

    def flush(self) -> None:
        """Deliver now: no gap is waited for until every queued event, held-back ones too, was delivered or dropped."""
        with self._lock:
            held, self._held_back = self._held_back, []
            self._queue(held)
            self._flushing += 1
            self._changed.notify_all()
            while (self._waiting or self._under_way) and not self._stopping:
                self._changed.wait()
            self._flushing -= 1

    def close(self) -> None:
        """Stop the thread; undelivered events are dropped."""
        with self._lock:
            self._stopping = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join()

    def rotate(self, secret: str, *, alone: bool) -> None:
        """Sign with another secret: beside the newest one, so that receivers can change over, or alone.

        Raises:
            ValueError: The secret is empty.
        """
        if not secret:
            msg = "a webhook secret must not be empty"
            raise ValueError(msg)
        with self._lock:
            kept = [] if alone else [known for known in self._secrets if known != secret][: _SECRETS - 1]
            self._secrets = [secret, *kept]

    def send_webhook(self, url: str, kind: str, resource: JsonObject, *, entity: str = "") -> Delivery:
        """Deliver one event now, with retries but no gaps on every answer but 2xx, and wait for the end of it.

        Args:
            url: The receiver.
            kind: Event type, "order.created".
            resource: The complete record.
            entity: Defaults to the part of `kind` before the dot.

        Returns:
            The delivery with the status of each attempt.
        """
        delivery = Delivery(url, self._event(kind, entity or kind.partition(".")[0], resource))
        with self._lock:
            self.log.append(delivery)
        while not self._ended(delivery):
            delivery.statuses.append(self._attempt(delivery, len(delivery.statuses) + 1))
        return delivery

    def sign(self, raw: bytes, timestamp: int) -> str:
        """The signature header of a raw body at a unix time; one v1 for each secret in force."""
        macs = (hmac.new(secret.encode(), f"{timestamp}.".encode() + raw, hashlib.sha256) for secret in self._secrets)
        return ",".join([f"t={timestamp}", *(f"v1={mac.hexdigest()}" for mac in macs)])

    def _event(self, kind: str, entity: str, resource: JsonObject) -> Event:
        return Event(f"evt_{secrets.token_hex(8)}", kind, entity, resource, iso_z(self._clock()))

    def _queue(self, deliveries: list[Delivery]) -> None:
        """Put deliveries behind those that are due; the caller holds the lock."""
        if self._thread is None and deliveries:
            self._thread = threading.Thread(target=self._work, name="sandbox-webhooks", daemon=True)
            self._thread.start()
        for delivery in deliveries:
            self.log.append(delivery)
            heapq.heappush(self._waiting, (time.monotonic(), next(self._order), delivery))
        self._changed.notify_all()

    def _work(self) -> None:
        while True:
            with self._lock:
                delivery = self._next()
            if delivery is None:
                return
            status = self._attempt(delivery, len(delivery.statuses) + 1)
            with self._lock:
                delivery.statuses.append(status)
                self._under_way = 0
                forgotten = not any(known is delivery for known in self.log)
                if not forgotten and not self._ended(delivery):
                    due = time.monotonic() + gap_s(self._switches().webhook_gap_s, len(delivery.statuses))
                    heapq.heappush(self._waiting, (due, next(self._order), delivery))
                self._changed.notify_all()

    def _next(self) -> Delivery | None:
        """Wait for the next delivery that is due, None at the end; the caller holds the lock."""
        while not self._stopping:
            now = time.monotonic()
            if self._waiting and (self._flushing or self._waiting[0][0] <= now):
                self._under_way = 1
                return heapq.heappop(self._waiting)[2]
            self._changed.wait(self._waiting[0][0] - now if self._waiting else None)
        return None

    def _ended(self, delivery: Delivery) -> bool:
        return delivery.delivered or len(delivery.statuses) >= self._switches().webhook_attempts

    def _attempt(self, delivery: Delivery, attempt: int) -> int:
        event = delivery.event
        raw = dumps(
            {
                "id": event.identifier,
                "type": event.kind,
                "occurredAt": event.occurred_at,
                "storeId": event.resource.get("storeId", STORE_ID),
                "apiVersion": "v1",
                "attempt": attempt,
                "data": {
                    "object": event.entity,
                    "id": str(event.resource.get("id", "")),
                    "updatedAt": event.resource.get("updatedAt"),
                    "resource": event.resource,
                },
            }
        ).encode()
        headers = {
            "Content-Type": "application/json",
            "X-Clarity-Event": event.kind,
            "X-Clarity-Delivery": event.identifier,
            "X-Clarity-Signature": self.sign(raw, int(self._clock().timestamp())),
        }
        return _post(delivery.url, raw, headers)


def gap_s(first_s: float, attempts: int) -> float:
    """Seconds to wait after so many refused attempts; each gap is four times the one before."""
    return float(first_s * _GROWTH ** (attempts - 1))


def _post(url: str, raw: bytes, headers: dict[str, str]) -> int:
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=_TIMEOUT_S)
    try:
        target = f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"
        connection.request("POST", target, body=raw, headers=headers)
        response = connection.getresponse()
        response.read()
    except (OSError, http.client.HTTPException):
        return 0
    else:
        return response.status
    finally:
        connection.close()
