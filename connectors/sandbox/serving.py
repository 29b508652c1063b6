"""One uvicorn server in a thread of its own, on loopback, whose connections can be cut."""

from __future__ import annotations

import socket
import threading
from typing import Any

import uvicorn
from starlette.types import ASGIApp, Scope
from uvicorn.protocols.http.h11_impl import H11Protocol

from connectors.sandbox.gate import CutConnection, Gate
from connectors.sandbox.state import SandboxState

HOST = "127.0.0.1"
_READY_TIMEOUT_S = 30.0


def listen(port: int) -> socket.socket:
    """A listening socket; 0 picks a free port. Raises OSError when it is taken."""
    # With the protocol named, asyncio switches Nagle's algorithm off; without, every answer waits 40 ms for an ACK.
    opened = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind((HOST, port))
        opened.listen(128)
    except OSError:
        opened.close()
        raise
    return opened


class Server(uvicorn.Server):
    """Serves one system from `start` until `should_exit` is set and `join` returns."""

    def __init__(self, app: ASGIApp, system: str, state: SandboxState, opened: socket.socket) -> None:
        """Prepare; `opened` is a listening socket that this server closes."""
        protocol, cut = _cuttable()
        super().__init__(
            uvicorn.Config(
                Gate(app, system=system, state=state, cut=cut),
                http=protocol,
                ws="none",
                loop="asyncio",
                lifespan="off",
                log_config=None,
                log_level="critical",
                access_log=False,
                server_header=False,
                # slow answers must not hold up the end
                timeout_graceful_shutdown=1,
            )
        )
        self._socket = opened
        self._ready = threading.Event()
        self._thread = threading.Thread(
            target=self.run, kwargs={"sockets": [opened]}, name=f"sandbox-{system}", daemon=True
        )

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Say that it listens."""
        await super().startup(sockets)
        self._ready.set()

    def start(self) -> None:
        """Return when it answers. Raises OSError when it does not."""
        self._thread.start()
        if not self._ready.wait(_READY_TIMEOUT_S):
            msg = "the sandbox server did not start"
            raise OSError(msg)

    def join(self) -> None:
        """Wait for its end."""
        self._thread.join()
        self._socket.close()


def _cuttable() -> tuple[type[H11Protocol], CutConnection]:
    """A protocol that remembers its connections by the client's address, and the function that cuts one."""
    transports: dict[Any, Any] = {}

    class CuttableProtocol(H11Protocol):
        def connection_made(self, transport: Any) -> None:
            transports[transport.get_extra_info("peername")] = transport
            super().connection_made(transport)

        def connection_lost(self, exc: Exception | None) -> None:
            transports.pop(self.transport.get_extra_info("peername"), None)
            super().connection_lost(exc)

    def cut(scope: Scope) -> None:
        transport = transports.get(tuple(scope["client"]))
        if transport is not None:
            transport.abort()

    return CuttableProtocol, cut
