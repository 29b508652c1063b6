"""What FreshBooks has to tell comes into the inbox here: by callbacks, by polling, and where the books are in the way.

A callback names a record and nothing else. It goes into the lane of the customer behind it, as far as the ledger
knows; a payment that a person typed is not in there, so it is read once and filed anew under its invoice.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from connectors.errors import ConnectorError, ReconnectError
from connectors.freshbooks import DELETED, parse_accounting_time
from sync import ledger, proposals
from sync.back.echo import client_as_left, is_as_booked, stands
from sync.back.pairs import PREFIX, followed
from sync.inbox import IngestResult
from sync.intake import Prepared, prepare, store_all
from sync.ledger import Entry
from sync.plan import digest
from sync.recovery import reconnect_text
from sync.store import Store
from sync.store import cursor as cursor_table

if TYPE_CHECKING:
    from connectors.freshbooks import FreshBooks
    from sync.reading import Reading
    from sync.worker import Context

log = logging.getLogger(__name__)

_EASTERN: Final = ZoneInfo("America/New_York")
_BATCH: Final = 100


@dataclass(frozen=True)
class News:
    """A record of FreshBooks that may have changed.

    Attributes:
        entity: invoice, client or payment.
        verb: create, update or delete.
        mark: Tells this piece of news from every other one about the record.
        of: The record of Clarity in whose lane it belongs.
    """

    entity: str
    id: str
    verb: str
    mark: str
    of: str | None


@dataclass
class BooksReport:
    """What one poll of FreshBooks found; `problems` are one-line messages."""

    result: IngestResult = field(default_factory=IngestResult)
    problems: list[str] = field(default_factory=list)


def file_news(store: Store, news: Iterable[News], *, reading: Reading, source: str, now: float) -> IngestResult:
    """Put news into the inbox, each once."""
    told = store_all(store, [_prepared(one, reading, source) for one in news], now=now)
    return IngestResult(told.count("new"), told.count("duplicate"), told.count("ignored"))


def poll_books(context: Context) -> BooksReport:
    """Ask FreshBooks for what changed since the last time; the first time there is nothing to compare with.

    The first poll begins now, or at `[way_back] start_date`. A failure leaves the cursor where it was.
    """
    report = BooksReport()
    now, wanted = context.now(), context.settings.way_back
    position = _cursor(context.store)
    if position is None and wanted.start_date is None:
        _save_cursor(context.store, now, now=now)
        return report
    since = datetime(*wanted.start_date.timetuple()[:3], tzinfo=_EASTERN) if wanted.start_date else datetime.now(UTC)
    if position is not None:
        since = datetime.fromtimestamp(position - wanted.overlap_s, UTC)
    try:
        found = list(_changed(context.store, context.freshbooks, since))
    except ConnectorError as error:
        why = reconnect_text(error) if isinstance(error, ReconnectError) else error.message
        report.problems.append(f"FreshBooks, changed records: {why}")
        log.warning("poll of the books failed", extra={"problem": why})
        return report
    for start in range(0, len(found), _BATCH):
        batch = found[start : start + _BATCH]
        report.result += file_news(context.store, batch, reading=context.settings.reading, source="books", now=now)
    _save_cursor(context.store, now, now=now)
    return report


def _changed(store: Store, freshbooks: FreshBooks, since: datetime) -> Iterator[News]:
    """Records that somebody else than we may have changed; of our own writes most are seen from the rows already."""
    told: set[News] = set()
    booked: dict[str, Decimal] = {}  # by invoice: what we have booked, as far as it stands in this window
    for entity in ("payment", "invoice", "client"):  # payments first, since they explain invoices
        for row in _rows(freshbooks, entity, since):
            if entity == "payment" and _is_as_we_left(store, row):
                invoice_id = str(row.get("invoiceid"))
                booked[invoice_id] = booked.get(invoice_id, Decimal(0)) + stands(row)
                continue
            name, record_id = (entity, str(row["id"])) if entity != "payment" else ("invoice", str(row["invoiceid"]))
            entries = ledger.of_remote(store, name, record_id)
            if entity != "payment" and _is_ours(entity, row, entries, booked.get(record_id, Decimal(0))):
                continue
            of = followed(store, PREFIX + name, record_id)
            one = News(name, record_id, "update", f"{row.get('updated')}:{digest(row)}", of)
            if of is not None and one not in told:  # other business of the account is none of ours
                told.add(one)
                yield one


def _rows(freshbooks: FreshBooks, entity: str, since: datetime) -> Iterator[dict[str, Any]]:
    # The filter knows days only, and those of the accounting API's own zone.
    day = (since.astimezone(_EASTERN) - timedelta(days=1)).date().isoformat()
    for vis_state in (None, DELETED):
        for row in freshbooks.find(entity, {"updated_min": day}, vis_state=vis_state):
            moment = _moment(str(row.get("updated") or ""))
            if moment is None or moment >= since:
                yield row


def _is_as_we_left(store: Store, row: Mapping[str, Any]) -> bool:
    entries = ledger.of_remote(store, "payment", str(row["id"]))
    if not entries:
        return False
    return is_as_booked(row, entries, proposals.left_of_payments(store, str(row.get("invoiceid"))))


def _is_ours(entity: str, row: Mapping[str, Any], entries: Sequence[Entry], booked: Decimal) -> bool:
    """Whether a row shows nothing but our own writes; what cannot be told from the row is looked at closely."""
    if len(entries) != 1 or row.get("vis_state") == DELETED:
        return False
    if entity == "client":
        return bool(entries[0].detail.get("fields")) and client_as_left(row, entries[0].detail["fields"]) == dict(row)
    paid, amount = (Decimal(str((row.get(name) or {}).get("amount") or "0")) for name in ("paid", "amount"))
    return paid == booked and amount == entries[0].total


def _prepared(one: News, reading: Reading, source: str) -> Prepared:
    envelope: dict[str, Any] = {
        "id": f"books:{one.entity}:{one.id}:{one.mark}",
        "type": f"freshbooks.{one.entity}.{one.verb}",
        "data": {"object": PREFIX + one.entity, "id": one.id, **({"of": one.of} if one.of else {})},
    }
    return prepare(envelope, reading, source=source)


def _moment(text: str) -> datetime | None:
    try:
        return parse_accounting_time(text)
    except ValueError:
        return None


def _cursor(store: Store) -> float | None:
    statement = sa.select(cursor_table.c.position).where(
        cursor_table.c.connection == "freshbooks", cursor_table.c.stream == "way-back"
    )
    with store.read() as conn:
        found = conn.scalar(statement)
    return None if found is None else float(found)


def _save_cursor(store: Store, position: float, *, now: float) -> None:
    values: Mapping[str, Any] = {"position": repr(position), "at": now}
    statement = store.insert(cursor_table).values(connection="freshbooks", stream="way-back", **values)
    with store.write() as conn:
        conn.execute(statement.on_conflict_do_update(index_elements=["connection", "stream"], set_=values))
