"""An independent reading of a Clarity `rest` order: what it must come to in the books, and why it may not post.

Shares no code with the generator, the mapping or the runner, and calculates in exact fractions, so that an
agreement between them is worth something. It reads only what the order itself says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

from tests.oracle_taxes import Part, number, sums, tax_gap, tax_reason

_INVOICED = {"pending", "confirmed", "processing", "backordered", "shipped", "completed"}
_STOPPED = {
    "cancelled": "cancelled",
    "voided": "cancelled",
    "refunded": "refunded",
    "on hold": "on-hold",
    "on-hold": "on-hold",
}
_NO_MONEY_METHODS = {"purchase_order", "invoice"}


@dataclass(frozen=True)
class Approved:
    """What people decided for these books.

    Attributes:
        rates: Percents by name, for orders that state amounts of tax without rates.
        combined: Names of more than two taxes, joined by " + ", that one tax stands for.
        zone: The store's time zone.
        lock_date: Nothing dated before it may be written.
    """

    rates: Mapping[str, Decimal] = field(default_factory=dict)
    combined: frozenset[str] = frozenset()
    zone: str = "America/New_York"
    lock_date: date | None = None


NOTHING_APPROVED = Approved()


def _decimal(value: Fraction) -> Decimal:
    return Decimal(value.numerator) / Decimal(value.denominator)


def _digits(currency: str) -> int:
    return {"JPY": 0, "KRW": 0, "KWD": 3, "BHD": 3}.get(currency, 2)


def currency(order: Mapping[str, Any]) -> str:
    """Return the order's currency; where it says none, its lines' or its payments'."""
    rows = [order, *order["lineItems"], *order.get("payments", [])]
    return next(str(row["currency"]).strip().upper() for row in rows if row.get("currency"))


def _half_up(value: Fraction, digits: int) -> Fraction:
    scale = 10**digits
    magnitude = (abs(value) * scale + Fraction(1, 2)) // 1
    return Fraction(int(magnitude) if value >= 0 else -int(magnitude), scale)


def product_lines(order: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the lines that are goods, not discounts."""
    return [row for row in order["lineItems"] if row.get("type") != "discount"]


def identity_gap(order: Mapping[str, Any]) -> Decimal:
    """Return the stated total minus what the order's own sums come to; 0 when the identity holds exactly.

    Tax is added only when prices are net; a discount is subtracted whatever its sign.
    """
    members = ("subtotal", "shippingTotal", "handlingTotal", "feesTotal")
    expected = sums(number(order.get(key)) for key in members) - abs(number(order.get("discountTotal")))
    if not order.get("pricesIncludeTax"):
        expected += number(order.get("taxTotal"))
    return _decimal(number(order["total"]) - expected)


def line_sum_gap(order: Mapping[str, Any]) -> Decimal:
    """Return the subtotal minus the sum of line totals, each rounded half up to the currency's digits."""
    digits = _digits(currency(order))
    lines = sum((_half_up(number(row["lineTotal"]), digits) for row in product_lines(order)), Fraction(0))
    return _decimal(number(order["subtotal"]) - lines)


def expected_total(order: Mapping[str, Any]) -> Decimal:
    """Return what the posted invoice must come to, built up from lines, discounts, taxes and charges.

    The order's `total`, `subtotal` and `taxTotal` are not read: equal to `total` only if the order is sound.
    """
    digits = _digits(currency(order))
    amount = sum((_half_up(number(row["lineTotal"]), digits) for row in product_lines(order)), Fraction(0))
    amount -= abs(number(order.get("discountTotal")))
    amount += sum((number(order.get(key)) for key in ("shippingTotal", "handlingTotal", "feesTotal")), Fraction(0))
    if not order.get("pricesIncludeTax"):
        amount += stated_tax(order)
    return _decimal(_half_up(amount, digits)).quantize(Decimal(1).scaleb(-digits))


def stated_tax(order: Mapping[str, Any]) -> Fraction:
    """Return the tax of the whole order as its tax lines state it, else as its lines and charges do."""
    named = order.get("taxLines")
    if named and all(row.get("amount") is not None for row in named):
        return sums(number(row["amount"]) for row in named)
    rows = [*product_lines(order), *order.get("shippingLines", []), *order.get("feeLines", [])]
    if any(row.get("taxAmount") is None for row in product_lines(order)) or number(order.get("handlingTotal")):
        return number(order.get("taxTotal"))  # nobody else says it
    return sums(number(row.get("taxAmount")) for row in rows)


def expected_payments(order: Mapping[str, Any]) -> Decimal:
    """Return the money to post against the invoice: captured or settled, in the order's currency."""
    return _decimal(
        sum(
            (number(row["amount"]) for row in received(order) if _same_currency(row, order)),
            Fraction(0),
        )
    )


def received(order: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the payments that are money: captured or settled, in whatever currency."""
    return [
        row
        for row in order.get("payments", [])
        if row["status"] in ("captured", "settled") and row["method"] not in _NO_MONEY_METHODS
    ]


def _same_currency(row: Mapping[str, Any], order: Mapping[str, Any]) -> bool:
    return str(row["currency"]).strip().upper() == currency(order)


def invoice_date(order: Mapping[str, Any], zone: str) -> date:
    """Return the calendar day of the order in the store's zone; a time without an offset is the store's own."""
    moment = datetime.fromisoformat(order["orderDate"])
    return (moment.astimezone(ZoneInfo(zone)) if moment.tzinfo else moment).date()


def hold_reasons(order: Mapping[str, Any], approved: Approved = NOTHING_APPROVED) -> set[str]:
    """Return every reason not to post the order; empty when it is sound.

    An order that its status stops, one without lines or one with an unreadable number is not looked at any further,
    because every later check would only repeat it.
    """
    attributes = order.get("customAttributes")
    marked = [order.get("test"), attributes.get("test") if isinstance(attributes, Mapping) else None]
    if any(str(mark).casefold() in ("true", "yes", "1") for mark in marked):
        return {"test-order"}
    status = str(order["status"]).casefold()
    if status in _STOPPED:
        return {_STOPPED[status]}
    reasons = set()
    if not str(order.get("orderNumber") or "").strip():
        reasons.add("missing-order-number")
    captured = any(row["status"] in ("captured", "settled") for row in order.get("payments", []))
    if status not in _INVOICED and not captured:
        reasons.add("unknown-status")
    if not order["lineItems"]:
        return reasons | {"no-lines"}
    try:
        quantities = [number(row["quantity"]) for row in order["lineItems"] if number(row.get("unitPrice")) is not None]
    except ValueError:
        return reasons | {"bad-number"}
    if any(quantity < 0 for quantity in quantities):
        reasons.add("negative-line")
    if approved.lock_date is not None and invoice_date(order, approved.zone) < approved.lock_date:
        reasons.add("closed-period")
    wrong = _money_reasons(order)
    if wrong & {"line-total-differs", "discounts-differ", "totals-do-not-add-up", "line-sum-differs"}:
        return reasons | wrong  # what the taxes are to be judged by is in doubt itself
    return reasons | wrong | _tax_reasons(order, approved)


def _money_reasons(order: Mapping[str, Any]) -> set[str]:
    reasons = set()
    lines = product_lines(order)
    tolerance = max(Fraction(1, 100), Fraction(1, 2 * 10 ** _digits(currency(order))))
    if any(
        abs(number(row["lineTotal"]) - number(row["quantity"]) * number(row["unitPrice"])) > tolerance
        for row in lines
        if "unitPrice" in row
    ):
        reasons.add("line-total-differs")
    if sums(abs(number(row.get("discountAmount"))) for row in lines) > abs(number(order.get("discountTotal"))):
        reasons.add("discounts-differ")
    if abs(identity_gap(order)) > Decimal("0.01"):
        reasons.add("totals-do-not-add-up")
    if abs(line_sum_gap(order)) > Decimal("0.01"):
        reasons.add("line-sum-differs")
    captured = [row for row in order.get("payments", []) if row["status"] in ("captured", "settled")]
    if any(not _same_currency(row, order) for row in captured):
        reasons.add("payment-currency")
    if expected_payments(order) > Decimal(str(order["total"])):
        reasons.add("overpaid")
    return reasons


def _tax_reasons(order: Mapping[str, Any], approved: Approved) -> set[str]:
    """What is wrong with the taxes."""
    lines, charges = _taxable(order)
    reason = tax_reason(
        lines,
        charges,
        order,
        stated=stated_tax(order),
        unit=Fraction(1, 10 ** _digits(currency(order))),
        approved={name: Fraction(percent) for name, percent in approved.rates.items()},
        combined=approved.combined,
    )
    return {reason} if reason else set()


def off_by_rounding(order: Mapping[str, Any]) -> Fraction:
    """Return how many minor units the order's taxes are away from rate x amount."""
    lines, charges = _taxable(order)
    return tax_gap(lines, charges, order, stated=stated_tax(order)) * 10 ** _digits(currency(order))


def _taxable(order: Mapping[str, Any]) -> tuple[list[Part], list[Part]]:
    """Return lines and charges with the amounts that may bear tax; the order's discount is spread in proportion."""
    digits = _digits(currency(order))
    rows = product_lines(order)
    nets = [_half_up(number(row["lineTotal"]), digits) - abs(number(row.get("discountAmount"))) for row in rows]
    lowered = abs(number(order.get("discountTotal"))) - sums(abs(number(row.get("discountAmount"))) for row in rows)
    charges: list[Part] = []
    for member, total in (("shippingLines", "shippingTotal"), ("", "handlingTotal"), ("feeLines", "feesTotal")):
        for row in order.get(member) or [{"amount": order.get(total)}]:
            if number(row["amount"]) < 0:
                lowered -= number(row["amount"])  # a negative fee is a discount
            elif number(row["amount"]):
                charges.append((row, number(row["amount"])))
    whole = sums(net for net in nets if net > 0)
    keep = 1 - lowered / whole if whole else Fraction(1)
    return [(row, net * keep) for row, net in zip(rows, nets, strict=True) if number(row["quantity"])], charges
