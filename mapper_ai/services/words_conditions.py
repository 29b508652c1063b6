"""Paths, conditions and enumerations in plain words. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from mapspec.conditions import Condition
from mapspec.paths import Path

_ORDERED: Final = {"gt": "is above", "gte": "is at least", "lt": "is below", "lte": "is at most"}


def condition_in_words(condition: Condition) -> str:
    """A condition, to stand after `if`."""
    if condition.all is not None:
        return listed([_bracketed(part) for part in condition.all], "and")
    if condition.any is not None:
        return listed([_bracketed(part) for part in condition.any], "or")
    if condition.not_ is not None:
        return _negated(condition.not_)
    if condition.present is not None:
        return f"{path_in_words(condition.present)} is there"
    if condition.absent is not None:
        return f"{path_in_words(condition.absent)} is empty"
    if condition.in_ is not None:
        path, values = condition.in_
        if len(values) == 1:
            return f"{path_in_words(path)} is “{values[0]}”"
        return f"{path_in_words(path)} is one of {listed([f'“{value}”' for value in values], 'or')}"
    if condition.equal is not None:
        return f"{path_in_words(condition.equal[0])} is “{condition.equal[1]}”"
    if condition.not_equal is not None:
        return f"{path_in_words(condition.not_equal[0])} is not “{condition.not_equal[1]}”"
    name, pair = next((n, p) for n in _ORDERED if (p := getattr(condition, n)) is not None)
    return f"{path_in_words(pair[0])} {_ORDERED[name]} {pair[1]}"


def path_in_words(path: Path) -> str:
    """A path as a noun: `the item's sku`, `the setting timezone`; one of the record stands as it is written."""
    if path.root == "settings":
        return f"the setting {path.segments[0][0]}"
    if path.root == "values":
        return f"the value {path.segments[0][0]}"
    if path.root == "item":
        return f"the item's {path.source_path().lstrip('.')}" if path.segments else "the item"
    return path.source_path() or "the record"


def listed(parts: Iterable[str], word: str) -> str:
    """`a, b and c`; empty for no parts."""
    found = list(parts)
    if len(found) < 2:
        return "".join(found)
    return f"{', '.join(found[:-1])} {word} {found[-1]}"


def _bracketed(condition: Condition) -> str:
    text = condition_in_words(condition)
    return f"({text})" if condition.all is not None or condition.any is not None else text


def _negated(condition: Condition) -> str:
    text = condition_in_words(condition)
    if (condition.in_ or condition.equal) and " is " in text:
        return text.replace(" is ", " is not ", 1)
    return f"not ({text})"
