"""From error to next step. An error nobody expected sets the record aside and says so."""

from __future__ import annotations

from typing import Final

from connectors.errors import (
    AmbiguousWriteError,
    AuthError,
    ConnectorError,
    RateLimitedError,
    ReconnectError,
    RejectedError,
    TransientError,
)
from mapspec import Reason
from sync.errors import IntentOpenError
from sync.outcome import Outcome

WRITE_UNDER_WAY: Final = "write-under-way"
RATE_LIMIT = "rate-limit"
"""Reason of what waits for the other system's rate limit; it is tried as long as that takes."""


def outcome_of(error: ConnectorError | IntentOpenError) -> Outcome:
    """What becomes of an event whose work ended in this error."""
    if isinstance(error, ReconnectError):
        return Outcome("stop", (Reason("reconnect", reconnect_text(error)),))
    if isinstance(error, AuthError):
        return Outcome("stop", (Reason("auth", error.message),))
    if isinstance(error, RateLimitedError):
        return Outcome("retry", (Reason(RATE_LIMIT, error.message),), due_in_s=error.retry_after_s)
    if isinstance(error, TransientError):
        return Outcome("retry", (Reason("transient", error.message),), due_in_s=error.retry_after_s)
    if isinstance(error, AmbiguousWriteError):
        return Outcome("retry", (Reason("in-doubt", f"{error.message}; looking again before anything is sent"),))
    if isinstance(error, IntentOpenError):
        return Outcome("retry", (Reason(WRITE_UNDER_WAY, error.message),))
    if isinstance(error, RejectedError):
        return Outcome("dead", (Reason("rejected", str(error)),))
    return Outcome("dead", (Reason("connector-error", error.message),))


def reconnect_text(error: ReconnectError) -> str:
    """What happened to a sign-in, and the mend."""
    return f"{error.message}; run 'mapper-sync auth login {error.system.lower()}'"
