"""Before and after of one part on samples, failures first."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from mapper_ai.services.workspace import PreviewRow
from mapper_ai.ui.parts.values import before_lines, cell, shortened

_RESULTS = {"go": "goes", "hold": "held", "wait": "waits", "skip": "skipped", "error": "error"}


def samples_table(previews: Sequence[PreviewRow], part: str) -> None:
    """Draw the table, and below it what went wrong."""
    st.dataframe(
        {
            "Sample": [found.sample for found in previews],
            "Before": [shortened(before_lines(found.before), 46) for found in previews],
            "After": [shortened(_after(found, part), 42) for found in previews],
            "Result": ["fails" if found.failed else _RESULTS.get(found.decision, found.decision) for found in previews],
        },
        hide_index=True,
        width="stretch",
        row_height=66,
        height=38 + 66 * min(len(previews), 5),
        column_config={
            "Sample": st.column_config.TextColumn(width=92),
            "Before": st.column_config.TextColumn(width=140),
            "After": st.column_config.TextColumn(width=108),
            "Result": st.column_config.TextColumn(width=54),
        },
        alt="Before and after on samples, failures first",
    )
    troubles = dict.fromkeys(f"{found.sample}: {'; '.join(found.reasons)}" for found in previews if found.reasons)
    if troubles:
        st.code("\n".join(troubles), language=None, wrap_lines=True)


def _after(found: PreviewRow, part: str) -> str:
    if part == "flow":
        return ", ".join(f"{name} × {len(bodies)}" for name, bodies in found.documents.items() if bodies)
    return cell(found.after)
