"""What the flow tests share: a sandbox, settings that point at it, envelopes, and the books as the API shows them."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from connectors.sandbox.generator import dumps_exact
from connectors.sandbox.server import Sandbox
from sync.runner import RunReport, run
from sync.settings import CapSettings, ClaritySettings, FreshBooksSettings, Policies, RunnerSettings, Settings

ROOT = Path(__file__).resolve().parents[1]
MAPPINGS = ROOT / "mappings" / "clarity-freshbooks"
ORDERS = ROOT / "fixtures" / "clarity"


def order(name: str = "plain-card", **changes: Any) -> dict[str, Any]:
    """A fixture order with members replaced; None removes one."""
    text = (ORDERS / f"order__{name}.json").read_text(encoding="utf-8")
    record = json.loads(text, parse_float=Decimal)
    for key, value in changes.items():
        if value is None:
            record.pop(key, None)
        else:
            record[key] = value
    return copy.deepcopy(record)


def envelope(kind: str, resource: Mapping[str, Any], *, event_id: str | None = None, **data: Any) -> dict[str, Any]:
    """A webhook body (facts/clarity §8) around a record."""
    record_id, updated = str(resource["id"]), resource.get("updatedAt")
    return {
        "id": event_id or f"evt-{kind}-{record_id}-{updated}",
        "type": kind,
        "occurredAt": updated,
        "data": {"object": kind.split(".")[0], "id": record_id, "updatedAt": updated, "resource": resource, **data},
    }


@dataclass
class Books:
    """A sandbox with a runner's settings for it."""

    sandbox: Sandbox
    folder: Path
    mappings: Path = MAPPINGS
    policies: Policies = field(default_factory=Policies)
    with_clarity: bool = False
    settle_s: float = 0.2
    http_timeout_s: float = 0.5
    store_url: str = ""
    runner: RunnerSettings = field(default_factory=RunnerSettings)
    caps: CapSettings = field(default_factory=CapSettings)
    _files: int = 0

    @property
    def settings(self) -> Settings:
        """Settings of a run against the sandbox, with short waits."""
        clarity = ClaritySettings()
        if self.with_clarity:
            clarity = ClaritySettings(
                api_url=self.sandbox.clarity_url,
                client_id=self.sandbox.client_id,
                client_secret=SecretStr(self.sandbox.client_secret),
            )
        return Settings(
            store_url=self.store_url or f"sqlite:///{self.folder / 'store.db'}",
            runner=self.runner,
            freshbooks=FreshBooksSettings(
                api_url=self.sandbox.freshbooks_url,
                account_id=self.sandbox.account_id,
                access_token=SecretStr(self.sandbox.access_token),
            ),
            clarity=clarity,
            settle_s=self.settle_s,
            http_timeout_s=self.http_timeout_s,
            policies=self.policies,
            caps=self.caps,
        )

    def environ(self) -> dict[str, str]:
        """The same settings as environment variables, for child processes."""
        return {
            "MAPPER_STORE_URL": self.settings.store_url,
            "FRESHBOOKS_API_URL": self.sandbox.freshbooks_url,
            "FRESHBOOKS_ACCOUNT_ID": self.sandbox.account_id,
            "FRESHBOOKS_ACCESS_TOKEN": self.sandbox.access_token,
            "MAPPER_SETTLE_S": str(self.settle_s),
            "MAPPER_HTTP_TIMEOUT_S": str(self.http_timeout_s),
        }

    def file(self, envelopes: Iterable[Mapping[str, Any]]) -> Path:
        """The envelopes as an NDJSON file."""
        self._files += 1
        path = self.folder / f"events-{self._files}.ndjson"
        path.write_text("".join(dumps_exact(dict(body)) + "\n" for body in envelopes), encoding="utf-8")
        return path

    def run(self, *envelopes: Mapping[str, Any], dry_run: bool = False) -> RunReport:
        """One run of the runner over these events."""
        events = self.file(envelopes) if envelopes else None
        return run(self.settings, self.mappings, events=events, dry_run=dry_run, max_wait_s=60)

    def table(self, name: str) -> list[dict[str, Any]]:
        """What FreshBooks holds: client, invoice, payment, item."""
        with self.sandbox.state.lock:
            return [dict(row) for row in self.sandbox.state.freshbooks.tables[name].values()]

    def writes(self) -> list[dict[str, Any]]:
        """Every POST and PUT that reached FreshBooks' accounting API, in order."""
        with self.sandbox.state.lock:
            return [
                dict(entry)
                for entry in self.sandbox.state.history
                if entry["system"] == "freshbooks" and entry["method"] != "GET" and "/accounting/" in entry["path"]
            ]


def reasons(report: RunReport) -> dict[str, str]:
    """Reason ids of everything that was not posted, by the entity and id of its record."""
    return {f"{line['entity']}:{line['id']}": line["reason_id"] for line in report.status["held"]}
