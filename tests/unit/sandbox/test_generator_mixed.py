"""Mixed orders: reproducible, of unique ids, a quarter of them with one defect, every total built up from its parts."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from connectors.sandbox.generator import Case, events, generate_mixed
from tests import oracle
from tests.books import APPROVED, mixed


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    return mixed(5, 400)


def test_equal_seeds_give_equal_orders_and_a_short_run_begins_a_long_one(cases: list[Case]) -> None:
    assert mixed(5, 400) == cases
    assert mixed(5, 90) == cases[:90]
    assert mixed(6, 90) != cases[:90]


def test_ids_and_numbers_are_unique(cases: list[Case]) -> None:
    assert len({str(case.order["id"]) for case in cases}) == len(cases)
    payments = [str(row["id"]) for case in cases for row in case.order["payments"] if "id" in row]
    assert len(set(payments)) == len(payments)
    assert len({event["id"] for event in events(cases)}) == len(events(cases))


def test_labels_are_what_the_oracle_reads_and_totals_what_it_builds_up(cases: list[Case]) -> None:
    for case in cases:
        assert oracle.hold_reasons(case.order, APPROVED) == ({case.reason} if case.reason else set()), case.tags
        if case.label == "post":
            assert oracle.expected_total(case.order) == Decimal(str(case.order["total"])), case.tags
            assert case.payments == oracle.expected_payments(case.order)


def test_about_a_quarter_is_held(cases: list[Case]) -> None:
    assert 80 < sum(case.label == "hold" for case in cases) < 140


def test_without_a_lock_date_no_order_is_before_it() -> None:
    assert all(case.reason != "closed-period" for case in generate_mixed(5, 300))
    assert any(case.reason == "closed-period" for case in generate_mixed(5, 300, lock_date=date(2026, 2, 1)))
