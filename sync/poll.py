"""Polling of Clarity: what webhooks lost arrives here, through the same inbox.

A source that offers digests is asked what differs from the hashes that are known; each is kept as soon as its record
is committed. Elsewhere every poll starts an overlap before the newest change seen; a change seen twice has the same
delivery id and is kept once. The cursor moves only after everything of the poll is committed.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Literal, Protocol

import sqlalchemy as sa

from connectors.clarity_port import DigestPort, Head
from connectors.errors import AuthError, ConnectorError, RateLimitedError, ReconnectError, RejectedError
from sync.adoption import BACKFILL
from sync.digests import keep_hashes, known_hashes, tell_gone
from sync.envelope import version_of
from sync.inbox import IngestResult, ingest, wake
from sync.outcome import EndedError, waiting
from sync.reading import Reading, shipped
from sync.records import set_connection
from sync.recovery import reconnect_text
from sync.store import Store
from sync.store import cursor as cursor_table

log = logging.getLogger(__name__)

# In the order of need: an invoice needs its client, a payment its invoice.
EVENTS = {
    "customer": "customer.updated",
    "product": "product.updated",
    "order": "order.updated",
    "payment": "payment.captured",
    "refund": "refund.created",
}
USUAL = ("customer", "product", "order", "payment")
"""What is asked for always; refunds only where a mapping takes them."""
_BATCH = 100

CLARITY_LOGIN = "connection:clarity"
"""What events wait for that need a record from Clarity while its login is refused."""


class Source(Protocol):
    """The part of ``connectors.clarity_port.ClarityPort`` that polling uses."""

    def list_updated(self, entity: str, since: datetime | None) -> Iterator[dict[str, Any]]: ...

    def get(self, entity: str, id: int | str) -> dict[str, Any]: ...  # noqa: A002  as the connector's

    def head(self, row: Mapping[str, Any]) -> Head: ...


@dataclass
class PollReport:
    """What one poll found.

    Attributes:
        problems: One-line messages.
        refused: No record can succeed.
        go_on_in_s: The rate limit ended the poll, and another one then goes on from where it was.
    """

    result: IngestResult = field(default_factory=IngestResult)
    problems: list[str] = field(default_factory=list)
    refused: bool = False
    go_on_in_s: float | None = None


def poll_clarity(
    store: Store,
    clarity: Source,
    *,
    now: float,
    overlap_s: float = 300,
    start_date: date | None = None,
    complete_rows: bool = True,
    entities: Iterable[str] = USUAL,
    reading: Reading | None = None,
    settled_by: Mapping[str, str] | None = None,
) -> PollReport:
    """Fetch what changed since the last poll and put it into the inbox.

    A failure at one entity leaves its cursor where it was and does not stop the others; a refused login does.

    Args:
        now: Unix seconds.
        overlap_s: How far before its cursor an entity is asked for, in seconds.
        start_date: Where the first poll starts (midnight UTC); None for everything there is.
        complete_rows: False where lists are known to leave members out (A9): each record is fetched by its id.
        reading: How the source's records are read; as shipped when None.
        settled_by: As for `sync.inbox.ingest`.
    """
    report = PollReport()
    state: Literal["stopped", "reconnect"] = "stopped"
    limited: list[str] = []
    spans = Spans(overlap_s, start_date, complete_rows, reading or shipped(), settled_by)
    for entity in entities:
        try:
            _poll_entity(store, clarity, entity, spans, report, now=now)
        except RejectedError as error:
            if error.status == 404 and entity in ("payment", "product", "refund"):
                log.info("this store has no such list", extra={"entity": entity})
                continue
            report.problems.append(f"Clarity, {entity} list: {error}")
        except AuthError as error:
            if isinstance(error, ReconnectError):
                state, why = "reconnect", reconnect_text(error)
            else:
                why = f"Clarity: {error.message}"
            report.problems.append(why)
            report.refused = True
            break
        except RateLimitedError as error:
            report.problems.append(f"Clarity, {entity} list: {error.message}")
            limited.append(report.problems[-1])
            if isinstance(clarity, DigestPort) and report.go_on_in_s is None:
                report.go_on_in_s = error.retry_after_s
        except ConnectorError as error:
            report.problems.append(f"Clarity, {entity} list: {error.message}")
    for problem in report.problems:
        log.warning("poll failed", extra={"problem": problem})
    failed = [problem for problem in report.problems if problem not in limited]
    if failed:
        set_connection(store, "clarity", state, reason=failed[0], now=now)
    elif not limited:  # a used-up rate limit says nothing about the connection
        set_connection(store, "clarity", "ok", now=now)
        wake(store, CLARITY_LOGIN, now=now)
    return report


def without_clarity(store: Store, error: AuthError, *, now: float) -> EndedError:
    """Only what needs Clarity waits for somebody to sign in; FreshBooks' connection is not at fault."""
    again = isinstance(error, ReconnectError)
    why = reconnect_text(error) if isinstance(error, ReconnectError) else f"Clarity: {error.message}"
    set_connection(store, "clarity", "reconnect" if again else "stopped", reason=why, now=now)
    return waiting("clarity-reconnect" if again else "clarity-auth", why, CLARITY_LOGIN)


@dataclass(frozen=True)
class Spans:
    """From when on is asked, and how the rows are read; the arguments of `poll_clarity`."""

    overlap_s: float
    start_date: date | None
    complete_rows: bool
    reading: Reading
    settled_by: Mapping[str, str] | None = None


def _poll_entity(store: Store, clarity: Source, entity: str, spans: Spans, report: PollReport, *, now: float) -> None:
    position, reading = _load_cursor(store, entity), spans.reading
    since = None
    if position is not None:
        since = datetime.fromisoformat(position) - timedelta(seconds=spans.overlap_s)
    elif spans.start_date is not None:
        since = datetime.combine(spans.start_date, time(), UTC)
    found = None
    if isinstance(clarity, DigestPort):
        known = known_hashes(store, entity)
        # Hashes alone tell what changed, once there are some and a first poll has come to its end.
        found = clarity.list_changed(entity, known, None if known and position is not None else since)
    newest = position
    changes, listed = found if found is not None else (None, clarity.list_updated(entity, since))
    records = listed if spans.complete_rows else (clarity.get(entity, clarity.head(row).id or "") for row in listed)
    for rows in _batches(records):
        heads = [clarity.head(row) for row in rows]
        hashed = changes is not None
        envelopes = [envelope_of(entity, row, head, reading, hashed) for row, head in zip(rows, heads, strict=True)]
        # The first poll brings the past, as a backfill does: its orders may have been invoiced by hand.
        source = BACKFILL if position is None else "poll"
        report.result += ingest(store, envelopes, source=source, now=now, reading=reading, settled_by=spans.settled_by)
        if changes is not None:
            keep_hashes(store, entity, {head.id: changes.hashes.get(head.id) for head in heads if head.id is not None})
        versions = [v for head in heads if (v := version_of(head.updated, reading.zone)) is not None]
        newest = max([*versions, *([newest] if newest else [])], default=None)
    if newest is not None and newest > (limit := _text_of(now)):
        newest = limit  # a record from the future, or the store's clock is ahead: what changes until then counts too
    if newest is not None and newest != position:
        _save_cursor(store, entity, newest, now=now)
    if changes is not None:
        keep_hashes(store, entity, {one: changes.hashes[one] for one in changes.ids})  # also of what was left out
        tell_gone(store, entity, changes.gone, now=now)


def _batches(rows: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """In lists; what came before a failure is handed out before that is raised."""
    remaining, batch = iter(rows), []
    while True:
        try:
            batch.append(next(remaining))
        except StopIteration:
            break
        except ConnectorError:
            if batch:
                yield batch
            raise
        if len(batch) == _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def envelope_of(entity: str, row: dict[str, Any], head: Head, reading: Reading, hashed: bool = False) -> dict[str, Any]:
    """A record that was asked for as a delivery of its own, the same however often it is asked for."""
    record_id, version = head.id or "?", version_of(head.updated, reading.zone)
    envelope: dict[str, Any] = {
        "type": EVENTS[entity],
        "data": {"object": entity, "id": head.id, "updatedAt": head.updated, "resource": reading.record(row)},
    }
    if hashed and row.get("Hash") is not None:
        # A change need not move the time of the last change; the hash always moves.
        envelope["id"] = f"poll:{entity}:{record_id}:hash:{row['Hash']}:{version}"
    elif version is not None:
        envelope["id"] = f"poll:{entity}:{record_id}:{version}"
    return envelope  # without an id the inbox takes the digest of the content


def _text_of(at: float) -> str:
    """Unix seconds in the form of a record's version."""
    return version_of(datetime.fromtimestamp(at, UTC).isoformat()) or ""


def _load_cursor(store: Store, entity: str) -> str | None:
    statement = sa.select(cursor_table.c.position).where(
        cursor_table.c.connection == "clarity", cursor_table.c.stream == entity
    )
    with store.read() as conn:
        return conn.scalar(statement)


def _save_cursor(store: Store, entity: str, position: str, *, now: float) -> None:
    values = {"position": position, "at": now}
    statement = store.insert(cursor_table).values(connection="clarity", stream=entity, **values)
    with store.write() as conn:
        conn.execute(statement.on_conflict_do_update(index_elements=["connection", "stream"], set_=values))
