"""What waits for a person's yes or no, one card a proposal."""

from __future__ import annotations

from typing import Any

import streamlit as st

from mapper_ai.services.operating import NoStore, Operator
from mapper_ai.ui import session
from mapper_ai.ui.parts.frame import kept_errors, notice

_MOST = 20


def count_waiting(operator: Operator) -> int:
    """How many proposals wait; 0 while there is no store."""
    try:
        return len(operator.read("proposals"))
    except NoStore:
        return 0


def waiting_proposals(operator: Operator) -> None:
    """Draw them."""
    rows: list[dict[str, Any]] = operator.read("proposals")
    if not rows:
        notice("success", "Nothing waits for a decision")
        return
    for row in rows[:_MOST]:
        with st.container(border=True):
            _card(operator, row)
    if len(rows) > _MOST:
        st.caption(f"{len(rows) - _MOST} more; decide these first.")


def _card(operator: Operator, row: dict[str, Any]) -> None:
    mark = f"{row['kind']}-{row['record']}"
    st.text(f"{row['number'] or row['record']}: {row['text']}")
    choices = {str(choice["id"]): str(choice["text"]) for choice in row["choices"]}
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        choice = None
        if choices:
            choice = st.selectbox(
                "Which", list(choices), format_func=choices.__getitem__, key=f"choice-{mark}", width=330
            )
        if st.button(str(row["accept"]), key=f"accept-{mark}", icon=":material/check:"):
            _decide(operator, row, "accept", choice)
        if st.button(str(row["refuse"]), key=f"refuse-{mark}", icon=":material/close:"):
            _decide(operator, row, "refuse", None)
        if st.button("Its whole story", key=f"story-{mark}", icon=":material/history_edu:"):
            session.look_at("record", str(row["record"]))
            session.look_at("show", "Record")
            st.rerun()


def _decide(operator: Operator, row: dict[str, Any], decision: str, choice: str | None) -> None:
    with kept_errors("It is not decided"):
        operator.do("proposals", kind=row["kind"], record=row["record"], decision=decision, choice=choice)
        session.say_after_rerun("Decided; the next run goes on with it")
    st.rerun()
