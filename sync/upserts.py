"""Clients and items: found by their match fields, created when missing, brought up to date by field (rules 10, 11)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from connectors.errors import RejectedError
from connectors.freshbooks import ACTIVE, ARCHIVED, DELETED, normalised
from sync import clients, ledger
from sync.fields import is_older, weigh
from sync.outcome import held
from sync.plan import Action, filled, id_on_wire

if TYPE_CHECKING:
    from sync.apply import Applier
    from sync.ledger import Entry, Reserved

Row = dict[str, Any]
NOT_OURS_TO_OVERWRITE: Final = {"client": ("note",)}  # a person's note stays; ours is only a marker


class Upserter:
    """Brings one client or item to what an action wants."""

    def __init__(self, applier: Applier) -> None:
        self.applier = applier
        self.context = applier.context

    def ensure(self, action: Action) -> None:
        """Create when missing, never change what is there (rule 11: an order only creates a missing client).

        The client of an invoice that is about to be made has to be one that can be invoiced.
        """
        entry = self.applier.entry(action.key)
        if entry is None and action.entity == "client":
            action = clients.of_other_customer(self, action)
            entry = self.applier.entry(action.key)
        if entry is not None and entry.stands:
            if action.entity == "client":
                entry = clients.to_invoice(self, action, entry)
            self.applier.outputs[action.step] = {"id": id_on_wire(entry.remote_id)}
            return
        body = filled(action.body or {}, self.applier.outputs)
        row = self._look_or_create(action, body)
        self.applier.outputs[action.step] = row

    def upsert(self, action: Action) -> None:
        """Create, or change what differs. Newest source version wins; a person's change is kept (rules 10, 11)."""
        entry = self.applier.settled(action)
        body = filled(action.body or {}, self.applier.outputs)
        if entry is None or entry.state != "confirmed" or entry.remote_id is None:
            there, reserved = self._looked(action, body)
            if there is None:
                made = self.applier.create(
                    action, body, phase="created", after=lambda: self.match(action, body), reserved=reserved
                )
                if made is not None:
                    self._still_alone(action, body)
                self.applier.outputs[action.step] = made or self.applier.placeholder(action)
                return
            self.applier.adopt(action, there)
            self._change(action, there, body, None)
            return
        # Versions of two records do not compare: that of an order says nothing about the client it has made.
        comparable = entry.record_key == self.applier.event.record_key
        older = comparable and is_older(self.applier.source_version, entry.source_version)
        ended = entry.detail.get("ended")
        gone = comparable and ended is not None and not self._is_back(ended["version"])
        if older or gone or entry.phase == "planned" or (entry.content_hash == action.content_hash and not ended):
            self.applier.outputs[action.step] = {"id": id_on_wire(entry.remote_id)}
            return
        current = self.there(action.entity, entry.remote_id)
        if current is None:
            if action.entity == "item":
                self._left_deleted(action, entry.remote_id)
                return
            entry, current = clients.followed_by(self, action, entry, body)
        if ended is not None:
            current, entry = self._back_again(action, entry, current)
        self._change(action, current, body, entry)

    def there(self, entity: str, remote_id: str) -> Row | None:
        """An object as it is now; None for one that was deleted."""
        try:
            row = self.context.freshbooks.get(entity, remote_id)
        except RejectedError as error:
            if error.status == 404:
                return None
            raise
        return None if row.get("vis_state") == DELETED else row

    def show(self, action: Action, entry: Entry, vis_state: int, detail: Mapping[str, Any]) -> Entry:
        """Archive an object or take it out of the archive, and remember `detail` with it."""
        body, remote_id = {"vis_state": vis_state}, str(entry.remote_id)
        if self.context.dry_run:
            self.applier.plan("PUT", action.entity, remote_id, body)
            return entry
        self.applier.put(
            replace(action, fields={}),  # no field is written by this
            remote_id,
            body,
            lambda: self.context.freshbooks.update(action.entity, remote_id, body),
            detail=detail,
            reached="archived" if vis_state == ARCHIVED else "restored",
        )
        return self.applier.entry(action.key) or entry

    def note(self, kind: str, message: str, subject: str) -> None:
        """Tell something that stops nothing."""
        self.applier.missing.append((kind, message, subject))

    # --- looking -------------------------------------------------------------------------------------------------

    def _look_or_create(self, action: Action, body: Mapping[str, Any]) -> Row:
        there, reserved = self._looked(action, body)
        if there is not None:
            self.applier.adopt(action, there)
            if action.entity == "client":
                clients.awake(self, action, there)
            return there
        made = self.applier.create(
            action, body, phase="created", after=lambda: self.match(action, body), reserved=reserved
        )
        if made is None:
            return self.applier.placeholder(action)
        self._still_alone(action, body)
        return made

    def _looked(self, action: Action, body: Mapping[str, Any]) -> tuple[Row | None, Reserved | None]:
        """The record when it is there; and the reservation for creating it when it is not."""
        field = _matched_by(action, body)
        reserved = None if field is None else self.reserve(action, field, str(body[field]))

        def look() -> Row | None:
            there = self.match(action, body)
            return self.just_written(action, field, body, reserved) if there is None else there

        return self.applier.settle(action, look) or look(), reserved

    def reserve(self, action: Action, field: str, value: str) -> Reserved | None:
        """The reservation of an e-mail, marker or SKU, to be read before looking who has it."""
        return self.applier.reservation(action, f"{field}:{self._compared(field, value)}")

    def _compared(self, field: str, value: str) -> str:
        return value.strip() if field == "sku" and self.context.exact_skus else normalised(value)

    def just_written(
        self, action: Action, field: str | None, body: Mapping[str, Any], reserved: Reserved | None
    ) -> Row | None:
        """What another key of ours wrote with this e-mail or marker, which a search may not show yet."""
        if field is None or reserved is None or reserved.key is None or reserved.key == action.key:
            return None
        other = ledger.get(self.context.store, reserved.key)
        if other is None or not other.stands or other.remote_id is None:
            return None
        row = self.context.freshbooks.get(action.entity, other.remote_id)
        same = self._compared(field, str(row.get(field) or "")) == self._compared(field, str(body[field]))
        return row if same and row.get("vis_state") != DELETED else None

    def match(self, action: Action, body: Mapping[str, Any]) -> Row | None:
        """The one record that the match fields find; the first match field with a value decides.

        Raises:
            EndedError: Several, or only deleted ones (rule 11).
        """
        field = _matched_by(action, body)
        if field is None:
            return None
        rows = self.rows(action.entity, field, str(body[field]))
        live = [row for row in rows if row.get("vis_state") != DELETED]
        if action.entity == "client":
            live = clients.without_merged(self, live)
        if len(live) == 1:
            return live[0]
        if len(live) > 1:
            ids = ", ".join(sorted(str(row["id"]) for row in live))
            raise held(
                f"several-{action.entity}s",
                f"FreshBooks has {len(live)} {action.entity}s with this {named(field)} ({ids}): merge or link them",
            )
        if rows:
            ids = ", ".join(sorted(str(row["id"]) for row in rows))
            raise held(
                f"{action.entity}-deleted",
                f"the {action.entity} with this {named(field)} is deleted in FreshBooks ({ids}): restore it",
            )
        return None

    def rows(self, entity: str, field: str, value: str) -> list[Row]:
        """Every record with a value in a match field, deleted clients included."""
        freshbooks = self.context.freshbooks
        if (entity, field) == ("client", "email"):
            return freshbooks.find_clients_by_email(value)
        if (entity, field) == ("client", "note"):
            return [row for row in freshbooks.find("client", {"note_like": value}) if row.get("note") == value]
        if (entity, field) == ("item", "sku"):
            found = freshbooks.find_items_by_sku(value)
            return [row for row in found if row.get("sku") == value] if self.context.exact_skus else found
        raise held("no-such-match", f"{entity}s cannot be matched by {field}")

    def _still_alone(self, action: Action, body: Mapping[str, Any]) -> None:
        """A second look after a create: another one may have appeared that the first look did not see."""
        if action.entity != "client":
            return
        try:
            self.match(action, body)
        except Exception:
            store, carried, now = self.context.store, self.applier.event.carried, self.applier.now
            self.applier.enter(ledger.set_state(store, action.key, "held", carried=carried, now=now))
            raise

    # --- changing ------------------------------------------------------------------------------------------------

    def _change(self, action: Action, current: Row, body: Mapping[str, Any], entry: Entry | None) -> None:
        remote_id = str(current["id"])
        policy = self.context.settings.policies
        chosen = policy.clients if action.entity == "client" else policy.items
        detail = entry.detail if entry is not None else {}
        weighed = weigh(
            body,
            current,
            (detail.get("fields", {}), *detail.get("meant", ())),
            leave={*action.create_only, *NOT_OURS_TO_OVERWRITE.get(action.entity, ())},
            fill_only=chosen.found == "fill",
        )
        what = f"of {action.entity} {remote_id}"
        if weighed.clashing and chosen.both_changed == "hold":
            raise held(
                "changed-in-freshbooks",
                f"{', '.join(weighed.clashing)} {what} were changed in FreshBooks by a person: decide",
            )
        for name in (*weighed.kept, *weighed.clashing):
            message = f"{name} {what}: FreshBooks has another value, which a person gave it and which stays"
            self.note("kept-from-freshbooks", message, name)
        wanted = dict(weighed.wanted)
        reserved = None
        if "email" in wanted and normalised(str(current.get("email") or "")) != normalised(str(wanted["email"])):
            reserved = clients.email_is_free(self, action, remote_id, body)
        if wanted and self.context.dry_run:
            self.applier.plan("PUT", action.entity, remote_id, wanted)
        elif wanted:
            self.applier.put(
                action,
                remote_id,
                wanted,
                lambda: self.context.freshbooks.update(action.entity, remote_id, wanted),
                phase="updated",
                reserved=reserved,
            )
        elif not self.context.dry_run:
            self.applier.confirm(action, current, phase="updated")
        self.applier.outputs[action.step] = current

    def _is_back(self, ended: str | None) -> bool:
        """Whether the record has changed since it ended; without a version what comes later says so."""
        version = self.applier.source_version
        return ended is None or version is None or is_older(ended, version)

    def _back_again(self, action: Action, entry: Entry, current: Row) -> tuple[Row, Entry]:
        """The record has come back to life at its source: what we archived is shown again."""
        detail = {name: value for name, value in entry.detail.items() if name != "ended"}
        if current.get("vis_state") == ARCHIVED and entry.detail["ended"]["archived"]:
            entry = self.show(action, entry, ACTIVE, detail)
            return {**current, "vis_state": ACTIVE}, entry
        return current, entry if self.context.dry_run else self.applier.note_detail(entry, detail)

    def _left_deleted(self, action: Action, remote_id: str) -> None:
        self.applier.outputs[action.step] = {"id": id_on_wire(remote_id)}
        message = f"item {remote_id} was deleted in FreshBooks by a person, and is not made again"
        self.note("item-deleted", message, remote_id)


def _matched_by(action: Action, body: Mapping[str, Any]) -> str | None:
    """The match field that decides: the first that has a value."""
    return next((name for name in action.match if body.get(name)), None)


def named(field: str) -> str:
    """What people call a match field."""
    return {"email": "e-mail", "sku": "SKU", "note": "Clarity marker"}.get(field, field)
