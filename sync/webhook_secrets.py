"""What is known of webhooks: registered callbacks, offered and confirmed verifiers, Clarity's secrets.

Secrets stand encrypted in the token table, so that a change of the key covers them; what they belong to stands in the
webhook table. States: "expected" (a handshake may come), "offered" (a verifier that nobody has confirmed yet),
"valid" (signatures are checked with it, until ``until`` when one is set).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import sqlalchemy as sa
from cryptography.fernet import InvalidToken, MultiFernet
from pydantic import SecretStr

from sync.errors import SettingsError
from sync.store import Store, webhook
from sync.store import token as token_table
from sync.token_key import KeySource
from sync.tokens_db import sealing_key

State = Literal["expected", "offered", "valid"]

MOST_OFFERS = 5
"""Verifiers kept for one callback until FreshBooks confirms one: a stranger may send any number of false ones."""

EXPECTED_S = 900.0
ANY = "*"
"""Stands for the id of a callback that FreshBooks has not told yet."""


@dataclass(frozen=True)
class Known:
    """One row; ``secret`` is None for an expected handshake."""

    name: str
    system: str
    state: State
    detail: Mapping[str, Any]
    at: float
    until: float | None
    secret: str | None


class WebhookSecrets:
    """Reads and writes them; safe to share between threads."""

    def __init__(
        self,
        store: Store,
        *,
        key: SecretStr | None,
        key_source: KeySource | None = None,
        now: Callable[[], float],
    ) -> None:
        """Prepare; nothing is read yet.

        Args:
            key: Of the token table (MAPPER_TOKEN_KEY); a SQLite store makes one otherwise.
            key_source: Where the key is, as for the tokens.
            now: Unix seconds.
        """
        self._store = store
        self._key = key
        self._key_source = key_source
        self._now = now
        self._keys: MultiFernet | None = None

    def known(self, system: str, state: State) -> list[Known]:
        """Rows that count now, oldest first.

        Raises:
            SettingsError: The key is not the one they were encrypted with.
        """
        now = self._now()
        statement = (
            sa.select(webhook, token_table.c.sealed)
            .join(token_table, token_table.c.connection == _sealed_name(webhook.c.name), isouter=True)
            .where(webhook.c.system == system, webhook.c.state == state)
            .where(sa.or_(webhook.c.until.is_(None), webhook.c.until > now))
            .order_by(webhook.c.at, webhook.c.name)
        )
        with self._store.read() as conn:
            rows = conn.execute(statement).all()
        return [
            Known(row.name, row.system, row.state, json.loads(row.detail), row.at, row.until, self._open(row.sealed))
            for row in rows
        ]

    def secrets(self, system: str) -> list[str]:
        """Secrets that signatures may be made with now, the newest first; those that end come last."""
        rows = sorted(self.known(system, "valid"), key=lambda row: (row.until is None, row.at), reverse=True)
        return [row.secret for row in rows if row.secret]

    def keep(
        self,
        system: str,
        name: str,
        state: State,
        *,
        secret: str | None,
        until: float | None = None,
        at: float | None = None,
        **detail: Any,
    ) -> None:
        """Write or replace a row and its secret together; ``at`` is now unless it is given."""
        at = self._now() if at is None else at
        values = {"system": system, "state": state, "detail": json.dumps(detail), "at": at, "until": until}
        statement = self._store.insert(webhook).values(name=name, **values)
        sealed = None if secret is None else self._seal(secret)
        with self._store.write() as conn:
            conn.execute(statement.on_conflict_do_update(index_elements=["name"], set_=values))
            if sealed is not None:
                put = self._store.insert(token_table).values(connection=f"webhook:{name}", sealed=sealed)
                conn.execute(put.on_conflict_do_update(index_elements=["connection"], set_={"sealed": sealed}))

    def forget(self, *names: str) -> None:
        """Remove rows with their secrets."""
        with self._store.write() as conn:
            conn.execute(sa.delete(webhook).where(webhook.c.name.in_(names)))
            sealed = [f"webhook:{name}" for name in names]
            conn.execute(sa.delete(token_table).where(token_table.c.connection.in_(sealed)))

    # --- FreshBooks ----------------------------------------------------------------------------------------------

    def expect(self, callback_id: str = ANY) -> None:
        """Take a handshake for a while; ANY for a callback whose id is not known yet."""
        name = f"expected:{callback_id}"
        self.keep("freshbooks", name, "expected", secret=None, until=self._now() + EXPECTED_S, id=callback_id)

    def is_expected(self, callback_id: str) -> bool:
        """Whether somebody here has asked for this handshake."""
        return any(row.detail.get("id") in (ANY, callback_id) for row in self.known("freshbooks", "expected"))

    def offer(self, callback_id: str, verifier: str) -> bool:
        """Keep a verifier until FreshBooks confirms or refuses it; False when too many wait already."""
        name = f"offer:{callback_id}:{hashlib.sha256(verifier.encode()).hexdigest()[:16]}"
        waiting = self.known("freshbooks", "offered")
        others = [row for row in waiting if row.name != name]
        if len([row for row in others if row.detail["id"] == callback_id]) >= MOST_OFFERS or len(others) >= 50:
            return False
        until = self._now() + EXPECTED_S
        self.keep("freshbooks", name, "offered", secret=verifier, until=until, id=callback_id)
        return True

    def confirm(self, offer: Known, **detail: Any) -> None:
        """Turn an offered verifier into the callback's secret; its other offers and its expectation end."""
        callback_id = str(offer.detail["id"])
        self.keep("freshbooks", f"freshbooks:{callback_id}", "valid", secret=offer.secret, id=callback_id, **detail)
        others = [row.name for row in self.known("freshbooks", "offered") if row.detail["id"] == callback_id]
        self.forget(*others, f"expected:{callback_id}")

    def _open(self, sealed: str | None) -> str | None:
        if sealed is None:
            return None
        for _ in range(2):
            try:
                return self._sealer().decrypt(sealed.encode()).decode()
            except InvalidToken:
                self._keys = None  # the key may have been changed meanwhile
        raise SettingsError(
            "a stored webhook secret cannot be decrypted: put the former MAPPER_TOKEN_KEY or key file back,"
            " or run 'mapper-sync webhooks register' again"
        )

    def _seal(self, secret: str) -> str:
        self._keys = None  # what is written must be readable with the key of now; secrets are written rarely
        return self._sealer().encrypt(secret.encode()).decode()

    def _sealer(self) -> MultiFernet:
        # Kept, because the key is guarded by the refresh lock, and no delivery may wait for a slow token server.
        keys = self._keys
        if keys is None:
            keys = self._keys = sealing_key(self._store, self._key, self._key_source)
        return keys


def _sealed_name(name: sa.ColumnElement[str]) -> sa.ColumnElement[str]:
    return sa.literal("webhook:").concat(name)
