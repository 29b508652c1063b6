"""Scenarios of orders that nobody may post, one builder per reason.

Each order has exactly one thing wrong with it: a wrong total, say, still comes with agreeing lines and taxes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

from connectors.sandbox.generator_catalogue import REGIONS, Tax
from connectors.sandbox.generator_mint import Mint, Scenario, Settlement, ordinary
from connectors.sandbox.generator_money import minor_unit, rounded
from connectors.sandbox.generator_order import Payload, amount_text, captured_sum


def _shift(record: Payload, key: str, amount: Decimal, currency: str) -> None:
    record[key] = amount_text(Decimal(record[key]) + amount, currency)


def _shift_paid_total(order: Payload, amount: Decimal) -> None:
    """Move the total and the one captured payment together, so that the order stays exactly paid."""
    _shift(order, "total", amount, order["currency"])
    _shift(order["payments"][0], "amount", amount, order["currency"])


def _paid(mint: Mint, *, lines: int | None = None) -> Payload:
    place = mint.pick(("tx", "ny", "on"))
    return mint.order(mint.basket(place, lines), mint.customer(place), pay="card")


def totals_do_not_add_up(mint: Mint) -> Payload:
    """Off by two cents at least; one cent would still pass."""
    order = _paid(mint)
    _shift_paid_total(order, Decimal(mint.pick(("0.02", "-0.02", "0.05", "1.00", "10.00", "-3.00"))))
    return order


def _status(*spellings: str, pay: tuple[Settlement, ...]) -> Scenario:
    def build(mint: Mint) -> Payload:
        place = mint.pick(("tx", "ny", "gb"))
        return ordinary(place, pay=mint.pick(pay), status=mint.pick(spellings))(mint)

    return build


def cancelled(mint: Mint) -> Payload:
    """Lines and totals stay; the money, if any was taken, may not have gone back yet."""
    order = ordinary("tx", pay=mint.pick(("none", "authorized", "card")), status="Cancelled")(mint)
    if order["payments"] and mint.chance(50):
        order["payments"][0] |= {"status": "voided", "paidAt": None}
        order["paymentStatus"] = "voided"
    order["balanceDue"] = amount_text(Decimal(order["total"]) - captured_sum(order), order["currency"])
    return order


def refunded(mint: Mint) -> Payload:
    order = ordinary("tx", pay="card", status="Refunded")(mint)
    order["payments"][0]["status"] = "refunded"
    order["paymentStatus"] = "refunded"
    order["balanceDue"] = "0.00"
    return order


def test_order(mint: Mint) -> Payload:
    return {**ordinary("tx")(mint), "test": True}


def overpaid(mint: Mint) -> Payload:
    """Charged twice, or charged too much."""
    order = _paid(mint)
    total, currency = Decimal(order["total"]), order["currency"]
    if mint.chance(50):
        order["payments"].append(mint.payment(total, currency))
    else:
        _shift(order["payments"][0], "amount", mint.pick((Decimal("0.50"), Decimal("20.00"))), currency)
    order["balanceDue"] = amount_text(total - captured_sum(order), currency)
    return order


def payment_currency(mint: Mint) -> Payload:
    """The buyer's card was charged in another currency than the order's."""
    place = mint.pick(("on", "gb", "de"))
    order = mint.order(mint.basket(place), mint.customer(place), pay="card")
    converted = rounded(Decimal(order["total"]) / REGIONS[place].scale, minor_unit("USD"))
    order["payments"][0] |= {"amount": amount_text(converted, "USD"), "currency": "USD"}
    return order


def tax_rate_unknown(mint: Mint) -> Payload:
    """Tax amounts without a rate; no usual rate reproduces them on nets this large."""
    rate = mint.pick((Decimal("0.0637"), Decimal("0.0793"), Decimal("0.1118"), Decimal("0.1371")))
    basket = mint.basket("tx", 2, shipping=False)
    lines = tuple(replace(line, quantity=Decimal(8), taxes=(Tax("tax", rate),)) for line in basket.lines)
    order = mint.order(replace(basket, lines=lines), mint.customer("tx"), line_tax_lines=False)
    variant = mint.random.randrange(3)
    if variant == 0:
        del order["taxLines"]
    elif variant == 1:
        order["taxLines"] = []
    else:
        order["taxLines"] = [{**row, "rate": None} for row in order["taxLines"]]
    return order


def too_many_taxes(mint: Mint) -> Payload:
    taxes = (
        Tax("State tax", Decimal("0.04")),
        Tax("County tax", Decimal("0.015")),
        Tax("City tax", Decimal("0.00875")),
    )
    basket = mint.basket("ny", shipping=False)
    lines = tuple(replace(line, taxes=taxes) for line in basket.lines)
    return mint.order(replace(basket, lines=lines), mint.customer("ny"), line_tax_lines=True)


def tax_does_not_agree(mint: Mint) -> Payload:
    """Rate and amounts disagree by 0.25 or more although every sum adds up."""
    place = mint.pick(("tx", "ny", "on"))
    basket = mint.basket(place, 2, shipping=False)
    # three pieces at least, so that even the smallest tax stays above zero when it shrinks
    lines = tuple(replace(line, quantity=line.quantity + 2) for line in basket.lines)
    order = mint.order(replace(basket, lines=lines), mint.customer(place), pay="card", line_tax_lines=mint.chance(50))
    wrong, currency = Decimal(mint.pick(("0.25", "-0.31", "0.85", "2.40"))), order["currency"]
    row = order["lineItems"][0]
    for record, key in ((row, "taxAmount"), (order, "taxTotal"), (order["taxLines"][0], "amount")):
        _shift(record, key, wrong, currency)
    if "taxLines" in row:
        _shift(row["taxLines"][0], "amount", wrong, currency)
    _shift_paid_total(order, wrong)
    return order


def missing_order_number(mint: Mint) -> Payload:
    order = ordinary("tx")(mint)
    variant = mint.random.randrange(4)
    if variant == 0:
        del order["orderNumber"]
    else:
        order["orderNumber"] = (None, "", "   ")[variant - 1]
    return order


def no_lines(mint: Mint) -> Payload:
    basket = mint.basket("tx", shipping=False)
    lines = tuple(replace(line, taxes=()) for line in basket.lines)
    order = mint.order(replace(basket, lines=lines), mint.customer("tx", "exempt"))
    order["lineItems"] = []
    return order


def bad_number(mint: Mint) -> Payload:
    order = ordinary("tx")(mint)
    order["lineItems"][0]["quantity"] = mint.pick(("two", "two", "1 dozen", "n/a"))
    return order


def negative_line(mint: Mint) -> Payload:
    """A returned product inside a new order; the total stays positive."""
    basket = mint.basket("tx", 3, shipping=False)
    cheapest = min(range(3), key=lambda position: basket.lines[position].unit_price)
    lines = [replace(line, quantity=line.quantity + 1) for line in basket.lines]
    lines[cheapest] = replace(lines[cheapest], quantity=Decimal(-1))
    return mint.order(replace(basket, lines=tuple(lines)), mint.customer("tx"))


def line_sum_differs(mint: Mint) -> Payload:
    """The subtotal is not the sum of the lines; the total follows the wrong subtotal."""
    order = _paid(mint, lines=2)
    wrong = Decimal(mint.pick(("4.00", "-1.15", "0.30", "12.60")))
    _shift(order, "subtotal", wrong, order["currency"])
    _shift_paid_total(order, wrong)
    return order


HOLD: dict[str, Callable[[Mint], Payload]] = {
    "totals-do-not-add-up": totals_do_not_add_up,
    "on-hold": _status("On Hold", "on hold", pay=("card", "none", "authorized")),
    "cancelled": cancelled,
    "refunded": refunded,
    "test-order": test_order,
    # not paid: captured money is a reason of its own to invoice, which would make the label a matter of opinion
    "unknown-status": _status("Manual Review", "Awaiting Stock Check", pay=("none", "authorized")),
    "overpaid": overpaid,
    "payment-currency": payment_currency,
    "tax-rate-unknown": tax_rate_unknown,
    "too-many-taxes": too_many_taxes,
    "tax-does-not-agree": tax_does_not_agree,
    "missing-order-number": missing_order_number,
    "no-lines": no_lines,
    "bad-number": bad_number,
    "negative-line": negative_line,
    "line-sum-differs": line_sum_differs,
}
