"""Proposals for Clarity's framework: blueprints of its own, told by the samples, and the shipped mapping set."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest

from mapper_ai.services.kinds import KINDS, blueprint
from mapper_ai.services.propose import Proposal, propose
from mapper_ai.services.sampling import read_samples
from mapspec import compile_spec, digests, load_spec, unapproved

ROOT = Path(__file__).resolve().parents[3]
CEF = "clarity-cef"
FILES = {
    "order-to-invoice": "order__*.json",
    "customer-to-client": "customers.json",
    "payment-to-payment": "payments.json",
    "product-to-item": "products.json",
}


@cache
def records(kind: str) -> tuple[dict[str, Any], ...]:
    files = sorted((ROOT / "fixtures" / CEF).glob(FILES[kind]))
    return tuple(record for path in files for record in read_samples(path))


@cache
def proposed(kind: str) -> Proposal:
    return propose(kind, records(kind))


@pytest.mark.parametrize("kind", KINDS)
def test_samples_of_the_framework_become_its_own_flow(kind: str) -> None:
    spec, own = proposed(kind).spec, blueprint(kind, CEF)
    assert spec.spec == f"clarity-cef-freshbooks/{kind}"
    assert {part: digest for part, digest in digests(spec).items() if part in digests(own)} == digests(own)
    # what the suggester adds to what everybody knows
    assert spec.rules().keys() - own.rules().keys() <= {"client.fax"}
    assert not [row for row in proposed(kind).findings if row.level == "error"]


def test_an_order_of_a_store_without_approved_rates_asks_for_them() -> None:
    told = [row.message for row in proposed("order-to-invoice").findings if row.id == "sample-fails"]
    assert any("add the rate to the table tax_rates" in message for message in told)


@pytest.mark.parametrize("kind", KINDS)
def test_the_mapping_files_say_what_the_tool_proposes(kind: str) -> None:
    file = load_spec((ROOT / "mappings" / "clarity-cef-freshbooks" / f"{kind}.yaml").read_text(encoding="utf-8"))
    tables = {**file.tables, "tax_rates": proposed(kind).spec.tables.get("tax_rates")}
    rateless = file.model_copy(update={"tables": {name: table for name, table in tables.items() if table is not None}})
    assert digests(rateless) == digests(proposed(kind).spec)
    assert not unapproved(file)


def test_the_flavour_is_told_by_the_samples_and_may_be_named() -> None:
    rest = list(read_samples(ROOT / "fixtures" / "clarity" / "payments.json"))
    assert propose("payment-to-payment", rest).spec.source.system == "clarity-rest"
    assert propose("payment-to-payment", []).spec.source.system == "clarity-rest"
    assert propose("payment-to-payment", [], flavour=CEF).spec.source.system == CEF
    with pytest.raises(KeyError):
        blueprint("payment-to-payment", "shop")


def test_both_flavours_make_the_same_invoices_of_the_same_sale() -> None:
    specs = {
        name: compile_spec(
            load_spec((ROOT / "mappings" / folder / "order-to-invoice.yaml").read_text(encoding="utf-8"))
        )
        for name, folder in (("clarity", "clarity-freshbooks"), (CEF, "clarity-cef-freshbooks"))
    }
    same = ("currency_code", "create_date", "street", "city", "country", "language")
    seen = 0
    for path in sorted((ROOT / "fixtures" / CEF).glob("order__*.json")):
        other = ROOT / "fixtures" / "clarity" / path.name
        if not other.exists():
            continue
        mine, theirs = (next(iter(read_samples(file))) for file in (path, other))
        if str(mine["ID"]) != str(theirs["id"]):
            continue
        one, two = specs[CEF].apply(mine), specs["clarity"].apply(theirs)
        assert one.decision == two.decision, path.name
        if one.decision != "go":
            continue
        seen += 1
        assert one.priced is not None and two.priced is not None
        assert one.priced.total == two.priced.total
        (mine_body,), (their_body,) = (draft.documents["invoice"] for draft in (one, two))
        assert {name: mine_body.body.get(name) for name in same} == {name: their_body.body.get(name) for name in same}
    assert seen >= 5
