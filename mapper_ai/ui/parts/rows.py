"""The review table's rows: which are shown, in what words, and what one sample makes of each. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from mapper_ai.services.workspace import Alternative, PreviewRow, Sample, TargetRow
from mapper_ai.ui.parts.values import cell, percent, shortened
from mapspec.codec import load_spec
from mapspec.engine import CompiledSpec, compile_spec
from mapspec.errors import SpecError, TransformError

PAGE_ROWS: Final = 8
"""Rows of the table at a time; with wrapped text they fit a screen of 800 px without scrolling inside."""

CONFIDENT: Final = 0.8
"""Bulk acceptance starts here; the person can ask for more, not for less."""

FILTERS: Final[dict[str, Callable[[TargetRow], bool]]] = {
    "To decide": lambda row: row.state == "proposed" or (row.state == "unmapped" and row.required),
    "Low": lambda row: row.state == "proposed" and (row.confidence or 0) < CONFIDENT,
    "Money, tax, keys": lambda row: row.money,
    "Approved": lambda row: row.state == "approved",
    "Rejected": lambda row: row.state == "rejected",
    "Unmapped": lambda row: row.state == "unmapped",
    "All": lambda row: True,
}

STATE_WORDS: Final = {
    "proposed": "to decide",
    "approved": "approved",
    "rejected": "rejected",
    "unmapped": "no rule",
}


def chosen_rows(rows: Sequence[TargetRow], name: str, search: str) -> list[TargetRow]:
    """Rows of a filter that hold every word of the search in target, source or steps; order kept."""
    words = search.casefold().split()
    keep = FILTERS[name]
    return [row for row in rows if keep(row) and all(word in _searched(row) for word in words)]


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


def table_data(rows: Sequence[TargetRow], after: Mapping[str, str]) -> dict[str, list[str]]:
    """Columns for st.dataframe, text only.

    Args:
        rows: Those of one page of the table.
        after: Part -> what the first good sample gives.
    """
    return {
        "Target": [row.target for row in rows],
        "Need": ["required" if row.required else "" for row in rows],
        "Source": [_sources(row) for row in rows],
        "Steps": [shortened(row.words, 40) for row in rows],
        "Sure": ["" if row.confidence is None else percent(row.confidence) for row in rows],
        "State": [STATE_WORDS[row.state] for row in rows],
        "After": [shortened(after.get(row.part, ""), 28) for row in rows],
    }


def sample_after(
    text: str, rows: Sequence[TargetRow], previews: Sequence[PreviewRow], samples: Sequence[Sample]
) -> dict[str, str]:
    """What the first sample that goes (else the first) gives for each part, as cell text.

    Args:
        text: The draft's YAML; one that does not compile gives nothing for named values.
    """
    chosen = next((row for row in previews if row.decision == "go"), previews[0] if previews else None)
    if chosen is None:
        return {}
    record = next((sample.record for sample in samples if sample.name == chosen.sample), None)
    compiled = _compiled(text)
    found = {}
    for row in rows:
        if row.part.startswith("values.") and compiled is not None and record is not None:
            found[row.part] = _value(compiled, row.part, record)
        elif row.part not in ("flow",) and "." in row.part:
            found[row.part] = _document_value(row.part, chosen.documents)
    return found


def _sources(row: TargetRow) -> str:
    more = f" +{len(row.sources) - 1}" if len(row.sources) > 1 else ""
    return shortened(row.sources[0], 40) + more if row.sources else ""


def _compiled(text: str) -> CompiledSpec | None:
    try:
        return compile_spec(load_spec(text))
    except SpecError:
        return None


def _value(compiled: CompiledSpec, part: str, record: Mapping[str, Any]) -> str:
    try:
        return cell(compiled.value(part, record))
    except (TransformError, KeyError):
        return "—"


def _document_value(part: str, documents: Mapping[str, Any]) -> str:
    target, _, path = part.partition(".")
    bodies = documents.get(target) or []
    body = bodies[0] if isinstance(bodies, list) and bodies else None
    if not isinstance(body, Mapping):
        return "—"
    head, is_list, member = path.partition("[]")
    if not is_list:
        return cell(_at(body, path))
    items = _at(body, head)
    if not isinstance(items, list):
        return "—"
    if not member:
        return f"{len(items)} entries"
    return cell([_at(item, member.removeprefix(".")) for item in items])


def _at(value: Any, path: str) -> Any:
    for name in path.split("."):
        if not isinstance(value, Mapping):
            return None
        value = value.get(name)
    return value


def _searched(row: TargetRow) -> str:
    return " ".join((row.target, *row.sources, row.words)).casefold()
