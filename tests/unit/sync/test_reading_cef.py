"""Records of Clarity's framework are filed under its own member names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from connectors.profiles import load_profile
from sync.assumptions import broken, is_test
from sync.envelope import file_delivery, lane_of, parse_delivery
from sync.forget import _names
from sync.reading import reading_of

PROFILE = load_profile("clarity-cef")
CEF = reading_of(PROFILE)
FIXTURES = Path(__file__).parents[3] / "fixtures" / "clarity-cef"


def fixture(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FIXTURES / f"order__{name}.json").read_text(encoding="utf-8"))
    return found


@pytest.mark.parametrize(
    ("record", "lane"),
    [
        ({"AccountID": 3002, "UserID": 501, "UserContactEmail": "ana@example.com"}, "account:3002"),
        ({"UserID": 501, "BillingContact": {"ID": 710501}}, "customer:501"),
        ({"ID": 7}, "order:7"),
    ],
)
def test_an_order_shares_the_lane_of_its_buyer(record: dict[str, Any], lane: str) -> None:
    assert lane_of("order", "order:7", record, CEF) == lane


def test_a_guests_lane_is_the_digest_of_the_e_mail() -> None:
    lane = lane_of("order", "order:7", {"BillingContact": {"Email1": "Ana@Example.com "}}, CEF)
    assert lane.startswith("email:")
    assert "ana" not in lane.lower()
    assert lane == lane_of("order", "order:8", {"UserContactEmail": "ana@example.com"}, CEF)


def test_a_payment_is_filed_with_its_order_and_a_product_under_its_sku() -> None:
    def filed(kind: str, record: dict[str, Any]) -> Any:
        entity = kind.partition(".")[0]
        body = {"type": kind, "data": {"object": entity, "resource": record}}
        return file_delivery(parse_delivery(json.dumps(body).encode(), CEF), CEF)

    payment = filed("payment.captured", {"ID": 9, "CustomKey": "PAY-9", "MasterID": 10139})
    assert (payment.record_key, payment.order_key) == ("payment:9", "order:10139")
    assert filed("product.updated", {"ID": 1, "CustomKey": "SKU-1"}).number == "SKU-1"
    order = filed("order.updated", fixture("plain-card"))
    assert order.number == fixture("plain-card")["CustomKey"]
    assert order.version is not None


def test_a_person_is_found_by_id_and_e_mail_in_orders_and_users() -> None:
    order = fixture("line-discount")
    assert _names({"entity": "order", "resource": order}, CEF) == ({"580"}, {"nils.vasquez.80@post.example"})
    user = {"ID": 580, "Email": "Nils@post.example", "Contact": {"Email1": "n@post.example"}}
    assert _names({"entity": "customer", "resource": user}, CEF) == ({"580"}, {"nils@post.example", "n@post.example"})


def test_a_test_order_is_told_by_its_attribute() -> None:
    assert is_test({"SerializableAttributes": {"test": {"ID": 1, "Key": "test", "Value": "true"}}}, PROFILE, CEF)
    assert not is_test({"SerializableAttributes": {"test": {"ID": 1, "Key": "test", "Value": "no"}}}, PROFILE, CEF)


def test_sound_records_keep_to_the_profile_and_odd_ones_are_told() -> None:
    assert broken("order", fixture("plain-card"), PROFILE, CEF) == []
    assert broken("payment", {"StatusKey": "Payment Received"}, PROFILE, CEF) == []
    odd = {"StatusKey": "Parked", "CustomKey": "x" * 129}
    assert {row.number for row in broken("order", odd, PROFILE, CEF)} >= {"A30"}
    assert [row.number for row in broken("payment", {"StatusKey": "Bounced"}, PROFILE, CEF)] == ["A33"]
