"""What a page works with: the workspace on disk, the person at the screen, the flow and part looked at.

The session keeps only what is looked at, and the address bar repeats it, so that a reload shows the same place.
"""

from __future__ import annotations

import getpass
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

import streamlit as st

from mapper_ai.services.operating import Operator, open_operator
from mapper_ai.services.reconciliation import Reconciler
from mapper_ai.services.runner_control import RunnerControl
from mapper_ai.services.studio_config import decisions_file, studio_policy, workspace_root
from mapper_ai.services.workspace import Workspace
from mapper_ai.ui import identity
from sync.errors import SettingsError
from sync.settings import DEFAULT_STORE_URL, load_settings

_PROJECT = Path(__file__).resolve().parents[2]
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


@dataclass(frozen=True)
class Surroundings:
    """Where the app finds things; all from environment variables.

    Attributes:
        root: Drafts, samples and runner jobs (MAPPER_WORKSPACE, default ./.mapper).
        mappings: Folder of mapping files (MAPPER_MAPPINGS, default mappings/clarity-freshbooks).
        samples: Built-in sample files (MAPPER_SAMPLES, default fixtures/clarity of the project); None when absent.
        user: Who approves (MAPPER_USER, else the name of the operating system's user).
    """

    root: Path
    mappings: Path
    samples: Path | None
    user: str

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> Surroundings:
        """From the environment; nothing is created."""
        mappings = _first_folder(environ.get("MAPPER_MAPPINGS"), "mappings/clarity-freshbooks")
        samples = _first_folder(environ.get("MAPPER_SAMPLES"), "fixtures/clarity")
        return cls(
            root=workspace_root(environ),
            mappings=mappings,
            samples=samples if samples.is_dir() else None,
            user=environ.get("MAPPER_USER", "").strip() or _system_user(),
        )


def surroundings() -> Surroundings:
    """Of this process, with the person of this session where people sign in."""
    found = Surroundings.read(os.environ)
    return replace(found, user=identity.signed_in_as()) if identity.required() else found


def workspace() -> Workspace:
    """The workspace as it stands on disk."""
    found = surroundings()
    return Workspace.open(found.root, mappings=found.mappings, decisions=decisions_file(), policy=studio_policy())


def runner() -> RunnerControl:
    """The runner jobs of the workspace."""
    found = surroundings()
    return RunnerControl(found.root / "jobs", found.mappings)


def operator() -> Operator:
    """The runner's admin API, or its store."""
    return open_operator(surroundings().user)


def reconciler() -> Reconciler:
    """The comparisons of the workspace."""
    found = surroundings()
    return Reconciler(found.root, found.mappings)


def sandbox_page() -> str | None:
    """Address of the FreshBooks stand-in's page; None when FreshBooks is not on this machine."""
    try:
        url = load_settings().freshbooks.api_url
    except SettingsError:
        return None
    return url if urlsplit(url).hostname in _LOOPBACK else None


def store_url() -> str:
    """The runner's store, as the runner itself would find it."""
    try:
        return load_settings().store_url
    except SettingsError:
        return os.environ.get("MAPPER_STORE_URL") or DEFAULT_STORE_URL


def looked_at(name: str, allowed: list[str]) -> str | None:
    """The flow or part looked at, from the address bar or the session; None when there is no such choice now."""
    for found in (st.query_params.get(name), st.session_state.get(f"at-{name}")):
        if found in allowed:
            return str(found)
    return None


def look_at(name: str, value: str | None) -> None:
    """Remember a choice in the session and the address bar; None forgets it."""
    if value is None:
        st.session_state.pop(f"at-{name}", None)
        st.query_params.pop(name, None)
        return
    st.session_state[f"at-{name}"] = value
    if st.query_params.get(name) != value:
        st.query_params[name] = value


def say_after_rerun(text: str, *, icon: str = ":material/check:") -> None:
    """Show a short message once the page was drawn again. `text` is fixed wording, never a payload value."""
    st.session_state["said"] = (text, icon)


def show_said() -> None:
    """Show what `say_after_rerun` left."""
    said = st.session_state.pop("said", None)
    if said is not None:
        st.toast(said[0], icon=said[1])


def _first_folder(named: str | None, default: str) -> Path:
    """The named folder, else the default below the working directory, else below the project."""
    if named:
        return Path(named)
    return Path(default) if Path(default).is_dir() else _PROJECT / default


def _system_user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "local-user"
