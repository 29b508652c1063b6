"""One worker: claims an event, lets the flow work on it, records what came of it.

The flow maps errors to fates; what escapes it all the same is caught here, so that one record never stops another
customer's.
"""

from __future__ import annotations

import logging
import threading
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from connectors.clarity_port import ClarityPort
from connectors.errors import ConnectorError
from connectors.freshbooks import FreshBooks
from mapspec import Reason
from sync import inbox, records
from sync.budget import Budget
from sync.errors import IntentOpenError, LaneLostError
from sync.first_run import FirstRun
from sync.found import has_found
from sync.inbox import Event
from sync.log import bound
from sync.lookups import Finder
from sync.outcome import Outcome
from sync.reading import assumed
from sync.recovery import RATE_LIMIT, outcome_of
from sync.settings import Settings
from sync.store import Store

log = logging.getLogger(__name__)

MAX_RETRIES = 12
"""Retries in a row after which a record is set aside; with the back-off below that is about an hour."""

LONGEST_BACKOFF_S = 900.0


class Flow(Protocol):
    """The part of ``sync.flow`` that runs call."""

    def load_mappings(self, folder: Path) -> Any:
        """The approved specs of a folder; raises SpecError for a malformed, unapproved or changed one."""
        ...

    def process(self, event: Event, context: Context) -> Outcome:
        """Bring one event as far as it gets now."""
        ...


@dataclass
class Context:
    """What a flow works with.

    Attributes:
        mappings: What ``load_mappings`` gave.
        clarity: None when Clarity is not configured.
        dry_run: Write nothing to another system; append what would be sent to ``planned``. The store is a scratch
            copy then and may be written.
        planned: Of a dry run: ``{"method", "path", "body"}`` each, and where it applies ``"entity"``, ``"total"``
            (Decimal) and ``"currency"`` for the sums.
        now: Unix seconds.
        budget: Of requests to FreshBooks, shared with other processes.
        rebuilt: Whether the ledger holds what a rebuild found and nobody has claimed yet.
        stop: Set when the run shall end after the write in hand.
    """

    settings: Settings
    store: Store
    mappings: Any
    freshbooks: FreshBooks
    clarity: ClarityPort | None
    dry_run: bool
    run_id: str
    now: Callable[[], float]
    planned: list[dict[str, Any]] = field(default_factory=list)
    budget: Budget | None = None
    stop: threading.Event = field(default_factory=threading.Event)
    finder: Finder = field(init=False)
    first_run: FirstRun = field(init=False)
    rebuilt: bool = field(init=False)

    def __post_init__(self) -> None:
        exact = assumed(self.settings.profile, "A36") == "exact"
        self.finder = Finder(self.freshbooks, self.now, exact_skus=exact)
        self.rebuilt = has_found(self.store)
        self.first_run = FirstRun(self.store, self.settings.caps)

    def hold_off_s(self) -> float:
        """Seconds for which FreshBooks is known to take no requests, so that no event need be begun."""
        return 0.0 if self.budget is None else self.budget.pause_s()

    def renew(self, event: Event) -> None:
        """To be called before every write: prolongs the lease, raises LaneLostError when another worker has it."""
        inbox.renew(self.store, event, now=self.now())


@dataclass(frozen=True)
class Step:
    """What became of one event: the fate, and for "stop" the reason."""

    fate: str
    reason: str


def _plain(reasons: Sequence[Reason]) -> list[dict[str, str]]:
    return [{"id": reason.id, "message": reason.message} for reason in reasons]


class Worker:
    """Works on what is due, one event at a time."""

    def __init__(self, context: Context, flow: Flow) -> None:
        self._context = context
        self._flow = flow
        self._owner = inbox.new_owner()
        self._known_good = False

    def step(self) -> Step | None:
        """Work on the next event that is due; None when nothing is, or while FreshBooks takes no requests.

        The fate "stop" means that no record can succeed; the event is due again as if it had not been touched.
        """
        context = self._context
        if context.hold_off_s() > 0:
            return None
        event = inbox.next_due(context.store, now=context.now(), owner=self._owner)
        if event is None:
            return None
        with bound(run=context.run_id, lane=event.lane_key, record=event.record_key):
            try:
                outcome = self._flow.process(event, context)
            except LaneLostError:
                log.warning("lane lost to another runner", extra={"seq": event.seq})
                return Step("lost", "another runner has taken over")
            except (KeyboardInterrupt, SystemExit):
                inbox.release(context.store, event)
                raise
            except Exception as error:
                return self._escaped(event, error)
            return self._record(
                event,
                outcome.fate,
                _plain(outcome.reasons),
                due_in_s=outcome.due_in_s,
                waits_for=outcome.waits_for,
            )

    def _escaped(self, event: Event, error: Exception) -> Step:
        if isinstance(error, ConnectorError | IntentOpenError):
            outcome = outcome_of(error)
            return self._record(event, outcome.fate, _plain(outcome.reasons), due_in_s=outcome.due_in_s)
        log.error("unexpected error in a flow", exc_info=error, extra={"seq": event.seq})
        last = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{type(error).__name__} at {Path(last.filename).name}:{last.lineno}"
        reasons = [{"id": "unexpected-error", "message": f"unexpected error ({where}); see the log"}]
        return self._record(event, "dead", reasons)

    def _record(
        self,
        event: Event,
        fate: str,
        reasons: list[dict[str, str]],
        *,
        due_in_s: float | None = None,
        waits_for: str | None = None,
    ) -> Step:
        store, now = self._context.store, self._context.now()
        text = "; ".join(reason["message"] for reason in reasons)
        if fate == "stop":
            inbox.release(store, event)
            state: Literal["stopped", "reconnect"] = "reconnect" if reasons[0]["id"] == "reconnect" else "stopped"
            records.set_connection(store, "freshbooks", state, reason=text, now=now)
            self._known_good = False
            log.error("connection stopped", extra={"connection": "freshbooks", "reasons": [r["id"] for r in reasons]})
            return Step(fate, text)
        if fate == "retry" and event.attempts >= MAX_RETRIES and reasons[0]["id"] != RATE_LIMIT:
            reasons = [{"id": "gave-up", "message": f"given up after {event.attempts + 1} tries"}, *reasons]
            fate = "dead"
        states: dict[str, inbox.State] = {
            "done": "done",
            "skipped": "skipped",
            "held": "held",
            "dead": "dead",
            "retry": "pending",
            "waiting": "pending",
        }
        due = None
        if fate in ("retry", "waiting"):
            longest_s, first_s = (LONGEST_BACKOFF_S, 2.0) if fate == "retry" else (3600.0, 60.0)
            back_off_s = min(longest_s, first_s * 2 ** min(event.attempts, 20))
            # At least a moment, so that a flow that says "now" cannot keep a run busy for ever.
            due = now + max(0.1, back_off_s if due_in_s is None else due_in_s)
        kept = inbox.settle(
            store,
            event,
            state=states[fate],
            fate=fate,
            reasons=reasons,
            due=due,
            waits_for=waits_for if fate in ("waiting", "held") else None,
            now=now,
        )
        log.info(
            "event settled" if kept else "lane lost to another runner",
            extra={"seq": event.seq, "fate": fate, "reasons": [reason["id"] for reason in reasons]},
        )
        if fate == "done" and not self._known_good and not self._context.dry_run:
            records.set_connection(store, "freshbooks", "ok", now=now)
            self._known_good = True
        return Step(fate if kept else "lost", text)
