"""Who may call the Clarity stand-in (`rest`): client credentials, a person's consent with PKCE, or an API key.

Assumptions A2 to A5 of the fact sheet, and A10 for how often.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import secrets
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote, urlencode, urlsplit

from connectors.sandbox.clarity_books import ENTITIES
from connectors.sandbox.errors import ClarityError
from connectors.sandbox.times import Clock
from connectors.sandbox.wire import JsonObject

SCOPES = tuple(f"{name}:{right}" for right in ("read", "write") for name in ENTITIES if name != "refunds")
CODE_LIFE_S = 300
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_MINUTE_S = 60.0


@dataclass(frozen=True)
class _Token:
    expires_at: float
    scopes: frozenset[str]


@dataclass(frozen=True)
class _Code:
    redirect_uri: str
    challenge: str
    scopes: frozenset[str]
    expires_at: float


class TooManyRequestsError(ClarityError):
    """429; `retry_after_s` is when the oldest counted request leaves the minute."""

    def __init__(self, retry_after_s: int) -> None:
        super().__init__(429, "rate_limited", "Too many requests.")
        self.retry_after_s = retry_after_s


class ClarityOAuth:
    """Tokens of one client. Callers hold the state's lock."""

    def __init__(self, client_id: str, client_secret: str, api_key: str, clock: Clock) -> None:
        """Start without tokens.

        Args:
            client_id: Of the one client.
            client_secret: Its secret.
            api_key: Accepted instead of a token, with all scopes; empty for none.
            clock: The present instant.
        """
        self._client = (client_id, client_secret)
        self._api_key = api_key
        self._clock = clock
        self._tokens: dict[str, _Token] = {}
        self._codes: dict[str, _Code] = {}
        self._refresh: dict[str, frozenset[str]] = {}
        self._recent: deque[float] = deque()

    def token(self, fields: Mapping[str, str], authorization: str, *, life_s: int) -> JsonObject:
        """Answer the token endpoint.

        Args:
            fields: Of the form.
            authorization: The header, for a client that signs in by Basic; empty when there is none.
            life_s: Seconds the access token lives.

        Raises:
            ClarityError: invalid_client (401), invalid_grant, invalid_scope, unsupported_grant_type (400).
        """
        grant = fields.get("grant_type")
        if grant not in ("client_credentials", "authorization_code", "refresh_token"):
            raise ClarityError(400, "unsupported_grant_type", "This grant type is not supported.")
        self._check_client(fields, authorization, with_secret=grant == "client_credentials")
        if grant == "client_credentials":
            return self._issue(_scopes(fields.get("scope", "")), life_s)
        if grant == "authorization_code":
            return self._issue(self._use_code(fields), life_s, refreshable=True)
        # single use: the one sent is dead from here on, whatever comes of the answer
        scopes = self._refresh.pop(fields.get("refresh_token", ""), None)
        if scopes is None:
            raise _invalid_grant()
        return self._issue(scopes, life_s, refreshable=True)

    def check_consent(self, query: Mapping[str, str]) -> None:
        """Look at an authorization request before a person is asked.

        Raises:
            ClarityError: 400; the browser is not sent anywhere, as its address may be what is wrong.
        """
        parts = urlsplit(query.get("redirect_uri", ""))
        loopback = parts.scheme == "http" and parts.hostname in _LOOPBACK
        if query.get("client_id") != self._client[0]:
            raise ClarityError(400, "invalid_client", "The client is unknown.")
        if not ((parts.scheme == "https" and parts.hostname) or loopback) or parts.fragment:
            raise ClarityError(400, "invalid_request", "redirect_uri: expected https, or http on loopback.")
        if query.get("response_type") != "code":
            raise ClarityError(400, "unsupported_response_type", "response_type: expected code.")
        if query.get("code_challenge_method") != "S256" or len(query.get("code_challenge", "")) != 43:
            raise ClarityError(400, "invalid_request", "code_challenge: PKCE with S256 is required.")
        _scopes(query.get("scope", ""))

    def consent(self, query: Mapping[str, str], *, allowed: bool) -> str:
        """The address that the browser goes to after a person decided.

        Raises:
            ClarityError: As `check_consent`.
        """
        self.check_consent(query)
        answer = {"error": "access_denied"}
        if allowed:
            code = secrets.token_urlsafe(24)
            self._codes[code] = _Code(
                query["redirect_uri"],
                query["code_challenge"],
                _scopes(query.get("scope", "")),
                self._now() + CODE_LIFE_S,
            )
            answer = {"code": code}
        if "state" in query:
            answer["state"] = query["state"]
        joint = "&" if urlsplit(query["redirect_uri"]).query else "?"
        return f"{query['redirect_uri']}{joint}{urlencode(answer)}"

    def revoke(self, fields: Mapping[str, str], authorization: str) -> None:
        """End a token of either kind; an unknown one is no error.

        Raises:
            ClarityError: invalid_client.
        """
        self._check_client(fields, authorization, with_secret=False)
        self._tokens.pop(fields.get("token", ""), None)
        self._refresh.pop(fields.get("token", ""), None)

    def authorize(self, headers: Mapping[str, str], scope: str, *, per_minute: int | None) -> None:
        """Check the token or key of a request, then how many came within a minute.

        Raises:
            ClarityError: 401 for an unknown or dead token, 403 when it lacks the scope, 429 when there are too many.
        """
        kind, _, sent = headers.get("authorization", "").partition(" ")
        bearer = sent if kind.lower() == "bearer" else ""
        key = headers.get("x-api-key", bearer)
        known = self._tokens.get(bearer)
        by_key = bool(self._api_key) and secrets.compare_digest(key.encode(), self._api_key.encode())
        if not by_key:
            if known is None or known.expires_at <= self._now():
                raise ClarityError(401, "unauthorized", "The access token is missing, invalid or expired.")
            if scope not in known.scopes:
                raise ClarityError(403, "forbidden", f"The access token lacks the scope {scope}.")
        self.count(per_minute)

    def count(self, per_minute: int | None) -> None:
        """Count one request against the limit of a minute; None counts without a limit.

        Raises:
            TooManyRequestsError: This one is over the limit, and not counted.
        """
        now = self._now()
        while self._recent and self._recent[0] <= now - _MINUTE_S:
            self._recent.popleft()
        if per_minute is not None and len(self._recent) >= per_minute:
            wait_s = self._recent[0] + _MINUTE_S - now if self._recent else _MINUTE_S
            raise TooManyRequestsError(max(1, int(wait_s) + 1))
        self._recent.append(now)

    def expire_all(self) -> None:
        """End the life of every access token; refresh tokens stay."""
        self._tokens.clear()

    def _issue(self, scopes: frozenset[str], life_s: int, *, refreshable: bool = False) -> JsonObject:
        token = secrets.token_hex(32)
        self._tokens[token] = _Token(self._now() + life_s, scopes)
        answer: JsonObject = {
            "access_token": token,
            "token_type": "Bearer",
            "expires_in": life_s,
            "scope": " ".join(sorted(scopes)),
        }
        if refreshable:
            answer["refresh_token"] = secrets.token_hex(32)
            self._refresh[answer["refresh_token"]] = scopes
        return answer

    def _use_code(self, fields: Mapping[str, str]) -> frozenset[str]:
        code = self._codes.pop(fields.get("code", ""), None)
        if code is None or code.expires_at <= self._now() or fields.get("redirect_uri") != code.redirect_uri:
            raise _invalid_grant()
        digest = hashlib.sha256(fields.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=")
        if not secrets.compare_digest(challenge, code.challenge.encode()):
            raise _invalid_grant()
        return code.scopes

    def _check_client(self, fields: Mapping[str, str], authorization: str, *, with_secret: bool) -> None:
        """A client that proves itself by PKCE or a refresh token may have no secret; a wrong one is refused."""
        sent = _basic(authorization) or (fields.get("client_id", ""), fields.get("client_secret", ""))
        known = self._client if with_secret or sent[1] else (self._client[0], "")
        if not all(secrets.compare_digest(a.encode(), b.encode()) for a, b in zip(sent, known, strict=True)):
            raise ClarityError(401, "invalid_client", "Client authentication failed.")

    def _now(self) -> float:
        return self._clock().timestamp()


def _scopes(text: str) -> frozenset[str]:
    """No scope asks for all."""
    scopes = frozenset(text.split()) or frozenset(SCOPES)
    if not scopes <= frozenset(SCOPES):
        raise ClarityError(400, "invalid_scope", "The requested scope is unknown.")
    return scopes


def _basic(header: str) -> tuple[str, str] | None:
    kind, _, encoded = header.partition(" ")
    if kind.lower() != "basic":
        return None
    try:
        client_id, _, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        return "", ""
    # RFC 6749 2.3.1: both are form-encoded before they are joined
    return unquote(client_id), unquote(secret)


def _invalid_grant() -> ClarityError:
    return ClarityError(400, "invalid_grant", "The grant is invalid, expired, revoked or was already used.")
