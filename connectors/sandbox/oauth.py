"""OAuth of the FreshBooks stand-in: authorization codes, access tokens, single-use rotating refresh tokens."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from urllib.parse import urlsplit

from connectors.sandbox.errors import OAuthError
from connectors.sandbox.times import Clock
from connectors.sandbox.wire import JsonObject

CODE_LIFE_S = 300  # documented: five minutes
SCOPES = (
    "user:profile:read user:clients:read user:clients:write user:invoices:read user:invoices:write "
    "user:payments:read user:payments:write user:billable_items:read user:billable_items:write "
    "user:taxes:read user:taxes:write user:credit_notes:read user:credit_notes:write "
    "user:other_income:read user:other_income:write"
)
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass
class _Code:
    redirect_uri: str
    expires_at: float


class FreshBooksOAuth:
    """Tokens of one application and one user. Callers hold the state's lock."""

    def __init__(self, client_id: str, client_secret: str, clock: Clock) -> None:
        """Start without tokens.

        Args:
            client_id: Of the one application.
            client_secret: Always asked for at the token endpoint.
            clock: The present instant.
        """
        self._client = (client_id, client_secret)
        self._clock = clock
        self._codes: dict[str, _Code] = {}
        self._access: dict[str, float] = {}
        self.refresh_token: str | None = None

    def grant(self, access: str, refresh: str, *, life_s: int) -> None:
        """Make a pair of tokens valid; the refresh token before it dies."""
        self._access[access] = self._now() + life_s
        self.refresh_token = refresh

    def accepts(self, access: str) -> bool:
        """Whether an access token is known, alive and not revoked."""
        return self._access.get(access, 0.0) > self._now()

    def accepts_header(self, authorization: str) -> bool:
        """Whether an Authorization header brings an accepted bearer token."""
        kind, _, token = authorization.partition(" ")
        return kind.lower() == "bearer" and self.accepts(token)

    def expire_all(self) -> None:
        """End the life of every access token; refresh tokens stay."""
        self._access.clear()

    def new_code(self, redirect_uri: str) -> str:
        """An authorization code for one use within five minutes.

        Raises:
            OAuthError: FreshBooks takes https redirects only; loopback is let through here, because nobody has a
                certificate for it. A query string is refused.
        """
        parts = urlsplit(redirect_uri)
        loopback = parts.scheme == "http" and parts.hostname in _LOOPBACK
        if not (parts.scheme == "https" or loopback) or parts.query:
            raise OAuthError(400, "invalid_redirect_uri", "The redirect uri included is not valid.")
        code = secrets.token_hex(16)
        self._codes[code] = _Code(redirect_uri, self._now() + CODE_LIFE_S)
        return code

    def token(self, fields: JsonObject, *, life_s: int) -> JsonObject:
        """Answer the token endpoint.

        Args:
            fields: Of the form or JSON body.
            life_s: Seconds the new access token lives.

        Returns:
            The body of the 200.

        Raises:
            OAuthError: invalid_client (401), invalid_grant, invalid_request, unsupported_grant_type (400).
        """
        self._check_client(fields)
        match fields.get("grant_type"):
            case "authorization_code":
                self._use_code(fields)
            case "refresh_token":
                sent = fields.get("refresh_token")
                if not sent:
                    raise OAuthError(400, "invalid_request", "Missing required parameter: refresh_token.")
                if sent != self.refresh_token:
                    raise _invalid_grant()
            case _:
                description = "The authorization grant type is not supported by the authorization server."
                raise OAuthError(400, "unsupported_grant_type", description)
        access, refresh = secrets.token_hex(32), secrets.token_hex(32)
        self.grant(access, refresh, life_s=life_s)
        return {
            "access_token": access,
            "token_type": "Bearer",
            "expires_in": life_s,
            "refresh_token": refresh,
            "scope": SCOPES,
            "created_at": int(self._now()),
            "direct_buy_tokens": {},
        }

    def revoke(self, fields: JsonObject) -> None:
        """End a token at once; an unknown one is no error.

        Raises:
            OAuthError: invalid_client.
        """
        self._check_client(fields)
        token = str(fields.get("token", ""))
        self._access.pop(token, None)
        if token == self.refresh_token:
            self.refresh_token = None

    def _use_code(self, fields: JsonObject) -> None:
        code = self._codes.pop(str(fields.get("code", "")), None)
        if code is None or code.expires_at <= self._now() or fields.get("redirect_uri") != code.redirect_uri:
            raise _invalid_grant()

    def _check_client(self, fields: JsonObject) -> None:
        sent = (str(fields.get("client_id", "")), str(fields.get("client_secret", "")))
        if not all(secrets.compare_digest(a.encode(), b.encode()) for a, b in zip(sent, self._client, strict=True)):
            raise OAuthError(401, "invalid_client", "Client authentication failed.")

    def _now(self) -> float:
        return self._clock().timestamp()


def _invalid_grant() -> OAuthError:
    description = "The provided authorization grant is invalid, expired, revoked, or was already used."
    return OAuthError(400, "invalid_grant", description)
