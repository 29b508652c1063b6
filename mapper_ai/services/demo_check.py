"""Compares what stands in the sandbox's books after a run with what the generator's labels ask for. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from connectors.sandbox.generator import Case


@dataclass(frozen=True)
class Verdict:
    """Whether a run did what the labels say.

    Attributes:
        must_post: Orders labelled post.
        must_hold: Orders labelled hold.
        invoices: Invoices in the books per currency: how many, and the sum of their totals.
        payments: Payments in the books per currency.
        held: Reason id -> how many orders were held for it.
        differences: One line each; empty when books and labels agree.
    """

    must_post: int
    must_hold: int
    invoices: Mapping[str, tuple[int, Decimal]]
    payments: Mapping[str, tuple[int, Decimal]]
    held: Mapping[str, int]
    differences: tuple[str, ...]


def compare(
    cases: Sequence[Case],
    invoices: Sequence[Mapping[str, Any]],
    payments: Sequence[Mapping[str, Any]],
    held: Sequence[Mapping[str, Any]],
) -> Verdict:
    """Hold the books against the labels.

    Args:
        cases: What was put into Clarity.
        invoices: FreshBooks' invoices as the stand-in stores them, deleted ones left out.
        payments: FreshBooks' payments, deleted ones left out.
        held: `status()["held"]` of the runner.
    """
    by_number: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for invoice in invoices:
        by_number[str(invoice["invoice_number"])].append(invoice)
    reasons = {str(row["id"]): str(row["reason_id"]) for row in held if row["entity"] == "order"}
    found: list[str] = []
    for case in cases:
        if case.label == "post":
            found += _misposted(case, by_number.pop(str(case.order["orderNumber"]), []))
            if str(case.order["id"]) in reasons:
                found.append(f"{_name(case)} must post, was held: {reasons[str(case.order['id'])]}")
        else:
            found += _unheld(case, reasons.get(str(case.order["id"])))
            number = str(case.order.get("orderNumber") or "")
            if number and by_number.pop(number, []):
                found.append(f"{_name(case)} must be held ({case.reason}), but has an invoice")
    found += [f"invoice {number} belongs to no order" for number in by_number]
    order_ids = {str(case.order["id"]) for case in cases}
    return Verdict(
        must_post=sum(case.label == "post" for case in cases),
        must_hold=sum(case.label == "hold" for case in cases),
        invoices=_sums(invoices),
        payments=_sums(payments),
        held=dict(sorted(Counter(reason for key, reason in reasons.items() if key in order_ids).items())),
        differences=tuple(found),
    )


def _misposted(case: Case, invoices: Sequence[Mapping[str, Any]]) -> list[str]:
    if len(invoices) != 1:
        return [f"{_name(case)} must have one invoice, has {len(invoices)}"]
    found, total, currency = [], Decimal(str(case.order["total"])), _currency(case)
    amount, paid = invoices[0]["amount"], invoices[0]["paid"]
    if Decimal(amount["amount"]) != total or amount["code"] != currency:
        found.append(f"{_name(case)}: order {total:f} {currency}, invoice {amount['amount']} {amount['code']}")
    if Decimal(paid["amount"]) != case.payments:
        found.append(f"{_name(case)}: {case.payments:f} {currency} was captured, {paid['amount']} is paid")
    return found


def _unheld(case: Case, reason: str | None) -> list[str]:
    if reason is None:
        return [f"{_name(case)} must be held ({case.reason}), but is not"]
    return [] if reason == case.reason else [f"{_name(case)} must be held for {case.reason}, was for {reason}"]


def _sums(records: Sequence[Mapping[str, Any]]) -> dict[str, tuple[int, Decimal]]:
    amounts: dict[str, list[Decimal]] = defaultdict(list)
    for record in records:
        amounts[str(record["amount"]["code"])].append(Decimal(record["amount"]["amount"]))
    return {code: (len(found), sum(found, Decimal(0))) for code, found in sorted(amounts.items())}


def _name(case: Case) -> str:
    return f"order {case.order.get('orderNumber') or case.order['id']}"


def _currency(case: Case) -> str:
    return str(case.order.get("currency") or "").strip().upper() or "USD"
