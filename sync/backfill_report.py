"""What a backfill did, or would do: counts, requests, and sums by currency and month, kept small whatever the past."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from sync import inbox
from sync.adoption import proposals
from sync.store import Store
from sync.store import ledger as ledger_table


@dataclass(frozen=True)
class BackfillProgress:
    """How far it is.

    Attributes:
        read: Rows of this entity so far, with those before an interruption.
        total: Rows there are; None when the source does not say.
        rate: Rows a second, of all entities.
        left_s: Seconds left for this entity at that rate.
    """

    entity: str
    read: int
    total: int | None
    settled: int
    new: int
    rate: float
    left_s: float | None


@dataclass
class Counts:
    """Rows of one entity.

    Attributes:
        resumed_at: How many an interrupted backfill had read before.
        outside: Dated outside the span.
        settled: Known here already in this version.
        new: Brought into the inbox.
    """

    resumed_at: int = 0
    read: int = 0
    outside: int = 0
    settled: int = 0
    new: int = 0


@dataclass
class BackfillReport:
    """The whole of it.

    Attributes:
        fates: Outcomes by fate; an event that was retried counts every time.
        requests: Of a dry run: writes that would be sent, by method and entity.
        months: Of a dry run: entity -> month -> currency -> count and total of what would be created.
        totals: Of a real run: counts and sums of the ledger entries that changed meanwhile.
        proposed: Adoptions that wait for a person, in all.
        open: Records that are not posted, by state.
        stopped: Why it ended early.
    """

    run_id: str
    dry_run: bool
    began: float
    entities: dict[str, Counts] = field(default_factory=dict)
    fates: dict[str, int] = field(default_factory=dict)
    requests: dict[str, int] = field(default_factory=dict)
    months: dict[str, dict[str, dict[str, list[Any]]]] = field(default_factory=dict)
    totals: dict[str, Any] = field(default_factory=dict)
    proposed: int = 0
    open: dict[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    stopped: str | None = None
    elapsed_s: float = 0.0

    @property
    def exit_code(self) -> int:
        """0 done; 1 ended early, or Clarity could not be read; 3 done, with records set aside."""
        if self.stopped is not None or self.problems or self.open.get("pending"):
            return 1
        return 3 if self.open.get("held") or self.open.get("dead") or self.open.get("waiting") else 0

    def of(self, entity: str) -> Counts:
        """The counts of an entity."""
        return self.entities.setdefault(entity, Counts())

    def count(self, fates: Mapping[str, int]) -> None:
        """Add outcomes."""
        for fate, number in fates.items():
            self.fates[fate] = self.fates.get(fate, 0) + number

    def take_planned(self, planned: list[dict[str, Any]]) -> None:
        """Count what a dry run would send, and empty the list, so that it never grows."""
        for request in planned:
            entity = str(request["entity"])
            name = f"{request['method']} {entity}"
            self.requests[name] = self.requests.get(name, 0) + 1
            total, currency = request.get("total"), request.get("currency")
            if total is None or not currency:
                continue
            body = request["body"].get(entity, {})
            month = str(body.get("create_date") or body.get("date") or "unknown")[:7]
            cell = self.months.setdefault(entity, {}).setdefault(month, {}).setdefault(currency, [0, Decimal(0)])
            cell[0] += 1
            cell[1] += Decimal(total)
        planned.clear()

    def close(self, store: Store, *, elapsed_s: float) -> None:
        """Take from the store what is told at the end."""
        self.elapsed_s = elapsed_s
        states = inbox.counts(store)
        to_do = inbox.count_to_do(store)
        self.open = {name: states.get(name, 0) for name in ("held", "dead")}
        self.open |= {"pending": to_do, "waiting": states.get("pending", 0) - to_do}
        self.proposed = len(proposals(store))
        if not self.dry_run:
            self.totals = _totals(store, since=self.began)

    def as_dict(self) -> dict[str, Any]:
        """For ``--json``; amounts as text."""
        months = {
            entity: {
                month: {code: {"count": cell[0], "total": f"{cell[1]:f}"} for code, cell in sorted(by_code.items())}
                for month, by_code in sorted(by_month.items())
            }
            for entity, by_month in self.months.items()
        }
        return {
            "run_id": self.run_id,
            "dry_run": self.dry_run,
            "entities": {name: vars(counts) for name, counts in self.entities.items()},
            "fates": self.fates,
            "requests": {**self.requests, "all": sum(self.requests.values())} if self.dry_run else {},
            "months": months,
            "totals": self.totals,
            "adoptions_proposed": self.proposed,
            "open": self.open,
            "problems": self.problems,
            "stopped": self.stopped,
            "elapsed_s": Decimal(f"{self.elapsed_s:.1f}"),
            "exit_code": self.exit_code,
        }

    def as_text(self) -> str:
        """For a terminal."""
        lines = []
        for name, one in self.entities.items():
            resumed = f", going on after {one.resumed_at}" if one.resumed_at else ""
            lines.append(
                f"{name}: {one.read} read{resumed}; {one.settled} settled before, {one.new} new, {one.outside} outside"
            )
        if self.fates:
            lines.append("Worked on: " + ", ".join(f"{number} {fate}" for fate, number in sorted(self.fates.items())))
        if self.dry_run:
            lines.append(f"Dry run: {sum(self.requests.values())} requests planned, nothing written.")
            lines += [f"  {number:>7} {name}" for name, number in sorted(self.requests.items())]
            for entity, by_month in self.months.items():
                for month, by_code in sorted(by_month.items()):
                    sums = "; ".join(f"{cell[0]} over {code} {cell[1]:f}" for code, cell in sorted(by_code.items()))
                    lines.append(f"  {entity} {month}: {sums}")
        for entity, states in self.totals.get("counts", {}).items():
            sums = "; ".join(f"{code} {total}" for code, total in self.totals["sums"].get(entity, {}).items())
            lines.append(f"  {entity}: " + ", ".join(f"{n} {state}" for state, n in states.items()) + f"  {sums}")
        waiting = ", ".join(f"{number} {state}" for state, number in self.open.items() if number)
        if waiting:
            lines.append(f"Not posted: {waiting} ('mapper-sync errors' tells why)")
        if self.proposed:
            lines.append(f"{self.proposed} hand-typed invoices are proposed for adoption: 'mapper-sync adopt list'")
        return "\n".join(lines or ["Nothing was there to read."])


def _totals(store: Store, *, since: float) -> dict[str, Any]:
    """As `status.ledger_totals`, row by row."""
    counts: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    sums: dict[str, dict[str, Decimal]] = defaultdict(lambda: defaultdict(Decimal))
    columns = (ledger_table.c.entity, ledger_table.c.state, ledger_table.c.total, ledger_table.c.currency)
    with store.read() as conn:
        rows = conn.execution_options(yield_per=1000).execute(sa.select(*columns).where(ledger_table.c.at >= since))
        for entity, state, total, currency in rows:
            counts[entity][state] += 1
            if state == "confirmed" and total is not None and currency:
                sums[entity][currency] += Decimal(total)
    return {
        "counts": {entity: dict(sorted(states.items())) for entity, states in sorted(counts.items())},
        "sums": {entity: {code: f"{total:f}" for code, total in sorted(by.items())} for entity, by in sums.items()},
    }
