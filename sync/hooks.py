"""What ``mapper-sync webhooks`` does: registers, lists, verifies, rotates and deletes, at both ends.

FreshBooks has an API for it. For Clarity nothing is documented: what a person has to enter in its administration is
said, and a profile that names a path for registration is used instead.
"""

from __future__ import annotations

import json
import secrets as randomness
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

import sqlalchemy as sa

from connectors.errors import RejectedError
from connectors.freshbooks_callbacks import Callback, FreshBooksCallbacks
from connectors.http import Transport
from connectors.webhooks import sign_clarity
from sync.errors import InputError, SyncError
from sync.reading import Reading
from sync.store import Store, inbox
from sync.webhook_secrets import ANY, WebhookSecrets

PATHS = {"freshbooks": "/webhooks/freshbooks", "clarity": "/webhooks/clarity"}
EVENTS = ("invoice", "payment", "client")
"""Bare nouns stand for create, update and delete. There is no event for a paid invoice: a payment tells it."""

PING = "mapper.ping"
_POLL_S = 0.25
_SECRET_BYTES = 32


@dataclass(frozen=True)
class Shown:
    """One callback, for people and machines.

    Attributes:
        verified: FreshBooks delivers.
        secret: Its verifier is known here, so that deliveries are accepted.
    """

    id: str
    event: str
    uri: str
    verified: bool
    secret: bool

    @property
    def works(self) -> bool:
        """Deliveries are sent and accepted."""
        return self.verified and self.secret


def receiver(url: str, system: str) -> str:
    """The full address of a system's webhooks from the public address of ``serve``.

    Raises:
        InputError: Not https (FreshBooks and Clarity send secrets and ids), or not an address.
    """
    try:
        parts = urlsplit(url.strip())
        host = parts.hostname or ""
    except ValueError:
        host = ""
    if not host or parts.scheme not in ("http", "https") or parts.query or parts.fragment:
        raise InputError(f"--url: expected the public address of 'mapper-sync serve', https://host[/path], got {url!r}")
    local = host in ("localhost", "::1") or host.startswith("127.")
    if parts.scheme != "https" and not local:
        raise InputError("--url: expected https; webhooks over plain http could be read and changed on the way")
    base = url.strip().rstrip("/")
    return base if base.endswith(PATHS[system]) else base + PATHS[system]


class FreshBooksHooks:
    """The callbacks of an account, and what is known of them here."""

    def __init__(
        self,
        callbacks: FreshBooksCallbacks,
        secrets: WebhookSecrets,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._callbacks = callbacks
        self._secrets = secrets
        self._clock = clock
        self._sleep = sleep

    def every(self) -> list[Shown]:
        """All callbacks of the account, those of others too."""
        known = {str(row.detail["id"]) for row in self._secrets.known("freshbooks", "valid")}
        return [_shown(one, known) for one in self._callbacks.list_all()]

    def register(self, uri: str, events: Sequence[str], *, anew: bool = False) -> list[str]:
        """Have a callback for each event; one that works already is kept.

        Args:
            anew: Register afresh beside what is there, as for a rotation.

        Returns:
            Ids, in the order of events.
        """
        there = {} if anew else {one.event: one for one in self.every() if one.uri == uri}
        ids = []
        for event in events:
            one = there.get(event)
            if one is not None:
                if not one.works:
                    self._shake(one.id)
                ids.append(one.id)
                continue
            ids.append(self._new(event, uri))
        return ids

    def _new(self, event: str, uri: str) -> str:
        # The handshake may arrive before the answer does, so the id cannot be told beforehand.
        self._secrets.expect()
        try:
            made = str(self._callbacks.register(event, uri).id)
            self._secrets.expect(made)
        except RejectedError as error:
            names = ", ".join(EVENTS)
            raise InputError(f"FreshBooks refuses a callback for {event!r} ({error}); usual events: {names}") from None
        finally:
            self._secrets.forget(f"expected:{ANY}")
        return made

    def verify(self) -> list[str]:
        """Ask for the handshake of each of our callbacks that does not work; their ids."""
        ids = [one.id for one in self.every() if not one.works and self._is_ours(one)]
        for one in ids:
            self._shake(one)
        return ids

    def rotate(self, *, wait_s: float) -> tuple[list[Shown], list[str]]:
        """New callbacks beside the old ones, and the old ones deleted once the new ones work.

        Returns:
            The new callbacks, and the ids of deleted ones; none are deleted unless every new one works.
        """
        old = [one for one in self.every() if one.secret]
        made: list[str] = []
        for uri in dict.fromkeys(one.uri for one in old):
            made += self.register(uri, [one.event for one in old if one.uri == uri], anew=True)
        found = self.wait(made, wait_s=wait_s)
        if not found or not all(one.works for one in found):
            return found, []
        return found, self.delete([one.id for one in old])

    def delete(self, ids: Sequence[str]) -> list[str]:
        """End callbacks at FreshBooks and forget their verifiers; their ids."""
        for one in ids:
            try:
                self._callbacks.delete(int(one))
            except RejectedError as error:
                if error.status != 404:  # gone already is fine
                    raise
            self._secrets.forget(f"freshbooks:{one}", f"expected:{one}")
        return list(ids)

    def wait(self, ids: Sequence[str], *, wait_s: float) -> list[Shown]:
        """Wait until the handshakes were answered by ``serve``, at most so many seconds; how they stand then."""
        until = self._clock() + wait_s
        while True:
            found = [one for one in self.every() if one.id in ids]
            if all(one.works for one in found) or self._clock() >= until:
                return sorted(found, key=lambda one: ids.index(one.id))
            self._sleep(_POLL_S)

    def ours(self, uri: str | None) -> list[str]:
        """Ids of callbacks at an address, or of all whose verifier is known here."""
        return [one.id for one in self.every() if (one.uri == uri if uri is not None else one.secret)]

    def _is_ours(self, one: Shown) -> bool:
        return one.uri.endswith(PATHS["freshbooks"])

    def _shake(self, callback_id: str) -> None:
        self._secrets.expect(callback_id)
        self._callbacks.resend(int(callback_id))


def _shown(one: Callback, known: set[str]) -> Shown:
    return Shown(str(one.id), one.event, one.uri, one.verified, str(one.id) in known)


class ClarityHooks:
    """Clarity's secrets: made here, entered there."""

    def __init__(self, secrets: WebhookSecrets, *, now: Callable[[], float]) -> None:
        self._secrets = secrets
        self._now = now

    def secret(self) -> str | None:
        """The newest secret of the store; None when there is none."""
        return next(iter(self._secrets.secrets("clarity")), None)

    def make(self) -> str:
        """A fresh secret, in force at once."""
        made = randomness.token_urlsafe(_SECRET_BYTES)
        self._secrets.keep("clarity", f"clarity:{randomness.token_hex(6)}", "valid", secret=made)
        return made

    def rotate(self, overlap_s: float) -> str:
        """A fresh secret; the former ones stay in force for so many seconds."""
        until = self._now() + overlap_s
        for row in self._secrets.known("clarity", "valid"):
            ends = until if row.until is None else min(row.until, until)
            self._secrets.keep("clarity", row.name, "valid", secret=row.secret, until=ends, at=row.at)
        return self.make()

    def lives(self) -> list[float | None]:
        """When each secret of the store ends, unix seconds, None for one that does not; oldest first."""
        return [row.until for row in self._secrets.known("clarity", "valid")]

    def forget(self) -> int:
        """Forget every secret of the store; how many."""
        names = [row.name for row in self._secrets.known("clarity", "valid")]
        self._secrets.forget(*names)
        return len(names)


def clarity_events(reading: Reading) -> list[str]:
    """The events to switch on in Clarity's administration (its public ones, A15 and A40)."""
    return sorted(reading.events)


def ping(uri: str, secret: str, *, header: str, now: float, timeout_s: float) -> tuple[int, str]:
    """Send a signed delivery of our own to the public address: status, and the error's code if there is one.

    Raises:
        ConnectorError: The address does not answer.
    """
    body = {"id": f"ping-{randomness.token_hex(8)}", "type": PING, "data": {"object": "mapper", "id": "ping"}}
    raw = json.dumps(body).encode()
    headers = {"Content-Type": "application/json", header: sign_clarity(secret, int(now), raw)}
    with Transport(uri, timeout_s=timeout_s) as transport:
        answer = transport.exchange("POST", uri, headers=headers, content=raw, operation="POST webhooks/clarity")
    found = answer.json_or_none()
    error = found.get("error") if isinstance(found, dict) else None
    return answer.status, str(error.get("code")) if isinstance(error, dict) else ""


def received(store: Store, system: str) -> Iterator[tuple[str, str, int, float]]:
    """Event, state, number and newest time of what has come in over a system's webhooks."""
    source = "webhook" if system == "clarity" else system
    statement = (
        sa.select(inbox.c.event, inbox.c.state, sa.func.count(), sa.func.max(inbox.c.received_at))
        .where(inbox.c.source == source)
        .group_by(inbox.c.event, inbox.c.state)
        .order_by(inbox.c.event, inbox.c.state)
    )
    with store.read() as conn:
        rows = conn.execute(statement).all()
    yield from ((row[0], row[1], row[2], row[3]) for row in rows)


def require_working(found: Sequence[Shown], uri: str) -> None:
    """Say what is missing when a callback does not work yet.

    Raises:
        SyncError: Exit code 1.
    """
    missing = [one for one in found if not one.works]
    if missing:
        names = ", ".join(f"{one.event} ({one.id})" for one in missing)
        raise SyncError(
            f"no handshake yet for {names}: 'mapper-sync serve' must run with this store and be reached at {uri};"
            " then run 'mapper-sync webhooks verify freshbooks'"
        )
