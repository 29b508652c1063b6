"""What a change of a `propose` step means to the person who decides, and to the amounts that are proposed. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

Told = tuple[str, str, str]
"""A rule, what of the member it is about, and a message."""

# By member of `money`: the rule, and what is meant by it.
_MONEY: Final[Mapping[str, tuple[str, str]]] = {
    "amount": ("money-changed", "the amount to be paid back"),
    "lines": ("money-changed", "the lines that are paid back"),
    "tax": ("tax-changed", "the tax in what is paid back"),
    "currency": ("currency-changed", "the currency of what is paid back"),
    "payment": ("key-changed", "which payment is paid back"),
    "transaction": ("key-changed", "the transaction by which one refund told twice is known"),
}


def of_member(step: str, member: str, before: Any, after: Any) -> Iterator[Told]:
    """Each thing that changed in a member of a `propose` step; nothing for other members."""
    if member == "ways":
        yield from _ways(step, _listed(before), _listed(after))
    elif member == "correction":
        yield "correction-changed", "", f"step '{step}' proposes corrections of another kind: {after}, not {before}"
    elif member == "money":
        yield from _money(step, _members(before), _members(after))


def said_of(step: Mapping[str, Any]) -> str:
    """What a whole `propose` step does, for a step that was added or removed."""
    return f"proposes each {step.get('correction')} to a person: {', '.join(_listed(step.get('ways')))}"


def _ways(step: str, before: list[str], after: list[str]) -> Iterator[Told]:
    for way in after:
        if way not in before:
            yield "way-added", way, f"step '{step}' offers one more way: {way}"
    for way in before:
        if way not in after:
            yield "way-removed", way, f"step '{step}' no longer offers a way: {way}"
    if before[:1] != after[:1] and before and after:
        text = f"step '{step}' proposes {after[0]} first, not {before[0]}: it is taken when nobody names a way"
        yield "way-first-changed", "first", text


def _money(step: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Told]:
    for name, (rule, meant) in _MONEY.items():
        if before.get(name) != after.get(name):
            reads = f"read from {after[name]}" if name in after else "no longer read"
            was = f", not from {before[name]}" if name in before and name in after else ""
            yield rule, name, f"step '{step}': {meant}: {reads}{was}"


def _listed(value: Any) -> list[str]:
    return [str(one) for one in value] if isinstance(value, list | tuple) else []


def _members(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
