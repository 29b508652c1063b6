"""Payloads are erased after a time (rule 18); ids, amounts and the ledger stay, and so does everything still open."""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from sync import proposals
from sync.ledger import LIVE
from sync.store import Store
from sync.store import attempt as attempt_table
from sync.store import inbox as inbox_table
from sync.store import ledger as ledger_table
from sync.store import record as record_table

if TYPE_CHECKING:
    from sync.worker import Context

log = logging.getLogger(__name__)

ERASED: Final = "{}"
"""What stands where a payload was; a flow takes it for "not known" and asks Clarity."""

OPEN: Final = ("pending", "held", "dead")
DAY_S: Final = 86_400
_BATCH: Final = 500  # so that the store is never locked for long


@dataclass(frozen=True)
class Erased:
    """How many bodies were erased, by where they stood."""

    deliveries: int = 0
    snapshots: int = 0
    attempts: int = 0

    def __bool__(self) -> bool:
        return any(asdict(self).values())


def erase_old(store: Store, *, before: float, fetchable: bool) -> Erased:
    """Erase what was settled before a time (unix seconds), in small transactions.

    Args:
        fetchable: Clarity can be asked for a customer whom a later order only names. Where it cannot, the snapshot of
            a customer stays until FreshBooks has the client.
    """
    open_event = inbox_table.alias("open_event")

    def settled(record_key: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
        return ~sa.exists().where(open_event.c.record_key == record_key, open_event.c.state.in_(OPEN))

    old_delivery = sa.and_(
        inbox_table.c.body != ERASED,
        sa.or_(
            sa.and_(inbox_table.c.state.in_(("done", "skipped", "superseded")), inbox_table.c.settled_at < before),
            sa.and_(inbox_table.c.state == "ignored", inbox_table.c.received_at < before),
        ),
        settled(inbox_table.c.record_key),
    )
    old_snapshot = sa.and_(
        record_table.c.payload != ERASED, record_table.c.seen_at < before, settled(record_table.c.key)
    )
    if not fetchable:
        has_client = sa.exists().where(
            ledger_table.c.entity == "client",
            ledger_table.c.state == "confirmed",
            ledger_table.c.key.endswith(sa.func.lower(":" + record_table.c.id)),
        )
        old_snapshot = sa.and_(old_snapshot, sa.or_(record_table.c.entity != "customer", has_client))
    entry = sa.select(ledger_table.c.key).where(
        ledger_table.c.key == attempt_table.c.key,
        sa.or_(ledger_table.c.state.in_((*LIVE, "held")), ~settled(ledger_table.c.record_key)),
    )
    old_attempt = sa.and_(attempt_table.c.at < before, attempt_table.c.request != ERASED, ~entry.exists())
    return Erased(
        deliveries=_erase(store, inbox_table, (inbox_table.c.seq,), old_delivery, {"body": ERASED}),
        snapshots=_erase(store, record_table, (record_table.c.key,), old_snapshot, {"payload": ERASED}),
        attempts=_erase(
            store,
            attempt_table,
            (attempt_table.c.key, attempt_table.c.n),
            old_attempt,
            {"request": ERASED, "response": None},
        ),
    )


def _erase(
    store: Store,
    table: sa.Table,
    key: tuple[sa.Column[Any], ...],
    chosen: sa.ColumnElement[bool],
    values: dict[str, Any],
) -> int:
    total, last = 0, None
    while True:
        after = sa.true() if last is None else sa.tuple_(*key) > sa.tuple_(*last)
        # Looked for before anything is locked, and asked again of the few that are erased.
        rows = [tuple(row) for row in store.rows(sa.select(*key).where(chosen, after).order_by(*key).limit(_BATCH))]
        if rows:
            total += store.transact(partial(_erased, store, table, sa.tuple_(*key).in_(rows), chosen, values))
        if len(rows) < _BATCH:
            return total
        last = rows[-1]


def _erased(
    store: Store,
    table: sa.Table,
    wanted: sa.ColumnElement[bool],
    chosen: sa.ColumnElement[bool],
    values: dict[str, Any],
    conn: Connection,
) -> int:
    if store.is_sqlite:
        conn.exec_driver_sql("PRAGMA secure_delete=ON")  # else the old text stays in the file's free space
    return conn.execute(sa.update(table).where(wanted, chosen).values(**values)).rowcount


def erase_by_settings(context: Context) -> bool:
    """The daily job."""
    before = context.now() - context.settings.retention.days * DAY_S
    erased = erase_old(context.store, before=before, fetchable=context.clarity is not None)
    proposals.erase_old(context.store, before=before)
    if erased:
        log.info("old payloads erased", extra=asdict(erased))
    return False
