"""The budget's arithmetic: places, learning from refusals, and recovery; pure."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync.budget import (
    FEWEST_PER_MINUTE,
    Line,
    counted,
    lowered,
    places,
    raised,
)


@given(st.integers(1, 3000), st.lists(st.floats(0, 30), min_size=1, max_size=120))
def test_no_minute_has_more_places_than_the_limit(limit: int, gaps: list[float]) -> None:
    line, now, given_at = Line(), 1_000_000.0, list[float]()
    for gap in gaps:
        now += gap
        line, found, _ = places(line, limit, now)
        given_at += [now + wait_s for wait_s in found]
    given_at.sort()
    assert all(bisect_left(given_at, at + 60) - index <= limit for index, at in enumerate(given_at))


@given(st.integers(1, 600))
def test_who_always_asks_gets_the_most_of_the_limit(limit: int) -> None:
    line, now, count = Line(), 0.0, 0
    while now < 720:
        line, found, wait_s = places(line, limit, now)
        count += len(found)
        now += 0.001 if found else wait_s
    assert count == limit * (720 // 71 + 1)


@given(st.floats(6, 3000), st.lists(st.floats(0, 5), min_size=1, max_size=60))
def test_what_was_learned_spreads_the_places(per_minute: float, gaps: list[float]) -> None:
    line, now, given_at = Line(per_minute=per_minute), 1_000_000.0, list[float]()
    for gap in gaps:
        now += gap
        line, found, _ = places(line, None, now)
        given_at += [now + wait_s for wait_s in found]
    assert all(second - first >= 60 / per_minute - 1e-6 for first, second in pairwise(given_at))


def test_a_place_that_is_far_away_is_not_taken() -> None:
    line, found, wait_s = places(Line(per_minute=6, next_at=100.0), None, 90.0)
    assert (line.next_at, found, wait_s) == (100.0, [], 10.0)


def test_a_clock_that_was_set_back_does_not_stop_everything() -> None:
    line, found, _ = places(Line(per_minute=60, next_at=1e9, not_before=1e9, window="[[1e9, 5]]"), 5, 1000.0)
    assert found[0] == 0
    assert line.next_at < 1100


def test_without_a_limit_places_are_at_once_and_a_pause_counts_all_the_same() -> None:
    assert places(Line(), None, 5.0)[1][0] == 0
    assert places(Line(not_before=7.0), None, 5.0)[1][0] == 2
    assert places(Line(not_before=70.0), None, 5.0)[1:] == ([], 65.0)


def test_a_long_pause_teaches_half_of_what_fitted_into_the_minute() -> None:
    line = lowered(counted(Line(), 20, 1100.0), 58.0, 1102.0)
    assert (line.per_minute, line.not_before, line.refused) == (10, 1160.0, 1)
    again = lowered(line, 58.0, 1102.5)  # was under way at the same time
    assert again.per_minute == 10
    later = lowered(counted(again, 3, 1161.0), 58.0, 1161.0)
    assert later.per_minute == FEWEST_PER_MINUTE


def test_a_single_short_refusal_among_many_answers_is_nobody_elses_business() -> None:
    line = counted(Line(), 300, 1100.0)
    for _ in range(9):
        line = lowered(line, 1.0, 1103.0)
    assert (line.per_minute, line.not_before, line.refused) == (None, 0.0, 9)


def test_many_short_refusals_lower_the_speed() -> None:
    line = counted(Line(), 40, 1100.0)
    for _ in range(5):
        line = lowered(line, 1.0, 1104.0)
    assert line.per_minute == 300  # half of 40 in 4 seconds
    assert line.not_before == 1105.0


def test_a_limit_rises_by_a_tenth_a_minute_until_it_is_none() -> None:
    line = Line(per_minute=100.0, learned_at=0.0, not_before=30.0)
    assert raised(line, 89.0) == line
    line = raised(line, 90.0)
    assert line.per_minute == pytest.approx(110)
    now = 90.0
    while line.per_minute is not None:
        now += 60
        line = raised(line, now)
    assert now < 3600


def test_requests_are_counted_by_minutes() -> None:
    line = counted(counted(Line(), 5, 1100.0), 5, 1130.0)
    assert (line.span_sent, line.before_sent) == (10, 0)
    line = counted(line, 1, 1170.0)
    assert (line.span_at, line.span_sent, line.before_sent) == (1160.0, 1, 10)
    assert counted(line, 1, 1500.0) == replace(Line(), span_at=1500.0, span_sent=1)
