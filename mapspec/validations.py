"""Checks of single values: `check: [{format: email}, {max_length: 50, on_fail: warn}]`.

A check's own `on_fail: hold` holds the record; its `on_fail: warn` notes the miss and lets the value go as it is.
Without one the rule decides: hold, or leave the field out with a warning. No check looks at the clock.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from mapspec.conditions import fold, is_present
from mapspec.errors import TransformError
from mapspec.expressions import Expression, ExpressionNode, parse_expression
from mapspec.formats import NAMES, Format, has_format
from mapspec.numbers import MAX_INT, Money, currency_digits, decimals_of, shape, to_decimal
from mapspec.numbers import plain as plain_number
from mapspec.ops import first_problem, linear_pattern, parse_instant, text_of, well_formed
from mapspec.paths import Path, Scope, compile_path, parse_path

__all__ = ["Expression", "ExpressionNode", "parse_expression"]  # what assertions are made of; and all of this module

OnFail = Literal["hold", "warn"]
# (value, scope, texts seen so far in the list) -> what was expected, None when the value fits
Test = Callable[[Any, Scope, set[str]], str | None]
_FIXED_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}")


class Check(BaseModel):
    """Base of the checks; `main` is the member that holds the argument, by default the check's own name."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True, populate_by_name=True)
    name: ClassVar[str] = ""
    on_fail: OnFail | None = None

    def test(self, value: Any) -> str | None:
        """What was expected, or None when the value fits. For checks that look at the value alone."""
        raise NotImplementedError

    def bind(self) -> Test:
        """The check as a function that also knows the record and the list."""
        return lambda value, scope, seen: self.test(value)

    def paths(self) -> list[Path]:
        """Every path the check reads."""
        return []

    def argument(self) -> Any:
        """The argument as written in a spec."""
        value = getattr(self, self.name)
        return [str(part) for part in value] if isinstance(value, tuple) else value

    def plain(self) -> dict[str, Any]:
        """The check as written in a spec."""
        own = {} if self.on_fail is None else {"on_fail": self.on_fail}
        return {self.name: self.argument(), **own}


class FormatCheck(Check):
    """`{format: email}`: email, currency, date, instant, url, country, phone, sku or language."""

    name = "format"
    format: Format

    def test(self, value: Any) -> str | None:
        text = text_of(value)
        return None if has_format(self.format, text) else f"expected {NAMES[self.format]}, got {shape(text)}"


class MinLengthCheck(Check):
    """`{min_length: 2}`: at least so many characters, blanks at the ends not counted."""

    name = "min_length"
    min_length: int = Field(ge=1)

    def test(self, value: Any) -> str | None:
        length = len(text_of(value).strip())
        return None if length >= self.min_length else f"expected at least {self.min_length} characters, got {length}"


class LengthCheck(Check):
    """`{max_length: 50}`: at most so many characters."""

    name = "max_length"
    max_length: int = Field(ge=0)

    def test(self, value: Any) -> str | None:
        length = len(text_of(value))
        return None if length <= self.max_length else f"expected at most {self.max_length} characters, got {length}"


class BetweenCheck(Check):
    """`{between: ["0", "365"]}`: a number within both ends."""

    name = "between"
    between: tuple[Decimal, Decimal]

    def test(self, value: Any) -> str | None:
        low, high = self.between
        return None if low <= _number(value) <= high else f"expected a number from {low} to {high}"


class AtLeastCheck(Check):
    """`{at_least: "0"}`: a number, this or above."""

    name = "at_least"
    at_least: Decimal = Field(max_digits=28, decimal_places=12)

    def test(self, value: Any) -> str | None:
        return None if _number(value) >= self.at_least else f"expected a number of at least {self.argument()}"

    def argument(self) -> str:
        return plain_number(self.at_least)


class AtMostCheck(Check):
    """`{at_most: "100"}`: a number, this or below."""

    name = "at_most"
    at_most: Decimal = Field(max_digits=28, decimal_places=12)

    def test(self, value: Any) -> str | None:
        return None if _number(value) <= self.at_most else f"expected a number of at most {self.argument()}"

    def argument(self) -> str:
        return plain_number(self.at_most)


class IntegerRange(BaseModel):
    """Ends of a range of whole numbers, both included; a missing end is open."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)
    from_: int | None = Field(default=None, alias="from", ge=-MAX_INT, le=MAX_INT)
    to: int | None = Field(default=None, ge=-MAX_INT, le=MAX_INT)

    @model_validator(mode="after")
    def _in_order(self) -> IntegerRange:
        if self.from_ is not None and self.to is not None and self.from_ > self.to:
            raise ValueError(f"no number is from {self.from_} to {self.to}")
        return self

    def in_words(self) -> str:
        """The range, to stand after `a whole number`; empty when both ends are open."""
        low = "" if self.from_ is None else f" from {self.from_}"
        return low + ("" if self.to is None else f" to {self.to}")


class IntegerCheck(Check):
    """`{integer: {from: 1}}`: a whole number, in a range whose ends may be open; `{integer: }` takes any."""

    name = "integer"
    integer: IntegerRange = IntegerRange()

    def test(self, value: Any) -> str | None:
        number = _number(value)
        low, high = self.integer.from_, self.integer.to
        fits = (low is None or number >= low) and (high is None or number <= high)
        whole = number == number.to_integral_value()
        return None if whole and fits else f"expected a whole number{self.integer.in_words()}"

    def argument(self) -> Any:
        ends = {"from": self.integer.from_, "to": self.integer.to}
        return {name: end for name, end in ends.items() if end is not None} or None


class EnumCheck(Check):
    """`{enum: [Check, Cash]}`: one of these, to the letter."""

    name = "enum"
    enum: tuple[str, ...] = Field(min_length=1)

    def test(self, value: Any) -> str | None:
        return None if text_of(value) in self.enum else f"expected one of {len(self.enum)} known values"


class PatternCheck(Check):
    """`{regex: "[A-Z0-9-]+"}`: the whole text fits a linear-time pattern."""

    name = "regex"
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
    """`{money: positive}`: an amount above zero (or not below), in whole minor units of its currency; always holds."""

    name = "money"
    money: Literal["positive", "not_negative"]

    @field_validator("on_fail")
    @classmethod
    def _holds(cls, on_fail: OnFail | None) -> OnFail | None:
        if on_fail == "warn":
            raise ValueError("an amount that does not fit is never sent: remove 'on_fail: warn'")
        return on_fail

    def test(self, value: Any) -> str | None:
        if not isinstance(value, Money):
            return "expected an amount with its currency"
        if value.amount < 0 or (self.money == "positive" and value.amount == 0):
            return "expected an amount above zero" if self.money == "positive" else "expected no negative amount"
        digits = currency_digits(value.currency)
        return None if decimals_of(value.amount) <= digits else f"expected at most {digits} decimals"


@dataclass(frozen=True)
class DateBound:
    """An end of a date window: a fixed day, or the day of another field moved by whole days."""

    day: date | None = None
    path: Path | None = None
    days: int = 0

    def plain(self) -> Any:
        """The bound as written in a spec."""
        if self.path is None:
            return "" if self.day is None else self.day.isoformat()
        return {"path": self.path.text, "days": self.days} if self.days else self.path.text

    def in_words(self) -> str:
        """The bound, to stand after `from` and `to`."""
        if self.path is None or not self.days:
            return str(self.plain()) if self.path is None else self.path.text
        return f"{abs(self.days)} days {'after' if self.days > 0 else 'before'} {self.path.text}"


def parse_bound(data: Any) -> DateBound | None:
    """A bound from its YAML form: a day, a path, or {path, days}.

    Raises:
        ValueError: None of these.
    """
    if data is None or isinstance(data, DateBound):
        return data
    if isinstance(data, str):
        if not _FIXED_DATE.fullmatch(data):
            return DateBound(path=parse_path(data))
        try:
            return DateBound(day=date.fromisoformat(data))
        except ValueError:
            raise ValueError(f"there is no day {data}") from None
    if isinstance(data, Mapping) and set(data) <= {"path", "days"} and isinstance(data.get("path"), str):
        days = str(data.get("days", "0"))
        if not re.fullmatch(r"[+-]?[0-9]{1,5}", days):
            raise ValueError("'days' must be a whole number of at most five digits")
        return DateBound(path=parse_path(data["path"]), days=int(days))
    raise ValueError("expected a day such as 2026-01-31, a path, or {path: orderDate, days: 30}")


Bound = Annotated[DateBound | None, BeforeValidator(parse_bound)]


class DateWindow(BaseModel):
    """Two days, both included; one may be left out."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True, populate_by_name=True)
    from_: Bound = Field(default=None, alias="from")
    to: Bound = None

    @model_validator(mode="after")
    def _has_days(self) -> DateWindow:
        if self.from_ is None and self.to is None:
            raise ValueError("a date window needs 'from', 'to' or both")
        first, last = (bound.day if bound else None for bound in (self.from_, self.to))
        if first is not None and last is not None and first > last:
            raise ValueError(f"no day is from {first} to {last}")
        return self

    def bounds(self) -> dict[str, DateBound]:
        """The ends that are set."""
        return {name: bound for name, bound in (("from", self.from_), ("to", self.to)) if bound is not None}


class DateWindowCheck(Check):
    """`{date_window: {from: "2020-01-01", to: {path: orderDate, days: 365}}}`: a day in the window, ends included.

    Other fields count by the calendar date as written in them; one that is absent bounds nothing.
    """

    name = "date_window"
    date_window: DateWindow

    def bind(self) -> Test:
        ends = [(name, bound.in_words(), _day_reader(bound)) for name, bound in self.date_window.bounds().items()]

        def test(value: Any, scope: Scope, seen: set[str]) -> str | None:
            day = _day(value)
            for name, words, read in ends:
                end = read(scope)
                if end is not None and (day < end if name == "from" else day > end):
                    return f"expected a date {'not before' if name == 'from' else 'not after'} {words}"
            return None

        return test

    def paths(self) -> list[Path]:
        return [bound.path for bound in self.date_window.bounds().values() if bound.path is not None]

    def argument(self) -> Any:
        return {name: bound.plain() for name, bound in self.date_window.bounds().items()}


class UniqueCheck(Check):
    """`{unique_in_list: }`: no other element of the list has this value; `exact` tells case and blanks apart."""

    name = "unique_in_list"
    unique_in_list: Literal["folded", "exact"] = "folded"

    def bind(self) -> Test:
        exact = self.unique_in_list == "exact"

        def test(value: Any, scope: Scope, seen: set[str]) -> str | None:
            text = text_of(value)
            key = text if exact else fold(text)
            if key in seen:
                return f"expected another value than an earlier element of the list (element {scope.index + 1})"
            seen.add(key)
            return None

        return test

    def argument(self) -> Any:
        return None if self.unique_in_list == "folded" else self.unique_in_list


CHECKS: Final[dict[str, type[Check]]] = {
    kind.name: kind
    for kind in (
        FormatCheck, MinLengthCheck, LengthCheck, BetweenCheck, AtLeastCheck, AtMostCheck, IntegerCheck, EnumCheck,
        PatternCheck, MoneyCheck, DateWindowCheck, UniqueCheck,
    )
}  # fmt: skip


def parse_check(data: Any) -> Check:
    """One check from its YAML form `{format: email}`, `{format: email, on_fail: warn}`.

    Raises:
        ValueError: Unknown check, or an argument that it does not take.
    """
    if isinstance(data, Check):
        return data
    arguments = dict(data) if isinstance(data, Mapping) else {}
    on_fail = {"on_fail": arguments.pop("on_fail")} if "on_fail" in arguments else {}
    if len(arguments) != 1:
        raise ValueError("a check is one key with its argument, such as {format: email}, and 'on_fail' where wanted")
    name, argument = next(iter(arguments.items()))
    kind = CHECKS.get(name)
    if kind is None:
        raise ValueError(f"unknown check '{name}'; known: {', '.join(CHECKS)}")
    written = {} if argument in ("", None) and not kind.model_fields[name].is_required() else {name: argument}
    try:
        return kind.model_validate(written | on_fail)
    except ValidationError as error:
        raise ValueError(f"check '{name}': {first_problem(error)[1]}") from None


@dataclass(frozen=True)
class BoundCheck:
    """A check as a function, and what a miss does."""

    on_fail: OnFail | None
    test: Test


@dataclass(frozen=True)
class Missed:
    """What a value was expected to be. `on_fail` is the check's own, None where the rule decides."""

    expected: str
    on_fail: OnFail | None


def bind_checks(checks: Sequence[Check]) -> tuple[BoundCheck, ...]:
    """The checks of a rule, to be run on many values."""
    return tuple(BoundCheck(check.on_fail, check.bind()) for check in checks)


def run_checks(checks: Sequence[BoundCheck], value: Any, scope: Scope, seen: set[str]) -> list[Missed]:
    """What the value misses: any number of warnings, then at most one miss that the value may not go with."""
    missed: list[Missed] = []
    for check in checks:
        try:
            expected = check.test(value, scope, seen)
        except TransformError as error:
            expected = error.message
        if expected is not None:
            missed.append(Missed(expected, check.on_fail))
            if check.on_fail != "warn":
                break
    return missed


def check_value(checks: Sequence[Check], value: Any) -> str | None:
    """The first expectation that the value misses, or None; for values outside a record."""
    nowhere = Scope({}, {}, lambda name: None)
    missed = run_checks(bind_checks(checks), value, nowhere, set())
    return missed[0].expected if missed else None


def same_text(left: Any, right: Any) -> bool:
    """True when both are present and read the same, trimmed and without case; an absent side says nothing."""
    return not is_present(left) or not is_present(right) or fold(left) == fold(right)


def _number(value: Any) -> Decimal:
    return value.amount if isinstance(value, Money) else to_decimal(value, "value")


def _day(value: Any) -> date:
    if isinstance(value, datetime):
        return value.date()
    return value if isinstance(value, date) else parse_instant(text_of(value)).date()


def _day_reader(bound: DateBound) -> Callable[[Scope], date | None]:
    fixed, path, move = bound.day, bound.path, timedelta(days=bound.days)
    if path is None:
        return lambda scope: fixed
    read = compile_path(path)

    def day(scope: Scope) -> date | None:
        found = read(scope)
        if isinstance(found, list):
            found = next((value for value in found if is_present(value)), None)
        if not is_present(found):
            return None
        try:
            return _day(found) + move
        except TransformError:
            raise TransformError(f"{path.text} is no date to compare with", reason="bad-date") from None
        except OverflowError:
            raise TransformError("the date leaves the calendar", reason="bad-date") from None

    return day
