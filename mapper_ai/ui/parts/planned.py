"""What a job of the runner told: written counts and sums, or the requests that a dry run would send."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from mapper_ai.services.runner_control import Job
from mapper_ai.ui.parts import report as tables
from mapper_ai.ui.parts.frame import notice
from mapper_ai.ui.parts.tables import show_table
from mapper_ai.ui.parts.values import exact_json


def show_job(job: Job, nothing: str) -> None:
    """Draw what it told; `nothing` stands there where it was never started."""
    if job.phase == "none":
        st.caption(nothing)
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
        st.markdown("**Written by this run**")
        show_table(tables.totals_table(totals), alt="Written by this run", nothing="Nothing new.")
        return
    st.markdown("**Would be written**")
    show_table(tables.planned_totals_table(planned, totals), alt="Would be written", nothing="Nothing.")
    _planned(planned)
    held = tables.held_table(report.get("status", {}))
    st.markdown(f"**Would not be posted ({len(held['Record'])})**")
    show_table(held, alt="Would not be posted", nothing="Nothing is held.")


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
