"""Runs that end like a kill -9 at the n-th boundary: a small server that forks one process a run.

A boundary is a commit of the store, or a request at one of three moments: about to be sent, answered by the server but
not read here, read here. A forked process ends itself there with ``os._exit``: nothing is flushed, closed or rolled
back by Python. What is left is what a killed process leaves.

The server reads one job a line and answers with one line; it exists because a fork of a fresh process that has
everything imported takes milliseconds, and because pytest's own process has threads and must not be forked.
"""

from __future__ import annotations

import json
import logging
import os
import re
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import httpx2
from sqlalchemy.engine.default import DefaultDialect

from connectors.http import Transport
from sync import flow, inbox, ledger, poll, records, runner, status  # noqa: F401  (imported before the fork)
from sync.settings import load_settings
from sync.worker import Flow

CRASHED = 86
_NUMBERS = re.compile(r"\d{3,}")


class Boundaries:
    """Counts boundaries and ends the process at one of them.

    Args:
        crash_at: Counted from 1; 0 never.
        every: Also those after which store and books are as they were at the one before: a process that is about to
            send has left nothing behind that it had not left after its last commit.
    """

    def __init__(self, crash_at: int, *, every: bool) -> None:
        self.passed: list[str] = []
        self._crash_at = crash_at
        self._every = every

    def reach(self, what: str, *, durable: bool) -> None:
        """Pass one; does not return where the process is to end."""
        if not (durable or self._every):
            return
        self.passed.append(what)
        if len(self.passed) == self._crash_at:
            os.write(2, f"{what}\n".encode())
            os._exit(CRASHED)

    def watch(self) -> None:
        """See every commit and every request of this process from now on."""
        dialects = cast(Any, DefaultDialect)
        commit, send, exchange = dialects.do_commit, httpx2.Client.send, Transport.exchange
        changes: dict[int, int] = {}

        def do_commit(dialect: Any, connection: Any) -> None:
            before = changes.get(id(connection.driver_connection), 0)
            commit(dialect, connection)
            now = changes[id(connection.driver_connection)] = connection.driver_connection.total_changes
            self.reach("commit", durable=now != before)

        def do_send(client: Any, request: Any, **options: Any) -> Any:
            what = f"{request.method} {_NUMBERS.sub('N', request.url.path)}"
            self.reach(f"about to send {what}", durable=False)
            answer = send(client, request, **options)
            self.reach(f"answer under way to {what}", durable=request.method != "GET")
            return answer

        def do_exchange(transport: Any, method: str, url: str, **options: Any) -> Any:
            answer = exchange(transport, method, url, **options)
            self.reach(f"answer read to {method}", durable=False)
            return answer

        clients, transports = cast(Any, httpx2.Client), cast(Any, Transport)
        dialects.do_commit, clients.send, transports.exchange = do_commit, do_send, do_exchange


def _run(job: Mapping[str, Any], approved: Flow) -> None:
    """One run of a forked process, with a clock that does not have to be waited for."""
    ahead_s = 0.0

    def wait(seconds: float) -> None:
        nonlocal ahead_s
        ahead_s += seconds

    boundaries = Boundaries(job["crash_at"], every=job["every"])
    boundaries.watch()
    report = runner.run(
        load_settings(job["environ"]),
        Path(job["mappings"]),
        events=Path(job["events"]) if job["events"] else None,
        flow=approved,
        now=lambda: time.time() + ahead_s,
        wait=wait,
        max_wait_s=120,
    )
    held = {f"{line['entity']}:{line['id']}": line["reason_id"] for line in report.status["held"]}
    told = {"boundaries": boundaries.passed, "held": held, "exit_code": report.exit_code, "left": report.left}
    Path(job["report"]).write_text(json.dumps(told), encoding="utf-8")


def _serve() -> None:
    logging.disable(logging.CRITICAL)
    mappings: dict[str, Any] = {}
    for line in sys.stdin:
        job = json.loads(line)
        folder = job["mappings"]
        if folder not in mappings:
            mappings[folder] = flow.load_mappings(Path(folder))
        approved = cast(Flow, SimpleNamespace(load_mappings=lambda f: mappings[str(f)], process=flow.process))
        child = os.fork()
        if not child:
            code = 1
            try:
                _run(job, approved)
                code = 0
            finally:
                if code:
                    traceback.print_exc()
                    sys.stderr.flush()
                os._exit(code)
        _, waited = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(waited), flush=True)


@dataclass
class Forker:
    """The parent's side."""

    _process: subprocess.Popen[str]
    _folder: Path

    def run(
        self, environ: Mapping[str, str], mappings: Path, events: Path | None, *, crash_at: int = 0, every: bool = False
    ) -> dict[str, Any] | None:
        """One run; its report, or None when it crashed where it was told to.

        Raises:
            RuntimeError: It ended in any other way.
        """
        report = self._folder / "report.json"
        report.unlink(missing_ok=True)
        job = {
            "environ": dict(environ),
            "mappings": str(mappings),
            "events": str(events or ""),
            "crash_at": crash_at,
            "every": every,
            "report": str(report),
        }
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        code = int(self._process.stdout.readline() or "-1")
        if code == CRASHED:
            return None
        if code:
            raise RuntimeError(f"the run ended with {code}: {self.last_words()}")
        found: dict[str, Any] = json.loads(report.read_text("utf-8"))
        return found

    def last_words(self) -> str:
        """The last line of what the runs said: where the latest one crashed."""
        return ((self._folder / "stderr").read_text("utf-8").strip().splitlines() or [""])[-1]


@contextmanager
def forker(folder: Path) -> Iterator[Forker]:
    """A server that forks runs, with its files in a folder; it ends with the block."""
    with (folder / "stderr").open("wb") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.chaos.crash"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": os.environ.get("PYTHONPATH", "")},
            cwd=Path(__file__).resolve().parents[2],
        )
        try:
            yield Forker(process, folder)
        finally:
            assert process.stdin is not None
            process.stdin.close()
            process.wait(timeout=30)
            assert process.stdout is not None
            process.stdout.close()


def until_it_ends(run: Callable[[int], dict[str, Any] | None]) -> Iterator[int]:
    """1, 2, 3, ... as long as a run that is told to crash at that boundary does."""
    number = 1
    while run(number) is None:
        yield number
        number += 1


if __name__ == "__main__":
    _serve()
