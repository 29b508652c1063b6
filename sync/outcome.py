"""What became of one event, and the exceptions by which the steps of a flow end it early."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mapspec import Reason

Fate = Literal["done", "skipped", "held", "waiting", "retry", "dead", "stop"]


@dataclass(frozen=True)
class Settled:
    """A snapshot that was worked off, and the approved mapping it was worked off by."""

    sha256: str
    spec_fingerprint: str

    def __str__(self) -> str:
        return f"{self.sha256}:{self.spec_fingerprint}"


@dataclass(frozen=True)
class Outcome:
    """The fate of an event.

    Attributes:
        fate: done; skipped on purpose; held for a person; waiting for another record; retry later; dead (set aside
            with its error); stop (no record can succeed).
        reasons: Why; no customer values.
        due_in_s: For retry and waiting: seconds until the next try, None for the usual back-off.
        waits_for: For waiting: record key such as "order:10045".
        settled: For done: what the same snapshot need not be worked on again.
    """

    fate: Fate
    reasons: tuple[Reason, ...] = ()
    due_in_s: float | None = None
    waits_for: str | None = None
    settled: Settled | None = None


class EndedError(Exception):
    """A step has decided the event's outcome."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__("; ".join(reason.message for reason in outcome.reasons))
        self.outcome = outcome


def held(reason: str, message: str, *, waits_for: str | None = None) -> EndedError:
    """A person has to look, unless another record's news settles it (`waits_for`, its key)."""
    return EndedError(Outcome("held", (Reason(reason, message),), waits_for=waits_for))


def dead(reason: str, message: str) -> EndedError:
    """The other system refused, or what is there contradicts us."""
    return EndedError(Outcome("dead", (Reason(reason, message),)))


def later(reason: str, message: str, due_in_s: float) -> EndedError:
    """Try again after so many seconds."""
    return EndedError(Outcome("retry", (Reason(reason, message),), due_in_s=due_in_s))


def waiting(reason: str, message: str, waits_for: str) -> EndedError:
    """Another record comes first."""
    return EndedError(Outcome("waiting", (Reason(reason, message),), waits_for=waits_for))
