"""The framework's stand-in over HTTP: ServiceStack routes below `/DesktopModules/ClarityEcommerce/API-...`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from connectors.sandbox.answers import json_response
from connectors.sandbox.cef_books import BY_ROUTE, ENTITIES, CefBooks, CefError
from connectors.sandbox.clarity_oauth import TooManyRequestsError
from connectors.sandbox.state import SandboxState
from connectors.sandbox.wire import JsonObject, loads

BASE_PATH = "/DesktopModules/ClarityEcommerce"
_APIS = ("API-Admin", "API-Storefront")
_COOKIE = "ss-id"
_NOT_FOUND = CefError(404, "NotFound", "No such address.")


class CefApp:
    """Endpoints of one store of the framework."""

    def __init__(self, state: SandboxState) -> None:
        """Serve a state.

        Args:
            state: Shared with the control API and the other servers.
        """
        self._state = state

    def routes(self) -> list[BaseRoute]:
        """Routes beside those of the `rest` flavour; none of them moves money."""
        methods = ["GET", "POST", "PUT", "PATCH", "DELETE"]
        return [Route(f"{BASE_PATH}/{api}/{{rest:path}}", self._answer, methods=methods) for api in _APIS]

    async def _answer(self, request: Request) -> Response:
        raw = await request.body()
        segments = request.path_params["rest"].split("/")
        try:
            with self._state.lock:
                if segments[0] == "auth":
                    return self._sign(request, segments, raw)
                self._state.cef.authorize(request.cookies.get(_COOKIE, ""))
                self._state.clarity_oauth.count(self._state.switches.clarity_requests_per_minute)
                return _response(self._state.cef.fail_next() or self._act(request, segments, raw))
        except CefError as error:
            return json_response(error.body(), error.status)
        except TooManyRequestsError as error:
            answer = json_response(CefError(429, error.code, error.message).body(), 429)
            answer.headers["Retry-After"] = str(error.retry_after_s)
            return answer

    def _sign(self, request: Request, segments: list[str], raw: bytes) -> Response:
        if segments[1:] == ["logout"]:
            self._state.cef.logout(request.cookies.get(_COOKIE, ""))
            return json_response({})
        if request.method != "POST" or segments[1:] not in (["identity"], ["cef"]):
            raise _NOT_FOUND
        if request.headers.get("content-type", "").startswith("application/json"):
            fields = _object(raw)
        else:
            fields = dict(parse_qsl(raw.decode(errors="replace")))
        session = self._state.cef.login(str(fields.get("UserName", "")), str(fields.get("Password", "")))
        answer = json_response({"SessionId": session, "UserName": str(fields["UserName"])})
        answer.set_cookie(_COOKIE, session, httponly=True)
        answer.set_cookie("ss-pid", f"permanent-{session}", max_age=31_536_000, expires=31_536_000, httponly=True)
        return answer

    def _act(self, request: Request, segments: list[str], raw: bytes) -> Any:
        books, method = self._state.cef, request.method
        if segments[:4] == ["Pricing", "Prices", "RawForProduct", "ID"] and len(segments) == 5 and method == "GET":
            prices = books.prices.get(int(segments[4])) if segments[4].isascii() and segments[4].isdigit() else None
            return {"ActionSucceeded": True, "Result": prices} if prices else books.get("Product", "ID", segments[4])
        if len(segments) == 2:
            return self._list(request, *segments)
        schema, entity, verb, *rest = segments if len(segments) > 2 else ["", "", "", ""]
        if ENTITIES.get(entity, ("",))[0] != schema:
            raise _NOT_FOUND
        if method == "GET" and verb in ("ID", "Key") and rest:
            return books.get(entity, verb, "/".join(rest))
        if method == "PATCH" and verb == "Deactivate" and rest[:1] == ["ID"] and len(rest) == 2:
            return books.deactivate(entity, rest[1])
        writes: dict[tuple[str, str], Callable[[str, JsonObject], JsonObject]] = {
            ("POST", "Create"): books.create,
            ("PUT", "Update"): books.update,
            ("POST", "Upsert"): books.upsert,
        }
        write = writes.get((method, verb))
        if write is None or rest:
            raise _NOT_FOUND
        return write(entity, _object(raw))

    def _list(self, request: Request, schema: str, name: str) -> Any:
        books: CefBooks = self._state.cef
        for suffix, methods, read in (
            ("ForConnect", ("GET", "POST"), books.for_connect),
            ("Digest", ("GET",), books.digest),
        ):
            entity = BY_ROUTE.get((schema, name.removesuffix(suffix)))
            if name.endswith(suffix) and entity and request.method in methods:
                return read(entity)
        entity = BY_ROUTE.get((schema, name))
        if entity is None or request.method != "GET":
            raise _NOT_FOUND
        return books.page(entity, request.query_params)


def _response(body: Any) -> Response:
    # a service that finds nothing answers 204 where the store is not told to say 404
    return Response(status_code=204) if body is None else json_response(body)


def _object(raw: bytes) -> JsonObject:
    try:
        parsed = loads(raw)
    except (ValueError, RecursionError):
        parsed = None
    if not isinstance(parsed, dict):
        raise CefError(400, "SerializationException", "The body must be a JSON object.")
    return parsed
