"""One worker: claims an event, lets the flow work on it, records what came of it.

Whoever wakes lanes calls ``Worker.drain``: once too often is harmless, from any number of threads, processes and
machines at a time. ``sync.lanes`` says what there is to wake (``claimable``) and when there will be (``next_due_at``).

The flow maps errors to fates; what escapes it all the same is caught here, so that one record never stops another
customer's.
"""

from __future__ import annotations

import logging
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, Protocol

from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError, OperationalError

from connectors.clarity_port import ClarityPort
from connectors.errors import ConnectorError
from connectors.freshbooks import FreshBooks
from mapspec import Reason
from sync import control, inbox, records, skips
from sync.aliases import Aliases
from sync.budget import Budget
from sync.control import PausedError
from sync.drift import DriftWatch
from sync.errors import IntentOpenError, LaneLostError
from sync.first_run import FirstRun
from sync.found import has_found
from sync.lanes import Event, State, claim_in, settle_in
from sync.leases import Leases
from sync.log import bound
from sync.lookups import Finder
from sync.outcome import EndedError, Outcome
from sync.reading import assumed
from sync.recovery import RATE_LIMIT, WRITE_UNDER_WAY, outcome_of
from sync.settings import Settings
from sync.store import Store
from sync.traffic import Traffic
from sync.watch import ToldEvent, Watch

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
        saved_specs: Fingerprints of the specs that this process knows to be in the store.
        traffic: Webhooks that arrive at this process; workers give way to them.
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
    saved_specs: set[str] = field(default_factory=set)
    watch: Watch = field(default_factory=Watch)
    traffic: Traffic = field(default_factory=Traffic)
    aliases: Aliases = field(init=False)
    finder: Finder = field(init=False)
    drift: DriftWatch = field(init=False)
    leases: Leases = field(init=False)
    first_run: FirstRun = field(init=False)
    rebuilt: bool = field(init=False)
    exact_skus: bool = field(init=False)

    def __post_init__(self) -> None:
        exact = self.exact_skus = assumed(self.settings.profile, "A36") == "exact"
        self.aliases = Aliases(self.store)
        self.finder = Finder(self.freshbooks, self.now, exact_skus=exact, alias=self.aliases.sku)
        self.drift = DriftWatch(self.store, self.settings.profile, now=self.now)
        wanted = self.settings.runner
        self.leases = Leases(self.store, self.now, lease_s=wanted.lease_s, fresh_s=self.settings.settle_s)
        self.rebuilt = has_found(self.store)
        self.first_run = FirstRun(self.store, self.settings.caps)

    def hold_off_s(self) -> float:
        """Seconds for which FreshBooks is known to take no requests, so that no event need be begun."""
        return 0.0 if self.budget is None else self.budget.pause_s()

    @property
    def paused(self) -> bool:
        """Whether somebody has paused the runner; a dry run writes nothing and goes on."""
        return not self.dry_run and control.paused(self.store) is not None

    def may_write(self) -> None:
        """To be called before a write that needs no intent: raises PausedError while somebody has paused the runner."""
        if not self.dry_run:
            control.require_going(self.store)

    def going(self, conn: Connection) -> PausedError | None:
        """Asked by the transaction that commits a claim or the intent of a write: the pause that forbids it."""
        return None if self.dry_run else control.paused_in(conn)

    @property
    def fingerprints(self) -> dict[str, str]:
        """The approved spec in force by source entity."""
        by_entity = getattr(self.mappings, "by_entity", {})
        return {entity: approved.fingerprint for entity, approved in by_entity.items()}

    def close(self) -> None:
        """End what runs beside the workers, and keep what they counted."""
        self.leases.close()
        self.drift.flush()


@dataclass(frozen=True)
class Step:
    """What became of one event: the fate, and for "stop" the reason."""

    fate: str
    reason: str


@dataclass
class Drained:
    """What a call of ``drain`` did.

    Attributes:
        fates: Outcomes by fate. "lost": another worker had taken the lane over, which settles the event.
        stopped: Why no record can succeed at present, e.g. nobody is signed in; None when that is not so.
    """

    fates: dict[str, int] = field(default_factory=dict)
    stopped: str | None = None

    @property
    def events(self) -> int:
        """How many outcomes there were."""
        return sum(self.fates.values())

    def add(self, step: Step) -> None:
        """Count one more."""
        self.fates[step.fate] = self.fates.get(step.fate, 0) + 1
        if step.fate == "stop":
            self.stopped = step.reason


def _plain(reasons: Sequence[Reason]) -> list[dict[str, str]]:
    return [{"id": reason.id, "message": reason.message} for reason in reasons]


class Worker:
    """Works on what is due, one event at a time; for one thread."""

    def __init__(self, context: Context, flow: Flow) -> None:
        self._context = context
        self._flow = flow
        self._owner = inbox.new_owner()
        self._known_good = False

    def drain(
        self, lane_key: str | None = None, *, most: int | None = None, on_step: Callable[[Step], None] | None = None
    ) -> Drained:
        """Work on what is due now, until nothing is, or somebody pauses the runner.

        Every event is worked on by one worker at a time and in the order of its lane, whoever else drains the same
        lane; it has a committed outcome when the next one is begun, and what is not settled when the process dies is
        due again after the lease, on the same machine at once (``sync.lanes.release_dead``). So a call that comes too
        often, too early or twice at a time does nothing wrong, and one that never comes is made good by any later one.

        Args:
            lane_key: Of this lane only; None takes any lane, the one that is due the longest first.
            most: Come back after so many events, so that one lane does not keep a worker from the others.
            on_step: Called after every event.
        """
        drained = Drained()
        event = self._claim(lane_key)
        while event is not None:
            self._context.traffic.give_way(self._context.stop)
            step, event = self._work_on(event, follow=drained.events + 1 != most, lane_key=lane_key)
            if step is None:
                break
            drained.add(step)
            if on_step is not None:
                on_step(step)
        return drained

    def step(self) -> Step | None:
        """Work on the next event that is due; None when nothing is, while FreshBooks takes no requests, and while the
        runner is paused.

        The fate "stop" means that no record can succeed; the event is due again as if it had not been touched.
        """
        event = self._claim(None)
        return None if event is None else self._work_on(event, follow=False)[0]

    def _claim(self, lane_key: str | None) -> Event | None:
        context = self._context
        if context.paused or context.hold_off_s() > 0:
            return None
        return inbox.next_due(
            context.store,
            now=context.now(),
            owner=self._owner,
            lease_s=context.leases.seconds,
            lane_key=lane_key,
        )

    def _work_on(self, event: Event, *, follow: bool, lane_key: str | None = None) -> tuple[Step | None, Event | None]:
        """The event's outcome, None when a pause gave it back; and the next event, claimed by the same commit."""
        context = self._context
        ids = bound(run=context.run_id, lane=event.lane_key, record=event.record_key)
        with ids, context.leases.held(event), context.watch.event(event) as told:
            try:
                outcome = skips.outcome(context.store, event.record_key) or self._flow.process(event, context)
            except PausedError:
                self._give_back(event)
                log.warning("paused before a write", extra={"seq": event.seq})
                return None, None
            except LaneLostError:
                self._tell(event)
                log.warning("lane lost to another runner", extra={"seq": event.seq})
                return Step("lost", "another runner has taken over"), None
            except (KeyboardInterrupt, SystemExit):
                self._give_back(event)
                raise
            except Exception as error:
                outcome = self._escaped(event, error)
            return self._record(event, outcome, told, follow=follow, lane_key=lane_key)

    def _escaped(self, event: Event, error: Exception) -> Outcome:
        if isinstance(error, ConnectorError | IntentOpenError):
            return outcome_of(error)
        if isinstance(error, DBAPIError) and (error.connection_invalidated or isinstance(error, OperationalError)):
            # A server that was restarted, a disk that was full: that says nothing about the record.
            log.error("the store failed in the middle of an event", exc_info=error, extra={"seq": event.seq})
            message = "the store failed while this record was worked on; it is looked up what was sent"
            return Outcome("retry", (Reason("store-failed", message),))
        log.error("unexpected error in a flow", exc_info=error, extra={"seq": event.seq})
        last = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{type(error).__name__} at {Path(last.filename).name}:{last.lineno}"
        return Outcome("dead", (Reason("unexpected-error", f"unexpected error ({where}); see the log"),))

    def _record(
        self, event: Event, outcome: Outcome, told: ToldEvent, *, follow: bool, lane_key: str | None
    ) -> tuple[Step, Event | None]:
        context, fate = self._context, str(outcome.fate)
        store, now, reasons = context.store, context.now(), _plain(outcome.reasons)
        text = "; ".join(reason["message"] for reason in reasons)
        if fate == "stop":
            told(fate, reasons[0]["id"])
            self._give_back(event)
            state: Literal["stopped", "reconnect"] = "reconnect" if reasons[0]["id"] == "reconnect" else "stopped"
            records.set_connection(store, "freshbooks", state, reason=text, now=now)
            self._known_good = False
            log.error("connection stopped", extra={"connection": "freshbooks", "reasons": [r["id"] for r in reasons]})
            return Step(fate, text), None
        if fate == "retry" and event.attempts >= MAX_RETRIES and reasons[0]["id"] != RATE_LIMIT:
            reasons = [{"id": "gave-up", "message": f"given up after {event.attempts + 1} tries"}, *reasons]
            fate = "dead"
        due = self._due(event, outcome, fate, now)
        follow = follow and not (context.stop.is_set() or context.hold_off_s() > 0)

        def settled(conn: Connection) -> tuple[bool, Event | None]:
            kept = settle_in(
                conn,
                event,
                state=_STATES[fate],
                fate=fate,
                reasons=reasons,
                due=due,
                waits_for=outcome.waits_for if fate in ("waiting", "held") else None,
                settled=outcome.settled if fate == "done" else None,
                now=now,
            )
            if not follow or context.going(conn) is not None:
                return kept, None
            return kept, claim_in(conn, now=now, owner=self._owner, lease_s=context.leases.seconds, lane_key=lane_key)

        try:
            kept, following = event.carried.commit(store, settled)
        except (EndedError, IntentOpenError) as error:  # a write's end that could not be told decides the outcome
            outcome = error.outcome if isinstance(error, EndedError) else outcome_of(error)
            return self._record(event, outcome, told, follow=follow, lane_key=lane_key)
        told(fate, reasons[0]["id"] if reasons else "")
        log.info(
            "event settled" if kept else "lane lost to another runner",
            extra={"seq": event.seq, "fate": fate, "reasons": [reason["id"] for reason in reasons]},
        )
        if fate == "done" and not self._known_good and not context.dry_run:
            records.set_connection(store, "freshbooks", "ok", now=now)
            self._known_good = True
        return Step(fate if kept else "lost", text), following

    def _tell(self, event: Event) -> None:
        """Tell the ends of this event's writes, where no outcome takes them along."""
        try:
            event.carried.flush(self._context.store)
        except (EndedError, IntentOpenError) as error:  # whoever works on the record next finds it so
            log.error("a write's end was not as expected", extra={"seq": event.seq, "why": str(error)})

    def _give_back(self, event: Event) -> None:
        self._tell(event)
        inbox.release(self._context.store, event)

    def _due(self, event: Event, outcome: Outcome, fate: str, now: float) -> float | None:
        if fate not in ("retry", "waiting"):
            return None
        longest_s, first_s = (LONGEST_BACKOFF_S, 2.0) if fate == "retry" else (3600.0, 60.0)
        if any(reason.id == WRITE_UNDER_WAY for reason in outcome.reasons):
            first_s = 0.1  # another worker is about to finish
        back_off_s = min(longest_s, first_s * 2 ** min(event.attempts, 20))
        # At least a moment, so that a flow that says "now" cannot keep a run busy for ever.
        return now + max(0.1, back_off_s if outcome.due_in_s is None else outcome.due_in_s)


_STATES: Final[Mapping[str, State]] = {
    "done": "done",
    "skipped": "skipped",
    "held": "held",
    "dead": "dead",
    "retry": "pending",
    "waiting": "pending",
}
