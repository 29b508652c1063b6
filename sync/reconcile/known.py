"""What the store knows about the records that are compared: what was written for them, and what became of them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Final

import sqlalchemy as sa

from sync.envelope import loads
from sync.reconcile.tables import Tables
from sync.store import Store
from sync.store import inbox as inbox_table
from sync.store import ledger as ledger_table

_BATCH: Final = 400
_COUNTED_OUT: Final = ("ignored", "superseded")
_LEDGER: Final = tuple(
    ledger_table.c[name] for name in ("key", "entity", "record_key", "state", "remote_id", "total", "currency")
)


class Known:
    """Reads the store in batches; everything is unknown without one."""

    def __init__(self, tables: Tables, store: Store | None) -> None:
        """Read nothing yet."""
        self._tables, self._store = tables, store

    def read(self) -> None:
        """Ledger rows and verdicts of all orders, payments and refunds that were read from the source."""
        if self._store is None:
            return
        keys = (
            "SELECT ledger_key AS name FROM orders UNION SELECT client_key FROM orders WHERE client_key IS NOT NULL"
            " UNION SELECT key FROM receipts UNION SELECT ledger_key FROM refunds"
        )
        for batch in _batches(row["name"] for row in self._tables.rows(keys)):
            self._add_entries(self._store, ledger_table.c.key.in_(batch))
        records = (
            "SELECT 'order:' || id AS name FROM orders UNION SELECT record_key FROM receipts"
            " UNION SELECT 'refund:' || id FROM refunds"
        )
        for batch in _batches(row["name"] for row in self._tables.rows(records)):
            self._add_verdicts(self._store, batch)
        self._tables.flush()

    def read_of(self, entity: str, remote_ids: Iterable[str]) -> None:
        """Ledger rows of objects in the books that no record of the source is found for."""
        if self._store is None:
            return
        for batch in _batches(remote_ids):
            same = sa.and_(ledger_table.c.entity == entity, ledger_table.c.remote_id.in_(batch))
            self._add_entries(self._store, same)
        self._tables.flush()

    def _add_entries(self, store: Store, condition: sa.ColumnElement[bool]) -> None:
        with store.read() as conn:
            rows = conn.execute(sa.select(*_LEDGER, ledger_table.c.detail).where(condition)).all()
        for row in rows:
            detail = loads(row.detail)
            day = detail.get("fields", {}).get("create_date" if row.entity == "invoice" else "date")
            values = {column.name: getattr(row, column.name) for column in _LEDGER}
            if not detail.keys().isdisjoint(("merged", "was")):
                values["remote_id"] = None  # a customer's invoices stand with its former client and with the new one
            self._tables.add("ledger", {**values, "day_digest": day})

    def _add_verdicts(self, store: Store, record_keys: Sequence[str]) -> None:
        columns = (inbox_table.c[name] for name in ("record_key", "state", "fate", "reasons"))
        statement = (
            sa.select(*columns)
            .where(inbox_table.c.record_key.in_(record_keys), inbox_table.c.state.not_in(_COUNTED_OUT))
            .order_by(inbox_table.c.seq)  # the newest of a record replaces the ones before
        )
        with store.read() as conn:
            rows = conn.execute(statement).all()
        for row in rows:
            self._tables.add("verdicts", {"record_key": row.record_key, **_verdict(row)})


def _verdict(row: Any) -> dict[str, Any]:
    state = row.fate if row.state == "pending" and row.fate in ("waiting", "retry") else row.state
    reasons = json.loads(row.reasons)
    return {
        "state": state,
        "reason_id": reasons[0]["id"] if reasons else None,
        "reason": "; ".join(reason["message"] for reason in reasons) or None,
    }


def _batches(names: Iterable[str]) -> Iterator[list[str]]:
    remaining = iter(names)
    while batch := list(islice(remaining, _BATCH)):
        yield batch
