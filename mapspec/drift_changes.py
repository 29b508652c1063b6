"""From drift to proposed spec changes: what a person would look at first, and the edits that can be made safely. Pure.

A proposal never approves anything: parts that an edit touches are proposed again and wait for their review.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from mapspec.approval import reset_changed
from mapspec.drift import Drift
from mapspec.model import FieldRule, Ignored, MappingSpec, operations_of
from mapspec.ops import Coalesce, LookupTable, MapEnum, Operation, ReadPath
from mapspec.paths import Path, parse_path

ALIKE: Final = 0.6


@dataclass(frozen=True)
class Proposal:
    """One change to a spec.

    Attributes:
        drift: What was seen.
        text: For the reviewer, one line.
        edit: What `apply_proposals` does: {"ignore": PATH} or {"part", "instead_of", "also"}; empty where only a person
            can say what belongs there.
    """

    drift: Drift
    text: str
    edit: Mapping[str, str] = field(default_factory=dict)


def propose(spec: MappingSpec, found: Sequence[Drift]) -> list[Proposal]:
    """One proposal for each drift, but for a new field that takes the place of a missing one: those share theirs."""
    renamed: dict[str, Drift] = {}
    for lost in (row for row in found if row.kind == "missing"):
        twin = _twin(lost, [row for row in found if row.kind == "new" and row.path not in renamed])
        if twin is not None:
            renamed[twin.path] = lost
    made: list[Proposal] = []
    for row in found:
        if row.kind == "new":
            if row.path in renamed:
                lost = renamed[row.path]
                for part in lost.parts or ("flow",):
                    text = f"{lost.path} is missing and {row.path} is new: let '{part}' read both"
                    made.append(Proposal(row, text, {"part": part, "instead_of": lost.path, "also": row.path}))
            else:
                made.append(Proposal(row, f"{row.path} is new: map it, or ignore it", {"ignore": row.path}))
        elif row.kind == "missing":
            if row not in renamed.values():
                parts = _parts(row)
                made.append(Proposal(row, f"{row.path} is missing: give {parts} another source or a default"))
        elif row.kind == "changed":
            made.append(
                Proposal(row, f"{row.path} is {row.detail} now: look whether {_parts(row)} still reads it right")
            )
        else:
            where = _lists_of(spec, row.parts)
            into = f"add a row for it to {where}" if where else f"decide what {_parts(row)} makes of it"
            what = repr(row.detail) if row.detail else "single values"
            made.append(Proposal(row, f"{row.path} holds {what}, which the spec does not know: {into}"))
    return made


def apply_proposals(spec: MappingSpec, proposals: Iterable[Proposal]) -> MappingSpec:
    """A copy with every edit that can be made; the parts it touches are proposed again."""
    for proposal in proposals:
        edit = proposal.edit
        if "ignore" in edit:
            if all(ignored.source != edit["ignore"] for ignored in spec.ignored):
                fresh = Ignored(source=edit["ignore"], reason="new in payloads, not mapped yet")
                spec = spec.model_copy(update={"ignored": (*spec.ignored, fresh)})
        elif "part" in edit:
            spec = _reading_both(spec, edit["part"], edit["instead_of"], edit["also"])
    return reset_changed(spec)


def _twin(lost: Drift, fresh: Sequence[Drift]) -> Drift | None:
    """The new field that is most alike, of the same parent."""
    parent, _, name = lost.path.rpartition(".")
    best: tuple[float, Drift] | None = None
    for row in fresh:
        other_parent, _, other = row.path.rpartition(".")
        likeness = difflib.SequenceMatcher(None, _folded(name), _folded(other)).ratio()
        if other_parent == parent and likeness >= ALIKE and (best is None or likeness > best[0]):
            best = likeness, row
    return best[1] if best else None


def _folded(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())


def _reading_both(spec: MappingSpec, part: str, instead_of: str, also: str) -> MappingSpec:
    fields = dict(spec.fields)
    entry = fields.get(part)
    if isinstance(entry, FieldRule):
        fields[part] = _rule_reading_both(entry, "", instead_of, also)
        return spec.model_copy(update={"fields": fields})
    for target, block in fields.items():
        name = part.removeprefix(f"{target}.")
        if not isinstance(block, FieldRule) and name != part and name in block.fields:
            each = block.each.source_path()
            inner = {**block.fields, name: _rule_reading_both(block.fields[name], each, instead_of, also)}
            fields[target] = block.model_copy(update={"fields": inner})
    return spec.model_copy(update={"fields": fields})


def _rule_reading_both(rule: FieldRule, each: str, instead_of: str, also: str) -> FieldRule:
    first = rule.steps[0] if rule.steps else None
    paths: tuple[Path, ...] = ()
    if isinstance(first, ReadPath):
        paths = (first.path,)
    elif isinstance(first, Coalesce):
        paths = first.paths_
    known = {path.source_path(each): path for path in paths}
    lost = known.get(instead_of)
    if lost is None or also in known:
        return rule
    head = lost.text[: len(lost.text) - len(lost.text.rpartition(".")[2])]
    fresh = parse_path(f"{head}{also.rpartition('.')[2]}")
    at = paths.index(lost)
    both = Coalesce(paths=(*paths[:at], fresh, lost, *paths[at + 1 :]))
    return rule.model_copy(update={"steps": (both, *rule.steps[1:])})


def _lists_of(spec: MappingSpec, parts: Sequence[str]) -> str:
    names: dict[str, None] = {}
    for part in parts:
        for op in operations_of(_steps(spec, part)):
            if isinstance(op, LookupTable):
                names[f"the table '{op.table}'"] = None
            elif isinstance(op, MapEnum):
                names[f"the rows of '{part}'"] = None
    return " and ".join(names)


def _steps(spec: MappingSpec, part: str) -> tuple[Operation, ...]:
    rule: Any = spec.rules().get(part)
    return rule.steps if isinstance(rule, FieldRule) else ()


def _parts(row: Drift) -> str:
    return ", ".join(f"'{part}'" for part in row.parts) or "the flow"
