"""An independent reading of a Clarity `rest` order: what it must come to in the books, and why it may not post.

Shares no code with the generator, the mapping or the runner, and calculates in exact fractions, so that an
agreement between them is worth something. It reads only what the order itself says.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any

_KNOWN_STATUSES = {"pending", "processing", "on hold", "shipped", "completed", "cancelled", "refunded"}
_NO_MONEY_METHODS = {"purchase_order", "invoice"}


def _number(value: Any) -> Fraction:
    """Read a money text or JSON number; absent and null are zero.

    Raises:
        ValueError: It is neither.
    """
    if value is None:
        return Fraction(0)
    if isinstance(value, bool | float):
        raise ValueError("not an exact number")
    return Fraction(str(value))


def _decimal(value: Fraction) -> Decimal:
    return Decimal(value.numerator) / Decimal(value.denominator)


def _digits(currency: str) -> int:
    return {"JPY": 0, "KRW": 0, "KWD": 3, "BHD": 3}.get(currency, 2)


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
    expected = sum((_number(order.get(key)) for key in members), Fraction(0)) - abs(_number(order.get("discountTotal")))
    if not order.get("pricesIncludeTax"):
        expected += _number(order.get("taxTotal"))
    return _decimal(_number(order["total"]) - expected)


def line_sum_gap(order: Mapping[str, Any]) -> Decimal:
    """Return the subtotal minus the sum of line totals, each rounded half up to the currency's digits."""
    digits = _digits(order["currency"])
    lines = sum((_half_up(_number(row["lineTotal"]), digits) for row in product_lines(order)), Fraction(0))
    return _decimal(_number(order["subtotal"]) - lines)


def expected_total(order: Mapping[str, Any]) -> Decimal:
    """Return what the posted invoice must come to, built up from lines, discounts, taxes and charges.

    The order's `total`, `subtotal` and `taxTotal` are not read: equal to `total` only if the order is sound.
    """
    digits = _digits(order["currency"])
    amount = sum((_half_up(_number(row["lineTotal"]), digits) for row in product_lines(order)), Fraction(0))
    amount -= abs(_number(order.get("discountTotal")))
    amount += sum((_number(order.get(key)) for key in ("shippingTotal", "handlingTotal", "feesTotal")), Fraction(0))
    if not order.get("pricesIncludeTax"):
        amount += stated_tax(order)
    return _decimal(_half_up(amount, digits)).quantize(Decimal(1).scaleb(-digits))


def stated_tax(order: Mapping[str, Any]) -> Fraction:
    """Return the tax of all lines and shipping lines, as they state it."""
    rows = [*product_lines(order), *order.get("shippingLines", [])]
    return sum((_number(row.get("taxAmount")) for row in rows), Fraction(0))


def expected_payments(order: Mapping[str, Any]) -> Decimal:
    """Return the money to post against the invoice: captured or settled, in the order's currency."""
    return _decimal(
        sum(
            (_number(row["amount"]) for row in received(order) if row["currency"] == order["currency"]),
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


def calculated_tax(order: Mapping[str, Any]) -> Fraction | None:
    """Return rate x net over everything taxed, unrounded; None when an amount has no rate.

    A line without taxes of its own bears the order's single rate if it shows a tax amount. Order-level
    discount is spread in exact proportion.
    """
    lines = product_lines(order)
    gross = bool(order.get("pricesIncludeTax"))
    single = _rates(order.get("taxLines") or [])
    digits = _digits(order["currency"])
    nets = [_half_up(_number(row["lineTotal"]), digits) - abs(_number(row.get("discountAmount"))) for row in lines]
    own_discounts = sum((abs(_number(row.get("discountAmount"))) for row in lines), Fraction(0))
    of_order = abs(_number(order.get("discountTotal"))) - own_discounts
    whole = sum(nets, Fraction(0))
    keep = 1 - of_order / whole if whole else Fraction(1)
    taxed = [(net * keep, row, _rates(row.get("taxLines") or [])) for net, row in zip(nets, lines, strict=True)]
    taxed += [
        (_number(row["amount"]), row, single[:1]) for row in order.get("shippingLines", []) if row.get("taxAmount")
    ]
    tax = Fraction(0)
    for net, row, own in taxed:
        if not _number(row.get("taxAmount")):
            continue
        rates = own or single
        if not rates:
            return None
        rate = sum(rates, Fraction(0))
        tax += net * rate / (1 + rate) if gross else net * rate
    return tax


def _rates(rows: Iterable[Mapping[str, Any]]) -> list[Fraction]:
    return [_number(row["rate"]) for row in rows if row.get("rate") is not None]


def hold_reasons(order: Mapping[str, Any]) -> set[str]:
    """Return every reason not to post the order; empty when it is sound.

    An order without lines or with an unreadable number is not looked at any further, because every later check
    would only repeat it.
    """
    if order.get("test"):
        return {"test-order"}
    reasons = set()
    if not str(order.get("orderNumber") or "").strip():
        reasons.add("missing-order-number")
    status = str(order["status"]).casefold()
    if status not in _KNOWN_STATUSES:
        reasons.add("unknown-status")
    if status in ("on hold", "cancelled", "refunded"):
        reasons.add(status.replace(" ", "-"))
    if not order["lineItems"]:
        return reasons | {"no-lines"}
    try:
        quantities = [_number(row["quantity"]) for row in order["lineItems"]]
    except ValueError:
        return reasons | {"bad-number"}
    if any(quantity < 0 for quantity in quantities):
        reasons.add("negative-line")
    return reasons | _money_reasons(order) | _tax_reasons(order)


def _money_reasons(order: Mapping[str, Any]) -> set[str]:
    reasons = set()
    if abs(identity_gap(order)) > Decimal("0.01"):
        reasons.add("totals-do-not-add-up")
    if abs(line_sum_gap(order)) > Decimal("0.01"):
        reasons.add("line-sum-differs")
    if any(row["currency"] != order["currency"] for row in order["payments"]):
        reasons.add("payment-currency")
    if expected_payments(order) > Decimal(str(order["total"])):
        reasons.add("overpaid")
    return reasons


def _tax_reasons(order: Mapping[str, Any]) -> set[str]:
    if any(len(row.get("taxLines") or []) > 2 for row in order["lineItems"]):
        return {"too-many-taxes"}
    calculated = calculated_tax(order)
    if calculated is None:
        return {"tax-rate-unknown"}
    five_units = 5 * Fraction(1, 10 ** _digits(order["currency"]))
    return {"tax-does-not-agree"} if abs(calculated - stated_tax(order)) > five_units else set()
