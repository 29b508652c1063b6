"""Alerts: what somebody should know now, one row a cause, told once and told again when it is over.

Conditions are read from the store again and again, so an alert outlives its process and is told by one of several.
Texts hold causes, counts and commands, never customer values. A channel that fails is logged and tried again; it
never holds up work, which happens in other threads.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from sync import control, inbox, records
from sync.drift import drift_alerts
from sync.mends import mend_of
from sync.settings import AlertSettings
from sync.spec_safety import spec_problems
from sync.store import Store
from sync.store import alert as alert_table
from sync.store import inbox as inbox_table
from sync.times import iso, span

if TYPE_CHECKING:
    from sync.worker import Context

log = logging.getLogger(__name__)

CHECK_EVERY_S: Final = 30.0
_CLAIM_S: Final = 120.0
_RETRY_S: Final = 60.0
_WATCHED: Final = ("set-aside", "held", "overpayment", "connection", "mapping", "drift", "lag", "paused")
"""Kinds judged here; others (differences of the books) are raised where they are found."""

Send = Callable[[str, str, bool], "Sent"]


@dataclass(frozen=True)
class Sent:
    """How many channels took a message, and the names of those that did not."""

    done: int
    failed: tuple[str, ...] = ()


@dataclass(frozen=True)
class Alert:
    """One cause: ``open`` or ``resolved``, since when, and when somebody was last told (unix seconds)."""

    kind: str
    cause: str
    text: str
    state: str
    since: float
    told: str
    told_at: float | None

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "kind": self.kind,
            "cause": self.cause,
            "text": self.text,
            "state": self.state,
            "since": iso(self.since),
            "told": iso(self.told_at),
        }


def alerts(store: Store, *, only_open: bool = True) -> list[Alert]:
    """Alerts by the time they began."""
    statement = sa.select(alert_table).order_by(alert_table.c.since, alert_table.c.kind, alert_table.c.cause)
    if only_open:
        statement = statement.where(alert_table.c.state == "open")
    with store.read() as conn:
        rows = conn.execute(statement).all()
    return [Alert(row.kind, row.cause, row.text, row.state, row.since, row.told, row.told_at) for row in rows]


def raise_alert(store: Store, kind: str, cause: str, text: str, *, now: float) -> None:
    """Open an alert, or renew the text of an open one.

    Args:
        cause: Kebab-case or a name; one row each, so that one cause is told once.
        text: One line with the mend; no customer values.
    """
    fresh = {"text": text, "state": "open", "since": now, "told": "", "told_at": None, "claimed_until": 0.0}
    statement = store.insert(alert_table).values(kind=kind, cause=cause, **fresh)
    was_open = alert_table.c.state == "open"
    renewed = {"text": text, "state": "open", "since": sa.case((was_open, alert_table.c.since), else_=now)}
    changed = sa.or_(~was_open, alert_table.c.text != text)
    with store.write() as conn:
        conn.execute(statement.on_conflict_do_update(index_elements=["kind", "cause"], set_=renewed, where=changed))


def resolve_alert(store: Store, kind: str, cause: str, *, now: float) -> None:
    """The cause is gone; whoever was told of it is told so."""
    chosen = sa.and_(alert_table.c.kind == kind, alert_table.c.cause == cause, alert_table.c.state == "open")
    with store.write() as conn:
        conn.execute(sa.update(alert_table).where(chosen).values(state="resolved", since=now))


def conditions(store: Store, settings: AlertSettings, *, now: float) -> dict[tuple[str, str], str]:
    """What is wrong now, as a line of text by kind and cause."""
    found = _set_aside(store, settings, now=now)
    for name, known in records.connections(store).items():
        if known.state != "ok":
            how = "needs somebody to sign in" if known.state == "reconnect" else "is stopped"
            text = f"the connection to {name} {how} since {iso(known.at)}. See: mapper-sync auth status"
            found["connection", name] = text
    for state in spec_problems(store):
        found["mapping", state.file] = state.text
    for file, text in drift_alerts(store, now=now).items():
        found["drift", file] = text
    pause = control.paused(store)
    if pause is not None and now - pause.at >= settings.paused_s:
        found["paused", "paused"] = f"all writing is {pause.text}"
    due = inbox.next_due_at(store, now=now, waiting=True)
    if pause is None and due is not None and now - due >= settings.lag_s:
        text = f"the work lags: the most overdue event has been due for {span(now - due)}. See: mapper-sync top"
        found["lag", "lag"] = text
    return found


def _set_aside(store: Store, settings: AlertSettings, *, now: float) -> dict[tuple[str, str], str]:
    start = sa.func.substr(inbox_table.c.reasons, 1, 80)  # the id stands in front; what follows differs by record
    statement = (
        sa.select(inbox_table.c.state, start, sa.func.count(), sa.func.min(inbox_table.c.settled_at))
        .where(inbox_table.c.state.in_(("held", "dead")))
        .group_by(inbox_table.c.state, start)
    )
    with store.read() as conn:
        rows = conn.execute(statement).all()
    sums: dict[tuple[str, str], tuple[int, float]] = {}
    for state, text, count, oldest in rows:
        reason = text.removeprefix('[{"id": "').partition('"')[0] or "unknown"
        kind = "overpayment" if reason == "overpayment-credit" else "set-aside" if state == "dead" else "held"
        if kind != "held" or settings.held:
            known, since = sums.get((kind, reason), (0, now))
            sums[kind, reason] = known + count, min(since, oldest or now)
    found = {}
    for (kind, reason), (count, since) in sums.items():
        noun = "1 record" if count == 1 else f"{count} records"
        what = "set aside" if kind == "set-aside" else "waiting for a person"
        found[kind, reason] = (
            f"{noun} {what}, {reason}, since {iso(since)}. {mend_of(reason)} See: mapper-sync errors {reason}"
        )
    return found


def check(store: Store, settings: AlertSettings, *, now: float) -> None:
    """Open what is wrong now, resolve what is not any more."""
    wrong = conditions(store, settings, now=now)
    for (kind, cause), text in wrong.items():
        raise_alert(store, kind, cause, text, now=now)
    for known in alerts(store):
        if known.kind in _WATCHED and (known.kind, known.cause) not in wrong:
            resolve_alert(store, known.kind, known.cause, now=now)


def tell(store: Store, settings: AlertSettings, send: Send, *, now: float) -> Sent | None:
    """Send one message about everything that is to be told; None when there is nothing.

    Several processes may ask at once: each alert is claimed by one of them. A message that no channel took is tried
    again by a later call.
    """
    claimed = _claim(store, settings, now=now)
    if not claimed:
        return None
    opened = [alert for alert in claimed if alert.state == "open"]
    over = [alert for alert in claimed if alert.state == "resolved"]
    lines = [f"- {alert.text}" for alert in opened] + [f"- resolved: {alert.kind} {alert.cause}" for alert in over]
    title = f"mapper-sync: {len(opened)} open" if opened else f"mapper-sync: {len(over)} resolved"
    sent = send(title, "\n".join(lines), bool(opened))
    if sent.failed:
        log.error("alert channels failed", extra={"channels": list(sent.failed), "tried_again": sent.done == 0})
    with store.write() as conn:
        for alert in claimed:
            told = {"told": alert.state, "told_at": now, "claimed_until": 0.0}
            again = {"claimed_until": now + _RETRY_S}
            chosen = sa.and_(alert_table.c.kind == alert.kind, alert_table.c.cause == alert.cause)
            conn.execute(sa.update(alert_table).where(chosen).values(**(told if sent.done else again)))
    return sent


def _claim(store: Store, settings: AlertSettings, *, now: float) -> list[Alert]:
    table, quiet_until = alert_table.c, alert_table.c.told_at + settings.quiet_s
    quiet_is_over = sa.or_(table.told_at.is_(None), quiet_until <= now)
    to_tell = sa.or_(
        sa.and_(table.state == "open", quiet_is_over),
        sa.and_(table.state == "resolved", table.told == "open"),
    )
    of_no_use = sa.and_(table.state == "resolved", table.told != "open", quiet_is_over)
    with store.write() as conn:
        conn.execute(sa.delete(alert_table).where(of_no_use))
        rows = conn.execute(
            sa.update(alert_table)
            .where(table.claimed_until <= now, to_tell)
            .values(claimed_until=now + _CLAIM_S)
            .returning(alert_table)
        ).all()
    found = [Alert(row.kind, row.cause, row.text, row.state, row.since, row.told, row.told_at) for row in rows]
    return sorted(found, key=lambda alert: (alert.state, alert.since, alert.kind, alert.cause))


def watch_by_settings(context: Context) -> bool:
    """The job: look, and tell where there is somebody to tell."""
    settings, now = context.settings.alerts, context.now()
    check(context.store, settings, now=now)
    if settings.urls:
        from sync.channels import open_channels

        tell(context.store, settings, open_channels([url.get_secret_value() for url in settings.urls]), now=now)
    return False
