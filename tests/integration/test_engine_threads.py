"""Both engines with their real threads, on a file and on PostgreSQL."""

from __future__ import annotations

import logging
import threading
from typing import Any

import pytest
import sqlalchemy as sa

from sync.engine import transact, turns
from sync.engine.choose import make_engine
from sync.engine.dbos_parts import SCHEMA, engine_of
from sync.engine.inprocess import InProcessEngine
from sync.engine.port import EngineError
from sync.engine.transact import TransactEngine
from sync.inbox import ingest
from sync.jobs import Job
from sync.settings import RunnerSettings
from sync.status import status
from sync.store import Store, metadata, open_store
from sync.worker import Context, Step
from tests.engines import Taker, context_of, customers, running, wait_until

ENGINES = pytest.mark.parametrize("kind", [InProcessEngine, TransactEngine])
on_sqlite = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)


@pytest.fixture
def context(store: Store) -> Context:
    return context_of(store)


def put(store: Store, *numbers: int) -> None:
    ingest(store, customers(*numbers), source="webhook", now=0.0)


def rows(store: Store, what: str) -> list[tuple[Any, ...]]:
    """Of a table of DBOS."""
    table = what if store.is_sqlite else f"{SCHEMA}.{what}"
    with store.read() as conn:
        return [tuple(row) for row in conn.execute(sa.text(f"SELECT * FROM {table}"))]  # noqa: S608  our own names


@ENGINES
def test_with_wakes_off_everything_passes_by_the_sweep(kind: Any, context: Context) -> None:
    seen: list[str] = []
    with running(kind(context, lambda: Taker(context, seen), workers=3, wakes=False)) as engine:
        for number in range(20):
            put(context.store, number)
            engine.wake()
        wait_until(lambda: status(context.store)["inbox"]["done"] == 20, what="20 events")
        assert engine.status().wakes_heard == 0
    assert len(seen) == len(set(seen)) == 20


@ENGINES
@on_sqlite
def test_a_wake_does_not_wait_for_the_sweep(kind: Any, context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sync.engine.inprocess.SWEEP_S", 3600.0)
    engine = kind(context, lambda: Taker(context), workers=3)
    with running(engine):
        wait_until(lambda: engine.pool.idle == 3, what="the first sweep's end")
        put(context.store, *range(20))
        engine.wake([f"customer:{number}" for number in range(20)])
        wait_until(lambda: status(context.store)["inbox"]["done"] == 20, what="20 events")
        assert engine.status().wakes_heard == 1
        assert engine.healthy
    assert not engine.healthy


@ENGINES
def test_a_job_runs_and_what_it_brought_is_worked_on(kind: Any, context: Context) -> None:
    def run(told: Context) -> bool:
        put(told.store, 1)
        return True

    engine = kind(context, lambda: Taker(context), workers=1)
    engine.schedule(Job("poll", 3600.0, run))
    with running(engine):
        wait_until(lambda: status(context.store)["inbox"]["done"] == 1, what="the event")
        wait_until(lambda: status(context.store)["jobs"]["poll"]["last_result"] == "ok", what="the run's end")
    shown = status(context.store)["jobs"]["poll"]
    assert (shown["runs"], shown["running"]) == (1, False)


@ENGINES
@on_sqlite
def test_a_worker_survives_whatever_happens_to_it(
    kind: Any, context: Context, caplog: pytest.LogCaptureFixture
) -> None:
    class Stumbling(Taker):
        stumbled = False

        def step(self) -> Step | None:
            if not Stumbling.stumbled:
                Stumbling.stumbled = True
                raise RuntimeError("someone@example.com")
            return super().step()

    put(context.store, 1)
    with caplog.at_level(logging.ERROR), running(kind(context, lambda: Stumbling(context), workers=1)) as engine:
        wait_until(lambda: status(context.store)["inbox"]["done"] == 1, what="the event")
        assert engine.healthy
    assert [record.message for record in caplog.records] == ["a worker failed; trying again"]


@on_sqlite
def test_a_stopped_connection_rests_until_somebody_signs_in(context: Context) -> None:
    from sync import records

    tried = threading.Event()

    class Refused(Taker):
        def step(self) -> Step | None:
            known = records.connections(context.store).get("freshbooks")
            if known is not None and known.state == "ok":
                return super().step()
            records.set_connection(context.store, "freshbooks", "reconnect", reason="x", now=1.0)
            tried.set()
            return Step("stop", "x")

    put(context.store, 1)
    with running(InProcessEngine(context, lambda: Refused(context), workers=1)):
        assert tried.wait(60)
        records.set_connection(context.store, "freshbooks", "ok", now=2.0)
        wait_until(lambda: status(context.store)["inbox"]["done"] == 1, what="the event")


def test_no_table_of_dbos_is_one_of_ours(context: Context) -> None:
    ours = set(metadata.tables)
    with running(TransactEngine(context, lambda: Taker(context), workers=1)):
        engine = engine_of(context.store)
        theirs = set(sa.inspect(engine).get_table_names(schema=None if context.store.is_sqlite else SCHEMA))
        engine.dispose()
    assert "workflow_status" in theirs
    if not context.store.is_sqlite:
        assert not theirs & ours
    open_store_again(context)
    with context.store.read() as conn:
        assert ours <= set(sa.inspect(conn).get_table_names())


def open_store_again(context: Context) -> None:
    """The store opens beside DBOS's tables, also for reading."""
    url = context.store.engine.url if context.store.path is None else None
    address = url.render_as_string(hide_password=False) if url is not None else f"sqlite:///{context.store.path}"
    address = address.replace("postgresql+psycopg", "postgresql")
    open_store(address).close()
    open_store(address, read_only=True).close()


@on_sqlite
def test_dbos_writes_as_durably_as_we_do(context: Context) -> None:
    engine = engine_of(context.store)
    with engine.connect() as conn:
        found = [conn.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("journal_mode", "synchronous")]
    engine.dispose()
    assert found == ["wal", 2]


@on_sqlite
def test_a_store_in_memory_and_a_setting_get_the_engine_of_one_process(context: Context) -> None:
    memory = open_store("sqlite://")

    def chosen(store: Store, **settings: Any) -> str:
        told = context_of(store)
        return make_engine(RunnerSettings(**settings), told, lambda: Taker(told), role="serve").name

    assert chosen(memory) == "inprocess"
    assert chosen(context.store) == "dbos"
    assert chosen(context.store, engine="inprocess") == "inprocess"
    memory.close()


@on_sqlite
def test_a_process_has_one_dbos_engine(context: Context) -> None:
    with (
        running(TransactEngine(context, lambda: Taker(context), workers=1)),
        pytest.raises(EngineError, match="runs a DBOS engine already"),
    ):
        TransactEngine(context, lambda: Taker(context), workers=1).start()
    with running(TransactEngine(context_of(context.store), lambda: Taker(context), workers=1)) as again:
        assert again.status().workers == 1


@on_sqlite
def test_dbos_in_its_makers_cloud_is_refused(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBOS__CLOUD", "true")
    with pytest.raises(EngineError, match="DBOS__CLOUD is set: unset it"):
        TransactEngine(context, lambda: Taker(context), workers=1).start()


def test_an_unheard_bell_is_made_up_for(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transact, "UNHEARD_S", 0.0)
    monkeypatch.setattr(transact.TransactEngine, "_ring", lambda *_: None)
    ran = threading.Event()
    engine = TransactEngine(context, lambda: Taker(context), workers=1)
    engine.schedule(Job("poll", 3600.0, lambda _context: ran.set() or False))
    with running(engine):
        assert ran.wait(60)


def test_bells_are_removed_when_they_were_heard_or_their_process_is_gone(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transact, "_KEPT_S", -3600.0)
    store = context.store
    engine = TransactEngine(context, lambda: Taker(context), workers=1)
    with running(engine):
        wait_until(lambda: status(store)["jobs"]["tidy-engine"]["last_result"] == "ok", what="the first tidying")
        dead = "elsewhere|1|1|x"
        transact.DBOS.register_queue(transact.wakes_of(dead))
        transact.DBOS.enqueue_workflow(transact.wakes_of(dead), transact.ring_wake, 1)
        transact.DBOS.enqueue_workflow(transact.wakes_of(engine.presence.id), transact.ring_wake, 1)
        wait_until(lambda: engine.status().wakes_heard == 1, what="the bell")
        wait_until(lambda: sum("SUCCESS" in row for row in rows(store, "workflow_status")) >= 2, what="its end")
        assert len(rows(store, "workflow_status")) >= 2
        engine._tidy(context)
        assert rows(store, "workflow_status") == []
        assert {queue.name for queue in transact.DBOS.list_queues()} == {
            transact.JOBS,
            transact.wakes_of(engine.presence.id),
        }
    assert dead not in str(rows(store, "queues"))
    assert engine.presence.id not in str(rows(store, "queues"))


def test_nothing_of_a_failing_job_reaches_dbos(context: Context, caplog: pytest.LogCaptureFixture) -> None:
    def run(_context: Context) -> bool:
        raise ValueError("someone@example.com")

    engine = TransactEngine(context, lambda: Taker(context), workers=1)
    engine.schedule(Job("poll", 3600.0, run))
    with caplog.at_level(logging.INFO), running(engine):
        wait_until(lambda: status(context.store)["jobs"]["poll"]["last_result"] == "failed", what="the failure")
        wait_until(lambda: sum("SUCCESS" in row for row in rows(context.store, "workflow_status")), what="the bell")
        assert "someone@example.com" not in str(rows(context.store, "workflow_status"))
        assert '{"namedArgs":{},"positionalArgs":["poll",1]}' in str(
            rows(context.store, "workflow_input")
        )  # JSON, not pickle
    assert "job failed" in [record.message for record in caplog.records]
    assert "someone@example.com" not in " ".join(record.getMessage() for record in caplog.records)


def test_a_run_that_lost_its_turn_does_not_end_it(store: Store) -> None:
    turns.enlist(store, [Job("poll", 5.0, lambda _context: False)])
    lost = turns.take(store, "poll", owner="a|1|1|x", now=100.0)
    assert lost is not None
    later = 100.0 + turns.JOB_LEASE_S
    taken = turns.take(store, "poll", owner="b|1|1|x", now=later)
    assert taken is not None
    assert not turns.renew(store, lost, now=later)
    turns.finish(store, lost, result="ok", now=later)
    assert turns.jobs_status(store, now=later)["poll"]["running"] is True
    assert turns.renew(store, taken, now=later + 1)
    turns.finish(store, taken, result="failed", now=later + 2)
    shown = turns.jobs_status(store, now=later + 2)["poll"]
    assert (shown["running"], shown["last_result"], shown["runs"]) == (False, "failed", 2)
    assert turns.due(store, ["poll"], now=later + 6.9) == {}
    assert turns.due(store, ["poll", "other"], now=later + 7) == {"poll": 3}


def test_a_line_of_dbos_loses_what_varies(caplog: pytest.LogCaptureFixture) -> None:
    from sync.engine.dbos_parts import quiet_logs

    quiet_logs()
    logger = logging.getLogger("dbos")
    with caplog.at_level(logging.WARNING, logger="dbos"):
        logger.info("Deleting workflow(s): ['job:poll:1']")
        logger.warning("Exception encountered in queue thread for mapper-jobs: (psycopg) Key (x)=(a@example.com)")
        for _ in range(3):
            logger.error("Error executing workflow %s", "{'email': 'a@example.com'}")
    assert [record.getMessage() for record in caplog.records] == [
        "Exception encountered in queue thread for mapper-jobs",
        "Error executing workflow",
    ]
