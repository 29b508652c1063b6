"""Decisions: what proposals learn from, and how it is forgotten."""

from __future__ import annotations

import streamlit as st

from mapper_ai.services.decisions import DecisionRow, DecisionStore
from mapper_ai.services.studio_config import decisions_file
from mapper_ai.ui import session
from mapper_ai.ui.parts.frame import PAGES, header, kept_errors, notice, shown_errors

_TABLE = "decisions-table"
_WORDS = {"accept": "accepted", "reject": "rejected", "edit": "chosen"}


def page() -> None:
    """Draw the page."""
    header("Decisions", icon="history")
    with shown_errors("The decisions cannot be shown"):
        rows = list(reversed(DecisionStore(decisions_file()).rows()))
        if not rows:
            notice("info", "Nothing was decided yet. What you accept and reject in the review is remembered here.")
            if st.button("Go to review", type="primary", icon=":material/fact_check:"):
                st.switch_page(PAGES["review"])
            return
        _table(rows)


def _table(rows: list[DecisionRow]) -> None:
    chosen = [rows[at] for at in _selected() if at < len(rows)]
    st.button(
        f"Forget {len(chosen)} chosen",
        key="forget",
        icon=":material/delete:",
        disabled=not chosen,
        on_click=_forget,
        args=([row.number for row in chosen],),
    )
    st.dataframe(
        {
            "When": [f"{row.at:%Y-%m-%d %H:%M}" for row in rows],
            "Who": [row.person for row in rows],
            "What": [_WORDS[row.action] for row in rows],
            "Source": [" + ".join(row.sources) for row in rows],
            "Target": [row.target for row in rows],
            "Reason": [row.reason for row in rows],
        },
        key=_TABLE,
        on_select="rerun",
        selection_mode="multi-row",
        hide_index=True,
        width="stretch",
        height=38 + 35 * min(len(rows), 14),
        alt="Decisions, newest first",
    )


def _selected() -> list[int]:
    state = st.session_state.get(_TABLE) or {}
    return list(state.get("selection", {}).get("rows", ()))


def _forget(numbers: list[int]) -> None:
    with kept_errors("They could not be forgotten"):
        gone = DecisionStore(decisions_file()).forget(numbers)
        st.session_state.pop(_TABLE, None)
        session.say_after_rerun(f"{gone} decisions forgotten", icon=":material/delete:")


if __name__ == "__main__":
    page()
