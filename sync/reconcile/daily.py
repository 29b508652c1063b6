"""The comparison that ``serve`` makes once a day: the last weeks, told where somebody looks when the books differ."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa

from sync.alerts import raise_alert, resolve_alert
from sync.reconcile.period import CompareError, Period
from sync.store import cursor as cursor_table

if TYPE_CHECKING:
    from sync.worker import Context

log = logging.getLogger(__name__)

CHECK_EVERY_S: Final = 60.0
_NAMES: Final = {"connection": "reconcile", "stream": "daily"}


def compare_when_due(context: Context) -> bool:
    """Compare when the hour of the day has come and today's comparison is not made; brings no events, so False.

    A comparison that fails is tried again after an hour, because until then nobody knows whether the books agree.
    """
    wanted = context.settings.reconcile
    now = datetime.fromtimestamp(context.now(), UTC)
    here = now.astimezone(context.settings.reading.zone)
    if wanted.daily_at is None or here.time() < wanted.daily_at:
        return False
    position = _position(context)
    if position == here.date().isoformat() or (position is not None and _is_fresh_failure(position, now)):
        return False
    period = Period(here.date() - timedelta(days=wanted.days), here.date() - timedelta(days=1))
    try:
        differences = _compare(context, period)
    except CompareError as error:
        _keep(context, f"failed {now.isoformat()}")
        _tell(context, f"{error.message}. See: mapper-sync reconcile --from {period.first} --to {period.last}")
        return False
    _keep(context, here.date().isoformat())
    if differences:
        count = f"{differences} records differ" if differences > 1 else "1 record differs"
        _tell(context, f"{count}. See: mapper-sync reconcile --from {period.first} --to {period.last}")
    else:
        _tell(context, None)
    return False


def _compare(context: Context, period: Period) -> int:
    from sync.errors import SettingsError
    from sync.reconcile.compare import Sources, compared
    from sync.reconcile.report import Report

    if context.clarity is None:
        raise SettingsError("[reconcile] daily_at: CLARITY_API_URL is not set, so there is nothing to compare with")
    sources = Sources(context.clarity, context.freshbooks, context.store, context.mappings.by_entity)
    with compared(context.settings, sources, period) as found:
        return Report(found).differences


def _tell(context: Context, text: str | None) -> None:
    """The one place that tells people; None when the books agree (again)."""
    if text is None:
        resolve_alert(context.store, "books", "reconcile", now=context.now())
        log.info("the books agree")
    else:
        raise_alert(context.store, "books", "reconcile", text, now=context.now())
        log.warning("the books differ or could not be compared", extra={"problem": text})


def _is_fresh_failure(position: str, now: datetime) -> bool:
    word, _, at = position.partition(" ")
    return word == "failed" and now - datetime.fromisoformat(at) < timedelta(hours=1)


def _position(context: Context) -> str | None:
    where = (cursor_table.c[name] == value for name, value in _NAMES.items())
    with context.store.read() as conn:
        return conn.scalar(sa.select(cursor_table.c.position).where(*where))


def _keep(context: Context, position: str) -> None:
    values = {"position": position, "at": context.now()}
    statement = context.store.insert(cursor_table).values(**_NAMES, **values)
    with context.store.write() as conn:
        conn.execute(statement.on_conflict_do_update(index_elements=["connection", "stream"], set_=values))
