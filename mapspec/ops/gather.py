"""Operations that make one value of a list: its length, its sum, its text."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from mapspec.conditions import PathField, is_present, parse_path_field
from mapspec.errors import TransformError
from mapspec.numbers import exactly
from mapspec.ops.base import MAX_TEXT_LENGTH, CompileContext, Example, Operation, Step, text_of
from mapspec.ops.lists import LINES, ListOperation, list_of
from mapspec.ops.operands import number_of
from mapspec.paths import Path, Scope, compile_path


class Count(Operation):
    """How many elements a list has, at a path or at hand; zero where there is none."""

    name = "count"
    main = "path"
    takes = ("list",)
    gives = "int"
    examples = (Example("lines[]", record=LINES, gives=3), Example(value=["A"], gives=1), Example("gifts[]", gives=0))
    path: PathField | None = None

    def starts(self) -> bool:
        return self.path is not None

    def bind(self, context: CompileContext) -> Step:
        read = _lister(self.path)
        return lambda value, scope: len(read(value, scope))


def _parse_paths(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return tuple(parse_path_field(path) for path in value)
    return parse_path_field(value)


class Sum(Operation):
    """The sum of the numbers at one path or several, or of the list at hand; absent where there is none."""

    name = "sum"
    main = "paths"
    takes = ("list",)
    gives = "decimal"
    examples = (
        Example("lines[].total", record=LINES, gives=Decimal("17.50")),
        Example(["subtotal", "tax"], record={"subtotal": "9.99", "tax": "0.82"}, gives=Decimal("10.81")),
        Example(value=["1.10", 2], gives=Decimal("3.10")),
        Example("lines[].sku", record=LINES, refused="bad-number"),
    )
    paths_: Annotated[Path | tuple[Path, ...], BeforeValidator(_parse_paths)] = Field(default=(), alias="paths")

    def starts(self) -> bool:
        return bool(self.paths_)

    def bind(self, context: CompileContext) -> Step:
        paths = (self.paths_,) if isinstance(self.paths_, Path) else self.paths_
        reads = [_lister(path) for path in paths or (None,)]

        def step(value: Any, scope: Scope) -> Any:
            found = None
            for read in reads:
                for index, part in enumerate(read(value, scope)):
                    if is_present(part):
                        found = _added(found, part, index)
            return found

        return step


def _added(total: Decimal | None, part: Any, index: int) -> Decimal:
    try:
        with exactly():
            return number_of(part) + (total or 0)
    except TransformError as error:
        raise TransformError(f"element {index + 1}: {error.message}", reason=error.reason) from None


class Concat(ListOperation):
    """The present elements of a list as one text, with a text between them."""

    name = "concat"
    main = "with"
    gives = "text"
    examples = (
        Example(", ", value=["A", "", "C"], gives="A, C"),
        Example({"with": "-"}, value=["WEB", 7], gives="WEB-7"),
        Example(", ", value=[{"sku": "A"}], refused="bad-value"),
    )
    with_: str = Field(default="", alias="with")

    def bind(self, context: CompileContext) -> Step:
        def step(value: Any, scope: Scope) -> Any:
            if value is None:
                return None
            texts = [text_of(part) for part in list_of(value) if is_present(part)]
            length = sum(map(len, texts)) + len(self.with_) * (len(texts) - 1)
            if length > MAX_TEXT_LENGTH:
                message = f"expected at most {MAX_TEXT_LENGTH} characters, got {length}"
                raise TransformError(message, reason="too-long")
            return self.with_.join(texts) if texts else None

        return step


def _lister(path: Path | None) -> Callable[[Any, Scope], list[Any]]:
    if path is None:
        return lambda value, scope: [] if value is None else list_of(value)
    read = compile_path(path)

    def rows(value: Any, scope: Scope) -> list[Any]:
        found = read(scope)
        return found if isinstance(found, list) else [found] if is_present(found) else []

    return rows
