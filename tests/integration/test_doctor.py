"""The doctor over real HTTP: it finds exactly what a sandbox is set to, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from connectors.freshbooks import FreshBooks
from connectors.sandbox import money
from connectors.sandbox.faults import ScriptedFault
from connectors.sandbox.server import Sandbox, running_sandbox
from connectors.sandbox.switches import Switches
from connectors.tokens import StaticToken
from sync.__main__ import main
from sync.doctor.account import MARKER, Account, remove_marked
from sync.doctor.examine import Examination, examine_freshbooks
from tests.flows import MAPPINGS

TODAY = date(2026, 3, 1)
NOBODY_WAITS = {"sleep": lambda _seconds: None}

DEFAULTS: dict[str, Any] = {
    "error_shape": "old",
    "lag_s": 0,
    "rounding": "line",
    "unit_cost_places": 2,
    "tax_percent_places": 3,
    "negative_lines": True,
    "emoji": "accept",
    "payment_on_draft": "stays-draft",
    "negative_payment": "refuse",
    "transactionid": "kept",
    "new_errors_since": "any",
    "duplicate_number": "refuse",
    "deleted_number": "refuse",
    "duplicate_email": "accept",
    "filters.client.email": "equals",
    "filters.client.email_like": "like-nocase",
    "filters.client.note_like": "like-nocase",
    "filters.client.organization_like": "like-nocase",
    "filters.client.vis_state": "equals",
    "filters.invoice.invoice_number": "equals",
    "filters.invoice.customerid": "equals",
    "filters.invoice.date": "range",
    "filters.invoice.vis_state": "equals",
    "filters.payment.invoiceid": "equals",
    "filters.payment.notes": "like-nocase",
    **{f"max_lengths.client.{name}": 0 for name in ("fname", "lname", "organization", "p_street")},
    **{f"max_lengths.invoice.{name}": 0 for name in ("invoice_number", "po_number", "notes")},
    **{f"max_lengths.line.{name}": 0 for name in ("name", "description")},
}


NO_PAYMENT = dict.fromkeys(("negative_payment", "transactionid", "filters.payment.invoiceid", "filters.payment.notes"))


@pytest.fixture(scope="module")
def server() -> Iterator[Sandbox]:
    with running_sandbox() as running:
        yield running


@pytest.fixture
def sandbox(server: Sandbox) -> Sandbox:
    server.state.reset()
    server.state.switches = Switches()
    return server


def client(sandbox: Sandbox) -> FreshBooks:
    tokens = StaticToken(sandbox.access_token)
    return FreshBooks(base_url=sandbox.freshbooks_url, account_id=sandbox.account_id, tokens=tokens)


def examine(sandbox: Sandbox, *, write: bool = True, **more: Any) -> Examination:
    with client(sandbox) as books:
        return examine_freshbooks(books, write=write, today=TODAY, **{**NOBODY_WAITS, **more})


def found(examination: Examination) -> dict[str, Any]:
    return {one.setting: one.value for one in examination.findings if one.setting and one.value is not None}


def living(sandbox: Sandbox) -> list[str]:
    with sandbox.state.lock:
        tables = sandbox.state.freshbooks.tables
        return [
            f"{name} {row['id']}" for name, rows in tables.items() for row in rows.values() if row["vis_state"] != 1
        ]


@pytest.mark.parametrize(
    ("switches", "changed"),
    [
        ({}, {}),
        ({"rounding": "tax"}, {"rounding": "tax"}),
        ({"rounding": "total"}, {"rounding": "total"}),
        ({"rounding": "half_even_line"}, {"rounding": "line_even"}),
        ({"unit_cost_places": 0}, {"unit_cost_places": 0}),
        ({"unit_cost_places": 4, "rounding": "tax"}, {"unit_cost_places": 4, "rounding": "tax"}),
        ({"unit_cost_places": 9}, {"unit_cost_places": 6}),
        ({"negative_unit_cost": "refuse"}, {"negative_lines": False}),
        ({"emoji": "refuse"}, {"emoji": "refuse"}),
        ({"payment_on_draft": "mark_sent"}, {"payment_on_draft": "becomes-sent"}),
        ({"payment_on_draft": "refuse"}, {"payment_on_draft": "refuse", **NO_PAYMENT}),
        ({"negative_payment": "accept"}, {"negative_payment": "accept"}),
        ({"transactionid": "dropped"}, {"transactionid": "dropped"}),
        ({"new_errors_since": "2023-02-20"}, {"new_errors_since": "2023-02-20"}),
        ({"new_errors_since": "9"}, {"new_errors_since": "none"}),
        ({"rate_limit": 5000, "rate_limit_body": "text"}, {"rate_limit": 5000}),
        ({"base_currency": "JPY"}, {}),
        ({"duplicate_number": "accept"}, {"duplicate_number": "accept", "deleted_number": "accept"}),
        ({"duplicate_email": "refuse"}, {"duplicate_email": "refuse", "filters.client.vis_state": None}),
        ({"email_search": "casefold"}, {"filters.client.email": "equals-nocase"}),
        ({"invoice_number_search": "like"}, {"filters.invoice.invoice_number": "like-nocase"}),
        ({"invoice_number_search": "ignored"}, {"filters.invoice.invoice_number": "ignored"}),
        ({"invoice_number_max": 10}, {"max_lengths.invoice.invoice_number": 10}),
        (
            {"max_lengths": {"client.organization": 50, "line.name": 255, "line.description": 1}},
            {"max_lengths.client.organization": 50, "max_lengths.line.name": 255, "max_lengths.line.description": 1},
        ),
    ],
    ids=str,
)
def test_finds_exactly_the_switch_that_is_set(
    sandbox: Sandbox, switches: dict[str, Any], changed: dict[str, Any]
) -> None:
    sandbox.state.change_switches(**switches)
    # A unit cost without decimals is rounded before anything is added up, which no rounding rule explains.
    unknown = {"rounding"} if switches.get("unit_cost_places") == 0 else set()
    examination = examine(sandbox)
    expected = {name: value for name, value in (DEFAULTS | changed).items() if value is not None}
    expected = {name: value for name, value in expected.items() if name not in unknown}
    if switches.get("unit_cost_places") == 0:
        assert found(examination).get("rounding") is None
    assert found(examination) == expected
    assert living(sandbox) == []
    assert examination.left == []
    assert sandbox.state.freshbooks.emails == []


def test_a_rounding_rule_that_nobody_knows_is_called_unknown(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    def down(value: Decimal, digits: int, *, half_even: bool = False) -> Decimal:
        return value.quantize(Decimal(1).scaleb(-digits), "ROUND_DOWN")

    monkeypatch.setattr(money, "rounded", down)
    examination = examine(sandbox)
    assert "rounding" not in found(examination)
    (told,) = [one.result for one in examination.findings if one.setting == "rounding"]
    assert "no known rule fits" in told


def test_the_error_number_of_a_used_number_is_told(sandbox: Sandbox) -> None:
    sandbox.state.change_switches(duplicate_number_errno=1004)
    (told,) = [one.result for one in examine(sandbox).findings if one.setting == "duplicate_number"]
    assert told == "refused: status 422, errno 1004, field invoice_number"


@pytest.mark.parametrize(
    ("variable", "value", "arguments", "code", "part"),
    [
        ("FRESHBOOKS_ACCOUNT_ID", "", (), 2, "FRESHBOOKS_ACCOUNT_ID is not set"),
        ("FRESHBOOKS_ACCESS_TOKEN", "wrong", (), 1, "the access token was refused"),
        ("FRESHBOOKS_API_URL", "http://127.0.0.1:9", (), 1, "cannot reach"),
        ("MAPPER_LOG", "", ("clarity",), 2, "CLARITY_API_URL is not set"),
        ("MAPPER_LOG", "", ("--mappings", "."), 3, "no mapping files"),
        ("MAPPER_LOG", "", ("--out", "no/such/folder/doctor.toml"), 3, "cannot be written"),
    ],
)
def test_what_is_missing_is_one_clear_line(
    sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    variable: str,
    value: str,
    arguments: tuple[str, ...],
    code: int,
    part: str,
) -> None:
    connect(monkeypatch, sandbox, tmp_path)
    monkeypatch.setenv(variable, value)
    assert main(["doctor", *arguments]) == code
    error = capsys.readouterr().err
    assert part in error
    assert error.count("\n") == 1


class Hours:
    """A clock of both ends that only the doctor's waiting moves."""

    def __init__(self, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = datetime(2026, 3, 1, tzinfo=UTC)
        monkeypatch.setattr(sandbox.state.freshbooks, "clock", lambda: self.now)
        monkeypatch.setattr(sandbox.state.rates, "_clock", lambda: self.now)

    def sleep(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    def clock(self) -> float:
        return self.now.timestamp()


def test_searches_that_lag_are_timed_and_mislead_no_other_probe(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    hours = Hours(sandbox, monkeypatch)
    sandbox.state.change_switches(list_lag_s=2.7)
    assert found(examine(sandbox, sleep=hours.sleep, clock=hours.clock)) == DEFAULTS | {"lag_s": 3}
    assert living(sandbox) == []


def test_a_lost_answer_is_swept_once_the_search_shows_it(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    hours = Hours(sandbox, monkeypatch)
    sandbox.state.change_switches(list_lag_s=2.7)
    fault = ScriptedFault("lost_answer", system="freshbooks", method="POST", path="payments/payments")
    sandbox.state.faults.script(fault)
    examine(sandbox, sleep=hours.sleep, clock=hours.clock)
    assert sandbox.state.freshbooks.tables["payment"]
    assert living(sandbox) == []


def test_a_rate_limit_is_waited_for(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    hours = Hours(sandbox, monkeypatch)
    sandbox.state.change_switches(rate_limit=20, rate_window_s=40, rate_limit_body="empty")
    assert found(examine(sandbox, sleep=hours.sleep, clock=lambda: 0.0)) == DEFAULTS | {"rate_limit": 20}
    assert living(sandbox) == []


def test_reading_alone_writes_nothing_and_still_sees_an_ignored_filter(sandbox: Sandbox) -> None:
    sandbox.state.change_switches(invoice_number_search="ignored")
    with client(sandbox) as books:
        made = books.create("client", {"email": "Ann@Example.com", "organization": "Lee Ltd", "note": "Good"})
        books.create("invoice", {"customerid": made["id"], "create_date": "2026-01-01", "invoice_number": "A1"})
    before = living(sandbox)
    values = found(examine(sandbox, write=False))
    assert values["filters.invoice.invoice_number"] == "ignored"
    assert values["filters.client.email"] == "equals"
    assert "rounding" not in values
    assert living(sandbox) == before
    assert {entry["method"] for entry in sandbox.state.history[2:]} == {"GET"}


@pytest.mark.parametrize("after", [18, 24, 30])
def test_an_interruption_leaves_nothing_behind(sandbox: Sandbox, after: int) -> None:
    told: list[Any] = []

    def interrupt(finding: Any) -> None:
        told.append(finding)
        if len(told) == after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        examine(sandbox, on_finding=interrupt)
    assert sandbox.state.freshbooks.tables["client"]
    assert living(sandbox) == []


@pytest.mark.parametrize("path", ["users/clients", "invoices/invoices", "payments/payments"])
def test_a_lost_answer_leaves_nothing_behind(sandbox: Sandbox, path: str) -> None:
    sandbox.state.faults.script(ScriptedFault("lost_answer", system="freshbooks", method="POST", path=path))
    examine(sandbox)
    assert sandbox.state.freshbooks.tables["client"]
    assert living(sandbox) == []


def test_leftovers_are_removed_by_their_marker_and_nothing_else_is(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    connect(monkeypatch, sandbox, tmp_path)
    day = {"create_date": "2026-01-01"}
    with client(sandbox) as books:
        person = books.create("client", {"organization": f"The {MARKER} company"})
        theirs = books.create("invoice", {"customerid": person["id"], "notes": f"about {MARKER}", **day})
        ours = books.create("client", {"organization": f"{MARKER} abc123"})
        draft = books.create("invoice", {"customerid": ours["id"], "notes": f"{MARKER} abc123", **day})
        money_ = {"amount": {"amount": "1.00", "code": "USD"}, "date": "2026-01-01"}
        books.create("payment", {"invoiceid": draft["id"], "note": f"{MARKER} abc123", **money_})
        used = books.create("client", {"organization": f"{MARKER} def456"})
        kept = books.create("invoice", {"customerid": used["id"], "notes": "a person wrote this", **day})
        assert main(["doctor", "--clean"]) == 1
        assert living(sandbox) == [
            *(f"client {one['id']}" for one in (person, used)),
            *(f"invoice {one['id']}" for one in (theirs, kept)),
        ]
        assert f"invoice {kept['id']} (no test record)" in capsys.readouterr().err
        books.update("invoice", kept["id"], {"vis_state": 1})
        assert main(["doctor", "--clean"]) == 0
        assert remove_marked(Account(books), MARKER, thorough=True).removed == ()


def test_ctrl_c_removes_what_was_written(sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.state.change_switches(slow_s=0.4)
    arrived = threading.Event()
    choose = sandbox.state.faults.choose

    def watching(system: str, method: str, target: str) -> str | None:
        if method == "POST" and "payments" in target:
            arrived.set()
            return "slow"
        return choose(system, method, target)

    sandbox.state.faults.choose = watching  # type: ignore[method-assign]
    try:
        child = subprocess.Popen(
            [sys.executable, "-m", "sync", "doctor", "freshbooks", "--write"],
            env={**os.environ, **variables(sandbox), "PYTHONPATH": str(MAPPINGS.parents[1])},
            cwd=tmp_path,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert arrived.wait(30)
        child.send_signal(signal.SIGINT)
        _, error = child.communicate(timeout=30)
    finally:
        sandbox.state.faults.choose = choose  # type: ignore[method-assign]
    assert child.returncode == 1
    assert "removing the test records" in error
    assert "Traceback" not in error
    assert living(sandbox) == []
    assert not (tmp_path / "doctor.toml").exists()


def variables(sandbox: Sandbox) -> dict[str, str]:
    return {
        "FRESHBOOKS_API_URL": sandbox.freshbooks_url,
        "FRESHBOOKS_ACCOUNT_ID": sandbox.account_id,
        "FRESHBOOKS_ACCESS_TOKEN": sandbox.access_token,
        "MAPPER_STORE_URL": "sqlite:///store.db",
    }


def connect(monkeypatch: pytest.MonkeyPatch, sandbox: Sandbox, folder: Path) -> None:
    for name in [name for name in os.environ if name.startswith(("MAPPER_", "FRESHBOOKS_", "CLARITY_"))]:
        monkeypatch.delenv(name)
    for name, value in variables(sandbox).items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(folder)


def test_the_command_writes_findings_that_the_runner_reads(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from sync.settings import load_settings

    connect(monkeypatch, sandbox, tmp_path)
    sandbox.state.change_switches(unit_cost_places=1, negative_unit_cost="refuse", email_search="casefold")
    # The shipped specs price with two decimals, which this account does not keep.
    assert main(["doctor", "freshbooks", "--write", "--mappings", str(MAPPINGS), "--json"]) == 1
    shown = json.loads(capsys.readouterr().out)["freshbooks"]
    assert len(shown["contradictions"]) == 1
    assert "unit_cost_places is 2, the account keeps 1" in shown["contradictions"][0]
    settings = load_settings()
    assert settings.findings is not None
    assert settings.findings.unit_cost_places == 1
    assert settings.findings.negative_lines is False
    assert settings.findings.email_case_ignored
    monkeypatch.setenv("FRESHBOOKS_ACCOUNT_ID", "ANOTHER")
    other = load_settings()
    assert other.findings is None
    assert "of another freshbooks account" in other.notices[0]


def test_a_value_that_is_not_the_doctors_is_named_and_nothing_is_written(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    connect(monkeypatch, sandbox, tmp_path)
    common = f'url = "{sandbox.freshbooks_url}"\naccount = "{sandbox.account_id}"\n'
    text = f'[systems.freshbooks.findings]\ndate = 2026-01-01\n{common}emoji = "perhaps"\n'
    Path("other.toml").write_text(text)
    assert main(["doctor", "freshbooks", "--out", "other.toml"]) == 3
    assert "emoji is none of the doctor's values" in capsys.readouterr().err
    Path("doctor.toml").write_text(text)
    assert main(["doctor", "freshbooks"]) == 2
    assert "doctor.toml: systems.freshbooks.findings.emoji" in capsys.readouterr().err
    assert Path("other.toml").read_text() == text


def test_reading_later_keeps_what_writing_found(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from sync.settings import load_settings

    connect(monkeypatch, sandbox, tmp_path)
    assert main(["doctor", "freshbooks", "--write"]) == 0
    first = Path("doctor.toml").read_bytes()
    assert main(["doctor", "freshbooks"]) == 0
    findings = load_settings().findings
    assert findings is not None
    assert findings.rounding == "line"
    assert findings.wrote
    assert Path("doctor.toml").read_bytes() == first
    assert "rounding = line" in capsys.readouterr().out


def test_clarity_is_examined_by_reading(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from sync.settings import load_settings

    with running_sandbox(clarity_bare_lists=True) as sandbox:
        connect(monkeypatch, sandbox, tmp_path)
        sandbox.seed(seed=1, orders=5)
        monkeypatch.setenv("CLARITY_API_URL", sandbox.clarity_url)
        monkeypatch.setenv("CLARITY_CLIENT_ID", sandbox.client_id)
        monkeypatch.setenv("CLARITY_CLIENT_SECRET", sandbox.client_secret)
        assert main(["doctor", "clarity"]) == 0
        findings = load_settings().clarity_findings
        assert findings is not None
        assert (findings.paging, findings.updated_since, findings.complete_rows) == ("bare", "inclusive", True)
        assert findings.lists["order"] == "works"
        assert {entry["method"] for entry in sandbox.state.history if "/oauth/" not in entry["path"]} == {"GET"}
