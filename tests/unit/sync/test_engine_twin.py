"""What an engine has to see to, on the twin: no thread, no wait, and a clock moved by hand."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sync import inbox
from sync.engine.inprocess import SWEEP_S
from sync.engine.presence import processes
from sync.engine.turns import JOB_LEASE_S, jobs_status, take
from sync.engine.twin import Clock, TwinEngine
from sync.inbox import ingest
from sync.jobs import Job
from sync.status import status
from sync.store import Store, open_store
from sync.worker import Context, Step
from tests.engines import Taker, context_of, customers


@pytest.fixture
def store() -> Iterator[Store]:
    opened = open_store("sqlite://")
    yield opened
    opened.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def context(store: Store, clock: Clock) -> Context:
    return context_of(store, clock)


def put(context: Context, *numbers: int) -> None:
    ingest(context.store, customers(*numbers), source="webhook", now=context.now())


def twin(context: Context, clock: Clock, *workers: Taker, wakes: bool = True) -> TwinEngine:
    engine = TwinEngine(context, list(workers), clock=clock, wakes=wakes)
    engine.start()
    return engine


def test_a_wake_is_followed_without_time_passing(context: Context, clock: Clock) -> None:
    worker = Taker(context)
    engine = twin(context, clock, worker)
    put(context, 1, 2, 3)
    assert engine.settle() == []  # nobody said so
    engine.wake(["customer:1", "customer:2", "customer:3"])
    assert len(engine.settle()) == 3
    assert sorted(worker.done) == ["customer:1", "customer:2", "customer:3"]
    assert engine.settle() == []


def test_with_wakes_off_everything_passes_by_the_sweep(context: Context, clock: Clock) -> None:
    workers = [Taker(context), Taker(context)]
    engine = twin(context, clock, *workers, wakes=False)
    for number in range(5):
        put(context, number)
        engine.wake()
        assert engine.settle() == []
    assert len(engine.advance(SWEEP_S)) == 5
    assert [bool(worker.done) for worker in workers] == [True, True]
    assert status(context.store)["inbox"]["done"] == 5


def test_a_dead_workers_lane_is_taken_over_with_its_lease(context: Context, clock: Clock) -> None:
    elsewhere, worker = Taker(context, lease_s=30.0), Taker(context)
    elsewhere.owner = "another-machine|1|1|x"  # of which nothing is known but the lease
    put(context, 1)
    assert elsewhere.claim() is not None
    engine = twin(context, clock, worker)
    assert engine.advance(29.0) == []
    assert len(engine.advance(2.0)) == 1


def test_a_lane_of_a_process_that_died_here_is_free_at_once(context: Context, clock: Clock) -> None:
    dead, worker = Taker(context), Taker(context)
    host, _, _, _ = dead.owner.split("|")
    dead.owner = f"{host}|999999999|1|x"
    put(context, 1)
    assert dead.claim() is not None
    engine = twin(context, clock, worker)
    assert len(engine.advance(SWEEP_S)) == 1


def test_a_retry_is_found_when_its_time_comes(context: Context, clock: Clock) -> None:
    class Once(Taker):
        def step(self) -> Step | None:
            event = self.claim()
            if event is None:
                return None
            fate, due = ("retry", clock() + 10.0) if not self.done else ("done", None)
            self.done.append(fate)
            state: inbox.State = "pending" if due else "done"
            inbox.settle(self.context.store, event, state=state, fate=fate, due=due, now=clock())
            return Step(fate, "")

    worker = Once(context)
    engine = twin(context, clock, worker)
    put(context, 1)
    engine.wake()
    assert [step.fate for step in engine.settle()] == ["retry"]
    assert engine.advance(9.0) == []
    assert [step.fate for step in engine.advance(2.0)] == ["done"]


def test_a_stopped_engine_claims_nothing_more(context: Context, clock: Clock) -> None:
    worker = Taker(context)
    engine = twin(context, clock, worker)
    put(context, 1)
    engine.wake()
    assert engine.stop(1.0)
    assert engine.settle() == []
    assert processes(context.store, now=clock()) == []


def test_a_job_runs_at_once_and_then_each_interval(context: Context, clock: Clock) -> None:
    runs: list[float] = []

    def run(_context: Context) -> bool:
        runs.append(clock())
        put(context, len(runs))
        return True

    worker = Taker(context)
    engine = TwinEngine(context, [worker], clock=clock)
    engine.schedule(Job("poll", 60.0, run))
    engine.start()
    began = clock()
    steps = engine.advance(130.0)
    assert [at - began for at in runs] == [1.0, 61.0, 121.0]
    assert len(steps) == 3  # what a job brought is worked on
    assert status(context.store)["jobs"]["poll"] | {"last_run": None} == {
        "every_s": 60.0,
        "running": False,
        "runs": 3,
        "last_run": None,
        "last_result": "ok",
    }


def test_a_failing_job_is_told_and_tried_again(context: Context, clock: Clock) -> None:
    outcomes = iter([ValueError("someone@example.com"), False])

    def run(_context: Context) -> bool:
        outcome = next(outcomes)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    engine = TwinEngine(context, [Taker(context)], clock=clock)
    engine.schedule(Job("poll", 5.0, run))
    engine.start()
    engine.advance(1.0)
    assert status(context.store)["jobs"]["poll"]["last_result"] == "failed"
    engine.advance(6.0)
    assert status(context.store)["jobs"]["poll"]["last_result"] == "ok"


def test_a_job_runs_in_one_of_two_processes(store: Store, clock: Clock) -> None:
    ran: list[str] = []
    engines = []
    for name in ("a", "b"):
        context = context_of(store, clock)
        engine = TwinEngine(context, [Taker(context)], clock=clock)
        engine.schedule(Job("poll", 10.0, lambda _context, name=name: bool(ran.append(name))))
        engine.start()
        engines.append(engine)
    for _ in range(25):
        clock.at += 1.0
        for engine in engines:
            engine.sweep()
    assert len(ran) == 3
    assert len(processes(store, now=clock())) == 2


def test_a_job_of_a_dead_process_is_taken_over_with_its_lease(context: Context, clock: Clock) -> None:
    ran: list[float] = []
    engine = TwinEngine(context, [Taker(context)], clock=clock)
    engine.schedule(Job("poll", 5.0, lambda _context: bool(ran.append(clock()))))
    engine.start()
    began = clock()
    assert take(context.store, "poll", owner="another-machine|1|1|x", now=began) is not None
    assert take(context.store, "poll", owner="a-third|1|1|x", now=began) is None
    assert jobs_status(context.store, now=clock())["poll"]["running"] is True
    engine.advance(JOB_LEASE_S + 1.0)
    assert [at - began for at in ran] == [JOB_LEASE_S]
