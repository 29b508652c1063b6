"""Drift in live payloads: counted by day for each mapping that runs, told over a threshold, proposed as a change.

Every delivery's record is compared once with what its mapping reads; sums go to the store every few seconds. What is
kept is bounded: so many ways to differ a day and mapping, for so many days, and no value but words that several
records hold where the mapping goes by a list.
"""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from connectors.profiles import SystemProfile
from mapspec import load_spec
from mapspec.drift import Drift, Shape, compare_one, expected_shape
from mapspec.drift_changes import Proposal, propose
from sync import records
from sync.spec_safety import MappingState, mapping_states
from sync.specs import ApprovedSpec
from sync.store import Store
from sync.store import drift as drift_table

FLUSH_S: Final = 5.0
KEPT_DAYS: Final = 14
MAX_WAYS: Final = 200
"""Ways to differ that are told apart for a mapping and a day; further ones are counted together."""
TOLD_DAYS: Final = 2
TOLD_LEAST: Final = 5
TOLD_SHARE: Final = 0.02
TOLD_SHARE_NEW: Final = 0.5
"""Alerts look at the last days: so many records at least, and this share of them. A new field harms nothing yet."""

WORD_LEAST: Final = 3
"""Records that must hold an unknown word before it is named: what stands once may be a slip, or somebody's name."""
_MOST_WORDS: Final = 5000

_ALL: Final = "record"  # the row that counts the records looked at
_MORE: Final = "more"
_Way = tuple[str, str, str]


class DriftWatch:
    """Compares and counts in one process; safe to share between threads."""

    def __init__(
        self,
        store: Store,
        profile: SystemProfile,
        *,
        now: Callable[[], float],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._profile = profile
        self._now = now
        self._clock = clock
        self._lock = threading.Lock()
        self._shapes: dict[str, Shape] = {}
        self._counts: dict[tuple[str, str], Counter[_Way]] = {}
        self._parts: dict[tuple[str, _Way], tuple[str, ...]] = {}
        self._words: Counter[tuple[str, str, str]] = Counter()
        self._flushed = clock()

    def observe(self, approved: ApprovedSpec, record: Mapping[str, Any]) -> None:
        """Compare one record with what its mapping reads."""
        mark = approved.fingerprint
        shape = self._shapes.get(mark)
        if shape is None:
            shape = self._shape(approved)
        found = compare_one(shape, record)
        day = _day(self._now())
        with self._lock:
            counts = self._counts.setdefault((mark, day), Counter())
            counts[_ALL, "", ""] += 1
            for row in found:
                detail = row.detail[:80] if row.kind != "value" or self._is_word(mark, row) else ""
                way: _Way = (row.kind, row.path[:200], detail)
                if way not in counts and len(counts) >= MAX_WAYS:
                    way = (_MORE, "", "")
                else:
                    self._parts[mark, way] = row.parts
                counts[way] += 1
            due = self._clock() - self._flushed >= FLUSH_S
        if due:
            self.flush()

    def flush(self) -> None:
        """Add what was counted to the store."""
        with self._lock:
            counts, self._counts, self._flushed = self._counts, {}, self._clock()
            parts, self._parts = self._parts, {}
        if not counts:
            return
        try:
            with self._store.write() as conn:
                for (mark, day), ways in sorted(counts.items()):
                    self._add(conn, mark, day, ways, parts)
                oldest = _day(self._now() - KEPT_DAYS * 86_400)
                conn.execute(sa.delete(drift_table).where(drift_table.c.day < oldest))
        except SQLAlchemyError:
            with self._lock:  # sums are no promise, but they can wait for a store that answers again
                for key, ways in counts.items():
                    self._counts.setdefault(key, Counter()).update(ways)
                self._parts = {**parts, **self._parts}
            raise

    def _add(
        self,
        conn: sa.Connection,
        mark: str,
        day: str,
        ways: Counter[_Way],
        parts: Mapping[tuple[str, _Way], tuple[str, ...]],
    ) -> None:
        here = (drift_table.c.fingerprint == mark) & (drift_table.c.day == day)
        columns = (drift_table.c.kind, drift_table.c.path, drift_table.c.detail)
        known = {tuple(row) for row in conn.execute(sa.select(*columns).where(here))}
        sums: Counter[_Way] = Counter()
        for way, count in ways.items():
            room = way in known or way[0] in (_ALL, _MORE) or len(known) < MAX_WAYS
            sums[way if room else (_MORE, "", "")] += count
            if room:
                known.add(way)
        statement = self._store.insert(drift_table)
        added = {"count": drift_table.c.count + statement.excluded.count, "last_at": statement.excluded.last_at}
        put = statement.on_conflict_do_update(index_elements=list(drift_table.primary_key), set_=added)
        now = self._now()
        rows = [
            {
                "fingerprint": mark,
                "day": day,
                "kind": kind,
                "path": path,
                "detail": detail,
                "parts": json.dumps(parts.get((mark, (kind, path, detail)), ())),
                "count": count,
                "first_at": now,
                "last_at": now,
            }
            for (kind, path, detail), count in sorted(sums.items())
        ]
        conn.execute(put, rows)

    def _is_word(self, mark: str, row: Drift) -> bool:
        """Whether a word was met often enough to be one of a list."""
        word = (mark, row.path, row.detail)
        if word not in self._words and len(self._words) >= _MOST_WORDS:
            self._words.clear()
        self._words[word] += 1
        return self._words[word] >= WORD_LEAST

    def _shape(self, approved: ApprovedSpec) -> Shape:
        spec = approved.compiled.spec
        known = self._profile.entities
        contract = self._profile.fields(spec.source.entity) if spec.source.entity in known else []
        shape = expected_shape(spec, contract=contract)
        if len(self._shapes) >= 32:  # versions of a day of edits, and no more
            self._shapes.clear()
        self._shapes[approved.fingerprint] = shape
        return shape


@dataclass(frozen=True)
class DriftReport:
    """What one mapping met in the last days.

    Attributes:
        records: Records that were compared.
        found: How they differed, with counts, the most frequent first.
        more: Differences beyond those that are told apart.
        over: Those of `found` that are over the threshold.
    """

    mapping: MappingState
    records: int
    found: tuple[Drift, ...]
    more: int
    over: tuple[Drift, ...]


def drift_reports(store: Store, *, now: float, days: int = KEPT_DAYS) -> list[DriftReport]:
    """What each mapping that runs has met since so many days, by file."""
    running = {known.fingerprint: known for known in mapping_states(store) if known.fingerprint}
    columns = [drift_table.c[name] for name in ("fingerprint", "kind", "path", "detail", "parts")]
    since = _day(now - days * 86_400)
    statement = (
        sa.select(*columns, sa.func.sum(drift_table.c.count).label("total"))
        .where(drift_table.c.day > since, drift_table.c.fingerprint.in_(list(running)))
        .group_by(*columns)
    )
    with store.read() as conn:
        rows = conn.execute(statement).all()
    reports = []
    for mark, known in sorted(running.items(), key=lambda item: item[1].file):
        mine = [row for row in rows if row.fingerprint == mark]
        total = sum(int(row.total) for row in mine if row.kind == _ALL)
        more = sum(int(row.total) for row in mine if row.kind == _MORE)
        found = [
            Drift(row.kind, row.path, row.detail, tuple(json.loads(row.parts)), int(row.total), total)
            for row in mine
            if row.kind not in (_ALL, _MORE)
        ]
        found.sort(key=lambda row: (-row.count, row.kind, row.path, row.detail))
        reports.append(DriftReport(known, total, tuple(found), more, tuple(row for row in found if _is_over(row))))
    return reports


def drift_counts(store: Store, *, now: float) -> list[dict[str, Any]]:
    """For the status: records compared and differences by kind, for each mapping that met some."""
    shown = []
    for report in drift_reports(store, now=now):
        counts = Counter[str]()
        for row in report.found:
            counts[row.kind] += row.count
        if counts:
            over = [f"{row.kind} {row.path} {row.detail}".rstrip() for row in report.over]
            name = report.mapping.file
            shown.append(
                {"file": name, "records": report.records, "counts": dict(sorted(counts.items())), "over": over}
            )
    return shown


def drift_alerts(store: Store, *, now: float) -> dict[str, str]:
    """What somebody should look at, as a line of text by mapping file."""
    told = {}
    for report in drift_reports(store, now=now, days=TOLD_DAYS):
        if report.over:
            first = report.over[0]
            more = f" and {len(report.over) - 1} more" if len(report.over) > 1 else ""
            told[report.mapping.file] = (
                f"payloads differ from what {report.mapping.file} was approved for: {first.kind} {first.path}"
                f"{f' ({first.detail})' if first.detail else ''} in {first.count} of {first.records} records{more}."
                " See: mapper-sync drift"
            )
    return told


def proposals_for(store: Store, report: DriftReport) -> list[Proposal]:
    """What to change in the mapping; empty when its text is not kept."""
    text = records.load_spec(store, report.mapping.fingerprint or "")
    return [] if text is None else propose(load_spec(text, where=report.mapping.file), report.found)


def _is_over(row: Drift) -> bool:
    share = TOLD_SHARE_NEW if row.kind == "new" else TOLD_SHARE
    return row.count >= TOLD_LEAST and row.count >= share * row.records


def _day(at: float) -> str:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=at)).date().isoformat()
