"""What can be chosen about the stand-ins: every open question of the fact sheets is one switch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from decimal import Decimal
from typing import Any, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from connectors.sandbox import scopes
from connectors.sandbox.money import ROUNDING_MODES, RoundingMode

FAULT_KINDS = (
    "lost_answer",
    "cut_before",
    "late_apply",
    "server_error",
    "error_after",
    "rate_limited",
    "slow",
    "expired_token",
    "conflict",
)

_CHOICES: dict[str, tuple[str, ...]] = {
    "rounding": ROUNDING_MODES,
    "duplicate_number": ("refuse", "accept"),
    "duplicate_email": ("accept", "refuse"),
    "email_search": ("exact", "casefold"),
    "invoice_number_search": ("equals", "like", "ignored"),
    "negative_unit_cost": ("accept", "refuse"),
    "negative_payment": ("refuse", "accept"),
    "payment_on_draft": ("keep_draft", "mark_sent", "refuse"),
    "transactionid": ("kept", "dropped"),
    "rate_limit_body": ("json", "text", "empty"),
    "emoji": ("accept", "refuse"),
    "loopback_redirects": ("refuse", "accept"),
    "pkce": ("enforced", "ignored"),
    "refreshed_created_at": ("new", "old"),
    "handshake_signature": ("signed", "unsigned"),
    "callback_delete": ("no_content", "body"),
    "clarity_flavour": ("both", "rest", "cef"),
    "cef_lists": ("flat", "whole"),
    "cef_missing": ("not_found", "empty"),
}


@dataclass(frozen=True)
class Switches:
    """Behaviour of both servers; replaced as a whole, never changed in place.

    Attributes:
        rounding: From lines to a total, see `money.RoundingMode`.
        unit_cost_places: Decimals kept of a unit cost (two-digit currency); more are rounded off silently.
        duplicate_number: A taken invoice number, deleted and archived ones included, is refused (422, 1029).
        duplicate_email: A second client with the same e-mail (case ignored, deleted clients not counted).
        email_search: Whether `search[email]` tells cases apart.
        invoice_number_search: Match kind of `search[invoice_number]`; "ignored" makes it an unknown filter.
        duplicate_number_errno: Error number of that refusal, which no source states.
        negative_unit_cost: Lines below zero.
        negative_payment: Payments below zero.
        payment_on_draft: What a payment does to a draft: it stays a draft until it is paid in full, becomes sent, or
            the payment is refused (422, 1004).
        transactionid: Whether a payment keeps what was sent there; in every sample seen it is null.
        list_lag_s: Seconds until lists and searches show a new record; reading it by id never waits.
        new_errors_since: `X-API-VERSION` from which on errors have the new shape; empty for any.
        rate_limit: FreshBooks requests answered within `rate_window_s`; more get 429. None for no limit.
        rate_window_s: Seconds.
        rate_limit_body: Shape of a 429's body, which no source shows.
        emoji: Characters outside the basic multilingual plane; refused with errno 1036.
        invoice_number_max: Longest invoice number in characters; None for no limit.
        max_lengths: Further limits, `{"client.organization": 100}`.
        base_currency: Of the business, default for clients and invoices.
        loopback_redirects: Whether http to this machine is a redirect address; FreshBooks takes https only.
        pkce: Whether a code that was asked for with a challenge needs its verifier.
        refreshed_created_at: `created_at` of a refresh while the last access token lives: "old" keeps its end too.
        enabled_scopes: What the application is registered for; asking for more rejects the whole consent.
        access_token_s: Life of a FreshBooks access token in seconds.
        clarity_token_s: Life of a Clarity access token in seconds.
        clarity_bare_lists: Lists are a bare array instead of an envelope with paging (A7).
        handshake_signature: Whether the handshake of a FreshBooks callback is signed with its own verifier.
        callback_delete: Answer to the DELETE of a callback: 204, or 200 with a body (which the Python SDK cannot read).
        clarity_requests_per_minute: More of one caller are refused with 429 (A10); None for no limit.
        clarity_flavour: Which of Clarity's two interfaces answer.
        cef_zone: Time zone of the framework's server, whose wall time its records carry.
        cef_session_s: Life of a session in seconds.
        cef_lists: Whether lists carry related records ("whole") or only their ids, keys and names ("flat").
        cef_missing: An unknown record answers 404 or, "empty", 204 without a body.
        webhook_attempts: Deliveries tried for one event, of either system, before it is dropped (A14).
        webhook_gap_s: Pause before the second attempt in seconds; four times as long before each further one, so
            that eight attempts from 16 seconds on take a day.
        webhook_duplicate_rate: Share of events delivered twice, 0..1.
        webhook_reorder_rate: Share of events held back until after the next one, 0..1.
        fault_rates: Share of API requests with a fault, by kind; the sum is at most 1.
        fault_seed: Of every random choice.
        retry_after_s: Value of the Retry-After header of a 429.
        slow_s: Delay of the fault "slow" in seconds.
        control: Whether the control routes answer.
    """

    rounding: RoundingMode = "line"
    unit_cost_places: int = 2
    duplicate_number: str = "refuse"
    duplicate_email: str = "accept"
    email_search: str = "exact"
    invoice_number_search: str = "equals"
    duplicate_number_errno: int = 1029
    negative_unit_cost: str = "accept"
    negative_payment: str = "refuse"
    payment_on_draft: str = "keep_draft"
    transactionid: str = "kept"
    list_lag_s: float = 0.0
    new_errors_since: str = ""
    rate_limit: int | None = None
    rate_window_s: int = 60
    rate_limit_body: str = "json"
    emoji: str = "accept"
    handshake_signature: str = "signed"
    callback_delete: str = "no_content"
    invoice_number_max: int | None = None
    max_lengths: Mapping[str, int] = field(default_factory=dict)
    base_currency: str = "USD"
    loopback_redirects: str = "refuse"
    pkce: str = "enforced"
    refreshed_created_at: str = "new"
    enabled_scopes: Sequence[str] = scopes.ENABLED
    access_token_s: int = 43_200
    clarity_token_s: int = 3_600
    clarity_bare_lists: bool = False
    clarity_requests_per_minute: int | None = None
    clarity_flavour: str = "both"
    cef_zone: str = "America/New_York"
    cef_session_s: int = 1_200
    cef_lists: str = "flat"
    cef_missing: str = "not_found"
    webhook_attempts: int = 8
    webhook_gap_s: float = 0.25
    webhook_duplicate_rate: float = 0.0
    webhook_reorder_rate: float = 0.0
    fault_rates: Mapping[str, float] = field(default_factory=dict)
    fault_seed: int = 1
    retry_after_s: int = 1
    slow_s: float = 0.5
    control: bool = True

    def __post_init__(self) -> None:
        """Refuse a value that no server would know what to do with.

        Raises:
            ValueError: The message names the switch and what it takes.
        """
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                msg = f"switch {name}: expected one of {', '.join(choices)}"
                raise ValueError(msg)
        if unknown := set(self.fault_rates) - set(FAULT_KINDS):
            msg = f"switch fault_rates: unknown fault {sorted(unknown)[0]}; known: {', '.join(FAULT_KINDS)}"
            raise ValueError(msg)
        if foreign := set(self.enabled_scopes) - scopes.KNOWN:
            msg = f"switch enabled_scopes: unknown scope {sorted(foreign)[0]}"
            raise ValueError(msg)
        rates = list(self.fault_rates.values())
        if any(rate < 0 for rate in rates) or sum(rates) > 1:
            msg = "switch fault_rates: shares must be at least 0 and sum to at most 1"
            raise ValueError(msg)
        if self.rate_limit is not None and (self.rate_limit < 1 or self.rate_window_s < 1):
            msg = "switches rate_limit and rate_window_s: expected at least 1"
            raise ValueError(msg)
        try:
            ZoneInfo(self.cef_zone)
        except (ValueError, OSError, ZoneInfoNotFoundError):
            msg = "switch cef_zone: expected a time zone such as America/New_York"
            raise ValueError(msg) from None
        if self.unit_cost_places < 0 or self.webhook_attempts < 1:
            msg = "switches unit_cost_places and webhook_attempts: expected at least 0 and 1"
            raise ValueError(msg)

    def changed(self, **changes: Any) -> Self:
        """A copy with some switches changed.

        Raises:
            ValueError: An unknown switch, or a value it does not take.
        """
        if unknown := set(changes) - {known.name for known in fields(self)}:
            msg = f"unknown switch {sorted(unknown)[0]}"
            raise ValueError(msg)
        return replace(self, **changes)

    def as_json(self) -> dict[str, Any]:
        """Name to value, with shares and seconds as `Decimal`, as JSON here knows no floats."""
        return {known.name: _exact(getattr(self, known.name)) for known in fields(self)}


def _exact(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _exact(item) for key, item in value.items()}
    return Decimal(str(value)) if isinstance(value, float) else value
