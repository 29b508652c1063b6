"""Older formats are upgraded when they are read, newer ones refused; the old formats here are made up for the tests."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from mapspec import SpecError, dump_spec, load_spec, unapproved
from mapspec.approval import approve
from mapspec.upgrades import UPGRADES, upgrade

OLD = """\
name: shop/flow
format: 0
from: {system: clarity-rest, entity: customer}
targets: {client: freshbooks/client}
fields:
  client.email: {steps: [{path: email}]}
"""


def zero_to_one(data: dict[str, Any]) -> dict[str, Any]:
    """A format that never was: it called two members otherwise."""
    made = {key: value for key, value in data.items() if key not in ("name", "from")}
    return {"spec": data["name"], "source": data["from"], **made}


def test_an_older_format_is_upgraded_on_load_and_written_in_the_newest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(UPGRADES, 0, zero_to_one)
    spec = load_spec(OLD)
    assert (spec.spec, spec.format, spec.source.entity) == ("shop/flow", 1, "customer")
    assert "format: 1\n" in dump_spec(spec)
    assert load_spec(dump_spec(spec)) == spec


def test_an_upgraded_part_of_the_same_meaning_stays_approved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(UPGRADES, 0, zero_to_one)
    text = dump_spec(approve(load_spec(OLD), None, by="ana", at="2026-03-01T00:00:00Z"))
    old = text.replace("spec: ", "name: ", 1).replace("source: ", "from: ", 1).replace("format: 1", "format: 0", 1)
    assert unapproved(load_spec(old)) == []


def test_steps_are_chained_and_the_data_given_is_left_alone() -> None:
    def one(data: dict[str, Any]) -> dict[str, Any]:
        data["rows"].append("one")
        return data

    def two(data: dict[str, Any]) -> dict[str, Any]:
        return {**data, "rows": [*data["rows"], "two"]}

    data = {"format": "1", "rows": []}
    before = copy.deepcopy(data)
    assert upgrade(data, steps={1: one, 2: two}, newest=3) == {"format": "3", "rows": ["one", "two"]}
    assert data == before


def test_the_newest_format_and_no_format_pass_unchanged() -> None:
    assert upgrade({"format": "1", "a": "b"}) == {"format": "1", "a": "b"}
    assert upgrade({"a": "b"}) == {"a": "b"}


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("2", "format 2 is not known to this version, which reads format 1: install a newer mapper-ai"),
        ("0", "format 0 is not known to this version: nothing leads from it to format 1"),
        ("one", "'format' is a whole number"),
        ("[1]", "'format' is a whole number"),
        ("-1", "'format' is a whole number"),
        ("9" * 5000, "'format' is a whole number"),
    ],
)
def test_other_formats_are_refused_with_their_line(written: str, told: str) -> None:
    with pytest.raises(SpecError) as caught:
        load_spec(f"spec: a/b\nformat: {written}\n", where="f.yaml")
    assert str(caught.value).startswith("f.yaml:2: ")
    assert told in caught.value.message


def test_an_old_spec_that_misses_a_member_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(UPGRADES, 0, zero_to_one)
    with pytest.raises(SpecError, match="this is no spec of format 0"):
        load_spec("format: 0\n")
