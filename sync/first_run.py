"""Caps on what a newly approved spec may invoice before somebody has looked at it (rule 22).

Every invoice that is to be created takes its place first, in one transaction that knows all places taken, so the caps
hold exactly however many workers there are. A repetition of the same invoice counts once. A spec whose fingerprint is
in the ledger already has had its first run.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from sync import audit
from sync.errors import InputError
from sync.inbox import redrive
from sync.outcome import EndedError, held
from sync.prepared import Prepared
from sync.settings import CapSettings
from sync.store import Store, first_run, first_run_use, inbox
from sync.store import ledger as ledger_table
from sync.store import spec as spec_table

log = logging.getLogger(__name__)

REASON: Final = "first-run-cap"


@dataclass(frozen=True)
class Use:
    """What a spec has taken of its caps.

    Attributes:
        state: "counting", or "lifted".
        sums: Totals by currency.
        lifted_by: Of whoever lifted them; None where there was nothing to lift.
    """

    fingerprint: str
    name: str
    state: str
    invoices: int
    sums: Mapping[str, Decimal]
    lifted_by: str | None

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready, amounts as text."""
        return {**vars(self), "sums": {code: f"{total:f}" for code, total in sorted(self.sums.items())}}


_Taken = tuple[int, Mapping[str, Decimal]]
_Rows = Callable[[Prepared, Mapping[str, Any]], Sequence[Any]]


class FirstRun:
    """The caps as one process applies them; safe to share between threads."""

    def __init__(self, store: Store, caps: CapSettings) -> None:
        self._store = store
        self._caps = caps
        self._lifted: set[str] = set()  # a lifted cap stays lifted, so it is asked for once
        # Places are taken and never given back, so their count names one state of them and need not be summed again.
        self._sums: dict[str, _Taken] = {}

    def check(self, fingerprint: str, name: str, key: str, total: Decimal, currency: str) -> None:
        """Before anything of an order is written: raises EndedError (held) when its invoice has no place any more."""
        if self.is_off(fingerprint):
            return
        rows = self._store.rows(_STATE, {"wanted": fingerprint})
        if not rows:
            return
        if rows[0].state == "lifted":
            self._lifted.add(fingerprint)
            return
        full = self._full(self._used(self._store.rows, fingerprint), total, currency)
        if full and not self._store.rows(_BEGUN, {"wanted": key}):
            raise _held(name, full)

    def place(self, fingerprint: str, name: str, key: str, total: Decimal, currency: str) -> Place:
        """The place of an invoice that is to be created."""
        return Place(self, fingerprint, name, key, total, currency)

    def is_off(self, fingerprint: str) -> bool:
        """Whether nothing is counted."""
        return fingerprint in self._lifted or (self._caps.invoices == 0 and not self._caps.sum)

    def state_in(self, conn: Connection, fingerprint: str, name: str, *, now: float) -> str:
        """Its state, with the row locked until the transaction ends."""
        state: str | None = _LOCKED_STATE(conn, {"wanted": fingerprint}).scalar()
        if state is None:
            known = ledger_table.c.spec_fingerprint == fingerprint
            used = sa.select(ledger_table.c.key).where(known, ledger_table.c.entity == "invoice", _POSTED).limit(1)
            begun = "lifted" if conn.scalar(used) is not None else "counting"
            values = {"fingerprint": fingerprint, "name": name, "state": begun, "since": now}
            conn.execute(self._store.insert(first_run).values(**values).on_conflict_do_nothing())
            state = _LOCKED_STATE(conn, {"wanted": fingerprint}).scalar()
        return str(state)

    def take_in(
        self, conn: Connection, fingerprint: str, key: str, total: Decimal, currency: str
    ) -> tuple[str | None, _Taken]:
        """Take a place where there is one; what it would exceed where there is none, and what is taken then."""
        taken = self._used(lambda statement, values: statement(conn, values).all(), fingerprint)
        full = self._full(taken, total, currency)
        if full is not None:
            return full, taken
        _TAKE(conn, {"key": key, "fingerprint": fingerprint, "total": str(total), "currency": currency})
        count, sums = taken
        return None, (count + 1, {**sums, currency: sums.get(currency, Decimal(0)) + total})

    def committed(self, fingerprint: str, taken: _Taken | None) -> None:
        """Remember what a transaction has made of the places, or that the caps are lifted."""
        if taken is None:
            self._lifted.add(fingerprint)
        else:
            self._sums[fingerprint] = taken

    def _full(self, taken: _Taken, total: Decimal, currency: str) -> str | None:
        """What an invoice of this total would exceed; None when it has a place."""
        count, sums = taken
        if self._caps.invoices and count >= self._caps.invoices:
            return f"{count} invoices"
        cap = self._caps.sum.get(currency)
        if cap is not None and sums.get(currency, Decimal(0)) + total > cap:
            return f"{cap:f} {currency} ({sums.get(currency, Decimal(0)):f} are invoiced, this one is {total:f})"
        return None

    def _used(self, rows: _Rows, fingerprint: str) -> _Taken:
        known = self._sums.get(fingerprint)
        if known is not None and rows(_COUNT, {"wanted": fingerprint})[0].taken == known[0]:
            return known
        return _summed(rows(_USES, {"wanted": fingerprint}))


class Place:
    """One invoice's place; taken by the transaction that commits its intent, so that no other can come between."""

    def __init__(self, desk: FirstRun, fingerprint: str, name: str, key: str, total: Decimal, currency: str) -> None:
        self._desk = desk
        self._fingerprint = fingerprint
        self._name = name
        self._key = key
        self._total = total
        self._currency = currency
        self._found: Callable[[], None] = _nothing

    def take(self, conn: Connection, *, now: float) -> EndedError | None:
        """Take it; what holds the invoice when there is none. May be run again by a transaction that is repeated."""
        desk, mark, self._found = self._desk, self._fingerprint, _nothing
        if desk.is_off(mark):
            return None
        if desk.state_in(conn, mark, self._name, now=now) == "lifted":
            self._found = lambda: desk.committed(mark, None)
            return None
        if _HAS_PLACE(conn, {"wanted": self._key}).first() is not None:
            return None
        full, taken = desk.take_in(conn, mark, self._key, self._total, self._currency)
        self._found = lambda: desk.committed(mark, taken)
        return None if full is None else _held(self._name, full)

    def taken(self) -> None:
        """To be called once that transaction is committed; the next look costs more without."""
        self._found()


def _nothing() -> None:
    """There is nothing to remember."""


_WANTED: Final = sa.bindparam("wanted", type_=sa.Text)
_OF_SPEC: Final = sa.select(first_run.c.state).where(first_run.c.fingerprint == _WANTED)
_STATE, _LOCKED_STATE = Prepared(_OF_SPEC), Prepared(_OF_SPEC.with_for_update())
_BEGUN: Final = Prepared(sa.select(ledger_table.c.key).where(ledger_table.c.key == _WANTED))
_HAS_PLACE: Final = Prepared(sa.select(first_run_use.c.key).where(first_run_use.c.key == _WANTED))
_COUNT: Final = Prepared(
    sa.select(sa.func.count().label("taken")).select_from(first_run_use).where(first_run_use.c.fingerprint == _WANTED)
)
_USES: Final = Prepared(
    sa.select(first_run_use.c.total, first_run_use.c.currency).where(first_run_use.c.fingerprint == _WANTED)
)
_TAKE: Final = Prepared(
    sa.insert(first_run_use).values({name: sa.bindparam(name) for name in ("key", "fingerprint", "total", "currency")})
)
_POSTED = ledger_table.c.remote_id.is_not(None)


def uses(store: Store) -> list[Use]:
    """What every spec has taken, by name."""
    with store.read() as conn:
        rows = conn.execute(sa.select(first_run).order_by(first_run.c.name, first_run.c.since)).all()
        return [
            Use(row.fingerprint, row.name, row.state, *_used(conn, row.fingerprint), lifted_by=row.lifted_by)
            for row in rows
        ]


def reached(store: Store) -> Sequence[str]:
    """Names of the specs that hold invoices because of their cap."""
    holding = sa.select(inbox.c.seq).where(_HELD_HERE).limit(1)
    counting = sa.select(first_run.c.name).where(first_run.c.state == "counting").distinct()
    with store.read() as conn:
        return list(conn.scalars(counting)) if conn.scalar(holding) is not None else []


def lift(store: Store, name: str, *, now: float, by: str | None = None) -> tuple[list[str], int]:
    """Lift the caps of a spec for good, under its name or fingerprint; what was held for them becomes due.

    Before its first invoice too, which is how a big first run is let through on purpose.

    Returns:
        The fingerprints, and how many records are tried again.

    Raises:
        InputError: No such spec has run here.
    """
    by = by or audit.os_user()
    with store.write() as conn:
        known = sa.or_(spec_table.c.name == name, spec_table.c.fingerprint.startswith(name, autoescape=True))
        ran = {row.fingerprint: row.name for row in conn.execute(sa.select(spec_table).where(known))}
        for fingerprint, title in ran.items():
            values = {"fingerprint": fingerprint, "name": title, "state": "counting", "since": now}
            conn.execute(store.insert(first_run).values(**values).on_conflict_do_nothing())
        mine = sa.or_(first_run.c.name == name, first_run.c.fingerprint.startswith(name, autoescape=True))
        counting = sa.and_(mine, first_run.c.state == "counting")
        found = list(conn.scalars(sa.select(first_run.c.fingerprint).where(counting)))
        there = conn.scalar(sa.select(first_run.c.fingerprint).where(mine).limit(1))
        conn.execute(sa.update(first_run).where(counting).values(state="lifted", lifted_at=now, lifted_by=by))
        if found:
            audit.add_in(conn, who=by, what="lift-caps", subject=name, now=now)
    if there is None:
        raise InputError(f"no spec {name!r} has run here; 'mapper-sync caps list' names those that have")
    log.warning("first-run cap lifted", extra={"spec": name, "by": by, "fingerprints": found})
    return found, len(set(redrive(store, None, reason=REASON, now=now)))


_HELD_HERE = sa.and_(inbox.c.state == "held", inbox.c.reasons.like(f'%"id": "{REASON}"%'))


def _used(conn: Connection, fingerprint: str) -> _Taken:
    return _summed(_USES(conn, {"wanted": fingerprint}).all())


def _summed(rows: Sequence[Any]) -> _Taken:
    sums: dict[str, Decimal] = {}
    for row in rows:
        sums[row.currency] = sums.get(row.currency, Decimal(0)) + Decimal(row.total)
    return len(rows), sums


def _held(name: str, full: str) -> EndedError:
    message = f"the first run of {name} is capped at {full}: look at them in FreshBooks, then"
    return held(REASON, f"{message} 'mapper-sync caps lift --spec {name}'")
