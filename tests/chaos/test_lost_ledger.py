"""A store that is lost altogether, rebuilt from the markers in FreshBooks: the next run writes nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable

import pytest

from connectors.sandbox import generator
from tests.chaos.cluster import commands
from tests.chaos.recorder import Recorder
from tests.flows import Books


@pytest.mark.skipif("rebuild" not in commands(), reason="this version has no 'mapper-sync rebuild'")
def test_after_a_rebuild_the_same_events_write_nothing(make_books: Callable[..., Books]) -> None:
    books = make_books()
    recorder = Recorder(books.sandbox.state)
    events = books.file(generator.events(generator.generate(21, 10), shuffle_seed=21))

    def mapper_sync(*arguments: str) -> None:
        command = [sys.executable, "-m", "sync", *arguments, "--mappings", str(books.mappings)]
        environ = {"PATH": os.environ["PATH"], **books.environ()}
        ended = subprocess.run(command, env=environ, capture_output=True, text=True, check=False, timeout=150)
        assert ended.returncode in (0, 3), ended.stderr

    mapper_sync("run", "--events", str(events))
    posted = len(recorder.effects)
    assert posted > 20
    for path in books.folder.glob("store.db*"):
        path.unlink()
    mapper_sync("rebuild")
    mapper_sync("run", "--events", str(events))
    assert recorder.effects[posted:] == []
