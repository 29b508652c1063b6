"""A shop and the person who decides about corrections of its books, shared by the tests of corrections."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from decimal import Decimal
from functools import cache
from types import SimpleNamespace
from typing import Any, cast

from connectors.profiles import load_profile
from connectors.registry import Known
from sync import flow, proposals
from sync.connections import open_clarity
from sync.corrections import checks
from sync.proposals import Proposal
from sync.reconcile.compare import Sources, compared
from sync.reconcile.period import Period
from sync.reconcile.report import Report
from sync.runner import run
from sync.store import open_store
from sync.worker import Flow
from tests.flows import MAPPINGS, Books, reasons
from tests.reconciling import MARCH, Outcome, Shop, opening

# What was approved does not change from run to run here.
_approved = cache(flow.load_mappings)
# As many requests a minute as a test needs.
HURRIED = Known("clarity-rest", "shipped", load_profile("clarity-rest").with_settings({"A10": 6000}))
APPROVED = cast(Flow, SimpleNamespace(load_mappings=_approved, process=flow.process))


class Desk(Shop):
    """A shop and the person who decides."""

    def decide(self, name: str, way: str | None = None, *, looks: bool = True) -> None:
        with self.opened() as store:
            checked = checks(store, self.person) if looks else None
            proposals.accept(store, name, way=way, who="ana", now=1.0, checks=checked)

    def refuse(self, name: str, why: str = "agreed otherwise") -> None:
        with self.opened() as store:
            proposals.refuse(store, name, why=why, who="ana", now=1.0)

    def proposed(self, state: str | None = "proposed") -> dict[str, Proposal]:
        with self.opened() as store:
            return {one.name: one for one in proposals.listed(store, state)}  # type: ignore[arg-type]

    def opened(self) -> Any:
        return closing(open_store(self.books.settings.store_url))

    def refund(self, number: int, amount: str, *, id: str = "", **more: Any) -> dict[str, Any]:  # noqa: A002
        at = "2026-03-20T09:00:00-05:00"
        found = {"id": id or f"r{number}", "orderId": str(number), "amount": amount, "currency": "USD", "createdAt": at}
        found |= {"updatedAt": at, "status": "completed", **more}
        with self.books.sandbox.state.lock:
            self.books.sandbox.state.clarity.put("refunds", found, silent=True)
        return found

    def run(self, *, dry_run: bool = False) -> dict[str, str]:
        asked = self.books.settings.model_copy(update={"source": HURRIED})
        self.report = run(asked, MAPPINGS, flow=APPROVED, dry_run=dry_run, max_wait_s=60)
        return reasons(self.report)

    def compare(self, period: Period = MARCH, **settings: Any) -> Outcome:
        asked, by_entity = self.settings(**settings), _approved(MAPPINGS).by_entity
        clarity = open_clarity(asked)
        assert clarity is not None
        with self.opened() as store, closing(clarity):
            sources = Sources(clarity, self.person, store, by_entity)
            with compared(asked, sources, period) as found:
                report = Report(found)
                return Outcome(report.exit_code, list(report.records()), report.groups, report.notes)

    def corrected(self) -> list[tuple[str, str, str]]:
        """Credit notes, lowered payments and changed invoices that FreshBooks took after the sales."""
        found = []
        for write in self.books.writes():
            for entity, body in write["body"].items():
                if entity == "credit_note":
                    found.append(("credit", body["credit_number"], total_of(body["lines"])))
                elif write["method"] == "PUT" and "action_mark_as_sent" not in body:
                    found.append(("change", entity, ",".join(sorted(body))))
        return found

    def credited(self) -> list[str]:
        return sorted(row["amount"]["amount"] for row in self.books.table("credit_note") if row["vis_state"] != 1)

    def paid(self, number: int) -> str:
        return str(self.invoice(number)["paid"]["amount"])

    def agrees(self, period: Period = MARCH) -> bool:
        return self.compare(period).differing == set()


def total_of(lines: list[Mapping[str, Any]]) -> str:
    return str(sum(Decimal(line["qty"]) * Decimal(line["unit_cost"]["amount"]) for line in lines))


@contextmanager
def desks(make_books: Callable[..., Books], **switches: Any) -> Iterator[Desk]:
    """A desk over a fresh sandbox."""
    with opening(make_books) as make:
        shop = make(**switches)
        yield Desk(shop.books, shop.person)
