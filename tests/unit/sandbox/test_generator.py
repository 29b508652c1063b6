"""The generated orders are sound where they claim to be, and unsound for exactly the reason they name."""

from __future__ import annotations

import copy
import json
import re
from collections import Counter
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from connectors.sandbox.generator import (
    HOLD_REASONS,
    POST_TAGS,
    Case,
    customers,
    dumps_exact,
    events,
    generate,
    payments,
    products,
    to_ndjson,
)
from connectors.sandbox.generator_fixtures import fixture_documents
from connectors.sandbox.generator_mint import Mint
from connectors.sandbox.generator_money import spread
from tests.oracle import (
    expected_payments,
    expected_total,
    hold_reasons,
    identity_gap,
    line_sum_gap,
    off_by_rounding,
    stated_tax,
)

SEEDS = (0, 1, 7, 42, 2026)
FIXTURES = Path(__file__).parents[3] / "fixtures" / "clarity"


@pytest.fixture(scope="module", params=SEEDS)
def cases(request: pytest.FixtureRequest) -> list[Case]:
    return generate(request.param, 200)


@pytest.fixture(scope="module")
def posted(cases: list[Case]) -> list[Case]:
    return [case for case in cases if case.label == "post"]


def with_tag(cases: list[Case], tag: str) -> list[dict[str, Any]]:
    return [case.order for case in cases if case.tags[0] == tag]


def number(value: Any) -> Decimal:
    return Decimal(str(value))


def test_equal_seeds_give_equal_cases_and_other_seeds_do_not() -> None:
    assert generate(5, 120) == generate(5, 120)
    assert generate(5, 120) != generate(6, 120)


def test_a_shorter_run_is_the_beginning_of_a_longer_one() -> None:
    assert generate(3, 40) == generate(3, 90)[:40]
    assert generate(3, 0) == []


def test_a_negative_count_is_refused() -> None:
    with pytest.raises(ValueError, match="negative"):
        generate(1, -1)


def test_every_tag_and_every_reason_occurs(cases: list[Case]) -> None:
    assert {case.tags[0] for case in cases if case.label == "post"} == set(POST_TAGS)
    assert {case.reason for case in cases if case.label == "hold"} == set(HOLD_REASONS)


def test_every_tag_occurs_in_any_200_cases_not_only_the_first() -> None:
    later = generate(11, 500)[260:460]
    assert {case.tags[0] for case in later} == {*POST_TAGS, *HOLD_REASONS}


def test_about_three_quarters_post(cases: list[Case]) -> None:
    assert 140 <= Counter(case.label for case in cases)["post"] <= 160


def test_label_reason_and_tags_agree(cases: list[Case]) -> None:
    for case in cases:
        assert (case.reason == "") == (case.label == "post")
        assert case.label == "post" or case.tags[0] == case.reason
        assert len(set(case.tags)) == len(case.tags)


def test_the_oracle_finds_exactly_the_labelled_reason(cases: list[Case]) -> None:
    for case in cases:
        assert hold_reasons(case.order) == ({case.reason} if case.reason else set()), case.tags


def test_posted_totals_hold_exactly_and_are_built_up_from_the_lines(posted: list[Case]) -> None:
    for case in posted:
        assert identity_gap(case.order) == 0, case.tags
        assert line_sum_gap(case.order) == 0, case.tags
        assert expected_total(case.order) == number(case.order["total"]), case.tags
        assert number(case.order["taxTotal"]) == sum(
            (number(row["amount"]) for row in case.order["taxLines"]), Decimal(0)
        )
        assert stated_tax(case.order) == number(case.order["taxTotal"]), case.tags


def test_taxes_of_posted_orders_differ_from_rate_times_net_by_rounding_only(posted: list[Case]) -> None:
    # a server that rounds per tax instead of per line must stay within five minor units of the order
    for case in posted:
        assert off_by_rounding(case.order) < 4, case.tags


def test_payments_are_the_captured_money_and_never_exceed_a_posted_total(cases: list[Case]) -> None:
    for case in cases:
        assert case.payments == expected_payments(case.order), case.tags
        assert case.label == "hold" or case.payments <= number(case.order["total"])


@pytest.mark.parametrize(
    ("tag", "paid"),
    [
        ("plain-card", "all"),
        ("split-payment", "all"),
        ("partial-payment", "part"),
        ("authorized-only", "none"),
        ("failed-payment", "none"),
        ("purchase-order", "none"),
        ("unpaid-pending", "none"),
        ("free-order", "none"),
    ],
)
def test_what_each_settlement_leaves_as_money(cases: list[Case], tag: str, paid: str) -> None:
    for case in cases:
        if case.tags[0] == tag:
            total = number(case.order["total"])
            expected = {"all": case.payments == total, "none": case.payments == 0}
            assert expected.get(paid, 0 < case.payments < total)


def test_ids_numbers_and_transactions_are_unique(cases: list[Case]) -> None:
    numbers = [case.order.get("orderNumber") for case in cases if case.reason != "missing-order-number"]
    rows = payments(cases)
    transactions = [row["transactionId"] for row in rows if row["transactionId"]]
    for values in ([str(case.order["id"]) for case in cases], numbers, [str(row["id"]) for row in rows], transactions):
        assert len(set(values)) == len(values)
    assert all(re.fullmatch(r"WEB-26-1\d{4}", value or "") for value in numbers)


def test_orders_follow_each_other_from_the_start_day() -> None:
    orders = [case.order for case in generate(4, 30, start=date(2025, 11, 20))]
    assert orders[0]["createdAt"].startswith("2025-11-20")
    assert all(order["createdAt"] <= order["updatedAt"] for order in orders)
    assert [int(order["id"]) for order in orders] == list(range(10001, 10031))


def test_offsets_follow_the_stores_daylight_saving() -> None:
    seen = {
        (case.order["orderDate"][:10] >= "2026-03-09", case.order["orderDate"][-6:])
        for case in generate(8, 600)
        if "date-without-offset" not in case.tags and case.order["orderDate"][:10] != "2026-03-08"
    }
    assert seen == {(False, "-05:00"), (True, "-04:00")}


def test_near_midnight_keeps_its_offset(cases: list[Case]) -> None:
    for order in with_tag(cases, "near-midnight"):
        moment = datetime.fromisoformat(order["orderDate"])
        assert moment.tzinfo is not None
        assert (moment.hour, moment.minute >= 30) in {(23, True), (0, False)}


def test_gross_orders_do_not_add_tax_again(cases: list[Case]) -> None:
    for order in with_tag(cases, "prices-include-tax") + with_tag(cases, "gross-discount"):
        assert order["pricesIncludeTax"] is True
        assert number(order["taxTotal"]) > 0
        without_tax = [order[key] for key in ("subtotal", "shippingTotal", "handlingTotal", "feesTotal")]
        assert number(order["total"]) == sum(map(number, without_tax)) - number(order["discountTotal"])


def test_discounts_of_the_order_exceed_those_of_its_lines(cases: list[Case]) -> None:
    for tag in ("order-discount", "negative-discount", "discount-row", "gross-discount"):
        for order in with_tag(cases, tag):
            of_lines = sum(abs(number(row["discountAmount"])) for row in order["lineItems"])
            assert abs(number(order["discountTotal"])) > of_lines
            assert (number(order["discountTotal"]) < 0) == (tag == "negative-discount")


def test_a_long_unit_price_shows_decimals_the_subtotal_does_not_have(cases: list[Case]) -> None:
    for order in with_tag(cases, "long-unit-price"):
        assert number(order["lineItems"][0]["unitPrice"]).as_tuple().exponent in (-3, -4)
        assert number(order["subtotal"]).as_tuple().exponent == -2
        raw = sum(number(row["quantity"]) * number(row["unitPrice"]) for row in order["lineItems"])
        assert abs(raw - number(order["subtotal"])) <= Decimal("0.01")


@pytest.mark.parametrize(("tag", "digits"), [("currency-jpy", 0), ("currency-kwd", 3), ("currency-eur", 2)])
def test_money_keeps_the_digits_of_its_currency(cases: list[Case], tag: str, digits: int) -> None:
    for order in with_tag(cases, tag):
        assert number(order["total"]).as_tuple().exponent == -digits


def test_an_unknown_sku_is_not_in_the_catalogue_and_an_ordinary_one_is(cases: list[Case]) -> None:
    known = {row["sku"] for row in products()}
    assert len(known) == len(products())
    for order in with_tag(cases, "unknown-sku"):
        assert order["lineItems"][-1]["sku"] not in known
    for order in with_tag(cases, "plain-card") + with_tag(cases, "emoji-text"):
        assert {row["sku"] for row in order["lineItems"]} <= known


def test_customers_agree_with_every_snapshot(cases: list[Case]) -> None:
    records = {record["id"]: record for record in customers(cases)}
    for case in cases:
        snapshot = case.order["customer"]
        if snapshot.get("id") is not None:
            record = records[str(snapshot["id"])]
            assert record["updatedAt"] >= case.order["updatedAt"]
            assert record["billingAddress"] == case.order["billingAddress"]
            for key in set(snapshot) - {"id"}:
                assert record[key] == snapshot[key]
    emails = [record["email"].casefold() for record in records.values()]
    assert len(set(emails)) == len(emails)


def test_contacts_are_reserved_for_examples(cases: list[Case]) -> None:
    for case in cases:
        email = case.order["customer"].get("email")
        if email is not None:
            domain = email.strip().casefold().rpartition("@")[2]
            assert domain.endswith(("example.com", "example.org", "example.net", ".example"))
        assert " 555 01" in case.order["customer"]["phone"]


def test_events_are_stable_and_ordered_when_not_shuffled(cases: list[Case]) -> None:
    found = events(cases, shuffle_seed=None)
    assert found == events(cases, shuffle_seed=None)
    assert [event["occurredAt"] for event in found] == sorted(event["occurredAt"] for event in found)
    assert len({event["id"] for event in found}) == len(found)
    kinds = Counter(event["type"] for event in found)
    assert kinds["order.created"] == len(cases)
    assert kinds["customer.updated"] == len(customers(cases))
    money = [event["data"]["resource"] for event in found if event["type"] == "payment.captured"]
    received = sum(number(row["amount"]) for row in money if row["orderId"] is not None)
    in_orders = sum(
        number(row["amount"])
        for case in cases
        for row in case.order["payments"]
        if row["status"] in ("captured", "settled") and row["method"] != "purchase_order"
    )
    assert received == in_orders


def test_shuffled_events_are_the_same_ones_in_disorder_some_of_them_twice(cases: list[Case]) -> None:
    plain = {event["id"]: event for event in events(cases, shuffle_seed=None)}
    found = events(cases, shuffle_seed=9)
    assert found == events(cases, shuffle_seed=9)
    assert {event["id"] for event in found} == set(plain)
    assert len(found) > len(plain)
    assert [event["occurredAt"] for event in found] != sorted(event["occurredAt"] for event in found)
    for event in found:
        assert event | {"attempt": 1} == plain[event["id"]]
    assert len(events(cases, shuffle_seed=9, duplicate_percent=0)) == len(plain)


def test_an_event_owns_its_resource(cases: list[Case]) -> None:
    before = copy.deepcopy(cases[0].order)
    event = next(event for event in events(cases) if event["data"]["object"] == "order")
    event["data"]["resource"]["lineItems"].append({"sku": "changed by the reader"})
    assert cases[0].order == before


def test_json_gives_back_every_digit(cases: list[Case]) -> None:
    for case in cases:
        for indent in (0, 2):
            text = dumps_exact(case.order, indent=indent)
            read = json.loads(text, parse_float=Decimal)
            assert read == case.order
            assert dumps_exact(read, indent=indent) == text
    lines = to_ndjson(events(cases)).split("\n")
    assert lines.pop() == ""
    assert [json.loads(line, parse_float=Decimal) for line in lines] == events(cases)


def test_some_orders_have_money_as_json_numbers(cases: list[Case]) -> None:
    orders = with_tag(cases, "json-numbers")
    assert all(isinstance(order["lineItems"][0]["unitPrice"], Decimal) for order in orders)


@pytest.mark.parametrize("value", [1.5, {"amount": 0.1}, [Decimal("1"), b""]])
def test_what_has_no_exact_form_is_not_written(value: object) -> None:
    with pytest.raises(TypeError, match="no exact form"):
        dumps_exact(value)


def test_an_undefined_number_is_not_written() -> None:
    with pytest.raises(ValueError, match="undefined"):
        dumps_exact(Decimal("NaN"))


def test_a_spread_loses_nothing_and_serves_the_largest_remainder_first() -> None:
    cent = Decimal("0.01")
    assert spread(Decimal("1.00"), [Decimal(1)] * 3, cent) == [Decimal("0.34"), Decimal("0.33"), Decimal("0.33")]
    assert spread(Decimal("0.05"), [Decimal(10), Decimal(0), Decimal(30)], cent) == [
        Decimal("0.01"),
        Decimal(0),
        Decimal("0.04"),
    ]
    assert spread(Decimal(0), [Decimal(0)], cent) == [Decimal(0)]
    with pytest.raises(ValueError, match="sum to zero"):
        spread(Decimal("0.01"), [Decimal(0)], cent)


def test_the_oracle_agrees_with_an_order_worked_by_hand() -> None:
    # 2 x 10.00 less 1.00, taxed at 8.25 % of 19.00 = 1.5675, shipping 5.00
    order = {
        "id": "1",
        "orderNumber": "WEB-1",
        "status": "Processing",
        "currency": "USD",
        "lineItems": [{"quantity": 2, "lineTotal": "20.00", "discountAmount": "1.00", "taxAmount": "1.57"}],
        "subtotal": "20.00",
        "discountTotal": "-1.00",
        "shippingTotal": "5.00",
        "taxTotal": "1.57",
        "total": "25.57",
        "taxLines": [{"name": "tax", "rate": "0.0825", "amount": "1.57"}],
        "payments": [
            {"amount": "20.00", "currency": "USD", "status": "settled", "method": "paypal"},
            {"amount": "5.57", "currency": "USD", "status": "authorized", "method": "paypal"},
        ],
    }
    assert identity_gap(order) == 0
    assert expected_total(order) == Decimal("25.57")
    assert expected_payments(order) == Decimal("20.00")
    assert hold_reasons(order) == set()
    assert hold_reasons({**order, "total": "25.58"}) == set()
    assert hold_reasons({**order, "total": "25.59"}) == {"totals-do-not-add-up"}


def test_two_runs_do_not_share_their_counters() -> None:
    first, second = Mint(1, date(2026, 3, 1)), Mint(1, date(2026, 3, 1))
    first.customer("tx")
    assert second.customer("tx")["id"] == "501"


def test_fixtures_are_what_the_generator_makes() -> None:
    documents = fixture_documents()
    assert {path.name for path in FIXTURES.iterdir() if path.name in documents} == set(documents)
    for name, text in documents.items():
        assert (FIXTURES / name).read_text(encoding="utf-8") == text, name
