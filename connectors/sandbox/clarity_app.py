"""The Clarity stand-in over HTTP, profile `rest`: token endpoint, lists, single records, simple writes."""

from __future__ import annotations

import base64
import binascii
from typing import Any
from urllib.parse import parse_qsl, unquote

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from connectors.sandbox.clarity_books import ENTITIES
from connectors.sandbox.errors import ClarityError
from connectors.sandbox.freshbooks_app import json_response
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
        """The ASGI application; `extra_routes` come first."""
        routes: list[BaseRoute] = [
            *extra_routes,
            Route("/oauth/token", self._token, methods=["POST"]),
            Route("/api/v1/{list_name}", self._list, methods=["GET"]),
            Route("/api/v1/{list_name}/{identifier}", self._one, methods=["GET", "PATCH"]),
        ]
        handlers: Any = {404: _not_found, 405: _not_found, ClarityError: _refused}
        return Starlette(routes=routes, exception_handlers=handlers)

    async def _token(self, request: Request) -> Response:
        try:
            fields = dict(parse_qsl((await request.body()).decode()))
        except ValueError:
            fields = {}
        if fields.get("grant_type") != "client_credentials":
            message = "Only client_credentials is supported."
            raise ClarityError(400, "unsupported_grant_type", message)
        basic = _basic(request.headers.get("authorization", ""))
        client_id, secret = basic or (fields.get("client_id", ""), fields.get("client_secret", ""))
        with self._state.lock:
            life_s = self._state.switches.clarity_token_s
            scope = fields.get("scope", "")
            return json_response(self._state.clarity.issue(client_id, secret, scope, life_s=life_s))

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
            except ValueError:
                changes = None
            if not isinstance(changes, dict):
                raise ClarityError(400, "invalid_json", "The body must be a JSON object.")
            return json_response(self._state.clarity.patch(list_name, identifier, changes))

    def _authorize(self, request: Request, list_name: str, right: str) -> None:
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        # refunds have no scope of their own in A4
        subject = "payments" if list_name == "refunds" else list_name if list_name in ENTITIES else "orders"
        self._state.clarity.authorize(token if kind.lower() == "bearer" else "", f"{subject}:{right}")


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


async def _refused(_request: Request, error: Any) -> Response:
    return json_response(error.body(), error.status)


async def _not_found(_request: Request, error: Any) -> Response:
    code = "not_found" if error.status_code == 404 else "method_not_allowed"
    return json_response(ClarityError(error.status_code, code, "No such address.").body(), error.status_code)
