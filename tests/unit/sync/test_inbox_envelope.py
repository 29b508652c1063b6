"""What is taken out of a delivery before it is stored, and where it is filed."""

from __future__ import annotations

from decimal import Decimal

import pytest

from connectors.scrub import REMOVED, scrub
from sync.envelope import (
    Delivery,
    EnvelopeError,
    dumps,
    file_delivery,
    lane_of,
    loads,
    parse_delivery,
    version_of,
)


def order(**resource: object) -> dict[str, object]:
    return {
        "id": "evt_1",
        "type": "order.created",
        "data": {"object": "order", "id": 10045, "updatedAt": "2026-03-01T14:05:08Z", "resource": resource},
    }


@pytest.mark.parametrize(
    "name", ["cardNumber", "card_number", "CardNumber", "CVV", "cvv2", "Token", "accountNumber", "Routing-Number"]
)
def test_secret_members_are_removed_at_any_depth(name: str) -> None:
    kept = scrub({"payments": [{"id": "9", name: "x1", "card": {name: {"deep": 1}}}]})
    assert kept == {"payments": [{"id": "9", name: REMOVED, "card": {name: REMOVED}}]}


def test_passwords_and_account_secrets_are_removed_and_empty_ones_stay() -> None:
    kept = scrub({"user": {"PasswordHash": "h", "SecurityStamp": "s", "OverridePassword": "", "accessToken": "t"}})
    assert kept == {
        "user": {"PasswordHash": REMOVED, "SecurityStamp": REMOVED, "OverridePassword": "", "accessToken": REMOVED}
    }


def test_secrets_in_key_value_attributes_are_removed() -> None:
    given = [{"key": "card_number", "value": "1234"}, {"key": "colour", "value": "red"}]
    assert scrub(given) == [{"key": "card_number", "value": REMOVED}, {"key": "colour", "value": "red"}]


@pytest.mark.parametrize("text", ["4111111111111111", "4111 1111 1111 1111", "5555-5555-5555-4444", "378282246310005"])
def test_card_numbers_are_removed_by_their_look(text: str) -> None:
    assert scrub({"notes": f"paid with {text}, thanks"}) == {"notes": f"paid with {REMOVED}, thanks"}


def test_a_card_number_as_a_json_number_is_removed() -> None:
    assert scrub({"custom": 4111111111111111}) == {"custom": REMOVED}


@pytest.mark.parametrize(
    "member",
    [
        {"id": "4111111111111111"},
        {"transactionId": "4111111111111111"},
        {"orderNumber": "4111111111111111"},
        {"phone": "+5555555555554444"},
        {"notes": "4111111111111112"},  # wrong check digit
        {"notes": "1234567890123452"},  # right check digit, no brand
        {"last4": "4242"},
        {"total": Decimal("4111111111111111.00")},
    ],
)
def test_identifiers_phones_and_other_numbers_stay(member: dict[str, object]) -> None:
    assert scrub(member) == member


def test_json_text_keeps_every_digit() -> None:
    text = '{"a": 1.10, "b": [0.1, -0.00, 12345678901234567890.123456789], "c": "1.10", "d": 100, "e": null, "f": true}'
    assert dumps(loads(text)) == text


def test_a_float_is_refused_when_writing() -> None:
    with pytest.raises(TypeError, match="float"):
        dumps({"amount": 1.1})


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b'{"a": ', "not valid JSON"),
        (b"\xff\xfe", "not UTF-8"),
        (b'{"a": NaN}', "NaN is not a number"),
        (b"[" * 100_000, "nested too deeply"),
        (b"[]", "got an array"),
        (b'"x"', "got a text"),
        (b"{}", '"type" is missing'),
        (b'{"type": 7}', '"type" is missing'),
        (b'{"type": "order.created", "n": ' + b"9" * 5000 + b"}", "not valid JSON"),
        (b'{"type": "order.created", "n": 1e99999999999999999999}', "out of range"),
    ],
)
def test_what_is_no_envelope_is_said_in_a_line(raw: bytes, says: str) -> None:
    with pytest.raises(EnvelopeError, match=says):
        parse_delivery(raw)


def test_an_order_is_filed_under_its_customer() -> None:
    filing = file_delivery(Delivery(order(orderNumber="WEB-1", customer={"id": 501, "email": "a@b.c"}), "digest"))
    assert (filing.delivery_id, filing.record_key, filing.lane_key) == ("evt_1", "order:10045", "customer:501")
    assert (filing.number, filing.version, filing.handled) == ("WEB-1", "2026-03-01T14:05:08.000000Z", True)


def test_guests_share_a_lane_by_e_mail_without_showing_it() -> None:
    first = lane_of("order", "order:1", {"customer": {"email": " Ana@Example.com "}})
    second = lane_of("order", "order:2", {"customer": {"id": None, "email": "ana@example.com"}})
    assert first == second
    assert "ana" not in first


def test_without_a_customer_a_record_is_its_own_lane() -> None:
    assert lane_of("order", "order:1", {}) == "order:1"
    assert lane_of("product", "product:7", {"customerId": "3"}) == "product:7"


def test_a_payment_knows_its_order() -> None:
    envelope = {"type": "payment.captured", "data": {"object": "payment", "id": 9, "resource": {"orderId": 10045}}}
    filing = file_delivery(Delivery(envelope, "d1"))
    assert (filing.delivery_id, filing.order_key) == ("sha256:d1", "order:10045")


@pytest.mark.parametrize("event", ["order.paid", "coupon.created", "", "freshbooks.invoice.create"])
def test_unknown_events_are_not_handled(event: str) -> None:
    assert not file_delivery(Delivery({"type": event, "data": {"id": "1"}}, "d")).handled


def test_odd_ids_become_short_printable_text() -> None:
    filing = file_delivery(Delivery({"id": "e\x00\ud800vt", "type": "order.created", "data": {"id": "9" * 900}}, "d"))
    assert filing.delivery_id == "evt"
    assert len(filing.record_id) < 200


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("2026-03-01T09:05:08-05:00", "2026-03-01T14:05:08.000000Z"),
        ("2026-03-01T14:05:08", "2026-03-01T14:05:08.000000Z"),
        ("2026-03-01T14:05:08.1234567Z", "2026-03-01T14:05:08.123456Z"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000000Z"),
        ("0001-01-01T00:00:00+05:00", None),
        ("yesterday", None),
        (17, None),
    ],
)
def test_versions_sort_as_text(text: object, version: str | None) -> None:
    assert version_of(text) == version
