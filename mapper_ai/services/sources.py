"""Which source fields a part of a spec reads, traced through named values and money blocks. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from mapspec import ops
from mapspec.check_reads import chain_reads, reads_of
from mapspec.fingerprint import FLOW
from mapspec.model import MONEY_ROW_MEMBERS, FieldRule, LineMoney, ListBlock, MappingSpec, operations_of
from mapspec.paths import Path, path_parts, unquoted_name

# What pricing makes of an order line, and the members of the money block it is made from; the first one names it.
_PRICED_FROM: Final = {
    "quantity": ("quantity",),
    "unit_cost": ("unit_price", "line_total", "discount"),
    "name": (),
    "note": ("discount",),
    "tax_name_1": ("taxes", "order_taxes"),
    "tax_percent_1": ("taxes", "order_taxes", "tax"),
    "tax_name_2": ("taxes", "order_taxes"),
    "tax_percent_2": ("taxes", "order_taxes", "tax"),
    "compound": ("taxes",),
}

# The members of the flow that decide what becomes of a record.
_DECIDING: Final = frozenset({"gate", "flow", "assertions"})


def part_sources(spec: MappingSpec, part: str) -> tuple[str, ...]:
    """Source paths from the record's root that a part reads, in order, each once; none for an unknown part."""
    if part == FLOW:
        reads = [read for read in reads_of(spec) if read.part == FLOW and read.loc[0] in _DECIDING]
        return _unique(path for read in reads for path in _traced(spec, [read.path], read.each or ""))
    block = spec.blocks().get(part)
    if block is not None:
        return _unique((block.each.source_path(), *_traced(spec, _money_paths(block), block.each.text)))
    rule = spec.rules().get(part)
    return rule_sources(spec, part, rule) if rule is not None else ()


def rule_sources(spec: MappingSpec, part: str, rule: FieldRule) -> tuple[str, ...]:
    """As part_sources, for a rule that may not stand in the spec yet."""
    block = block_of(spec, part)
    each = block.each.text if block else step_list(spec, part)
    found: list[str] = []
    for operation in operations_of(rule.steps):
        if isinstance(operation, ops.LinePrice) and block is not None and block.money is not None:
            found += _priced(spec, block.money, each, operation.part)
        elif isinstance(operation, ops.LookupRemote):
            found += _looked_up(spec, operation.step)
    reads = list(chain_reads(rule.steps, each or None, False))
    # What a condition or a check looks at stands behind what the value is made of.
    for read in (*(r for r in reads if not r.decides), *(r for r in reads if r.decides)):
        found += _traced(spec, [read.path], read.each or each)
    return _unique((*found, *_traced(spec, [path for check in rule.check for path in check.paths()], each)))


def _looked_up(spec: MappingSpec, step_id: str) -> Iterator[str]:
    """What a lookup step searches by."""
    for step in spec.flow:
        if step.id == step_id and step.value is not None:
            yield from _traced(spec, [step.value], step.each.source_path() if step.each else "")


def block_of(spec: MappingSpec, part: str) -> ListBlock | None:
    """The list block around a part, None at the top."""
    return spec.blocks().get(part[: part.index("[]") + 2]) if "[]." in part else None


def step_list(spec: MappingSpec, part: str) -> str:
    """The list that a flow step runs over for the part's target: `payments[]`, or "" for none."""
    target = part.split(".", 1)[0]
    return next((step.each.text for step in spec.flow if step.target == target and step.each), "")


def _traced(spec: MappingSpec, paths: Iterable[Path], each: str, seen: frozenset[str] = frozenset()) -> Iterator[str]:
    for path in paths:
        if path.root == "settings":
            continue
        if path.root == "values":
            name = path.segments[0][0]
            if name in spec.values and name not in seen:
                for read in chain_reads(spec.values[name].steps, None, False):
                    yield from _traced(spec, [read.path], read.each or "", seen | {name})
        elif path.segments or path.root == "item":
            yield path.source_path(each if path.root == "item" else "")


def _money_paths(block: ListBlock) -> list[Path]:
    """Paths of a money block; members of tax rows and charge rows belong to lists of their own."""
    if block.money is None:
        return []
    own = [v for k, v in block.money.__dict__.items() if isinstance(v, Path) and k not in MONEY_ROW_MEMBERS]
    return [*own, *block.money.more_quantity] + [
        path for charge in block.money.charges for path in (charge.amount, charge.tax, charge.rows) if path is not None
    ]


def _priced(spec: MappingSpec, money: LineMoney, each: str, part: str) -> list[str]:
    found: list[str] = []
    for name in _PRICED_FROM[part]:
        path = getattr(money, name)
        if not isinstance(path, Path):
            continue
        place = path.source_path(each if path.root == "item" else "")
        if place.endswith("[]"):
            member = money.tax_name if part.startswith("tax_name") else money.tax_rate
            found.append(f"{place}.{member.source_path().lstrip('.')}")
        else:
            found.append(place)
    return found


def _unique(paths: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(path for path in paths if path))


def read_at(record: object, path: str) -> object:
    """The value of a dotted path from the record's root; a list where the path runs through one, None when absent."""
    return _walk(record, [part for part in path_parts(path) if part])


def _walk(value: object, parts: Sequence[str]) -> object:
    for position, part in enumerate(parts):
        if not isinstance(value, dict):
            return None
        value = value.get(unquoted_name(part.removesuffix("[]")))
        if part.endswith("[]"):
            rows = value if isinstance(value, list) else []
            return [_walk(row, parts[position + 1 :]) for row in rows]
    return value
