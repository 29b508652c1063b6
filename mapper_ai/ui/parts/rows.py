"""The review table's rows: which are shown, in what words, and what one sample makes of each. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final

from mapper_ai.services.workspace import Alternative, Finding, TargetRow
from mapper_ai.ui.parts.values import cell, percent, shortened

PAGE_ROWS: Final = 8
"""Rows of the table at a time; with wrapped text they fit a screen of 800 px without scrolling inside."""

CONFIDENT: Final = 0.8
"""Bulk acceptance starts here; the person can ask for more, not for less."""

FILTERS: Final[dict[str, Callable[[TargetRow, bool], bool]]] = {
    "To decide": lambda row, conflict: row.state == "proposed" or (row.state == "unmapped" and row.required),
    "Conflicts": lambda row, conflict: conflict,
    "Missing": lambda row, conflict: row.state in ("unmapped", "rejected") and row.required,
    "Unsure": lambda row, conflict: row.state == "proposed" and (row.confidence or 0) < CONFIDENT,
    "Money, tax, keys": lambda row, conflict: row.money,
    "Stale": lambda row, conflict: row.stale,
    "Approved": lambda row, conflict: row.state == "approved",
    "Rejected": lambda row, conflict: row.state == "rejected",
    "No rule": lambda row, conflict: row.state == "unmapped",
    "All": lambda row, conflict: True,
}
"""Filter -> whether a row passes; the second argument says whether something is wrong with the row."""

FILTER_HELP: Final = (
    "Conflicts: a check or a sample says that something is wrong. Missing: required, without a rule. Unsure: below "
    "80 %, or nobody estimated it. Stale: approved, and changed since. No rule: a field that may stay empty."
)

STATE_WORDS: Final = {
    "proposed": "to decide",
    "approved": "approved",
    "rejected": "rejected",
    "unmapped": "no rule",
}


def conflicts_of(findings: Sequence[Finding]) -> set[str]:
    """Parts that something is wrong with."""
    return {row.part for row in findings if row.part and row.level in ("error", "warning")}


def in_order(rows: Sequence[TargetRow], conflicts: Collection[str]) -> list[TargetRow]:
    """For review: required ones that are open, then conflicts, then what is open, the least sure first within each."""

    def rank(row: TargetRow) -> tuple[int, float]:
        open_ = row.state == "proposed" or (row.state in ("unmapped", "rejected") and row.required)
        if not open_:
            return {"proposed": 3, "approved": 3, "rejected": 4, "unmapped": 5}[row.state], 0.0
        return 0 if row.required else 1 if row.part in conflicts else 2, row.confidence or 0.0

    return sorted(rows, key=rank)


def coverage(rows: Sequence[TargetRow]) -> tuple[int, int]:
    """How many required targets have a rule that nobody rejected, and how many there are."""
    required = [row for row in rows if row.required and row.part != "flow"]
    return sum(row.state in ("proposed", "approved") for row in required), len(required)


def chosen_rows(rows: Sequence[TargetRow], name: str, search: str, conflicts: Collection[str] = ()) -> list[TargetRow]:
    """Rows of a filter that hold every word of the search in target, source or steps; order kept."""
    words = search.casefold().split()
    keep = FILTERS[name]
    return [row for row in rows if keep(row, row.part in conflicts) and all(word in _searched(row) for word in words)]


def confident(rows: Sequence[TargetRow], least: float) -> list[TargetRow]:
    """Proposed rows that may be accepted together: confident enough, and neither money, tax, key nor the flow."""
    return [
        row
        for row in rows
        if row.state == "proposed"
        and not row.money
        and row.part != "flow"
        and row.confidence is not None
        and row.confidence >= least
    ]


def fields_of(alternative: Alternative) -> list[str]:
    """The source paths of an alternative; several are written "a + b"."""
    return alternative.source.split(" + ")


def next_part(shown: Sequence[TargetRow], part: str, *, step: int = 1) -> str | None:
    """The part after (or before) one in the shown order, round the corner; None when nothing else is shown."""
    parts = [row.part for row in shown]
    if part not in parts:
        return parts[0] if parts else None
    following = parts[(parts.index(part) + step) % len(parts)]
    return following if following != part else None


def table_data(
    rows: Sequence[TargetRow], after: Mapping[str, str], conflicts: Collection[str] = ()
) -> dict[str, list[str]]:
    """Columns for st.dataframe, text only.

    Args:
        rows: Those of one page of the table.
        after: Part -> what the first good sample gives.
        conflicts: Parts that something is wrong with.
    """
    return {
        "Target": [f"{row.target} *" if row.required else row.target for row in rows],
        "Source": [_sources(row) for row in rows],
        "Steps": [shortened(row.words, 46) for row in rows],
        "Sure": ["" if row.confidence is None else percent(row.confidence) for row in rows],
        "State": [_state(row, row.part in conflicts) for row in rows],
        "After": [shortened(after.get(row.part, ""), 28) for row in rows],
    }


def sample_after(rows: Sequence[TargetRow], values: Mapping[str, Any]) -> dict[str, str]:
    """What one sample gives for each part, as cell text; lists of a document as how many there are."""
    found = {}
    for row in rows:
        if row.part not in values:
            continue
        value = values[row.part]
        found[row.part] = (
            f"{len(value)} entries" if row.part.endswith("[]") and isinstance(value, list) else cell(value)
        )
    return found


def _state(row: TargetRow, conflict: bool) -> str:
    if row.stale:
        return "changed since approval"
    return f"{STATE_WORDS[row.state]}, conflict" if conflict else STATE_WORDS[row.state]


def _sources(row: TargetRow) -> str:
    more = f" +{len(row.sources) - 1}" if len(row.sources) > 1 else ""
    return shortened(row.sources[0], 40) + more if row.sources else ""


def _searched(row: TargetRow) -> str:
    return " ".join((row.target, *row.sources, row.words)).casefold()
