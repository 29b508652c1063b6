"""Writes the sample payloads in `fixtures/clarity` again: `python -m connectors.sandbox.generator_fixtures DIR`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from connectors.sandbox.generator import Case, customers, dumps_exact, generate, payments, products

FIXTURE_SEED = 2026
SHOWN = (
    "plain-card",
    "line-discount",
    "order-discount",
    "shipping-taxed",
    "two-taxes",
    "prices-include-tax",
    "long-unit-price",
    "currency-jpy",
    "guest-without-email",
    "split-payment",
    "unpaid-pending",
    "json-numbers",
    "discount-row",
    "totals-do-not-add-up",
    "on-hold",
)
_SOURCES = """# Where these payloads come from

Nothing here was recorded from a store. Every file is written by `connectors/sandbox/generator.py` with the
seed {seed}: field names are those that Clarity eCommerce's public pages name or that this project assumes for
its `rest` profile; people, companies, addresses, products and amounts are invented. E-mail domains are the
reserved example ones, subscriber numbers are 555-01xx. There was nothing to redact.

Write them again with `python -m connectors.sandbox.generator_fixtures fixtures/clarity`; a test fails when a
file is not what the generator makes.

`customers.json`, `payments.json` and `products.json` are the resources that belong to the orders below.

| file | must | reason | total | money received |
| --- | --- | --- | --- | --- |
"""


def fixture_documents() -> dict[str, str]:
    """Return file name -> text of every fixture, `SOURCES.md` included."""
    cases = generate(FIXTURE_SEED, 200)
    shown = [_plainest(cases, tag) for tag in SHOWN]
    documents = {f"order__{case.tags[0]}.json": f"{dumps_exact(case.order, indent=2)}\n" for case in shown}
    for name, records in (
        ("customers", customers(shown)),
        ("payments", payments(shown)),
        ("products", products()),
    ):
        documents[f"{name}.json"] = f"{dumps_exact(records, indent=2)}\n"
    rows = [
        f"| order__{case.tags[0]}.json | {case.label} | {case.reason} | "
        f"{case.order['total']} {case.order['currency']} | {case.payments} |\n"
        for case in shown
    ]
    documents["SOURCES.md"] = _SOURCES.format(seed=FIXTURE_SEED) + "".join(rows)
    return documents


def _plainest(cases: list[Case], tag: str) -> Case:
    """Return the scenario's first case with the fewest other oddities, which is the easiest to check by hand."""
    return min((case for case in cases if case.tags[0] == tag), key=lambda case: len(case.tags))


def write_documents(arguments: list[str], module: str, documents: Callable[[], Mapping[str, str]]) -> int:
    """Write documents by their file names into the one directory named; gives an exit code."""
    if len(arguments) != 1:
        print(f"usage: python -m connectors.sandbox.{module} DIR", file=sys.stderr)
        return 2
    target = Path(arguments[0])
    target.mkdir(parents=True, exist_ok=True)
    for name, text in documents().items():
        (target / name).write_text(text, encoding="utf-8")
    return 0


def main(arguments: list[str]) -> int:
    """Write every fixture into the one directory named."""
    return write_documents(arguments, "generator_fixtures", fixture_documents)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
