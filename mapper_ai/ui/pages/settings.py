"""Settings: the two connections, limits, the language model, masking, and who may do what."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import streamlit as st

from mapper_ai.services import connections as service
from mapper_ai.services.connections import Connection
from mapper_ai.ui import session
from mapper_ai.ui.parts.frame import header, kept_errors, notice, shown_errors
from mapper_ai.ui.parts.settings_parts import OTHER_PARTS, show_part
from sync.settings import Settings, load_settings

_PARTS = ("Connections", *OTHER_PARTS)
_BADGES: dict[str, tuple[Any, str]] = {
    "ok": ("green", ":material/check_circle:"),
    "untried": ("blue", ":material/help:"),
    "stopped": ("red", ":material/error:"),
    "reconnect": ("red", ":material/link_off:"),
    "not connected": ("gray", ":material/link_off:"),
}
_WORDS = {"ok": "connected", "untried": "not tried yet", "reconnect": "sign in again"}


def page() -> None:
    """Draw the page."""
    header("Settings", icon="settings")
    with shown_errors("The settings cannot be shown"):
        settings = load_settings()
        part = _part()
        if part != _PARTS[0]:
            show_part(part, settings)
            return
        mappings = session.surroundings().mappings
        found = service.connections(settings, mappings)
        for connection, place in zip(found, st.columns(2, gap="medium"), strict=True):
            with place, st.container(border=True, key=f"connection-{connection.system}"):
                _card(settings, connection, mappings)
        st.caption(
            "Client ids and secrets come from the environment of the app and the runner; tokens are kept encrypted in "
            "the runner's store. `mapper-sync auth` does the same on the command line."
        )


def _part() -> str:
    current = session.looked_at("show", list(_PARTS)) or _PARTS[0]

    def chosen() -> None:
        session.look_at("show", st.session_state["settings-part"])

    if st.session_state.get("settings-part") != current:
        st.session_state["settings-part"] = current
    st.segmented_control(
        "Part", _PARTS, key="settings-part", on_change=chosen, required=True, label_visibility="collapsed"
    )
    return current


def _card(settings: Settings, connection: Connection, mappings: Path) -> None:
    status, system = connection.status, connection.system
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(f"**{connection.title}**", width="content")
        colour, icon = _BADGES[status.state]
        st.badge(_WORDS.get(status.state, status.state), color=colour, icon=icon)
    if status.reason:
        notice("warning", "Work on this connection waits", status.reason)
    _facts(connection)
    for note in st.session_state.pop(f"notes-{system}", ()):
        notice("info", "Please note", note)
    if not connection.by_consent:
        _try(settings, connection)
        return
    _connect(settings, connection, mappings)
    if connection.signed_in:
        _signed_in(settings, connection)


def _facts(connection: Connection) -> None:
    status = connection.status
    account = status.account if not status.account_name else f"{status.account_name} ({status.account})"
    rows = {
        "How": None if status.method == "none" else status.method,
        "Connected as": status.person,
        "Account": account,
        "Access token until": _utc(status.expires_at),
        "Last renewed": _utc(status.renewed_at),
    }
    for label, value in rows.items():
        if value:
            left, right = st.columns([2, 5], gap="small", vertical_alignment="center")
            left.caption(label)
            right.text(value)
    if status.missing:
        notice("error", "The consent lacks scopes that the mappings need", "\n".join(status.missing))
    if status.scopes:
        with st.expander(f"{len(status.scopes)} scopes"):
            st.text("\n".join(status.scopes))


def _utc(at: str | None) -> str | None:
    return None if at is None else f"{at[:10]} {at[11:16]} UTC"


def _try(settings: Settings, connection: Connection) -> None:
    if connection.status.method == "none":
        st.caption(
            f"Not set up. Set {connection.system.upper()}_API_URL, _CLIENT_ID and _CLIENT_SECRET, or _API_KEY, in the "
            "environment."
        )
        return
    st.caption("The settings alone let the runner in; nobody has to consent.")
    if st.button("Try it", key=f"try-{connection.system}", icon=":material/network_check:"):
        with kept_errors(f"{connection.title} does not let us in"):
            found = service.try_connection(settings)
            session.say_after_rerun("It works")
            st.session_state[f"notes-{connection.system}"] = found.notes
        st.rerun()


def _connect(settings: Settings, connection: Connection, mappings: Path) -> None:
    system, title = connection.system, connection.title
    again = connection.signed_in
    if connection.status.method.endswith("of the settings"):
        st.caption("A token stands in the settings. A fixed access token goes before a sign-in: unset it first.")
    url = st.session_state.get(f"consent-{system}")
    if url is None:
        kind: Literal["primary", "secondary"] = (
            "secondary" if again and not connection.status.needs_reconnect else "primary"
        )
        if st.button(
            "Sign in again" if again else f"Connect {title}",
            key=f"begin-{system}",
            type=kind,
            icon=":material/login:",
        ):
            with kept_errors(f"{title} cannot be connected"):
                st.session_state[f"consent-{system}"] = service.authorize_url(settings, system, mappings)
            st.rerun()
        return
    st.markdown("1. Consent on the page of the other system.")
    st.link_button(f"Open {title}'s consent page", url, icon=":material/open_in_new:", type="primary")
    st.markdown(
        "2. The browser then shows a page that may well not load: what counts is its address. Copy it and paste it "
        "here within five minutes."
    )
    st.text_input(
        "Address or code",
        key=f"pasted-{system}",
        type="password",
        autocomplete="off",
        placeholder="https://localhost/callback?code=…",
        label_visibility="collapsed",
    )
    with st.container(horizontal=True, gap="small"):
        st.button(
            "Finish",
            key=f"finish-{system}",
            icon=":material/check:",
            on_click=_finish,
            args=(settings, connection, mappings),
        )
        st.button("Cancel", key=f"cancel-{system}", on_click=_forget, args=(system,))


def _finish(settings: Settings, connection: Connection, mappings: Path) -> None:
    system = connection.system
    pasted = str(st.session_state.pop(f"pasted-{system}", ""))  # a code does not stay in the session
    with kept_errors(f"{connection.title} is not connected"):
        found = service.connect(settings, system, pasted, mappings)
        _forget(system)
        st.session_state[f"notes-{system}"] = found.notes
        if found.account_id is None and found.accounts:
            st.session_state[f"accounts-{system}"] = found.accounts
        session.say_after_rerun(f"{connection.title} is connected")


def _forget(system: str) -> None:
    for name in ("consent", "pasted"):
        st.session_state.pop(f"{name}-{system}", None)


def _signed_in(settings: Settings, connection: Connection) -> None:
    system = connection.system
    with st.container(horizontal=True, gap="small"):
        if system == "freshbooks" and st.button("Choose account", key="accounts", icon=":material/domain:"):
            with shown_errors("The accounts cannot be read"):
                st.session_state[f"accounts-{system}"] = service.accounts(settings)
        with st.popover("Disconnect", icon=":material/link_off:"):
            st.markdown("The tokens are revoked and forgotten; work on this connection waits until somebody signs in.")
            local = st.checkbox("Forget them without asking the server", key=f"local-{system}")
            if st.button("Disconnect", key=f"disconnect-{system}", type="primary"):
                with kept_errors(f"{connection.title} is still connected"):
                    session.say_after_rerun(service.disconnect(settings, system, local=local))
                st.rerun()
    choices = st.session_state.get(f"accounts-{system}")
    if choices:
        _choose(settings, choices, connection.status.account)


def _choose(settings: Settings, choices: Sequence[Any], current: str | None) -> None:
    names = {choice.account_id: f"{choice.name} ({choice.account_id})" for choice in choices}
    wanted = st.selectbox(
        "Account",
        list(names),
        key="account",
        index=list(names).index(current) if current in names else 0,
        format_func=names.__getitem__,
    )
    if st.button("Use this account", key="use-account", type="primary", icon=":material/check:"):
        with kept_errors("The account was not chosen"):
            found = service.choose(settings, wanted)
            st.session_state.pop("accounts-freshbooks", None)
            st.session_state["notes-freshbooks"] = found.notes
            session.say_after_rerun("The account is chosen")
        st.rerun()


if __name__ == "__main__":
    page()
