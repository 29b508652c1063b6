"""What the old mapping makes of a record, found with as little work as is certain.

Where only fields changed, the others give what they give in the new mapping: the old one is run with its changed fields
alone, and the rest is taken over. Where anything else changed, it is run as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from mapspec import CompiledSpec, Draft, MappingSpec, compile_spec
from mapspec.drafts import Document
from mapspec.paths import path_parts, unquoted_name
from mapspec.renames import meaning_of

Before = Callable[[Mapping[str, Any], Draft], Draft]
_ELSEWHERE = ("source", "targets", "settings", "tables", "gate", "flow", "values", "assertions")


def old_drafts(old: CompiledSpec, new: MappingSpec) -> Before:
    """A function of (record, the new mapping's draft) that gives the old mapping's draft."""
    if any(getattr(old.spec, name) != getattr(new, name) for name in _ELSEWHERE):
        return lambda record, after: old.apply(record)
    changed = _changed_members(old.spec, new)
    fields = {target: rule for target, rule in old.spec.fields.items() if _member(target) in changed}
    summed = {rule.predicted_total.lines for rule in new.assertions if rule.predicted_total is not None}
    if any(lines not in fields for lines in summed):
        return lambda record, after: old.apply(record)  # the assertion needs lines that would be left out
    part = compile_spec(old.spec.model_copy(update={"fields": fields}))
    kept = {target for target in new.fields if _member(target) not in changed}

    def before(record: Mapping[str, Any], after: Draft) -> Draft:
        made = part.apply(record)
        if made.decision in ("skip", "wait"):
            return made
        # What a field that did not change is held for, it was held for before.
        held = [row for row in after.reasons if row.target and _owner(row.target) in kept]
        documents = {target: _whole(rows, after.documents[target], changed) for target, rows in made.documents.items()}
        decision = "hold" if held else made.decision
        reasons = (*held, *made.reasons)
        return replace(made, decision=decision, reasons=reasons, documents=documents)

    return before


def _changed_members(old: MappingSpec, new: MappingSpec) -> set[tuple[str, str]]:
    """(target, member of its body) that a changed rule writes to; a member is taken whole."""
    found = set()
    for target in {*old.fields, *new.fields}:
        before, after = old.fields.get(target), new.fields.get(target)
        if before == after:  # nearly all, and far quicker to tell
            continue
        if before is None or after is None or _meaning(before) != _meaning(after):
            found.add(_member(target))
    return found


def _meaning(rule: Any) -> Any:
    data = meaning_of(rule)
    if "fields" in data:
        data["fields"] = {name: meaning_of(inner) for name, inner in rule.fields.items()}
    return data


def _member(target: str) -> tuple[str, str]:
    name, _, path = target.partition(".")
    return name, unquoted_name(path_parts(path)[0].removesuffix("[]"))


def _owner(part: str) -> str:
    """The field, or the list that it is in."""
    return part[: part.index("[]") + 2] if "[]" in part else part


def _whole(
    rows: tuple[Document, ...], after: tuple[Document, ...], changed: set[tuple[str, str]]
) -> tuple[Document, ...]:
    made = []
    for row, other in zip(rows, after, strict=True):
        rest = {name: value for name, value in other.body.items() if (row.target, name) not in changed}
        made.append(replace(row, body={**rest, **row.body}))
    return tuple(made)
