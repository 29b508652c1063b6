"""Fixtures of all tests."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from connectors.sandbox.server import running_sandbox
from tests.flows import Books

pytest_plugins = ["tests.postgres"]

MEMORY = Path("/dev/shm")  # noqa: S108 - for the folders that pytest makes
ROOM = 4 << 30

# A store waits for the disk at every commit, which survives the end of a process without it, too. In memory nobody
# waits. Where there is no such folder, or too little room in it, tests use the disk.
if MEMORY.is_dir() and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free >= ROOM:
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))

# The matrices here are small: more threads only wait for each other, busily, where the cores have other work to do.
# It counts before numpy is imported, and for the processes that tests start.
for _name in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ.setdefault(_name, "1")


@pytest.fixture(scope="session", autouse=True)
def _own_workspace(tmp_path_factory: pytest.TempPathFactory) -> None:
    """What tests decide is learned in a folder of their own, never in the project's."""
    os.environ["MAPPER_WORKSPACE"] = str(tmp_path_factory.mktemp("workspace"))


@pytest.fixture
def make_books(tmp_path: Path) -> Iterator[Callable[..., Books]]:
    """Makes a sandbox (switches as keywords) with runner settings for it; all of them end with the test."""
    with ExitStack() as stack:

        def make(*, books: dict[str, Any] | None = None, **switches: Any) -> Books:
            return Books(stack.enter_context(running_sandbox(**switches)), tmp_path, **(books or {}))

        yield make


@pytest.fixture
def books(make_books: Callable[..., Books]) -> Books:
    """A sandbox as it is by default."""
    return make_books()
