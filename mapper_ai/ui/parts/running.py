"""What the runner does now: counts, lag, alerts, pictures of its pace, the books, the past runs."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import streamlit as st

from mapper_ai.errors import MapperError
from mapper_ai.services import run_charts
from mapper_ai.services.operating import NoStore, Operator
from mapper_ai.services.runner_control import RunnerControl
from mapper_ai.ui import session
from mapper_ai.ui.parts import report as tables
from mapper_ai.ui.parts.frame import notice
from mapper_ai.ui.parts.tables import show_table
from sync.errors import SyncError
from sync.pace import SPANS
from sync.times import span

_POLL_S = 2.0
_METRICS = {"done": "Done", "held": "Held", "dead": "Set aside", "skipped": "Skipped", "pending": "Pending"}
_KINDS = {"run": "Run", "dry-run": "Dry run", "backfill": "Backfill"}


@st.fragment(run_every=_POLL_S)
def live(operator: Operator) -> None:
    """Counts and warnings, asked again every two seconds."""
    try:
        top = operator.read("top")
    except NoStore:
        st.caption("The runner has not worked on this store yet. Try a dry run: it writes nothing.")
        return
    except (MapperError, SyncError) as error:
        notice("error", "The runner's state is not known", str(error))
        return
    with st.container(horizontal=True, gap="medium"):
        for state, label in _METRICS.items():
            st.metric(label, top["inbox"].get(state, 0), width=105)
        st.metric("Lag", span(top["lag_s"]), width=120, help="How long the most overdue event has been due")
        st.metric("Last minute", top["settled"]["last minute"], width=105, help="Events settled in the last minute")
        st.metric("At work", len(top["working"]), width=90, help="Customers that a worker is busy with right now")
    for name, known in top["connections"].items():
        if known["state"] != "ok":
            how = "needs somebody to sign in again (Settings)" if known["state"] == "reconnect" else "is stopped"
            notice("error", f"The connection to {name} {how}", str(known["reason"] or ""))
    if top["alerts"]:
        notice("warning", _alerts_words(len(top["alerts"])), "\n".join(row["text"] for row in top["alerts"]))
    moment = datetime.now(UTC)
    st.caption(f"From {operator.place}, {moment:%H:%M:%S} UTC; asked again every two seconds.")


def _alerts_words(count: int) -> str:
    return "1 alert is open" if count == 1 else f"{count} alerts are open"


def overview(operator: Operator, control: RunnerControl) -> None:
    """The books, the pace in pictures, and the runs there were."""
    try:
        status = operator.read("overview")
    except NoStore:
        status = None
    if status is not None:
        st.markdown("**Posted to FreshBooks**")
        show_table(tables.totals_table(status["ledger"]), alt="Posted to FreshBooks", nothing="Nothing was posted yet.")
        _pace(operator)
        _backfills(operator)
        _lists(status)
    _history(control)


def _pace(operator: Operator) -> None:
    spans = list(SPANS)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown("**Pace**", width="content")
        chosen = st.segmented_control(
            "Span", spans, default="hour", required=True, key="pace-span", label_visibility="collapsed"
        )
    found = operator.read("pace", span=str(chosen))
    if not any(step[state] for step in found["steps"] for state in run_charts.WORDS):
        last = f"; the last one {found['last'][:16].replace('T', ' ')} UTC" if found["last"] else ""
        st.caption(f"No event was settled in this time{last}.")
        return
    left, right = st.columns(2, gap="medium")
    left.vega_lite_chart(run_charts.throughput(found), alt="Events settled by time and what became of them")
    right.vega_lite_chart(run_charts.waiting(found), alt="Longest wait of the events settled by time")


def _backfills(operator: Operator) -> None:
    rows = operator.read("backfills")
    if not rows:
        return
    st.markdown("**Backfill**")
    show_table(
        {
            "What": [str(row["entity"]) for row in rows],
            "From": [str(row["from"]) for row in rows],
            "To": [str(row["to"] or "today") for row in rows],
            "Records read": [f"{row['read']:,}" for row in rows],
            "State": ["done" if row["done"] else "under way, or interrupted" for row in rows],
            "Last page": [str(row["at"])[:16].replace("T", " ") for row in rows],
        },
        alt="How far each backfill has read",
    )


def _lists(status: dict[str, Any]) -> None:
    held, skipped, skus = tables.held_table(status), tables.skipped_table(status), tables.unknown_skus_table(status)
    st.markdown(f"**Not posted ({len(held['Record'])})**")
    show_table(held, alt="Not posted", nothing="Nothing is held.")
    if skipped["Record"]:
        st.markdown(f"**Skipped ({len(skipped['Record'])})**")
        show_table(skipped, alt="Skipped")
    if skus["SKU"]:
        st.markdown(f"**SKUs that FreshBooks does not know ({len(skus['SKU'])})**")
        show_table(skus, alt="Unknown SKUs")


def _history(control: RunnerControl) -> None:
    past = control.history()
    st.markdown("**Runs started here**")
    if not past:
        st.caption("None yet.")
        return
    st.vega_lite_chart(run_charts.runs(past), alt="Runs by time: kind, length and result")
    show_table(
        {
            "When": [f"{datetime.fromtimestamp(one.started_at, UTC):%Y-%m-%d %H:%M:%S} UTC" for one in past],
            "Kind": [_KINDS.get(one.kind, one.kind) for one in past],
            "Took": [span(one.ended_at - one.started_at) for one in past],
            "Result": [one.words for one in past],
        },
        alt="Runs started here, newest first",
        most=5,
    )


def progress(control: RunnerControl, store_url: str) -> None:
    """Progress of the job at work, if any; draws the whole page once more when it has ended."""
    from mapper_ai.services.runner_control import KINDS

    for kind in KINDS:
        if control.job(kind).phase == "running":
            _watch(kind, store_url)


@st.fragment(run_every=1.0)
def _watch(kind: Any, store_url: str) -> None:
    from mapper_ai.services.runner_control import read_progress

    job = session.runner().job(kind)
    if job.phase != "running":
        st.rerun(scope="app")
    title = _KINDS[kind] + (" is ending after the write in hand" if job.stopping else " is at work")
    found = read_progress(store_url) if kind != "dry-run" else None
    if found is None or not found[1]:
        st.progress(0.0, text=title)
    else:
        settled, total = found
        st.progress(settled / total, text=f"{title}: {settled} of {total} events settled")
