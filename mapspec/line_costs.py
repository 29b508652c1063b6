"""Quantity and unit cost of an invoice line: a unit price is never rounded (rule 3)."""

from __future__ import annotations

from decimal import Decimal

from mapspec.numbers import divide_exactly, plain
from mapspec.order_parts import Item, OrderMoney


def quantity_and_cost(
    item: Item, net: Decimal, discount: Decimal, places: int, digits: int, order: OrderMoney
) -> tuple[Decimal, Decimal, str]:
    """Quantity and unit cost whose product is the net exactly; 1 × net where no such unit cost exists (rule 3)."""
    texts: list[str] = []
    unit = divide_exactly(net, item.quantity, places)
    if unit != item.unit_price and not discount and not order.prices_include_tax:
        unit = None  # 0.5 × 10.01 is 5.01, but 10.02 is not the order's price
    if unit is not None and not discount and not order.prices_include_tax:
        return item.quantity, unit, ""
    if unit is None:
        texts.append(f"{plain(item.quantity)} × {plain(item.unit_price, digits)}")
    elif discount:
        texts.append(f"list price {plain(item.unit_price, digits)}")
    if discount:
        texts.append(f"discount {plain(discount, digits)}")
    if order.prices_include_tax and (unit is None or unit != item.unit_price):
        texts.append("price incl. tax" if unit is None or discount else f"{plain(item.unit_price, digits)} incl. tax")
    if unit is None:
        return Decimal(1), net, ", ".join(texts)
    return item.quantity, unit, ", ".join(texts)
