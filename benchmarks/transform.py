"""The contract's engine beside hand-written Python and, where they are installed, JSONata bindings.

One task in three hands: an order of five lines becomes an invoice of 20 fields and six in each line (dates, two
look-ups, trim and lower, rounding). Then the shipped spec over generated orders, and a large spec's way from text to
functions. Figures of one run are compared with each other; the machine's own speed cancels out.
"""

from __future__ import annotations

import gc
import importlib
import json
import statistics
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

from connectors.sandbox import generator
from mapspec import CompiledSpec, compile_spec, load_spec, load_with_lines
from mapspec.checks import check_spec

ROOT = Path(__file__).resolve().parents[1]
SHIPPED = ROOT / "mappings" / "clarity-freshbooks" / "order-to-invoice.yaml"

COUNTRIES = {"US": "United States", "CA": "Canada", "DE": "Germany", "MX": "Mexico"}
TERMS = {"Net 15": "15", "Net 30": "30", "Net 60": "60", "Due on receipt": "0"}
ORDER: dict[str, Any] = {
    "id": "10066",
    "orderNumber": "WEB-26-10066",
    "orderDate": "2026-03-02T16:15:48-05:00",
    "updatedAt": "2026-03-02T21:16:33Z",
    "status": "Processing",
    "currency": "USD",
    "paymentTerms": "Net 30",
    "customer": {
        "id": "540",
        "email": " Pavel.Ibarra.40@Example.org ",
        "firstName": " Pavel ",
        "lastName": "Ibarra",
        "company": "Ibarra Coffee",
        "phone": "+1 512 555 0166",
        "taxId": "US-77-1120",
    },
    "billingAddress": {
        "line1": "410 Example Bluff Road",
        "line2": "Suite 7",
        "city": "Austin",
        "state": "TX",
        "postalCode": "78701",
        "country": "US",
    },
    "lineItems": [
        {
            "sku": f"FLT-CON-{number}",
            "name": f"  Cone filters,  box of {number} ",
            "type": "Product",
            "quantity": number + 1,
            "unitPrice": f"{number}.455",
            "lineTotal": f"{(number + 1) * number}.905",
            "availableAt": f"2026-03-0{number}T08:00:00-05:00",
        }
        for number in range(1, 6)
    ],
    "subtotal": "104.525",
    "shippingTotal": "7.50",
    "taxTotal": "8.62",
    "total": "120.645",
    "payments": [{"id": "9061", "method": "credit_card", "paidAt": "2026-03-02T21:15:52Z"}],
}
SPEC = """
spec: benchmark/order-to-invoice
source: {system: clarity-rest, entity: order, number: orderNumber, updated: updatedAt}
targets: {invoice: freshbooks/invoice}
settings: {zone: as_written}
tables:
  terms: {rows: {"Net 15": "15", "Net 30": "30", "Net 60": "60", "Due on receipt": "0"}}
  countries: {rows: {US: United States, CA: Canada, DE: Germany, MX: Mexico}, missing: keep}
flow:
  - {id: invoice, do: create_once, target: invoice, key: ["{id}"]}
fields:
  invoice.invoice_number: {required: true, steps: [{path: orderNumber}]}
  invoice.reference: {steps: [{template: "Order {orderNumber} of {customer.lastName}"}]}
  invoice.create_date: {required: true, steps: [{path: orderDate}, {parse_instant: }, {to_date: settings.zone}]}
  invoice.updated: {steps: [{path: updatedAt}, {parse_instant: }, {to_date: settings.zone}]}
  invoice.due_offset_days: {steps: [{path: paymentTerms}, {lookup_table: terms}, {int: }]}
  invoice.status: {steps: [{path: status}, {case: lower}]}
  invoice.currency_code: {required: true, steps: [{path: currency}, {case: upper}]}
  invoice.email: {steps: [{path: customer.email}, {trim: }, {case: lower}]}
  invoice.fname: {steps: [{path: customer.firstName}, {trim: }]}
  invoice.lname: {steps: [{path: customer.lastName}, {trim: }]}
  invoice.organization: {steps: [{coalesce: [customer.company, billingAddress.company]}, {collapse_space: }]}
  invoice.street: {steps: [{path: billingAddress.line1}, {trim: }]}
  invoice.street2: {steps: [{path: billingAddress.line2}, {trim: }]}
  invoice.city: {steps: [{path: billingAddress.city}]}
  invoice.province: {steps: [{path: billingAddress.state}]}
  invoice.code: {steps: [{path: billingAddress.postalCode}, {trim: }]}
  invoice.country: {steps: [{path: billingAddress.country}, {lookup_table: countries}]}
  invoice.vat_number: {steps: [{path: customer.taxId}]}
  invoice.shipping: {steps: [{path: shippingTotal}, {round: "2"}, {money: currency}]}
  invoice.total: {required: true, steps: [{path: total}, {round: "2"}, {money: currency}]}
  invoice.lines[]:
    each: lineItems[]
    fields:
      name: {required: true, steps: [{path: .name}, {collapse_space: }]}
      sku: {steps: [{path: .sku}, {case: lower}]}
      qty: {required: true, steps: [{path: .quantity}, {decimal: }]}
      unit_cost: {required: true, steps: [{path: .unitPrice}, {round: "2"}, {money: $.currency}]}
      amount: {steps: [{path: .lineTotal}, {round: "2"}, {money: $.currency}]}
      available: {steps: [{path: .availableAt}, {parse_instant: }, {to_date: settings.zone}]}
"""
# The same in JSONata. Amounts are doubles in it, so its answer is timed and not compared.
JSONATA = """(
  $terms := {"Net 15": "15", "Net 30": "30", "Net 60": "60", "Due on receipt": "0"};
  $countries := {"US": "United States", "CA": "Canada", "DE": "Germany", "MX": "Mexico"};
  $money := function($x) { {"amount": $formatNumber($round($number($x), 2), "0.00"), "code": currency} };
  {
    "invoice_number": orderNumber,
    "reference": "Order " & orderNumber & " of " & customer.lastName,
    "create_date": $substring(orderDate, 0, 10),
    "updated": $substring(updatedAt, 0, 10),
    "due_offset_days": $number($lookup($terms, paymentTerms)),
    "status": $lowercase(status),
    "currency_code": $uppercase(currency),
    "email": $lowercase($trim(customer.email)),
    "fname": $trim(customer.firstName),
    "lname": $trim(customer.lastName),
    "organization": $trim(customer.company),
    "street": $trim(billingAddress.line1),
    "street2": $trim(billingAddress.line2),
    "city": billingAddress.city,
    "province": billingAddress.state,
    "code": $trim(billingAddress.postalCode),
    "country": $lookup($countries, billingAddress.country),
    "vat_number": customer.taxId,
    "shipping": $money(shippingTotal),
    "total": $money(total),
    "lines": [lineItems.{
      "name": $trim(name),
      "sku": $lowercase(sku),
      "qty": $string(quantity),
      "unit_cost": $money(unitPrice),
      "amount": $money(lineTotal),
      "available": $substring(availableAt, 0, 10)
    }]
  }
)"""
CENT = Decimal("0.01")


def by_hand(order: dict[str, Any]) -> dict[str, Any]:
    """What a programmer would write for this one task: exact, and without a word on what goes wrong."""
    customer = order["customer"]
    address = order["billingAddress"]
    code = order["currency"].strip().upper()
    return {
        "invoice_number": order["orderNumber"],
        "reference": f"Order {order['orderNumber'].strip()} of {customer['lastName'].strip()}",
        "create_date": datetime.fromisoformat(order["orderDate"]).date().isoformat(),
        "updated": datetime.fromisoformat(order["updatedAt"]).date().isoformat(),
        "due_offset_days": int(TERMS[order["paymentTerms"].strip()]),
        "status": order["status"].lower(),
        "currency_code": code,
        "email": customer["email"].strip().lower(),
        "fname": customer["firstName"].strip(),
        "lname": customer["lastName"].strip(),
        "organization": " ".join((customer["company"] or address["company"]).split()),
        "street": address["line1"].strip(),
        "street2": address["line2"].strip(),
        "city": address["city"],
        "province": address["state"],
        "code": address["postalCode"].strip(),
        "country": COUNTRIES.get(address["country"].strip(), address["country"]),
        "vat_number": customer["taxId"],
        "shipping": _money(order["shippingTotal"], code),
        "total": _money(order["total"], code),
        "lines": [
            {
                "name": " ".join(line["name"].split()),
                "sku": line["sku"].lower(),
                "qty": str(Decimal(line["quantity"])),
                "unit_cost": _money(line["unitPrice"], code),
                "amount": _money(line["lineTotal"], code),
                "available": datetime.fromisoformat(line["availableAt"]).date().isoformat(),
            }
            for line in order["lineItems"]
        ],
    }


def _money(amount: str, code: str) -> dict[str, str]:
    return {"amount": str(Decimal(amount).quantize(CENT, rounding=ROUND_HALF_UP)), "code": code}


def parse(text: str) -> Any:
    """JSON as the runner reads it: fractions are decimals."""
    return json.loads(text, parse_float=Decimal)


def best_us(work: Callable[[], object], runs: int = 15, loops: int = 200) -> float:
    """Processor microseconds of one call in the quickest of some runs: what others do on the machine is left out."""
    took = []
    for _ in range(runs):
        began = time.process_time()
        for _ in range(loops):
            work()
        took.append(time.process_time() - began)
    return min(took) / loops * 1e6


def one_order() -> None:
    """The task in every hand, JSON text in and out of the picture."""
    text = json.dumps(ORDER)
    order = parse(text)
    compiled = compile_spec(load_spec(SPEC))
    draft = compiled.apply(order)
    (invoice,) = draft.documents["invoice"]
    assert draft.decision == "go", draft.reasons
    assert invoice.body == by_hand(order), "both must come to the same invoice"
    hands: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
        "hand-written Python": (lambda: by_hand(order), lambda: by_hand(parse(text))),
        "mapspec": (lambda: compiled.apply(order), lambda: compiled.apply(parse(text))),
    }
    hands |= _bindings(text)
    figures = {name: (best_us(plain), best_us(parsed)) for name, (plain, parsed) in hands.items()}
    base, base_parsed = figures["hand-written Python"]
    fields = len(invoice.body) - 1 + len(invoice.body["lines"][0])
    print(f"one order of {len(ORDER['lineItems'])} lines -> {fields} target fields, quickest run")
    for name, (plain, parsed) in figures.items():
        print(
            f"  {name:22} {plain:7.1f} us {plain / base:5.2f} x by hand   "
            f"with JSON parsing {parsed:7.1f} us {parsed / base_parsed:5.2f} x"
        )
    for name in ("jlens", "jsonatapy"):
        if name not in figures:
            print(f"  {name:22} not installed")


def _bindings(text: str) -> dict[str, tuple[Callable[[], object], Callable[[], object]]]:
    """The JSONata bindings that can be imported; they take doubles, as JSON has them for them."""
    plain = json.loads(text)
    found: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {}
    try:
        jlens = importlib.import_module("jlens").Expression(JSONATA)
        found["jlens"] = (lambda: jlens.evaluate(plain), lambda: json.loads(jlens.evaluate_json(text)))
    except ImportError:
        pass
    try:
        other = importlib.import_module("jsonatapy").compile(JSONATA)
        found["jsonatapy"] = (lambda: other.evaluate(plain), lambda: json.loads(other.evaluate_json(text)))
    except ImportError:
        pass
    return found


def many_orders(count: int = 10_000) -> None:
    """The shipped spec over generated orders of every kind, JSON parsing included, and what memory does meanwhile."""
    compiled = compile_spec(load_spec(SHIPPED.read_text(encoding="utf-8"), where=SHIPPED.name))
    texts = [generator.dumps_exact(case.order) for case in generator.generate(1, count)]
    runs = [_preview(compiled, texts) for _ in range(3)]
    began = time.process_time()
    for text in texts:
        parse(text)
    parsing = time.process_time() - began
    took, going = min(runs)
    print(f"shipped spec, {count} generated orders ({going} go through), JSON parsing included")
    print(f"  {count / took:.0f} orders/s on one core, {took / count * 1e6:.0f} us an order", end="")
    print(f", of which JSON parsing {parsing / count * 1e6:.0f} us")
    after_few, after_all = _memory_kib(compiled, texts)
    print(f"  memory held after {count // 10} orders {after_few:.0f} KiB, after {count} {after_all:.0f} KiB")


def _preview(compiled: CompiledSpec, texts: list[str]) -> tuple[float, int]:
    going = 0
    began = time.process_time()
    for text in texts:
        going += compiled.apply(parse(text)).decision == "go"
    return time.process_time() - began, going


def _memory_kib(compiled: CompiledSpec, texts: list[str]) -> tuple[float, float]:
    """What Python holds more than before after a tenth of the orders, and after all of them."""
    tracemalloc.start()
    found = []
    for part in (texts[: len(texts) // 10], texts):
        _preview(compiled, part)
        gc.collect()
        found.append(tracemalloc.get_traced_memory()[0] / 1024)
    tracemalloc.stop()
    return found[0], found[1]


def large_spec(fields: int = 300) -> None:
    """A spec of many fields from its text to functions."""
    text, contracts, source = _large(fields)

    def steps() -> list[float]:
        times = [time.process_time()]
        spec, lines = load_with_lines(text)
        times.append(time.process_time())
        found = check_spec(spec, lines=lines, contracts=contracts, source_fields=source)
        assert not [finding for finding in found if finding.severity == "error"], found[:3]
        times.append(time.process_time())
        compile_spec(spec)
        times.append(time.process_time())
        return [(after - before) * 1e3 for before, after in pairwise(times)]

    steps()
    load, check, compiled = (statistics.median(column) for column in zip(*(steps() for _ in range(7)), strict=True))
    print(f"spec of {fields} fields: load {load:.0f} + check {check:.0f} + compile {compiled:.0f} ms", end="")
    print(f" = {load + check + compiled:.0f} ms")


@dataclass(frozen=True)
class _Leaf:
    """A field of a target's contract."""

    path: str
    type: str
    required: bool = False
    read_only: bool = False
    enum: tuple[str, ...] = ()
    max_length: int | None = None


def _large(fields: int) -> tuple[str, dict[str, list[_Leaf]], list[str]]:
    chains = (
        "[{{path: {0}}}, {{trim: }}, {{case: lower}}]",
        "[{{path: {0}}}, {{clean_text: }}, {{collapse_space: }}, {{max_length: {{n: 50, over: truncate}}}}]",
        "[{{coalesce: [{0}, customer.company]}}, {{trim: }}]",
        "[{{path: {0}}}, {{lookup_table: terms}}]",
        '[{{template: "Order {{{0}}}"}}]',
        "[{{path: {0}}}, {{parse_instant: }}, {{to_date: as_written}}]",
    )
    names = [f"field_{number}" for number in range(fields)]
    rows = [
        f"  invoice.{name}:\n    steps: {chains[number % len(chains)].format('order.' + name)}\n"
        "    origin: {by: fuzzy, confidence: '0.98'}\n    approval: {state: proposed}\n"
        for number, name in enumerate(names)
    ]
    text = SPEC[: SPEC.index("fields:")] + "fields:\n" + "".join(rows)
    contract = [_Leaf(name, "date" if number % len(chains) == 5 else "text") for number, name in enumerate(names)]
    known = ["id", "orderNumber", "updatedAt", "customer.company"]
    return text, {"freshbooks/invoice": contract}, [*known, *(f"order.{name}" for name in names)]


def transform() -> None:
    """Everything above, in one run."""
    one_order()
    many_orders()
    large_spec()


if __name__ == "__main__":
    transform()
