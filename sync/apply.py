"""Executes actions: looks before it writes, commits the intent, sends, and proves what came of it (rules 7, 10-14).

Safety that no spec can switch off lives here: intent before every create, a look before any re-send, adoption only
when everything matches, an invoice is sent only when the server's total is the order's, no payment beyond the total.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from connectors.errors import AmbiguousWriteError, AuthError, ConnectorError, RejectedError, TransientError
from connectors.freshbooks import DELETED
from mapspec import Lookup
from mapspec.engine import record_instant
from sync import ledger, records
from sync.findings import refusals
from sync.invoices import InvoiceWriter
from sync.ledger import Entry
from sync.outcome import dead, held, later
from sync.plan import Action, digest, filled

if TYPE_CHECKING:
    from sync.inbox import Event
    from sync.worker import Context

log = logging.getLogger(__name__)

Row = dict[str, Any]
LOOKS_BEFORE_RESEND: Final = 2  # rule 13: look, wait the settle time, look once more
NAMES_OF_A_CLIENT: Final = ("email", "organization", "fname", "lname")  # one is expected (facts §5)
EXTRAS: Final = ("transactionid",)  # sources disagree whether it is a number; the note carries it anyway
NOT_OURS_TO_OVERWRITE: Final = {"client": ("note",)}  # a person's note stays; ours is only a marker


class OrderMissingError(Exception):
    """A payment's order has no sent invoice yet; `sync.flow` decides what that means."""

    def __init__(self, order_id: str) -> None:
        super().__init__(f"the invoice of order {order_id} is not posted yet")
        self.order_id = order_id


class Applier:
    """Executes the actions of one event in order; raises EndedError when one of them decides the outcome."""

    def __init__(self, context: Context, event: Event, spec_fingerprint: str, source_version: str | None) -> None:
        self.context = context
        self.event = event
        self.spec_fingerprint = spec_fingerprint
        self.source_version = source_version
        self.outputs: dict[str, Mapping[str, Any]] = {}
        self._keys: dict[str, Action] = {}

    def apply(self, action: Action) -> None:
        """Execute one action.

        Raises:
            EndedError: The event's outcome is decided.
            ConnectorError: For `sync.recovery` to judge.
        """
        self._keys[action.step] = action
        if action.kind == "lookup":
            for lookup in action.lookups:
                self._note_missing(lookup)
        elif action.kind == "find":
            self._find(action)
        elif action.kind == "upsert":
            self._upsert(action)
        elif action.kind == "mark_as_sent":
            InvoiceWriter(self, self._keys[action.of or ""]).send()
        elif action.entity == "invoice":
            InvoiceWriter(self, action).ensure()
        elif action.entity == "payment":
            self._payment(action)
        else:
            self._ensure(action)

    # --- writing, once -------------------------------------------------------------------------------------------

    @property
    def now(self) -> float:
        """Unix seconds."""
        return self.context.now()

    def entry(self, key: str) -> Entry | None:
        """What the ledger knows of a key."""
        return ledger.get(self.context.store, key)

    def create(
        self, action: Action, body: Mapping[str, Any], *, phase: str, after: Callable[[], Row | None]
    ) -> Row | None:
        """Create a remote object exactly once.

        Args:
            after: Looks again when the server refuses, since a refusal may mean that it is there already.

        Returns:
            The object; None in a dry run.

        Raises:
            EndedError: Refused for good (dead), or in doubt (retry after the settle time).
        """
        self._suits_account(action.entity, body)
        if self.context.dry_run:
            self.plan("POST", action.entity, None, body, action)
            return None
        if action.entity == "client" and not any(body.get(name) for name in NAMES_OF_A_CLIENT):
            raise held(
                "customer-unknown",
                f"nothing but the key of {action.key} is known, and it cannot be fetched: send or sync the customer",
            )
        self._intent(action, phase)
        request = {"method": "POST", "entity": action.entity, "body": dict(body)}
        try:
            self.context.renew(self.event)
            row = self.context.freshbooks.create(action.entity, body)
        except AmbiguousWriteError as error:
            self._attempted(action.key, request, "doubt")
            ledger.set_state(self.context.store, action.key, "doubt", detail=self._looks(action.key, 0), now=self.now)
            raise later(
                "in-doubt", f"{error.message}; looking before anything is sent again", self._doubt_s()
            ) from None
        except RejectedError as error:
            self._attempted(action.key, request, "refused")
            ledger.set_state(self.context.store, action.key, "refused", now=self.now)
            if error.field in EXTRAS and error.field in body:
                rest = {name: value for name, value in body.items() if name != error.field}
                return self.create(action, rest, phase=phase, after=after)
            there = after()
            if there is not None:
                return self.adopt(action, there)
            raise dead("rejected", str(error)) from None
        except (TransientError, AuthError):
            self._attempted(action.key, request, "not-applied")
            ledger.set_state(self.context.store, action.key, "refused", now=self.now)
            raise
        self._attempted(action.key, request, "done", row)
        self.confirm(action, row, phase=phase)
        return row

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
            raise held("payment-in-doubt", f"payment {action.key}: no clear answer; look in FreshBooks and decide")
        looks = int(entry.detail.get("looks", 0))
        wait_s = self.context.settings.settle_s if looks else self._doubt_s()
        left_s = entry.at + wait_s - self.now
        if left_s > 0:
            raise later("in-doubt", f"{action.key}: waiting until a lost answer would be visible", left_s)
        there = look()
        if there is not None:
            return self.adopt(action, there)
        if looks + 1 < LOOKS_BEFORE_RESEND:
            state = ledger.set_state(
                self.context.store, action.key, "doubt", detail=self._looks(action.key, looks + 1), now=self.now
            )
            raise later("in-doubt", f"{state.key}: not found yet, looking once more", self.context.settings.settle_s)
        ledger.set_state(self.context.store, action.key, "refused", now=self.now)
        return None

    def adopt(self, action: Action, row: Row, *, phase: str = "adopted") -> Row:
        """Enter an object that is there already into the ledger as ours."""
        if self.context.dry_run:
            return row
        entry = self.entry(action.key)
        if entry is None or entry.state not in ledger.LIVE:
            self._intent(action, phase)
        self.confirm(action, row, phase=phase)
        log.info("adopted", extra={"key": action.key})
        return row

    def confirm(self, action: Action, row: Row, *, phase: str, content: bool = True) -> Entry:
        """Commit what the server answered."""
        entry = self.entry(action.key)
        detail = dict(entry.detail) if entry else {}
        detail.pop("looks", None)
        if content:
            detail["fields"] = dict(action.fields or {})
        if action.entity == "payment":
            detail |= {"invoice": str(row.get("invoiceid")), "weak": action.weak_key}
        return ledger.confirm(
            self.context.store,
            action.key,
            remote_id=str(row["id"]),
            phase=phase,
            content_hash=action.content_hash if content else None,
            total=action.total,
            currency=action.currency,
            detail=detail,
            now=self.now,
        )

    def put(self, action: Action, remote_id: str, body: Mapping[str, Any], send: Callable[[], Row]) -> Row:
        """Send a change of an existing object; repeating it is harmless, so doubt ends in a retry."""
        self._suits_account(action.entity, body)
        request = {"method": "PUT", "entity": action.entity, "id": remote_id, "body": dict(body)}
        try:
            self.context.renew(self.event)
            row = send()
        except ConnectorError as error:
            self._attempted(action.key, request, "doubt" if isinstance(error, AmbiguousWriteError) else "refused")
            raise
        self._attempted(action.key, request, "done", row)
        return row

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

    def _intent(self, action: Action, phase: str) -> None:
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
            now=self.now,
        )

    def _attempted(self, key: str, request: Mapping[str, Any], outcome: str, row: Row | None = None) -> None:
        response = (
            None if row is None else {name: row.get(name) for name in ("id", "amount", "v3_status") if name in row}
        )
        ledger.add_attempt(self.context.store, key, request=request, response=response, outcome=outcome, now=self.now)

    def _looks(self, key: str, looks: int) -> dict[str, Any]:
        entry = self.entry(key)
        return {**(entry.detail if entry else {}), "looks": looks}

    def _doubt_s(self) -> float:
        return self.context.settings.http_timeout_s + self.context.settings.settle_s

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

    # --- clients and items ---------------------------------------------------------------------------------------

    def _ensure(self, action: Action) -> None:
        """Create when missing, never change what is there (rule 11: an order only creates a missing client)."""
        entry = self.entry(action.key)
        if entry is not None and entry.state == "confirmed":
            self.outputs[action.step] = {"id": _id(entry.remote_id)}
            return
        body = filled(action.body or {}, self.outputs)
        row = self._look_or_create(action, body)
        self.outputs[action.step] = row

    def _look_or_create(self, action: Action, body: Mapping[str, Any]) -> Row:
        def look() -> Row | None:
            return self._match(action, body)

        there = self.settle(action, look) or look()
        if there is not None:
            return self.adopt(action, there)
        made = self.create(action, body, phase="created", after=look)
        if made is None:
            return self.placeholder(action)
        self._still_alone(action, body)
        return made

    def _match(self, action: Action, body: Mapping[str, Any]) -> Row | None:
        """The one record that the match fields find; the first match field with a value decides.

        Raises:
            EndedError: Several, or only deleted ones (rule 11).
        """
        field = next((name for name in action.match if body.get(name)), None)
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
                f"FreshBooks has {len(live)} {action.entity}s with this {_named(field)} ({ids}): merge or link them",
            )
        if rows:
            ids = ", ".join(sorted(str(row["id"]) for row in rows))
            raise held(
                f"{action.entity}-deleted",
                f"the {action.entity} with this {_named(field)} is deleted in FreshBooks ({ids}): restore it",
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
            ledger.set_state(self.context.store, action.key, "held", now=self.now)
            raise

    def _upsert(self, action: Action) -> None:
        """Create, or change what differs. Newest source version wins; a person's change is kept (rules 10, 11)."""
        entry = self.entry(action.key)
        body = filled(action.body or {}, self.outputs)
        if entry is None or entry.state != "confirmed" or entry.remote_id is None:

            def look() -> Row | None:
                return self._match(action, body)

            there = self.settle(action, look) or look()
            if there is None:
                made = self.create(action, body, phase="created", after=look)
                if made is not None:
                    self._still_alone(action, body)
                self.outputs[action.step] = made or self.placeholder(action)
                return
            self.adopt(action, there)
            self._change(action, there, body, None)
            return
        # Versions of two records do not compare: that of an order says nothing about the client it has made.
        comparable = entry.record_key.partition(":")[0] == self.event.entity
        older = comparable and _older(self.source_version, entry.source_version)
        if entry.content_hash == action.content_hash or older or entry.phase == "planned":
            self.outputs[action.step] = {"id": _id(entry.remote_id)}
            return
        self._change(action, self.context.freshbooks.get(action.entity, entry.remote_id), body, entry)

    def _change(self, action: Action, current: Row, body: Mapping[str, Any], entry: Entry | None) -> None:
        remote_id = str(current["id"])
        keep = {*action.create_only, *NOT_OURS_TO_OVERWRITE.get(action.entity, ())}
        wanted = {
            name: value for name, value in body.items() if name not in keep and not same_value(current.get(name), value)
        }
        before = dict(entry.detail.get("fields", {})) if entry is not None else {}
        touched = sorted(
            name for name in wanted if name in before and not _as_written(current.get(name), before[name], body[name])
        )
        if touched:
            raise held(
                "changed-in-freshbooks",
                f"{', '.join(touched)} of {action.entity} {remote_id} were changed in FreshBooks by a person: decide",
            )
        if wanted and self.context.dry_run:
            self.plan("PUT", action.entity, remote_id, wanted)
        elif wanted:
            self.put(
                action, remote_id, wanted, lambda: self.context.freshbooks.update(action.entity, remote_id, wanted)
            )
        if not self.context.dry_run:
            self._intent(action, "updated")
            self.confirm(action, current, phase="updated")
        self.outputs[action.step] = current

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
            f"FreshBooks has no {lookup.entity} with this {_named(lookup.field)}",
        )
        if lookup.entity == "item":
            note, message = "unknown-sku", f"{message}; the line is free text"
        records.add_note(
            self.context.store,
            self.event.record_key,
            note,
            f"{lookup.where}: {message}",
            subject=lookup.value,
            now=self.now,
        )

    # --- payments ------------------------------------------------------------------------------------------------

    def _find(self, action: Action) -> None:
        """The invoice that another flow made; the event waits until it is sent (rule 7)."""
        entry = self.entry(action.key)
        if entry is None or entry.state != "confirmed" or entry.phase != "sent":
            raise OrderMissingError(action.key.rsplit(":", 1)[-1])
        self.outputs[action.step] = {"id": _id(entry.remote_id), "total": entry.total, "currency": entry.currency}

    def _payment(self, action: Action) -> None:
        body = filled(action.body or {}, self.outputs)
        entry = self.entry(action.key)
        invoice_id = str(body["invoiceid"])
        if entry is not None and entry.state == "confirmed":
            if entry.detail.get("invoice") not in (None, invoice_id):
                message = f"a payment with this id is posted on invoice {entry.detail['invoice']} already: decide"
                raise held("payment-id-reused", message)
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
            if len(ours) > 1:
                raise held("payment-doubled", f"invoice {invoice_id} has {len(ours)} payments with this payment's note")
            if not ours:
                paid = sum((Decimal(str(row["amount"]["amount"])) for row in rows), Decimal(0))
                if total is not None and action.total is not None and paid + action.total > total:
                    raise held(
                        "overpaid",
                        f"invoice {invoice_id} would be overpaid: {paid} of {total} {currency} is paid, "
                        f"this payment is {action.total}",
                    )
            return ours[0] if ours else None

        there = self.settle(action, look) or look()
        if there is not None:
            # One remote payment counts once in the ledger, whatever keys its records have.
            if not ledger.of_remote(self.context.store, "payment", str(there["id"])):
                self.adopt(action, there)
            return
        made = self.create(action, body, phase="created", after=lambda: None)
        if made is not None and made.get("overpaymentid"):
            raise held(
                "overpayment-credit",
                f"FreshBooks made client credit {made['overpaymentid']} of payment {made['id']} on invoice "
                f"{invoice_id}: the invoice was paid already",
            )

    def _same_transaction(self, row: Row, action: Action, body: Mapping[str, Any]) -> bool:
        """True for the same gateway transaction and amount, posted from a record that had an id where this has none.

        Shops give a payment an id in its own event and none inside the order. Two payments with ids, or two
        without, are two payments even when they share a transaction (partial captures).
        """
        transaction = str(body.get("transactionid") or "")
        if not transaction or transaction not in str(row.get("note") or "").split():
            return False
        known = ledger.of_remote(self.context.store, "payment", str(row["id"]))
        return same_value(row.get("amount"), body["amount"]) and any(
            entry.detail.get("weak", False) != action.weak_key for entry in known
        )

    def _invoice_of(self, invoice_id: str) -> tuple[Decimal | None, str | None]:
        for action in self._keys.values():
            if action.entity == "invoice" and action.total is not None:
                return action.total, action.currency
        output = next((o for o in self.outputs.values() if str(o.get("id")) == invoice_id and "total" in o), {})
        return output.get("total"), output.get("currency")


def same_value(current: Any, wanted: Any) -> bool:
    """True when FreshBooks holds what we would write: texts trimmed, numbers by value, {amount, code} by both."""
    if isinstance(wanted, Mapping) and "amount" in wanted:
        return (
            isinstance(current, Mapping)
            and _decimal(current.get("amount")) == _decimal(wanted["amount"])
            and current.get("code") == wanted.get("code")
        )
    if isinstance(wanted, bool) or isinstance(current, bool):
        return current is wanted
    left, right = _decimal(current), _decimal(wanted)
    if left is not None and right is not None:
        return left == right
    return str(current if current is not None else "").strip() == str(wanted if wanted is not None else "").strip()


def _as_written(current: Any, written: str, wanted: Any) -> bool:
    """True when the current value is the one last written, judged by its digest in the shape we would write it."""
    if isinstance(wanted, Mapping) and isinstance(current, Mapping):
        places = str(wanted.get("amount", "")).partition(".")[2]
        amount = _decimal(current.get("amount"))
        text = None if amount is None else f"{amount:.{len(places)}f}"
        return digest({"amount": text, "code": current.get("code")}) == written
    return digest(current) == written or digest(str(current)) == written or current in (None, "")


def _decimal(value: Any) -> Decimal | None:
    try:
        return None if value is None or isinstance(value, bool) else Decimal(str(value))
    except ArithmeticError:
        return None


def _older(version: str | None, known: str | None) -> bool:
    left, right = record_instant(version), record_instant(known)
    if left is None or right is None or (left.tzinfo is None) != (right.tzinfo is None):
        return False
    return bool(left < right)


def _id(remote_id: str | None) -> int | str | None:
    """Ids are integers on FreshBooks' wire."""
    return int(remote_id) if remote_id is not None and remote_id.isdigit() else remote_id


def _named(field: str) -> str:
    return {"email": "e-mail", "sku": "SKU", "note": "Clarity marker"}.get(field, field)
