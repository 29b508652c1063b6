"""What the store says about the work: counts, sums, and every record that was not posted, with its reason."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Row

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


def status(store: Store) -> dict[str, Any]:
    """Everything an operator asks for first; JSON-ready, amounts as text.

    ``held`` lists every record that was not posted: verdicts held and dead, records waiting for another one, and
    orders that were skipped without ever having been posted; ``kind`` tells which.
    """
    with store.read() as conn:
        states = conn.execute(sa.select(inbox.c.state, sa.func.count()).group_by(inbox.c.state)).all()
        by_state: dict[str, int] = {row[0]: row[1] for row in states}
        open_rows = conn.execute(
            sa.select(inbox)
            .with_only_columns(*[column for column in inbox.c if column.name != "body"])
            .where(
                sa.or_(
                    inbox.c.state.in_((*_VERDICTS, "skipped")),
                    sa.and_(inbox.c.state == "pending", inbox.c.fate.in_(("waiting", "retry"))),
                )
            )
            .order_by(inbox.c.seq)
        ).all()
        ledger_rows = conn.execute(
            sa.select(
                ledger_table.c.entity,
                ledger_table.c.state,
                ledger_table.c.record_key,
                ledger_table.c.total,
                ledger_table.c.currency,
            )
        ).all()
        done = conn.scalars(sa.select(inbox.c.record_key).where(inbox.c.state == "done").distinct()).all()
        named = conn.execute(
            sa.select(inbox.c.record_key, sa.func.max(inbox.c.number))
            .where(inbox.c.record_key.in_(sa.select(note_table.c.record_key)))
            .group_by(inbox.c.record_key)
        )
        numbers: dict[str, str | None] = {row[0]: row[1] for row in named}
    posted = {row.record_key for row in ledger_rows if row.state == "confirmed" and row.entity == "invoice"}
    said = records.notes(store)
    pause = control.paused(store)
    return {
        "paused": None if pause is None else pause.as_dict(),
        "inbox": {name: by_state.get(name, 0) for name in _SHOWN_STATES},
        "held": _held(open_rows, posted | set(done)),
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
        "ledger": _ledger(ledger_rows),
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
    columns = (ledger_table.c.entity, ledger_table.c.state, ledger_table.c.total, ledger_table.c.currency)
    with store.read() as conn:
        rows = conn.execute(sa.select(*columns).where(ledger_table.c.at >= since)).all()
    return _ledger(rows)


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


def _ledger(rows: Any) -> dict[str, Any]:
    counts: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    sums: dict[str, dict[str, Decimal]] = defaultdict(lambda: defaultdict(Decimal))
    for row in rows:
        counts[row.entity][row.state] += 1
        if row.state == "confirmed" and row.total is not None and row.currency:
            sums[row.entity][row.currency] += Decimal(row.total)
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
