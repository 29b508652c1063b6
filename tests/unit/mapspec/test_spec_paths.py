"""Paths: notation, custom attributes, missing members."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from mapspec.paths import Scope, compile_path, get_at, parse_path, quoted_name, set_at

RECORD: dict[str, Any] = {
    "customer": {"email": "a@example.com"},
    "lineItems": [{"sku": "A", "taxLines": [{"name": "GST"}, {"name": "PST"}]}, {"sku": None}, "odd", {"taxLines": {}}],
    "values": {"own": 1},
    "customAttributes": {"campaign": "spring"},
    "listed": [{"key": "campaign", "value": "spring"}, {"name": "gift", "value": 0}, {"key": "bare"}, 5],
    "text": "abc",
    "null": None,
    "single": {"sku": "S"},
}


def read(path: str, item: Any = None) -> Any:
    return compile_path(parse_path(path))(Scope(RECORD, {"zone": "UTC"}, {"currency": "USD"}.get, item))


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("customer.email", "a@example.com"),
        ("$.customer.email", "a@example.com"),
        ("customer.phone", None),
        ("customer.email.domain", None),
        ("nothing.at.all", None),
        ("null.inner", None),
        ("text.inner", None),
        ("lineItems[].sku", ["A"]),
        ("lineItems[].taxLines[].name", ["GST", "PST"]),
        ("nothing[].sku", []),
        ("customer.rows[]", []),
        ("single[].sku", ["S"]),
        ("values.currency", "USD"),
        ("settings.zone", "UTC"),
        ("$.values.own", 1),
        ("customAttributes.campaign", "spring"),
        ("listed.campaign", "spring"),
        ("listed.gift", 0),
        ("listed.bare", None),
        ("listed.none", None),
        ("$", RECORD),
    ],
)
def test_path_reads(path: str, expected: Any) -> None:
    assert read(path) == expected


def test_a_list_path_ends_in_the_elements() -> None:
    assert read("lineItems[]") == RECORD["lineItems"]
    assert parse_path("lineItems[].sku").many
    assert not parse_path("customer.email").many


def test_a_leading_dot_is_the_current_element() -> None:
    assert read(".sku", {"sku": "A"}) == "A"
    assert read(".taxLines[].name", RECORD["lineItems"][0]) == ["GST", "PST"]
    assert read(".", {"sku": "A"}) == {"sku": "A"}
    assert read(".sku", "odd") is None
    assert read(".sku") is None


@pytest.mark.parametrize(("path", "each", "expected"), [
    (".sku", "lineItems[]", "lineItems[].sku"),
    (".", "lineItems[]", "lineItems[]"),
    ("$.total", "lineItems[]", "total"),
    ("a.b[].c", "", "a.b[].c"),
])  # fmt: skip
def test_source_path_is_told_from_the_root(path: str, each: str, expected: str) -> None:
    assert parse_path(path).source_path(each) == expected


@pytest.mark.parametrize("text", ["", "a..b", "a.", "a[0]", "a['b.c']", 'customAttributes."a.b"[', "a[]b", "[]", "$."])
def test_what_is_no_path_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a path: write names joined by dots"):
        parse_path(text)


def test_another_notation_for_a_name_with_a_dot_is_refused_with_the_mend() -> None:
    with pytest.raises(ValueError, match="a name with a dot in quotes"):
        parse_path("customAttributes['a.b']")


@pytest.mark.parametrize(
    "name",
    ["unit.price", "a[b]", "", "$", " x ", 'say "hi"', '"', "back\\slash.", "9x", "naïve 名", "$total", "a[]", "x\ny"],
)
def test_any_name_can_be_addressed(name: str) -> None:
    record = {"rows": [{name: {"deep.er": 1}}], name: {"b": 2}}
    spelled = quoted_name(name)
    for text, expected in ((f'rows[].{spelled}."deep.er"', [1]), (f"{spelled}.b", 2)):
        path = parse_path(text)
        assert parse_path(path.source_path()) == replace(path, text=path.source_path())
        assert compile_path(path)(Scope(record, {}, lambda _: None)) == expected
    body: dict[str, Any] = {}
    set_at(body, f"a.{spelled}", 3)
    assert body == {"a": {name: 3}}
    assert get_at(body, f"a.{spelled}") == 3


@pytest.mark.parametrize("text", ["values.a.b", "values.a[]", "settings.a.b"])
def test_named_roots_have_one_name(text: str) -> None:
    with pytest.raises(ValueError, match="has one name and no members"):
        parse_path(text)


def test_target_members_are_set_and_read() -> None:
    body: dict[str, Any] = {}
    set_at(body, "amount.code", "USD")
    set_at(body, "amount.amount", "1.00")
    assert body == {"amount": {"code": "USD", "amount": "1.00"}}
    assert get_at(body, "amount.code") == "USD"
    assert get_at(body, "amount.code.more") is None
    assert get_at(body, "nothing.here") is None
