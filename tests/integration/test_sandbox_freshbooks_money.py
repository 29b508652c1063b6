"""Invoices, payments and what follows from them at the FreshBooks stand-in, over HTTP."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.freshbooks_api import Api, line, serving


@pytest.fixture(scope="module")
def shared() -> Iterator[Api]:
    yield from serving()


@pytest.fixture
def api(shared: Api) -> Api:
    """Empty books on a server that all tests share."""
    shared.sandbox.state.reset()
    shared.sandbox.state.freshbooks.clock = shared.sandbox.state.clock
    return shared


def test_lines_are_absent_unless_included(api: Api) -> None:
    invoice = api.one(
        "POST", "invoices/invoices", {"invoice": {"customerid": api.client(), "create_date": "2026-01-31"}}
    )
    path = f"invoices/invoices/{invoice['id']}"
    assert "lines" not in invoice
    assert "lines" not in api.one("GET", path)
    assert "lines" not in api.one("PUT", path, {"invoice": {"notes": "x"}})
    assert api.one("GET", f"{path}?include[]=lines")["lines"] == []
    both = api.one("GET", f"{path}?include%5B%5D=lines&include%5B%5D=presentation")
    assert both["presentation"]["theme_layout"] == "simple"


def test_put_merges_but_replaces_lines_whole(api: Api) -> None:
    invoice = api.invoice(lines=[line("10.00"), line("5.00")], notes="keep", po_number="PO-7")
    path = f"invoices/invoices/{invoice['id']}?include[]=lines"
    changed = api.one("PUT", path, {"invoice": {"po_number": "PO-8"}})
    assert (changed["notes"], changed["po_number"], len(changed["lines"])) == ("keep", "PO-8", 2)
    lines = [{**line("6.00"), "lineid": 2}, line("1.00")]
    changed = api.one("PUT", path, {"invoice": {"lines": lines}})
    assert [(row["lineid"], row["amount"]["amount"]) for row in changed["lines"]] == [(2, "6.00"), (3, "1.00")]
    assert changed["amount"]["amount"] == "7.00"


def test_put_runs_only_the_first_phase(api: Api) -> None:
    invoice = api.invoice(notes="old")
    path = f"invoices/invoices/{invoice['id']}"
    sent = api.one("PUT", path, {"invoice": {"action_mark_as_sent": True, "notes": "lost"}})
    assert (sent["status"], sent["notes"]) == (2, "old")
    hidden = api.one("PUT", path, {"invoice": {"vis_state": 2, "action_mark_as_sent": True, "notes": "lost"}})
    assert (hidden["vis_state"], hidden["notes"]) == (2, "old")
    nothing = api.one("PUT", path, {"invoice": {"ext_vis_state": 1, "vis_state": 0}})
    assert nothing["vis_state"] == 2


def test_invoice_numbers_count_on_and_stay_taken(api: Api) -> None:
    assert api.invoice()["invoice_number"] == "0000001"
    mine = api.invoice(invoice_number="WEB-26-099")
    assert api.invoice()["invoice_number"] == "WEB-26-100"
    api.call("DELETE", f"invoices/invoices/{mine['id']}")
    taken = {"invoice": {"customerid": mine["customerid"], "create_date": "2026-01-31"}}
    taken["invoice"]["invoice_number"] = "WEB-26-099"
    assert api.error("POST", "invoices/invoices", taken) == (422, 1029, "invoice_number")
    other = api.invoice(invoice_number="B-1")
    body = {"invoice": {"invoice_number": "WEB-26-100"}}
    assert api.error("PUT", f"invoices/invoices/{other['id']}", body)[1] == 1029
    own = {"invoice": {"invoice_number": "B-1", "notes": "same number is fine"}}
    assert api.one("PUT", f"invoices/invoices/{other['id']}", own)["invoice_number"] == "B-1"


def test_taken_numbers_and_emails_follow_their_switches() -> None:
    for api in serving(duplicate_number="accept", duplicate_email="refuse"):
        first, second = api.invoice(invoice_number="A"), None
        second = api.invoice(invoice_number="A", customerid=first["customerid"])
        assert second["invoice_number"] == "A"
        again = {"client": {"email": "A@B.example"}}
        assert api.error("POST", "users/clients", again) == (422, 1029, "email")
        api.one("PUT", f"users/clients/{first['customerid']}", {"client": {"vis_state": 1}})
        assert api.one("POST", "users/clients", again)["email"] == "A@B.example"
    for api in serving():
        assert api.client() != api.client()


def test_due_date_is_computed_and_cannot_be_sent(api: Api) -> None:
    invoice = api.invoice(due_offset_days=30)
    assert invoice["due_date"] == "2026-03-02"
    path = f"invoices/invoices/{invoice['id']}"
    assert api.error("PUT", path, {"invoice": {"due_date": "2026-03-02"}}) == (403, 1038, "due_date")
    body = {"customerid": invoice["customerid"], "create_date": "2026-01-31", "due_date": None}
    assert api.error("POST", "invoices/invoices", {"invoice": body}) == (403, 1038, "due_date")
    assert api.one("PUT", path, {"invoice": {"due_offset_days": "1"}})["due_date"] == "2026-02-01"
    assert api.error("PUT", path, {"invoice": {"due_offset_days": 10**9}})[1] == 1030


def test_status_flow_from_draft_to_paid_and_back(api: Api) -> None:
    invoice = api.invoice(due_offset_days=36_500)
    path = f"invoices/invoices/{invoice['id']}"

    def shown() -> tuple[Any, ...]:
        now = api.one("GET", path)
        return (
            now["status"],
            now["display_status"],
            now["v3_status"],
            now["payment_status"],
            now["paid"]["amount"],
            now["outstanding"]["amount"],
            now["date_paid"],
        )

    assert shown() == (1, "draft", "draft", "unpaid", "0.00", "10.00", None)
    api.one("PUT", path, {"invoice": {"action_mark_as_sent": True}})
    assert shown() == (2, "sent", "sent", "unpaid", "0.00", "10.00", None)
    api.pay(invoice, "4.00")
    assert shown() == (2, "sent", "partial", "partial", "4.00", "6.00", None)
    last = api.pay(invoice, "6.00", date="2026-02-05")
    assert shown() == (4, "sent", "paid", "paid", "10.00", "0.00", "2026-02-05")
    api.one("PUT", f"payments/payments/{last['id']}", {"payment": {"vis_state": 1}})
    assert shown() == (2, "sent", "partial", "partial", "4.00", "6.00", None)
    assert api.listed(f"payments/payments?search[invoiceid]={invoice['id']}")["total"] == 1


def test_sent_invoices_become_overdue_in_time_alone(api: Api) -> None:
    now = datetime(2026, 2, 1, 12, 0, tzinfo=UTC)
    api.sandbox.state.freshbooks.clock = lambda: now
    invoice = api.invoice(create_date="2026-02-01")
    path = f"invoices/invoices/{invoice['id']}"
    assert api.one("PUT", path, {"invoice": {"action_mark_as_sent": True}})["v3_status"] == "sent"
    now += timedelta(days=1)
    assert api.one("GET", path)["v3_status"] == "overdue"
    assert api.listed("invoices/invoices?search[v3_status]=overdue")["total"] == 1


def test_surplus_becomes_a_credit_without_complaint(api: Api) -> None:
    invoice = api.invoice()
    first = api.pay(invoice, "10.00")
    assert first["overpaymentid"] is None
    double = api.pay(invoice, "10.00")
    credit = api.one("GET", f"credit_notes/credit_notes/{double['overpaymentid']}")
    assert (credit["credit_type"], credit["amount"]["amount"]) == ("overpayment", "10.00")
    assert api.one("GET", f"invoices/invoices/{invoice['id']}")["paid"]["amount"] == "10.00"
    client = f"users/clients/{invoice['customerid']}?include[]=credit_balance"
    assert api.one("GET", client)["credit_balance"] == [{"amount": {"amount": "10.00", "code": "USD"}}]
    assert api.listed("users/clients?search[has_credit]=true")["total"] == 1
    api.one("PUT", f"payments/payments/{double['id']}", {"payment": {"vis_state": 1}})
    assert api.one("GET", client)["credit_balance"] == []


def test_payments_take_the_invoices_currency_and_known_types(api: Api) -> None:
    invoice = api.invoice(currency_code="EUR")
    paid = api.pay(invoice, "1.00", type="visa")
    assert (paid["amount"], paid["type"]) == ({"amount": "1.00", "code": "EUR"}, "visa")
    body = {"invoiceid": invoice["id"], "amount": {"amount": "1"}, "date": "2026-02-01"}
    for kind in ("Stripe", "Wire Transfer"):
        assert api.error("POST", "payments/payments", {"payment": {**body, "type": kind}})[1] == 1004
    for amount, errno in (("-1", 1025), ("0", 1028)):
        wrong = {"payment": {**body, "amount": {"amount": amount}}}
        assert api.error("POST", "payments/payments", wrong)[:2] == (422, errno)
    moved = api.one("PUT", f"payments/payments/{paid['id']}", {"payment": {"invoiceid": 1, "note": "x"}})
    assert (moved["invoiceid"], moved["note"]) == (invoice["id"], "x")
    api.call("DELETE", f"invoices/invoices/{invoice['id']}")
    assert api.error("POST", "payments/payments", {"payment": body})[1] == 1011


def test_totals_discount_two_taxes_and_compound(api: Api) -> None:
    lines = [
        line("5.00", "4", taxName1="HST", taxAmount1="13", taxName2="PST", taxAmount2="10", compounded_tax=True),
        line("4.00", 6),
    ]
    invoice = api.invoice(lines=lines, discount_value=10)
    # 18.00 x 13 % = 2.34; (18.00 + 2.34) x 10 % = 2.03; 44.00 - 4.40 + 4.37
    assert invoice["amount"]["amount"] == "43.97"
    assert (invoice["discount_total"]["amount"], invoice["discount_value"]) == ("-4.40", "10")
    first = invoice["lines"][0]
    assert (first["qty"], first["taxAmount1"], first["amount"]["amount"]) == ("4", "13", "20.00")


def test_amount_without_tax_name_is_no_tax(api: Api) -> None:
    assert api.invoice(lines=[line("10.00", taxAmount1="13")])["amount"]["amount"] == "10.00"


@pytest.mark.parametrize(
    ("rounding", "total"), [("line", "2.85"), ("tax", "2.84"), ("total", "2.84"), ("half_even_line", "2.82")]
)
def test_rounding_is_a_switch(rounding: str, total: str) -> None:
    for api in serving(rounding=rounding):
        taxed = line("0.90", taxName1="GST", taxAmount1="5")
        assert api.invoice(lines=[taxed] * 3)["amount"]["amount"] == total


def test_unit_costs_are_rounded_silently(api: Api) -> None:
    invoice = api.invoice(lines=[line("12.345", 7)])
    assert invoice["lines"][0]["unit_cost"]["amount"] == "12.35"
    assert invoice["amount"]["amount"] == "86.45"
    for exact in serving(unit_cost_places=4):
        assert exact.invoice(lines=[line("12.345", 7)])["amount"]["amount"] == "86.42"


@pytest.mark.parametrize(
    ("code", "cost", "total"), [("JPY", "1200", "3600"), ("KWD", "1.2345", "3.705"), ("USD", "1.2", "3.60")]
)
def test_currency_digits_of_amounts(api: Api, code: str, cost: str, total: str) -> None:
    invoice = api.invoice(currency_code=code, lines=[line(cost, 3)])
    assert invoice["amount"] == {"amount": total, "code": code}
    # the invoice's currency wins silently over the line's USD
    assert invoice["lines"][0]["unit_cost"]["code"] == code


def test_percent_keeps_three_decimals(api: Api) -> None:
    made = api.invoice(lines=[line("100.00", taxName1="GST", taxAmount1="8.12345")])
    assert made["lines"][0]["taxAmount1"] == "8.123"


def test_limits_emoji_and_negative_costs_follow_their_switches() -> None:
    switches = {"invoice_number_max": 8, "emoji": "refuse", "negative_unit_cost": "refuse"}
    for api in serving(**switches, max_lengths={"client.organization": 5}):
        customer = api.client(organization="Short")
        body = {"customerid": customer, "create_date": "2026-01-31"}
        for extra, errno in (
            ({"invoice_number": "123456789"}, 1017),
            ({"notes": "nice 🎁"}, 1036),
            ({"lines": [line("-1.00")]}, 1025),
        ):
            assert api.error("POST", "invoices/invoices", {"invoice": {**body, **extra}})[:2] == (422, errno)
        assert api.error("POST", "users/clients", {"client": {"organization": "Longer"}})[1] == 1017
        assert api.invoice(customerid=customer, invoice_number="12345678", notes="é漢")["notes"] == "é漢"
    for api in serving():
        accepted = api.invoice(lines=[line("10.00"), line("-2.50")], notes="🎁", invoice_number="9" * 60)
        assert (accepted["amount"]["amount"], accepted["notes"]) == ("7.50", "🎁")


def test_invoice_number_search_follows_its_switch() -> None:
    for kind, hits in (("equals", 1), ("like", 2), ("ignored", 3)):
        for api in serving(invoice_number_search=kind):
            customer = api.client()
            for number in ("A-1", "A-10", "B"):
                api.invoice(customerid=customer, invoice_number=number)
            assert api.listed("invoices/invoices?search[invoice_number]=A-1")["total"] == hits


def test_tax_numbers_come_from_the_stored_tax(api: Api) -> None:
    api.one("POST", "taxes/taxes", {"tax": {"name": "GST", "amount": 5, "number": "RT 1"}})
    made = api.invoice(lines=[line("1.00", taxName1="GST", taxAmount1=5, taxNumber1="mine")])
    assert made["lines"][0]["taxNumber1"] == "RT 1"
    again = {"tax": {"name": "GST", "amount": "5.0"}}
    assert api.error("POST", "taxes/taxes", again)[:2] == (422, 1026)


def test_invoice_keeps_a_snapshot_of_the_client(api: Api) -> None:
    customer = api.client(fname="Ann", organization="Lee Ltd", p_city="Austin")
    invoice = api.invoice(customerid=customer, lname="Ours")
    api.one("PUT", f"users/clients/{customer}", {"client": {"organization": "New", "p_city": "Reno"}})
    now = api.one("GET", f"invoices/invoices/{invoice['id']}")
    assert (now["fname"], now["lname"], now["city"], now["organization"]) == ("Ann", "Ours", "Austin", "Lee Ltd")
    assert now["current_organization"] == "New"


def test_items_filter_by_sku_but_not_by_name(api: Api) -> None:
    api.one("POST", "items/items", {"item": {"name": "Mug", "sku": "M1", "rate": 5, "qty": 3}})
    api.one("POST", "items/items", {"item": {"name": "Cup", "unit_cost": {"amount": "1.005"}}})
    assert api.listed("items/items?search[sku]=M1")["total"] == 1
    assert api.listed("items/items?search[name]=Mug")["total"] == 2
    cup = api.listed("items/items?search[unit_cost_min]=1")["items"][0]
    assert cup["unit_cost"] == {"amount": "1.01", "code": "USD"}


def test_credit_notes_and_other_income(api: Api) -> None:
    customer = api.client()
    credit = api.one(
        "POST",
        "credit_notes/credit_notes?include[]=lines",
        {"credit_note": {"clientid": customer, "create_date": "2026-02-01", "lines": [line("3.00", 2)]}},
    )
    assert (credit["amount"]["amount"], credit["credit_type"]) == ("6.00", "goodwill")
    path = f"credit_notes/credit_notes/{credit['id']}"
    assert api.one("PUT", path, {"credit_note": {"lines": [line("1.00")]}})["amount"]["amount"] == "1.00"
    assert api.listed("credit_notes/credit_notes?search[date_min]=2026-02-02")["credit_notes"] == []
    wrong = {"credit_note": {"credit_type": "gift"}}
    assert api.error("PUT", path, wrong)[1] == 1004
    body = {"amount": {"amount": "5", "code": "USD"}, "date": "2026-02-01", "category_name": "online_sales"}
    income = api.one("POST", "other_incomes/other_incomes", {"other_income": body})
    again = {"other_income": {"note": "x"}}
    assert api.error("PUT", f"other_incomes/other_incomes/{income['incomeid']}", again)[1] == 1001
    assert set(api.listed("other_incomes/other_incomes")) >= {"other_income", "total"}


def test_emails_are_recorded_not_sent(api: Api) -> None:
    invoice = api.invoice()
    assert api.sandbox.state.freshbooks.emails == []
    body = {"action_email": True, "email_recipients": ["a@b.example"]}
    assert api.one("PUT", f"invoices/invoices/{invoice['id']}", {"invoice": body})["status"] == 2
    api.pay(invoice, "1.00", send_client_notification=True)
    assert [mail["object"] for mail in api.sandbox.state.freshbooks.emails] == ["invoice", "payment"]


def test_a_refused_update_changes_nothing(api: Api) -> None:
    invoice = api.invoice(notes="old")
    path = f"invoices/invoices/{invoice['id']}?include[]=lines"
    before = api.one("GET", path)
    for wrong in ({"lines": [{"qty": "many"}]}, {"due_offset_days": "x"}, {"status": 8}, {"lines": ["x"]}):
        api.error("PUT", path, {"invoice": {"notes": "new", **wrong}})
    assert api.one("GET", path) == before
