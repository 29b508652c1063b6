"""Steps by rule: what types, formats, contract and sample values lead to, and that it works on the samples."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from mapper_ai.core.profile import profile_records
from mapper_ai.services.goals import Goal, contract_goals, profile_goals
from mapper_ai.services.steps_by_rule import Place, Plan, plan_steps, relative


def plan(values: list[Any], goal: Goal, place: Place | None = None) -> Plan:
    profile = profile_records([{"field": value} for value in values])
    return plan_steps([profile.field("field")], goal, place or Place())


def goal(path: str = "target", kind: str = "text", **more: Any) -> Goal:
    return Goal(path, path, kind, **more)


def test_an_e_mail_is_trimmed_lowered_and_checked() -> None:
    made = plan(["Ana@Example.com"], goal("email", format="email"))
    assert made.steps == ({"path": "field"}, {"trim": None}, {"case": "lower"})
    assert made.check == ({"format": "email"},)


def test_an_instant_becomes_a_date_in_the_given_zone() -> None:
    made = plan(["2026-03-01T09:05:08-05:00"], goal("create_date", "date"), Place(zone="settings.timezone"))
    assert made.steps == ({"path": "field"}, {"parse_instant": None}, {"to_date": "settings.timezone"})
    assert made.check == ({"format": "date"},)


def test_money_needs_a_currency() -> None:
    wanted = goal("amount", "money")
    assert plan([Decimal("1.50")], wanted, Place(currency="values.currency")).steps[-1] == {"money": "values.currency"}
    assert "currency" in plan([Decimal("1.50")], wanted).problem


@pytest.mark.parametrize("kind", ["decimal", "int", "bool"])
def test_plain_types_are_converted(kind: str) -> None:
    assert plan(["1"], goal(kind=kind)).steps[-1] == {kind: None}


def test_a_text_is_cleaned_and_a_tag_removed() -> None:
    assert plan(["<p>Tea</p>"], goal("description")).steps == (
        {"path": "field"},
        {"strip_html": None},
        {"clean_text": None},
    )
    assert plan(["Ana"], goal("fname")).steps == ({"path": "field"}, {"clean_text": None}, {"collapse_space": None})


def test_a_key_is_refused_rather_than_cut() -> None:
    assert plan(["A-1"], goal("sku", max_length=20)).steps[-1] == {"max_length": {"n": "20", "over": "error"}}
    assert plan(["text"], goal("memo", max_length=20)).steps[-1] == {"max_length": {"n": "20", "over": "truncate"}}


def test_a_country_code_becomes_the_name_where_the_contract_wants_one() -> None:
    country = next(row for row in contract_goals("freshbooks", "client") if row.path == "p_country")
    assert plan(["US"], country).steps[-1] == {"country_name": None}


def test_a_closed_list_gets_a_table_from_the_samples() -> None:
    made = plan(["credit_card", "PayPal"], goal("type", enum=("Credit Card", "PayPal")))
    assert made.tables["type"]["rows"] == {"credit_card": "Credit Card", "paypal": "PayPal"}
    assert made.steps[-1] == {"lookup_table": "type"}
    assert not made.problem


def test_a_value_without_a_like_one_is_named() -> None:
    made = plan(["wampum"], goal("type", enum=("Cash",)))
    assert "wampum" in made.problem


def test_several_sources_are_joined_for_a_name_and_tried_in_turn_otherwise() -> None:
    profile = profile_records([{"first": "Ana", "last": "Nunez"}])
    both = [profile.field("first"), profile.field("last")]
    joined = plan_steps(both, goal("full_name"), Place()).steps[0]
    assert joined == {"join": [[{"path": "first"}, {"trim": None}], [{"path": "last"}, {"trim": None}]]}
    assert plan_steps(both, goal("city"), Place()).steps[0] == {"coalesce": ["first", "last"]}


def test_a_name_with_a_dot_is_read_in_quotes() -> None:
    profile = profile_records([{"odd.name": "x"}])
    assert plan_steps(profile.fields, goal(), Place()).steps[0] == {"path": '"odd.name"'}


def test_a_field_that_no_path_can_name_is_no_plan() -> None:
    profile = profile_records([{"grid": [["x"]]}])
    assert "cannot be written" in plan_steps(profile.fields, goal(), Place()).problem


@pytest.mark.parametrize(
    ("path", "each", "written"),
    [
        ("lineItems[].sku", "lineItems[]", ".sku"),
        ("lineItems[].taxLines[].name", "lineItems[]", ".taxLines[].name"),
        ("tags[]", "tags[]", "."),
        ("total", "lineItems[]", "total"),
        ("lineItemsOther.sku", "lineItems[]", "lineItemsOther.sku"),
        ("values.x", "", "$.values.x"),
    ],
)
def test_paths_are_written_as_seen_from_the_list(path: str, each: str, written: str) -> None:
    assert relative(path, each) == written


def test_a_money_object_is_one_goal() -> None:
    goals = {row.path: row for row in contract_goals("freshbooks", "payment")}
    assert goals["amount"].type == "money"
    assert goals["amount"].required
    assert goals["amount"].leaf == "amount.amount"
    assert "amount.code" not in goals


def test_digits_in_a_text_are_no_number() -> None:
    goals = {row.path: row for row in profile_goals(profile_records([{"number": "0042", "count": 3}]))}
    assert goals["number"].type == "text"
    assert goals["count"].type == "int"
