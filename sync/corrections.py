"""Corrections of what is posted: refunds, edits and cancellations become proposals, and accepted ones are written.

A mapping of corrections follows its entity's own flow. It writes nothing by itself: `sync.propose` works out what each
way would do, `sync.proposals` keeps it until a person has decided, `sync.correct` writes what was accepted, once.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, Literal

from connectors.freshbooks import ARCHIVED, DELETED, FreshBooks
from mapspec import Document, Draft, Reason
from mapspec.drafts import Claim
from mapspec.model import FlowStep
from sync import ledger, proposals, propose, records
from sync.apply import Applier
from sync.correct import Writer
from sync.invoices import EditedError, is_draft
from sync.ledger import Entry
from sync.outcome import EndedError, Outcome, held
from sync.plan import digest, filled, natural_key
from sync.proposals import Checks, Proposal
from sync.propose import Booked, Payment, Way
from sync.reading import assumed
from sync.specs import ApprovedSpec
from sync.store import Store

if TYPE_CHECKING:
    from sync.inbox import Event
    from sync.worker import Context

log = logging.getLogger(__name__)

AFTER_INVOICE: Final = "-after-invoice"

Said = Literal["nothing", "proposed", "refused", "waiting", "done", "written"]


@dataclass(frozen=True)
class Result:
    """What became of one correction; written: just now, by this event."""

    said: Said
    reason: Reason | None = None
    waits_for: str | None = None


class Follow:
    """The corrections of one event, after the flow of its entity."""

    def __init__(
        self,
        event: Event,
        context: Context,
        draft_of: Callable[[ApprovedSpec], Draft],
        without_order: Callable[..., Outcome],
    ) -> None:
        self.event, self.context = event, context
        self._draft_of, self._without_order = draft_of, without_order

    def follow(self, specs: Sequence[ApprovedSpec], main: Outcome | None, edited: EditedError | None) -> Outcome | None:
        """The event's outcome with its corrections.

        Args:
            main: Outcome of the entity's own flow, None where it has none.
            edited: What an order that was changed after its invoice would be now.

        Returns:
            None when an edit was written, so that the own flow goes on.

        Raises:
            EndedError, ConnectorError, IntentOpenError: As any flow.
        """
        after = main is not None and main.fate == "held" and main.reasons[0].id.endswith(AFTER_INVOICE)
        if main is not None and main.fate not in ("done", "skipped") and not after:
            return main
        results: list[tuple[str, Result]] = []
        left_out: tuple[Reason, ...] = ()
        for approved in specs:
            steps = [step for step in approved.compiled.spec.flow if step.do == "propose"]
            if edited is None and main is not None and any(step.correction == "edit" for step in steps):
                # The invoice is as the order says: what was begun is written, and the runner died before it said so.
                for begun in proposals.begun_edits(self.context.store, self.event.record_key) if not after else ():
                    proposals.finish(self.context.store, begun, begun.invoice_id, now=self.context.now())
            lives = edited is not None or (main is not None and main.fate == "done")
            if lives and any(step.correction == "cancel" for step in steps):
                self._taken_back("cancel")
            if not any(self._concerns(step, edited, after=after) for step in steps):
                continue
            draft = self._draft_of(approved)
            if draft.decision == "skip":
                if self.event.entity != "order":  # an order need not list a refund for ever
                    self._taken_back("refund")
                left_out += draft.reasons
                continue
            if draft.decision != "go":
                return Outcome("held", draft.reasons)
            one = _One(self.event, self.context, approved, draft, edited)
            entry = one.invoice()
            if entry is None and main is None:
                return self._without_order(one.order_id, self.context, refund=True)
            if entry is not None:
                results += [(step.correction or "", result) for step in steps for result in one.results(step, entry)]
        if any(kind == "edit" and result.said == "written" for kind, result in results):
            return None
        return self._together(main, results, left_out, after=after)

    def _taken_back(self, kind: str) -> None:
        """A correction that is in the books, and the record says now that it never happened: a person undoes it.

        Raises:
            EndedError: It still stands in FreshBooks.
        """
        store, record_key = self.context.store, self.event.record_key
        if self.event.entity == "order":  # by its invoice: orders come all the time, and that is quick to find
            entry = ledger.get(store, natural_key("invoice", self.event.record_id))
            found = [] if entry is None or entry.remote_id is None else proposals.of_invoice(store, entry.remote_id)
            found = [one for one in found if one.state == "done" and one.record_key == record_key]
        else:
            found = proposals.done_of(store, record_key)
        for one in found:
            if one.kind == kind and one.remote_id is not None and _stands(self.context, one):
                way = str(one.way).replace("_", " ")
                message = f"{one.content['title']}: booked ({way}, {one.remote_id}), and the record says otherwise now"
                raise held("correction-taken-back", message)

    def _concerns(self, step: FlowStep, edited: EditedError | None, *, after: bool) -> bool:
        """Whether a step may have anything to say about the event, told without reading the record."""
        if step.correction == "edit":
            return edited is not None
        if step.correction == "cancel":
            return after and edited is None
        resource = self.event.resource
        root = step.each.segments[0][0] if step.each is not None and step.each.segments else None
        return root is None or resource is None or root in resource

    def _together(
        self, main: Outcome | None, results: list[tuple[str, Result]], left_out: tuple[Reason, ...], *, after: bool
    ) -> Outcome:
        first = main.reasons[0] if main is not None and after else None
        open_ones = [result for _, result in results if result.said in ("proposed", "waiting") and result.reason]
        if open_ones:
            reasons = tuple(result.reason for result in open_ones if result.reason is not None)
            fate: Literal["held", "waiting"] = "held"
            if first is not None:
                told = "; ".join(reason.message for reason in reasons)
                reasons = (Reason(first.id, f"{first.message}; {told}"),)
            elif all(result.said == "waiting" for result in open_ones):
                fate = "waiting"
            waits_for = next((result.waits_for for result in open_ones if result.waits_for), None)
            return Outcome(fate, reasons, waits_for=waits_for)
        if after and main is not None:
            decided = [result for kind, result in results if kind in ("edit", "cancel") and result.said != "nothing"]
            refused = [result.reason for result in decided if result.said == "refused" and result.reason]
            if refused:
                return Outcome("skipped", tuple(refused))
            if decided:
                return Outcome("done")
            return self._refunded(main)
        refused = [result.reason for _, result in results if result.said == "refused" and result.reason]
        if main is None:
            if results:
                return Outcome("skipped", tuple(refused)) if refused else Outcome("done")
            return Outcome("skipped", left_out)
        return main

    def _refunded(self, main: Outcome) -> Outcome:
        """An order that is not wanted any more is settled when all that was paid is paid back, in the books too."""
        entry = ledger.get(self.context.store, natural_key("invoice", self.event.record_id))
        if entry is None or entry.remote_id is None or not main.reasons[0].id.startswith("refunded"):
            return main
        done = [one for one in proposals.of_invoice(self.context.store, entry.remote_id) if one.kind == "refund"]
        back = sum((one.amount for one in done if one.state == "done"), Decimal(0))
        if back and back == entry.total:
            return Outcome("done")
        told = f"{main.reasons[0].message}; {back:f} of its {entry.total} {entry.currency} is refunded in the books"
        return Outcome("held", (Reason(main.reasons[0].id, told),))


class _One:
    """One mapping of corrections, applied to one record."""

    def __init__(
        self, event: Event, context: Context, approved: ApprovedSpec, draft: Draft, edited: EditedError | None
    ) -> None:
        self.event, self.context, self.draft, self.edited = event, context, draft, edited
        self.spec = approved.compiled.spec
        self.applier = Applier(context, event, approved.fingerprint, draft.updated, self.spec.spec)
        if not context.dry_run and approved.fingerprint not in context.saved_specs:
            records.save_spec(context.store, approved.fingerprint, self.spec.spec, approved.text, now=context.now())
            context.saved_specs.add(approved.fingerprint)
        self.order_id = ""

    def invoice(self) -> Entry | None:
        """The invoice to correct, once everything that the flow finds is there; a draft counts for an order alone."""
        found: Entry | None = None
        for step in self.spec.flow:
            if step.do != "find":
                continue
            entry = ledger.get(self.context.store, natural_key(step.entity or "", self.draft.keys[step.id]))
            there = entry is not None and entry.remote_id is not None and entry.remote_id.isdigit()
            if step.entity == "invoice":
                self.order_id = self.draft.keys[step.id]
                drafts_count = self.event.entity == "order"
                there = there and entry is not None and (drafts_count or (entry.stands and entry.phase == "sent"))
                found = entry
            if not there:
                return None
        return found

    def results(self, step: FlowStep, entry: Entry) -> list[Result]:
        """What becomes of each correction of a step."""
        documents = self.draft.documents.get(step.target or "", ())
        return [self._result(step, document, entry) for document in documents]

    def _result(self, step: FlowStep, document: Document, entry: Entry) -> Result:
        store, kind = self.context.store, step.correction or ""
        key, said = natural_key(kind, document.key or ""), ""
        claim = self._claim(step, document)
        weak = (document.key or "").startswith(f"{self.draft.id}-")
        if kind == "edit":
            ordinal = 1 + sum(p.kind == "edit" and p.state == "done" for p in self._of(entry))
            key, said = f"{key}-{ordinal}", self._wanted.action.content_hash
            last = proposals.get(store, natural_key(kind, f"{document.key}-{ordinal - 1}"))
            if last is not None and last.said == said and last.way == "credit_note":
                self._wanted.settled_otherwise(str(entry.remote_id))  # it was written, and the runner died
                return Result("written")
        elif kind == "refund" and claim is not None:
            said = digest([str(claim.amount), str(claim.tax), claim.currency, claim.payment])
        else:
            said = self._snapshot()
        known = self._same_by_other_key(key, claim, entry, weak=weak) or proposals.get(store, key)
        if known is not None and known.state == "done":
            if claim is not None and claim.amount != known.amount:
                message = f"{known.content['title']} is booked, and the record says {claim.amount} now"
                raise held("refund-changed", message)
            return Result("done")
        writer = Writer(self.applier, step.id, self.edited)
        if known is not None and known.state == "writing" and (known.way != "change_invoice" or known.said == said):
            return self._wrote(writer, known)
        if known is not None and known.state == "refused" and known.said == said:
            why = f"{known.content['title']}: refused by {known.decided_by}: {known.why}"
            return Result("refused", Reason("correction-refused", why))
        booked = book(store, self.context.freshbooks, str(entry.remote_id))
        payment = None
        if claim is not None:
            waits = self._not_refundable(claim, booked, entry)
            if waits is not None:
                return waits
            payment = self._payment(claim, booked)
        fresh = self._worked_out(step, document, claim, booked, payment, key=key, said=said, weak=weak)
        if known is not None and (known.said, known.basis) == (said, fresh.basis):
            if known.state == "proposed":
                return self._waits(known)
            if known.state == "accepted":
                ways = self._ways(step, document, claim, booked, payment)
                way = next((one for one in ways if one.name == known.way and not one.why_not), None)
                if way is not None:
                    return self._wrote(writer, writer.begin(known, way))
        if known is not None and known.state == "writing":
            proposals.give_back(store, known)
        proposals.save(store, fresh)
        if known is not None and known.state == "accepted":
            log.warning("accepted proposal is stale", extra={"proposal": known.name})
            return self._waits(fresh, "what was accepted is not so any more; ")
        return self._waits(fresh)

    def _claim(self, step: FlowStep, document: Document) -> Claim | None:
        """The money of a refund, its tax included, whatever the source means by its amount (A34)."""
        claim = self.draft.claims.get((step.id, document.index))
        if claim is None or claim.tax is None or assumed(self.context.settings.profile, "A34") != "net":
            return claim
        lines = tuple((amount + (tax or 0), tax) for amount, tax in claim.lines)
        return replace(claim, amount=claim.amount + claim.tax, lines=lines)

    def _wrote(self, writer: Writer, proposal: Proposal) -> Result:
        if self.context.dry_run:
            return Result("done")
        try:
            writer.write(proposal)
        except EndedError as ended:
            if ended.outcome.reasons[0].id != "rejected":
                raise
            why = f"FreshBooks refused it: {ended.outcome.reasons[0].message}"
            proposals.give_back(self.context.store, proposal, way=proposal.way, why=why)
            again = proposals.get(self.context.store, proposal.key)
            return self._waits(again or proposal)
        for record in {proposal.record_key, f"order:{self.order_id}"} - {self.event.record_key}:
            proposals.wake_held(self.context.store, record, now=self.context.now())
        if proposal.kind == "edit":
            proposals.wake_payments(self.context.store, self.event.lane_key, now=self.context.now())
        return Result("written")

    def _waits(self, proposal: Proposal, before: str = "") -> Result:
        others = proposal.record_key if proposal.record_key != self.event.record_key else None
        return Result("proposed", Reason("refund-proposed", before + proposal.text), waits_for=others)

    # --- working out ---------------------------------------------------------------------------------------------

    def _worked_out(
        self,
        step: FlowStep,
        document: Document,
        claim: Claim | None,
        booked: Booked,
        payment: Payment | None,
        *,
        key: str,
        said: str,
        weak: bool,
    ) -> Proposal:
        kind = step.correction or ""
        ways = self._ways(step, document, claim, booked, payment)
        first = next((way for way in ways if not way.why_not), None)
        amount = claim.amount if claim is not None else first.amount if first is not None else Decimal(0)
        named = f"{booked.money(amount)} {booked.currency}"
        title = {
            "refund": f"refund of {named} on invoice {booked.number}",
            "edit": f"order changed after invoice {booked.number}: {booked.money(booked.total)} {booked.currency},"
            f" comes to {booked.money(self._total(booked))} now",
            "cancel": f"order cancelled after invoice {booked.number} over {booked.money(booked.total)}"
            f" {booked.currency}",
        }[kind]
        invoice = {
            "id": booked.id,
            "number": booked.number,
            "state": "draft" if booked.draft else "sent",
            **booked.shown(),
        }
        payment_id = payment.id if payment is not None else None
        return Proposal(
            key=key,
            record_key=self.event.record_key,
            kind=kind,
            state="proposed",
            said=said,
            snapshot=self._snapshot(),
            basis=propose.basis(kind, booked, payment_id),
            invoice_id=booked.id,
            amount=amount,
            currency=booked.currency,
            weak=weak,
            content={"title": title, "invoice": invoice, "ways": [way.as_dict() for way in ways]},
            transaction=claim.transaction if claim is not None else None,
            payment_id=payment_id,
            at=self.context.now(),
        )

    def _ways(
        self, step: FlowStep, document: Document, claim: Claim | None, booked: Booked, payment: Payment | None
    ) -> list[Way]:
        lock = self.context.settings.policies.lock_date
        locked = "" if lock is None else lock.isoformat()
        invoice = {"id": booked.id, "client": int(booked.client), "currency": booked.currency, "total": booked.total}
        finds = {one.id: invoice for one in self.spec.flow if one.do == "find" and one.entity == "invoice"}
        credit = filled(document.body, finds)
        closed = ""
        try:
            credit["create_date"] = self.applier.open_day(str(credit.get("create_date")), "credit note")
        except EndedError as ended:
            closed = ended.outcome.reasons[0].message
        if step.correction == "edit":
            number = 1 + sum(one.kind == "edit" and one.state == "done" for one in self._of_id(booked.id))
            if number > 1:
                credit["credit_number"] = f"{credit.get('credit_number')}-{number}"
            ways = propose.edit_ways(
                step.ways, self.edited.body if self.edited else {}, self._total(booked), booked, credit, locked=locked
            )
        elif claim is not None:
            ways = propose.refund_ways(step.ways, claim, booked, credit, payment=payment, locked=locked)
        else:
            ways = propose.cancel_ways(step.ways, booked, credit, locked=locked)
        return [Way(one.name, why_not=closed) if closed and one.entity == "credit_note" else one for one in ways]

    @property
    def _wanted(self) -> Any:
        if self.edited is None:
            raise held("no-total", "the order's invoice is not known as it would be now")
        return self.edited.writer

    def _total(self, booked: Booked) -> Decimal:
        return self.edited.writer.total if self.edited is not None else booked.total

    def _not_refundable(self, claim: Claim, booked: Booked, entry: Entry) -> Result | None:
        """Why nothing can be proposed yet, or at all."""
        if claim.currency is not None and claim.currency != booked.currency:
            raise held("refund-currency", f"the refund is in {claim.currency}, the invoice in {booked.currency}")
        posted = claim.payment and ledger.get(self.context.store, natural_key("payment", claim.payment))
        missing = claim.payment and posted is None
        if claim.amount <= booked.refundable and not (missing and not self._unnamed(booked)):
            return None
        if not booked.payments or missing:
            named = f"payment:{claim.payment}" if claim.payment else entry.record_key
            message = f"nothing of the refunded payment is on invoice {booked.number} yet"
            return Result("waiting", Reason("refund-before-payment", message), waits_for=named)
        left, wanted = booked.money(booked.refundable), booked.money(claim.amount)
        raise held(
            "refund-beyond-paid",
            f"{wanted} {booked.currency} is to be refunded, {left} is paid on invoice {booked.number} and not refunded",
        )

    def _payment(self, claim: Claim, booked: Booked) -> Payment | None:
        """The payment that was paid back: the one that is named, has its transaction, or is the only one."""
        if claim.payment:
            posted = ledger.get(self.context.store, natural_key("payment", claim.payment))
            if posted is not None and posted.remote_id is not None:
                return next((one for one in booked.payments if one.id == posted.remote_id), None)
            unnamed = self._unnamed(booked)
            return unnamed[0] if len(booked.payments) == len(unnamed) == 1 else None
        return booked.payments[0] if len(booked.payments) == 1 else None

    def _unnamed(self, booked: Booked) -> list[Payment]:
        """Payments that may be any payment of the shop: not posted from one that had an id of its own."""
        weak = natural_key("payment", f"{self.order_id}-")
        store, found = self.context.store, []
        for one in booked.payments:
            entries = ledger.of_remote(store, "payment", one.id)
            if all(entry.key.startswith(weak) for entry in entries):
                found.append(one)
        return found

    def _same_by_other_key(self, key: str, claim: Claim | None, entry: Entry, *, weak: bool) -> Proposal | None:
        """The proposal of the same refund, known with an id in one record and without one in another."""
        if claim is None or not claim.transaction:
            return None
        for one in self._of(entry):
            same = one.transaction == claim.transaction and one.amount == claim.amount
            if one.key != key and same and one.weak != weak and one.state != "withdrawn":
                return one
        return None

    def _of(self, entry: Entry) -> list[Proposal]:
        return self._of_id(str(entry.remote_id))

    def _of_id(self, invoice_id: str) -> list[Proposal]:
        return proposals.of_invoice(self.context.store, invoice_id)

    def _snapshot(self) -> str:
        newest = records.latest(self.context.store, self.event.record_key)
        return newest.sha256 if newest is not None else ""


def _stands(context: Context, done: Proposal) -> bool:
    """Whether nobody has undone a correction in FreshBooks since it was written."""
    remote_id = str(done.remote_id)
    if done.way == "archive":
        return bool(context.freshbooks.get("invoice", remote_id).get("vis_state") == ARCHIVED)
    if done.way == "credit_note":
        return bool(context.freshbooks.get("credit_note", remote_id).get("vis_state") != DELETED)
    row = context.freshbooks.get("payment", remote_id)
    booked = [entry.total for entry in ledger.of_remote(context.store, "payment", remote_id) if entry.total is not None]
    lowered = bool(booked) and Decimal(str(row["amount"]["amount"])) < max(booked)
    return row.get("vis_state") == DELETED or lowered


def book(store: Store, freshbooks: FreshBooks, invoice_id: str) -> Booked:
    """An invoice as it is now, with what our own corrections did to it.

    Raises:
        EndedError: It was deleted.
        ConnectorError: It cannot be read.
    """
    row = freshbooks.get("invoice", invoice_id, include=("lines",))
    if row.get("vis_state") == DELETED:
        raise held("invoice-deleted", f"invoice {invoice_id} was deleted in FreshBooks")
    made: dict[str, tuple[Decimal, tuple[Any, ...]]] = {}
    for one in proposals.of_invoice(store, invoice_id):
        if one.state != "done" or one.plan is None:
            continue
        amount = Decimal(one.plan["amount"])
        if one.way == "credit_note":
            before, lines = made.get(one.kind, (Decimal(0), ()))
            made[one.kind] = (before + amount, (*lines, *one.plan["request"]["body"]["lines"]))
    left = proposals.left_of_payments(store, invoice_id)
    lowered = {payment_id: one.amount for payment_id, one in left.items() if one.amount}
    payments = [
        _payment(store, one, lowered.get(str(one["id"]), Decimal(0)))
        for one in freshbooks.find_payments_of_invoice(invoice_id)
    ]
    return Booked(
        id=str(row["id"]),
        number=str(row.get("invoice_number")),
        client=str(row.get("customerid")),
        currency=str(row.get("currency_code")),
        total=Decimal(str(row["amount"]["amount"])),
        day=str(row.get("create_date")),
        draft=is_draft(row),
        state=int(row.get("vis_state") or 0),
        lines=tuple(row.get("lines") or ()),
        payments=tuple(sorted(payments, key=lambda one: one.id)),
        credits=made,
        lowered=sum(lowered.values(), Decimal(0)),
    )


def _payment(store: Store, row: Mapping[str, Any], lowered: Decimal) -> Payment:
    """A payment as it stands, beside what it was posted over."""
    remote_id, amount = str(row["id"]), Decimal(str(row["amount"]["amount"]))
    posted = [one.total for one in ledger.of_remote(store, "payment", remote_id) if one.total is not None]
    by_hand = max(posted) - amount - lowered if posted else Decimal(0)
    return Payment(remote_id, amount, str(row.get("date")), lowered, max(by_hand, Decimal(0)))


def checks(store: Store, freshbooks: FreshBooks) -> Checks:
    """How accepting finds out whether an invoice is still as it was proposed on."""

    def basis(proposal: Proposal) -> str:
        try:
            return propose.basis(proposal.kind, book(store, freshbooks, proposal.invoice_id), proposal.payment_id)
        except EndedError:
            return ""

    return Checks(basis)
