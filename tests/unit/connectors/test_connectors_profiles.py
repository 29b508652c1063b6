"""The shipped profiles are complete, valid and keep scalars as they are written."""

from __future__ import annotations

from decimal import Decimal

import jsonschema  # type: ignore[import-untyped]  # ships no types
import pytest

import connectors
from connectors.profiles import ContractField, entity_schema, list_systems, load_profile, parse_profile


def field_of(ref: str, path: str) -> ContractField:
    system, entity = ref.split("/")
    return {field.path: field for field in load_profile(system).fields(entity)}[path]


def test_shipped_systems() -> None:
    assert list_systems() == ["clarity-rest", "freshbooks"]
    assert load_profile("freshbooks") is load_profile("freshbooks")
    with pytest.raises(ValueError, match="known: clarity-rest, freshbooks"):
        load_profile("../secrets")


def test_entities() -> None:
    assert set(load_profile("freshbooks").entities) == {
        "client",
        "invoice",
        "payment",
        "item",
        "tax",
        "credit_note",
        "other_income",
    }
    assert set(load_profile("clarity-rest").entities) == {
        "order",
        "customer",
        "payment",
        "refund",
        "product",
        "event",
    }
    with pytest.raises(ValueError, match="no entity 'estimate'"):
        entity_schema("freshbooks/estimate")


@pytest.mark.parametrize("system", ["clarity-rest", "freshbooks"])
def test_contracts_are_json_schema_and_every_field_has_a_known_source(system: str) -> None:
    profile = load_profile(system)
    for name, entity in profile.entities.items():
        jsonschema.Draft202012Validator.check_schema(entity.contract)
        fields = profile.fields(name)
        assert len({field.path for field in fields}) == len(fields)
        for field in fields:
            known = field.source in profile.sources or field.source in profile.settings
            assert known, (name, field.path, field.source)
            assert field.access in ("", "R", "W", "RO", "C")


def test_every_clarity_assumption_is_one_setting() -> None:
    settings = load_profile("clarity-rest").settings
    assert list(settings) == [f"A{number}" for number in range(1, 48)]
    assert all(setting.text for setting in settings.values())
    assert settings["A39"].value == Decimal("0.01")
    assert settings["A20"].value is None
    assert settings["A18"].value == {"member": "orderNumber", "max_length": 50}


def test_settings_can_be_changed_in_a_copy() -> None:
    profile = load_profile("clarity-rest")
    assert profile.with_settings({"A21": "America/Chicago"}).settings["A21"].value == "America/Chicago"
    assert profile.settings["A21"].value == "UTC"
    with pytest.raises(ValueError, match="A99"):
        profile.with_settings({"A99": 1})


@pytest.mark.parametrize(
    ("path", "alias"),
    [
        ("client/fname", "firstname"),
        ("client/lname", "lastname"),
        ("invoice/create_date", "issue_date"),
        ("invoice/due_offset_days", "due_date"),
        ("invoice/lines[].unit_cost.amount", "unit_price"),
        ("invoice/lines[].qty", "quantity"),
        ("payment/transactionid", "transaction_id"),
        ("payment/note", "transaction_id"),
    ],
)
def test_idealised_names_are_aliases(path: str, alias: str) -> None:
    entity, name = path.split("/")
    assert alias in field_of(f"freshbooks/{entity}", name).aliases


def test_list_alias_stands_at_the_list() -> None:
    assert "line_items" in entity_schema("freshbooks:invoice")["properties"]["lines"]["x-aliases"]


def test_leaves_carry_what_the_facts_say() -> None:
    due_date = field_of("freshbooks/invoice", "due_date")
    assert (due_date.read_only, due_date.access, due_date.type) == (True, "RO", "date")
    assert "1038" in due_date.note
    amount = field_of("freshbooks/payment", "amount.amount")
    assert (amount.required, amount.access, amount.type, amount.format) == (True, "R", "decimal", "decimal")
    assert field_of("freshbooks/invoice", "amount.amount").read_only
    assert field_of("freshbooks/invoice", "lines[].amount.code").read_only
    cost = field_of("freshbooks/invoice", "lines[].unit_cost.amount")
    assert (cost.required, cost.read_only, cost.access) == (False, False, "W")
    assert field_of("freshbooks/invoice", "customerid").required
    assert field_of("freshbooks/invoice", "status").enum == tuple(range(9))
    assert "Credit Card" in field_of("freshbooks/payment", "type").enum
    assert field_of("freshbooks/client", "updated").type == "instant"
    assert field_of("clarity-rest/order", "billingAddress.city").type == "text"
    assert field_of("clarity-rest/order", "lineItems[].quantity").required
    assert field_of("clarity-rest/order", "orderNumber").max_length == 50
    assert field_of("clarity-rest/order", "customAttributes").type == "object"


def test_only_stated_lengths_are_limits() -> None:
    lengths = {
        field.path: field.max_length
        for entity in load_profile("freshbooks").entities
        for field in load_profile("freshbooks").fields(entity)
        if field.max_length is not None
    }
    assert set(lengths.values()) == {3}  # currency codes


ORDER = {
    "id": 10045,
    "orderNumber": "WEB-1",
    "orderDate": "2026-03-01T09:05:08-05:00",
    "status": "Processing",
    "customer": {"id": "501", "email": None},
    "billingAddress": None,
    "lineItems": [{"sku": "ABC-1", "quantity": 2, "unitPrice": "10.00"}],
    "total": "20.00",
    "customAttributes": [{"key": "campaign", "value": "spring"}],
}


def test_an_order_fulfils_the_contract_and_a_snippet_does_not() -> None:
    check = jsonschema.Draft202012Validator(entity_schema("clarity-rest/order"))
    assert list(check.iter_errors(ORDER)) == []
    assert not check.is_valid({"orderNumber": "WEB-1"})
    assert check.is_valid({**ORDER, "currency": None, "lineItems": [{"quantity": 1, "unitPrice": 2, "sku": None}]})
    assert not check.is_valid({**ORDER, "total": None})


def test_webhook_envelope_contract() -> None:
    check = jsonschema.Draft202012Validator(entity_schema("clarity-rest/event"))
    event = {"id": "evt_1", "type": "order.created", "data": {"object": "order", "id": "1"}}
    assert check.is_valid(event)
    assert check.is_valid({**event, "type": "something.new", "extra": 1})
    assert not check.is_valid({**event, "data": {"object": "order"}})


def test_scalars_stay_as_written() -> None:
    text = """
version: "1"
title: T
sources: {}
auth: {}
paging: {size: 10}
webhooks: {on: NO}
limits: {ratio: 0.5, code: 010, off: false, none: null}
settings: {}
entities:
  thing:
    path: things
    contract:
      type: object
      properties:
        country: {type: string, enum: [NO, SE], x-note: yes}
        level: {type: integer, enum: [0, 1], default: 1}
        flag: {type: boolean, default: false}
"""
    profile = parse_profile("test", text)
    assert profile.webhooks == {"on": "NO"}
    assert profile.limits == {"ratio": Decimal("0.5"), "code": "010", "off": False, "none": None}
    properties = profile.entity("thing").contract["properties"]
    assert properties["country"]["enum"] == ["NO", "SE"]
    assert properties["country"]["x-note"] == "yes"
    assert properties["level"]["default"] == 1
    assert properties["flag"]["default"] is False


def test_package_exports_what_it_names() -> None:
    for name in connectors.__all__:
        assert getattr(connectors, name).__name__ == name
    with pytest.raises(AttributeError, match="nothing_here"):
        _ = connectors.nothing_here
