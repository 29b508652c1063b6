"""A small OpenID Connect provider on loopback: code flow with PKCE, signed tokens, and people to choose from."""

from __future__ import annotations

import base64
import hashlib
import secrets
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from html import escape
from typing import Any
from urllib.parse import urlencode

import uvicorn
from joserfc import jwt
from joserfc.jwk import RSAKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

CLIENT_ID, CLIENT_SECRET = "mapper", "Kanarioidcsecret8834"


@dataclass
class Provider:
    """A running provider.

    Attributes:
        url: Its issuer.
        people: Claims of each person by the name on the button.
        codes: What each code that was not used yet stands for.
    """

    url: str
    people: Mapping[str, Mapping[str, Any]]
    codes: dict[str, dict[str, Any]] = field(default_factory=dict)

    def secrets_toml(self, app: str) -> str:
        """What an administrator writes for an app at that address."""
        return (
            f'[auth]\nredirect_uri = "{app}/oauth2callback"\ncookie_secret = "{secrets.token_hex(32)}"\n'
            f'client_id = "{CLIENT_ID}"\nclient_secret = "{CLIENT_SECRET}"\n'
            f'server_metadata_url = "{self.url}/.well-known/openid-configuration"\n'
        )


@contextmanager
def running_provider(people: Mapping[str, Mapping[str, Any]]) -> Iterator[Provider]:
    """A provider in a thread; it ends with the block."""
    taken = socket.socket()
    taken.bind(("127.0.0.1", 0))
    taken.listen()  # whoever is quicker than the server waits for it
    provider = Provider(f"http://127.0.0.1:{taken.getsockname()[1]}", people)
    key = RSAKey.generate_key(2048, {"kid": "one", "use": "sig", "alg": "RS256"})

    async def configuration(_: Request) -> Response:
        places = {name: f"{provider.url}/{path}" for name, path in _PLACES.items()}
        return JSONResponse({"issuer": provider.url, **places, **_ABLE})

    async def keys(_: Request) -> Response:
        return JSONResponse({"keys": [key.as_dict(private=False)]})

    async def authorize(request: Request) -> Response:
        asked = dict(request.query_params)
        if asked["client_id"] != CLIENT_ID or asked["response_type"] != "code" or "openid" not in asked["scope"]:
            return Response("refused", 400)
        chosen = asked.pop("person", None)
        if chosen is None:
            links = (f"<p><a href='?{escape(urlencode({**asked, 'person': one}))}'>{one}</a></p>" for one in people)
            return HTMLResponse(f"<link rel='icon' href='data:,'><h1>Who are you?</h1>{''.join(links)}")
        code = secrets.token_urlsafe(16)
        provider.codes[code] = {**asked, "person": chosen}
        return RedirectResponse(f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}", 302)

    async def token(request: Request) -> Response:
        form = await request.form()
        login = base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()
        asked = provider.codes.pop(str(form["code"]), None)
        digest = hashlib.sha256(str(form["code_verifier"]).encode()).digest()
        proof = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        if request.headers.get("authorization") != f"Basic {login}" or asked is None:
            return JSONResponse({"error": "invalid_client"}, 401)
        if asked["code_challenge"] != proof or asked["redirect_uri"] != form["redirect_uri"]:
            return JSONResponse({"error": "invalid_grant"}, 400)
        now = int(time.time())
        claims = {"iss": provider.url, "aud": CLIENT_ID, "iat": now, "exp": now + 300, "nonce": asked["nonce"]}
        signed = jwt.encode({"alg": "RS256", "kid": "one"}, {**claims, **people[asked["person"]]}, key)
        return JSONResponse({"access_token": "a", "token_type": "Bearer", "expires_in": 300, "id_token": signed})

    routes = [
        Route("/.well-known/openid-configuration", configuration),
        Route("/jwks", keys),
        Route("/authorize", authorize),
        Route("/token", token, methods=["POST"]),
    ]
    server = uvicorn.Server(uvicorn.Config(Starlette(routes=routes), log_level="critical", lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [taken]}, daemon=True)
    thread.start()
    try:
        yield provider
    finally:
        server.should_exit = True
        thread.join(10)
        taken.close()


_PLACES = {"authorization_endpoint": "authorize", "token_endpoint": "token", "jwks_uri": "jwks"}
_ABLE = {
    "response_types_supported": ["code"],
    "subject_types_supported": ["public"],
    "id_token_signing_alg_values_supported": ["RS256"],
    "code_challenge_methods_supported": ["S256"],
}
