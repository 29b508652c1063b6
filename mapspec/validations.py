"""Checks of single values, and the expressions that assertions over a record are made of."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator

from mapspec.conditions import Condition, fold, is_present
from mapspec.errors import TransformError
from mapspec.numbers import ZERO, Money, currency_digits, decimals_of, shape, to_decimal
from mapspec.ops import first_problem, linear_pattern, text_of, well_formed
from mapspec.paths import Path, Scope, compile_path, parse_path

_EMAIL: Final = re.compile(r"[^@\s,;<>()\"]{1,64}@[^@\s,;<>()\".]{1,63}(?:\.[^@\s,;<>()\".]{1,63})+")
_CURRENCY: Final = re.compile(r"[A-Z]{3}")
_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}")


class Check(BaseModel):
    """Base of the checks; `test` gives None when the value fits, else what was expected."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)
    name: ClassVar[str] = ""
    main: ClassVar[str] = ""

    def test(self, value: Any) -> str | None:
        """What was expected, or None when the value fits."""
        raise NotImplementedError

    def plain(self) -> dict[str, Any]:
        """The check as written in a spec."""
        value = getattr(self, self.main)
        return {self.name: [str(v) for v in value] if isinstance(value, tuple) else value}


class FormatCheck(Check):
    """`{format: email}`; email, currency, date."""

    name = "format"
    main = "format"
    format: Literal["email", "currency", "date"]

    def test(self, value: Any) -> str | None:
        text = text_of(value)
        pattern = {"email": _EMAIL, "currency": _CURRENCY, "date": _DATE}[self.format]
        names = {"email": "an e-mail address", "currency": "an ISO 4217 currency code", "date": "a date"}
        return None if pattern.fullmatch(text) else f"expected {names[self.format]}, got {shape(text)}"


class LengthCheck(Check):
    """`{max_length: 50}`: at most so many characters."""

    name = "max_length"
    main = "max_length"
    max_length: int = Field(ge=0)

    def test(self, value: Any) -> str | None:
        length = len(text_of(value))
        return None if length <= self.max_length else f"expected at most {self.max_length} characters, got {length}"


class BetweenCheck(Check):
    """`{between: ["0", "365"]}`: a number within both ends."""

    name = "between"
    main = "between"
    between: tuple[Decimal, Decimal]

    def test(self, value: Any) -> str | None:
        number = value.amount if isinstance(value, Money) else to_decimal(value, "value")
        low, high = self.between
        return None if low <= number <= high else f"expected a number from {low} to {high}"


class EnumCheck(Check):
    """`{enum: [Check, Cash]}`: one of these, to the letter."""

    name = "enum"
    main = "enum"
    enum: tuple[str, ...] = Field(min_length=1)

    def test(self, value: Any) -> str | None:
        return None if text_of(value) in self.enum else f"expected one of {len(self.enum)} known values"


class PatternCheck(Check):
    """`{regex: "[A-Z0-9-]+"}`: the whole text fits a linear-time pattern."""

    name = "regex"
    main = "regex"
    regex: str = Field(max_length=500)

    @field_validator("regex")
    @classmethod
    def _compiles(cls, regex: str) -> str:
        linear_pattern(regex)
        return regex

    def test(self, value: Any) -> str | None:
        text = well_formed(text_of(value))
        return None if linear_pattern(self.regex).fullmatch(text) else "expected another form (regex)"


class MoneyCheck(Check):
    """`{money: positive}`: an amount above zero (or not below), in whole minor units of its currency."""

    name = "money"
    main = "money"
    money: Literal["positive", "not_negative"]

    def test(self, value: Any) -> str | None:
        if not isinstance(value, Money):
            return "expected an amount with its currency"
        if value.amount < 0 or (self.money == "positive" and value.amount == 0):
            return "expected an amount above zero" if self.money == "positive" else "expected no negative amount"
        digits = currency_digits(value.currency)
        return None if decimals_of(value.amount) <= digits else f"expected at most {digits} decimals"


CHECKS: Final[dict[str, type[Check]]] = {
    kind.name: kind for kind in (FormatCheck, LengthCheck, BetweenCheck, EnumCheck, PatternCheck, MoneyCheck)
}


def parse_check(data: Any) -> Check:
    """One check from its YAML form `{format: email}`.

    Raises:
        ValueError: Unknown check.
    """
    if isinstance(data, Check):
        return data
    if not isinstance(data, Mapping) or len(data) != 1:
        raise ValueError("a check is one key with its argument, such as {format: email}")
    name, argument = next(iter(data.items()))
    if name not in CHECKS:
        raise ValueError(f"unknown check '{name}'; known: {', '.join(CHECKS)}")
    try:
        return CHECKS[name].model_validate({CHECKS[name].main: argument})
    except ValidationError as error:
        raise ValueError(f"check '{name}': {first_problem(error)[1]}") from None


# --- expressions over a record -----------------------------------------------------------------------------------


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
        # `where` looks at the elements of the list that the path ends in: payments[].amount where .status is ...
        rows = compile_path(Path(path.root, path.segments[:-1], text))
        last = path.segments[-1][0]
        test = self.where.compile()

        def chosen(scope: Scope) -> Decimal:
            total = ZERO
            for row in rows(scope) or []:
                inner = Scope(scope.record, scope.settings, scope.value_of, item=row)
                value = row.get(last) if isinstance(row, Mapping) else None
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
            if where is not None and (len(path.segments) < 2 or not path.segments[-2][1]):
                raise ValueError("'where' needs a path that ends in a list member, such as payments[].amount")
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


def _condition(data: Any) -> Condition:
    try:
        return Condition.model_validate(data)
    except ValidationError as error:
        raise ValueError(f"'where': {first_problem(error)[1]}") from None


Expression = Annotated[ExpressionNode, BeforeValidator(parse_expression)]


def same_text(left: Any, right: Any) -> bool:
    """True when both are present and read the same, trimmed and without case; an absent side says nothing."""
    return not is_present(left) or not is_present(right) or fold(left) == fold(right)


def check_value(checks: tuple[Check, ...], value: Any) -> str | None:
    """The first expectation that the value misses, or None."""
    for check in checks:
        try:
            missed = check.test(value)
        except TransformError as error:
            missed = error.message
        if missed is not None:
            return missed
    return None
