"""What an order's money is made of, and the invoice lines that it becomes.

Named tuples: an order has a dozen of them, and they take a third of the time of frozen dataclasses.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from mapspec.totals import Mode, Tax

_NO_ROWS: Final[Mapping[str, Any]] = MappingProxyType({})


class TaxAmount(NamedTuple):
    """A tax as the order states it; `percent` and `amount` may be missing."""

    name: str
    percent: Decimal | None
    amount: Decimal | None


class Item(NamedTuple):
    """One order line. Amounts in the order's currency; `tax` None means the line says nothing about tax."""

    row: int
    quantity: Decimal
    unit_price: Decimal
    line_total: Decimal | None
    discount: Decimal
    tax: Decimal | None
    taxes: tuple[TaxAmount, ...]
    is_discount: bool = False

    @property
    def listed(self) -> Decimal:
        """The line before discount: its own total, else quantity × unit price."""
        return self.quantity * self.unit_price if self.line_total is None else self.line_total


class Charge(NamedTuple):
    """Shipping, handling or a fee; `tax` None means the order does not say how much of it is tax."""

    name: str
    amount: Decimal
    tax: Decimal | None


IDENTITY_TOLERANCE: Final = Decimal("0.01")  # clarity A39


class OrderMoney(NamedTuple):
    """Everything of an order that makes its total."""

    currency: str
    items: tuple[Item, ...]
    charges: tuple[Charge, ...]
    total: Decimal
    subtotal: Decimal | None
    discount: Decimal | None
    tax: Decimal | None
    taxes: tuple[TaxAmount, ...]
    prices_include_tax: bool = False
    unit_cost_places: int = 2
    negative_lines: bool = False
    totals_within: Decimal = IDENTITY_TOLERANCE
    approved_rates: Mapping[str, Decimal] = _NO_ROWS
    combined_taxes: Mapping[str, str] = _NO_ROWS


class InvoiceLine(NamedTuple):
    """One line of the invoice; `row` is the order line behind it, None for a charge."""

    row: int | None
    name: str
    quantity: Decimal
    unit_cost: Decimal
    net: Decimal
    taxes: tuple[Tax, ...]
    compound: bool
    note: str


class PricedOrder(NamedTuple):
    """The lines and what FreshBooks will make of them.

    Attributes:
        predicted: The invoice total under each rounding mode; at least one lies within five minor units of `total`.
        notes: (id, text) for the analyst, such as a dropped line of quantity zero.
    """

    lines: tuple[InvoiceLine, ...]
    total: Decimal
    predicted: Mapping[Mode, Decimal]
    notes: tuple[tuple[str, str], ...]
