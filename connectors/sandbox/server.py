"""Starts and stops both stand-ins on loopback, in background threads or for the command line."""

from __future__ import annotations

import json
import secrets
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from connectors.sandbox.cef_app import BASE_PATH
from connectors.sandbox.clarity_app import ClarityApp
from connectors.sandbox.control import Control
from connectors.sandbox.freshbooks_app import FreshBooksApp
from connectors.sandbox.serving import HOST, Server, listen
from connectors.sandbox.state import Credentials, SandboxState
from connectors.sandbox.switches import Switches

ACCOUNT_ID = "SANDBOX"


def made_up_credentials() -> Credentials:
    """Fresh values that say what they are; no real system accepts them."""
    return Credentials(
        account_id=ACCOUNT_ID,
        client_id=f"sandbox-client-{secrets.token_hex(4)}",
        client_secret=f"sandbox-secret-{secrets.token_hex(16)}",
        access_token=f"sandbox-access-{secrets.token_hex(16)}",
        refresh_token=f"sandbox-refresh-{secrets.token_hex(16)}",
        clarity_client_id=f"sandbox-store-{secrets.token_hex(4)}",
        clarity_client_secret=f"sandbox-store-secret-{secrets.token_hex(16)}",
        webhook_secret=f"sandbox-webhook-{secrets.token_hex(16)}",
        clarity_api_key=f"sandbox-key-{secrets.token_hex(16)}",
        cef_user_name=f"sandbox-user-{secrets.token_hex(4)}",
        cef_password=f"sandbox-password-{secrets.token_hex(16)}",
    )


@dataclass
class Sandbox:
    """Both servers of one state.

    Attributes:
        switches: In force at the start; `state.change_switches` changes them later.
        freshbooks_port: 0 picks a free one.
        clarity_port: 0 picks a free one.
    """

    switches: Switches = field(default_factory=Switches)
    freshbooks_port: int = 0
    clarity_port: int = 0
    credentials: Credentials = field(default_factory=made_up_credentials)

    def __post_init__(self) -> None:
        """Prepare the state; nothing listens yet."""
        self.state = SandboxState(self.credentials, self.switches)
        self._servers: list[Server] = []

    @property
    def freshbooks_url(self) -> str:
        """Base address of FreshBooks, without a slash at the end."""
        return f"http://{HOST}:{self.freshbooks_port}"

    @property
    def clarity_url(self) -> str:
        """Base address of Clarity, without a slash at the end."""
        return f"http://{HOST}:{self.clarity_port}"

    @property
    def cef_url(self) -> str:
        """Base address of Clarity's framework flavour: the same server, other paths."""
        return f"{self.clarity_url}{BASE_PATH}/API-Admin"

    @property
    def cef_user_name(self) -> str:
        """Who signs in to the framework flavour."""
        return self.credentials.cef_user_name

    @property
    def cef_password(self) -> str:
        """The user's."""
        return self.credentials.cef_password

    @property
    def account_id(self) -> str:
        """The FreshBooks account."""
        return self.credentials.account_id

    @property
    def access_token(self) -> str:
        """A FreshBooks access token, valid from the start."""
        return self.credentials.access_token

    @property
    def refresh_token(self) -> str:
        """The FreshBooks refresh token that goes with it; good for one use."""
        return self.credentials.refresh_token

    @property
    def freshbooks_client_id(self) -> str:
        """Of the FreshBooks application."""
        return self.credentials.client_id

    @property
    def freshbooks_client_secret(self) -> str:
        """Of the FreshBooks application."""
        return self.credentials.client_secret

    @property
    def client_id(self) -> str:
        """Of the Clarity client."""
        return self.credentials.clarity_client_id

    @property
    def client_secret(self) -> str:
        """Of the Clarity client."""
        return self.credentials.clarity_client_secret

    @property
    def webhook_secret(self) -> str:
        """Key of Clarity's webhook signatures."""
        return self.credentials.webhook_secret

    def start(self) -> None:
        """Serve both systems; returns when both answer.

        Raises:
            OSError: A port is taken; then nothing runs.
        """
        control = Control(self.state).routes
        freshbooks = FreshBooksApp(self.state).build(control())
        clarity = ClarityApp(self.state).build(control())
        sockets: list[socket.socket] = []
        try:
            sockets.append(listen(self.freshbooks_port))
            sockets.append(listen(self.clarity_port))
        except OSError:
            for opened in sockets:
                opened.close()
            raise
        self.freshbooks_port, self.clarity_port = (opened.getsockname()[1] for opened in sockets)
        for system, app, opened in zip(("freshbooks", "clarity"), (freshbooks, clarity), sockets, strict=True):
            server = Server(app, system, self.state, opened)
            self._servers.append(server)
            server.start()

    def stop(self) -> None:
        """Stop both servers and the webhook senders; waits for them."""
        self.state.deliveries.close()
        self.state.callbacks.outbox.close()
        for server in self._servers:
            server.end()
        for server in self._servers:
            server.join()
        self._servers.clear()

    def seed(self, *, seed: int, orders: int) -> None:
        """Fill Clarity with generated orders, their payments, customers and products; no webhook is sent.

        Args:
            seed: The same seed and count give the same records.
            orders: How many.
        """
        from connectors.sandbox import generator
        from connectors.sandbox.generator_cef import cef_batch
        from connectors.sandbox.generator_cef_parts import raw_prices

        cases = generator.generate(seed, orders)
        records = {
            "customers": generator.customers(cases),
            "products": generator.products(),
            "orders": [case.order for case in cases],
            "payments": generator.payments(cases),
            "refunds": generator.refunds(cases),
        }
        wanted = cases if self.state.switches.clarity_flavour != "rest" else []
        batch = cef_batch(wanted, zone=self.state.switches.cef_zone)
        with self.state.lock:
            for list_name, rows in records.items():
                for row in rows:
                    self.state.clarity.put(list_name, row, silent=True)
            for entity, rows in batch.records.items():
                for row in rows:
                    self.state.cef.put(entity, row)
            for product in records["products"]:
                self.state.cef.prices[int(product["id"])] = raw_prices(product)

    def ready_line(self) -> str:
        """One line of JSON that tells a program how to reach both systems."""
        return json.dumps(
            {
                "freshbooks": {
                    "url": self.freshbooks_url,
                    "account_id": self.account_id,
                    "access_token": self.access_token,
                    "client_id": self.freshbooks_client_id,
                    "client_secret": self.freshbooks_client_secret,
                    "refresh_token": self.refresh_token,
                },
                "clarity": {
                    "url": self.clarity_url,
                    "client_id": self.client_id,
                    "client_secret": self.client_secret,
                    "webhook_secret": self.webhook_secret,
                    "api_key": self.credentials.clarity_api_key,
                },
                "clarity_cef": {
                    "url": self.cef_url,
                    "user_name": self.cef_user_name,
                    "password": self.cef_password,
                    "time_zone": self.state.switches.cef_zone,
                },
            }
        )


@contextmanager
def running_sandbox(**switches: Any) -> Iterator[Sandbox]:
    """A started sandbox on free ports, stopped at the end.

    Args:
        **switches: See `switches.Switches`.

    Raises:
        ValueError: An unknown switch or value.
    """
    sandbox = Sandbox(Switches().changed(**switches))
    sandbox.start()
    try:
        yield sandbox
    finally:
        sandbox.stop()


def serve(
    *,
    freshbooks_port: int = 0,
    clarity_port: int = 0,
    json_line: bool,
    seed: int,
    orders: int,
    **switches: Any,
) -> int:
    """Run both systems until SIGINT or SIGTERM.

    Args:
        freshbooks_port: 0 picks a free one.
        clarity_port: 0 picks a free one.
        json_line: Print `Sandbox.ready_line` first instead of text for people.
        seed: Of the generated orders.
        orders: How many to put into Clarity; 0 leaves it empty.
        **switches: See `switches.Switches`.

    Returns:
        0, the exit code.

    Raises:
        OSError: A port is taken.
        ValueError: An unknown switch or value.
    """
    stopping = threading.Event()
    before = {number: signal.signal(number, lambda *_: stopping.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    sandbox = Sandbox(Switches().changed(**switches), freshbooks_port, clarity_port)
    try:
        if orders:
            sandbox.seed(seed=seed, orders=orders)
        sandbox.start()
        try:
            print(sandbox.ready_line() if json_line else _ready_text(sandbox), flush=True)
            stopping.wait()
        finally:
            sandbox.stop()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return 0


def _ready_text(sandbox: Sandbox) -> str:
    return "\n".join(
        (
            f"FreshBooks sandbox  {sandbox.freshbooks_url}  (open it in a browser to see what was posted)",
            f"  FRESHBOOKS_API_URL={sandbox.freshbooks_url}",
            f"  FRESHBOOKS_ACCOUNT_ID={sandbox.account_id}",
            f"  FRESHBOOKS_ACCESS_TOKEN={sandbox.access_token}",
            f"Clarity sandbox     {sandbox.clarity_url}",
            f"  CLARITY_API_URL={sandbox.clarity_url}",
            f"  CLARITY_CLIENT_ID={sandbox.client_id}",
            f"  CLARITY_CLIENT_SECRET={sandbox.client_secret}",
            f"  CLARITY_WEBHOOK_SECRET={sandbox.webhook_secret}",
            f"Clarity framework   {sandbox.cef_url}",
            f"  user name {sandbox.cef_user_name}, password {sandbox.cef_password}",
            "Stop with Ctrl+C.",
        )
    )
