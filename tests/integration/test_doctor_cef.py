"""What the doctor finds out about a store of Clarity's framework, only by reading."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from connectors.cef_session import CefSession
from connectors.clarity_cef import ClarityCef
from connectors.errors import AuthError
from connectors.profiles import load_profile
from connectors.sandbox.cef_books import CefError, failed
from connectors.sandbox.server import Sandbox, running_sandbox
from sync.__main__ import main
from sync.doctor.clarity_cef import framework_probes
from sync.doctor.finding import Finding
from sync.doctor.judge import Verdict, judge_clarity
from sync.findings import ClarityFindings
from sync.reading import reading_of
from sync.settings import load_settings


@pytest.fixture(scope="module")
def shared() -> Iterator[Sandbox]:
    with running_sandbox() as running:
        running.seed(seed=1, orders=8)
        yield running


@pytest.fixture
def sandbox(shared: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """The shared one; what a test breaks with `monkeypatch` is whole again afterwards."""
    for name in ("page", "digest", "get"):
        monkeypatch.setattr(shared.state.cef, name, getattr(shared.state.cef, name))
    return shared


def examined(sandbox: Sandbox, now: datetime | None = None, password: str = "") -> dict[str, Finding]:
    session = CefSession(
        base_url=sandbox.cef_url, user_name=sandbox.cef_user_name, password=password or sandbox.cef_password
    )
    profile = load_profile("clarity-cef").with_settings({"A10": "none"})
    with ClarityCef(base_url=sandbox.cef_url, session=session, timeout_s=5, profile=profile) as client:
        found = framework_probes(client, reading_of(profile), now=now or datetime(2027, 1, 1, tzinfo=UTC))
        return {one.setting or one.probe: one for one in found}


def judged(**found: Any) -> Verdict:
    return judge_clarity(ClarityFindings(date=date(2026, 3, 1), url="https://shop.example", **found))


def values(found: dict[str, Finding]) -> dict[str, Any]:
    return {name: one.value for name, one in found.items()}


def test_a_store_as_it_is_described_contradicts_nothing(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in (
        ("FLAVOUR", "cef"),
        ("API_URL", sandbox.cef_url),
        ("CLIENT_ID", sandbox.cef_user_name),
        ("CLIENT_SECRET", sandbox.cef_password),
    ):
        monkeypatch.setenv(f"CLARITY_{name}", value)
    sandbox.state.history.clear()
    assert main(["doctor", "clarity"]) == 0
    assert {entry["method"] for entry in sandbox.state.history if "/auth/" not in entry["path"]} == {"GET"}
    assert "fetched by its ID" in capsys.readouterr().out
    findings = load_settings().clarity_findings
    assert findings is not None
    assert findings.lists == dict.fromkeys(("order", "customer", "payment", "product", "refund"), "works")
    assert (findings.start_index, findings.updated_since, findings.digest) == ("pages", "inclusive", "hashes")
    # flat lists are made whole by the connector, so nothing is fetched twice
    assert (findings.complete_rows, findings.offsets, findings.prices) == (True, False, "works")


def test_a_start_index_that_counts_rows_contradicts_the_settings(sandbox: Sandbox) -> None:
    page = sandbox.state.cef.page

    def by_rows(entity: str, query: dict[str, str]) -> dict[str, Any]:
        size, start = (int("".join(filter(str.isdigit, part))) for part in query["Paging"].split(","))
        rows = page(entity, {name: value for name, value in query.items() if name != "Paging"}).get("Results", [])
        return {"Results": rows[start - 1 : start - 1 + size], "TotalCount": len(rows), "CurrentCount": size}

    sandbox.state.cef.page = by_rows  # type: ignore[method-assign,assignment]
    found = examined(sandbox)
    assert found["start_index"].value == "rows"
    assert "page 2 begins with row 2" in found["start_index"].result
    verdict = judged(start_index="rows")
    assert "cannot be read to their end" in verdict.contradictions[0]


def test_what_a_store_lacks_or_ignores_is_named(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    page = sandbox.state.cef.page

    def ignoring(entity: str, query: dict[str, str]) -> dict[str, Any]:
        return page(entity, {name: value for name, value in query.items() if name == "Paging"})

    get = sandbox.state.cef.get

    def forbidden(entity: str, by: str, value: str) -> Any:
        if entity == "Product":
            raise CefError(403, "Forbidden", "No rights.")
        return get(entity, by, value)

    def lacking(entity: str) -> list[dict[str, Any]]:
        raise CefError(404, "NotFound", f"No such address of {entity}.")

    sandbox.state.cef.page = ignoring  # type: ignore[method-assign,assignment]
    sandbox.state.cef.digest = lacking  # type: ignore[method-assign]
    monkeypatch.setattr(sandbox.state.cef, "prices", {})
    sandbox.state.cef.get = forbidden  # type: ignore[method-assign]
    told = values(examined(sandbox))
    assert (told["updated_since"], told["digest"], told["prices"]) == ("ignored", "missing", "refused")
    verdict = judged(digest="missing", prices="refused")
    assert "polls ask by last change" in verdict.changes[0]
    assert "A37.fetch = false" in verdict.contradictions[0]


def test_a_wrong_zone_shows_in_times_that_are_yet_to_come(sandbox: Sandbox) -> None:
    newest = max(row["UpdatedDate"] for row in sandbox.state.cef.records["SalesOrder"].values())
    found = examined(sandbox, now=datetime.fromisoformat(newest[:19]).replace(tzinfo=UTC).replace(hour=0))
    assert found["future_times"].value is True
    assert "A21 is another one" in found["future_times"].result
    assert "its time zone" in judged(future_times=True).contradictions[0]


def test_a_list_that_fails_with_a_success_status_does_not_work(sandbox: Sandbox) -> None:
    page = sandbox.state.cef.page

    def failing(entity: str, query: dict[str, str]) -> dict[str, Any]:
        return failed("ERROR! No rights.") if entity == "Payment" else page(entity, query)

    sandbox.state.cef.page = failing  # type: ignore[method-assign,assignment]
    found = examined(sandbox)
    assert found["lists.payment"].value == "refused"
    assert found["lists.order"].value == "works"


def test_a_refused_login_ends_the_examination(sandbox: Sandbox) -> None:
    with pytest.raises(AuthError):
        examined(sandbox, password="wrong")
