"""`/events` of the FreshBooks stand-in over HTTP: callbacks, with the error shapes of their own."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from connectors.sandbox import listing
from connectors.sandbox.answers import json_response
from connectors.sandbox.errors import INVALID_TOKEN, AccountingError, EventsError
from connectors.sandbox.state import SandboxState
from connectors.sandbox.wire import JsonObject, loads

BASE = "/events/account/{account}/events/callbacks"
_METHODS = ["GET", "POST", "PUT", "DELETE", "PATCH"]


class EventsApp:
    """Endpoints of the callbacks of one account."""

    def __init__(self, state: SandboxState) -> None:
        """Serve a state.

        Args:
            state: Shared with the other routes.
        """
        self._state = state

    def routes(self) -> list[BaseRoute]:
        """Routes of the list and of one callback."""
        return [
            Route(BASE, self._answer, methods=_METHODS),
            Route(f"{BASE}/{{identifier}}", self._answer, methods=_METHODS),
        ]

    async def _answer(self, request: Request) -> Response:
        body = await request.body()
        with self._state.lock:
            try:
                return self._dispatch(request, body)
            except EventsError as error:
                new_style = "x-api-version" in request.headers
                return json_response(error.new_body() if new_style else error.old_body(), error.status)

    def _dispatch(self, request: Request, body: bytes) -> Response:
        if not self._state.oauth.accepts_header(request.headers.get("authorization", "")):
            raise INVALID_TOKEN
        callbacks = self._state.callbacks
        identifier = request.path_params.get("identifier")
        if request.path_params["account"] != callbacks.account_id:
            raise EventsError(404, "Requested resource could not be found.")
        match request.method, identifier:
            case "GET", None:
                return json_response(_result(self._list(request.query_params.multi_items())))
            case "POST", None:
                callback = callbacks.create(_sent(body))
            case "GET", str():
                callback = callbacks.find(identifier)
            case "PUT", str():
                callback = callbacks.find(identifier)
                callbacks.update(callback, _sent(body))
            case "DELETE", str():
                callbacks.delete(callbacks.find(identifier))
                if self._state.switches.callback_delete == "no_content":
                    return Response(status_code=204)
                return json_response({"response": {}})
            case _:
                raise EventsError(405, "Method not allowed.")
        return json_response(_result({"callback": callback.as_json()}))

    def _list(self, query: listing.Pairs) -> JsonObject:
        wanted = [value for key, value in query if key == "search[event]"]
        found = [
            callback.as_json()
            for callback in self._state.callbacks.rows.values()
            # a filter by `invoice.create` finds callbacks of all of `invoice` too, as those hear it
            if all(callback.hears(event) for event in wanted)
        ]
        try:
            rows, numbers = listing.page_of(found, query)
        except AccountingError as error:
            raise EventsError.semantic([(error.field, error.message)]) from None
        return {"callbacks": rows, **numbers}


def _sent(body: bytes) -> JsonObject:
    try:
        parsed = loads(body)
    except ValueError:
        raise EventsError(400, "Could not parse the request body.") from None
    sent: Any = parsed.get("callback") if isinstance(parsed, dict) else None
    if not isinstance(sent, dict):
        raise EventsError.semantic([("callback", "Field required")])
    return sent


def _result(result: JsonObject) -> JsonObject:
    return {"response": {"result": result}}
