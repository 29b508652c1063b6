"""YAML read as text: nothing is guessed, nothing hostile gets through."""

from __future__ import annotations

import pytest

from mapspec.errors import SpecError
from mapspec.yamltext import MAX_TEXT, flow, read_yaml, scalar


def test_every_scalar_stays_the_text_that_was_written() -> None:
    text = "a: NO\nb: 010\nc: 12:30:45\nd: 1e3\ne: null\nf: ~\ng: true\nh: 2026-03-01\ni: '07'\nj:\n"
    value, _ = read_yaml(text, where="f.yaml")
    assert value == {
        "a": "NO",
        "b": "010",
        "c": "12:30:45",
        "d": "1e3",
        "e": "null",
        "f": "~",
        "g": "true",
        "h": "2026-03-01",
        "i": "07",
        "j": "",
    }


def test_lines_are_counted_from_one() -> None:
    _, lines = read_yaml("a: 1\nb:\n  - x: 1\n    y: 2\n  - z\n", where="f.yaml")
    assert lines[("a",)] == 1
    assert lines[("b", 0, "y")] == 4
    assert lines[("b", 1)] == 5


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("a: 1\nb: 2\na: 3\n", 3, "'a' stands twice (first on line 1): keep one"),
        ("x:\n  - {a: 1, a: 2}\n", 2, "'a' stands twice (first on line 2): keep one"),
        ("a: &one x\nb: *one\n", 2, "aliases (*name) are not used in specs"),
        ("a: !!python/object:os.system x\n", 1, "tags (!name) are not used in specs"),
        ("a: !!int 5\n", 1, "tags (!name)"),
        ("a: !secret x\n", 1, "tags (!name)"),
        ("? [a, b]\n: c\n", 1, "a key must be a plain text"),
        ("a: 1\n---\nb: 2\n", 3, "a spec is one YAML document"),
        ("a: [1, 2\nb: 3\n", 2, "not YAML"),
        ("a: b: c\n", 1, "not YAML"),
    ],
)
def test_what_a_spec_may_not_have_is_named_with_its_line(text: str, line: int, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        read_yaml(text, where="f.yaml")
    assert caught.value.line == line
    assert str(caught.value).startswith(f"f.yaml:{line}: ")
    assert message in caught.value.message


@pytest.mark.parametrize(
    "text",
    [
        "- " * 100_000 + "x",
        "? " * 100_000 + "x",
        "[" * 100_000,
        "{a: " * 50_000,
        "[']', " * 50_000,
        "# " + "]" * 100_000 + "\n" + "[" * 50_000,
        "a:\n" + "".join(" " * i + "b:\n" for i in range(1, 200)),
    ],
    ids=["sequences", "keys", "brackets", "braces", "quoted-brackets", "brackets-in-comment", "blocks"],
)
def test_deep_nesting_is_refused_and_ends_no_process(text: str) -> None:
    with pytest.raises(SpecError):
        read_yaml(text, where="f.yaml")


@pytest.mark.parametrize("text", ["a: \x00", "a: \ud800", "\ufffe", "a" * (MAX_TEXT + 1)])
def test_unreadable_text_is_refused(text: str) -> None:
    with pytest.raises(SpecError):
        read_yaml(text, where="f.yaml")


def test_an_alias_bomb_does_not_expand() -> None:
    text = "a: &a [x, x]\n" + "".join(f"b{i}: &b{i} [*a, *a]\n" for i in range(30))
    with pytest.raises(SpecError, match="aliases"):
        read_yaml(text, where="f.yaml")


def test_an_empty_text_is_nothing() -> None:
    assert read_yaml("", where="f.yaml") == (None, {})
    assert read_yaml("# only a comment\n", where="f.yaml")[0] is None


@pytest.mark.parametrize(
    "text",
    ["", " ", "NO", "no", "null", "~", "010", "1", "-", "- a", "a: b", "a #b", "#a", "[a]", "{a}", "a, b", "'", '"',
     "\\", "a\nb", "\t", "é", "\U0001f375", "\x7f", "\x85", "\u2028", "\ufeff", "%a", "@a", "!a", "&a", "*a", "a ",
     " a", "?", "y", "{#}", "Order {orderNumber}", "lineItems[].sku", ".sku", "$.total", "$"],
)  # fmt: skip
def test_a_text_survives_being_written(text: str) -> None:
    for written in (f"k: {scalar(text)}\n", f"k: [{flow(text)}]\n", f"{scalar(text)}: k\n", "k: " + flow({text: text})):
        read_yaml(written, where="f.yaml")
    assert read_yaml(f"k: {scalar(text)}\n", where="f")[0] == {"k": text}
    assert read_yaml("k: " + flow({text: [text]}), where="f")[0] == {"k": {text: [text]}}
    assert read_yaml(f"{scalar(text)}: k\n", where="f")[0] == {text: "k"}
