"""Reads an order's money by the paths of a money block."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from mapspec.conditions import fold, is_present, number_at
from mapspec.errors import TransformError
from mapspec.model import ChargeRule, LineMoney
from mapspec.numbers import MIN_EXPONENT, ZERO, round_to, to_decimal
from mapspec.ops import CompileContext, plain_text, well_formed
from mapspec.order_parts import Charge, Item, OrderMoney, TaxAmount
from mapspec.paths import Path, Scope, compile_path, rows_of

# Binary floats are written with up to 17 digits; beyond `MIN_EXPONENT` they say nothing about money.
_FLOAT_NOISE: Final = -20


class OrderReader:
    """Reads an order's money by the paths of a money block."""

    def __init__(self, rule: LineMoney, each: Path, context: CompileContext) -> None:
        number = {
            name: _number_reader(value, value.source_path(each.text))
            for name, value in rule.__dict__.items()
            if isinstance(value, Path)
        }
        self._currency = compile_path(rule.currency)
        self._total = _needed(number["total"], rule.total.source_path(each.text))
        self._subtotal = number.get("subtotal", _no_number)
        self._order_discount = number.get("order_discount", _no_number)
        self._order_tax = number.get("order_tax", _no_number)
        self._quantity = _needed(number["quantity"], rule.quantity.source_path(each.text))
        self._more_quantity = [_number_reader(path, path.source_path(each.text)) for path in rule.more_quantity]
        self._unit_price = _needed(
            _first_of(number["unit_price"], number.get("unit_price_else")), rule.unit_price.source_path(each.text)
        )
        self._line_total = number.get("line_total", _no_number)
        self._discount = number.get("discount", _no_number)
        self._discounts = compile_path(rule.discounts) if rule.discounts else None
        self._discount_amount = number["discount_amount"]
        self._tax = number.get("tax", _no_number)
        self._tax_name = compile_path(rule.tax_name)
        self._tax_rate = number["tax_rate"]
        self._tax_amount = number["tax_amount"]
        self._rate_factor = rule.rate_factor
        self._taxes = self._taxes_reader(rule.taxes, each)
        self._order_taxes = self._taxes_reader(rule.order_taxes, each)
        self._gross = compile_path(rule.prices_include_tax) if rule.prices_include_tax else None
        self._kind = compile_path(rule.kind) if rule.kind and rule.discount_kinds else None
        self._charges = [ChargeReader(charge) for charge in rule.charges]
        places = context.setting(rule.unit_cost_places).strip() or "2"
        if not re.fullmatch(r"[0-9]|1[0-2]", places):
            raise ValueError("unit_cost_places must be a whole number from 0 to 12")
        self._places = int(places)
        self._negative = context.setting(rule.negative_lines).strip().casefold() in {"true", "yes", "1"}
        self._within = rule.totals_within
        self._discount_kinds = {fold(kind) for kind in rule.discount_kinds}
        self._rates = {
            name: to_decimal(percent, f"table {rule.rates}") for name, percent in _rows(context, rule.rates).items()
        }
        self._combined = dict(_rows(context, rule.combined_taxes))
        self._place = compile_path(rule.rates_place) if rule.rates_place else None
        # What is the same for every order, in the order of OrderMoney's members.
        self.fixed = (self._places, self._negative, self._within, self._rates, self._combined)

    def currency(self, scope: Scope) -> str:
        """The order's currency.

        Raises:
            TransformError: None is given.
        """
        code = plain_text(self._currency(scope))
        if code is None:
            raise TransformError("the order has no currency", reason="currency-missing")
        return well_formed(code.upper())

    def rates_of(self, place: str | None) -> Mapping[str, Decimal]:
        """The approved rates that count in a place: `GB/VAT` only there and inside it, `VAT` everywhere."""
        here = fold(place) if place is not None else ""
        found = {}
        for row, percent in self._rates.items():
            where, slash, name = row.partition("/")
            if not slash or here == fold(where) or here.startswith(fold(where) + "-"):
                found[name if slash else row] = percent
        return found

    def read(self, rows: Sequence[Any], scope: Scope) -> OrderMoney:
        """The order's money.

        Raises:
            TransformError: A number or the currency is missing or no number.
        """
        gross = self._gross(scope) if self._gross else None
        currency = self.currency(scope)
        total = self._total(scope)
        subtotal = self._subtotal(scope)
        discount = self._order_discount(scope)
        tax = self._order_tax(scope)
        taxes = self._order_taxes(scope)
        prices_include_tax = gross is not None and fold(gross) in {"true", "1", "yes"}
        items = []
        for index, row in enumerate(rows):
            if type(row) is not dict and not isinstance(row, Mapping):
                raise TransformError("an order line is no object", reason="bad-line")
            scope.item, scope.index = row, index
            items.append(self._item(index, scope))
        scope.item, scope.index = None, 0
        return OrderMoney(
            currency=currency,
            items=tuple(items),
            charges=tuple([made for charge in self._charges for made in charge.read(scope)]),
            total=total,
            subtotal=subtotal,
            discount=discount,
            tax=tax,
            taxes=taxes,
            prices_include_tax=prices_include_tax,
            unit_cost_places=self._places,
            negative_lines=self._negative,
            totals_within=self._within,
            approved_rates=self._rates if self._place is None else self.rates_of(plain_text(self._place(scope))),
            combined_taxes=self._combined,
        )

    def _item(self, index: int, scope: Scope) -> Item:
        kind = None if self._kind is None else self._kind(scope)
        is_discount = is_present(kind) and fold(kind) in self._discount_kinds  # what is absent is of no kind
        line_total = self._line_total(scope)
        if is_discount:
            amount = line_total if line_total is not None else self._unit_price(scope)
            return Item(index, Decimal(1), amount, amount, ZERO, None, (), is_discount=True)
        return Item(
            index,
            self._whole_quantity(scope),
            self._unit_price(scope),
            line_total,
            abs(self._discount(scope) or ZERO) + self._discount_rows(scope),
            self._tax(scope),
            self._taxes(scope),
        )

    def _whole_quantity(self, scope: Scope) -> Decimal:
        quantity = self._quantity(scope)
        for more in self._more_quantity:
            quantity += more(scope) or ZERO
        return quantity

    def _discount_rows(self, scope: Scope) -> Decimal:
        """What the line's own discounts come to, each subtracted whatever its sign (clarity A24)."""
        rows = rows_of(self._discounts(scope)) if self._discounts is not None else ()
        if not rows:
            return ZERO
        outer, total = scope.item, ZERO
        for row in rows:
            if type(row) is not dict and not isinstance(row, Mapping):
                raise TransformError("a discount of an order line is no object", reason="bad-line")
            scope.item = row
            total += abs(self._discount_amount(scope) or ZERO)
        scope.item = outer
        return total

    def _taxes_reader(self, path: Path | None, each: Path) -> Callable[[Scope], tuple[TaxAmount, ...]]:
        if path is None:
            return lambda scope: ()
        read, text = compile_path(path), path.source_path(each.text)

        def taxes(scope: Scope) -> tuple[TaxAmount, ...]:
            rows = rows_of(read(scope))
            if not rows:
                return ()
            outer = scope.item
            found = []
            for row in rows:
                if type(row) is not dict and not isinstance(row, Mapping):
                    raise TransformError(f"{text}: a tax line is no object", reason="bad-line")
                scope.item = row
                rate = self._tax_rate(scope)
                label = plain_text(self._tax_name(scope)) or "Tax"
                percent = None if rate is None else rate * self._rate_factor
                found.append(TaxAmount(label, percent, self._tax_amount(scope)))
            scope.item = outer
            return tuple(found)

        return taxes


class ChargeReader:
    """Reads one kind of charge: its sum, or the rows that make up the sum."""

    def __init__(self, rule: ChargeRule) -> None:
        self._rule = rule
        self._amount = _number_reader(rule.amount, rule.amount.text)
        self._tax = _number_reader(rule.tax, rule.tax.text) if rule.tax else _no_number
        self._each = compile_path(rule.rows) if rule.rows and rule.row_amount else None
        each = rule.rows.text if rule.rows else ""
        self._row_amount = _number_reader(rule.row_amount, each + ".amount") if rule.row_amount else _no_number
        self._row_title = compile_path(rule.row_title) if rule.row_title else None
        self._row_tax = _number_reader(rule.row_tax, each + ".tax") if rule.row_tax else _no_number

    def read(self, scope: Scope) -> list[Charge]:
        rule = self._rule
        amount = self._amount(scope)
        tax = self._tax(scope)
        rows = self._rows(scope) if self._each is not None else []
        if rows and amount is None:
            return rows
        if rows and sum((row.amount for row in rows), ZERO) == amount:
            return [row for row in rows if row.amount or row.tax]
        if rows and amount is not None:
            raise TransformError(f"{rule.amount.text} is not the sum of its rows", reason="charge-rows-differ")
        return [Charge(rule.name, amount, tax)] if amount else []

    def _rows(self, scope: Scope) -> list[Charge]:
        if self._each is None:
            return []
        made = []
        for row in rows_of(self._each(scope)):
            scope.item = row
            amount = self._row_amount(scope)
            title = plain_text(self._row_title(scope)) if self._row_title is not None else None
            tax = self._row_tax(scope)
            if amount is not None:
                made.append(Charge(f"{self._rule.name}: {title}" if title else self._rule.name, amount, tax))
        scope.item = None
        return made


def _number_reader(path: Path, what: str) -> Callable[[Scope], Decimal | None]:
    """A reader of one amount; of a path through a list, of the sum of what stands there."""
    read = compile_path(path)

    def number(scope: Scope) -> Decimal | None:
        value = read(scope)
        if type(value) is Decimal:
            exponent = value.as_tuple().exponent  # a letter, of what is no number
            if isinstance(exponent, int) and _FLOAT_NOISE <= exponent < MIN_EXPONENT:
                return round_to(value, -MIN_EXPONENT)  # 6.666666666666667: no price, but a quotient of the sender
        return None if value is None else number_at(value, what)

    def summed(scope: Scope) -> Decimal | None:
        found = [amount for row in rows_of(read(scope)) if (amount := number_at(row, what)) is not None]
        return sum(found, ZERO) if found else None

    return summed if path.many else number


def _no_number(scope: Scope) -> Decimal | None:
    return None


def _needed(number: Callable[[Scope], Decimal | None], what: str) -> Callable[[Scope], Decimal]:
    def read(scope: Scope) -> Decimal:
        found = number(scope)
        if found is None:
            raise TransformError(f"{what} is empty", reason="bad-number")
        return found

    return read


def _rows(context: CompileContext, table: str | None) -> Mapping[str, str]:
    if table is None:
        return {}
    found = context.tables.get(table)
    if found is None:
        raise ValueError(f"there is no table '{table}'")
    return found.rows


def _first_of(
    read: Callable[[Scope], Decimal | None], other: Callable[[Scope], Decimal | None] | None
) -> Callable[[Scope], Decimal | None]:
    if other is None:
        return read

    def number(scope: Scope) -> Decimal | None:
        found = read(scope)
        return other(scope) if found is None else found

    return number
