"""A refused login pauses the work of its own connection alone, says so, and the work resumes by itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pydantic import SecretStr

from sync import signin
from sync.runner import RunReport, run
from sync.settings import Settings
from sync.status import read_status
from tests.flows import Books, envelope, order, reasons


@pytest.fixture
def shop(make_books: Callable[..., Books]) -> Books:
    return make_books(books={"with_clarity": True})


def with_secret(shop: Books, secret: str, **sign_in: Any) -> Settings:
    settings = shop.settings
    clarity = settings.clarity.model_copy(update={"client_secret": SecretStr(secret)})
    return settings.model_copy(
        update={"clarity": clarity, "sign_in": settings.sign_in.model_copy(update=sign_in), "http_timeout_s": 5.0}
    )


def run_with(shop: Books, settings: Settings, *envelopes: dict[str, Any]) -> RunReport:
    events = shop.file(envelopes) if envelopes else None
    return run(settings, shop.mappings, events=events, max_wait_s=5)


@pytest.mark.parametrize(
    ("grant", "state", "reason"),
    [("client_credentials", "stopped", "clarity-auth"), ("authorization_code", "reconnect", "clarity-reconnect")],
)
def test_only_what_needs_clarity_waits_for_clarity_s_login(shop: Books, grant: str, state: str, reason: str) -> None:
    hidden, told = order(id="1", orderNumber="WEB-1"), order(id="2", orderNumber="WEB-2", payments=None)
    told["paymentStatus"] = "unpaid"
    shop.sandbox.state.clarity.put("orders", hidden, silent=True)
    bare = {"id": "evt-1", "type": "order.created", "data": {"object": "order", "id": "1"}}
    refused = with_secret(shop, "not-the-secret", clarity_grant=grant)
    report = run_with(shop, refused, bare, envelope("order.created", told))
    assert [invoice["invoice_number"] for invoice in shop.table("invoice")] == ["WEB-2"]
    assert reasons(report) == {"order:1": reason}
    found = report.status["connections"]
    assert (found["clarity"]["state"], found["freshbooks"]["state"]) == (state, "ok")
    assert "not-the-secret" not in str(report.as_dict())
    assert report.exit_code == 1
    if grant == "authorization_code":
        assert "run 'mapper-sync auth login clarity'" in str(found["clarity"]["reason"])

    # Nothing is replayed by hand: a login that works wakes what waited for it.
    (later,) = report.status["waiting"]
    works = with_secret(shop, shop.sandbox.client_secret)
    signin.try_clarity(works)
    assert [line["due"] < later["due"] for line in read_status(works.store_url)["waiting"]] in ([], [True])
    report = run_with(shop, works)
    assert sorted(invoice["invoice_number"] for invoice in shop.table("invoice")) == ["WEB-1", "WEB-2"]
    assert reasons(report) == {}


def test_a_lost_pair_stops_freshbooks_and_names_the_mend(shop: Books) -> None:
    settings = with_secret(shop, shop.sandbox.client_secret)
    books = settings.freshbooks.model_copy(
        update={
            "access_token": None,
            "client_id": shop.sandbox.freshbooks_client_id,
            "client_secret": SecretStr(shop.sandbox.freshbooks_client_secret),
            "refresh_token": SecretStr("a-refresh-token-long-gone"),
        }
    )
    report = run_with(shop, settings.model_copy(update={"freshbooks": books}), envelope("order.created", order()))
    assert report.exit_code == 1
    assert report.stopped is not None
    assert report.stopped.startswith("reconnect FreshBooks: invalid_grant")
    assert report.stopped.endswith("run 'mapper-sync auth login freshbooks'")
    assert report.status["connections"]["freshbooks"]["state"] == "reconnect"
    assert report.status["inbox"]["pending"] > 0
    assert "a-refresh-token-long-gone" not in str(report.as_dict())
