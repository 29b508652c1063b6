"""One write to Clarity, once: intent committed before a byte leaves, doubt waited out and looked at, answer confirmed.

A change of members is the same when it comes twice, but one that arrives late could overtake a newer one. So after a
lost answer nothing is sent before the lost request can no longer take effect, and then the record is read again.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from connectors.clarity_writes import ClarityWrites, WayBackRefusedError
from connectors.errors import AmbiguousWriteError, AuthError, RejectedError, TransientError
from connectors.http import checked_writes
from connectors.scrub import scrub
from sync import lane_statements, ledger, records
from sync.back.pairs import Pair
from sync.envelope import version_of
from sync.errors import LaneLostError, StaleLeaseError
from sync.ledger import Entry, LedgerState, Source, Tried
from sync.masked import shown_key
from sync.outcome import Settled, dead, held, later
from sync.plan import digest
from sync.specs import ApprovedSpec

if TYPE_CHECKING:
    from sync.inbox import Event
    from sync.worker import Context

log = logging.getLogger(__name__)

SENDS: Final = 5  # tries to get a write out on a machine that pauses before every one of them
_PASSING: Final = ("from", "meant")
Marks = Mapping[str, Mapping[str, str]]


class BackWriter:
    """Writes members of one record of Clarity for one event."""

    def __init__(self, context: Context, event: Event, approved: ApprovedSpec, pair: Pair, version: str | None) -> None:
        if context.clarity is None:
            raise ValueError("Clarity is not configured")
        self._context = context
        self._event = event
        self._approved = approved
        self._pair = pair
        self._version = version
        self._writes = ClarityWrites(context.clarity, context.settings.profile)
        self._entry: Entry | None = None

    def settled(self) -> Entry | None:
        """What is known of earlier writes to this record, once none of them can take effect any more.

        Raises:
            EndedError: Too early to tell what became of one.
        """
        context = self._context
        entry = ledger.get(context.store, self._pair.key)
        if entry is not None and entry.state in ledger.LIVE and not context.dry_run:
            left_s = entry.at + self._doubt_s(entry) - context.now()
            if left_s > 0:
                message = f"{shown_key(entry.key)}: waiting until a lost answer would be visible"
                raise later("in-doubt", message, left_s)
            entry = self._back_to(entry)
        self._entry = entry
        return entry

    def write(self, current: dict[str, Any], changes: Mapping[str, Any], marks: Marks) -> dict[str, Any]:
        """Send the changes; the record as it is then.

        Args:
            current: The record as it was read.
            changes: Value by dotted member.
            marks: What both sides agree on once it is written.

        Raises:
            EndedError: Refused, or in doubt.
            ConnectorError: For `sync.recovery` to judge.
        """
        context, pair = self._context, self._pair
        try:
            body = self._writes.body(pair.entity, current, changes)
        except WayBackRefusedError as refused:
            raise held("no-safe-route", str(refused)) from None
        if context.dry_run:
            planned = {
                "method": "PATCH",
                "path": self._writes.path(pair.entity, pair.id),
                "body": body,
                "entity": pair.entity,
                "record": self._event.record_key,
                "system": "clarity",
            }
            if planned not in context.planned:  # several callbacks tell of one change
                context.planned.append(planned)
            return {**current, **body}
        context.may_write()
        carried = self._is_carried(current)
        meant = {path: marks["there"][path] for path in changes}
        entry = self._intent(body, meant)
        request = {"method": "PATCH", "system": "clarity", "entity": pair.entity, "id": pair.id, "body": body}
        try:
            row = self._send(body)
        except AmbiguousWriteError as error:
            self._entry = self._set(entry, "doubt", Tried(request, "doubt"))
            message = f"{error.message}; looking at Clarity's record before anything is sent again"
            raise later("in-doubt", message, self._doubt_s(self._entry)) from None
        except RejectedError as error:
            self._back_to(entry, Tried(request, "refused"), meant=False)
            mend = " (does the sign-in have the right to write, A4?)" if error.status == 403 else ""
            raise dead("rejected", f"Clarity: {error}{mend}") from None
        except (TransientError, AuthError, LaneLostError):
            self._back_to(entry, Tried(request, "not-applied"), meant=False)
            raise
        except WayBackRefusedError as refused:
            self._back_to(entry, Tried(request, "not-applied"), meant=False)
            raise held("no-safe-route", str(refused)) from None
        tried = Tried(request, "done", {"id": pair.id, "updated": self._updated(row)})
        self._entry = self._confirm(entry, marks, meant, tried)
        log.info("told Clarity", extra={"key": shown_key(entry.key), "members": sorted(changes)})
        self._take_note(row, current, carried=carried)
        return row

    def agree(self, marks: Marks) -> None:
        """Note what both sides agree on, where something was told before; nothing is written where nothing changes."""
        entry = self._entry
        if entry is None:
            return
        meant = entry.detail.get("meant", {})
        if meant and all(marks["there"].get(path) == wanted for path, wanted in meant.items()):
            self._entry = self._confirm(entry, marks, meant)  # a write without an answer, and there it is
            return
        detail = {**entry.detail, **_merged(entry.detail, marks)}
        if detail != entry.detail:
            self._entry = self._set(entry, entry.state, detail=detail)

    # --- parts ---------------------------------------------------------------------------------------------------

    def _confirm(self, entry: Entry, marks: Marks, meant: Mapping[str, str], tried: Tried | None = None) -> Entry:
        detail = {name: value for name, value in entry.detail.items() if name not in _PASSING}
        return ledger.confirm(
            self._context.store,
            entry.key,
            remote_id=self._pair.id,
            phase="told",
            content_hash=entry.body_hash,
            source=Source(self._event.record_key, self._version, self._approved.fingerprint),
            detail={**detail, **_merged(detail, marks), "told": {**detail.get("told", {}), **meant}},
            seen=entry,
            tried=tried,
            now=self._context.now(),
        )

    def _intent(self, body: Mapping[str, Any], meant: Mapping[str, str]) -> Entry:
        context, before = self._context, self._entry
        known = {} if before is None else before.detail
        state: LedgerState = "refused" if before is None else before.state
        return ledger.open_intent(
            context.store,
            self._pair.key,
            entity=self._pair.entity,
            record_key=self._event.record_key,
            phase="tell" if before is None else before.phase,
            body_hash=digest(body),
            source_version=self._version,
            spec_fingerprint=self._approved.fingerprint,
            detail={**known, "from": state, "meant": dict(meant)},
            seen=before,
            event=self._event,
            now=context.now(),
        )

    def _send(self, body: Mapping[str, Any]) -> dict[str, Any]:
        context = self._context
        for _ in range(SENDS):
            try:
                with checked_writes(lambda: context.leases.check(self._event)):
                    return self._writes.send(self._pair.entity, self._pair.id, body)
            except StaleLeaseError as error:
                log.warning("paused before a write, which did not leave", extra={"why": error.message})
                context.leases.renew(self._event)
        raise TransientError("this machine is too busy to send a write within its lease")

    def _back_to(self, entry: Entry, tried: Tried | None = None, *, meant: bool = True) -> Entry:
        """The entry as it was before the intent: what the record holds now is read, not remembered.

        Args:
            meant: What was meant may have been applied, and is known again by that when it is found there.
        """
        state: LedgerState = entry.detail.get("from", "refused")
        gone = ("from",) if meant else _PASSING
        detail = {name: value for name, value in entry.detail.items() if name not in gone}
        return self._set(entry, state, tried, detail=detail)

    def _set(self, entry: Entry, state: LedgerState, tried: Tried | None = None, **more: Any) -> Entry:
        now = self._context.now()
        return ledger.set_state(self._context.store, entry.key, state, seen=entry, tried=tried, now=now, **more)

    def _doubt_s(self, entry: Entry) -> float:
        """Until a request that was begun has surely had its effect: its time on the way, and the settle time."""
        settings = self._context.settings
        late_s = max(settings.settle_s, self._context.leases.fresh_s) if entry.state == "intent" else settings.settle_s
        return settings.http_timeout_s + late_s

    def _updated(self, row: Mapping[str, Any]) -> str | None:
        return None if self._context.clarity is None else self._context.clarity.head(row).updated

    def _is_carried(self, current: Mapping[str, Any]) -> bool:
        """Whether all that Clarity's record says has been carried to FreshBooks: it holds no news but ours then."""
        context = self._context
        forward = context.mappings.current.by_entity.get(self._pair.entity)
        known = records.latest(context.store, self._pair.record_key)
        if forward is None or known is None or known.settled != str(Settled(known.sha256, forward.fingerprint)):
            return False
        reading = context.settings.reading
        now = scrub(reading.record(current))
        return {**now, reading.updated: None} == {**known.payload, reading.updated: None}

    def _take_note(self, row: Mapping[str, Any], current: Mapping[str, Any], *, carried: bool) -> None:
        """Keep the record as the newest; Clarity's webhook about our own write brings this very one.

        Where it holds no news but ours, it is known by its digest as worked off.
        """
        context, pair = self._context, self._pair
        forward = context.mappings.current.by_entity.get(pair.entity)
        if forward is None or not set(row) >= set(current):  # an answer that is not the whole record says too little
            return
        reading, updated = context.settings.reading, self._updated(row)
        kept = records.remember(
            context.store, pair.entity, pair.id, row, updated=updated, now=context.now(), reading=reading
        )
        known = records.latest(context.store, pair.record_key)
        if not carried or not kept or known is None or known.version != version_of(updated, reading.zone):
            return
        settled = {
            "record": pair.record_key,
            "snapshot": known.sha256,
            "by": str(Settled(known.sha256, forward.fingerprint)),
        }
        context.store.transact(lambda conn: lane_statements.SETTLE_RECORD(conn, settled))


def _merged(detail: Mapping[str, Any], marks: Marks) -> dict[str, dict[str, str]]:
    return {name: {**detail.get(name, {}), **found} for name, found in marks.items() if found}
