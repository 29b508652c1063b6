"""Steps by rule: what types, formats, contract and sample values lead to, and that it works on the samples."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from connectors.profiles import ContractField as Field
from mapper_ai.core.profile import profile_contract, profile_records
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


@pytest.mark.parametrize(
    ("values", "step"),
    [
        ([1782028429, 1786124808], {"from_epoch": "s"}),
        (["1782028429500"], {"from_epoch": "ms"}),
        (["2026-03-01T09:05:08Z"], {"parse_instant": None}),
    ],
)
def test_an_instant_is_read_as_the_samples_write_it(values: list[Any], step: dict[str, Any]) -> None:
    assert plan(values, goal("created_at", "instant")).steps == ({"path": "field"}, step)
    assert plan(values, goal("day", "date")).steps[1:] == (step, {"to_date": "as_written"})


def test_days_are_read_in_the_order_that_the_samples_show_and_never_guessed() -> None:
    wanted = goal("day", "date")
    assert plan(["25/03/2026", "04/05/2026"], wanted).steps[-1] == {"parse_date": "D/M/YYYY"}
    assert plan(["03/25/2026", "04/05/2026"], wanted).steps[-1] == {"parse_date": "M/D/YYYY"}
    assert plan(["25.03.2026"], wanted).steps[-1] == {"parse_date": "D.M.YYYY"}
    assert "which is the day" in plan(["03/04/2026"], wanted).problem
    assert "without a time" in plan(["25.03.2026"], goal("moment", "instant")).problem


def test_whole_numbers_of_money_are_taken_for_minor_units_and_told() -> None:
    profile = profile_records([{"amount": value} for value in (31770, 9246, 1200)])
    made = plan_steps([profile.field("amount")], goal("Total", "decimal"), Place(currency="currency"))
    assert made.steps == ({"path": "amount"}, {"scale": {"minor_units_of": "currency"}})
    assert "minor units" in made.doubt
    money = plan_steps([profile.field("amount")], goal("Total", "money"), Place(currency="currency"))
    assert money.steps[1:] == ({"scale": {"minor_units_of": "currency"}}, {"money": "currency"})
    whole = profile_records([{"amount": Decimal(value)} for value in ("317.70", "1200.00", "9.10")])
    plain = plan_steps([whole.field("amount")], goal("Total", "decimal"), Place(currency="currency"))
    assert plain.steps[-1] == {"decimal": None} and not plain.doubt
    assert plan([10000, 20000, 30000], goal("stock", "decimal")).steps[-1] == {"decimal": None}


def test_countries_and_phones_take_the_targets_form() -> None:
    target = profile_records([{"country": "DE", "phone": "+14155550123"}, {"country": "FR", "phone": "+14155550124"}])
    country, phone = profile_goals(target)
    assert plan(["Germany"], country).steps[-1] == {"country_code": "hold"}
    assert {"phone": None} in plan(["(415) 555-0123"], phone).steps


def test_free_texts_of_a_few_samples_are_no_list_of_allowed_values() -> None:
    records = [{"name": "Tea", "kind": "goods", "status": "paid"}] * 3 + [
        {"name": "Cup", "kind": "services", "status": "open"}
    ] * 3
    found = {row.path: row for row in profile_goals(profile_records(records))}
    assert found["name"].enum == () and found["kind"].enum == ("goods", "services")
    made = plan(["physical", "service"] * 3, found["kind"])
    assert made.tables == {"kind": {"rows": {"physical": "goods", "service": "services"}}}
    assert made.check == ()  # samples do not show every allowed value
    assert plan(["UNPAID", "Paid"] * 3, found["status"]).tables["status"]["rows"] == {"unpaid": "open", "paid": "paid"}
    assert "refunded" in plan(["paid", "refunded"] * 3, found["status"]).problem
    assert plan(["any text of a person"], found["kind"]).tables == {}


def test_a_schema_says_what_a_target_allows() -> None:
    fields = [
        Field(path="code", type="text", max_length=5, required=True),
        Field(path="kind", type="text", enum=("a",), required=True),
        Field(path="count", type="integer"),
        Field(path="made", type="text", read_only=True),
    ]
    found = {row.path: row for row in profile_goals(profile_contract(fields))}
    assert found["code"].max_length == 5 and found["code"].required
    assert found["kind"].enum == ("a",) and not found["kind"].seen and found["kind"].constant == "a"
    assert found["count"].type == "int" and found["made"].read_only
