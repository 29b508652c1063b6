"""FreshBooks' official Python SDK works unchanged against the stand-in."""

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from freshbooks import Client as FreshBooksClient
from freshbooks import FilterBuilder, FreshBooksError, IncludesBuilder, PaginateBuilder, VisState
from freshbooks.builders.sort import SortBuilder

from connectors.sandbox.server import Sandbox, running_sandbox

ACCOUNT = "SANDBOX"


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with running_sandbox() as running:
        yield running


@pytest.fixture
def sdk(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("FRESHBOOKS_API_URL", sandbox.freshbooks_url)
    return FreshBooksClient("any", access_token=sandbox.access_token, auto_retry=False)


def test_clients(sdk: Any) -> None:
    made = [
        sdk.clients.create(ACCOUNT, {"email": f"c{n}@shop.example", "organization": f"Org {n % 3}"}) for n in range(5)
    ]
    assert made[0].organization == "Org 0"
    found = sdk.clients.list(ACCOUNT, builders=[FilterBuilder().equals("email", "c3@shop.example")])
    assert [client.userid for client in found] == [made[3].id]
    assert len(sdk.clients.list(ACCOUNT, builders=[FilterBuilder().like("email_like", "@shop")])) == 5
    wanted = [made[0].id, made[4].id]
    assert len(sdk.clients.list(ACCOUNT, builders=[FilterBuilder().in_list("userids", wanted)])) == 2

    second = sdk.clients.list(ACCOUNT, builders=[PaginateBuilder(2, 2)])
    assert [client.id for client in second] == [made[2].id, made[3].id]
    assert (second.pages.page, second.pages.pages, second.pages.per_page, second.pages.total) == (2, 3, 2, 5)
    by_mail = sdk.clients.list(ACCOUNT, builders=[SortBuilder().descending("email")])
    assert by_mail[0].email == "c4@shop.example"

    changed = sdk.clients.update(ACCOUNT, made[0].id, {"fname": "Ana"})
    assert (changed.fname, changed.email) == ("Ana", "c0@shop.example")
    sdk.clients.delete(ACCOUNT, made[0].id)
    assert len(sdk.clients.list(ACCOUNT)) == 4
    assert sdk.clients.get(ACCOUNT, made[0].id).vis_state == VisState.DELETED
    balances = IncludesBuilder().include("outstanding_balance")
    assert sdk.clients.get(ACCOUNT, made[1].id, includes=balances).data["outstanding_balance"] == []


def test_invoices_with_lines_and_payments(sdk: Any) -> None:
    client = sdk.clients.create(ACCOUNT, {"fname": "Ann", "lname": "Lee", "organization": "Lee Ltd"})
    body = {
        "customerid": client.id,
        "create_date": date(2026, 1, 31).isoformat(),
        "due_offset_days": 30,
        "invoice_number": "C-1001",
        "lines": [
            {
                "name": "Mug",
                "qty": 2,
                "unit_cost": {"amount": "9.50", "code": "USD"},
                "taxName1": "Sales tax",
                "taxAmount1": "8.25",
            },
            {"name": "Shipping", "qty": 1, "unit_cost": {"amount": "4.00", "code": "USD"}},
        ],
    }
    lines = IncludesBuilder().include("lines")
    invoice = sdk.invoices.create(ACCOUNT, body, includes=lines)
    assert [line["name"] for line in invoice.data["lines"]] == ["Mug", "Shipping"]
    assert invoice.data["amount"] == {"amount": "24.57", "code": "USD"}
    assert invoice.data["due_date"] == "2026-03-02"
    assert "lines" not in sdk.invoices.get(ACCOUNT, invoice.id).data
    assert len(sdk.invoices.get(ACCOUNT, invoice.id, includes=lines).data["lines"]) == 2

    sent = sdk.invoices.update(ACCOUNT, invoice.id, {"action_mark_as_sent": True})
    assert (sent.status, sent.data["v3_status"]) == (2, "overdue")
    payment = sdk.payments.create(
        ACCOUNT,
        {
            "invoiceid": invoice.id,
            "amount": {"amount": "24.57", "code": "USD"},
            "date": "2026-01-31",
            "type": "Credit Card",
            "note": "clarity:pay_77",
        },
    )
    assert sdk.invoices.get(ACCOUNT, invoice.id).data["v3_status"] == "paid"
    noted = sdk.payments.list(ACCOUNT, builders=[FilterBuilder().like("notes", "pay_77")])
    assert [found.id for found in noted] == [payment.id]
    assert sdk.payments.get(ACCOUNT, payment.id).data["amount"]["amount"] == "24.57"
    assert sdk.payments.update(ACCOUNT, payment.id, {"note": "moved"}).note == "moved"
    sdk.payments.delete(ACCOUNT, payment.id)
    assert sdk.invoices.get(ACCOUNT, invoice.id).data["outstanding"]["amount"] == "24.57"

    numbered = FilterBuilder().equals("invoice_number", "C-1001")
    assert len(sdk.invoices.list(ACCOUNT, builders=[numbered, PaginateBuilder(1, 10)])) == 1
    within = FilterBuilder().between("date", "2026-01-31", "2026-02-01")
    assert len(sdk.invoices.list(ACCOUNT, builders=[within])) == 1
    sdk.invoices.delete(ACCOUNT, invoice.id)
    assert len(sdk.invoices.list(ACCOUNT)) == 0
    assert sdk.invoices.get(ACCOUNT, invoice.id).vis_state == VisState.DELETED


def test_items_taxes_and_other_income(sdk: Any) -> None:
    tax = sdk.taxes.create(ACCOUNT, {"name": "Sales tax", "amount": "8.250", "number": "RT 1"})
    assert (tax.taxid, tax.data["amount"], tax.compound) == (tax.id, "8.25", False)
    item = sdk.items.create(
        ACCOUNT,
        {
            "name": "Mug",
            "sku": "M1",
            "qty": 1,
            "unit_cost": {"amount": "9.5", "code": "USD"},
            "tax1": tax.id,
        },
    )
    assert (item.data["unit_cost"], item.qty) == ({"amount": "9.50", "code": "USD"}, "1")
    assert len(sdk.items.list(ACCOUNT, builders=[FilterBuilder().equals("sku", "M1")])) == 1
    assert len(sdk.items.list(ACCOUNT, builders=[FilterBuilder().equals("sku", "m1")])) == 0
    assert sdk.items.update(ACCOUNT, item.id, {"name": "Cup"}).data["sku"] == "M1"
    sdk.items.delete(ACCOUNT, item.id)
    assert len(sdk.items.list(ACCOUNT)) == 0
    assert sdk.items.get(ACCOUNT, item.id).vis_state == VisState.DELETED

    assert sdk.taxes.update(ACCOUNT, tax.id, {"name": "TX"}).data["amount"] == "8.25"
    assert len(sdk.taxes.list(ACCOUNT, builders=[FilterBuilder().like("name", "t")])) == 1
    sdk.taxes.delete(ACCOUNT, tax.id)
    with pytest.raises(FreshBooksError) as gone:
        sdk.taxes.get(ACCOUNT, tax.id)
    assert (gone.value.status_code, gone.value.error_code) == (404, 1012)

    income = sdk.other_income.create(
        ACCOUNT, {"amount": {"amount": Decimal(5).to_eng_string(), "code": "USD"}, "date": "2026-01-31"}
    )
    assert len(sdk.other_income.list(ACCOUNT)) == 1
    sdk.other_income.delete(ACCOUNT, income.incomeid)
    assert len(sdk.other_income.list(ACCOUNT)) == 0


def test_errors_reach_the_sdk_in_the_shape_it_reads(sdk: Any) -> None:
    with pytest.raises(FreshBooksError) as unknown:
        sdk.clients.get(ACCOUNT, 12345)
    assert str(unknown.value) == "Client not found."
    assert (unknown.value.status_code, unknown.value.error_code) == (404, 1012)
    with pytest.raises(FreshBooksError) as missing:
        sdk.invoices.create(ACCOUNT, {"create_date": "2026-01-31"})
    assert str(missing.value) == "'customerid' is a required field."


def test_login_refresh_and_identity(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRESHBOOKS_API_URL", sandbox.freshbooks_url)
    back = "https://tool.example/back"
    client = FreshBooksClient(
        sandbox.freshbooks_client_id, client_secret=sandbox.freshbooks_client_secret, redirect_uri=back
    )
    with sandbox.state.lock:
        code = sandbox.state.oauth.new_code(back)
    first = client.get_access_token(code)
    second = client.refresh_access_token()
    assert second.refresh_token != first.refresh_token
    with pytest.raises(FreshBooksError):
        client.refresh_access_token(first.refresh_token)
    identity = client.current_user()
    assert identity.data["business_memberships"][0]["business"]["account_id"] == ACCOUNT


def test_business_settings_are_read_only(sdk: Any) -> None:
    settings = sdk.systems.get(ACCOUNT, 4711)
    assert (settings.data["currency_code"], settings.data["accountid"]) == ("USD", ACCOUNT)
    with pytest.raises(FreshBooksError) as unknown:
        sdk.systems.get(ACCOUNT, 4712)
    assert (unknown.value.status_code, unknown.value.error_code) == (404, 1012)


def test_the_sdk_cannot_read_the_new_error_shape(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRESHBOOKS_API_URL", sandbox.freshbooks_url)
    dated = FreshBooksClient("any", access_token=sandbox.access_token, api_version="2023-02-20", auto_retry=False)
    with pytest.raises(FreshBooksError) as unread:
        dated.clients.get(ACCOUNT, 12345)
    assert (str(unread.value), unread.value.error_code) == ("Unknown error", None)
