"""The FreshBooks stand-in over HTTP: accounting resources, OAuth, identity, and pages for people."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, urlencode

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from connectors.sandbox import errors, listing, page, views
from connectors.sandbox.answers import json_response as json_response
from connectors.sandbox.errors import AccountingError, OAuthError
from connectors.sandbox.events_app import EventsApp
from connectors.sandbox.identity import identity
from connectors.sandbox.resources import BY_PATH, Resource
from connectors.sandbox.state import SandboxState
from connectors.sandbox.wire import JsonObject, loads

_METHODS = ["GET", "POST", "PUT", "DELETE", "PATCH"]


class FreshBooksApp:
    """Endpoints of one FreshBooks account."""

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
            Route("/", self._index),
            Route("/invoice/{number}", self._invoice),
            Route("/auth/api/v1/users/me", self._me),
            Route("/accounting/account/{account}/{rest:path}", self._accounting, methods=_METHODS),
            *EventsApp(self._state).routes(),
        ]
        for prefix in ("", "/service"):
            routes += [
                Route(f"{prefix}/auth/oauth/token", self._token, methods=["POST"]),
                Route(f"{prefix}/auth/oauth/revoke", self._revoke, methods=["POST"]),
            ]
        routes += [Route(path, self._authorize) for path in ("/oauth/authorize", "/service/auth/oauth/authorize")]
        handlers: Any = {404: _not_found, 405: _not_found}
        return Starlette(routes=routes, exception_handlers=handlers)

    async def _accounting(self, request: Request) -> Response:
        body = await request.body()
        new_style = "x-api-version" in request.headers
        with self._state.lock:
            if not self._signed_in(request):
                return json_response(errors.UNAUTHORIZED.new_body() if new_style else errors.UNAUTHENTICATED, 401)
            try:
                return json_response(self._dispatch(request, body))
            except AccountingError as error:
                return json_response(error.new_body() if new_style else error.old_body(), error.status)

    def _dispatch(self, request: Request, body: bytes) -> JsonObject:
        books = self._state.freshbooks
        account = request.path_params["account"]
        if account != books.account_id:
            raise AccountingError(404, errors.UNKNOWN_RESOURCE, "Account not found.", "accountid", "account", account)
        parts = request.path_params["rest"].split("/")
        path, identifiers = "/".join(parts[:2]), parts[2:]
        if path == "systems/systems" and len(identifiers) == 1 and request.method == "GET":
            return _result({"system": self._system(identifiers[0])})
        resource = BY_PATH.get(path)
        if resource is None or len(identifiers) > 1:
            raise errors.unknown("resource", "path", request.path_params["rest"])
        query = request.query_params.multi_items()
        includes = {value for key, value in query if key == "include[]"}
        match request.method, identifiers:
            case "GET", []:
                return self._list(resource, query, includes)
            case "POST", []:
                record = books.create(resource, _sent(resource, body))
            case "GET", [identifier]:
                record = books.find(resource, identifier)
            case "PUT", [identifier]:
                books.find(resource, identifier)
                record = books.update(resource, identifier, _sent(resource, body))
            case "DELETE", [identifier]:
                books.delete(resource, identifier)
                return {"response": {}}
            case _:
                raise AccountingError(405, errors.WRITE_ACCESS_DENIED, "Method not allowed.", "", resource.name)
        return _result({resource.name: views.show(books, resource, record, includes)})

    def _list(self, resource: Resource, query: listing.Pairs, includes: set[str]) -> JsonObject:
        books = self._state.freshbooks
        rows, numbers = listing.page_of(listing.select(books, resource, query), query)
        shown = [views.show(books, resource, row, includes) for row in rows]
        return _result({resource.list_key: shown, **numbers})

    def _system(self, identifier: str) -> JsonObject:
        return {
            "id": identifier,
            "accountid": self._state.freshbooks.account_id,
            "currency_code": self._state.switches.base_currency,
            "name": "Sandbox",
        }

    async def _me(self, request: Request) -> Response:
        with self._state.lock:
            if not self._signed_in(request):
                return json_response(errors.UNAUTHENTICATED, 401)
            return json_response({"response": identity(self._state.freshbooks.account_id)})

    async def _token(self, request: Request) -> Response:
        fields = await _form_or_json(request)
        with self._state.lock:
            try:
                life_s = self._state.switches.access_token_s
                return json_response(self._state.oauth.token(fields, life_s=life_s))
            except OAuthError as error:
                return json_response(error.body(), error.status)

    async def _revoke(self, request: Request) -> Response:
        fields = await _form_or_json(request)
        with self._state.lock:
            try:
                self._state.oauth.revoke(fields)
            except OAuthError as error:
                return json_response(error.body(), error.status)
        return json_response({})

    async def _authorize(self, request: Request) -> Response:
        # the person always consents here
        query = request.query_params
        redirect_uri = query.get("redirect_uri", "")
        with self._state.lock:
            try:
                if query.get("client_id") != self._state.credentials.client_id:
                    raise OAuthError(401, "invalid_client", "Client authentication failed.")
                code = self._state.oauth.new_code(redirect_uri)
            except OAuthError as error:
                return json_response(error.body(), error.status)
        back = {"code": code} | ({"state": query["state"]} if "state" in query else {})
        return RedirectResponse(f"{redirect_uri}?{urlencode(back)}", 302)

    async def _index(self, _request: Request) -> Response:
        with self._state.lock:
            return page.html(page.index_page(self._state.freshbooks))

    async def _invoice(self, request: Request) -> Response:
        with self._state.lock:
            number = request.path_params["number"]
            invoices = self._state.freshbooks.tables["invoice"]
            invoice = invoices.get(int(number)) if number.isascii() and number.isdigit() else None
            if invoice is None:
                return page.html(page.missing_page(), 404)
            return page.html(page.invoice_page(self._state.freshbooks, invoice))

    def _signed_in(self, request: Request) -> bool:
        return self._state.oauth.accepts_header(request.headers.get("authorization", ""))


def _result(result: JsonObject) -> JsonObject:
    return {"response": {"result": result}}


def _sent(resource: Resource, body: bytes) -> JsonObject:
    try:
        parsed = loads(body)
    except ValueError:
        raise AccountingError(400, errors.PARSE_ERROR, "Could not parse the request body.") from None
    if not isinstance(parsed, dict) or not isinstance(parsed.get(resource.name), dict):
        raise errors.required(resource.name, resource.name)
    sent: JsonObject = parsed[resource.name]
    return sent


async def _form_or_json(request: Request) -> JsonObject:
    raw = await request.body()
    try:
        if request.headers.get("content-type", "").startswith("application/json"):
            parsed = loads(raw)
            return parsed if isinstance(parsed, dict) else {}
        return dict(parse_qsl(raw.decode()))
    except ValueError:
        return {}


async def _not_found(_request: Request, error: Any) -> Response:
    return json_response({"error": "not_found", "error_description": "No such address."}, error.status_code)
