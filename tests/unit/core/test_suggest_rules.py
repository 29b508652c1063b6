"""What the suggester decides, each rule on records made for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from mapper_ai.core.assignment import compete
from mapper_ai.core.evidence import collect
from mapper_ai.core.explain import explain
from mapper_ai.core.features import FEATURES, RETRIEVED, gather
from mapper_ai.core.model import Model, load_model
from mapper_ai.core.profile import FieldProfile, Profile, profile_contract, profile_records, split_path
from mapper_ai.core.scoring import WeightedScorer, logit
from mapper_ai.core.signals import SIGNALS
from mapper_ai.core.suggest import Decision, TargetSuggestion, suggest


def run(source: dict[str, Any], target: dict[str, Any], **options: Any) -> dict[str, TargetSuggestion]:
    found = suggest(profile_records([source]), profile_records([target]), **options)
    return {entry.target: entry for entry in found}


def first(found: TargetSuggestion) -> str:
    return found.candidates[0].source


ADDRESS = {"line1": "1 Elm St", "city": "Austin", "state": "TX", "postalCode": "78701", "country": "US"}
ORDER = {
    "orderNumber": "W-1",
    "orderDate": "2026-01-01",
    "currency": "USD",
    "total": "12.00",
    "shippingTotal": "2.00",
    "billingAddress": ADDRESS,
    "shippingAddress": {**ADDRESS, "city": "Waco"},
    "lineItems": [{"sku": "A-1", "name": "Cup", "quantity": 2, "unitPrice": "5.00"}],
    "payments": [{"id": "9", "amount": "12.00", "method": "card", "paidAt": "2026-01-02T10:00:00Z"}],
}


def test_sides_are_kept_apart() -> None:
    found = run(ORDER, {"bill_to_city": "York", "ship_to_city": "Leeds", "p_city": "York", "s_city": "Leeds"})
    assert {target: first(entry) for target, entry in found.items()} == {
        "bill_to_city": "billingAddress.city",
        "ship_to_city": "shippingAddress.city",
        "p_city": "billingAddress.city",
        "s_city": "shippingAddress.city",
    }


def test_a_list_is_fed_from_the_list_that_answers_it() -> None:
    found = run(ORDER, {"rows": [{"article_no": "X", "qty": "1", "price": "3.00"}], "receipts": [{"sum": "1.00"}]})
    assert first(found["rows[].article_no"]) == "lineItems[].sku"
    assert first(found["rows[].qty"]) == "lineItems[].quantity"
    assert first(found["rows[].price"]) == "lineItems[].unitPrice"


def test_another_list_is_never_accepted() -> None:
    source = {"lineItems": [{"name": "Cup", "quantity": 1, "unitPrice": "2.00"}], "payments": [{"reference": "r-1"}]}
    target = {"lines": [{"name": "Jam", "qty": 1, "unit_cost": "2.00", "payment_reference": "p-1"}]}
    found = run(source, target, accept_at=0.0)["lines[].payment_reference"]
    assert not (found.accepted and first(found).startswith("payments[]"))


def test_an_object_feeds_a_list_of_one() -> None:
    found = run(ORDER, {"addresses": [{"town": "York", "zip": "YO1", "country_code": "GB"}]})
    assert first(found["addresses[].town"]) == "billingAddress.city"
    assert first(found["addresses[].zip"]) == "billingAddress.postalCode"


def test_the_currency_of_a_money_object_comes_from_the_header() -> None:
    found = run(ORDER, {"lines": [{"name": "x", "qty": 1, "unit_cost": {"amount": "1.00", "code": "EUR"}}]})
    assert first(found["lines[].unit_cost.code"]) == "currency"
    assert first(found["lines[].unit_cost.amount"]) == "lineItems[].unitPrice"


def test_first_and_last_name_together_give_a_full_name() -> None:
    found = run({"firstName": "Mia", "lastName": "Berg", "email": "m@b.test"}, {"display_name": "A B"})
    best = found["display_name"].candidates[0]
    assert best.sources == ("firstName", "lastName")


def test_one_source_may_feed_two_targets() -> None:
    found = run({"orderNumber": "W-1", "orderDate": "2026-01-01"}, {"invoice_number": "A1", "order_number": "B2"})
    assert [first(entry) for entry in found.values()] == ["orderNumber", "orderNumber"]
    assert all(entry.accepted for entry in found.values())


def test_ids_uuids_and_audit_members_find_no_match() -> None:
    found = run(
        {"id": "7", "orderDate": "2026-01-01", "total": "3.00"},
        {"id": 1, "uuid": "3b2c1f0e-5a64-4f7e-9a37-1d2c3b4a5f60", "version": "3", "create_date": "2026-01-01"},
    )
    assert {name for name, entry in found.items() if entry.accepted} == {"create_date"}
    assert {name: found[name].state for name in ("id", "uuid", "version")} == {
        "id": "not-tried",
        "uuid": "not-tried",
        "version": "no-match",
    }
    assert found["id"].why == "the target's own system gives this id"


def test_the_accepted_one_is_the_first_of_its_ranking() -> None:
    for entry in run(ORDER, {"invoice_number": "A", "amount_due": "2.00", "town": "York"}).values():
        ranking = [candidate.confidence for candidate in entry.candidates]
        assert ranking == sorted(ranking, reverse=True)
        assert entry.state == ("match" if entry.accepted else "no-match")


@dataclass(frozen=True)
class Described:
    path: str
    type: str = "string"
    required: bool = False
    read_only: bool = False
    enum: tuple[str, ...] = ()
    max_length: int | None = None
    aliases: tuple[str, ...] = ()
    note: str = ""


def test_an_alias_is_as_good_as_the_name() -> None:
    source = profile_records([{"issuedOn": "2026-01-01", "total": "3.00"}])
    plain, aliased = (
        suggest(source, profile_contract([Described("zzz", "date", aliases=aliases)]))[0]
        for aliases in ((), ("issue_date",))
    )
    assert (plain.accepted, aliased.accepted) == (False, True)


def test_a_read_only_target_finds_no_match() -> None:
    source = profile_records([{"dueDate": "2026-01-01"}])
    writable, computed = (
        suggest(source, profile_contract([Described("due_date", "date", read_only=value)]))[0]
        for value in (False, True)
    )
    assert (writable.accepted, computed.accepted) == (True, False)


def test_history_overrules() -> None:
    source, target = {"cityName": "A", "region": "B"}, {"town": "C"}
    refused = run(source, target, history=[Decision("cityName", "town", accepted=False)])["town"]
    taught = run(source, target, history=[Decision("region", "town")])["town"]
    assert not refused.accepted or first(refused) != "cityName"
    assert first(taught) == "region"


def test_evidence_adds_up_to_the_confidence() -> None:
    model = load_model()
    source, target = profile_records([ORDER]), profile_records([{"town": "York", "issued_on": "2026-02-02", "qty": 3}])
    for found in suggest(source, target):
        candidate = found.candidates[0]
        odds = model.slope * model.bias + model.offset + sum(candidate.evidence.values())
        assert 1.0 / (1.0 + np.exp(-odds)) == pytest.approx(candidate.confidence, abs=2e-3)
        assert set(candidate.evidence) <= set(FEATURES)


def test_more_of_a_feature_never_lowers_the_confidence() -> None:
    assert all(weight >= 0.0 for weight in load_model().weights.values())
    assert load_model().slope > 0.0


def test_every_signal_and_feature_is_there_to_learn_from() -> None:
    evidence = collect(profile_records([ORDER]), profile_records([{"a": 1, "lines": [{"b": 2}]}]))
    assert set(evidence.signals) == set(SIGNALS)
    assert {matrix.shape for matrix in evidence.signals.values()} == {evidence.shape}
    found = gather(evidence)
    assert found.features.shape == (RETRIEVED * evidence.shape[1], len(FEATURES))
    assert np.isfinite(found.features).all()
    assert (np.abs(found.features) <= 1.0).all()


@pytest.mark.parametrize(("source", "target"), [({}, {"a": 1}), ({"a": 1}, {}), ({}, {})])
def test_nothing_on_a_side_gives_no_candidates(source: dict[str, Any], target: dict[str, Any]) -> None:
    assert all(not entry.candidates and entry.state == "not-tried" for entry in run(source, target).values())


def test_bad_options_are_refused() -> None:
    with pytest.raises(ValueError, match="top must be at least 1"):
        run({"a": 1}, {"a": 1}, top=0)
    with pytest.raises(ValueError, match="accept_at must lie in"):
        run({"a": 1}, {"a": 1}, accept_at=1.5)
    with pytest.raises(ValueError, match="unknown signals: luck"):
        WeightedScorer({"luck": 1.0})
    with pytest.raises(ValueError, match="unknown features: luck"):
        Model({"luck": 1.0}, 0.0)


def test_fields_without_samples_can_be_matched_by_name() -> None:
    bare = Profile(tuple(FieldProfile(path=path, segments=split_path(path)) for path in ("email", "fname")))
    found = suggest(profile_records([{"emailAddress": "a@b.test", "firstName": "Mia"}]), bare)
    assert [entry.candidates[0].source for entry in found] == ["emailAddress", "firstName"]


def test_competition_spares_the_best_and_presses_the_rest() -> None:
    before = np.array([[0.95, 0.30], [0.10, 0.60]], dtype=np.float32)
    after = compete(before)
    assert after[0, 0] == pytest.approx(0.95, abs=1e-5)
    assert after[0, 1] < before[0, 1]
    assert logit(before)[0, 1] - logit(after)[0, 1] <= 2.0 + 1e-4


@pytest.mark.parametrize(
    ("source", "target", "words"),
    [
        (
            {"orderDate": "2026-01-01"},
            {"create_date": "2026-02-02"},
            "names agree after synonyms: orderDate ~ create_date",
        ),
        ({"city": "York"}, {"city": "Leeds"}, "same name: city"),
        ({"orderDate": "2026-01-01"}, {"create_date": "2026-02-02"}, "both dates"),
        ({"firstName": "A", "lastName": "B"}, {"full_name": "C D"}, "firstName and lastName together give full_name"),
        ({"id": 4, "total": "1.00"}, {"id": 5}, "but the target's own system gives this id"),
        (
            {"currency": "EUR", "lineItems": [{"name": "Cup", "quantity": 1}]},
            {"lines": [{"currency": "USD", "name": "Jam", "quantity": 3}]},
            "but only the target is in a list",
        ),
    ],
)
def test_reasons_say_what_speaks_for_and_against(source: dict[str, Any], target: dict[str, Any], words: str) -> None:
    left, right = profile_records([source]), profile_records([target])
    assert words in explain(suggest(left, right)[0].candidates[0], left, right)


def test_a_note_tells_a_rate_from_an_amount() -> None:
    order = {"lineItems": [{"sku": "A", "quantity": 1, "taxAmount": "1.90", "taxRate": "0.19"}]}
    described = [
        Described("lines[].qty", "decimal"),
        Described("lines[].taxAmount1", "decimal", aliases=("tax_amount1",), note="percent, up to 3 decimals"),
    ]
    found = {entry.target: entry for entry in suggest(profile_records([order]), profile_contract(described))}
    assert first(found["lines[].taxAmount1"]) == "lineItems[].taxRate"


def test_a_text_contract_takes_any_format() -> None:
    source = profile_records([{"email": "a@b.test", "currency": "EUR"}])
    found = suggest(source, profile_contract([Described("contact_email"), Described("currency_code")]))
    assert [first(entry) for entry in found] == ["email", "currency"]
    assert all(entry.accepted for entry in found)


def test_signs_that_only_look_like_numbers_number_no_field() -> None:
    made = profile_records([{"line ❶": "a", "m ²": "b", "street 2": "c"}])
    assert {row.target for row in suggest(made, made)} == {"line ❶", "m ²", "street 2"}
