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
    mark = f"{row['kind']}-{row['name']}"
    st.text(f"{row['number'] or row['record']}: {row['text']}")
    choices = {str(choice["id"]): str(choice["text"]) for choice in row["choices"]}
    choice = None
    if row["kind"] == "correction":
        _effects(row["correction"])
        if choices:  # their names are ours; whatever else a way says stands above, as text
            choice = st.radio("Which way", list(choices), format_func=_way, key=f"choice-{mark}", horizontal=True)
    why = st.text_input("Why it is left as it is", key=f"why-{mark}", width=500) if row["asks_why"] else ""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        if choices and row["kind"] != "correction":
            choice = st.selectbox(
                "Which", list(choices), format_func=choices.__getitem__, key=f"choice-{mark}", width=330
            )
        # Where no way is offered, a person mends the books by hand and refuses.
        possible = bool(choices) or row["kind"] != "correction"
        if st.button(str(row["accept"]), key=f"accept-{mark}", icon=":material/check:", disabled=not possible):
            _decide(operator, row, "accept", choice)
        unsaid = row["asks_why"] and not why.strip()
        if st.button(str(row["refuse"]), key=f"refuse-{mark}", icon=":material/close:", disabled=unsaid):
            _decide(operator, row, "refuse", None, why)
        if st.button("Its whole story", key=f"story-{mark}", icon=":material/history_edu:"):
            session.look_at("record", str(row["record"]))
            session.look_at("show", "Record")
            st.rerun()


def _way(name: str) -> str:
    return name.replace("_", " ")


def _effects(correction: dict[str, Any]) -> None:
    """The books now, and beside that as each way leaves them; or why a way is not offered."""
    offered = []
    for way in correction["ways"]:
        if "why_not" in way:
            st.caption(f"Not {_way(way['name'])}: {way['why_not']}")
        else:
            st.text(f"{_way(way['name'])}: {way['does']}")
            offered.append(way)
    if offered:
        names = [name for name in offered[0]["before"] if any(name in way["after"] for way in offered)]
        st.table(
            [
                {
                    "": name,
                    "now": offered[0]["before"][name],
                    **{f"with {_way(way['name'])}": way["after"].get(name, "") for way in offered},
                }
                for name in names
            ]
        )


def _decide(operator: Operator, row: dict[str, Any], decision: str, choice: str | None, why: str = "") -> None:
    with kept_errors("It is not decided"):
        operator.do("proposals", kind=row["kind"], name=row["name"], decision=decision, choice=choice, why=why)
        session.say_after_rerun("Decided; the next run goes on with it")
    st.rerun()
