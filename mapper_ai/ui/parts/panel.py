"""The right side of the review: one part with its decision, reason, samples, other sources and steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import streamlit as st

from mapper_ai.services.workspace import Finding, TargetRow, Workspace
from mapper_ai.ui import session
from mapper_ai.ui.parts.editor import editor, take
from mapper_ai.ui.parts.frame import kept_errors, notice
from mapper_ai.ui.parts.past import past
from mapper_ai.ui.parts.rows import STATE_WORDS, fields_of, next_part
from mapper_ai.ui.parts.samples_table import samples_table
from mapper_ai.ui.parts.steps import editable
from mapper_ai.ui.parts.values import percent, shortened

SHOWN_SAMPLES = 8
SHOWN_ALTERNATIVES = 5
LEAST_LIKELY = 0.03
LONG_TEXT = 240
_COLOURS = {"proposed": "orange", "approved": "green", "rejected": "red", "unmapped": "gray"}
_ORIGINS = {
    "fuzzy": "compared names, types and values",
    "learned": "the trained scorer: names, types and values",
    "llm": "a language model",
    "history": "an earlier decision",
    "person": "a person",
    "rule": "the flow's blueprint",
    "": "",
}


SECTIONS = ("Samples", "Why", "Change", "Past")
_SECTION = "panel-section"


def panel(work: Workspace, flow: str, row: TargetRow, findings: Sequence[Finding], shown: Sequence[TargetRow]) -> None:
    """Draw the panel.

    Args:
        work: The workspace.
        flow: The flow looked at.
        row: The part looked at.
        findings: All findings of the flow.
        shown: The rows of the filter, in their order; Next, Back and a decision move along them.
    """
    with st.container(border=True, key="panel"):
        st.code(row.target, language=None)
        _badges(row)
        barred = "" if row.state in ("approved", "unmapped") else _barred(work, flow, row)
        _decide(flow, row, shown, barred)
        if barred:
            notice("warning", "Somebody else approves this", barred)
        for finding in findings:
            if finding.part == row.part and finding.id != "unapproved":
                notice("error" if finding.level == "error" else "warning", "To look at", finding.message)
        section = st.segmented_control(
            "Show", SECTIONS, key=_SECTION, default=SECTIONS[0], required=True, label_visibility="collapsed"
        )
        if section == "Change":  # first, so that what is worked at stands on the screen without scrolling
            editor(work, flow, row)
        _said("What it does", row.words)
        _others(flow, row)
        if section == "Why":
            _why(row)
        elif section == "Past":
            past(work, flow, row)
        elif section != "Change":
            _samples(work, flow, row)
        _comment(flow, row)


def _barred(work: Workspace, flow: str, row: TargetRow) -> str:
    return work.may_not(flow, row.part, digest=row.digest, by=session.surroundings().user)


def _edit() -> None:
    st.session_state[_SECTION] = "Change"


def _others(flow: str, row: TargetRow) -> None:
    """Up to five other sources, one key each; the key takes it at once, and Undo brings the old one back."""
    others = [other for other in row.alternatives if fields_of(other) != list(row.sources)]
    # Behind the first one, what nobody would believe only fills the screen.
    others = [other for at, other in enumerate(others) if not at or other.confidence >= LEAST_LIKELY]
    others = others[:SHOWN_ALTERNATIVES]
    if not editable(row.part) or not others:
        return
    st.caption("Other sources")
    for number, other in enumerate(others, 1):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.button(
                "Use",
                key=f"use-{number}-{flow}-{row.part}-{row.digest}",
                shortcut=str(number),
                on_click=take,
                args=(flow, row, fields_of(other)),
            )
            st.text(f"{shortened(other.source, 60)} · {percent(float(other.confidence))}")


def _said(label: str, text: str) -> None:
    """A labelled text; a long one scrolls, so that the samples stay in sight."""
    if not text:
        return
    with st.container(gap=None, height=150 if len(text) > LONG_TEXT else "content", border=False):
        st.caption(label)
        st.text(text)


def _badges(row: TargetRow) -> None:
    with st.container(horizontal=True, gap="small"):
        st.badge(STATE_WORDS[row.state], color=_COLOURS[row.state])  # type: ignore[arg-type]  # a str, not Literal
        if row.stale:
            st.badge("changed since approval", color="red")
        if row.required:
            st.badge("required", color="blue")
        if row.money:
            st.badge("money, tax or key", color="violet", help="Never accepted together with others.")
        if row.confidence is not None:
            st.badge(f"{percent(float(row.confidence))} sure", color="gray")


def _decide(flow: str, row: TargetRow, shown: Sequence[TargetRow], barred: str) -> None:
    after, before = (next_part(shown, row.part, step=step) or row.part for step in (1, -1))
    # A button of its own for each part as it stands: a key pressed while the page is drawn decides what was on the
    # screen, never the part that follows it.
    shown_as = f"{flow}-{row.part}-{row.digest}"
    comment = comment_key(flow, row)
    with st.container(horizontal=True, gap="small"):
        st.button(
            "Accept",
            key=f"accept-{shown_as}",
            shortcut="a",
            type="primary",
            disabled=row.state in ("approved", "unmapped") or bool(barred),
            on_click=_accept,
            args=(flow, row, comment, after),
        )
        st.button(
            "Reject",
            key=f"reject-{shown_as}",
            shortcut="x",
            disabled=row.state in ("rejected", "unmapped"),
            on_click=_reject,
            args=(flow, row, comment, after),
        )
        st.button("Edit", key="edit", shortcut="e", on_click=_edit)
        st.button("Next", key="next", shortcut="n", on_click=session.look_at, args=("part", after))
        st.button("Back", key="previous", shortcut="p", on_click=session.look_at, args=("part", before))


def _comment(flow: str, row: TargetRow) -> None:
    if row.state == "unmapped":
        return
    left, right = st.columns([4, 1], gap="small", vertical_alignment="bottom")
    key = comment_key(flow, row)
    with left:
        st.text_input(
            "Comment, or why it is rejected",
            value=row.comment,
            key=key,
            placeholder="Comment, or why it is rejected (kept in the mapping)",
            label_visibility="collapsed",
        )
    with right:
        st.button("Keep", key="keep-comment", on_click=_keep, args=(flow, row, key), help="Keep the comment as it is")


def comment_key(flow: str, row: TargetRow) -> str:
    """Of the field with the comment."""
    return f"reason-{flow}-{row.part}"


def _said_in(key: str) -> str:
    return str(st.session_state.get(key) or "").strip()


def _keep(flow: str, row: TargetRow, comment: str) -> None:
    with kept_errors("The comment was not kept"):
        session.workspace().comment(flow, row.part, _said_in(comment), digest=row.digest)
        session.say_after_rerun("Comment kept")


def _accept(flow: str, row: TargetRow, comment: str, following: str) -> None:
    """Before the page is drawn, so that one key press costs one drawing."""
    with kept_errors("This part could not be approved"):
        session.workspace().accept(
            flow, row.part, digest=row.digest, by=session.surroundings().user, comment=_said_in(comment)
        )
        session.look_at("part", following)


def _reject(flow: str, row: TargetRow, comment: str, following: str) -> None:
    with kept_errors("This part could not be rejected"):
        session.workspace().reject(
            flow, row.part, digest=row.digest, by=session.surroundings().user, reason=_said_in(comment)
        )
        session.look_at("part", following)


# The signals whose names say little by themselves; `mapper_ai/core/features.py` explains all.
_SIGNALS: Final = {
    "path": "name and place",
    "mutual": "best for each other",
    "row_lead": "no better use of it",
    "column_lead": "no better source",
    "column_rank": "place in the list",
    "context_lead": "objects around",
    "text": "text alike",
    "format": "kind of value",
    "clash": "kinds clash",
    "side": "billing or shipping",
    "level": "record or item",
    "target_prior": "seldom has a source",
    "source_prior": "seldom feeds a field",
    "history": "earlier decisions",
}


def _why(row: TargetRow) -> None:
    if row.origin:
        st.caption(f"Proposed by {_ORIGINS.get(row.origin, row.origin)}.")
    _said("In words", row.reason)
    if not row.evidence:
        st.caption("Nobody estimated how sure this is.")
        return
    signals = sorted(row.evidence.items(), key=lambda item: -abs(item[1]))
    longest = max(abs(value) for _, value in signals) or 1
    st.dataframe(
        {
            "Signal": [_SIGNALS.get(name, name.replace("_", " ")) for name, _ in signals],
            "Speaks": ["for" if value >= 0 else "against" for _, value in signals],
            "Weight": [abs(value) / longest for _, value in signals],
        },
        hide_index=True,
        width="stretch",
        column_config={
            "Signal": st.column_config.TextColumn(width=150),
            "Speaks": st.column_config.TextColumn(width=70, help="For this source, or against it"),
            "Weight": st.column_config.ProgressColumn(width=150, min_value=0, max_value=1, format=" "),
        },
        alt="Evidence: what each signal added to the confidence",
    )


def _samples(work: Workspace, flow: str, row: TargetRow) -> None:
    previews = work.preview(flow, part=row.part, limit=SHOWN_SAMPLES)
    if not previews:
        st.caption("No samples are stored for this flow. Take some on the Samples page.")
        return
    samples_table(previews, row.part)
