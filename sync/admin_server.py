"""Serves the admin API in a thread of its own, on a socket that listens on loopback only."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from sync.admin import HOST, create_admin_app
from sync.store import Store


@contextmanager
def admin_api(
    store: Store,
    tokens: Mapping[str, str],
    listener: socket.socket,
    *,
    now: Callable[[], float],
    on_replay: Callable[[], None] = lambda: None,
) -> Iterator[str]:
    """The API's address while the block lasts; requests in hand are finished."""
    import uvicorn

    app = create_admin_app(store, tokens, now=now, on_replay=on_replay)
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=5))
    # Signals are the main server's; in another thread this one leaves them alone.
    thread = threading.Thread(target=server.run, args=([listener],), name="admin", daemon=True)
    thread.start()
    try:
        yield f"http://{HOST}:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(timeout=10)
