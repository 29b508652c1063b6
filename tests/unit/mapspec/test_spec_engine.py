"""A spec applied to records: decisions, documents, and misfits that become reasons."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from mapspec.codec import load_spec
from mapspec.drafts import Draft
from mapspec.engine import CompiledSpec, compile_spec, record_instant
from mapspec.errors import SpecError, TransformError
from mapspec.ops import Output

MAPPINGS = Path(__file__).parents[3] / "mappings/clarity-freshbooks"
HEAD = """\
spec: shop/flow
source: {system: clarity-rest, entity: order, number: orderNumber, updated: updatedAt}
targets:
  client: freshbooks/client
  payment: freshbooks/payment
settings:
  places: "2"
"""


def compiled(body: str) -> CompiledSpec:
    return compile_spec(load_spec(HEAD + body))


def shipped(name: str) -> CompiledSpec:
    return compile_spec(load_spec((MAPPINGS / f"{name}.yaml").read_text(encoding="utf-8")))


def ids(draft: Draft) -> list[str]:
    return [reason.id for reason in draft.reasons]


ORDER: dict[str, Any] = {
    "id": "10045", "orderNumber": "WEB-26-10045", "orderDate": "2026-03-01T23:05:08-05:00",
    "updatedAt": "2026-03-02T04:05:08Z", "status": "Processing", "currency": "usd", "paymentTerms": "Net 30",
    "customer": {"id": 501, "email": " Ana@Example.com ", "firstName": "Ana", "lastName": "Núñez"},
    "billingAddress": {"line1": "1 Main St", "city": "Austin", "state": "TX", "country": "US"},
    "lineItems": [{"sku": "ABC-1", "name": "Widget", "quantity": 2, "unitPrice": "10.00", "discountAmount": "1.00",
                   "taxAmount": "1.57", "lineTotal": "20.00"}],
    "subtotal": "20.00", "discountTotal": "1.00", "shippingTotal": "5.00", "taxTotal": "1.57", "total": "25.57",
    "taxLines": [{"name": "TX sales tax", "rate": Decimal("0.0825"), "amount": "1.57"}],
    "shippingLines": [{"title": "Ground", "amount": "5.00", "taxAmount": "0.00"}],
    "payments": [{"id": 9, "transactionId": "ch_123", "amount": Decimal("25.57"), "currency": "USD",
                  "status": "captured", "method": "credit_card", "cardType": "visa", "paidAt": "2026-03-02T04:05:10Z"}],
}  # fmt: skip


def order(**changes: Any) -> dict[str, Any]:
    return {**json.loads(json.dumps(ORDER, default=str)), **changes}


@pytest.fixture(scope="module")
def orders() -> CompiledSpec:
    return shipped("order-to-invoice")


def test_an_order_becomes_client_invoice_and_payment(orders: CompiledSpec) -> None:
    draft = orders.apply(ORDER)
    assert (draft.decision, draft.reasons, draft.warnings) == ("go", (), ())
    assert (draft.id, draft.number, draft.currency) == ("10045", "WEB-26-10045", "USD")
    (client,) = draft.documents["client"]
    assert client.key == "501"
    assert client.body["email"] == "ana@example.com"
    assert client.body["p_country"] == "United States"
    assert client.body["allow_late_fees"] is False
    (invoice,) = draft.documents["invoice"]
    assert invoice.key == "10045"
    assert invoice.body["customerid"] == Output("client", "id")
    assert invoice.body["create_date"] == "2026-03-01"
    assert invoice.body["due_offset_days"] == 30
    assert invoice.body["lines"] == [
        {
            "name": "Widget",
            "description": "SKU ABC-1 · list price 10.00, discount 1.00",
            "qty": "2",
            "unit_cost": {"amount": "9.50", "code": "USD"},
            "taxName1": "TX sales tax",
            "taxAmount1": "8.25",
        },
        {"name": "Shipping: Ground", "qty": "1", "unit_cost": {"amount": "5.00", "code": "USD"}},
    ]
    (payment,) = draft.documents["payment"]
    assert payment.key == "9"
    assert payment.body["amount"] == {"amount": "25.57", "code": "USD"}
    assert payment.body["type"] == "VISA"
    assert "ch_123" in payment.body["note"]
    assert [(lookup.field, lookup.value) for lookup in draft.lookups] == [("sku", "ABC-1")]


@pytest.mark.parametrize(
    ("change", "decision", "reason"),
    [
        ({"test": True}, "skip", "test-order"),
        ({"customAttributes": [{"key": "test", "value": "true"}]}, "skip", "test-order"),
        ({"status": "CANCELLED"}, "skip", "cancelled"),
        ({"status": "refunded"}, "skip", "refunded"),
        ({"status": "On Hold"}, "wait", "on-hold"),
        ({"status": "Odd", "payments": []}, "hold", "unknown-status"),
        ({"id": None}, "hold", "missing-id"),
        ({"id": ["a"]}, "hold", "missing-id"),
        ({"orderNumber": ""}, "hold", "missing-required"),
        ({"orderDate": "yesterday"}, "hold", "bad-date"),
        ({"currency": "US dollars"}, "hold", "check-failed"),
        ({"total": None}, "hold", "bad-number"),
        ({"total": True}, "hold", "bad-number"),
        ({"total": float("nan")}, "hold", "bad-number"),
        ({"lineItems": "none"}, "hold", "bad-line"),
        ({"lineItems": ["none"]}, "hold", "bad-line"),
        ({"lineItems": 5}, "hold", "bad-line"),
        ({"lineItems": None}, "hold", "no-lines"),
        ({"taxLines": 5}, "hold", "bad-line"),
        ({"shippingLines": [{"amount": "4.00"}]}, "hold", "charge-rows-differ"),
        ({"paymentTerms": {"days": 30}}, "hold", "bad-value"),
        ({"poNumber": {"no": 1}}, "hold", "bad-value"),
        ({"poNumber": 1.5}, "hold", "bad-value"),
        ({"poNumber": "\ud800"}, "hold", "bad-text"),
        ({"poNumber": "x" * 1_000_000}, "hold", "too-long"),
        ({"poNumber": Decimal("1e999999")}, "hold", "bad-number"),
        ({"status": {"a": 1}, "payments": []}, "hold", "unknown-status"),
    ],
)
def test_what_becomes_of_an_order(orders: CompiledSpec, change: dict[str, Any], decision: str, reason: str) -> None:
    draft = orders.apply(order(**change))
    assert draft.decision == decision
    assert reason in ids(draft)


def test_a_captured_payment_invoices_an_order_of_unknown_status(orders: CompiledSpec) -> None:
    assert orders.apply(order(status="Odd")).decision == "go"


def test_a_failed_payment_is_not_posted_and_said_so(orders: CompiledSpec) -> None:
    failed = {**ORDER["payments"][0], "status": "failed"}
    draft = orders.apply(order(payments=[failed]))
    assert draft.decision == "go"
    assert draft.documents["payment"] == ()
    (warning,) = draft.warnings
    assert warning.id == "not-payment"
    assert "payment 1 is not posted: its status is failed" in warning.message
    del failed["method"]
    (warning,) = orders.apply(order(payments=[failed])).warnings
    assert "its method nothing" in warning.message


def test_more_money_than_the_total_holds(orders: CompiledSpec) -> None:
    twice = [ORDER["payments"][0], {**ORDER["payments"][0], "id": 10}]
    assert "overpaid" in ids(orders.apply(order(payments=twice)))


def test_two_payments_of_one_id_hold(orders: CompiledSpec) -> None:
    half = {**ORDER["payments"][0], "amount": "10.00"}
    assert ids(orders.apply(order(payments=[half, half]))) == ["duplicate-key"]


def test_a_payment_id_that_is_no_text_does_not_fall_back_to_another_key(orders: CompiledSpec) -> None:
    draft = orders.apply(order(payments=[{**ORDER["payments"][0], "id": {"x": 1}}]))
    assert "bad-value" in ids(draft)
    assert draft.documents["payment"][0].key is None


def test_a_payment_without_id_has_a_key_all_the_same(orders: CompiledSpec) -> None:
    payment = {**ORDER["payments"][0], "id": None}
    assert orders.apply(order(payments=[payment])).documents["payment"][0].key == "10045-ch_123-1"


def test_a_guest_belongs_to_the_guests_of_the_store(orders: CompiledSpec) -> None:
    draft = orders.apply(order(customer=None, storeId="store-1"))
    (guest,) = draft.documents["guest"]
    assert draft.documents["client"] == ()
    assert guest.key == "guest-store-1-USD"
    assert guest.body["organization"] == "Guest sales store-1 USD"


def test_an_email_that_cannot_be_read_never_makes_a_guest(orders: CompiledSpec) -> None:
    """The first reader of a value learns that it failed, and so does every other."""
    draft = orders.apply(order(customer={"email": ["a@example.com"]}))
    assert draft.decision == "hold"
    assert not draft.documents["client"]
    assert not draft.documents["guest"]


@pytest.mark.parametrize(
    ("change", "decision", "reason"),
    [
        ({}, "go", ""),
        ({"status": "failed"}, "skip", "not-money-yet"),
        ({"status": {"odd": 1}}, "skip", "not-money-yet"),
        ({"method": "purchase_order"}, "skip", "unpaid-method"),
        ({"amount": "0.00"}, "skip", "zero-amount"),
        ({"amount": "x"}, "hold", "bad-number"),
        ({"orderId": None}, "hold", "missing-key"),
        ({"amount": "1.005"}, "hold", "check-failed"),
    ],
)
def test_what_becomes_of_a_payment(change: dict[str, Any], decision: str, reason: str) -> None:
    payment = {"id": "9", "orderId": "10045", "amount": "5.00", "currency": "USD", "status": "settled",
               "method": "paypal", "paidAt": "2026-03-01T09:00:00Z", "transactionId": "t1", **change}  # fmt: skip
    draft = shipped("payment-to-payment").apply(payment)
    assert draft.decision == decision
    assert not reason or reason in ids(draft)
    if decision == "go":
        assert draft.keys == {"invoice": "10045"}
        assert draft.documents["payment"][0].body["type"] == "PayPal"


def test_a_product_becomes_an_item() -> None:
    product = {"id": 1, "sku": " ABC-1 ", "name": "<b>Tea</b>", "price": "4.5", "inventoryQuantity": 7}
    draft = shipped("product-to-item").apply(product)
    assert draft.documents["item"][0].body == {
        "name": "Tea",
        "sku": "ABC-1",
        "unit_cost": {"amount": "4.50", "code": "USD"},
        "inventory": "7",
    }


def test_a_customer_becomes_a_client_and_empty_values_stay_out() -> None:
    customer = {"id": "501", "email": "ana@example.com", "firstName": "Ana", "lastName": "", "company": None,
                "addresses": [{"city": "Austin"}]}  # fmt: skip
    (client,) = shipped("customer-to-client").apply(customer).documents["client"]
    assert client.body == {
        "email": "ana@example.com",
        "fname": "Ana",
        "p_city": "Austin",
        "note": "Clarity customer 501",
        "allow_late_fees": False,
        "allow_late_notifications": False,
    }
    # set on a new client, left alone on one that is there
    assert {"allow_late_fees", "allow_late_notifications"} <= set(client.create_only) <= set(client.body)


# --- rules of the engine itself --------------------------------------------------------------------------------


def test_a_value_is_the_same_whoever_asks_first() -> None:
    spec = compiled(
        'flow:\n  - {id: p, do: create_once, target: payment, key: ["{.id}"], each: "rows[]"}\n'
        "values:\n  own:\n    steps:\n      - {coalesce: [.id, name]}\n"
        "fields:\n  payment.note:\n    steps:\n      - {path: values.own}\n"
    )
    draft = spec.apply({"id": 1, "name": "N", "rows": [{"id": "a"}, {"id": "b"}]})
    assert [document.body for document in draft.documents["payment"]] == [{"note": "N"}, {"note": "N"}]


def test_a_value_that_reads_itself_is_absent() -> None:
    spec = compiled(
        "values:\n  a:\n    steps:\n      - {path: values.b}\n  b:\n    steps:\n      - {path: values.a}\n"
        "fields:\n  client.note:\n    steps:\n      - {path: values.a}\n      - {default: none}\n"
    )
    assert spec.apply({"id": 1}).documents["client"][0].body == {"note": "none"}


VALUE = "values:\n  email:\n    {rest}\n    steps:\n      - {{path: email}}\n    check: [{{format: email}}]\n"
NOTES = "fields:\n  client.note: {steps: [{path: values.email}]}\n  client.email: {steps: [{path: values.email}]}\n"


def test_checks_of_values_count() -> None:
    draft = compiled(VALUE.format(rest="on_fail: hold") + NOTES).apply({"id": 1, "email": "no"})
    assert ids(draft) == ["check-failed", "check-failed"]
    draft = compiled(VALUE.format(rest="on_fail: warn") + NOTES).apply({"id": 1, "email": "no"})
    assert (ids(draft), [warning.id for warning in draft.warnings]) == ([], ["check-failed"])
    draft = compiled(VALUE.format(rest="required: true") + NOTES).apply({"id": 1})
    assert set(ids(draft)) == {"missing-required"}


def test_a_required_field_holds_even_where_misfits_only_warn() -> None:
    field = "fields:\n  client.email:\n    {rest}\n    on_fail: warn\n    steps: [{{path: email}}, {{int: }}]\n"
    assert compiled(field.format(rest="required: false")).apply({"id": 1, "email": "x"}).decision == "go"
    assert compiled(field.format(rest="required: true")).apply({"id": 1, "email": "x"}).decision == "hold"


def test_a_step_without_list_brackets_still_sees_one_element() -> None:
    spec = compiled(
        'flow:\n  - {id: p, do: create_once, target: payment, key: ["{.id}"], each: rows}\n'
        "fields:\n  payment.note:\n    steps:\n      - {path: .id}\n"
    )
    for rows, keys in [([{"id": "a"}], ["a"]), ({"id": "a"}, ["a"]), (None, [])]:
        assert [document.key for document in spec.apply({"id": 1, "rows": rows}).documents["payment"]] == keys
    for odd in ("text", 5, True):
        assert ids(spec.apply({"id": 1, "rows": odd})) == ["missing-key"]


@pytest.mark.parametrize("record", [[], "text", 5, None, {}, {"id": {}}, [1, [2]]])
def test_a_record_that_is_none_is_held(orders: CompiledSpec, record: Any) -> None:
    draft = orders.apply(record)
    assert draft.decision == "hold"
    assert "missing-id" in ids(draft)


def test_a_target_value_is_never_an_object(orders: CompiledSpec) -> None:
    draft = orders.apply(order(poNumber={"a": 1}))
    assert "po_number" not in draft.documents["invoice"][0].body


def test_one_value_can_be_asked_for(orders: CompiledSpec) -> None:
    assert orders.value("invoice.create_date", ORDER) == "2026-03-01"
    assert orders.value("values.client_key", ORDER) == 501
    with pytest.raises(KeyError):
        orders.value("invoice.nothing", ORDER)
    with pytest.raises(TransformError):
        orders.value("invoice.create_date", order(orderDate="no"))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            "fields:\n  client.note:\n    steps:\n      - {lookup_table: none}\n",
            "client.note: there is no table 'none'",
        ),
        ("fields:\n  client.note:\n    steps:\n      - {to_date: Mars/Olympus}\n", "unknown time zone 'Mars/Olympus'"),
        (
            "fields:\n  client.lines[]:\n    each: l[]\n    money: {currency: c, quantity: .q, unit_price: .u,"
            " total: t, rates: none}\n    fields: {}\n",
            "there is no table 'none'",
        ),
        (
            "fields:\n  client.lines[]:\n    each: l[]\n    money: {currency: c, quantity: .q, unit_price: .u,"
            " total: t, unit_cost_places: two}\n    fields: {}\n",
            "unit_cost_places must be a whole number",
        ),
    ],
)
def test_a_spec_that_cannot_run_does_not_compile(body: str, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        compiled(body)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_instants_of_records_order_them() -> None:
    assert record_instant("2026-03-01T00:00:00Z") < record_instant("2026-03-01T00:00:01Z")
    assert record_instant(None) is None
    assert record_instant("soon") is None
