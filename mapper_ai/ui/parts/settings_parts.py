"""The parts of the Settings page beside the connections: limits, language model, masking, people and roles."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from mapper_ai.services import background, settings_view
from mapper_ai.services.decisions import DecisionStore
from mapper_ai.services.publishing import ground_of
from mapper_ai.services.studio_config import decisions_file
from mapper_ai.ui import session
from mapper_ai.ui.parts.background import show_task
from mapper_ai.ui.parts.frame import notice
from mapper_ai.ui.parts.tables import show_table
from sync.settings import Settings

_CHECK = "language model check"
OTHER_PARTS = ("Limits & alerts", "Language model", "Masking", "People & roles")


def show_part(part: str, settings: Settings) -> None:
    """Draw one of `OTHER_PARTS`."""
    if part == "Language model":
        _model()
    elif part == "Masking":
        _masking()
    elif part == "People & roles":
        _people()
    else:
        _limits(settings)


def _limits(settings: Settings) -> None:
    st.caption("Set in mapper.toml or the environment of the runner and the app; shown here as this app reads them.")
    for line in settings.notices:
        notice("info", "To be known", line)
    rows = settings_view.thresholds(settings)
    show_table(
        {
            "Group": [row.group for row in rows],
            "Setting": [row.what for row in rows],
            "Value": [row.value for row in rows],
            "Set by": [row.where for row in rows],
        },
        alt="Limits and what sets them",
        most=20,
    )


def _model() -> None:
    found = settings_view.model()
    if found.settings is None:
        notice("info", "No language model is used; everything works without one", found.why_not)
        st.caption(
            "With one, uncertain fields are looked at once more, and steps can be written in plain words. It sees "
            "names, types and made-up values, never a customer's."
        )
        return
    settings = found.settings
    _facts(settings_view.model_facts(settings))
    task = show_task(_CHECK, "Asking the model", "The model could not be asked")
    if task.phase == "done":
        usable, verdict, details = settings_view.checkup_words(task.result, settings)
        notice("success" if usable else "error", verdict, details)
    if task.phase != "running" and st.button(
        "Check it",
        key="check-model",
        icon=":material/network_check:",
        type="primary",
        help="A few small questions: which forms of answers it keeps to. Costs some hundred tokens.",
    ):
        background.start(_CHECK, lambda _cancel: settings_view.check_model(settings), abandon=True)
        st.rerun()


def _masking() -> None:
    root = session.surroundings().root
    _facts(settings_view.masking_facts(root))
    st.markdown("**Try it**")
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        name = st.text_input("Field", "email", key="mask-name", width=220)
        value = st.text_input("Value", "anna.lee@shop.example", key="mask-value", width=320)
    if value:
        st.text("is stored and shown as")
        st.code(settings_view.masked_example(root, name, value), language=None)


def _people() -> None:
    found = session.surroundings()
    st.text(f"You are {found.user}. Approvals, commits and deeds by hand bear this name.")
    ground = ground_of(found.mappings)
    four = "asked for: who changed a part does not approve it" if ground.policy.four_eyes else "not asked for"
    where = f"mapper.toml at {ground.name}" if ground.kind == "git" else "mapper.toml"
    _facts([("A second person for every change", four), ("Set by", f"[review] of {where}")])
    roles = settings_view.roles(ground.policy)
    st.markdown("**Who may approve what**")
    show_table({"Parts": [row[0] for row in roles], "People": [row[1] for row in roles]}, alt="Who may approve what")
    rows = settings_view.people(DecisionStore(decisions_file()).rows(), found.user)
    st.markdown("**Who decided here**")
    show_table(
        {
            "Who": [row[0] for row in rows],
            "Decisions": [str(row[1]) for row in rows],
            "The last": [row[2] for row in rows],
        },
        alt="Who decided here",
    )


def _facts(rows: Sequence[tuple[str, str]]) -> None:
    with st.container(border=True):
        for label, value in rows:
            left, right = st.columns([2, 5], gap="small", vertical_alignment="center")
            left.caption(label)
            right.text(value)
