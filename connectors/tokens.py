"""Access tokens: who holds them, when they are renewed, and that they are renewed once.

FreshBooks rotates its refresh token at every use and keeps one valid per user and application, so two
refreshers at the same time, or a new pair used before it was saved, cut the connection. Both are ruled out here.
"""

from __future__ import annotations

import threading
import time
from base64 import b64encode
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import quote_plus, urlencode

from connectors.errors import AmbiguousWriteError, AuthError, Problem, ReconnectError, TransientError, read_problem
from connectors.http import Answer, Transport, parse_retry_after, root_url

REFRESH_EARLY_S = 60.0
"""Renew this long before the end; assumption A2 for Clarity, the same for FreshBooks."""

CLARITY_API_PATH = "/api/v1"
"""Assumption A1; a base URL may be given with or without it."""

CLARITY_SCOPE = "orders:read customers:read payments:read products:read"
"""Assumption A4; write scopes are asked for only by the way back."""


@dataclass(frozen=True)
class OAuthPaths:
    """Where a system keeps its OAuth endpoints, below its base URL.

    Attributes:
        system: Its name in messages.
        api_path: Part of a base URL that these paths do not stand below.
        life_s: Of an access token whose answer does not say.
        always_rotates: An answer to a refresh without a new refresh token is no usable answer.
        pkce: Whether a consent is asked for with PKCE.
        basic: The application names itself in the Authorization header and not in the body.
    """

    system: str
    authorize: str
    token: str
    revoke: str
    life_s: int
    always_rotates: bool
    api_path: str = ""
    pkce: bool = True
    basic: bool = False

    def login(self, client_id: str, client_secret: str) -> tuple[dict[str, str], tuple[str, str] | None]:
        """How the application names itself: form fields, and what goes into the header."""
        if self.basic:
            return {}, (client_id, client_secret)
        return {"client_id": client_id, "client_secret": client_secret}, None

    def url(self, base_url: str, path: str) -> str:
        """The address of one of the paths; raises ValueError for an unusable base URL."""
        return root_url(base_url, self.api_path) + path


FRESHBOOKS_OAUTH = OAuthPaths(
    "FreshBooks", "/oauth/authorize", "/auth/oauth/token", "/auth/oauth/revoke", life_s=43200, always_rotates=True
)
CLARITY_OAUTH = OAuthPaths(
    "Clarity",
    "/oauth/authorize",
    "/oauth/token",
    "/oauth/revoke",
    life_s=3600,
    always_rotates=False,
    api_path=CLARITY_API_PATH,
)
"""Assumptions A2 and A3; the path to revoke is RFC 7009's usual one."""


_SECRET_FIELDS = frozenset({"client_id", "client_secret", "refresh_token", "code", "code_verifier", "token"})


class TokenSource(Protocol):
    """Gives the access token of one connection; safe to share between threads."""

    def token(self) -> str:
        """A token that is valid as far as this side knows; raises AuthError or TransientError."""
        ...

    def refreshed(self, rejected: str) -> str:
        """A token other than the one just refused with 401; raises AuthError when there is none."""
        ...


@dataclass(frozen=True)
class TokenPair:
    """An access token with the refresh token that came with it; never printed.

    Attributes:
        expires_at: End of the access token in unix seconds.
        scope: Granted scopes, separated by spaces; empty when the server did not say.
        obtained_at: When it was asked for, in unix seconds; 0 when that is not known.
    """

    access: str = field(repr=False)
    refresh: str = field(repr=False)
    expires_at: float
    scope: str = ""
    obtained_at: float = field(default=0.0, compare=False)


class TokenCell(Protocol):
    """The stored pair while the exclusive lock is held."""

    def load(self) -> TokenPair | None: ...

    def save(self, pair: TokenPair) -> None:
        """Durable before it returns."""
        ...


class TokenStore(Protocol):
    """Where a pair is kept between runs."""

    def exclusive(self) -> AbstractContextManager[TokenCell]:
        """Hold a lock that other threads and processes respect."""
        ...


class StaticToken:
    """A token from the settings that nobody renews."""

    def __init__(self, access: str) -> None:
        """Take the token.

        Raises:
            ValueError: Empty, or with characters that no header can carry.
        """
        self._access = access.strip()
        if not _header_safe(self._access):
            raise ValueError("the access token is empty or holds characters that a header cannot carry")

    def token(self) -> str:
        return self._access

    def refreshed(self, rejected: str) -> str:
        raise AuthError("the access token was refused and this connection has no way to renew it")


class ClientCredentials:
    """Clarity's machine login (assumption A2); one refresher at a time, renewed early."""

    def __init__(
        self,
        *,
        base_url: str,
        client_id: str,
        client_secret: str,
        scope: str = CLARITY_SCOPE,
        token_path: str = CLARITY_OAUTH.token,
        api_path: str = CLARITY_API_PATH,
        by: str = "body",
        life_s: float = 3600.0,
        early_s: float = REFRESH_EARLY_S,
        timeout_s: float = 30.0,
        now: Callable[[], float] = time.time,
    ) -> None:
        """Set up without any request.

        Args:
            scope: Asked for (A4).
            token_path: Of A2, as the next three.
            api_path: Cut from the end of base_url (A1).
            by: "body", or "basic" for the Authorization header.
            life_s: Lifetime of a token whose answer does not state one.
            early_s: Renew this long before the end, or after half of a short life.
        """
        self._url = root_url(base_url, api_path) + token_path
        self._fields = {"grant_type": "client_credentials", "scope": scope}
        self._basic: tuple[str, str] | None = (client_id, client_secret) if by == "basic" else None
        if self._basic is None:
            self._fields |= {"client_id": client_id, "client_secret": client_secret}
        self._life_s, self._early_s = life_s, early_s
        self._timeout_s = timeout_s
        self._now = now
        self._lock = threading.Lock()
        self._held: tuple[str, float] | None = None  # token, and the unix second from which it is renewed

    def token(self) -> str:
        held = self._held
        if held is not None and self._now() < held[1]:
            return held[0]
        with self._lock:
            held = self._held
            if held is not None and self._now() < held[1]:
                return held[0]
            return self._fetch()

    def refreshed(self, rejected: str) -> str:
        with self._lock:
            if self._held is not None and self._held[0] != rejected:
                return self._held[0]  # another thread was faster
            return self._fetch()

    def _fetch(self) -> str:
        asked_at = self._now()
        body = ask_token(self._url, self._fields, self._timeout_s, system="Clarity", now=self._now, basic=self._basic)
        access = _required_text(body, "access_token", "Clarity")
        lifetime_s = float(_seconds(body.get("expires_in"), default=self._life_s))
        # Half of a short life, else every call would renew a token that lives less than a minute.
        early_s = min(self._early_s, lifetime_s / 2)
        self._held = (access, asked_at + lifetime_s - early_s)
        return access


class RefreshingToken:
    """A rotating pair: single use, one refresher under the store's lock, saved before used."""

    def __init__(
        self,
        *,
        base_url: str,
        client_id: str,
        client_secret: str,
        store: TokenStore,
        redirect_uri: str = "",
        initial_refresh_token: str | None = None,
        timeout_s: float = 30.0,
        now: Callable[[], float] = time.time,
        early_s: float = REFRESH_EARLY_S,
        oauth: OAuthPaths = FRESHBOOKS_OAUTH,
    ) -> None:
        """Set up without any request.

        Args:
            base_url: The system's root, for instance https://api.freshbooks.com.
            client_id: Of the registered application.
            client_secret: Always needed, PKCE or not.
            store: Keeps the newest pair.
            redirect_uri: The registered one; FreshBooks' own clients send it on a refresh too.
            initial_refresh_token: From the settings; used when the store is empty, or when the server no
                longer takes the stored one (that is how somebody reconnects by settings).
            timeout_s: For one token request.
            now: Clock in unix seconds.
            early_s: Renew this long before the end.
            oauth: Which system's endpoints.
        """
        self._url = oauth.url(base_url, oauth.token)
        self._oauth = oauth
        self._client, self._basic = oauth.login(client_id, client_secret)
        self._redirect_uri = redirect_uri
        self._store = store
        self._initial = initial_refresh_token or None
        self._timeout_s = timeout_s
        self._now = now
        self._early_s = early_s
        self._lock = threading.Lock()
        self._held: TokenPair | None = None
        self._dead: dict[str, str] = {}  # why by token; refused once, refused for ever: the server is not asked again

    def token(self) -> str:
        held = self._held
        if held is not None and self._fresh(held):
            return held.access
        return self._renew(rejected=None)

    def refreshed(self, rejected: str) -> str:
        return self._renew(rejected=rejected)

    def _fresh(self, pair: TokenPair) -> bool:
        # Half of what was left of it at first, else a pair handed out shortly before its end (created_at may be that
        # of an older token) would be renewed at every call.
        left_s = max(0.0, pair.expires_at - pair.obtained_at)
        return self._now() < pair.expires_at - min(self._early_s, left_s / 2)

    def _renew(self, rejected: str | None) -> str:
        """Adopt the pair another thread or process renewed meanwhile, else renew it here."""
        with self._lock:
            held = self._held
            if held is not None and self._fresh(held) and held.access != rejected:
                return held.access
            with self._store.exclusive() as cell:
                stored = cell.load()
                if stored is not None and self._fresh(stored) and stored.access != rejected:
                    self._held = stored
                    return stored.access
                pair = self._refresh(stored)
                cell.save(pair)  # before anybody uses it: the old refresh token is already dead
            self._held = pair
            return pair.access

    def _refresh(self, stored: TokenPair | None) -> TokenPair:
        candidates = [stored.refresh] if stored is not None else []
        if self._initial is not None and self._initial not in candidates:
            candidates.append(self._initial)
        name = self._oauth.system
        if not candidates:
            raise ReconnectError(name, f"reconnect {name}: no refresh token is stored")
        for refresh in candidates:
            if refresh in self._dead:
                continue
            try:
                return self._exchange(refresh)
            except InvalidGrantError as error:
                self._dead[refresh] = error.message
        raise ReconnectError(name, f"reconnect {name}: {self._dead[candidates[-1]]}") from None

    def _exchange(self, refresh: str) -> TokenPair:
        asked_at = self._now()
        fields = {**self._client, "grant_type": "refresh_token", "refresh_token": refresh}
        if self._redirect_uri:
            fields["redirect_uri"] = self._redirect_uri
        body = ask_token(
            self._url, fields, self._timeout_s, system=self._oauth.system, now=self._now, basic=self._basic
        )
        return read_pair(body, self._oauth, asked_at=asked_at, refresh=refresh)


def read_pair(body: dict[str, Any], oauth: OAuthPaths, *, asked_at: float, refresh: str = "") -> TokenPair:
    """The pair of a token answer.

    Args:
        body: From `ask_token`.
        asked_at: Unix seconds; the start of the token's life where the answer has no created_at.
        refresh: Kept when the answer has no new one and the system allows that.

    Raises:
        TransientError: A token is missing or unusable.
    """
    if oauth.always_rotates or body.get("refresh_token") is not None or not refresh:
        refresh = _required_text(body, "refresh_token", oauth.system)
    # created_at may be that of an older token that is handed out again, so it is not "now" (seen live).
    created_at = float(_seconds(body.get("created_at"), default=asked_at))
    scope = body.get("scope")
    return TokenPair(
        access=_required_text(body, "access_token", oauth.system),
        refresh=refresh,
        expires_at=created_at + float(_seconds(body.get("expires_in"), default=oauth.life_s)),
        scope=" ".join(scope.split()) if isinstance(scope, str) else "",
        obtained_at=asked_at,
    )


class InvalidGrantError(AuthError):
    """The code or the refresh token is dead; another one may still be tried."""


def basic_header(client: tuple[str, str]) -> str:
    """Id and secret as RFC 6749 §2.3.1 wants them: both form-encoded before they are joined."""
    return "Basic " + b64encode(":".join(quote_plus(part) for part in client).encode()).decode()


def ask_token(
    url: str,
    fields: dict[str, str],
    timeout_s: float,
    *,
    system: str,
    now: Callable[[], float],
    basic: tuple[str, str] | None = None,
) -> dict[str, Any]:
    """POST a form to a token endpoint and return its JSON object.

    Raises:
        InvalidGrantError: The code or refresh token is used, expired, revoked or of another client.
        AuthError: The client or the request was refused.
        TransientError: No usable answer. A lost answer belongs here too: no record changed, and whether the
            refresh token was used up shows at the next try.
    """
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
    if basic is not None:
        headers["Authorization"] = basic_header(basic)
    content = urlencode(fields).encode()
    with Transport(url, timeout_s=timeout_s) as transport:
        try:
            answer = transport.exchange("POST", url, headers=headers, content=content, operation=f"{system} sign-in")
        except AmbiguousWriteError as error:
            raise TransientError(error.message) from error
    sent = [value for name, value in fields.items() if name in _SECRET_FIELDS and value]
    sent += [*(basic or ()), headers["Authorization"].removeprefix("Basic ")] if basic else []
    return _read_token_answer(answer, sent, system, now)


def _read_token_answer(answer: Answer, sent: list[str], system: str, now: Callable[[], float]) -> dict[str, Any]:
    body = answer.json_or_none()
    problem = read_problem(body, sent)
    status = answer.status
    if status == 429 or status >= 500:
        wait_s = parse_retry_after(answer.headers.get("retry-after"), now())
        raise TransientError(f"{system} sign-in: status {status}", wait_s)
    if status >= 400 or problem is not None:
        problem = problem or Problem(message="no reason given")
        if problem.code == "invalid_grant":
            raise InvalidGrantError(problem.message)
        raise AuthError(f"{system} sign-in refused, status {status}: {problem.message}")
    if status >= 300 or not isinstance(body, dict):
        raise TransientError(f"{system} sign-in: status {status} without a token")
    return body


def _required_text(body: dict[str, Any], name: str, system: str) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not _header_safe(value):
        raise TransientError(f"{system} sign-in: the answer has no usable {name}")
    return value


def _seconds(value: Any, default: float) -> float:
    try:
        return float(value) if value is not None and not isinstance(value, bool) else default
    except (TypeError, ValueError):
        return default


def _header_safe(token: str) -> bool:
    return bool(token) and token.isascii() and token.isprintable() and " " not in token
