"""Proposals: blueprints keep their meaning, silence is filled with rules that work, other sources are carried over."""

from __future__ import annotations

from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from mapper_ai.core.profile import profile_records
from mapper_ai.core.remembered import PastDecision, PastDecisions
from mapper_ai.core.suggest import TargetSuggestion, suggest
from mapper_ai.services.autoaccept import approve_safe
from mapper_ai.services.goals import profile_goals
from mapper_ai.services.kinds import KINDS, blueprint, kind_for, left_out
from mapper_ai.services.plain_spec import propose_plain, slug
from mapper_ai.services.propose import Proposal, propose
from mapper_ai.services.rewrite import rewrite_spec
from mapper_ai.services.sampling import read_samples
from mapper_ai.services.sources import part_sources, read_at
from mapper_ai.services.targets import target_goals
from mapspec import compile_spec, digests, dump_spec, load_spec, unapproved
from mapspec.conditions import Condition
from mapspec.model import Origin

ROOT = Path(__file__).resolve().parents[3]
FIXTURES = ROOT / "fixtures" / "clarity"
FILES = {
    "order-to-invoice": "order__*.json",
    "customer-to-client": "customers.json",
    "payment-to-payment": "payments.json",
    "product-to-item": "products.json",
}


@cache
def records(kind: str) -> tuple[dict[str, Any], ...]:
    return tuple(record for path in sorted(FIXTURES.glob(FILES[kind])) for record in read_samples(path))


@cache
def proposed(kind: str) -> Proposal:
    return propose(kind, records(kind))


@pytest.mark.parametrize("kind", KINDS)
def test_a_proposal_for_clarity_means_what_the_blueprint_means(kind: str) -> None:
    assert digests(proposed(kind).spec) == digests(blueprint(kind))
    assert not [row for row in proposed(kind).findings if row.level == "error"]


@pytest.mark.parametrize("kind", KINDS)
def test_the_mapping_files_say_what_the_tool_proposes(kind: str) -> None:
    file = load_spec((ROOT / "mappings" / "clarity-freshbooks" / f"{kind}.yaml").read_text(encoding="utf-8"))
    assert digests(file) == digests(proposed(kind).spec)
    assert not unapproved(file)
    made, stored = compile_spec(proposed(kind).spec), compile_spec(file)
    for record in records(kind):
        assert made.apply(record) == stored.apply(record)


@pytest.mark.parametrize("kind", KINDS)
def test_a_blueprint_has_no_approvals_and_no_origins(kind: str) -> None:
    rules = [*blueprint(kind).rules().values(), *blueprint(kind).blocks().values()]
    assert all(rule.approval.state == "proposed" and rule.origin is None for rule in rules)


@pytest.mark.parametrize("kind", KINDS)
def test_proposals_are_the_same_on_every_run_and_survive_the_text(kind: str) -> None:
    again = propose(kind, records(kind))
    assert dump_spec(again.spec) == dump_spec(proposed(kind).spec)
    assert load_spec(dump_spec(again.spec)) == again.spec


def test_a_rule_the_suggester_agrees_with_carries_its_word() -> None:
    origin = proposed("order-to-invoice").spec.rules()["invoice.create_date"].origin
    assert origin is not None
    assert origin.by == "learned"
    assert origin.confidence is not None
    assert origin.confidence > Decimal("0.8")
    assert origin.why


def test_a_rule_without_a_suggestion_stands_by_itself() -> None:
    origin = proposed("order-to-invoice").spec.rules()["invoice.language"].origin
    assert origin is not None
    assert (origin.by, origin.confidence) == ("rule", None)


def test_the_shops_percentless_discount_is_never_proposed_as_freshbooks_percent() -> None:
    proposal = proposed("order-to-invoice")
    assert "invoice.discount_value" not in proposal.spec.fields
    assert proposal.alternatives["invoice.discount_value"]


def test_every_field_left_out_exists_in_a_contract() -> None:
    known = {
        f"{name}.{goal.path}"
        for spec in map(blueprint, KINDS)
        for goals in target_goals(spec)
        for goal in goals.goals
        for name in (goals.name, spec.entity_of(goals.name))
    }
    assert {name for name in left_out() if not name.endswith(".*")} <= known


def test_contracts_alone_are_enough_for_a_proposal() -> None:
    assert digests(propose("payment-to-payment", []).spec) == digests(blueprint("payment-to-payment"))


def test_a_failing_sample_is_told_and_the_rule_stays() -> None:
    bad = {**records("payment-to-payment")[0], "paidAt": "yesterday"}
    proposal = propose("payment-to-payment", [bad])
    told = [row for row in proposal.findings if row.part == "payment.date"]
    assert told
    assert "1 of 1 samples" in told[0].message
    assert "payment.date" in proposal.spec.fields


# --- another source -----------------------------------------------------------------------------------------------

SHOP_ORDER: dict[str, Any] = {
    "id": 7001,
    "order_number": "S-7001",
    "created_at": "2026-03-01T09:05:08-05:00",
    "updated_at": "2026-03-01T10:00:00-05:00",
    "status": "processing",
    "currency": "USD",
    "customer_note": "leave it at the door",
    "billing": {
        "first_name": "Ana",
        "last_name": "Nunez",
        "email": "Ana@Example.com",
        "company": "",
        "address_1": "1 Main St",
        "city": "Austin",
        "state": "TX",
        "postcode": "78701",
        "country": "US",
        "phone": "+1 512 555 0100",
    },
    "line_items": [{"id": 1, "sku": "ABC-1", "name": "Widget", "quantity": 2, "price": "10.00", "total": "20.00"}],
    "subtotal": "20.00",
    "shipping_total": "5.00",
    "discount_total": "0.00",
    "total_tax": "0.00",
    "total": "25.00",
}


def test_another_shops_order_becomes_an_invoice_through_the_blueprint() -> None:
    proposal = propose("order-to-invoice", [SHOP_ORDER], system="shop")
    assert proposal.spec.source.system == "shop"
    assert proposal.spec.spec == "shop-freshbooks/order-to-invoice"
    draft = compile_spec(proposal.spec).apply(SHOP_ORDER)
    invoice = draft.documents["invoice"][0].body
    assert invoice["invoice_number"] == "S-7001"
    assert invoice["create_date"] == "2026-03-01"
    assert [line["name"] for line in invoice["lines"]] == ["Widget", "Shipping"]
    assert draft.documents["client"][0].body["email"] == "ana@example.com"
    assert draft.documents["client"][0].body["p_country"] == "United States"


def test_what_the_other_shop_does_not_have_is_left_out_and_told() -> None:
    proposal = propose("order-to-invoice", [SHOP_ORDER], system="shop")
    assert "payment" not in proposal.spec.targets
    told = [row.message for row in proposal.findings if row.id == "not-carried-over"]
    assert any("step payment" in text for text in told)


def test_a_condition_on_a_missing_field_counts_it_as_empty() -> None:
    spec, told = rewrite_spec(blueprint("payment-to-payment"), {"id": "pid", "amount": "sum", "orderId": "order"})
    # Without a status nothing is known to be captured, so that nothing may be posted.
    first = spec.gate[0]
    assert (first.id, first.do, first.when) == ("not-money-yet", "skip", Condition.model_validate({"present": "$"}))
    assert any("not-money-yet" in text for _, text in told)
    draft = compile_spec(spec).apply({"pid": "1", "sum": "5.00", "order": "2"})
    assert draft.decision == "skip"


def test_a_total_never_comes_from_some_element_of_a_list() -> None:
    found = {"lineItems[].quantity": "rows[].n", "lineItems[].unitPrice": "rows[].p", "total": "rows[].p"}
    spec, told = rewrite_spec(blueprint("order-to-invoice"), {**found, "id": "id", "orderNumber": "no"})
    assert "invoice.lines[]" not in spec.fields
    assert any(part == "invoice.lines[]" for part, _ in told)


def test_a_default_stands_in_for_a_missing_field() -> None:
    spec, _ = rewrite_spec(blueprint("order-to-invoice"), {"id": "id", "orderNumber": "no"})
    draft = compile_spec(spec).apply({"id": "1", "no": "N1"})
    assert draft.documents["invoice"][0].body["due_offset_days"] == 0


# --- no blueprint -------------------------------------------------------------------------------------------------


def plain(source: list[dict[str, Any]], target: list[dict[str, Any]]) -> Proposal:
    goals = profile_goals(profile_records(target))
    return propose_plain(profile_records(source), source, goals, source_name="orders", target_name="bills")


def test_two_unknown_systems_get_rules_that_work() -> None:
    source = [{"id": "1", "customer": {"email": "A@B.example"}, "items": [{"sku": "X", "qty": 2}], "total": "9.50"}]
    target = [{"bill_email": "c@d.example", "lines": [{"item_sku": "Y", "quantity": 1}], "total": 7}]
    proposal = plain(source, target)
    body = compile_spec(proposal.spec).apply(source[0])
    assert body.decision == "go"
    made = proposal.spec
    assert made.fields["bills.bill_email"]
    assert made.blocks()["bills.lines[]"].each.text == "items[]"
    assert unapproved(made)


def test_a_rule_that_fails_on_the_samples_is_not_proposed() -> None:
    source = [{"id": "1", "quantity": "many"}, {"id": "2", "quantity": "few"}]
    proposal = plain(source, [{"quantity": 3}])
    assert "bills.quantity" not in proposal.spec.fields
    told = [row for row in proposal.findings if row.part == "bills.quantity"]
    assert [row.id for row in told] == ["not-ready"]
    assert "2 of 2 samples" in told[0].message


def test_samples_of_the_target_count_and_lead_to_constants_tables_and_units() -> None:
    source = [
        {"id": n, "status": ("PAID", "UNPAID")[n % 2], "currency": "EUR", "total_money": {"amount": 900 + 777 * n},
         "customer_id": f"C{n}", "created_at": 1782028429 + n}
        for n in range(6)
    ]  # fmt: skip
    target = [
        {"invoice_status": ("paid", "open")[n % 2], "total": Decimal(n) + Decimal("0.55"), "source_kind": "api",
         "customer_id": 40 + n, "created_at": "2026-01-01T00:00:00Z"}
        for n in range(6)
    ]  # fmt: skip
    known = profile_records(target)
    proposal = propose_plain(
        profile_records(source), source, profile_goals(known), source_name="orders", target_name="bills", target=known
    )
    body = compile_spec(proposal.spec).apply(source[1]).documents["bills"][0].body
    assert body["invoice_status"] == "open"
    assert body["total"] == "16.77"
    assert body["source_kind"] == "api"
    assert body["created_at"] == "2026-06-21T07:53:50+00:00"
    assert "customer_id" not in body  # another system's id is looked up, never copied
    told = {(row.id, row.part) for row in proposal.findings}
    assert {("check-units", "bills.total"), ("constant", "bills.source_kind")} <= told
    assert ("not-ready", "bills.customer_id") in told
    # What rests on a table made by rule waits for a person, however sure the pair is.
    done = approve_safe(proposal.spec, 0.5, when="2026-03-01T00:00:00Z")
    assert not {"bills.invoice_status", "bills.total"} & set(done.parts)
    assert "bills.invoice_status" in done.left


def test_whoever_ranks_gets_the_earlier_decisions() -> None:
    known = profile_records([{"note": f"memo {n}"} for n in range(3)])
    source = [{"id": str(n), "note": f"remark {n}", "other": f"word {n}"} for n in range(3)]
    decided = PastDecision("orders", ("other",), "bills", "note", "accept")
    seen: list[int] = []

    def rank(*ends: Any, **more: Any) -> list[TargetSuggestion]:
        seen.append(len(more["history"]))
        return suggest(*ends, **more)

    proposal = propose_plain(
        profile_records(source), source, profile_goals(known), source_name="orders", target_name="bills",
        recall=lambda source, target: PastDecisions([decided], "orders", "bills"), rank=rank,
    )  # fmt: skip
    assert seen == [1]
    assert part_sources(proposal.spec, "bills.note") == ("other",)


def test_what_a_language_model_lifted_is_never_approved_without_a_person() -> None:
    known = profile_records([{"note": f"memo {n}"} for n in range(3)])
    source = [{"id": str(n), "note": f"remark {n}"} for n in range(3)]
    spec = propose_plain(
        profile_records(source), source, profile_goals(known), source_name="orders", target_name="bills"
    ).spec
    rule = spec.fields["bills.note"]

    def accepted(why: dict[str, str]) -> tuple[str, ...]:
        origin = Origin(by="learned", confidence=Decimal("0.97"), why=why)
        marked = spec.model_copy(update={"fields": {"bills.note": rule.model_copy(update={"origin": origin})}})
        return approve_safe(marked, 0.95, when="2026-03-01T00:00:00Z").parts

    assert accepted({"name": "+3.0"}) == ("bills.note",)
    assert accepted({"name": "+3.0", "llm": "-0.4"}) == ("bills.note",)
    assert accepted({"name": "+3.0", "llm": "+0.4"}) == ()


def test_names_become_slugs() -> None:
    assert slug("Shop Orders (2026).v2") == "shop-orders-2026-v2"
    assert slug("…") == "samples"


# --- sources of parts ---------------------------------------------------------------------------------------------


def test_sources_are_traced_through_values_lists_and_pricing() -> None:
    spec = blueprint("order-to-invoice")
    assert part_sources(spec, "client.email")[0] == "customer.email"
    assert part_sources(spec, "invoice.lines[].qty") == ("lineItems[].quantity",)
    assert part_sources(spec, "payment.amount")[0] == "payments[].amount"
    assert part_sources(spec, "invoice.customerid")[:2] == ("customer.accountId", "customer.id")
    assert part_sources(spec, "invoice.language") == ()
    assert part_sources(spec, "no.such.part") == ()


def test_a_value_is_read_by_its_dotted_path() -> None:
    record = {"a": {"b": 1}, "rows": [{"x": 1}, {"y": 2}], "tags": ["p", "q"]}
    assert read_at(record, "a.b") == 1
    assert read_at(record, "rows[].x") == [1, None]
    assert read_at(record, "tags[]") == ["p", "q"]
    assert read_at(record, "a.b.c") is None


def test_each_kind_is_found_by_its_target() -> None:
    assert kind_for("freshbooks:invoice") == "order-to-invoice"
    assert kind_for("freshbooks/payment") == "payment-to-payment"
    assert kind_for("xero:invoice") is None
