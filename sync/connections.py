"""Opens the two systems' clients from the settings, and says early and plainly when a server is not there."""

from __future__ import annotations

import os
import socket
import urllib.request
from collections.abc import Callable
from urllib.parse import urlsplit

from connectors.clarity import Clarity
from connectors.freshbooks import FreshBooks
from connectors.registry import Source
from connectors.tokens import ClientCredentials, RefreshingToken, StaticToken, TokenSource
from sync.errors import SettingsError, SyncError
from sync.settings import Settings
from sync.store import Store

CONNECT_TIMEOUT_S = 5.0


class UnreachableError(SyncError):
    """A server does not take connections."""


def open_freshbooks(settings: Settings, token_store: Callable[[], Store]) -> FreshBooks:
    """The FreshBooks client.

    Args:
        settings: Read only.
        token_store: Opens the store that keeps rotating tokens; called only when they are used.

    Raises:
        SettingsError: The connection is not complete, or a value is unusable.
    """
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
                store=DatabaseTokenStore(token_store(), "freshbooks", key=settings.token_key),
                initial_refresh_token=refresh.get_secret_value() if refresh else None,
                timeout_s=settings.http_timeout_s,
            )
        return FreshBooks(
            base_url=books.api_url,
            account_id=books.account_id or "",
            tokens=tokens,
            timeout_s=settings.http_timeout_s,
        )
    except ValueError as error:
        raise SettingsError(f"the FreshBooks settings do not fit: {error}") from None


def open_clarity(settings: Settings) -> Source | None:
    """The client of the source: Clarity, or what a plug-in brings; None when it is not configured.

    Raises:
        SettingsError: A value is unusable.
    """
    shop = settings.clarity
    system = settings.source_system
    if system.connect is not None:
        try:
            return system.connect(system.profile, dict(os.environ), settings.http_timeout_s)
        except ValueError as error:
            raise SettingsError(f"{system.origin}: the system {system.name} cannot be opened: {error}") from None
    if shop.api_url is None or (shop.client_secret is None and shop.api_key is None):
        return None
    try:
        return Clarity(
            base_url=shop.api_url,
            tokens=_clarity_tokens(settings),
            timeout_s=settings.http_timeout_s,
            profile=system.profile,
            by_api_key=shop.api_key is not None,
        )
    except (ValueError, KeyError) as error:
        raise SettingsError(f"the Clarity settings do not fit: {error}") from None


def _clarity_tokens(settings: Settings) -> TokenSource:
    """An API key where one is set (A5), else the machine login of A2 with the scopes of A4."""
    shop, profile = settings.clarity, settings.profile
    if shop.api_key is not None:
        return StaticToken(shop.api_key.get_secret_value())
    sign_in, scopes = profile.assumed("A2"), profile.assumed("A4")
    return ClientCredentials(
        base_url=shop.api_url or "",
        client_id=shop.client_id or "",
        client_secret=shop.client_secret.get_secret_value() if shop.client_secret else "",
        scope=f"{scopes['read']} {scopes['write']}" if profile.assumed("A43", "enabled") else scopes["read"],
        token_path=sign_in["path"],
        api_path=profile.assumed("A1"),
        by=sign_in["secret_in"],
        life_s=float(sign_in["life_s"]),
        early_s=float(sign_in["early_s"]),
        timeout_s=settings.http_timeout_s,
    )


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
