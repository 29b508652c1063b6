"""Durable webhooks a second: ``python -m benchmarks.ingress [--shipped] [--store URL] [--connections 32]``.

Server and load generator are processes of their own; what a delivery costs the server in time of a core tells the
same on a busy machine. The generator keeps one signed request in flight on each
connection, all bodies made before the clock starts, and counts an answer only when it is 202; afterwards the inbox is
counted, since an answer that nothing stands behind would be no answer.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil

from connectors.webhooks import SIGNATURE_HEADER, sign_clarity
from sync import inbox
from sync.store import open_store

ROOT = Path(__file__).resolve().parents[1]
SAMPLE = ROOT / "fixtures" / "clarity" / "order__plain-card.json"
SECRET = "benchmark-secret"  # noqa: S105  of the server below alone


@dataclass(frozen=True)
class Load:
    """What one run of the generator saw; times in seconds."""

    accepted: int
    refused: int
    elapsed_s: float
    p50_s: float
    p99_s: float
    slowest_s: float
    server_cpu_s: float = 0.0

    @property
    def rate(self) -> float:
        """Accepted webhooks a second."""
        return self.accepted / self.elapsed_s


def requests(count: int, *, first: int = 0, host: str = "127.0.0.1") -> list[bytes]:
    """Complete HTTP requests, each a new event; one order in three is seen again, one customer in two."""
    order = json.loads(SAMPLE.read_text("utf-8"))
    made = []
    stamp = int(time.time())
    for number in range(first, first + count):
        record_id = str(1_000_000 + number // 3)
        customer = {**order["customer"], "id": str(number % max(1, count // 2))}
        resource = {**order, "id": record_id, "orderNumber": f"WEB-{record_id}", "customer": customer}
        data = {"object": "order", "id": record_id, "updatedAt": order["updatedAt"], "resource": resource}
        body = json.dumps({"id": f"evt_{number}", "type": "order.created", "data": data}).encode()
        head = (
            f"POST /webhooks/clarity HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
            f"{SIGNATURE_HEADER}: {sign_clarity(SECRET, stamp, body)}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        made.append(head.encode() + body)
    return made


class _Connection(asyncio.Protocol):
    """Sends the next request when the answer to the last one is there."""

    def __init__(self, source: _Source) -> None:
        self._source = source
        self._buffer = b""
        self._sent = 0.0
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._next()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, found, rest = self._buffer.partition(b"\r\n\r\n")
        if not found:
            return
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0])
        if len(rest) < length:
            return
        self._buffer = rest[length:]
        self._source.answered(head[9:12] == b"202", time.perf_counter() - self._sent)
        self._next()

    def connection_lost(self, exc: Exception | None) -> None:
        self._source.ended()

    def _next(self) -> None:
        assert self._transport is not None
        request = self._source.take()
        if request is None:
            self._transport.close()
            return
        self._sent = time.perf_counter()
        self._transport.write(request)


class _Source:
    """Hands out requests until they or the time are used up."""

    def __init__(self, made: list[bytes], until: float, connections: int) -> None:
        self._made = iter(made)
        self._until = until
        self._open = connections
        self.done = asyncio.get_running_loop().create_future()
        self.took: list[float] = []
        self.refused = 0

    def take(self) -> bytes | None:
        return next(self._made, None) if time.perf_counter() < self._until else None

    def answered(self, accepted: bool, took: float) -> None:
        self.took.append(took)
        self.refused += not accepted

    def ended(self) -> None:
        self._open -= 1
        if not self._open:
            self.done.set_result(None)


async def load(port: int, made: list[bytes], *, connections: int, seconds: float) -> Load:
    """Send until the requests or the time are used up."""
    loop = asyncio.get_running_loop()
    began = time.perf_counter()
    source = _Source(made, began + seconds, connections)
    await asyncio.gather(
        *(loop.create_connection(lambda: _Connection(source), "127.0.0.1", port) for _ in range(connections))
    )
    await source.done
    elapsed = time.perf_counter() - began
    took = sorted(source.took) or [math.nan]
    accepted = len(source.took) - source.refused
    return Load(accepted, source.refused, elapsed, took[len(took) // 2], took[len(took) * 99 // 100], took[-1])


def serve(store_url: str) -> None:
    """The server's process: the application as ``mapper-sync serve`` serves it, without the worker."""
    import uvicorn

    from sync.http_server import server_config
    from sync.ingress import create_app
    from sync.serving import listen

    store = open_store(store_url)
    listener = listen("127.0.0.1", 0)
    print(listener.getsockname()[1], flush=True)
    app = create_app(store, clarity_secrets=[SECRET], now=time.time)
    uvicorn.Server(server_config(app)).run(sockets=[listener])
    store.close()


def serve_all(store_url: str, told: Mapping[str, str]) -> None:
    """The server's process as shipped: ``mapper-sync serve`` with its engine and workers on a sandbox's FreshBooks."""
    from sync.runner import serve as serve_as_shipped
    from sync.settings import load_settings

    environ = {
        "MAPPER_STORE_URL": store_url,
        "FRESHBOOKS_API_URL": told["url"],
        "FRESHBOOKS_ACCOUNT_ID": told["account_id"],
        "FRESHBOOKS_ACCESS_TOKEN": told["access_token"],
        "CLARITY_WEBHOOK_SECRET": SECRET,
    }
    stop = threading.Event()
    signal.signal(signal.SIGINT, lambda *_: stop.set())
    serve_as_shipped(
        load_settings(environ),
        ROOT / "mappings" / "clarity-freshbooks",
        port=0,
        on_ready=lambda url: print(url.rpartition(":")[2], flush=True),
        stop=stop,
    )


def measure(
    store_url: str, *, connections: int = 32, seconds: float = 6.0, most: int = 40_000, books: str | None = None
) -> Load:
    """Start a server on the store, send, stop it, and hold its answers against the inbox.

    Args:
        books: What a sandbox told of its FreshBooks, as JSON: then the server is the whole of ``mapper-sync serve``.
    """
    made = requests(most)
    command = [sys.executable, "-m", "benchmarks.ingress", "--serve", store_url]
    command += ["--books", books] if books else []
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            port = int(server.stdout.readline())
            process = psutil.Process(server.pid)
            before = process.cpu_times()
            found = asyncio.run(load(port, made, connections=connections, seconds=seconds))
            after = process.cpu_times()
            used = after.user + after.system - before.user - before.system
            found = replace(found, server_cpu_s=used)
        finally:
            server.send_signal(signal.SIGINT)
            server.wait(30)
    store = open_store(store_url, read_only=True)
    try:
        stored = sum(inbox.counts(store).values())
    finally:
        store.close()
    if stored < found.accepted:
        raise SystemExit(f"{found.accepted} were accepted and only {stored} are stored")
    return found


def ingress_benchmark(
    store_url: str | None = None, *, connections: int = 32, seconds: float = 6.0, shipped: bool = False
) -> None:
    """Print what a store takes; a fresh SQLite file when None.

    Args:
        shipped: With engine and workers, which work on what arrives against a sandbox meanwhile.
    """
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        url = store_url or f"sqlite:///{folder}/ingress.db"
        books = stack.enter_context(_sandbox()) if shipped else None
        found = measure(url, connections=connections, seconds=seconds, books=books)
    name = "SQLite WAL FULL" if url.startswith("sqlite") else "PostgreSQL"
    name += ", workers at work" if shipped else ""
    print(
        f"ingress {name:16} {found.rate:,.0f} durable webhooks/s over {connections} connections; p50 "
        f"{found.p50_s * 1000:.1f} ms, p99 {found.p99_s * 1000:.1f} ms, slowest {found.slowest_s * 1000:.0f} ms; "
        f"{found.refused} refused; {found.server_cpu_s / found.accepted * 1e6:.0f} us of a core each"
    )


@contextmanager
def _sandbox() -> Iterator[str]:
    command = [sys.executable, "-m", "mapper_ai", "sandbox", "--json"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield json.dumps(json.loads(process.stdout.readline())["freshbooks"])
        finally:
            process.terminate()


def on_postgresql(**options: Any) -> None:
    """The same on a server of its own, where the development packages bring one."""
    from tests.postgres import fresh_database, packaged_server

    with packaged_server() as server, fresh_database(server) as url:
        ingress_benchmark(url, **options)


def main() -> None:
    """Measure from the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ingress", description=__doc__)
    parser.add_argument("--serve", metavar="URL", help=argparse.SUPPRESS)
    parser.add_argument("--books", help=argparse.SUPPRESS)
    parser.add_argument("--shipped", action="store_true", help="the whole of 'mapper-sync serve', workers at work")
    parser.add_argument("--store", metavar="URL", help="an empty store (default: a fresh SQLite file)")
    parser.add_argument("--postgresql", action="store_true", help="also on a PostgreSQL server of its own")
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=6.0)
    arguments = parser.parse_args()
    if arguments.serve:
        with suppress(KeyboardInterrupt):
            if arguments.books:
                serve_all(arguments.serve, json.loads(arguments.books))
            else:
                serve(arguments.serve)
        return
    options = {
        "connections": arguments.connections,
        "seconds": arguments.seconds,
        "shipped": arguments.shipped,
    }
    ingress_benchmark(arguments.store, **options)
    if arguments.postgresql:
        on_postgresql(**options)


if __name__ == "__main__":
    main()
