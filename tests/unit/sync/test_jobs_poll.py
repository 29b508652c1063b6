"""A poll that the source's rate limit ended goes on by itself, as long as that is of use."""

from __future__ import annotations

from typing import Any, cast

import pytest

from sync import jobs
from sync.inbox import IngestResult
from sync.poll import PollReport
from sync.worker import Context


class Stop:
    """An event that is set after so many waits."""

    def __init__(self, after: int) -> None:
        self.waits: list[float] = []
        self._after = after

    def wait(self, seconds: float) -> bool:
        self.waits.append(seconds)
        return len(self.waits) >= self._after


def polled(monkeypatch: pytest.MonkeyPatch, *reports: PollReport, after: int = 9) -> tuple[PollReport, Stop]:
    left = list(reports)
    monkeypatch.setattr(jobs, "_poll_once", lambda _context: left.pop(0))

    class Now:
        stop: Any = Stop(after)

    found = jobs.poll(cast(Context, Now()))
    assert not left
    return found, Now.stop


def limited(new: int, wait_s: float) -> PollReport:
    return PollReport(IngestResult(new=new), ["the rate limit is used up"], go_on_in_s=wait_s)


def test_it_goes_on_and_tells_all_that_came_and_only_the_last_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    last = PollReport(IngestResult(new=2))
    found, stop = polled(monkeypatch, limited(100, 61), limited(100, 60), last)
    assert (found.result.new, found.problems, stop.waits) == (202, [], [61, 60])


def test_a_long_pause_is_left_to_the_next_poll(monkeypatch: pytest.MonkeyPatch) -> None:
    found, stop = polled(monkeypatch, limited(100, 3600))
    assert (found.problems, stop.waits) == (["the rate limit is used up"], [])


def test_it_ends_when_the_runner_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    found, stop = polled(monkeypatch, limited(100, 60), limited(5, 60), after=2)
    assert (found.result.new, len(stop.waits)) == (105, 2)
