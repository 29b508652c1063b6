"""Records that end at their source: deleted, deactivated, or merged into another. What was made of them is left, or
archived where the policy says so; nothing is deleted, and a client that owes something is not archived.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from connectors.freshbooks import ACTIVE, ARCHIVED
from mapspec import Reason
from sync import clients, ledger
from sync.outcome import Outcome, held, later
from sync.plan import Action, natural_key
from sync.upserts import Upserter

if TYPE_CHECKING:
    from sync.apply import Applier
    from sync.ledger import Entry

KEPT_UP: Final = {"customer": "client", "product": "item"}
"""Source entities whose targets end with them; of an order that ends, a person decides."""


def merged_into(applier: Applier, payload: Mapping[str, Any] | None) -> str | None:
    """The id of the customer that this one was merged into; None for one that was not."""
    event, member = applier.event, applier.context.settings.reading.merged_into
    other = (payload or {}).get(member) if event.entity == "customer" else None
    if isinstance(other, bool) or not isinstance(other, str | int) or not str(other).strip():
        return None
    return None if str(other).strip() == event.record_id else str(other).strip()


def of_merged(applier: Applier, into: str, version: str | None) -> Outcome:
    """What becomes of a customer that was merged into another: its key leads to the other's client from now on.

    Raises:
        EndedError: A person has to decide.
    """
    upserter = Upserter(applier)
    gone = _bare("client", natural_key("client", applier.event.record_id))
    _known(applier, gone)
    before = applier.entry(gone.key)
    entry, other = clients.merge(upserter, gone, _bare("client", natural_key("client", into)))
    reason = Reason("customer-merged", f"the customer was merged into customer {into}")
    if entry is None or other is None:
        return Outcome("skipped", (replace(reason, message=f"{reason.message}; neither has a client yet"),))
    if before is not None and before.remote_id not in (None, other.remote_id):
        _end(upserter, gone, entry, version)
    return Outcome("done")


def of_ended(applier: Applier, *, number: str | None, version: str | None, reason: Reason) -> Outcome:
    """What becomes of a record that was deleted or deactivated.

    Args:
        number: What people call it, where its target's key may be made of it: a product's SKU.
        version: When it ended, as its source says; what the source said before does not bring it back.
        reason: Why it ended.

    Raises:
        EndedError: A person has to decide.
    """
    entity, exact = KEPT_UP[applier.event.entity], applier.context.exact_skus
    keys = [natural_key(entity, text, exact_skus=exact) for text in (applier.event.record_id, number) if text]
    known = list(ledger.known(applier.context.store, applier.event.record_key).values())
    found = {entry.key: entry for entry in (*known, *ledger.get_all(applier.context.store, keys).values())}
    mine = [entry for entry in found.values() if entry.entity == entity and is_of(entry, applier.event.record_key)]
    if not mine:
        return Outcome("skipped", (reason,))
    told = end_all(Upserter(applier), mine, version)
    return (
        Outcome("done") if told is None else Outcome("skipped", (replace(reason, message=f"{reason.message}; {told}"),))
    )


def end_all(upserter: Upserter, entries: Iterable[Entry], version: str | None) -> str | None:
    """End what stands for these entries, as the policy says; what is left as it is, None when all was archived."""
    left = []
    for entry in entries:
        action = _bare(entry.entity, entry.key)
        _known(upserter.applier, action)
        if not _end(upserter, action, entry, version):
            left.append(f"{entry.entity} {entry.remote_id} stays as it is in FreshBooks")
    return "; ".join(left) or None


def is_of(entry: Entry, record_key: str) -> bool:
    """Whether an entry is a record's own, and not that of another record of its kind with the same key."""
    return entry.record_key == record_key or entry.record_key.partition(":")[0] != record_key.partition(":")[0]


def _end(upserter: Upserter, action: Action, entry: Entry, version: str | None) -> bool:
    """Archive one object, once; False where it is left."""
    applier, policies = upserter.applier, upserter.context.settings.policies
    policy = policies.clients.ended if action.entity == "client" else policies.items.ended
    if policy == "leave" or entry.remote_id is None:
        _note_end(applier, entry, version)
        return False
    remote_id = entry.remote_id
    entry = applier.settled(action) or entry
    if entry.detail.get("ended", {}).get("archived"):
        return True
    ended = {"version": version, "archived": True}
    others = applier.of_remote(action.entity, remote_id)
    if any(other.key != entry.key and other.detail.keys().isdisjoint(("ended", "merged")) for other in others):
        applier.note_detail(entry, {**entry.detail, "ended": {**ended, "archived": False}})
        return False
    row = upserter.there(action.entity, remote_id)
    if row is None or row.get("vis_state") == ARCHIVED:
        applier.note_detail(entry, {**entry.detail, "ended": ended}, phase="archived")
        return True
    if action.entity == "client" and row.get("vis_state", ACTIVE) == ACTIVE:
        owed = upserter.context.freshbooks.find_open_invoices_of_client(remote_id)
        if owed:
            numbers = ", ".join(sorted(str(invoice.get("invoice_number")) for invoice in owed)[:5])
            message = f"client {remote_id} has {len(owed)} open invoices ({numbers}) and is not archived before"
            raise held("open-invoices", f"{message} they are paid")
    upserter.show(action, entry, ARCHIVED, {**entry.detail, "ended": ended})
    return True


def _note_end(applier: Applier, entry: Entry, version: str | None) -> None:
    """Of an item that is left: its product is gone, so that another one may have the SKU."""
    ended = {"version": version, "archived": False}
    told = entry.detail.get("ended") == ended or applier.context.dry_run
    if entry.entity == "item" and entry.state == "confirmed" and not told:
        applier.note_detail(entry, {**entry.detail, "ended": ended})


def _known(applier: Applier, action: Action) -> None:
    """Wait for a create that is in doubt: what is not known to be there cannot end.

    Raises:
        EndedError: It is too early to tell.
    """
    entry = applier.entry(action.key)
    if entry is not None and entry.state in ledger.LIVE and not entry.changing:
        raise later("in-doubt", "it is not known yet whether it was made", applier.context.settings.settle_s)


def _bare(entity: str, key: str) -> Action:
    return Action("upsert", "ended", entity, key=key, fields={})
