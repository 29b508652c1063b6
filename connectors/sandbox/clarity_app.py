"""The Clarity stand-in over HTTP, profile `rest`: consent, token endpoint, lists, single records, simple writes."""

from __future__ import annotations

from html import escape
from typing import Any
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from connectors.sandbox.answers import json_response
from connectors.sandbox.cef_app import CefApp
from connectors.sandbox.clarity_books import ENTITIES
from connectors.sandbox.clarity_openapi import description
from connectors.sandbox.errors import ClarityError
from connectors.sandbox.state import SandboxState
from connectors.sandbox.wire import loads

# A43: the way back writes orders and customers, nothing else
_WRITABLE = ("orders", "customers")


class ClarityApp:
    """Endpoints of one Clarity store."""

    def __init__(self, state: SandboxState) -> None:
        """Serve a state.

        Args:
            state: Shared with the control API and the other server.
        """
        self._state = state

    def build(self, extra_routes: list[BaseRoute]) -> Starlette:
        """The ASGI application with the flavours switched on at its start; `extra_routes` come first."""
        flavour = self._state.switches.clarity_flavour
        routes: list[BaseRoute] = [*extra_routes, Route("/openapi.json", self._description, methods=["GET"])]
        if flavour != "cef":
            routes += [
                Route("/oauth/authorize", self._consent, methods=["GET", "POST"]),
                Route("/oauth/token", self._token, methods=["POST"]),
                Route("/oauth/revoke", self._revoke, methods=["POST"]),
                Route("/api/v1/{list_name}", self._list, methods=["GET"]),
                Route("/api/v1/{list_name}/{identifier}", self._one, methods=["GET", "PATCH"]),
            ]
        if flavour != "rest":
            routes += CefApp(self._state).routes()
        handlers: Any = {404: _not_found, 405: _not_found, ClarityError: _refused}
        return Starlette(routes=routes, exception_handlers=handlers)

    async def _description(self, _request: Request) -> Response:
        return json_response(description(self._state.switches.clarity_flavour))

    async def _consent(self, request: Request) -> Response:
        """Ask a person (GET), then send the browser back with a code or a refusal (POST)."""
        query = dict(request.query_params)
        if request.method == "GET":
            with self._state.lock:
                self._state.clarity_oauth.check_consent(query)
            return HTMLResponse(_CONSENT.format(scope=escape(query.get("scope", "") or "everything")))
        decision = _form(await request.body()).get("decision")
        with self._state.lock:
            address = self._state.clarity_oauth.consent(query, allowed=decision == "allow")
        return RedirectResponse(address, status_code=303)

    async def _token(self, request: Request) -> Response:
        fields, header = _form(await request.body()), request.headers.get("authorization", "")
        with self._state.lock:
            life_s = self._state.switches.clarity_token_s
            return json_response(self._state.clarity_oauth.token(fields, header, life_s=life_s))

    async def _revoke(self, request: Request) -> Response:
        fields, header = _form(await request.body()), request.headers.get("authorization", "")
        with self._state.lock:
            self._state.clarity_oauth.revoke(fields, header)
        return json_response({})

    async def _list(self, request: Request) -> Response:
        list_name = request.path_params["list_name"]
        with self._state.lock:
            self._authorize(request, list_name, "read")
            page = self._state.clarity.page(list_name, request.query_params)
            return json_response(page["data"] if self._state.switches.clarity_bare_lists else page)

    async def _one(self, request: Request) -> Response:
        list_name, identifier = request.path_params["list_name"], request.path_params["identifier"]
        if request.method != "PATCH":
            with self._state.lock:
                self._authorize(request, list_name, "read")
                return json_response(self._state.clarity.get(list_name, identifier))
        raw = await request.body()
        with self._state.lock:
            self._authorize(request, list_name, "write")
            if list_name not in _WRITABLE:
                raise ClarityError(405, "method_not_allowed", "This list is read only.")
            try:
                changes = loads(raw)
            except (ValueError, RecursionError):
                changes = None
            if not isinstance(changes, dict):
                raise ClarityError(400, "invalid_json", "The body must be a JSON object.")
            return json_response(self._state.clarity.patch(list_name, identifier, changes))

    def _authorize(self, request: Request, list_name: str, right: str) -> None:
        # refunds have no scope of their own in A4
        subject = "payments" if list_name == "refunds" else list_name if list_name in ENTITIES else "orders"
        limit = self._state.switches.clarity_requests_per_minute
        self._state.clarity_oauth.authorize(request.headers, f"{subject}:{right}", per_minute=limit)


_CONSENT = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Clarity sandbox</title>
<h1>Clarity sandbox</h1><p>An application asks for: {scope}</p>
<form method="post"><button name="decision" value="allow">Allow</button>
<button name="decision" value="deny">Deny</button></form></html>"""


def _form(raw: bytes) -> dict[str, str]:
    try:
        return dict(parse_qsl(raw.decode()))
    except ValueError:
        return {}


async def _refused(_request: Request, error: Any) -> Response:
    answer = json_response(error.body(), error.status)
    wait_s = getattr(error, "retry_after_s", None)
    if wait_s is not None:
        answer.headers["Retry-After"] = str(wait_s)
    return answer


async def _not_found(_request: Request, error: Any) -> Response:
    code = "not_found" if error.status_code == 404 else "method_not_allowed"
    return json_response(ClarityError(error.status_code, code, "No such address.").body(), error.status_code)
