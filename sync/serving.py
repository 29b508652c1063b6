"""The HTTP side of ``serve``: a socket that is bound first, and a server that ends when it is told to."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from typing import Final

import uvicorn
from starlette.applications import Starlette

from sync.errors import SyncError
from sync.http_server import server_config

GRACE_S: Final = 5
"""For requests that are being answered when the server ends."""


class Server(uvicorn.Server):
    """A uvicorn that leaves signals alone: it goes on answering while the writes in hand are finished."""

    def __init__(self, app: Starlette) -> None:
        super().__init__(server_config(app, timeout_graceful_shutdown=GRACE_S))

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


def listen(host: str, port: int) -> socket.socket:
    """A listening socket.

    Raises:
        SyncError: The port is taken, or is not ours to take.
    """
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.create_server((host, port), family=family, backlog=2048)
        # asyncio leaves Nagle's algorithm on for a socket it did not open: every answer would wait 40 ms for an ACK.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listener
    except (OSError, OverflowError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise SyncError(f"cannot listen on {host}:{port} ({why.lower()}); choose another --port or --host") from None
