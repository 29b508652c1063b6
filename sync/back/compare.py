"""Every field of a pair of records, compared with what both systems last agreed on.

What both agreed on stands in the ledger: for a client in the entry of the forward way, which both directions share, so
that neither takes the other's work for a person's; for an order by the payments that were carried over.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from connectors.clarity_writes import value_at
from connectors.freshbooks import parse_accounting_time
from mapspec import Draft
from mapspec.check_reads import reads_of
from mapspec.engine import record_instant
from mapspec.model import FieldRule
from sync import records
from sync.back.judge import PAYMENT_STATE, Side, Verdict, flat, judge, mark, payment_refusal
from sync.back.pairs import Pair
from sync.ledger import Entry
from sync.outcome import held
from sync.plan import digest
from sync.specs import ApprovedSpec

if TYPE_CHECKING:
    from sync.worker import Context


@dataclass(frozen=True)
class Judged:
    """A field and what was found about it."""

    path: str
    wanted: Any
    current: Any
    verdict: Verdict


class Comparison:
    """Judges every field of a pair of records."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.store = context.store

    def judge(
        self,
        approved: ApprovedSpec,
        pair: Pair,
        source: Mapping[str, Any],
        current: Mapping[str, Any],
        draft: Draft,
        left: Draft,
        before: Entry | None,
    ) -> list[Judged]:
        wanted, own = values(draft), values(left)
        seen = dict(before.detail.get("seen", {})) if before is not None else {}
        told = dict(before.detail.get("told", {})) if before is not None else {}
        there = self._agreed_in_clarity(pair, own, before)
        untouched = self._carried(pair, current)
        at = (_accounting(source.get("updated")), record_instant(self._updated(current)))
        spec, judged = approved.compiled.spec, []
        target = next(iter(spec.targets))
        for part, rule in spec.rules().items():
            path = part.removeprefix(f"{target}.")
            if path == part or not isinstance(rule, FieldRule):
                continue
            value, now = wanted.get(path), value_at(current, path)
            books = self._books_changed(pair, path, value, now, own, seen, told)
            shop = self._shop_changed(now, path, there, untouched, members_of(approved, part))
            verdict = judge(Side(value, books, at[0]), Side(now, shop, at[1]), rule.conflict)
            if path == PAYMENT_STATE and verdict == "write":
                why = payment_refusal(str(value), now, told.get(path))
                if why is not None:
                    raise held("payment-state", why)
            judged.append(Judged(path, value, now, verdict))
        return judged

    def _books_changed(
        self,
        pair: Pair,
        path: str,
        value: Any,
        now: Any,
        own: Mapping[str, Any],
        seen: Mapping[str, str],
        told: Mapping[str, str],
    ) -> bool | None:
        """Whether somebody else than we has changed the field in FreshBooks since both agreed."""
        if path in own and mark(own[path]) == mark(value):
            # Ours, unless Clarity still shows what we told of a person's payment that is gone since.
            return pair.entity == "order" and told.get(path) == mark(now) if path in told else False
        if pair.entity == "customer" and pair.made.detail.get("fields"):
            return True
        return mark(value) != seen[path] if path in seen else (True if pair.entity == "order" else None)

    def _shop_changed(
        self,
        now: Any,
        path: str,
        there: Mapping[str, str],
        untouched: Mapping[str, bool],
        members: set[str],
    ) -> bool | None:
        """Whether somebody else than we has changed the field in Clarity since both agreed."""
        known = [untouched[name] for name in members if name in untouched]
        if known:
            return not all(known)
        return mark(now) != there[path] if path in there else None

    def _carried(self, pair: Pair, current: Mapping[str, Any]) -> dict[str, bool]:
        """By member of a client: whether Clarity still says what was agreed on last, judged by the forward mapping."""
        forward: ApprovedSpec | None = self.context.mappings.current.by_entity.get("customer")
        agreed = pair.made.detail.get("fields")
        if pair.entity != "customer" or forward is None or not agreed:
            return {}
        draft = forward.compiled.apply(self.context.settings.reading.record(current))
        documents = [row for rows in draft.documents.values() for row in rows]
        if draft.decision != "go" or len(documents) != 1:
            return {}
        body = documents[0].body
        return {
            name: (digest(body[name]) == agreed[name] if name in body and name in agreed else name not in body)
            for name in {*body, *agreed}
        }

    def _agreed_in_clarity(self, pair: Pair, own: Mapping[str, Any], before: Entry | None) -> dict[str, str]:
        """Digest of Clarity's value by path when both agreed last: as noted here, else as the forward way left it.

        That is an order's state by the payments that were carried over, and a customer's snapshot that was worked off.
        """
        noted = dict(before.detail.get("there", {})) if before is not None else {}
        if pair.entity == "order":
            return {**{path: mark(own[path]) for path in (PAYMENT_STATE,) if path in own}, **noted}
        if noted:
            return noted
        known = records.latest(self.store, pair.record_key)
        if known is None or not known.payload or known.settled is None or not known.settled.startswith(known.sha256):
            return {}
        return {path: mark(value_at(known.payload, path)) for path in flat(known.payload)}

    def _updated(self, current: Mapping[str, Any]) -> str | None:
        return None if self.context.clarity is None else self.context.clarity.head(current).updated


def values(draft: Draft) -> dict[str, Any]:
    return {path: value for rows in draft.documents.values() for row in rows for path, value in flat(row.body).items()}


def members_of(approved: ApprovedSpec, part: str) -> set[str]:
    """Names of the record that a part reads."""
    return {
        read.path.segments[0][0]
        for read in reads_of(approved.compiled.spec)
        if read.part == part and read.path.root == "record" and read.path.segments
    }


def _accounting(text: Any) -> datetime | None:
    try:
        return parse_accounting_time(str(text))
    except ValueError:
        return None
