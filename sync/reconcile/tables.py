"""The tables of one comparison: DuckDB in memory, fed in batches; ids, dates and amounts, no customer's values.

Amounts travel as text and become exact decimals; what does not fit stays in the temporary folder, which goes with the
comparison.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from tempfile import TemporaryDirectory
from typing import Any, Final

import duckdb

MEMORY_LIMIT: Final = "256MB"
_BATCH: Final = 500
_AMOUNT: Final = "DECIMAL(28,6)"

_COLUMNS: Final[Mapping[str, Mapping[str, str]]] = {
    "orders": {
        "id": "VARCHAR",
        "number": "VARCHAR",
        "day": "DATE",
        "currency": "VARCHAR",
        "amount": _AMOUNT,
        "decision": "VARCHAR",  # go, hold, skip, wait
        "reason_id": "VARCHAR",
        "reason": "VARCHAR",
        "test": "BOOLEAN",
        "invoice_number": "VARCHAR",
        "marker": "VARCHAR",
        "ledger_key": "VARCHAR",
        "client_key": "VARCHAR",
        "inside": "BOOLEAN",
    },
    "receipts": {  # payments as the source has them
        "key": "VARCHAR",  # natural key
        "id": "VARCHAR",
        "record_key": "VARCHAR",
        "order_id": "VARCHAR",
        "order_number": "VARCHAR",
        "transaction": "VARCHAR",
        "day": "DATE",
        "currency": "VARCHAR",
        "amount": _AMOUNT,
        "decision": "VARCHAR",
        "reason_id": "VARCHAR",
        "reason": "VARCHAR",
        "note": "VARCHAR",
        "weak": "BOOLEAN",  # known from inside its order only, by a key made of the order's
        "embedded": "BOOLEAN",
        "inside": "BOOLEAN",
    },
    "refunds": {
        "id": "VARCHAR",
        "order_id": "VARCHAR",
        "day": "DATE",
        "currency": "VARCHAR",
        "amount": _AMOUNT,
        "ledger_key": "VARCHAR",
        "inside": "BOOLEAN",
    },
    "invoices": {
        "id": "VARCHAR",
        "number": "VARCHAR",
        "day": "DATE",
        "currency": "VARCHAR",
        "amount": _AMOUNT,
        "paid": _AMOUNT,
        "state": "VARCHAR",  # live, draft, deleted
        "client_id": "VARCHAR",
        "marker": "VARCHAR",
        "inside": "BOOLEAN",
    },
    "postings": {  # payments as the books have them
        "id": "VARCHAR",
        "invoice_id": "VARCHAR",
        "day": "DATE",
        "currency": "VARCHAR",
        "amount": _AMOUNT,
        "state": "VARCHAR",  # live, deleted
        "note": "VARCHAR",
        "credit": "VARCHAR",  # the client credit that was made of a surplus
        "inside": "BOOLEAN",
    },
    "clients": {"id": "VARCHAR", "state": "VARCHAR"},  # those that are deleted or archived
    "ledger": {
        "key": "VARCHAR",
        "entity": "VARCHAR",
        "record_key": "VARCHAR",
        "state": "VARCHAR",
        "remote_id": "VARCHAR",
        "total": _AMOUNT,
        "currency": "VARCHAR",
        "day_digest": "VARCHAR",  # of the date last written
    },
    "corrections": {  # of what is posted, proposed or written
        "key": "VARCHAR",
        "kind": "VARCHAR",  # refund, edit, cancel
        "state": "VARCHAR",  # proposed, accepted, writing, done, refused
        "way": "VARCHAR",
        "invoice_id": "VARCHAR",
        "payment_id": "VARCHAR",
        "amount": _AMOUNT,
        "remote_id": "VARCHAR",
        "name": "VARCHAR",
    },
    "verdicts": {
        "record_key": "VARCHAR",
        "state": "VARCHAR",  # done, held, dead, skipped, waiting, retry, pending
        "reason_id": "VARCHAR",
        "reason": "VARCHAR",
    },
    "result": {
        "seq": "BIGINT",
        "kind": "VARCHAR",  # invoice, payment, refund
        "status": "VARCHAR",
        "cause": "VARCHAR",
        "differs": "VARCHAR",
        "detail": "VARCHAR",
        "record": "VARCHAR",
        "number": "VARCHAR",
        "source_day": "DATE",
        "source_currency": "VARCHAR",
        "source_amount": _AMOUNT,
        "source_inside": "BOOLEAN",
        "books_id": "VARCHAR",
        "books_day": "DATE",
        "books_currency": "VARCHAR",
        "books_amount": _AMOUNT,
        "books_inside": "BOOLEAN",
        "order_id": "VARCHAR",
        "invoice_id": "VARCHAR",
        "source_paid": _AMOUNT,
        "books_paid": _AMOUNT,
        "found_by": "VARCHAR",
    },
}

Row = Mapping[str, Any]


class Tables:
    """The database of one comparison; use it as a context manager."""

    def __init__(self) -> None:
        """Create the tables, empty."""
        self._spill = TemporaryDirectory(prefix="mapper-reconcile-")
        config: dict[str, str | bool | int | float | list[str]] = {
            "memory_limit": MEMORY_LIMIT,
            "threads": 2,
            "temp_directory": self._spill.name,
        }
        self._connection = duckdb.connect(":memory:", config=config)
        for name, columns in _COLUMNS.items():
            first = next(iter(columns))
            listed = ", ".join(f"{column} {kind}" for column, kind in columns.items())
            self.run(f"CREATE TABLE {name} ({listed}, PRIMARY KEY ({first}))")
        self.run("CREATE TABLE pairs (order_id VARCHAR, invoice_id VARCHAR, found_by VARCHAR)")
        self.run("CREATE TABLE payment_pairs (key VARCHAR, posting_id VARCHAR, found_by VARCHAR)")
        self._waiting: dict[str, dict[str, dict[str, Any]]] = {name: {} for name in _COLUMNS}

    def __enter__(self) -> Tables:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give everything back."""
        self._connection.close()
        self._spill.cleanup()

    def add(self, table: str, row: Row) -> None:
        """Add a row; one with the same first column replaces it. Written in batches, at the latest by `flush`."""
        columns = _COLUMNS[table]
        values = {column: _plain(row.get(column)) for column in columns}
        waiting = self._waiting[table]
        waiting[str(values[next(iter(columns))])] = values
        if len(waiting) >= _BATCH:
            self._write(table)

    def flush(self) -> None:
        """Write what waits."""
        for table, waiting in self._waiting.items():
            if waiting:
                self._write(table)

    def run(self, statement: str, values: Sequence[Any] = ()) -> int:
        """Execute a statement for what it changes; how many rows an INSERT, UPDATE or DELETE changed."""
        row = self._connection.execute(statement, list(values)).fetchone()
        return int(row[0]) if row and isinstance(row[0], int) else 0

    def rows(self, statement: str, values: Sequence[Any] = ()) -> Iterator[dict[str, Any]]:
        """The rows of a query, as they are read; other queries may run meanwhile."""
        cursor = self._connection.cursor()
        try:
            cursor.execute(statement, list(values))
            names = [column[0] for column in cursor.description or ()]
            while batch := cursor.fetchmany(_BATCH):
                for values_of in batch:
                    yield dict(zip(names, values_of, strict=True))
        finally:
            cursor.close()

    def one(self, statement: str, values: Sequence[Any] = ()) -> Any:
        """The first value of a query."""
        for row in self.rows(statement, values):
            return next(iter(row.values()))
        return None

    def _write(self, table: str) -> None:
        waiting, self._waiting[table] = self._waiting[table], {}
        shape = json.dumps([dict(_COLUMNS[table])])
        text = json.dumps(list(waiting.values()))
        self.run(f"INSERT OR REPLACE INTO {table} SELECT unnest(from_json(?, ?), recursive := true)", [text, shape])


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, bool | int) else str(value)
