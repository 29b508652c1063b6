"""Control routes of the sandbox, below `/_control` on both servers; connectors never use them.

| route | what it does |
| --- | --- |
| GET state | everything that is stored, as JSON |
| GET history | every API request with body and status; filters `system`, `method`, `path` (regular expression) |
| DELETE history | forgets it |
| POST reset | forgets records, receivers, scripted faults and history |
| GET, PATCH switches | behaviour, see `switches.Switches` |
| GET, POST, DELETE faults | scripted faults `{"fault", "system", "method", "path", "times", "skip"}` |
| POST clarity/{list} | adds or changes records: one, an array, or `{"records": [...], "silent": true, "event": ...}` |
| DELETE clarity/{list}/{id} | removes a record and tells the receivers |
| POST cef/{entity} | adds or changes the framework's records, such as SalesOrder: one or an array |
| POST cef/fail | the next `{"times"}` requests fail with status 200 and `{"message"}` |
| POST webhooks/secret | signs with `{"secret"}` too, or with `{"alone": true}` only with it |
| GET, POST, DELETE webhooks | deliveries; `{"url"}` registers a receiver; forget |
| POST webhooks/flush | delivers now: answers when every queued event of both systems was delivered or dropped |
| GET callbacks | FreshBooks' callbacks with their verifiers, and their deliveries |
| POST oauth/code | an authorization code for `{"redirect_uri"}` |
| POST oauth/expire | ends the life of all access tokens of both systems |
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from connectors.sandbox import views
from connectors.sandbox.answers import json_response
from connectors.sandbox.cef_books import CefError
from connectors.sandbox.clarity_control import clarity_routes
from connectors.sandbox.errors import ClarityError, OAuthError
from connectors.sandbox.faults import ScriptedFault
from connectors.sandbox.resources import BY_NAME
from connectors.sandbox.state import SandboxState
from connectors.sandbox.wire import JsonObject, loads

_LOOPBACK = frozenset({"127.0.0.1", "localhost", "[::1]"})
_FAULT_KEYS = ("system", "method", "path", "times", "skip")

Handler = Callable[[Request], Awaitable[Response]]


class Control:
    """Looks into a running sandbox and changes it."""

    def __init__(self, state: SandboxState) -> None:
        """Control a state.

        Args:
            state: Shared by both servers.
        """
        self._state = state

    def routes(self) -> list[BaseRoute]:
        """Routes to put before an application's own."""
        known: list[tuple[str, str, Handler]] = [
            ("GET", "state", self._dump),
            ("GET", "history", self._history),
            ("DELETE", "history", self._forget_history),
            ("POST", "reset", self._reset),
            ("GET", "switches", self._switches),
            ("PATCH", "switches", self._change_switches),
            ("GET", "faults", self._faults),
            ("POST", "faults", self._script_fault),
            ("DELETE", "faults", self._forget_faults),
            ("POST", "clarity/{list_name}", self._put_records),
            *clarity_routes(self._state),
            ("GET", "webhooks", self._deliveries),
            ("POST", "webhooks", self._register),
            ("DELETE", "webhooks", self._forget_receivers),
            ("POST", "webhooks/flush", self._flush),
            ("GET", "callbacks", self._callbacks),
            ("POST", "oauth/code", self._code),
            ("POST", "oauth/expire", self._expire),
        ]
        return [
            Route(f"/_control/{path}", self._guarded(handler), methods=[method], name=f"{method} {path}")
            for method, path, handler in known
        ]

    def _guarded(self, handler: Handler) -> Handler:
        async def guarded(request: Request) -> Response:
            host = request.headers.get("host", "").rpartition(":")[0] or request.headers.get("host", "")
            # a page in a browser must not reach this by a name that resolves to loopback, nor by a plain form
            if not self._state.switches.control or host not in _LOOPBACK:
                return _refused(404, "No such address.")
            sent_json = request.headers.get("content-type", "").startswith("application/json")
            if request.method in ("POST", "PATCH") and not sent_json:
                return _refused(415, "Send Content-Type: application/json.")
            try:
                return await handler(request)
            except (ClarityError, CefError) as error:
                return _refused(error.status, error.message)
            except OAuthError as error:
                return _refused(error.status, error.description)
            except (ValueError, TypeError) as error:
                return _refused(400, str(error))

        return guarded

    async def _dump(self, _request: Request) -> Response:
        with self._state.lock:
            books = self._state.freshbooks
            return json_response(
                {
                    "freshbooks": {
                        **{
                            name: [views.show(books, BY_NAME[name], row, {"lines"}) for row in rows.values()]
                            for name, rows in books.tables.items()
                        },
                        "emails": books.emails,
                    },
                    "clarity": {name: list(records.values()) for name, records in self._state.clarity.lists.items()},
                    "clarity_cef": {name: list(rows.values()) for name, rows in self._state.cef.records.items()},
                }
            )

    async def _history(self, request: Request) -> Response:
        query = request.query_params
        try:
            pattern = re.compile(query.get("path", ""))
        except re.error as error:
            return _refused(400, f"path is not a regular expression: {error}")
        with self._state.lock:
            rows = [
                entry
                for entry in self._state.history
                if query.get("system", entry["system"]) == entry["system"]
                and query.get("method", entry["method"]).upper() == entry["method"]
                and pattern.search(f"{entry['path']}?{entry['query']}")
            ]
            return json_response({"history": rows})

    async def _forget_history(self, _request: Request) -> Response:
        with self._state.lock:
            self._state.history.clear()
        return json_response({})

    async def _reset(self, _request: Request) -> Response:
        self._state.reset()
        return json_response({})

    async def _switches(self, _request: Request) -> Response:
        return json_response(self._state.switches.as_json())

    async def _change_switches(self, request: Request) -> Response:
        changes = await _object(request)
        self._state.change_switches(**{name: _inexact(value) for name, value in changes.items()})
        return json_response(self._state.switches.as_json())

    async def _faults(self, _request: Request) -> Response:
        with self._state.lock:
            return json_response({"faults": [fault.as_json() for fault in self._state.faults.scripted]})

    async def _script_fault(self, request: Request) -> Response:
        sent = await _object(request)
        kind = sent.pop("fault", "")
        if unknown := sent.keys() - set(_FAULT_KEYS):
            msg = f"unknown key {sorted(unknown)[0]}; known: fault, {', '.join(_FAULT_KEYS)}"
            raise ValueError(msg)
        fault = ScriptedFault(kind, **sent)
        with self._state.lock:
            self._state.faults.script(fault)
        return json_response(fault.as_json())

    async def _forget_faults(self, _request: Request) -> Response:
        with self._state.lock:
            self._state.faults.scripted.clear()
        return json_response({})

    async def _put_records(self, request: Request) -> Response:
        sent = loads(await request.body())
        options: JsonObject = {}
        if isinstance(sent, dict) and isinstance(sent.get("records"), list):
            records, options = sent["records"], sent
        else:
            records = sent if isinstance(sent, list) else [sent]
        with self._state.lock:
            stored = [
                self._state.clarity.put(
                    request.path_params["list_name"],
                    record,
                    silent=options.get("silent", False) is True,
                    event=options.get("event"),
                )
                for record in records
            ]
            return json_response({"stored": [record["id"] for record in stored]})

    async def _deliveries(self, _request: Request) -> Response:
        sender = self._state.deliveries
        return json_response(
            {"receivers": sender.receivers, "deliveries": [delivery.as_json() for delivery in sender.log]}
        )

    async def _register(self, request: Request) -> Response:
        url = (await _object(request)).get("url")
        self._state.deliveries.register(str(url))
        return json_response({"receivers": self._state.deliveries.receivers})

    async def _forget_receivers(self, _request: Request) -> Response:
        self._state.deliveries.clear()
        return json_response({})

    async def _flush(self, _request: Request) -> Response:
        # in a thread: a receiver may ask this very server before it answers
        await run_in_threadpool(self._state.deliveries.flush)
        await run_in_threadpool(self._state.callbacks.outbox.flush)
        return await self._deliveries(_request)

    async def _callbacks(self, _request: Request) -> Response:
        with self._state.lock:
            known = self._state.callbacks
            rows = [callback.as_json() | {"verifier": callback.verifier} for callback in known.rows.values()]
            return json_response(
                {"callbacks": rows, "deliveries": [delivery.as_json() for delivery in known.outbox.log]}
            )

    async def _code(self, request: Request) -> Response:
        sent = await _object(request)
        with self._state.lock:
            return json_response({"code": self._state.oauth.new_code(str(sent.get("redirect_uri", "")))})

    async def _expire(self, _request: Request) -> Response:
        with self._state.lock:
            self._state.oauth.expire_all()
            self._state.clarity_oauth.expire_all()
            self._state.cef.expire_all()
        return json_response({})


async def _object(request: Request) -> JsonObject:
    parsed = loads(await request.body())
    if not isinstance(parsed, dict):
        msg = "the body must be a JSON object"
        raise TypeError(msg)
    return parsed


def _inexact(value: Any) -> Any:
    """Shares and seconds are floats inside; they are never money."""
    if isinstance(value, dict):
        return {key: _inexact(item) for key, item in value.items()}
    return float(value) if isinstance(value, Decimal) else value


def _refused(status: int, message: str) -> Response:
    return json_response({"error": message}, status)
