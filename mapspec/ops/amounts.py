"""Operations on numbers: what reads them, arithmetic, rounding. All exact; no float ever comes in or out.

The other number of an operation is written as a number or as a path; `$.5x` reaches a member whose name starts with
a digit.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Context, Decimal
from typing import Any

from pydantic import Field, field_validator, model_validator

from mapspec.conditions import PathField, is_present, number_at
from mapspec.errors import TransformError
from mapspec.numbers import PRECISION, ROUNDINGS, Rounding, exactly, minor_unit, round_to
from mapspec.ops.base import NUMBER, CompileContext, Example, Operation, Step
from mapspec.ops.operands import Operand, digits_of, each_number, number_of, number_or_none, operand
from mapspec.paths import Path, Scope


class Arithmetic(Operation):
    """Base of the operations that make a number of a number."""

    takes = NUMBER
    gives = "decimal"

    def with_operand(
        self, other: Decimal | Path, context: CompileContext, function: Callable[[Decimal, Decimal], Decimal]
    ) -> Step:
        """A step of two numbers; without the other one there is no result to trust.

        Raises:
            TransformError: `operand-missing`.
        """
        read = operand(other, context)

        def step(value: Any, scope: Scope) -> Any:
            if not is_present(value):
                return None
            number = read(scope)
            if number is None:
                name = other.text if isinstance(other, Path) else "the number"
                raise TransformError(f"{name} is empty", reason="operand-missing")
            with exactly():
                return function(number_of(value), number)

        return step


class Add(Arithmetic):
    """Add a number; one that is absent counts as zero."""

    name = "add"
    main = "number"
    examples = (
        Example("shippingTotal", value="10.00", record={"shippingTotal": "4.50"}, gives=Decimal("14.50")),
        Example("0.01", value="10.00", gives=Decimal("10.01")),
        Example("shippingTotal", value="10.00", gives=Decimal("10.00")),
    )
    number: Operand

    def bind(self, context: CompileContext) -> Step:
        return _plus(self.number, context, 1)


class Subtract(Arithmetic):
    """Take a number away; one that is absent counts as zero."""

    name = "subtract"
    main = "number"
    examples = (
        Example("discountTotal", value="10.00", record={"discountTotal": "2.50"}, gives=Decimal("7.50")),
        Example("discountTotal", value="10.00", record={"discountTotal": "some"}, refused="bad-number"),
    )
    number: Operand

    def bind(self, context: CompileContext) -> Step:
        return _plus(self.number, context, -1)


def _plus(other: Decimal | Path, context: CompileContext, sign: int) -> Step:
    read = operand(other, context)

    def step(value: Any, scope: Scope) -> Any:
        if not is_present(value):
            return None
        with exactly():
            return number_of(value) + sign * (read(scope) or 0)

    return step


class Multiply(Arithmetic):
    """Multiply by a number: a rate as fraction becomes percent by "100"."""

    name = "multiply"
    main = "by"
    examples = (
        Example("100", value="0.0825", gives=Decimal("8.2500")),
        Example(".quantity", value="2.50", record={"items": [{"quantity": 3}]}, each="items", gives=Decimal("7.50")),
    )
    by: Operand

    def bind(self, context: CompileContext) -> Step:
        return self.with_operand(self.by, context, lambda value, by: value * by)


class Divide(Arithmetic):
    """Divide by a number; `places` and `rounding` (half_up, half_even, down) have to be said."""

    name = "divide"
    examples = (
        Example({"by": "3", "places": "2", "rounding": "half_up"}, value="20.00", gives=Decimal("6.67")),
        Example({"by": "8", "places": "2", "rounding": "half_even"}, value="1", gives=Decimal("0.12")),
        Example(
            {"by": "quantity", "places": "2", "rounding": "half_up"},
            value="20.00",
            record={"quantity": 0},
            refused="division-by-zero",
        ),
        Example({"by": "quantity", "places": "2", "rounding": "half_up"}, value="20.00", refused="operand-missing"),
    )
    by: Operand
    places: int = Field(ge=0, le=12)
    rounding: Rounding

    @field_validator("by")
    @classmethod
    def _not_by_zero(cls, by: Decimal | Path) -> Decimal | Path:
        if isinstance(by, Decimal) and by == 0:
            raise ValueError("nothing can be divided by zero")
        return by

    def bind(self, context: CompileContext) -> Step:
        def quotient(value: Decimal, by: Decimal) -> Decimal:
            if by == 0:
                raise TransformError("nothing can be divided by zero", reason="division-by-zero")
            return round_to(value / by, self.places, self.rounding)

        return self.with_operand(self.by, context, quotient)


class PercentOf(Arithmetic):
    """That many percent of a number, exact unless `places` rounds."""

    name = "percent_of"
    main = "number"
    examples = (
        Example("subtotal", value="8.25", record={"subtotal": "200"}, gives=Decimal("16.5000")),
        Example(
            {"number": "subtotal", "places": "2"}, value="8.25", record={"subtotal": "9.99"}, gives=Decimal("0.82")
        ),
        Example("subtotal", value="8.25", refused="operand-missing"),
    )
    number: Operand
    places: int | None = Field(default=None, ge=0, le=12)
    rounding: Rounding = "half_up"

    def bind(self, context: CompileContext) -> Step:
        def share(percent: Decimal, whole: Decimal) -> Decimal:
            exact = (percent * whole).scaleb(-2)
            return exact if self.places is None else round_to(exact, self.places, self.rounding)

        return self.with_operand(self.number, context, share)


class Scale(Arithmetic):
    """Move the decimal point: minor units to an amount by -2, or by the digits of a currency with `minor_units_of`."""

    name = "scale"
    main = "by"
    examples = (
        Example("-2", value=1250, gives=Decimal("12.50")),
        Example({"minor_units_of": "currency"}, value=1250, record={"currency": "JPY"}, gives=Decimal(1250)),
        Example({"minor_units_of": "currency"}, value=1250, refused="currency-missing"),
    )
    by: int | None = Field(default=None, ge=-12, le=12)
    minor_units_of: PathField | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Scale:
        if (self.by is None) == (self.minor_units_of is None):
            raise ValueError("write either 'by' or 'minor_units_of'")
        return self

    def bind(self, context: CompileContext) -> Step:
        if self.minor_units_of is None:
            by = self.by or 0
            return each_number(lambda number: _scaled(number, by))
        digits = digits_of(self.minor_units_of, context)
        return lambda value, scope: _scaled(number_of(value), -digits(scope)) if is_present(value) else None


def _scaled(number: Decimal, by: int) -> Decimal:
    with exactly():
        return number.scaleb(by)


class Round(Arithmetic):
    """Round to so many digits after the point: half_up (default), half_even, or down."""

    name = "round"
    main = "places"
    examples = (
        Example("2", value="2.345", gives=Decimal("2.35")),
        Example({"places": "2", "rounding": "half_even"}, value="2.345", gives=Decimal("2.34")),
        Example("0", value="-0.5", gives=Decimal("-1")),
    )
    places: int = Field(ge=0, le=12)
    rounding: Rounding = "half_up"

    def bind(self, context: CompileContext) -> Step:
        unit, rounding = minor_unit(self.places), ROUNDINGS[self.rounding]
        context_of_all = Context(prec=PRECISION)  # given by hand: a switch takes longer than the rounding

        def step(value: Any, scope: Scope) -> Any:
            number = number_at(value, "value") if type(value) is str else number_or_none(value)
            return None if number is None else number.quantize(unit, rounding, context_of_all)

        return step


class Negate(Arithmetic):
    """The number with the other sign."""

    name = "negate"
    examples = (Example(value="5.00", gives=Decimal("-5.00")),)

    def bind(self, context: CompileContext) -> Step:
        return each_number(lambda number: -number)


class Abs(Arithmetic):
    """The number without sign."""

    name = "abs"
    examples = (Example(value="-5.00", gives=Decimal("5.00")),)

    def bind(self, context: CompileContext) -> Step:
        return each_number(abs)
