"""The measures, against numbers worked out by hand."""

from __future__ import annotations

import pytest

from mapper_ai.core.evaluation import (
    MEASURES,
    CaseScore,
    Gold,
    Prediction,
    area_under_risk,
    calibration_error,
    figures,
    plain_path,
    risk_coverage,
    score_case,
)

GOLD = Gold(
    {
        "x": frozenset({"a"}),
        "y": frozenset({"b", "c"}),
        "z[].q": frozenset({"d[].e", "d[].f"}),
    },
    combined=frozenset({"z[].q"}),
    ignored=frozenset({"i"}),
)


def says(sources: str, target: str, confidence: float, accepted: bool | None = None) -> Prediction:
    return Prediction(tuple(sources.split("+")), target, confidence, accepted)


def near(value: float | None, wanted: float) -> bool:
    return value is not None and value == pytest.approx(wanted)


def test_everything_right_is_one() -> None:
    score = score_case(
        GOLD, [says("a", "x", 1), says("c", "y", 1), says("d[].e", "z[].q", 1)], targets=["x", "y", "z[].q", "u", "i"]
    )
    assert [score.precision, score.recall, score.f1, score.mrr, score.recall_at_1, score.recall_at_gold] == [1] * 6
    assert (score.ece, area_under_risk(score.points), score.coverage) == (0, 0, 0.75)


def test_nothing_said_is_nothing_found() -> None:
    score = score_case(GOLD, [])
    assert (score.f1, score.mrr, score.ece, score.points) == (0, 0, None, ())


def test_a_wrong_word_on_a_target_without_gold_counts_and_on_an_ignored_one_does_not() -> None:
    score = score_case(GOLD, [says("a", "x", 0.8), says("b", "u", 0.8), says("b", "i", 0.99)])
    assert (score.precision, score.recall, len(score.points)) == (0.5, pytest.approx(1 / 3), 2)
    assert near(score.ece, 0.3)
    assert near(area_under_risk(score.points), 0.5)


def test_ranks_are_of_the_first_right_candidate() -> None:
    rows = [says("q", "x", 0.9), says("a", "x", 0.6)]
    rows += [says("q", "y", 0.9), says("w", "y", 0.8), says("v", "y", 0.7), says("b", "y", 0.1)]
    score = score_case(GOLD, rows)
    assert near(score.mrr, (1 / 2 + 1 / 4) / 3)
    assert (score.recall_at_1, score.recall_at_3) == (0, pytest.approx(1 / 3))


def test_words_of_acceptance_overrule_the_threshold() -> None:
    rows = [says("a", "x", 0.2, True), says("q", "x", 0.1, True), says("b", "y", 0.9, False)]
    score = score_case(GOLD, rows)
    assert (score.accepted, score.precision, score.recall) == (1, 1, pytest.approx(1 / 3))
    assert score_case(GOLD, [says("a", "x", 0.49), says("b", "y", 0.5)]).accepted == 1


def test_recall_at_ground_truth_ranks_all_candidates_together() -> None:
    rows = [
        says("a", "x", 0.5),
        says("q", "x", 0.9),
        says("q", "y", 0.8),
        says("w", "y", 0.7),
        says("d[].f", "z[].q", 0.75),
    ]
    assert near(score_case(GOLD, rows).recall_at_gold, 1 / 3)


def test_a_combination_is_right_when_all_its_members_are() -> None:
    score = score_case(GOLD, [says("d[].e+d[].f", "z[].q", 0.9), says("a+b", "x", 0.9)])
    assert score.right == 1
    assert near(MEASURES["P>=0.9"]([score]), 0.5)
    assert near(MEASURES["coverage>=0.9"]([score]), 2 / 3)


def test_risk_and_calibration_by_hand() -> None:
    assert near(area_under_risk([(0.9, True), (0.8, False), (0.7, True)]), (0 + 0.5 + 1 / 3) / 3)
    points = [(0.95, True)] * 9 + [(0.95, False)] + [(0.15, True)] * 2 + [(0.15, False)] * 8
    assert near(calibration_error(points), 0.05)
    # Tied confidences share their error, whatever their order.
    assert risk_coverage([(0.5, True), (0.5, False)]) == [(0.5, 0.5), (1.0, 0.5)]


def test_a_confidence_outside_0_to_1_is_refused() -> None:
    with pytest.raises(ValueError, match=r"x: a confidence must lie in 0..1, got 1.2"):
        score_case(GOLD, [says("a", "x", 1.2)])


@pytest.mark.parametrize("path", ["$.a[0].b", "a[*].b", "/a/0/b", "a[].b", "[0].a[2].b"])
def test_notations_are_one(path: str) -> None:
    assert plain_path(path) == "a[].b"


def case(mrr: float, right: bool) -> CaseScore:
    return CaseScore(1, 1, int(right), 1, 1, 1, mrr, mrr, mrr, mrr, 1, ((0.95, right),))


def test_intervals_are_of_groups_and_the_same_in_every_run() -> None:
    groups = {name: [case(value, value > 0.5)] * 3 for name, value in (("a", 1.0), ("b", 0.0), ("c", 1.0))}
    found = figures(groups, draws=200)
    assert found == figures(dict(reversed(groups.items())), draws=200)
    mrr = found["MRR"]
    assert near(mrr.value, 2 / 3)
    # Three groups drawn three times: none, or all of them, may be the weak one.
    assert (mrr.low, mrr.high) == (0.0, 1.0)
    assert figures({"a": [case(1.0, True)]})["MRR"].low is None
