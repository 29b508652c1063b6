"""Writes the samples in `fixtures/clarity-cef` again: `python -m connectors.sandbox.generator_cef_fixtures DIR`."""

from __future__ import annotations

import sys

from connectors.sandbox.generator import generate
from connectors.sandbox.generator_cef import CefCase, cef_batch
from connectors.sandbox.generator_events import dumps_exact
from connectors.sandbox.generator_fixtures import write_documents
from connectors.sandbox.generator_order import Payload

FIXTURE_SEED = 2026
SHOWN = (
    "plain-card",
    "line-discount",
    "order-discount",
    "shipping-taxed",
    "long-unit-price",
    "currency-jpy",
    "guest-without-email",
    "split-payment",
    "partial-payment",
    "unpaid-pending",
    "company",
    "discount-row",
    "fractional-quantity",
    "totals-do-not-add-up",
    "on-hold",
    "refunded",
)
_SOURCES = """# Where these payloads come from

Nothing here was recorded from a store. Every file is written by `connectors/sandbox/generator_cef.py` from the same
sales as `fixtures/clarity` (seed {seed}), in the shape that the public reference of the Clarity eCommerce Framework
describes: names and behaviour only. People, companies, addresses, products and amounts are invented; e-mail domains
are the reserved example ones, subscriber numbers are 555-01xx. Card data and secrets were never put in.

Write them again with `python -m connectors.sandbox.generator_cef_fixtures fixtures/clarity-cef`; a test fails when a
file is not what the generator makes.

The other files hold the records that belong to the orders below; `order__split-order.json` is the master of a checkout
with several shipments, `order__split-order-child.json` its first part, which must not be posted beside it.

| file | must | reason | total | money received |
| --- | --- | --- | --- | --- |
"""
_RECORDS = {
    "customers": "User",
    "accounts": "Account",
    "payments": "Payment",
    "products": "Product",
    "returns": "SalesReturn",
}


def fixture_documents() -> dict[str, str]:
    """Return file name -> text of every fixture, `SOURCES.md` included."""
    cases = generate(FIXTURE_SEED, 200)
    batch = cef_batch(cases, secrets=False)
    shown = [_plainest(batch.cases, tag) for tag in SHOWN]
    split = next(case for case in batch.cases if case.children)
    documents = {f"order__{case.tags[0]}.json": _text(case.order) for case in shown}
    documents["order__split-order.json"] = _text(split.order)
    documents["order__split-order-child.json"] = _text(split.children[0])
    for name, entity in _RECORDS.items():
        documents[f"{name}.json"] = _text(_belonging(batch.records[entity], entity, [*shown, split]))
    rows = [_row(f"order__{case.tags[0]}.json", case) for case in shown]
    rows.append(_row("order__split-order.json", split))
    rows.append("| order__split-order-child.json | skip | child | | |\n")
    documents["SOURCES.md"] = _SOURCES.format(seed=FIXTURE_SEED) + "".join(rows)
    return documents


def _plainest(cases: list[CefCase], tag: str) -> CefCase:
    """Return the scenario's first undivided case with the fewest other oddities: the easiest to check by hand."""
    found = [case for case in cases if case.tags[0] == tag and not case.children]
    return min(found, key=lambda case: len(case.tags))


def _belonging(records: list[Payload], entity: str, cases: list[CefCase]) -> list[Payload]:
    """The records that the orders name; of products all."""
    orders = [case.order for case in cases]
    wanted = {
        "User": {order.get("UserID") for order in orders},
        "Account": {order.get("AccountID") for order in orders},
        "Payment": {row["SlaveID"] for order in orders for row in order.get("SalesOrderPayments", ())},
        "SalesReturn": {500_000 + order["ID"] for order in orders},
    }.get(entity)
    return [record for record in records if wanted is None or record["ID"] in wanted]


def _row(name: str, case: CefCase) -> str:
    return f"| {name} | {case.label} | {case.reason} | {case.order['Totals']['Total']} | {case.payments} |\n"


def _text(value: Payload | list[Payload]) -> str:
    return f"{dumps_exact(value, indent=2)}\n"


def main(arguments: list[str]) -> int:
    """Write every fixture into the one directory named."""
    return write_documents(arguments, "generator_cef_fixtures", fixture_documents)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
