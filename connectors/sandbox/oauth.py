"""OAuth of the FreshBooks stand-in: codes, access tokens, single-use rotating refresh tokens, scopes, PKCE."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from connectors.sandbox.errors import ConsentError, OAuthError
from connectors.sandbox.switches import Switches
from connectors.sandbox.times import Clock
from connectors.sandbox.wire import JsonObject

CODE_LIFE_S = 300  # documented: five minutes
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_PADDING = 640  # seen live: an access token is a JWT of about 1 kB, which short columns cut off


@dataclass(frozen=True)
class Ask:
    """What an application asks a person for: the query of the authorize page.

    `challenge` is the S256 code challenge of PKCE, empty without.
    """

    client_id: str
    redirect_uri: str
    scopes: tuple[str, ...]
    state: str | None = None
    challenge: str = ""


@dataclass(frozen=True)
class _Code:
    redirect_uri: str
    scopes: tuple[str, ...]
    challenge: str
    expires_at: float


@dataclass(frozen=True)
class _Access:
    scopes: tuple[str, ...]
    created_at: float
    life_s: int

    @property
    def expires_at(self) -> float:
        return self.created_at + self.life_s


class FreshBooksOAuth:
    """Tokens of one application and one user. Callers hold the state's lock.

    Attributes:
        refresh_token: The one that is valid; None after it was revoked.
    """

    def __init__(
        self, client_id: str, client_secret: str, clock: Clock, switches: Callable[[], Switches] = Switches
    ) -> None:
        """Start without tokens.

        Args:
            client_id: Of the one application.
            client_secret: Always asked for at the token endpoint.
            clock: The present instant.
            switches: Returns the switches in force.
        """
        self._client = (client_id, client_secret)
        self._clock = clock
        self._switches = switches
        self._codes: dict[str, _Code] = {}
        self._access: dict[str, _Access] = {}
        self._latest: _Access | None = None
        self._granted: tuple[str, ...] = ()
        self.refresh_token: str | None = None

    def grant(self, access: str, refresh: str, *, life_s: int, granted: Sequence[str] | None = None) -> None:
        """Make a pair of tokens valid; the refresh token before it dies.

        Args:
            granted: Scopes; None for all that the application is registered for.
        """
        known = tuple(self._switches().enabled_scopes if granted is None else granted)
        self._put(access, refresh, _Access(known, self._now(), life_s))

    def accepts(self, access: str, scope: str = "") -> bool:
        """Whether an access token is known, alive and not revoked, and carries the scope."""
        known = self._access.get(access)
        return known is not None and known.expires_at > self._now() and (not scope or scope in known.scopes)

    def accepts_header(self, authorization: str, scope: str = "") -> bool:
        """Whether an Authorization header brings an accepted bearer token."""
        kind, _, token = authorization.partition(" ")
        return kind.lower() == "bearer" and self.accepts(token, scope)

    def expire_all(self) -> None:
        """End the life of every access token; refresh tokens stay."""
        self._access.clear()
        self._latest = None

    def ask(self, query: JsonObject) -> Ask:
        """Read the query of the authorize page.

        Raises:
            OAuthError: Unknown application, or a redirect that nobody may be sent to.
            ConsentError: Anything else; the browser goes back with it.
        """
        if query.get("client_id") != self._client[0]:
            raise OAuthError(401, "invalid_client", "Client authentication failed due to unknown client.")
        redirect_uri, state = str(query.get("redirect_uri", "")), query.get("state")
        self._check_redirect(redirect_uri)
        if query.get("response_type") != "code":
            description = "The authorization server does not support this response type."
            raise ConsentError(redirect_uri, state, "unsupported_response_type", description)
        challenge = str(query.get("code_challenge", ""))
        if challenge and query.get("code_challenge_method", "plain") != "S256":
            raise ConsentError(redirect_uri, state, "invalid_request", "The code challenge method must be S256.")
        wanted = tuple(dict.fromkeys(str(query.get("scope", "")).split())) or tuple(self._switches().enabled_scopes)
        # seen live: one unknown or not enabled scope rejects the whole consent
        if not set(wanted) <= set(self._switches().enabled_scopes):
            raise ConsentError(redirect_uri, state, "invalid_scope", "The requested scope is invalid or unknown.")
        return Ask(self._client[0], redirect_uri, wanted, state, challenge)

    def new_code(self, redirect_uri: str, granted: Sequence[str] | None = None, *, challenge: str = "") -> str:
        """An authorization code for one use within five minutes.

        Args:
            granted: Scopes; None for all that the application is registered for.
            challenge: S256 code challenge, empty without PKCE.

        Raises:
            OAuthError: FreshBooks takes https redirects without query string only.
        """
        self._check_redirect(redirect_uri)
        code = secrets.token_hex(16)
        known = tuple(self._switches().enabled_scopes if granted is None else granted)
        self._codes[code] = _Code(redirect_uri, known, challenge, self._now() + CODE_LIFE_S)
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
                fresh = _Access(self._use_code(fields), self._now(), life_s)
            case "refresh_token":
                sent = fields.get("refresh_token")
                if not sent:
                    raise OAuthError(400, "invalid_request", "Missing required parameter: refresh_token.")
                if sent != self.refresh_token:
                    raise _invalid_grant()
                fresh = self._renewed(life_s)
            case _:
                description = "The authorization grant type is not supported by the authorization server."
                raise OAuthError(400, "unsupported_grant_type", description)
        access, refresh = self._new_access(fresh), secrets.token_hex(32)
        self._put(access, refresh, fresh)
        return {
            "access_token": access,
            "token_type": "Bearer",
            "expires_in": fresh.life_s,
            "refresh_token": refresh,
            "scope": " ".join(fresh.scopes),
            "created_at": int(fresh.created_at),
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

    def introspect(self, fields: JsonObject) -> JsonObject:
        """What is known of a token (RFC 7662).

        Raises:
            OAuthError: invalid_client.
        """
        self._check_client(fields)
        token = str(fields.get("token", ""))
        about: JsonObject = {"active": True, "client_id": self._client[0], "token_type": "Bearer"}
        if self.accepts(token):
            known = self._access[token]
            times = {"iat": int(known.created_at), "exp": int(known.expires_at)}
            return about | {"scope": " ".join(known.scopes)} | times
        if token and token == self.refresh_token:
            return about | {"scope": " ".join(self._granted)}
        return {"active": False}

    def _put(self, access: str, refresh: str, fresh: _Access) -> None:
        self._access[access] = self._latest = fresh
        self._granted = fresh.scopes
        self.refresh_token = refresh

    def _renewed(self, life_s: int) -> _Access:
        latest = self._latest
        if self._switches().refreshed_created_at == "old" and latest and latest.expires_at > self._now():
            # seen live: the new token ends when the old one would have, so "now + expires_in" is too late
            return _Access(self._granted, latest.created_at, latest.life_s)
        return _Access(self._granted, self._now(), life_s)

    def _new_access(self, fresh: _Access) -> str:
        claims = {
            "jti": secrets.token_hex(16),
            "scope": " ".join(fresh.scopes),
            "iat": int(fresh.created_at),
            "exp": int(fresh.expires_at),
        }
        padded = claims | {"sandbox": "x" * max(0, _PADDING - len(json.dumps(claims)))}
        parts = [json.dumps(part).encode() for part in ({"alg": "none", "typ": "JWT"}, padded)]
        return ".".join(_base64url(part) for part in (*parts, secrets.token_bytes(64)))

    def _use_code(self, fields: JsonObject) -> tuple[str, ...]:
        code = self._codes.pop(str(fields.get("code", "")), None)
        if code is None or code.expires_at <= self._now() or fields.get("redirect_uri") != code.redirect_uri:
            raise _invalid_grant()
        if code.challenge and self._switches().pkce == "enforced":
            verifier = str(fields.get("code_verifier", ""))
            if _base64url(hashlib.sha256(verifier.encode()).digest()) != code.challenge:
                raise _invalid_grant()
        return code.scopes

    def _check_redirect(self, redirect_uri: str) -> None:
        try:
            parts = urlsplit(redirect_uri)
            let_through = self._switches().loopback_redirects == "accept" and parts.scheme == "http"
            usable = parts.scheme == "https" or (let_through and parts.hostname in _LOOPBACK)
            usable = usable and bool(parts.hostname) and not parts.query and not parts.fragment
        except ValueError:
            usable = False
        if not usable or not redirect_uri.isascii() or not redirect_uri.isprintable():
            raise OAuthError(400, "invalid_redirect_uri", "The redirect uri included is not valid.")

    def _check_client(self, fields: JsonObject) -> None:
        sent = (str(fields.get("client_id", "")), str(fields.get("client_secret", "")))
        pairs = zip(sent, self._client, strict=True)
        if not all(secrets.compare_digest(a.encode(errors="replace"), b.encode()) for a, b in pairs):
            raise OAuthError(401, "invalid_client", "Client authentication failed.")

    def _now(self) -> float:
        return self._clock().timestamp()


def _invalid_grant() -> OAuthError:
    description = "The provided authorization grant is invalid, expired, revoked, or was already used."
    return OAuthError(400, "invalid_grant", description)


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
