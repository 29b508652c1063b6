"""How the two connections stand, from settings and store alone: nothing is asked of the servers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from sync import records
from sync.errors import NoStoreError
from sync.records import ConnectionState
from sync.scopes import missing_scopes
from sync.settings import Settings
from sync.signin_state import SignIn, sign_in_of
from sync.store import connection as connection_table
from sync.store import open_store, sqlite_file
from sync.times import iso

_RENEWS = ("sign-in", "refresh token of the settings")


@dataclass(frozen=True)
class ConnectionStatus:
    """One connection; times are ISO 8601 UTC.

    Attributes:
        method: How it gets in: "sign-in", "access token of the settings", "client credentials", "API key", ...;
            "none" when nothing is set up.
        state: ok, reconnect, stopped, untried, or "not connected".
        account: The FreshBooks account worked with.
        missing: Scopes the mappings need and the consent does not give.
        expires_at: End of the access token; it is renewed by itself.
    """

    system: str
    method: str
    state: str
    reason: str | None = None
    person: str | None = None
    account: str | None = None
    account_name: str | None = None
    scopes: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    expires_at: str | None = None
    renewed_at: str | None = None
    signed_in_at: str | None = None

    @property
    def needs_reconnect(self) -> bool:
        """Whether a person has to sign in before any work can be done."""
        return self.state in ("reconnect", "not connected")

    def as_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        return {**vars(self), "needs_reconnect": self.needs_reconnect}


def read_connections(settings: Settings, needed: Mapping[str, Iterable[str]]) -> list[ConnectionStatus]:
    """FreshBooks and Clarity, in this order.

    Args:
        needed: Scopes the mappings need, by system.

    Raises:
        StoreError: The store cannot be read.
    """
    signed: dict[str, SignIn | None] = {"freshbooks": None, "clarity": None}
    known: dict[str, ConnectionState] = {}
    try:
        # A store in memory is nobody else's, so there is nothing in it.
        in_memory = settings.store_url.startswith("sqlite:") and sqlite_file(settings.store_url) is None
        store = None if in_memory else open_store(settings.store_url, read_only=True)
    except NoStoreError:
        store = None
    if store is not None:
        with closing(store):
            signed = {name: sign_in_of(store, name) for name in signed}
            with store.read() as conn:
                has_states = sa.inspect(conn).has_table(connection_table.name)
            known = records.connections(store) if has_states else {}
    methods = {
        "freshbooks": _freshbooks_method(settings, signed["freshbooks"]),
        "clarity": _clarity_method(settings, signed["clarity"]),
    }
    return [
        _status(name, methods[name], found, known.get(name), needed.get(name, ()), settings)
        for name, found in signed.items()
    ]


def _freshbooks_method(settings: Settings, found: SignIn | None) -> str:
    books = settings.freshbooks
    if books.access_token is not None:
        return "access token of the settings"
    if found is not None:
        return "sign-in" if found.signed_in_at is not None else "refresh token of the settings"
    return "refresh token of the settings" if books.refresh_token is not None else "none"


def _clarity_method(settings: Settings, found: SignIn | None) -> str:
    shop = settings.clarity
    if shop.api_url is None:
        return "none"
    if shop.api_key is not None:
        return "API key"
    if settings.sign_in.clarity_grant == "client_credentials":
        return "client credentials"
    return "sign-in" if found is not None else "none"


def _status(
    name: str,
    method: str,
    found: SignIn | None,
    known: ConnectionState | None,
    needed: Iterable[str],
    settings: Settings,
) -> ConnectionStatus:
    if method == "none":
        reason = known.reason if known is not None and known.state == "reconnect" else None
        return ConnectionStatus(name, method, "not connected", reason)
    state, reason = (known.state, known.reason) if known is not None else ("untried", None)
    account = settings.freshbooks.account_id if name == "freshbooks" else None
    if method not in _RENEWS or found is None:
        return ConnectionStatus(name, method, state, reason, account=account)
    chosen = account or found.account_id
    if name == "freshbooks" and chosen is None:
        state, reason = "stopped", "no account is chosen: run 'mapper-sync auth account freshbooks'"
    scopes = tuple(sorted(found.scopes))
    return ConnectionStatus(
        name,
        method,
        state,
        reason,
        found.person,
        chosen,
        found.account_name if chosen == found.account_id else None,
        scopes,
        missing_scopes(needed, scopes),
        iso(found.expires_at),
        iso(found.renewed_at),
        iso(found.signed_in_at),
    )


def status_lines(found: ConnectionStatus) -> list[str]:
    """One connection for a terminal."""
    title = "FreshBooks" if found.system == "freshbooks" else "Clarity"
    lines = [f"{title}: {found.state}" + ("" if found.method == "none" else f" ({found.method})")]
    if found.reason:
        lines.append(f"  reason        {found.reason}")
    if found.person:
        lines.append(f"  connected as  {found.person}")
    if found.account:
        lines.append(f"  account       {found.account}" + (f" ({found.account_name})" if found.account_name else ""))
    if found.scopes:
        lines.append(f"  scopes        {' '.join(found.scopes)}")
    if found.missing:
        lines.append(f"  missing       {' '.join(found.missing)}")
    if found.expires_at:
        lines.append(f"  token until   {found.expires_at}, renewed by itself; last renewed {found.renewed_at}")
    if found.needs_reconnect:
        lines.append(f"  next          mapper-sync auth login {found.system}")
    return lines
