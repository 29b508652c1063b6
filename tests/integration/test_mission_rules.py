"""The five transformations the mission names, each proved on what FreshBooks holds afterwards."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import pytest

from mapspec import CompiledSpec, Draft
from sync import flow, inbox
from sync.worker import Context
from tests.flows import Books, envelope, order


def post(books: Books, **changes: object) -> dict[str, object]:
    """Post one order and give its invoice as FreshBooks holds it."""
    report = books.run(envelope("order.created", order(**changes)))
    assert report.status["held"] == []
    (invoice,) = books.table("invoice")
    return invoice


@pytest.mark.parametrize(
    ("order_date", "issue_date"),
    [
        ("2026-03-02T16:15:48-05:00", "2026-03-02"),
        ("2026-03-02T23:59:59-05:00", "2026-03-02"),  # already the next day in UTC
        ("2026-03-03T00:00:01+09:00", "2026-03-03"),  # still the day before in UTC
        ("2026-03-31", "2026-03-31"),
    ],
)
def test_order_date_becomes_the_issue_date_of_the_store_s_day(books: Books, order_date: str, issue_date: str) -> None:
    assert post(books, orderDate=order_date)["create_date"] == issue_date


def test_line_items_become_lines_and_skus_are_looked_up_among_the_items(books: Books) -> None:
    record = order()
    line = record["lineItems"][0]
    with books.sandbox.state.lock:
        sent = {"name": "Filters", "sku": line["sku"].lower(), "unit_cost": {"amount": "5.45", "code": "USD"}}
    known = _make_item(books, sent)
    second = {**line, "id": "2", "sku": "NO-SUCH-SKU", "taxAmount": "0.00", "taxLines": [], "lineTotal": "10.90"}
    record["lineItems"].append(second)
    record["subtotal"] = "21.80"
    record["total"] = "22.70"
    record["payments"] = []
    report = books.run(envelope("order.created", record))
    (invoice,) = books.table("invoice")
    first, other = invoice["lines"]
    assert (first["name"], Decimal(first["qty"]), first["unit_cost"]["amount"]) == ("Cone filters", 2, "5.45")
    assert "SKU FLT-CON-99" in first["description"]
    assert (first["taxName1"], Decimal(first["taxAmount1"])) == ("TX sales tax", Decimal("8.25"))
    assert "SKU NO-SUCH-SKU" in other["description"]
    assert [row["sku"] for row in report.status["unknown_skus"]] == ["NO-SUCH-SKU"]
    assert known["sku"] != "NO-SUCH-SKU"


def _make_item(books: Books, item: dict[str, object]) -> dict[str, object]:
    from connectors import FreshBooks, StaticToken

    sandbox = books.sandbox
    with FreshBooks(
        base_url=sandbox.freshbooks_url, account_id=sandbox.account_id, tokens=StaticToken(sandbox.access_token)
    ) as client:
        return client.create("item", item)


def test_first_name_last_name_and_email_become_the_client(books: Books) -> None:
    post(books)
    (client,) = books.table("client")
    assert (client["fname"], client["lname"], client["email"]) == ("Pavel", "Ibarra", "pavel.ibarra.40@example.org")
    assert (client["p_city"], client["p_country"]) == ("Austin", "United States")
    assert (client["allow_late_fees"], client["allow_late_notifications"]) == (False, False)


def test_the_transaction_id_reaches_the_payment_and_is_searchable(books: Books) -> None:
    record = order()
    post(books)
    (payment,) = books.table("payment")
    transaction = record["payments"][0]["transactionId"]
    assert payment["amount"] == {"amount": "11.80", "code": "USD"}
    assert transaction in payment["note"]
    assert f"Clarity payment {record['payments'][0]['id']}" in payment["note"]


@pytest.mark.parametrize(
    ("terms", "days", "due"),
    [
        ("Net 30", 30, "2026-04-01"),
        ("net 15", 15, "2026-03-17"),
        ("Due on receipt", 0, "2026-03-02"),
        (None, 0, "2026-03-02"),
        ("as agreed", 0, "2026-03-02"),
    ],
)
def test_the_due_date_is_computed_from_the_payment_terms(books: Books, terms: str | None, days: int, due: str) -> None:
    invoice = post(books, paymentTerms=terms)
    assert (invoice["due_offset_days"], str(invoice["due_date"])) == (days, due)


def test_an_invoice_is_sent_and_then_paid_and_carries_both_markers(books: Books) -> None:
    invoice = post(books)
    assert invoice["invoice_number"] == "WEB-26-10066"
    assert str(invoice["notes"]).splitlines()[0] == "Order WEB-26-10066"
    assert (invoice["payment_status"], invoice["outstanding"]["amount"]) == ("paid", "0.00")
    kinds = [(entry["method"], entry["path"].rsplit("/", 2)[-1]) for entry in books.writes()]
    assert [method for method, _ in kinds] == ["POST", "POST", "PUT", "POST"]  # client, invoice, mark sent, payment


@pytest.mark.parametrize("rounding", ["line", "tax", "total", "half_even_line"])
def test_the_server_s_total_is_the_order_s_under_every_rounding(
    make_books: Callable[..., Books], rounding: str
) -> None:
    books = make_books(rounding=rounding)
    names = ("prices-include-tax", "two-taxes", "order-discount", "long-unit-price", "currency-jpy", "split-payment")
    records = [order(name) for name in names]
    report = books.run(*(envelope("order.created", record) for record in records))
    assert report.status["held"] == []
    totals = {row["invoice_number"]: Decimal(row["amount"]["amount"]) for row in books.table("invoice")}
    assert totals == {record["orderNumber"]: Decimal(str(record["total"])) for record in records}


def test_a_customer_update_changes_the_client_and_never_blanks_it(books: Books) -> None:
    customer = {
        "id": "540", "updatedAt": "2026-03-05T10:00:00Z", "email": "Pavel.Ibarra.40@example.org ",
        "firstName": "Pavlo", "lastName": "", "company": "Ibarra Ltd", "phone": None,
    }  # fmt: skip
    post(books)
    books.run(envelope("customer.updated", customer))
    (client,) = books.table("client")
    assert (client["fname"], client["lname"], client["organization"]) == ("Pavlo", "Ibarra", "Ibarra Ltd")
    older = {**customer, "updatedAt": "2026-03-04T10:00:00Z", "firstName": "Old"}
    books.run(envelope("customer.updated", older))
    assert books.table("client")[0]["fname"] == "Pavlo"


def test_a_change_that_comes_in_while_the_one_before_is_mapped_is_not_taken_for_done(
    books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    customer = {"id": "7", "updatedAt": "2026-03-05T10:00:00Z", "email": "a@example.org", "firstName": "Ann"}
    later = {**customer, "updatedAt": "2026-03-06T10:00:00Z", "firstName": "Anne"}
    maps, come_in = flow._mapped, []

    def mapped(payload: Mapping[str, Any], context: Context, compiled: CompiledSpec) -> Draft:
        if not come_in:
            come_in.append(envelope("customer.updated", later))
            inbox.ingest(context.store, come_in, source="test", now=context.now())
        return maps(payload, context, compiled)

    monkeypatch.setattr(flow, "_mapped", mapped)
    books.run(envelope("customer.updated", customer))
    assert books.table("client")[0]["fname"] == "Anne"


def test_a_person_s_change_in_freshbooks_wins_until_somebody_decides(books: Books) -> None:
    customer = {"id": "7", "updatedAt": "2026-03-05T10:00:00Z", "email": "a@example.org", "firstName": "Ann"}
    books.run(envelope("customer.updated", customer))
    with books.sandbox.state.lock:
        next(iter(books.sandbox.state.freshbooks.tables["client"].values()))["fname"] = "Anna-Maria"
    later = {**customer, "updatedAt": "2026-03-06T10:00:00Z", "firstName": "Anne"}
    report = books.run(envelope("customer.updated", later))
    assert [line["reason_id"] for line in report.status["held"]] == ["changed-in-freshbooks"]
    assert books.table("client")[0]["fname"] == "Anna-Maria"


def test_a_product_becomes_an_item_and_its_price_follows(books: Books) -> None:
    product = {
        "id": "1", "sku": "AB-1", "name": "<b>Mug</b>", "price": "9.50", "currency": "USD", "active": True,
        "updatedAt": "2026-03-05T10:00:00Z",
    }  # fmt: skip
    books.run(envelope("product.created", product))
    books.run(envelope("product.updated", {**product, "price": "9.90", "updatedAt": "2026-03-06T10:00:00Z"}))
    (item,) = books.table("item")
    assert (item["name"], item["sku"], item["unit_cost"]) == ("Mug", "AB-1", {"amount": "9.90", "code": "USD"})


def test_an_order_with_a_customer_id_only_gets_the_customer_that_is_known(books: Books) -> None:
    record = order(customerId="540", customer=None)
    customer = {"id": "540", "updatedAt": "2026-03-01T10:00:00Z", "email": "a@example.org", "firstName": "Ann"}
    report = books.run(envelope("customer.updated", customer), envelope("order.created", record))
    assert report.status["held"] == []
    (client,) = books.table("client")
    assert books.table("invoice")[0]["customerid"] == client["id"]


def test_guests_without_an_e_mail_share_the_guest_sales_client_and_leave_no_name_there(books: Books) -> None:
    first = order("guest-without-email")
    second = {**order("guest-without-email"), "id": "777", "orderNumber": "WEB-777", "payments": []}
    report = books.run(envelope("order.created", first), envelope("order.created", second))
    assert report.status["held"] == []
    (client,) = books.table("client")
    assert client["organization"].startswith("Guest sales")
    assert not any(client[name] for name in ("fname", "lname", "email", "p_street", "bus_phone"))
    assert {row["customerid"] for row in books.table("invoice")} == {client["id"]}
