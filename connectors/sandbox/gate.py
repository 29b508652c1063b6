"""Stands before each application: records every API request and plays the chosen fault."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote_plus

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from connectors.sandbox import errors
from connectors.sandbox.cef_books import CefError
from connectors.sandbox.state import SandboxState
from connectors.sandbox.wire import JsonObject, dumps, loads

CutConnection = Callable[[Scope], None]
"""Ends the TCP connection of a request without an answer."""

_API_PREFIXES = ("/accounting/", "/events/", "/auth/", "/api/", "/oauth/", "/service/", "/DesktopModules/")
_SECRET_PATHS = ("/oauth/", "/auth/identity", "/auth/cef")
_CEF_PATH = "/DesktopModules/"


@dataclass
class _Answer:
    status: int = 0
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytes = b""


@dataclass
class _Late:
    """A change that is applied when `countdown` further requests have arrived."""

    scope: Scope
    body: bytes
    entry: JsonObject
    countdown: int = 2


class Gate:
    """ASGI wrapper of one system's application; control and page requests pass untouched."""

    def __init__(self, app: ASGIApp, *, system: str, state: SandboxState, cut: CutConnection) -> None:
        """Wrap an application.

        Args:
            app: Answers requests.
            system: freshbooks or clarity, for the history and scripted faults.
            state: Shared state.
            cut: Ends a connection.
        """
        self._app = app
        self._system = system
        self._state = state
        self._cut = cut
        self._late: list[_Late] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or not."""
        if scope["type"] != "http" or not scope["path"].startswith(_API_PREFIXES):
            await self._app(scope, receive, send)
            return
        body = await _read(receive)
        await self._apply_late()
        query = unquote_plus(scope["query_string"].decode("latin-1"))
        target = f"{scope['path']}?{query}" if query else scope["path"]
        entry: JsonObject = {
            "system": self._system,
            "method": scope["method"],
            "path": scope["path"],
            "query": query,
            "body": _legible(scope["path"], body),
            "status": 0,
            "fault": None,
        }
        with self._state.lock:
            fault = self._state.faults.choose(self._system, scope["method"], target)
            entry["fault"] = fault
            self._state.history.append(entry)
            entry["number"] = len(self._state.history)
            switches = self._state.switches
            passed, rate_headers = self._state.rates.count() if self._system == "freshbooks" else (True, {})
        if fault == "late_apply":
            self._late.append(_Late(scope, body, entry))
        if fault in ("cut_before", "late_apply"):
            await self._hang_up(scope, receive)
            return
        if fault == "slow":
            await asyncio.sleep(switches.slow_s)
        if not passed:
            answer: _Answer | None = self._too_many(scope, rate_headers)
        elif fault == "rate_limited":
            answer = self._too_many(scope, rate_headers | {"retry-after": str(switches.retry_after_s)})
        else:
            answer = self._refusal(fault, scope)
        if answer is None:
            answer = await self._run(scope, body)
            if fault == "lost_answer":
                entry["status"] = answer.status
                await self._hang_up(scope, receive)
                return
            if fault == "error_after":
                answer = self._failure(scope, 502)
            answer.headers += _encoded(rate_headers)
        entry["status"] = answer.status
        await _send(answer, send)

    def _too_many(self, scope: Scope, headers: dict[str, str]) -> _Answer:
        if self._system == "clarity":
            raw = dumps(_clarity_error(scope, 429, "rate_limited", "Too many requests.")).encode()
            return _answer(429, raw, "application/json", headers)
        # the body of FreshBooks' 429 is not known, so that nothing can be relied on but the header
        body = {"json": b'{"message": "Too many requests."}', "text": b"Too many requests.", "empty": b""}
        kind = self._state.switches.rate_limit_body
        return _answer(429, body[kind], "application/json" if kind == "json" else "text/plain", headers)

    def _refusal(self, fault: str | None, scope: Scope) -> _Answer | None:
        if fault == "server_error":
            return self._failure(scope, 503)
        if fault == "conflict":
            return self._failure(scope, 409)
        if fault != "expired_token":
            return None
        if self._system == "clarity":
            message = "The access token is missing, invalid or expired."
            return _json(401, _clarity_error(scope, 401, "unauthorized", message))
        if scope["path"].startswith("/events/"):
            return _json(401, errors.INVALID_TOKEN.old_body())
        new_style = any(name == b"x-api-version" for name, _ in scope["headers"])
        if new_style and scope["path"].startswith("/accounting/"):
            return _json(401, errors.UNAUTHORIZED.new_body())
        return _json(401, errors.UNAUTHENTICATED)

    def _failure(self, scope: Scope, status: int) -> _Answer:
        if self._system == "clarity":
            code, text = ("conflict", "Being changed.") if status == 409 else ("server_error", "Something went wrong.")
            return _json(status, _clarity_error(scope, status, code, text))
        if status == 409:
            text = "The object is being modified by another request."
            return _json(409, errors.AccountingError(409, errors.CONFLICT, text).old_body())
        return _json(status, errors.AccountingError(status, errors.UNEXPECTED, "Internal server error.").old_body())

    async def _run(self, scope: Scope, body: bytes) -> _Answer:
        answer = _Answer()
        messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive() -> Message:
            return messages.pop() if messages else {"type": "http.disconnect"}

        async def send(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                answer.status, answer.headers = message["status"], list(message["headers"])
            else:
                answer.body += message.get("body", b"")

        await self._app(scope, receive, send)
        return answer

    async def _apply_late(self) -> None:
        for late in self._late:
            late.countdown -= 1
        due = [late for late in self._late if late.countdown <= 0]
        self._late = [late for late in self._late if late.countdown > 0]
        for late in due:
            late.entry["status"] = (await self._run(late.scope, late.body)).status

    async def _hang_up(self, scope: Scope, receive: Receive) -> None:
        self._cut(scope)
        # the server notices the lost connection in its own time; returning earlier would make it answer 500
        while (await receive())["type"] != "http.disconnect":
            pass


def _clarity_error(scope: Scope, status: int, code: str, message: str) -> JsonObject:
    if scope["path"].startswith(_CEF_PATH):
        return CefError(status, code, message).body()
    return errors.ClarityError(status, code, message).body()


async def _read(receive: Receive) -> bytes:
    body = b""
    while True:
        message = await receive()
        body += bytes(message.get("body", b""))
        if not message.get("more_body"):
            return body


async def _send(answer: _Answer, send: Send) -> None:
    await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers})
    await send({"type": "http.response.body", "body": answer.body})


def _json(status: int, body: JsonObject) -> _Answer:
    return _answer(status, dumps(body).encode(), "application/json", {})


def _answer(status: int, raw: bytes, kind: str, headers: dict[str, str]) -> _Answer:
    sent = {"content-type": kind, "content-length": str(len(raw)), **headers}
    return _Answer(status, _encoded(sent), raw)


def _encoded(headers: dict[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode()) for name, value in headers.items()]


def _legible(path: str, body: bytes) -> Any:
    if not body:
        return None
    if any(part in path for part in _SECRET_PATHS):
        return "(not kept: credentials)"
    try:
        return loads(body)
    except ValueError:
        return body.decode(errors="replace")
