"""Samples as pictures, and how they differ from what the mapping reads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import streamlit as st

from mapper_ai.core.fields import FieldProfile, Profile
from mapper_ai.services.drifting import find_drift
from mapper_ai.services.workspace import Workspace
from mapper_ai.ui.parts.values import listed

_SHOWN = 24
_COLOURS = {"value": "#2e9e6b", "null": "#8a8f98", "blank": "#d9a441", "not there": "#c3c8cf"}
_KINDS = {"missing": "gone", "changed": "other type", "value": "new value", "new": "new field"}


def profile_charts(found: Profile) -> None:
    """Presence of the least complete fields, and which types and kinds of values there are."""
    gaps = sorted(found.fields, key=lambda field: field.present_share * field.filled_share)[:_SHOWN]
    left, right = st.columns(2, gap="medium")
    with left:
        st.caption(f"How often there is a value: the {len(gaps)} least complete fields")
        st.altair_chart(_presence_chart(gaps))
    with right:
        for title, counts in (("Types of values", types_of(found)), ("Kinds of values", formats_of(found))):
            st.caption(title)
            data = {"Kind": list(counts), "Fields": list(counts.values())}
            st.bar_chart(data, x="Kind", y="Fields", horizontal=True, height=80 + 26 * len(counts), alt=title)


def _presence_chart(fields: Sequence[FieldProfile]) -> alt.Chart:
    data = alt.Data(values=presence(fields))  # type: ignore[no-untyped-call]  # altair's own
    chart: alt.Chart = alt.Chart(data, height=28 * max(len(fields), 1)).mark_bar()
    encoded: alt.Chart = chart.encode(
        x=alt.X("Share:Q", stack=True, axis=alt.Axis(format="%", title=None)),
        y=alt.Y(
            "Field:N",
            sort=[field.path for field in fields],
            axis=alt.Axis(title=None, labelLimit=260, labelOverlap=False),
        ),
        color=alt.Color(
            "What:N",
            scale=alt.Scale(domain=list(_COLOURS), range=list(_COLOURS.values())),
            legend=alt.Legend(title=None, orient="top"),
        ),
        order=alt.Order("Order:Q"),
    )
    return encoded


def presence(fields: Sequence[FieldProfile]) -> list[dict[str, Any]]:
    """One row a field and state, shares of the records that could hold it."""
    found: list[dict[str, Any]] = []
    for field in fields:
        there = field.present_share
        shares = (field.filled_share * there, field.null_share * there, field.empty_share * there, 1.0 - there)
        for order, (what, share) in enumerate(zip(_COLOURS, shares, strict=True)):
            found.append({"Field": field.path, "What": what, "Share": round(share, 4), "Order": order})
    return found


def types_of(found: Profile) -> dict[str, int]:
    """Type -> fields that have it, the most frequent first."""
    return dict(Counter(name for field in found.fields for name in field.types).most_common())


def formats_of(found: Profile) -> dict[str, int]:
    """Recognised format -> fields that have it."""
    return dict(Counter(field.format or "text" for field in found.fields).most_common(12))


def drift_panel(work: Workspace, flow: str, records: Sequence[Mapping[str, Any]]) -> None:
    """What of the samples the mapping did not expect, and what it reads and did not come."""
    if flow not in work.names():
        st.caption("There is no mapping to compare with yet.")
        return
    drifts = find_drift(work.spec(flow), records, ())
    if not drifts:
        st.caption(":material/check_circle: The samples hold what the mapping reads, and nothing unexpected.")
        return
    rows = sorted(drifts, key=lambda row: (not row.parts, row.kind, row.path))
    st.caption("Fields that are gone or differ, with the parts that read them; then what is new.")
    st.dataframe(
        {
            "What": [_KINDS.get(row.kind, row.kind) for row in rows],
            "Path": [row.path for row in rows],
            "Detail": [row.detail for row in rows],
            "Read by": [listed(row.parts) for row in rows],
        },
        hide_index=True,
        width="stretch",
        height=38 + 35 * min(len(rows), 12),
        column_config={
            "What": st.column_config.TextColumn(width=90),
            "Path": st.column_config.TextColumn(width=280),
            "Detail": st.column_config.TextColumn(width=400),
            "Read by": st.column_config.TextColumn(width=380),
        },
        alt="How the samples differ from what the mapping reads",
    )
