"""What a chain of steps can give, found without running it: its type, and the fixed texts that may come out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from mapspec.model import MappingSpec
from mapspec.ops import (
    Allocate,
    Case,
    Const,
    Default,
    LookupTable,
    MapEnum,
    MaxLength,
    Operation,
    Setting,
    StepOutput,
    Trim,
    When,
)

ANY: Final = "any"
NOTHING: Final = "nothing"  # before the first step
SCALAR: Final = "scalar"  # anything but a list or an object
_COMPOUND: Final = frozenset({"list", "object"})
OUTPUT: Final = "output"  # what an earlier flow step's answer brings
_SUPPLY: Final = frozenset({"default", "append", "count"})  # steps that give something where nothing came
# What a target field of a type takes as it is sent; every other type needs a step in between.
FITS: Final[Mapping[str, frozenset[str]]] = {
    "text": frozenset({"text", "int", "decimal", "date", "instant", OUTPUT}),
    "int": frozenset({"int", OUTPUT}),
    "decimal": frozenset({"decimal", "int"}),
    "bool": frozenset({"bool"}),
    "date": frozenset({"date"}),
    "instant": frozenset({"instant"}),
    "money": frozenset({"money"}),
}
# The step that turns what came into what the field takes.
CURE: Final[Mapping[str, str]] = {
    "int": "{int: }",
    "decimal": "{decimal: }",
    "bool": "{bool: }",
    "date": "{parse_instant: } and {to_date: }",
    "instant": "{parse_instant: }",
    "money": "{money: values.currency}",
}


class ChainError(Exception):
    """Two neighbouring steps do not fit.

    Attributes:
        position: 0-based position of the step in its chain that cannot take what came.
    """

    def __init__(self, message: str, position: int) -> None:
        super().__init__(message)
        self.message = message
        self.position = position


def chain_type(chain: Sequence[Operation], start: str = NOTHING) -> str:
    """The type of what a chain gives, `any` where the operations do not tell.

    Raises:
        ChainError: A step does not take what the step before it gives, or nothing was read yet.
    """
    current = start
    for position, step in enumerate(chain):
        if isinstance(step, When):
            branches = {chain_type(step.then, current), chain_type(step.else_, current)} - {NOTHING}
            current = branches.pop() if len(branches) == 1 else ANY
            continue
        _inner_types(step, position)
        if isinstance(step, StepOutput):
            current = OUTPUT
            continue
        if step.starts():
            current = _given(step)
            continue
        if current == OUTPUT:
            raise ChainError(f"'{step.name}' cannot change the answer of a flow step: it is known only later", position)
        if current == NOTHING and step.name not in _SUPPLY:
            raise ChainError(f"'{step.name}' has nothing to work on: a step before it must read a field", position)
        if current not in (ANY, NOTHING) and not _takes(step.takes, current):
            wanted = " or ".join("a single value" if kind == SCALAR else kind for kind in step.takes)
            raise ChainError(f"'{step.name}' takes {wanted}, the step before it gives {current}", position)
        if isinstance(step, Default):
            current = "text" if current in (NOTHING, "text") else ANY
        elif step.gives != "same":
            current = step.gives
    return current


def _inner_types(step: Operation, position: int) -> None:
    """The chains inside a step; what stands in a list operation starts with an element of the list."""
    for inner in step.nested():
        given = chain_type(inner, ANY if step.of_elements else NOTHING)
        if step.inner and given not in (ANY, *step.inner):
            wanted = " or ".join(step.inner)
            raise ChainError(f"the steps inside '{step.name}' must give {wanted}, and give {given}", position)


def _takes(takes: Sequence[str], current: str) -> bool:
    return ANY in takes or current in takes or (SCALAR in takes and current not in _COMPOUND)


def _given(step: Operation) -> str:
    if isinstance(step, Allocate):
        return "list" if step.give == "list" else "decimal"
    return step.gives


def literals(spec: MappingSpec, chain: Sequence[Operation], start: frozenset[str] = frozenset()) -> frozenset[str]:
    """The texts written in the spec itself (constants, table values, defaults, settings) that the chain may give."""
    found = start
    for step in chain:
        if isinstance(step, Const):
            found = frozenset({step.value})
        elif isinstance(step, Setting):
            found = _present(spec, f"settings.{step.key}")
        elif isinstance(step, LookupTable):
            found = _table_values(spec, step.table)
        elif isinstance(step, MapEnum):
            found = frozenset(step.rows.values()) | _present(spec, step.default or "")
        elif isinstance(step, Default):
            found |= _present(spec, step.value)
        elif isinstance(step, When):
            found = literals(spec, step.then, found) | literals(spec, step.else_, found)
        elif isinstance(step, Case):
            found = frozenset(text.lower() if step.to == "lower" else text.upper() for text in found)
        elif isinstance(step, Trim):
            found = frozenset(text.strip() for text in found)
        elif isinstance(step, MaxLength):
            found = frozenset(text for text in found if len(text) <= step.n)
        else:
            found = frozenset()
    return found


def _present(spec: MappingSpec, text: str) -> frozenset[str]:
    value = spec.settings.get(text[9:], "") if text.startswith("settings.") else text
    return frozenset({value}) if value else frozenset()


def _table_values(spec: MappingSpec, name: str) -> frozenset[str]:
    table = spec.tables.get(name)
    if table is None:
        return frozenset()
    return frozenset(table.rows.values()) | _present(spec, table.default or "")
