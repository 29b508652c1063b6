"""Decisions: what proposals learn from and what the runner was told about names; how it is found and forgotten."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import streamlit as st

from mapper_ai.errors import MapperError
from mapper_ai.services.decisions import DecisionRow, DecisionStore, found_in
from mapper_ai.services.operating import NoStore, Operator
from mapper_ai.services.studio_config import decisions_file
from mapper_ai.ui import session
from mapper_ai.ui.parts.error_inbox import alias_form
from mapper_ai.ui.parts.frame import PAGES, header, kept_errors, notice, shown_errors
from mapper_ai.ui.parts.values import cell, shortened
from sync.errors import SyncError

_TABLE, _NAMES = "decisions-table", "names-table"
_WORDS = {"accept": "accepted", "reject": "rejected", "edit": "chosen"}
_COLOURS: dict[str, Any] = {"accept": "green", "reject": "red", "edit": "blue"}
_KINDS = {"sku": "SKU", "method": "payment method"}


def page() -> None:
    """Draw the page."""
    header("Decisions", icon="history")
    with shown_errors("The decisions cannot be shown"):
        store = DecisionStore(decisions_file())
        _pairs(store, list(reversed(store.rows())))
    st.divider()
    _names()


def _pairs(store: DecisionStore, rows: list[DecisionRow]) -> None:
    st.markdown("**Learned from reviews**")
    _undo("forgotten", "Bring back the forgotten ones", lambda kept: store.restore(kept))
    if not rows:
        notice("info", "Nothing was decided yet. What you accept and reject in the review is remembered here.")
        if st.button("Go to review", type="primary", icon=":material/fact_check:"):
            st.switch_page(PAGES["review"])
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        wanted = st.text_input(
            "Search",
            key="decisions-search",
            placeholder="field, person, flow, reason",
            icon=":material/search:",
            label_visibility="collapsed",
            width=320,
        )
        for action, count in Counter(row.action for row in rows).items():
            st.badge(f"{count} {_WORDS[action]}", color=_COLOURS[action])
        st.caption("The next proposal of the same kind of record begins with these.", width="content")
    found = found_in(rows, wanted)
    chosen = [found[at] for at in _selected(_TABLE) if at < len(found)]
    st.button(
        f"Forget {len(chosen)} chosen" if chosen else "Forget chosen ones",
        key="forget",
        icon=":material/delete:",
        disabled=not chosen,
        on_click=_forget,
        args=(store, chosen),
    )
    if not found:
        st.caption("No decision has these words.")
        return
    st.dataframe(
        {
            "When": [f"{row.at:%Y-%m-%d %H:%M}" for row in found],
            "Who": [row.person for row in found],
            "What": [_WORDS[row.action] for row in found],
            "Source": [shortened(cell(" + ".join(row.sources)), 48) for row in found],
            "Target": [row.target for row in found],
            "Mapping": [row.flow.rpartition("/")[2] for row in found],
            "Reason": [shortened(cell(row.reason or None), 36) for row in found],
        },
        key=_TABLE,
        on_select="rerun",
        selection_mode="multi-row",
        hide_index=True,
        width="stretch",
        height=38 + 35 * min(len(found), 12),
        column_config={
            "When": st.column_config.TextColumn(width=130),
            "Who": st.column_config.TextColumn(width=100),
            "What": st.column_config.TextColumn(width=80),
            "Source": st.column_config.TextColumn(width=320),
            "Target": st.column_config.TextColumn(width=160),
            "Mapping": st.column_config.TextColumn(width=150),
            "Reason": st.column_config.TextColumn(width=230),
        },
        alt="Decisions, newest first",
    )


def _forget(store: DecisionStore, rows: Sequence[DecisionRow]) -> None:
    with kept_errors("They are still remembered"):
        gone = store.forget([row.number for row in rows])
        st.session_state.pop(_TABLE, None)  # the rows below have moved up
        st.session_state["forgotten"] = list(rows)
        session.say_after_rerun(f"{gone} forgotten; proposals no longer learn from them", icon=":material/delete:")


def _names() -> None:
    st.markdown("**Other names the runner was told**")
    with shown_errors("The names cannot be shown"):
        try:
            operator = session.operator()
            rows: list[dict[str, Any]] = operator.read("aliases")
        except NoStore:
            st.caption("The runner has not worked yet. A SKU or payment method that it does not know is named here.")
            return
        _undo("removed-names", "Bring back the removed ones", lambda kept: _tell_again(operator, kept))
        _names_table(operator, rows)
        alias_form(operator)


def _names_table(operator: Operator, rows: Sequence[dict[str, Any]]) -> None:
    if not rows:
        st.caption("None yet: every name that came is known by its mapping or by FreshBooks.")
        return
    chosen = [rows[at] for at in _selected(_NAMES) if at < len(rows)]
    st.button(
        f"Remove {len(chosen)} chosen" if chosen else "Remove chosen ones",
        key="remove-names",
        icon=":material/delete:",
        disabled=not chosen,
        on_click=_remove,
        args=(operator, chosen),
    )
    st.dataframe(
        {
            "Kind": [_KINDS.get(row["kind"], row["kind"]) for row in rows],
            "The shop's name": [row["name"] for row in rows],
            "Stands for": [row["target"] for row in rows],
            "Who": [row["by"] for row in rows],
            "When": [str(row["at"])[:16].replace("T", " ") for row in rows],
        },
        key=_NAMES,
        on_select="rerun",
        selection_mode="multi-row",
        hide_index=True,
        width="stretch",
        height=38 + 35 * min(len(rows), 8),
        alt="Other names, by kind",
    )


def _remove(operator: Operator, rows: Sequence[dict[str, Any]]) -> None:
    with kept_errors("They are still known"):
        for row in rows:
            operator.do("alias", kind=row["kind"], name=row["name"])
        st.session_state.pop(_NAMES, None)
        st.session_state["removed-names"] = list(rows)
        session.say_after_rerun("Removed; the names mean themselves again", icon=":material/delete:")


def _tell_again(operator: Operator, rows: Sequence[dict[str, Any]]) -> None:
    for row in rows:
        operator.do("alias", kind=row["kind"], name=row["name"], target=row["target"])


def _undo(kept: str, words: str, bring_back: Any) -> None:
    """A button as long as this session knows what was taken away; nothing of it is on disk."""
    rows = st.session_state.get(kept)
    if not rows:
        return

    def back() -> None:
        try:
            bring_back(rows)
        except (MapperError, SyncError) as error:
            st.session_state["problem"] = ("error", "They did not come back", str(error))
            return
        st.session_state.pop(kept, None)
        session.say_after_rerun("They are back", icon=":material/undo:")

    st.button(f"{words} ({len(rows)})", key=f"undo-{kept}", icon=":material/undo:", on_click=back)


def _selected(key: str) -> list[int]:
    state = st.session_state.get(key) or {}
    found: list[int] = state.get("selection", {}).get("rows", [])
    return found


if __name__ == "__main__":
    page()
