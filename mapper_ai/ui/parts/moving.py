"""The data on its way: which objects of the source fill which objects of the target, as a Sankey diagram."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import streamlit as st

from mapper_ai.services.workspace import TargetRow

_GREEN, _ORANGE, _GREY = "#2e9e6b", "#d9822b", "#8a8f98"


def flows_of(rows: Sequence[TargetRow]) -> list[tuple[str, str, int, int]]:
    """(source object, target object, fields, how many of them are approved), the biggest first."""
    fields: Counter[tuple[str, str]] = Counter()
    approved: Counter[tuple[str, str]] = Counter()
    for row in rows:
        if row.part == "flow" or row.state in ("unmapped", "rejected") or row.part.startswith("values."):
            continue
        sources = {_object(path) for path in row.sources} or {"fixed values"}
        for source in sources:
            key = (source, _object(row.part, of_target=True))
            fields[key] += 1
            approved[key] += row.state == "approved"
    return [(*key, count, approved[key]) for key, count in fields.most_common()]


def moving(rows: Sequence[TargetRow]) -> None:
    """Draw the picture, and the same as a table for whoever cannot see it."""
    found = flows_of(rows)
    if not found:
        st.caption("No field has a source yet.")
        return
    st.caption("As thick as there are fields. Green: all approved. Orange: something is to be decided.")
    st.echarts_chart(sankey(found), height=min(680, 120 + 26 * len(found)), alt="Source objects and what they fill")
    with st.expander("As a table"):
        st.dataframe(
            {
                "From": [row[0] for row in found],
                "To": [row[1] for row in found],
                "Fields": [row[2] for row in found],
                "Approved": [row[3] for row in found],
            },
            hide_index=True,
            width="stretch",
            alt="Source objects and what they fill",
        )


def sankey(found: Sequence[tuple[str, str, int, int]]) -> dict[str, Any]:
    """Options of the chart. Names of both sides are kept apart, for a circle is no Sankey diagram."""
    left = dict.fromkeys(f"{row[0]} " for row in found)
    right = dict.fromkeys(row[1] for row in found)
    return {
        "animation": False,
        "tooltip": {"trigger": "item"},
        "series": [
            {
                "type": "sankey",
                "left": 8,
                "right": 150,
                "nodeGap": 12,
                "emphasis": {"focus": "adjacency"},
                "data": [{"name": name, "itemStyle": {"color": _GREY}} for name in (*left, *right)],
                "links": [
                    {
                        "source": f"{source} ",
                        "target": target,
                        "value": count,
                        "lineStyle": {"color": _GREEN if done == count else _ORANGE, "opacity": 0.45},
                    }
                    for source, target, count, done in found
                ],
            }
        ],
    }


def _object(path: str, *, of_target: bool = False) -> str:
    """The object a field stands in: `lineItems[]`, `customer`, `order` for the record itself."""
    head, _, rest = path.partition(".")
    if of_target:
        inner = rest.partition("[]")
        return f"{head}.{inner[0]}[]" if inner[1] else head
    return head if rest or head.endswith("[]") else "the record"
