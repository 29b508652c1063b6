"""Everything the store knows of one record, in order: deliveries, snapshot, plan, attempts, ledger, people's deeds."""

from __future__ import annotations

import json
from typing import Any, Final, Literal

import sqlalchemy as sa

from mapspec import SpecError, compile_spec, load_spec
from sync import audit, ledger, records, skips
from sync.envelope import loads
from sync.masked import masked, shown_key
from sync.mends import mend_of
from sync.outcome import EndedError
from sync.plan import plan_actions
from sync.store import Store
from sync.store import inbox as inbox_table
from sync.store import note as note_table
from sync.store import spec as spec_table
from sync.times import iso

_RELATED: Final = 20
Payloads = Literal["none", "masked", "whole"]


def story(store: Store, record: str, *, payloads: Payloads = "none") -> dict[str, Any]:
    """The story of a record; JSON-ready.

    Args:
        record: Record key or number; of an order and its payments that have one number, the order is meant.
        payloads: Whether bodies are left out, shown with customer values covered, or shown as they are.

    Raises:
        InputError: No such record, or several.
    """
    with store.read() as conn:
        key = skips.one_called(conn, record, rather="order")
        rows = conn.execute(
            sa.select(inbox_table).where(inbox_table.c.record_key == key).order_by(inbox_table.c.seq)
        ).all()
        number = next((row.number for row in reversed(rows) if row.number), None)
        related = conn.scalars(
            sa.select(inbox_table.c.record_key)
            .where(inbox_table.c.number == number, inbox_table.c.record_key != key, inbox_table.c.record_id != "?")
            .distinct()
            .limit(_RELATED)
        ).all()
        said = conn.execute(
            sa.select(note_table).where(note_table.c.record_key == key).order_by(note_table.c.kind)
        ).all()
    snapshot = records.latest(store, key)
    entries = ledger.known(store, key)
    return {
        "record": key,
        "number": number,
        "related": sorted(related),
        "deliveries": [
            {
                "at": iso(row.received_at),
                "from": row.source,
                "event": row.event,
                "version": row.version,
                "state": row.state,
                "tries": row.attempts,
                "settled": iso(row.settled_at),
                "reasons": _reasons(row.reasons),
                **_payload(payloads, lambda row=row: loads(row.body)),
            }
            for row in rows
        ],
        "snapshot": None
        if snapshot is None
        else {
            "version": snapshot.version,
            "sha256": snapshot.sha256,
            **_payload(payloads, lambda: snapshot.payload),
        },
        "plan": None if snapshot is None else _plan(store, snapshot, payloads),
        "ledger": [
            {
                "key": shown_key(entry.key),
                "state": entry.state,
                "phase": entry.phase,
                "remote_id": entry.remote_id,
                "total": None if entry.total is None else f"{entry.total:f}",
                "currency": entry.currency,
                "spec": entry.spec_fingerprint,
                "version": entry.source_version,
                "at": iso(entry.at),
            }
            for entry in entries.values()
        ],
        "attempts": [
            {
                "key": shown_key(attempt.key),
                "n": attempt.n,
                "at": iso(attempt.at),
                "outcome": attempt.outcome,
                "request": _shown_request(attempt.request, payloads),
                **_payload(payloads, lambda attempt=attempt: attempt.response, name="response"),
            }
            for entry in entries.values()
            for attempt in ledger.attempts(store, entry.key)
        ],
        "notes": [{"kind": row.kind, "message": row.message, "mend": mend_of(row.kind)} for row in said],
        "mappings": _mappings(store, {entry.spec_fingerprint for entry in entries.values()}),
        "by hand": [deed.as_dict() for deed in reversed(audit.deeds(store, subject=key))],
    }


def _reasons(text: str) -> list[dict[str, str]]:
    return [{**reason, "mend": mend_of(reason["id"])} for reason in json.loads(text)]


def _payload(payloads: Payloads, read: Any, name: str = "payload") -> dict[str, Any]:
    if payloads == "none":
        return {}
    value = read()
    return {name: value if payloads == "whole" else masked(value)}


def _shown_request(request: Any, payloads: Payloads) -> Any:
    if payloads == "whole" or not isinstance(request, dict):
        return request if payloads == "whole" else masked(request)
    if payloads == "masked":
        return masked(request) | {"method": request.get("method")}
    return {name: request.get(name) for name in ("method", "entity", "id") if name in request}


def _plan(store: Store, snapshot: records.Snapshot, payloads: Payloads) -> dict[str, Any] | None:
    """What the approved mapping that last ran makes of the snapshot; no server is asked."""
    if not snapshot.payload:
        return None  # erased after the time for keeping it
    approved = _spec_of(store, snapshot.entity)
    if approved is None:
        return None
    fingerprint, spec = approved
    draft = compile_spec(spec).apply(snapshot.payload)
    try:
        actions = plan_actions(spec, draft) if draft.decision == "go" else []
    except EndedError as ended:
        return {"spec": fingerprint, "decision": "hold", "reasons": [vars(r) for r in ended.outcome.reasons]}
    return {
        "spec": fingerprint,
        "decision": draft.decision,
        "reasons": [{"id": reason.id, "message": reason.message} for reason in draft.reasons],
        "actions": [
            {
                "do": action.kind,
                "entity": action.entity,
                "key": shown_key(action.key),
                "total": None if action.total is None else f"{action.total:f}",
                "currency": action.currency,
            }
            for action in actions
        ],
    }


def _mappings(store: Store, fingerprints: set[str | None]) -> dict[str, str]:
    """Which version of which mapping a fingerprint is, as people say it: clarity-freshbooks/order-to-invoice v3."""
    with store.read() as conn:
        rows = conn.execute(
            sa.select(spec_table).where(spec_table.c.fingerprint.in_([one for one in fingerprints if one]))
        ).all()
    found = {}
    for row in rows:
        try:
            found[row.fingerprint] = f"{row.name} v{load_spec(row.text).version}"
        except SpecError:  # written by another version
            found[row.fingerprint] = row.name
    return found


def _spec_of(store: Store, entity: str) -> tuple[str, Any] | None:
    with store.read() as conn:
        rows = conn.execute(sa.select(spec_table).order_by(spec_table.c.at.desc())).all()
    correction: tuple[str, Any] | None = None  # of an entity that nothing else takes
    for row in rows:
        try:
            spec = load_spec(row.text)
        except SpecError:  # written by another version
            continue
        if spec.source.entity == entity and not spec.corrects:
            return row.fingerprint, spec
        if spec.source.entity == entity and correction is None:
            correction = row.fingerprint, spec
    return correction
