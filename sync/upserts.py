"""Clients and items: found by their match fields, created when missing, brought up to date by field (rules 10, 11)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from connectors.freshbooks import DELETED, normalised
from sync import ledger
from sync.fields import as_written, is_older, same_value
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
        """Create when missing, never change what is there (rule 11: an order only creates a missing client)."""
        entry = self.applier.entry(action.key)
        if entry is not None and entry.stands:
            self.applier.outputs[action.step] = {"id": id_on_wire(entry.remote_id)}
            return
        body = filled(action.body or {}, self.applier.outputs)
        row = self._look_or_create(action, body)
        self.applier.outputs[action.step] = row

    def _look_or_create(self, action: Action, body: Mapping[str, Any]) -> Row:
        there, reserved = self._looked(action, body)
        if there is not None:
            return self.applier.adopt(action, there)
        made = self.applier.create(
            action, body, phase="created", after=lambda: self._match(action, body), reserved=reserved
        )
        if made is None:
            return self.applier.placeholder(action)
        self._still_alone(action, body)
        return made

    def _looked(self, action: Action, body: Mapping[str, Any]) -> tuple[Row | None, Reserved | None]:
        """The record when it is there; and the reservation for creating it when it is not."""
        field = _matched_by(action, body)
        reserved = self.applier.reservation(
            action, None if field is None else f"{field}:{normalised(str(body[field]))}"
        )

        def look() -> Row | None:
            there = self._match(action, body)
            return self._just_written(action, body, reserved) if there is None else there

        return self.applier.settle(action, look) or look(), reserved

    def _just_written(self, action: Action, body: Mapping[str, Any], reserved: Reserved | None) -> Row | None:
        """What another key of ours wrote with this e-mail or marker, which a search may not show yet."""
        if reserved is None or reserved.key is None or reserved.key == action.key:
            return None
        other = ledger.get(self.context.store, reserved.key)
        if other is None or not other.stands or other.remote_id is None:
            return None
        row, field = self.context.freshbooks.get(action.entity, other.remote_id), _matched_by(action, body)
        same = field is not None and normalised(str(row.get(field) or "")) == normalised(str(body[field]))
        return row if same and row.get("vis_state") != DELETED else None

    def _match(self, action: Action, body: Mapping[str, Any]) -> Row | None:
        """The one record that the match fields find; the first match field with a value decides.

        Raises:
            EndedError: Several, or only deleted ones (rule 11).
        """
        field = _matched_by(action, body)
        if field is None:
            return None
        rows = self._rows(action.entity, field, str(body[field]))
        live = [row for row in rows if row.get("vis_state") != DELETED]
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

    def _rows(self, entity: str, field: str, value: str) -> list[Row]:
        freshbooks = self.context.freshbooks
        if (entity, field) == ("client", "email"):
            return freshbooks.find_clients_by_email(value)
        if (entity, field) == ("client", "note"):
            return [row for row in freshbooks.find("client", {"note_like": value}) if row.get("note") == value]
        if (entity, field) == ("item", "sku"):
            return freshbooks.find_items_by_sku(value)
        raise held("no-such-match", f"{entity}s cannot be matched by {field}")

    def _still_alone(self, action: Action, body: Mapping[str, Any]) -> None:
        """A second look after a create: another one may have appeared that the first look did not see."""
        if action.entity != "client":
            return
        try:
            self._match(action, body)
        except Exception:
            store, carried, now = self.context.store, self.applier.event.carried, self.applier.now
            self.applier.enter(ledger.set_state(store, action.key, "held", carried=carried, now=now))
            raise

    def upsert(self, action: Action) -> None:
        """Create, or change what differs. Newest source version wins; a person's change is kept (rules 10, 11)."""
        entry = self.applier.settled(action)
        body = filled(action.body or {}, self.applier.outputs)
        if entry is None or entry.state != "confirmed" or entry.remote_id is None:
            there, reserved = self._looked(action, body)
            if there is None:
                made = self.applier.create(
                    action, body, phase="created", after=lambda: self._match(action, body), reserved=reserved
                )
                if made is not None:
                    self._still_alone(action, body)
                self.applier.outputs[action.step] = made or self.applier.placeholder(action)
                return
            self.applier.adopt(action, there)
            self._change(action, there, body, None)
            return
        # Versions of two records do not compare: that of an order says nothing about the client it has made.
        comparable = entry.record_key.partition(":")[0] == self.applier.event.entity
        older = comparable and is_older(self.applier.source_version, entry.source_version)
        if entry.content_hash == action.content_hash or older or entry.phase == "planned":
            self.applier.outputs[action.step] = {"id": id_on_wire(entry.remote_id)}
            return
        self._change(action, self.context.freshbooks.get(action.entity, entry.remote_id), body, entry)

    def _change(self, action: Action, current: Row, body: Mapping[str, Any], entry: Entry | None) -> None:
        remote_id = str(current["id"])
        keep = {*action.create_only, *NOT_OURS_TO_OVERWRITE.get(action.entity, ())}
        wanted = {
            name: value for name, value in body.items() if name not in keep and not same_value(current.get(name), value)
        }
        before = dict(entry.detail.get("fields", {})) if entry is not None else {}
        meant = list(entry.detail.get("meant", ())) if entry is not None else []
        touched = sorted(
            name
            for name in wanted
            if name in before
            and not any(
                as_written(current.get(name), written[name], body[name])
                for written in (before, *meant)
                if name in written
            )
        )
        if touched:
            raise held(
                "changed-in-freshbooks",
                f"{', '.join(touched)} of {action.entity} {remote_id} were changed in FreshBooks by a person: decide",
            )
        if wanted and self.context.dry_run:
            self.applier.plan("PUT", action.entity, remote_id, wanted)
        elif wanted:
            self.applier.put(
                action,
                remote_id,
                wanted,
                lambda: self.context.freshbooks.update(action.entity, remote_id, wanted),
                phase="updated",
            )
        elif not self.context.dry_run:
            self.applier.confirm(action, current, phase="updated")
        self.applier.outputs[action.step] = current


def _matched_by(action: Action, body: Mapping[str, Any]) -> str | None:
    """The match field that decides: the first that has a value."""
    return next((name for name in action.match if body.get(name)), None)


def named(field: str) -> str:
    return {"email": "e-mail", "sku": "SKU", "note": "Clarity marker"}.get(field, field)
