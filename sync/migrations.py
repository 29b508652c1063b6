"""From one version of the store to the next: the steps that bring an older store to today's tables.

New tables need no step, they are created when a store is opened; what changes a table that is there already does.
A test compares every upgraded store with a fresh one, on SQLite and on PostgreSQL.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy.engine import Connection


def _to_2(change: Operations) -> None:
    """New tables need no step."""
    # Throughput and retention ask by time.
    change.create_index("inbox_settled", "inbox", ["settled_at"])
    change.create_index("attempt_at", "attempt", ["at"])


STEPS: Final[Mapping[int, Callable[[Operations], None]]] = {2: _to_2}
"""By the version that a step leads to."""


def upgrade(conn: Connection, found: int, wanted: int) -> None:
    """Bring the tables from one version to a later one, in the caller's transaction."""
    change = Operations(MigrationContext.configure(conn))
    for version in range(found + 1, wanted + 1):
        STEPS[version](change)
