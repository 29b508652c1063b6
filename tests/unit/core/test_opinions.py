"""What somebody's opinion may do to a confidence: as much as its giver proved, within caps, and nothing by chance."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest

from mapper_ai.core.opinions import LEAST, MOST, Opinion, Opinions, Trust, swayed, unaided
from mapper_ai.core.profile import profile_records
from mapper_ai.core.promise import auto_accept
from mapper_ai.core.suggest import Candidate, TargetSuggestion, suggest
from mapper_ai.services.additions import fuzzy_origin

PROVED = Trust(right=16, tried=16, none_right=8, none_tried=8)
CANDIDATES = [("a",), ("b",), ("c", "d")]


def shifts(trust: Trust, sources: tuple[str, ...], sure: str = "high") -> tuple[list[float], float]:
    return Opinions(trust, {"t": Opinion("t", sources, 3, sure)}).shifts("t", CANDIDATES)


def test_a_proved_giver_lifts_its_choice_and_lowers_the_others() -> None:
    (first, second, third), exists = shifts(PROVED, ("b",))
    assert first == third < 0 < second <= MOST
    assert first >= LEAST
    assert exists == second


def test_several_sources_are_chosen_together_or_not_at_all() -> None:
    assert shifts(PROVED, ("c", "d"))[0][2] > 0
    assert shifts(PROVED, ("c",))[0] == [0.0, 0.0, 0.0]


def test_none_lowers_every_candidate_and_that_there_is_a_source() -> None:
    lowered, exists = shifts(PROVED, ())
    assert exists < 0
    assert lowered == [exists] * 3


@pytest.mark.parametrize(
    "trust",
    [
        Trust(4, 16, 2, 8),  # chance among three candidates and none
        Trust(0, 16, 0, 8),  # always wrong
        Trust(0, 16, 8, 8),  # always "none"
    ],
)
def test_chance_and_worse_weigh_nothing_for_a_choice(trust: Trust) -> None:
    assert shifts(trust, ("b",)) == ([0.0, 0.0, 0.0], 0.0)


def test_an_unproved_giver_weighs_little() -> None:
    assert max(map(abs, shifts(Trust(), ("b",))[0])) < 0.4
    assert max(map(abs, shifts(Trust(2, 2, 2, 2), ("b",))[0])) < max(map(abs, shifts(PROVED, ("b",))[0]))


def test_who_never_says_none_is_believed_less() -> None:
    assert shifts(Trust(16, 16, 0, 8), ("b",))[0][1] < shifts(PROVED, ("b",))[0][1]


@pytest.mark.parametrize("trust", [Trust(10**6, 10**6, 10**6, 10**6), Trust(10**6, 10**6)])
def test_no_record_however_long_passes_the_caps(trust: Trust) -> None:
    for sources in (("a",), ()):
        told, exists = shifts(trust, sources)
        assert all(LEAST <= value <= MOST for value in (*told, exists))


def test_less_sure_words_weigh_less() -> None:
    weights = [shifts(PROVED, ("b",), sure)[0][1] for sure in ("low", "medium", "high")]
    assert weights == sorted(weights) and weights[0] > 0


def test_confidence_moves_by_the_log_odds_and_back() -> None:
    before = np.array([0.3, 0.6, 0.9], np.float32)
    after = swayed(before, np.array([1.0, 0.0, -1.0], np.float32))
    assert after[0] > before[0] and after[1] == before[1] and after[2] < before[2]
    assert unaided(float(after[0]), {"llm": 1.0}) == pytest.approx(0.3, abs=1e-4)
    assert unaided(0.4, {"name": 1.0}) == 0.4


RECORDS = [
    {"buyer": {"mail": f"b{n}@example.com", "label": f"Buyer {n}"}, "remark": f"remark {n}", "sum": Decimal(n)}
    for n in range(6)
]
GOAL = [
    {"contact": f"c{n}@example.net", "memo": f"memo {n}", "label": f"Firm {n}", "amount": Decimal(n)} for n in range(6)
]


def test_an_opinion_moves_its_own_target_and_no_other() -> None:
    source, target = profile_records(RECORDS), profile_records(GOAL)
    plain = {row.target: row for row in suggest(source, target)}
    chosen = plain["memo"].candidates[-1].sources
    said = Opinions(PROVED, {"memo": Opinion("memo", chosen, len(plain["memo"].candidates))})
    swung = {row.target: row for row in suggest(source, target, opinions=said)}
    assert {name: row for name, row in swung.items() if name != "memo"} == {
        name: row for name, row in plain.items() if name != "memo"
    }
    picked = next(row for row in swung["memo"].candidates if row.sources == chosen)
    before = next(row for row in plain["memo"].candidates if row.sources == chosen)
    assert picked.confidence > before.confidence
    assert unaided(picked.confidence, picked.evidence) == pytest.approx(before.confidence, abs=2e-3)


def test_nothing_is_accepted_without_a_person_on_an_opinion() -> None:
    lifted = Candidate("a", "note", 0.97, {"name": 1.0, "llm": 2.0})
    own = replace(lifted, evidence={"name": 1.0})
    rows = [TargetSuggestion(name, (row,), True, "match") for name, row in (("note", lifted), ("memo", own))]
    assert [row.accepted for row in auto_accept(rows, 0.95).suggestions] == [False, True]


def test_a_rule_that_stands_on_an_opinion_says_so() -> None:
    origin = fuzzy_origin(Candidate("a", "note", 0.6, {"name": 2.0, "path": 1.9, "text": 1.8, "head": 1.7, "llm": 1.5}))
    assert origin.by == "llm"
    assert origin.why["llm"] == "+1.5"
    helped = fuzzy_origin(Candidate("a", "note", 0.9, {"llm": 0.4}))
    assert helped.by == "learned" and helped.why["llm"] == "+0.4"
