"""Test: every sample through the draft, with the decision, the totals and the request bodies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import streamlit as st

from mapper_ai.services.workspace import PreviewRow, Sample
from mapper_ai.ui import session
from mapper_ai.ui.parts.frame import PAGES, choose_started_flow, header, notice, shown_errors
from mapper_ai.ui.parts.totals import Totals, totals_of
from mapper_ai.ui.parts.values import exact_json, shortened

_TABLE = "test-table"
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
        st.caption("The same code runs here and in the runner. Nothing is sent.")
        totals = totals_of(work.text(flow), samples)
        chosen = _table(previews, totals)
        _one(chosen, samples)


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


def _one(row: PreviewRow, samples: Sequence[Sample]) -> None:
    left, right = st.columns(2, gap="medium")
    with left:
        st.markdown("**What would be written**")
        if row.reasons:
            st.code("\n".join(row.reasons), language=None, wrap_lines=True)
        bodies = {name: found for name, found in row.documents.items() if found}
        if not bodies:
            st.caption("Nothing is written for this sample.")
        for name, found in bodies.items():
            st.text(f"{name} × {len(found)}" if len(found) > 1 else name)
            shown = found[0] if len(found) == 1 else found
            st.code(exact_json(shown), language="json", height=300 if name == "invoice" else "content")
    with right:
        st.markdown("**What the source sent**")
        st.text(row.sample)
        record = next((sample.record for sample in samples if sample.name == row.sample), None)
        if record is not None:
            st.code(exact_json(record), language="json", height=620)


if __name__ == "__main__":
    page()
