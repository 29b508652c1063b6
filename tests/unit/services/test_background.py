"""Long work beside the pages: started once, found again, cancelled, and its failure told."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from mapper_ai.errors import MapperError
from mapper_ai.services import background


@pytest.fixture
def name(request: pytest.FixtureRequest) -> Iterator[str]:
    yield request.node.name
    background.cancel(request.node.name)
    background.wait(request.node.name, 10)
    background.clear(request.node.name)


def test_it_gives_its_result_to_whoever_asks(name: str) -> None:
    assert background.look(name).phase == "none"
    assert background.start(name, lambda _cancel: 42)
    assert (background.wait(name, 10).phase, background.look(name).result) == ("done", 42)
    background.clear(name)
    assert background.look(name).phase == "none"


def test_it_is_started_once_and_ends_when_it_is_told_to(name: str) -> None:
    assert background.start(name, lambda cancel: cancel.wait(30))
    assert not background.start(name, lambda _cancel: "second")
    assert background.look(name).phase == "running"
    background.cancel(name)
    ended = background.wait(name, 10)
    assert (ended.phase, ended.result, ended.stopping) == ("done", True, True)


def test_what_is_abandoned_leaves_its_place_at_once_and_its_result_is_nobody_s(name: str) -> None:
    end, ended = threading.Event(), threading.Event()

    def first(cancel: threading.Event) -> str:
        end.wait(30)
        ended.set()
        return f"too late, told: {cancel.is_set()}"

    assert background.start(name, first, abandon=True)
    background.cancel(name)
    assert background.look(name).phase == "none"
    assert background.start(name, lambda _cancel: "second")
    assert background.wait(name, 10).result == "second"
    end.set()
    assert ended.wait(10)
    assert background.look(name).result == "second"


def test_an_expected_error_is_kept_and_another_one_tells_its_kind_alone(name: str) -> None:
    def fails(_cancel: threading.Event) -> None:
        raise MapperError("no such server")

    def breaks(_cancel: threading.Event) -> None:
        raise ValueError("anna@example.com")

    background.start(name, fails)
    assert str(background.wait(name, 10).error) == "no such server"
    background.start(name, breaks)
    assert str(background.wait(name, 10).error) == "a fault of this program (ValueError); see the app's log"
