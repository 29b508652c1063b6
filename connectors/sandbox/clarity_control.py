"""Control routes of the Clarity stand-in: the framework's records, deletions, failing actions, webhook secrets."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from connectors.sandbox.answers import json_response
from connectors.sandbox.state import SandboxState
from connectors.sandbox.wire import JsonObject, loads

Handler = Callable[[Request], Awaitable[Response]]
_MESSAGE = "ERROR! The action was told to fail."


def clarity_routes(state: SandboxState) -> list[tuple[str, str, Handler]]:
    """Method, path below `/_control` and handler of each route."""

    async def delete(request: Request) -> Response:
        with state.lock:
            state.clarity.delete(request.path_params["list_name"], request.path_params["identifier"])
        return json_response({})

    async def fail(request: Request) -> Response:
        sent = await _object(request)
        times = sent.get("times", 1)
        if not isinstance(times, int) or isinstance(times, bool) or times < 0:
            msg = "times: expected a whole number from 0"
            raise ValueError(msg)
        with state.lock:
            state.cef.failures = [str(sent.get("message", _MESSAGE))] * times
        return json_response({"failing": times})

    async def put(request: Request) -> Response:
        sent = loads(await request.body())
        records = sent if isinstance(sent, list) else [sent]
        with state.lock:
            stored = [state.cef.put(request.path_params["entity"], record) for record in records]
            return json_response({"stored": [record["ID"] for record in stored]})

    async def secret(request: Request) -> Response:
        sent = await _object(request)
        state.deliveries.rotate(str(sent.get("secret", "")), alone=sent.get("alone") is True)
        return json_response({})

    return [
        ("DELETE", "clarity/{list_name}/{identifier}", delete),
        ("POST", "cef/fail", fail),
        ("POST", "cef/{entity}", put),
        ("POST", "webhooks/secret", secret),
    ]


async def _object(request: Request) -> JsonObject:
    parsed: Any = loads(await request.body())
    if not isinstance(parsed, dict):
        msg = "the body must be a JSON object"
        raise TypeError(msg)
    return parsed
