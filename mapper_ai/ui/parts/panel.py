"""The right side of the review: one part with its decision, reason, samples, other sources and steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import streamlit as st

from mapper_ai.services.workspace import Finding, PreviewRow, TargetRow, Workspace
from mapper_ai.ui import session
from mapper_ai.ui.parts.frame import kept_errors, notice, shown_errors
from mapper_ai.ui.parts.rows import STATE_WORDS, fields_of, next_part
from mapper_ai.ui.parts.steps import check_steps, editable
from mapper_ai.ui.parts.values import before_lines, cell, percent, shortened

SHOWN_SAMPLES = 8
SHOWN_ALTERNATIVES = 5
LONG_TEXT = 240
_COLOURS = {"proposed": "orange", "approved": "green", "rejected": "red", "unmapped": "gray"}
_RESULTS = {"go": "goes", "hold": "held", "wait": "waits", "skip": "skipped", "error": "error"}
_ORIGINS = {
    "fuzzy": "compared names, types and values",
    "learned": "the trained scorer: names, types and values",
    "llm": "a language model",
    "history": "an earlier decision",
    "person": "a person",
    "rule": "the flow's blueprint",
    "": "",
}


def panel(work: Workspace, flow: str, row: TargetRow, findings: Sequence[Finding], shown: Sequence[TargetRow]) -> None:
    """Draw the panel.

    Args:
        row: The part looked at.
        findings: All findings of the flow.
        shown: The rows of the filter, in their order; Next, Back and a decision move along them.
    """
    with st.container(border=True, key="panel"):
        st.code(row.target, language=None)
        _badges(row)
        _decide(flow, row, shown)
        for finding in findings:
            if finding.part == row.part and finding.id != "unapproved":
                notice("error" if finding.level == "error" else "warning", "To look at", finding.message)
        _said("What it does", row.words)
        _said("Why", row.reason)
        samples, why, sources, steps = st.tabs(["Samples", "Evidence", "Other sources", "Steps"], key="panel-tabs")
        with samples:
            _samples(work, flow, row)
        with why:
            _why(row)
        with sources:
            _sources(work, flow, row)
        with steps:
            _steps(work, flow, row)
        _comment(flow, row)


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
        if row.required:
            st.badge("required", color="blue")
        if row.money:
            st.badge("money, tax or key", color="violet", help="Never accepted together with others.")
        if row.confidence is not None:
            st.badge(f"{percent(float(row.confidence))} sure", color="gray")


def _decide(flow: str, row: TargetRow, shown: Sequence[TargetRow]) -> None:
    after, before = (next_part(shown, row.part, step=step) or row.part for step in (1, -1))
    # A button of its own for each part as it stands: a key pressed while the page is drawn decides what was on the
    # screen, never the part that follows it.
    shown_as = f"{flow}-{row.part}-{row.digest}"
    with st.container(horizontal=True, gap="small"):
        st.button(
            "Accept",
            key=f"accept-{shown_as}",
            shortcut="a",
            type="primary",
            disabled=row.state in ("approved", "unmapped"),
            on_click=_accept,
            args=(flow, row, after),
        )
        st.button(
            "Reject",
            key=f"reject-{shown_as}",
            shortcut="x",
            disabled=row.state in ("rejected", "unmapped"),
            on_click=_reject,
            args=(flow, row, _comment_key(flow, row), after),
        )
        st.button("Next", key="next", shortcut="n", on_click=session.look_at, args=("part", after))
        st.button("Back", key="previous", shortcut="p", on_click=session.look_at, args=("part", before))


def _comment(flow: str, row: TargetRow) -> None:
    if row.state in ("rejected", "unmapped"):
        return
    st.text_input(
        "Why a rejection",
        key=_comment_key(flow, row),
        placeholder="Reason of a rejection (optional)",
        label_visibility="collapsed",
    )


def _comment_key(flow: str, row: TargetRow) -> str:
    return f"reason-{flow}-{row.part}"


def _accept(flow: str, row: TargetRow, following: str) -> None:
    """Before the page is drawn, so that one key press costs one drawing."""
    with kept_errors("This part could not be approved"):
        session.workspace().accept(flow, row.part, digest=row.digest, by=session.surroundings().user)
        session.look_at("part", following)


def _reject(flow: str, row: TargetRow, comment: str, following: str) -> None:
    reason = str(st.session_state.get(comment) or "").strip()
    with kept_errors("This part could not be rejected"):
        session.workspace().reject(flow, row.part, digest=row.digest, by=session.surroundings().user, reason=reason)
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
    if row.by:
        st.text(f"{STATE_WORDS[row.state]} by {row.by}" + (f", {row.at}" if row.at else ""))
    if not row.evidence:
        st.caption("Nobody estimated how sure this is.")
        return
    signals = sorted(row.evidence.items(), key=lambda item: -abs(item[1]))
    longest = max(abs(value) for _, value in signals) or 1
    st.dataframe(
        {
            "Signal": [_SIGNALS.get(name, name.replace("_", " ")) for name, _ in signals],
            "Adds": [f"{value:+.2f}" for _, value in signals],
            "Weight": [abs(value) / longest for _, value in signals],
        },
        hide_index=True,
        width="stretch",
        column_config={
            "Signal": st.column_config.TextColumn(width=140),
            "Adds": st.column_config.TextColumn(width=60, help="Log-odds; below zero speaks against it."),
            "Weight": st.column_config.ProgressColumn(width=110, min_value=0, max_value=1, format=" "),
        },
        alt="Evidence: what each signal added to the confidence",
    )


def _samples(work: Workspace, flow: str, row: TargetRow) -> None:
    previews = work.preview(flow, part=row.part, limit=SHOWN_SAMPLES)
    if not previews:
        st.caption("No samples are stored for this flow. Take some on the Samples page.")
        return
    st.dataframe(
        {
            "Sample": [found.sample for found in previews],
            "Before": [shortened(before_lines(found.before), 46) for found in previews],
            "After": [shortened(_after(found, row), 42) for found in previews],
            "Result": [_RESULTS.get(found.decision, found.decision) for found in previews],
        },
        hide_index=True,
        width="stretch",
        row_height=66,
        height=36 + 66 * min(len(previews), 5),
        column_config={
            "Sample": st.column_config.TextColumn(width=92),
            "Before": st.column_config.TextColumn(width=140),
            "After": st.column_config.TextColumn(width=108),
            "Result": st.column_config.TextColumn(width=54),
        },
        alt="Before and after on samples, failures first",
    )
    troubles = dict.fromkeys(f"{found.sample}: {'; '.join(found.reasons)}" for found in previews if found.reasons)
    if troubles:
        st.code("\n".join(troubles), language=None, wrap_lines=True)


def _after(found: PreviewRow, row: TargetRow) -> str:
    if row.part == "flow":
        return ", ".join(f"{name} × {len(bodies)}" for name, bodies in found.documents.items() if bodies)
    return cell(found.after)


def _sources(work: Workspace, flow: str, row: TargetRow) -> None:
    if not editable(row.part):
        st.caption("This part is not taken from single fields.")
        return
    others = [other for other in row.alternatives if fields_of(other) != list(row.sources)][:SHOWN_ALTERNATIVES]
    for number, alternative in enumerate(others, 1):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            use = st.button("Use", key=f"use-{number}", shortcut=str(number))
            with st.container(gap=None):
                st.text(f"{alternative.source} · {percent(float(alternative.confidence))}")
                if alternative.reason:
                    st.text(alternative.reason)
        if use:
            _take(work, flow, row, fields_of(alternative))
    if not others:
        st.caption("Nothing else came near.")
    known = work.source_fields(flow)
    chosen = st.multiselect(
        "Or choose fields",
        known,
        default=[source for source in row.sources if source in known],
        key=f"fields-{flow}-{row.part}-{row.digest}",
        placeholder="Source fields",
    )
    if st.button(
        "Use these fields",
        key="use-fields",
        disabled=not chosen or tuple(chosen) == row.sources,
        icon=":material/swap_horiz:",
    ):
        _take(work, flow, row, chosen)


def _take(work: Workspace, flow: str, row: TargetRow, sources: Sequence[str]) -> None:
    with shown_errors("This source cannot be taken"):
        work.set_source(flow, row.part, sources, digest=row.digest, by=session.surroundings().user)
        session.say_after_rerun("Source changed; look at the samples, then accept")
        st.rerun()


def _steps(work: Workspace, flow: str, row: TargetRow) -> None:
    if not editable(row.part):
        st.caption("As it stands in the mapping file. It is edited there, and approved here.")
        st.code(row.steps, language="yaml", wrap_lines=True, height=320)
        return
    edited = st.text_area(
        "Steps, one a line",
        value=row.steps,
        key=f"steps-{flow}-{row.part}-{row.digest}",
        height=180,
        help="YAML, one operation a line. Checked when you leave the field or press Ctrl+Enter.",
    )
    changed = edited.strip() != row.steps.strip()
    problem = check_steps(work.spec(flow), row.part, edited) if changed and edited.strip() else None
    if problem is not None:
        notice("error", "These steps do not work yet", problem)
    elif changed and edited.strip():
        st.caption(":material/check_circle: The steps compile. Saved, the part is to be decided again.")
    else:
        st.caption("Unchanged.")
    if st.button(
        "Save steps",
        key="save-steps",
        icon=":material/save:",
        disabled=not changed or not edited.strip() or problem is not None,
    ):
        with shown_errors("The steps cannot be saved"):
            work.set_steps(flow, row.part, edited, digest=row.digest, by=session.surroundings().user)
            session.say_after_rerun("Steps saved; look at the samples, then accept")
            st.rerun()
