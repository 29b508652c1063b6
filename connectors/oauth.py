"""Sign-in with a person's consent: the authorize address, what comes back from it, the first pair, and its end.

Authorization code with PKCE S256 and `state` (RFC 6749, 7636). FreshBooks takes https redirect addresses only and its
codes live five minutes, so what comes back is usually pasted by the person; a whole address carries the state too.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import parse_qs, quote, urlencode, urlsplit

from connectors.errors import AmbiguousWriteError, AuthError, TransientError
from connectors.http import Transport, query_string
from connectors.tokens import InvalidGrantError, OAuthPaths, TokenPair, ask_token, basic_header, read_pair

CODE_LIFE_MINUTES = 5

_CODE = re.compile(r"[A-Za-z0-9._~+/=-]{6,4096}")
_ERROR_WORD = re.compile(r"[a-z_]{1,60}")


class PastedError(ValueError):
    """What was pasted is neither a code nor the address that the consent ended at; the text says why."""


class ConsentError(AuthError):
    """The person, or the server for the person, refused."""


@dataclass(frozen=True)
class Consent:
    """One request for a person's consent, from the address to the code; never printed.

    Attributes:
        state: Comes back with the code and proves that the answer belongs to this request.
        verifier: PKCE secret; only its digest is in the address. Empty without PKCE.
        made_at: Unix seconds.
    """

    redirect_uri: str
    scope: str
    state: str = field(repr=False)
    verifier: str = field(repr=False)
    made_at: float

    @classmethod
    def new(cls, redirect_uri: str, scope: str, *, now: float, pkce: bool = True) -> Consent:
        """With a fresh state and verifier."""
        return cls(redirect_uri, scope, secrets.token_urlsafe(24), secrets.token_urlsafe(48) if pkce else "", now)

    def url(self, authorize_url: str, client_id: str) -> str:
        """The address where the person consents."""
        digest = hashlib.sha256(self.verifier.encode()).digest()
        pairs = [
            ("response_type", "code"),
            ("client_id", client_id),
            ("redirect_uri", self.redirect_uri),
            *([("scope", self.scope)] if self.scope else []),
            ("state", self.state),
        ]
        if self.verifier:
            pairs.append(("code_challenge", base64.urlsafe_b64encode(digest).rstrip(b"=").decode()))
            pairs.append(("code_challenge_method", "S256"))
        return f"{authorize_url}?{query_string(pairs)}"


def read_pasted(text: str, state: str | None) -> str:
    """The code in what a person pasted: the code itself, or the whole address of the page after the consent.

    Args:
        text: As pasted.
        state: Of the request; None when none is open, then only a bare code is taken.

    Raises:
        ConsentError: The address says that the consent was refused.
        PastedError: Neither a code nor such an address, or an address of another request.
    """
    pasted = text.strip().strip("\"'").strip()
    if pasted.startswith("<http"):
        pasted = pasted.strip("<>")
    if "://" not in pasted and not re.search(r"(^|[?&#])(code|error)=", pasted):
        if not _CODE.fullmatch(pasted):
            raise PastedError("that is no code: paste the code, or the whole address of the page after the consent")
        return pasted
    try:
        parts = urlsplit(pasted if "://" in pasted else "https://pasted/?" + pasted.lstrip("?&#"))
        fields = parse_qs(parts.query or parts.fragment, keep_blank_values=True, max_num_fields=50)
    except ValueError:
        raise PastedError("that is no address a browser would show") from None
    sent = fields.get("state", [""])[0]
    refused = "error" in fields
    if not (refused and not sent) and not hmac.compare_digest(sent.encode(), (state or "").encode()):
        raise PastedError(
            "the state does not match: this address belongs to another sign-in; open the newest authorize address"
        )
    if refused:
        word = fields["error"][0]
        shown = word if _ERROR_WORD.fullmatch(word) else "no reason given"
        raise ConsentError("the consent was denied" if word == "access_denied" else f"the consent failed: {shown}")
    code = fields.get("code", [""])[0]
    if not _CODE.fullmatch(code):
        raise PastedError("the address holds no code: paste the address of the page that comes after the consent")
    return code


def exchange_code(
    base_url: str,
    oauth: OAuthPaths,
    *,
    client_id: str,
    client_secret: str,
    code: str,
    redirect_uri: str,
    verifier: str | None,
    timeout_s: float = 30.0,
    now: Callable[[], float] = time.time,
) -> TokenPair:
    """Trade a code for the first pair. The caller saves it before it is used.

    Args:
        redirect_uri: The one of the authorize address.
        verifier: Of PKCE; None when the code was asked for without.

    Raises:
        ConsentError: The code is used, older than five minutes, or of another client or address.
        AuthError: The client was refused.
        TransientError: No usable answer.
    """
    asked_at = now()
    login, basic = oauth.login(client_id, client_secret)
    fields = {
        "grant_type": "authorization_code",
        **login,
        "code": code,
        "redirect_uri": redirect_uri,
    }
    if verifier is not None:
        fields["code_verifier"] = verifier
    url = oauth.url(base_url, oauth.token)
    try:
        body = ask_token(url, fields, timeout_s, system=oauth.system, now=now, basic=basic)
    except InvalidGrantError as error:
        raise ConsentError(
            f"{oauth.system} refused the code ({error.message}): codes work once, for {CODE_LIFE_MINUTES} minutes and "
            "with the same redirect address; open the authorize address again"
        ) from None
    return read_pair(body, oauth, asked_at=asked_at)


def revoke_token(
    base_url: str, oauth: OAuthPaths, *, client_id: str, client_secret: str, token: str, timeout_s: float = 30.0
) -> bool:
    """End a token at the server; one it does not know is no error.

    Returns:
        False when the server has no such endpoint.

    Raises:
        AuthError: The client was refused.
        TransientError: No clear answer; the token may live on.
    """
    url = oauth.url(base_url, oauth.revoke)
    login, basic = oauth.login(client_id, client_secret)
    fields = {**login, "token": token}
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
    if basic is not None:
        headers["Authorization"] = basic_header(basic)
    operation = f"{oauth.system} sign-out"
    with Transport(url, timeout_s=timeout_s) as transport:
        try:
            answer = transport.exchange(
                "POST", url, headers=headers, content=urlencode(fields, quote_via=quote).encode(), operation=operation
            )
        except AmbiguousWriteError as error:
            raise TransientError(error.message) from None
    if answer.status in (404, 405):
        return False
    if answer.status in (400, 401, 403):
        raise AuthError(f"{operation} refused, status {answer.status}: are the client id and secret right?")
    if answer.status >= 300:
        raise TransientError(f"{operation}: status {answer.status}")
    return True
