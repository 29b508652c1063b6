"""What people and the shop change between two steps of ours: nothing is sent, paid or lost on what was true before."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from connectors import FreshBooks, StaticToken
from connectors.sandbox.faults import ScriptedFault
from sync.runner import run
from sync.settings import Policies
from tests.flows import Books, envelope, order, reasons

LATER = "2026-03-09T00:00:00Z"
LESS = {"lines": [{"name": "Agreed by phone", "qty": "1", "unit_cost": {"amount": "5.00", "code": "USD"}}]}


def by_hand(books: Books, body: dict[str, Any]) -> None:
    """What a person does to the one invoice."""
    sandbox, (invoice,) = books.sandbox, books.table("invoice")
    tokens = StaticToken(sandbox.access_token)
    with FreshBooks(base_url=sandbox.freshbooks_url, account_id=sandbox.account_id, tokens=tokens) as freshbooks:
        freshbooks.update("invoice", invoice["id"], body)


def left_as_draft(books: Books, record: dict[str, Any]) -> None:
    """An invoice that agrees and cannot be sent for the time being."""
    faults = books.sandbox.state.faults
    faults.script(ScriptedFault("server_error", system="freshbooks", method="PUT", path="invoices", times=50))
    run(books.settings, books.mappings, events=books.file([envelope("order.created", record)]), max_wait_s=0.3)
    faults.reset()
    assert [(row["status"], row["amount"]["amount"]) for row in books.table("invoice")] == [(1, "11.80")]


# --- drafts ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("body", "reason"), [(LESS, "total-differs"), ({"vis_state": 1}, "invoice-deleted")])
def test_a_draft_that_somebody_changed_before_it_was_sent_is_neither_sent_nor_paid(
    books: Books, body: dict[str, Any], reason: str
) -> None:
    left_as_draft(books, order())
    by_hand(books, body)
    report = books.run(envelope("order.updated", order(updatedAt=LATER)))
    assert reasons(report) == {"order:10066": reason}
    assert [row["status"] for row in books.table("invoice")] == [1]
    assert (books.table("payment"), books.table("credit_note")) == ([], [])


@pytest.mark.parametrize(("action", "changes"), [("hold", {}), ("today", {}), ("today", {"poNumber": "PO-9"})])
def test_a_draft_whose_period_was_closed_meanwhile_is_not_sent_into_it(
    books: Books, action: Any, changes: dict[str, Any]
) -> None:
    left_as_draft(books, order(payments=[]))
    books.policies = Policies(lock_date=date(2026, 4, 1), lock_date_action=action)
    report = books.run(envelope("order.updated", order(payments=[], updatedAt=LATER, **changes)))
    (invoice,) = books.table("invoice")
    if action == "hold":
        assert reasons(report) == {"order:10066": "closed-period"}
        assert invoice["status"] == 1
    else:
        assert reasons(report) == {}
        assert invoice["status"] == 2
        assert invoice["create_date"] >= "2026-04-01"
