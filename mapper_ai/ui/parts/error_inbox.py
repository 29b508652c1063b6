"""The error inbox: what is held or set aside, by cause, with the mend and what can be done about it."""

from __future__ import annotations

from typing import Any

import streamlit as st

from mapper_ai.services.operating import Operator
from mapper_ai.ui import session
from mapper_ai.ui.parts.frame import kept_errors, notice
from mapper_ai.ui.parts.tables import choose_row
from sync.aliases import KINDS, WAITING_FOR_A_NAME

_ALIASES = {"sku": "SKU", "method": "payment method"}
_STATES = {"dead": "set aside", "held": "held"}


def error_inbox(operator: Operator) -> None:
    """Draw it."""
    groups: list[dict[str, Any]] = operator.read("errors")
    if not groups:
        notice("success", "Nothing is held or set aside")
        return
    total = sum(group["count"] for group in groups)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(f"**{total} records, {len(groups)} causes**", width="content")
        if st.button("Try everything again", key="replay-all", icon=":material/replay:"):
            _do(operator, "Nothing was tried again", "replay", all=True)
    at = choose_row(
        {
            "Cause": [str(group["reason_id"]) for group in groups],
            "Kind": [_STATES.get(group["kind"], group["kind"]) for group in groups],
            "Count": [str(group["count"]) for group in groups],
            "Since": [_moment(group["oldest"]) for group in groups],
            "What helps": [str(group["mend"]) for group in groups],
        },
        key="error-groups",
        alt="Causes, the most frequent first",
        most=7,
    )
    group = groups[at or 0]
    with st.container(border=True):
        _group(operator, group)


def _group(operator: Operator, group: dict[str, Any]) -> None:
    reason, records = str(group["reason_id"]), group["records"]
    st.text(f"{reason}: {group['mend']}")
    at = choose_row(
        {
            "Record": [str(row["record"]) for row in records],
            "Since": [_moment(row["since"]) for row in records],
            "Reason": [str(row["reason"]) for row in records],
        },
        key=f"error-records-{reason}-{group['kind']}",
        alt=f"Records of the cause {reason}",
        most=6,
    )
    record = str(records[at or 0]["record"])
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        if st.button(f"Try all {len(records)} again", key="replay-cause", icon=":material/replay:", type="primary"):
            _do(operator, "Nothing was tried again", "replay", reason=reason)
        if st.button("Try this one again", key="replay-one", icon=":material/replay:", help=record):
            _do(operator, "It was not tried again", "replay", record=record)
        if st.button("Its whole story", key="open-story", icon=":material/history_edu:"):
            session.look_at("record", record)
            session.look_at("show", "Record")
            st.rerun()
        with st.popover("Do not post it", icon=":material/block:"):
            st.text(record)
            why = st.text_input("Why", key=f"skip-why-{record}", placeholder="booked by hand")
            if st.button("Skip it", key="skip-one", type="primary"):
                _do(operator, "It was not skipped", "skip", record=record, reason=why)
    if reason in WAITING_FOR_A_NAME:
        alias_form(operator)


def alias_form(operator: Operator) -> None:
    """Another name for a SKU or payment method; what waits for it is tried again."""
    with st.form("alias-form", border=False):
        st.caption("The shop calls it otherwise? Say what it stands for; the records that wait for it are tried again.")
        with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
            kind = st.selectbox("What", KINDS, format_func=_ALIASES.__getitem__, key="alias-kind", width=170)
            name = st.text_input("The shop's name", key="alias-name", width=220)
            target = st.text_input("Stands for", key="alias-target", width=220)
            pressed = st.form_submit_button("Remember and try again", icon=":material/save:")
    if pressed:
        _do(operator, "The name was not taken", "alias", kind=kind, name=name.strip(), target=target.strip())


def _do(operator: Operator, headline: str, deed: str, **body: Any) -> None:
    with kept_errors(headline):
        done = operator.do(deed, **body)
        count = len(done.get("replayed", ())) if isinstance(done, dict) else 0
        words = {
            "replay": f"{count} due again; the next run works on them",
            "alias": f"Remembered; {count} due again",
            "skip": "It is not posted, whatever its later events say, until it is tried again",
        }
        session.say_after_rerun(words.get(deed, "Done"))
    st.rerun()


def _moment(at: Any) -> str:
    return "" if at is None else f"{str(at)[:16].replace('T', ' ')} UTC"
