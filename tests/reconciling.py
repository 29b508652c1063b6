"""What the tests of reconciliation share: a shop with simple sales, a person at the books, and the comparison."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from connectors.freshbooks import FreshBooks
from sync.connections import open_freshbooks
from sync.reconcile.compare import reconciled
from sync.reconcile.period import Period
from sync.reconcile.report import Group, Record, Report
from sync.settings import Policies, ReconcileSettings, Settings
from sync.store import open_store
from tests.flows import Books, order

MARCH = Period(date(2026, 3, 1), date(2026, 3, 31))
APRIL = Period(date(2026, 4, 1), date(2026, 4, 30))


@dataclass(frozen=True)
class Outcome:
    """A comparison that is over."""

    exit_code: int
    records: list[Record]
    groups: list[Group]
    notes: tuple[str, ...]

    @property
    def differing(self) -> set[tuple[str, str, str, str, str]]:
        """Kind, record, status, what differs, cause."""
        return {
            (one.kind, one.record, one.status, one.differs, one.cause)
            for one in self.records
            if one.status not in ("agree", "left-out")
        }

    def of(self, kind: str, record: str) -> Record:
        (found,) = [one for one in self.records if (one.kind, one.record) == (kind, record)]
        return found

    def sums(self, kind: str = "invoice") -> dict[tuple[str, str, str, str], tuple[Decimal, Decimal]]:
        """By currency, month, status and cause: Clarity's and FreshBooks' sum."""
        return {
            (one.currency, one.month, one.status, one.cause): (one.source, one.books)
            for one in self.groups
            if one.kind == kind
        }


def sale(
    number: int, *, at: str = "2026-03-10T12:00:00-05:00", amount: str = "20.00", **changes: Any
) -> dict[str, Any]:
    """An order of one untaxed line, paid by card at the same moment."""
    currency = changes.pop("currency", "USD")
    plain = order()
    line = {**plain["lineItems"][0], "quantity": 1, "unitPrice": amount, "lineTotal": amount}
    line |= {"taxAmount": "0.00", "taxLines": [], "discountAmount": "0.00"}
    paid = {"id": f"p{number}", "transactionId": f"ch_{number}", "amount": amount, "currency": currency, "paidAt": at}
    customer = {**plain["customer"], "id": str(500 + number), "email": f"buyer.{number}@example.org"}
    return {
        **plain,
        "id": str(number),
        "orderNumber": f"WEB-{number}",
        "orderDate": at,
        "createdAt": at,
        "updatedAt": at,
        "currency": currency,
        "customer": customer,
        "lineItems": [line],
        "subtotal": amount,
        "taxTotal": "0.00",
        "taxLines": [],
        "total": amount,
        "payments": [{**plain["payments"][0], **paid}],
        **changes,
    }


@dataclass
class Shop:
    """A sandbox with sales in it, the runner's settings, and FreshBooks as a person uses it."""

    books: Books
    person: FreshBooks

    def put(self, *orders: dict[str, Any]) -> None:
        """Enter or change orders in Clarity, and their payments."""
        clarity = self.books.sandbox.state.clarity
        with self.books.sandbox.state.lock:
            for record in orders:
                clarity.put("orders", record, silent=True)
                for payment in (one for one in record["payments"] if one.get("id")):
                    entry = {**payment, "orderId": record["id"], "updatedAt": record["updatedAt"]}
                    clarity.put("payments", entry, silent=True)

    def put_refund(self, number: int, amount: str, *, at: str = "2026-03-20T09:00:00-05:00") -> None:
        refund = {"id": f"r{number}", "orderId": str(number), "amount": amount, "currency": "USD", "createdAt": at}
        with self.books.sandbox.state.lock:
            self.books.sandbox.state.clarity.put("refunds", {**refund, "updatedAt": at}, silent=True)

    def invoice(self, number: int) -> dict[str, Any]:
        (found,) = [row for row in self.books.table("invoice") if row["invoice_number"] == f"WEB-{number}"]
        return found

    def payment(self, number: int) -> dict[str, Any]:
        invoice_id = self.invoice(number)["id"]
        (found,) = [row for row in self.books.table("payment") if row["invoiceid"] == invoice_id]
        return found

    def settings(self, *, hand_made: str = "difference", policies: Policies | None = None) -> Settings:
        changes: dict[str, Any] = {"reconcile": ReconcileSettings(hand_made=hand_made)}  # type: ignore[arg-type]
        return self.books.settings.model_copy(update={**changes, **({"policies": policies} if policies else {})})

    def compare(self, period: Period = MARCH, **settings: Any) -> Outcome:
        with reconciled(self.settings(**settings), self.books.mappings, period) as found:
            report = Report(found)
            return Outcome(report.exit_code, list(report.records()), report.groups, report.notes)


@contextmanager
def opening(make_books: Callable[..., Books]) -> Iterator[Callable[..., Shop]]:
    """Makes empty shops (switches as keywords)."""
    with ExitStack() as stack:

        def make(**switches: Any) -> Shop:
            books = make_books(books={"with_clarity": True, "settle_s": 0.05, "http_timeout_s": 5.0}, **switches)
            person = open_freshbooks(books.settings, lambda: open_store("sqlite://"))  # a static token needs no store
            stack.callback(person.close)
            return Shop(books, person)

        yield make
