"""What the forward way asks of the way back: who judges a person's change that is in its way, and what may be old."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mapspec import Reason
from sync import inbox, ledger
from sync.back.news import News, file_news
from sync.back.pairs import PREFIX
from sync.outcome import Outcome
from sync.plan import natural_key

if TYPE_CHECKING:
    from sync.inbox import Event
    from sync.worker import Context

TOUCHED = "changed-in-freshbooks"
"""Reason of the forward way when a person's change is in its way; with the way back on that is judged here first."""


def instead(outcome: Outcome, event: Event, context: Context) -> Outcome:
    """What becomes of a forward event that a person's change in FreshBooks is in the way of: it waits for judgement.

    With the way back off, or where that has nothing to say, a person decides as ever.
    """
    first = outcome.reasons[0].id if outcome.reasons else ""
    if outcome.fate != "held" or first != TOUCHED or not context.settings.reading.back or context.dry_run:
        return outcome
    entry = ledger.get(context.store, natural_key("client", event.record_id))
    if event.entity != "customer" or PREFIX + "client" not in context.mappings.by_entity or entry is None:
        return outcome
    key = f"{PREFIX}client:{entry.remote_id}"
    asked = News("client", str(entry.remote_id), "update", f"touched:{event.seq}", event.record_key)
    new = file_news(context.store, [asked], reading=context.settings.reading, source="books", now=context.now()).new
    if new or inbox.verdict(context.store, key) == "pending":
        reason = Reason("waits-for-way-back", f"{outcome.reasons[0].message}; the way back judges that first")
        return Outcome("waiting", (reason,), waits_for=key)
    return Outcome("held", outcome.reasons, waits_for=key)


def told_of(event: Event, context: Context) -> bool:
    """Whether the way back has written to a record: what an event or snapshot says may be older than that then."""
    if not context.settings.reading.back or event.entity != "customer":
        return False
    return ledger.get(context.store, f"freshbooks:{event.entity}:{event.record_id.lower()}") is not None
