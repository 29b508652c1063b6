"""What the tests of Clarity's framework share: a runner's settings for it, and records put into its store."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from connectors.profiles import load_profile
from connectors.registry import Known
from connectors.sandbox.generator import generate
from connectors.sandbox.generator_cef import cef_batch
from connectors.sandbox.server import Sandbox
from sync.settings import ClaritySettings, Settings
from tests.flows import ROOT, Books

ZONE = "America/New_York"
MAPPINGS = ROOT / "mappings" / "clarity-cef-freshbooks"


@dataclass
class CefBooks(Books):
    """A sandbox whose Clarity is the framework."""

    mappings: Path = MAPPINGS

    @property
    def settings(self) -> Settings:
        """As the others, with a user's name and password, and the server's zone."""
        profile = load_profile("clarity-cef").with_settings({"A21": ZONE, "A10": "none"})
        clarity = ClaritySettings(
            flavour="cef",
            api_url=self.sandbox.cef_url,
            client_id=self.sandbox.cef_user_name,
            client_secret=SecretStr(self.sandbox.cef_password),
        )
        source = Known("clarity-cef", "shipped", profile)
        return super().settings.model_copy(update={"source": source, "clarity": clarity})


def put(sandbox: Sandbox, entity: str, *records: dict[str, Any]) -> None:
    with sandbox.state.lock:
        for record in records:
            sandbox.state.cef.put(entity, record)


def plain() -> dict[str, Any]:
    return next(case.order for case in cef_batch(generate(2027, 90)).cases if case.tags == ("plain-card",))
