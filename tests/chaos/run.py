"""One chaos run: a stream through real processes while answers are lost, tokens expire and processes are killed."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from connectors.sandbox.server import Sandbox, running_sandbox
from tests.chaos.cluster import Cluster, cluster, commands
from tests.chaos.judge import Finding, doubled, judge, out_of_order
from tests.chaos.launch import Plan
from tests.chaos.recorder import Recorder
from tests.chaos.stream import Step, Stream, make_stream

FAULTS: Final = {
    "lost_answer": 0.05,
    "server_error": 0.03,
    "error_after": 0.02,
    "rate_limited": 0.03,
    "slow": 0.02,
    "conflict": 0.01,
}
"""Share of API requests, of both systems."""

_CHUNK = 2  # a tenth of a second
_WORK_BETWEEN_KILLS = (
    3  # changes of the books; else a busy machine starts one event again and again until it is set aside
)
DIE_BETWEEN, DIE_AFTER = 0.01, 0.01


@dataclass(frozen=True)
class Chaos:
    """What is done to a run.

    Attributes:
        processes: On SQLite one, as it comes; on PostgreSQL several share the store.
        kill_every_s: Mean pause between two `kill -9` from outside, half of it at least with all processes at work;
            0 for none.
        most_kills: After so many deaths, of whatever cause, processes are left alive.
        expire_every_s: Mean pause between two moments at which all access tokens die; 0 for none.
        plan: Further disturbances in every process, as for the negative controls.
        within_s: Longest time of disturbances; the run may then take as long again in peace.
    """

    seed: int
    size: int
    processes: int = 1
    kill_every_s: float = 8.0
    most_kills: int = 10_000
    expire_every_s: float = 6.0
    faults: Any = field(default_factory=lambda: dict(FAULTS))
    plan: Plan = field(default_factory=lambda: Plan(die_between=DIE_BETWEEN, die_after=DIE_AFTER))
    within_s: float = 120.0


@dataclass
class Verdict:
    """What a run came to; `findings` is empty when every promise was kept.

    Attributes:
        quiet: The disturbances had to end first.
    """

    seed: int
    changes: int
    findings: list[Finding]
    effects: int = 0
    webhooks: int = 0
    lost_webhooks: int = 0
    refused_webhooks: int = 0
    faults: dict[str, int] = field(default_factory=dict)
    requests: int = 0
    kills: int = 0
    expiries: int = 0
    held: int = 0
    elapsed_s: float = 0.0
    quiet: bool = False

    def __str__(self) -> str:
        faults = ", ".join(f"{count} {kind}" for kind, count in sorted(self.faults.items()))
        end = "kept" if not self.findings else "BROKEN"
        head = (
            f"seed {self.seed}: {self.changes} changes in the shop,"
            f" {self.webhooks} webhooks ({self.lost_webhooks} lost, {self.refused_webhooks} tries refused),"
            f" {self.requests} API requests ({faults}), {self.kills} kills, {self.expiries} token expiries,"
            f" {self.effects} changes of the books, {self.held} held,"
            f" {self.elapsed_s:.0f} s{', the end in peace' if self.quiet else ''}: {end}"
        )
        return "\n".join([head, *(f"  {finding}" for finding in self.findings)])


def chaos_run(chaos: Chaos, store_url: str, folder: Path, say: Callable[[str], None] = lambda _line: None) -> Verdict:
    """One run to its end, or until its time is over; then the judge's word."""
    stream = make_stream(chaos.seed, chaos.size)
    switches = {
        "fault_rates": chaos.faults,
        "fault_seed": chaos.seed,
        "slow_s": 0.5,
        "webhook_duplicate_rate": 0.15,
        "webhook_reorder_rate": 0.2,
        "webhook_gap_s": 0.25,
    }
    with running_sandbox(**switches) as sandbox, cluster(sandbox, store_url, folder) as processes:
        run = _Run(chaos, stream, sandbox, processes)
        return run.go(say)


class _Run:
    def __init__(self, chaos: Chaos, stream: Stream, sandbox: Sandbox, processes: Cluster) -> None:
        self._chaos = chaos
        self._stream = stream
        self._sandbox = sandbox
        self._processes = processes
        self._recorder = Recorder(sandbox.state)
        self._chance = random.Random(chaos.seed + 1)  # noqa: S311 - reproducible kills
        self._expiries = 0
        self._expired_at = 0
        self._clock = datetime.now(UTC) - timedelta(seconds=len(stream.steps) // 100 + 1)
        self._next_kill = self._next_expiry = float("inf")
        self._worked = 0

    def go(self, say: Callable[[str], None]) -> Verdict:
        began = time.monotonic()
        self._start()
        self._next_kill, self._next_expiry = (
            self._later(self._chaos.kill_every_s),
            self._later(self._chaos.expire_every_s),
        )
        left = list(self._stream.steps)
        while left and time.monotonic() < began + self._chaos.within_s:
            chunk, left = left[:_CHUNK], left[_CHUNK:]
            for step in chunk:
                self._change(step)
            self._disturb()
            time.sleep(0.1)
        findings, quiet = self._until_done(began + self._chaos.within_s, disturbed=True), False
        if findings is None:
            say(f"seed {self._chaos.seed}: the time for disturbances is over, {self._rest()}")
            findings, quiet = self._until_done(time.monotonic() + self._chaos.within_s, disturbed=False), True
        if findings is None:
            say(f"seed {self._chaos.seed}: all time is over, {self._rest()}")
            findings = self._findings(self._held() or {})
        return self._verdict(findings, time.monotonic() - began, quiet=quiet)

    def _until_done(self, until: float, *, disturbed: bool) -> list[Finding] | None:
        """The judge's last word, once nothing is lost and all is at rest or something is broken; None for no end."""
        while time.monotonic() < until:
            if disturbed:
                self._disturb()
            else:
                self._processes.revive()
            time.sleep(0.2)
            books = self._recorder.books()
            if broken := [*doubled(books), *out_of_order(books.effects)]:
                return broken
            held = self._held()
            if held is None or not self._at_rest():
                continue
            findings = self._findings(held)
            if not any(finding.kind == "lost" for finding in findings):
                return findings
        return None

    def _start(self) -> None:
        helpers = "work" in commands()
        for number in range(self._chaos.processes):
            plan = self._plan(number)
            self._processes.add(ingress=not number or not helpers, plan=plan, start=False)
        for slot in self._processes.slots:
            self._processes.start(slot, wait=False)
        for slot in self._processes.slots:
            self._processes.wait_ready(slot)

    def _plan(self, number: int) -> Callable[[int], Plan]:
        wanted = vars(self._chaos.plan)

        def plan(life: int) -> Plan:
            if self._processes.deaths >= self._chaos.most_kills:
                return Plan(**{**wanted, "die_between": 0.0, "die_after": 0.0})
            return Plan(**{**wanted, "seed": hash((self._chaos.seed, number, life)) % 2**31})

        return plan

    def _change(self, step: Step) -> None:
        self._clock += timedelta(milliseconds=7)
        stamp = self._clock.strftime("%Y-%m-%dT%H:%M:%S.") + f"{self._clock.microsecond // 1000:03d}Z"
        with self._sandbox.state.lock:
            record = {**step.record, "updatedAt": stamp}
            self._sandbox.state.clarity.put(step.list_name, record, silent=not step.webhook)

    def _disturb(self) -> None:
        now = time.monotonic()
        self._processes.revive()
        if not all(slot.ready.is_set() for slot in self._processes.slots):
            # However long a start takes on a busy machine, some work is done between two kills.
            self._next_kill = max(self._next_kill, now + self._chaos.kill_every_s / 2)
        if now < min(self._next_kill, self._next_expiry) or not self._renewed():
            return
        worked = len(self._recorder.effects)
        kills = worked >= self._worked + _WORK_BETWEEN_KILLS and self._processes.deaths < self._chaos.most_kills
        if now > self._next_kill and kills:
            self._next_kill, self._worked = self._later(self._chaos.kill_every_s), worked
            slot = self._chance.choice(self._processes.slots)
            if slot.ready.is_set() and slot.alive:
                self._processes.kill(slot)
        if now > self._next_expiry:
            self._next_expiry = self._later(self._chaos.expire_every_s)
            self._expire()

    def _expire(self) -> None:
        """All access tokens die."""
        state = self._sandbox.state
        with state.lock:
            state.oauth.expire_all()
            state.clarity_oauth.expire_all()
            self._expired_at = len(state.history)
        self._expiries += 1

    def _renewed(self) -> bool:
        """Whether the newest token was used, and so is kept; before that nobody is killed.

        A process that dies between the answer of a renewal and its commit takes the only refresh token with it, and a
        person has to sign in again: that hole is FreshBooks', and not what is tried here.
        """
        state = self._sandbox.state
        with state.lock:
            since = state.history[self._expired_at :]
            return any("/accounting/" in row["path"] and 200 <= row["status"] < 300 for row in since)

    def _later(self, mean_s: float) -> float:
        return time.monotonic() + self._chance.uniform(0.5, 1.5) * mean_s if mean_s else float("inf")

    def _held(self) -> dict[str, str] | None:
        """None when no process answers."""
        status = self._processes.status()
        if status is None:
            return None
        lines = [line for line in status["held"] if line["kind"] != "waiting"]
        return {f"{line['entity']}:{line['id']}": line["reason_id"] for line in lines}

    def _findings(self, held: dict[str, str]) -> list[Finding]:
        return judge(self._stream.wanted, self._recorder.books(), held)

    def _at_rest(self) -> bool:
        """Whether every webhook was taken by somebody or dropped, and nothing in the inbox is still to be done."""
        most = self._sandbox.state.switches.webhook_attempts
        with self._sandbox.state.lock:
            log = list(self._sandbox.state.deliveries.log)
        taken = {delivery.label["id"] for delivery in log if delivery.delivered}
        if any(delivery.label["id"] not in taken and len(delivery.statuses) < most for delivery in log):
            return False
        status = self._processes.status()
        return status is not None and status["inbox"]["pending"] == len(status["waiting"])

    def _rest(self) -> str:
        status = self._processes.status()
        return "no process answers" if status is None else f"inbox {status['inbox']}, {status['connections']}"

    def _verdict(self, findings: list[Finding], elapsed_s: float, *, quiet: bool) -> Verdict:
        held = len(self._held() or {})
        state = self._sandbox.state
        with state.lock:
            faults: dict[str, int] = {}
            for entry in state.history:
                if entry["fault"]:
                    faults[entry["fault"]] = faults.get(entry["fault"], 0) + 1
            log = list(state.deliveries.log)
            return Verdict(
                seed=self._chaos.seed,
                changes=len(self._stream.steps),
                findings=findings,
                effects=len(self._recorder.effects),
                webhooks=len(log),
                lost_webhooks=sum(not step.webhook for step in self._stream.steps),
                refused_webhooks=sum(status >= 300 or not status for d in log for status in d.statuses),
                faults=faults,
                requests=len(state.history),
                kills=self._processes.deaths,
                expiries=self._expiries,
                held=held,
                elapsed_s=elapsed_s,
                quiet=quiet,
            )
