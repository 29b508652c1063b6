"""Starting, finding again and stopping the runner's child process; a stand-in takes the runner's place."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mapper_ai.services import runner_control
from mapper_ai.services.runner_control import AlreadyRunning, RunnerControl

# Stands where `python -m sync` looks first: the working directory; a whole package, which none behind it replaces.
# Opening a pipe waits for the other side, so the test knows where the stand-in is without any clock.
_STAND_IN = """
import json, os, signal, sys
if "--dry-run" in sys.argv:
    print(json.dumps({"dry_run": True, "argv": sys.argv[1:]}))
elif os.environ.get("STAND_IN") == "fail":
    print("mapper-sync: no such folder", file=sys.stderr)
    sys.exit(3)
else:
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    open("ready", "w").close()
    signal.sigwait([signal.SIGTERM])
    open("finish", "w").close()
    print(json.dumps({"dry_run": False, "stopped": "stopped by request"}))
"""


@pytest.fixture
def control(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunnerControl:
    (tmp_path / "sync").mkdir()
    (tmp_path / "sync" / "__init__.py").touch()
    (tmp_path / "sync" / "__main__.py").write_text(_STAND_IN, "utf-8")
    for name in ("ready", "finish"):
        os.mkfifo(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    return RunnerControl(tmp_path / "jobs", tmp_path / "mappings", now=lambda: 12.5)


def again(control: RunnerControl) -> RunnerControl:
    """As another process of the app would see it."""
    runner_control._CHILDREN.clear()
    return RunnerControl(control.folder, control.mappings)


def test_nothing_was_started_yet(control: RunnerControl) -> None:
    assert control.job("run").phase == "none"
    assert not control.stop("run")


def test_a_dry_run_leaves_its_report(control: RunnerControl) -> None:
    control.start("dry-run")
    job = control.wait("dry-run", 60)
    assert (job.phase, job.started_at) == ("done", 12.5)
    assert job.report == {
        "dry_run": True,
        "argv": ["run", "--mappings", str(control.mappings), "--json", "--dry-run"],
    }
    assert again(control).job("dry-run").report == job.report


def test_a_running_job_is_found_again_and_stopped(control: RunnerControl) -> None:
    started = control.start("run")
    child = runner_control._CHILDREN[started.pid]
    assert started.phase == "running"
    with pytest.raises(AlreadyRunning):
        control.start("dry-run")
    found = again(control)
    assert (found.job("run").phase, found.job("run").pid) == ("running", started.pid)
    Path("ready").read_text("utf-8")
    assert found.stop("run")
    assert found.stop("run")  # a second press sends no second signal
    assert (found.job("run").phase, found.job("run").stopping) == ("running", True)
    Path("finish").read_text("utf-8")
    child.wait(60)
    assert found.job("run").phase == "done"
    assert not found.stop("run")


def test_a_failure_shows_its_line(control: RunnerControl, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STAND_IN", "fail")
    control.start("run")
    job = control.wait("run", 60)
    assert (job.phase, job.message, job.report) == ("failed", "no such folder", None)


def test_a_pid_used_again_is_not_taken_for_the_runner(control: RunnerControl) -> None:
    control.start("dry-run")
    control.wait("dry-run", 60)
    file = control.folder / "dry-run" / "job.json"
    file.write_text(f'{{"pid": {os.getpid()}, "born": "another", "started_at": 1.0, "stopping": false}}', "utf-8")
    assert control.job("dry-run").phase == "done"
    assert not control.stop("dry-run")


def test_a_damaged_job_file_counts_as_never_started(control: RunnerControl) -> None:
    (control.folder / "run").mkdir(parents=True)
    (control.folder / "run" / "job.json").write_text("{", "utf-8")
    assert control.job("run").phase == "none"


def test_progress_is_unknown_without_a_store(tmp_path: Path) -> None:
    assert runner_control.read_progress(f"sqlite:///{tmp_path / 'none.db'}") is None
