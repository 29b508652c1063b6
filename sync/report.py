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
    paused = found.get("paused")
    lines = (
        [f"PAUSED by {paused['by']} since {paused['since']}: {paused['reason'] or 'no reason given'}"] if paused else []
    )
    lines += [f"Inbox: {counts or 'empty'}", *(_table(found["ledger"]) or ["Ledger: empty"])]
    for name, known in found["connections"].items():
        reason = f" ({known['reason']})" if known["reason"] else ""
        lines.append(f"Connection {name}: {known['state']}{reason}")
    lines += [f"Mapping {known['text']}" for known in found["mappings"] if known["state"] != "runs"]
    lines += [
        f"Process {one['role']} on {one['host']} ({one['pid']}): {one['workers']} workers, engine {one['engine']}"
        for one in found["processes"]
    ]
    for name, job in found["jobs"].items():
        last = f"{job['last_result']} {job['last_run']}" if job["last_run"] else "not yet"
        lines.append(f"Job {name}: {'running, ' if job['running'] else ''}last run {last}")
    for name, one in found["budget"].items():
        if one["refused"]:
            learned = "no limit" if one["per_minute"] is None else f"{one['per_minute']} a minute"
            pause = f", nobody sends for {one['pause_s']} s" if one["pause_s"] else ""
            lines.append(f"Requests to {name}: {one['refused']} refused so far (429), now {learned}{pause}")
    return "\n".join([*lines, *_lists(found, limit)])


def errors_text(groups: Sequence[Mapping[str, Any]], *, limit: int) -> str:
    """Held and dead records by reason, each with its mend."""
    if not groups:
        return "Nothing is held or dead."
    lines = []
    for group in groups:
        since = f" since {group['oldest']}" if group["oldest"] else ""
        lines += [f"{group['reason_id']} ({group['kind']}, {group['count']}){since}", f"  > {group['mend']}"]
        lines += _shortened([f"  {line['record']}: {line['reason']}" for line in group["records"]], limit)
    lines.append("Mend the cause, then: mapper-sync replay RECORD, replay --reason ID, or replay --all")
    return "\n".join(lines)


def story_text(told: Mapping[str, Any]) -> str:
    """A record's story, one line a moment; bodies below it where they were asked for."""
    number = f" ({told['number']})" if told["number"] else ""
    lines = [f"{told['record']}{number}"]
    for row in told["deliveries"]:
        lines.append(f"{row['at']}  {row['event']} from {row['from']}, version {row['version'] or '-'}: {row['state']}")
        lines += [f"    {reason['id']}: {reason['message']}\n    > {reason['mend']}" for reason in row["reasons"]]
        lines += _body(row, "payload")
    if told["snapshot"] is not None:
        lines += [f"newest snapshot: version {told['snapshot']['version'] or '-'}", *_body(told["snapshot"], "payload")]
    plan = told["plan"]
    if plan is not None:
        lines.append(f"plan by spec {plan['spec'][:12]}: {plan['decision']}")
        lines += [f"    {reason['id']}: {reason['message']}" for reason in plan["reasons"]]
        lines += [
            f"    {action['do']} {action['entity']} {action['key']} {action['total'] or ''} {action['currency'] or ''}"
            for action in plan.get("actions", ())
        ]
    for row in told["attempts"]:
        request = row["request"] or {}
        lines.append(f"{row['at']}  {request.get('method')} {request.get('entity')} of {row['key']}: {row['outcome']}")
        lines += [*_body(row, "request"), *_body(row, "response")] if "response" in row else []
    for row in told["ledger"]:
        amount = f", {row['total']} {row['currency']}" if row["total"] else ""
        spec = f", spec {row['spec'][:12]}" if row["spec"] else ""
        remote = f" as {row['remote_id']}" if row["remote_id"] else ""
        lines.append(f"{row['at']}  ledger {row['key']}: {row['state']} {row['phase']}{remote}{amount}{spec}")
    lines += [f"note {row['kind']}: {row['message']}\n    > {row['mend']}" for row in told["notes"]]
    lines += [f"{row['at']}  {row['what']} by {row['who']}: {row['detail']}" for row in told["by hand"]]
    return "\n".join(line.rstrip() for line in lines)


def _body(row: Mapping[str, Any], name: str) -> list[str]:
    return [f"    {name}: {dumps(row[name])}"] if row.get(name) is not None else []


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
    lines += _section("Unknown SKUs", skus, limit)
    # What else is told stops nothing; unknown SKUs are listed above.
    told = (f"{row['record']}: {row['message']}" for row in found["notes"] if row["kind"] != "unknown-sku")
    return lines + _section("Noted", told, limit)


def _section(title: str, items: Iterable[str], limit: int) -> list[str]:
    found = list(items)
    return [f"{title} ({len(found)})", *_shortened([f"  {item}" for item in found], limit)] if found else []


def _shortened(lines: list[str], limit: int) -> list[str]:
    if len(lines) <= limit:
        return lines
    return [*lines[:limit], f"  ... and {len(lines) - limit} more; --json lists all"]
