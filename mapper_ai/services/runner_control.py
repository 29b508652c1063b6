"""Starts and stops the runner as a child process, and finds it again after a reload or a restart of the app.

A job is a folder: what was started (`job.json`), what it printed (`report.json`, `log.txt`). The child runs in a
session of its own, so that neither a closed browser tab nor Ctrl-C in the app's terminal ends it half way.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, Literal

from mapper_ai.errors import MapperError
from mapper_ai.services.atomic import write_text

Kind = Literal["dry-run", "run", "backfill"]
KINDS: Final[tuple[Kind, ...]] = ("run", "dry-run", "backfill")
Phase = Literal["none", "running", "done", "failed"]

_LOG_TAIL_BYTES = 4000
_REMEMBERED = 100
# Children of this process, so that an ended one is collected and does not look alive for ever.
_CHILDREN: dict[int, subprocess.Popen[bytes]] = {}


class AlreadyRunning(MapperError):  # noqa: N818  the word of the screens
    """A runner is at work in this workspace."""


@dataclass(frozen=True)
class Job:
    """One start of the runner.

    Attributes:
        phase: none before the first start; failed when it ended without a report.
        started_at: Unix seconds; 0 when never started.
        stopping: Somebody asked it to end; it finishes the write in hand first.
        ended_at: Unix seconds; 0 while it runs.
        report: What the command's --json printed; None while it runs and after a failure.
        message: Last line on stderr, for people; "" when there is none.
    """

    kind: Kind
    phase: Phase
    pid: int = 0
    started_at: float = 0.0
    ended_at: float = 0.0
    stopping: bool = False
    report: dict[str, Any] | None = None
    message: str = ""
    log_file: str = ""


@dataclass(frozen=True)
class Past:
    """A job that has ended, as it is remembered: `words` says what it did."""

    kind: Kind
    phase: Phase
    started_at: float
    ended_at: float
    words: str


@dataclass(frozen=True)
class _Started:
    pid: int
    born: str
    started_at: float
    stopping: bool = False


@dataclass(frozen=True)
class RunnerControl:
    """The runner jobs of one workspace.

    Attributes:
        folder: Where the jobs are kept; made when needed.
        mappings: Folder of approved specs, handed to the runner.
        environ: Environment of the child; this process's own when None.
    """

    folder: Path
    mappings: Path
    environ: Mapping[str, str] | None = None
    now: Callable[[], float] = time.time

    def start(self, kind: Kind, first: date | None = None) -> Job:
        """Start the runner's command; a dry run writes nothing.

        Args:
            first: Of a backfill: the day from which on the past is read.

        Raises:
            AlreadyRunning: A job of any kind is at work; two at once would only wait for each other.
        """
        with self._locked():
            for other in KINDS:
                if self.job(other).phase == "running":
                    raise AlreadyRunning("the runner is at work; wait for its end or stop it first")
            self._remember(self.job(kind))
            place = self._place(kind)
            place.mkdir(parents=True, exist_ok=True, mode=0o700)  # planned bodies hold customer values
            for name in ("job.json", "report.json", "log.txt"):
                (place / name).unlink(missing_ok=True)
            name = "backfill" if kind == "backfill" else "run"
            command = [sys.executable, "-m", "sync", name, "--mappings", str(self.mappings), "--json"]
            if kind == "dry-run":
                command.append("--dry-run")
            if kind == "backfill":
                command += ["--from", (first or date.today()).isoformat()]  # noqa: DTZ011  a day of the shop
            with (place / "report.json").open("wb") as out, (place / "log.txt").open("wb") as log:
                child = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=log,
                    env=None if self.environ is None else dict(self.environ),
                    start_new_session=True,
                )
            _CHILDREN[child.pid] = child
            self._write(kind, _Started(child.pid, _born(child.pid), self.now()))
        return self.job(kind)

    def stop(self, kind: Kind) -> bool:
        """Ask a job to end after the write in hand (SIGTERM); False when none is at work."""
        with self._locked():
            started = self._read(kind)
            if started is None or not _alive(started):
                return False
            if started.stopping:
                return True  # a second signal would cut the write in hand
            os.kill(started.pid, signal.SIGTERM)
            self._write(kind, _Started(started.pid, started.born, started.started_at, stopping=True))
        return True

    def job(self, kind: Kind) -> Job:
        """The last job of a kind as it stands now."""
        started = self._read(kind)
        if started is None:
            return Job(kind, "none")
        place = self._place(kind)
        running = _alive(started)
        report = None if running else _report(place / "report.json")
        phase: Phase = "running" if running else "done" if report is not None else "failed"
        return Job(
            kind=kind,
            phase=phase,
            pid=started.pid,
            started_at=started.started_at,
            ended_at=0.0 if running else _ended(place, started.started_at),
            stopping=started.stopping,
            report=report,
            message=_last_line(place / "log.txt"),
            log_file=str(place / "log.txt"),
        )

    def history(self) -> list[Past]:
        """Jobs that have ended, newest first; at most a hundred."""
        found = [past for past in map(_past, self._lines()) if past is not None]
        found += [_summary(job) for job in map(self.job, KINDS) if job.phase in ("done", "failed")]
        return sorted(found, key=lambda past: -past.started_at)[:_REMEMBERED]

    def wait(self, kind: Kind, timeout_s: float) -> Job:
        """Wait for a job that this process started; returns at once for any other.

        Raises:
            subprocess.TimeoutExpired: It is still at work.
        """
        started = self._read(kind)
        child = _CHILDREN.get(started.pid) if started else None
        if child is not None:
            child.wait(timeout_s)
        return self.job(kind)

    def _remember(self, job: Job) -> None:
        if job.phase in ("done", "failed"):
            lines = [*self._lines(), json.dumps(asdict(_summary(job)))]
            write_text(self._kept, "".join(f"{line}\n" for line in lines[-_REMEMBERED:]))

    def _lines(self) -> list[str]:
        try:
            return self._kept.read_text("utf-8").splitlines()
        except OSError:
            return []

    @property
    def _kept(self) -> Path:
        return self.folder / "history.ndjson"

    def _place(self, kind: Kind) -> Path:
        return self.folder / kind

    def _read(self, kind: Kind) -> _Started | None:
        try:
            data = json.loads((self._place(kind) / "job.json").read_text("utf-8"), parse_float=Decimal)
            return _Started(
                int(data["pid"]), str(data["born"]), float(data["started_at"]), stopping=bool(data["stopping"])
            )
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _write(self, kind: Kind, started: _Started) -> None:
        target = self._place(kind) / "job.json"
        fresh = target.with_suffix(".new")
        fresh.write_text(json.dumps(asdict(started)), "utf-8")
        fresh.replace(target)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Two tabs that press the same button at the same moment start one runner."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "lock").open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield


def _summary(job: Job) -> Past:
    report = job.report
    if report is None:
        return Past(job.kind, job.phase, job.started_at, job.ended_at, job.message or "ended without a result")
    fates = report.get("fates") or {}
    words = ", ".join(f"{count} {fate}" for fate, count in sorted(fates.items())) or "nothing was due"
    stopped = f"; ended early: {report['stopped']}" if report.get("stopped") else ""
    return Past(job.kind, job.phase, job.started_at, job.ended_at, words + stopped)


def _past(line: str) -> Past | None:
    try:
        return Past(**json.loads(line))
    except (ValueError, TypeError):  # written by another version
        return None


def _ended(place: Path, started_at: float) -> float:
    """When the last output was written; a job is silent afterwards."""
    moments = [(place / name).stat().st_mtime for name in ("report.json", "log.txt") if (place / name).exists()]
    return max([started_at, *moments])


def read_progress(store_url: str) -> tuple[int, int] | None:
    """How many events are settled and how many there are; None while there is no readable store."""
    from sync.errors import SyncError
    from sync.status import read_status

    try:
        found = read_status(store_url)
    except SyncError:
        return None
    total = sum(found["inbox"].values())
    return total - found["inbox"]["pending"], total


def _alive(started: _Started) -> bool:
    child = _CHILDREN.get(started.pid)
    if child is not None and child.poll() is not None:
        return False
    # A pid is used again sooner or later; its birth tells whether it is still our child.
    return bool(started.born) and _born(started.pid) == started.born


def _born(pid: int) -> str:
    """When a process began, in the system's own terms; "" when it is gone or a zombie."""
    try:
        line = Path(f"/proc/{pid}/stat").read_text("ascii", "replace")
    except FileNotFoundError:
        if Path("/proc/self").exists():
            return ""
        found = subprocess.run(  # a system without /proc
            ["/bin/ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
        ).stdout.strip()
        state, _, began = found.partition(" ")
        return "" if not found or state.startswith("Z") else began.strip()
    except OSError:
        return ""
    # The name in brackets may hold anything; the state is the first word after it, the start time the 20th.
    words = line.rpartition(")")[2].split()
    return "" if words[0] in ("Z", "X") else words[19]


def _report(file: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(file.read_text("utf-8"), parse_float=Decimal)
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _last_line(file: Path) -> str:
    try:
        with file.open("rb") as handle:
            handle.seek(max(0, file.stat().st_size - _LOG_TAIL_BYTES))
            lines = handle.read().decode("utf-8", "replace").strip().splitlines()
    except OSError:
        return ""
    return lines[-1].removeprefix("mapper-sync: ") if lines else ""
