"""Combinations, look-ups, promises: what the suggester offers beyond one field for one field."""

from __future__ import annotations

from typing import Any

import pytest

from mapper_ai.core.model import Model, Promise, load_model, read_model
from mapper_ai.core.profile import profile_records
from mapper_ai.core.promise import auto_accept, in_words
from mapper_ai.core.suggest import TargetSuggestion, suggest

LINES = [{"sku": "A-1", "name": "Cup", "quantity": 2, "unitPrice": "5.00", "taxAmount": "0.40"}]
ORDER = {
    "orderNumber": "W-1",
    "orderDate": "2026-01-01",
    "email": "ana@example.org",
    "total": "10.40",
    "billingAddress": {"line1": "1 Elm St", "line2": "Floor 2", "city": "Austin"},
    "lineItems": LINES,
}


def run(source: dict[str, Any], target: dict[str, Any]) -> dict[str, TargetSuggestion]:
    return {entry.target: entry for entry in suggest(profile_records([source]), profile_records([target]))}


def test_quantity_times_price_is_offered_where_lines_have_no_total() -> None:
    target = {"rows": [{"description": "x", "qty": 1, "rate": "2.00", "line_total": "2.00"}]}
    best = run(ORDER, target)["rows[].line_total"].candidates[0]
    assert (best.sources, best.how) == (("lineItems[].quantity", "lineItems[].unitPrice"), "multiply")
    with_total = {**ORDER, "lineItems": [{**LINES[0], "lineTotal": "10.00"}]}
    best = run(with_total, target)["rows[].line_total"].candidates[0]
    assert (best.sources, best.how) == (("lineItems[].lineTotal",), "")


def test_a_header_amount_may_be_the_sum_of_its_lines() -> None:
    found = run(ORDER, {"invoice_number": "A", "total_tax": "1.00", "total": "9.00"})["total_tax"]
    assert (found.candidates[0].source, found.candidates[0].how) == ("lineItems[].taxAmount", "sum")
    plain = run({**ORDER, "taxTotal": "0.40"}, {"total_tax": "1.00"})["total_tax"].candidates[0]
    assert (plain.source, plain.how) == ("taxTotal", "")


def test_two_street_lines_join_only_for_a_target_with_one() -> None:
    one = run(ORDER, {"bill_to": {"street": "x", "city": "y"}})["bill_to.street"]
    assert any(candidate.joined_with == ("billingAddress.line2",) for candidate in one.candidates)
    two = run(ORDER, {"bill_to": {"street": "x", "street2": "z", "city": "y"}})["bill_to.street"]
    assert not any(candidate.how for candidate in two.candidates)


def test_a_reference_is_looked_up_by_its_natural_key() -> None:
    target = {"number": "1", "customer_id": 7, "lines": [{"item_id": 9, "quantity": 1, "price": "1.00"}]}
    found = run(ORDER, target)
    assert (found["customer_id"].candidates[0].source, found["customer_id"].candidates[0].lookup) == (
        "email",
        "customer",
    )
    item = found["lines[].item_id"].candidates[0]
    assert (item.source, item.lookup) == ("lineItems[].sku", "product")


def test_no_match_grows_as_the_best_candidate_shrinks() -> None:
    found = run(ORDER, {"order_date": "2026-01-02", "warp_factor": 9})
    assert found["order_date"].no_match < 0.2 < found["warp_factor"].no_match
    assert found["warp_factor"].state == "no-match"


def test_money_tax_and_keys_are_never_accepted_alone() -> None:
    target = {"order_date": "2026-01-02", "order_number": "A", "total": "1.00", "vat_number": "x", "city": "y"}
    source = {**ORDER, "taxId": "DE1"}
    found = auto_accept(list(run(source, target).values()), 0.5)
    assert {row.target for row in found.accepted} <= {"order_date", "city"}
    assert set(found.left) <= {"order_number", "total", "vat_number"}
    assert 0.0 <= found.expected <= 0.5
    assert all(row.candidates[0].confidence >= 0.5 for row in found.accepted)


def test_the_promise_says_what_was_measured() -> None:
    promise = Promise(at=0.9, count=100, wrong=3, expected=0.04, low=0.01, high=0.07, covered=0.5)
    model = Model({}, 0.0, promises=(promise,))
    rows = list(run(ORDER, {"order_date": "2026-01-02"}).values())
    words = " ".join(in_words(auto_accept(rows, 0.95, model)))
    assert "at 0.9: 3.0% (3 of 100 wrong; 95 % interval 1.0% to 7.0%)" in words
    assert "none known" in " ".join(in_words(auto_accept(rows, 0.6, model)))
    with pytest.raises(ValueError, match="auto-accept"):
        auto_accept(rows, 0.2)


def test_the_shipped_scorer_tells_where_it_comes_from_and_keeps_its_goals() -> None:
    model = load_model()
    assert model.record is not None
    left_out = model.record["left_out"]["learned"]
    assert left_out["MRR"][0] >= 0.9
    assert left_out["Recall@1"][0] >= 0.83
    assert left_out["F1"][0] >= 0.78
    assert left_out["ECE"][0] <= 0.06
    assert left_out["P>=0.9"][0] >= 0.97
    assert left_out["coverage>=0.9"][0] >= 0.4
    assert [row.at for row in model.promises] == sorted(row.at for row in model.promises)
    assert all(row.low <= row.measured <= row.high for row in model.promises)


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({}, "expected format 1"),
        ({"format": 1}, "incomplete"),
        ({"format": 1, "weights": {"luck": 1}, "bias": 0, "calibration": {}, "promises": []}, "incomplete"),
    ],
)
def test_a_damaged_artefact_is_refused(document: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        read_model(document)
