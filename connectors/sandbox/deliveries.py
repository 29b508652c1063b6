"""Webhooks of the Clarity stand-in: signed envelopes, retried, sometimes doubled or out of order.

Envelope, headers and signature are those of the fact sheet (assumptions A12 to A15): `X-Clarity-Signature` is
`t=<unix>,v1=<hex>` with v1 = HMAC-SHA256(secret, t + "." + raw body).
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
import queue
import random
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from connectors.sandbox.switches import Switches
from connectors.sandbox.times import Clock, iso_z
from connectors.sandbox.wire import JsonObject, dumps

STORE_ID = "store-1"
_TIMEOUT_S = 10.0  # A14: a receiver has to answer within ten seconds
_LONGEST_GAP_S = 30.0


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
    """Delivers events to the registered receivers from one background thread, in order unless told otherwise."""

    def __init__(self, secret: str, switches: Callable[[], Switches], clock: Clock) -> None:
        """Start without receivers; the thread starts with the first event.

        Args:
            secret: Key of the signature.
            switches: Returns the switches in force.
            clock: The present instant.
        """
        self._secret = secret
        self._switches = switches
        self._clock = clock
        self._random = random.Random(switches().fault_seed)  # noqa: S311 (faults, not secrets)
        self._waiting: queue.Queue[Delivery | None] = queue.Queue()
        self._stopping = threading.Event()
        self._lock = threading.Lock()
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
        """Forget receivers and the log of deliveries."""
        with self._lock:
            self.receivers.clear()
            self.log.clear()
            self._held_back.clear()

    def emit(self, kind: str, entity: str, resource: JsonObject) -> None:
        """Queue an event for every receiver; returns at once."""
        event = self._event(kind, entity, resource)
        switches = self._switches()
        with self._lock:
            if not self.receivers or self._stopping.is_set():
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
        """Block until every queued event, held-back ones included, was delivered or dropped."""
        with self._lock:
            held, self._held_back = self._held_back, []
            self._queue(held)
        self._waiting.join()

    def close(self) -> None:
        """Stop the thread; undelivered events are dropped."""
        self._stopping.set()
        if self._thread is not None:
            self._waiting.put(None)
            self._thread.join()

    def send_webhook(self, url: str, kind: str, resource: JsonObject, *, entity: str = "") -> Delivery:
        """Deliver one event now, with retries on every answer but 2xx, and wait for the end of it.

        Args:
            url: The receiver.
            kind: Event type, "order.created".
            resource: The complete record.
            entity: Defaults to the part of `kind` before the dot.

        Returns:
            The delivery with the status of each attempt.
        """
        event = self._event(kind, entity or kind.partition(".")[0], resource)
        delivery = Delivery(url, event)
        with self._lock:
            self.log.append(delivery)
        self._deliver(delivery)
        return delivery

    def sign(self, raw: bytes, timestamp: int) -> str:
        """The signature header of a raw body at a unix time."""
        mac = hmac.new(self._secret.encode(), f"{timestamp}.".encode() + raw, hashlib.sha256)
        return f"t={timestamp},v1={mac.hexdigest()}"

    def _event(self, kind: str, entity: str, resource: JsonObject) -> Event:
        return Event(f"evt_{secrets.token_hex(8)}", kind, entity, resource, iso_z(self._clock()))

    def _queue(self, deliveries: list[Delivery]) -> None:
        if self._thread is None and deliveries:
            self._thread = threading.Thread(target=self._work, name="sandbox-webhooks", daemon=True)
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
        for attempt in range(1, switches.webhook_attempts + 1):
            if self._stopping.is_set():
                return
            delivery.statuses.append(self._attempt(delivery, attempt))
            if delivery.delivered or attempt == switches.webhook_attempts:
                return
            self._stopping.wait(gap_s)
            gap_s = min(gap_s * 2, _LONGEST_GAP_S)

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
