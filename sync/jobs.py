"""What ``serve`` does again and again beside the records: each a plain function of the context, safe to run twice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from sync import alerts, retention
from sync.poll import PollReport, poll_clarity
from sync.reading import assumed
from sync.reconcile import daily
from sync.spec_safety import REFRESH_JOB_S, refresh_mappings
from sync.worker import Context


@dataclass(frozen=True)
class Job:
    """Something to be repeated.

    Attributes:
        name: Kebab-case, unique.
        every_s: Seconds from the end of one run to the start of the next.
        run: True when it brought new events into the inbox. What it raises is logged; the next run comes all the same.
    """

    name: str
    every_s: float
    run: Callable[[Context], bool]


def jobs_of(context: Context) -> list[Job]:
    """The jobs of a runner with these settings."""
    found = [Job("mappings", REFRESH_JOB_S, refresh_mappings)]
    if context.clarity is not None:
        found.append(Job("poll", context.settings.poll.interval_s, _poll))
        if context.settings.reconcile.daily_at is not None:
            found.append(Job("reconcile", daily.CHECK_EVERY_S, daily.compare_when_due))
    found.append(Job("alerts", alerts.CHECK_EVERY_S, alerts.watch_by_settings))
    found.append(Job("retention", retention.DAY_S, retention.erase_by_settings))
    return found


def _poll(context: Context) -> bool:
    return poll(context).result.new > 0


LONGEST_WAIT_S = 120.0
"""For the source's rate limit; a longer pause is the next poll's."""


def poll(context: Context) -> PollReport:
    """Ask Clarity, which must be configured, for what changed.

    Where the rate limit ends a poll that has brought something, and the next one can go on from there, it does.
    """
    report = _poll_once(context)
    total = report.result
    while (wait_s := report.go_on_in_s) is not None and wait_s <= LONGEST_WAIT_S and not context.stop.wait(wait_s):
        report = _poll_once(context)
        total += report.result
    return replace(report, result=total)


def _poll_once(context: Context) -> PollReport:
    if context.clarity is None:
        raise ValueError("Clarity is not configured")
    wanted, findings = context.settings.poll, context.settings.clarity_findings
    usual_s = assumed(context.settings.profile, "A8")["overlap_s"]
    return poll_clarity(
        context.store,
        context.clarity,
        now=context.now(),
        overlap_s=usual_s if wanted.overlap_s is None else wanted.overlap_s,
        start_date=wanted.start_date,
        complete_rows=findings is None or findings.complete_rows is not False,
        reading=context.settings.reading,
        settled_by=context.fingerprints,
    )
