"""The frame of every page: title, flow looked at, who is at the screen, notices whose details are plain text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Literal

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from connectors.errors import ConnectorError
from mapper_ai.errors import Conflict, MapperError
from mapper_ai.services.workspace import Finding, FlowCard, Workspace
from mapper_ai.ui import identity, session
from mapspec.errors import SpecError
from sync.errors import SyncError

Kind = Literal["error", "warning", "info", "success"]

_EXPECTED = (MapperError, SyncError, ConnectorError, SpecError)

PAGES = {
    "projects": "mapper_ai/ui/pages/projects.py",
    "samples": "mapper_ai/ui/pages/samples.py",
    "review": "mapper_ai/ui/pages/review.py",
    "lines": "mapper_ai/ui/pages/lines.py",
    "test": "mapper_ai/ui/pages/test.py",
    "publish": "mapper_ai/ui/pages/publish.py",
    "runs": "mapper_ai/ui/pages/runs.py",
    "decisions": "mapper_ai/ui/pages/decisions.py",
    "settings": "mapper_ai/ui/pages/settings.py",
}
"""Script of every page below the folder of app.py."""

PAGE_TITLES = {
    "projects": "Projects",
    "samples": "Samples",
    "review": "Review",
    "lines": "Lines & look-ups",
    "test": "Test",
    "publish": "Diff & publish",
    "runs": "Runs",
    "decisions": "Decisions",
    "settings": "Settings",
}
"""What the navigation calls each page, in the order of the work."""

FLOW_TITLES = {
    "order-to-invoice": "Order → invoice",
    "customer-to-client": "Customer → client",
    "payment-to-payment": "Payment → payment",
    "product-to-item": "Product → item",
}


# Streamlit's wide layout leaves five rem at every side; tables need that room at 1280 px. Fixed text, no values.
_STYLE = "<style>.stMainBlockContainer {padding: 4.25rem 2.25rem 3rem}</style>"


def flow_title(name: str) -> str:
    """What people call a flow: "Payment reversal → correction" of payment-reversal-to-correction."""
    source, to, target = name.partition("-to-")
    return FLOW_TITLES.get(name) or (f"{source.capitalize()} → {target}".replace("-", " ") if to else name)


def header(title: str, *, icon: str) -> None:
    """Title of the page with the identity beside it, and the message the last click left."""
    st.html(_STYLE)
    with_sign_in = _sign_in_required()
    if with_sign_in and not identity.signed_in():
        _sign_in()
    session.show_said()
    left, right = st.columns([5, 4], vertical_alignment="center")
    left.subheader(f":material/{icon}: {title}", anchor=False)
    with right, st.container(horizontal=True, horizontal_alignment="right", vertical_alignment="center", gap="small"):
        if with_sign_in:
            st.text(identity.signed_in_as())
            st.button("Sign out", key="sign-out", on_click=st.logout)
        else:
            st.badge(
                "development identity",
                icon=":material/person:",
                color="orange",
                help="Approvals carry this name. It comes from MAPPER_USER or the operating system and was not "
                "checked by any sign-in: good for one person on one machine. docs/app.md says how people sign in.",
            )
            st.text(session.surroundings().user)
    problem = st.session_state.pop("problem", None)
    if problem is not None:
        notice(*problem)


def _sign_in_required() -> bool:
    """As the settings say; nothing is shown where they cannot be read."""
    with shown_errors("The settings cannot be read"):
        return identity.required()
    st.stop()
    return True


def _sign_in() -> None:
    """All that is shown to somebody who is not signed in."""
    with shown_errors("Nobody can sign in yet"):
        identity.check_set_up()
        notice("info", "Sign in to go on. Approvals carry the name that you sign in with.")
        if st.button("Sign in", key="sign-in", type="primary", icon=":material/login:"):
            identity.send_to_provider()
    st.stop()


def choose_started_flow(work: Workspace) -> tuple[str, DeltaGenerator] | None:
    """A selector of the flows that have a mapping, and the room beside it; says what to do where there is none."""
    names = work.names()
    if not names:
        notice("info", "There is no mapping yet. Choose samples first.")
        if st.button("Choose samples", type="primary", icon=":material/data_object:"):
            st.switch_page(PAGES["samples"])
        return None
    left, right = st.columns([2, 3], vertical_alignment="center", gap="medium")
    with left:
        flow = choose_flow([], all_kinds=names)
    return None if flow is None else (flow, right)


def choose_flow(cards: Sequence[FlowCard], *, all_kinds: Sequence[str] = ()) -> str | None:
    """A selector of flows that survives a reload; None when there are none."""
    names = [card.name for card in cards]
    names += [kind for kind in all_kinds if kind not in names]
    if not names:
        return None
    current = session.looked_at("flow", names) or names[0]
    widget = "choice-of-flow"
    # Each time: on another page it is another widget, which would begin with the first flow whatever is looked at.
    st.session_state[widget] = current

    def chosen() -> None:
        session.look_at("flow", st.session_state[widget])

    st.selectbox("Flow", names, key=widget, format_func=flow_title, on_change=chosen, label_visibility="collapsed")
    session.look_at("flow", current)
    return current


def notice(kind: Kind, headline: str, details: str = "") -> None:
    """A coloured line with fixed wording, and below it whatever was found, as plain text."""
    {"error": st.error, "warning": st.warning, "info": st.info, "success": st.success}[kind](
        headline,
        icon={
            "error": ":material/error:",
            "warning": ":material/warning:",
            "info": ":material/info:",
            "success": ":material/check_circle:",
        }[kind],
    )
    if details:
        st.code(details, language=None, wrap_lines=True)


@contextmanager
def shown_errors(headline: str) -> Iterator[None]:
    """Show what goes wrong on purpose instead of a traceback; anything else still surfaces."""
    try:
        yield
    except _EXPECTED as error:
        notice(*_described(error, headline))


@contextmanager
def kept_errors(headline: str) -> Iterator[None]:
    """Like `shown_errors`, for what a button does before the page is drawn: `header` shows it."""
    try:
        yield
    except _EXPECTED as error:
        st.session_state["problem"] = _described(error, headline)


def _described(error: Exception, headline: str) -> tuple[Kind, str, str]:
    text = str(error)
    if isinstance(error, Conflict):
        return "warning", "It changed meanwhile, in another tab or by another person. Look again.", text
    return "error", headline, text


def show_findings(findings: Sequence[Finding]) -> None:
    """Findings as a table: what stops a run first."""
    rank = {"error": 0, "warning": 1, "note": 2}
    rows = sorted(findings, key=lambda finding: (rank[finding.level], finding.part))
    st.dataframe(
        {
            "Level": [row.level for row in rows],
            "Part": [row.part or "the flow" for row in rows],
            "What": [row.message for row in rows],
        },
        hide_index=True,
        width="stretch",
        height="auto" if len(rows) < 9 else 320,
        column_config={
            "Level": st.column_config.TextColumn(width=80),
            "Part": st.column_config.TextColumn(width=240),
            "What": st.column_config.TextColumn(width="large"),
        },
        alt="Findings of the checks",
    )
