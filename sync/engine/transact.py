"""The engine of several processes: what one process knows, DBOS Transact tells another.

A DBOS workflow here is a bell: it carries no work and no record, only "look" or "this job is due". So it does no harm
that a workflow of a dead process is taken up by nobody, or is run twice. Bells of the dead and bells that were heard
are deleted every minute.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import sqlalchemy as sa
from dbos import DBOS, SetWorkflowID

from sync.engine.dbos_parts import config_of, engine_of, quiet_logs
from sync.engine.inprocess import InProcessEngine
from sync.engine.port import EngineError, Work
from sync.engine.presence import alive
from sync.log import bound
from sync.worker import Context

log = logging.getLogger(__name__)

_WAKES: Final = "mapper-wakes:"
JOBS: Final = "mapper-jobs"
UNHEARD_S: Final = 5.0
"""A job that is still due so long after its bell is run by whoever notices."""
FINISHED: Final = ["SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"]
_WAKES_EVERY_S: Final = 0.1
_WAKES_POLL_S: Final = 0.2
_JOBS_POLL_S: Final = 0.5
_JOBS_AT_ONCE: Final = 2
_KEPT_S: Final = 60.0
_UNHEARD_KEPT_S: Final = 600.0
_BATCH: Final = 1000
_CLOSING_S: Final = 5.0

_only_one = threading.Lock()
_hearing: TransactEngine | None = None


@DBOS.workflow(name="mapper-wake", max_recovery_attempts=None)
def ring_wake(count: int) -> None:
    """Run by DBOS in the process that hears the bell. Raises nothing: DBOS would store the error's text."""
    if _hearing is not None:
        _hearing.heard(count)


@DBOS.workflow(name="mapper-job", max_recovery_attempts=None)
def ring_job(name: str, number: int) -> None:
    """As `ring_wake`; it lasts as long as the job, so that a busy process takes no further ones."""
    if _hearing is not None:
        _hearing.heard_job(name, number)


def wakes_of(process_id: str) -> str:
    """The queue of the bells for one process: each hears its own, and nobody hears the bell he rings."""
    return f"{_WAKES}{process_id}"


def owner_of(queue_name: str) -> str | None:
    """Whose queue it is; None for one that all share."""
    return queue_name.removeprefix(_WAKES) if queue_name.startswith(_WAKES) else None


class TransactEngine(InProcessEngine):
    """The in-process engine, with bells between processes. DBOS keeps its state in globals: one for each process."""

    name = "dbos"

    def __init__(
        self,
        context: Context,
        make_worker: Callable[[], Work],
        *,
        workers: int,
        role: str = "serve",
        wakes: bool = True,
    ) -> None:
        """As the in-process engine's."""
        super().__init__(context, make_worker, workers=workers, role=role, wakes=wakes)
        self._others: list[str] = []
        self._asked = threading.Condition()
        self._wanted = 0
        self._wanted_jobs: list[tuple[str, int]] = []
        self._rung: dict[str, tuple[int, float]] = {}
        self._ringer = threading.Thread(target=self._keep_ringing, name="ringer", daemon=True)
        self._database: sa.Engine | None = None

    def start(self) -> None:
        """As the port says."""
        global _hearing
        if not _only_one.acquire(blocking=False):
            raise EngineError("this process runs a DBOS engine already; there can be one")
        try:
            self.enlist()  # before the queue, which would else look like one of the dead
            self._launch()
            _hearing = self
            super().start()
            self.noticed()
            self._ringer.start()
        except BaseException:
            self._close()
            raise

    def wake(self, lanes: Collection[str] = ()) -> None:
        """As the port says; other processes are rung when there are more lanes than idle workers here."""
        beyond = max(1, len(lanes)) - self.pool.idle
        super().wake(lanes)
        if self._wakes and beyond > 0 and self._others:
            with self._asked:
                self._wanted += beyond
                self._asked.notify()

    def noticed(self) -> None:
        """Learn which processes could hear a bell; and be one of them again, after a pause in which we seemed dead."""
        self._others = [one.id for one in self.presence.others()]
        if DBOS.retrieve_queue(wakes_of(self.presence.id)) is None:
            self._register()

    def begin(self, name: str, number: int) -> threading.Thread | None:
        """Ring for a job that is due; nobody came: run it here."""
        rung, at = self._rung.get(name, (0, 0.0))
        if rung == number and time.monotonic() - at >= UNHEARD_S:
            return super().begin(name, number)
        if rung != number:
            self._rung[name] = (number, time.monotonic())
            with self._asked:
                self._wanted_jobs.append((name, number))
                self._asked.notify()
        return None

    def heard_job(self, name: str, number: int) -> None:
        """A job's bell; returns when the job has ended, or this process is about to."""
        if name not in self._jobs or self.context.stop.is_set():
            return
        thread = super().begin(name, number)
        while thread is not None and thread.is_alive() and not self._ended.is_set():
            thread.join(0.2)

    def end(self, within_s: float) -> bool:
        """As the in-process engine's, and DBOS's own end."""
        ended = super().end(within_s)
        with self._asked:
            self._asked.notify()
        self._ringer.join(_CLOSING_S)
        closing = threading.Thread(target=self._close, name="dbos-close", daemon=True)
        closing.start()
        closing.join(_CLOSING_S)  # with the database gone it would wait for long
        return ended and not closing.is_alive()

    def _launch(self) -> None:
        quiet_logs()
        self._database = engine_of(self.context.store)
        try:
            DBOS(config=config_of(self._database, self.presence.id))
            DBOS.listen_queues([wakes_of(self.presence.id), JOBS])
            DBOS.launch()
            self._register()
        except Exception as error:
            log.error("the engine could not be started", exc_info=error)
            raise EngineError(
                f"the DBOS engine cannot use the store ({type(error).__name__}): its user must be allowed to create"
                ' tables and, on PostgreSQL, a schema; or set [runner] engine = "inprocess" in mapper.toml'
            ) from None

    def _register(self) -> None:
        DBOS.register_queue(wakes_of(self.presence.id), polling_interval_sec=_WAKES_POLL_S)
        DBOS.register_queue(JOBS, polling_interval_sec=_JOBS_POLL_S, worker_concurrency=_JOBS_AT_ONCE)

    def _close(self) -> None:
        global _hearing
        try:
            if _hearing is not None:
                DBOS.delete_queue(wakes_of(self.presence.id))
        except Exception as error:  # the database is gone; another process removes the queue
            log.warning("the end of this process could not be told to DBOS", exc_info=error)
        try:
            DBOS.destroy()
            if self._database is not None:
                self._database.dispose()
        except Exception as error:
            log.warning("the engine could not be closed", exc_info=error)
        finally:
            _hearing = None
            _only_one.release()

    def _keep_ringing(self) -> None:
        with bound(run=self.context.run_id):
            while not self._ended.is_set():
                with self._asked:
                    self._asked.wait_for(lambda: self._wanted or self._wanted_jobs or self._ended.is_set())
                    wanted, self._wanted = self._wanted, 0
                    jobs, self._wanted_jobs = self._wanted_jobs, []
                try:
                    self._ring(wanted, jobs)
                except Exception as error:  # a bell that does not ring is made up for by the sweeps
                    log.warning("a wake could not be sent", exc_info=error)
                self._ended.wait(_WAKES_EVERY_S)

    def _ring(self, wanted: int, jobs: Sequence[tuple[str, int]]) -> None:
        for name, number in jobs:
            with SetWorkflowID(f"job:{name}:{number}"):  # one bell, however many processes notice
                DBOS.enqueue_workflow(JOBS, ring_job, name, number)
        others = self._others
        for turn in range(min(wanted, len(others))):
            share = len(range(turn, wanted, len(others)))
            DBOS.enqueue_workflow(wakes_of(others[turn]), ring_wake, share)
            self._counted["sent"] += 1
        self._others = others[wanted:] + others[:wanted]

    def _tidy(self, context: Any) -> bool:
        super()._tidy(context)
        now = context.now()
        living = {one.id for one in alive(context.store, now=now)}
        light: dict[str, Any] = {"load_input": False, "load_output": False, "limit": _BATCH}
        lost = [
            bell.workflow_id
            for bell in DBOS.list_workflows(status=["ENQUEUED", "PENDING"], **light)
            if (bell.status == "PENDING" and bell.executor_id not in living)
            or owner_of(bell.queue_name or "") not in (None, *living)
            or (bell.status == "ENQUEUED" and (bell.created_at or 0) < (now - _UNHEARD_KEPT_S) * 1000)
        ]
        if lost:
            DBOS.cancel_workflows(lost)
            DBOS.delete_workflows(lost)
            log.info("lost bells removed", extra={"count": len(lost)})
        for queue in DBOS.list_queues():
            if owner_of(queue.name) not in (None, *living):
                DBOS.delete_queue(queue.name)
        while finished := DBOS.list_workflows(status=FINISHED, end_time=_iso(now - _KEPT_S), **light):
            DBOS.delete_workflows([bell.workflow_id for bell in finished])
        return False


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat()
