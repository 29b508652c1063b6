"""The budget in the store: several processes keep to one limit, and a pause is everybody's."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import sqlalchemy as sa

from connectors.errors import RateLimitedError
from connectors.freshbooks import FreshBooks
from connectors.sandbox.server import running_sandbox
from connectors.tokens import StaticToken
from sync.budget import Budget, budgets
from sync.store import Store
from sync.store import budget as budget_table
from tests.flows import Books, envelope, order

SENDER = """
import json, sys, time
from connectors.errors import RateLimitedError
from sync.budget import Budget
from sync.store import open_store
budget = Budget(open_store(sys.argv[1]), "freshbooks", 90)
until, sent = time.time() + 2.0, []
while time.time() < until:
    try:
        budget.wait()
    except RateLimitedError:
        break
    sent.append(time.time())
print(json.dumps(sent))
"""


class Clock:
    """Machine time of one process; the store's is its own."""

    def __init__(self) -> None:
        self.at = 0.0
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.at += seconds


def test_three_processes_together_keep_to_the_limit(store: Store, store_url: str) -> None:
    arguments = [sys.executable, "-c", SENDER, store_url]
    running = [subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    sent = [at for one in running for at in json.loads(one.communicate()[0])]
    assert all(one.returncode == 0 for one in running)
    assert 90 - 2 * 20 < len(sent) <= 90  # a process that ends may leave its last places unused


def test_a_pause_is_everybodys_and_gives_the_record_back(store: Store) -> None:
    now = [1_800_000_000.0]
    one, other = (Budget(store, "freshbooks", None, now=lambda: now[0], clock=clock) for clock in (lambda: 0.0,) * 2)
    one.wait()
    one.refused(58.0)
    assert one.pause_s() == pytest.approx(58)
    with pytest.raises(RateLimitedError) as caught:
        other.wait()
    assert caught.value.retry_after_s == pytest.approx(58)
    assert other.pause_s() == pytest.approx(58)
    now[0] += 59
    later = Budget(store, "freshbooks", None, now=lambda: now[0], clock=lambda: 59.0)
    later.wait()
    assert budgets(store, now=now[0])["freshbooks"]["refused"] == 1


def test_a_short_wait_is_slept_and_costs_no_transaction_a_request(store: Store) -> None:
    clock = Clock()
    asked = []

    def now() -> float:
        asked.append(clock.at)
        return 1_800_000_000.0 + clock.at

    budget = Budget(store, "freshbooks", None, now=now, clock=lambda: clock.at, sleep=clock.sleep)
    with store.write() as conn:
        conn.execute(sa.insert(budget_table).values(connection="freshbooks", per_minute=600.0, learned_at=1.8e9))
    for _ in range(300):
        budget.wait()
    assert 29 <= clock.at <= 31  # ten a second
    assert max(clock.slept) < 1.2
    assert len(asked) <= 32


def test_a_used_up_window_is_waited_for_and_learned(store: Store) -> None:
    with running_sandbox(rate_limit=20, rate_window_s=2) as sandbox:
        budget = Budget(store, "freshbooks", None)
        with FreshBooks(
            base_url=sandbox.freshbooks_url,
            account_id=sandbox.account_id,
            tokens=StaticToken(sandbox.access_token),
            pace=budget,
        ) as client:
            for _ in range(24):
                list(client.find("client", {}))
        shown = budgets(store, now=0)["freshbooks"]
        assert shown["refused"] >= 1
        with sandbox.state.lock:
            answers = [entry["status"] for entry in sandbox.state.history if entry["system"] == "freshbooks"]
    assert answers.count(200) == 24
    assert answers.count(429) == shown["refused"]


def test_a_record_that_waits_for_the_limit_is_never_given_up(books: Books) -> None:
    books.sandbox.state.change_switches(rate_limit=1, rate_window_s=60)
    from sync.runner import run

    events = books.file([envelope("order.created", order())])
    report = run(books.settings, books.mappings, events=events, max_wait_s=0)
    assert (report.left, report.status["held"]) == (1, [])
    assert report.status["waiting"][0]["reason_id"] == "rate-limit"
    assert report.status["budget"]["freshbooks"]["pause_s"] > 30
    books.sandbox.state.change_switches(rate_limit=None)
