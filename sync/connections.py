"""Opens the two systems' clients from the settings, and says early and plainly when a server is not there."""

from __future__ import annotations

import os
import socket
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from connectors.cef_session import CefSession
from connectors.clarity import Clarity, api_key
from connectors.clarity_cef import ClarityCef
from connectors.clarity_port import ClarityPort, Head
from connectors.freshbooks import FreshBooks
from connectors.http import Pacing, bearer
from connectors.profiles import SystemProfile
from connectors.registry import Source
from connectors.tokens import CLARITY_OAUTH, ClientCredentials, OAuthPaths, RefreshingToken, StaticToken, TokenSource
from sync.errors import SettingsError, SyncError
from sync.reading import Reading, assumed
from sync.settings import Settings
from sync.signin_state import with_sign_in
from sync.store import Store
from sync.token_key import KeyChoice

CONNECT_TIMEOUT_S = 5.0


class UnreachableError(SyncError):
    """A server does not take connections."""


def open_freshbooks(settings: Settings, token_store: Callable[[], Store], *, pace: Pacing | None = None) -> FreshBooks:
    """The FreshBooks client.

    Args:
        settings: Read only.
        token_store: Opens the store that keeps rotating tokens; called only when they are used.
        pace: Limits the requests; None for no limit.

    Raises:
        SettingsError: The connection is not complete, or a value is unusable.
    """
    settings = with_sign_in(settings)
    books = settings.require_freshbooks()
    tokens: TokenSource
    try:
        if books.access_token is not None:
            tokens = StaticToken(books.access_token.get_secret_value())
        else:
            from sync.tokens_db import DatabaseTokenStore

            secret, refresh = books.client_secret, books.refresh_token
            tokens = RefreshingToken(
                base_url=books.api_url,
                client_id=books.client_id or "",
                client_secret=secret.get_secret_value() if secret else "",
                store=DatabaseTokenStore(
                    token_store(), "freshbooks", key=settings.token_key, key_source=settings.sign_in.token_key
                ),
                redirect_uri=books.redirect_uri,
                initial_refresh_token=refresh.get_secret_value() if refresh else None,
                timeout_s=settings.http_timeout_s,
            )
        return FreshBooks(
            base_url=books.api_url,
            account_id=books.account_id or "",
            tokens=tokens,
            timeout_s=settings.http_timeout_s,
            unusable_filters=settings.findings.unusable_filters if settings.findings else (),
            email_case_ignored=settings.findings is not None and settings.findings.email_case_ignored,
            pace=pace,
        )
    except ValueError as error:
        raise SettingsError(f"the FreshBooks settings do not fit: {error}") from None


def open_clarity(settings: Settings, *, pace: Pacing | None = None) -> ClarityPort | None:
    """The client of the source: Clarity in the configured flavour, or what a plug-in brings; None when not configured.

    Args:
        settings: Read only.
        pace: Limits the requests instead of A10; a plug-in limits its own.

    Raises:
        SettingsError: A value is unusable.
    """
    shop, secret, system = settings.clarity, settings.clarity.client_secret, settings.source_system
    if system.connect is not None:
        try:
            return _Plugged(system.connect(system.profile, dict(os.environ), settings.http_timeout_s), settings.reading)
        except ValueError as error:
            raise SettingsError(f"{system.origin}: the system {system.name} cannot be opened: {error}") from None
    if shop.api_url is None or (secret is None and shop.api_key is None):
        return None
    try:
        if shop.flavour == "cef":
            return ClarityCef(
                base_url=shop.api_url,
                session=CefSession(
                    base_url=shop.api_url,
                    user_name=shop.client_id or "",
                    password=secret.get_secret_value() if secret else "",
                    api_path=str(system.profile.assumed("A1")),
                    login_path=str(system.profile.assumed("A2", "path")),
                    timeout_s=settings.http_timeout_s,
                ),
                timeout_s=settings.http_timeout_s,
                profile=system.profile,
                pace=pace,
            )
        return Clarity(
            base_url=shop.api_url,
            tokens=_clarity_tokens(settings),
            timeout_s=settings.http_timeout_s,
            profile=system.profile,
            credential=bearer if shop.api_key is None else api_key(str(system.profile.assumed("A5"))),
            pace=pace,
        )
    except (ValueError, KeyError) as error:
        raise SettingsError(f"the Clarity settings do not fit: {error}") from None


def clarity_oauth(profile: SystemProfile) -> OAuthPaths:
    """Clarity's OAuth endpoints as the profile has them (A1, A2, A3)."""
    sign_in, consent = assumed(profile, "A2"), assumed(profile, "A3")
    by = sign_in["secret_in"]
    return replace(
        CLARITY_OAUTH,
        authorize=consent["authorize_path"],
        token=consent["token_path"],
        life_s=int(sign_in["life_s"]),
        api_path=str(assumed(profile, "A1")),
        pkce=consent["pkce"],
        basic=by == "basic",
    )


def clarity_scopes(profile: SystemProfile) -> tuple[str, ...]:
    """What a sign-in at Clarity asks for (A4); the right to write only where something is written back (A43)."""
    scopes = assumed(profile, "A4")
    return tuple(f"{scopes['read']} {scopes['write'] if assumed(profile, 'A43')['enabled'] else ''}".split())


def _clarity_tokens(settings: Settings) -> TokenSource:
    """An API key where one is set (A5), a person's consent (A3), else the machine login of A2."""
    shop, profile = settings.clarity, settings.profile
    if shop.api_key is not None:
        return StaticToken(shop.api_key.get_secret_value())
    sign_in, oauth = assumed(profile, "A2"), clarity_oauth(profile)
    api_url, client_id = shop.api_url or "", shop.client_id or ""
    secret = shop.client_secret.get_secret_value() if shop.client_secret else ""
    if settings.sign_in.clarity_grant == "authorization_code":
        from sync.tokens_db import StoredTokens

        key = KeyChoice(settings.sign_in.token_key, settings.token_key)
        return RefreshingToken(
            base_url=api_url,
            client_id=client_id,
            client_secret=secret,
            store=StoredTokens(settings.store_url, "clarity", key=key),
            timeout_s=settings.http_timeout_s,
            early_s=float(sign_in["early_s"]),
            oauth=oauth,
        )
    return ClientCredentials(
        base_url=api_url,
        client_id=client_id,
        client_secret=secret,
        scope=" ".join(clarity_scopes(profile)),
        token_path=sign_in["path"],
        api_path=oauth.api_path,
        by=sign_in["secret_in"],
        life_s=float(oauth.life_s),
        early_s=float(sign_in["early_s"]),
        timeout_s=settings.http_timeout_s,
    )


class _Plugged:
    """A plug-in's source; its records are filed under what its profile names (A8, A17)."""

    def __init__(self, source: Source, reading: Reading) -> None:
        self._reading = reading
        self.list_updated = source.list_updated
        self.get = source.get
        self.close = source.close

    def head(self, row: Mapping[str, Any]) -> Head:
        identifier, updated = row.get(self._reading.id), row.get(self._reading.updated)
        return Head(None if identifier is None else str(identifier), updated if isinstance(updated, str) else None)


def require_reachable(url: str, variable: str) -> None:
    """Open and close one connection to a server, so that a wrong address is one clear line and not many retries.

    Raises:
        UnreachableError: Nothing takes the connection; the message names the variable.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme in urllib.request.getproxies() and not urllib.request.proxy_bypass(host):
        return  # only the proxy can tell
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        socket.create_connection((host, port), timeout=CONNECT_TIMEOUT_S).close()
    except (OSError, UnicodeError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
        raise UnreachableError(
            f"cannot reach {parts.scheme}://{host}:{port} ({why.lower()}); check {variable} and the network"
        ) from None
