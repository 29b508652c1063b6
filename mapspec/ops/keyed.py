"""Operations that find elements of a list by a text of theirs."""

from __future__ import annotations

from typing import Any

from pydantic import model_validator

from mapspec.conditions import PathField, is_present
from mapspec.errors import TransformError
from mapspec.numbers import shape
from mapspec.ops.base import CompileContext, Example, Operation, Step, text_of
from mapspec.ops.lists import LINES, ListOperation, walk
from mapspec.ops.sources import ReadPath
from mapspec.paths import Scope, compile_path


class IndexBy(ListOperation):
    """An object with the elements by a text of theirs, for `get`; two elements of the same text are refused."""

    name = "index_by"
    main = "key"
    gives = "object"
    of_elements = frozenset({"key"})
    examples = (
        Example(".sku", value=[{"sku": "A", "n": 1}], gives={"A": {"sku": "A", "n": 1}}),
        Example(".kind", value=LINES["lines"], refused="duplicate-key"),
    )
    key: PathField

    def bind(self, context: CompileContext) -> Step:
        read = compile_path(self.key)

        def step(value: Any, scope: Scope) -> Any:
            if value is None:
                return None
            found: dict[str, Any] = {}

            def visit(element: Any) -> None:
                key = _key(read(scope), self.key.text)
                if key in found:
                    raise TransformError(f"another element has the same {self.key.text}", reason="duplicate-key")
                found[key] = element

            walk(value, scope, visit)
            return found

        return step


class GroupBy(ListOperation):
    """A list of {key, rows}: the elements that have the same text, in the order in which the texts come first."""

    name = "group_by"
    main = "key"
    of_elements = frozenset({"key"})
    examples = (
        Example(
            ".kind",
            value=[{"kind": "tea", "n": 1}, {"kind": "cup", "n": 2}, {"kind": "tea", "n": 3}],
            gives=[
                {"key": "tea", "rows": [{"kind": "tea", "n": 1}, {"kind": "tea", "n": 3}]},
                {"key": "cup", "rows": [{"kind": "cup", "n": 2}]},
            ],
        ),
        Example(".kind", value=[{"n": 1}], refused="missing-key"),
    )
    key: PathField

    def bind(self, context: CompileContext) -> Step:
        read = compile_path(self.key)

        def step(value: Any, scope: Scope) -> Any:
            if value is None:
                return None
            found: dict[str, list[Any]] = {}
            walk(value, scope, lambda row: found.setdefault(_key(read(scope), self.key.text), []).append(row))
            return [{"key": key, "rows": rows} for key, rows in found.items()]

        return step


def _key(value: Any, name: str) -> str:
    if not is_present(value):
        raise TransformError(f"{name} is empty", reason="missing-key")
    return text_of(value).strip()


class Get(Operation):
    """A member of the object at hand: by its name, or by the name that stands at a path."""

    name = "get"
    main = "member"
    takes = ("object",)
    gives = "any"
    examples = (
        Example("A", value={"A": 1}, gives=1),
        Example({"by": ".taxId"}, value={"7": "GST"}, record={"lines": [{"taxId": 7}]}, each="lines", gives="GST"),
        Example("B", value={"A": 1}, gives=None),
    )
    member: str | None = None
    by: PathField | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Get:
        if (self.member is None) == (self.by is None):
            raise ValueError("write either 'member' or 'by'")
        return self

    def bind(self, context: CompileContext) -> Step:
        read = None if self.by is None else ReadPath(path=self.by).bind(context)

        def step(value: Any, scope: Scope) -> Any:
            if value is None:
                return None
            if not isinstance(value, dict):
                raise TransformError(f"expected an object, got {shape(value)}", reason="bad-object")
            name = self.member if read is None else read(None, scope)
            return value.get(text_of(name).strip()) if is_present(name) else None

        return step
