"""Runs: try a dry run, start the runner, watch and stop it, and see what became of every record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from mapper_ai.services.kill_switch import pause, read_pause, resume
from mapper_ai.services.runner_control import Job, Kind, RunnerControl, read_progress
from mapper_ai.services.workspace import FlowCard
from mapper_ai.ui import session
from mapper_ai.ui.parts import report as tables
from mapper_ai.ui.parts.frame import header, notice, shown_errors
from mapper_ai.ui.parts.reconciling import reconciling
from mapper_ai.ui.parts.values import exact_json
from sync.errors import StoreError, SyncError
from sync.settings import load_settings
from sync.signin_state import with_sign_in
from sync.status import read_status

_POLL_S = 1.0
_ONE_LINE = 80  # characters that fit the widest column at 1280 px
_WRAPPED_HEIGHT = 66  # from 65 px on, Streamlit wraps text in cells
_TITLES: dict[Kind, str] = {"dry-run": "Dry run", "run": "Run"}
_STATES = {"done": "Done", "held": "Held", "dead": "Set aside", "skipped": "Skipped", "pending": "Pending"}


def page() -> None:
    """Draw the page."""
    header("Runs", icon="play_circle")
    with shown_errors("The page cannot be shown"):
        work = session.workspace()
        cards = [card for card in work.flows() if card.rows]
        control = session.runner()
        jobs = [control.job(kind) for kind in _TITLES]
        _start(control, jobs, cards)
        for job in jobs:
            if job.phase == "running":
                _watch(job.kind)
        _results(jobs)


def _start(control: RunnerControl, jobs: Sequence[Job], cards: Sequence[FlowCard]) -> None:
    busy = next((job for job in jobs if job.phase == "running"), None)
    with st.container(border=True):
        st.markdown("**Runner**")
        why_not = _why_not(cards)
        with st.container(horizontal=True, gap="small"):
            off = why_not is not None or busy is not None
            dry = st.button("Dry run", key="dry-run", icon=":material/science:", disabled=off, shortcut="d")
            run = st.button("Run now", key="run-now", icon=":material/play_arrow:", type="primary", disabled=off)
            stop = st.button(
                "Stopping" if busy and busy.stopping else "Stop",
                key="stop",
                icon=":material/stop:",
                disabled=busy is None or busy.stopping,
            )
        if why_not is not None:
            st.text(why_not)
        else:
            st.caption(
                "A dry run shows the exact requests and writes nothing. A run takes what is new in Clarity. "
                "Both use the saved files; an unsaved draft changes nothing yet."
            )
        _kill_switch()
        page_url = session.sandbox_page()
        if page_url is not None:
            st.link_button("Open the FreshBooks sandbox", page_url, icon=":material/open_in_new:")
    kind: Kind | None = "dry-run" if dry else "run" if run else None
    if kind is not None:
        with shown_errors("The runner was not started"):
            control.start(kind)
            st.rerun()
    if stop and busy is not None:
        control.stop(busy.kind)
        session.say_after_rerun("It ends after the write in hand", icon=":material/stop:")
        st.rerun()


def _kill_switch() -> None:
    """Stops every runner on this store, also those that were not started here."""
    held = read_pause(session.store_url())
    user = session.surroundings().user
    if held is not None:
        notice("warning", "All writing is paused", held.text)
        if st.button("Resume", key="resume", icon=":material/play_circle:", help="Lets every runner go on"):
            with shown_errors("The runner was not resumed"):
                resume(session.store_url(), who=user)
                session.say_after_rerun("The runners go on", icon=":material/play_circle:")
                st.rerun()
        return
    with st.popover("Pause all writing", icon=":material/pause_circle:"):
        reason = st.text_input("Why", key="pause-reason", placeholder="for everybody who looks")
        if st.button("Pause", key="pause", type="primary", help="After the write in hand; webhooks are still taken"):
            with shown_errors("The runner was not paused"):
                pause(session.store_url(), who=user, reason=reason)
                st.rerun()


def _why_not(cards: Sequence[FlowCard]) -> str | None:
    if not any(card.runnable for card in cards):
        return "No mapping is approved and saved yet."
    try:
        with_sign_in(load_settings()).require_freshbooks()
    except SyncError as error:
        return error.message
    return None


@st.fragment(run_every=_POLL_S)
def _watch(kind: Kind) -> None:
    """Progress of a running job; draws the whole page once more when it has ended."""
    job = session.runner().job(kind)
    if job.phase != "running":
        st.rerun(scope="app")
    title = _TITLES[kind] + (" is ending after the write in hand" if job.stopping else " is at work")
    progress = read_progress(session.store_url()) if kind == "run" else None
    if progress is None or not progress[1]:
        st.progress(0.0, text=title)
    else:
        settled, total = progress
        st.progress(settled / total, text=f"{title}: {settled} of {total} events settled")


def _results(jobs: Sequence[Job]) -> None:
    names = ["Books", "Last run", "Dry run", "Reconciliation"]
    latest = max(jobs, key=lambda job: job.started_at)
    usual = "Books" if latest.phase == "none" or latest.kind == "run" else "Dry run"
    books, last, dry, compared = st.tabs(
        names, default=usual, key=f"results-{latest.kind}-{latest.started_at}-{latest.phase}"
    )
    by_kind = {job.kind: job for job in jobs}
    with books:
        if by_kind["run"].phase == "running":
            st.caption("The runner is at work; the books are shown when it has ended.")
        else:
            _books()
    with last:
        _job(by_kind["run"])
    with dry:
        _job(by_kind["dry-run"])
    with compared:
        reconciling(session.reconciler(), busy=by_kind["run"].phase == "running")


def _books() -> None:
    try:
        status = read_status(session.store_url())
    except StoreError:
        st.caption("The runner has not worked on this store yet.")
        return
    for name, known in status["connections"].items():
        if known["state"] != "ok":
            how = "needs somebody to sign in again (Settings)" if known["state"] == "reconnect" else "is stopped"
            notice("error", f"The connection to {name} {how}", str(known["reason"] or ""))
    inbox = status["inbox"]
    with st.container(horizontal=True, gap="medium"):
        for state, label in _STATES.items():
            st.metric(label, inbox.get(state, 0), width=120)
    _shown("Posted to FreshBooks", tables.totals_table(status["ledger"]), "Nothing was posted yet.")
    _lists(status)


def _job(job: Job) -> None:
    if job.phase == "none":
        st.caption("Not started yet.")
        return
    if job.phase == "running":
        st.caption("At work.")
        return
    if job.phase == "failed" or job.report is None:
        notice("error", "It ended without a result", job.message or f"see {job.log_file}")
        return
    report = job.report
    if report.get("stopped"):
        notice("warning", "It ended early", str(report["stopped"]))
    if report.get("problems"):
        notice("warning", "Not everything could be reached", "\n".join(map(str, report["problems"])))
    st.text(f"Events worked on: {tables.outcome_words(report)}")
    totals, planned = report.get("totals", {}), report.get("planned", [])
    if not report.get("dry_run"):
        _shown("Written by this run", tables.totals_table(totals), "Nothing new.")
        return
    _shown("Would be written", tables.planned_totals_table(planned, totals), "Nothing.")
    _planned(planned)
    _lists(report.get("status", {}))


def _lists(status: Mapping[str, Any]) -> None:
    held = tables.held_table(status)
    _shown(f"Not posted ({len(held['Record'])})", held, "Nothing is held.")
    skipped = tables.skipped_table(status)
    if skipped["Record"]:
        _shown(f"Skipped ({len(skipped['Record'])})", skipped, "")
    skus = tables.unknown_skus_table(status)
    if skus["SKU"]:
        _shown(f"SKUs that FreshBooks does not know ({len(skus['SKU'])})", skus, "")


def _shown(headline: str, table: tables.Table, nothing: str) -> None:
    st.markdown(f"**{headline}**")
    rows = len(next(iter(table.values())))
    if not rows:
        st.caption(nothing)
        return
    wrapped = max(len(text) for text in table.get("Reason", table.get("Records", [""]))) > _ONE_LINE
    row_height = _WRAPPED_HEIGHT if wrapped else 35
    st.dataframe(
        table,
        hide_index=True,
        width="stretch",
        row_height=row_height,
        height=38 + row_height * min(rows, 4 if wrapped else 8),
        column_config={
            "What": st.column_config.TextColumn(width=120),
            "How many": st.column_config.TextColumn(width=220),
            "Sums": st.column_config.TextColumn(width=520),
            "Record": st.column_config.TextColumn(width=230),
            "Kind": st.column_config.TextColumn(width=80),
            "Reason": st.column_config.TextColumn(width=560),
            "SKU": st.column_config.TextColumn(width=180),
            "Records": st.column_config.TextColumn(width=680),
        },
        alt=headline,
    )


def _planned(planned: Sequence[Mapping[str, Any]]) -> None:
    st.markdown(f"**Requests ({len(planned)})**")
    if not planned:
        st.caption("No request would be sent.")
        return
    left, right = st.columns([3, 2], gap="medium")
    with left:
        state = st.dataframe(
            tables.planned_table(planned),
            key="planned-table",
            on_select="rerun",
            selection_mode="single-row-required",
            hide_index=True,
            width="stretch",
            height=420,
            column_config={
                "Request": st.column_config.TextColumn(width=410),
                "What": st.column_config.TextColumn(width=80),
                "Total": st.column_config.TextColumn(width=110),
            },
            alt="Requests of the dry run, in order",
        )
    chosen = state["selection"]["rows"]
    at = chosen[0] if chosen and chosen[0] < len(planned) else 0
    with right:
        st.code(exact_json(planned[at].get("body")), language="json", height=420)


if __name__ == "__main__":
    page()
