"""How another shop's amounts are read: by what its samples' own totals prove, and what nothing proves is said."""

from __future__ import annotations

import json
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from mapper_ai.services.propose import Proposal, propose
from mapper_ai.services.shop_money import _simplest
from mapspec import compile_spec
from mapspec.model import LineMoney

FIXTURES = Path(__file__).parents[3] / "fixtures"


def orders(shop: str, *names: str) -> list[dict[str, Any]]:
    found = sorted((FIXTURES / shop).glob("order__*.json"))
    texts = [path.read_text("utf-8") for path in found if not names or path.stem.removeprefix("order__") in names]
    return [json.loads(text, parse_float=Decimal) for text in texts]


@cache
def proposed(shop: str) -> Proposal:
    """Of all orders of a shop; only read."""
    return propose("order-to-invoice", orders(shop), system="shop")


def money(proposal: Proposal) -> LineMoney:
    found = proposal.spec.blocks()["invoice.lines[]"].money
    assert found is not None
    return found


def told(proposal: Proposal) -> str:
    return " | ".join(row.message for row in proposal.findings)


def test_the_same_names_mean_other_things_in_two_shops() -> None:
    woo = money(proposed("woocommerce"))
    assert woo.line_total is not None and woo.line_total.text == ".total"
    assert woo.discount is None and woo.order_discount is None and woo.prices_include_tax is None
    assert woo.rate_factor == 1
    shopify = money(proposed("shopify"))
    assert shopify.discount is not None and shopify.discount.text == ".discount_allocations[].amount"
    assert shopify.prices_include_tax is not None and shopify.quantity.text == ".quantity"
    assert shopify.rate_factor == 100


def test_rates_are_proposed_where_the_shop_states_amounts_only() -> None:
    samples = orders("woocommerce", "plain-card", "mixed-exempt", "odd-unit-price")
    for order in samples:
        for row in order["tax_lines"]:
            del row["rate_percent"]
    proposal = propose("order-to-invoice", samples, system="woo")
    assert proposal.spec.tables["tax_rates"].rows == {"Sales Tax": "8.25"}
    assert "for approval: Sales Tax 8.25 %" in told(proposal)
    spec = proposal.spec.model_copy(update={"assertions": ()})
    drafts = [compile_spec(spec).apply(order) for order in samples]
    assert [draft.decision for draft in drafts] == ["go", "go", "go"]


def test_what_no_sample_shows_is_named() -> None:
    text = told(propose("order-to-invoice", orders("shopify", "plain-card"), system="shop"))
    assert "no sample has prices with tax inside (taxes_included), a discount, a tip" in text
    assert "no sample" not in told(proposed("shopify"))


def test_statuses_that_nobody_knows_are_named_and_held() -> None:
    samples = orders("woocommerce", "plain-card", "two-taxes")
    samples[0]["status"] = "wc-baking"
    proposal = propose("order-to-invoice", samples, system="woo")
    assert "status: orders that say wc-baking are held until the gate names them" in told(proposal)
    assert compile_spec(proposal.spec).apply(samples[0]).decision == "hold"


def test_an_order_that_is_not_paid_has_no_payment() -> None:
    compiled = compile_spec(proposed("shopify").spec)
    made = {
        name: [row.body["amount"] for row in compiled.apply(orders("shopify", name)[0]).documents.get("payment", ())]
        for name in ("plain-card", "authorized", "partly-paid", "pending-bank-deposit")
    }
    assert made == {
        "plain-card": [{"amount": orders("shopify", "plain-card")[0]["total_price"], "code": "USD"}],
        "authorized": [],
        "partly-paid": [],
        "pending-bank-deposit": [],
    }


@pytest.mark.parametrize(
    ("low", "high", "percent"),
    [("7.42", "7.58", "7.5"), ("18.6", "19.4", "19"), ("8.2449", "8.2551", "8.25"), ("5.01", "4.99", None)],
)
def test_the_simplest_rate_between_two_ends(low: str, high: str, percent: str | None) -> None:
    found = _simplest(Decimal(low), Decimal(high))
    assert found == (None if percent is None else Decimal(percent))
