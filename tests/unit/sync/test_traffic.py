"""Workers give way to webhooks that pour in, and only to those, and not for ever."""

from __future__ import annotations

import threading

from sync.traffic import LONGEST_S, MANY, RUSH_S, Traffic


class Clock:
    """Moves when somebody waits."""

    def __init__(self) -> None:
        self.now = 100.0
        self.on_wait = lambda: None

    def __call__(self) -> float:
        return self.now

    @property
    def stop(self) -> threading.Event:
        clock = self

        class Stop(threading.Event):
            def wait(self, timeout: float | None = None) -> bool:
                clock.now += timeout or 0.0
                clock.on_wait()
                return self.is_set()

        return Stop()


def test_single_deliveries_hold_nobody_up() -> None:
    clock = Clock()
    traffic = Traffic(clock)
    traffic.arrived(MANY - 1)
    assert traffic.give_way(clock.stop) == 0.0


def test_a_rush_is_waited_for_until_it_is_over() -> None:
    clock = Clock()
    traffic = Traffic(clock)
    traffic.arrived(MANY)
    assert round(traffic.give_way(clock.stop), 6) == RUSH_S
    assert traffic.give_way(clock.stop) == 0.0


def test_a_rush_without_end_slows_the_work_and_never_ends_it() -> None:
    clock = Clock()
    traffic = Traffic(clock)
    traffic.arrived(MANY)
    clock.on_wait = lambda: traffic.arrived(MANY)
    assert round(traffic.give_way(clock.stop), 6) == LONGEST_S


def test_a_runner_that_ends_waits_for_nothing() -> None:
    clock = Clock()
    traffic = Traffic(clock)
    traffic.arrived(MANY)
    stop = clock.stop
    stop.set()
    assert traffic.give_way(stop) == 0.0
