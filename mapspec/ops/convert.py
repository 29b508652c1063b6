"""Operations that make a number, a boolean or money of what a record holds."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from pydantic import Field

from mapspec.conditions import PathField, is_present, number_at
from mapspec.errors import TransformError
from mapspec.numbers import Money as MoneyValue
from mapspec.numbers import Rounding, round_to, to_decimal
from mapspec.ops.base import NUMBER, SCALAR, CompileContext, Example, Operation, Step, text_of
from mapspec.ops.sources import ReadPath
from mapspec.paths import Scope


class ToDecimal(Operation):
    """Text or number to an exact decimal; `places` rounds (half up unless said)."""

    name = "decimal"
    takes = NUMBER
    gives = "decimal"
    examples = (
        Example(value=" 12.50 ", gives=Decimal("12.50")),
        Example({"places": "2"}, value="2.345", gives=Decimal("2.35")),
        Example(value="1,50", refused="bad-number"),
    )
    places: int | None = Field(default=None, ge=0, le=12)
    rounding: Rounding = "half_up"

    def bind(self, context: CompileContext) -> Step:
        places, rounding = self.places, self.rounding

        def step(value: Any, scope: Scope) -> Any:
            number = number_at(value, "value")
            return number if number is None or places is None else round_to(number, places, rounding)

        return step


class ToInt(Operation):
    """Text or number to a whole number; a fraction is refused."""

    name = "int"
    takes = NUMBER
    gives = "int"
    examples = (Example(value="30", gives=30), Example(value="1.5", refused="bad-number"))

    def bind(self, context: CompileContext) -> Step:
        def step(value: Any, scope: Scope) -> Any:
            number = number_at(value, "value")
            if number is None:
                return None
            if number != (whole := int(number)):
                raise TransformError("expected a whole number, got a fraction", reason="bad-number")
            return whole

        return step


class ToBool(Operation):
    """true/false from the spellings shops use (true, yes, y, 1, on)."""

    name = "bool"
    takes = SCALAR
    gives = "bool"
    examples = (Example(value="Yes", gives=True), Example(value="perhaps", refused="bad-boolean"))

    def bind(self, context: CompileContext) -> Step:
        def step(value: Any, scope: Scope) -> Any:
            if value is None or isinstance(value, bool):
                return value
            word = text_of(value).strip().casefold()
            if word in {"true", "yes", "y", "1", "on"}:
                return True
            if word in {"false", "no", "n", "0", "off", ""}:
                return False
            raise TransformError("expected true or false", reason="bad-boolean")

        return step


class ToMoney(Operation):
    """An amount with its currency, which is read from a path."""

    name = "money"
    main = "currency"
    takes = NUMBER
    gives = "money"
    examples = (
        Example("currency", value="12.5", record={"currency": "usd"}, gives=MoneyValue(Decimal("12.5"), "USD")),
        Example("currency", value="12.5", refused="currency-missing"),
    )
    currency: PathField

    def bind(self, context: CompileContext) -> Step:
        read = ReadPath(path=self.currency).reader()

        def step(value: Any, scope: Scope) -> Any:
            if value is None or (type(value) is not Decimal and not is_present(value)):
                return None
            code = read(scope)
            if code is None or not is_present(code):
                raise TransformError("the amount has no currency", reason="currency-missing")
            amount = to_decimal(value, "amount")
            return MoneyValue(amount, (code if type(code) is str and len(code) == 3 else text_of(code)).strip().upper())

        return step
