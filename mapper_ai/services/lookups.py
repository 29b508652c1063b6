"""The look-up tables of a mapping: who uses them, which values of the samples find no row, and rows for those."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mapper_ai.errors import MapperError
from mapper_ai.services.edits import goal_of, with_rule
from mapper_ai.services.preview import Tried, part_values
from mapspec import MappingSpec, SpecError, TransformError, compile_spec
from mapspec.conditions import fold
from mapspec.model import FieldRule, TableRule, operations_of
from mapspec.ops import LookupTable, text_of, write_step

_ALIKE = 0.6


@dataclass(frozen=True)
class Unmatched:
    """A value of the samples without a row.

    Attributes:
        count: How often it came.
        proposed: What it may become; "" when nothing comes near.
    """

    key: str
    count: int
    proposed: str


@dataclass(frozen=True)
class Lookup:
    """One table.

    Attributes:
        used_by: Parts that look up in it; empty for a table of the money block.
        unmatched: Values of the samples without a row, the most frequent first.
        allowed: What the target takes; empty when it takes any text.
    """

    name: str
    table: TableRule
    used_by: tuple[str, ...]
    unmatched: tuple[Unmatched, ...]
    allowed: tuple[str, ...]


def lookups(spec: MappingSpec, records: Sequence[tuple[str, Mapping[str, Any]]]) -> list[Lookup]:
    """Every table of a mapping, with what the samples say about it."""
    users: dict[str, list[str]] = {name: [] for name in spec.tables}
    for part, rule in spec.rules().items():
        for step in operations_of(rule.steps):
            if isinstance(step, LookupTable) and step.table in users and part not in users[step.table]:
                users[step.table].append(part)
    return [_lookup(spec, name, parts, records) for name, parts in users.items()]


def _lookup(
    spec: MappingSpec, name: str, parts: Sequence[str], records: Sequence[tuple[str, Mapping[str, Any]]]
) -> Lookup:
    table = spec.tables[name]
    known = {fold(key) for key in table.rows}
    keys = Counter(key for part in parts for key in _keys(spec, part, name, records))
    allowed = tuple(dict.fromkeys(str(value) for part in parts for value in _allowed(spec, part)))
    missing = [(key, count) for key, count in keys.most_common() if key.strip() and fold(key) not in known]
    return Lookup(
        name,
        table,
        tuple(parts),
        tuple(Unmatched(key, count, proposed_value(key, table.rows, allowed)) for key, count in missing),
        allowed,
    )


def proposed_value(key: str, rows: Mapping[str, str], allowed: Sequence[str]) -> str:
    """What a key may become: as the key most like it does, or the allowed value most like it; "" for neither."""
    by_key = {fold(known).replace("_", " "): value for known, value in rows.items()}
    by_key.update({fold(value).replace("_", " "): value for value in (*rows.values(), *allowed)})
    near = difflib.get_close_matches(fold(key).replace("_", " "), by_key, n=1, cutoff=_ALIKE)
    return by_key[near[0]] if near else ""


def _keys(spec: MappingSpec, part: str, table: str, records: Sequence[tuple[str, Mapping[str, Any]]]) -> Iterator[str]:
    """What comes to the table from the samples, as far as the chain can be cut there."""
    steps = _cut([write_step(step) for step in spec.rules()[part].steps], table)
    if not steps:
        return
    cut = FieldRule.model_validate({"steps": steps})
    try:
        changed = with_rule(spec, part, cut, {}).model_copy(update={"gate": (), "assertions": ()})
        compiled = compile_spec(changed)
    except (SpecError, ValueError):
        return
    for name, record in records:
        draft = compiled.apply(record)
        value = part_values(compiled, Tried(name, record, draft, draft), [part]).get(part)
        yield from _texts(value)


def _cut(steps: Sequence[dict[str, Any]], table: str) -> list[dict[str, Any]] | None:
    """The steps up to the look-up, also inside a branch; None where there is none."""
    for at, step in enumerate(steps):
        name, argument = next(iter(step.items()))
        if name == "lookup_table" and argument == table:
            return list(steps[:at])
        if name == "when":
            branches = {key: _cut(argument.get(key, ()), table) for key in ("then", "else")}
            if any(branches.values()):
                blank = [{"const": " "}]
                return [*steps[:at], {"when": {"if": argument["if"], **{k: v or blank for k, v in branches.items()}}}]
    return None


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, list):
        for entry in value:
            yield from _texts(entry)
    elif value is not None and not isinstance(value, Mapping):
        try:
            yield text_of(value).strip()
        except TransformError:
            return


def _allowed(spec: MappingSpec, part: str) -> Sequence[object]:
    try:
        return goal_of(spec, part).enum
    except MapperError:  # no field of the target
        return ()
