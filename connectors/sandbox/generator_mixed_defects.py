"""The one thing that is wrong with a mixed order, by the reason it must be held for."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from connectors.sandbox.generator_mint import Mint
from connectors.sandbox.generator_money import minor_unit, rounded
from connectors.sandbox.generator_order import Payload, amount_text, captured_sum, currency_of


def _shift(record: Payload, key: str, amount: Decimal, currency: str) -> None:
    record[key] = amount_text(Decimal(record[key]) + amount, currency)


def _shift_paid_total(order: Payload, amount: Decimal) -> None:
    """Move the total and the captured payment together, so that the order stays exactly paid."""
    _shift(order, "total", amount, currency_of(order))
    for row in order["payments"][:1]:
        _shift(row, "amount", amount, currency_of(order))


def _amount(mint: Mint, order: Payload, *texts: str) -> Decimal:
    """One of the amounts, in whole minor units of the order's currency."""
    step = minor_unit(currency_of(order))
    return (Decimal(mint.pick(texts)) * 100 * step).quantize(step)


def _totals(mint: Mint, order: Payload) -> None:
    """Off by two cents at least; one cent would still pass."""
    step = minor_unit(currency_of(order))
    least = max(step * 2, Decimal("0.02"))
    _shift_paid_total(order, max(_amount(mint, order, "0.02", "0.05", "400.00"), least))


def _status(*spellings: str) -> Callable[[Mint, Payload], None]:
    def change(mint: Mint, order: Payload) -> None:
        order["status"] = mint.pick(spellings)

    return change


def _refunded(mint: Mint, order: Payload) -> None:
    order["status"], order["paymentStatus"] = "Refunded", "refunded"
    for row in order["payments"]:
        row["status"] = "refunded"


def _test_order(mint: Mint, order: Payload) -> None:
    if mint.chance(50):
        order["test"] = mint.pick((True, "yes"))
    else:
        order["customAttributes"] = {"test": "true"}


def _overpaid(mint: Mint, order: Payload) -> None:
    """Charged twice, or charged too much."""
    total, currency = Decimal(order["total"]), currency_of(order)
    spare = max(total, _amount(mint, order, "0.50", "20.00"))
    order["payments"].append(mint.payment(spare, order.get("currency", currency)))
    order["balanceDue"] = amount_text(total - captured_sum({**order, "currency": currency}), currency)


def _payment_currency(mint: Mint, order: Payload) -> None:
    other = "EUR" if currency_of(order) == "USD" else "USD"
    if not order["payments"]:
        order["payments"] = [mint.payment(Decimal("1.00"), other)]
    order["payments"][0]["currency"] = other
    order.setdefault("currency", currency_of(order))


def _tax_rate_unknown(mint: Mint, order: Payload) -> None:
    """Amounts without a rate that no approved one makes: every tax grows to one and a half times itself."""
    order.pop("taxLines", None)
    factor = Decimal("1.53")
    grown = Decimal(0)
    for row in (*order["lineItems"], *order.get("shippingLines", []), *order.get("feeLines", [])):
        tax = Decimal(row["taxAmount"])
        more = rounded(tax * factor, Decimal("0.01")) - tax
        grown += more
        _shift(row, "taxAmount", more, "USD")
    rest = Decimal(order["taxTotal"]) + grown
    order["taxTotal"] = amount_text(rest, "USD")
    _shift_paid_total(order, grown)


def _too_many_taxes(mint: Mint, order: Payload) -> None:
    """The line's one tax is split into three that nobody has approved."""
    for row in order["lineItems"]:
        for tax in row["taxLines"]:
            amount = Decimal(tax["amount"])
            parts = [rounded(amount / 3, Decimal("0.01"))] * 2
            parts.append(amount - sum(parts))
            row["taxLines"] = [
                {"name": name, "rate": "0.0275", "amount": amount_text(part, "USD")}
                for name, part in zip(("State", "County", "District"), parts, strict=True)
            ]


def _tax_does_not_agree(mint: Mint, order: Payload) -> None:
    """Rate and amounts disagree by 0.25 or more although every sum adds up."""
    wrong = Decimal(mint.pick(("0.25", "-0.31", "0.85", "2.40")))
    for record, key in ((order["lineItems"][0], "taxAmount"), (order, "taxTotal"), (order["taxLines"][0], "amount")):
        _shift(record, key, wrong, "USD")
    _shift_paid_total(order, wrong)


def _missing_number(mint: Mint, order: Payload) -> None:
    order["orderNumber"] = mint.pick((None, "", "   "))


def _no_lines(mint: Mint, order: Payload) -> None:
    order["lineItems"] = []


def _bad_number(mint: Mint, order: Payload) -> None:
    row = order["lineItems"][0]
    row[mint.pick(("quantity", "unitPrice"))] = mint.pick(("two", "1 dozen", "n/a", True, [], ""))


def _negative_line(mint: Mint, order: Payload) -> None:
    """A returned product inside the order: its price leaves the sums, its tax was never in them."""
    order["lineItems"].append(
        {"id": "98", "sku": "BACK-1", "name": "Returned", "type": "product", "quantity": -1, "unitPrice": "1.00",
         "discountAmount": "0.00", "taxAmount": "0.00", "lineTotal": "-1.00"}
    )  # fmt: skip
    _shift(order, "subtotal", Decimal(-1), "USD")
    _shift(order, "total", Decimal(-1), "USD")
    order["payments"] = []


def _line_sum(mint: Mint, order: Payload) -> None:
    """The subtotal is not the sum of the lines; the total follows the wrong subtotal."""
    wrong = _amount(mint, order, "4.00", "0.30", "12.60")
    _shift(order, "subtotal", wrong, currency_of(order))
    _shift_paid_total(order, wrong)


def _line_total(mint: Mint, order: Payload) -> None:
    """One line's total is not its quantity times its price; all sums follow it."""
    wrong = _amount(mint, order, "4.00", "0.30", "12.60")
    for record, key in ((order["lineItems"][0], "lineTotal"), (order, "subtotal")):
        _shift(record, key, wrong, currency_of(order))
    _shift_paid_total(order, wrong)


def _discounts(mint: Mint, order: Payload) -> None:
    """A line says more discount than the order has altogether."""
    row = order["lineItems"][0]
    row["discountAmount"] = amount_text(abs(Decimal(order["discountTotal"])) + 1, currency_of(order))


DEFECTS: dict[str, Callable[[Mint, Payload], None]] = {
    "totals-do-not-add-up": _totals,
    "on-hold": _status("On Hold", "on hold", "ON-HOLD"),
    "cancelled": _status("Cancelled", "Voided"),
    "refunded": _refunded,
    "test-order": _test_order,
    "unknown-status": _status("Manual Review", "Awaiting Stock Check"),
    "overpaid": _overpaid,
    "payment-currency": _payment_currency,
    "tax-rate-unknown": _tax_rate_unknown,
    "too-many-taxes": _too_many_taxes,
    "tax-does-not-agree": _tax_does_not_agree,
    "missing-order-number": _missing_number,
    "no-lines": _no_lines,
    "bad-number": _bad_number,
    "negative-line": _negative_line,
    "line-sum-differs": _line_sum,
    "line-total-differs": _line_total,
    "discounts-differ": _discounts,
}
