"""How long work stands, with a way to cancel it; the page is drawn again when it has ended."""

from __future__ import annotations

import streamlit as st

from mapper_ai.services import background
from mapper_ai.services.background import Task
from mapper_ai.ui.parts.frame import notice

_POLL_S = 1.0


def show_task(name: str, words: str, failed: str) -> Task:
    """Draw the work of a name while it runs or where it failed; gives how it stands.

    Args:
        words: What it is doing, for people.
        failed: Headline of its failure.
    """
    task = background.look(name)
    if task.phase == "running":
        _watch(name, words)
    elif task.phase == "failed":
        notice("error", failed, str(task.error))
    return task


@st.fragment(run_every=_POLL_S)
def _watch(name: str, words: str) -> None:
    task = background.look(name)
    if task.phase != "running":
        st.rerun(scope="app")
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.badge(f"{words} …" if not task.stopping else "stopping …", color="blue", icon=":material/hourglass_top:")
        st.button(
            "Cancel",
            key=f"cancel-{name}",
            icon=":material/close:",
            disabled=task.stopping,
            on_click=background.cancel,
            args=(name,),
        )
