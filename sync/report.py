"""The runner's findings as text for a terminal."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from connectors.http import dumps

if TYPE_CHECKING:
    from sync.runner import RunReport


def run_text(report: RunReport, *, limit: int) -> str:
    """What a run did: requests of a dry run, a table of counts and sums, then what needs a person.

    Args:
        limit: Most records shown of each list.
    """
    lines: list[str] = []
    if report.dry_run:
        for request in report.planned:
            lines += [f"{request['method']} {request['path']}", f"  {dumps(request.get('body'))}"]
        lines += [f"Dry run: {len(report.planned)} requests planned, nothing written."]
    taken = report.ingested
    lines.append(
        f"Events: {taken.new} new, {taken.duplicate} known, {taken.ignored} ignored; {report.polled.new} polled"
    )
    if report.fates:
        lines.append("Worked on: " + ", ".join(f"{count} {fate}" for fate, count in sorted(report.fates.items())))
    lines += _table(report.totals) or ["Nothing changed at FreshBooks." if not report.dry_run else "Nothing to write."]
    lines += _lists(report.status, limit)
    return "\n".join(lines)


def status_text(found: Mapping[str, Any], *, limit: int) -> str:
    """The store's status."""
    counts = ", ".join(f"{count} {state}" for state, count in found["inbox"].items() if count)
    lines = [f"Inbox: {counts or 'empty'}", *(_table(found["ledger"]) or ["Ledger: empty"])]
    for name, known in found["connections"].items():
        reason = f" ({known['reason']})" if known["reason"] else ""
        lines.append(f"Connection {name}: {known['state']}{reason}")
    for name, one in found["budget"].items():
        if one["refused"]:
            learned = "no limit" if one["per_minute"] is None else f"{one['per_minute']} a minute"
            pause = f", nobody sends for {one['pause_s']} s" if one["pause_s"] else ""
            lines.append(f"Requests to {name}: {one['refused']} refused so far (429), now {learned}{pause}")
    return "\n".join([*lines, *_lists(found, limit)])


def errors_text(groups: Sequence[Mapping[str, Any]], *, limit: int) -> str:
    """Held and dead records by reason."""
    if not groups:
        return "Nothing is held or dead."
    lines = []
    for group in groups:
        lines.append(f"{group['reason_id']} ({group['kind']}, {group['count']})")
        lines += _shortened([f"  {line['record']}: {line['reason']}" for line in group["records"]], limit)
    lines.append("Mend the cause, then: mapper-sync replay RECORD, or mapper-sync replay --all")
    return "\n".join(lines)


def _table(totals: Mapping[str, Any]) -> list[str]:
    rows = [
        (
            entity,
            ", ".join(f"{count} {state}" for state, count in states.items()),
            "; ".join(f"{currency} {amount}" for currency, amount in totals["sums"].get(entity, {}).items()),
        )
        for entity, states in totals["counts"].items()
    ]
    if not rows:
        return []
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    return [f"  {row[0]:<{widths[0]}}  {row[1]:<{widths[1]}}  {row[2]}".rstrip() for row in rows]


def _lists(found: Mapping[str, Any], limit: int) -> list[str]:
    held = [line for line in found["held"] if line["kind"] != "skipped"]
    lines = _section("Not posted", (f"{line['record']}: {line['reason']} [{line['kind']}]" for line in held), limit)
    retried = [line for line in found["waiting"] if line["kind"] == "retry"]
    lines += _section("To be tried again", (f"{line['record']}: {line['reason']}" for line in retried), limit)
    lines += _section("Skipped", (f"{line['record']}: {line['reason']}" for line in found["skipped"]), limit)
    skus = (f"{json.dumps(row['sku'])}: {', '.join(row['records'][:5])}" for row in found["unknown_skus"])
    return lines + _section("Unknown SKUs", skus, limit)


def _section(title: str, items: Iterable[str], limit: int) -> list[str]:
    found = list(items)
    return [f"{title} ({len(found)})", *_shortened([f"  {item}" for item in found], limit)] if found else []


def _shortened(lines: list[str], limit: int) -> list[str]:
    if len(lines) <= limit:
        return lines
    return [*lines[:limit], f"  ... and {len(lines) - limit} more; --json lists all"]
