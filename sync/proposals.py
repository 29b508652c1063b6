"""Corrections that wait for a person: what is proposed, who accepted or refused it and why, and what became of it.

A proposal is of one moment: what its record said and what the invoice was. When either has changed, accepting is
refused and the runner proposes afresh. What was refused comes back only when the record says something else.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, Final, Literal

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from connectors.http import dumps as wire_dumps
from sync import audit
from sync.envelope import loads
from sync.errors import InputError
from sync.inbox import redrive
from sync.masked import masked
from sync.prepared import Prepared
from sync.store import Store
from sync.store import inbox as inbox_table
from sync.store import proposal as table
from sync.store import record as record_table
from sync.times import iso

log = logging.getLogger(__name__)

State = Literal["proposed", "accepted", "writing", "done", "refused", "withdrawn"]
"""writing: accepted, and begun to be written. withdrawn: it has become pointless before anybody decided."""

OPEN: Final = ("proposed", "accepted", "writing")


@dataclass(frozen=True)
class Proposal:
    """One correction.

    Attributes:
        key: Natural key, e.g. "clarity:refund:77".
        said, basis: Digests of what the record says and of what the invoice was.
        snapshot: Digest of the whole record, as it was.
        weak: The source gave it no id of its own, so its key is made of the order's.
        content: ``{"title", "invoice", "ways"}``; each way with before and after, or with why it is not offered.
        way: The accepted one.
        plan: The exact request, from the moment on when it may have left.
        payment_id: That was lowered.
    """

    key: str
    record_key: str
    kind: str
    state: State
    said: str
    snapshot: str
    basis: str
    invoice_id: str
    amount: Decimal
    currency: str
    weak: bool
    content: dict[str, Any]
    transaction: str | None = None
    way: str | None = None
    plan: dict[str, Any] | None = None
    payment_id: str | None = None
    remote_id: str | None = None
    at: float = 0.0
    decided_at: float | None = None
    decided_by: str | None = None
    why: str | None = None

    @property
    def name(self) -> str:
        """What people call it by: the key without the connection."""
        return self.key.partition(":")[2]

    @property
    def offered(self) -> list[str]:
        """Names of the ways that can be accepted, the one that is proposed first."""
        return [way["name"] for way in self.content["ways"] if "why_not" not in way]

    @property
    def text(self) -> str:
        """For status and errors, with the command that decides."""
        first = next((way["does"] for way in self.content["ways"] if "why_not" not in way), None)
        proposed = f"proposed: {first}" if first else "no way is offered"
        # What an order's own flow says of an edit or a cancellation stands before it.
        title = f"{self.content['title']}; " if self.kind == "refund" else ""
        return f"{title}{proposed}: 'mapper-sync proposals show {self.name}'"

    def as_dict(self, *, whole: bool = False) -> dict[str, Any]:
        """JSON-ready; texts of the requests are covered unless `whole`."""
        ways = [way if whole or "request" not in way else _masked(way) for way in self.content["ways"]]
        return {
            "name": self.name,
            "record": self.record_key,
            "kind": self.kind,
            "state": self.state,
            "amount": str(self.amount),
            "currency": self.currency,
            "title": self.content["title"],
            "invoice": self.content["invoice"],
            "ways": ways,
            "way": self.way,
            "remote_id": self.remote_id,
            "at": iso(self.at),
            "decided_at": iso(self.decided_at),
            "decided_by": self.decided_by,
            "why": self.why,
        }


@dataclass(frozen=True)
class Lowered:
    """What accepted refunds have taken from one payment.

    Attributes:
        amount: Written for certain.
        under_way: Begun: it is taken already, or not yet.
        gone: All of it was taken, so that the payment was deleted.
    """

    amount: Decimal = Decimal(0)
    under_way: Decimal = Decimal(0)
    gone: bool = False

    def from_(self, booked: Decimal, stands: Decimal) -> Decimal:
        """What we left of a payment that was booked over `booked`, when it stands at `stands` now."""
        left = booked - self.amount
        return stands if self.under_way and stands == left - self.under_way else left


@dataclass(frozen=True)
class Checks:
    """Looks at FreshBooks before a proposal is accepted; without a connection the runner looks before it writes."""

    basis: Callable[[Proposal], str] | None = field(default=None)


def _masked(way: Mapping[str, Any]) -> dict[str, Any]:
    request = way["request"]
    return {**way, "request": {**request, "body": masked(request["body"])}}


_ONE = Prepared(sa.select(table).where(table.c.key == sa.bindparam("wanted")))
_OF_INVOICE = Prepared(sa.select(table).where(table.c.invoice_id == sa.bindparam("wanted")).order_by(table.c.key))


def get(store: Store, key: str) -> Proposal | None:
    """By its natural key."""
    rows = store.rows(_ONE, {"wanted": key})
    return _proposal(rows[0]) if rows else None


def of_invoice(store: Store, invoice_id: str) -> list[Proposal]:
    """All that were ever made of an invoice."""
    return [_proposal(row) for row in store.rows(_OF_INVOICE, {"wanted": invoice_id})]


def listed(store: Store, state: State | None = "proposed") -> list[Proposal]:
    """Those in a state, None for all, oldest first."""
    statement = sa.select(table).order_by(table.c.at, table.c.key)
    with store.read() as conn:
        rows = conn.execute(statement if state is None else statement.where(table.c.state == state)).all()
    return [_proposal(row) for row in rows]


def save(store: Store, proposal: Proposal) -> Proposal:
    """Propose, or propose afresh; what was decided about an earlier state of things does not count any more."""
    values = {
        **{name: getattr(proposal, name) for name in _PLAIN},
        "state": "proposed",
        "amount": str(proposal.amount),
        "content": wire_dumps(proposal.content),
        **dict.fromkeys(("way", "plan", "remote_id", "decided_at", "decided_by", "why")),
    }
    statement = store.insert(table).values(key=proposal.key, **values)
    same = sa.and_(table.c.said == proposal.said, table.c.basis == proposal.basis)
    kept = sa.or_(table.c.state.in_(("writing", "done")), sa.and_(table.c.state == "accepted", same))
    with store.write() as conn:
        conn.execute(statement.on_conflict_do_update(index_elements=["key"], set_=values, where=sa.not_(kept)))
    return proposal


def give_back(store: Store, proposal: Proposal, *, way: str | None = None, why: str = "") -> None:
    """What was begun is not written, for certain: it is worked out again, or a person decides again.

    Args:
        way: That is not offered any more, because of `why`; without one it stays accepted.
    """
    ways = [{"name": row["name"], "why_not": why} if row["name"] == way else row for row in proposal.content["ways"]]
    values: dict[str, Any] = {"state": "accepted", "plan": None}
    if way is not None:
        values |= {"state": "proposed", "way": None, "content": wire_dumps({**proposal.content, "ways": ways})}
    with store.write() as conn:
        conn.execute(sa.update(table).where(table.c.key == proposal.key, table.c.state == "writing").values(**values))


_PLAIN: Final = (
    *("record_key", "kind", "said", "snapshot", "basis", "invoice_id", "currency", "weak", "transaction"),
    *("payment_id", "at"),
)


def begin(store: Store, key: str, plan: Mapping[str, Any], *, payment_id: str | None) -> bool:
    """Keep the exact request before it leaves; False when it is not accepted any more."""
    accepted = sa.and_(table.c.key == key, table.c.state == "accepted")
    values = {"state": "writing", "plan": wire_dumps(plan), "payment_id": payment_id}
    with store.write() as conn:
        return conn.execute(sa.update(table).where(accepted).values(**values)).rowcount == 1


def finish(store: Store, proposal: Proposal, remote_id: str, *, now: float) -> None:
    """It is in the books; records that are held because of it are looked at again."""
    with store.write() as conn:
        conn.execute(sa.update(table).where(table.c.key == proposal.key).values(state="done", remote_id=remote_id))
        who = proposal.decided_by or "?"
        audit.add_in(
            conn,
            who=who,
            what="correction-written",
            subject=proposal.record_key,
            detail=f"{proposal.name} as {remote_id}",
            now=now,
        )


def left_of_payments(store: Store, invoice_id: str) -> dict[str, Lowered]:
    """What our own corrections made of an invoice's payments, by the payment's id."""
    found: dict[str, Lowered] = {}
    for one in of_invoice(store, invoice_id):
        if one.way != "lower_payment" or one.plan is None or one.payment_id is None:
            continue
        before, taken = found.get(one.payment_id, Lowered()), Decimal(one.plan["amount"])
        if one.state == "done":
            gone = before.gone or "vis_state" in one.plan["request"]["body"]
            found[one.payment_id] = replace(before, amount=before.amount + taken, gone=gone)
        elif one.state == "writing":
            found[one.payment_id] = replace(before, under_way=before.under_way + taken)
    return found


_BEGUN = Prepared(sa.select(table).where(table.c.state == "writing", table.c.record_key == sa.bindparam("wanted")))


def begun_edits(store: Store, record_key: str) -> list[Proposal]:
    """Accepted changes of an invoice that were begun and not noted as done."""
    found = [_proposal(row) for row in store.rows(_BEGUN, {"wanted": record_key})]
    return [one for one in found if one.way == "change_invoice"]


_DONE = Prepared(sa.select(table).where(table.c.state == "done", table.c.record_key == sa.bindparam("wanted")))


def done_of(store: Store, record_key: str) -> list[Proposal]:
    """What is in the books of a record's corrections."""
    return [_proposal(row) for row in store.rows(_DONE, {"wanted": record_key})]


def withdraw(store: Store, key: str) -> None:
    """It has become pointless, and nobody need decide any more."""
    undecided = sa.and_(table.c.key == key, table.c.state.in_(("proposed", "accepted")))
    with store.write() as conn:
        conn.execute(sa.update(table).where(undecided).values(state="withdrawn"))


def wake_held(store: Store, record_key: str, *, now: float) -> None:
    """Look at a record again when its newest event is held."""
    statement = (
        sa.select(inbox_table.c.state)
        .where(inbox_table.c.record_key == record_key, inbox_table.c.state.not_in(("ignored", "superseded")))
        .order_by(inbox_table.c.seq.desc())
        .limit(1)
    )
    rows = store.rows(statement)
    if rows and rows[0].state == "held":
        redrive(store, record_key, now=now)


def wake_payments(store: Store, lane_key: str, *, now: float) -> None:
    """Look again at held payments of a lane: what was too much may be due after an edit."""
    held = sa.and_(inbox_table.c.state == "held", inbox_table.c.entity == "payment", inbox_table.c.lane_key == lane_key)
    for row in store.rows(sa.select(inbox_table.c.record_key).where(held).distinct()):
        wake_held(store, row.record_key, now=now)


def accept(
    store: Store, name: str, *, way: str | None = None, who: str, now: float, checks: Checks | None = None
) -> Proposal:
    """Have a proposal executed by the runner, in one of its ways.

    Args:
        way: Its name; the one that stands first when None.

    Raises:
        InputError: No such proposal, no such way, or the record or the invoice has changed since.
    """
    proposal = one_called(store, name)
    chosen = way or next(iter(proposal.offered), None)
    if chosen not in proposal.offered:
        refused = {row["name"]: row["why_not"] for row in proposal.content["ways"] if "why_not" in row}
        if chosen in refused:
            raise InputError(f"{proposal.name}: {chosen} is not offered: {refused[chosen]}")
        known = ", ".join(proposal.offered) or "none; book it by hand, then refuse it with the reason"
        raise InputError(f"{proposal.name}: name a way with --way: {known}")
    changed = _changed(store, proposal, checks)
    if changed:
        redrive(store, proposal.record_key, now=now)
        raise InputError(f"{proposal.name}: {changed} since this was proposed; it is proposed afresh by the next run")
    with store.write() as conn:
        decided = {"state": "accepted", "way": chosen, "decided_at": now, "decided_by": who}
        _decide(conn, proposal, decided)
        audit.add_in(
            conn,
            who=who,
            what="accept-proposal",
            subject=proposal.record_key,
            detail=f"{proposal.name}: {chosen}",
            now=now,
        )
    log.warning("proposal accepted", extra={"proposal": proposal.name, "way": chosen, "by": who})
    redrive(store, proposal.record_key, now=now)
    return proposal


def refuse(store: Store, name: str, *, why: str, who: str, now: float) -> Proposal:
    """Leave the books as they are; it comes back only when the record says something else.

    Raises:
        InputError: No such proposal, or no reason.
    """
    proposal = one_called(store, name)
    if not why.strip():
        raise InputError("a refused proposal needs a reason: say why with --why")
    with store.write() as conn:
        _decide(conn, proposal, {"state": "refused", "decided_at": now, "decided_by": who, "why": why.strip()})
        audit.add_in(
            conn,
            who=who,
            what="refuse-proposal",
            subject=proposal.record_key,
            detail=f"{proposal.name}: {why.strip()}",
            now=now,
        )
    log.warning("proposal refused", extra={"proposal": proposal.name, "by": who})
    redrive(store, proposal.record_key, now=now)
    return proposal


def forget(conn: Connection, record_keys: Sequence[str]) -> None:
    """Nothing is left to decide about these records; of what was decided the texts go, amounts stay."""
    mine = table.c.record_key.in_(record_keys)
    conn.execute(sa.delete(table).where(mine, table.c.state.in_(("proposed", "accepted"))))
    conn.execute(sa.update(table).where(mine, table.c.why.is_not(None)).values(why="erased"))
    _erase_texts(conn, mine)


def erase_old(store: Store, *, before: float) -> int:
    """Erase the texts of what was decided before a time (unix seconds); of how many proposals."""
    with store.write() as conn:
        at = sa.func.coalesce(table.c.decided_at, table.c.at)
        return _erase_texts(conn, sa.and_(table.c.state.not_in(OPEN), at < before))


def _erase_texts(conn: Connection, chosen: sa.ColumnElement[bool]) -> int:
    """The requests that were shown; what was written as a credit note stays known by its lines, which name nobody."""
    with_texts = table.c.content.contains('"request":')
    rows = conn.execute(sa.select(table.c.key, table.c.content, table.c.plan).where(chosen, with_texts)).all()
    for row in rows:
        content, plan = loads(row.content), None if row.plan is None else loads(row.plan)
        ways = [{name: part for name, part in way.items() if name != "request"} for way in content["ways"]]
        values = {"content": wire_dumps({**content, "ways": ways})}
        if plan is not None and plan["name"] == "change_invoice":
            values["plan"] = wire_dumps({**plan, "request": {**plan["request"], "body": {}}})
        conn.execute(sa.update(table).where(table.c.key == row.key).values(**values))
    return len(rows)


def one_called(store: Store, name: str, *, state: State | None = "proposed") -> Proposal:
    """The one that a person means, by its name, its record or the number of its invoice.

    Raises:
        InputError: None in this state, or several.
    """
    wanted = name.strip()
    key = wanted.replace(" ", ":", 1).partition(" (")[0]
    rows = listed(store, state)
    found = [one for one in rows if wanted in (one.name, one.key)] or [
        one
        for one in rows
        if key == one.record_key or wanted in (one.name.partition(":")[2], one.content["invoice"]["number"])
    ]
    if len(found) == 1:
        return found[0]
    if found:
        raise InputError(f"{name!r} has several proposals: name one of {', '.join(one.name for one in found)}")
    what = "waits for a decision" if state == "proposed" else "is known"
    raise InputError(f"no proposal {name!r} {what}; 'mapper-sync proposals list --all' shows every one")


def _changed(store: Store, proposal: Proposal, checks: Checks | None) -> str:
    statement = sa.select(record_table.c.sha256).where(record_table.c.key == proposal.record_key)
    with store.read() as conn:
        newest = conn.scalar(statement)
    if newest != proposal.snapshot:
        return f"{proposal.record_key} has changed"
    if checks is not None and checks.basis is not None and checks.basis(proposal) != proposal.basis:
        return f"invoice {proposal.content['invoice']['number']} has changed in FreshBooks"
    return ""


def _decide(conn: Connection, proposal: Proposal, values: Mapping[str, Any]) -> None:
    same = sa.and_(table.c.key == proposal.key, table.c.state == "proposed", table.c.basis == proposal.basis)
    if conn.execute(sa.update(table).where(same).values(**values)).rowcount != 1:
        raise InputError(f"{proposal.name} was decided or proposed afresh in this moment; look at it again")


def _proposal(row: Row[Any]) -> Proposal:
    values = {column.name: getattr(row, column.name) for column in table.c}
    values["amount"] = Decimal(row.amount)
    values["content"] = loads(row.content)
    values["plan"] = None if row.plan is None else loads(row.plan)
    return Proposal(**values)
