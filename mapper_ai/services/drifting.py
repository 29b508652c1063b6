"""Drift of payloads against a mapping: what changed since it was approved, and the change of the mapping it asks for.

A proposal keeps what works for records as they were: a renamed field is read beside its old name, a new word gets the
row it has been given silently. Whatever it touches has to be approved again.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from connectors.registry import has_entity, load_system
from mapper_ai.core.formats import recognise
from mapper_ai.services.sources import read_at
from mapspec import MappingSpec, reset_changed
from mapspec.drift import Drift, compare, expected_shape
from mapspec.fingerprint import plain_part
from mapspec.model import operations_of
from mapspec.ops import LookupTable
from mapspec.paths import parse_path

_ALIKE: Final = 0.6  # of 1: names that may be one field under two names
_SAME_LOOK: Final = 0.15  # what values of one format add to that
NEW: Final = "new in the payloads; not mapped yet"


@dataclass(frozen=True)
class Proposal:
    """A change of the mapping.

    Attributes:
        spec: The changed mapping, its changed parts proposed again; the same object when nothing is changed.
        done: What was changed, in words.
        left: What a person has to look at.
    """

    spec: MappingSpec
    done: tuple[str, ...]
    left: tuple[str, ...]


def find_drift(
    spec: MappingSpec, records: Sequence[Mapping[str, Any]], earlier: Sequence[Mapping[str, Any]]
) -> list[Drift]:
    """How records differ from what the mapping reads, its source's contract, and earlier records."""
    system, entity = spec.source.system, spec.source.entity
    contract = load_system(system).fields(entity) if has_entity(system, entity) else []
    return compare(expected_shape(spec, contract=contract, earlier=earlier), records)


def propose(
    spec: MappingSpec,
    drifts: Sequence[Drift],
    records: Sequence[Mapping[str, Any]],
    earlier: Sequence[Mapping[str, Any]],
) -> Proposal:
    """What to change in the mapping because of drift."""
    data = plain_part(spec)
    data.setdefault("ignored", [])
    done: list[str] = []
    left: list[str] = []
    renamed = _renamed(drifts, records, earlier)
    for row in drifts:
        if row.kind == "missing" and row.path in renamed:
            new = renamed[row.path]
            told = _read_beside(data, spec, row.path, new)
            done += [f"{part}: reads {new} where {row.path} is absent" for part in told]
            others = sorted(set(row.parts) - set(told))
            if others:
                left.append(f"{row.path} looks renamed to {new}; {', '.join(others)} read it in a way to mend by hand")
        elif row.kind == "missing":
            left.append(f"{row.path} is gone, and {', '.join(row.parts) or 'no part'} reads it")
        elif row.kind == "changed":
            left.append(f"{row.path}: {row.detail}; read by {', '.join(row.parts) or 'no part'}")
        elif row.kind == "value":
            said = list(_new_word(data, spec, row))
            done += said
            if not said:
                left.append(f"{row.path} has the new value '{row.detail}', and no table to add it to")
        elif row.path not in renamed.values():
            data["ignored"].append({"source": row.path, "reason": NEW})
            done.append(f"{row.path} is listed as ignored: {NEW}")
    if not done:
        return Proposal(spec, (), tuple(left))
    changed = MappingSpec.model_validate({**data, "version": spec.version + 1})
    made = reset_changed(changed).with_schema_reference(spec.schema_reference)
    return Proposal(made, tuple(done), tuple(left))


def _renamed(
    drifts: Iterable[Drift], records: Sequence[Mapping[str, Any]], earlier: Sequence[Mapping[str, Any]]
) -> dict[str, str]:
    """Missing path -> new path beside it with a like name; the likest pairs first, each path once."""
    rows = list(drifts)
    pairs = []
    for old in (row for row in rows if row.kind == "missing" and row.parts):
        for new in (row for row in rows if row.kind == "new"):
            if _parent(old.path) != _parent(new.path) or "object" in new.detail or "list" in new.detail:
                continue
            names = old.path.rpartition(".")[2].casefold(), new.path.rpartition(".")[2].casefold()
            looks = _looks(earlier, old.path), _looks(records, new.path)
            if looks[0] and looks[1] and not looks[0] & looks[1]:
                continue
            score = difflib.SequenceMatcher(None, *names).ratio() + (_SAME_LOOK if looks[0] & looks[1] else 0)
            if score >= _ALIKE:
                pairs.append((-score, old.path, new.path))
    found: dict[str, str] = {}
    for _, missing, candidate in sorted(pairs):
        if missing not in found and candidate not in found.values():
            found[missing] = candidate
    return found


def _looks(records: Iterable[Mapping[str, Any]], path: str) -> set[str]:
    """Formats of the values at a path: instant, email, decimal, …"""
    found = set()
    for record in records:
        value = read_at(record, path)
        for one in value if isinstance(value, list) else [value]:
            if one is not None and not isinstance(one, dict | list | bool):
                found.add(recognise(str(one)))
    return found


def _parent(path: str) -> str:
    return path.rpartition(".")[0]


def _read_beside(data: dict[str, Any], spec: MappingSpec, old: str, new: str) -> list[str]:
    """Let every rule that reads a path by itself read the other where it is absent; the parts that do now."""
    found = []
    for part, each, rule in _rules(data, spec):
        steps = rule["steps"]
        if _with_stand_in(steps, each, old, new):
            found.append(part)
    return found


def _rules(data: dict[str, Any], spec: MappingSpec) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """(part, source path of the list around it, plain rule)."""
    lists = {step.target: step.each.source_path() for step in spec.flow if step.target and step.each}
    for name, rule in data.get("values", {}).items():
        yield f"values.{name}", "", rule
    for target, entry in data.get("fields", {}).items():
        outer = lists.get(target.split(".", 1)[0], "")
        if "each" not in entry:
            yield target, outer, entry
            continue
        each = parse_path(entry["each"]).source_path(outer)
        for name, rule in entry["fields"].items():
            yield f"{target}.{name}", each, rule


def _with_stand_in(steps: Any, each: str, old: str, new: str) -> bool:
    changed = False
    for position, step in enumerate(steps):
        if not isinstance(step, dict):
            continue
        (name, argument), *_ = step.items()
        if name == "path" and isinstance(argument, str):
            other = _same_place(argument, each, old, new)
            if other is not None:
                steps[position] = {"coalesce": [argument, other]}
                changed = True
        elif name == "coalesce" and isinstance(argument, list):
            for place, path in enumerate(argument):
                other = _same_place(path, each, old, new)
                if other is not None:
                    argument.insert(place + 1, other)
                    changed = True
                    break
        elif isinstance(argument, dict | list):
            # Chains inside: `when` has then and else, `join` has parts.
            inner = argument.values() if isinstance(argument, dict) else argument
            for part in inner:
                for chain in part if isinstance(part, list) and part and isinstance(part[0], list) else [part]:
                    if isinstance(chain, list):
                        changed = _with_stand_in(chain, each, old, new) or changed
    return changed


def _same_place(text: str, each: str, old: str, new: str) -> str | None:
    """How the new path is written where the old one was; None when the text is another path."""
    path = parse_path(text)
    if path.root not in ("record", "item") or path.source_path(each if path.root == "item" else "") != old:
        return None
    if path.root == "item":
        return "." + new[len(each) + 1 :]
    return ("$." if text.startswith("$.") else "") + new


def _new_word(data: dict[str, Any], spec: MappingSpec, row: Drift) -> Iterator[str]:
    """Give a new word a row in the tables that its path is looked up in."""
    tables = {
        op.table
        for part in row.parts
        if (rule := spec.rules().get(part)) is not None
        for op in operations_of(rule.steps)
        if isinstance(op, LookupTable)
    }
    for name in sorted(tables):
        table = data["tables"][name]
        rows = table.setdefault("rows", {})
        near = difflib.get_close_matches(row.detail, rows, n=1, cutoff=_ALIKE)
        value = rows[near[0]] if near else table.get("default")
        # Several tables may stand behind one field; the word belongs where a like one is, or where it fell through.
        if value is not None and not str(value).startswith("settings."):
            rows[row.detail] = value
            why = f"as '{near[0]}' has" if near else "as it has been given so far"
            yield f"tables.{name}: row '{row.detail}' gives '{value}', {why}"
