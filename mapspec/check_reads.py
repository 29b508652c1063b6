"""What a spec refers to: every path it reads, with the place and how much hangs on it; tables and settings by name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from mapspec.conditions import Condition
from mapspec.expressions import ExpressionNode, split_at_list
from mapspec.model import (
    MONEY_ROW_MEMBERS,
    Assertion,
    ChargeRule,
    FieldRule,
    FlowStep,
    LineMoney,
    ListBlock,
    MappingSpec,
    operations_of,
)
from mapspec.ops import (
    Allocate,
    Coalesce,
    Default,
    Filter,
    First,
    Last,
    LookupTable,
    MapEnum,
    Operation,
    Phone,
    ReadList,
    Setting,
    ToDate,
    ToMoney,
    When,
    placeholders,
)
from mapspec.paths import Path
from mapspec.yamltext import Loc

# Members of a money block that belong to the order line; the others belong to the order.
_OF_A_LINE: Final = {
    *("quantity", "unit_price", "unit_price_else", "line_total", "discount", "discounts", "tax", "taxes", "kind"),
}


@dataclass(frozen=True)
class Read:
    """One path that the spec reads.

    Attributes:
        part: The approvable part it belongs to.
        loc: Where it stands in the text, as exactly as is known.
        each: Source path of the list whose element a leading dot means; None outside any list.
        grave: True when a record cannot be mapped, or is decided wrongly, without it.
        instead: Paths that stand in when this one is absent.
        decides: Only a condition looks at it.
    """

    path: Path
    part: str
    loc: Loc
    each: str | None = None
    grave: bool = False
    instead: tuple[Path, ...] = ()
    decides: bool = False


def reads_of(spec: MappingSpec) -> Iterator[Read]:
    """Every path the spec reads, in the order of its parts."""
    yield Read(spec.source.id, "flow", ("source", "id"), grave=True)
    for name in ("number", "updated"):
        path = getattr(spec.source, name)
        if path is not None:
            yield Read(path, "flow", ("source", name))
    for position, gate in enumerate(spec.gate):
        at: Loc = ("gate", position)
        yield from _all(gate.when.paths(), "flow", at, None, grave=True)
        yield from _all(placeholders(gate.reason), "flow", at, None)
    lists: dict[str, str] = {}
    for position, step in enumerate(spec.flow):
        if step.target is not None and step.each is not None:
            lists.setdefault(step.target, step.each.source_path())
        yield from _step_reads(step, ("flow", position))
    for position, assertion in enumerate(spec.assertions):
        yield from _assertion_reads(assertion, ("assertions", position))
    for name, rule in spec.values.items():
        yield from _rule_reads(rule, f"values.{name}", ("values", name), None)
    for target, entry in spec.fields.items():
        each = lists.get(target.split(".", 1)[0])
        if isinstance(entry, FieldRule):
            yield from _rule_reads(entry, target, ("fields", target), each)
        else:
            yield from _block_reads(entry, target, each)
    for position, ignored in enumerate(spec.ignored):
        yield from _all(placeholders("{" + ignored.source + "}"), "flow", ("ignored", position), None)


def tables_of(spec: MappingSpec) -> list[tuple[str, str]]:
    """(table, part) of every use of a table."""
    used = [
        (op.table, part)
        for part, rule in spec.rules().items()
        for op in operations_of(rule.steps)
        if isinstance(op, LookupTable)
    ]
    for part, block in spec.blocks().items():
        if block.money is not None:
            used += [(name, part) for name in (block.money.rates, block.money.combined_taxes) if name is not None]
    return used


def settings_of(spec: MappingSpec) -> list[tuple[str, str]]:
    """(setting, part) of every use of a setting."""
    used = [(read.path.segments[0][0], read.part) for read in reads_of(spec) if read.path.root == "settings"]
    texts: list[tuple[str | None, str]] = []
    for part, rule in spec.rules().items():
        for op in operations_of(rule.steps):
            if isinstance(op, Setting):
                used.append((op.key, part))
            elif isinstance(op, ToDate):
                texts.append((op.zone, part))
            elif isinstance(op, Default):
                texts.append((op.value, part))
            elif isinstance(op, MapEnum):
                texts.append((op.default, part))
            elif isinstance(op, Phone):
                texts.append((op.country_code, part))
    texts += [(table.default, f"tables.{name}") for name, table in spec.tables.items()]
    for part, block in spec.blocks().items():
        if block.money is not None:
            texts += [(block.money.unit_cost_places, part), (block.money.negative_lines, part)]
    return used + [(text[9:], part) for text, part in texts if text is not None and text.startswith("settings.")]


def _all(paths: Sequence[Path], part: str, loc: Loc, each: str | None, *, grave: bool = False) -> Iterator[Read]:
    for path in paths:
        yield Read(path, part, loc, each, grave)


def _condition(condition: Condition | None, loc: Loc, each: str | None) -> Iterator[Read]:
    if condition is not None:
        yield from _all(condition.paths(), "flow", loc, each, grave=True)


def _step_reads(step: FlowStep, at: Loc) -> Iterator[Read]:
    each = None if step.each is None else step.each.source_path()
    if step.each is not None:
        yield Read(step.each, "flow", at, grave=True)
    for template in step.key:
        yield from _all(placeholders(template), "flow", at, each, grave=len(step.key) == 1)
    if step.value is not None:
        yield Read(step.value, "flow", at, each, grave=True)
    yield from _condition(step.when, at, each)
    yield from _all(placeholders(step.otherwise or ""), "flow", at, each)


def _assertion_reads(assertion: Assertion, at: Loc) -> Iterator[Read]:
    each = None if assertion.each is None else assertion.each.source_path()
    if assertion.each is not None:
        yield Read(assertion.each, "flow", at, grave=True)
    choice = assertion.one_of_present or ()
    yield from _all([path for path in assertion.paths() if path not in choice], "flow", at, each, grave=True)
    for path in choice:
        yield Read(path, "flow", at, each, grave=True, instead=tuple(other for other in choice if other != path))
    yield from _condition(assertion.when, at, each)
    for side in (*(assertion.equal or ()), *(assertion.at_most or ())):
        yield from _expression_reads(side, at, each)


def _expression_reads(node: ExpressionNode, at: Loc, each: str | None) -> Iterator[Read]:
    if node.path is not None:
        yield Read(node.path, "flow", at, each, grave=True)
        if node.where is not None:
            rows = split_at_list(node.path)[0].source_path(each or "")
            yield from _condition(node.where, at, rows)
    for inner in (*(node.sum or ()), node.abs, node.negate):
        if inner is not None:
            yield from _expression_reads(inner, at, each)


def _rule_reads(rule: FieldRule, part: str, loc: Loc, each: str | None) -> Iterator[Read]:
    for read in chain_reads(rule.steps, each, rule.required):
        yield replace(read, part=part, loc=(*loc, "steps", *read.loc))
    for check in rule.check:
        yield from _all(check.paths(), part, (*loc, "check"), each)


def chain_reads(
    chain: Sequence[Operation], each: str | None, required: bool, rows: str | None = None
) -> Iterator[Read]:
    """Reads of a chain, in the order of its steps; `loc` is the step's position in the chain.

    Args:
        chain: The steps.
        each: Source path of the list whose element a leading dot means.
        required: A record cannot do without the value.
        rows: Source path of the list at hand; None when it is no list that stands in the record.
    """
    for position, op in enumerate(chain):
        at: Loc = (position,)
        grave = isinstance(op, ToMoney) or (required and not isinstance(op, When))
        for path in op.paths():
            others = tuple(other for other in op.paths() if other != path) if isinstance(op, Coalesce) else ()
            yield Read(path, "", at, each, grave, others, isinstance(op, When))
        inner = rows_inside(op, each, rows)
        for path in op.element_paths():
            if path.root != "item" or inner is not None:  # elements of a list that steps made are not known
                yield Read(path, "", at, inner, grave, (), isinstance(op, Filter | First | Last))
        for steps in op.nested():
            below = inner if op.of_elements else each
            for read in chain_reads(steps, below, required, rows if isinstance(op, When) else None):
                if op.of_elements and inner is None and read.path.root == "item" and read.each is None:
                    continue
                yield replace(read, loc=at)
        rows = rows_after(op, each, rows)


def rows_inside(op: Operation, each: str | None, rows: str | None) -> str | None:
    """Source path of the list whose elements an operation reads; None when steps made the list."""
    return op.over.source_path(each or "") if isinstance(op, Allocate) else rows


def rows_after(op: Operation, each: str | None, rows: str | None) -> str | None:
    """Source path of the list at hand after a step; None when it is no list that stands in the record."""
    if isinstance(op, ReadList):
        return op.path.source_path(each or "") if op.path.root in ("record", "item") else None
    return rows if isinstance(op, Filter) else None


def _block_reads(block: ListBlock, part: str, outer: str | None) -> Iterator[Read]:
    at: Loc = ("fields", part)
    each = block.each.source_path(outer or "")
    yield Read(block.each, part, (*at, "each"), outer, grave=True)
    if block.money is not None:
        yield from _money_reads(block.money, part, (*at, "money"), each, outer)
    for name, rule in block.fields.items():
        yield from _rule_reads(rule, f"{part}.{name}", (*at, "fields", name), each)


def _money_reads(money: LineMoney, part: str, at: Loc, each: str, outer: str | None) -> Iterator[Read]:
    for name, value in money.__dict__.items():
        if isinstance(value, Path) and name not in MONEY_ROW_MEMBERS:
            here = each if name in _OF_A_LINE else outer
            yield Read(value, part, (*at, name), here, grave=name in ("currency", "quantity", "unit_price", "total"))
    yield from _all(money.more_quantity, part, (*at, "more_quantity"), each)
    if money.discounts is not None:
        yield from _all((money.discount_amount,), part, at, money.discounts.source_path(each))
    for taxes in (money.taxes, money.order_taxes):
        rows = None if taxes is None else taxes.source_path(each)
        if rows is not None:
            yield from _all((money.tax_name, money.tax_rate, money.tax_amount), part, at, rows)
    for charge in money.charges:
        yield from _charge_reads(charge, part, (*at, "charges"), outer)


def _charge_reads(charge: ChargeRule, part: str, at: Loc, outer: str | None) -> Iterator[Read]:
    yield Read(charge.amount, part, at, outer, grave=True)
    for path in (charge.tax, charge.rows):
        if path is not None:
            yield Read(path, part, at, outer)
    rows = None if charge.rows is None else charge.rows.source_path(outer or "")
    for path in (charge.row_title, charge.row_amount, charge.row_tax):
        if path is not None:
            yield Read(path, part, at, rows)
