"""Bringing the past in: pages of the source's records, from a given day on, through the same inbox as everything else.

What was read is committed before the cursor moves, so a killed backfill goes on where it was. Records that are
settled already are recognised by their version, a page at a time and without any request to FreshBooks. A page is
worked off before the next one is read: neither memory nor the inbox's backlog grows with the past.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from datetime import time as time_of_day
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa

from connectors.clarity_port import DigestPort
from connectors.errors import AuthError, ConnectorError, RateLimitedError, RejectedError, TransientError
from sync import inbox, runner
from sync.adoption import BACKFILL
from sync.backfill_pages import Book, day_of, open_book, settled
from sync.backfill_report import BackfillProgress, BackfillReport
from sync.digests import keep_hashes
from sync.errors import SettingsError
from sync.first_run import reached
from sync.inbox import ingest
from sync.poll import envelope_of
from sync.settings import Settings
from sync.signin_state import with_sign_in
from sync.store import Store
from sync.store import cursor as cursor_table
from sync.worker import Context, Flow, Worker

log = logging.getLogger(__name__)

ENTITIES: Final = ("customer", "order", "payment", "product")
USUAL: Final = ("customer", "order", "payment")
TRIES: Final = 6
"""In a row, when the source fails; with the back-off below that is about two minutes."""


@dataclass(frozen=True)
class Span:
    """The days asked for, as records write their dates; `until` is None for today and later."""

    first: date
    until: date | None = None

    def holds(self, day: str | None) -> bool:
        """Whether a record of this day belongs; one without a day always does."""
        return day is None or (self.first.isoformat() <= day and (self.until is None or day <= self.until.isoformat()))

    def since(self) -> datetime:
        """Nothing of the span changed before: its first midnight anywhere on earth."""
        return datetime.combine(self.first, time_of_day(), UTC) - timedelta(hours=14)


def backfill(
    settings: Settings,
    mappings_dir: Path,
    *,
    span: Span,
    entities: Sequence[str] = USUAL,
    dry_run: bool = False,
    restart: bool = False,
    max_wait_s: float = runner.DEFAULT_MAX_WAIT_S,
    on_progress: Callable[[BackfillProgress], None] | None = None,
    stop: threading.Event | None = None,
    flow: Flow | None = None,
    now: Callable[[], float] = time.time,
    wait: Callable[[float], object] | None = None,
) -> BackfillReport:
    """Read the past, work it off, and tell what came of it.

    Args:
        span: Days of orders and payments by their own date; customers and products by their last change.
        entities: Some of `ENTITIES`; read in the order in which they need each other.
        dry_run: On a copy of the store and without caps; what would be sent is counted, not kept.
        restart: From the beginning, also when an earlier backfill of this span was interrupted.
        max_wait_s: Longest time in total to sleep for retries at the end, in seconds.
        wait: Sleeps; wakes early when `stop` is set.

    Raises:
        SyncError, SpecError: As `runner.run`; Clarity is not configured.
    """
    stop = stop or threading.Event()
    clock = time.monotonic()
    with runner.working(with_sign_in(settings), mappings_dir, dry_run=dry_run, flow=flow, now=now) as (context, used):
        if context.clarity is None:
            raise SettingsError("CLARITY_API_URL is not set: a backfill reads from Clarity")
        context.stop = stop
        report = BackfillReport(context.run_id, dry_run, began=now())
        reader = _Reader(context, used, report, span, restart or dry_run, on_progress, wait or stop.wait)
        for entity in sorted(entities, key=ENTITIES.index):
            if not (stop.is_set() or report.stopped or report.problems):
                reader.read(entity)
        if not (stop.is_set() or report.stopped):
            reader.finish(max_wait_s)
        if stop.is_set() and report.stopped is None:
            report.stopped = "stopped by request; the same command goes on from here"
        report.close(context.store, elapsed_s=time.monotonic() - clock)
    return report


class _Reader:
    """One backfill at work."""

    def __init__(
        self,
        context: Context,
        flow: Flow,
        report: BackfillReport,
        span: Span,
        afresh: bool,
        on_progress: Callable[[BackfillProgress], None] | None,
        wait: Callable[[float], object],
    ) -> None:
        self._context, self._flow, self._report = context, flow, report
        self._span, self._afresh = span, afresh
        self._on_progress, self._wait = on_progress, wait
        self._worker = Worker(context, flow)
        self._began = time.monotonic()

    def read(self, entity: str) -> None:
        """Everything of one entity, from where an earlier backfill of this span was interrupted."""
        store, counts = self._context.store, self._report.of(entity)
        stream = f"backfill:{entity}:{self._span.first}:{self._span.until or ''}"
        place = Place() if self._afresh else load_place(store, stream)
        if place.done:
            place = Place()
        counts.resumed_at = place.read
        book = open_book(self._context.clarity)
        total: int | None = None
        tries = 0
        while not self._context.stop.is_set():
            try:
                if total is None and (left := book.count(entity, self._span.since())) is not None:
                    total = left
                for rows, position in book.pages(entity, self._span.since(), place.position):
                    self._page(entity, book, rows)
                    place = Place(position or place.position, place.read + len(rows))
                    self._save(stream, place)
                    tries = 0
                    self._work_off()
                    self._tell(entity, place.read, total)
                    if self._is_full() or self._context.stop.is_set():
                        return
                self._save(stream, Place(done=True))
                return
            except RejectedError as error:
                if error.status == 404 and entity in ("payment", "product"):
                    log.info("this store has no such list", extra={"entity": entity})
                else:
                    self._report.problems.append(f"Clarity, {entity} list: {error}")
                return
            except AuthError as error:
                self._report.problems.append(f"Clarity: {error.message}")
                return
            except TransientError as error:
                tries += 0 if isinstance(error, RateLimitedError) else 1
                if tries >= TRIES:
                    self._report.problems.append(f"Clarity, {entity} list: {error.message}; the same command goes on")
                    return
                self._work_off()
                self._wait(2.0**tries if error.retry_after_s is None else min(error.retry_after_s, 60.0) or 0.1)
            except ConnectorError as error:
                self._report.problems.append(f"Clarity, {entity} list: {error.message}")
                return

    def finish(self, max_wait_s: float) -> None:
        """Work until nothing is due: what has to be tried again."""
        ended = runner.drain(self._context, self._flow, max_wait_s=max_wait_s, wait=self._wait)
        self._report.count(ended.fates)
        self._report.take_planned(self._context.planned)
        self._report.stopped = self._report.stopped or ended.stopped

    def _page(self, entity: str, book: Book, rows: list[dict[str, Any]]) -> None:
        context, counts, reading = self._context, self._report.of(entity), self._context.settings.reading
        clarity = context.clarity
        assert clarity is not None  # noqa: S101  checked at the start
        heads = [clarity.head(row) for row in rows]
        known = settled(context.store, entity, heads, reading)
        wanted = []
        for row, head in zip(rows, heads, strict=True):
            counts.read += 1
            if not self._span.holds(day_of(entity, row)):
                counts.outside += 1
            elif head.id in known:
                counts.settled += 1
            else:
                wanted.append(row)
        envelopes, hashes, failed = [], {}, None
        try:
            for row in book.whole(entity, wanted):
                head = clarity.head(row)
                if self._span.holds(day_of(entity, row)):
                    envelopes.append(envelope_of(entity, row, head, reading))
                    hashes[head.id or "?"] = row.get("Hash") if isinstance(clarity, DigestPort) else None
                else:  # a flat row did not tell its day
                    counts.outside += 1
        except RejectedError as error:  # about one record, after the others
            self._report.problems.append(f"Clarity, {entity} list: {error}")
        except ConnectorError as error:
            failed = error
        if envelopes:
            taken = ingest(context.store, envelopes, source=BACKFILL, now=context.now(), reading=reading)
            keep_hashes(context.store, entity, hashes)  # a poll by digests then has no need to bring them again
            counts.new += taken.new
            counts.settled += taken.duplicate
        if failed is not None:
            raise failed

    def _work_off(self) -> None:
        """Whatever is due, by this process and by others; retries come at the end."""
        inbox.release_dead(self._context.store)
        while not self._context.stop.is_set() and self._report.stopped is None:
            step = self._worker.step()
            if step is None:
                pause_s = self._context.hold_off_s()
                if pause_s == 0:
                    return
                self._wait(pause_s)
                continue
            self._report.count({step.fate: 1})
            self._report.take_planned(self._context.planned)
            if step.fate == "stop":
                self._report.stopped = step.reason

    def _is_full(self) -> bool:
        """Whether a first-run cap holds orders: then reading on would only hold more of them."""
        names = [] if self._context.dry_run else reached(self._context.store)
        if names:
            self._report.stopped = (
                f"the first-run cap of {', '.join(names)} is reached: look at the invoices in FreshBooks, then"
                f" 'mapper-sync caps lift --spec {names[0]}' and the same command again"
            )
        return self._report.stopped is not None

    def _save(self, stream: str, place: Place) -> None:
        values = {"position": json.dumps(vars(place)), "at": self._context.now()}
        statement = self._context.store.insert(cursor_table).values(connection="clarity", stream=stream, **values)
        with self._context.store.write() as conn:
            conn.execute(statement.on_conflict_do_update(index_elements=["connection", "stream"], set_=values))

    def _tell(self, entity: str, read: int, total: int | None) -> None:
        if self._on_progress is None:
            return
        counts = self._report.of(entity)
        elapsed_s = max(time.monotonic() - self._began, 1e-3)
        every = sum(one.read for one in self._report.entities.values())
        left = None if total is None else max(total - read, 0)
        rate = every / elapsed_s
        self._on_progress(
            BackfillProgress(
                entity, read, total, counts.settled, counts.new, rate, None if left is None else left / rate
            )
        )


@dataclass(frozen=True)
class Place:
    """How far an entity was read: the source's position, and how many rows came before it."""

    position: str | None = None
    read: int = 0
    done: bool = False


def load_place(store: Store, stream: str) -> Place:
    """Where to go on; the beginning when this was never begun."""
    where = sa.and_(cursor_table.c.connection == "clarity", cursor_table.c.stream == stream)
    with store.read() as conn:
        found = conn.scalar(sa.select(cursor_table.c.position).where(where))
    return Place() if found is None else Place(**json.loads(found))
