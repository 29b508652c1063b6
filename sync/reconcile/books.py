"""What is in the books: FreshBooks' invoices and payments of a period, deleted and archived ones marked.

Lists are read by date with a day to spare and compared again here, because a filter may be ignored. What an order or a
payment should have and the period does not hold is looked for by itself: it may be dated otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Any, Final

from connectors.errors import RejectedError
from connectors.freshbooks import DELETED, FreshBooks
from sync.invoices import is_draft
from sync.reconcile.period import Period
from sync.reconcile.source import first_line, to_day, to_decimal
from sync.reconcile.tables import Tables

ARCHIVED: Final = 2
LOOKED_UP_SINGLY: Final = 200
"""Up to so many missing ones are looked up one by one; for more, reading every page asks less."""

Row = Mapping[str, Any]


class BooksReader:
    """Reads FreshBooks page by page into the tables."""

    def __init__(self, tables: Tables, period: Period, freshbooks: FreshBooks) -> None:
        """Read nothing yet."""
        self._tables, self._period, self._freshbooks = tables, period, freshbooks

    def read(self) -> None:
        """The period's invoices and payments, and which clients are not active.

        Raises:
            ConnectorError: A list could not be read to its end.
        """
        near = {
            "date_min": (self._period.first - timedelta(days=1)).isoformat(),
            "date_max": (self._period.last + timedelta(days=2)).isoformat(),  # the upper bound does not count in
        }
        self._read("invoice", near, self._add_invoice)
        self._read("payment", near, self._add_posting)
        for vis_state, state in ((DELETED, "deleted"), (ARCHIVED, "archived")):
            for row in self._freshbooks.find("client", {}, vis_state=vis_state, complete=True):
                if row.get("vis_state") == vis_state:
                    self._tables.add("clients", {"id": row["id"], "state": state})
        self._tables.flush()

    def find_invoices(self, wanted: Iterable[tuple[str | None, str | None]]) -> None:
        """Look for invoices of any date, each by its id or number; ids go first."""
        missing = list(wanted)
        if len(missing) > LOOKED_UP_SINGLY:
            ids, numbers = {one[0] for one in missing}, {one[1] for one in missing}
            self._read(
                "invoice",
                {},
                lambda row: (
                    self._add_invoice(row)
                    if str(row["id"]) in ids or str(row.get("invoice_number")) in numbers
                    else None
                ),
            )
        else:
            for remote_id, number in missing:
                found = self._get("invoice", remote_id)
                rows = [found] if found is not None else self._freshbooks.find_invoices_by_number(number or "")
                for row in rows:
                    self._add_invoice(row)
        self._tables.flush()

    def find_postings(self, wanted: Iterable[tuple[str | None, str | None]]) -> None:
        """Look for payments of any date, each by its id or its invoice's id."""
        missing = list(wanted)
        if len(missing) > LOOKED_UP_SINGLY:
            ids, invoices = {one[0] for one in missing}, {one[1] for one in missing}
            self._read(
                "payment",
                {},
                lambda row: (
                    self._add_posting(row) if str(row["id"]) in ids or str(row.get("invoiceid")) in invoices else None
                ),
            )
        else:
            seen: set[str] = set()
            for remote_id, invoice_id in missing:
                found = self._get("payment", remote_id)
                if found is not None:
                    self._add_posting(found)
                elif invoice_id is not None and invoice_id not in seen:
                    seen.add(invoice_id)
                    self._read("payment", {"invoiceid": invoice_id}, self._adder_of(invoice_id))
        self._tables.flush()

    def _read(self, entity: str, filters: Mapping[str, str], add: Callable[[Row], None]) -> None:
        for row in self._freshbooks.find(entity, filters, complete=True):
            add(row)
        for row in self._freshbooks.find(entity, filters, vis_state=DELETED, complete=True):
            if row.get("vis_state") == DELETED:
                add(row)

    def _adder_of(self, invoice_id: str) -> Callable[[Row], None]:
        return lambda row: self._add_posting(row) if str(row.get("invoiceid")) == invoice_id else None

    def _get(self, entity: str, remote_id: str | None) -> Row | None:
        if remote_id is None:
            return None
        try:
            return self._freshbooks.get(entity, remote_id)
        except RejectedError as error:
            if error.status not in (404, 410):
                raise
            return None

    def _add_invoice(self, row: Row) -> None:
        day, deleted = to_day(row.get("create_date")), row.get("vis_state") == DELETED
        self._tables.add(
            "invoices",
            {
                "id": row["id"],
                "number": row.get("invoice_number"),
                "day": day,
                "currency": row.get("currency_code") or _code(row.get("amount")),
                "amount": _amount(row.get("amount")),
                "paid": _amount(row.get("paid")),
                "state": "deleted" if deleted else "draft" if is_draft(row) else "live",
                "client_id": row.get("customerid"),
                "marker": first_line(row.get("notes")) or None,
                "inside": self._period.has(day),
            },
        )

    def _add_posting(self, row: Row) -> None:
        day, deleted = to_day(row.get("date")), row.get("vis_state") == DELETED
        self._tables.add(
            "postings",
            {
                "id": row["id"],
                "invoice_id": row.get("invoiceid"),
                "day": day,
                "currency": _code(row.get("amount")),
                "amount": _amount(row.get("amount")),
                "state": "deleted" if deleted else "live",
                "note": row.get("note"),
                "credit": row.get("overpaymentid"),
                "inside": self._period.has(day),
            },
        )


def _amount(money: Any) -> Any:
    return to_decimal(money.get("amount")) if isinstance(money, Mapping) else None


def _code(money: Any) -> Any:
    return money.get("code") if isinstance(money, Mapping) else None
