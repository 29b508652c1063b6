"""Runs approved specs: ``run`` works until nothing is due and ends, ``serve`` goes on until it is stopped."""

from __future__ import annotations

import logging
import socket
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
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from sync import inbox, records
from sync.budget import Budget
from sync.connections import open_clarity, open_freshbooks, require_reachable
from sync.errors import NoStoreError, StoreError, SyncError
from sync.inbox import IngestResult
from sync.jobs import Job, jobs_of, poll
from sync.log import bound
from sync.reading import assumed
from sync.settings import Settings
from sync.signin_state import with_sign_in
from sync.status import ledger_totals, status
from sync.store import Store, metadata, open_store
from sync.worker import Context, Flow, Worker

log = logging.getLogger(__name__)

DEFAULT_MAX_WAIT_S = 300.0
_IDLE_S = 1.0
_RECOUNT = 50
_STOPPED_PAUSE_S = 60.0


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
    mappings = flow.load_mappings(mappings_dir)
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
    mappings = flow.load_mappings(mappings_dir)
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
    on_ready: Callable[[str], None] | None = None,
    stop: threading.Event | None = None,
    flow: Flow | None = None,
    now: Callable[[], float] = time.time,
) -> None:
    """Take webhooks, work and poll until stopped by a signal or ``stop``; then finish the write in hand and end.

    Args:
        port: 0 takes a free one.
        on_ready: Called with the base URL once connections are taken.

    Raises:
        SyncError, SpecError: As ``run``; the port is taken.
    """
    import uvicorn

    from sync.callbacks import CallbackDesk, clarity_secrets, keep_confirming
    from sync.ingress import create_app, webhook_scheme
    from sync.webhook_secrets import WebhookSecrets

    stop = stop or threading.Event()
    flow = flow or _flow()
    mappings = flow.load_mappings(mappings_dir)
    settings = with_sign_in(settings)
    settings.require_freshbooks()
    with ExitStack() as stack:
        listener = _listen(host, port)
        stack.callback(listener.close)
        opened = stack.enter_context(_opened(settings.store_url))
        run_id = uuid.uuid4().hex[:8]
        context = _context(settings, opened, mappings, stack, dry_run=False, run_id=run_id, now=now)
        context.stop = stop
        something_new = threading.Event()
        threads = [threading.Thread(target=_work, args=(context, flow, something_new), name="worker", daemon=True)]
        threads += [
            threading.Thread(target=_repeat, args=(job, context, something_new), name=job.name, daemon=True)
            for job in jobs_of(context)
        ]
        secrets = WebhookSecrets(opened, key=settings.token_key, key_source=settings.sign_in.token_key, now=now)
        offered = threading.Event()
        confirming = partial(keep_confirming, secrets, context.freshbooks.callbacks, offered=offered, stop=stop)
        threads.append(threading.Thread(target=confirming, name="callbacks", daemon=True))
        app = create_app(
            opened,
            clarity_secrets=clarity_secrets(settings, secrets, now=now),
            callbacks=CallbackDesk(opened, secrets, on_offer=offered.set),
            now=now,
            on_new=something_new.set,
            ready=threads[0].is_alive,
            scheme=webhook_scheme(settings),
            reading=settings.reading,
        )
        config = uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=10)
        server = uvicorn.Server(config)
        threads.append(threading.Thread(target=_end_with, args=(stop, server), name="stop", daemon=True))
        for thread in threads:
            thread.start()
        try:
            if on_ready is not None:
                on_ready(f"http://{host}:{listener.getsockname()[1]}")
            server.run(sockets=[listener])
        finally:
            stop.set()
            something_new.set()
            offered.set()
            for thread in threads:
                thread.join(timeout=settings.http_timeout_s * 2 + 5)


def _flow() -> Flow:
    from sync import flow

    return cast(Flow, flow)


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
                _copy_rows(original, scratch)
            yield scratch


def _copy_rows(original: Store, scratch: Store) -> None:
    with original.read() as source, scratch.write() as target:
        there = set(sa.inspect(source).get_table_names())  # one that is only read may lack the newest tables
        for table in metadata.sorted_tables:
            if table.name == "schema_version" or table.name not in there:
                continue
            rows = source.execution_options(yield_per=1000).execute(sa.select(table))
            for part in rows.mappings().partitions():
                target.execute(sa.insert(table), [dict(row) for row in part])


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

    budget = Budget(store, "freshbooks", settings.budget.freshbooks_per_minute)
    freshbooks = open_freshbooks(settings, token_store, pace=budget)
    stack.callback(freshbooks.close)
    clarity = open_clarity(settings, pace=Budget(store, "clarity", assumed(settings.profile, "A10")))
    if clarity is not None:
        stack.callback(clarity.close)
    return Context(settings, store, mappings, freshbooks, clarity, dry_run, run_id, now, budget=budget)


def _drain(
    context: Context,
    flow: Flow,
    report: RunReport,
    *,
    max_wait_s: float,
    on_progress: Callable[[Progress], None] | None,
    wait: Callable[[float], object],
) -> None:
    worker = Worker(context, flow)
    processed, expected, waited = 0, 0, 0.0
    while not context.stop.is_set():
        step = worker.step()
        if step is not None:
            processed += 1
            report.fates[step.fate] = report.fates.get(step.fate, 0) + 1
            if step.fate == "stop":
                report.stopped = step.reason
                return
            if on_progress is not None:
                if processed % _RECOUNT == 1 or processed > expected:
                    expected = processed + inbox.count_to_do(context.store)
                on_progress(Progress(processed, expected))
            continue
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


def _work(context: Context, flow: Flow, something_new: threading.Event) -> None:
    """The worker thread of ``serve``: never ends by itself; a failing store is tried again."""
    worker = Worker(context, flow)
    with bound(run=context.run_id):
        while not context.stop.is_set():
            try:
                inbox.release_dead(context.store)
                step = worker.step()
                while step is not None and step.fate != "stop" and not context.stop.is_set():
                    step = worker.step()
            except DBAPIError as error:
                log.error("the store failed; trying again", exc_info=error)
                context.stop.wait(_IDLE_S)
                continue
            if step is not None and step.fate == "stop":
                # Ingress goes on; somebody may reconnect meanwhile.
                _wait_for_login(context)
                continue
            something_new.wait(_IDLE_S)
            something_new.clear()


def _wait_for_login(context: Context) -> None:
    """Pause; a sign-in meanwhile, from whatever process, ends the pause."""
    until = time.monotonic() + _STOPPED_PAUSE_S
    while time.monotonic() < until and not context.stop.wait(_IDLE_S):
        try:
            known = records.connections(context.store).get("freshbooks")
        except DBAPIError:
            continue
        if known is not None and known.state == "ok":
            return


def _repeat(job: Job, context: Context, something_new: threading.Event) -> None:
    """A job's thread of ``serve``: at once, and then again and again."""
    with bound(run=context.run_id):
        while not context.stop.is_set():
            try:
                if job.run(context):
                    something_new.set()
            except Exception as error:  # a job that fails now is tried again at its next time
                log.error("job failed", exc_info=error, extra={"job": job.name})
            context.stop.wait(job.every_s)


def _end_with(stop: threading.Event, server: Any) -> None:
    stop.wait()
    server.should_exit = True


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.create_server((host, port), family=family, backlog=2048)
        # asyncio leaves Nagle's algorithm on for a socket it did not open: every answer would wait 40 ms for an ACK.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listener
    except (OSError, OverflowError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise SyncError(f"cannot listen on {host}:{port} ({why.lower()}); choose another --port or --host") from None
