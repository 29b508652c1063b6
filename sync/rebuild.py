"""A lost ledger, rebuilt from the markers that every write left in FreshBooks (rule 23).

Reads all pages, deleted and archived objects too, and enters what bears a marker under that marker. Which order it
belongs to is known when the order comes again: then the entry is claimed under its natural key, without a request
(`sync.found`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from itertools import islice
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from connectors.freshbooks import DELETED, FreshBooks, normalised
from mapspec import MappingSpec
from mapspec.ops.sources import Template
from sync import ledger, runner
from sync.envelope import dumps, loads
from sync.found import FOUND, UNKNOWN, by_email, first_line
from sync.settings import Settings
from sync.signin_state import with_sign_in
from sync.store import Store
from sync.store import ledger as ledger_table

_BATCH: Final = 100
_NOTES: Final = {"invoice": "notes", "payment": "note", "client": "note"}
_ENTITIES: Final = ("invoice", "payment", "client", "item")  # clients after the invoices that name them

Row = dict[str, Any]


@dataclass
class Found:
    """What FreshBooks holds of one entity.

    Attributes:
        read: Objects, deleted and archived ones included.
        marked: Entered into the ledger.
        known: Were in the ledger already.
        deleted: Of the marked ones.
        drafts: Of the marked ones: invoices nobody has sent.
        sums: Totals of the marked ones by currency.
    """

    read: int = 0
    marked: int = 0
    known: int = 0
    deleted: int = 0
    drafts: int = 0
    sums: dict[str, Decimal] = field(default_factory=dict)


@dataclass
class RebuildReport:
    """What was found; `ambiguous` are markers that several objects bear, `unmarked` entities without a marker."""

    dry_run: bool
    entities: dict[str, Found] = field(default_factory=dict)
    ambiguous: list[dict[str, Any]] = field(default_factory=list)
    unmarked: list[str] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        """0 all clear; 3 when something is ambiguous."""
        return 3 if self.ambiguous else 0

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready, amounts as text."""
        shown = {
            name: {**vars(one), "sums": {code: f"{total:f}" for code, total in sorted(one.sums.items())}}
            for name, one in self.entities.items()
        }
        return {
            "dry_run": self.dry_run,
            "entities": shown,
            "ambiguous": self.ambiguous,
            "unmarked": self.unmarked,
            "exit_code": self.exit_code,
        }

    def as_text(self) -> str:
        """For a terminal."""
        lines = []
        for name, one in self.entities.items():
            more = [f"{one.deleted} deleted" if one.deleted else "", f"{one.drafts} drafts" if one.drafts else ""]
            more += [f"{code} {total:f}" for code, total in sorted(one.sums.items())]
            extra = ", ".join(part for part in more if part)
            lines.append(
                f"{name}: {one.read} read, {one.marked} with our marker"
                + (f" ({extra})" if extra else "")
                + (f", {one.known} in the ledger already" if one.known else "")
            )
        for case in self.ambiguous:
            ids = ", ".join(case["ids"])
            lines.append(
                f"  ambiguous: {case['entity']} {case['marker']}: {ids}; its record will be held, decide there"
            )
        lines += [f"The mappings put no marker into {name}: none can be found." for name in self.unmarked]
        lines.append(
            "Dry run: the ledger is as it was."
            if self.dry_run
            else "What was found is claimed as its records come again; run or backfill as usual."
        )
        return "\n".join(lines)


def rebuild(
    settings: Settings,
    mappings_dir: Path,
    *,
    dry_run: bool = False,
    now: Callable[[], float] = time.time,
) -> RebuildReport:
    """Read FreshBooks and fill the ledger. May be repeated: what an earlier one found and nobody claimed goes first.

    Raises:
        SyncError, SpecError: As `runner.run`.
        ConnectorError: FreshBooks could not be read to the end; what was read so far is entered.
    """
    with runner.working(with_sign_in(settings), mappings_dir, dry_run=dry_run, now=now) as (context, _):
        specs = [approved.compiled.spec for approved in context.mappings.by_entity.values()]
        report = RebuildReport(dry_run)
        with context.store.write() as conn:
            conn.execute(sa.delete(ledger_table).where(ledger_table.c.key.startswith(FOUND, autoescape=True)))
        customers: set[str] = set()
        for entity in _ENTITIES:
            markers = prefixes(specs, entity)
            if entity in _NOTES and not markers:
                report.unmarked.append(entity)
                continue
            counts = report.entities.setdefault(entity, Found())
            known = _remote_ids(context.store, entity)
            for rows in _batches(_all(context.freshbooks, entity)):
                counts.read += len(rows)
                fresh = [row for row in rows if str(row["id"]) not in known]
                counts.known += len(rows) - len(fresh)
                if entity == "invoice":
                    customers |= {str(row.get("customerid")) for row in rows if _marked(entity, row, markers)}
                with context.store.write() as conn:
                    for row in fresh:
                        _enter(conn, context.store, entity, row, markers, customers, counts, now=now())
        report.ambiguous = _ambiguous(context.store)
    return report


def prefixes(specs: Iterable[MappingSpec], entity: str) -> tuple[str, ...]:
    """How the markers begin that the mappings write into an entity's notes: the fixed text before the first value."""
    member, found = _NOTES.get(entity), set[str]()
    for spec in specs:
        for address, rule in spec.fields.items():
            target, _, name = address.partition(".")
            if name == member and hasattr(rule, "steps") and spec.entity_of(target) == entity:
                for text in islice(_templates(rule.steps), 2):
                    found.add(text.partition("{")[0])
    return tuple(sorted(prefix for prefix in found if prefix.strip()))


def _templates(value: Any) -> Iterator[str]:
    if isinstance(value, Template):
        yield value.text
    elif isinstance(value, (tuple, list)):
        for part in value:
            yield from _templates(part)
    elif hasattr(value, "__dict__"):
        yield from _templates(tuple(vars(value).values()))


def _all(freshbooks: FreshBooks, entity: str) -> Iterator[Row]:
    yield from freshbooks.find(entity, {})
    yield from (row for row in freshbooks.find(entity, {}, vis_state=DELETED) if row.get("vis_state") == DELETED)


def _batches(rows: Iterable[Row]) -> Iterator[list[Row]]:
    remaining = iter(rows)
    while batch := list(islice(remaining, _BATCH)):
        yield batch


def _remote_ids(store: Store, entity: str) -> set[str]:
    where = sa.and_(ledger_table.c.entity == entity, ledger_table.c.remote_id.is_not(None))
    with store.read() as conn:
        return set(conn.scalars(sa.select(ledger_table.c.remote_id).where(where)))


def _marked(entity: str, row: Row, markers: tuple[str, ...]) -> str | None:
    """What identifies an object that bears our marker; None for one that is not ours."""
    if entity == "item":
        return normalised(str(row.get("sku") or "")) or None
    line = first_line(row.get(_NOTES[entity]))
    rest = next((line.removeprefix(prefix) for prefix in markers if line.startswith(prefix)), "").strip()
    if not rest:
        return None
    if entity != "invoice":
        return line
    number = str(row.get("invoice_number") or "")
    return number if rest in number or number in rest else None


def _enter(
    conn: Connection,
    store: Store,
    entity: str,
    row: Row,
    markers: tuple[str, ...],
    customers: set[str],
    counts: Found,
    *,
    now: float,
) -> None:
    marker, remote_id = _marked(entity, row, markers), str(row["id"])
    if marker is None and entity == "client" and remote_id in customers and row.get("email"):
        marker = by_email(str(row["email"]))  # a client of theirs that our invoices go to
    deleted = row.get("vis_state") == DELETED
    if marker is None or (deleted and entity in ("client", "item")):
        return  # a deleted client is for the search to find, which says what to do
    money = row.get("amount")
    total, currency = (_decimal(money.get("amount")), money.get("code")) if isinstance(money, Mapping) else (None, None)
    draft = entity == "invoice" and str(row.get("status")) == "1"
    detail: dict[str, Any] = {"rebuilt": True, "deleted": deleted, "draft": draft, "ids": [remote_id]}
    if entity == "payment":
        detail["invoice"] = str(row.get("invoiceid"))
    counts.marked += 1
    counts.deleted += deleted
    counts.drafts += draft and not deleted
    if total is not None and currency and not deleted:
        counts.sums[currency] = counts.sums.get(currency, Decimal(0)) + total
    key = f"{FOUND}{entity}:{marker}"
    there = conn.execute(sa.select(ledger_table).where(ledger_table.c.key == key)).one_or_none()
    if there is not None:
        before = loads(there.detail)
        if deleted and not before["deleted"]:
            return  # the living one counts
        if deleted == before["deleted"]:
            both = {**before, "ids": [*before["ids"], remote_id]}
            values = {"state": "held", "detail": dumps(both), "at": now}
            conn.execute(sa.update(ledger_table).where(ledger_table.c.key == key).values(**values))
            return
        conn.execute(sa.delete(ledger_table).where(ledger_table.c.key == key))
    conn.execute(
        sa.insert(ledger_table).values(
            key=key,
            entity=entity,
            record_key=f"{FOUND}{remote_id}",
            state="confirmed",
            phase=UNKNOWN,
            remote_id=remote_id,
            total=None if total is None else str(total),
            currency=currency,
            detail=dumps(detail),
            created_at=now,
            at=now,
        )
    )


def _ambiguous(store: Store) -> list[dict[str, Any]]:
    entries = [entry for entry in ledger.list_by_state(store, "held") if entry.key.startswith(FOUND)]
    return [
        {"entity": entry.entity, "marker": entry.key.split(":", 2)[2], "ids": entry.detail["ids"]} for entry in entries
    ]


def _decimal(value: Any) -> Decimal | None:
    try:
        return None if value is None else Decimal(str(value))
    except InvalidOperation:
        return None
