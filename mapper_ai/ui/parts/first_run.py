"""The way from samples to posted invoices as a checklist that ticks itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import streamlit as st

from mapper_ai.services.runner_control import Job
from mapper_ai.services.workspace import FlowCard
from mapper_ai.ui.parts.frame import PAGES


@dataclass(frozen=True)
class Task:
    """One line of the checklist; `page` is where it is done."""

    words: str
    page: str
    done: bool


def tasks(cards: Sequence[FlowCard], jobs: Sequence[Job]) -> list[Task]:
    """What there is to do, in the order of the work."""
    started = [card for card in cards if card.rows]
    ended = {job.kind for job in jobs if job.phase == "done"}
    return [
        Task("Take samples of what the shop sends", "samples", any(card.samples for card in cards)),
        Task("Let a mapping be proposed", "samples", bool(started)),
        Task("Decide every part", "review", bool(started) and all(card.approved == card.rows for card in started)),
        Task("See it work on all samples", "test", bool(started) and any(card.samples for card in started)),
        Task("Publish the mapping", "publish", any(card.runnable for card in started)),
        Task("Try a dry run", "runs", "dry-run" in ended or "run" in ended),
        Task("Post the first invoices", "runs", "run" in ended),
    ]


def first_run(cards: Sequence[FlowCard], jobs: Sequence[Job]) -> None:
    """Draw the checklist; folded away when everything is done."""
    found = tasks(cards, jobs)
    done = sum(task.done for task in found)
    following = next((task for task in found if not task.done), None)
    with st.expander(
        f"First steps: {done} of {len(found)} done" + (f" · next: {following.words.lower()}" if following else ""),
        icon=":material/checklist:",
        expanded=following is not None and done < 2,
        key="first-steps",
    ):
        for number, task in enumerate(found):
            with st.container(horizontal=True, vertical_alignment="center", gap="small"):
                st.badge("done" if task.done else "open", color="green" if task.done else "gray")
                st.text(task.words)
                if not task.done and st.button(
                    "Go", key=f"go-{number}", type="tertiary", icon=":material/arrow_forward:"
                ):
                    st.switch_page(PAGES[task.page])
