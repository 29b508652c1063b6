"""What is said to be unreachable is never reached, whatever the record."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mapspec.check_conditions import assume, settle
from mapspec.conditions import Condition
from mapspec.paths import Scope

paths = st.sampled_from(["a", "b.c", "rows[].a"])
texts = st.sampled_from(["x", " X", "y", "", "3", "5"])
numbers = st.sampled_from(["3", "4.5", "5"])
atoms: st.SearchStrategy[Any] = st.one_of(
    st.builds(lambda name, path, text: {name: [path, text]}, st.sampled_from(["equal", "not_equal"]), paths, texts),
    st.builds(lambda path, many: {"in": [path, many]}, paths, st.lists(texts, max_size=3)),
    st.builds(lambda name, path: {name: path}, st.sampled_from(["present", "absent"]), paths),
    st.builds(
        lambda name, path, number: {name: [path, number]},
        st.sampled_from(["gt", "gte", "lt", "lte"]),
        st.sampled_from(["a", "b.c"]),
        numbers,
    ),
)
conditions = st.recursive(
    atoms,
    lambda inner: st.one_of(
        st.builds(lambda name, parts: {name: parts}, st.sampled_from(["all", "any"]), st.lists(inner, max_size=3)),
        st.builds(lambda part: {"not": part}, inner),
    ),
    max_leaves=6,
).map(Condition.model_validate)
values = st.sampled_from([None, "", "x", "Y ", 3, "4", "5", 6]) | st.nothing()
records = st.fixed_dictionaries(
    {},
    optional={
        "a": values,
        "b": st.fixed_dictionaries({}, optional={"c": values}),
        "rows": st.lists(st.fixed_dictionaries({}, optional={"a": values}), max_size=3),
    },
)
MANY = settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))


def holds(condition: Condition, record: dict[str, Any]) -> bool | None:
    try:
        return condition.compile()(Scope(record, {}, {}.get))
    except Exception:  # a text where a number is compared: the record is held before any branch
        return None


@MANY
@given(conditions, st.lists(records, min_size=8, max_size=20))
def test_what_can_never_hold_never_does(condition: Condition, some: list[dict[str, Any]]) -> None:
    known = settle(condition, {})
    if known is not None:
        assert {holds(condition, record) for record in some} <= {known, None}


@MANY
@given(conditions, conditions, st.booleans(), st.lists(records, min_size=8, max_size=20))
def test_a_branch_that_is_never_reached_never_is(
    outer: Condition, inner: Condition, taken: bool, some: list[dict[str, Any]]
) -> None:
    facts = assume(outer, {}, holds=taken)
    reached = [record for record in some if holds(outer, record) is taken]
    if facts is None:
        assert reached == []
    elif (known := settle(inner, facts)) is not None:
        assert {holds(inner, record) for record in reached} <= {known, None}
