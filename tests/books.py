"""Many awkward orders against the books: what the mapping makes of them, however FreshBooks may round.

`python -m tests.books [ORDERS SEED BY_RUNNER]`, or `make books`, does it at length, with runner and sandbox over HTTP.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

from connectors.sandbox.generator import Case, dumps_exact, events, generate_mixed
from connectors.sandbox.generator_mixed import APPROVED_RATES, COMBINED_TAXES, STORE_ZONE
from connectors.sandbox.money import ROUNDING_MODES, LineTax, PricedLine, currency_digits, invoice_totals
from connectors.sandbox.server import running_sandbox
from mapspec.approval import approve
from mapspec.codec import dump_spec, load_spec
from mapspec.drafts import Draft
from mapspec.engine import CompiledSpec, compile_spec
from mapspec.model import MappingSpec
from sync.connections import open_freshbooks
from sync.reconcile.period import Period
from sync.settings import CapSettings, Policies
from sync.store import open_store
from tests import oracle
from tests.flows import MAPPINGS, Books
from tests.reconciling import Outcome, Shop

LOCK_DATE = date(2026, 2, 1)
APPROVED = oracle.Approved(APPROVED_RATES, frozenset(COMBINED_TAXES), STORE_ZONE, LOCK_DATE)
ROUNDING_UNITS = 5  # what one rounding line may carry


def order_spec(
    *, settings: Mapping[str, str] | None = None, tables: Mapping[str, Mapping[str, str]] | None = None
) -> MappingSpec:
    """The shipped order mapping as an analyst completes it for this store: time zone, approved and combined taxes."""
    spec = load_spec((MAPPINGS / "order-to-invoice.yaml").read_text("utf-8"))
    rates = {name: str(rate) for name, rate in APPROVED_RATES.items()}
    rows = {"tax_rates": rates, "combined_taxes": COMBINED_TAXES, **(tables or {})}
    changed = spec.model_copy(
        update={
            "tables": {
                name: table.model_copy(update={"rows": dict(rows.get(name, table.rows))})
                for name, table in spec.tables.items()
            },
            "settings": {**spec.settings, "timezone": STORE_ZONE, **(settings or {})},
        }
    )
    return approved(changed)


def mappings(folder: Path, spec: MappingSpec | None = None) -> Path:
    """The shipped mappings in a folder, with this store's order mapping, all in this store's time zone."""
    made = folder / "mappings"
    made.mkdir()
    for path in MAPPINGS.glob("*.yaml"):
        shipped = load_spec(path.read_text("utf-8"))
        if "timezone" in shipped.settings:
            shipped = approved(shipped.model_copy(update={"settings": {**shipped.settings, "timezone": STORE_ZONE}}))
        made.joinpath(path.name).write_text(dump_spec(shipped), encoding="utf-8")
    made.joinpath("order-to-invoice.yaml").write_text(dump_spec(spec or order_spec()), encoding="utf-8")
    return made


def approved(spec: MappingSpec) -> MappingSpec:
    """As a person has approved it."""
    return approve(spec, None, by="books", at="2026-11-22T12:00:00Z")


def mixed(seed: int, count: int) -> list[Case]:
    """Generated orders of which some date from before the lock date."""
    return generate_mixed(seed, count, lock_date=LOCK_DATE)


@dataclass
class Findings:
    """What was looked at, and everything that was not as labelled."""

    posted: int = 0
    held: Counter[str] = field(default_factory=Counter)
    rounding_lines: Counter[str] = field(default_factory=Counter)
    differences: list[str] = field(default_factory=list)


def try_drafts(cases: Iterable[Case], compiled: CompiledSpec) -> Findings:
    """Map every order and judge it by its label and the oracle; total the invoices in each rounding mode."""
    found = Findings()
    for case in cases:
        draft = compiled.apply(json.loads(dumps_exact(case.order), parse_float=Decimal))
        for line in differences(case, draft, found):
            found.differences.append(f"order {case.order['id']} ({', '.join(case.tags)}): {line}")
    return found


def differences(case: Case, draft: Draft, found: Findings) -> Iterator[str]:
    """What is not as it must be about one order's draft."""
    expected = oracle.hold_reasons(case.order, APPROVED)
    if expected != ({case.reason} if case.reason else set()):
        yield f"the oracle says {sorted(expected) or 'post'}, the label {case.reason or 'post'}"
    outcome = outcome_of(draft)
    if outcome != case.reason:
        yield f"the mapping says {outcome or 'post'}, the label {case.reason or 'post'}"
        return
    if outcome:
        found.held[outcome] += 1
        return
    found.posted += 1
    yield from _books(case.order, draft, found)


def outcome_of(draft: Draft) -> str:
    """The first reason why a draft is not posted, the runner's lock date included; empty where it is posted."""
    if draft.reasons:
        return draft.reasons[0].id
    if draft.decision != "go":
        return draft.decision
    (invoice,) = draft.documents["invoice"]
    return "closed-period" if invoice.body["create_date"] < LOCK_DATE.isoformat() else ""


def _books(order: Mapping[str, Any], draft: Draft, found: Findings) -> Iterator[str]:
    (invoice,) = draft.documents["invoice"]
    total = oracle.expected_total(order)
    if draft.priced is None or draft.priced.total != total:
        yield f"the invoice must come to {total}"
        return
    if invoice.body["create_date"] != oracle.invoice_date(order, STORE_ZONE).isoformat():
        yield f"dated {invoice.body['create_date']}, not {oracle.invoice_date(order, STORE_ZONE)}"
    paid = sum((Decimal(one.body["amount"]["amount"]) for one in draft.documents["payment"]), Decimal(0))
    if paid != oracle.expected_payments(order):
        yield f"payments of {paid}, not {oracle.expected_payments(order)}"
    unit = Decimal(1).scaleb(-currency_digits(oracle.currency(order)))
    for mode, server in server_totals(invoice.body).items():
        if server != total:
            found.rounding_lines[mode] += 1
        if abs(server - total) > ROUNDING_UNITS * unit:
            yield f"{server} where FreshBooks rounds by {mode}, not {total}"


def server_totals(invoice: Mapping[str, Any]) -> dict[str, Decimal]:
    """What the sandbox makes of an invoice in each rounding mode."""
    lines = []
    for line in invoice["lines"]:
        taxes = tuple(
            LineTax(line[f"taxName{place}"], Decimal(line[f"taxAmount{place}"]))
            for place in "12"
            if line.get(f"taxAmount{place}")
        )
        cost = Decimal(line["unit_cost"]["amount"])
        lines.append(PricedLine(Decimal(line["qty"]), cost, taxes, bool(line.get("compounded_tax"))))
    digits = currency_digits(invoice["currency_code"])
    return {
        mode: invoice_totals(lines, discount_percent=Decimal(0), digits=digits, mode=mode).total
        for mode in ROUNDING_MODES
    }


def judge(books: Books, cases: Sequence[Case], held: Mapping[str, str]) -> list[str]:
    """What is not as it must be in the books after a run: the posted set, the held set, totals and payments.

    Args:
        books: For the tables of the sandbox.
        cases: The orders that were run.
        held: Reason id by order id, as the runner's status says.
    """
    wrong: list[str] = []
    must_post = {str(case.order["orderNumber"]): case for case in cases if case.label == "post"}
    must_hold = {str(case.order["id"]): case.reason for case in cases if case.label == "hold"}
    invoices = {str(row["invoice_number"]): row for row in books.table("invoice") if row["status"] != 1}
    wrong += [
        f"{number}: {'posted' if number in invoices else 'not posted'}"
        for number in sorted(set(invoices) ^ set(must_post))
    ]
    wrong += [
        f"order {record}: held for {held.get(record)}, must be {must_hold.get(record)}"
        for record in sorted(set(held) | set(must_hold))
        if held.get(record) != must_hold.get(record)
    ]
    paid: defaultdict[int, Decimal] = defaultdict(Decimal)
    for payment in books.table("payment"):
        paid[payment["invoiceid"]] += Decimal(payment["amount"]["amount"])
    for number in sorted(set(invoices) & set(must_post)):
        order, invoice = must_post[number].order, invoices[number]
        amount = Decimal(invoice["amount"]["amount"])
        if amount != oracle.expected_total(order) or invoice["amount"]["code"] != oracle.currency(order):
            wrong.append(f"{number}: comes to {amount}, not {oracle.expected_total(order)}")
        if paid[invoice["id"]] != oracle.expected_payments(order):
            wrong.append(f"{number}: payments of {paid[invoice['id']]}, not {oracle.expected_payments(order)}")
        if invoice["create_date"] != oracle.invoice_date(order, STORE_ZONE).isoformat():
            wrong.append(f"{number}: dated {invoice['create_date']}")
    return wrong


def run_cases(books: Books, cases: Sequence[Case], *, shuffle_seed: int = 1) -> list[str]:
    """Run the orders' events through the runner, in disorder and with duplicates; say what is wrong afterwards."""
    report = books.run(*events(cases, shuffle_seed=shuffle_seed))
    held = {line["id"]: line["reason_id"] for line in report.status["held"] if line["entity"] == "order"}
    return judge(books, cases, held)


LEFT_OUT = frozenset({"test-order", "on-hold", "cancelled", "refunded"})
"""Reasons for which an order is not in the books by policy, so that nothing is missing."""


def compare_books(books: Books, cases: Sequence[Case], *, tampered: int = 5) -> list[str]:
    """Reconcile what was run with Clarity's records; then tamper with a few orders on either side, and once more.

    Returns:
        What the reconciliation says wrongly, and what it does not say.
    """
    books.with_clarity = True
    days = [oracle.invoice_date(case.order, STORE_ZONE) for case in cases]
    period = Period(min(days), max(days))
    with closing(open_freshbooks(books.settings, lambda: open_store("sqlite://"))) as person:
        shop = Shop(books, person)
        shop.put(*(case.order for case in cases))
        first = shop.compare(period)
        posted = {str(case.order["id"]) for case in cases if case.label == "post"}
        missing = {
            (str(case.order["id"]), f"held: {case.reason}")
            for case in cases
            if case.label == "hold" and case.reason not in LEFT_OUT
        }
        agreeing = {one.record for one in first.records if (one.kind, one.status) == ("invoice", "agree")}
        wrong = [f"invoice of order {record}: agrees or not, unlike its label" for record in agreeing ^ posted]
        named = {(one[1], one[4]) for one in first.differing if one[0] == "invoice"}
        wrong += [f"{record}: {cause}: said or not, unlike its label" for record, cause in named ^ missing]
        wrong += [
            f"payment {one[1]} {one[2]}: {one[4]}"
            for one in first.differing
            if one[0] == "payment" and not one[4].startswith("order: ")
        ]
        expected = _tamper(shop, first, tampered)
        said = {(one[0], one[1], one[2]) for one in shop.compare(period).differing - first.differing}
        wrong += [f"{' '.join(one)}: not said of what was tampered with" for one in sorted(expected - said)]
        return wrong + [f"{' '.join(one)}: said without reason" for one in sorted(said - expected)]


def _tamper(shop: Shop, found: Outcome, count: int) -> set[tuple[str, str, str]]:
    """Lower payments, delete invoices with their payments, and delete orders; kind, record and status of each."""
    payments = defaultdict(list)
    for one in found.records:
        if one.kind == "payment" and one.status == "agree":
            payments[one.order_id].append(one)
    paid = [
        one
        for one in found.records
        if (one.kind, one.status) == ("invoice", "agree")
        and payments[one.order_id]
        and all(each.books_amount is not None and each.books_amount > 1 for each in payments[one.order_id])
    ]
    clarity = shop.books.sandbox.state.clarity.lists
    expected: set[tuple[str, str, str]] = set()
    for place, invoice in enumerate(paid[:: max(1, len(paid) // (3 * count))][: 3 * count]):
        mine = payments[invoice.order_id]
        if place % 3 == 0:
            amount = {"amount": f"{(mine[0].books_amount or Decimal(0)) - 1:f}", "code": mine[0].books_currency}
            shop.person.update("payment", str(mine[0].books_id), {"amount": amount})
            expected |= {("invoice", invoice.record, "different"), ("payment", mine[0].record, "different")}
        elif place % 3 == 1:
            for each in mine:
                shop.person.delete("payment", str(each.books_id))
            shop.person.delete("invoice", str(invoice.books_id))
            expected |= {(one.kind, one.record, "missing") for one in (invoice, *mine)}
        else:
            with shop.books.sandbox.state.lock:
                del clarity["orders"][invoice.record]
                for each in mine:
                    clarity["payments"].pop(each.record, None)
            expected |= {(one.kind, str(one.books_id), "extra") for one in (invoice, *mine)}
    return expected


def main(arguments: Sequence[str]) -> int:
    """Try ORDERS orders of SEED by mapping alone, and each quarter of them (or BY_RUNNER) by runner and sandbox."""
    count, seed, *rest = (int(argument) for argument in [*arguments, *("10000", "1")[len(arguments) :]])
    by_runner = rest[0] if rest else count // len(ROUNDING_MODES)
    began = time.monotonic()
    cases = mixed(seed, count)
    found = try_drafts(cases, compile_spec(order_spec()))
    print(f"{count} orders by mapping alone: {found.posted} posted, {sum(found.held.values())} held", end=", ")
    print(f"{len(found.differences)} not as labelled ({time.monotonic() - began:.0f} s)")
    print(f"  held: {dict(sorted(found.held.items()))}")
    print(f"  with a rounding line: {dict(found.rounding_lines)}")
    print("".join(f"  {line}\n" for line in found.differences[:20]), end="", flush=True)
    wrong = list(found.differences)
    for position, mode in enumerate(ROUNDING_MODES):
        began = time.monotonic()
        with tempfile.TemporaryDirectory() as folder, running_sandbox(rounding=mode) as sandbox:
            books = Books(sandbox, Path(folder), mappings(Path(folder)), Policies(lock_date=LOCK_DATE))
            books.http_timeout_s, books.caps = 10.0, CapSettings(invoices=0, sum={})  # more than a first run may be
            part = cases[position * by_runner : (position + 1) * by_runner]
            differing = run_cases(books, part)
            misjudged = compare_books(books, part)
        print(
            f"{len(part)} orders by runner and sandbox rounding by {mode}: {len(differing)} not as labelled", end=", "
        )
        print(f"{len(misjudged)} misjudged by the reconciliation ({time.monotonic() - began:.0f} s)", flush=True)
        wrong += differing + misjudged
        print("".join(f"  {line}\n" for line in (differing + misjudged)[:20]), end="", flush=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
