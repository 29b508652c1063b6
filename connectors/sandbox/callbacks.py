"""Callbacks of the FreshBooks stand-in: registration, handshake, and signed form deliveries that hold ids only.

`X-FreshBooks-Hmac-SHA256` is base64 of HMAC-SHA256 with the callback's verifier over `json.dumps` of the form fields
in the order sent, every value a string: not over the raw body.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from connectors.sandbox.errors import EventsError
from connectors.sandbox.identity import BUSINESS_ID, IDENTITY_ID, USER_ID
from connectors.sandbox.outbox import Delivery, Outbox, check_receiver, post
from connectors.sandbox.switches import Switches
from connectors.sandbox.times import Clock, iso_z
from connectors.sandbox.wire import JsonObject

SIGNATURE_HEADER = "X-FreshBooks-Hmac-SHA256"
HANDSHAKE = "callback.verify"

_NOUNS = (
    *("bill", "bill_vendor", "category", "client", "credit_note", "estimate", "expense", "invoice", "item"),
    *("payment", "project", "recurring", "service", "tax", "time_entry"),
)
EVENTS = frozenset(
    {*_NOUNS, "invoice.sendByEmail", "estimate.sendByEmail"}
    | {f"{noun}.{verb}" for noun in _NOUNS for verb in ("create", "update", "delete")}
)
"""A bare noun stands for all of its verbs."""

_FIRST_ID = 2001


@dataclass
class Callback:
    """One registration; `verifier` is sent in the handshake and signs everything after it."""

    identifier: int
    event: str
    uri: str
    verifier: str
    updated_at: str
    verified: bool = False

    def hears(self, event: str) -> bool:
        """Whether an event is delivered: its own name, or the noun it belongs to."""
        return self.event in (event, event.partition(".")[0])

    def as_json(self) -> JsonObject:
        """The wire form; the verifier is told to the receiver alone."""
        return {
            "callbackid": self.identifier,
            "verified": self.verified,
            "uri": self.uri,
            "event": self.event,
            "updated_at": self.updated_at,
        }


class Callbacks:
    """The callbacks of one account. Callers hold the state's lock.

    Attributes:
        rows: By id.
        outbox: What is or was under way.
    """

    def __init__(self, account_id: str, switches: Callable[[], Switches], clock: Clock) -> None:
        """Start without callbacks.

        Args:
            account_id: Stands in every delivery.
            switches: Returns the switches in force.
            clock: The present instant.
        """
        self.account_id = account_id
        self.clock = clock
        self._switches = switches
        self.outbox = Outbox("sandbox-callbacks", switches)
        self.rows: dict[int, Callback] = {}
        self._next_id = _FIRST_ID

    def clear(self) -> None:
        """Forget callbacks and deliveries."""
        self.rows.clear()
        self.outbox.clear()
        self._next_id = _FIRST_ID

    def find(self, identifier: str) -> Callback:
        """One callback.

        Raises:
            EventsError: 404.
        """
        known = self.rows.get(int(identifier)) if identifier.isascii() and identifier.isdigit() else None
        if known is None:
            raise EventsError(404, "Requested resource could not be found.")
        return known

    def create(self, sent: Mapping[str, Any]) -> Callback:
        """Register and send the handshake.

        Raises:
            EventsError: 422, one detail a field.
        """
        event, uri = _checked({"event": sent.get("event"), "uri": sent.get("uri")})
        callback = Callback(self._next_id, event, uri, secrets.token_hex(16), iso_z(self.clock()))
        self._next_id += 1
        self.rows[callback.identifier] = callback
        self._shake_hands(callback)
        return callback

    def update(self, callback: Callback, sent: Mapping[str, Any]) -> None:
        """Verify, resend the handshake, or change event and address; the first that is sent counts.

        A changed address has to be verified again (a guess: no source says).

        Raises:
            EventsError: 422, a wrong verifier (the wording is a guess), event or address.
        """
        if "verifier" in sent:
            wanted = str(sent["verifier"])
            if not hmac.compare_digest(wanted.encode(), callback.verifier.encode()):
                raise EventsError.semantic([("verifier", "Value error, Invalid verifier.")])
            callback.verified = True
        elif sent.get("resend"):
            self._shake_hands(callback)
            return
        else:
            before = callback.uri
            changes = {"event": callback.event, "uri": callback.uri} | dict(sent)
            callback.event, callback.uri = _checked({name: changes[name] for name in ("event", "uri")})
            if callback.uri != before:
                callback.verified = False
                self._shake_hands(callback)
        callback.updated_at = iso_z(self.clock())

    def delete(self, callback: Callback) -> None:
        """Forget it; nothing more is delivered."""
        del self.rows[callback.identifier]

    def emit(self, event: str, object_id: int) -> None:
        """Tell every verified callback that hears the event; returns at once."""
        self.outbox.send(
            [
                self._delivery(callback, {"name": event, "object_id": object_id, **self._account()})
                for callback in self.rows.values()
                if callback.verified and callback.hears(event)
            ]
        )

    def _shake_hands(self, callback: Callback) -> None:
        fields = {
            "name": HANDSHAKE,
            "object_id": callback.identifier,
            "verifier": callback.verifier,
            **self._account(),
        }
        signed = self._switches().handshake_signature == "signed"
        self.outbox.send([self._delivery(callback, fields, signed=signed)], straight=True)

    def _account(self) -> JsonObject:
        return {
            "account_id": self.account_id,
            "business_id": BUSINESS_ID,
            "identity_id": IDENTITY_ID,
            "user_id": USER_ID,
        }

    def _delivery(self, callback: Callback, fields: JsonObject, *, signed: bool = True) -> Delivery:
        uri, texts = callback.uri, {name: str(value) for name, value in fields.items()}
        raw = urlencode(texts).encode()
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        if signed:
            headers[SIGNATURE_HEADER] = sign(callback.verifier, texts)
        label = {"callbackid": callback.identifier, "name": texts["name"], "object_id": texts["object_id"]}
        return Delivery(uri, label, lambda _attempt: post(uri, raw, headers))


def sign(verifier: str, fields: Mapping[str, str]) -> str:
    """The signature header of form fields in the order sent."""
    mac = hmac.new(verifier.encode(), json.dumps(dict(fields)).encode(), hashlib.sha256)
    return base64.b64encode(mac.digest()).decode()


def _checked(sent: Mapping[str, Any]) -> tuple[str, str]:
    details = []
    for name, value in sent.items():
        if value is None:
            details.append((name, "Field required"))
        elif not isinstance(value, str):
            details.append((name, "Input should be a valid string"))
        elif name == "event" and value not in EVENTS:
            details.append((name, "Value error, Unrecognized event."))
        elif name == "uri" and not _is_address(value):
            details.append((name, "Input should be a valid URL, relative URL without a base"))
    if details:
        raise EventsError.semantic(details)
    return str(sent["event"]), str(sent["uri"])


def _is_address(text: str) -> bool:
    try:
        check_receiver(text)
    except ValueError:
        return False
    return text.isascii() and text.isprintable() and " " not in text
