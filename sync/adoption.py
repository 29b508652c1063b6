"""Hand-typed invoices are proposed for adoption instead of being doubled (rule 22).

Before an invoice is created for an order of the past, the client's invoices of about that day are looked at. One with
the same total and currency that is nobody's in the ledger and bears no other order's marker may be this very order,
typed in by hand. The order is held then, and a person says whether it is: nothing is adopted silently, and what is
adopted is only entered into the ledger, never changed.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from connectors.freshbooks import DELETED
from sync import audit
from sync.envelope import dumps, loads
from sync.errors import InputError, IntentOpenError
from sync.inbox import redrive
from sync.outcome import held
from sync.prepared import Prepared
from sync.store import Store
from sync.store import adoption as adoption_table
from sync.store import ledger as ledger_table

if TYPE_CHECKING:
    from sync.apply import Applier
    from sync.plan import Action

log = logging.getLogger(__name__)

_NEW_S: Final = 86_400.0
REASON: Final = "adoption-proposed"
BACKFILL: Final = "backfill"
"""Source of the events that bring the past: of `mapper-sync backfill` and of a first poll."""


@dataclass(frozen=True)
class Proposal:
    """An order that may have been invoiced by hand.

    Attributes:
        key: Natural key of the invoice that was not created.
        state: proposed, accepted or refused.
        wanted: What the order comes to: number, total, currency, date.
        candidates: FreshBooks invoices that fit: id, number, date, paid, draft.
        remote_id: The adopted one.
    """

    key: str
    record_key: str
    state: str
    wanted: dict[str, Any]
    candidates: list[dict[str, Any]]
    remote_id: str | None

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        shown = {name: self.wanted[name] for name in ("number", "total", "currency", "date", "client_id")}
        return {**vars(self), "wanted": shown}


def look(applier: Applier, action: Action, body: Mapping[str, Any]) -> None:
    """Before an invoice is created: raises EndedError (held) while a hand-typed one may be it."""
    context = applier.context
    check = context.settings.adoption.check
    if check == "never":
        return
    known = context.store.rows(_DECIDED, {"wanted": action.key})
    # What was proposed waits for its answer, whatever brings the order again.
    if not known and check == BACKFILL and applier.event.source != BACKFILL:
        return
    client_id = str(body["customerid"])
    if not client_id.isdigit() or _is_new(applier, client_id) or (known and known[0].state == "refused"):
        return
    found = _candidates(applier, action, body, client_id)
    if not found:
        return
    wanted = {
        "number": str(body["invoice_number"]),
        "total": str(action.total),
        "currency": action.currency,
        "date": str(body["create_date"]),
        "client_id": client_id,
        "content_hash": action.content_hash,
        "fields": dict(action.fields or {}),
        "source_version": applier.source_version,
        "spec_fingerprint": applier.spec_fingerprint,
    }
    values = {
        "record_key": applier.event.record_key,
        "state": "proposed",
        "wanted": dumps(wanted),
        "candidates": dumps(found),
        "at": applier.now,
    }
    statement = context.store.insert(adoption_table).values(key=action.key, **values)
    with context.store.write() as conn:
        conn.execute(statement.on_conflict_do_update(index_elements=["key"], set_=values))
    named = ", ".join(f"{row['number']} of {row['date']} (id {row['id']})" for row in found)
    which = "invoice" if len(found) == 1 else f"{len(found)} invoices"
    raise held(
        REASON,
        f"its client has the {which} {named} over the same {action.total} {action.currency}, typed in by hand as it"
        f" seems: 'mapper-sync adopt accept {applier.event.record_key}', or 'refuse' to post the order all the same",
    )


_DECIDED = Prepared(sa.select(adoption_table.c.state).where(adoption_table.c.key == sa.bindparam("wanted")))


def _is_new(applier: Applier, client_id: str) -> bool:
    """True for a client that we made just now: it had no invoices before."""
    known = applier.of_remote("client", client_id)
    return any(entry.phase == "created" and applier.now - entry.created_at < _NEW_S for entry in known)


def _candidates(applier: Applier, action: Action, body: Mapping[str, Any], client_id: str) -> list[dict[str, Any]]:
    context, day = applier.context, date.fromisoformat(str(body["create_date"]))
    near = timedelta(days=context.settings.adoption.days)
    filters = {  # the later end of a range is not part of it (facts §3)
        "customerid": client_id,
        "date_min": (day - near).isoformat(),
        "date_max": (day + near + timedelta(days=1)).isoformat(),
    }
    marker = str(body.get("notes") or "").partition("\n")[0]
    found = []
    for row in context.freshbooks.find("invoice", filters):
        if (
            str(row.get("customerid")) == client_id
            and row.get("vis_state") != DELETED
            and _same_money(row.get("amount"), action)
            and _is_near(row.get("create_date"), day, near)
            and not _is_anothers(row, marker, applier.event.number or str(body["invoice_number"]))
            and not applier.of_remote("invoice", str(row["id"]))
        ):
            paid = row.get("paid")
            found.append(
                {
                    "id": str(row["id"]),
                    "number": str(row.get("invoice_number")),
                    "date": str(row.get("create_date")),
                    "paid": str(paid.get("amount")) if isinstance(paid, Mapping) else None,
                    "draft": str(row.get("status")) == "1",
                }
            )
    return found


def _same_money(amount: Any, action: Action) -> bool:
    if not isinstance(amount, Mapping) or amount.get("code") != action.currency:
        return False
    try:
        return Decimal(str(amount.get("amount"))) == action.total
    except InvalidOperation:
        return False


def _is_near(text: Any, day: date, near: timedelta) -> bool:
    try:
        return abs(date.fromisoformat(str(text)[:10]) - day) <= near
    except ValueError:
        return False


def _is_anothers(row: Mapping[str, Any], marker: str, number: str) -> bool:
    """True when its notes bear the marker of another order: ours, differing where the number stands."""
    head, _, tail = marker.partition(number)
    if not head.strip() or head == marker:
        return False
    lines = str(row.get("notes") or "").splitlines()
    return any(line != marker and line.startswith(head) and line.endswith(tail) for line in lines[:1])


def proposals(store: Store, state: str | None = "proposed") -> list[Proposal]:
    """Proposals in a state, None for all, by record."""
    statement = sa.select(adoption_table).order_by(adoption_table.c.record_key)
    with store.read() as conn:
        rows = conn.execute(statement if state is None else statement.where(adoption_table.c.state == state)).all()
    return [_proposal(row) for row in rows]


def accept(store: Store, record: str, *, invoice: str | None = None, now: float, by: str | None = None) -> Proposal:
    """Enter a hand-typed invoice into the ledger as this order's, and let the order go on.

    Args:
        record: Record key, order number or natural key.
        invoice: FreshBooks' id, needed where several fit.

    Raises:
        InputError: No such proposal, several candidates and none named, or the invoice is another order's.
    """
    by = by or audit.os_user()
    proposal = _one(store, record)
    fitting = [row for row in proposal.candidates if invoice in (None, row["id"], row["number"])]
    if len(fitting) != 1:
        ids = ", ".join(row["id"] for row in proposal.candidates)
        raise InputError(f"{proposal.record_key}: name one of the invoices that fit with --invoice ID ({ids})")
    remote_id, wanted = fitting[0]["id"], proposal.wanted
    values: dict[str, Any] = {
        "entity": "invoice",
        "record_key": proposal.record_key,
        "state": "confirmed",
        "phase": "sent",
        "remote_id": remote_id,
        "content_hash": wanted["content_hash"],
        "source_version": wanted["source_version"],
        "spec_fingerprint": wanted["spec_fingerprint"],
        "total": wanted["total"],
        "currency": wanted["currency"],
        "detail": dumps({"fields": wanted["fields"], "adopted": True}),
        "at": now,
    }
    statement = store.insert(ledger_table).values(key=proposal.key, created_at=now, **values)
    free = ledger_table.c.state == "refused"
    grown = {"revision": ledger_table.c.revision + 1}  # whoever has looked before now may not write any more
    with store.write() as conn:
        mine = sa.and_(ledger_table.c.entity == "invoice", ledger_table.c.remote_id == remote_id)
        taken = conn.scalar(sa.select(ledger_table.c.key).where(mine))
        if taken is not None:
            raise InputError(f"{proposal.record_key}: invoice {remote_id} belongs to {taken} already; refuse this one")
        entered = conn.execute(
            statement.on_conflict_do_update(index_elements=["key"], set_={**values, **grown}, where=free).returning(
                ledger_table.c.key
            )
        ).one_or_none()
        if entered is None:
            raise IntentOpenError(f"{proposal.key}: the ledger has an invoice of this order meanwhile; refuse this one")
        _decide(conn, proposal, "accepted", remote_id, now=now, by=by)
    log.warning("hand-typed invoice adopted", extra={"key": proposal.key, "invoice": remote_id, "by": by})
    redrive(store, proposal.record_key, now=now)
    return proposal


def refuse(store: Store, record: str, *, now: float, by: str | None = None) -> Proposal:
    """Let the order be posted all the same.

    Raises:
        InputError: No such proposal.
    """
    by = by or audit.os_user()
    proposal = _one(store, record)
    with store.write() as conn:
        _decide(conn, proposal, "refused", None, now=now, by=by)
    log.warning("adoption refused", extra={"key": proposal.key, "by": by})
    redrive(store, proposal.record_key, now=now)
    return proposal


def certain(store: Store) -> list[Proposal]:
    """Proposals with exactly one candidate that no other proposal has: what may be accepted without naming it."""
    found = proposals(store)
    claims: dict[str, int] = {}
    for proposal in found:
        for row in proposal.candidates:
            claims[row["id"]] = claims.get(row["id"], 0) + 1
    return [one for one in found if len(one.candidates) == 1 and claims[one.candidates[0]["id"]] == 1]


def _decide(conn: Connection, proposal: Proposal, state: str, remote_id: str | None, *, now: float, by: str) -> None:
    decided = sa.update(adoption_table).where(adoption_table.c.key == proposal.key)
    conn.execute(decided.values(state=state, remote_id=remote_id, decided_at=now, decided_by=by))
    what = "accept-adoption" if state == "accepted" else "refuse-adoption"
    audit.add_in(conn, who=by, what=what, subject=proposal.record_key, detail=remote_id or "", now=now)


def _one(store: Store, record: str) -> Proposal:
    name = record.strip()
    key = name.replace(" ", ":", 1).partition(" (")[0]
    found = [one for one in proposals(store) if name in (one.key, one.wanted["number"]) or key == one.record_key]
    if len(found) != 1:
        raise InputError(f"no adoption is proposed for {record!r}; 'mapper-sync adopt list' shows those that are")
    return found[0]


def _proposal(row: Row[Any]) -> Proposal:
    candidates = json.loads(row.candidates)
    return Proposal(row.key, row.record_key, row.state, loads(row.wanted), candidates, row.remote_id)
