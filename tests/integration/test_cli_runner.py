"""The runner's command line: exit codes, one line for every expected error, and what it prints."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from test_inbox_runs import Flow, Outcome, Reason, line, written

from connectors.webhooks import sign_clarity
from mapspec.errors import SpecError
from sync import runner
from sync.__main__ import main

ENVIRONMENT = ("MAPPER_", "FRESHBOOKS_", "CLARITY_")


@pytest.fixture(autouse=True)
def place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """An empty folder as working directory, a server that takes connections, no other settings."""
    for name in list(os.environ):
        if name.startswith(ENVIRONMENT):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("FRESHBOOKS_API_URL", f"http://127.0.0.1:{server.getsockname()[1]}")
        monkeypatch.setenv("FRESHBOOKS_ACCOUNT_ID", "A1")
        monkeypatch.setenv("FRESHBOOKS_ACCESS_TOKEN", "t")
        yield tmp_path
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def flow(monkeypatch: pytest.MonkeyPatch) -> Flow:
    found = Flow(written)
    monkeypatch.setattr(runner, "_flow", lambda: found)
    return found


def events(*lines: str) -> list[str]:
    Path("e.ndjson").write_text("\n".join(lines))
    return ["--mappings", "maps", "--events", "e.ndjson"]


def held(event: Any, context: Any) -> Outcome:
    return Outcome("held", (Reason("total-differs", "order total 1.00, invoice total 2.00"),))


def only_line(capsys: pytest.CaptureFixture[str]) -> str:
    caught = capsys.readouterr()
    assert caught.out == ""
    assert caught.err.count("\n") == 1, caught.err
    assert "Traceback" not in caught.err
    return caught.err


@pytest.mark.parametrize("command", ["", "run", "serve", "work", "status", "errors", "replay", "doctor", "webhooks"])
def test_help_has_an_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*command.split(), "--help"])
    assert ended.value.code == 0
    assert "example:\n  mapper-sync" in capsys.readouterr().out or not command


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\nfrom sync.__main__ import build_parser\nbuild_parser().format_help()\n"
        "print([name for name in ('sqlalchemy', 'pydantic', 'httpx2', 'starlette', 'cryptography', 'dbos')"
        " if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize(
    "arguments", [[], ["nonsense"], ["run"], ["replay"], ["replay", "x", "--all"], ["run", "--max-wait", "soon"]]
)
def test_wrong_usage_is_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2


def test_a_run_prints_counts_and_sums(flow: Flow, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", *events(line(1), line(2, "order:2"))]) == 0
    out = capsys.readouterr().out
    assert "Events: 2 new" in out
    assert "invoice  2 confirmed  USD 51.14" in out


def test_a_run_with_holds_is_3_and_names_them(flow: Flow, capsys: pytest.CaptureFixture[str]) -> None:
    flow.answer = held
    assert main(["run", *events(line(1, orderNumber="WEB-1"))]) == 3
    assert "  order 1 (WEB-1): order total 1.00, invoice total 2.00 [held]" in capsys.readouterr().out
    assert main(["errors"]) == 0
    assert "total-differs (held, 1)" in capsys.readouterr().out
    assert main(["errors", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["records"][0]["number"] == "WEB-1"


def test_status_json_holds_what_is_promised(flow: Flow, capsys: pytest.CaptureFixture[str]) -> None:
    main(["run", *events(line(1))])
    capsys.readouterr()
    assert main(["status", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["inbox"]["done"] == 1
    assert found["ledger"]["sums"] == {"invoice": {"USD": "25.57"}}
    assert found["connections"]["freshbooks"]["state"] == "ok"
    assert main(["status"]) == 0
    assert "Connection freshbooks: ok" in capsys.readouterr().out


def test_a_dry_run_prints_the_requests_and_leaves_nothing(flow: Flow, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--dry-run", *events(line(1))]) == 0
    out = capsys.readouterr().out
    assert 'POST /x\n  {"a":1}\n' in out
    assert "invoice  1 planned  USD 25.57" in out
    assert [path.name for path in Path().iterdir()] == ["e.ndjson"]
    assert main(["run", "--dry-run", "--json", *events(line(1))]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["planned"][0]["body"] == {"a": 1}
    assert found["dry_run"] is True


def test_replay_tries_again_at_the_next_run(flow: Flow, capsys: pytest.CaptureFixture[str]) -> None:
    flow.answer = held
    main(["run", *events(line(1, orderNumber="WEB-1"), line(2, "order:2"))])
    flow.answer = written
    assert main(["replay", "WEB-1"]) == 0
    assert main(["run", "--mappings", "maps"]) == 3
    capsys.readouterr()
    assert main(["replay", "--all", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"replayed": ["order:2"]}
    assert main(["run", "--mappings", "maps"]) == 0


def test_replaying_an_unknown_record_is_said(flow: Flow, capsys: pytest.CaptureFixture[str]) -> None:
    main(["run", *events(line(1))])
    capsys.readouterr()
    assert main(["replay", "order:77"]) == 3
    assert "no record 'order:77' in the inbox" in only_line(capsys)


@pytest.mark.parametrize("command", [["status"], ["status", "--json"], ["errors"], ["replay", "--all"]])
def test_a_missing_store_is_one_line(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(command) == 3
    assert "there is no store at mapper.db" in only_line(capsys)
    assert list(Path().iterdir()) == []


@pytest.mark.parametrize(
    ("variable", "value", "code", "says"),
    [
        ("MAPPER_SETTLE_S", "soon", 2, "MAPPER_SETTLE_S: expected a number of seconds"),
        ("FRESHBOOKS_ACCOUNT_ID", "", 2, "FRESHBOOKS_ACCOUNT_ID is not set"),
        ("FRESHBOOKS_ACCESS_TOKEN", "", 2, "no FreshBooks token"),
        ("FRESHBOOKS_API_URL", "http://127.0.0.1:1", 1, "cannot reach http://127.0.0.1:1"),
        ("FRESHBOOKS_API_URL", "nonsense", 2, "FRESHBOOKS_API_URL: expected an address"),
        ("MAPPER_STORE_URL", "sqlite:///missing/m.db", 3, "the store's folder missing does not exist"),
        ("MAPPER_STORE_URL", "oracle://x", 3, "MAPPER_STORE_URL: 'oracle' is not supported"),
        ("MAPPER_STORE_URL", "x", 3, "MAPPER_STORE_URL is not a store's address"),
        ("MAPPER_CONFIG", "gone.toml", 2, "gone.toml: no such file"),
    ],
)
def test_every_wrong_setting_is_one_line(
    flow: Flow,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    variable: str,
    value: str,
    code: int,
    says: str,
) -> None:
    monkeypatch.setenv(variable, value)
    assert main(["run", *events(line(1))]) == code
    assert says in only_line(capsys)


def test_a_malformed_line_is_3(flow: Flow, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", *events(line(1), "{")]) == 3
    assert only_line(capsys).startswith("mapper-sync: e.ndjson:2: not valid JSON")


def test_an_unapproved_spec_is_3(
    flow: Flow, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(folder: Path) -> str:
        raise SpecError("lines[].qty is not approved", where="order-to-invoice.yaml", line=7)

    monkeypatch.setattr(flow, "load_mappings", refuse)
    assert main(["run", *events(line(1))]) == 3
    assert only_line(capsys) == "mapper-sync: order-to-invoice.yaml:7: lines[].qty is not approved\n"


def test_a_refused_login_is_1(flow: Flow, capsys: pytest.CaptureFixture[str]) -> None:
    flow.answer = lambda e, c: Outcome("stop", (Reason("auth", "the access token was refused"),))
    assert main(["run", *events(line(1))]) == 1
    caught = capsys.readouterr()
    assert caught.err == "mapper-sync: run ended early: the access token was refused\n"


def test_an_unexpected_error_is_one_line_with_the_log(
    flow: Flow, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(folder: Path) -> str:
        raise LookupError("ana@example.com")

    monkeypatch.setattr(flow, "load_mappings", fail)
    assert main(["run", *events(line(1))]) == 1
    assert only_line(capsys) == "mapper-sync: unexpected error (LookupError); details in mapper.db.log\n"
    log = Path("mapper.db.log").read_text()
    assert json.loads(log)["error"] == "LookupError"
    assert "ana@" not in log
    with pytest.raises(LookupError):
        main(["run", "--debug", *events(line(1))])


def test_an_unexpected_error_in_one_record_stops_no_other(flow: Flow, capsys: pytest.CaptureFixture[str]) -> None:
    def answer(event: Any, context: Any) -> Outcome:
        if event.record_key == "order:1":
            raise ZeroDivisionError
        return written(event, context)

    flow.answer = answer
    assert main(["run", *events(line(1), line(2, "order:2"))]) == 3
    assert "order 1: unexpected error (ZeroDivisionError at test_cli_runner.py" in capsys.readouterr().out


def test_serve_takes_a_webhook_works_on_it_and_ends_cleanly(flow: Flow, monkeypatch: pytest.MonkeyPatch) -> None:
    from sync.settings import load_settings

    monkeypatch.setenv("CLARITY_WEBHOOK_SECRET", "s")
    addresses: list[str] = []
    ready, worked, stop = threading.Event(), threading.Event(), threading.Event()

    def answer(event: Any, context: Any) -> Outcome:
        worked.set()
        return Outcome("done")

    def on_ready(url: str) -> None:
        addresses.append(url)
        ready.set()

    flow.answer = answer
    arguments = {"port": 0, "on_ready": on_ready, "stop": stop, "now": lambda: 1_772_000_000.0}
    server = threading.Thread(target=runner.serve, args=(load_settings(), Path("maps")), kwargs=arguments)
    server.start()
    try:
        assert ready.wait(30)
        raw = line(1).encode()
        headers = {"X-Clarity-Signature": sign_clarity("s", 1_772_000_000, raw)}
        with httpx2.Client(base_url=addresses[0], trust_env=False, timeout=30) as client:
            assert client.post("/webhooks/clarity", content=raw, headers=headers).status_code == 202
            assert worked.wait(30)
            assert client.get("/readyz").status_code == 200
            assert client.get("/healthz").text == "ok\n"
    finally:
        stop.set()
        server.join(60)
    assert not server.is_alive()
    assert flow.seen == ["order:1"]


def test_a_taken_port_is_one_line(
    flow: Flow, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in (("WEBHOOK_SECRET", "s"), ("API_URL", "https://x.example"), ("API_KEY", "k")):
        monkeypatch.setenv(f"CLARITY_{name}", value)
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert main(["serve", "--mappings", "maps", "--port", str(server.getsockname()[1])]) == 1
    assert "cannot listen on 127.0.0.1" in only_line(capsys)


def test_work_without_workers_is_one_line(flow: Flow, capsys: pytest.CaptureFixture[str]) -> None:
    Path("mapper.toml").write_text("[runner]\nworkers = 0\n", encoding="utf-8")
    assert main(["work", "--mappings", "maps"]) == 2
    assert "[runner] workers is 0" in only_line(capsys)


SERVING = """
import sys
from sync import runner
from sync.__main__ import main
class Flow:
    def load_mappings(self, folder):
        return None
    def process(self, event, context):
        raise AssertionError
runner._flow = Flow
sys.exit(main(["serve", "--mappings", "maps", "--port", "0", "--json"]))
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_serve_cleanly(number: signal.Signals) -> None:
    environment = {**os.environ, "CLARITY_WEBHOOK_SECRET": "s"}
    arguments = [sys.executable, "-c", SERVING]
    with subprocess.Popen(
        arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as child:
        assert child.stdout is not None
        url = json.loads(child.stdout.readline())["url"]
        with httpx2.Client(trust_env=False, timeout=30) as client:
            assert client.get(f"{url}/healthz").status_code == 200
        child.send_signal(number)
        _, err = child.communicate(timeout=60)
    assert child.returncode == 0, err
    assert "Traceback" not in err
