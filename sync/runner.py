"""Runs approved specs: ``run`` works until nothing is due and ends, ``serve`` and ``work`` go on until stopped."""

from __future__ import annotations

import logging
import sqlite3
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from sqlalchemy.exc import DBAPIError

from sync import control, inbox
from sync.back.news import poll_books
from sync.backup import copy_rows
from sync.budget import Budget
from sync.connections import open_clarity, open_freshbooks, require_reachable
from sync.errors import NoStoreError, SettingsError, StoreError
from sync.inbox import IngestResult
from sync.jobs import jobs_of, poll
from sync.log import bound
from sync.pool import Pool
from sync.reading import assumed
from sync.settings import Settings
from sync.signin_state import with_sign_in
from sync.spec_safety import mappings_for, open_mappings
from sync.status import ledger_totals, status
from sync.store import Store, open_store
from sync.worker import Context, Flow, Step, Worker

if TYPE_CHECKING:
    from sync.engine.port import Engine

log = logging.getLogger(__name__)

DEFAULT_MAX_WAIT_S = 300.0
_RECOUNT = 50


@dataclass(frozen=True)
class Progress:
    """How far a run is: events worked on so far, and how many of them and still to come."""

    processed: int
    total: int


@dataclass
class RunReport:
    """What a run did and what it left.

    Attributes:
        ingested: From the file.
        polled: From Clarity.
        fates: Outcomes by fate; an event that was retried counts every time.
        totals: Ledger entries this run changed: counts by entity and state, sums by entity and currency. Of a dry
            run: the planned requests.
        planned: Of a dry run: the exact requests, in order.
        status: The store's status at the end.
        left: Events that are still to be retried.
        problems: One-line messages about what went wrong beside the records, e.g. Clarity could not be polled.
        stopped: Why the run ended early; None when it ended because nothing was due.
    """

    run_id: str
    dry_run: bool
    ingested: IngestResult = field(default_factory=IngestResult)
    polled: IngestResult = field(default_factory=IngestResult)
    fates: dict[str, int] = field(default_factory=dict)
    totals: dict[str, Any] = field(default_factory=dict)
    planned: list[dict[str, Any]] = field(default_factory=list)
    status: dict[str, Any] = field(default_factory=dict)
    left: int = 0
    problems: list[str] = field(default_factory=list)
    stopped: str | None = None
    elapsed_s: float = 0.0

    @property
    def exit_code(self) -> int:
        """0 done; 1 ended early, or a system could not be reached; 3 done, with records set aside or waiting."""
        if self.stopped is not None or self.problems or self.left:
            return 1
        return 3 if any(line["kind"] != "skipped" for line in self.status["held"]) else 0

    def as_dict(self) -> dict[str, Any]:
        """For ``--json``; amounts as text, planned bodies as they would be sent."""
        return {
            "run_id": self.run_id,
            "dry_run": self.dry_run,
            "ingested": vars(self.ingested),
            "polled": vars(self.polled),
            "fates": self.fates,
            "totals": self.totals,
            "planned": self.planned,
            "status": self.status,
            "left": self.left,
            "problems": self.problems,
            "stopped": self.stopped,
            "exit_code": self.exit_code,
        }


def run(
    settings: Settings,
    mappings_dir: Path,
    *,
    events: Path | None = None,
    dry_run: bool = False,
    max_wait_s: float = DEFAULT_MAX_WAIT_S,
    on_progress: Callable[[Progress], None] | None = None,
    stop: threading.Event | None = None,
    flow: Flow | None = None,
    now: Callable[[], float] = time.time,
    wait: Callable[[float], object] | None = None,
) -> RunReport:
    """Ingest a file, poll Clarity when it is configured, and work until nothing is due.

    Args:
        events: NDJSON file of webhook bodies; read completely before anything is stored.
        dry_run: Nothing is written to FreshBooks, and the store stays as it is: the work is done on a copy.
            A rotated access token is the one thing that is kept.
        max_wait_s: Longest time in total to sleep for retries and writes in doubt, in seconds.
        on_progress: Called after every event.
        stop: Set it from elsewhere to end the run after the write in hand.
        flow: ``sync.flow`` unless a test brings its own.
        now: Clock, unix seconds.
        wait: Sleeps; wakes early when ``stop`` is set.

    Raises:
        SyncError: A setting, the file, the store or the server is unusable.
        SpecError: The mappings folder is unusable or a spec is not approved.
    """
    stop = stop or threading.Event()
    flow = flow or _flow()
    began, clock = now(), time.monotonic()
    mappings = _mappings(flow, mappings_dir, settings, lasting=False)
    deliveries = inbox.read_events(events, settings.reading) if events is not None else []
    settings = with_sign_in(settings)
    settings.require_freshbooks()
    require_reachable(settings.freshbooks.api_url, "FRESHBOOKS_API_URL")
    report = RunReport(run_id=uuid.uuid4().hex[:8], dry_run=dry_run)
    with ExitStack() as stack, bound(run=report.run_id):
        opened = stack.enter_context(_scratch(settings.store_url) if dry_run else _opened(settings.store_url))
        context = _context(settings, opened, mappings, stack, dry_run=dry_run, run_id=report.run_id, now=now)
        context.stop = stop
        try:
            inbox.release_dead(opened)
            if deliveries:
                report.ingested = inbox.ingest(opened, deliveries, source="file", now=now(), reading=settings.reading)
            if context.clarity is not None and not stop.is_set():
                found = poll(context)
                report.polled, report.problems = found.result, [*report.problems, *found.problems]
            if settings.reading.back and not stop.is_set():
                told = poll_books(context)
                report.polled, report.problems = report.polled + told.result, [*report.problems, *told.problems]
            _drain(context, flow, report, max_wait_s=max_wait_s, on_progress=on_progress, wait=wait or stop.wait)
            report.status = status(opened)
            report.left = inbox.count_to_do(opened)
            report.planned = context.planned
            report.totals = _planned_totals(context.planned) if dry_run else ledger_totals(opened, since=began)
        except DBAPIError as error:
            log.error("the store failed", exc_info=error)
            raise StoreError(f"the store failed during the run: {str(error.orig).strip().splitlines()[0]}") from None
    report.elapsed_s = time.monotonic() - clock
    return report


@contextmanager
def working(
    settings: Settings,
    mappings_dir: Path,
    *,
    dry_run: bool,
    flow: Flow | None = None,
    now: Callable[[], float] = time.time,
) -> Iterator[tuple[Context, Flow]]:
    """What a command works with that brings events of its own: as ``run`` opens it, and closed with the block.

    Raises:
        SyncError, SpecError: As ``run``.
    """
    flow = flow or _flow()
    both_ways = bool(settings.reading.back)  # whatever is due is worked on, callbacks too
    mappings = _mappings(flow, mappings_dir, settings, lasting=False) if both_ways else flow.load_mappings(mappings_dir)
    settings.require_freshbooks()
    require_reachable(settings.freshbooks.api_url, "FRESHBOOKS_API_URL")
    run_id = uuid.uuid4().hex[:8]
    with ExitStack() as stack, bound(run=run_id):
        opened = stack.enter_context(_scratch(settings.store_url) if dry_run else _opened(settings.store_url))
        inbox.release_dead(opened)
        try:
            yield _context(settings, opened, mappings, stack, dry_run=dry_run, run_id=run_id, now=now), flow
        except DBAPIError as error:
            log.error("the store failed", exc_info=error)
            raise StoreError(f"the store failed during the run: {str(error.orig).strip().splitlines()[0]}") from None


def drain(
    context: Context, flow: Flow, *, max_wait_s: float, wait: Callable[[float], object] | None = None
) -> RunReport:
    """Work until nothing is due; of the report the fates, what is left, and why it stopped."""
    report = RunReport(run_id=context.run_id, dry_run=context.dry_run)
    _drain(context, flow, report, max_wait_s=max_wait_s, on_progress=None, wait=wait or context.stop.wait)
    report.left = inbox.count_to_do(context.store)
    return report


def serve(
    settings: Settings,
    mappings_dir: Path,
    *,
    port: int,
    host: str = "127.0.0.1",
    admin_port: int | None = None,
    on_ready: Callable[[str], None] | None = None,
    on_admin: Callable[[str], None] | None = None,
    stop: threading.Event | None = None,
    flow: Flow | None = None,
    now: Callable[[], float] = time.time,
) -> None:
    """Take webhooks, work and poll until ``stop`` is set; then finish the writes in hand and end.

    Args:
        port: 0 takes a free one.
        admin_port: Of the admin API, on loopback; None for none.
        on_ready: Called with the base URL once connections are taken.
        on_admin: Called before that with the admin API's.

    Raises:
        SyncError, SpecError: As ``run``; the port is taken; the engine cannot be started.
    """
    from sync.admin import admin_tokens
    from sync.admin_server import admin_api
    from sync.callbacks import CallbackDesk, clarity_secrets, keep_confirming
    from sync.ingress import create_app, webhook_scheme
    from sync.serving import GRACE_S, Server, listen
    from sync.webhook_secrets import WebhookSecrets

    tokens = {} if admin_port is None else admin_tokens(settings.admin_token)
    stop = stop or threading.Event()
    flow = flow or _flow()
    mappings = _mappings(flow, mappings_dir, settings, lasting=True)
    settings = with_sign_in(settings)
    settings.require_freshbooks()
    with ExitStack() as stack:
        listener = listen(host, port)
        stack.callback(listener.close)
        context = _lasting_context(settings, mappings, stack, now=now)
        opened = context.store
        secrets = WebhookSecrets(opened, key=settings.token_key, key_source=settings.sign_in.token_key, now=now)
        offered = threading.Event()
        engine = stack.enter_context(_engine(context, flow, role="serve"))
        if admin_port is not None:
            listener_admin = listen("127.0.0.1", admin_port)
            stack.callback(listener_admin.close)
            url = stack.enter_context(admin_api(opened, tokens, listener_admin, now=now, on_replay=engine.wake))
            if on_admin is not None:
                on_admin(url)
        app = create_app(
            opened,
            clarity_secrets=clarity_secrets(settings, secrets, now=now),
            callbacks=CallbackDesk(opened, secrets, on_offer=offered.set, handled=settings.reading.back),
            now=now,
            on_new=engine.wake,
            ready=lambda: engine.healthy and not stop.is_set(),
            scheme=webhook_scheme(settings),
            reading=settings.reading,
            watch=context.watch,
            traffic=context.traffic,
        )
        server = Server(app)

        def end() -> None:
            stop.wait()
            engine.stop(settings.runner.shutdown_s)
            offered.set()
            server.should_exit = True

        confirm = partial(keep_confirming, secrets, context.freshbooks.callbacks, offered=offered, stop=context.stop)
        confirming = threading.Thread(target=confirm, name="callbacks", daemon=True)
        ending = threading.Thread(target=end, name="stop", daemon=True)
        confirming.start()
        ending.start()
        try:
            if on_ready is not None:
                on_ready(f"http://{host}:{listener.getsockname()[1]}")
            server.run(sockets=[listener])
        finally:
            stop.set()
            ending.join()
            confirming.join(GRACE_S)


def work(
    settings: Settings,
    mappings_dir: Path,
    *,
    on_ready: Callable[[], None] | None = None,
    stop: threading.Event | None = None,
    flow: Flow | None = None,
    now: Callable[[], float] = time.time,
) -> None:
    """``serve`` without webhooks: a further process on the same store, on this machine or another.

    Args:
        on_ready: Called once the workers are at work.

    Raises:
        SyncError, SpecError: As ``serve``; ``[runner] workers`` is 0.
    """
    stop = stop or threading.Event()
    flow = flow or _flow()
    if not settings.runner.workers:
        raise SettingsError("[runner] workers is 0: 'mapper-sync work' needs 1 at least")
    mappings = _mappings(flow, mappings_dir, settings, lasting=True)
    settings = with_sign_in(settings)
    settings.require_freshbooks()
    with ExitStack() as stack:
        context = _lasting_context(settings, mappings, stack, now=now)
        stack.enter_context(_engine(context, flow, role="work"))
        if on_ready is not None:
            on_ready()
        # In a thread of its own: the signal that sets it may arrive while whoever waits for it holds its lock.
        waiting = threading.Thread(target=stop.wait, daemon=True)
        waiting.start()
        waiting.join()


def _lasting_context(settings: Settings, mappings: Any, stack: ExitStack, *, now: Callable[[], float]) -> Context:
    from connectors.watching import watched_by
    from sync.metrics import Metrics
    from sync.traces import open_traces
    from sync.watch import Watch

    opened = stack.enter_context(_opened(settings.store_url))
    context = _context(settings, opened, mappings, stack, dry_run=False, run_id=uuid.uuid4().hex[:8], now=now)
    traces = open_traces()
    if traces is not None:
        stack.callback(traces.close)
    context.watch = Watch(Metrics(opened, now=now), traces)
    stack.enter_context(watched_by(context.watch.request))
    return context


@contextmanager
def _engine(context: Context, flow: Flow, *, role: str) -> Iterator[Engine]:
    from sync.engine.choose import make_engine

    engine = make_engine(context.settings.runner, context, lambda: Worker(context, flow), role=role)
    for job in jobs_of(context):
        engine.schedule(job)
    engine.start()
    try:
        yield engine
    finally:
        engine.stop(context.settings.runner.shutdown_s)


def _flow() -> Flow:
    from sync import flow

    return cast(Flow, flow)


def _mappings(flow: Flow, folder: Path, settings: Settings, *, lasting: bool) -> Any:
    """Our own flow's mappings follow their folder; a flow that was brought along has its own."""
    from sync import flow as own

    if flow is not cast(Flow, own):
        return flow.load_mappings(folder)
    found = mappings_for(settings, folder, lasting=lasting, load=flow.load_mappings)
    if settings.reading.back:
        from sync.back.guard import require_usable

        require_usable(found, settings)
    return found


@contextmanager
def _opened(url: str, *, read_only: bool = False) -> Iterator[Store]:
    store = open_store(url, read_only=read_only)
    try:
        yield store
    finally:
        store.close()


@contextmanager
def _scratch(url: str) -> Iterator[Store]:
    """A copy of the store in a private folder that is removed at the end; empty when there is no store yet."""
    with tempfile.TemporaryDirectory(prefix="mapper-dry-run-") as folder:
        target = Path(folder) / "scratch.db"
        with ExitStack() as stack:
            try:
                original = stack.enter_context(_opened(url, read_only=True))
            except NoStoreError:
                original = None
            if original is not None and original.path is not None:
                uri = f"{original.path.absolute().as_uri()}?mode=ro"
                with closing(sqlite3.connect(uri, uri=True)) as origin, closing(sqlite3.connect(target)) as copy:
                    origin.backup(copy)
            scratch = stack.enter_context(_opened(f"sqlite:///{target}"))
            if original is not None and not original.is_sqlite:
                with original.read() as source, scratch.write() as copy_of_all:
                    copy_rows(source, copy_of_all)
            yield scratch


def _context(
    settings: Settings,
    store: Store,
    mappings: Any,
    stack: ExitStack,
    *,
    dry_run: bool,
    run_id: str,
    now: Callable[[], float],
) -> Context:
    def token_store() -> Store:
        # Even a dry run must keep a rotated token: the one before it is worth nothing any more.
        return stack.enter_context(_opened(settings.store_url)) if dry_run else store

    open_mappings(mappings, settings, store)
    budget = Budget(store, "freshbooks", settings.budget.freshbooks_per_minute)
    freshbooks = open_freshbooks(settings, token_store, pace=budget)
    stack.callback(freshbooks.close)
    limit = settings.profile.settings.get("A10")
    per_minute = assumed(settings.profile, "A10") if limit is None else limit.value  # null: no limit
    clarity = open_clarity(settings, pace=Budget(store, "clarity", per_minute))
    if clarity is not None:
        stack.callback(clarity.close)
    context = Context(settings, store, mappings, freshbooks, clarity, dry_run, run_id, now, budget=budget)
    stack.callback(context.close)
    return context


def _drain(
    context: Context,
    flow: Flow,
    report: RunReport,
    *,
    max_wait_s: float,
    on_progress: Callable[[Progress], None] | None,
    wait: Callable[[float], object],
) -> None:
    # A dry run shows its requests in the order of the events.
    pool = Pool(context, flow, 1 if context.dry_run else max(1, context.settings.runner.workers))
    progress = _Counting(context.store, on_progress)
    waited = 0.0
    while not context.stop.is_set():
        drained = pool.drain(on_step=progress.count if on_progress is not None else None)
        for fate, number in drained.fates.items():
            report.fates[fate] = report.fates.get(fate, 0) + number
        if drained.stopped is not None:
            report.stopped = drained.stopped
            return
        halt = None if context.dry_run else control.paused(context.store)
        if halt is not None:
            report.stopped = halt.text
            return
        if context.stop.is_set():
            break
        due = inbox.next_due_at(context.store, now=context.now(), waiting=False)
        if due is None:
            return
        pause = max(0.05, due - context.now(), context.hold_off_s())
        if waited + pause > max_wait_s:
            log.warning("run ended before everything was settled", extra={"max_wait_s": max_wait_s})
            return
        wait(pause)
        waited += pause
        inbox.release_dead(context.store)
    report.stopped = "stopped by request"


class _Counting:
    """Tells how far a run is after every event; how many are still to come is counted now and then."""

    def __init__(self, store: Store, tell: Callable[[Progress], None] | None) -> None:
        self._store = store
        self._tell = tell
        self._processed = self._expected = 0

    def count(self, _step: Step) -> None:
        """One more event has an outcome."""
        self._processed += 1
        if self._processed % _RECOUNT == 1 or self._processed > self._expected:
            self._expected = self._processed + inbox.count_to_do(self._store)
        if self._tell is not None:
            self._tell(Progress(self._processed, self._expected))


def _planned_totals(planned: list[dict[str, Any]]) -> dict[str, Any]:
    counts: dict[str, dict[str, int]] = {}
    sums: dict[str, dict[str, Decimal]] = {}
    for request in planned:
        entity = str(request.get("entity") or "request")
        of_entity = counts.setdefault(entity, {})
        of_entity["planned"] = of_entity.get("planned", 0) + 1
        total, currency = request.get("total"), request.get("currency")
        if total is not None and currency:
            amounts = sums.setdefault(entity, {})
            amounts[currency] = amounts.get(currency, Decimal(0)) + Decimal(total)
    shown = {entity: {code: f"{amount:f}" for code, amount in amounts.items()} for entity, amounts in sums.items()}
    return {"counts": counts, "sums": shown}
