"""The Reconciliation tab of the Runs page, on a real comparison with the sandbox."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date

import pytest
from studio_app import Studio, press, shown

from mapper_ai.services import background
from mapper_ai.services.reconciliation import NotCompared, Reconciler, chart, records_table, sums_table
from mapper_ai.ui.parts.reconciling import task_of
from tests.flows import Books
from tests.reconciling import Shop, opening, sale


@pytest.fixture
def shop(make_books: Callable[..., Books], studio: Studio, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    """One posted sale; the app's environment points to it."""
    with opening(make_books) as make:
        found = make()
        found.put(sale(1))
        found.books.run()
        sandbox = found.books.sandbox
        environ = {
            **found.books.environ(),
            "MAPPER_HTTP_TIMEOUT_S": "5",
            "CLARITY_API_URL": sandbox.clarity_url,
            "CLARITY_CLIENT_ID": sandbox.client_id,
            "CLARITY_CLIENT_SECRET": sandbox.client_secret,
        }
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        yield found


def test_the_page_compares_and_keeps_the_result(shop: Shop, studio: Studio) -> None:
    shop.person.delete("payment", shop.payment(1)["id"])
    app = studio.page("runs", show="Reconciliation")
    assert "Not compared yet" in shown(app)
    app.date_input(key="reconcile-from").set_value(date(2026, 3, 1))
    app.date_input(key="reconcile-to").set_value(date(2026, 3, 31))
    press(app, "reconcile")
    assert background.wait(task_of(Reconciler(studio.root, studio.mappings)), 60).phase == "done"
    app.run()
    told = "The books differ, 2026-03-01 to 2026-03-31: 2 records differ."
    assert told in shown(app)
    assert "payment: deleted-in-freshbooks" in shown(app)
    again = studio.page("runs", show="Reconciliation")
    assert told in shown(again)
    assert again.date_input(key="reconcile-from").value == date(2026, 3, 1)


def test_what_cannot_be_compared_is_said_and_the_last_result_stays(
    shop: Shop, studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    reconciler = Reconciler(studio.root, studio.mappings)
    found = reconciler.compare(date(2026, 3, 1), date(2026, 3, 31))
    assert found["verdict"] == "agree"
    assert sums_table(found, "invoice")["Clarity"] == ["20.00"]
    assert records_table(found)["Record"] == []
    assert [bar["amount"] for bar in chart(found, "payment")["data"]["values"]] == [20.0, 20.0]
    monkeypatch.setenv("FRESHBOOKS_ACCESS_TOKEN", "wrong")
    with pytest.raises(NotCompared, match="the books could not be compared"):
        reconciler.compare(date(2026, 3, 1), date(2026, 3, 31))
    assert reconciler.last() == found
