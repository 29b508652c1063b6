"""Opens the two systems' clients from the settings, and says early and plainly when a server is not there."""

from __future__ import annotations

import socket
import urllib.request
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from connectors.cef_session import CefSession
from connectors.clarity import Clarity, api_key
from connectors.clarity_cef import ClarityCef
from connectors.clarity_port import ClarityPort
from connectors.freshbooks import FreshBooks
from connectors.http import bearer
from connectors.profiles import load_profile
from connectors.tokens import CLARITY_OAUTH, ClientCredentials, RefreshingToken, StaticToken, TokenSource
from sync.errors import SettingsError, SyncError
from sync.settings import Settings
from sync.signin_state import with_sign_in
from sync.store import Store
from sync.token_key import KeyChoice

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
        )
    except ValueError as error:
        raise SettingsError(f"the FreshBooks settings do not fit: {error}") from None


def open_clarity(settings: Settings) -> ClarityPort | None:
    """The client of the configured flavour; None when Clarity is not configured.

    Raises:
        SettingsError: A value is unusable.
    """
    shop, secret = settings.clarity, settings.clarity.client_secret
    if shop.api_url is None or (secret is None and shop.api_key is None):
        return None
    tokens: TokenSource
    try:
        if shop.flavour == "cef":
            session = CefSession(
                base_url=shop.api_url,
                user_name=shop.client_id or "",
                password=secret.get_secret_value() if secret else "",
                timeout_s=settings.http_timeout_s,
            )
            return ClarityCef(base_url=shop.api_url, session=session, timeout_s=settings.http_timeout_s)
        if shop.api_key is not None:
            tokens = StaticToken(shop.api_key.get_secret_value())
        else:
            tokens = _clarity_oauth(settings, shop.api_url, secret.get_secret_value() if secret else "")
        return Clarity(
            base_url=shop.api_url,
            tokens=tokens,
            timeout_s=settings.http_timeout_s,
            credential=_credential(settings),
        )
    except ValueError as error:
        raise SettingsError(f"the Clarity settings do not fit: {error}") from None


def _credential(settings: Settings) -> Callable[[str], Mapping[str, str]]:
    """How a token or key is sent (A5)."""
    if settings.clarity.api_key is None:
        return bearer
    return api_key(str(load_profile("clarity-rest").settings["A5"].value))


def _clarity_oauth(settings: Settings, api_url: str, secret: str) -> TokenSource:
    client_id, timeout_s = settings.clarity.client_id or "", settings.http_timeout_s
    if settings.sign_in.clarity_grant == "client_credentials":
        return ClientCredentials(base_url=api_url, client_id=client_id, client_secret=secret, timeout_s=timeout_s)
    from sync.tokens_db import StoredTokens

    key = KeyChoice(settings.sign_in.token_key, settings.token_key)
    return RefreshingToken(
        base_url=api_url,
        client_id=client_id,
        client_secret=secret,
        store=StoredTokens(settings.store_url, "clarity", key=key),
        timeout_s=timeout_s,
        oauth=CLARITY_OAUTH,
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
