"""Long work beside the pages: one thread a name, looked at by whoever asks, and cancelled by anybody.

A page starts it and shows how it stands; a reload or another tab finds it again. What it does looks at its event.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from mapper_ai.errors import MapperError

log = logging.getLogger(__name__)

Phase = Literal["none", "running", "done", "failed"]
Work = Callable[[threading.Event], Any]


@dataclass(frozen=True)
class Task:
    """How it stands.

    Attributes:
        result: What the work gave; None until it is done.
        error: Why it failed, one of the expected errors; other ones are logged and told by their kind.
        stopping: Somebody asked it to end.
    """

    phase: Phase = "none"
    result: Any = None
    error: Exception | None = None
    stopping: bool = False


@dataclass
class _Running:
    abandon: bool
    cancel: threading.Event = field(default_factory=threading.Event)
    thread: threading.Thread | None = None
    task: Task = field(default_factory=lambda: Task("running"))


_KNOWN: dict[str, _Running] = {}
_LOCK = threading.Lock()


def start(
    name: str, work: Work, expected: tuple[type[Exception], ...] = (MapperError,), *, abandon: bool = False
) -> bool:
    """Begin; False when it is at work already.

    Args:
        work: Called with an event that is set when it should end.
        expected: Errors that are kept for the page; others are told by their kind alone.
        abandon: Only its result matters, such as a question's that is under way: once cancelled it is forgotten at
            once, and whatever it still gives with it.
    """
    with _LOCK:
        known = _KNOWN.get(name)
        if known is not None and known.task.phase == "running":
            return False
        fresh = _KNOWN[name] = _Running(abandon)
        fresh.thread = threading.Thread(target=_run, args=(name, fresh, work, expected), name=name, daemon=True)
        fresh.thread.start()
    return True


def look(name: str) -> Task:
    """How the work of a name stands; `none` before the first start of this process."""
    with _LOCK:
        known = _KNOWN.get(name)
        if known is None:
            return Task()
        task = known.task
        return Task(task.phase, task.result, task.error, known.cancel.is_set())


def cancel(name: str) -> None:
    """Ask it to end."""
    with _LOCK:
        known = _KNOWN.get(name)
        if known is not None:
            known.cancel.set()
            if known.abandon:
                del _KNOWN[name]


def clear(name: str) -> None:
    """Forget the outcome of work that has ended."""
    with _LOCK:
        known = _KNOWN.get(name)
        if known is not None and known.task.phase != "running":
            del _KNOWN[name]


def wait(name: str, timeout_s: float) -> Task:
    """Wait for the end of the work, at most so long; how it stands then."""
    with _LOCK:
        known = _KNOWN.get(name)
    if known is not None and known.thread is not None:
        known.thread.join(timeout_s)
    return look(name)


def _run(name: str, running: _Running, work: Work, expected: tuple[type[Exception], ...]) -> None:
    try:
        ended = Task("done", work(running.cancel))
    except expected as error:
        ended = Task("failed", error=error)
    except Exception as error:
        log.exception("work in the background failed", extra={"work": name})
        told = f"a fault of this program ({type(error).__name__}); see the app's log"
        ended = Task("failed", error=MapperError(told))
    with _LOCK:
        running.task = ended
