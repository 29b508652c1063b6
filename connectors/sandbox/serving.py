"""One uvicorn server in a thread of its own, on loopback, whose connections can be cut."""

from __future__ import annotations

import asyncio
import contextlib
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
_TICK_S = 0.1  # uvicorn's own, of its clock
_LOOK_S = 0.01
_SLOW_ANSWERS_S = 1  # they must not hold up the end


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
    """Serves one system from `start` until `end` is called and `join` returns.

    uvicorn looks every tenth of a second whether it shall end, and then waits another tenth; this one is told.
    """

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
            )
        )
        self._socket = opened
        self._ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ending = asyncio.Event()
        self._thread = threading.Thread(
            target=self.run, kwargs={"sockets": [opened]}, name=f"sandbox-{system}", daemon=True
        )

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Say that it listens."""
        await super().startup(sockets)
        self._loop = asyncio.get_running_loop()
        self._ready.set()

    async def main_loop(self) -> None:
        """Serve until the end is said."""
        ticks = 0
        while not await self.on_tick(ticks):
            ticks += 1
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._ending.wait(), _TICK_S)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close what is idle, and wait a little for what is being answered."""
        for server in self.servers:
            server.close()
        for opened in sockets or []:
            opened.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        await asyncio.sleep(0)  # idle ones close in the loop's next turn
        try:
            async with asyncio.timeout(_SLOW_ANSWERS_S):
                while self.server_state.connections or self.server_state.tasks:
                    await asyncio.sleep(_LOOK_S)
        except TimeoutError:
            for task in self.server_state.tasks:
                task.cancel()

    def start(self) -> None:
        """Return when it answers. Raises OSError when it does not."""
        self._thread.start()
        if not self._ready.wait(_READY_TIMEOUT_S):
            msg = "the sandbox server did not start"
            raise OSError(msg)

    def end(self) -> None:
        """Say that it shall end."""
        self.should_exit = True
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # it has ended
                self._loop.call_soon_threadsafe(self._ending.set)

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
