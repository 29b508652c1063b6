"""Numbers computed from a record, for assertions: a path, or sum, abs and negate of others."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from mapspec.conditions import Condition, is_present
from mapspec.numbers import ZERO, to_decimal
from mapspec.ops import first_problem
from mapspec.paths import Path, Scope, compile_path, parse_path


class ExpressionNode(BaseModel):
    """A number computed from a record: a path, or one of sum, abs, negate. Absent counts as zero."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    path: Path | None = None
    sum: tuple[ExpressionNode, ...] | None = None
    abs: ExpressionNode | None = None
    negate: ExpressionNode | None = None
    where: Condition | None = None

    def plain(self) -> Any:
        """The expression as written in a spec."""
        if self.path is not None:
            return {"path": self.path.text, "where": self.where.plain()} if self.where else self.path.text
        if self.sum is not None:
            return {"sum": [part.plain() for part in self.sum]}
        inner, name = (self.abs, "abs") if self.abs is not None else (self.negate, "negate")
        return {name: inner.plain() if inner is not None else ""}

    def paths(self) -> list[Path]:
        """Every path the expression reads."""
        found = [self.path] if self.path is not None else []
        for part in (*(self.sum or ()), self.abs, self.negate):
            if part is not None:
                found += part.paths()
        return found

    def compile(self) -> Callable[[Scope], Decimal]:
        """The expression as a function of the scope."""
        if self.path is not None:
            return self._compile_path(self.path)
        if self.sum is not None:
            parts = [part.compile() for part in self.sum]
            return lambda scope: sum((part(scope) for part in parts), ZERO)
        inner = (self.abs or self.negate or ExpressionNode(path=parse_path("$"))).compile()
        if self.abs is not None:
            return lambda scope: abs(inner(scope))
        return lambda scope: -inner(scope)

    def _compile_path(self, path: Path) -> Callable[[Scope], Decimal]:
        text = path.text
        if self.where is None:
            read = compile_path(path)

            def number(scope: Scope) -> Decimal:
                found = read(scope)
                values = found if isinstance(found, list) else [found]
                return sum((to_decimal(v, text) for v in values if is_present(v)), ZERO)

            return number
        # `where` looks at the elements of the last list on the path: payments[].amount where .status is ...
        rows, member = map(compile_path, split_at_list(path))
        test = self.where.compile()

        def chosen(scope: Scope) -> Decimal:
            total = ZERO
            for row in rows(scope) or []:
                inner = Scope(scope.record, scope.settings, scope.value_of, item=row)
                value = member(inner) if isinstance(row, Mapping) else None
                if is_present(value) and test(inner):
                    total += to_decimal(value, text)
            return total

        return chosen


def parse_expression(data: Any) -> ExpressionNode:
    """An expression from its YAML form.

    Raises:
        ValueError: Neither a path nor a known function.
    """
    if isinstance(data, ExpressionNode):
        return data
    if isinstance(data, str):
        return ExpressionNode(path=parse_path(data))
    if isinstance(data, Mapping):
        if "path" in data and set(data) <= {"path", "where"}:
            where = _condition(data["where"]) if "where" in data else None
            path = parse_path(str(data["path"]))
            if where is not None and not _after_list(path):
                raise ValueError("'where' needs a path to a member inside a list, such as payments[].amount")
            return ExpressionNode(path=path, where=where)
        if len(data) == 1:
            name, argument = next(iter(data.items()))
            if name == "sum" and isinstance(argument, list):
                return ExpressionNode(sum=tuple(parse_expression(part) for part in argument))
            if name == "abs":
                return ExpressionNode(abs=parse_expression(argument))
            if name == "negate":
                return ExpressionNode(negate=parse_expression(argument))
    raise ValueError("expected a path, or one of {sum: [...]}, {abs: ...}, {negate: ...}, {path: ..., where: ...}")


def split_at_list(path: Path) -> tuple[Path, Path]:
    """The last list on a path, and the member of its elements that the path leads to."""
    end = _after_list(path)
    member = Path("item", path.segments[end:], path.text)
    return Path(path.root, path.segments[:end], path.text), member


def _after_list(path: Path) -> int:
    """How many segments lead to the elements of the last list on a path to one of their members; 0 without one."""
    if path.segments and path.segments[-1][1]:
        return 0
    return max((number for number, (_, many) in enumerate(path.segments, 1) if many), default=0)


def _condition(data: Any) -> Condition:
    try:
        return Condition.model_validate(data)
    except ValidationError as error:
        raise ValueError(f"'where': {first_problem(error)[1]}") from None


Expression = Annotated[ExpressionNode, BeforeValidator(parse_expression)]
