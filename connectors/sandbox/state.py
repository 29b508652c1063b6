"""What both stand-ins share: one lock, the switches in force, the clock, and the history of requests."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any

from connectors.sandbox.books import Books
from connectors.sandbox.callbacks import Callbacks
from connectors.sandbox.cef_books import CefBooks
from connectors.sandbox.clarity_books import ClarityBooks
from connectors.sandbox.clarity_oauth import ClarityOAuth
from connectors.sandbox.deliveries import WebhookSender
from connectors.sandbox.faults import FaultPlan
from connectors.sandbox.oauth import FreshBooksOAuth
from connectors.sandbox.rates import RateLimiter
from connectors.sandbox.switches import Switches
from connectors.sandbox.times import Clock, utc_now
from connectors.sandbox.wire import JsonObject


@dataclass
class Credentials:
    """Obviously made-up values, fresh for every start; no real system knows them."""

    account_id: str
    client_id: str
    client_secret: str
    access_token: str
    refresh_token: str
    clarity_client_id: str
    clarity_client_secret: str
    webhook_secret: str
    clarity_api_key: str = ""
    cef_user_name: str = ""
    cef_password: str = ""


@dataclass
class SandboxState:
    """Everything both servers know. Whoever reads or writes it holds `lock`.

    Attributes:
        history: Every API request as it arrived: number, system, method, path, query, body, status (0: none
            yet), fault.
    """

    credentials: Credentials
    switches: Switches = field(default_factory=Switches)
    clock: Clock = utc_now
    lock: threading.RLock = field(default_factory=threading.RLock)
    history: list[JsonObject] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Start with empty books and the given credentials valid."""
        credentials = self.credentials
        self.faults = FaultPlan(lambda: self.switches)
        self.rates = RateLimiter(lambda: self.switches, self.clock)
        self.freshbooks = Books(credentials.account_id, lambda: self.switches, self.clock)
        self.callbacks = Callbacks(credentials.account_id, lambda: self.switches, self.clock)
        self.freshbooks.on_event = self.callbacks.emit
        self.oauth = FreshBooksOAuth(
            credentials.client_id, credentials.client_secret, self.clock, lambda: self.switches
        )
        self.oauth.grant(credentials.access_token, credentials.refresh_token, life_s=self.switches.access_token_s)
        self.clarity = ClarityBooks(self.clock)
        self.clarity_oauth = ClarityOAuth(
            credentials.clarity_client_id, credentials.clarity_client_secret, credentials.clarity_api_key, self.clock
        )
        self.cef = CefBooks(credentials.cef_user_name, credentials.cef_password, lambda: self.switches, self.clock)
        self.deliveries = WebhookSender(credentials.webhook_secret, lambda: self.switches, self.clock)
        self.clarity.on_event = self.deliveries.emit

    def reset(self) -> None:
        """Forget records, receivers, scripted faults and the history; tokens and switches stay."""
        with self.lock:
            self.freshbooks.reset()
            self.clarity.reset()
            self.callbacks.clear()
            self.rates.reset()
            self.cef.reset()
            self.faults.reset()
            self.deliveries.clear()
            self.history.clear()

    def change_switches(self, **changes: Any) -> None:
        """Change some switches for all later requests.

        Raises:
            ValueError: An unknown switch or value; nothing changed.
        """
        with self.lock:
            self.switches = self.switches.changed(**changes)
            if {"fault_rates", "fault_seed"} & changes.keys():
                self.faults.reseed()
