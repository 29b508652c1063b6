"""Fields that a source and people change in any order: what a person wrote stays until the source says something."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from sync.fields import weigh
from sync.plan import digest

NAMES = ("email", "fname", "bus_phone")
VALUES = st.sampled_from(["", "a", "b", "c"])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("source"), st.dictionaries(st.sampled_from(NAMES), VALUES)),
        st.tuples(st.just("person"), st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=2)),
    ),
    max_size=12,
)


class Model:
    """One client: what FreshBooks holds, the digests of what was written, and who wrote a field last."""

    def __init__(self) -> None:
        self.there: dict[str, str] = dict.fromkeys(NAMES, "")
        self.written: dict[str, str] = {}
        self.said: dict[str, str] = {}
        self.clashes = 0

    def source(self, record: dict[str, str]) -> None:
        body = {name: value for name, value in record.items() if value}  # a mapping leaves out what is empty
        before = dict(self.there)
        weighed = weigh(body, self.there, [self.written], leave=(), fill_only=False)
        for name in NAMES:
            self.judge(name, body, before, weighed)
        if weighed.clashing:
            self.clashes += 1
            return
        self.there |= weighed.wanted
        self.written |= {name: digest(value) for name, value in body.items()}
        self.said |= body
        again = weigh(body, self.there, [self.written], leave=(), fill_only=False)
        assert (dict(again.wanted), again.clashing) == ({}, ())

    def judge(self, name: str, body: dict[str, str], before: dict[str, str], weighed: Any) -> None:
        ours = before[name] == self.said.get(name)
        if name not in body or body[name] == before[name]:
            assert name not in weighed.wanted
        elif name not in self.said or ours:
            assert weighed.wanted.get(name) == body[name]
        elif body[name] == self.said[name]:
            assert name in weighed.kept
        elif before[name] == "":
            assert weighed.wanted.get(name) == body[name]  # nothing is lost where nothing stands
        else:
            assert name in weighed.clashing


@given(STEPS)
def test_a_person_s_value_stays_until_the_source_says_something_new(steps: list[tuple[str, dict[str, str]]]) -> None:
    model = Model()
    for who, values in steps:
        if who == "source":
            model.source(values)
        else:
            model.there |= values


@given(STEPS)
def test_without_people_the_client_holds_what_the_source_said_last(steps: list[tuple[str, dict[str, str]]]) -> None:
    model, said = Model(), dict.fromkeys(NAMES, "")
    for who, values in steps:
        if who == "source":
            model.source(values)
            said |= {name: value for name, value in values.items() if value}
    assert model.there == said
    assert model.clashes == 0


@given(st.dictionaries(st.sampled_from(NAMES), st.sampled_from(["a", "b"]), min_size=1), st.booleans())
def test_a_change_whose_answer_was_lost_is_compared_again(body: dict[str, str], landed: bool) -> None:
    there = {**dict.fromkeys(NAMES, ""), **(body if landed else {})}
    meant = {name: digest(value) for name, value in body.items()}
    weighed = weigh(body, there, [{}, meant], leave=(), fill_only=False)
    assert dict(weighed.wanted) == ({} if landed else body)
