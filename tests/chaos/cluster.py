"""The runner's real processes on one store: started, killed and started again."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from cryptography.fernet import Fernet

from connectors.sandbox.server import Sandbox
from tests.chaos.launch import Plan
from tests.flows import MAPPINGS, ROOT

READY_WITHIN_S = 60.0
_TOML = """
[poll]
interval_s = 4
overlap_s = 10

[runner]
{runner}
"""


def commands() -> set[str]:
    """The commands of this version of `mapper-sync`."""
    from sync.__main__ import build_parser

    return {name for action in build_parser()._actions if action.dest == "command" for name in action.choices or ()}


@dataclass
class Slot:
    """One place for a process.

    Attributes:
        port: Of its ingress; 0 for a process without one.
        lives: How many processes there were.
        ready: Set once the present process says that it is.
    """

    name: str
    port: int
    plan: Callable[[int], Plan]
    process: subprocess.Popen[str] | None = None
    lives: int = 0
    ready: threading.Event = field(default_factory=threading.Event)
    reader: threading.Thread | None = None

    @property
    def url(self) -> str:
        """Of the ingress."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def alive(self) -> bool:
        """Whether the process runs; one that is stopped does."""
        return self.process is not None and self.process.poll() is None


class Cluster:
    """Processes of `mapper-sync` on one store, against one sandbox; ingresses keep their ports over all lives."""

    def __init__(
        self,
        sandbox: Sandbox,
        store_url: str,
        folder: Path,
        *,
        settle_s: float = 0.3,
        http_timeout_s: float = 1.0,
        lease_s: float = 2.0,
        clarity: bool = True,
        runner: Mapping[str, int] | None = None,
    ) -> None:
        """Start nothing yet.

        Args:
            clarity: Whether the runner may ask Clarity: fetch records and poll.
            runner: Further settings of the ``[runner]`` section.
        """
        self._sandbox = sandbox
        self._folder = folder
        lines = "\n".join(f"{name} = {value}" for name, value in {"lease_s": lease_s, **(runner or {})}.items())
        (folder / "mapper.toml").write_text(_TOML.format(runner=lines), encoding="utf-8")
        self._environ = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH", "")))),
            "MAPPER_CONFIG": str(folder / "mapper.toml"),
            "MAPPER_STORE_URL": store_url,
            "MAPPER_TOKEN_KEY": Fernet.generate_key().decode(),
            "MAPPER_SETTLE_S": str(settle_s),
            "MAPPER_HTTP_TIMEOUT_S": str(http_timeout_s),
            "FRESHBOOKS_API_URL": sandbox.freshbooks_url,
            "FRESHBOOKS_ACCOUNT_ID": sandbox.account_id,
            "FRESHBOOKS_CLIENT_ID": sandbox.freshbooks_client_id,
            "FRESHBOOKS_CLIENT_SECRET": sandbox.freshbooks_client_secret,
            "FRESHBOOKS_REFRESH_TOKEN": sandbox.refresh_token,
            "CLARITY_WEBHOOK_SECRET": sandbox.webhook_secret,
        }
        if clarity:
            self._environ |= {
                "CLARITY_API_URL": sandbox.clarity_url,
                "CLARITY_CLIENT_ID": sandbox.client_id,
                "CLARITY_CLIENT_SECRET": sandbox.client_secret,
            }
        self.slots: list[Slot] = []
        self.deaths = 0

    def add(self, *, ingress: bool, plan: Callable[[int], Plan] = lambda _life: Plan(), start: bool = True) -> Slot:
        """One more process; `plan` gets the number of its life, from 1."""
        name = f"{'serve' if ingress else 'work'}-{len(self.slots)}"
        slot = Slot(name, _free_port() if ingress else 0, plan)
        self.slots.append(slot)
        if ingress:
            self._sandbox.state.deliveries.register(f"{slot.url}/webhooks/clarity")
        if start:
            self.start(slot)
        return slot

    def start(self, slot: Slot, *, wait: bool = True) -> None:
        """Give a slot a new process.

        Raises:
            RuntimeError: It does not become ready.
        """
        if slot.reader is not None:
            slot.reader.join()
        slot.lives += 1
        slot.ready.clear()
        command = ["serve", "--port", str(slot.port)] if slot.port else ["work"]
        log = (self._folder / f"{slot.name}-{slot.lives}.log").open("wb")
        with log:
            slot.process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "tests.chaos.launch", slot.plan(slot.lives).text()),
                    *(*command, "--mappings", str(MAPPINGS), "--json"),
                ],
                env=self._environ,
                cwd=self._folder,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert slot.process.stdout is not None
        slot.reader = threading.Thread(target=_read_ready, args=(slot.process.stdout, slot.ready), daemon=True)
        slot.reader.start()
        if wait:
            self.wait_ready(slot)

    def wait_ready(self, slot: Slot) -> None:
        """Return when it works.

        Raises:
            RuntimeError: It ended, or is not ready in time.
        """
        if not slot.ready.wait(READY_WITHIN_S) or not slot.alive:
            raise RuntimeError(f"{slot.name} did not become ready: {self.last_words(slot)}")

    def kill(self, slot: Slot) -> None:
        """`kill -9`, also while it is stopped."""
        assert slot.process is not None
        slot.process.kill()
        slot.process.wait()

    def revive(self) -> int:
        """Start what has died again; how many had."""
        dead = [slot for slot in self.slots if slot.process is not None and not slot.alive]
        for slot in dead:
            assert slot.process is not None
            if slot.process.returncode != -signal.SIGKILL:
                raise RuntimeError(f"{slot.name} ended with {slot.process.returncode}: {self.last_words(slot)}")
            self.deaths += 1
            self.start(slot, wait=False)
        return len(dead)

    def status(self) -> Mapping[str, Any] | None:
        """`/api/status` of any ingress that answers."""
        for slot in self.slots:
            if slot.port and slot.alive:
                try:
                    with urllib.request.urlopen(f"{slot.url}/api/status?lines=all", timeout=10) as answer:  # noqa: S310
                        found: dict[str, Any] = json.load(answer)
                        return found
                except (OSError, ValueError):
                    continue
        return None

    def stop(self, *, within_s: float = 60.0) -> None:
        """End all processes as an operator does.

        Raises:
            RuntimeError: One did not end by itself with code 0.
        """
        bad = []
        running = [slot for slot in self.slots if slot.alive and slot.process is not None]
        for slot in running:
            assert slot.process is not None
            slot.process.send_signal(signal.SIGCONT)
            slot.process.terminate()
        for slot in running:
            assert slot.process is not None
            try:
                slot.process.wait(within_s)
            except subprocess.TimeoutExpired:
                self.kill(slot)
            if slot.process.returncode:
                bad.append(f"{slot.name} ended with {slot.process.returncode}: {self.last_words(slot)}")
        if bad:
            raise RuntimeError("; ".join(bad))

    def said(self, slot: Slot) -> str:
        """What its last process has written to stderr so far."""
        return (self._folder / f"{slot.name}-{slot.lives}.log").read_text("utf-8", "replace")

    def last_words(self, slot: Slot) -> str:
        """The end of that."""
        return self.said(slot)[-2000:].strip()


@contextmanager
def cluster(sandbox: Sandbox, store_url: str, folder: Path, **options: Any) -> Iterator[Cluster]:
    """A cluster whose processes are gone after the block."""
    made = Cluster(sandbox, store_url, folder, **options)
    try:
        yield made
    finally:
        for slot in made.slots:
            if slot.alive:
                made.kill(slot)
            if slot.reader is not None:
                slot.reader.join()


def wait_until(true: Callable[[], bool], *, within_s: float, step_s: float = 0.05) -> bool:
    """Whether it became true in time; looks every `step_s`."""
    deadline = time.monotonic() + within_s
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(step_s)
    return True


def is_stopped(slot: Slot) -> bool:
    """Whether a process stands still after SIGSTOP."""
    assert slot.process is not None
    try:
        text = Path(f"/proc/{slot.process.pid}/stat").read_text("utf-8", "replace")
    except OSError:
        return False
    return text.rpartition(")")[2].split()[0] == "T"


def _read_ready(stdout: IO[str], ready: threading.Event) -> None:
    with stdout:
        if stdout.readline():
            ready.set()
        for _ in stdout:
            pass


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
