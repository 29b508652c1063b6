"""Operations on lists. A condition, path or chain «of an element» reads it by a leading dot: `.sku`, or `.` itself.

`list` reads a list of the record; the others work on the list at hand, in list blocks and in flow steps with `each`
as well as outside. An absent list runs through.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from pydantic import Field

from mapspec.conditions import Condition, PathField, is_present
from mapspec.errors import TransformError
from mapspec.numbers import shape
from mapspec.ops.base import Chain, CompileContext, Example, Operation, Step, bind_chain
from mapspec.paths import Scope, compile_path

MAX_ELEMENTS: Final = 100_000  # of a list that steps make; no record comes near
LINES: Final = {
    "lines": [
        {"sku": "A", "kind": "tea", "total": "10.00"},
        {"sku": "B", "kind": "cup", "total": "5.00"},
        {"sku": "C", "kind": "tea", "total": "2.50"},
    ]
}
_SKUS: Final = ["A", "B", "C"]


class ListOperation(Operation):
    """Base of the operations that work on the list at hand."""

    takes = ("list",)
    gives = "list"


class ReadList(Operation):
    """All elements at a path, as a list; a single value counts as a list of one, and an empty list as absent."""

    name = "list"
    main = "path"
    gives = "list"
    source = True
    examples = (Example("lines[].sku", record=LINES, gives=_SKUS), Example("lines[].ean", record=LINES, gives=None))
    path: PathField

    def bind(self, context: CompileContext) -> Step:
        read = compile_path(self.path)

        def step(value: Any, scope: Scope) -> Any:
            found = read(scope)
            if not isinstance(found, list):
                return [found] if is_present(found) else None
            return found or None

        return step


class Each(ListOperation):
    """The list with each element changed by steps, which start with the element; what becomes absent is left out."""

    name = "each"
    main = "steps"
    of_elements = frozenset({"steps"})
    examples = (
        Example([{"case": "lower"}], value=["Tea", "Cup"], gives=["tea", "cup"]),
        Example([{"template": "{#}: {.sku}"}], value=LINES["lines"], gives=["1: A", "2: B", "3: C"]),
        Example([{"decimal": None}], value=["1", "x"], refused="bad-number"),
    )
    steps: Chain = Field(min_length=1)

    def bind(self, context: CompileContext) -> Step:
        chain = bind_chain(self.steps, context)

        def step(value: Any, scope: Scope) -> Any:
            made: list[Any] = []
            walk(value, scope, lambda element: made.append(chain(element, scope)))
            return None if value is None else [one for one in made if one is not None]

        return step

    def nested(self) -> list[tuple[Operation, ...]]:
        return [self.steps]


class Filter(ListOperation):
    """The elements for which a condition holds."""

    name = "filter"
    main = "where"
    of_elements = frozenset({"where"})
    short_object = True
    examples = (
        Example({"equal": [".kind", "cup"]}, value=LINES["lines"], gives=[LINES["lines"][1]]),
        Example({"in": [".", ["a", "c"]]}, value=_SKUS, gives=["A", "C"]),
    )
    where: Condition

    def bind(self, context: CompileContext) -> Step:
        test = self.where.compile()

        def step(value: Any, scope: Scope) -> Any:
            kept: list[Any] = []
            walk(value, scope, lambda element: kept.append(element) if test(scope) else None)
            return None if value is None else kept

        return step


class First(ListOperation):
    """The first present element, or the first for which a condition holds; absent where there is none."""

    name = "first"
    main = "where"
    gives = "any"
    of_elements = frozenset({"where"})
    short_object = True
    examples = (
        Example(value=["", "A-1"], gives="A-1"),
        Example({"gt": [".total", "4"]}, value=LINES["lines"], gives=LINES["lines"][0]),
    )
    where: Condition | None = None

    def bind(self, context: CompileContext) -> Step:
        return _picker(self.where, backwards=False)


class Last(ListOperation):
    """The last present element, or the last for which a condition holds; absent where there is none."""

    name = "last"
    main = "where"
    gives = "any"
    of_elements = frozenset({"where"})
    short_object = True
    examples = (
        Example(value=["A-1", "B-2"], gives="B-2"),
        Example({"equal": [".kind", "cup"]}, value=LINES["lines"], gives=LINES["lines"][1]),
    )
    where: Condition | None = None

    def bind(self, context: CompileContext) -> Step:
        return _picker(self.where, backwards=True)


def _picker(where: Condition | None, *, backwards: bool) -> Step:
    test = None if where is None else where.compile()

    def step(value: Any, scope: Scope) -> Any:
        found: list[Any] = []

        def visit(element: Any) -> bool:
            if is_present(element) and (test is None or test(scope)):
                found.append(element)
            return bool(found)

        walk(value, scope, visit, backwards=backwards)
        return found[0] if found else None

    return step


class Flatten(ListOperation):
    """A list of lists as one list; only one level, and elements that are no list stay."""

    name = "flatten"
    examples = (Example(value=[["A"], "B", ["C", ["D"]]], gives=["A", "B", "C", ["D"]]),)

    def bind(self, context: CompileContext) -> Step:
        def step(value: Any, scope: Scope) -> Any:
            if value is None:
                return None
            rows = list_of(value)
            within_bounds(sum(len(row) if isinstance(row, list) else 1 for row in rows))
            return [part for row in rows for part in (row if isinstance(row, list) else [row])]

        return step


class Append(Operation):
    """The list and what other steps give: a list of theirs adds its elements, an absent value nothing."""

    name = "append"
    main = "steps"
    takes = ("list",)
    gives = "list"
    examples = (
        Example([{"path": "extra"}], value=["A"], record={"extra": "B"}, gives=["A", "B"]),
        Example([{"list": "lines[].sku"}], value=["Z"], record=LINES, gives=["Z", "A", "B", "C"]),
        Example([{"const": "A"}], gives=["A"]),
    )
    steps: Chain = Field(min_length=1)

    def bind(self, context: CompileContext) -> Step:
        chain = bind_chain(self.steps, context)

        def step(value: Any, scope: Scope) -> Any:
            more = chain(None, scope)
            rows = [] if value is None else list_of(value)
            added = more if isinstance(more, list) else [more] if is_present(more) else []
            within_bounds(len(rows) + len(added))
            return [*rows, *added] or None

        return step

    def nested(self) -> list[tuple[Operation, ...]]:
        return [self.steps]


def within_bounds(count: int) -> None:
    """Lists that steps make of lists grow by multiplication: a few steps would fill the memory."""
    if count > MAX_ELEMENTS:
        raise TransformError(f"expected at most {MAX_ELEMENTS} elements, got {count}", reason="too-long")


def list_of(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise TransformError(f"expected a list, got {shape(value)}", reason="bad-list")
    return value


def walk(value: Any, scope: Scope, visit: Callable[[Any], Any], *, backwards: bool = False) -> None:
    """Visit each element as the scope's current one until a visit gives true; an error names the element."""
    if value is None:
        return
    rows = list_of(value)
    outer = scope.item, scope.index
    try:
        for index in reversed(range(len(rows))) if backwards else range(len(rows)):
            scope.item, scope.index = rows[index], index
            try:
                if visit(rows[index]):
                    return
            except TransformError as error:
                raise TransformError(f"element {index + 1}: {error.message}", reason=error.reason) from None
    finally:
        scope.item, scope.index = outer
