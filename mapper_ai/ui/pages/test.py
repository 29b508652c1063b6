"""Test: every sample through the draft: decision and totals, fields and checks, request bodies, planned calls."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import streamlit as st

from mapper_ai.services.testing import SampleRun, difference, run_samples
from mapper_ai.services.workspace import PreviewRow, Sample, Workspace
from mapper_ai.ui import session
from mapper_ai.ui.parts.frame import PAGES, choose_started_flow, header, notice, shown_errors
from mapper_ai.ui.parts.matrix import show_matrix, show_planned
from mapper_ai.ui.parts.totals import Totals, totals_of
from mapper_ai.ui.parts.values import exact_json, shortened

_TABLE = "test-table"
_SAMPLES, _MATRIX, _PLANNED = "Samples", "Fields & checks", "Planned calls"
_WRITTEN, _DIFFERENCE = "What would be written", "Difference to the saved file"
_PARTS = (_SAMPLES, _MATRIX, _PLANNED)
_WORDS = {"go": "to post", "hold": "held", "wait": "waiting", "skip": "skipped", "error": "not compiling"}


def page() -> None:
    """Draw the page."""
    header("Test", icon="science")
    with shown_errors("The samples cannot be shown"):
        work = session.workspace()
        started = choose_started_flow(work)
        if started is None:
            return
        flow, right = started
        samples = work.samples(flow)
        previews = work.preview(flow, limit=max(len(samples), 1))
        with right:
            _counts(previews)
        if not previews:
            notice("info", "No samples are stored for this flow. Take some on the Samples page.")
            if st.button("Choose samples", type="primary", icon=":material/data_object:"):
                st.switch_page(PAGES["samples"], query_params={"flow": flow})
            return
        text = work.text(flow)
        tested = run_samples(text, samples)
        if tested.error:
            notice("error", "The draft cannot run", tested.error)
            return
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            part = _part(tested)
            st.caption("The same code runs here and in the runner. Nothing is sent.")
        if part == _MATRIX:
            show_matrix(tested)
        elif part == _PLANNED:
            show_planned(tested)
        else:
            chosen = _table(previews, totals_of(text, samples))
            _one(work, flow, chosen, samples)


def _part(tested: SampleRun) -> str:
    current = session.looked_at("show", list(_PARTS)) or _PARTS[0]

    def words(name: str) -> str:
        return f"{name} ({tested.failed} fail)" if name == _MATRIX and tested.failed else name

    def chosen() -> None:
        session.look_at("show", st.session_state["test-part"])

    if st.session_state.get("test-part") != current:
        st.session_state["test-part"] = current
    st.segmented_control(
        "Part",
        _PARTS,
        key="test-part",
        format_func=words,
        on_change=chosen,
        required=True,
        label_visibility="collapsed",
    )
    return current


def _counts(previews: Sequence[PreviewRow]) -> None:
    counts = Counter(row.decision for row in previews)
    with st.container(horizontal=True, horizontal_alignment="right", gap="small"):
        colours = {"go": "green", "hold": "orange", "wait": "blue", "skip": "gray", "error": "red"}
        for decision, words in _WORDS.items():
            if counts[decision]:
                st.badge(f"{counts[decision]} {words}", color=colours[decision])  # type: ignore[arg-type]  # a str


def _table(previews: Sequence[PreviewRow], totals: Mapping[str, Totals]) -> PreviewRow:
    names = [row.sample for row in previews]
    at = names.index(session.looked_at("sample", names) or names[0])
    if (st.session_state.get(_TABLE) or {}).get("selection", {}).get("rows") != [at]:
        st.session_state[_TABLE] = {"selection": {"rows": [at], "columns": [], "cells": []}}

    def selected() -> None:
        chosen = st.session_state[_TABLE]["selection"]["rows"]
        if chosen and chosen[0] < len(names):
            session.look_at("sample", names[chosen[0]])

    data: dict[str, list[str]] = {
        "Sample": names,
        "Decision": [_WORDS.get(row.decision, row.decision) for row in previews],
    }
    if totals:
        found = [totals.get(name, Totals()) for name in names]
        data |= {
            "Order total": [total.order for total in found],
            "Invoice total": [total.predicted for total in found],
            "Difference": [total.difference for total in found],
            "Currency": [total.currency for total in found],
        }
    data["Reasons"] = [shortened("; ".join(row.reasons), 62) for row in previews]
    st.dataframe(
        data,
        key=_TABLE,
        on_select=selected,
        selection_mode="single-row-required",
        hide_index=True,
        width="stretch",
        height=38 + 35 * min(len(previews), 10),
        column_config={
            "Sample": st.column_config.TextColumn(width=190),
            "Decision": st.column_config.TextColumn(width=90),
            "Order total": st.column_config.TextColumn(width=90, alignment="right"),
            "Invoice total": st.column_config.TextColumn(
                width=100, alignment="right", help="FreshBooks' arithmetic on the lines"
            ),
            "Difference": st.column_config.TextColumn(width=80, alignment="right"),
            "Currency": st.column_config.TextColumn(width=70),
            "Reasons": st.column_config.TextColumn(width=430),
        },
        alt="What becomes of every sample, failures first",
    )
    return previews[at]


def _one(work: Workspace, flow: str, row: PreviewRow, samples: Sequence[Sample]) -> None:
    record = next((sample.record for sample in samples if sample.name == row.sample), None)
    if row.reasons:
        st.code("\n".join(row.reasons), language=None, wrap_lines=True)
    left, right = st.columns(2, gap="medium")
    with left:
        st.markdown("**What the source sent**")
        if record is not None:
            st.code(exact_json(record), language="json", height=560)
    with right:
        way = st.segmented_control(
            "What is shown",
            (_WRITTEN, _DIFFERENCE),
            default=_WRITTEN,
            required=True,
            key="test-way",
            label_visibility="collapsed",
        )
        if way == _WRITTEN:
            _written(row)
        elif record is not None:
            _difference(work, flow, record)


def _written(row: PreviewRow) -> None:
    bodies = {name: found for name, found in row.documents.items() if found}
    if not bodies:
        st.caption("Nothing is written for this sample.")
    for name, found in bodies.items():
        st.text(f"{name} × {len(found)}" if len(found) > 1 else name)
        shown = found[0] if len(found) == 1 else found
        st.code(exact_json(shown), language="json", height=300 if name == "invoice" else "content")


def _difference(work: Workspace, flow: str, record: Mapping[str, object]) -> None:
    saved = work.saved_text(flow)
    if saved is None:
        st.caption("No file of this mapping is saved yet, so there is nothing to compare with.")
        return
    found = difference(saved, work.text(flow), record)
    if not found:
        st.caption("The draft makes the same of this sample as the saved file.")
        return
    st.code(found, language="diff", height=560)


if __name__ == "__main__":
    page()
