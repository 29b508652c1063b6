"""What the sign-in tests share: a person in a browser, and a small OAuth server with several accounts."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import httpx2

from connectors.sandbox.server import Sandbox

REDIRECT = "https://localhost/callback"


def consent(url: str, *, decision: str = "approve") -> str:
    """Do what a person does at the authorize address; the address the browser is sent to."""
    with httpx2.Client(follow_redirects=False, trust_env=False) as browser:
        answer = browser.get(url)
        if answer.status_code == 200:
            answer = browser.post(url, data={"decision": decision})
    assert answer.status_code == 302, answer.text
    return str(answer.headers["location"])


def code_of(address: str) -> str:
    """The code in a redirect address."""
    return parse_qs(urlsplit(address).query)["code"][0]


def denied(url: str) -> str:
    """Where a browser ends when the person does not consent."""
    asked = dict(parse_qsl(urlsplit(url).query))
    return f"{asked['redirect_uri']}?{urlencode({'error': 'access_denied', 'state': asked['state']})}"


@contextmanager
def seen_secrets(sandbox: Sandbox) -> Iterator[list[str]]:
    """Every code and token the sandbox hands out meanwhile, and the application's secrets."""
    oauth = sandbox.state.oauth
    found = [sandbox.freshbooks_client_secret, sandbox.client_secret]
    token, new_code = oauth.token, oauth.new_code

    def watched_token(*args: Any, **more: Any) -> Any:
        answer = token(*args, **more)
        found.extend([answer["access_token"], answer["refresh_token"]])
        return answer

    def watched_code(*args: Any, **more: Any) -> str:
        found.append(new_code(*args, **more))
        return found[-1]

    oauth.token, oauth.new_code = watched_token, watched_code  # type: ignore[method-assign]
    yield found


@contextmanager
def expiring(sandbox: Sandbox, *, calls: int) -> Iterator[None]:
    """Every access token dies after so many accepted calls."""
    oauth, count = sandbox.state.oauth, [0]
    accepts = oauth.accepts

    def counted(*args: Any, **more: Any) -> bool:
        accepted = accepts(*args, **more)
        count[0] += accepted
        if accepted and count[0] % calls == 0:
            oauth.expire_all()
        return accepted

    oauth.accepts = counted  # type: ignore[method-assign]
    yield


@dataclass
class OAuthStub:
    """Both systems' endpoints in one small server, for what the sandbox has no switch for.

    Attributes:
        accounts: Business memberships of users/me, `{account_id: name}`.
        scope: Granted, whatever was asked for.
        rotates: Whether an answer to a refresh has a new refresh token.
        forms: Bodies of the token endpoint, in order.
        keys: Values of X-Api-Key, in order.
    """

    url: str = ""
    accounts: dict[str, str] = field(default_factory=lambda: {"ONE": "First"})
    scope: str = ""
    rotates: bool = True
    has_revoke: bool = True
    forms: list[dict[str, str]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    revoked: list[str] = field(default_factory=list)
    refresh: str = ""
    count: int = 0

    def answer(self, method: str, path: str, fields: dict[str, str], headers: Any) -> tuple[int, Any]:
        """Status and body of one request."""
        if path.endswith("/oauth/token"):
            return self._token(fields)
        if path.endswith("/oauth/revoke") and self.has_revoke:
            self.revoked.append(fields["token"])
            return 200, {}
        if path == "/auth/api/v1/users/me":
            return 200, {"response": self._me()}
        if path == "/api/v1/orders" and ("X-Api-Key" in headers or headers["Authorization"] == f"Bearer {self.access}"):
            self.keys += [headers["X-Api-Key"]] if "X-Api-Key" in headers else []
            return 200, {"data": [], "page": 1, "totalPages": 0, "total": 0}
        return (401, {"error": {"code": "unauthorized", "message": "no"}}) if path.startswith("/api/") else (404, {})

    @property
    def access(self) -> str:
        return f"stub-access-{self.count}"

    def _token(self, fields: dict[str, str]) -> tuple[int, Any]:
        self.forms.append(fields)
        if fields["grant_type"] == "refresh_token" and fields["refresh_token"] != self.refresh:
            return 400, {"error": "invalid_grant", "error_description": "used"}
        self.count += 1
        body = {"access_token": self.access, "expires_in": 3600, "scope": self.scope, "token_type": "Bearer"}
        if self.rotates or fields["grant_type"] != "refresh_token":
            self.refresh = f"stub-refresh-{self.count}"
            body["refresh_token"] = self.refresh
        return 200, body

    def _me(self) -> dict[str, Any]:
        businesses = [{"id": n, "account_id": key, "name": name} for n, (key, name) in enumerate(self.accounts.items())]
        memberships = [{"id": 90 + n, "role": "owner", "business": one} for n, one in enumerate(businesses)]
        return {
            "first_name": "Ana",
            "last_name": "Ohm",
            "email": "ana@example.com",
            "business_memberships": memberships,
        }


@contextmanager
def oauth_stub(**settings: Any) -> Iterator[OAuthStub]:
    """The stub on a free port."""
    stub = OAuthStub(**settings)

    class Handler(BaseHTTPRequestHandler):
        def _serve(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            fields = dict(parse_qsl(self.rfile.read(length).decode()))
            status, body = stub.answer(self.command, urlsplit(self.path).path, fields, self.headers)
            raw = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        do_GET = do_POST = _serve  # noqa: N815  the server's words

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    stub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield stub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
