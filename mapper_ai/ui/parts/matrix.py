"""Fields and checks over all samples as a picture and a table, and the calls that the flow would make."""

from __future__ import annotations

import streamlit as st

from mapper_ai.services.testing import SampleRun, matrix_chart, sums_of
from mapper_ai.ui.parts.frame import notice
from mapper_ai.ui.parts.tables import choose_row, show_table
from mapper_ai.ui.parts.values import exact_json

_PICTURED = 40


def show_matrix(tested: SampleRun) -> None:
    """Pass or fail by field and check."""
    if tested.failed:
        notice("warning", f"{tested.failed} of {len(tested.lines)} fields and checks fail on a sample")
    else:
        notice("success", f"All {len(tested.lines)} fields and checks pass on every sample that is mapped")
    only = st.toggle("Only what fails or warns", key="matrix-only", value=bool(tested.failed))
    lines = [line for line in tested.lines if not only or line.count("fail") or line.count("warn")]
    show_table(
        {
            "Field or check": [line.name for line in lines],
            "Must be": [line.must for line in lines],
            "Pass": [str(line.count("pass")) for line in lines],
            "Empty": [str(line.count("empty")) for line in lines],
            "Warn": [str(line.count("warn")) for line in lines],
            "Fail": [str(line.count("fail")) for line in lines],
            "First of them": [line.first for line in lines],
        },
        alt="Fields and checks over all samples, failures first",
        nothing="Nothing fails or warns.",
        most=12,
    )
    shown = SampleRun(tested.samples, tuple(lines))
    if lines:
        st.vega_lite_chart(
            matrix_chart(shown, most=_PICTURED), alt="Each field and check on each sample, failures on top"
        )
    if len(lines) > _PICTURED:
        st.caption(f"The picture has the first {_PICTURED}; the table has all {len(lines)}.")


def show_planned(tested: SampleRun) -> None:
    """The flow's calls on the samples, counted and summed, and each with its body."""
    rows = sums_of(tested.planned)
    if not rows:
        st.caption("No sample goes through, so nothing would be sent.")
        return
    st.caption("Planned from the samples alone, as on empty books. The dry run on the Runs page asks both systems.")
    show_table(
        {
            "Step": [name for name, _, _ in rows],
            "How many": [str(count) for _, count, _ in rows],
            "Sums": ["; ".join(f"{amount:,f} {code}" for code, amount in sorted(sums.items())) for _, _, sums in rows],
        },
        alt="Planned calls, counted and summed",
    )
    left, right = st.columns([3, 2], gap="medium")
    with left:
        at = choose_row(
            {
                "Sample": [call.sample for call in tested.planned],
                "Do": [f"{call.do.replace('_', ' ')} {call.entity}" for call in tested.planned],
                "Key": [call.key for call in tested.planned],
                "Total": [
                    "" if call.total is None else f"{call.total:f} {call.currency or ''}" for call in tested.planned
                ],
            },
            key="planned-calls",
            alt="Planned calls in order",
            most=12,
            wrap=False,
        )
    with right:
        call = tested.planned[at or 0]
        if call.body is None:
            st.caption("This step sends no document.")
        else:
            st.code(exact_json(call.body), language="json", height=460)
