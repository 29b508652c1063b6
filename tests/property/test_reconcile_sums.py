"""Whatever both systems hold, every amount that was read stands in one sum, and nothing is counted twice."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sync.reconcile import judge
from sync.reconcile.compare import judge_all
from sync.reconcile.pairs import pair_invoices, pair_payments
from sync.reconcile.period import Period
from sync.reconcile.report import groups, require_closed
from sync.reconcile.tables import Tables

PERIOD = Period(date(2026, 3, 1), date(2026, 3, 31))

few = st.integers(1, 5).map(str)
maybe = st.none() | few
days = st.none() | st.integers(-40, 40).map(lambda days: date(2026, 3, 15) + timedelta(days=days))
amounts = st.none() | st.integers(-500, 90_000).map(lambda units: Decimal(units) / 100)
codes = st.sampled_from(["USD", "USD", "EUR", "JPY", None])
decisions = st.sampled_from(["go", "go", "go", "hold", "skip", "wait"])


def rows(unique: str, **members: Any) -> st.SearchStrategy[list[dict[str, Any]]]:
    shapes = st.fixed_dictionaries({"day": days, "currency": codes, "amount": amounts, **members})
    return st.lists(shapes, max_size=6, unique_by=lambda row: row[unique])


orders = rows(
    "id",
    id=few,
    number=maybe,
    decision=decisions,
    reason_id=st.just("a-reason"),
    test=st.booleans(),
    invoice_number=maybe,
    marker=maybe,
    ledger_key=few.map(lambda one: f"clarity:invoice:{one}"),
    client_key=maybe.map(lambda one: one and f"clarity:client:{one}"),
)
invoices = rows(
    "id",
    id=few,
    number=maybe,
    marker=maybe,
    paid=amounts,
    client_id=maybe,
    state=st.sampled_from(["live", "live", "draft", "deleted"]),
)
receipts = rows(
    "key",
    key=few.map(lambda one: f"clarity:payment:{one}"),
    id=few,
    record_key=few.map(lambda one: f"payment:{one}"),
    order_id=maybe,
    transaction=maybe,
    decision=decisions,
    reason_id=st.just("a-reason"),
    note=maybe,
)
postings = rows(
    "id", id=few, invoice_id=maybe, state=st.sampled_from(["live", "live", "deleted"]), note=maybe, credit=maybe
)
refunds = rows("id", id=few, order_id=maybe, ledger_key=few.map(lambda one: f"clarity:refund:{one}"))
entities = st.sampled_from(["invoice", "payment", "client", "refund"])
ledger = st.lists(
    st.tuples(
        entities,
        few,
        st.sampled_from([None, "1", "2"]),
        st.sampled_from(["confirmed", "doubt", "held", "refused"]),
        amounts,
    ),
    max_size=8,
    unique_by=lambda row: row[:2],
)
verdicts = st.lists(
    st.tuples(
        st.sampled_from(["order", "payment", "refund"]), few, st.sampled_from(["held", "dead", "done", "pending"])
    ),
    max_size=6,
    unique_by=lambda row: row[:2],
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(orders, invoices, receipts, postings, refunds, ledger, verdicts, st.booleans())
def test_the_sums_close(
    orders: Any, invoices: Any, receipts: Any, postings: Any, refunds: Any, ledger: Any, verdicts: Any, known: bool
) -> None:
    tables: dict[str, list[dict[str, Any]]] = {
        "orders": orders,
        "invoices": invoices,
        "receipts": receipts,
        "postings": postings,
        "refunds": refunds,
    }
    with Tables() as filled:
        for name, found in tables.items():
            for row in found:
                filled.add(name, {**row, "inside": PERIOD.has(row["day"])})
        for entity, key, remote_id, state, total in ledger:
            row = {"key": f"clarity:{entity}:{key}", "entity": entity, "remote_id": remote_id, "state": state}
            filled.add("ledger", {**row, "record_key": f"order:{key}", "total": total, "currency": "USD"})
        for entity, key, state in verdicts:
            filled.add("verdicts", {"record_key": f"{entity}:{key}", "state": state, "reason_id": "a-reason"})
        filled.flush()
        pair_invoices(filled)
        pair_payments(filled)
        judge_all(filled, judge.Rules(store_known=known))
        require_closed(filled)
        found = groups(filled)
        for kind, source, books in (("invoice", orders, invoices), ("payment", receipts, postings)):
            of_kind = [group for group in found if group.kind == kind]
            inside = [row for row in source if PERIOD.has(row["day"])]
            booked = [row for row in books if PERIOD.has(row["day"]) and row["state"] == "live"]
            assert sum(group.source_count for group in of_kind) == len(inside)
            assert sum(group.books_count for group in of_kind) == len(booked)
            assert sum((group.source for group in of_kind), Decimal(0)) == _sum(inside)
            assert sum((group.books for group in of_kind), Decimal(0)) == _sum(booked)
        assert {group.status for group in found} <= set(judge.STATUSES)
        for row in filled.rows("SELECT * FROM result WHERE status IN ('missing', 'different', 'extra')"):
            assert row["cause"], row


def test_two_ids_for_one_object_do_not_count_it_twice() -> None:
    with Tables() as filled:
        filled.add(
            "invoices",
            {"id": "1", "day": "2026-03-02", "currency": "USD", "amount": 5, "state": "live", "inside": True},
        )
        for key in ("clarity:invoice:a", "clarity:invoice:b"):
            filled.add("ledger", {"key": key, "entity": "invoice", "remote_id": "1", "record_key": "order:a"})
        filled.flush()
        judge_all(filled, judge.Rules())
        require_closed(filled)
        assert [(one.books_count, one.cause) for one in groups(filled)] == [(1, "order-gone")]


def _sum(rows: list[dict[str, Any]]) -> Decimal:
    return sum((row["amount"] or Decimal(0) for row in rows), Decimal(0))
