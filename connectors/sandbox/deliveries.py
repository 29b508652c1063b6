"""Webhooks of the Clarity stand-in: signed envelopes.

Envelope, headers and signature are those of the fact sheet (assumptions A12 to A15): `X-Clarity-Signature` is
`t=<unix>,v1=<hex>` with v1 = HMAC-SHA256(secret, t + "." + raw body).
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass

from connectors.sandbox.outbox import Delivery, Outbox, check_receiver, post
from connectors.sandbox.switches import Switches
from connectors.sandbox.times import Clock, iso_z
from connectors.sandbox.wire import JsonObject, dumps

STORE_ID = "store-1"
_SECRETS = 2  # valid at a time while rotating (A13)


@dataclass(frozen=True)
class Event:
    """What happened to a record; `identifier` stays the same over all attempts and duplicates."""

    identifier: str
    kind: str
    entity: str
    resource: JsonObject
    occurred_at: str


class WebhookSender:
    """Delivers events to the registered receivers."""

    def __init__(self, secret: str, switches: Callable[[], Switches], clock: Clock) -> None:
        """Start without receivers.

        Args:
            secret: Key of the signature.
            switches: Returns the switches in force.
            clock: The present instant.
        """
        self._secrets = [secret]
        self._clock = clock
        self._lock = threading.Lock()
        self._outbox = Outbox("sandbox-webhooks", switches)
        self.receivers: list[str] = []

    @property
    def log(self) -> list[Delivery]:
        """Every delivery, oldest first."""
        return self._outbox.log

    def register(self, url: str) -> None:
        """Send every later event to this address, once however often it is registered.

        Raises:
            ValueError: Not an http or https address.
        """
        check_receiver(url)
        with self._lock:
            if url not in self.receivers:
                self.receivers.append(url)

    def clear(self) -> None:
        """Forget receivers, what still waits, and the log of deliveries."""
        with self._lock:
            self.receivers.clear()
        self._outbox.clear()

    def emit(self, kind: str, entity: str, resource: JsonObject) -> None:
        """Queue an event for every receiver; returns at once."""
        event = self._event(kind, entity, resource)
        with self._lock:
            receivers = list(self.receivers)
        self._outbox.send([self._delivery(url, event) for url in receivers])

    def flush(self) -> None:
        """Deliver now: no gap is waited for until every queued event, held-back ones too, was delivered or dropped."""
        self._outbox.flush()

    def close(self) -> None:
        """Stop the thread; undelivered events are dropped."""
        self._outbox.close()

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
        event = self._event(kind, entity or kind.partition(".")[0], resource)
        return self._outbox.send_now(self._delivery(url, event))

    def sign(self, raw: bytes, timestamp: int) -> str:
        """The signature header of a raw body at a unix time; one v1 for each secret in force."""
        macs = (hmac.new(secret.encode(), f"{timestamp}.".encode() + raw, hashlib.sha256) for secret in self._secrets)
        return ",".join([f"t={timestamp}", *(f"v1={mac.hexdigest()}" for mac in macs)])

    def _event(self, kind: str, entity: str, resource: JsonObject) -> Event:
        return Event(f"evt_{secrets.token_hex(8)}", kind, entity, resource, iso_z(self._clock()))

    def _delivery(self, url: str, event: Event) -> Delivery:
        label = {"id": event.identifier, "type": event.kind}
        return Delivery(url, label, lambda attempt: self._post(url, event, attempt))

    def _post(self, url: str, event: Event, attempt: int) -> int:
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
        return post(url, raw, headers)
