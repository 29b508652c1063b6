"""Diff & publish: what is approved is written into the mapping files that the runner reads."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from mapper_ai.services.workspace import FlowCard, Workspace
from mapper_ai.ui import session
from mapper_ai.ui.parts.frame import PAGES, flow_title, header, notice, shown_errors
from mapspec import load_spec, unapproved


def page() -> None:
    """Draw the page."""
    header("Diff & publish", icon="publish")
    with shown_errors("The page cannot be shown"):
        work = session.workspace()
        _mappings(work, [card for card in work.flows() if card.rows])


def _mappings(work: Workspace, cards: Sequence[FlowCard]) -> None:
    with st.container(border=True):
        st.markdown("**Mapping files**")
        if not cards:
            st.caption("There is no mapping yet.")
        for card in cards:
            name, state, review, save = st.columns([4, 4, 2, 2], vertical_alignment="center", gap="small")
            name.text(flow_title(card.name))
            waiting = 0 if card.error else len(unapproved(load_spec(work.text(card.name))))
            with state:
                _state(card, waiting)
            if review.button("Review", key=f"review-{card.name}", width="stretch"):
                st.switch_page(PAGES["review"], query_params={"flow": card.name})
            if save.button(
                "Saved" if card.saved else "Save YAML",
                key=f"save-{card.name}",
                type="secondary" if card.saved or waiting else "primary",
                disabled=card.saved or waiting > 0 or bool(card.error),
                width="stretch",
                help="Every part must be approved first; the draft itself is kept all the time." if waiting else None,
            ):
                _save(work, card.name)
        saved = st.session_state.pop("saved-to", None)
        if saved:
            notice("success", "Saved. The runner reads this file.", saved)


def _state(card: FlowCard, waiting: int) -> None:
    if card.error:
        st.badge("cannot be used", color="red", icon=":material/error:")
    elif waiting:
        st.badge(f"{waiting} parts to decide", color="orange", icon=":material/pending:")
    elif not card.saved:
        st.badge("approved, not saved", color="blue", icon=":material/save:")
    elif card.runnable:
        st.badge("approved and runnable", color="green", icon=":material/check_circle:")
    else:
        st.badge("not runnable", color="red", icon=":material/error:")


def _save(work: Workspace, flow: str) -> None:
    with shown_errors("The mapping was not saved"):
        st.session_state["saved-to"] = str(work.save(flow))
        st.rerun()


if __name__ == "__main__":
    page()
