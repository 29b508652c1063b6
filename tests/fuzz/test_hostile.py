"""Hostile specs and payloads end within the memory and time that the operating system allows them."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.fuzz import hostile


def test_every_hostile_case_stays_bounded() -> None:
    """The cases are children of one process with one thread."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz.hostile"], cwd=hostile.ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    ends = {row["case"]: row["ended"] for row in map(json.loads, done.stdout.splitlines())}
    assert ends == dict.fromkeys(hostile.CASES, "bounded")


@pytest.mark.parametrize(
    ("code", "ended"),
    [
        ("bytearray(2**30)", "MemoryError"),
        ("all(x == 0 for x in iter(int, 1))", "ended by signal"),
        ("1 / 0", "ZeroDivisionError"),
    ],
)
def test_the_bounds_hold(code: str, ended: str) -> None:
    script = "import sys; from tests.fuzz import hostile; hostile.CPU_S = 1; "
    script += "print(hostile.bounded(lambda: eval(sys.argv[1])))"
    done = subprocess.run(
        [sys.executable, "-c", script, code], cwd=hostile.ROOT, capture_output=True, text=True, check=False
    )
    assert done.stdout.startswith(ended), (done.stdout, done.stderr)
