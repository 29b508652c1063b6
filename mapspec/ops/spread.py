"""Spreading an amount over the elements of a list, to the last minor unit."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Literal

from pydantic import Field, model_validator

from mapspec.conditions import PathField, is_present
from mapspec.errors import TransformError
from mapspec.numbers import ZERO, allocate, exactly, to_decimal
from mapspec.ops.base import CompileContext, Example, Operation, Step
from mapspec.ops.operands import digits_of
from mapspec.ops.sources import ReadPath
from mapspec.paths import Scope, compile_path

_ORDER = {
    "discount": "1.00",
    "currency": "USD",
    "lines": [{"total": "10.00"}, {"total": "10.00"}, {"total": "10.00"}],
}

_Spread = tuple[list[Any], list[Decimal] | None]  # the elements and their shares; no shares of an absent amount


class Allocate(Operation):
    """Spread an amount over a list by weight, without losing a cent; gives the current element's share, or all of them.

    Shares have `places` digits, or those of the currency at `currency`; what is left over goes to the largest
    remainders, and of equal ones to the earlier. An element without weight has none of it. `give: element` (default)
    works where the steps run once for each element of that very list.
    """

    name = "allocate"
    gives = "any"
    source = True
    of_elements = frozenset({"weight"})
    examples = (
        Example(
            {"amount": "$.discount", "over": "$.lines[]", "weight": ".total", "places": "2"},
            record=_ORDER,
            each="lines",
            index=0,
            gives=Decimal("0.34"),
        ),
        Example(
            {"amount": "discount", "over": "lines[]", "weight": ".total", "currency": "currency", "give": "list"},
            record=_ORDER,
            gives=[Decimal("0.34"), Decimal("0.33"), Decimal("0.33")],
        ),
        Example(
            {"amount": "discount", "over": "lines[]", "weight": ".total", "places": "2", "give": "list"},
            record={"discount": "1.00", "lines": [{"total": 0}]},
            refused="nothing-to-spread-over",
        ),
    )
    amount: PathField
    over: PathField
    weight: PathField
    places: int | None = Field(default=None, ge=0, le=12)
    currency: PathField | None = None
    give: Literal["element", "list"] = "element"

    @model_validator(mode="after")
    def _arguments_fit(self) -> Allocate:
        if (self.places is None) == (self.currency is None):
            raise ValueError("write either 'places' or 'currency'")
        if not self.over.many or not self.over.segments[-1][1]:
            raise ValueError("'over' is a list path, such as $.lineItems[]")
        if self.weight.root != "item":
            raise ValueError("'weight' is a member of the list's elements, such as .lineTotal")
        of_record = (self.amount, self.over, *((self.currency,) if self.currency else ()))
        if self.give == "element" and any(path.root == "item" for path in of_record):
            raise ValueError("for a share of the current element, 'amount', 'over' and 'currency' are the record's")
        return self

    def bind(self, context: CompileContext) -> Step:
        spread = self._spread(context)
        if self.give == "list":
            return lambda value, scope: spread(scope)[1]
        latest: list[tuple[Any, _Spread | TransformError]] = []

        def outcome(scope: Scope) -> _Spread | TransformError:
            try:
                return spread(scope)
            except TransformError as error:
                return TransformError(error.message, reason=error.reason)

        def step(value: Any, scope: Scope) -> Any:
            # Worked out once a record, not once an element: every record has a scope function of its own.
            known = latest[0] if latest else None
            if known is None or known[0]() is not scope.value_of:
                known = (weakref.ref(scope.value_of), outcome(scope))
                latest[:] = [known]
            if isinstance(known[1], TransformError):
                raise TransformError(known[1].message, reason=known[1].reason)
            rows, shares = known[1]
            if scope.index >= len(rows) or rows[scope.index] is not scope.item:
                raise TransformError(
                    f"the current element is not one of {self.over.text}: steps of another list", reason="other-list"
                )
            return None if shares is None else shares[scope.index]

        return step

    def _spread(self, context: CompileContext) -> Callable[[Scope], _Spread]:
        amount_at, weight_at = ReadPath(path=self.amount).bind(context), compile_path(self.weight)
        rows_at = compile_path(self.over)
        digits_at = digits_of(self.currency, context) if self.currency else None

        def spread(scope: Scope) -> _Spread:
            rows = rows_at(scope)
            amount = amount_at(None, scope)
            if not is_present(amount):
                return rows, None
            outer = scope.item
            try:
                weights = []
                for index, row in enumerate(rows):
                    scope.item = row
                    found = weight_at(scope)
                    name = f"element {index + 1}: {self.weight.text}"
                    weights.append(to_decimal(found, name) if is_present(found) else ZERO)
            finally:
                scope.item = outer
            places = digits_at(scope) if digits_at else self.places or 0
            with exactly():
                return rows, allocate(to_decimal(amount, self.amount.text), weights, places)

        return spread
