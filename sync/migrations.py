"""From one version of the store to the next: the steps that bring an older store to today's tables.

New tables need no step, they are created when a store is opened; what changes a table that is there already does.
A test compares every upgraded store with a fresh one, on SQLite and on PostgreSQL.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import sqlalchemy as sa
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy.engine import Connection


def _to_2(change: Operations) -> None:
    """Lanes know when they are due, ledger rows who writes them, snapshots how they were worked off."""
    # Throughput and retention ask by time, people and payments by number, the status for sums.
    change.create_index("inbox_settled", "inbox", ["settled_at"])
    change.create_index("inbox_number", "inbox", ["number"])
    change.create_index("attempt_at", "attempt", ["at"])
    change.drop_index("ledger_state", table_name="ledger")
    change.create_index("ledger_state", "ledger", ["entity", "state", "currency", "total"])
    big = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    change.add_column("lane", sa.Column("due", sa.Double))
    change.add_column("lane", sa.Column("head", big))
    # Too early is not too late: who claims such a lane works out when it is due.
    change.execute(
        "UPDATE lane SET due = 0, head = 0 WHERE key IN (SELECT lane_key FROM inbox WHERE state = 'pending')"
    )
    change.create_index("lane_due", "lane", ["due", "head"])
    _partial_index(change, "lane_owner", "lane", ["owner"], "owner IS NOT NULL")
    change.drop_index("inbox_lane", table_name="inbox")
    ready, later = "(fate IS NULL OR fate != 'waiting')", "fate = 'waiting'"
    _partial_index(change, "inbox_ready", "inbox", ["lane_key", "seq"], f"state = 'pending' AND {ready}")
    _partial_index(change, "inbox_waiting", "inbox", ["lane_key", "due", "seq"], f"state = 'pending' AND {later}")
    change.add_column("ledger", sa.Column("holder", sa.Text))
    change.add_column("ledger", sa.Column("revision", big, nullable=False, server_default="0"))
    change.create_index("ledger_remote", "ledger", ["remote_id"])
    change.add_column("record", sa.Column("settled", sa.Text))


def _partial_index(change: Operations, name: str, table: str, columns: list[str], condition: str) -> None:
    where = sa.text(condition)
    change.create_index(name, table, columns, sqlite_where=where, postgresql_where=where)


STEPS: Final[Mapping[int, Callable[[Operations], None]]] = {2: _to_2}
"""By the version that a step leads to."""


def upgrade(conn: Connection, found: int, wanted: int) -> None:
    """Bring the tables from one version to a later one, in the caller's transaction."""
    change = Operations(MigrationContext.configure(conn))
    for version in range(found + 1, wanted + 1):
        STEPS[version](change)
