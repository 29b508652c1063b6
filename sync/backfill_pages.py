"""What a backfill reads: pages of any source, the day of a record, and which records are settled already."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import Any, Final, Protocol, cast

import sqlalchemy as sa

from connectors.clarity_port import ClarityPort, Head, PagedPort, Row
from sync.envelope import version_of
from sync.reading import Reading
from sync.store import Store, inbox
from sync.store import ledger as ledger_table

PAGE: Final = 100
_DAYS: Final = {  # of either flavour, in the order of preference
    "order": ("orderDate", "OriginalDate", "CreatedDate", "createdAt"),
    "payment": ("paidAt", "ReceivedDate", "PaymentDate", "CreatedDate", "createdAt"),
}
_MADE: Final = {"order": "invoice", "payment": "payment", "customer": "client", "product": "item"}


class Book(Protocol):
    """A source's records, page by page."""

    def pages(self, entity: str, since: datetime, position: str | None) -> Iterator[tuple[list[Row], str | None]]:
        """Rows, and where to go on after them; None where that is the beginning."""
        ...

    def whole(self, entity: str, rows: Sequence[Row]) -> Iterable[Row]:
        """The rows with their inside."""
        ...

    def count(self, entity: str, since: datetime) -> int | None:
        """How many there are in all; None when the source does not say."""
        ...


def open_book(clarity: ClarityPort | None) -> Book:
    """The pages of a source; one that offers none, such as a plug-in's, is read from its beginning every time."""
    if clarity is None:
        raise ValueError("Clarity is not configured")
    if all(hasattr(clarity, name) for name in ("pages", "whole", "count")):
        return _Paged(cast(PagedPort, clarity))
    return _Plain(clarity)


class _Paged:
    def __init__(self, source: PagedPort) -> None:
        self.whole, self.count = source.whole, source.count
        self._source = source

    def pages(self, entity: str, since: datetime, position: str | None) -> Iterator[tuple[list[Row], str | None]]:
        for page in self._source.pages(entity, since, position):
            yield page.rows, page.position


class _Plain:
    def __init__(self, source: ClarityPort) -> None:
        self._source = source

    def pages(self, entity: str, since: datetime, position: str | None) -> Iterator[tuple[list[Row], str | None]]:
        rows = iter(self._source.list_updated(entity, since))
        while page := list(islice(rows, PAGE)):
            yield page, position

    def whole(self, entity: str, rows: Sequence[Row]) -> Iterable[Row]:
        return rows

    def count(self, entity: str, since: datetime) -> int | None:
        return None


def day_of(entity: str, row: Mapping[str, Any]) -> str | None:
    """The calendar day of an order or a payment as it is written; None where it has none, or none that can be read."""
    for name in _DAYS.get(entity, ()):
        text = row.get(name)
        if isinstance(text, str) and text:
            try:
                return datetime.fromisoformat(text.strip()).date().isoformat()
            except ValueError:
                return None  # the mapping will say what is wrong with it
    return None


def settled(store: Store, entity: str, heads: Iterable[Head], reading: Reading) -> set[str]:
    """Ids of the records that are known here in this version: arrived in whatever way, or posted by the ledger.

    What waits, is held or is dead counts: it has its place in the inbox and is not to be brought a second time.
    """
    versions = {head.id: version_of(head.updated, reading.zone) for head in heads if head.id is not None}
    keys = {f"{entity}:{one}": one for one, version in versions.items() if version is not None}
    if not keys:
        return set()
    arrived = (
        sa.select(inbox.c.record_key, sa.func.max(inbox.c.version))
        .where(inbox.c.record_key.in_(keys), inbox.c.state != "ignored")
        .group_by(inbox.c.record_key)
    )
    posted = sa.select(ledger_table.c.record_key, ledger_table.c.source_version).where(
        ledger_table.c.record_key.in_(keys),
        ledger_table.c.entity == _MADE.get(entity, ""),
        ledger_table.c.state == "confirmed",
        sa.or_(ledger_table.c.entity != "invoice", ledger_table.c.phase == "sent"),
    )
    found: set[str] = set()
    with store.read() as conn:
        for key, version in conn.execute(arrived):
            if version is not None and version >= (versions[keys[key]] or ""):
                found.add(keys[key])
        for key, text in conn.execute(posted):
            version = version_of(text, reading.zone)
            if version is not None and version >= (versions[keys[key]] or ""):
                found.add(keys[key])
    return found
