"""A table of the Runs page: texts in columns of known widths, wrapped where they are long."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from mapper_ai.ui.parts.values import cell, shortened

_ROW, _WRAPPED = 35, 66  # from 65 px on, Streamlit wraps text in cells
_PIXELS_A_SIGN = 6.6
_WRAPPED_LINES = 2.6

WIDTHS = {
    "What": 120,
    "How many": 220,
    "Sums": 520,
    "Record": 230,
    "Kind": 90,
    "Reason": 560,
    "SKU": 180,
    "Records": 680,
    "Cause": 190,
    "Count": 70,
    "Since": 190,
    "What helps": 620,
    "When": 200,
    "Details": 800,
    "Who": 160,
    "Took": 110,
    "Result": 720,
    "Remark": 460,
    "About": 220,
    "Group": 130,
    "Setting": 320,
    "Value": 480,
    "Set by": 240,
    "Field or check": 210,
    "Must be": 250,
    "Pass": 55,
    "Empty": 65,
    "Warn": 60,
    "Fail": 55,
    "First of them": 480,
    "Step": 230,
    "Sample": 150,
    "Do": 160,
    "Key": 190,
    "Total": 110,
}


def show_table(table: Mapping[str, Sequence[str]], *, alt: str, nothing: str = "", most: int = 8) -> None:
    """Draw it; `nothing` stands there instead of an empty one."""
    rows = len(next(iter(table.values())))
    if not rows:
        if nothing:
            st.caption(nothing)
        return
    fitted, height = _fitted(table)
    st.dataframe(
        fitted,
        hide_index=True,
        width="stretch",
        row_height=height,
        height=38 + height * min(rows, most if height == _ROW else max(4, most - 2)),
        column_config=_columns(table),
        alt=alt,
    )


def choose_row(
    table: Mapping[str, Sequence[str]], *, key: str, alt: str, most: int = 8, wrap: bool = True
) -> int | None:
    """Draw a table of which a row is chosen; its position, None without rows."""
    rows = len(next(iter(table.values())))
    if not rows:
        return None
    fitted, height = _fitted(table, wrap=wrap)
    state = st.dataframe(
        fitted,
        key=key,
        on_select="rerun",
        selection_mode="single-row-required",
        hide_index=True,
        width="stretch",
        row_height=height,
        height=38 + height * min(rows, most if height == _ROW else max(4, most - 2)),
        column_config=_columns(table),
        alt=alt,
    )
    chosen = state["selection"]["rows"]
    return chosen[0] if chosen and chosen[0] < rows else 0


def _fitted(table: Mapping[str, Sequence[str]], *, wrap: bool = True) -> tuple[dict[str, list[str]], int]:
    """Texts cut to what their cells hold, and the height of a row."""
    room = {name: int(WIDTHS.get(name, 200) / _PIXELS_A_SIGN) for name in table}
    long = wrap and any(len(text) > room[name] for name, texts in table.items() for text in texts)
    lines = _WRAPPED_LINES if long else 1
    fitted = {
        name: [shortened(cell(text or None), int(room[name] * lines)) for text in texts]
        for name, texts in table.items()
    }
    return fitted, _WRAPPED if long else _ROW


def _columns(table: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    return {name: st.column_config.TextColumn(width=WIDTHS.get(name, 200)) for name in table}
