"""Writes an accepted correction, once: the exact request is kept before it leaves, and a lost answer is looked up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sync import ledger, proposals
from sync.errors import IntentOpenError
from sync.outcome import held
from sync.plan import CONNECTION, Action, digest
from sync.proposals import Proposal
from sync.propose import Way

if TYPE_CHECKING:
    from sync.apply import Applier
    from sync.invoices import EditedError

Row = dict[str, Any]


class Writer:
    """Writes the accepted corrections of one event."""

    def __init__(self, applier: Applier, step: str, edited: EditedError | None) -> None:
        self.applier, self.context = applier, applier.context
        self._step, self._edited = step, edited

    def begin(self, proposal: Proposal, way: Way) -> Proposal:
        """Keep what is about to be written, as it was worked out this moment.

        Raises:
            IntentOpenError: Somebody has decided otherwise in this moment.
        """
        plan = way.as_dict()
        payment_id = way.remote_id if way.entity == "payment" else proposal.payment_id
        if self.context.dry_run:
            self.applier.plan("PUT" if way.remote_id else "POST", way.entity, way.remote_id, way.body)
            return proposal
        if not proposals.begin(self.context.store, proposal.key, plan, payment_id=payment_id):
            raise IntentOpenError(f"{proposal.name}: somebody decides about it in this moment; looking again")
        return replace(proposal, state="writing", plan=plan, payment_id=payment_id)

    def write(self, proposal: Proposal) -> None:
        """Bring what was begun to its end.

        Raises:
            EndedError: In doubt, refused, or what is there is not what was accepted.
        """
        plan = proposal.plan or {}
        request = plan["request"]
        if plan["name"] == "change_invoice":
            if self._edited is not None:
                self._edited.writer.correct(str(request["id"]), self._edited.body)
                self.applier.tell()
            proposals.finish(self.context.store, proposal, str(request["id"]), now=self.applier.now)
            return
        row = self._written(proposal, plan, request)
        # Done first: an edit that is credited is known by that when the invoice's own entry still tells the old.
        proposals.finish(self.context.store, proposal, str(row["id"]), now=self.applier.now)
        if self._edited is not None and proposal.kind == "edit":
            self._edited.writer.settled_otherwise(proposal.invoice_id)

    def _written(self, proposal: Proposal, plan: Mapping[str, Any], request: Mapping[str, Any]) -> Row:
        body, remote_id = dict(request["body"]), request["id"]
        action = Action(
            "propose",
            self._step,
            proposal.kind,
            key=proposal.key,
            body=body,
            fields={name: digest(value) for name, value in body.items()},
            total=Decimal(str(plan["amount"])),
            currency=proposal.currency,
            via=request["entity"],
            changes=None if remote_id is None else str(remote_id),
        )
        entry = self.applier.entry(action.key)
        if entry is not None and entry.state in ("confirmed", "held") and entry.remote_id is not None:
            row = self.context.freshbooks.get(request["entity"], entry.remote_id)
            self._agrees(action, row)
            if entry.state == "held":
                self.applier.confirm(action, row, phase="written")
            return row

        def look() -> Row | None:
            return self._there(action, body)

        # Corrections of one invoice go one after the other, so that together they stay within what was paid.
        reserved = None
        if not self.context.dry_run:
            name = f"{CONNECTION}:correction:{proposal.invoice_id}"
            reserved = ledger.reservation(self.context.store, name, action.key)
        there = self.applier.settle(action, look) or look()
        if there is None:
            self._still_so(proposal, action, body)
        if there is not None:
            self.applier.adopt(action, there, phase="written")
            self._agrees(action, there)
            return there
        made = self.applier.create(action, body, phase="written", after=look, reserved=reserved)
        if made is None:
            raise held("not-written", "a dry run writes nothing")
        self.applier.tell()
        self._agrees(action, made)
        return made

    def _still_so(self, proposal: Proposal, action: Action, body: Mapping[str, Any]) -> None:
        """Once it is our turn: another refund of the invoice may have been written since this one was worked out.

        Raises:
            EndedError: More would be paid back than was paid.
            IntentOpenError: It has to be worked out again.
        """
        if proposal.kind != "refund":
            return
        store = self.context.store
        others = [
            one
            for one in proposals.of_invoice(store, proposal.invoice_id)
            if one.kind == "refund" and one.key != proposal.key and one.state in ("writing", "done")
        ]
        taken = sum((one.amount for one in others if one.way == "credit_note"), Decimal(0))
        rows = {str(row["id"]): row for row in self.context.freshbooks.find_payments_of_invoice(proposal.invoice_id)}
        amounts = {key: Decimal(str(row["amount"]["amount"])) for key, row in rows.items()}
        if proposal.amount > sum(amounts.values(), Decimal(0)) - taken:
            proposals.give_back(store, proposal)
            raise held("refund-beyond-paid", f"{proposal.content['title']}: meanwhile too little of it stands as paid")
        if action.changes is not None:
            left = Decimal(body["amount"]["amount"]) if "amount" in body else Decimal(0)
            if amounts.get(action.changes) != left + proposal.amount:
                proposals.give_back(store, proposal)
                raise IntentOpenError(f"{proposal.name}: payment {action.changes} has changed; looking again")

    def _there(self, action: Action, body: Mapping[str, Any]) -> Row | None:
        """What was written, when it is there already."""
        freshbooks = self.context.freshbooks
        if action.changes is None:
            rows = freshbooks.find_credit_notes_of_client(body["clientid"])
            return next((row for row in rows if row.get("credit_number") == body["credit_number"]), None)
        row = freshbooks.get(str(action.via), action.changes)
        return row if _says(row, body) else None

    def _agrees(self, action: Action, row: Row) -> None:
        """Hold what does not come to what was accepted: a credit note is in force at once, there is no draft of it."""
        if action.via != "credit_note":
            return
        amount = row.get("amount")
        shown = amount if isinstance(amount, Mapping) else {}
        if Decimal(str(shown.get("amount", "NaN"))) == action.total and shown.get("code") == action.currency:
            return
        store = self.context.store
        self.applier.enter(ledger.set_state(store, action.key, "held", phase="written", now=self.applier.now))
        raise held(
            "credit-differs",
            f"credit note {row['id']} comes to {shown.get('amount')} {shown.get('code')} in FreshBooks, accepted was"
            f" {action.total} {action.currency}: correct it there, then replay the record",
        )


def _says(row: Mapping[str, Any], body: Mapping[str, Any]) -> bool:
    """Whether an object holds what a change of it states."""
    if "vis_state" in body:
        return bool(row.get("vis_state") == body["vis_state"])
    amount = row.get("amount")
    return isinstance(amount, Mapping) and Decimal(str(amount.get("amount"))) == Decimal(body["amount"]["amount"])
