"""An invoice, to the cent (rule 7): look, create as draft, compare, correct by at most five minor units, send.

Every phase can be resumed: what the server holds is read again before anything is decided.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from connectors.errors import RejectedError
from connectors.freshbooks import DELETED
from mapspec import Reason
from mapspec.numbers import Money, currency_digits, plain
from mapspec.ordinary import MAX_ROUNDING_UNITS
from sync import adoption, clients, ledger
from sync.masked import shown_key
from sync.outcome import EndedError, Outcome, dead, held
from sync.plan import Action, filled

if TYPE_CHECKING:
    from sync.apply import Applier
    from sync.ledger import Entry

log = logging.getLogger(__name__)

Row = dict[str, Any]
ROUNDING_NAME: Final = "Rounding"


class InvoiceWriter:
    """Brings one invoice through its phases: created -> agreed -> sent."""

    def __init__(self, applier: Applier, action: Action) -> None:
        self.applier = applier
        self.action = action
        self.context = applier.context
        if action.total is None or action.currency is None:
            raise held("no-total", "the mapping makes an invoice without a total to compare: add a money block")
        self.total = action.total
        self.currency = action.currency

    def ensure(self) -> None:
        """Have the invoice there, agreeing with the order to the cent.

        Raises:
            EndedError: It cannot be, and why.
        """
        body = filled(self.action.body or {}, self.applier.outputs)
        entry = self.applier.settled(self.action)
        if entry is not None and entry.record_key != self.applier.event.record_key:
            raise dead("order-id-reused", f"the ledger has {entry.record_key} by the same id: only the case differs")
        if entry is not None and entry.remote_id is not None:
            entry = self._of_the_same_customer(entry, body)
        if (
            entry is not None
            and entry.state == "confirmed"
            and (entry.phase == "sent" or (entry.phase == "agreed" and entry.content_hash == self.action.content_hash))
        ):
            self._unchanged(entry, body)
            self._output(entry.remote_id)
            return
        if entry is not None and entry.remote_id is not None and entry.state in ("confirmed", "held"):
            row = self.context.freshbooks.get("invoice", entry.remote_id, include=("lines",))
            row = self._rewrite_draft(row, body, entry)
        else:
            made = self._look_or_create(body)
            if made is None:  # dry run
                self.applier.outputs[self.action.step] = self.applier.placeholder(self.action)
                return
            row = made
        if not self.context.dry_run:
            self._agree(row, body)
        self._output(str(row["id"]))

    def send(self) -> None:
        """Mark an agreed draft as sent."""
        entry = self.applier.entry(self.action.key)
        if entry is not None and entry.phase == "sent":
            return
        remote_id = str(self.applier.outputs[self.action.step]["id"])
        if self.context.dry_run:
            self.applier.plan("PUT", "invoice", remote_id, {"action_mark_as_sent": True})
            return
        if entry is None or entry.state != "confirmed" or entry.phase != "agreed":
            raise held("not-agreed", f"invoice {remote_id} does not agree with its order yet and is not sent")
        row = self.applier.rows.get(self.action.step) or self._still_agreed(remote_id)
        if is_draft(row):
            body, send = {"action_mark_as_sent": True}, self.context.freshbooks.mark_invoice_sent
            self.applier.mark(self.action, remote_id, body, lambda: send(remote_id), phase="sent")
        else:
            self.applier.confirm(self.action, {**row, "id": remote_id}, phase="sent", content=False)

    def _of_the_same_customer(self, entry: Entry, body: Mapping[str, Any]) -> Entry:
        """The entry; an order that went to another customer since its invoice was made is for a person.

        Raises:
            EndedError: The invoice is still the former customer's.
        """
        before, now, client_id = entry.detail.get("client"), self.applier.client, str(body["customerid"])
        if before is None or now is None or before["key"] == now["key"] or before["id"] == client_id:
            return entry
        if entry.spec_fingerprint != self.applier.spec_fingerprint:
            return entry  # another version of the mapping names clients otherwise: no order went anywhere
        for former in self.applier.of_remote("client", before["id"]):
            if str(clients.survivor(self.context.store, former).remote_id) == client_id:
                return entry  # the two customers were merged
        row = self.context.freshbooks.get("invoice", str(entry.remote_id))
        if str(row.get("customerid")) != client_id:
            message = f"invoice {entry.remote_id} is client {row.get('customerid')}'s, and the order is another's now"
            raise held("customer-changed-after-invoice", f"{message}: client {client_id}'s")
        if self.context.dry_run or entry.state in ledger.LIVE:
            return entry
        return self.applier.note_detail(entry, {**entry.detail, "client": now})

    def _still_agreed(self, remote_id: str) -> Row:
        """An invoice that agreed once and was not sent then: somebody may have changed it, or closed its period.

        Raises:
            EndedError: It is not to be sent as it is.
        """
        row = self.context.freshbooks.get("invoice", remote_id)
        if row.get("vis_state") == DELETED:
            raise held("invoice-deleted", f"invoice {remote_id} was deleted in FreshBooks")
        if self._difference(row) != 0:
            raise held("total-differs", f"invoice {remote_id} was changed in FreshBooks meanwhile: {self._both(row)}")
        day = self.applier.open_day(str(row.get("create_date")), "draft") if is_draft(row) else row.get("create_date")
        if day != row.get("create_date"):
            body = {"create_date": day}
            send = self.context.freshbooks.update
            row = self.applier.put(self.action, remote_id, body, lambda: send("invoice", remote_id, body))
        return row

    def _look_or_create(self, body: Mapping[str, Any]) -> Row | None:
        def look() -> Row | None:
            return self._taken(body)

        reserved = self.applier.reservation(self.action, f"number:{body['invoice_number']}")
        there = self.applier.settle(self.action, look) or look()
        if there is not None:
            return self.applier.adopt(self.action, there, phase="created")
        dated = {**body, "create_date": self.applier.open_day(str(body["create_date"]), "order")}

        def reached(row: Row) -> str:
            return "created" if self._difference(row) else "agreed"

        adoption.look(self.applier, self.action, body)
        spec, name = self.applier.spec_fingerprint, self.applier.spec_name
        place = self.context.first_run.place(spec, name, self.action.key, self.total, self.currency)
        made = self.applier.create(
            self.action,
            dated,
            phase="created",
            after=look,
            reserved=reserved,
            phase_of=reached,
            gate=lambda conn: place.take(conn, now=self.applier.now),
        )
        place.taken()
        return made

    def _taken(self, body: Mapping[str, Any]) -> Row | None:
        """The invoice that already has our number, when it is ours beyond doubt (rule 12)."""
        number = str(body["invoice_number"])
        rows = self.context.freshbooks.find_invoices_by_number(number)
        if not rows:
            return None
        if len(rows) > 1:
            raise dead("number-taken", f"FreshBooks has {len(rows)} invoices with number {number}")
        row = rows[0]
        others = {one.key for one in self.applier.of_remote("invoice", str(row["id"]))} - {self.action.key}
        marker = str(body["notes"]).splitlines()[0]
        differs = [
            what
            for what, same in (
                ("it is deleted", row.get("vis_state") != DELETED),
                ("its notes lack the order's marker", marker in str(row.get("notes") or "").splitlines()),
                ("its client is another", str(row.get("customerid")) == str(body["customerid"])),
                ("its currency is another", row.get("currency_code") == self.currency),
                ("its total is another", self._difference(row) is not None and self._within(row)),
                (f"it is that of {', '.join(map(shown_key, sorted(others)))}", not others),
            )
            if not same
        ]
        if differs:
            raise dead("number-taken", f"invoice number {number} is taken by invoice {row['id']}: {', '.join(differs)}")
        return row

    def _difference(self, row: Row) -> Decimal | None:
        """Order total minus server total; None when the server's is in another currency or missing."""
        amount = row.get("amount")
        if not isinstance(amount, Mapping) or amount.get("code") != self.currency:
            return None
        return self.total - Decimal(str(amount["amount"]))

    def _both(self, row: Row) -> str:
        """Both totals, in words."""
        shown = row.get("amount")
        server = f"{shown.get('amount')} {shown.get('code')}" if isinstance(shown, Mapping) else "an unknown total"
        wanted = plain(self.total, currency_digits(self.currency))
        return f"it comes to {server} in FreshBooks, the order to {wanted} {self.currency}"

    def _within(self, row: Row) -> bool:
        difference = self._difference(row)
        limit = MAX_ROUNDING_UNITS * Decimal(1).scaleb(-currency_digits(self.currency))
        return difference is not None and abs(difference) <= limit

    def _agree(self, row: Row, body: Mapping[str, Any]) -> None:
        """Compare the server's total with the order's; correct by one rounding line, or hold the draft."""
        difference = self._difference(row)
        if difference and self._within(row) and is_draft(row) and self._may_correct(difference):
            lines = self._with_rounding(row, body, difference)
            remote_id = str(row["id"])
            try:
                row = self.applier.put(
                    self.action,
                    remote_id,
                    {"lines": lines},
                    lambda: self.context.freshbooks.update("invoice", remote_id, {"lines": lines}),
                )
            except RejectedError as error:  # such as a rounding line below zero: the draft stays as it was
                log.info("rounding line refused", extra={"status": error.status, "errno": error.errno})
            difference = self._difference(row)
        if difference != 0:
            store, key = self.context.store, self.action.key
            carried, now = self.applier.event.carried, self.applier.now
            self.applier.enter(ledger.set_state(store, key, "held", phase="created", carried=carried, now=now))
            raise held("total-differs", f"draft invoice {row['id']} does not agree: {self._both(row)}")
        entry = self.applier.entry(self.action.key)
        if entry is None or (entry.state, entry.phase) != ("confirmed", "agreed"):
            self.applier.confirm(self.action, row, phase="agreed")

    def _may_correct(self, difference: Decimal) -> bool:
        """False for a rounding line below zero on an account that is known to refuse it."""
        findings = self.context.settings.findings
        return difference > 0 or findings is None or findings.negative_lines is not False

    def _with_rounding(self, row: Row, body: Mapping[str, Any], difference: Decimal) -> list[Any]:
        """All lines, kept by their ids, and one marked, untaxed line over the difference (rule 7)."""
        lines: list[Any] = []
        there = [line for line in row.get("lines") or [] if isinstance(line, Mapping)]
        ours = list(body["lines"])
        for position, line in enumerate(ours):
            same = there[position] if position < len(there) else {}
            lines.append({**line, "lineid": same["lineid"]} if "lineid" in same else dict(line))
        for line in there[len(ours) :]:
            if line.get("name") == ROUNDING_NAME:  # an earlier correction: the difference comes on top
                difference += Decimal(str(line["unit_cost"]["amount"]))
        rounding = {
            "name": ROUNDING_NAME,
            "description": "Rounding difference between shop and books",
            "qty": "1",
            "unit_cost": Money(difference, self.currency).wire(),
        }
        return [*lines, rounding]

    def _unchanged(self, entry: Entry, body: Mapping[str, Any]) -> None:
        """An edit after the invoice was sent is a correction that waits for a person (rule 10)."""
        if entry.content_hash == self.action.content_hash:
            return
        same_mapping = entry.spec_fingerprint == self.applier.spec_fingerprint
        same_version = self.applier.source_version == entry.source_version
        # An accepted change that was begun has left its version behind, and nobody knows whether it took effect.
        known = entry.content_hash != ledger.UNSURE
        if same_version and known and not (same_mapping and entry.total != self.total):
            return  # what is told by hashes may change without its time; only the order can change the money then
        before = entry.detail.get("fields", {})
        fields = self.action.fields or {}
        changed = sorted(name for name in {*before, *fields} if before.get(name) != fields.get(name))
        if not same_mapping and entry.total == self.total:
            return  # another version of the mapping words it otherwise; the money is the same
        message = f"the order was changed after invoice {entry.remote_id} was sent ({', '.join(changed)})"
        if entry.total != self.total:
            message += f": it came to {entry.total} and comes to {self.total} {self.currency} now"
        raise EditedError(message, self, body)

    def _rewrite_draft(self, row: Row, body: Mapping[str, Any], entry: Entry) -> Row:
        """Bring a draft that was left to today's state of the order; what was sent by a person stays as it is."""
        if row.get("vis_state") == DELETED:
            raise held("invoice-deleted", f"invoice {row['id']} was deleted in FreshBooks")
        if entry.content_hash == self.action.content_hash and self._difference(row) == 0:
            return row
        if not is_draft(row):
            if self._difference(row) == 0:
                return row
            raise EditedError(f"invoice {row['id']} was sent by a person and differs from the order", self, body)
        change = {name: value for name, value in body.items() if name != "customerid"}
        change["create_date"] = self.applier.open_day(str(body["create_date"]), "order")
        remote_id = str(row["id"])
        if self.context.dry_run:
            self.applier.plan("PUT", "invoice", remote_id, change)
            return row
        return self.applier.put(
            self.action, remote_id, change, lambda: self.context.freshbooks.update("invoice", remote_id, change)
        )

    def correct(self, remote_id: str, body: Mapping[str, Any]) -> None:
        """Bring a sent invoice to today's state of the order, as a person has accepted; to the cent, or held.

        Sending it twice changes nothing: all of it is stated, and `lines` replaces them all.
        """
        change = {name: value for name, value in body.items() if name not in ("customerid", "create_date")}
        send, applier = self.context.freshbooks.update, self.applier
        if self.context.dry_run:
            applier.plan("PUT", "invoice", remote_id, change)
            return
        row = applier.put(self.action, remote_id, change, lambda: send("invoice", remote_id, change))
        difference = self._difference(row)
        if difference and self._within(row) and self._may_correct(difference):
            lines = {"lines": self._with_rounding(row, body, difference)}
            row = applier.put(self.action, remote_id, lines, lambda: send("invoice", remote_id, lines))
            difference = self._difference(row)
        if difference != 0:
            message = f"invoice {remote_id} was changed as accepted and does not agree: {self._both(row)}"
            raise held("total-differs", f"{message}: correct it in FreshBooks")
        applier.confirm(self.action, {**row, "id": remote_id}, phase="sent")

    def settled_otherwise(self, remote_id: str) -> None:
        """The invoice stays as it is, and what the order says now is in the books all the same, by a credit note."""
        self.applier.confirm(self.action, {"id": remote_id}, phase="sent")

    def _output(self, remote_id: str | None) -> None:
        text = str(remote_id)
        self.applier.outputs[self.action.step] = {
            "id": int(text) if text.isdigit() else text,
            "total": self.total,
            "currency": self.currency,
        }


class EditedError(EndedError):
    """The order was changed after its invoice was sent; what it would be now goes along, for a proposal."""

    def __init__(self, message: str, writer: InvoiceWriter, body: Mapping[str, Any]) -> None:
        super().__init__(Outcome("held", (Reason("edited-after-invoice", message),)))
        self.writer = writer
        self.body = body


def is_draft(row: Mapping[str, Any]) -> bool:
    """True for an invoice nobody has sent yet; status is a number on the wire (facts §5), v3_status a word."""
    status = str(row.get("status") if row.get("status") is not None else "").casefold()
    if status:
        return status in ("1", "draft")
    return str(row.get("v3_status") or row.get("display_status") or "").casefold() in ("draft", "created")
