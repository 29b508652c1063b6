"""What a draft changes, drawn: findings with risk, both sides, what it does to the samples, the text itself."""

from __future__ import annotations

import streamlit as st

from mapper_ai.services.gitcommit import as_patch
from mapper_ai.services.publishing import Change
from mapper_ai.services.review.report import Finding, SpecReview
from mapper_ai.ui.parts.frame import notice
from mapper_ai.ui.parts.values import cell, shortened

_RISKS = {"high": "high risk", "medium": "medium risk", "low": "low risk"}
_COLOURS = {"high": "red", "medium": "orange", "low": "gray"}
_CELL = 110  # characters that three lines of the widest column hold at 1280 px
_MOST_EXAMPLES = 60


def risk_words(review: SpecReview | None) -> str:
    """For a table cell."""
    return "" if review is None or review.risk is None else _RISKS[review.risk]


def count_words(change: Change) -> str:
    """`3 changed, 1 added`; what is new or the same is said so."""
    if change.error or change.review is None:
        return "cannot be compared"
    if change.review.state == "added":
        return f"new, {change.review.counts.get('added', 0)} parts"
    counts = change.review.counts
    told = [f"{counts[way]} {way}" for way in ("changed", "added", "removed") if counts.get(way)]
    if told:
        return ", ".join(told)
    return "no change" if change.old == change.new else "no change of meaning"


def show_change(change: Change) -> None:
    """Everything about one change."""
    review = change.review
    if change.error or review is None:
        notice("error", "This mapping cannot be compared", change.error)
        return
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        if review.risk is not None:
            st.badge(_RISKS[review.risk], color=_COLOURS[review.risk])  # type: ignore[arg-type]  # a str
        st.badge(count_words(change), color="blue")
        if change.old is not None and change.version != review.version_before:
            st.badge(f"version {review.version_before} → {change.version}", color="gray")
        after, effects = review.after, review.effects
        if effects.samples:
            st.badge(f"{after.passed} of {effects.samples} samples pass", color="gray")
    if not review.findings:
        st.caption("Nothing changes in meaning; there is nothing to decide about.")
    else:
        _findings(review.findings)
    _totals(review)
    _samples(review)
    if change.old != change.new:
        with st.expander("The text, line by line", icon=":material/difference:"):
            st.code(as_patch(change.path, change.old, change.new), language="diff", height=420)


def _findings(rows: tuple[Finding, ...]) -> None:
    st.dataframe(
        {
            "Risk": [row.risk for row in rows],
            "What": [shortened(f"{row.part}: {row.message}", _CELL) for row in rows],
            "Before": [shortened(cell(row.before or None), _CELL) for row in rows],
            "After": [shortened(cell(row.after or None), _CELL) for row in rows],
            "On the samples": [shortened(row.effect or "—", _CELL) for row in rows],
            "Approved": [row.approved or "—" for row in rows],
        },
        hide_index=True,
        width="stretch",
        row_height=76,
        height=38 + 76 * min(len(rows), 5),
        column_config={
            "Risk": st.column_config.TextColumn(width=65),
            "What": st.column_config.TextColumn(width=260),
            "Before": st.column_config.TextColumn(width=250),
            "After": st.column_config.TextColumn(width=250),
            "On the samples": st.column_config.TextColumn(width=240),
            "Approved": st.column_config.TextColumn(width=120),
        },
        alt="What the change means, gravest first",
    )


def _totals(review: SpecReview) -> None:
    rows = review.effects.totals
    if not rows:
        return
    st.markdown("**What the samples come to**")
    st.dataframe(
        {
            "Document": [row.target for row in rows],
            "Before": [f"{row.before} {row.currency}" for row in rows],
            "After": [f"{row.after} {row.currency}" for row in rows],
            "Change": [row.change for row in rows],
            "Samples": [f"{row.samples} of {review.effects.samples}" for row in rows],
        },
        hide_index=True,
        width="stretch",
        alt="Totals of the samples before and after",
    )


def _samples(review: SpecReview) -> None:
    effects = review.effects
    rows = [
        (decision.sample, "decision", decision.before, f"{decision.after}: {decision.reason}".rstrip(": "))
        for decision in effects.decisions
    ]
    rows += [
        (example.sample, part.part, example.before, example.after)
        for part in effects.parts.values()
        for example in part.examples
    ]
    if not rows:
        return
    st.markdown("**Samples, before → after**")
    shown = rows[:_MOST_EXAMPLES]
    st.dataframe(
        {
            "Sample": [row[0] for row in shown],
            "Part": [row[1] for row in shown],
            "Before": [shortened(cell(row[2] or None), _CELL) for row in shown],
            "After": [shortened(cell(row[3] or None), _CELL) for row in shown],
        },
        hide_index=True,
        width="stretch",
        height=38 + 35 * min(len(shown), 6),
        column_config={
            "Sample": st.column_config.TextColumn(width=170),
            "Part": st.column_config.TextColumn(width=180),
            "Before": st.column_config.TextColumn(width=400),
            "After": st.column_config.TextColumn(width=400),
        },
        alt="Samples whose result differs",
    )
    if len(rows) > len(shown):
        st.caption(f"{len(rows) - len(shown)} more are in the text of the pull request.")
