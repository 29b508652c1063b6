"""`mapper sandbox` and `mapper app` as processes."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from mapper_ai.cli.serving import app_command

ROOT = Path(__file__).resolve().parents[2]


def test_the_first_line_tells_where_both_systems_are() -> None:
    command = [sys.executable, "-m", "mapper_ai", "sandbox", "--json", "--orders", "2", "--seed", "7"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        try:
            ready = json.loads(process.stdout.readline())
            assert {"url", "account_id", "access_token"} <= set(ready["freshbooks"])
            assert {"url", "client_id", "client_secret", "webhook_secret"} <= set(ready["clarity"])
            request = urllib.request.Request(ready["freshbooks"]["url"] + "/auth/api/v1/users/me")  # noqa: S310
            with pytest.raises(urllib.error.HTTPError) as refused:
                urllib.request.urlopen(request)  # noqa: S310  the loopback address printed above
            assert refused.value.code == 401
            refused.value.close()
        finally:
            process.send_signal(signal.SIGINT)
        assert process.wait() == 0


def test_a_taken_port_is_one_clear_line() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        command = [sys.executable, "-m", "mapper_ai", "sandbox", "--orders", "0", "--clarity-port", str(port)]
        result = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1
    assert "--clarity-port" in result.stderr


def test_an_unknown_switch_is_one_clear_line() -> None:
    command = [sys.executable, "-m", "mapper_ai", "sandbox", "--set", "gravity=low"]
    result = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert result.returncode == 3
    assert result.stderr.count("\n") == 1
    assert "gravity" in result.stderr


def test_the_app_is_served_to_this_machine_only_and_reports_nothing_home() -> None:
    command = app_command(8765)
    assert command[1:4] == ["-m", "streamlit", "run"]
    assert Path(command[4]).name == "app.py"
    assert {
        "--server.port=8765",
        "--server.address=127.0.0.1",
        "--server.headless=true",
        "--browser.gatherUsageStats=false",
        "--server.fileWatcherType=none",
    } <= set(command)
