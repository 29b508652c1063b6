"""What the tests of the app share: a workspace, its pages, and what can be read on them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from mapper_ai.services import workspace
from mapper_ai.services.propose import Alternative, Proposal, alternatives_of, propose
from mapper_ai.services.workspace import Workspace
from mapper_ai.ui.parts.frame import PAGES
from mapper_ai.ui.parts.records import read_folder
from mapspec import MappingSpec, dump_spec

PROJECT = Path(__file__).resolve().parents[2]
FLOW = "order-to-invoice"


_proposals: dict[str, Proposal] = {}


def _proposed_once(flow: str, *given: Any, **more: Any) -> Proposal:
    if flow not in _proposals:
        _proposals[flow] = propose(flow, *given, **more)
    return _proposals[flow]


_ranked: dict[str, dict[str, tuple[Alternative, ...]]] = {}


def _ranked_once(spec: MappingSpec, *given: Any) -> dict[str, tuple[Alternative, ...]]:
    text = dump_spec(spec)
    if text not in _ranked:
        _ranked[text] = alternatives_of(spec, *given)
    return _ranked[text]


@dataclass(frozen=True)
class Studio:
    """A workspace in a temporary folder, and the app on it."""

    root: Path
    mappings: Path

    @property
    def work(self) -> Workspace:
        return Workspace.open(self.root, mappings=self.mappings)

    def propose(self, flow: str = FLOW) -> Workspace:
        """A proposed draft of the flow from the built-in samples."""
        forgetful = not self.root.exists()  # without decisions the same is proposed every time
        work = self.work
        with pytest.MonkeyPatch.context() as patch:
            if forgetful:
                patch.setattr(workspace, "propose", _proposed_once)
                patch.setattr(workspace, "alternatives_of", _ranked_once)  # of the mapping file that is replaced
            work.start(flow, read_folder(PROJECT / "fixtures/clarity", flow.partition("-to-")[0]))
        return work

    def accept_all(self, *, by: str, flow: str = FLOW) -> None:
        """Approve every part: in one write what may be, then money, tax and keys one by one."""
        work = self.work
        work.accept_many(flow, [(row.part, row.digest) for row in work.rows(flow) if row.state == "proposed"], by=by)
        for row in work.rows(flow):
            if row.state == "proposed":
                work.accept(flow, row.part, digest=row.digest, by=by)

    def page(self, name: str, **query: str) -> AppTest:
        app = AppTest.from_file(PROJECT / "app.py", default_timeout=60)
        if name != "projects":  # the first page is the address itself; the others' addresses are their files' names
            app.switch_page(PAGES[name])
        for key, value in query.items():
            app.query_params[key] = value
        app.run()
        assert not app.exception, app.exception
        return app


def button(app: AppTest, key: str) -> Any:
    """The button of that key, or of that key and the part looked at."""
    found = [entry for entry in app.button if entry.key == key or str(entry.key).startswith(f"{key}-{FLOW}-")]
    assert found, f"no button {key}; there are {[entry.key for entry in app.button]}"
    return found[0]


def press(app: AppTest, key: str) -> AppTest:
    """Press a button by its key, and draw the page again."""
    entry = button(app, key)
    assert not entry.disabled, f"{key} is disabled"
    entry.click().run()
    assert not app.exception, app.exception
    return app


def looked_at(app: AppTest, name: str) -> str:
    """A part of the address; AppTest gives texts or lists of them, depending on who set it."""
    value = app.query_params[name]
    return value[0] if isinstance(value, list) else str(value)


def shown(app: AppTest) -> str:
    """Everything a person can read on the page, tables included."""
    texts = [str(entry.value) for kind in (app.text, app.code, app.caption, app.markdown) for entry in kind]
    texts += [str(entry.value) for kind in (app.error, app.warning, app.info, app.success) for entry in kind]
    texts += [entry.value.to_string() for entry in app.dataframe]
    return "\n".join(texts)
