"""One record's whole story, from the webhook to the invoice, with the mapping behind it."""

from __future__ import annotations

from typing import Any

import streamlit as st

from mapper_ai.services.operating import Operator
from mapper_ai.services.stories import bodies, moments
from mapper_ai.ui import session
from mapper_ai.ui.parts.frame import kept_errors, shown_errors
from mapper_ai.ui.parts.tables import show_table
from mapper_ai.ui.parts.values import exact_json

_DECISIONS = {"go": "to post", "hold": "held", "wait": "waiting", "skip": "skipped"}


def record_story(operator: Operator) -> None:
    """A field to look for a record, and its story."""
    known = str(st.query_params.get("record") or st.session_state.get("at-record") or "")
    if st.session_state.get("record-known") != known:
        st.session_state["record-known"] = known
        st.session_state["record-wanted"] = known

    def looked_for() -> None:
        session.look_at("record", st.session_state["record-wanted"].strip() or None)

    st.text_input(
        "Order number, or record",
        key="record-wanted",
        on_change=looked_for,
        placeholder="WEB-26-10045, or order:10045",
        width=380,
    )
    record = str(st.session_state["record-wanted"]).strip()
    if not record:
        st.caption("Type an order number, or choose a record in the error inbox.")
        return
    with shown_errors("There is no such story"):
        told = operator.story(record, _payload())
        _told(operator, told)


def _payload() -> Any:
    return {"Masked": "masked", "As it is": "whole"}.get(str(st.session_state.get("story-payload")), "none")


def _told(operator: Operator, told: dict[str, Any]) -> None:
    number = f" · {told['number']}" if told["number"] else ""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.text(f"{told['record']}{number}", width="content")
        for name in told["mappings"].values():
            st.badge("mapping", color="gray", icon=":material/rule:")
            st.text(name, width="content")
        if st.button("Try it again", key="story-replay", icon=":material/replay:"):
            with kept_errors("It was not tried again"):
                operator.do("replay", record=told["record"])
                session.say_after_rerun("Due again; the next run works on it")
            st.rerun()
    _related(told["related"])
    found = moments(told)
    show_table(
        {
            "When": [moment.at.replace("T", " ").replace("+00:00", " UTC") for moment in found],
            "What": [moment.what for moment in found],
            "Details": [f"{moment.text} → {moment.mend}" if moment.mend else moment.text for moment in found],
        },
        alt="What happened to the record, in order",
        most=14,
    )
    _plan(told["plan"])
    st.segmented_control(
        "Payloads",
        ["Hidden", "Masked", "As it is"],
        default="Hidden",
        required=True,
        key="story-payload",
        help="Showing values as they are is written into the audit, with your name.",
    )
    shown = bodies(told)
    if _payload() != "none" and not shown:
        st.caption("The payloads were erased after the time for keeping them.")
    for name, body in shown:
        with st.expander(name):
            st.code(exact_json(body), language="json", height=320)


def _related(keys: list[str]) -> None:
    """Records of the same number: an order's payments."""
    if not keys:
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.caption("Of the same number", width="content")
        for key in keys:
            if st.button(key, key=f"related-{key}", type="tertiary", icon=":material/link:"):
                session.look_at("record", key)
                st.rerun()


def _plan(plan: dict[str, Any] | None) -> None:
    if plan is None:
        return
    st.markdown("**What the approved mapping makes of it now**")
    reasons = "; ".join(f"{row['id']}: {row['message']}" for row in plan.get("reasons", ()))
    decision = _DECISIONS.get(plan["decision"], plan["decision"])
    st.text(f"{decision}{': ' + reasons if reasons else ''}")
    actions = plan.get("actions", ())
    if actions:
        show_table(
            {
                "Do": [str(row["do"]).replace("_", " ") for row in actions],
                "What": [str(row["entity"]) for row in actions],
                "Record": [str(row["key"]) for row in actions],
                "Total": [f"{row['total'] or ''} {row['currency'] or ''}".strip() for row in actions],
            },
            alt="Planned steps",
        )
