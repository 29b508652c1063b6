"""Clients in their life: merged, deleted or archived by a person, and given an e-mail that another one has.

The id map goes before the e-mail (rule 11). What a person did in FreshBooks is respected: what may be guessed at is
told, what may not is held.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from connectors.freshbooks import ACTIVE, ARCHIVED, DELETED
from sync import ledger, records
from sync.masked import shown_key
from sync.outcome import held
from sync.plan import Action, natural_key

if TYPE_CHECKING:
    from sync.ledger import Entry, Reserved
    from sync.store import Store
    from sync.upserts import Upserter

log = logging.getLogger(__name__)

Row = dict[str, Any]
MOST_MERGES: Final = 20  # of one customer into the next


def to_invoice(upserter: Upserter, action: Action, entry: Entry) -> Entry:
    """The client that an order's invoice goes to: of a merged customer that of the other one, and no archived one.

    Raises:
        EndedError: A person has to decide.
    """
    entry = survivor(upserter.context.store, entry)
    applier = upserter.applier
    if not applier.invoices_anew or entry.remote_id is None or entry.phase == "planned":
        return entry
    own = replace(action, kind="upsert", key=entry.key, fields={})
    if entry.changing and not entry.detail["change"]["fields"]:
        entry = applier.settled(own) or entry  # it may be archived at any moment
    if upserter.context.settings.policies.clients.archived == "use":
        return entry
    remote_id = str(entry.remote_id)
    row = upserter.there("client", remote_id)
    if row is None:
        return followed_by(upserter, own, entry, action.body or {})[0]
    awake(upserter, own, row)
    return applier.entry(own.key) or entry


def awake(upserter: Upserter, action: Action, row: Row) -> None:
    """Take a client that is to be invoiced out of the archive, as the policy says.

    Raises:
        EndedError: The policy is to ask.
    """
    policy = upserter.context.settings.policies.clients.archived
    entry = upserter.applier.entry(action.key)
    if row.get("vis_state") != ARCHIVED or policy == "use" or not upserter.applier.invoices_anew:
        return
    if policy == "hold":
        raise held("client-archived", f"client {row['id']} is archived in FreshBooks, and an order has come for it")
    if entry is None:  # a dry run has adopted nothing
        upserter.applier.plan("PUT", "client", str(row["id"]), {"vis_state": ACTIVE})
        return
    detail = {name: value for name, value in entry.detail.items() if name != "ended"}
    upserter.show(replace(action, kind="upsert"), replace(entry, remote_id=str(row["id"])), ACTIVE, detail)
    upserter.note("client-restored", f"client {row['id']} was archived and is in use again", str(row["id"]))


def followed_by(upserter: Upserter, action: Action, entry: Entry, body: Mapping[str, Any]) -> tuple[Entry, Row]:
    """The client that stands in for one that a person has deleted: the only other one with the customer's e-mail.

    Two clients that were merged by hand look like this: one is gone, the other has the e-mail.

    Raises:
        EndedError: There is none, or several, or the policy is to ask.
    """
    remote_id, email = str(entry.remote_id), str(body.get("email") or "")
    rows = upserter.rows("client", "email", email) if email else []
    live = without_merged(upserter, [row for row in rows if row.get("vis_state") != DELETED])
    if len(live) != 1 or upserter.context.settings.policies.clients.deleted == "hold":
        there = f"; its e-mail is that of client {', '.join(str(row['id']) for row in live)}" if live else ""
        raise held("client-deleted", f"client {remote_id} was deleted in FreshBooks by a person{there}")
    (row,) = live
    if not upserter.context.dry_run:
        former = [*entry.detail.get("was", ()), remote_id]
        entry = upserter.applier.link(action, str(row["id"]), phase="followed", detail={"was": former})
    awake(upserter, action, row)
    message = f"client {remote_id} was deleted in FreshBooks; client {row['id']} with the same e-mail follows it"
    upserter.note("client-followed", message, remote_id)
    return replace(upserter.applier.entry(action.key) or entry, remote_id=str(row["id"])), row


def email_is_free(upserter: Upserter, action: Action, remote_id: str, body: Mapping[str, Any]) -> Reserved | None:
    """Make sure that no other client has the e-mail that this one is to get.

    Returns:
        The reservation to write it with.

    Raises:
        EndedError: Another one has it: whether they are one customer is for a person to say.
    """
    reserved = upserter.reserve(action, "email", str(body["email"]))
    rows = [row for row in upserter.rows("client", "email", str(body["email"])) if row.get("vis_state") != DELETED]
    written = upserter.just_written(action, "email", body, reserved)
    others = sorted(
        {str(row["id"]) for row in (*rows, *([written] if written else ())) if not _is_merged(upserter, row)}
        - {remote_id}
    )
    if others:
        raise held(
            "email-taken",
            f"the customer's new e-mail is that of client {', '.join(others)} already; its own is client {remote_id}",
        )
    return reserved


def without_merged(upserter: Upserter, rows: Iterable[Row]) -> list[Row]:
    """The clients, those of merged customers replaced by the other customer's."""
    found: dict[str, Row] = {}
    for row in rows:
        known = upserter.applier.of_remote("client", str(row["id"]))
        merged = next((entry for entry in known if "merged" in entry.detail), None)
        entry = None if merged is None else survivor(upserter.context.store, merged)
        if entry is None or entry.remote_id in (None, str(row["id"])):
            found[str(row["id"])] = row
        elif (other := upserter.there("client", str(entry.remote_id))) is not None:
            found.setdefault(str(other["id"]), other)
    return list(found.values())


def _is_merged(upserter: Upserter, row: Row) -> bool:
    known = upserter.applier.of_remote("client", str(row["id"]))
    return bool(known) and all("merged" in entry.detail for entry in known)


def of_other_customer(upserter: Upserter, action: Action) -> Action:
    """The action for the customer that this one was merged into before either had a client.

    Raises:
        EndedError: They were merged in a circle.
    """
    store, member, seen = upserter.context.store, upserter.context.settings.reading.merged_into, {action.key}
    while (snapshot := records.latest(store, f"customer:{action.key.split(':', 2)[2]}")) is not None:
        other = snapshot.payload.get(member)
        if isinstance(other, bool) or not isinstance(other, str | int) or not str(other).strip():
            break
        action = replace(action, key=natural_key("client", str(other)))
        if action.key in seen or len(seen) > MOST_MERGES:
            raise held("merged-in-a-circle", f"{shown_key(action.key)} was merged into a customer that is part of it")
        seen.add(action.key)
    return action


def survivor(store: Store, entry: Entry) -> Entry:
    """The entry of the customer that this one's was merged into, however often; itself when it was not.

    Raises:
        EndedError: They were merged in a circle.
    """
    seen = {entry.key}
    while "merged" in entry.detail:
        other = ledger.get(store, str(entry.detail["merged"]))
        if other is None:
            return entry
        if other.key in seen or len(seen) > MOST_MERGES:
            raise held("merged-in-a-circle", f"{shown_key(entry.key)} was merged into a customer that is part of it")
        seen.add(other.key)
        entry = other
    return entry


def merge(upserter: Upserter, gone: Action, into: Action) -> tuple[Entry | None, Entry | None]:
    """Let the key of a merged customer lead to the other one's client.

    Args:
        gone: With the merged customer's key; `into` with the other one's.

    Returns:
        The entry of the merged customer, its former client still in it; and the other's. None for both when nothing was
        made of either.

    Raises:
        EndedError: They were merged in a circle.
    """
    applier, store = upserter.applier, upserter.context.store
    entry, other = applier.settled(gone), ledger.get(store, into.key)
    if other is not None and survivor(store, other).key == gone.key:
        raise held("merged-in-a-circle", f"{shown_key(gone.key)} was merged into a customer that is part of it")
    if entry is None or entry.remote_id is None:
        if other is None or other.remote_id is None:
            return None, None
        entry = applier.link(gone, str(other.remote_id), phase="merged", detail={"merged": into.key})
        return entry, other
    if other is None or other.remote_id is None:
        other = applier.link(into, str(entry.remote_id), phase="merged")
    for known in applier.of_remote("client", str(entry.remote_id)):
        # A guest's order by the e-mail of the merged customer is the other's too.
        mine = known.key == gone.key or "@" in known.key.rpartition(":")[2]
        if mine and known.state == "confirmed" and known.detail.get("merged") != into.key and known.key != into.key:
            marked = applier.note_detail(known, {**known.detail, "merged": into.key}, phase="merged")
            entry = marked if known.key == gone.key else entry
    log.info("merged", extra={"key": shown_key(gone.key)})
    return entry, other
