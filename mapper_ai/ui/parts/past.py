"""What happened to a part: who decided what, when, and why."""

from __future__ import annotations

import streamlit as st

from mapper_ai.services.workspace import TargetRow, Workspace
from mapper_ai.ui.parts.rows import STATE_WORDS

_WORDS = {"accept": "accepted", "reject": "rejected", "edit": "changed"}


def past(work: Workspace, flow: str, row: TargetRow) -> None:
    """Draw the history of one part."""
    when = f", {row.at[:16].replace('T', ' ')}" if row.at else ""
    st.text(f"Now {STATE_WORDS[row.state]}" + (f" by {row.by}{when}" if row.by else ""))
    if row.comment:
        st.text(f"Comment: {row.comment}")
    if row.digest:
        st.caption("What an approval signs", help="Any change of source, steps, checks or tables gives another one.")
        st.code(row.digest, language=None)
    rows = work.past(flow, row.part)
    if not rows:
        st.caption("No earlier decisions about this part.")
        return
    st.dataframe(
        {
            "When": [f"{entry.at:%Y-%m-%d %H:%M}" for entry in rows],
            "Who": [entry.person for entry in rows],
            "What": [f"{_WORDS[entry.action]} {' + '.join(entry.sources)}" for entry in rows],
            "Why": [entry.reason for entry in rows],
        },
        hide_index=True,
        width="stretch",
        row_height=66,
        column_config={
            "When": st.column_config.TextColumn(width=84),
            "Who": st.column_config.TextColumn(width=64),
            "What": st.column_config.TextColumn(width=150),
            "Why": st.column_config.TextColumn(width=90),
        },
        alt="Decisions about this part, newest first",
    )
