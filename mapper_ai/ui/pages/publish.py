"""Diff & publish: what the drafts mean against the base, who has to approve, and how they get there."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import streamlit as st

from mapper_ai.services import publishing
from mapper_ai.services.publishing import Change, Ground
from mapper_ai.services.workspace import Workspace
from mapper_ai.ui import session
from mapper_ai.ui.parts.changing import count_words, risk_words, show_change
from mapper_ai.ui.parts.frame import PAGES, flow_title, header, kept_errors, notice, shown_errors

_TABLE = "publish-table"
_DONE = "published"
_FILE, _BRANCH, _PATCH = "Save the files", "Commit on a branch", "Download a patch"


def page() -> None:
    """Draw the page."""
    header("Diff & publish", icon="publish")
    with shown_errors("The changes cannot be shown"):
        found = session.surroundings()
        ground = publishing.ground_of(found.mappings)
        work = session.workspace()
        rows = publishing.changes(work, ground, by=found.user, today=datetime.now(UTC).date())
        if not rows:
            notice("info", "There is no mapping yet. Choose samples first.")
            if st.button("Choose samples", type="primary", icon=":material/data_object:"):
                st.switch_page(PAGES["samples"])
            return
        _intro(ground)
        left, right = st.columns([3, 2], gap="medium")
        with left:
            chosen = _table(rows)
        with right:
            _publish(work, rows, ground, found.user)
        st.markdown(f"**What changes: {flow_title(chosen.flow)}**")
        show_change(chosen)


def _intro(ground: Ground) -> None:
    if ground.kind == "git":
        text = f"Compared with `{ground.name}` ({ground.commit[:10]}) by the engine of `mapper review`."
    else:
        text = "The mappings lie in no git repository: compared with the saved files, by the engine of `mapper review`."
    if ground.policy.four_eyes:
        text += " Whoever changed a part does not approve it: four eyes are asked for."
    st.caption(text)


def _table(rows: Sequence[Change]) -> Change:
    names = [row.flow for row in rows]
    differing = [row.flow for row in rows if _differs(row)]
    at = names.index(session.looked_at("flow", names) or (differing or names)[0])
    if (st.session_state.get(_TABLE) or {}).get("selection", {}).get("rows") != [at]:
        st.session_state[_TABLE] = {"selection": {"rows": [at], "columns": [], "cells": []}}

    def selected() -> None:
        chosen = st.session_state[_TABLE]["selection"]["rows"]
        if chosen and chosen[0] < len(names):
            session.look_at("flow", names[chosen[0]])

    st.dataframe(
        {
            "Mapping": [flow_title(name) for name in names],
            "Change": [count_words(row) for row in rows],
            "Risk": [risk_words(row.review) or "—" for row in rows],
            "To approve": [_open_words(row) for row in rows],
            "File": ["saved" if row.saved else "not saved" for row in rows],
        },
        key=_TABLE,
        on_select=selected,
        selection_mode="single-row-required",
        hide_index=True,
        width="stretch",
        column_config={
            "Mapping": st.column_config.TextColumn(width=205),
            "Change": st.column_config.TextColumn(width=160),
            "Risk": st.column_config.TextColumn(width=90),
            "To approve": st.column_config.TextColumn(width=120),
            "File": st.column_config.TextColumn(width=80),
        },
        alt="Mappings and what changes in them",
    )
    return rows[at]


def _open_words(row: Change) -> str:
    count = len(row.waiting)
    told = [f"{count} part{'s' if count > 1 else ''}"] if count else []
    told += [f"{len(row.second)} by another"] if row.second else []
    return ", ".join(told) or "nothing"


def _differs(row: Change) -> bool:
    return bool(row.error) or row.old != row.new or not row.saved


def _publish(work: Workspace, rows: Sequence[Change], ground: Ground, user: str) -> None:
    with st.container(border=True):
        st.markdown("**Publish**")
        done = st.session_state.get(_DONE)
        if done is not None:
            notice("success", *done)
        usable = {row.flow: row for row in rows if not row.error and _differs(row)}
        if not usable:
            st.caption("Everything is published as it stands. Decide something on the Review page, and it shows here.")
            if st.button("Review", key="to-review", icon=":material/rate_review:"):
                st.switch_page(PAGES["review"])
            return
        names = list(usable)
        picked = st.pills(
            "Mappings",
            names,
            default=names,
            selection_mode="multi",
            format_func=flow_title,
            key=f"publish-these-{'-'.join(names)}",
        )
        chosen = [usable[name] for name in picked]
        if not chosen:
            st.caption("Choose at least one mapping.")
            return
        _blocked(chosen)
        ways = [_FILE, _BRANCH, _PATCH] if ground.kind == "git" else [_FILE, _PATCH]
        way = st.segmented_control("How", ways, default=ways[0], required=True, key="publish-how")
        if way == _FILE:
            _save(work, chosen)
        elif way == _BRANCH:
            _commit(work, chosen, ground, user)
        else:
            _download(chosen)
        _text(chosen, ground)


def _blocked(chosen: Sequence[Change]) -> None:
    waiting = [row for row in chosen if row.waiting]
    if waiting:
        parts = [f"{row.flow}: {part}" for row in waiting for part in row.waiting]
        shown = parts[:8] + ([f"and {len(parts) - 8} more"] if len(parts) > 8 else [])
        notice("warning", "Not approved yet; the runner refuses it until it is", "\n".join(shown))
        if st.button("Decide them", key="decide", icon=":material/rate_review:"):
            st.switch_page(PAGES["review"], query_params={"flow": waiting[0].flow})
    second = [f"{row.flow}, {found.part}: {found.message}" for row in chosen for found in row.second]
    if second:
        notice("warning", "Another person has to approve", "\n".join(second))


def _save(work: Workspace, chosen: Sequence[Change]) -> None:
    blocked = any(row.blocked for row in chosen)
    st.caption("Writes the files that the runner reads. What runs is the approved version that stands there.")
    if st.button(
        "Save YAML",
        key="save",
        type="primary",
        icon=":material/save:",
        disabled=blocked or all(row.saved for row in chosen),
    ):
        with kept_errors("The mappings were not saved"):
            paths = publishing.save_files(work, [row for row in chosen if not row.saved])
            st.session_state[_DONE] = ("Saved. The runner reads these files.", "\n".join(map(str, paths)))
        st.rerun()
    if all(row.saved for row in chosen):
        st.caption("The files hold the drafts as they stand.")
        if st.button("Try or run it", key="to-runs", icon=":material/play_circle:"):
            st.switch_page(PAGES["runs"])


def _commit(work: Workspace, chosen: Sequence[Change], ground: Ground, user: str) -> None:
    st.caption("Only these mappings go there. Your working files, other changes and branches stay as they are.")
    usual = f"mapping/{chosen[0].flow}-v{chosen[0].version}" if len(chosen) == 1 else "mapping/drafts"
    branch = st.text_input("Branch", usual, key=f"branch-{usual}")
    title = publishing.title_of(chosen)
    message = st.text_input("Message", title, key=f"message-{title}")
    author = publishing.author_of(ground, user)
    st.text(f"Author: {author.name} <{author.email}>")
    if st.button("Commit", key="commit", type="primary", icon=":material/commit:"):
        with kept_errors("Nothing was committed"):
            made = publishing.commit(work, chosen, ground, branch=branch.strip(), by=user, message=message)
            told = f"{made[:10]} on {branch.strip()}\ngit push -u origin {branch.strip()}"
            st.session_state[_DONE] = ("Committed. Push it, and open a pull request with the text below.", told)
        st.rerun()


def _download(chosen: Sequence[Change]) -> None:
    st.caption("For `git apply` in a clone that stands at the base.")
    name = f"{chosen[0].flow}.patch" if len(chosen) == 1 else "mappings.patch"
    st.download_button(
        "Download the patch",
        publishing.patch_of(chosen).encode("utf-8", "replace"),
        file_name=name,
        mime="text/x-diff",
        on_click="ignore",
        type="primary",
        icon=":material/download:",
    )


def _text(chosen: Sequence[Change], ground: Ground) -> None:
    text = publishing.pull_request(chosen, ground)
    with st.expander("Text of the pull request", icon=":material/description:"):
        st.code(text.title, language=None, wrap_lines=True)
        st.code(text.body, language="markdown", wrap_lines=True, height=320)


if __name__ == "__main__":
    page()
