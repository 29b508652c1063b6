"""The books of a store of Clarity's framework compared: agreement after a run, and what was tampered with by name."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from connectors.freshbooks import FreshBooks
from connectors.sandbox.server import running_sandbox
from sync.connections import open_freshbooks
from sync.reconcile.compare import reconciled
from sync.reconcile.report import Report
from sync.store import open_store
from tests.framework import CefBooks, plain, put
from tests.reconciling import MARCH, Outcome

DAY = "2026-03-20T10:00:00"


def sale(number: int) -> dict[str, Any]:
    """An order of its own, paid by card."""
    order = plain()
    relation = order["SalesOrderPayments"][0]
    slave = {**relation["Slave"], "ID": 900 + number, "TransactionNumber": f"ch_{number}"}
    row = {**relation, "ID": 900 + number, "MasterID": number, "SlaveID": 900 + number, "Slave": slave}
    return {**order, "ID": number, "CustomKey": f"WEB-{number}", "SalesOrderPayments": [row], "Hash": None}


class Shop:
    """Sales of March, posted, and FreshBooks as a person uses it."""

    def __init__(self, books: CefBooks, person: FreshBooks) -> None:
        self.books, self.person = books, person
        self.orders = {number: sale(number) for number in range(1, 8)}
        self.ids = list(self.orders)
        for order in self.orders.values():
            self.enter(order)
        assert self.books.run().problems == []

    def enter(self, order: dict[str, Any]) -> None:
        """An order with its payments, which also stand in lists of their own."""
        put(self.books.sandbox, "SalesOrder", order)
        for row in order.get("SalesOrderPayments", ()):
            put(self.books.sandbox, "Payment", row["Slave"])
            put(self.books.sandbox, "SalesOrderPayment", {key: row[key] for key in row if key != "Slave"})

    def change(self, number: int, **members: Any) -> None:
        """Change an order, by its place among the sales."""
        order = self.orders[self.ids[number]]
        put(self.books.sandbox, "SalesOrder", {**order, "UpdatedDate": DAY, "Hash": None, **members})

    def invoice(self, number: int) -> dict[str, Any]:
        wanted = self.orders[self.ids[number]]["CustomKey"]
        (found,) = [row for row in self.books.table("invoice") if row["invoice_number"] == wanted]
        return found

    def payment(self, number: int) -> dict[str, Any]:
        (found,) = [row for row in self.books.table("payment") if row["invoiceid"] == self.invoice(number)["id"]]
        return found

    def refund(self, number: int, **members: Any) -> None:
        one = {"ID": 500 + number, "SalesOrderIDs": [self.ids[number]], "RefundAmount": Decimal("1.00")}
        put(self.books.sandbox, "SalesReturn", {**one, "CreatedDate": DAY, "StatusKey": "Completed", **members})

    def compare(self) -> Outcome:
        with reconciled(self.books.settings, self.books.mappings, MARCH) as found:
            report = Report(found)
            return Outcome(report.exit_code, list(report.records()), report.groups, report.notes)


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    with running_sandbox() as sandbox:
        books = CefBooks(sandbox, tmp_path, http_timeout_s=5.0)
        person = open_freshbooks(books.settings, lambda: open_store("sqlite://"))
        yield Shop(books, person)
        person.close()


def deleted_in_clarity(shop: Shop, number: int) -> None:
    with shop.books.sandbox.state.lock:
        shop.books.sandbox.state.cef.deactivate("SalesOrder", str(shop.ids[number]))


def raised_under_the_same_time(shop: Shop, number: int) -> None:
    order = shop.orders[shop.ids[number]]
    totals = {**order["Totals"], "Fees": order["Totals"]["Fees"] + 3, "Total": order["Totals"]["Total"] + 3}
    shop.change(number, UpdatedDate=order["UpdatedDate"], Totals=totals)


def payment_deleted(shop: Shop, number: int) -> None:
    shop.person.delete("payment", shop.payment(number)["id"])


def invoice_deleted(shop: Shop, number: int) -> None:
    payment_deleted(shop, number)
    shop.person.delete("invoice", shop.invoice(number)["id"])


def refunded(shop: Shop, number: int) -> None:
    shop.refund(number)


TAMPERED: list[tuple[Callable[[Shop, int], None], list[tuple[str, str, str, str]]]] = [
    (deleted_in_clarity, [("invoice", "extra", "", "deleted-after-invoice")]),
    (raised_under_the_same_time, [("invoice", "different", "total", "edited-after-invoice")]),
    (
        payment_deleted,
        [
            ("invoice", "different", "paid", "payment: deleted-in-freshbooks"),
            ("payment", "missing", "", "deleted-in-freshbooks"),
        ],
    ),
    (
        invoice_deleted,
        [
            ("invoice", "missing", "", "deleted-in-freshbooks"),
            ("payment", "missing", "", "order: deleted-in-freshbooks"),
        ],
    ),
    (refunded, [("refund", "missing", "", "refund-not-booked")]),
]


def test_what_was_tampered_with_is_named_and_nothing_else(shop: Shop) -> None:
    before = shop.compare()
    assert (before.exit_code, before.differing, before.notes) == (0, set(), ())
    assert len(shop.ids) == len([one for one in before.records if (one.kind, one.status) == ("invoice", "agree")])
    expected = set()
    for number, (tamper, found) in enumerate(TAMPERED):
        paid = shop.orders[shop.ids[number]]["SalesOrderPayments"][0]["Slave"]["ID"]
        names = {"invoice": str(shop.ids[number]), "payment": str(paid), "refund": str(500 + number)}
        expected |= {(kind, names[kind], *rest) for kind, *rest in found}
        tamper(shop, number)
    outcome = shop.compare()
    assert outcome.differing == expected
    assert outcome.exit_code == 1


def test_a_return_counts_only_when_the_money_has_gone_back(shop: Shop) -> None:
    shop.refund(0, StatusKey="Pending")
    shop.refund(1, StatusKey="Void")
    shop.refund(2, Active=False)
    assert shop.compare().exit_code == 0
    shop.refund(3, StatusKey="Payment Sent")
    assert {row[0:2] for row in shop.compare().differing} == {("refund", "503")}


def test_children_of_a_split_checkout_are_no_orders_that_are_missing(shop: Shop) -> None:
    order = shop.orders[shop.ids[0]]
    child = {**order, "ID": 77, "CustomKey": f"{order['CustomKey']}-1", "TypeKey": "Sales Order Child"}
    put(shop.books.sandbox, "SalesOrder", {**child, "SalesOrderPayments": [], "SalesGroupAsSubID": 9})
    assert shop.compare().exit_code == 0


def test_an_order_that_cannot_be_read_leaves_no_verdict(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Through the command: 0 before, 4 while a record is refused under a success status, and the sums as JSON."""
    from sync.__main__ import main

    config = shop.books.folder / "mapper.toml"
    config.write_text('[systems.clarity-cef.settings]\nA21 = "America/New_York"\nA10 = "none"\n', encoding="utf-8")
    for name, value in {
        **shop.books.environ(),
        "MAPPER_CONFIG": str(config),
        "CLARITY_FLAVOUR": "cef",
        "CLARITY_API_URL": shop.books.sandbox.cef_url,
        "CLARITY_CLIENT_ID": shop.books.sandbox.cef_user_name,
        "CLARITY_CLIENT_SECRET": shop.books.sandbox.cef_password,
    }.items():
        monkeypatch.setenv(name, value)
    command = ["reconcile", "--from", "2026-03-01", "--to", "2026-03-31", "--mappings", str(shop.books.mappings)]
    assert main([*command, "--json"]) == 0
    told = json.loads(capsys.readouterr().out, parse_float=Decimal)
    assert (told["verdict"], told["records"], told["compared"]) == ("agree", [], 14)
    shop.books.sandbox.state.cef.failures = ["ERROR! The pool is not ready"]
    assert main(command) == 4
    assert "could not be compared" in capsys.readouterr().err
