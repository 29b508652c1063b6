"""A bounded, seeded run of the coverage-guided fuzzer; `make fuzz` runs it longer."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.fuzz.hostile import ROOT

RUNS = 2000


@pytest.mark.filterwarnings("ignore")  # what atheris itself warns of at import is not ours
def test_nothing_but_a_clear_error_comes_out() -> None:
    pytest.importorskip("atheris")
    command = [sys.executable, "-m", "tests.fuzz.coverage_guided", f"-runs={RUNS}", "-seed=7", "-max_len=512"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    assert f"Done {RUNS} runs" in done.stderr
