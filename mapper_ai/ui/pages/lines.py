"""Lines & look-ups: which list becomes which, and the tables that translate codes."""

from __future__ import annotations

import streamlit as st

from mapper_ai.services.words import block_in_words
from mapper_ai.ui import session
from mapper_ai.ui.parts.frame import choose_started_flow, header, shown_errors
from mapspec import MappingSpec


def page() -> None:
    """Draw the page."""
    header("Lines & look-ups", icon="table_rows")
    with shown_errors("The lists cannot be shown"):
        work = session.workspace()
        started = choose_started_flow(work)
        if started is None:
            return
        flow, _ = started
        spec = work.spec(flow)
        _lists(spec)
        _tables(spec)


def _lists(spec: MappingSpec) -> None:
    st.markdown("**Lists**")
    blocks = spec.blocks()
    if not blocks:
        st.caption("This flow fills no list.")
    for target, block in blocks.items():
        with st.container(border=True):
            st.code(f"{block.each.source_path()}  →  {target}", language=None)
            st.text(block_in_words(target, block))


def _tables(spec: MappingSpec) -> None:
    st.markdown("**Look-up tables**")
    if not spec.tables:
        st.caption("This flow looks nothing up.")
    for name, table in spec.tables.items():
        with st.expander(f"{name.replace('_', ' ')}: {len(table.rows)} rows", key=f"table-{name}"):
            st.dataframe(
                {"Key": list(table.rows), "Becomes": list(table.rows.values())},
                hide_index=True,
                width="stretch",
                alt=f"Rows of {name}",
            )


if __name__ == "__main__":
    page()
