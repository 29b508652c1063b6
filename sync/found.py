"""What a rebuild found in FreshBooks, and how the records it belongs to take it over as they come again.

An entry stands under the marker that the object bears until its record is mapped: then it gets its natural key, without
a request. What two objects bear is held for a person, and so is what differs from what the source says, because nobody
knows any more who changed it.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from connectors.freshbooks import normalised
from sync import ledger
from sync.envelope import dumps
from sync.errors import IntentOpenError
from sync.masked import shown_key
from sync.outcome import held
from sync.store import Store
from sync.store import ledger as ledger_table

if TYPE_CHECKING:
    from sync.apply import Applier
    from sync.ledger import Entry
    from sync.plan import Action

log = logging.getLogger(__name__)

FOUND: Final = "found:"
"""Begins the keys of what was found and not claimed yet; natural keys begin with the connection's name."""

UNKNOWN: Final = "rebuilt"
"""Stands for a digest that nobody knows any more; no digest equals it."""


def first_line(text: Any) -> str:
    """The line that bears the marker."""
    return str(text or "").strip().partition("\n")[0].strip()


def by_email(email: str) -> str:
    """A client's e-mail as a marker that shows none."""
    return f"email:{hashlib.sha256(normalised(email).encode()).hexdigest()[:24]}"


def has_found(store: Store) -> bool:
    """Whether a rebuild has left something to be claimed."""
    with store.read() as conn:
        statement = sa.select(ledger_table.c.key).where(ledger_table.c.key.startswith(FOUND, autoescape=True))
        return conn.scalar(statement.limit(1)) is not None


def claim(applier: Applier, action: Action) -> None:
    """Before an action whose key the ledger does not know: take over what a rebuild found under its marker.

    Raises:
        EndedError: Several objects bear the marker, or what is there differs from what the source says.
    """
    context = applier.context
    if action.body is None or not action.key or not context.rebuilt or applier.entry(action.key) is not None:
        return
    for marker in _markers(action):
        entry = ledger.get(context.store, f"{FOUND}{action.entity}:{marker}")
        if entry is None:
            continue
        if entry.state == "held":
            ids = ", ".join(entry.detail["ids"])
            message = f"FreshBooks has several records of kind {action.entity} with this one's marker ({ids}): keep one"
            raise held("rebuilt-ambiguous", f"{message}, then rebuild again")
        _take(applier, action, entry)
        return


def _markers(action: Action) -> Iterator[str]:
    body = action.body or {}
    if action.entity == "invoice":
        yield str(body.get("invoice_number"))
    elif action.entity == "item":
        yield normalised(str(body.get("sku") or ""))
    else:
        yield first_line(body.get("note"))
        if action.entity == "client" and body.get("email"):
            yield by_email(str(body["email"]))


def _take(applier: Applier, action: Action, entry: Entry) -> None:
    fields = dict(action.fields or {})
    same = action.entity != "invoice" or (entry.total == action.total and entry.currency == action.currency)
    state, phase = "confirmed", "adopted"
    if action.entity == "invoice":
        state, phase = ("held", "created") if entry.detail["draft"] and not same else ("confirmed", "sent")
        phase = "agreed" if entry.detail["draft"] and same and not entry.detail["deleted"] else phase
    known = action.entity == "payment" or (action.entity == "invoice" and same)
    if not known:  # whoever changed it since: a difference is for a person to decide
        fields = {**fields, "lines": UNKNOWN} if action.entity == "invoice" else dict.fromkeys(fields, UNKNOWN)
    detail = {**entry.detail, "fields": fields, "weak": action.weak_key}
    statement = (
        sa.update(ledger_table)
        .where(ledger_table.c.key == entry.key, ledger_table.c.revision == entry.revision)
        .values(
            key=action.key,
            revision=ledger_table.c.revision + 1,
            record_key=applier.event.record_key,
            state=state,
            phase=phase,
            content_hash=action.content_hash if known else UNKNOWN,
            source_version=applier.source_version if known else None,
            spec_fingerprint=applier.spec_fingerprint,
            detail=dumps(detail),
            at=applier.now,
        )
    )
    store, shown = applier.context.store, shown_key(action.key)
    try:
        claimed = store.transact(lambda conn: conn.execute(statement).rowcount == 1)
    except IntegrityError:
        claimed = False
    there = ledger.get(store, action.key)
    if not claimed or there is None:
        raise IntentOpenError(f"{shown}: what a rebuild found of it was claimed by another record; looking again")
    applier.enter(there)
    log.info("claimed after a rebuild", extra={"key": shown})
    what = f"invoice {entry.remote_id} of this order"
    if action.entity == "invoice" and entry.detail["deleted"]:
        raise held("invoice-deleted", f"{what} was deleted in FreshBooks: decide")
    if state == "held":
        raise held(
            "total-differs",
            f"{what} is a draft over {entry.total} {entry.currency} in FreshBooks, the order comes to"
            f" {action.total} {action.currency}",
        )
