"""How the runner's port is served: bounded connections and headers, and nobody may take for ever to send a request."""

from __future__ import annotations

import asyncio
from typing import Any, Final

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

MAX_CONNECTIONS: Final = 1000
MAX_HEADER_BYTES: Final = 32 * 1024
IDLE_S: Final = 15
REQUEST_WITHIN_S: Final = 30.0
"""For a whole request, from its first byte; longer than `ingress.BODY_WITHIN_S`, which gets a proper answer."""

_TOO_SLOW = b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
_TOO_BIG = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class BoundedProtocol(H11Protocol):
    """uvicorn's protocol, which by itself waits for ever for a head or a refused body that is sent drop by drop."""

    request_within_s = REQUEST_WITHIN_S
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Give the first request its time."""
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        """Give what has begun its time, and take it back when it is complete."""
        if self._deadline is None:
            self._wait()
        super().data_received(data)
        if self.conn.their_state in (h11.DONE, h11.MUST_CLOSE, h11.CLOSED, h11.ERROR):
            self._wait_no_more()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the deadline."""
        self._wait_no_more()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """Tell large headers from wrong ones."""
        too_big = len(self.conn.trailing_data[0]) >= MAX_HEADER_BYTES and self.conn.our_state is h11.IDLE
        if too_big:
            self.transport.write(_TOO_BIG)
            self.transport.close()
        elif self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            super().send_400_response(msg)
        else:  # an answer is under way already
            self.transport.close()

    def _wait(self) -> None:
        self._deadline = self.loop.call_later(self.request_within_s, self._too_slow)

    def _wait_no_more(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_slow(self) -> None:
        self._deadline = None
        if self.conn.their_state is h11.IDLE:
            self.transport.write(_TOO_SLOW)
        self.transport.close()


def server_config(app: Any, **more: Any) -> uvicorn.Config:
    """The configuration of a server for an application."""
    options: dict[str, Any] = {
        "log_config": None,
        "access_log": False,
        "server_header": False,
        "http": BoundedProtocol,
        "ws": "none",
        "lifespan": "on",
        "limit_concurrency": MAX_CONNECTIONS,
        "timeout_keep_alive": IDLE_S,
        "timeout_graceful_shutdown": 10,
        "h11_max_incomplete_event_size": MAX_HEADER_BYTES,
    }
    return uvicorn.Config(app, **{**options, **more})
