"""One event through its spec: newest snapshot -> draft -> actions -> writes -> outcome."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from connectors.errors import AuthError, ConnectorError, RejectedError
from mapspec import CompiledSpec, Draft, Reason
from sync import catalogue, endings, inbox, ledger, records
from sync.apply import OVERPAID, Applier, OrderMissingError
from sync.assumptions import broken, is_test
from sync.back import forward, work
from sync.corrections import Follow
from sync.errors import IntentOpenError
from sync.invoices import EditedError
from sync.lookups import gather
from sync.outcome import EndedError, Outcome, Settled
from sync.plan import natural_key, plan_actions
from sync.poll import without_clarity
from sync.recovery import outcome_of
from sync.specs import ApprovedSpec, load_mappings

if TYPE_CHECKING:
    from sync.inbox import Event
    from sync.records import Snapshot
    from sync.worker import Context

__all__ = ["load_mappings", "process"]

log = logging.getLogger(__name__)

MAPPING_AGAIN_S = 30.0


def process(event: Event, context: Context) -> Outcome:
    """Bring one event as far as it gets now; expected errors become outcomes."""
    if event.entity.startswith("freshbooks-"):
        return work.process(event, context)
    mappings = context.mappings.current  # one look: they may be exchanged at any moment
    approved = mappings.by_entity.get(event.entity)
    if event.entity in mappings.waiting:
        return _without_mapping(event.entity, mappings.waiting[event.entity])
    if approved is not None and event.type not in approved.compiled.spec.source.events:
        approved = None
    specs = mappings.corrections.get(event.entity, ())
    followers = [spec for spec in specs if event.type in spec.compiled.spec.source.events]
    if approved is None and not followers:
        return Outcome("skipped", (Reason("no-mapping", f"no approved mapping takes {event.type}"),))
    outcome: Outcome | None = None
    edited: EditedError | None = None
    try:
        if approved is not None:
            try:
                outcome = _process(event, context, approved)
            except EditedError as error:
                edited, outcome = error, error.outcome
        if not followers:
            return outcome or Outcome("done")
        known = records.latest(context.store, event.record_key)
        again = Follow(event, context, lambda spec: _draft(event, known, context, spec)[0], _without_order)
        corrected = again.follow(followers, outcome, edited)
        # An accepted edit is written: the rest of the order's flow goes on.
        return process(event, context) if corrected is None else corrected
    except EndedError as ended:
        return forward.instead(ended.outcome, event, context)
    except (ConnectorError, IntentOpenError) as error:
        return outcome_of(error)


def _process(event: Event, context: Context, approved: ApprovedSpec) -> Outcome:
    known = records.latest(context.store, event.record_key)
    if _is_settled(event, known, approved):
        return Outcome("done")
    context.aliases.refresh()
    approved = replace(approved, compiled=context.aliases.widened(approved.compiled))
    ended = _ended(event, context, approved, None)
    if ended is not None:
        return ended
    draft, newest = _draft(event, known, context, approved)
    spec = approved.compiled.spec
    if newest is not None and not event.attempts:
        context.drift.observe(approved, newest.payload)
    ended = _ended(event, context, approved, draft)
    if ended is not None:
        return ended
    if draft.decision in ("skip", "wait"):
        return _not_wanted(event, context, draft.reasons)
    settings = context.settings
    if event.entity == "order" and newest is not None and is_test(newest.payload, settings.profile, settings.reading):
        return _not_wanted(event, context, (Reason("test-order", "test orders are never invoiced"),))
    if draft.decision == "hold" and not _edited_below_what_was_paid(event, context, draft):
        return _held(event, context, draft)
    if event.type.endswith(".cancelled") and not _known_later(event, context):
        message = f"the event says {event.type}, the record in it does not: decide"
        return Outcome("held", (Reason("event-contradicts-record", message),))
    if not context.dry_run and approved.fingerprint not in context.saved_specs:
        records.save_spec(context.store, approved.fingerprint, spec.spec, approved.text, now=context.now())
        context.saved_specs.add(approved.fingerprint)
    notes = [(warning.id, warning.message, warning.message) for warning in draft.warnings]
    if newest is not None:
        notes += _broken_assumptions(event, newest.payload, context)
    actions = plan_actions(spec, draft, exact_skus=context.exact_skus)
    if event.entity == "product":
        actions = catalogue.one_for_each_sku(actions)
    for action in () if context.dry_run else actions:
        if action.kind == "create_once" and action.entity == "invoice" and action.total is not None:
            # Before its client is created for nothing.
            context.first_run.check(approved.fingerprint, spec.spec, action.key, action.total, action.currency or "")
    applier = Applier(context, event, approved.fingerprint, draft.updated, spec.spec)
    applier.expect(actions)
    try:
        if event.entity == "product":
            catalogue.claim(applier, actions)
        for action in actions:
            applier.apply(action)
        if event.entity == "product":
            catalogue.end_others(applier, actions)
    except OrderMissingError as missing:
        return _without_order(missing.order_id, context)
    finally:
        told = [*notes, *applier.missing]
        event.carried.add(lambda conn: records.set_notes_in(conn, event.record_key, told, now=context.now()))
    return Outcome("done", settled=None if newest is None else Settled(newest.sha256, approved.fingerprint))


def _ended(event: Event, context: Context, approved: ApprovedSpec, draft: Draft | None) -> Outcome | None:
    """The outcome of a customer or product that was deleted, deactivated or merged; None for one that goes on.

    Args:
        draft: None before anything was mapped: an event that tells of the end needs no record.
    """
    if event.entity not in endings.KEPT_UP:
        return None
    newest = records.latest(context.store, event.record_key)
    known = newest.version if newest is not None else None
    applier = Applier(context, event, approved.fingerprint, event.version or known, approved.compiled.spec.spec)
    if draft is None:
        if not event.type.endswith(".deleted") or (event.version is not None and (known or "") > event.version):
            return None
        reason = Reason(f"{event.entity}-deleted-at-source", f"the {event.entity} was deleted at its source")
    else:
        reason = draft.reasons[0] if draft.reasons else Reason(f"{event.entity}-merged", "merged")
    into = endings.merged_into(applier, newest.payload if newest is not None else None)
    if into is None and draft is not None and not draft.ends:
        return None
    try:
        if into is not None:
            return endings.of_merged(applier, into, event.version or known)
        number = event.number if draft is None else draft.number
        return endings.of_ended(applier, number=number, version=event.version or known, reason=reason)
    finally:
        records.set_notes(context.store, event.record_key, applier.missing, now=context.now())


def _is_settled(event: Event, known: Snapshot | None, approved: ApprovedSpec) -> bool:
    """Polling, backfill and repeated webhooks bring what is done: the same snapshot under the same mapping."""
    if known is None or known.settled != str(Settled(known.sha256, approved.fingerprint)):
        return False
    if event.type.endswith((".cancelled", ".deleted")):  # says more than its record does: the two have to be compared
        return False
    return not _tells_of_a_change(event, known)


def _tells_of_a_change(event: Event, known: Snapshot) -> bool:
    """Whether an event may tell of a change that is not known yet, as one without a snapshot does (A16)."""
    if event.version is None:
        return event.resource is None
    return event.version > (known.version or "")


def _without_mapping(entity: str, problem: str) -> Outcome:
    """Nothing is lost because a mapping may not run at the moment."""
    why = f"the mapping of '{entity}' may not run: {problem}"
    return Outcome("waiting", (Reason("mapping-stopped", why),), due_in_s=MAPPING_AGAIN_S)


def _draft(
    event: Event, known: Snapshot | None, context: Context, approved: ApprovedSpec
) -> tuple[Draft, Snapshot | None]:
    """Map the newest snapshot; what does not fulfil the contract is fetched once, where Clarity can be asked.

    Returns:
        The draft, and the snapshot it was made of: one that comes in meanwhile has an event of its own.
    """
    payload: Mapping[str, Any] | None = known.payload if known is not None else event.resource
    if (event.resource is None and (known is None or _tells_of_a_change(event, known))) or forward.told_of(
        event, context
    ):
        payload, known = _fetch(event.entity, event.record_id, context) or (payload, known)
    draft = _mapped(payload, context, approved.compiled) if payload else None
    if draft is not None and draft.decision != "hold":
        return draft, known
    fetched = _fetch(event.entity, event.record_id, context)
    if fetched is not None:
        payload, known = fetched
        return _mapped(payload, context, approved.compiled), known
    if draft is not None:
        return draft, known
    reason = Reason("no-snapshot", "the event carries no record, and no Clarity connection is set up to fetch it")
    return Draft(event.record_id, event.number, None, "hold", (reason,), {}, {}, (), (), None, None), known


def _mapped(payload: Mapping[str, Any], context: Context, compiled: CompiledSpec) -> Draft:
    """The draft of a record, after what its fields need from FreshBooks has been looked up there."""
    record = _completed(payload, context)
    draft = compiled.apply(record)
    if draft.decision != "go" or not compiled.looked_up:
        return draft
    wanted = [lookup for lookup in draft.lookups if lookup.step in compiled.looked_up]
    return compiled.apply(record, gather(wanted, context.finder))


def _fetch(entity: str, record_id: str, context: Context) -> tuple[Mapping[str, Any], Snapshot | None] | None:
    """The record as Clarity has it now, remembered, and its snapshot; None when Clarity cannot give it."""
    if context.clarity is None:
        return None
    try:
        payload = context.clarity.get(entity, record_id)
    except RejectedError as error:
        log.info("record could not be fetched", extra={"status": error.status})
        return None
    except AuthError as error:
        raise without_clarity(context.store, error, now=context.now()) from None
    updated, reading = context.clarity.head(payload).updated, context.settings.reading
    records.remember(context.store, entity, record_id, payload, updated=updated, now=context.now(), reading=reading)
    newest = records.latest(context.store, f"{entity}:{record_id}")
    return (reading.record(payload), None) if newest is None else (newest.payload, newest)


def _known_later(event: Event, context: Context) -> bool:
    """True when a newer state of the record is known than the event speaks of."""
    known = records.latest(context.store, event.record_key)
    return known is not None and known.version is not None and (event.version or "") < known.version


def _completed(record: Mapping[str, Any], context: Context) -> Mapping[str, Any]:
    """A record with what it only names: an order's customer by id, a payment's order by number (clarity A28, A32)."""
    reading = context.settings.reading
    customer_id = record.get(reading.customer_id)
    if reading.customer and customer_id is not None and not record.get(reading.customer) and reading.lines in record:
        known = records.latest(context.store, f"customer:{customer_id}")
        there = known is not None and known.payload  # an empty one was erased after the time for keeping it
        fetched = None if there else _fetch("customer", str(customer_id), context)
        customer = there or (fetched and fetched[0])
        return {**record, reading.customer: customer} if customer else record
    number = record.get(reading.order_number)
    if number is not None and not record.get(reading.order_id) and reading.lines not in record:
        order_id = inbox.record_id_of(context.store, "order", str(number))
        return record if order_id is None else {**record, reading.order_id: order_id}
    return record


def _broken_assumptions(event: Event, record: Mapping[str, Any], context: Context) -> list[tuple[str, str, str]]:
    """Notes on what in a record is not as the source's profile assumes."""
    return [
        (
            f"assumption-{row.number}",
            f"{row.number}: {row.path}: {row.message}; correct the setting where the store differs",
            row.path,
        )
        for row in broken(event.entity, record, context.settings.profile, context.settings.reading)
    ]


def _not_wanted(event: Event, context: Context, reasons: tuple[Reason, ...]) -> Outcome:
    """An order that is not to be invoiced; if it was invoiced before, a person decides (pitfall 20)."""
    if event.entity == "order":
        entry = ledger.get(context.store, natural_key("invoice", event.record_id))
        if entry is not None and entry.remote_id is not None:
            message = f"{reasons[0].message}, but FreshBooks invoice {entry.remote_id} exists: decide what to do"
            return Outcome("held", (Reason(f"{reasons[0].id}-after-invoice", message),))
    return Outcome("skipped", reasons)


def _edited_below_what_was_paid(event: Event, context: Context, draft: Draft) -> bool:
    """Whether nothing but its payments holds an order, and its invoice was sent already.

    Such an order is an edit, to be proposed (rule 10). What is too much of its payments is held payment by payment.
    """
    if event.entity != "order" or {reason.id for reason in draft.reasons} != {OVERPAID}:
        return False
    entry = ledger.get(context.store, natural_key("invoice", event.record_id))
    return entry is not None and entry.phase == "sent"


def _held(event: Event, context: Context, draft: Draft) -> Outcome:
    """What holds a record; of an order whose invoice was sent over another total also that, for nothing is proposed."""
    entry = ledger.get(context.store, natural_key("invoice", event.record_id)) if event.entity == "order" else None
    total = draft.priced.total if draft.priced is not None else None
    if entry is None or entry.phase != "sent" or entry.total is None or total in (None, entry.total):
        return Outcome("held", draft.reasons)
    first, *others = draft.reasons
    told = (
        f"{first.message}; its invoice {entry.remote_id} was sent over {entry.total} {entry.currency} and the order "
        f"comes to {total} now: no correction is proposed while this holds"
    )
    return Outcome("held", (replace(first, message=told), *others))


def _without_order(order_id: str, context: Context, *, refund: bool = False) -> Outcome:
    """A payment before its order waits, and the order is fetched; one of an order that is set aside is held with it."""
    order_key = f"order:{order_id}"
    verdict = inbox.verdict(context.store, order_key)
    if refund and verdict == "skipped":
        return Outcome("skipped", (Reason("order-never-invoiced", f"order {order_id} was never invoiced"),))
    if verdict in ("held", "dead", "skipped"):
        reason = Reason("order-not-posted", f"order {order_id} is not posted ({verdict}); the payment comes with it")
        return Outcome("held", (reason,), waits_for=order_key)
    if verdict is None:
        _order_into_inbox(order_id, context)
    reason = Reason("waits-for-order", f"the invoice of order {order_id} is not posted yet")
    return Outcome("waiting", (reason,), waits_for=order_key)


def _order_into_inbox(order_id: str, context: Context) -> None:
    fetched = _fetch("order", order_id, context)
    if fetched is None or context.clarity is None:
        return
    payload, _ = fetched
    reading = context.settings.reading
    version = context.clarity.head(payload).updated
    envelope = {
        "id": f"fetch:order:{order_id}:{version}",
        "type": "order.updated",
        "data": {"object": "order", "id": order_id, "updatedAt": version, "resource": payload},
    }
    inbox.ingest(context.store, [envelope], source="fetch", now=context.now(), reading=reading)
