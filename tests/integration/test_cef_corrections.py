"""Corrections of what Clarity's framework changes after the invoice: void, deleted and edited orders, and returns."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from connectors.sandbox.generator_cef_more import return_of
from sync import proposals
from sync.store import open_store
from tests.flows import Books, reasons
from tests.framework import CefBooks, plain, put


class Desk(CefBooks):
    """The framework's books, and the person who decides about their corrections."""

    def decide(self, way: str | None = None) -> proposals.Proposal:
        with closing(open_store(self.settings.store_url)) as store:
            (one,) = proposals.listed(store)
            return proposals.accept(store, one.name, way=way, who="ana", now=1.0)

    def proposed(self) -> dict[str, proposals.Proposal]:
        with closing(open_store(self.settings.store_url)) as store:
            return {one.name: one for one in proposals.listed(store, None)}

    def tried(self) -> dict[str, str]:
        return reasons(self.run())

    def credited(self) -> list[Decimal]:
        return [Decimal(row["amount"]["amount"]) for row in self.table("credit_note")]

    def paid(self) -> Decimal:
        return Decimal(self.table("invoice")[0]["paid"]["amount"])


@pytest.fixture
def desk(make_books: Callable[..., Books], tmp_path: Path) -> Desk:
    return Desk(make_books().sandbox, tmp_path)


def sold(desk: Desk, **changes: Any) -> dict[str, Any]:
    """A posted order as the framework keeps it."""
    order = {**plain(), **changes}
    put(desk.sandbox, "SalesOrder", order)
    assert desk.tried() == {}
    return order


def changed(desk: Desk, order: dict[str, Any], **changes: Any) -> None:
    put(desk.sandbox, "SalesOrder", {**order, **changes, "Hash": None})


def with_fee(order: dict[str, Any], fee: int) -> dict[str, Any]:
    totals = order["Totals"]
    return {"Totals": {**totals, "Fees": totals["Fees"] + fee, "Total": totals["Total"] + fee}}


@pytest.mark.parametrize(
    "end", [{"StatusKey": "Void", "StatusName": "Void"}, {"Active": False}], ids=["void", "deleted"]
)
@pytest.mark.parametrize("way", ["credit_note", "archive"])
def test_an_order_that_ends_after_its_invoice_is_credited_or_archived(
    desk: Desk, end: dict[str, Any], way: str
) -> None:
    order = sold(desk, SalesOrderPayments=[])
    writes = len(desk.writes())
    changed(desk, order, **end)
    (held,) = desk.tried().values()
    assert held in ("cancelled-after-invoice", "deleted-after-invoice")
    assert len(desk.writes()) == writes
    desk.decide(way)
    assert desk.tried() == {}
    assert desk.credited() == ([order["Totals"]["Total"]] if way == "credit_note" else [])
    assert desk.table("invoice")[0]["vis_state"] == (0 if way == "credit_note" else 2)
    assert desk.tried() == {}
    assert len(desk.writes()) == writes + 1


@pytest.mark.parametrize(("fee", "way"), [(2, "change_invoice"), (-1, "credit_note")])
def test_an_order_that_changes_after_its_invoice_is_corrected_as_accepted(desk: Desk, fee: int, way: str) -> None:
    order = plain()
    order = sold(desk, SalesOrderPayments=[], **with_fee(order, 1))
    changed(desk, order, **with_fee(order, fee))
    assert desk.tried() == {f"order:{order['ID']}": "edited-after-invoice"}
    desk.decide(way)
    assert desk.tried() == {}
    total = order["Totals"]["Total"] + fee
    assert Decimal(desk.table("invoice")[0]["amount"]["amount"]) - sum(desk.credited()) == total


def test_an_order_that_comes_to_less_than_was_paid_is_credited(desk: Desk) -> None:
    order = plain()
    (relation,) = order["SalesOrderPayments"]
    paid = {**relation, "Slave": {**relation["Slave"], "Amount": order["Totals"]["Total"] + 1}}
    sold(desk, **with_fee(order, 1), SalesOrderPayments=[paid])
    changed(desk, order, SalesOrderPayments=[paid])
    assert desk.tried() == {f"order:{order['ID']}": "edited-after-invoice"}
    desk.decide("credit_note")
    assert desk.tried() == {}
    assert (desk.credited(), desk.paid()) == ([Decimal(1)], order["Totals"]["Total"] + 1)


def returned(desk: Desk, order: dict[str, Any], **changes: Any) -> str:
    """A return of the order; the record's key."""
    found = {**return_of(order), "RefundAmount": Decimal("2.00"), **changes}
    put(desk.sandbox, "SalesReturn", {name: value for name, value in found.items() if value is not None})
    return f"refund:{found['ID']}"


@pytest.mark.parametrize("way", ["credit_note", "lower_payment"])
def test_a_whole_return_is_proposed_and_booked_once(desk: Desk, way: str) -> None:
    order = sold(desk)
    total = order["Totals"]["Total"]
    name = returned(desk, order, RefundAmount=total)
    assert desk.tried() == {name: "refund-proposed"}
    assert (desk.credited(), desk.paid()) == ([], total)
    desk.decide(way)
    assert desk.tried() == {}
    assert (desk.credited(), desk.paid()) == (([total], total) if way == "credit_note" else ([], Decimal(0)))
    returned(desk, order, RefundAmount=total, StatusKey="Completed", Hash=77)
    assert desk.tried() == {}
    assert len(desk.credited()) == (1 if way == "credit_note" else 0)


def test_a_return_counts_from_the_moment_its_money_goes_back(desk: Desk) -> None:
    order = sold(desk)
    name = returned(desk, order, StatusKey="Confirmed")
    assert desk.tried() == {}
    assert desk.proposed() == {}
    returned(desk, order, StatusKey="Payment Sent", Hash=78)
    assert desk.tried() == {name: "refund-proposed"}


def test_a_return_of_more_than_was_paid_is_held(desk: Desk) -> None:
    order = sold(desk)
    name = returned(desk, order, RefundAmount=order["Totals"]["Total"] + 1)
    assert desk.tried() == {name: "refund-beyond-paid"}


def test_a_return_of_several_orders_is_for_a_person(desk: Desk) -> None:
    order = sold(desk)
    name = returned(desk, order, SalesOrderIDs=[order["ID"], 7])
    assert desk.tried() == {name: "several-orders"}


def test_a_return_finds_its_order_by_the_relation_rows_alone(desk: Desk) -> None:
    order = sold(desk)
    name = returned(desk, order, SalesOrderIDs=None)
    assert desk.tried() == {name: "refund-proposed"}


def test_a_return_before_its_order_waits_and_goes_on_by_itself(desk: Desk) -> None:
    order = plain()
    put(desk.sandbox, "SalesOrder", order)
    name = returned(desk, order)
    assert desk.tried() == {name: "refund-proposed"}
