"""Runs: try, start, pause and stop the runner, see it work, mend what it could not post, and follow any record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime

import streamlit as st

from mapper_ai.services.operating import NoStore, Operator
from mapper_ai.services.runner_control import KINDS, Job, Kind, RunnerControl
from mapper_ai.services.workspace import FlowCard
from mapper_ai.ui import session
from mapper_ai.ui.parts.error_inbox import error_inbox
from mapper_ai.ui.parts.frame import PAGES, header, kept_errors, notice, shown_errors
from mapper_ai.ui.parts.planned import show_job
from mapper_ai.ui.parts.reconciling import reconciling
from mapper_ai.ui.parts.running import live, overview, progress
from mapper_ai.ui.parts.story import record_story
from mapper_ai.ui.parts.tables import show_table
from mapper_ai.ui.parts.waiting import count_waiting, waiting_proposals
from sync.errors import SyncError
from sync.settings import load_settings
from sync.signin_state import with_sign_in

_SHOW = "show"
_PARTS = ("Overview", "Dry run", "Error inbox", "Waiting for you", "Record", "Reconciliation", "By hand")


def page() -> None:
    """Draw the page."""
    header("Runs", icon="play_circle")
    with shown_errors("The page cannot be shown"):
        cards = [card for card in session.workspace().flows() if card.rows]
        control, operator = session.runner(), session.operator()
        jobs = [control.job(kind) for kind in KINDS]
        _controls(control, operator, jobs, cards)
        progress(control, session.store_url())
        live(operator)
        part = _chosen_part(operator)
        with shown_errors("This part cannot be shown"):
            _part(part, operator, control, jobs)


def _part(part: str, operator: Operator, control: RunnerControl, jobs: Sequence[Job]) -> None:
    by_kind = {job.kind: job for job in jobs}
    try:
        if part == "Dry run":
            show_job(by_kind["dry-run"], "Not tried yet. A dry run shows the exact requests and writes nothing.")
        elif part == "Error inbox":
            error_inbox(operator)
        elif part == "Waiting for you":
            waiting_proposals(operator)
        elif part == "Record":
            record_story(operator)
        elif part == "Reconciliation":
            reconciling(session.reconciler(), busy=by_kind["run"].phase == "running")
        elif part == "By hand":
            _audit(operator)
        else:
            _failed(by_kind)
            overview(operator, control)
    except NoStore as error:
        st.caption(str(error))


def _chosen_part(operator: Operator) -> str:
    current = session.looked_at(_SHOW, list(_PARTS)) or "Overview"
    waiting = count_waiting(operator)

    def words(name: str) -> str:
        return f"{name} ({waiting})" if name == "Waiting for you" and waiting else name

    def chosen() -> None:
        session.look_at(_SHOW, st.session_state["runs-part"])

    if st.session_state.get("runs-part") != current:
        st.session_state["runs-part"] = current
    st.segmented_control(
        "Part",
        _PARTS,
        key="runs-part",
        format_func=words,
        on_change=chosen,
        required=True,
        label_visibility="collapsed",
    )
    session.look_at(_SHOW, current)
    return current


def _controls(control: RunnerControl, operator: Operator, jobs: Sequence[Job], cards: Sequence[FlowCard]) -> None:
    busy = next((job for job in jobs if job.phase == "running"), None)
    why_not = _why_not(cards)
    off = why_not is not None or busy is not None
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        dry = st.button(
            "Dry run",
            key="dry-run",
            icon=":material/science:",
            disabled=off,
            shortcut="d",
            help="Shows the exact requests and writes nothing; uses the saved files",
        )
        run = st.button(
            "Run now",
            key="run-now",
            icon=":material/play_arrow:",
            type="primary",
            disabled=off,
            help="Takes what is new in Clarity; uses the saved files, an unsaved draft changes nothing yet",
        )
        stop = st.button(
            "Stopping" if busy and busy.stopping else "Stop",
            key="stop",
            icon=":material/stop:",
            disabled=busy is None or busy.stopping,
            help="Ends the run that was started here, after the write in hand",
        )
        _past(control, off=off)
        _kill_switch(operator)
        page_url = session.sandbox_page()
        if page_url is not None:
            st.link_button("FreshBooks sandbox", page_url, icon=":material/open_in_new:")
    _paused(operator)
    if why_not is not None:
        st.text(why_not)
        if not any(card.runnable for card in cards) and st.button("Diff & publish", key="to-publish"):
            st.switch_page(PAGES["publish"])
    if dry or run:
        with shown_errors("The runner was not started"):
            control.start("dry-run" if dry else "run")
            session.look_at(_SHOW, "Dry run" if dry else "Overview")
            st.rerun()
    if stop and busy is not None:
        control.stop(busy.kind)
        session.say_after_rerun("It ends after the write in hand", icon=":material/stop:")
        st.rerun()


def _past(control: RunnerControl, *, off: bool) -> None:
    with st.popover("Backfill", icon=":material/history:", disabled=off):
        st.caption("Reads Clarity's past from a day on, and posts what is not posted yet. Interrupted, it goes on.")
        first = st.date_input("From", date(datetime.now(UTC).year, 1, 1), key="backfill-from")
        if st.button("Start the backfill", key="backfill", type="primary") and isinstance(first, date):
            with shown_errors("The backfill was not started"):
                control.start("backfill", first)
                session.look_at(_SHOW, "Overview")
                st.rerun()


def _kill_switch(operator: Operator) -> None:
    """Stops every runner on the store, also those that were not started here."""
    with st.popover("Pause all writing", icon=":material/pause_circle:"):
        reason = st.text_input("Why", key="pause-reason", placeholder="for everybody who looks")
        if st.button("Pause", key="pause", type="primary", help="After the write in hand; webhooks are still taken"):
            with kept_errors("The runner was not paused"):
                operator.do("pause", reason=reason)
            st.rerun()


def _paused(operator: Operator) -> None:
    try:
        found = operator.read("top")["paused"]
    except NoStore:
        return
    if found is None:
        return
    why = f": {found['reason']}" if found["reason"] else ""
    notice("warning", "All writing is paused", f"paused by {found['by']} since {found['since']}{why}")
    if st.button("Resume", key="resume", icon=":material/play_circle:", help="Lets every runner go on"):
        with kept_errors("The runner was not resumed"):
            operator.do("resume")
            session.say_after_rerun("The runners go on", icon=":material/play_circle:")
        st.rerun()


def _why_not(cards: Sequence[FlowCard]) -> str | None:
    if not any(card.runnable for card in cards):
        return "No mapping is approved and saved yet."
    try:
        with_sign_in(load_settings()).require_freshbooks()
    except SyncError as error:
        return error.message
    return None


def _failed(jobs: Mapping[Kind, Job]) -> None:
    for kind, job in jobs.items():
        if kind == "dry-run":
            continue
        report = job.report or {}
        if job.phase == "failed":
            notice("error", f"The last {kind} ended without a result", job.message or f"see {job.log_file}")
        elif report.get("stopped") or report.get("problems"):
            told = [str(report["stopped"])] if report.get("stopped") else []
            told += map(str, report.get("problems", ()))
            notice("warning", f"The last {kind} did not do everything", "\n".join(told))


def _audit(operator: Operator) -> None:
    rows = operator.read("audit")
    show_table(
        {
            "When": [str(row["at"]).replace("T", " ").replace("+00:00", " UTC") for row in rows],
            "Who": [str(row["who"]) for row in rows],
            "What": [str(row["what"]) for row in rows],
            "About": [str(row["subject"]) for row in rows],
            "Remark": [str(row["detail"]) for row in rows],
        },
        alt="What people did to the runner by hand, newest first",
        nothing="Nobody has done anything by hand.",
        most=14,
    )


if __name__ == "__main__":
    page()
