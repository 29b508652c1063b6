"""What the store says about the work: counts, sums, and every record that was not posted, with its reason."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from sync import control, records
from sync.budget import budgets
from sync.drift import drift_counts
from sync.engine.presence import processes
from sync.engine.turns import jobs_status
from sync.errors import StoreError
from sync.mends import mend_of
from sync.spec_safety import mapping_states
from sync.store import Store, inbox, open_store
from sync.store import ledger as ledger_table
from sync.store import note as note_table
from sync.times import iso

_Sum = tuple[str, str, str, int, Decimal | None]
_VERDICTS = ("held", "dead")
_SHOWN_STATES = ("pending", "done", "dead", "held", "skipped", "ignored", "superseded")


def read_status(url: str) -> dict[str, Any]:
    """The status of the store at a URL, which is opened for reading only.

    Raises:
        StoreError: There is no store.
    """
    store = open_store(url, read_only=True)
    try:
        return status(store)
    except sa.exc.DBAPIError:
        raise StoreError("the store cannot be read; was it written by another version?") from None
    finally:
        store.close()


def status(store: Store, *, most: int | None = None) -> dict[str, Any]:
    """Everything an operator asks for first; JSON-ready, amounts as text.

    ``held`` lists every record that was not posted: verdicts held and dead, records waiting for another one, and
    orders that were skipped without ever having been posted; ``kind`` tells which.

    Args:
        most: Events and notes that are looked at for each list, None for all of them; ``complete`` says whether that
            was enough. Counts and sums are always of everything.
    """
    columns = [column for column in inbox.c if column.name != "body"]
    aside = sa.or_(
        inbox.c.state.in_(_VERDICTS), sa.and_(inbox.c.state == "pending", inbox.c.fate.in_(("waiting", "retry")))
    )
    skipped = inbox.c.state == "skipped"
    with store.read() as conn:
        states = conn.execute(sa.select(inbox.c.state, sa.func.count()).group_by(inbox.c.state)).all()
        by_state: dict[str, int] = {row[0]: row[1] for row in states}
        open_rows = list(conn.execute(sa.select(*columns).where(aside).order_by(inbox.c.seq).limit(most)))
        left_out = list(conn.execute(sa.select(*columns).where(skipped).order_by(inbox.c.seq.desc()).limit(most)))
        posted = _posted(conn, most)
        totals = _totals(conn)
        named = conn.execute(
            sa.select(inbox.c.record_key, sa.func.max(inbox.c.number))
            .where(inbox.c.record_key.in_(sa.select(note_table.c.record_key).distinct().limit(most)))
            .group_by(inbox.c.record_key)
        )
        numbers: dict[str, str | None] = {row[0]: row[1] for row in named}
    said = records.notes(store, most=most)
    complete = most is None or max(len(open_rows), len(left_out), len(said)) < most
    open_rows = sorted([*open_rows, *left_out], key=lambda row: row.seq)
    pause = control.paused(store)
    return {
        "paused": None if pause is None else pause.as_dict(),
        "inbox": {name: by_state.get(name, 0) for name in _SHOWN_STATES},
        "complete": complete,
        "held": _held(open_rows, posted),
        "waiting": [
            {**_line(row, row.fate), "waits_for": row.waits_for, "due": iso(row.due)}
            for row in open_rows
            if row.state == "pending"
        ],
        "skipped": _skipped(open_rows, said, numbers),
        "unknown_skus": _unknown_skus(said, numbers),
        "notes": [
            {
                "record": _name(note.record_key, numbers.get(note.record_key)),
                "kind": note.kind,
                "subject": note.subject,
                "message": note.message,
            }
            for note in said
        ],
        "mappings": [{**vars(known), "since": iso(known.since), "text": known.text} for known in mapping_states(store)],
        "drift": drift_counts(store, now=time.time()),
        "ledger": _ledger(totals),
        "connections": {
            name: {"state": known.state, "reason": known.reason, "at": iso(known.at)}
            for name, known in records.connections(store).items()
        },
        "processes": processes(store, now=time.time()),
        "jobs": jobs_status(store, now=time.time()),
        "budget": budgets(store, now=time.time()),
    }


def grouped_errors(found: dict[str, Any]) -> list[dict[str, Any]]:
    """The held and dead records of a status, one group a reason, the largest first."""
    groups: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for line in found["held"]:
        if line["kind"] in _VERDICTS:
            groups[line["reason_id"], line["kind"]].append(line)
    ordered = sorted(groups.items(), key=lambda group: (-len(group[1]), group[0]))
    return [
        {
            "reason_id": reason_id,
            "kind": kind,
            "count": len(lines),
            "oldest": min((line["since"] for line in lines if line["since"]), default=None),
            "mend": mend_of(reason_id),
            "records": lines,
        }
        for (reason_id, kind), lines in ordered
    ]


def ledger_totals(store: Store, *, since: float) -> dict[str, Any]:
    """Counts and sums as in ``status()["ledger"]``, of the entries that changed at or after a time (unix seconds)."""
    with store.read() as conn:
        return _ledger(_totals(conn, ledger_table.c.at >= since))


def _posted(conn: Connection, most: int | None) -> set[str]:
    """Of the orders that were skipped at some time those that were posted, or done, at another."""
    skipped = sa.select(inbox.c.record_key).where(inbox.c.state == "skipped", inbox.c.entity == "order")
    orders = skipped.order_by(inbox.c.seq.desc()).limit(most)
    done = inbox.alias("done")
    # By the record and not by the index of states: nearly everything is done.
    finished = sa.select(done.c.record_key).where(done.c.record_key.in_(orders), done.c.state.concat("") == "done")
    invoiced = sa.select(ledger_table.c.record_key).where(
        ledger_table.c.record_key.in_(orders),
        ledger_table.c.entity.concat("") == "invoice",
        ledger_table.c.state.concat("") == "confirmed",
    )
    return {*conn.scalars(finished), *conn.scalars(invoiced)}


def _totals(conn: Connection, chosen: sa.ColumnElement[bool] | None = None) -> list[_Sum]:
    """Entity, state, currency, count and exact sum."""
    # SQLite has no decimals to add up. Equal amounts come as one row, in the order of the index, without sorting.
    columns = (ledger_table.c.entity, ledger_table.c.state, ledger_table.c.currency, ledger_table.c.total)
    statement = sa.select(*columns, sa.func.count()).group_by(*columns)
    rows = conn.execute(statement if chosen is None else statement.where(chosen))
    return [
        (row[0], row[1], row[2] or "", row[4], None if row[3] is None else Decimal(row[3]) * row[4]) for row in rows
    ]


def _held(rows: Any, posted: set[str]) -> list[dict[str, Any]]:
    newest: dict[str, Row[Any]] = {}
    for row in rows:
        # Without a record id every event stands for itself.
        key = row.record_key if row.record_id != "?" else f"{row.record_key}{row.seq}"
        if row.state == "pending" and row.fate != "waiting":
            continue
        if row.state == "skipped" and (
            row.entity != "order"
            or row.record_key in posted
            or (key in newest and newest[key].state != "skipped")  # a stale event does not lift a verdict
        ):
            continue
        newest[key] = row
    chosen = sorted(newest.values(), key=lambda row: row.seq)
    return [_line(row, "waiting" if row.state == "pending" else row.state) for row in chosen]


def _skipped(rows: Any, said: list[records.Note], numbers: dict[str, str | None]) -> list[dict[str, Any]]:
    newest = {row.record_key: _line(row, "skipped") for row in rows if row.state == "skipped"}
    notes = [
        {
            "record": _name(note.record_key, numbers.get(note.record_key)),
            "reason": note.message,
            "reason_id": note.kind,
            "kind": "note",
            "entity": note.record_key.partition(":")[0],
            "id": note.record_key.partition(":")[2],
            "number": numbers.get(note.record_key),
            "subject": note.subject,
        }
        for note in said
        if note.kind.endswith("-skipped")
    ]
    return [*newest.values(), *notes]


def _unknown_skus(said: list[records.Note], numbers: dict[str, str | None]) -> list[dict[str, Any]]:
    found: dict[str, list[str]] = defaultdict(list)
    for note in said:
        if note.kind == "unknown-sku":
            found[note.subject].append(_name(note.record_key, numbers.get(note.record_key)))
    return [{"sku": sku, "records": names} for sku, names in sorted(found.items())]


def _ledger(rows: Iterable[_Sum]) -> dict[str, Any]:
    counts: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    sums: dict[str, dict[str, Decimal]] = defaultdict(lambda: defaultdict(Decimal))
    for entity, state, currency, count, total in rows:
        counts[entity][state] += count
        if state == "confirmed" and currency and total is not None:
            sums[entity][currency] += total
    return {
        "counts": {entity: dict(sorted(states.items())) for entity, states in sorted(counts.items())},
        "sums": {
            entity: {currency: f"{amount:f}" for currency, amount in sorted(amounts.items())}
            for entity, amounts in sorted(sums.items())
        },
    }


def _line(row: Row[Any], kind: str) -> dict[str, Any]:
    reasons = json.loads(row.reasons)
    return {
        "record": _name(row.record_key, row.number),
        "reason": "; ".join(reason["message"] for reason in reasons) or "no reason was given",
        "reason_id": reasons[0]["id"] if reasons else "unknown",
        "kind": kind,
        "entity": row.entity,
        "id": row.record_id,
        "number": row.number,
        "since": iso(row.settled_at),
    }


def _name(record_key: str, number: str | None = None) -> str:
    entity, _, record_id = record_key.partition(":")
    return f"{entity} {record_id} ({number})" if number and number != record_id else f"{entity} {record_id}"
