"""Which engine a process gets."""

from __future__ import annotations

from collections.abc import Callable

from sync.engine.inprocess import InProcessEngine
from sync.engine.port import Engine, Work
from sync.settings import RunnerSettings
from sync.worker import Context


def make_engine(settings: RunnerSettings, context: Context, make_worker: Callable[[], Work], *, role: str) -> Engine:
    """The engine of ``[runner] engine``; a store in memory has no other processes, and gets the in-process one."""
    store = context.store
    if settings.engine == "inprocess" or (store.is_sqlite and store.path is None):
        return InProcessEngine(context, make_worker, workers=settings.workers, role=role)
    from sync.engine.transact import TransactEngine

    return TransactEngine(context, make_worker, workers=settings.workers, role=role)
