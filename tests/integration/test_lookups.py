"""`lookup_remote`: the runner asks FreshBooks before it maps; a preview shows the place, or reads a table."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import pytest

from connectors.freshbooks import FreshBooks
from connectors.tokens import StaticToken
from mapper_ai.services.findings import spec_findings
from mapper_ai.services.preview import preview_rows
from mapspec import Lookup, approve, compile_spec, dump_spec, load_spec, load_with_lines
from mapspec.ops import NOT_LOOKED_UP, Output
from sync import lookups
from tests.flows import Books, envelope, order, reasons

SPEC = """\
spec: shop/order-to-invoice
source: {system: clarity-rest, entity: order, events: [order.created], number: orderNumber, updated: updatedAt}
targets: {client: freshbooks/client, invoice: freshbooks/invoice}
flow:
  - {id: items, do: lookup, entity: item, match: [sku], value: .sku, each: "lineItems[]"}
  - {id: buyer, do: lookup, entity: client, match: [email], value: customer.email}
  - {id: rate, do: lookup, entity: tax, match: [name], value: customAttributes.tax}
  - {id: client, do: create_if_missing, target: client, key: ["{customer.id}"], match: [email]}
  - {id: invoice, do: create_once, target: invoice, key: ["{id}"], needs: [client]}
fields:
  client.email: {required: true, steps: [{path: customer.email}]}
  invoice.customerid: {required: true, steps: [{step_output: client.id}]}
  invoice.create_date: {required: true, steps: [{path: orderDate}, {parse_instant: }, {to_date: }]}
  invoice.invoice_number: {required: true, steps: [{template: "{orderNumber}"}]}
  invoice.notes: {required: true, steps: [{template: "Order {orderNumber}"}]}
  invoice.language: {steps: [{lookup_remote: buyer.language}, {default: en}, {case: lower}]}
  invoice.terms: {steps: [{lookup_remote: rate.amount}]}
  invoice.currency_code: {required: true, steps: [{path: currency}]}
  invoice.lines[]:
    each: lineItems[]
    money: {currency: $.currency, quantity: .quantity, unit_price: .unitPrice, total: $.total, order_tax: taxTotal}
    fields:
      name: {steps: [{lookup_remote: items.name}, {default: Unlisted}]}
      description: {steps: [{path: .name}]}
      qty: {steps: [{line_price: quantity}]}
      unit_cost: {steps: [{line_price: unit_cost}]}
assertions:
  - {id: adds-up, predicted_total: {lines: "invoice.lines[]", total: total, currency: currency}, message: sum}
"""
LINES = [
    {"sku": "TEA-1", "name": "Tea as the shop calls it", "quantity": 2, "unitPrice": "10.00"},
    {"sku": "NEW-9", "name": "Unheard of", "quantity": 1, "unitPrice": "5.00"},
    {"name": "No SKU at all", "quantity": 1, "unitPrice": "1.00"},
]


def an_order(**changes: Any) -> dict[str, Any]:
    return order(
        lineItems=LINES,
        total="26.00",
        taxTotal="0.00",
        customAttributes=[{"key": "tax", "value": "State tax"}],
        shippingTotal=None,
        **changes,
    )


@pytest.fixture
def shop(make_books: Callable[..., Books], tmp_path: Path) -> Books:
    folder = tmp_path / "mappings"
    folder.mkdir()
    text = dump_spec(approve(load_spec(SPEC), None, by="ana", at="2026-03-01T00:00:00Z"))
    (folder / "order-to-invoice.yaml").write_text(text, encoding="utf-8")
    return make_books(books={"mappings": folder})


def freshbooks(books: Books) -> FreshBooks:
    return FreshBooks(
        base_url=books.sandbox.freshbooks_url,
        account_id=books.sandbox.account_id,
        tokens=StaticToken(books.sandbox.access_token),
    )


def stock(books: Books, *, items: int = 1) -> None:
    with freshbooks(books) as api:
        for number in range(items):
            api.create("item", {"name": f"Green tea {number}", "sku": "tea-1"})
        api.create("client", {"email": "ANA@example.com", "language": "FR"})
        api.create("tax", {"name": "State tax", "amount": "8.25"})
        api.create("tax", {"name": "State tax of another state", "amount": "4"})


def test_fields_are_made_of_what_freshbooks_has(shop: Books) -> None:
    stock(shop)
    record = an_order(customer={"id": "c1", "email": "ana@example.com"})
    report = shop.run(envelope("order.created", record))
    assert reasons(report) == {}
    [invoice] = shop.table("invoice")
    assert [line["name"] for line in invoice["lines"]] == ["Green tea 0", "Unlisted", "Unlisted"]
    assert (invoice["language"], str(invoice["terms"])) == ("fr", "8.25")


def test_a_dry_run_shows_the_bodies_with_what_was_found(shop: Books) -> None:
    stock(shop)
    record = an_order(customer={"id": "c1", "email": "ana@example.com"})
    report = shop.run(envelope("order.created", record), dry_run=True)
    [body] = [planned["body"]["invoice"] for planned in report.planned if planned["entity"] == "invoice"]
    assert [line["name"] for line in body["lines"]] == ["Green tea 0", "Unlisted", "Unlisted"]
    assert body["language"] == "fr"


def test_of_several_hits_none_is_the_first(shop: Books) -> None:
    stock(shop, items=2)
    record = an_order(customer={"id": "c1", "email": "ana@example.com"})
    report = shop.run(envelope("order.created", record))
    assert reasons(report) == {f"order:{record['id']}": "several-items"}
    assert shop.table("invoice") == []


def test_without_a_connection_the_draft_shows_the_places_and_says_so() -> None:
    record = an_order(customer={"id": "c1", "email": "ana@example.com"})
    draft = compile_spec(load_spec(SPEC)).apply(record)
    assert draft.decision == "go"
    told = {reason.target for reason in draft.warnings if reason.id == NOT_LOOKED_UP}
    assert told == {"invoice.language", "invoice.terms", "invoice.lines[].name"}
    body = draft.documents["invoice"][0].body
    # the line without a SKU needs nobody: there is nothing to look up
    assert [line["name"] for line in body["lines"]] == [Output("items", "name"), Output("items", "name"), "Unlisted"]
    [row] = preview_rows(SPEC, [("one", record)], part="invoice.language")
    assert (row.after, row.failed) == ("{buyer.language}", False)
    assert "known only with a connection" in row.reasons[0]


def test_the_preview_command_takes_a_table_instead_of_a_connection(tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text(SPEC, encoding="utf-8")
    record = an_order(customer={"id": "c1", "email": "ana@example.com"})
    (tmp_path / "order.json").write_text(json.dumps(record, default=str), encoding="utf-8")
    table = {
        "items": [{"sku": "tea-1", "name": "Green tea"}],
        "rate": [{"name": "State Tax", "amount": Decimal("8.25")}],
    }
    (tmp_path / "found.json").write_text(json.dumps(table, default=str), encoding="utf-8")

    def preview(*more: str) -> dict[str, Any]:
        command = [sys.executable, "-m", "mapper_ai", "preview", "spec.yaml", "--sample", "order.json", "--json", *more]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        shown: dict[str, Any] = json.loads(done.stdout)
        return shown

    without = preview()
    assert {row["id"] for row in without["warnings"]} == {NOT_LOOKED_UP}
    found = preview("--found", "found.json")
    assert found["warnings"] == []
    [document] = found["documents"]["invoice"]
    assert [line["name"] for line in document["body"]["lines"]] == ["Green tea", "Unlisted", "Unlisted"]
    assert (document["body"]["terms"], document["body"]["language"]) == ("8.25", "en")
    for bad in ("[]", '{"items": 1}', "{"):
        (tmp_path / "found.json").write_text(bad, encoding="utf-8")
        command = [sys.executable, "-m", "mapper_ai", "preview", "spec.yaml", "--sample", "order.json", "--found"]
        done = subprocess.run([*command, "found.json"], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 3
        assert done.stderr.count("\n") == 1
        assert "found.json" in done.stderr


@pytest.mark.parametrize(
    ("old", "new", "rule", "told"),
    [
        ("lookup_remote: items.name", "lookup_remote: itms.name", "unknown-step", "did you mean 'items'?"),
        ("lookup_remote: items.name", "lookup_remote: items.nam", "unknown-lookup-member", "did you mean 'name'?"),
        ("lookup_remote: items.name", "lookup_remote: client.id", "not-a-lookup", "step_output"),
        ("lookup_remote: buyer.language", "lookup_remote: items.name", "lookup-of-another-list", "another list"),
        ("match: [sku], value", "match: [name], value", "lookup-not-possible", "item by sku"),
        ("entity: tax, match: [name]", "entity: invoice, match: [name]", "lookup-not-possible", "tax by name"),
        ("step_output: client.id", "step_output: buyer.id", "unknown-step-output", "lookup_remote: buyer.id"),
        ("step_output: client.id", "step_output: client.email", "unknown-step-output", "gives id, not 'email'"),
    ],
)
def test_the_checks_know_what_a_lookup_can_bring(old: str, new: str, rule: str, told: str) -> None:
    def errors(text: str) -> list[tuple[str, str]]:
        return [(row.id, row.message) for row in spec_findings(*load_with_lines(text)) if row.level == "error"]

    assert errors(SPEC) == []
    assert SPEC.count(old) == 1
    [(found, message)] = errors(SPEC.replace(old, new))
    assert found == rule
    assert told in message


def test_what_is_remembered_of_searches_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookups, "MOST_REMEMBERED", 3)
    asked: list[str] = []

    class Items:
        def find_items_by_sku(self, sku: str) -> list[dict[str, Any]]:
            asked.append(sku)
            return []

    finder = lookups.Finder(cast(FreshBooks, Items()), lambda: 0.0)
    for sku in ("a", "a", "b", "c", "d", "a"):
        finder.find(Lookup("items", "item", "sku", sku, "x"))
    assert asked == ["a", "b", "c", "d", "a"]
    assert len(finder._known) <= 3
