"""What we know of DBOS and build on, or guard against: an upgrade that changes it shows here."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from dbos import DBOSClient, DBOSPortableJSONSerializer

from sync.engine.dbos_parts import APPLICATION, BELL_VERSION, SCHEMA, engine_of
from sync.store import Store, open_store
from tests.engines import PATIENCE_S, wait_until
from tests.flows import ROOT

EXECUTOR = """
import json, sys, threading
url, executor, version = sys.argv[1:]
tell = lambda **told: print(json.dumps(told), flush=True)
def hook(event, arguments):
    if event == "socket.connect" and not isinstance(arguments[1], str):
        tell(connected=str(arguments[1]))
sys.addaudithook(hook)
from dbos import DBOS
from sync.engine import dbos_parts
from sync.store import open_store
dbos_parts.BELL_VERSION = version
@DBOS.workflow(name="probe")
def probe(word):
    tell(ran=word)
    if word == "hang":
        threading.Event().wait()
    return word.upper()
dbos_parts.quiet_logs()
DBOS(config=dbos_parts.config_of(dbos_parts.engine_of(open_store(url)), executor))
DBOS.launch()
DBOS.register_queue("probes", polling_interval_sec=0.05)
tell(ready=executor)
sys.stdin.read()
DBOS.destroy()
"""


class Executor:
    """A process that runs workflows, and what it said."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def next(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self.process.communicate()[1]
        return dict(json.loads(line))

    def rest(self) -> list[dict[str, Any]]:
        out, err = self.process.communicate(timeout=PATIENCE_S)
        assert (self.process.returncode, err) == (0, "")
        return [json.loads(line) for line in out.splitlines()]

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


Start = Callable[..., Executor]


@pytest.fixture
def start(store_url: str) -> Iterator[Start]:
    open_store(store_url).close()
    with ExitStack() as stack:

        def begin(executor_id: str, *, version: str = BELL_VERSION) -> Executor:
            process = subprocess.Popen(
                [sys.executable, "-c", EXECUTOR, store_url, executor_id, version],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                cwd=ROOT,
            )
            stack.enter_context(process)
            stack.callback(process.kill)
            executor = Executor(process)
            assert executor.next() == {"ready": executor_id}
            return executor

        yield begin


@pytest.fixture
def client(store_url: str) -> Iterator[Callable[[], DBOSClient]]:
    """Gives a client; to be asked when an executor has made the tables."""
    with ExitStack() as stack:
        store: Store = open_store(store_url)
        stack.callback(store.close)

        def connect() -> DBOSClient:
            engine = engine_of(store)
            stack.callback(engine.dispose)
            made = DBOSClient(
                system_database_engine=engine,
                dbos_system_schema=SCHEMA,
                serializer=DBOSPortableJSONSerializer(),
                application_name=APPLICATION,
            )
            stack.callback(made.destroy)
            return made

        yield connect


def enqueue(client: DBOSClient, word: str, workflow_id: str, *, version: str = BELL_VERSION) -> Any:
    return client.enqueue(
        {"queue_name": "probes", "workflow_name": "probe", "workflow_id": workflow_id, "app_version": version}, word
    )


def result(handle: Any) -> Any:
    return handle.get_result(polling_interval_sec=0.05)


def state(client: DBOSClient, workflow_id: str) -> tuple[str, str | None]:
    (found,) = client.list_workflows(workflow_ids=[workflow_id])
    return found.status, found.executor_id


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
def test_a_workflow_id_runs_once_and_nothing_is_told_to_anybody(start: Start, client: Any) -> None:
    executor = start("first")
    asking = client()
    assert result(enqueue(asking, "one", "w1")) == "ONE"
    assert result(enqueue(asking, "other", "w1")) == "ONE"  # the stored result of the first
    assert result(enqueue(asking, "two", "w2")) == "TWO"
    assert executor.rest() == [{"ran": "one"}, {"ran": "two"}]  # and no connection, but by a socket file


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
def test_nobody_takes_over_from_a_dead_executor_but_one_of_its_name(start: Start, client: Any) -> None:
    first = start("first")
    asking = client()
    enqueue(asking, "hang", "w1")
    assert first.next() == {"ran": "hang"}
    first.kill()
    other = start("other")
    for number in range(2):
        assert result(enqueue(asking, "here", f"here-{number}")) == "HERE"
    assert state(asking, "w1") == ("PENDING", "first")  # so bells of the dead have to be removed
    assert other.rest() == [{"ran": "here"}, {"ran": "here"}]

    namesake = start("first")  # so every start gets an id of its own
    assert namesake.next() == {"ran": "hang"}
    namesake.kill()

    asking.cancel_workflows(["w1"])
    assert state(asking, "w1")[0] == "CANCELLED"
    asking.delete_workflows(["w1"])
    assert asking.list_workflows(workflow_ids=["w1"]) == []


@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
def test_a_workflow_of_another_version_is_left_alone(start: Start, client: Any) -> None:
    executor = start("first")
    asking = client()
    enqueue(asking, "theirs", "w1", version="another")
    assert result(enqueue(asking, "ours", "w2")) == "OURS"
    assert state(asking, "w1")[0] == "ENQUEUED"
    newer = start("second", version="another")
    wait_until(lambda: state(asking, "w1") == ("SUCCESS", "second"), what="the workflow of the other version")
    assert executor.rest() == [{"ran": "ours"}]
    assert newer.rest() == [{"ran": "theirs"}]
