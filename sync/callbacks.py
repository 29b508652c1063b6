"""FreshBooks' callbacks as they come in: the handshake, the signature, and what is stored of them.

A handshake proves nothing by itself: whoever knows the address can send one. So a verifier counts only after
FreshBooks has confirmed it for a callback that somebody here has registered.
"""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Callable, Collection, Sequence
from typing import Any

import sqlalchemy as sa

from connectors.errors import AuthError, ConnectorError, RejectedError
from connectors.freshbooks_callbacks import FreshBooksCallbacks
from connectors.webhooks import HANDSHAKE, WebhookRefused, parse_callback, verify_freshbooks
from sync.back.pairs import followed
from sync.envelope import Delivery, EnvelopeError
from sync.settings import Settings
from sync.store import Store, inbox
from sync.webhook_secrets import WebhookSecrets

log = logging.getLogger(__name__)

RETRY_S = 5.0
REREAD_S = 5.0
_MAX_VERIFIER = 500


class HandshakeTakenError(Exception):
    """The request was a handshake and is stored; there is no delivery to file."""


class CallbackDesk:
    """Judges one form at a time; safe to share between threads."""

    def __init__(
        self,
        store: Store,
        secrets: WebhookSecrets,
        *,
        on_offer: Callable[[], None] | None = None,
        handled: Collection[str] = (),
    ) -> None:
        """Judge with what the store knows.

        Args:
            on_offer: Called when a verifier waits for confirmation.
            handled: Types that are worked on (`Reading.back`); the others are kept and left alone.
        """
        self._handled = handled
        self._store = store
        self._secrets = secrets
        self._on_offer = on_offer or (lambda: None)

    def read(self, raw: bytes, signature: str | None) -> tuple[Delivery, bool]:
        """A delivery to store, and whether it repeats one that nobody has worked on yet.

        Raises:
            EnvelopeError: Not a form of a callback.
            WebhookRefused: The signature is wrong, or the handshake was not asked for.
            HandshakeTakenError: It was a handshake.
        """
        try:
            fields = parse_callback(raw)
        except ValueError as error:
            raise EnvelopeError(str(error)) from None
        if fields["name"] == HANDSHAKE:
            self._take_handshake(fields, signature)
            raise HandshakeTakenError
        verify_freshbooks(signature, fields, self._verifiers(fields, signature))
        entity = fields["name"].partition(".")[0]
        digest = hashlib.sha256(raw).hexdigest()
        kind, of = f"freshbooks.{fields['name']}", followed(self._store, entity, fields.get("object_id", ""))
        delivery_id, repeated = self._filed_as(fields.get("event_id"), digest, handled=kind in self._handled)
        envelope: dict[str, Any] = {
            "id": delivery_id,
            "type": kind,
            "data": {
                "object": f"freshbooks-{entity}",
                "id": fields.get("object_id"),
                "resource": fields,
                **({"of": of} if of else {}),
            },
        }
        return Delivery(envelope, digest), repeated

    def _verifiers(self, fields: dict[str, str], signature: str | None) -> list[str]:
        """Confirmed verifiers; says "come back" for a callback whose confirmation is under way.

        Raises:
            WebhookRefused: not-confirmed-yet.
        """
        valid = self._secrets.secrets("freshbooks")
        offered = [row.secret for row in self._secrets.known("freshbooks", "offered") if row.secret]
        if offered:
            try:
                verify_freshbooks(signature, fields, offered)
            except WebhookRefused:
                return valid
            if not _is_valid(signature, fields, valid):
                # FreshBooks has it already and our own note of that is not written yet: a moment, no refusal.
                raise WebhookRefused("not-confirmed-yet")
        return valid

    def _take_handshake(self, fields: dict[str, str], signature: str | None) -> None:
        callback_id, verifier = fields.get("object_id", ""), fields.get("verifier", "")
        if not (callback_id.isascii() and callback_id.isdigit() and len(callback_id) <= 18):
            raise EnvelopeError("expected the id of a callback as object_id of a handshake")
        if not 1 <= len(verifier) <= _MAX_VERIFIER:
            raise EnvelopeError("expected a verifier in a handshake")
        if not self._secrets.is_expected(callback_id):
            raise WebhookRefused("unexpected-handshake")
        if signature:  # sources differ on whether it is signed; when it is, then with its own verifier
            verify_freshbooks(signature, fields, [verifier])
        if not self._secrets.offer(callback_id, verifier):
            raise WebhookRefused("too-many-handshakes")
        self._on_offer()

    def _filed_as(self, event_id: str | None, digest: str, *, handled: bool) -> tuple[str, bool]:
        """The id to file a callback under.

        Two changes of one record look alike, as FreshBooks sends neither a time nor, mostly, an id. One that nobody
        has begun to work on stands for the next one too, since the record is read anew; after that it is news.
        """
        if event_id:
            return f"freshbooks:{event_id[:100]}", False
        base = f"freshbooks:{digest}"
        mine = sa.or_(inbox.c.delivery_id == base, inbox.c.delivery_id.startswith(f"{base}#", autoescape=True))
        statement = sa.select(inbox.c.delivery_id, inbox.c.state, inbox.c.claims).where(mine)
        with self._store.read() as conn:
            rows = conn.execute(statement.order_by(inbox.c.seq.desc())).all()
        if not rows:
            return base, False
        newest = rows[0]
        if (newest.state == "ignored" and not handled) or (newest.state == "pending" and newest.claims == 0):
            return newest.delivery_id, True
        return f"{base}#{len(rows)}", False


def _is_valid(signature: str | None, fields: dict[str, str], verifiers: list[str]) -> bool:
    try:
        verify_freshbooks(signature, fields, verifiers)
    except WebhookRefused:
        return False
    return True


def confirm_offers(secrets: WebhookSecrets, callbacks: FreshBooksCallbacks) -> int:
    """Put every offered verifier back to FreshBooks; the number of those that still wait.

    Raises:
        AuthError: The login is refused; the offers wait.
    """
    waiting = 0
    for offer in secrets.known("freshbooks", "offered"):
        callback_id = str(offer.detail["id"])
        try:
            confirmed = callbacks.verify(int(callback_id), offer.secret or "")
            secrets.confirm(offer, event=confirmed.event, uri=confirmed.uri)
            log.info("callback confirmed", extra={"callback": callback_id})
        except RejectedError as error:
            secrets.forget(offer.name)
            log.warning("verifier refused", extra={"callback": callback_id, "status": error.status})
        except AuthError:
            raise
        except ConnectorError as error:
            waiting += 1
            log.warning("callback not confirmed yet", extra={"callback": callback_id, "problem": error.message})
    return waiting


def clarity_secrets(
    settings: Settings, secrets: WebhookSecrets, *, now: Callable[[], float]
) -> Callable[[], Sequence[str]]:
    """Gives the secrets that Clarity may sign with at the moment: the environment's, and the store's.

    The store is read every few seconds, so that a rotation needs no restart.
    """
    of_environment = [secret.get_secret_value() for secret in settings.clarity.webhook_secrets]
    read_at, kept = -REREAD_S, list[str]()
    lock = threading.Lock()

    def current() -> Sequence[str]:
        nonlocal read_at, kept
        with lock:
            if not 0 <= now() - read_at < REREAD_S:
                kept, read_at = secrets.secrets("clarity"), now()
            return [*of_environment, *kept]

    return current


def keep_confirming(
    secrets: WebhookSecrets, callbacks: FreshBooksCallbacks, *, offered: threading.Event, stop: threading.Event
) -> None:
    """The confirming thread of ``serve``; what was offered before a crash is confirmed at the next start."""
    offered.set()
    while not stop.is_set():
        offered.wait(None)
        offered.clear()
        while not stop.is_set():
            try:
                if not confirm_offers(secrets, callbacks):
                    break
            except Exception as error:  # the offers stay, and ingress goes on
                log.error("callbacks could not be confirmed", exc_info=error)
            stop.wait(RETRY_S)
