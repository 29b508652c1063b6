"""An older store is brought to today's tables, with everything that stood in it."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from sync.errors import StoreError
from sync.store import SCHEMA_VERSION, metadata, open_store

STORES = Path(__file__).resolve().parents[1] / "stores"
ROWS = (
    "INSERT INTO inbox (source, delivery_id, event, entity, record_id, record_key, lane_key, body, raw_sha256,"
    " received_at, state, reasons, attempts, claims, due)"
    " VALUES ('webhook', 'd1', 'order.created', 'order', '1', 'order:1', 'customer:1', '{}', 'x', 5, 'pending', '[]',"
    " 0, 0, 5)",
    "INSERT INTO lane (key, until, fence) VALUES ('customer:1', 0, 3)",
    "INSERT INTO ledger (key, entity, record_key, state, phase, detail, created_at, at)"
    " VALUES ('clarity:invoice:1', 'invoice', 'order:1', 'confirmed', 'sent', '{}', 5, 6)",
)


def _older(url: str, version: int) -> None:
    address = sa.make_url(url)
    backend = address.get_backend_name()
    if backend == "postgresql":
        address = address.set(drivername="postgresql+psycopg")
    engine = sa.create_engine(address)
    statements = (STORES / f"version-{version}-{backend}.sql").read_text("utf-8").split(";\n")
    with engine.begin() as conn:
        for statement in (*statements, *ROWS):
            if statement.strip():
                conn.exec_driver_sql(statement)
    engine.dispose()


@pytest.mark.parametrize("version", range(1, SCHEMA_VERSION))
def test_an_older_store_gets_todays_tables_and_keeps_its_rows(store_url: str, version: int) -> None:
    _older(store_url, version)
    store = open_store(store_url)
    try:
        with store.engine.connect() as conn:
            assert compare_metadata(MigrationContext.configure(conn), metadata) == []
            assert conn.exec_driver_sql("SELECT version FROM schema_version").all() == [(SCHEMA_VERSION,)]
            assert conn.exec_driver_sql("SELECT key, fence FROM lane").all() == [("customer:1", 3)]
            assert conn.exec_driver_sql("SELECT delivery_id, state FROM inbox").all() == [("d1", "pending")]
            assert conn.exec_driver_sql("SELECT key, phase FROM ledger").all() == [("clarity:invoice:1", "sent")]
    finally:
        store.close()


def test_an_older_store_is_not_changed_by_looking_at_it(store_url: str) -> None:
    _older(store_url, 1)
    with pytest.raises(StoreError, match="by an older version"):
        open_store(store_url, read_only=True)
    store = open_store(store_url)
    store.close()
    open_store(store_url, read_only=True).close()
