"""Review: every target with its proposed rule; a person accepts, rejects, or changes source and steps."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import streamlit as st

from mapper_ai.services.workspace import Finding, TargetRow, Workspace
from mapper_ai.ui import session
from mapper_ai.ui.parts.frame import (
    PAGES,
    choose_started_flow,
    header,
    kept_errors,
    notice,
    show_findings,
    shown_errors,
)
from mapper_ai.ui.parts.moving import moving
from mapper_ai.ui.parts.panel import panel
from mapper_ai.ui.parts.rows import (
    CONFIDENT,
    FILTER_HELP,
    FILTERS,
    PAGE_ROWS,
    chosen_rows,
    confident,
    conflicts_of,
    coverage,
    in_order,
    sample_after,
    table_data,
)
from mapper_ai.ui.parts.values import percent

MOST_FINDINGS = 200
_ROW_HEIGHT = 66  # from 65 px on, Streamlit wraps text in cells


def page() -> None:
    """Draw the page."""
    header("Review", icon="fact_check")
    with shown_errors("The mapping cannot be shown"):
        work = session.workspace()
        started = choose_started_flow(work)
        if started is None:
            return
        flow, right = started
        findings = work.findings(flow)
        rows = in_order(work.rows(flow), conflicts_of(findings))
        with right:
            _actions(work, flow, rows)
        _left_out(flow)
        _body(work, flow, rows, findings)


def _actions(work: Workspace, flow: str, rows: Sequence[TargetRow]) -> None:
    ready = confident(rows, CONFIDENT)
    with st.container(horizontal=True, horizontal_alignment="right", vertical_alignment="center", gap="small"):
        st.button("Undo", key="undo", shortcut="u", icon=":material/undo:", on_click=_undo, args=(flow,))
        if st.button(
            f"Accept the sure ({len(ready)})", key="accept-all", icon=":material/done_all:", disabled=not ready
        ):
            _accept_all(flow, rows)
        if st.button("Picture", key="picture", icon=":material/account_tree:", help="Where the data moves from and to"):
            _picture(rows)
        if st.button("Keys", key="help", icon=":material/keyboard:", shortcut="h"):
            _keys()
        if st.button("Test", key="to-test", icon=":material/science:"):
            st.switch_page(PAGES["test"], query_params={"flow": flow})
        if st.button("Publish", key="to-publish", icon=":material/publish:"):
            st.switch_page(PAGES["publish"], query_params={"flow": flow})


def _undo(flow: str) -> None:
    with kept_errors("The last change could not be taken back"):
        done = session.workspace().undo(flow)
        session.say_after_rerun(
            "The last change was taken back" if done else "There is nothing to take back", icon=":material/undo:"
        )


@st.dialog("Where the data moves", width="large")
def _picture(rows: Sequence[TargetRow]) -> None:
    moving(rows)


@st.dialog("Keys")
def _keys() -> None:
    st.markdown(
        "**A** accept · **X** reject · **E** edit · **N** next · **P** previous · **U** undo  \n"
        "**1**–**5** take another source · **H** this help"
    )
    st.caption(
        "A decision moves on to the next part of the filter. Nothing is lost when the page is closed: every decision "
        "is on disk before the next part is shown. Undo takes back the last fifty changes."
    )


@st.dialog("Accept the sure", width="large")
def _accept_all(flow: str, rows: Sequence[TargetRow]) -> None:
    least = st.select_slider(
        "At least this sure",
        [0.8, 0.85, 0.9, 0.95],
        value=CONFIDENT,
        format_func=percent,
        key="least-confident",
    )
    ready = confident(rows, float(least))
    st.caption("Money, tax, keys and the flow itself are not in this list: they are accepted one by one.")
    st.dataframe(
        {
            "Target": [row.target for row in ready],
            "Source": [", ".join(row.sources) for row in ready],
            "Steps": [row.words for row in ready],
            "Sure": [float(row.confidence or 0) for row in ready],
        },
        hide_index=True,
        width="stretch",
        height=min(420, 36 + 35 * max(len(ready), 1)),
        column_config={
            "Target": st.column_config.TextColumn(width=190),
            "Source": st.column_config.TextColumn(width=170),
            "Steps": st.column_config.TextColumn(width=210),
            "Sure": st.column_config.ProgressColumn(width=90, min_value=0, max_value=1, format="percent"),
        },
        alt="What will be accepted",
    )
    chosen = [(row.part, row.digest) for row in ready]
    if st.button(
        f"Accept these {len(ready)}",
        key="accept-these",
        type="primary",
        disabled=not ready,
        on_click=_accept_these,
        args=(flow, chosen),
    ):
        st.rerun()


def _accept_these(flow: str, chosen: Sequence[tuple[str, str]]) -> None:
    with kept_errors("They could not be accepted"):
        left_out = session.workspace().accept_many(flow, chosen, by=session.surroundings().user)
        st.session_state["left-out"] = (flow, left_out)
        session.say_after_rerun(f"{len(chosen) - len(left_out)} parts accepted", icon=":material/done_all:")


def _left_out(flow: str) -> None:
    of_flow, lines = st.session_state.pop("left-out", ("", []))
    if of_flow == flow and lines:
        notice("warning", "These were left out", "\n".join(lines))


def _body(work: Workspace, flow: str, rows: Sequence[TargetRow], findings: Sequence[Finding]) -> None:
    conflicts = conflicts_of(findings)
    name, search = _filter(flow, rows, conflicts)
    _meter(rows)
    shown = chosen_rows(rows, name, search, conflicts)
    part = session.looked_at("part", [row.part for row in shown])
    if part is None and shown:
        part = shown[0].part
    session.look_at("part", part)
    left, right = st.columns([60, 40], gap="medium")
    with left:
        if shown and part is not None:
            _table(work, flow, shown, part, conflicts)
        else:
            _nothing_left(flow, name, rows)
        stopping = sum(finding.level == "error" for finding in findings)
        with st.expander(
            f"Findings: {stopping} stop a run, {len(findings) - stopping} to know",
            icon=":material/rule:",
            key="findings",
        ):
            if findings:
                show_findings(findings[:MOST_FINDINGS])
                if len(findings) > MOST_FINDINGS:
                    st.caption(f"And {len(findings) - MOST_FINDINGS} more of the kind that comes last here.")
            else:
                st.caption("Nothing to mend.")
    with right:
        row = next((row for row in rows if row.part == part), None)
        if row is not None and shown:
            panel(work, flow, row, findings, shown)


def _meter(rows: Sequence[TargetRow]) -> None:
    approved = sum(row.state == "approved" for row in rows)
    decided_of = sum(row.state != "unmapped" for row in rows)
    covered, required = coverage(rows)
    left, right = st.columns(2, gap="medium")
    left.progress(approved / decided_of if decided_of else 0.0, text=f"{approved} of {decided_of} parts approved")
    right.progress(covered / required if required else 1.0, text=f"{covered} of {required} required fields have a rule")


def _filter(flow: str, rows: Sequence[TargetRow], conflicts: Collection[str]) -> tuple[str, str]:
    counts = {name: sum(keep(row, row.part in conflicts) for row in rows) for name, keep in FILTERS.items()}
    usual = "To decide" if counts["To decide"] else "All"
    key = "review-filter"
    if st.session_state.get("filter-of") != flow:
        st.session_state["filter-of"] = flow
        asked = st.query_params.get("filter")
        st.session_state[key] = asked if asked in FILTERS else usual
    left, right = st.columns([8, 2], gap="small", vertical_alignment="center")
    with left:
        name = st.segmented_control(
            "Show",
            list(FILTERS),
            key=key,
            required=True,
            format_func=lambda choice: f"{choice} {counts[choice]}",
            help=FILTER_HELP,
            wrap=True,
            label_visibility="collapsed",
        )
    with right:
        search = st.text_input(
            "Search", key="review-search", placeholder="Search", icon=":material/search:", label_visibility="collapsed"
        )
    chosen = str(name or usual)
    if st.query_params.get("filter") != chosen:
        st.query_params["filter"] = chosen
    return chosen, search


def _table(work: Workspace, flow: str, shown: Sequence[TargetRow], part: str, conflicts: Collection[str]) -> None:
    position = next(index for index, row in enumerate(shown) if row.part == part)
    first = position - position % PAGE_ROWS
    visible = shown[first : first + PAGE_ROWS]
    parts = [row.part for row in visible]
    after = sample_after(visible, work.values_after(flow, parts))

    # A table of its own, never used again, for these rows: what is chosen in one comes as a row number, and a late one
    # must not choose in the next table, where another part stands at that place.
    if st.session_state.get("review-parts") != parts:
        st.session_state["review-parts"] = parts
        st.session_state["review-tables"] = st.session_state.get("review-tables", 0) + 1
    table = f"review-table-{st.session_state['review-tables']}"

    def selected() -> None:
        chosen = st.session_state[table]["selection"]["rows"]
        if chosen and chosen[0] < len(parts):
            session.look_at("part", parts[chosen[0]])

    if (st.session_state.get(table) or {}).get("selection", {}).get("rows") != [position - first]:
        st.session_state[table] = {"selection": {"rows": [position - first], "columns": [], "cells": []}}
    st.dataframe(
        table_data(visible, after, conflicts),
        key=table,
        on_select=selected,
        selection_mode="single-row-required",
        hide_index=True,
        width="stretch",
        row_height=_ROW_HEIGHT,
        height=38 + _ROW_HEIGHT * len(visible),
        placeholder="—",
        column_config={
            "Target": st.column_config.TextColumn(width=150, help="* required"),
            "Source": st.column_config.TextColumn(width=132),
            "Steps": st.column_config.TextColumn(width=146),
            "Sure": st.column_config.TextColumn(width=54, alignment="right"),
            "State": st.column_config.TextColumn(width=86),
            "After": st.column_config.TextColumn(width=100, help="What the first good sample gives"),
        },
        alt="Targets and their rules; choose a row to decide it",
    )
    _pages(shown, first)


def _pages(shown: Sequence[TargetRow], first: int) -> None:
    pages = -(-len(shown) // PAGE_ROWS)
    if pages < 2:
        return
    current = first // PAGE_ROWS + 1
    key = f"review-page-{current}-of-{pages}"  # a new widget when the selection moves to another page by itself

    def turned() -> None:
        chosen = st.session_state[key]
        if chosen != current:  # also told when the widget of this page is drawn again: no choice of anybody
            session.look_at("part", shown[(chosen - 1) * PAGE_ROWS].part)

    st.pagination(pages, default=current, key=key, on_change=turned)


def _nothing_left(flow: str, name: str, rows: Sequence[TargetRow]) -> None:
    if name == "To decide" and all(row.state != "proposed" for row in rows):
        notice("success", "Everything is decided. Publish the mapping, then run it.")
        if st.button("Diff & publish", key="done-publish", type="primary", icon=":material/publish:"):
            st.switch_page(PAGES["publish"], query_params={"flow": flow})
    else:
        notice("info", "Nothing fits this filter.")


if __name__ == "__main__":
    page()
