"""The engine of one process: threads and nothing else. Other processes notice what is due by their own sweeps."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection
from typing import Any, Final

from sync import inbox
from sync.engine import turns
from sync.engine.pool import Pool
from sync.engine.port import EngineStatus, Work
from sync.engine.presence import Presence, forget_dead
from sync.engine.turns import RENEW_S, Turn
from sync.jobs import Job
from sync.log import bound
from sync.worker import Context

log = logging.getLogger(__name__)

SWEEP_S: Final = 1.0
TIDY: Final = "tidy-engine"
TIDY_S: Final = 60.0


class InProcessEngine:
    """Worker threads, a sweep every second, and a thread for each job that is running."""

    name = "inprocess"

    def __init__(
        self,
        context: Context,
        make_worker: Callable[[], Work],
        *,
        workers: int,
        role: str = "serve",
        wakes: bool = True,
    ) -> None:
        """Start nothing yet.

        Args:
            context: Its ``stop`` is set by ``stop()``; set from elsewhere it ends the workers, but not the engine.
            make_worker: Makes the worker of a thread.
            workers: Threads.
            role: What the process is, for the status.
            wakes: False drops every wake, to show that the sweep is enough.
        """
        self.context = context
        self.pool = Pool(context, make_worker, workers)
        self.presence = Presence(context.store, role=role, engine=self.name, workers=workers, now=context.now)
        self._wakes = wakes
        self._jobs: dict[str, Job] = {TIDY: Job(TIDY, TIDY_S, self._tidy)}
        self._running: dict[str, threading.Thread] = {}
        self._turns: dict[str, tuple[Turn, float]] = {}
        self._lock = threading.Lock()
        self._sweeper = threading.Thread(target=self._keep_sweeping, name="sweep", daemon=True)
        self._ended = threading.Event()
        self._stopping = threading.Lock()
        self._outcome: bool | None = None
        self._counted = {"sent": 0, "heard": 0}

    def schedule(self, job: Job) -> None:
        """As the port says."""
        self._jobs[job.name] = job

    def start(self) -> None:
        """As the port says."""
        self.enlist()
        self.pool.start()
        self._sweeper.start()

    def enlist(self) -> None:
        """Make this process and its jobs known."""
        turns.enlist(self.context.store, self._jobs.values())
        self.presence.beat(at_once=True)

    def wake(self, lanes: Collection[str] = ()) -> None:
        """As the port says."""
        if self._wakes:
            self.heard(max(1, len(lanes)))

    def heard(self, count: int) -> None:
        """A wake arrived, from here or from another process."""
        self._counted["heard"] += 1
        self.pool.hint(count)

    def sweep(self) -> None:
        """As the port says."""
        store, now = self.context.store, self.context.now()
        counted = self._counted
        if self.presence.beat(wakes_sent=counted["sent"], wakes_heard=counted["heard"]):
            self.noticed()
        inbox.release_dead(store)
        self.pool.hint()
        self._renew_turns()
        for name, number in turns.due(store, self._jobs, now=now).items():
            if not self.context.stop.is_set():
                self.begin(name, number)

    def noticed(self) -> None:
        """Every few seconds: a moment to look who else is there."""

    def begin(self, name: str, _number: int) -> threading.Thread | None:
        """See to it that a job that is due runs; here it runs at once.

        Returns:
            Its thread; None when it runs elsewhere.
        """
        with self._lock:
            running = self._running.get(name)
            if running is not None and running.is_alive():
                return running
            thread = threading.Thread(target=self._run_job, args=(self._jobs[name],), name=name, daemon=True)
            self._running[name] = thread
            thread.start()
            return thread

    def status(self) -> EngineStatus:
        """As the port says."""
        return EngineStatus(self.name, self.pool.alive, self._counted["sent"], self._counted["heard"])

    @property
    def healthy(self) -> bool:
        """As the port says."""
        return not self.context.stop.is_set() and self.pool.whole and self._sweeper.is_alive()

    def stop(self, within_s: float) -> bool:
        """As the port says; a second call waits for the first and gives its outcome."""
        with self._stopping:
            if self._outcome is None:
                self._outcome = self.end(within_s)
            return self._outcome

    def end(self, within_s: float) -> bool:
        """What ``stop`` does, once."""
        until = time.monotonic() + within_s
        self.context.stop.set()
        ended = self.pool.join(until)
        self._ended.set()
        with self._lock:
            threads = [*self._running.values(), self._sweeper]
        for thread in threads:
            if thread.ident is not None:
                thread.join(max(0.0, until - time.monotonic()))
        ended = ended and not any(thread.is_alive() for thread in threads)
        if not ended:
            log.warning("stopped with work in hand; the next process settles it", extra={"within_s": within_s})
        try:
            self.presence.leave()
        except Exception as error:  # the store fails: the row is swept away later
            log.warning("the end of this process could not be recorded", exc_info=error)
        return ended

    def _keep_sweeping(self) -> None:
        with bound(run=self.context.run_id):
            while not self._ended.is_set():
                try:
                    self.sweep()
                except Exception as error:  # the store failed; the next sweep is a second away
                    log.error("the sweep failed; trying again", exc_info=error)
                self._ended.wait(SWEEP_S)

    def _renew_turns(self) -> None:
        with self._lock:
            aging = [(turn, at) for turn, at in self._turns.values() if time.monotonic() - at >= RENEW_S]
        for turn, _ in aging:
            if turns.renew(self.context.store, turn, now=self.context.now()):
                with self._lock:
                    if turn.name in self._turns:
                        self._turns[turn.name] = (turn, time.monotonic())

    def _run_job(self, job: Job) -> None:
        context = self.context
        with bound(run=context.run_id):
            try:
                turn = turns.take(context.store, job.name, owner=self.presence.id, now=context.now())
                if turn is None:
                    return
                with self._lock:
                    self._turns[job.name] = (turn, time.monotonic())
                self._run_turn(job, turn)
            except Exception as error:  # the store failed; the lease ends, and the job is due again
                log.error("a job's run could not be recorded", exc_info=error, extra={"job": job.name})
            finally:
                with self._lock:
                    self._turns.pop(job.name, None)

    def _run_turn(self, job: Job, turn: Turn) -> None:
        fresh, failed = False, False
        try:
            fresh = job.run(self.context)
        except Exception as error:  # a job that fails now is tried again at its next time
            log.error("job failed", exc_info=error, extra={"job": job.name})
            failed = True
        turns.finish(self.context.store, turn, result="failed" if failed else "ok", now=self.context.now())
        if fresh:
            self.wake()

    def _tidy(self, _context: Any) -> bool:
        """Remove what the dead left; a job, so one process does it."""
        forget_dead(self.context.store, now=self.context.now())
        return False
