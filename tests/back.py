"""What the tests of the way back share: both systems, the way back switched on, people at work in either."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from connectors import FreshBooks, StaticToken
from connectors.profiles import load_profile
from connectors.registry import Known
from sync import flow
from sync.runner import RunReport, run
from sync.settings import Settings, WayBackSettings
from sync.specs import Mappings, load_mappings
from sync.worker import Flow
from tests.flows import ROOT, Books

BACK = ROOT / "mappings" / "freshbooks-clarity"


@cache
def _approved(*folders: Path) -> Flow:
    loaded = [load_mappings(folder) for folder in folders]
    by_entity = {entity: spec for one in loaded for entity, spec in one.by_entity.items()}
    corrections = {entity: specs for one in loaded for entity, specs in one.corrections.items()}
    both = Mappings(by_entity, corrections=corrections)
    return cast(Flow, SimpleNamespace(load_mappings=lambda _folder: both, process=flow.process))


@dataclass
class BothWays(Books):
    """A sandbox with a runner for both directions.

    Attributes:
        on: The switch.
        members: Replace those of A43.
        corrections: Of other settings.
    """

    on: bool = True
    members: Mapping[str, Any] = field(default_factory=dict)
    corrections: Mapping[str, Any] = field(default_factory=dict)
    back: Path = BACK
    with_clarity: bool = True

    @property
    def settings(self) -> Settings:
        """As of `Books`, with the way back."""
        profile = load_profile("clarity-rest").with_settings(
            {"A10": 6000, "A43": {"enabled": self.on, **self.members}, **self.corrections}
        )
        changes = {"source": Known("clarity-rest", "shipped", profile), "way_back": WayBackSettings(mappings=self.back)}
        return super().settings.model_copy(update=changes)

    def sync(self, *, dry_run: bool = False, live: bool = False) -> RunReport:
        """One run that polls both systems, as `mapper-sync run` does.

        Args:
            live: Read the mappings from their folders, and refuse what may not run; otherwise they are read once a
                process, which is what takes long.
        """
        approved = None if live else _approved(self.mappings, self.back)
        return run(self.settings, self.mappings, flow=approved, dry_run=dry_run, max_wait_s=60)

    # --- people ---

    def shop(self, list_name: str, record: Mapping[str, Any]) -> dict[str, Any]:
        """Somebody saves a record in Clarity."""
        with self.sandbox.state.lock:
            return self.sandbox.state.clarity.put(list_name, dict(record))

    def shop_changes(self, list_name: str, record_id: str, **changes: Any) -> dict[str, Any]:
        """Somebody changes members of a record in Clarity."""
        with self.sandbox.state.lock:
            return self.sandbox.state.clarity.patch(list_name, record_id, changes)

    def in_shop(self, list_name: str, record_id: str) -> dict[str, Any]:
        """A record as Clarity has it."""
        with self.sandbox.state.lock:
            return dict(self.sandbox.state.clarity.get(list_name, record_id))

    def person(self) -> FreshBooks:
        """FreshBooks as a person works in it."""
        sandbox = self.sandbox
        return FreshBooks(
            base_url=sandbox.freshbooks_url, account_id=sandbox.account_id, tokens=StaticToken(sandbox.access_token)
        )

    def told(self) -> list[dict[str, Any]]:
        """Every write that reached Clarity, in order."""
        with self.sandbox.state.lock:
            return [
                dict(entry)
                for entry in self.sandbox.state.history
                if entry["system"] == "clarity" and entry["method"] not in ("GET", "POST")
            ]
