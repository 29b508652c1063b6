"""The ledger: the only proof of what exists at the other system, one row a natural key. And the attempts behind it.

A row is written with state ``intent`` and committed before any byte of a write leaves. Every function commits before
it returns. The row is also the lock: of two runners that mean to write the same key, one is refused.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.engine import Row

from connectors.scrub import scrub
from sync.envelope import dumps, loads
from sync.errors import IntentOpenError
from sync.masked import shown_key
from sync.store import Store
from sync.store import attempt as attempt_table
from sync.store import ledger as ledger_table

LedgerState = Literal["intent", "confirmed", "refused", "doubt", "held"]
LIVE: tuple[LedgerState, ...] = ("intent", "doubt")
"""States in which a write may be under way: nobody else begins one."""

MAX_ATTEMPT_CHARS = 64_000


@dataclass(frozen=True)
class Entry:
    """What is known of one remote object.

    Attributes:
        key: Natural key, e.g. "clarity:invoice:10045".
        entity: The target's, e.g. "invoice".
        record_key: Source record, e.g. "order:10045".
        phase: Free word of the flow for how far it got, e.g. "create", "sent".
        body_hash: Digest of the request body last meant or sent.
        content_hash: Digest of the content last confirmed at the other side.
        source_version: ``updatedAt`` that was written.
        spec_fingerprint: The approved spec behind the write.
        total: Amount, None where the object has none.
        detail: What the flow wants to remember; exact numbers.
        at: Last change of the row, unix seconds; for an intent: when it was opened.
    """

    key: str
    entity: str
    record_key: str
    state: LedgerState
    phase: str
    remote_id: str | None
    body_hash: str | None
    content_hash: str | None
    source_version: str | None
    spec_fingerprint: str | None
    total: Decimal | None
    currency: str | None
    detail: dict[str, Any]
    created_at: float
    at: float


@dataclass(frozen=True)
class Attempt:
    """One request that was tried; secrets and card data are removed."""

    key: str
    n: int
    at: float
    request: Any
    response: Any
    outcome: str


def get(store: Store, key: str) -> Entry | None:
    """The entry of a natural key."""
    with store.read() as conn:
        row = conn.execute(sa.select(ledger_table).where(ledger_table.c.key == key)).one_or_none()
    return None if row is None else _entry(row)


def known(store: Store, record_key: str) -> dict[str, Entry]:
    """All entries that came from one source record, by natural key."""
    return {entry.key: entry for entry in _entries(store, ledger_table.c.record_key == record_key)}


def list_by_prefix(store: Store, prefix: str) -> list[Entry]:
    """Entries whose natural key starts with a text, e.g. "clarity:payment:", by key."""
    return _entries(store, ledger_table.c.key.startswith(prefix, autoescape=True))


def of_remote(store: Store, entity: str, remote_id: str) -> list[Entry]:
    """Entries that stand for one remote object, by key."""
    return _entries(store, sa.and_(ledger_table.c.entity == entity, ledger_table.c.remote_id == remote_id))


def list_by_state(store: Store, *states: LedgerState) -> list[Entry]:
    """Entries in one of the states, by key."""
    return _entries(store, ledger_table.c.state.in_(states))


def open_intent(
    store: Store,
    key: str,
    *,
    entity: str,
    record_key: str,
    phase: str,
    body_hash: str | None = None,
    source_version: str | None = None,
    spec_fingerprint: str | None = None,
    total: Decimal | None = None,
    currency: str | None = None,
    detail: Mapping[str, Any] | None = None,
    now: float,
) -> Entry:
    """Commit that a write is about to be sent. What was confirmed before (remote id, content) is kept.

    Raises:
        IntentOpenError: A write of this key is under way or in doubt; settle that first with ``set_state``.
    """
    values: dict[str, Any] = {
        "record_key": record_key,
        "state": "intent",
        "phase": phase,
        "body_hash": body_hash,
        "source_version": source_version,
        "spec_fingerprint": spec_fingerprint,
        "at": now,
        **_amounts(total, currency),
    }
    if detail is not None:
        values["detail"] = dumps(detail)
    statement = store.insert(ledger_table).values(key=key, entity=entity, created_at=now, **values)
    statement = statement.on_conflict_do_update(
        index_elements=["key"], set_=values, where=ledger_table.c.state.not_in(LIVE)
    )
    with store.write() as conn:
        row = conn.execute(statement.returning(ledger_table)).one_or_none()
    if row is None:
        raise IntentOpenError(f"{shown_key(key)}: a write is under way or in doubt; look before writing again")
    return _entry(row)


def confirm(
    store: Store,
    key: str,
    *,
    remote_id: str,
    phase: str | None = None,
    content_hash: str | None = None,
    total: Decimal | None = None,
    currency: str | None = None,
    detail: Mapping[str, Any] | None = None,
    now: float,
) -> Entry:
    """Commit that the object exists at the other side. What is None stays as it was.

    Raises:
        KeyError: No intent was opened for this key.
    """
    return _change(
        store,
        key,
        "confirmed",
        remote_id=remote_id,
        phase=phase,
        content_hash=content_hash,
        total=total,
        currency=currency,
        detail=detail,
        now=now,
    )


def set_state(
    store: Store,
    key: str,
    state: LedgerState,
    *,
    phase: str | None = None,
    remote_id: str | None = None,
    detail: Mapping[str, Any] | None = None,
    expected: Sequence[LedgerState] | None = None,
    now: float,
) -> Entry:
    """Move an entry to another state.

    Args:
        expected: States it must be in; so that of two runners one is refused.

    Raises:
        KeyError: No such entry.
        IntentOpenError: It is in none of the expected states.
    """
    return _change(store, key, state, phase=phase, remote_id=remote_id, detail=detail, expected=expected, now=now)


def _change(
    store: Store,
    key: str,
    state: LedgerState,
    *,
    remote_id: str | None = None,
    phase: str | None = None,
    content_hash: str | None = None,
    total: Decimal | None = None,
    currency: str | None = None,
    detail: Mapping[str, Any] | None = None,
    expected: Sequence[LedgerState] | None = None,
    now: float,
) -> Entry:
    optional = {"remote_id": remote_id, "phase": phase, "content_hash": content_hash}
    values: dict[str, Any] = {name: value for name, value in optional.items() if value is not None}
    values |= {name: value for name, value in _amounts(total, currency).items() if value is not None}
    if detail is not None:
        values["detail"] = dumps(detail)
    statement = sa.update(ledger_table).where(ledger_table.c.key == key)
    if expected is not None:
        statement = statement.where(ledger_table.c.state.in_(tuple(expected)))
    with store.write() as conn:
        changed = statement.values(state=state, at=now, **values).returning(ledger_table)
        row = conn.execute(changed).one_or_none()
        exists = row is not None or conn.scalar(sa.select(ledger_table.c.key).where(ledger_table.c.key == key))
    if row is None and exists:
        raise IntentOpenError(f"{shown_key(key)}: its state has changed meanwhile; look again before deciding")
    if row is None:
        raise KeyError(key)
    return _entry(row)


def add_attempt(store: Store, key: str, *, request: Any, response: Any = None, outcome: str, now: float) -> int:
    """Record a request and what came of it, scrubbed and cut to size; the number of the attempt, from 1.

    Args:
        request: JSON-like, e.g. ``{"method", "path", "body"}``.
        outcome: Its class: "done", "not-applied", "doubt", ...
    """
    with store.write() as conn:
        last = conn.scalar(sa.select(sa.func.max(attempt_table.c.n)).where(attempt_table.c.key == key))
        number = (last or 0) + 1
        conn.execute(
            sa.insert(attempt_table).values(
                key=key,
                n=number,
                at=now,
                request=_clipped(request),
                response=None if response is None else _clipped(response),
                outcome=outcome,
            )
        )
    return number


def attempts(store: Store, key: str) -> list[Attempt]:
    """All attempts of a natural key, oldest first."""
    statement = sa.select(attempt_table).where(attempt_table.c.key == key).order_by(attempt_table.c.n)
    with store.read() as conn:
        rows = conn.execute(statement).all()
    return [
        Attempt(
            row.key,
            row.n,
            row.at,
            loads(row.request),
            None if row.response is None else loads(row.response),
            row.outcome,
        )
        for row in rows
    ]


def _clipped(value: Any) -> str:
    text = dumps(scrub(value))
    return text if len(text) <= MAX_ATTEMPT_CHARS else json.dumps(text[:MAX_ATTEMPT_CHARS])


def _amounts(total: Decimal | None, currency: str | None) -> dict[str, str | None]:
    return {"total": None if total is None else str(total), "currency": currency}


def _entries(store: Store, condition: sa.ColumnElement[bool]) -> list[Entry]:
    with store.read() as conn:
        rows = conn.execute(sa.select(ledger_table).where(condition).order_by(ledger_table.c.key)).all()
    return [_entry(row) for row in rows]


def _entry(row: Row[Any]) -> Entry:
    return Entry(
        key=row.key,
        entity=row.entity,
        record_key=row.record_key,
        state=row.state,
        phase=row.phase,
        remote_id=row.remote_id,
        body_hash=row.body_hash,
        content_hash=row.content_hash,
        source_version=row.source_version,
        spec_fingerprint=row.spec_fingerprint,
        total=None if row.total is None else Decimal(row.total),
        currency=row.currency,
        detail=loads(row.detail),
        created_at=row.created_at,
        at=row.at,
    )
