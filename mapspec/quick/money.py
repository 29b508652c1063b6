"""An order's money as lines of source: what `mapspec.order_money` reads, for orders without surprises."""

from __future__ import annotations

from dataclasses import dataclass

from mapspec.conditions import fold
from mapspec.lines import price_exactly
from mapspec.model import ChargeRule, LineMoney
from mapspec.numbers import ZERO
from mapspec.ops import CompileContext
from mapspec.order_money import OrderReader
from mapspec.order_parts import Charge, Item, OrderMoney, TaxAmount
from mapspec.paths import Path
from mapspec.quick.values import RECORD, At, Values


@dataclass(frozen=True)
class WrittenOrder:
    """Variables with an order's rows, its currency and the currency's digits, and an expression that prices it."""

    rows: str
    currency: str
    digits: str
    price: str


class OrderWriter:
    """Writes the reading and pricing of an order by the paths of a money block."""

    def __init__(self, values: Values, rule: LineMoney, each: Path, context: CompileContext) -> None:
        self._values = values
        self._rule = rule
        self._each = each
        self._context = context
        self._reader = OrderReader(rule, each, context)

    def write(self) -> WrittenOrder:
        """Write the reading; what cannot be read ends the function."""
        c, values, rule = self._values.code, self._values, self._rule
        currency, digits = values.currency(rule.currency, RECORD)
        c.put(f"if {currency} is None or not {currency}.isascii(): return None")
        gross = "False"
        if rule.prices_include_tax is not None:
            gross = (
                f"{values.folded_text(rule.prices_include_tax, RECORD)} in {c.name(frozenset({'true', '1', 'yes'}))}"
            )
        total = self._number(rule.total, needed=True)
        subtotal, discount, tax = (self._number(path) for path in (rule.subtotal, rule.order_discount, rule.order_tax))
        taxes = self._taxes(rule.order_taxes, RECORD)
        items, charges = c.local(), c.local()
        rows = values.rows(self._each, RECORD)
        c.put(f"{items} = []")
        with values.loop(self._each, RECORD, rows) as at:
            self._item(items, at)
        c.put(f"{charges} = []")
        for charge in rule.charges:
            self._charge(charges, charge)
        fixed = [c.name(part) for part in self._reader.fixed]
        if rule.rates_place is not None:
            place = values.plain_text(rule.rates_place, RECORD)
            fixed[3] = f"{c.name(self._reader.rates_of)}({place})"
        made = ", ".join(
            [currency, f"tuple({items})", f"tuple({charges})", total, subtotal, discount, tax, taxes, gross,
             *fixed]
        )  # fmt: skip
        price = f"{c.name(price_exactly)}({c.name(OrderMoney)}({made}))"
        return WrittenOrder(rows, currency, digits, price)

    def _number(self, path: Path | None, at: At = RECORD, *, needed: bool = False) -> str:
        if path is None:
            return "None"
        number = self._values.number(path, at)
        if needed:
            self._values.code.put(f"if {number} is None: return None")
        return number

    def _item(self, items: str, at: At) -> None:
        c, rule = self._values.code, self._rule
        if rule.kind is not None and rule.discount_kinds:
            kind = self._values.folded_text(rule.kind, at)
            discounts = frozenset(fold(kind) for kind in rule.discount_kinds) - {""}
            c.put(f"if {kind} in {c.name(discounts)}: return None")
        line_total = self._number(rule.line_total, at)
        quantity, unit_price = self._quantity(at), self._unit_price(at)
        discount, tax = self._discount(at), self._number(rule.tax, at)
        taxes = self._taxes(rule.taxes, at)
        made = ", ".join([at.index, quantity, unit_price, line_total, discount, tax, taxes])
        c.put(f"{items}.append({c.name(Item)}({made}))")

    def _quantity(self, at: At) -> str:
        c, quantity = self._values.code, self._number(self._rule.quantity, at, needed=True)
        if not self._rule.more_quantity:
            return quantity
        whole = c.local()
        c.put(f"{whole} = {quantity}")
        for path in self._rule.more_quantity:
            more = self._number(path, at)
            c.put(f"if {more}: {whole} += {more}")
        return whole

    def _unit_price(self, at: At) -> str:
        c, rule = self._values.code, self._rule
        if rule.unit_price_else is None:
            return self._number(rule.unit_price, at, needed=True)
        price, other, found = self._number(rule.unit_price, at), self._number(rule.unit_price_else, at), c.local()
        c.put(f"{found} = {other} if {price} is None else {price}")
        c.put(f"if {found} is None: return None")
        return found

    def _discount(self, at: At) -> str:
        c, values, rule = self._values.code, self._values, self._rule
        zero, one = c.name(ZERO), self._number(rule.discount, at)
        single = f"abs({one}) if {one} else {zero}" if rule.discount is not None else zero
        if rule.discounts is None:
            return single
        found = c.local()
        c.put(f"{found} = {single}")
        rows = values.rows(rule.discounts, at)
        with c.block(f"if {rows}:"), values.loop(rule.discounts, at, rows) as inside:
            amount = values.number(rule.discount_amount, inside)
            c.put(f"if {amount}: {found} += abs({amount})")
        return found

    def _taxes(self, path: Path | None, at: At) -> str:
        """A variable with the taxes that a list of tax lines names."""
        if path is None:
            return "()"
        c, values, rule = self._values.code, self._values, self._rule
        found = c.local()
        c.put(f"{found} = ()")
        rows = values.rows(path, at)
        with c.block(f"if {rows}:"):
            c.put(f"{found} = []")
            with values.loop(path, at, rows) as inside:
                rate = values.number(rule.tax_rate, inside)
                label = values.plain_text(rule.tax_name, inside)
                amount = values.number(rule.tax_amount, inside)
                percent = f"None if {rate} is None else {rate} * {c.name(rule.rate_factor)}"
                c.put(f"{found}.append({c.name(TaxAmount)}({label} or 'Tax', {percent}, {amount}))")
            c.put(f"{found} = tuple({found})")
        return found

    def _charge(self, charges: str, rule: ChargeRule) -> None:
        c, values = self._values.code, self._values
        if rule.rows is None or rule.row_amount is None:
            self._sum(charges, rule)
            return
        rows = values.rows(rule.rows, RECORD)
        with c.block(f"if {rows}:"):
            self._rows(charges, rule, rows)
        with c.block("else:"):
            self._sum(charges, rule)

    def _sum(self, charges: str, rule: ChargeRule) -> None:
        c = self._values.code
        amount, tax = self._number(rule.amount), self._number(rule.tax)
        c.put(f"if {amount}: {charges}.append({c.name(Charge)}({c.name(rule.name)}, {amount}, {tax}))")

    def _rows(self, charges: str, rule: ChargeRule, rows: str) -> None:
        """The rows of a charge, which have to come to its sum; those of nothing at all are left out."""
        c, values = self._values.code, self._values
        assert rule.rows is not None  # noqa: S101 - the caller looked
        left = c.local()
        c.put(f"{left} = {c.name(ZERO)}")
        with values.loop(rule.rows, RECORD, rows) as at:
            amount = self._number(rule.row_amount, at, needed=True)
            tax = self._number(rule.row_tax, at)
            name = c.name(rule.name)
            if rule.row_title is not None:
                title = values.plain_text(rule.row_title, at)
                name = f"{c.name(rule.name + ': ')} + {title} if {title} else {name}"
            c.put(f"{left} += {amount}")
            c.put(f"if {amount} or {tax}: {charges}.append({c.name(Charge)}({name}, {amount}, {tax}))")
        amount = self._number(rule.amount, needed=True)
        c.put(f"if {left} != {amount}: return None")
