"""FreshBooks' official Node SDK works unchanged against the stand-in; skipped where npm or its registry is missing."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from connectors.sandbox.server import running_sandbox

PACKAGE = "@freshbooks/api@4.1.0"
SCRIPT = Path(__file__).parent / "node" / "drive_freshbooks.cjs"


@pytest.fixture(scope="module")
def modules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A node_modules folder with the SDK; npm keeps what it fetched for the next time."""
    npm, node = shutil.which("npm"), shutil.which("node")
    if npm is None or node is None:
        pytest.skip("npm and node are not installed")
    folder = tmp_path_factory.mktemp("node")
    (folder / "package.json").write_text('{"name": "freshbooks-driver", "private": true}')
    options = [
        "--ignore-scripts",
        "--no-audit",
        "--no-fund",
        "--fetch-retries=0",
        "--fetch-timeout=10000",
        "--prefer-offline",
    ]
    try:
        subprocess.run([npm, "install", *options, PACKAGE], cwd=folder, capture_output=True, timeout=90, check=True)
    except (subprocess.SubprocessError, OSError) as error:
        pytest.skip(f"the npm registry did not hand out {PACKAGE}: {type(error).__name__}")
    return folder / "node_modules"


def test_the_node_sdk_creates_reads_changes_finds_pages_and_deletes(modules: Path) -> None:
    with running_sandbox() as sandbox:
        command = ["node", str(SCRIPT), sandbox.freshbooks_url, sandbox.account_id, sandbox.access_token]
        environment = {"PATH": os.environ["PATH"], "NODE_PATH": str(modules), "TZ": "UTC"}
        ran = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 0, ran.stderr
    seen: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    assert seen["clients"] == {
        "organization": "ann@shop.example",
        "changed": ["Anna", "ann@shop.example"],
        "found": [True],
        "pages": {"page": 2, "pages": 2, "total": 2, "size": 1},
        "left": 1,
        "missing": {
            "message": "Client not found.",
            "errorCode": 1012,
            "field": "userid",
            "object": "client",
            "value": "12345",
        },
    }
    assert seen["invoices"] == {
        "number": "N-1",
        "amount": "19.95",
        "bareLines": None,
        "lines": [["Mug", "2"]],
        "notes": "hello",
        "found": 1,
        "taken": 1029,
    }
    assert seen["payments"] == {"paid": ["paid", "0.00"], "found": 1, "notes": ["n2", "n2"], "open": "draft", "left": 0}
    assert seen["items"] == {"names": ["Mug", "Cup", "Cup"], "found": 1, "sku": "M1"}
    assert seen["otherIncome"] == {"category": "online_sales", "found": 1}
    assert seen["callbacks"] == {"verified": False, "unknown": "422", "left": 0}
    assert seen["identity"] == "SANDBOX"
