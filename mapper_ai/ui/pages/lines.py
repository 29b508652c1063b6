"""Lines & look-ups: which list becomes which, what is added to it, and the tables that translate codes."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from mapper_ai.services.lookups import Lookup
from mapper_ai.services.words import block_in_words
from mapper_ai.services.workspace import TargetRow, Workspace
from mapper_ai.ui import session
from mapper_ai.ui.parts.frame import PAGES, choose_started_flow, header, kept_errors, shown_errors
from mapper_ai.ui.parts.rows import STATE_WORDS
from mapper_ai.ui.parts.values import shortened
from mapspec import MappingSpec
from mapspec.model import ListBlock, TableRule

_MISSING = {
    "hold": "the record is held",
    "default": "it becomes the usual value",
    "keep": "it stays as it is",
    "absent": "the field stays empty",
}


def page() -> None:
    """Draw the page."""
    header("Lines & look-ups", icon="table_rows")
    with shown_errors("The lists cannot be shown"):
        work = session.workspace()
        started = choose_started_flow(work)
        if started is None:
            return
        flow, _ = started
        spec = work.spec(flow)
        lists, tables = st.tabs(["Lists", "Look-up tables"], key="lines-tabs")
        with lists:
            _lists(flow, spec, work.rows(flow))
        with tables:
            _tables(work, flow)


def _lists(flow: str, spec: MappingSpec, rows: Sequence[TargetRow]) -> None:
    blocks = spec.blocks()
    if not blocks:
        st.caption("This flow fills no list.")
    for target, block in blocks.items():
        with st.container(border=True, key=f"list-{target}"):
            _list(flow, target, block, [row for row in rows if row.part.startswith(f"{target}.")])
    stepped = [step for step in spec.flow if step.each is not None]
    if stepped:
        st.markdown("**Steps that run once for each element**")
        for step in stepped:
            what = step.target or step.entity or step.id
            st.text(f"{step.each.source_path() if step.each else ''}  →  one {what} each")


def _list(flow: str, target: str, block: ListBlock, rows: Sequence[TargetRow]) -> None:
    left, right = st.columns([5, 1], vertical_alignment="center")
    left.code(f"{block.each.source_path()}  →  {target}", language=None)
    if right.button("Review", key=f"review-{target}", width="stretch", icon=":material/fact_check:"):
        st.switch_page(PAGES["review"], query_params={"flow": flow, "part": target, "filter": "All"})
    st.text(block_in_words(target, block))
    if block.money is not None and block.money.charges:
        st.caption("Lines of their own, after those of the list")
        st.dataframe(
            {
                "Line": [charge.name for charge in block.money.charges],
                "Amount": [charge.amount.text for charge in block.money.charges],
                "Tax": ["" if charge.tax is None else charge.tax.text for charge in block.money.charges],
            },
            hide_index=True,
            width="stretch",
            alt="Lines that are added",
        )
    st.caption("Fields of each element")
    st.dataframe(
        {
            "Field": [row.part.removeprefix(f"{target}.") for row in rows],
            "Source": [", ".join(row.sources) for row in rows],
            "Steps": [shortened(row.words, 90) for row in rows],
            "State": [STATE_WORDS[row.state] for row in rows],
        },
        hide_index=True,
        width="stretch",
        height=38 + 35 * min(len(rows), 12),
        column_config={
            "Field": st.column_config.TextColumn(width=140),
            "Source": st.column_config.TextColumn(width=300),
            "Steps": st.column_config.TextColumn(width=520),
            "State": st.column_config.TextColumn(width=90),
        },
        alt=f"Fields of {target}",
    )


def _tables(work: Workspace, flow: str) -> None:
    found = work.lookups(flow)
    if not found:
        st.caption("This flow looks nothing up.")
        return
    st.caption("Keys are compared without case. A changed table turns the parts that use it back to «to decide».")
    for entry in sorted(found, key=lambda entry: (not entry.unmatched, not entry.used_by)):
        _table(flow, entry)


def _table(flow: str, entry: Lookup) -> None:
    name, table = entry.name, entry.table
    unmatched = f" · values of the samples without a row: {len(entry.unmatched)}" if entry.unmatched else ""
    title = f"{name.replace('_', ' ')} · {len(table.rows)} rows{unmatched}"
    with st.expander(title, key=f"table-{name}", expanded=bool(entry.unmatched)):
        used = ", ".join(entry.used_by) or "the pricing of the lines, or nothing"
        st.text(
            f"Used by: {used}. Without a row, {_MISSING[table.missing]}"
            + (f", «{table.default}»." if table.default is not None else ".")
        )
        left, right = st.columns(2, gap="medium")
        with left:
            _rows(flow, entry)
        with right:
            for row in entry.unmatched[:8]:
                with st.container(horizontal=True, vertical_alignment="center", gap="small"):
                    st.text(f"{shortened(row.key, 40)} (×{row.count})")
                    if row.proposed:
                        st.button(
                            "Take",
                            key=f"take-{name}-{row.key}",
                            on_click=_put,
                            args=(flow, entry, row.key, row.proposed),
                        )
                        st.text(f"→ {shortened(row.proposed, 40)}")
            _form(flow, entry)


def _rows(flow: str, entry: Lookup) -> None:
    rows = list(entry.table.rows.items())
    if not rows:
        st.caption("No rows yet.")
        return
    key = f"rows-{entry.name}-{len(rows)}"
    state = st.dataframe(
        {"Value of the source": [row[0] for row in rows], "Becomes": [row[1] for row in rows]},
        key=key,
        on_select="rerun",
        selection_mode="multi-row",
        hide_index=True,
        width="stretch",
        height=38 + 35 * min(len(rows), 8),
        alt=f"Rows of {entry.name}",
    )
    chosen = [rows[at][0] for at in state["selection"]["rows"] if at < len(rows)]
    if chosen:
        st.button(
            f"Remove {len(chosen)}",
            key=f"remove-{entry.name}",
            icon=":material/delete:",
            on_click=_remove,
            args=(flow, entry, chosen),
        )


def _form(flow: str, entry: Lookup) -> None:
    name = entry.name
    first = entry.unmatched[0].key if entry.unmatched else ""
    with st.form(f"row-{name}", clear_on_submit=True, border=False):
        left, right = st.columns(2)
        key = left.text_input("Value of the source", value=first, key=f"key-{name}")
        if entry.allowed:
            value = right.selectbox("Becomes", entry.allowed, key=f"value-{name}")
        else:
            value = right.text_input("Becomes", key=f"value-{name}")
        if st.form_submit_button("Add or change", icon=":material/add:"):
            _put(flow, entry, key.strip(), str(value or "").strip())
            st.rerun()


def _put(flow: str, entry: Lookup, key: str, value: str) -> None:
    if not key or not value:
        session.say_after_rerun("Give both: the value, and what it becomes", icon=":material/info:")
        return
    rows = {known: old for known, old in entry.table.rows.items() if known.casefold() != key.casefold()}
    _save(flow, entry, {**rows, key: value})


def _remove(flow: str, entry: Lookup, keys: Sequence[str]) -> None:
    _save(flow, entry, {key: value for key, value in entry.table.rows.items() if key not in keys})


def _save(flow: str, entry: Lookup, rows: dict[str, str]) -> None:
    with kept_errors("The table cannot be changed"):
        table = TableRule(rows=rows, missing=entry.table.missing, default=entry.table.default)
        session.workspace().set_table(flow, entry.name, table, was=entry.table, by=session.surroundings().user)
        session.say_after_rerun("Table changed; the parts that use it are to be decided again")


if __name__ == "__main__":
    page()
