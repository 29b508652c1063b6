"""Whatever the records: order never matters, results stay well-formed, nothing but ValueError escapes."""

from __future__ import annotations

import random
from decimal import Decimal
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mapper_ai.core.explain import Explainer
from mapper_ai.core.profile import profile_records
from mapper_ai.core.suggest import suggest

NAMES = st.one_of(
    st.sampled_from(
        [
            "id",
            "email",
            "first_name",
            "lastName",
            "lines",
            "qty",
            "unitPrice",
            "city",
            "a.b",
            "$",
            "",
            "[]",
            "9",
            "日付",
        ]
    ),
    st.text(max_size=8),
)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.decimals(allow_nan=True, allow_infinity=True),
    st.text(max_size=20),
    st.sampled_from(["2026-01-01", "USD", "a@b.test", "10.00", "+1 512 555 0100"]),
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda below: st.one_of(st.lists(below, max_size=3), st.dictionaries(NAMES, below, max_size=4)),
    max_leaves=12,
)
RECORDS = st.lists(st.dictionaries(NAMES, VALUES, max_size=6), max_size=5)
SETTINGS = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@SETTINGS
@given(RECORDS, st.randoms(use_true_random=False))
def test_a_profile_does_not_depend_on_the_order_of_records(records: list[dict[str, Any]], rng: random.Random) -> None:
    shuffled = list(records)
    rng.shuffle(shuffled)
    # repr: a NaN in the records would not equal itself.
    assert repr(profile_records(records)) == repr(profile_records(shuffled))


@SETTINGS
@given(RECORDS, RECORDS, st.integers(1, 4))
def test_suggestions_are_well_formed_and_repeatable(
    source: list[dict[str, Any]], target: list[dict[str, Any]], top: int
) -> None:
    left, right = profile_records(source), profile_records(target)
    found = suggest(left, right, top=top)
    assert [entry.target for entry in found] == list(right.paths)
    assert found == suggest(left, right, top=top)
    explainer = Explainer(left, right)
    for entry in found:
        confidences = [candidate.confidence for candidate in entry.candidates]
        assert len(confidences) <= top
        assert confidences == sorted(confidences, reverse=True)
        assert all(0.0 <= value <= 1.0 for value in confidences)
        assert not entry.accepted or confidences[0] >= 0.5
        for candidate in entry.candidates:
            assert set(candidate.sources) <= set(left.paths)
            assert len(set(candidate.sources)) == len(candidate.sources)
            assert explainer.reason(candidate)


@SETTINGS
@given(RECORDS, RECORDS, st.randoms(use_true_random=False))
def test_suggestions_do_not_depend_on_the_order_of_records(
    source: list[dict[str, Any]], target: list[dict[str, Any]], rng: random.Random
) -> None:
    before = suggest(profile_records(source), profile_records(target))
    rng.shuffle(source)
    rng.shuffle(target)
    assert suggest(profile_records(source), profile_records(target)) == before


@SETTINGS
@given(RECORDS)
def test_paths_are_unique_and_shares_add_up(records: list[dict[str, Any]]) -> None:
    profile = profile_records(records)
    assert len(set(profile.paths)) == len(profile.paths)
    for entry in profile.fields:
        assert abs(entry.null_share + entry.empty_share + entry.filled_share - 1.0) < 1e-9
        assert 0.0 < entry.present_share <= 1.0
        assert all(isinstance(number, Decimal) for number in (entry.minimum, entry.maximum) if number is not None)
