"""The ledger: the only proof of what exists at the other system, one row a natural key. And the attempts behind it.

A row is written with state ``intent`` and committed before any byte of a write leaves. Every function commits before
it returns. The row is also the lock: of two runners that mean to write the same key, one is refused; and whoever looked
before writing is refused when the row changed since it looked (``seen``). Where two keys could mean one remote object,
such as two customers with one e-mail, they compete for a reservation as well.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Final, Literal, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row
from sqlalchemy.exc import IntegrityError

from connectors.scrub import scrub
from sync.carried import Carried
from sync.envelope import dumps, loads
from sync.errors import IntentOpenError
from sync.lanes import Event, proved, renew_in, uptime
from sync.masked import shown_key
from sync.prepared import Prepared
from sync.store import Store, insert_into
from sync.store import attempt as attempt_table
from sync.store import ledger as ledger_table
from sync.store import reservation as reservation_table

_T = TypeVar("_T")

LedgerState = Literal["intent", "confirmed", "refused", "doubt", "held"]
LIVE: tuple[LedgerState, ...] = ("intent", "doubt")
"""States in which a write may be under way: nobody else begins one."""

UNSURE: Final = "unsure"
"""Stands for the digest of what may or may not be at the other side; no digest equals it."""

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
        holder: The claim that began the last write (``Event.holder``).
        revision: Grows with every change of the row.
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
    holder: str | None = None
    revision: int = 0

    @property
    def changing(self) -> bool:
        """Whether a change of an object that is there was begun and has no known end."""
        return self.state in LIVE and "change" in self.detail

    @property
    def stands(self) -> bool:
        """Whether the object is there as far as is known, whatever its content."""
        return self.state == "confirmed" or self.changing


@dataclass(frozen=True)
class Reserved:
    """What is known of a reservation: the natural key that took it last, None when nobody did."""

    name: str
    key: str | None
    revision: int

    def taken(self, key: str) -> Reserved:
        """As it is once the key has taken it."""
        return Reserved(self.name, key, self.revision + 1)


@dataclass(frozen=True)
class Source:
    """Where the content of an object came from: source record, its ``updatedAt`` and the approved spec."""

    record_key: str | None = None
    version: str | None = None
    spec_fingerprint: str | None = None


@dataclass(frozen=True)
class Tried:
    """A request and what came of it, for the attempts.

    Attributes:
        request: JSON-like, e.g. ``{"method", "path", "body"}``.
        outcome: Its class: "done", "not-applied", "doubt", ...
    """

    request: Any
    outcome: str
    response: Any = None


ANY: Final = Entry("", "", "", "held", "", None, None, None, None, None, None, None, {}, 0.0, 0.0)
"""As ``seen``: whatever the row was."""


@dataclass(frozen=True)
class Attempt:
    """One request that was tried; secrets and card data are removed."""

    key: str
    n: int
    at: float
    request: Any
    response: Any
    outcome: str


_ENTRY = Prepared(sa.select(ledger_table).where(ledger_table.c.key == sa.bindparam("wanted")))


def get(store: Store, key: str) -> Entry | None:
    """The entry of a natural key."""
    rows = store.rows(_ENTRY, {"wanted": key})
    return _entry(rows[0]) if rows else None


def get_all(store: Store, keys: Sequence[str]) -> dict[str, Entry]:
    """The entries of some natural keys, those that are there."""
    rows = store.rows(_ENTRIES, {"wanted": json.dumps(list(keys))}) if keys else ()
    return {row.key: _entry(row) for row in rows}


def _of_keys(dialect: str) -> sa.Executable:
    """A list as one parameter, so that the statement's text is the same for any number of keys."""
    listed = sa.bindparam("wanted", type_=sa.Text)
    if dialect == "sqlite":
        keys = sa.func.json_each(listed).table_valued("value")
    else:
        keys = sa.func.json_array_elements_text(sa.cast(listed, sa.JSON)).table_valued("value")
    return sa.select(ledger_table).where(ledger_table.c.key.in_(sa.select(keys.c.value))).order_by(ledger_table.c.key)


_ENTRIES = Prepared(_of_keys)


def reservation(store: Store, name: str, key: str) -> Reserved:
    """Who took a reservation last; to be read before looking whether the remote object is there.

    Args:
        key: Who asks.

    Raises:
        IntentOpenError: Another key writes under it. What a look finds meanwhile proves nothing: the write may arrive,
            and be confirmed, after the look and before the reservation is taken.
    """
    rows = store.rows(_RESERVATION, {"wanted": name})
    if not rows:
        return Reserved(name, None, 0)
    if rows[0].key != key and rows[0].state in LIVE:
        other = shown_key(rows[0].key)
        raise IntentOpenError(f"{shown_key(key)}: {other} is being written, which may be the same record")
    return Reserved(name, rows[0].key, rows[0].revision)


def known(store: Store, record_key: str) -> dict[str, Entry]:
    """All entries that came from one source record, by natural key."""
    return {entry.key: entry for entry in _entries(store, ledger_table.c.record_key == record_key)}


def list_by_prefix(store: Store, prefix: str) -> list[Entry]:
    """Entries whose natural key starts with a text, e.g. "clarity:payment:", by key."""
    return _entries(store, ledger_table.c.key.startswith(prefix, autoescape=True))


def of_remote(store: Store, entity: str, remote_id: str) -> list[Entry]:
    """Entries that stand for one remote object, by key."""
    return [_entry(row) for row in store.rows(_OF_REMOTE, {"kind": entity, "its_id": remote_id})]


_OF_REMOTE = Prepared(
    sa.select(ledger_table)
    .where(ledger_table.c.entity == sa.bindparam("kind"), ledger_table.c.remote_id == sa.bindparam("its_id"))
    .order_by(ledger_table.c.key)
)


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
    seen: Entry | None = ANY,
    reserved: Reserved | None = None,
    event: Event | None = None,
    gate: Gate | None = None,
    now: float,
) -> Entry:
    """Commit that a write is about to be sent. What was confirmed before (remote id, content) is kept.

    Args:
        seen: The row as it was before the caller looked at the other side; None for none.
        reserved: The reservation as it was then; the key takes it.
        event: Its lane's lease is renewed by the same commit, which takes along what the event carries.
        gate: Asked first in the same transaction.

    Raises:
        IntentOpenError: A write of this key is under way or in doubt; or its row, or the reservation, has changed
            since the caller looked.
        LaneLostError: Another worker has the event's lane.
        Exception: What the gate told.
    """
    values = {
        "key": key,
        "entity": entity,
        "record_key": record_key,
        "phase": phase,
        "body_hash": body_hash,
        "source_version": source_version,
        "spec_fingerprint": spec_fingerprint,
        "detail": None if detail is None else dumps(detail),
        "at": now,
        "holder": None if event is None else event.holder,
        **_amounts(total, currency),
        "seen_revision": -1 if seen is None else None if seen is ANY else seen.revision,
    }

    def opened(conn: Connection) -> Row[Any]:
        if event is not None:
            renew_in(conn, event, now=now)
        if reserved is not None:
            _take(conn, reserved, key)
        row: Row[Any] | None = _OPEN(conn, values).first()
        if row is None:
            raise IntentOpenError(f"{shown_key(key)}: a write is under way or in doubt; look before writing again")
        return row

    up = uptime()
    row = _through(store, event, gate, opened)
    if event is not None:
        proved(event, now=now, up=up)
    return _entry(row)


Gate = Callable[[Connection], Exception | None]
"""Says why a write may not be begun, None when it may; what it writes is committed either way."""


def _through(
    store: Store, event: Event | None, gate: Gate | None, opened: Callable[[Connection], Row[Any]]
) -> Row[Any]:
    def asked(conn: Connection) -> tuple[Exception | None, Row[Any] | None]:
        closed = None if gate is None else gate(conn)
        return closed, None if closed is not None else opened(conn)

    closed, row = _commit(store, None if event is None else event.carried, asked)
    if row is None:
        raise closed or AssertionError("not reached")
    return row


def _commit(store: Store, carried: Carried | None, work: Callable[[Connection], _T]) -> _T:
    return store.transact(work) if carried is None else carried.commit(store, work)


def _opening(dialect: str) -> sa.Executable:
    told = {
        name: sa.bindparam(name, type_=ledger_table.c[name].type)
        for name in (
            "record_key",
            "phase",
            "body_hash",
            "source_version",
            "spec_fingerprint",
            "at",
            "holder",
            "total",
            "currency",
        )
    }
    detail = sa.bindparam("detail", type_=sa.Text)
    return (
        insert_into(ledger_table, dialect)
        .values(
            key=sa.bindparam("key"),
            entity=sa.bindparam("entity"),
            state="intent",
            created_at=sa.bindparam("at"),
            revision=1,
            detail=sa.func.coalesce(detail, "{}"),
            **told,
        )
        .on_conflict_do_update(
            index_elements=["key"],
            set_={
                **told,
                "state": "intent",
                "detail": sa.func.coalesce(detail, ledger_table.c.detail),
                "revision": ledger_table.c.revision + 1,
            },
            where=sa.and_(*(ledger_table.c.state != live for live in LIVE), _as_seen()),
        )
        .returning(ledger_table)
    )


def _as_seen() -> sa.ColumnElement[bool]:
    """The row is as the caller saw it; -1: it saw none, None: it does not matter."""
    seen = sa.bindparam("seen_revision", type_=ledger_table.c.revision.type)
    return sa.or_(seen.is_(None), ledger_table.c.revision == seen)


_OPEN = Prepared(_opening)


def renew_intent(
    store: Store,
    entry: Entry,
    event: Event,
    *,
    detail: Mapping[str, Any] | None = None,
    reserved: Reserved | None = None,
    gate: Gate | None = None,
    now: float,
) -> Entry:
    """Commit that a write is about to be sent and leave all that is known as it is.

    It is the write of an open intent, nothing of which has left before, or a change of an object that is there. The
    lane's lease is renewed by the same commit, which takes along what the event carries.

    Args:
        reserved: As for `open_intent`.

    Raises:
        IntentOpenError: Somebody else has changed the row, or taken the reservation.
        LaneLostError: Another worker has the event's lane.
        Exception: What the gate told.
    """
    values = {
        "wanted": entry.key,
        "seen_revision": entry.revision,
        "now": now,
        "by": event.holder,
        "to_detail": None if detail is None else dumps(detail),
    }

    def opened(conn: Connection) -> Row[Any]:
        renew_in(conn, event, now=now)
        if reserved is not None:
            _take(conn, reserved, entry.key)
        row: Row[Any] | None = _RENEW(conn, values).first()
        if row is None:
            raise IntentOpenError(f"{shown_key(entry.key)}: another runner has taken this write over")
        return row

    up = uptime()
    row = _through(store, event, gate, opened)
    proved(event, now=now, up=up)
    return _entry(row)


_RENEW = Prepared(
    sa.update(ledger_table)
    .where(ledger_table.c.key == sa.bindparam("wanted"), _as_seen())
    .values(
        state="intent",
        at=sa.bindparam("now"),
        holder=sa.bindparam("by"),
        detail=sa.func.coalesce(sa.bindparam("to_detail", type_=sa.Text), ledger_table.c.detail),
        revision=ledger_table.c.revision + 1,
    )
    .returning(ledger_table)
)


def _take(conn: Connection, reserved: Reserved, key: str) -> None:
    if _RESERVE(conn, {"name": reserved.name, "key": key, "seen": reserved.revision}).first() is not None:
        return
    raise IntentOpenError(f"{shown_key(key)}: another record that may be the same was written meanwhile; looking again")


def _reserving(dialect: str) -> sa.Executable:
    names: dict[str, Any] = {name: sa.bindparam(name) for name in ("name", "key")}
    taken = insert_into(reservation_table, dialect).values(revision=1, **names)
    return taken.on_conflict_do_update(
        index_elements=["name"],
        set_={"key": taken.excluded.key, "revision": reservation_table.c.revision + 1},
        where=reservation_table.c.revision == sa.bindparam("seen"),
    ).returning(reservation_table.c.name)


_RESERVE = Prepared(_reserving)
_RESERVED = sa.select(reservation_table).where(reservation_table.c.name == sa.bindparam("wanted"))
_RESERVATION = Prepared(
    _RESERVED.add_columns(ledger_table.c.state).outerjoin_from(
        reservation_table, ledger_table, ledger_table.c.key == reservation_table.c.key
    )
)
_STATE = Prepared(sa.select(ledger_table.c.state).where(ledger_table.c.key == sa.bindparam("wanted")))


def confirm(
    store: Store,
    key: str,
    *,
    remote_id: str,
    phase: str | None = None,
    content_hash: str | None = None,
    source: Source | None = None,
    total: Decimal | None = None,
    currency: str | None = None,
    detail: Mapping[str, Any] | None = None,
    seen: Entry = ANY,
    tried: Tried | None = None,
    carried: Carried | None = None,
    now: float,
) -> Entry:
    """Commit that the object exists at the other side. What is None stays as it was.

    Args:
        seen: The row as the caller knows it.
        tried: Recorded with it.
        carried: Taken along by the same commit.

    Raises:
        KeyError: No intent was opened for this key.
        IntentOpenError: The row has changed since; what was tried is recorded all the same.
    """
    wanted = Change("confirmed", phase, remote_id, content_hash, source, total, currency, detail)
    return change(store, key, wanted, seen=seen, tried=tried, carried=carried, now=now)


def confirm_later(
    carried: Carried, seen: Entry, wanted: Change, *, tried: Tried | None, lost: Lost, now: float
) -> Entry:
    """Carry what became of a write until the event's next commit; the row as it will be.

    Args:
        seen: The row as the caller knows it.
        tried: Recorded with it.
        lost: Asked what it means that the row has changed since.
    """
    values = _change_values(seen.key, wanted, seen=seen, now=now)

    def told(conn: Connection) -> Exception | None:
        if tried is not None:
            _add_attempt(conn, seen.key, tried, now=now)
        if _CHANGE(conn, values).first() is not None:
            return None
        there = _ENTRY(conn, {"wanted": seen.key}).first()
        return lost(None if there is None else _entry(there))

    carried.add(told)
    return wanted.of(seen, now=now)


Lost = Callable[[Entry | None], Exception | None]
"""Takes the row as somebody else has made it, and says what is to be raised; None when all is well."""


def rekey(store: Store, entry: Entry, key: str, *, now: float) -> Entry:
    """Give an entry and its attempts another natural key.

    Raises:
        IntentOpenError: Its row has changed, or the key is taken.
    """
    moved = (
        sa.update(ledger_table)
        .where(ledger_table.c.key == entry.key, ledger_table.c.revision == entry.revision)
        .values(key=key, at=now, revision=ledger_table.c.revision + 1)
    )

    def renamed(conn: Connection) -> bool:
        if conn.execute(moved).rowcount != 1:
            return False
        conn.execute(sa.update(attempt_table).where(attempt_table.c.key == entry.key).values(key=key))
        return True

    try:
        done = store.transact(renamed)
    except IntegrityError:
        done = False
    there = get(store, key)
    if not done or there is None:
        raise IntentOpenError(f"{shown_key(entry.key)}: it was changed or its new key taken meanwhile; looking again")
    return there


def set_state(
    store: Store,
    key: str,
    state: LedgerState,
    *,
    phase: str | None = None,
    remote_id: str | None = None,
    content_hash: str | None = None,
    source: Source | None = None,
    detail: Mapping[str, Any] | None = None,
    expected: Sequence[LedgerState] | None = None,
    seen: Entry = ANY,
    tried: Tried | None = None,
    carried: Carried | None = None,
    now: float,
) -> Entry:
    """Move an entry to another state.

    Args:
        expected: States it must be in; so that of two runners one is refused.
        seen: The row as the caller knows it.
        tried: Recorded with it.
        carried: Taken along by the same commit.

    Raises:
        KeyError: No such entry.
        IntentOpenError: It is in none of the expected states, or has changed; what was tried is recorded all the same.
    """
    wanted = Change(state, phase, remote_id, content_hash, source, detail=detail)
    return change(store, key, wanted, expected=expected, seen=seen, tried=tried, carried=carried, now=now)


@dataclass(frozen=True)
class Change:
    """What a row becomes; what is None stays as it was."""

    state: LedgerState
    phase: str | None = None
    remote_id: str | None = None
    content_hash: str | None = None
    source: Source | None = None
    total: Decimal | None = None
    currency: str | None = None
    detail: Mapping[str, Any] | None = None

    def of(self, entry: Entry, *, now: float) -> Entry:
        """The row after the change."""
        source = self.source or Source()
        told = {
            "phase": self.phase,
            "remote_id": self.remote_id,
            "content_hash": self.content_hash,
            "record_key": source.record_key,
            "source_version": source.version,
            "spec_fingerprint": source.spec_fingerprint,
            "total": self.total,
            "currency": self.currency,
            "detail": None if self.detail is None else dict(self.detail),
        }
        changed: dict[str, Any] = {name: value for name, value in told.items() if value is not None}
        return replace(entry, state=self.state, at=now, revision=entry.revision + 1, **changed)


def _change_values(key: str, wanted: Change, *, seen: Entry, now: float) -> dict[str, Any]:
    source = wanted.source or Source()
    return {
        "wanted": key,
        "to_state": wanted.state,
        "now": now,
        "to_remote_id": wanted.remote_id,
        "to_phase": wanted.phase,
        "to_content_hash": wanted.content_hash,
        "to_record_key": source.record_key,
        "to_source_version": source.version,
        "to_spec_fingerprint": source.spec_fingerprint,
        "to_detail": None if wanted.detail is None else dumps(wanted.detail),
        "seen_revision": None if seen is ANY else seen.revision,
        **{f"to_{name}": value for name, value in _amounts(wanted.total, wanted.currency).items()},
    }


def change(
    store: Store,
    key: str,
    wanted: Change,
    *,
    expected: Sequence[LedgerState] | None = None,
    seen: Entry = ANY,
    tried: Tried | None = None,
    carried: Carried | None = None,
    now: float,
) -> Entry:
    """Commit a change of an entry; see `confirm` and `set_state`."""
    values = _change_values(key, wanted, seen=seen, now=now)

    def changed(conn: Connection) -> tuple[Row[Any] | None, bool]:
        if tried is not None:
            _add_attempt(conn, key, tried, now=now)
        row = None if _is_none_of(conn, key, expected) else _CHANGE(conn, values).first()
        return row, row is not None or _STATE(conn, {"wanted": key}).scalar() is not None

    row, exists = _commit(store, carried, changed)
    if row is None and exists:
        raise IntentOpenError(f"{shown_key(key)}: its state has changed meanwhile; look again before deciding")
    if row is None:
        raise KeyError(key)
    return _entry(row)


def _is_none_of(conn: Connection, key: str, expected: Sequence[LedgerState] | None) -> bool:
    """Whether the row is in another state than expected; it stays as it is until the transaction ends."""
    return expected is not None and _LOCKED_STATE(conn, {"wanted": key}).scalar() not in expected


_LOCKED_STATE = Prepared(
    sa.select(ledger_table.c.state).where(ledger_table.c.key == sa.bindparam("wanted")).with_for_update()
)
_CHANGE = Prepared(
    sa.update(ledger_table)
    .where(ledger_table.c.key == sa.bindparam("wanted"), _as_seen())
    .values(
        state=sa.bindparam("to_state"),
        at=sa.bindparam("now"),
        revision=ledger_table.c.revision + 1,
        **{
            name: sa.func.coalesce(sa.bindparam(f"to_{name}", type_=sa.Text), ledger_table.c[name])
            for name in (
                "record_key",
                "phase",
                "remote_id",
                "content_hash",
                "source_version",
                "spec_fingerprint",
                "total",
                "currency",
                "detail",
            )
        },
    )
    .returning(ledger_table)
)


def add_attempt(store: Store, key: str, *, request: Any, response: Any = None, outcome: str, now: float) -> int:
    """Record a request and what came of it, scrubbed and cut to size; the number of the attempt, from 1."""
    return store.transact(lambda conn: _add_attempt(conn, key, Tried(request, outcome, response), now=now))


def _add_attempt(conn: Connection, key: str, tried: Tried, *, now: float) -> int:
    values = {
        "key": key,
        "at": now,
        "request": _clipped(tried.request),
        "response": None if tried.response is None else _clipped(tried.response),
        "outcome": tried.outcome,
    }
    while True:
        added = _ADD_ATTEMPT(conn, values).first()
        # Two workers may change one remote object, an invoice for instance, from two lanes.
        if added is not None:
            return int(added.n)


def _adding(dialect: str) -> sa.Executable:
    last = sa.select(sa.func.max(attempt_table.c.n)).where(attempt_table.c.key == sa.bindparam("key"))
    told: dict[str, Any] = {column.name: sa.bindparam(column.name) for column in attempt_table.c if column.name != "n"}
    fresh = insert_into(attempt_table, dialect).values(n=sa.func.coalesce(last.scalar_subquery(), 0) + 1, **told)
    return fresh.on_conflict_do_nothing().returning(attempt_table.c.n)


_ADD_ATTEMPT = Prepared(_adding)


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
    return [_entry(row) for row in store.rows(sa.select(ledger_table).where(condition).order_by(ledger_table.c.key))]


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
        holder=row.holder,
        revision=row.revision,
    )
