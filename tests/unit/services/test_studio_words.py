"""Steps, checks and flows read as plain words."""

from __future__ import annotations

import re
from typing import Any

import pytest

from mapper_ai.services import words_steps
from mapper_ai.services.kinds import KINDS, blueprint
from mapper_ai.services.words import block_in_words, condition_in_words, flow_in_words, rule_in_words, steps_in_words
from mapspec.conditions import Condition
from mapspec.model import FieldRule, MappingSpec
from mapspec.ops import CATALOGUE, parse_step


def words(*steps: Any, check: list[Any] | None = None, **settings: str) -> str:
    return rule_in_words(FieldRule.model_validate({"steps": list(steps), "check": check or []}), settings)


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([{"path": "customer.email"}, {"trim": None}, {"case": "lower"}],
         "customer.email, without blanks at the ends, in small letters"),
        ([{"coalesce": ["a", "b", "c"]}], "the first of a, b or c that is there"),
        ([{"template": "Order {orderNumber}"}], "the text “Order ‹orderNumber›”"),
        ([{"template": "line {#} of {.sku}"}], "the text “line ‹position› of ‹the item's sku›”"),
        ([{"const": "en"}], "always “en”"),
        ([{"path": ".amount"}, {"money": "values.currency"}], "the item's amount, as an amount in the value currency"),
        ([{"step_output": "client.id"}], "the id of the client made before"),
        ([{"path": "note"}, {"max_length": {"n": "9", "over": "truncate"}}], "note, cut to 9 characters"),
        ([{"path": "sku"}, {"max_length": {"n": "9"}}], "sku, refused above 9 characters"),
        ([{"join": {"parts": [[{"path": "a"}], [{"path": "b"}, {"trim": None}]], "with": "\n"}}],
         "joined by a new line: a and (b, without blanks at the ends)"),
        ([{"path": "rate"}, {"multiply": "100"}], "rate, times 100"),
    ],
)  # fmt: skip
def test_steps_read_as_words(steps: list[Any], expected: str) -> None:
    assert words(*steps) == expected


def test_a_date_names_the_stores_zone_and_what_it_is_set_to() -> None:
    steps = [{"path": "orderDate"}, {"parse_instant": None}, {"to_date": "settings.timezone"}]
    start = "orderDate, read as a moment in time, as calendar date in the store's time zone"
    assert words(*steps) == start
    assert words(*steps, timezone="America/New_York") == f"{start} (America/New York)"


def test_checks_stand_behind_the_steps() -> None:
    text = words({"path": "email"}, check=[{"format": "email"}, {"max_length": "50"}])
    assert text == "email; must be an e-mail address and at most 50 characters long"


def test_a_branch_says_its_condition() -> None:
    branch = {"when": {"if": {"in": ["method", ["card"]]}, "then": [{"path": "a"}], "else": [{"path": "b"}]}}
    assert words(branch) == "if method is “card”: a; otherwise: b"


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ({"present": "a"}, "a is there"),
        ({"not": {"in": ["status", ["captured", "settled"]]}}, "status is not one of “captured” or “settled”"),
        ({"all": [{"gt": [".amount", "0"]}, {"any": [{"absent": "b"}, {"equal": ["c", "d"]}]}]},
         "the item's amount is above 0 and (b is empty or c is “d”)"),
        ({"not": {"present": "a"}}, "not (a is there)"),
    ],
)  # fmt: skip
def test_conditions_read_as_words(condition: dict[str, Any], expected: str) -> None:
    assert condition_in_words(Condition.model_validate(condition)) == expected


@pytest.mark.parametrize("kind", KINDS)
def test_every_part_of_every_blueprint_has_words_without_brackets_of_yaml(kind: str) -> None:
    spec = blueprint(kind)
    texts = [rule_in_words(rule, spec.settings) for rule in spec.rules().values()]
    texts += [block_in_words(target, block) for target, block in spec.blocks().items()]
    texts.append(flow_in_words(spec))
    assert all(texts)
    assert not [text for text in texts if "Path(" in text or "None" in text or ": {" in text]


def test_no_steps_are_nothing() -> None:
    assert steps_in_words(()) == "nothing"


@pytest.mark.parametrize("name", list(CATALOGUE))
def test_every_operation_has_words_of_its_own(name: str) -> None:
    for example in CATALOGUE[name].examples:
        step = parse_step({name: example.argument})
        text = steps_in_words((step,), {"zone": "UTC"})
        assert text
        assert not re.search(r"Path\(|Decimal\(|None|=", text), text
        assert type(step) in words_steps._WORDS


@pytest.mark.parametrize(
    ("check", "expected"),
    [
        ({"format": "country"}, "an ISO 3166 country code of two letters"),
        ({"min_length": "2"}, "at least 2 characters long"),
        ({"at_least": "0"}, "at least 0"),
        ({"at_most": "9.5"}, "at most 9.5"),
        ({"integer": ""}, "a whole number"),
        ({"integer": {"from": "1", "to": "9"}}, "a whole number from 1 to 9"),
        ({"unique_in_list": ""}, "different from every other element of the list"),
        ({"format": "email", "on_fail": "warn"}, "an e-mail address (or it is noted)"),
        ({"format": "email", "on_fail": "hold"}, "an e-mail address (or the record is held)"),
        ({"date_window": {"from": "2020-01-01", "to": {"path": ".paidAt", "days": "30"}}},
         "a date not before 2020-01-01 and not after 30 days after the item's paidAt"),
        ({"date_window": {"to": "orderDate"}}, "a date not after orderDate"),
    ],
)  # fmt: skip
def test_checks_read_as_words(check: dict[str, Any], expected: str) -> None:
    assert words({"path": "a"}, check=[check]) == f"a; must be {expected}"


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({"equal": ["a", "b"]}, "Held when not: x (told)."),
        ({"required_together": ["a", "b"]}, "Held unless a and b are all there or all empty: x (told)."),
        ({"one_of_present": ["a", "b"], "on_fail": "warn"}, "Noted unless a or b is there: x (told)."),
        ({"not_empty": "a[]"}, "Held unless a[] has an element: x (told)."),
        ({"unique": "a[].b"}, "Held unless no two of a[].b are the same: x (told)."),
        ({"predicted_total": {"lines": "invoice.lines[]", "total": "total", "currency": "c"}, "within": "2"},
         "Held unless FreshBooks' total of invoice.lines[] comes to total within 2 minor units under a rounding rule:"
         " x (told)."),
    ],
)  # fmt: skip
def test_assertions_read_as_words(rule: dict[str, Any], expected: str) -> None:
    data = {"spec": "a/b", "source": {"system": "s", "entity": "e"}, "targets": {}}
    spec = MappingSpec.model_validate(data | {"assertions": [{"id": "x", "message": "told", **rule}]})
    assert flow_in_words(spec) == expected
