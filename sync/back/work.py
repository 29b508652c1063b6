"""One piece of news from FreshBooks through its mapping: read both sides, judge every field, write what is news.

The event says "this record may have changed" and no more, so both records are read when its turn comes; that makes
repeated and reordered callbacks harmless. What both agreed on last stands in the ledger: for a client in the entry of
the forward way, which both directions share, so that neither takes the other's work for a person's.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from connectors.errors import AuthError, ConnectorError, RejectedError
from connectors.freshbooks import DELETED
from mapspec import Draft, Reason
from sync import inbox, ledger, proposals
from sync.back import echo
from sync.back.compare import Comparison, Judged, members_of, values
from sync.back.guard import unsafe
from sync.back.judge import is_empty, mark
from sync.back.news import News, file_news
from sync.back.pairs import PREFIX, Pair, agrees, followed, pair_of
from sync.back.write import BackWriter
from sync.errors import IntentOpenError
from sync.ledger import Entry
from sync.outcome import EndedError, Outcome, held
from sync.plan import digest
from sync.poll import envelope_of, without_clarity
from sync.recovery import outcome_of
from sync.specs import ApprovedSpec

if TYPE_CHECKING:
    from sync.inbox import Event
    from sync.worker import Context

log = logging.getLogger(__name__)

_REFERENCES = ("externalRefs.", "SerializableAttributes.")


def process(event: Event, context: Context) -> Outcome:
    """Bring one event of FreshBooks as far as it gets now; expected errors become outcomes."""
    if not context.settings.reading.back:
        return Outcome("skipped", (Reason("way-back-off", "nothing is written back to Clarity (setting A43)"),))
    try:
        if event.entity == PREFIX + "payment":
            return _payment(event, context)
        return _Work(event, context).outcome()
    except EndedError as ended:
        return ended.outcome
    except (ConnectorError, IntentOpenError) as error:
        return outcome_of(error)


def _payment(event: Event, context: Context) -> Outcome:
    """A payment is told under its invoice, in the lane of the order's customer."""
    invoice = ""
    try:
        row = context.freshbooks.get("payment", event.record_id)
        invoice = str(row.get("invoiceid") or "")
        lowered = proposals.left_of_payments(context.store, invoice)
        if echo.is_as_booked(row, ledger.of_remote(context.store, "payment", event.record_id), lowered):
            return Outcome("done")
    except RejectedError as error:
        if error.status != 404:
            raise
        known = ledger.of_remote(context.store, "payment", event.record_id)
        invoice = next((str(entry.detail.get("invoice") or "") for entry in known), "")
    of = followed(context.store, PREFIX + "invoice", invoice) if invoice else None
    if of is None:
        return _skipped("no-order", "a payment of an invoice that came from no order of Clarity")
    news = News("invoice", invoice, "update", f"payment:{event.seq}", of)
    file_news(context.store, [news], reading=context.settings.reading, source="books", now=context.now())
    return Outcome("done")


class _Work:
    """Everything that is looked at for one event."""

    def __init__(self, event: Event, context: Context) -> None:
        self.event = event
        self.context = context
        self.store = context.store

    def outcome(self) -> Outcome:
        """Read, judge, write."""
        event, context = self.event, self.context
        mappings = context.mappings.current
        approved: ApprovedSpec | None = mappings.by_entity.get(event.entity)
        if approved is None and event.entity in mappings.waiting:
            why = f"the mapping of '{event.entity}' may not run: {mappings.waiting[event.entity]}"
            return Outcome("waiting", (Reason("mapping-stopped", why),), due_in_s=30.0)
        if approved is None or event.type not in approved.compiled.spec.source.events:
            return _skipped("no-mapping", f"no approved mapping takes {event.type}")
        if context.clarity is None:
            raise held("no-clarity", "the way back is on, and no Clarity connection is set up: set CLARITY_API_URL")
        why_not = unsafe(approved, context.settings.profile)
        if why_not is not None:
            raise held("no-safe-route", f"{approved.compiled.spec.spec}: {why_not}")
        pair = pair_of(self.store, event.entity, event.record_id)
        if pair is None:
            return _skipped("not-from-clarity", f"{event.record_key} came from no record of Clarity")
        source = self._source()
        if source is None:
            return _skipped("gone-in-freshbooks", f"{event.record_key} is gone from FreshBooks; nothing is told")
        draft = approved.compiled.apply(source)
        if draft.decision in ("skip", "wait"):
            return Outcome("skipped", draft.reasons)
        if draft.decision == "hold":
            return Outcome("held", draft.reasons)
        theirs, own = self._as_left(source, pair)
        if theirs != source:
            source, draft = theirs, approved.compiled.apply(theirs)
        left = approved.compiled.apply(own)
        if self._is_echo(pair, draft, left):
            return Outcome("done")
        current = self._current(pair)
        if current is None:
            return _skipped("gone-in-clarity", f"{pair.record_key} is gone from Clarity; nothing is told")
        if pair.entity == "customer" and not agrees(pair, current, source):
            return _skipped(
                "not-the-customer", f"client {event.record_id} is a company's or a guest's, not {pair.record_key}'s"
            )
        writer = BackWriter(context, event, approved, pair, draft.updated)
        before = writer.settled()
        judged = Comparison(self.context).judge(approved, pair, source, current, draft, left, before)
        return self._act(writer, approved, pair, source, current, judged, before)

    # --- reading -------------------------------------------------------------------------------------------------

    def _source(self) -> dict[str, Any] | None:
        try:
            return self.context.freshbooks.get(self.event.entity.removeprefix(PREFIX), self.event.record_id)
        except RejectedError as error:
            if error.status == 404:
                return None
            raise

    def _current(self, pair: Pair) -> dict[str, Any] | None:
        """Clarity's record as it is now. Only what needs Clarity waits for somebody to sign in there."""
        context = self.context
        if context.clarity is None:
            return None
        try:
            return context.clarity.get(pair.entity, pair.id)
        except RejectedError as error:
            if error.status == 404:
                return None
            raise
        except AuthError as error:
            raise without_clarity(context.store, error, now=context.now()) from None

    def _as_left(self, source: dict[str, Any], pair: Pair) -> tuple[dict[str, Any], dict[str, Any]]:
        """The record as people left it, our corrections of their payments taken out; and as our own writes left it."""
        if pair.entity == "customer":
            return source, echo.client_as_left(source, pair.made.detail.get("fields", {}))
        freshbooks, number = self.context.freshbooks, self.event.record_id
        rows = [
            row
            for vis_state in (None, DELETED)
            for row in freshbooks.find("payment", {"invoiceid": number}, vis_state=vis_state)
            if str(row.get("invoiceid")) == number
        ]
        once = {str(row["id"]): row for row in rows}
        payments = [(row, ledger.of_remote(self.store, "payment", payment_id)) for payment_id, row in once.items()]
        lowered = proposals.left_of_payments(self.store, number)
        theirs = echo.invoice_as_people_left(source, payments, lowered)
        return theirs, echo.invoice_as_left(source, payments, lowered)

    def _is_echo(self, pair: Pair, draft: Draft, left: Draft) -> bool:
        """Whether all is as our own writes left it, so that Clarity need not be asked.

        What was told of a person's payment may have to be taken back, though nothing but ours is left.
        """
        wanted, own = values(draft), values(left)
        if any(mark(own.get(path)) != mark(value) for path, value in wanted.items() if not is_empty(value)):
            return False
        return pair.entity == "customer" or ledger.get(self.store, pair.key) is None

    # --- acting --------------------------------------------------------------------------------------------------

    def _act(
        self,
        writer: BackWriter,
        approved: ApprovedSpec,
        pair: Pair,
        source: Mapping[str, Any],
        current: dict[str, Any],
        judged: list[Judged],
        before: Entry | None,
    ) -> Outcome:
        waits = [row.path for row in judged if row.verdict == "hold"]
        if waits:
            message = (
                f"{', '.join(waits)} of {pair.record_key} changed in Clarity and in FreshBooks: make both the same"
            )
            raise held("changed-on-both-sides", message)
        if any(row.verdict == "write" for row in judged):
            # An id of FreshBooks is no news by itself; it goes along where Clarity has none.
            judged = [replace(row, verdict="write") if _goes_along(row) else row for row in judged]
        changes = {row.path: row.wanted for row in judged if row.verdict == "write"}
        if changes:
            try:
                current = writer.write(current, changes, _marks(judged))
            except AuthError as error:
                raise without_clarity(self.store, error, now=self.context.now()) from None
        if self.context.dry_run:
            return Outcome("done")
        writer.agree(_marks(judged))
        self._share(approved, pair, source, judged)
        if any(row.verdict == "yield" for row in judged):
            self._carry_over(pair, current)
        return Outcome("done")

    def _share(self, approved: ApprovedSpec, pair: Pair, source: Mapping[str, Any], judged: list[Judged]) -> None:
        """Let the forward way know what both agree on now, or that a person's change has been judged."""
        agreed = pair.made.detail.get("fields")
        if pair.entity != "customer" or not agreed:
            return
        target = next(iter(approved.compiled.spec.targets))
        settled = {
            name
            for row in judged
            if row.verdict in ("same", "write", "yield")
            for name in members_of(approved, f"{target}.{row.path}")
        }
        fresh = {
            name: digest(source[name])
            for name in settled
            if source.get(name) not in (None, "") and not echo.as_written(source[name], agreed.get(name, ""))
        }
        if not fresh:
            return
        ledger.confirm(
            self.store,
            pair.made.key,
            remote_id=str(pair.made.remote_id),
            content_hash=ledger.UNSURE,
            detail={**pair.made.detail, "fields": {**agreed, **fresh}},
            seen=pair.made,
            now=self.context.now(),
        )

    def _carry_over(self, pair: Pair, current: dict[str, Any]) -> None:
        """Clarity prevails: the forward way takes its record, whether or not a webhook told of it."""
        context = self.context
        if context.clarity is None:
            return
        row = envelope_of(pair.entity, current, context.clarity.head(current), context.settings.reading)
        row["id"] = f"{row.get('id', pair.record_key)}:yield:{self.event.seq}"
        inbox.ingest(self.store, [row], source="fetch", now=context.now(), reading=context.settings.reading)


def _goes_along(row: Judged) -> bool:
    return row.verdict == "leave" and row.path.startswith(_REFERENCES) and is_empty(row.current)


def _marks(judged: list[Judged]) -> dict[str, dict[str, str]]:
    """What both sides stand at once this is done: in FreshBooks, and in Clarity."""
    agreed = [row for row in judged if row.verdict in ("same", "write", "yield")]
    return {
        "seen": {row.path: mark(row.wanted) for row in agreed},
        "there": {row.path: mark(row.current if row.verdict == "yield" else row.wanted) for row in agreed},
    }


def _skipped(reason: str, message: str) -> Outcome:
    return Outcome("skipped", (Reason(reason, message),))
