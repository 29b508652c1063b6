"""The comparison of ``serve``: once a day, after its hour in the store's zone, and again after a failure."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from datetime import datetime, time
from typing import Any

import pytest

from sync.alerts import alerts
from sync.connections import open_clarity, open_freshbooks
from sync.flow import load_mappings
from sync.jobs import jobs_of
from sync.reconcile.daily import compare_when_due
from sync.settings import ReconcileSettings
from sync.store import open_store
from sync.worker import Context
from tests.flows import Books
from tests.reconciling import Shop, opening, sale


@pytest.fixture
def shop(make_books: Callable[..., Books]) -> Iterator[Shop]:
    with opening(make_books) as make:
        found = make()
        found.put(sale(1))
        found.books.run()
        yield found


@pytest.fixture
def at(shop: Shop) -> Iterator[Callable[[str], None]]:
    """Lets the job run at an instant."""
    settings = shop.books.settings.model_copy(update={"reconcile": ReconcileSettings(daily_at=time(3, 30))})
    store, clock = open_store(settings.store_url), [0.0]
    clarity, freshbooks = open_clarity(settings), open_freshbooks(settings, lambda: store)
    mappings = load_mappings(shop.books.mappings)
    given: dict[str, Any] = {"dry_run": False, "run_id": "test", "now": lambda: clock[0]}
    context = Context(settings, store, mappings, freshbooks, clarity, **given)
    assert "reconcile" in [job.name for job in jobs_of(context)]

    def run(moment: str) -> None:
        clock[0] = datetime.fromisoformat(moment).timestamp()
        assert compare_when_due(context) is False

    yield run
    assert [one.kind for one in alerts(store, only_open=False)] == ["books"]
    freshbooks.close()
    assert clarity is not None
    clarity.close()
    store.close()


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    found = [
        str(getattr(record, "problem", record.getMessage()))
        for record in caplog.records
        if record.name == "sync.reconcile.daily"
    ]
    caplog.clear()
    return found


def test_it_compares_once_a_day_and_tells_differences_and_their_end(
    shop: Shop, at: Callable[[str], None], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    at("2026-04-01T03:29:00+00:00")
    assert told(caplog) == []
    at("2026-04-01T03:31:00+00:00")
    assert told(caplog) == ["the books agree"]
    payment = shop.payment(1)["id"]
    shop.person.delete("payment", payment)
    at("2026-04-01T23:00:00+00:00")
    assert told(caplog) == []
    at("2026-04-02T04:00:00+00:00")
    expected = "2 records differ. See: mapper-sync reconcile --from 2026-02-26 --to 2026-04-01"
    assert told(caplog) == [expected]
    shop.person.update("payment", payment, {"vis_state": 0})
    at("2026-04-03T04:00:00+00:00")
    assert told(caplog) == ["the books agree"]


def test_a_failure_is_told_and_tried_again_after_an_hour(
    shop: Shop, at: Callable[[str], None], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    shop.books.sandbox.state.change_switches(fault_rates={"server_error": 1.0})
    at("2026-04-01T04:00:00+00:00")
    (line,) = told(caplog)
    assert line.startswith("the books could not be compared: ")
    shop.books.sandbox.state.change_switches(fault_rates={})
    at("2026-04-01T04:30:00+00:00")
    assert told(caplog) == []
    at("2026-04-01T05:01:00+00:00")
    assert told(caplog) == ["the books agree"]
