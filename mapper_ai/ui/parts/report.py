"""Tables of what a run did and what it left, from the runner's report and status. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

_STATES: Final = {"confirmed": "in the books"}
_VERBS: Final = {"POST": "to create", "PUT": "to change"}

Table = dict[str, list[str]]


def totals_table(totals: Mapping[str, Any]) -> Table:
    """What the ledger holds, one row an entity: how many in which state, and sums per currency."""
    counts = totals.get("counts", {})
    return {
        "What": [str(entity) for entity in counts],
        "How many": [
            ", ".join(f"{count} {_STATES.get(state, state)}" for state, count in states.items())
            for states in counts.values()
        ],
        "Sums": _sums(counts, totals),
    }


def planned_totals_table(planned: Sequence[Mapping[str, Any]], totals: Mapping[str, Any]) -> Table:
    """What a dry run would write, one row an entity: how many are made and changed, and sums per currency."""
    counts: dict[str, Counter[str]] = {}
    for row in planned:
        verb = _VERBS.get(str(row.get("method")), str(row.get("method")))
        counts.setdefault(str(row.get("entity") or "request"), Counter())[verb] += 1
    return {
        "What": list(counts),
        "How many": [", ".join(f"{count} {verb}" for verb, count in found.items()) for found in counts.values()],
        "Sums": _sums(counts, totals),
    }


def held_table(status: Mapping[str, Any]) -> Table:
    """Every record that was not posted, with its reason; skipped ones have a table of their own."""
    rows = [row for row in status.get("held", ()) if row.get("kind") != "skipped"]
    return _records(rows)


def skipped_table(status: Mapping[str, Any]) -> Table:
    """What was left out on purpose."""
    return _records(status.get("skipped", ()))


def unknown_skus_table(status: Mapping[str, Any]) -> Table:
    """SKUs that FreshBooks' catalogue does not have, and where they stand."""
    rows = status.get("unknown_skus", ())
    return {"SKU": [str(row["sku"]) for row in rows], "Records": [", ".join(row["records"]) for row in rows]}


def planned_table(planned: Sequence[Mapping[str, Any]]) -> Table:
    """Requests of a dry run, in order."""
    return {
        "Request": [f"{row.get('method', '')} {row.get('path', '')}" for row in planned],
        "What": [str(row.get("entity") or "") for row in planned],
        "Total": [_total(row) for row in planned],
    }


def outcome_words(report: Mapping[str, Any]) -> str:
    """What a run did in one line: "108 done, 21 held"."""
    fates = report.get("fates", {})
    return ", ".join(f"{count} {fate}" for fate, count in sorted(fates.items())) or "nothing was due"


def _sums(entities: Iterable[str], totals: Mapping[str, Any]) -> list[str]:
    sums = totals.get("sums", {})
    return [
        "; ".join(f"{Decimal(amount):,f} {code}" for code, amount in sorted(sums.get(entity, {}).items())) or "—"
        for entity in entities
    ]


def _records(rows: Sequence[Mapping[str, Any]]) -> Table:
    return {
        "Record": [str(row.get("record", "")) for row in rows],
        "Kind": [str(row.get("kind", "")) for row in rows],
        "Reason": [str(row.get("reason", "")) for row in rows],
    }


def _total(row: Mapping[str, Any]) -> str:
    return f"{row['total']} {row.get('currency') or ''}".strip() if row.get("total") is not None else ""
