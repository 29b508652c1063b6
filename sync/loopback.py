"""A listener on this machine for the one page a browser is sent to after a consent.

Only for servers that take http://127.0.0.1 as redirect address; FreshBooks does not.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import urlsplit

from sync.errors import SettingsError, SyncError

WAIT_S = 300.0
_PAGE = b"<!doctype html><title>mapper-sync</title><p>You can close this page and go back to the terminal.</p>\n"


class Listener:
    """Takes requests on one loopback port until the redirect arrives."""

    def __init__(self, server: HTTPServer, path: str) -> None:
        self._server = server
        self._path = path
        self.redirect_uri = f"http://127.0.0.1:{server.server_port}{path}"

    def wait(self, timeout_s: float = WAIT_S) -> str:
        """The whole address the browser was sent to.

        Raises:
            SyncError: Nothing arrived in time.
        """
        found: list[str] = []
        redirect_path = self._path

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                right = parts.path == redirect_path and bool(parts.query)
                self.send_response(200 if right else 404)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.send_header("Cache-Control", "no-store")
                self.end_headers()
                if right:
                    self.wfile.write(_PAGE)
                    found.append(f"http://127.0.0.1{self.path}")

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the server's word
                """Nothing: the line would hold the code."""

        self._server.RequestHandlerClass = Handler
        until = time.monotonic() + timeout_s
        while not found:
            self._server.timeout = until - time.monotonic()
            if self._server.timeout <= 0:
                raise SyncError(f"nobody consented within {timeout_s:.0f} s; run the command again")
            self._server.handle_request()
        return found[0]


@contextmanager
def listening(redirect_uri: str | None) -> Iterator[Listener]:
    """Listen on a free port, or on that of a loopback redirect address.

    Raises:
        SettingsError: The address is not http://127.0.0.1:PORT/path, or the port is taken.
    """
    parts = urlsplit(redirect_uri or "http://127.0.0.1:0/callback")
    try:
        port = parts.port or 0
    except ValueError:
        port = -1
    if parts.scheme != "http" or parts.hostname != "127.0.0.1" or port < 0:
        raise SettingsError("--listen needs a redirect address such as http://127.0.0.1:8123/callback")
    try:
        server = HTTPServer(("127.0.0.1", port), BaseHTTPRequestHandler)
    except OSError as error:
        raise SettingsError(f"cannot listen on 127.0.0.1:{port} ({(error.strerror or 'failed').lower()})") from None
    try:
        yield Listener(server, parts.path or "/")
    finally:
        server.server_close()
