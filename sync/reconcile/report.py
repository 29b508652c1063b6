"""The result of a comparison: sums by kind, currency, month, status and cause, which must close, and the records.

The sums of both sides are counted twice, from what was read and from what was judged; a comparison in which they
differ is none.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from datetime import date
from decimal import Decimal
from typing import Any, Final

from sync.reconcile.compare import Compared
from sync.reconcile.judge import DIFFERENCES, STATUSES, plain
from sync.reconcile.period import CompareError
from sync.reconcile.tables import Tables

COLUMNS: Final = (
    *("kind", "status", "cause", "differs", "record", "number", "order"),
    *("clarity_date", "clarity_currency", "clarity_amount"),
    *("freshbooks_id", "freshbooks_invoice", "freshbooks_date", "freshbooks_currency", "freshbooks_amount"),
    *("difference", "received", "paid", "found_by", "detail"),
)
"""Of a record in JSON and CSV."""

AMOUNT_COLUMNS: Final = frozenset({"clarity_amount", "freshbooks_amount", "difference", "received", "paid"})

KINDS: Final = ("invoice", "payment", "refund")
_READ: Final = """
SELECT kind, currency, month, sum(source) AS source, sum(source_count) AS source_count, sum(books) AS books,
  sum(books_count) AS books_count FROM (
  SELECT 'invoice' AS kind, currency, strftime(day, '%Y-%m') AS month, amount AS source, 1 AS source_count,
    0 AS books, 0 AS books_count FROM orders WHERE inside
  UNION ALL SELECT 'invoice', currency, strftime(day, '%Y-%m'), 0, 0, amount, 1 FROM invoices
    WHERE inside AND state = 'live'
  UNION ALL SELECT 'payment', currency, strftime(day, '%Y-%m'), amount, 1, 0, 0 FROM receipts WHERE inside
  UNION ALL SELECT 'payment', currency, strftime(day, '%Y-%m'), 0, 0, amount, 1 FROM postings
    WHERE inside AND state = 'live'
  UNION ALL SELECT 'refund', currency, strftime(day, '%Y-%m'), amount, 1, 0, 0 FROM refunds WHERE inside
) GROUP BY ALL"""
_LEGS: Final = """
SELECT kind, source_currency AS currency, strftime(source_day, '%Y-%m') AS month, status, differs, cause,
  source_amount AS source, 1 AS source_count, NULL AS books, 0 AS books_count FROM result WHERE source_inside
UNION ALL SELECT kind, books_currency, strftime(books_day, '%Y-%m'), status, differs, cause, NULL, 0, books_amount, 1
  FROM result WHERE books_inside"""
_GROUPS: Final = f"""
SELECT kind, coalesce(currency, '') AS currency, coalesce(month, '') AS month, status,
  differs, cause, sum(source_count) AS source_count, coalesce(sum(source), 0) AS source,
  sum(books_count) AS books_count, coalesce(sum(books), 0) AS books
FROM ({_LEGS}) GROUP BY ALL ORDER BY kind, currency, month, status, differs, cause"""  # noqa: S608  our own names
_SUMS: Final = f"""
SELECT kind, currency, month, sum(source) AS source, sum(source_count) AS source_count, sum(books) AS books,
  sum(books_count) AS books_count FROM ({_LEGS}) GROUP BY ALL"""  # noqa: S608  our own names
_Sums = dict[tuple[str, str | None, str | None], tuple[Any, ...]]
_RECORDS: Final = "SELECT * FROM result"


@dataclass(frozen=True)
class Group:
    """Records that have everything but their amounts in common: how many on either side, and what they come to."""

    kind: str
    currency: str
    month: str
    status: str
    differs: str
    cause: str
    source_count: int
    source: Decimal
    books_count: int
    books: Decimal

    @property
    def difference(self) -> Decimal:
        """Books minus source."""
        return self.books - self.source

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready, amounts as text."""
        return {
            **{name: getattr(self, name) for name in ("kind", "currency", "month", "status", "differs", "cause")},
            "clarity_count": self.source_count,
            "clarity": plain(self.source, self.currency),
            "freshbooks_count": self.books_count,
            "freshbooks": plain(self.books, self.currency),
            "difference": plain(self.difference, self.currency),
        }


@dataclass(frozen=True)
class Record:
    """One compared record; amounts None where a side does not have it."""

    kind: str
    status: str
    cause: str
    differs: str
    detail: str
    record: str
    number: str | None
    order_id: str | None
    invoice_id: str | None
    source_day: date | None
    source_currency: str | None
    source_amount: Decimal | None
    books_id: str | None
    books_day: date | None
    books_currency: str | None
    books_amount: Decimal | None
    source_paid: Decimal | None
    books_paid: Decimal | None
    found_by: str | None
    books_inside: bool

    @property
    def booked(self) -> Decimal | None:
        """What is in the books; a draft or a deleted one is not."""
        return None if self.status in ("missing", "left-out") and not self.books_inside else self.books_amount

    @property
    def difference(self) -> Decimal | None:
        """Books minus source, of one currency; None where they cannot be subtracted."""
        booked = self.booked
        currencies = {self.source_currency, None if booked is None else self.books_currency}
        if self.status == "left-out" or len(currencies - {None}) != 1:
            return None
        return (booked or Decimal(0)) - (self.source_amount or Decimal(0))

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready, amounts as text, by `COLUMNS`."""
        currency = self.source_currency or self.books_currency
        values = (
            self.kind,
            self.status,
            self.cause,
            self.differs,
            self.record,
            self.number,
            self.order_id,
            _text(self.source_day),
            self.source_currency,
            _amount(self.source_amount, self.source_currency),
            self.books_id,
            self.invoice_id,
            _text(self.books_day),
            self.books_currency,
            _amount(self.booked, self.books_currency),
            _amount(self.difference, currency),
            _amount(self.source_paid, self.source_currency),
            _amount(self.books_paid, self.books_currency),
            self.found_by,
            self.detail,
        )
        return dict(zip(COLUMNS, values, strict=True))


class Report:
    """What was found; records are read from the tables as they are asked for."""

    def __init__(self, compared: Compared) -> None:
        """Sum up.

        Raises:
            CompareError: The sums do not close: what was judged is not what was read.
        """
        self.period, self.notes = compared.period, tuple(compared.notes)
        self._tables = compared.tables
        require_closed(compared.tables)
        self.groups = groups(compared.tables)

    @property
    def agrees(self) -> bool:
        """Whether nothing differs."""
        return not self.differences

    @property
    def compared(self) -> int:
        """How many records there are, on either side or on both."""
        return int(self._tables.one("SELECT count(*) FROM result"))

    @property
    def differences(self) -> int:
        """How many records differ."""
        return int(self._tables.one(f"SELECT count(*) FROM result WHERE {_differing()}"))  # noqa: S608  our own names

    @property
    def exit_code(self) -> int:
        """0 when the books agree, 1 when they differ."""
        return 0 if self.agrees else 1

    def records(self, *, differing: bool = False) -> Iterator[Record]:
        """The records, differences by kind, then in the order of their days."""
        where = f" WHERE {_differing()}" if differing else ""
        names = [one.name for one in fields(Record)]
        for row in self._tables.rows(f"{_RECORDS}{where} ORDER BY seq"):
            yield Record(**{name: row[name] for name in names})

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready: the sums, and every record that differs."""
        return {
            "from": self.period.first.isoformat(),
            "to": self.period.last.isoformat(),
            "verdict": "agree" if self.agrees else "differ",
            "compared": self.compared,
            "differences": self.differences,
            "sums": [group.as_dict() for group in self.groups],
            "records": [record.as_dict() for record in self.records(differing=True)],
            "notes": list(self.notes),
            "exit_code": self.exit_code,
        }


def groups(tables: Tables) -> list[Group]:
    """The sums, kinds and statuses in their own order."""
    found = [Group(**row) for row in tables.rows(_GROUPS)]
    return sorted(
        found, key=lambda one: (KINDS.index(one.kind), one.currency, one.month, _place(one.status), one.cause)
    )


def require_closed(tables: Tables) -> None:
    """Hold the sums of what was judged against the sums of what was read.

    Raises:
        CompareError: They are not the same.
    """
    sides = ("source", "source_count", "books", "books_count")
    read: _Sums = {}
    judged: _Sums = {}
    for query, into in ((_READ, read), (_SUMS, judged)):
        for row in tables.rows(query):
            into[row["kind"], row["currency"], row["month"]] = tuple(row[side] or 0 for side in sides)
    read = {key: value for key, value in read.items() if any(value)}
    judged = {key: value if key[0] != "refund" else (*value[:2], 0, 0) for key, value in judged.items()}
    for key in sorted({*read, *judged}, key=str):
        if read.get(key) != judged.get(key):
            where = " ".join(str(part) for part in key if part)
            message = f"the sums do not close ({where}): read {read.get(key)}, judged {judged.get(key)}"
            raise CompareError(f"the books could not be compared: {message}; report this")


def _differing() -> str:
    return f"status IN ({', '.join(repr(status) for status in DIFFERENCES)})"


def _place(status: str) -> int:
    return [str(one) for one in STATUSES].index(status)


def _text(day: date | None) -> str | None:
    return None if day is None else day.isoformat()


def _amount(amount: Decimal | None, currency: str | None) -> str | None:
    return None if amount is None else plain(amount, currency)
