"""Sign-in of the FreshBooks stand-in over HTTP: the consent page, tokens, metadata and identity.

Two sets of addresses answer alike: the documented ones, and those below `/service/auth/oauth` that the metadata names.
"""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from urllib.parse import parse_qsl, urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from connectors.sandbox import errors, page
from connectors.sandbox.answers import json_response
from connectors.sandbox.errors import ConsentError, OAuthError
from connectors.sandbox.identity import identity
from connectors.sandbox.oauth import Ask
from connectors.sandbox.state import SandboxState
from connectors.sandbox.wire import JsonObject, loads

AUTHORIZE_PATHS = ("/oauth/authorize", "/service/auth/oauth/authorize")
TOKEN_PREFIXES = ("/auth/oauth", "/service/auth/oauth")
METADATA_PATH = "/.well-known/oauth-authorization-server"
ME_PATH = "/auth/api/v1/users/me"


class OAuthApp:
    """Endpoints of one application's sign-in."""

    def __init__(self, state: SandboxState) -> None:
        """Serve a state.

        Args:
            state: Shared with the other routes.
        """
        self._state = state

    def routes(self) -> list[BaseRoute]:
        """Routes of sign-in and identity."""
        oauth = self._state.oauth
        ends: dict[str, Callable[[JsonObject], JsonObject]] = {
            "token": lambda fields: oauth.token(fields, life_s=self._state.switches.access_token_s),
            "revoke": self._revoked,
            "introspect": oauth.introspect,
        }
        return [
            *(Route(path, self._authorize, methods=["GET", "POST"]) for path in AUTHORIZE_PATHS),
            *(
                Route(f"{prefix}/{name}", self._endpoint(answer), methods=["POST"])
                for prefix in TOKEN_PREFIXES
                for name, answer in ends.items()
            ),
            Route(METADATA_PATH, self._metadata),
            Route(ME_PATH, self._me),
        ]

    def _endpoint(self, answer: Callable[[JsonObject], JsonObject]) -> Callable[[Request], object]:
        async def endpoint(request: Request) -> Response:
            fields = _form_or_json(request, await request.body())
            with self._state.lock:
                try:
                    return json_response(answer(fields))
                except OAuthError as error:
                    return json_response(error.body(), error.status)

        return endpoint

    def _revoked(self, fields: JsonObject) -> JsonObject:
        self._state.oauth.revoke(fields)
        return {}

    async def _authorize(self, request: Request) -> Response:
        # the form of the page sends the same fields again, with the person's decision
        sent = _form_or_json(request, await request.body()) if request.method == "POST" else {}
        fields = dict(request.query_params) | sent
        with self._state.lock:
            try:
                ask = self._state.oauth.ask(fields)
                if request.method == "GET":
                    return page.html(_consent_page(ask, fields), forms=True)
                if fields.get("decision") != "approve":
                    description = "The resource owner or authorization server denied the request."
                    raise ConsentError(ask.redirect_uri, ask.state, "access_denied", description)
                code = self._state.oauth.new_code(ask.redirect_uri, ask.scopes, challenge=ask.challenge)
            except OAuthError as error:
                return page.html(page.message_page("FreshBooks sandbox", error.description), error.status)
            except ConsentError as error:
                back = {"error": error.error, "error_description": error.description}
                return _send_back(error.redirect_uri, error.state, back)
        return _send_back(ask.redirect_uri, ask.state, {"code": code})

    async def _metadata(self, request: Request) -> Response:
        base = str(request.base_url).rstrip("/")
        prefix = f"{base}/service/auth/oauth"
        return json_response(
            {
                "issuer": base,
                "authorization_endpoint": f"{prefix}/authorize",
                "token_endpoint": f"{prefix}/token",
                "revocation_endpoint": f"{prefix}/revoke",
                "introspection_endpoint": f"{prefix}/introspect",
                "response_types_supported": ["code"],
                "grant_types_supported": ["authorization_code", "refresh_token"],
                "token_endpoint_auth_methods_supported": ["client_secret_post"],
                "code_challenge_methods_supported": ["S256"],
                "scopes_supported": sorted(self._state.switches.enabled_scopes),
            }
        )

    async def _me(self, request: Request) -> Response:
        with self._state.lock:
            if not self._state.oauth.accepts_header(request.headers.get("authorization", "")):
                return json_response(errors.UNAUTHENTICATED, 401)
            return json_response({"response": identity(self._state.freshbooks.account_id)})


def _send_back(redirect_uri: str, state: str | None, fields: dict[str, str]) -> Response:
    more = {} if state is None else {"state": state}
    return RedirectResponse(f"{redirect_uri}?{urlencode(fields | more)}", 302)


def _consent_page(ask: Ask, fields: JsonObject) -> str:
    hidden = "".join(
        f'<input type=hidden name="{escape(name)}" value="{escape(str(value))}">' for name, value in fields.items()
    )
    wanted = "".join(f"<li>{escape(scope)}</li>" for scope in ask.scopes)
    return page.message_page(
        "FreshBooks sandbox: consent",
        "",
        f"<p>The application <b>{escape(ask.client_id)}</b> asks for</p><ul>{wanted}</ul>"
        f"<p class=muted>Afterwards the browser goes to {escape(ask.redirect_uri)}</p>"
        f"<form method=post>{hidden}"
        "<button name=decision value=approve>Approve</button> <button name=decision value=deny>Deny</button></form>",
    )


def _form_or_json(request: Request, raw: bytes) -> JsonObject:
    try:
        if request.headers.get("content-type", "").startswith("application/json"):
            parsed = loads(raw)
            return parsed if isinstance(parsed, dict) else {}
        return dict(parse_qsl(raw.decode(), keep_blank_values=True))
    except ValueError:
        return {}
