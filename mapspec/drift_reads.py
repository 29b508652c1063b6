"""What a spec needs of its payloads, and where it goes by a list of words; for `mapspec.drift`. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mapspec.conditions import Condition, fold
from mapspec.model import FieldRule, MappingSpec
from mapspec.ops import Coalesce, Default, LookupTable, MapEnum, Operation, ReadPath, Template, When, placeholders
from mapspec.paths import Path


@dataclass(frozen=True)
class Need:
    """One of these plain paths has a value in every record; with `each`, in every record that has that list."""

    paths: tuple[str, ...]
    each: str = ""


def needs_of(spec: MappingSpec) -> Iterator[Need]:
    """What every record must have: its id, keys, the amounts of its lines, and the source of each required field."""
    yield Need((plain_path(spec.source.id.source_path()),))
    lists: dict[str, str] = {}
    for step in spec.flow:
        each = step.each.source_path() if step.each else ""
        if step.target and each:
            lists.setdefault(step.target, each)
        if len(step.key) == 1:
            for path in placeholders(step.key[0]):
                yield from _need([path], each)
    for target, entry in spec.fields.items():
        outer = lists.get(target.split(".", 1)[0], "")
        if isinstance(entry, FieldRule):
            yield from _needs_of_rule(entry, outer)
            continue
        each = entry.each.source_path(outer)
        if entry.money is not None:
            yield from _need([entry.each], outer)
            for path in (entry.money.quantity, entry.money.unit_price, entry.money.total):
                yield from _need([path], each)
        for rule in entry.fields.values():
            yield from _needs_of_rule(rule, each)


def _needs_of_rule(rule: FieldRule, each: str) -> Iterator[Need]:
    first = rule.steps[0] if rule.steps else None
    if not rule.required or any(isinstance(op, Default) for op in rule.steps):
        return
    if isinstance(first, ReadPath | Coalesce):
        yield from _need(first.paths(), each)
    elif isinstance(first, Template):
        for path in first.paths():
            yield from _need([path], each)


def _need(paths: Sequence[Path], each: str) -> Iterator[Need]:
    """One of the paths, unless a setting or a named value is among them."""
    if all(path.root in ("record", "item") and path.segments for path in paths):
        inside = plain_path(each) if all(path.root == "item" for path in paths) else ""
        yield Need(tuple(plain_path(path.source_path(each)) for path in paths), inside)


def words_of(spec: MappingSpec) -> Iterator[tuple[str, frozenset[str], bool]]:
    """(source path, folded words the spec names there, whether they are meant to be all)."""
    for gate in spec.gate:
        yield from _compared(gate.when, "")
    lists: dict[str, str] = {}
    for step in spec.flow:
        each = step.each.source_path() if step.each else ""
        if step.target and each:
            lists.setdefault(step.target, each)
        if step.when is not None:
            yield from _compared(step.when, each)
    for rule in spec.values.values():
        yield from _translated(spec, rule.steps, "")
    for target, entry in spec.fields.items():
        each = lists.get(target.split(".", 1)[0], "")
        if isinstance(entry, FieldRule):
            yield from _translated(spec, entry.steps, each)
            continue
        for rule in entry.fields.values():
            yield from _translated(spec, rule.steps, entry.each.source_path(each))


def _compared(condition: Condition, each: str) -> Iterator[tuple[str, frozenset[str], bool]]:
    for pair in (condition.equal, condition.not_equal, condition.in_):
        if pair is not None and pair[0].root in ("record", "item"):
            words = (pair[1],) if isinstance(pair[1], str) else pair[1]
            yield pair[0].source_path(each), frozenset(map(fold, words)), False
    for inner in (*(condition.all or ()), *(condition.any or ()), *([condition.not_] if condition.not_ else ())):
        yield from _compared(inner, each)


def _translated(spec: MappingSpec, chain: Sequence[Operation], each: str) -> Iterator[tuple[str, frozenset[str], bool]]:
    source: Path | None = None
    for op in chain:
        if isinstance(op, ReadPath):
            source = op.path
        elif isinstance(op, When):
            yield from _compared(op.if_, each)
        rows, missing = None, ""
        if isinstance(op, MapEnum):
            rows, missing = op.rows, op.missing
        elif isinstance(op, LookupTable) and op.table in spec.tables:
            rows, missing = spec.tables[op.table].rows, spec.tables[op.table].missing
        if rows is not None and source is not None and source.root in ("record", "item"):
            yield source.source_path(each), frozenset(map(fold, rows)), missing != "keep"
        for inner in op.nested():
            if not op.of_elements:
                yield from _translated(spec, inner, each)


def plain_path(path: str) -> str:
    """A path without its brackets: a list that becomes an object is the same place."""
    return path.replace("[]", "")
