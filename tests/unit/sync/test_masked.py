"""What may stand on a screen."""

from __future__ import annotations

from decimal import Decimal

from sync.masked import COVERED, masked, shown_key
from tests.flows import order


def test_customer_values_are_covered_and_the_deed_is_not() -> None:
    record = order("plain-card")
    shown = masked(record)
    assert shown.keys() == record.keys()
    for name in ("id", "orderNumber", "status"):
        assert shown[name] == record[name]
    assert shown["total"] == record["total"]
    assert [line["sku"] for line in shown["lineItems"]] == [line["sku"] for line in record["lineItems"]]
    customer = record["customer"]
    for name in ("email", "firstName", "lastName", "phone", "company"):
        if customer.get(name):
            assert shown["customer"][name] == COVERED, name
    assert set(shown["billingAddress"].values()) <= {COVERED, record["billingAddress"]["country"], None, ""}


def test_names_that_look_harmless_hide_nothing() -> None:
    told = masked(
        {
            "taxId": "DE123",
            "taxNumber": "123",
            "passportNumber": "C01X",
            "nationalId": "7",
            "orderDate": "on Ana's birthday",
            "phoneNumber": "555",
            "postalCode": "10115",
            "poNumber": "PO-7",
            "status": "ana@example.com",
            "method": "x" * 80,
            "amounts": [Decimal("1.50")],
            "unitPrice": Decimal("2.25"),
            "note": 7,
        }
    )
    shown = {name for name, value in told.items() if value not in (COVERED, [COVERED])}
    assert shown == {"unitPrice"}


def test_a_key_made_of_an_e_mail_is_covered() -> None:
    assert shown_key("clarity:client:ana@example.com") == f"clarity:client:{COVERED}"
    assert shown_key("clarity:invoice:10045") == "clarity:invoice:10045"
