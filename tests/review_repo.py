"""A git repository with a mapping and samples, for tests of the review; every commit is the same in every run."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mapspec import approve, dump_spec, load_spec

MAPPING = "mappings/acme/order-to-invoice.yaml"
SPEC = """\
spec: acme/order-to-invoice
version: 1
source: {system: clarity-rest, entity: order, events: [order.created, order.updated], number: orderNumber}
targets:
  client: freshbooks/client
  invoice: freshbooks/invoice
  payment: freshbooks/payment
settings:
  timezone: America/Chicago
  invoice_prefix: W-
tables:
  terms:
    rows: {Net 15: "15", Net 30: "30"}
    missing: default
    default: "0"
  kinds:
    rows: {card: Credit Card, cash: Cash, check: Check}
    missing: default
    default: Other
gate:
  - {id: cancelled, do: skip, when: {in: [status, [cancelled]]}, reason: a cancelled order is never invoiced}
  - {id: on-hold, do: wait, when: {in: [status, [on hold]]}, reason: the order is on hold}
flow:
  - {id: client, do: create_if_missing, target: client, key: ["{values.buyer}"], match: [email]}
  - {id: invoice, do: create_once, target: invoice, key: ["{id}"], needs: [client]}
  - {id: send, do: mark_as_sent, of: invoice, needs: [invoice]}
  - {id: payment, do: create_once, target: payment, key: ["{.id}"], each: "payments[]", needs: [send]}
values:
  buyer:
    steps: [{coalesce: [customer.id, customer.email]}]
  currency:
    steps: [{path: currency}, {case: upper}]
    check: [{format: currency}]
fields:
  client.email:
    required: true
    steps: [{path: customer.email}, {trim: }, {case: lower}]
    check: [{format: email}]
  client.fname:
    steps: [{path: customer.firstName}]
    origin: {by: learned, confidence: "0.91"}
  invoice.customerid:
    required: true
    steps: [{step_output: client.id}]
  invoice.invoice_number:
    required: true
    steps: [{template: "{settings.invoice_prefix}{orderNumber}"}]
  invoice.create_date:
    required: true
    steps: [{path: orderDate}, {parse_instant: }, {to_date: settings.timezone}]
    check: [{format: date}]
  invoice.due_offset_days:
    steps: [{path: paymentTerms}, {lookup_table: terms}, {int: }]
    check: [{between: ["0", "90"]}]
  invoice.po_number:
    steps: [{path: poNumber}]
    check: [{max_length: 20}]
  invoice.notes:
    steps: [{path: notes}]
    origin: {by: llm, confidence: "0.78"}
  invoice.currency_code:
    required: true
    steps: [{path: values.currency}]
  invoice.lines[]:
    each: lineItems[]
    money:
      currency: values.currency
      quantity: .quantity
      unit_price: .unitPrice
      total: $.total
      tax: .taxAmount
      taxes: .taxLines[]
      charges:
        - {name: Shipping, amount: $.shippingTotal}
    fields:
      name: {required: true, steps: [{path: .name}]}
      qty: {required: true, steps: [{line_price: quantity}]}
      unit_cost: {required: true, steps: [{line_price: unit_cost}]}
      taxName1: {steps: [{line_price: tax_name_1}]}
      taxAmount1: {steps: [{line_price: tax_percent_1}]}
  payment.invoiceid:
    required: true
    steps: [{step_output: invoice.id}]
  payment.amount:
    required: true
    steps: [{path: .amount}, {money: values.currency}]
    check: [{money: positive}]
  payment.date:
    required: true
    steps: [{path: .paidAt}, {parse_instant: }, {to_date: settings.timezone}]
  payment.type:
    steps: [{path: .method}, {lookup_table: kinds}]
assertions:
  - {id: has-lines, not_empty: "lineItems[]", message: the order has no lines}
  - {id: overpaid, at_most: ["payments[].amount", total], within: "0.01", message: more was paid than ordered}
"""


def order(number: int, **changes: Any) -> dict[str, Any]:
    """A plain order: two teas at 10.00 with 8 % tax and shipping of 5.00, paid by card."""
    return {
        "id": f"o-{number}",
        "orderNumber": f"100{number}",
        "orderDate": f"2026-11-0{number}T15:00:00Z",
        "updatedAt": f"2026-11-0{number}T16:00:00Z",
        "status": "Processing",
        "currency": "usd",
        "paymentTerms": "Net 30",
        "poNumber": f"PO-{number}",
        "notes": "Leave at the dock",
        "customerNotes": "Ring twice",
        "customer": {"id": f"c-{number}", "email": f"Jane.Doe{number}@Example.com", "firstName": "Jane"},
        "lineItems": [
            {
                "name": "Green tea",
                "sku": "T-1",
                "quantity": 2,
                "unitPrice": "10.00",
                "taxAmount": "1.60",
                "taxLines": [{"name": "Sales tax", "rate": "0.08", "amount": "1.60"}],
            }
        ],
        "shippingTotal": "5.00",
        "total": "26.60",
        "payments": [{"id": f"p-{number}", "amount": "26.60", "paidAt": "2026-11-05T10:00:00Z", "method": "card"}],
        **changes,
    }


SAMPLES: dict[str, Any] = {
    "order__plain": order(1),
    "order__cash": order(
        2, payments=[{"id": "p-2", "amount": "26.60", "paidAt": "2026-11-05T10:00:00Z", "method": "cash"}]
    ),
    "order__unpaid": order(3, payments=[], notes=None),
    "order__cancelled": order(4, status="Cancelled"),
    "order__without-po": order(5, poNumber=None, paymentTerms=None),
}


@dataclass(frozen=True)
class Repo:
    """A repository on the branch `main`, its author `Ana <ana@example.com>`."""

    root: Path

    def git(self, *arguments: str, author: str = "Ana") -> str:
        """Run git as a person, at a fixed moment."""
        mail = f"{author.lower()}@example.com"
        person = {
            f"GIT_{who}_{what}": value
            for who in ("AUTHOR", "COMMITTER")
            for what, value in (("NAME", author), ("EMAIL", mail), ("DATE", "2026-11-20T10:00:00Z"))
        }
        env = {**os.environ, **person, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
        done = subprocess.run(["git", *arguments], cwd=self.root, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"git {' '.join(arguments)}: {done.stderr}"
        return done.stdout.strip()

    def write(self, files: Mapping[str, str | None]) -> None:
        """Write files; None deletes one."""
        for name, text in files.items():
            path = self.root / name
            if text is None:
                path.unlink()
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")

    def commit(self, files: Mapping[str, str | None], message: str = "change", author: str = "Ana") -> str:
        """Write files and commit everything."""
        self.write(files)
        self.git("add", "-A")
        self.git("commit", "--quiet", "--allow-empty", "-m", message, author=author)
        return self.git("rev-parse", "HEAD")

    def text(self, name: str = MAPPING) -> str:
        """The text of a file as it stands."""
        return (self.root / name).read_text(encoding="utf-8")

    def edit(self, *changes: tuple[str, str], name: str = MAPPING) -> str:
        """The text of a file with passages replaced; each has to be there."""
        text = self.text(name)
        for old, new in changes:
            assert old in text, old
            text = text.replace(old, new, 1)
        return text


def approved(text: str, *, by: str = "ben@example.com", bump: bool = True) -> str:
    """A mapping with every part approved as it stands, the version one higher, in canonical form."""
    spec = load_spec(text)
    if bump:
        spec = spec.model_copy(update={"version": spec.version + 1})
    return dump_spec(approve(spec, None, by=by, at="2026-11-20T09:00:00Z"))


def make_repo(root: Path, files: Mapping[str, str] | None = None) -> Repo:
    """A repository with one commit: the mapping, approved, and the samples."""
    root.mkdir(parents=True, exist_ok=True)
    repo = Repo(root)
    repo.git("init", "--quiet", "--object-format=sha1", "--initial-branch=main")
    samples = {
        f"samples/{name}.json": json.dumps(record, indent=1, ensure_ascii=False) + "\n"
        for name, record in SAMPLES.items()
    }
    repo.commit({MAPPING: approved(SPEC, bump=False), **samples, **(files or {})}, "base")
    return repo


Edit = Callable[[Repo], Mapping[str, str | None]]
