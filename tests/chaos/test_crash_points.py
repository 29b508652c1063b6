"""A process that ends at any boundary of a flow loses nothing and doubles nothing."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.chaos.crash import forker
from tests.chaos.recorder import Recorder
from tests.chaos.sweep import FLOWS, Flow, sweep
from tests.flows import Books


@pytest.mark.parametrize("flow", FLOWS, ids=lambda flow: flow.name)
def test_crashed_at_each_boundary_in_turn_it_ends_as_without_a_crash(
    make_books: Callable[..., Books], flow: Flow
) -> None:
    books = make_books(books={"http_timeout_s": 10.0})
    with forker(books.folder) as runs:
        swept = sweep(flow, books, Recorder(books.sandbox.state), runs, every=False)
    assert swept.wrong == ()
    assert swept.crashes > len(flow.writes) * 2
