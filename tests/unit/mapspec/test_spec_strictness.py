"""Whether checks and assertions let more through than before; what nobody can tell counts as neither."""

from __future__ import annotations

from typing import Any

import pytest

from mapspec.strictness import of_assertion, of_check, of_on_fail


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("max_length", 10, 20),
        ("at_most", "10", "9e1"),
        ("min_length", 5, 2),
        ("at_least", "0", "-1"),
        ("between", ["0", "10"], ["0", "20"]),
        ("between", ["5", "10"], ["0", "10"]),
        ("enum", ["a"], ["a", "b"]),
        ("integer", {"from": 1, "to": 9}, {"from": 1}),
        ("integer", {"from": 1}, None),
        ("money", "positive", "not_negative"),
    ],
)
def test_a_wider_check_is_looser_and_the_way_back_tighter(name: str, low: Any, high: Any) -> None:
    assert of_check(name, {name: low}, {name: high}) == "looser"
    assert of_check(name, {name: high}, {name: low}) == "tighter"


def test_looser_at_one_end_is_looser_whatever_the_other_end_does() -> None:
    assert of_check("between", {"between": ["0", "10"]}, {"between": ["5", "20"]}) == "looser"
    assert of_check("between", {"between": ["0", "10"]}, {"between": ["5", "9"]}) == "tighter"


@pytest.mark.parametrize(
    ("name", "one", "other"),
    [("regex", "[a-z]+", "[a-z]*"), ("format", "email", "phone"), ("enum", ["a", "b"], ["b", "c"])],
)
def test_another_check_is_neither(name: str, one: Any, other: Any) -> None:
    assert of_check(name, {name: one}, {name: other}) == "other"


def test_a_miss_that_only_warns_is_looser() -> None:
    hold, warn, rule = ({"max_length": 5, **more} for more in ({"on_fail": "hold"}, {"on_fail": "warn"}, {}))
    assert of_check("max_length", hold, warn) == of_check("max_length", rule, warn) == "looser"
    assert of_check("max_length", warn, hold) == of_check("max_length", rule, hold) == "tighter"
    assert of_check("max_length", hold, rule) == "looser"
    assert of_check("max_length", warn, rule) == "tighter"
    assert of_check("max_length", {"max_length": 9}, {"max_length": 5, "on_fail": "warn"}) == "looser"
    assert (of_on_fail("hold", "warn"), of_on_fail("warn", "hold")) == ("looser", "tighter")


BASE: dict[str, Any] = {"at_most": ["a", "b"], "within": "0.01"}
TOTAL: dict[str, Any] = {"predicted_total": {"lines": "invoice.lines[]", "total": "t", "currency": "c"}}


@pytest.mark.parametrize(
    ("before", "after", "verdict"),
    [
        (None, BASE, "tighter"),
        (BASE, None, "looser"),
        (BASE, {**BASE, "within": "0.02"}, "looser"),
        (BASE, {"at_most": ["a", "b"]}, "tighter"),
        (BASE, {**BASE, "on_fail": "warn"}, "looser"),
        (BASE, {**BASE, "when": {"present": "x"}}, "looser"),
        ({**BASE, "when": {"present": "x"}}, BASE, "tighter"),
        ({**BASE, "when": {"present": "x"}}, {**BASE, "when": {"present": "y"}}, "other"),
        (BASE, {**BASE, "at_most": ["a", "c"]}, "other"),
        (BASE, {"equal": ["a", "b"], "within": "0.01"}, "other"),
        ({"predicted_total": {**TOTAL["predicted_total"], "rounding": "every"}}, TOTAL, "looser"),
        (TOTAL, {"predicted_total": {**TOTAL["predicted_total"], "rounding": "every"}}, "tighter"),
        (TOTAL, {"predicted_total": {**TOTAL["predicted_total"], "total": "u"}}, "other"),
    ],
)
def test_assertions(before: Any, after: Any, verdict: str) -> None:
    assert of_assertion(before, after) == verdict
