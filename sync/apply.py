"""Executes actions: looks before it writes, commits the intent, sends, and proves what came of it (rules 7, 10-14).

Safety that no spec can switch off lives here: intent before every create, a look before any re-send, adoption only
when everything matches, an invoice is sent only when the server's total is the order's, no payment beyond the total.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from connectors.errors import AmbiguousWriteError, AuthError, ConnectorError, RejectedError, TransientError
from connectors.freshbooks import DELETED
from connectors.http import checked_writes
from mapspec import Lookup
from sync import found, ledger, skips
from sync.errors import IntentOpenError, StaleLeaseError
from sync.fields import same_value
from sync.findings import refusals
from sync.invoices import InvoiceWriter
from sync.ledger import Change, Entry, LedgerState, Reserved, Source, Tried
from sync.masked import shown_key
from sync.outcome import dead, held, later
from sync.plan import Action, digest, filled, id_on_wire
from sync.upserts import Upserter, named

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from sync.inbox import Event
    from sync.worker import Context

log = logging.getLogger(__name__)

Row = dict[str, Any]
LOOKS_BEFORE_RESEND: Final = 2  # rule 13: look, wait the settle time, look once more
SENDS: Final = 5  # tries to get a write out on a machine that pauses before every one of them
OVERPAID: Final = "overpaid"  # also the name of the mapping's own rule, which holds an order before its invoice
NAMES_OF_A_CLIENT: Final = ("email", "organization", "fname", "lname")  # one is expected (facts §5)
EXTRAS: Final = ("transactionid",)  # sources disagree whether it is a number; the note carries it anyway


class OrderMissingError(Exception):
    """A payment's order has no sent invoice yet; `sync.flow` decides what that means."""

    def __init__(self, order_id: str) -> None:
        super().__init__(f"the invoice of order {order_id} is not posted yet")
        self.order_id = order_id


class Applier:
    """Executes the actions of one event in order; raises EndedError when one of them decides the outcome."""

    def __init__(
        self, context: Context, event: Event, spec_fingerprint: str, source_version: str | None, spec_name: str
    ) -> None:
        self.context = context
        self.event = event
        self.spec_fingerprint = spec_fingerprint
        self.spec_name = spec_name
        self.source_version = source_version
        self.outputs: dict[str, Mapping[str, Any]] = {}
        self.rows: dict[str, Row] = {}
        """What the server answered to this event's own writes, by step."""
        self.missing: list[tuple[str, str, str]] = []
        """Notes on what lookups did not find: kind, message, subject."""
        self._keys: dict[str, Action] = {}
        self._expected: tuple[Action, ...] = ()
        self._entries: dict[str, Entry | None] = {}
        self.tell()  # what is read from here on is as it is

    def tell(self) -> None:
        """Commit what the event carries now: before something that counts on it, or reads the ledger itself."""
        self.event.carried.flush(self.context.store)

    @property
    def invoices_anew(self) -> bool:
        """Whether this event is about to make an invoice that is not there yet."""
        return any(action.entity == "invoice" and self._is_new(action) for action in self._expected)

    @property
    def client(self) -> dict[str, str] | None:
        """Whom this event's invoice is for: the client's id, and a digest of its key, which may be an e-mail."""
        action = next((action for action in self._keys.values() if action.entity == "client"), None)
        if action is None or action.step not in self.outputs:
            return None
        return {"key": digest(action.key), "id": str(self.outputs[action.step]["id"])}

    def _is_new(self, action: Action) -> bool:
        entry = self.entry(action.key)
        return action.kind == "create_once" and (entry is None or entry.remote_id is None)

    def expect(self, actions: Iterable[Action]) -> None:
        """Read what the ledger knows of all these actions at once.

        What is read here may be old when it is used. That costs a second try at most: no write begins unless the
        ledger's row is still as it was read.
        """
        self._expected = tuple(actions)
        keys = [action.key for action in self._expected if action.key]
        self._entries = {**dict.fromkeys(keys), **ledger.get_all(self.context.store, keys)}

    def apply(self, action: Action) -> None:
        """Execute one action.

        Raises:
            EndedError: The event's outcome is decided.
            ConnectorError: For `sync.recovery` to judge.
        """
        self._keys[action.step] = action
        found.claim(self, action)
        if action.kind == "lookup":
            for lookup in action.lookups:
                self._note_missing(lookup)
        elif action.kind == "find":
            self._find(action)
        elif action.kind == "upsert":
            Upserter(self).upsert(action)
        elif action.kind == "mark_as_sent":
            InvoiceWriter(self, self._keys[action.of or ""]).send()
        elif action.entity == "invoice":
            InvoiceWriter(self, action).ensure()
        elif action.entity == "payment":
            if not skips.stands(self.context.store, f"payment:{action.key.rsplit(':', 1)[-1]}"):
                self._payment(action)
        else:
            Upserter(self).ensure(action)

    # --- writing, once -------------------------------------------------------------------------------------------

    @property
    def now(self) -> float:
        """Unix seconds."""
        return self.context.now()

    def entry(self, key: str) -> Entry | None:
        """What the ledger knows of a key, as read when the event was begun, or written since."""
        if key not in self._entries:
            self._entries[key] = ledger.get(self.context.store, key)
        return self._entries[key]

    def enter(self, entry: Entry) -> Entry:
        """Note a row of the ledger that was just written."""
        self._entries[entry.key] = entry
        return entry

    def create(
        self,
        action: Action,
        body: Mapping[str, Any],
        *,
        phase: str,
        after: Callable[[], Row | None],
        reserved: Reserved | None = None,
        phase_of: Callable[[Row], str] | None = None,
        gate: ledger.Gate | None = None,
    ) -> Row | None:
        """Create a remote object exactly once.

        Args:
            after: Looks again when the server refuses, since a refusal may mean that it is there already.
            reserved: Read before it was looked whether the object is there.
            phase_of: How far the object is, judged by the server's answer; `phase` when None.
            gate: Asked by the transaction that commits the intent.

        Returns:
            The object; None in a dry run.

        Raises:
            EndedError: Refused for good (dead), or in doubt (retry after the settle time).
            IntentOpenError: Somebody else writes it, or has written it since the caller looked.
        """
        entity, changes = action.via or action.entity, action.changes
        self._suits_account(entity, body)
        if self.context.dry_run:
            self.plan("PUT" if changes else "POST", entity, changes, body, action)
            return None
        if action.entity == "client" and not any(body.get(name) for name in NAMES_OF_A_CLIENT):
            raise held(
                "customer-unknown",
                "nothing but the key of the client is known, and it cannot be fetched: send or sync the customer",
            )

        def asked(conn: Connection) -> Exception | None:
            return self.context.going(conn) or (None if gate is None else gate(conn))

        entry = self._intent(action, phase, reserved=reserved, gate=asked)
        request: Row = {"method": "PUT" if changes else "POST", "entity": entity, "body": dict(body)}
        if changes:
            request["id"] = changes

        def again() -> None:
            nonlocal entry
            entry = self._renewed(entry)

        def send() -> Row:
            freshbooks = self.context.freshbooks
            return freshbooks.update(entity, changes, body) if changes else freshbooks.create(entity, body)

        try:
            row = self._send(send, again)
        except AmbiguousWriteError as error:
            self._set(entry, "doubt", Tried(request, "doubt"), detail={**entry.detail, "looks": 0})
            raise later(
                "in-doubt", f"{error.message}; looking before anything is sent again", self._doubt_s(entry)
            ) from None
        except RejectedError as error:
            self._set(entry, "refused", Tried(request, "refused"))
            if error.field in EXTRAS and error.field in body:
                rest = {name: value for name, value in body.items() if name != error.field}
                again_reserved = None if reserved is None else reserved.taken(action.key)
                return self.create(
                    action, rest, phase=phase, after=after, reserved=again_reserved, phase_of=phase_of, gate=gate
                )
            there = after()
            if there is not None:
                return self.adopt(action, there)
            raise dead("rejected", str(error)) from None
        except (TransientError, AuthError):
            self._set(entry, "refused", Tried(request, "not-applied"))
            raise
        remote_id = str(row["id"])

        def lost(there: Entry | None) -> Exception | None:
            if there is not None and there.state == "confirmed" and there.remote_id == remote_id:
                return None  # somebody found it meanwhile
            return held(
                "written-twice",
                f"this runner was paused while it sent {shown_key(action.key)}, which became {action.entity}"
                f" {remote_id}; another runner may have written it as well: look in FreshBooks and keep one",
            )

        tried = Tried(request, "done", _response(row))
        reached = phase if phase_of is None else phase_of(row)
        self._confirm_later(action, row, phase=reached, tried=tried, lost=lost)
        self.rows[action.step] = row
        return row

    def _send(self, send: Callable[[], Row], again: Callable[[], object]) -> Row:
        """Send a write whose lane was proved ours a moment ago; what was paused before it left is proved again.

        Raises:
            TransientError: Too busy to send in time; nothing left.
            LaneLostError, IntentOpenError: Somebody else has taken over.
        """
        leases = self.context.leases
        for _ in range(SENDS):
            try:
                with checked_writes(lambda: leases.check(self.event)):
                    return send()
            except StaleLeaseError as error:
                log.warning("paused before a write, which did not leave", extra={"why": error.message})
                again()
        raise TransientError("this machine is too busy to send a write within its lease")

    def _set(self, entry: Entry, state: LedgerState, tried: Tried | None = None, **more: Any) -> Entry:
        return self.enter(
            ledger.set_state(
                self.context.store,
                entry.key,
                state,
                seen=entry,
                tried=tried,
                carried=self.event.carried,
                now=self.now,
                **more,
            )
        )

    def _suits_account(self, entity: str, body: Mapping[str, Any]) -> None:
        """Hold what the account is known to refuse or, worse, to change silently (`mapper-sync doctor`)."""
        reasons = refusals(self.context.settings.findings, entity, body)
        if reasons:
            raise held("account-limits", f"this FreshBooks account does not take the {entity}: {'; '.join(reasons)}")

    def settle(self, action: Action, look: Callable[[], Row | None]) -> Row | None:
        """Find out what became of a write that was begun and has no known end.

        Returns:
            The object when it was applied (adopted now); None when it surely was not and may be sent.

        Raises:
            EndedError: Too early to tell, or a person has to decide.
        """
        entry = self.entry(action.key)
        if entry is None or entry.state not in ledger.LIVE:
            return None
        if entry.entity == "payment" and self.context.settings.policies.payments.in_doubt == "person":
            raise held(
                "payment-in-doubt", f"payment {shown_key(action.key)}: no clear answer; look in FreshBooks and decide"
            )
        looks = int(entry.detail.get("looks", 0))
        self._wait(entry, self.context.settings.settle_s if looks else self._doubt_s(entry))
        there = look()
        if there is not None:
            return self.adopt(action, there)
        if looks + 1 < LOOKS_BEFORE_RESEND:
            self._set(entry, "doubt", detail={**entry.detail, "looks": looks + 1})
            raise later(
                "in-doubt", f"{shown_key(entry.key)}: not found yet, looking once more", self.context.settings.settle_s
            )
        self._set(entry, "refused")
        return None

    def settled(self, action: Action) -> Entry | None:
        """The entry, once no change of its object that was begun earlier can still take effect.

        What came of such a change need not be known: its object is there and is read before it is changed again. Only
        a newer change must not be overtaken by it.

        Raises:
            EndedError: Too early to tell.
        """
        entry = self.entry(action.key)
        if entry is None or not entry.changing:
            return entry
        self._wait(entry, self._doubt_s(entry))
        detail, change = dict(entry.detail), entry.detail["change"]
        del detail["change"]
        detail["meant"] = [*detail.get("meant", ()), change["fields"]]
        source = Source(change["record"], change["version"])
        return self._set(entry, change["from"], content_hash=ledger.UNSURE, source=source, detail=detail)

    def _wait(self, entry: Entry, seconds: float) -> None:
        left_s = entry.at + seconds - self.now
        if left_s > 0:
            raise later("in-doubt", f"{shown_key(entry.key)}: waiting until a lost answer would be visible", left_s)

    def adopt(self, action: Action, row: Row, *, phase: str = "adopted") -> Row:
        """Enter an object that is there already into the ledger as ours."""
        if self.context.dry_run:
            return row
        entry = self.entry(action.key)
        if entry is None or entry.state not in ledger.LIVE:
            self._intent(action, phase)
        # What is upserted is yet to be compared, and nobody may take it for done if that is never reached.
        self.confirm(action, row, phase=phase, content=None if action.kind == "upsert" else True)
        log.info("adopted", extra={"key": shown_key(action.key)})
        return row

    def confirm(
        self, action: Action, row: Row, *, phase: str, content: bool | None = True, tried: Tried | None = None
    ) -> Entry:
        """Commit what the server answered, and the request behind it.

        Args:
            content: Whether all that the action wants is there now; False: as before, None: to be found out.

        Raises:
            IntentOpenError: Somebody else has changed the entry; the request is recorded all the same.
        """
        entry, change = self.entry(action.key), self._confirming(action, row, phase, content)
        return self.enter(
            ledger.change(
                self.context.store,
                action.key,
                change,
                seen=ledger.ANY if entry is None else entry,
                tried=tried,
                carried=self.event.carried,
                now=self.now,
            )
        )

    def _confirm_later(
        self,
        action: Action,
        row: Row,
        *,
        phase: str,
        content: bool = True,
        tried: Tried,
        lost: ledger.Lost | None = None,
    ) -> None:
        """As `confirm`, by the event's next commit: until then the intent stands, as after a crash."""
        entry = self.entry(action.key)
        if entry is None:
            self.confirm(action, row, phase=phase, content=content, tried=tried)
            return
        change = self._confirming(action, row, phase, content)
        self._carry(entry, change, tried, lost)

    def _carry(self, entry: Entry, change: Change, tried: Tried, lost: ledger.Lost | None = None) -> None:
        def changed(_: Entry | None) -> Exception:
            return IntentOpenError(f"{shown_key(entry.key)}: its state has changed meanwhile; looking again")

        carried = self.event.carried
        self.enter(ledger.confirm_later(carried, entry, change, tried=tried, lost=lost or changed, now=self.now))

    def _confirming(self, action: Action, row: Row, phase: str, content: bool | None) -> Change:
        entry = self.entry(action.key)
        detail = dict(entry.detail) if entry else {}
        for passing in ("looks", "change", "meant"):
            detail.pop(passing, None)
        if content:
            # What the source leaves out now was written once all the same.
            kept = detail.get("fields", {}) if action.kind == "upsert" else {}
            detail["fields"] = {**kept, **(action.fields or {})}
        elif content is None:
            detail.pop("fields", None)
        if action.entity == "invoice" and content and self.client is not None:
            detail.setdefault("client", self.client)
        if action.identity:
            detail["identity"] = action.identity
        if action.entity == "payment":
            detail |= {"invoice": str(row.get("invoiceid")), "weak": action.weak_key}
            if row.get("overpaymentid"):
                detail["credit"] = str(row["overpaymentid"])
        return Change(
            "confirmed",
            phase,
            str(row["id"]),
            action.content_hash if content else ledger.UNSURE if content is None else None,
            self._source if content else None,
            action.total,
            action.currency,
            detail,
        )

    def put(
        self,
        action: Action,
        remote_id: str,
        body: Mapping[str, Any],
        send: Callable[[], Row],
        *,
        phase: str = "",
        reserved: Reserved | None = None,
        detail: Mapping[str, Any] | None = None,
        reached: str | None = None,
    ) -> Row:
        """Send a change of an existing object; no later change of it is sent before this one has a known end.

        Args:
            phase: Given when the object is all that the action wants then: the phase that this brings the entry to.
            reserved: Read before it was looked whether another object has what is written here.
            detail: Of the entry once it is done; None for what it was.
            reached: Without `phase`: the phase of an entry whose content is as before.

        Raises:
            EndedError: In doubt: it may be applied later than whatever would be sent now.
        """
        self._suits_account(action.entity, body)
        before = self.entry(action.key)
        if before is None or before.state in ledger.LIVE:
            raise IntentOpenError(f"{shown_key(action.key)}: not known well enough to be changed; looking again")
        change = {
            "from": before.state,
            "record": self.event.record_key,
            "version": self.source_version,
            "fields": dict(action.fields or {}),
        }
        begun = {**before.detail, "change": change}
        entry = self._renewed(before, begun, reserved=reserved, gate=self.context.going)
        request = {"method": "PUT", "entity": action.entity, "id": remote_id, "body": dict(body)}

        def again() -> None:
            nonlocal entry
            entry = self._renewed(entry)

        try:
            row = self._send(send, again)
        except AmbiguousWriteError as error:
            entry = self._set(entry, "doubt", Tried(request, "doubt"))
            message = f"{error.message}; waiting until it can no longer take effect, then comparing again"
            raise later("in-doubt", message, self._doubt_s(entry)) from None
        except ConnectorError:
            self._set(entry, before.state, Tried(request, "refused"), detail=before.detail)
            raise
        self.rows[action.step] = row
        tried = Tried(request, "done", _response(row))
        if phase:
            self._confirm_later(action, {**row, "id": remote_id}, phase=phase, tried=tried)
        else:
            done = Change("confirmed", reached, detail=before.detail if detail is None else detail)
            self._carry(entry, done, tried)
        return row

    def mark(
        self, action: Action, remote_id: str, body: Mapping[str, Any], send: Callable[[], Row], *, phase: str
    ) -> None:
        """Send a change that nothing later takes back, so that coming twice or late it changes nothing.

        It needs no intent: doubt ends in a retry.
        """
        self.context.may_write()
        request = {"method": "PUT", "entity": action.entity, "id": remote_id, "body": dict(body)}
        try:
            row = self._send(send, lambda: self.context.leases.renew(self.event))
        except ConnectorError as error:
            outcome = "doubt" if isinstance(error, AmbiguousWriteError) else "refused"
            ledger.add_attempt(self.context.store, action.key, request=request, outcome=outcome, now=self.now)
            raise
        self.rows[action.step] = row
        tried = Tried(request, "done", _response(row))
        self._confirm_later(action, {**row, "id": remote_id}, phase=phase, content=False, tried=tried)

    def plan(
        self, method: str, entity: str, remote_id: str | None, body: Mapping[str, Any], action: Action | None = None
    ) -> None:
        """Add a request to what a dry run shows."""
        planned: dict[str, Any] = {
            "method": method,
            "path": self.context.freshbooks.path_of(entity, remote_id),
            "body": {entity: dict(body)},
            "entity": entity,
            "record": self.event.record_key,
        }
        if action is not None and action.total is not None and method == "POST":
            planned |= {"total": action.total, "currency": action.currency}
        self.context.planned.append(planned)

    def _intent(
        self,
        action: Action,
        phase: str,
        *,
        reserved: Reserved | None = None,
        gate: ledger.Gate | None = None,
    ) -> Entry:
        return self.enter(
            ledger.open_intent(
                self.context.store,
                action.key,
                entity=action.entity,
                record_key=self.event.record_key,
                phase=phase,
                body_hash=action.content_hash,
                source_version=self.source_version,
                spec_fingerprint=self.spec_fingerprint,
                total=action.total,
                currency=action.currency,
                seen=self.entry(action.key),
                reserved=reserved,
                event=self.event,
                gate=gate,
                now=self.now,
            )
        )

    def _renewed(
        self,
        entry: Entry,
        detail: Mapping[str, Any] | None = None,
        *,
        reserved: Reserved | None = None,
        gate: ledger.Gate | None = None,
    ) -> Entry:
        store, now = self.context.store, self.now
        return self.enter(
            ledger.renew_intent(store, entry, self.event, detail=detail, reserved=reserved, gate=gate, now=now)
        )

    def note_detail(self, entry: Entry, detail: Mapping[str, Any], *, phase: str | None = None) -> Entry:
        """Remember something of an object without a request."""
        return self._set(entry, entry.state, detail=detail, phase=phase)

    def link(self, action: Action, remote_id: str, *, phase: str, detail: Mapping[str, Any] | None = None) -> Entry:
        """Let a key stand for another object from now on, of which nothing is known to be ours."""
        entry = self.entry(action.key)
        if entry is None or entry.state not in (*ledger.LIVE, "confirmed"):
            entry = self._intent(action, phase)
        entry = self.confirm(action, {"id": remote_id}, phase=phase, content=None)
        return entry if detail is None else self.note_detail(entry, {**entry.detail, **detail})

    @property
    def _source(self) -> Source:
        return Source(self.event.record_key, self.source_version, self.spec_fingerprint)

    def _doubt_s(self, entry: Entry) -> float:
        """Until the answer to a write that was begun would be visible: its time on the way, and the settle time.

        An intent without a known end may have left as late as its lease allowed (`sync.leases`).
        """
        settings = self.context.settings
        late_s = max(settings.settle_s, self.context.leases.fresh_s) if entry.state == "intent" else settings.settle_s
        return settings.http_timeout_s + late_s

    def reservation(self, action: Action, name: str | None) -> Reserved | None:
        """Who wrote last what may be the same remote object; read it before looking there.

        Args:
            name: What can stand at one object only, such as an e-mail; only its digest is kept.

        Raises:
            IntentOpenError: Somebody writes it at this moment.
        """
        if name is None or self.context.dry_run:
            return None
        text = f"{action.key.partition(':')[0]}:{action.entity}:{digest(name)}"
        try:
            return ledger.reservation(self.context.store, text, action.key)
        except IntentOpenError:
            if not self.event.carried:
                raise
            self.tell()  # it may be our own write, whose end is not told yet
            return ledger.reservation(self.context.store, text, action.key)

    def of_remote(self, entity: str, remote_id: str) -> list[Entry]:
        """What the ledger knows of a remote object, with what this event has written and not told yet."""
        known = {entry.key: entry for entry in ledger.of_remote(self.context.store, entity, remote_id)}
        if self.event.carried:
            ours = (entry for entry in self._entries.values() if entry is not None)
            known |= {entry.key: entry for entry in ours if (entry.entity, entry.remote_id) == (entity, remote_id)}
        return list(known.values())

    def placeholder(self, action: Action) -> Row:
        """Stands for an object that a dry run does not create; the scratch ledger knows it, so it is planned once."""
        row = {"id": f"{{id of {action.key}}}"}
        if action.entity in ("client", "item"):
            self._intent(action, "planned")
            self.confirm(action, row, phase="planned")
        return row

    def open_day(self, day: str, what: str) -> str:
        """The day to date a write with: nothing is dated before the lock date (rule 9).

        Raises:
            EndedError: The day is locked, and the policy is to hold.
        """
        policies = self.context.settings.policies
        if policies.lock_date is None or day >= policies.lock_date.isoformat():
            return day
        if policies.lock_date_action == "today":
            return max(datetime.fromtimestamp(self.now, UTC).date(), policies.lock_date).isoformat()
        raise held("closed-period", f"the {what} is dated {day}, before the lock date {policies.lock_date.isoformat()}")

    def _note_missing(self, lookup: Lookup) -> None:
        """What FreshBooks does not have: lines need no item, so an unknown one is only told (rule 3, pitfall 10)."""
        try:
            rows = self.context.finder.find(lookup)
        except RejectedError as error:
            log.warning("cannot be looked up", extra={"entity": lookup.entity, "status": error.status})
            return
        if rows:
            return
        note, message = (
            f"unknown-{lookup.entity}",
            f"FreshBooks has no {lookup.entity} with this {named(lookup.field)}",
        )
        if lookup.entity == "item":
            note, message = "unknown-sku", f"{message}; the line is free text"
        self.missing.append((note, f"{lookup.where}: {message}", lookup.value))

    # --- payments ------------------------------------------------------------------------------------------------

    def _find(self, action: Action) -> None:
        """The invoice that another flow made; the event waits until it is sent (rule 7)."""
        entry = self.entry(action.key)
        if entry is None or not entry.stands or entry.phase != "sent":
            raise OrderMissingError(action.key.rsplit(":", 1)[-1])
        self.outputs[action.step] = {
            "id": id_on_wire(entry.remote_id),
            "total": entry.total,
            "currency": entry.currency,
        }

    def _payment(self, action: Action) -> None:
        body = filled(action.body or {}, self.outputs)
        entry = self.entry(action.key)
        invoice_id = str(body["invoiceid"])
        if entry is not None and entry.state == "confirmed":
            if entry.detail.get("invoice") not in (None, invoice_id):
                message = f"a payment with this id is posted on invoice {entry.detail['invoice']} already: decide"
                raise held("payment-id-reused", message)
            self._still_posted(action, entry)
            return
        total, currency = self._invoice_of(invoice_id)
        if currency != action.currency:
            raise held("payment-currency", f"the payment is in {action.currency}, the invoice in {currency}")
        body["date"] = self.open_day(str(body["date"]), "payment")
        if self.context.dry_run and not invoice_id.isdigit():
            self.plan("POST", "payment", None, body, action)
            return

        def look() -> Row | None:
            rows = self.context.freshbooks.find_payments_of_invoice(invoice_id)
            ours = [row for row in rows if row.get("note") == body["note"]]
            ours = ours or [row for row in rows if self._same_transaction(row, action, body)][:1]
            ours = ours or self._typed_by_hand(rows, action, body)[:1]
            if len(ours) > 1:
                raise held("payment-doubled", f"invoice {invoice_id} has {len(ours)} payments with this payment's note")
            if not ours:
                paid = sum((Decimal(str(row["amount"]["amount"])) for row in rows), Decimal(0))
                stands = self._to_pay(invoice_id, action)
                most = stands if total is None else min(stands, total)
                if action.total is not None and paid + action.total > most:
                    raise held(
                        OVERPAID,
                        f"invoice {invoice_id} would be overpaid: {paid} of {most} {currency} is paid, "
                        f"this payment is {action.total}",
                    )
            return ours[0] if ours else None

        # A payment may come as an event and inside its order, under two keys and in two lanes.
        reserved = self.reservation(action, f"invoice:{invoice_id}")
        there = self.settle(action, look) or look()
        if there is not None:
            # One remote payment counts once in the ledger, whatever keys its records have.
            if not self.of_remote("payment", str(there["id"])):
                self.adopt(action, there)
            return
        made = self.create(action, body, phase="created", after=lambda: None, reserved=reserved)
        if made is not None and made.get("overpaymentid"):
            raise held(*_credit_made(made))

    def _to_pay(self, invoice_id: str, action: Action) -> Decimal:
        """What the invoice comes to in FreshBooks now: a person may have changed it since it was sent.

        Raises:
            EndedError: It was deleted, or is in another currency than the payment.
        """
        answered = (self.rows.get(step) for step, known in self._keys.items() if known.entity == "invoice")
        row = next((row for row in answered if row is not None and str(row["id"]) == invoice_id), None)
        row = row or self.context.freshbooks.get("invoice", invoice_id)
        if row.get("vis_state") == DELETED:
            raise held("invoice-deleted", f"invoice {invoice_id} was deleted in FreshBooks: the payment is not posted")
        amount = row.get("amount")
        shown = amount if isinstance(amount, Mapping) else {}
        if shown.get("code") != action.currency:
            message = f"the payment is in {action.currency}, the invoice in FreshBooks in {shown.get('code')}"
            raise held("payment-currency", message)
        return Decimal(str(shown["amount"]))

    def _still_posted(self, action: Action, entry: Entry) -> None:
        """A payment that is posted has to be what its record says, and the alarm about one stays until it is mended.

        Raises:
            EndedError: A person has to put it right.
        """
        rebuilt = "rebuilt" in entry.detail  # what FreshBooks had then, which a person may have lowered
        same = rebuilt or entry.total is None or (entry.total, entry.currency) == (action.total, action.currency)
        if same and "credit" not in entry.detail:
            return
        row = self.context.freshbooks.get("payment", str(entry.remote_id))
        if row.get("vis_state") != DELETED and row.get("overpaymentid"):
            raise held(*_credit_made(row))
        if not same and not same_value(row.get("amount"), {"amount": action.total, "code": action.currency}):
            raise held(
                "payment-changed",
                f"payment {entry.remote_id} was posted over {entry.total} {entry.currency}, and the record says"
                f" {action.total} {action.currency} now",
            )

    def _same_transaction(self, row: Row, action: Action, body: Mapping[str, Any]) -> bool:
        """True for the same gateway transaction and amount, posted from a record that had an id where this has none.

        Shops give a payment an id in its own event and none inside the order. Two payments with ids, or two
        without, are two payments even when they share a transaction (partial captures).
        """
        transaction = str(body.get("transactionid") or "")
        if not transaction or transaction not in str(row.get("note") or "").split():
            return False
        known = self.of_remote("payment", str(row["id"]))
        return same_value(row.get("amount"), body["amount"]) and any(
            entry.detail.get("weak", False) != action.weak_key for entry in known
        )

    def _typed_by_hand(self, rows: list[Row], action: Action, body: Mapping[str, Any]) -> list[Row]:
        """Payments of an adopted invoice that a person entered for this one: same amount, nobody's in the ledger."""
        invoice_id = str(body["invoiceid"])
        if not any(entry.detail.get("adopted") for entry in self.of_remote("invoice", invoice_id)):
            return []
        same = [row for row in rows if same_value(row.get("amount"), body["amount"])]
        return [row for row in same if not self.of_remote("payment", str(row["id"]))]

    def _invoice_of(self, invoice_id: str) -> tuple[Decimal | None, str | None]:
        for action in self._keys.values():
            if action.entity == "invoice" and action.total is not None:
                return action.total, action.currency
        output = next((o for o in self.outputs.values() if str(o.get("id")) == invoice_id and "total" in o), {})
        return output.get("total"), output.get("currency")


def _credit_made(payment: Row) -> tuple[str, str]:
    """Reason and message of a payment that FreshBooks has made client credit of (rule 14)."""
    message = f"FreshBooks made client credit {payment['overpaymentid']} of payment {payment['id']} on invoice"
    return "overpayment-credit", f"{message} {payment.get('invoiceid')}: the invoice was paid already"


def _response(row: Row) -> Row:
    """What is kept of an answer."""
    return {name: row.get(name) for name in ("id", "amount", "v3_status") if name in row}
