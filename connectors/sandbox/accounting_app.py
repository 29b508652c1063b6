"""`/accounting` of the FreshBooks stand-in over HTTP: every resource, in its envelopes and error shapes."""

from __future__ import annotations

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from connectors.sandbox import errors, listing, scopes, views
from connectors.sandbox.answers import json_response
from connectors.sandbox.errors import AccountingError
from connectors.sandbox.identity import BUSINESS_ID
from connectors.sandbox.resources import RESOURCES, Resource
from connectors.sandbox.state import SandboxState
from connectors.sandbox.wire import JsonObject, loads

BASE = "/accounting/account/{account}"
SYSTEM_PATH = f"{BASE}/systems/systems/{{identifier}}"
_METHODS = ["GET", "POST", "PUT", "DELETE", "PATCH"]

Answer = Callable[[Request, bytes], JsonObject]


class AccountingApp:
    """Endpoints of the accounting resources of one account."""

    def __init__(self, state: SandboxState) -> None:
        """Serve a state.

        Args:
            state: Shared with the other routes.
        """
        self._state = state

    def routes(self) -> list[BaseRoute]:
        """Routes of lists and single records, and one for every other path below the account."""
        found: list[BaseRoute] = [Route(SYSTEM_PATH, self._endpoint(self._system), methods=_METHODS)]
        for resource in RESOURCES:
            endpoint = self._endpoint(self._resource(resource))
            found += [
                Route(f"{BASE}/{resource.path}", endpoint, methods=_METHODS),
                Route(f"{BASE}/{resource.path}/{{identifier}}", endpoint, methods=_METHODS),
            ]
        return [*found, Route(f"{BASE}/{{rest:path}}", self._endpoint(_nothing), methods=_METHODS)]

    def _endpoint(self, answer: Answer) -> Callable[[Request], object]:
        async def endpoint(request: Request) -> Response:
            body = await request.body()
            version = request.headers.get("x-api-version")
            with self._state.lock:
                new_style = version is not None and version >= self._state.switches.new_errors_since
                if not self._state.oauth.accepts_header(request.headers.get("authorization", "")):
                    return json_response(errors.UNAUTHORIZED.new_body() if new_style else errors.UNAUTHENTICATED, 401)
                try:
                    self._check_account(request.path_params["account"])
                    return json_response(answer(request, body))
                except AccountingError as error:
                    return json_response(error.new_body() if new_style else error.old_body(), error.status)

        return endpoint

    def _check_account(self, account: str) -> None:
        if account != self._state.freshbooks.account_id:
            raise AccountingError(404, errors.UNKNOWN_RESOURCE, "Account not found.", "accountid", "account", account)

    def _resource(self, resource: Resource) -> Answer:
        return lambda request, body: self._dispatch(resource, request, body)

    def _dispatch(self, resource: Resource, request: Request, body: bytes) -> JsonObject:
        self._check_scope(resource, request)
        books = self._state.freshbooks
        query = request.query_params.multi_items()
        includes = {value for key, value in query if key == "include[]"}
        match request.method, request.path_params.get("identifier"):
            case "GET", None:
                rows, numbers = listing.page_of(listing.select(books, resource, query), query)
                shown = [views.show(books, resource, row, includes) for row in rows]
                return _result({resource.list_key: shown, **numbers})
            case "POST", None:
                record = books.create(resource, _sent(resource, body))
            case "GET", identifier if identifier is not None:
                record = books.find(resource, identifier)
            case "PUT", identifier if identifier is not None:
                books.find(resource, identifier)
                record = books.update(resource, identifier, _sent(resource, body))
            case "DELETE", identifier if identifier is not None:
                books.delete(resource, identifier)
                return {"response": {}}
            case _:
                raise AccountingError(405, errors.WRITE_ACCESS_DENIED, "Method not allowed.", "", resource.name)
        return _result({resource.name: views.show(books, resource, record, includes)})

    def _check_scope(self, resource: Resource, request: Request) -> None:
        # the status and errno of a missing scope are a guess: no source shows one
        verb = "read" if request.method == "GET" else "write"
        scope = f"user:{scopes.OF_RESOURCE[resource.name]}:{verb}"
        if not self._state.oauth.accepts_header(request.headers.get("authorization", ""), scope):
            message = f"The access token does not carry the scope {scope}."
            raise AccountingError(403, errors.ACCESS_DENIED, message, "", resource.name)

    def _system(self, request: Request, _body: bytes) -> JsonObject:
        identifier = request.path_params["identifier"]
        if request.method != "GET":
            raise AccountingError(405, errors.WRITE_ACCESS_DENIED, "Method not allowed.", "", "system")
        if identifier != str(BUSINESS_ID):
            raise errors.unknown("system", "systemid", identifier)
        system = {
            "id": BUSINESS_ID,
            "accountid": self._state.freshbooks.account_id,
            "currency_code": self._state.switches.base_currency,
            "name": "Sandbox",
            "country": "United States",
            "timezone": "US/Eastern",
        }
        return _result({"system": system})


def _nothing(request: Request, _body: bytes) -> JsonObject:
    raise errors.unknown("resource", "path", request.path_params["rest"])


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
