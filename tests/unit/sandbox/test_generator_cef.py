"""Orders of the framework say the same sale as the `rest` orders they come from."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # ships no types
import pytest

from connectors.profiles import entity_schema
from connectors.sandbox.generator import POST_TAGS, generate
from connectors.sandbox.generator_cef import LEFT_OUT, CefBatch, CefCase, cef_batch
from connectors.sandbox.generator_cef_fixtures import fixture_documents
from connectors.sandbox.generator_cef_parts import content_hash, pruned
from connectors.sandbox.generator_events import dumps_exact
from connectors.sandbox.generator_order import Case

FIXTURES = Path(__file__).parents[3] / "fixtures" / "clarity-cef"
CENT = Decimal("0.01")
ENTITIES = {
    "order": "SalesOrder",
    "invoice": "SalesInvoice",
    "customer": "User",
    "account": "Account",
    "payment": "Payment",
    "product": "Product",
    "return": "SalesReturn",
}


@pytest.fixture(scope="module")
def rest() -> list[Case]:
    return generate(2026, 400)


@pytest.fixture(scope="module")
def batch(rest: list[Case]) -> CefBatch:
    return cef_batch(rest)


def gap(order: dict[str, Any]) -> Decimal:
    """The stated total minus what its parts come to; a discount is subtracted whatever its sign."""
    totals = order["Totals"]
    parts = sum(totals[name] for name in ("SubTotal", "Shipping", "Handling", "Fees", "Tax"))
    return Decimal(totals["Total"] - parts + abs(totals["Discounts"]))


def test_labels_and_money_are_those_of_the_rest_orders(rest: list[Case], batch: CefBatch) -> None:
    kept = [case for case in rest if not LEFT_OUT & set(case.tags)]
    assert [(case.label, case.reason, case.payments) for case in batch.cases if case.order.get("CustomKey")] == [
        (case.label, case.reason, case.payments) for case in kept if case.reason != "missing-order-number"
    ]
    # without an order number the ID stands in
    assert {case.label for case in batch.cases if not case.order.get("CustomKey")} == {"post"}
    for case, origin in zip(batch.cases, kept, strict=True):
        assert case.order["Totals"]["Total"] == Decimal(str(origin.order["total"]))
        assert case.order["ID"] == int(origin.order["id"])
    assert {case.tags[0] for case in batch.cases if case.label == "post"} == {
        *POST_TAGS,
        "missing-order-number",
    } - LEFT_OUT


def test_totals_hold_in_masters_and_children_unless_that_is_what_is_wrong(batch: CefBatch) -> None:
    for case in batch.cases:
        wrong = case.reason == "totals-do-not-add-up"
        for order in (case.order, *case.children):
            assert (abs(gap(order)) > CENT) == wrong, (order["ID"], case.tags)


def test_lines_add_up_to_the_subtotal(batch: CefBatch) -> None:
    for case in batch.cases:
        if case.label != "post" or case.tags[0] == "long-unit-price":
            continue
        goods = [row for row in case.order["SalesItems"] if row["ItemType"] in ("Item", 0)]
        assert sum(row["ExtendedPrice"] for row in goods) == case.order["Totals"]["SubTotal"], case.tags
        for row in goods:
            parts = ("Quantity", "QuantityBackOrdered", "QuantityPreSold")
            quantity = sum(row.get(name, Decimal(0)) for name in parts)
            price = row.get("UnitSoldPrice", row["UnitCorePrice"])
            assert abs(row["ExtendedPrice"] - quantity * price) < CENT, row


def test_children_add_up_to_their_master(batch: CefBatch) -> None:
    split = [case for case in batch.cases if case.children]
    assert split
    for case in split:
        assert case.order["StatusKey"] == "Split"
        for name, amount in case.order["Totals"].items():
            assert sum(child["Totals"][name] for child in case.children) == amount
        for child in case.children:
            assert child["SalesGroupAsSubID"] == case.order["SalesGroupAsMasterID"]
            assert child["TypeKey"] == "Sales Order Child"
            assert "SalesOrderPayments" not in child


def test_only_received_money_counts(batch: CefBatch) -> None:
    def money(case: CefCase) -> Decimal:
        rows = [row["Slave"] for row in case.order.get("SalesOrderPayments", ())]
        currency = next((line["SellingCurrencyKey"] for line in case.order.get("SalesItems", ())), None)
        return sum(
            (
                row["Amount"]
                for row in rows
                if row["Received"] and row["PaymentMethodKey"] != "Purchase Order Number"
                if row["CurrencyKey"] == currency
            ),
            Decimal(0),
        )

    for case in batch.cases:
        if case.label == "post":
            assert money(case) == case.payments, case.tags


def test_both_signs_and_all_the_frameworks_oddities_occur(batch: CefBatch) -> None:
    orders = batch.records["SalesOrder"]
    assert {(order["Totals"]["Discounts"] > 0) - (order["Totals"]["Discounts"] < 0) for order in orders} == {-1, 0, 1}
    lines = [line for order in orders for line in order.get("SalesItems", ())]
    for name in ("QuantityBackOrdered", "QuantityPreSold", "UnitSoldPriceInSellingCurrency", "ProductDescription"):
        assert any(name in line for line in lines), name
    assert any("UnitSoldPrice" not in line for line in lines)
    assert {line["ItemType"] for line in lines} >= {"Item", "OrderDiscount", 0}  # enums by name, and by number
    users = batch.records["User"]
    shared = [user["AccountID"] for user in users if "AccountID" in user]
    assert len(set(shared)) < len(shared)  # several users buy for one account
    assert any("UserID" not in order and "AccountID" not in order for order in orders)  # guests
    dates = [order["OriginalDate"] for order in orders]
    assert any(len(date.partition(".")[2]) == 7 for date in dates)
    assert not any(date.endswith("Z") or "+" in date for date in dates)


@pytest.mark.parametrize("entity", ENTITIES)
def test_records_fulfil_their_contract(batch: CefBatch, entity: str) -> None:
    check = jsonschema.Draft202012Validator(entity_schema(f"clarity-cef/{entity}"))
    records = [json.loads(dumps_exact(row)) for row in batch.records[ENTITIES[entity]]]
    assert records
    # an order without lines has no SalesItems at all: empty members are left out
    whole = [row for row in records if entity not in ("order", "invoice") or "SalesItems" in row]
    assert len(whole) >= len(records) * 0.9
    for record in whole:
        assert [error.json_path for error in check.iter_errors(record)] == []


def test_nothing_is_null_or_empty_and_hashes_tell_records_apart(batch: CefBatch) -> None:
    for rows in batch.records.values():
        for row in rows:
            assert pruned(row) == row
    orders = batch.records["SalesOrder"]
    assert len({order["Hash"] for order in orders}) == len(orders)
    assert content_hash({"a": 1}) != content_hash({"a": 2})


def test_secrets_are_there_to_be_stripped_unless_told_otherwise(rest: list[Case], batch: CefBatch) -> None:
    assert any("CardNumber" in row for row in batch.records["Payment"])
    clean = cef_batch(rest[:60], secrets=False).records
    text = dumps_exact([row for rows in clean.values() for row in rows])
    for name in ("CardNumber", "CVV", '"Token"', "PasswordHash", "4111111111111111"):
        assert name not in text


def test_fixtures_are_what_the_generator_makes() -> None:
    documents = fixture_documents()
    assert {path.name for path in FIXTURES.iterdir()} == set(documents)
    for name, text in documents.items():
        assert (FIXTURES / name).read_text(encoding="utf-8") == text, name
