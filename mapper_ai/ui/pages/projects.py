"""Projects: the flows as cards with what is approved, and where to go on."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime

import streamlit as st

from mapper_ai.services.workspace import FlowCard, TargetRow, Workspace
from mapper_ai.ui import session
from mapper_ai.ui.parts.first_run import first_run
from mapper_ai.ui.parts.frame import FLOW_TITLES, PAGES, flow_title, header, notice, shown_errors
from mapper_ai.ui.parts.rows import conflicts_of, coverage

_PLAIN_NAME = re.compile(r"[a-z0-9-]+")
_NO_DRAFT = FlowCard("", "", 0, 0, 0, saved=False, runnable=False)


def page() -> None:
    """Draw the page."""
    header("Projects", icon="dashboard")
    with shown_errors("The workspace cannot be opened"):
        work = session.workspace()
        cards = {card.name: card for card in work.flows()}
        first_run(list(cards.values()), [session.runner().job("dry-run"), session.runner().job("run")])
        names = [*FLOW_TITLES, *(name for name in cards if name not in FLOW_TITLES)]
        for start in range(0, len(names), 2):
            for column, name in zip(st.columns(2), names[start : start + 2], strict=False):
                with column:
                    _card(work, name, cards.get(name))
        _open_existing(work)


def _card(work: Workspace, name: str, known: FlowCard | None) -> None:
    card = known or _NO_DRAFT
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            plain = _PLAIN_NAME.fullmatch(name)  # a subheader is Markdown, and a file may be called anything
            st.subheader(flow_title(name) if plain else "Flow", anchor=False, width="content")
            rows = work.rows(name) if card.rows else []
            conflicts = len(conflicts_of(work.findings(name))) if rows else 0
            _badges(card, sum(row.state == "proposed" for row in rows), conflicts)
        st.code(card.spec or name, language=None)
        if card.error:
            notice("error", "This mapping cannot be used", card.error)
        if card.rows:
            st.progress(card.approved / card.rows, text=f"{card.approved} of {card.rows} parts approved")
        else:
            st.progress(0.0, text="No mapping yet: start from samples")
        if card.rows:
            _counts(work, name, card, rows, conflicts)
        else:
            st.caption("Samples show what the source really sends; the mapping is proposed from them.")
        with st.container(horizontal=True, gap="small"):
            review = st.button(
                "Review",
                key=f"review-{name}",
                icon=":material/fact_check:",
                type="primary" if card.rows else "secondary",
                disabled=not card.rows,
            )
            start = st.button(
                "Start from samples",
                key=f"samples-{name}",
                icon=":material/data_object:",
                type="secondary" if card.rows else "primary",
            )
            run = st.button("Run", key=f"run-{name}", icon=":material/play_circle:", disabled=not card.runnable)
    for pressed, target in ((review, "review"), (start, "samples"), (run, "runs")):
        if pressed:
            session.look_at("flow", name)
            st.switch_page(PAGES[target], query_params={"flow": name})


def _counts(work: Workspace, name: str, card: FlowCard, rows: Sequence[TargetRow], conflicts: int) -> None:
    covered, required = coverage(rows)
    counts = {
        "to decide": sum(row.state == "proposed" for row in rows),
        "in conflict": 0 if card.runnable else conflicts,  # the badge says it there
        "changed since approval": sum(row.stale for row in rows),
    }
    open_ = [f"{count} {word}" for word, count in counts.items() if count]
    st.text(
        f"{covered} of {required} required fields have a rule · "
        + (", ".join(open_) or ("nothing to decide" if conflicts else "nothing open"))
    )
    st.caption(f"Version {work.spec(name).version} · {card.samples} samples stored · {_last_run()}")


def _last_run() -> str:
    job = session.runner().job("run")
    if job.phase == "none":
        return "not run yet"
    if job.phase == "running":
        return "running now"
    return f"last run {datetime.fromtimestamp(job.started_at, UTC):%Y-%m-%d %H:%M} UTC"


def _badges(card: FlowCard, to_decide: int, conflicts: int) -> None:
    if not card.rows:
        st.badge("not started", color="gray", icon=":material/radio_button_unchecked:")
        return
    if card.runnable and conflicts:
        st.badge(
            f"runs, with {conflicts} in conflict",
            color="orange",
            icon=":material/warning:",
            help="It is approved and saved, so the runner takes it. A check or a sample says that something may be "
            "wrong with these parts: Review shows them under Conflicts.",
        )
    elif card.runnable:
        st.badge("runnable", color="green", icon=":material/check_circle:")
    elif to_decide:
        st.badge(f"{to_decide} to decide", color="orange", icon=":material/pending:")
    if not card.saved:
        st.badge("not saved", color="blue", icon=":material/save:")


def _open_existing(work: Workspace) -> None:
    with st.expander("Open an existing mapping", icon=":material/folder_open:"):
        files = sorted(work.mappings.parent.glob("*/*.yaml"))
        st.caption(
            "Reads a mapping file anew as draft, in place of a draft of the same name; Undo brings that one back. "
            "Saved, the draft goes into the same file."
        )
        if not files:
            st.text(f"There is no mapping file below {work.mappings.parent}.")
            return
        names = {f"{file.parent.name}/{file.name}": file for file in files}
        chosen = st.selectbox("Mapping file", list(names), key="mapping-file", label_visibility="collapsed")
        if st.button("Open as draft", key="adopt", icon=":material/folder_open:"):
            with shown_errors("This file is no mapping"):
                name = work.adopt(names[chosen])
                session.look_at("flow", name)
                st.switch_page(PAGES["review"], query_params={"flow": name})


if __name__ == "__main__":
    page()
