"""The part of the Runs page that compares both systems' books: two days, a button, the last result."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import streamlit as st

from mapper_ai.services import background, reconciliation
from mapper_ai.services.reconciliation import Found, Reconciler
from mapper_ai.ui.parts.background import show_task
from mapper_ai.ui.parts.frame import notice
from sync.reconcile.names import TITLES

_ROW = 35
_MOST_ROWS = 10


def reconciling(reconciler: Reconciler, *, busy: bool) -> None:
    """Draw it.

    Args:
        busy: The runner is at work; a comparison now would find what it is just writing.
    """
    last = reconciler.last()
    first_day, last_day = _period(last)
    with st.container(horizontal=True, gap="small", vertical_alignment="bottom"):
        first = st.date_input("From", first_day, key="reconcile-from", width=160)
        until = st.date_input("To", last_day, key="reconcile-to", width=160)
        pressed = st.button("Compare the books", key="reconcile", icon=":material/balance:", disabled=busy)
    name = task_of(reconciler)
    if pressed and isinstance(first, date) and isinstance(until, date):
        days = first, until
        background.start(name, lambda cancel: reconciler.compare(*days, cancel))
    show_task(name, "Reading both systems", "The books could not be compared")
    if busy:
        st.caption("The runner is at work; compare when it has ended.")
    if last is not None:
        _result(last)
    else:
        st.caption("Not compared yet. Orders count by their date in the store, invoices and payments by their own.")


def task_of(reconciler: Reconciler) -> str:
    """Name of its work in the background: one comparison a workspace at a time."""
    return f"reconcile {reconciler.folder}"


def _result(found: Found) -> None:
    text = reconciliation.verdict(found)
    (st.success if not found["differences"] else st.error)(text)
    for note in found["notes"]:
        notice("info", "To be known", str(note))
    records = reconciliation.records_table(found)
    if records["Record"]:
        st.markdown("**What differs**")
        _table(records, "Records that differ")
    for kind in reconciliation.kinds(found):
        st.markdown(f"**{TITLES[kind]}**")
        st.vega_lite_chart(reconciliation.chart(found, kind), width="content")
        _table(reconciliation.sums_table(found, kind), f"{TITLES[kind]}: sums by currency, month and cause")


def _table(table: reconciliation.Table, alt: str) -> None:
    rows = len(next(iter(table.values())))
    height = 38 + _ROW * min(rows, _MOST_ROWS)
    widths = {
        "Cause": st.column_config.TextColumn(width=270),
        "Result": st.column_config.TextColumn(width=180),
        "Detail": st.column_config.TextColumn(width=560),
    }
    st.dataframe(table, hide_index=True, width="stretch", height=height, row_height=_ROW, column_config=widths, alt=alt)


def _period(found: Found | None) -> tuple[date, date]:
    if found is not None:
        return date.fromisoformat(found["from"]), date.fromisoformat(found["to"])
    before = datetime.now(UTC).date().replace(day=1) - timedelta(days=1)
    return before.replace(day=1), before
