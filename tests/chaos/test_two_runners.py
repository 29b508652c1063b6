"""Workers that freeze, die or meet a poisoned customer, with real processes; and runners that must not pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from connectors.sandbox.faults import ScriptedFault
from connectors.sandbox.server import Sandbox, running_sandbox
from tests.chaos.cluster import Cluster, cluster, is_stopped, wait_until
from tests.chaos.judge import Finding, doubled, out_of_order
from tests.chaos.launch import HANGING, Plan
from tests.chaos.recorder import Recorder
from tests.flows import order

LEASE_S = 4.0
LONG_S = 60.0
"""Nothing is measured by it: what takes so long does not come any more."""


@contextmanager
def shop(folder: Path, **options: float) -> Iterator[tuple[Sandbox, Recorder, Cluster]]:
    """A sandbox and processes on one SQLite store that know the shop by its webhooks alone."""
    store_url = f"sqlite:///{folder / 'store.db'}"
    settings = {"clarity": False, "lease_s": LEASE_S, "http_timeout_s": 1.0, **options}
    with running_sandbox() as sandbox, cluster(sandbox, store_url, folder, **settings) as processes:
        yield sandbox, Recorder(sandbox.state), processes


def sell(sandbox: Sandbox, *, number: int = 0, email: str = "") -> None:
    """One order, and its webhook."""
    record = order()
    if number:
        record = order(
            id=str(20_000 + number),
            orderNumber=f"WEB-{number}",
            customer={**record["customer"], "id": str(number), "email": email or f"buyer.{number}@example.org"},
            payments=[{**record["payments"][0], "id": str(number), "transactionId": f"ch_{number}"}],
        )
    with sandbox.state.lock:
        sandbox.state.clarity.put("orders", record)


def written(recorder: Recorder, entity: str) -> Callable[[], bool]:
    """Whether such a record was made."""
    return lambda: any(effect.entity == entity and effect.verb == "create" for effect in list(recorder.effects))


def after_a_pause_between_check_and_send(folder: Path, *, unchecked: bool) -> list[Finding]:
    """A worker freezes before it sends a payment, another one takes over and finishes, the first one goes on."""
    with shop(folder) as (sandbox, recorder, processes):
        frozen = processes.add(
            ingress=True, plan=lambda _life: Plan(stop_at="POST .*/payments/payments", unchecked=unchecked)
        )
        sell(sandbox)
        assert wait_until(lambda: is_stopped(frozen), within_s=LONG_S)
        assert not written(recorder, "payment")()
        processes.add(ingress=True)
        assert wait_until(written(recorder, "payment"), within_s=LONG_S)
        processes.stop()  # which first lets the frozen one finish what it has in hand
        books = recorder.books()
    assert len(books.invoices) == 1
    return [*doubled(books), *out_of_order(books.effects)]


def test_a_worker_that_froze_between_check_and_send_sends_nothing_when_it_goes_on(tmp_path: Path) -> None:
    assert after_a_pause_between_check_and_send(tmp_path, unchecked=False) == []


def test_without_the_check_the_judge_finds_the_second_payment(tmp_path: Path) -> None:
    findings = after_a_pause_between_check_and_send(tmp_path, unchecked=True)
    assert {finding.kind for finding in findings} == {"doubled"}


@pytest.mark.parametrize("naive", [False, True])
def test_a_lost_answer_doubles_only_where_it_is_sent_again_blindly(tmp_path: Path, naive: bool) -> None:
    with shop(tmp_path) as (sandbox, recorder, processes):
        with sandbox.state.lock:
            for path in ("users/clients", "payments/payments"):
                sandbox.state.faults.script(ScriptedFault("lost_answer", method="POST", path=path))
        processes.add(ingress=True, plan=lambda _life: Plan(naive=naive))
        sell(sandbox)
        assert wait_until(written(recorder, "payment" if not naive else "client"), within_s=LONG_S)
        processes.stop()
        findings = doubled(recorder.books())
    assert {finding.kind for finding in findings} == ({"doubled"} if naive else set())


def test_the_lane_of_a_worker_that_died_elsewhere_goes_on_within_its_lease_and_two_seconds(tmp_path: Path) -> None:
    with shop(tmp_path) as (sandbox, recorder, processes):
        doomed = processes.add(ingress=True, plan=lambda _life: Plan(host="elsewhere", hang_at="GET .*/users/clients"))
        sell(sandbox)
        assert wait_until(lambda: HANGING.decode() in processes.said(doomed), within_s=LONG_S)
        processes.add(ingress=True)
        assert not asked(sandbox)
        processes.kill(doomed)
        assert wait_until(lambda: asked(sandbox), within_s=LEASE_S + 2)
        assert wait_until(written(recorder, "payment"), within_s=LONG_S)
        processes.stop()
        assert doubled(recorder.books()) == []


def asked(sandbox: Sandbox) -> bool:
    """Whether somebody has asked FreshBooks for a client."""
    with sandbox.state.lock:
        return any("users/clients" in entry["path"] for entry in sandbox.state.history)


def test_the_others_work_is_done_while_one_customers_fails(tmp_path: Path) -> None:
    """By the order of effects: whatever the poisoned customer needs, all others have theirs before it is there."""
    others = 8
    with shop(tmp_path) as (sandbox, recorder, processes):
        poison = ScriptedFault("server_error", path="poison@example.org", times=10**6)
        with sandbox.state.lock:
            sandbox.state.faults.script(poison)
        processes.add(ingress=True)
        sell(sandbox, number=1, email="poison@example.org")
        for number in range(2, others + 2):
            sell(sandbox, number=number)
        assert wait_until(lambda: len(recorder.books().payments) == others, within_s=LONG_S)
        assert not any(row["email"] == "poison@example.org" for row in recorder.books().clients)
        with sandbox.state.lock:
            sandbox.state.faults.scripted.remove(poison)
        assert wait_until(lambda: len(recorder.books().payments) == others + 1, within_s=LONG_S)
        processes.stop()
        books = recorder.books()
    assert doubled(books) == []
    assert books.effects[-1].row["note"].startswith("Clarity payment 1 ")
