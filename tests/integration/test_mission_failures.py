"""What goes wrong between a shop and its books: nothing lost, nothing twice, and always said."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

import pytest

from connectors import FreshBooks, StaticToken
from connectors.sandbox.faults import ScriptedFault
from sync.settings import Policies
from tests.flows import Books, envelope, order, reasons

CLIENT = {"email": "pavel.ibarra.40@example.org", "fname": "P", "lname": "I"}


def script(books: Books, kind: str, **how: Any) -> None:
    """The next matching request to FreshBooks meets this fault."""
    with books.sandbox.state.lock:
        books.sandbox.state.faults.script(ScriptedFault(kind, system="freshbooks", **how))


def by_hand(books: Books, entity: str, body: dict[str, Any]) -> dict[str, Any]:
    """Somebody else writes into FreshBooks."""
    sandbox = books.sandbox
    with FreshBooks(
        base_url=sandbox.freshbooks_url, account_id=sandbox.account_id, tokens=StaticToken(sandbox.access_token)
    ) as client:
        return client.create(entity, body)


def test_the_same_file_a_second_time_changes_nothing(books: Books) -> None:
    events = [envelope("order.created", order(name)) for name in ("plain-card", "two-taxes", "split-payment")]
    books.run(*events)
    before = len(books.writes())
    again = books.run(*events)
    assert again.ingested.duplicate == 3
    assert len(books.writes()) == before


def test_the_same_order_under_a_new_event_id_writes_nothing_new(books: Books) -> None:
    books.run(envelope("order.created", order()))
    before = len(books.writes())
    books.run(envelope("order.updated", order(), event_id="evt-other"))
    assert len(books.writes()) == before


def test_an_unknown_sku_is_a_free_text_line_and_is_listed(books: Books) -> None:
    report = books.run(envelope("order.created", order()))
    assert report.status["held"] == []
    assert [row["sku"] for row in report.status["unknown_skus"]] == ["FLT-CON-99"]


def test_two_clients_with_the_e_mail_are_never_chosen_between(books: Books) -> None:
    for _ in range(2):
        by_hand(books, "client", CLIENT)
    report = books.run(envelope("order.created", order()))
    assert reasons(report) == {"order:10066": "several-clients"}
    assert books.table("invoice") == []


def test_a_client_that_exists_in_another_spelling_is_adopted(books: Books) -> None:
    there = by_hand(books, "client", {**CLIENT, "email": "Pavel.Ibarra.40@Example.org"})
    books.run(envelope("order.created", order()))
    assert [row["id"] for row in books.table("client")] == [there["id"]]
    assert books.table("client")[0]["fname"] == "P"  # an order never overwrites a client
    assert books.table("invoice")[0]["customerid"] == there["id"]


def _hidden_from_the_first_look(books: Books) -> None:
    """A client that appears between look and create: the create's answer is refused or a second one is made."""
    state = books.sandbox.state
    freshbooks = state.freshbooks
    original = freshbooks.create

    def create(resource: Any, sent: Any) -> Any:
        freshbooks.create = original  # type: ignore[method-assign]
        original(resource, {**CLIENT})
        return original(resource, sent)

    freshbooks.create = create  # type: ignore[method-assign]


def test_a_duplicate_e_mail_that_freshbooks_refuses_is_found_and_linked(make_books: Callable[..., Books]) -> None:
    books = make_books(duplicate_email="refuse")
    _hidden_from_the_first_look(books)
    report = books.run(envelope("order.created", order()))
    assert report.status["held"] == []
    (client,) = books.table("client")
    assert books.table("invoice")[0]["customerid"] == client["id"]


def test_a_duplicate_e_mail_that_freshbooks_accepts_is_seen_and_held(make_books: Callable[..., Books]) -> None:
    books = make_books(duplicate_email="accept")
    _hidden_from_the_first_look(books)
    report = books.run(envelope("order.created", order()))
    assert reasons(report) == {"order:10066": "several-clients"}
    assert len(books.table("client")) == 2
    assert books.table("invoice") == []


def test_a_deleted_client_is_a_person_s_decision(books: Books) -> None:
    there = by_hand(books, "client", CLIENT)
    with books.sandbox.state.lock:
        books.sandbox.state.freshbooks.tables["client"][there["id"]]["vis_state"] = 1
    assert reasons(books.run(envelope("order.created", order()))) == {"order:10066": "client-deleted"}


@pytest.mark.parametrize("status", ["failed", "authorized", "voided"])
def test_a_payment_that_is_no_money_is_not_written_and_said(books: Books, status: str) -> None:
    record = order()
    record["payments"][0]["status"] = status
    failed = {**record["payments"][0], "orderId": record["id"], "updatedAt": "2026-03-02T22:00:00Z"}
    report = books.run(envelope("order.created", record), envelope("payment.failed", failed))
    assert len(books.table("invoice")) == 1
    assert books.table("payment") == []
    assert any(status in note["message"] for note in report.status["notes"])
    assert [line["reason"] for line in report.status["skipped"] if line["entity"] == "payment"] == [
        f"not posted: the payment's status is {status}"
    ]


@pytest.mark.parametrize("path", ["users/clients", "invoices/invoices$", "payments/payments"])
@pytest.mark.parametrize("fault", ["lost_answer", "cut_before", "server_error", "error_after"])
def test_an_unclear_answer_is_looked_up_and_never_written_twice(books: Books, fault: str, path: str) -> None:
    script(books, fault, method="POST", path=path)
    report = books.run(envelope("order.created", order()))
    assert report.status["held"] == []
    assert [len(books.table(name)) for name in ("client", "invoice", "payment")] == [1, 1, 1]
    assert books.table("invoice")[0]["payment_status"] == "paid"


def test_a_timeout_is_reconciled_not_resent(make_books: Callable[..., Books]) -> None:
    books = make_books(slow_s=1.0)
    script(books, "slow", method="POST", path="payments/payments")
    books.run(envelope("order.created", order()))
    assert len(books.table("payment")) == 1
    posts = [entry for entry in books.writes() if entry["method"] == "POST" and "payments" in entry["path"]]
    assert len(posts) == 1


@pytest.mark.parametrize("fault", ["lost_answer", "server_error"])
def test_marking_as_sent_survives_a_lost_answer(books: Books, fault: str) -> None:
    script(books, fault, method="PUT", path="invoices/invoices/")
    books.run(envelope("order.created", order()))
    assert books.table("invoice")[0]["payment_status"] == "paid"


def test_too_many_requests_are_waited_out(books: Books) -> None:
    script(books, "rate_limited", times=3)
    assert books.run(envelope("order.created", order())).status["held"] == []
    assert len(books.table("invoice")) == 1


def test_a_payment_in_doubt_goes_to_a_person_where_the_policy_says_so(make_books: Callable[..., Books]) -> None:
    books = make_books(books={"policies": Policies.model_validate({"payments": {"in_doubt": "person"}})})
    script(books, "cut_before", method="POST", path="payments/payments")
    assert reasons(books.run(envelope("order.created", order()))) == {"order:10066": "payment-in-doubt"}
    assert books.table("payment") == []


def test_a_lost_webhook_arrives_by_polling(make_books: Callable[..., Books]) -> None:
    books = make_books(books={"with_clarity": True})
    record = order()
    with books.sandbox.state.lock:
        books.sandbox.state.clarity.put("orders", record, silent=True)
    report = books.run()
    assert report.polled.new == 1
    assert [row["invoice_number"] for row in books.table("invoice")] == [record["orderNumber"]]
    assert len(books.table("payment")) == 1


def test_a_payment_before_its_order_waits_and_is_posted_once(books: Books) -> None:
    record = order()
    payment = {**record["payments"][0], "orderId": record["id"], "updatedAt": record["updatedAt"]}
    first = books.run(envelope("payment.captured", payment))
    assert [line["reason_id"] for line in first.status["waiting"]] == ["waits-for-order"]
    second = books.run(envelope("order.created", {**record, "payments": []}))
    assert second.status["waiting"] == []
    assert len(books.table("payment")) == 1
    books.run(envelope("order.updated", {**record, "updatedAt": "2026-03-09T00:00:00Z"}))
    assert len(books.table("payment")) == 1


def test_a_payment_before_its_order_fetches_the_order(make_books: Callable[..., Books]) -> None:
    books = make_books(books={"with_clarity": True})
    record = order()
    payment = {**record["payments"][0], "orderId": record["id"], "updatedAt": record["updatedAt"]}
    with books.sandbox.state.lock:
        books.sandbox.state.clarity.put("orders", record, silent=True)
    with books.sandbox.state.lock:
        books.sandbox.state.faults.script(ScriptedFault("server_error", system="clarity", path="orders\\?"))
    books.run(envelope("payment.captured", payment))
    assert len(books.table("invoice")) == 1
    assert len(books.table("payment")) == 1


def test_a_payment_of_a_held_order_is_held_with_it(books: Books) -> None:
    record = order("totals-do-not-add-up")
    payment = {
        "id": "77", "orderId": record["id"], "amount": "1.00", "currency": "USD", "status": "captured",
        "method": "card", "updatedAt": record["updatedAt"], "transactionId": "t77", "paidAt": record["updatedAt"],
    }  # fmt: skip
    report = books.run(envelope("payment.captured", payment), envelope("order.created", record))
    assert reasons(report) == {
        f"order:{record['id']}": "totals-do-not-add-up",
        "payment:77": "order-not-posted",
    }
    assert report.status["inbox"]["pending"] == 0


def test_more_money_than_the_invoice_is_held(books: Books) -> None:
    record = order()
    books.run(envelope("order.created", record))
    extra = {**record["payments"][0], "id": "999", "transactionId": "ch_other", "orderId": record["id"]}
    extra["updatedAt"] = "2026-03-09T00:00:00Z"
    report = books.run(envelope("payment.captured", extra))
    assert reasons(report) == {"payment:999": "overpaid"}
    assert len(books.table("payment")) == 1


def test_a_number_that_somebody_else_used_is_a_dead_letter(books: Books) -> None:
    client = by_hand(books, "client", {"email": "other@example.org"})
    line = {"name": "x", "qty": "1", "unit_cost": {"amount": "11.80", "code": "USD"}}
    body = {"customerid": client["id"], "create_date": "2026-03-01", "invoice_number": "WEB-26-10066", "lines": [line]}
    by_hand(books, "invoice", body)
    report = books.run(envelope("order.created", order()))
    assert reasons(report) == {"order:10066": "number-taken"}
    assert len(books.table("invoice")) == 1


def test_a_lost_ledger_adopts_what_is_there(books: Books) -> None:
    books.run(envelope("order.created", order()))
    for path in books.folder.glob("store.db*"):
        path.unlink()
    before = len(books.writes())
    report = books.run(envelope("order.created", order()))
    assert report.status["held"] == []
    assert len(books.writes()) == before


def test_an_order_edited_after_it_was_sent_waits_for_a_person(books: Books) -> None:
    record = order()
    books.run(envelope("order.created", record))
    before = len(books.writes())
    changed = {**record, "updatedAt": "2026-03-09T00:00:00Z", "notes": "other"}
    report = books.run(envelope("order.updated", changed))
    assert reasons(report) == {"order:10066": "edited-after-invoice"}
    assert "notes" in report.status["held"][0]["reason"]
    assert len(books.writes()) == before


def test_an_order_cancelled_after_its_invoice_waits_for_a_person(books: Books) -> None:
    record = order()
    books.run(envelope("order.created", record))
    gone = {**record, "updatedAt": "2026-03-09T00:00:00Z", "status": "Cancelled"}
    assert reasons(books.run(envelope("order.updated", gone))) == {"order:10066": "cancelled-after-invoice"}


@pytest.mark.parametrize(("action", "posted"), [("hold", 0), ("today", 1)])
def test_a_closed_period_is_not_written_into(make_books: Callable[..., Books], action: str, posted: int) -> None:
    policies = Policies(lock_date=date(2026, 4, 1), lock_date_action=action)  # type: ignore[arg-type]
    books = make_books(books={"policies": policies})
    books.run(envelope("order.created", order()))
    invoices = books.table("invoice")
    assert len(invoices) == posted
    assert all(str(row["create_date"]) >= "2026-04-01" for row in invoices)


def test_a_dry_run_shows_the_requests_and_writes_nothing(books: Books) -> None:
    report = books.run(envelope("order.created", order()), dry_run=True)
    assert books.writes() == []
    assert not (books.folder / "store.db").exists()
    shown = [(row["method"], row["path"].rsplit("/", 1)[-1]) for row in report.planned]
    assert [method for method, _ in shown] == ["POST", "POST", "PUT", "POST"]
    assert report.planned[1]["body"]["invoice"]["invoice_number"] == "WEB-26-10066"
    assert report.totals["sums"]["invoice"] == {"USD": "11.80"}
    real = books.run(envelope("order.created", order()))
    sent = books.writes()[0]["body"]["client"]
    assert real.exit_code == 0
    assert report.planned[0]["body"]["client"] == sent


def test_a_draft_that_does_not_agree_is_left_and_held_with_both_totals(make_books: Callable[..., Books]) -> None:
    books = make_books(unit_cost_places=0)  # the server silently rounds 5.45 to 5
    report = books.run(envelope("order.created", order()))
    assert reasons(report) == {"order:10066": "total-differs"}
    (line,) = report.status["held"]
    assert "10.83 USD" in line["reason"]
    assert "11.80 USD" in line["reason"]
    (invoice,) = books.table("invoice")
    assert invoice["status"] == 1
    assert books.table("payment") == []


def test_a_payment_without_id_in_the_order_and_with_one_in_its_event_is_posted_once(books: Books) -> None:
    record = order()
    payment = {**record["payments"][0], "amount": "5.00"}
    inside = {name: value for name, value in payment.items() if name != "id"}
    event = {**payment, "orderId": record["id"], "updatedAt": "2026-03-09T00:00:00Z"}
    report = books.run(envelope("order.created", {**record, "payments": [inside]}), envelope("payment.captured", event))
    assert report.status["held"] == []
    assert [row["amount"]["amount"] for row in books.table("payment")] == ["5.00"]
    assert report.status["ledger"]["sums"]["payment"] == {"USD": "5.00"}
