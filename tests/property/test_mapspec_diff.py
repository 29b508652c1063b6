"""Comparing and merging specs of any kind: a spec differs in nothing from itself, whatever its text looks like."""

from __future__ import annotations

import random
from typing import Any

from hypothesis import given, reject, settings
from hypothesis import strategies as st

from mapspec import MappingSpec, SpecError, dump_spec, fingerprint, load_spec
from mapspec.diff import diff_specs
from mapspec.diff_rules import judge
from mapspec.fingerprint import plain_part
from mapspec.merge import merge_specs
from tests.review_changes import KINDS
from tests.review_repo import SPEC, approved

BASE = load_spec(approved(SPEC, bump=False))
_UNORDERED = ("settings", "tables", "values", "fields", "rows", "targets")


def edited(names: list[int]) -> MappingSpec:
    """The base with the edits of some kinds of change, those that still fit."""
    text = dump_spec(BASE)
    for place in names:
        for old, new in KINDS[place].edits:
            text = text.replace(old, new, 1)
    try:
        return load_spec(text)
    except SpecError:  # two edits may bring one name
        reject()


def shuffled(data: Any, dice: random.Random, key: str = "") -> Any:
    """The same data with the members that have no order in another one."""
    if isinstance(data, dict):
        rows = [(name, shuffled(value, dice, name)) for name, value in data.items()]
        if key in _UNORDERED:
            dice.shuffle(rows)
        return dict(rows)
    if isinstance(data, list):
        rows = [shuffled(value, dice) for value in data]
        if key == "assertions":
            dice.shuffle(rows)
        return rows
    return data


KIND = st.integers(0, len(KINDS) - 1)
# Steps that are gone may be needed by others: such edits make no spec together.
FEW = st.lists(KIND.filter(lambda place: KINDS[place].name != "step-removed"), max_size=4, unique=True)


@given(FEW, st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_another_order_is_no_change(names: list[int], dice: random.Random) -> None:
    spec = edited(names)
    other = MappingSpec.model_validate(shuffled(plain_part(spec), dice))
    assert diff_specs(spec, other).changes == ()
    assert diff_specs(spec, load_spec(dump_spec(other))).changes == ()


@given(FEW, FEW)
@settings(max_examples=80, deadline=None)
def test_specs_of_equal_meaning_and_only_those_have_no_changes(one: list[int], other: list[int]) -> None:
    old, new = edited(one), edited(other)
    diff = diff_specs(old, new)
    assert bool(diff.changes) == (fingerprint(old) != fingerprint(new))
    assert {id(row.change) for row in judge(diff)} == {id(change) for change in diff.changes}


@given(FEW)
@settings(max_examples=40, deadline=None)
def test_a_side_that_changed_nothing_gives_the_other(names: list[int]) -> None:
    spec = edited(names)
    for merged in (merge_specs(BASE, spec, BASE), merge_specs(BASE, BASE, spec), merge_specs(BASE, spec, spec)):
        assert merged.conflicts == ()
        assert fingerprint(merged.ours) == fingerprint(spec)


@given(FEW, FEW)
@settings(max_examples=80, deadline=None)
def test_a_merge_without_conflict_is_the_same_from_both_sides(one: list[int], other: list[int]) -> None:
    ours, theirs = edited(one), edited(other)
    try:
        merged, mirrored = merge_specs(BASE, ours, theirs), merge_specs(BASE, theirs, ours)
    except ValueError:
        return
    assert set(merged.conflicts) == set(mirrored.conflicts)
    if not merged.conflicts:
        assert diff_specs(merged.ours, mirrored.ours).changes == ()
