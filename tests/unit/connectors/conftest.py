"""A server on loopback that answers as each test says, over real HTTP."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest


@dataclass(frozen=True)
class Seen:
    """A request as it arrived."""

    method: str
    raw_path: str
    headers: dict[str, str]
    body: bytes

    @property
    def path(self) -> str:
        return urlsplit(self.raw_path).path

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.raw_path).query))

    @property
    def token(self) -> str:
        return self.headers.get("authorization", "").removeprefix("Bearer ")


@dataclass(frozen=True)
class Reply:
    """An answer: JSON of `body`, or `raw` bytes; `cut` closes without one, `hang` waits for the test's end."""

    status: int = 200
    body: Any = None
    raw: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)
    cut: bool = False
    hang: bool = False
    declared_length: int | None = None


Answerer = Callable[[Seen], Reply]


class Stub:
    """Answers with `answer`, keeps what it saw."""

    def __init__(self) -> None:
        self.seen: list[Seen] = []
        self.answer: Answerer = lambda _: Reply(404, {})
        self.released = threading.Event()
        stub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def _serve(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                headers = {name.lower(): value for name, value in self.headers.items()}
                seen = Seen(self.command, self.path, headers, self.rfile.read(length))
                stub.seen.append(seen)
                reply = stub.answer(seen)
                if reply.hang:
                    stub.released.wait(30)
                if reply.hang or reply.cut:
                    self.close_connection = True
                    return
                raw = reply.raw if reply.raw is not None else json.dumps(reply.body).encode()
                self.send_response(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(reply.declared_length or len(raw)))
                self.end_headers()
                self.wfile.write(raw)
                if reply.declared_length:
                    self.close_connection = True

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815  names set by http.server

            def log_message(self, *args: object) -> None:
                """Keep quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def replies(self, *replies: Reply) -> None:
        """Give these in turn; the last one stays."""
        waiting = list(replies)
        self.answer = lambda _: waiting.pop(0) if len(waiting) > 1 else waiting[0]

    def close(self) -> None:
        self.released.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def stub() -> Iterator[Stub]:
    server = Stub()
    yield server
    server.close()


@pytest.fixture
def reply() -> type[Reply]:
    return Reply


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Quick repeats without the pauses between them."""
    monkeypatch.setattr("connectors.http.QUICK_PAUSES_S", (0.0, 0.0))
