"""What a comparison learns from the store, on both databases."""

from __future__ import annotations

from decimal import Decimal

from sync import inbox, ledger
from sync.reconcile.known import Known
from sync.reconcile.tables import Tables
from sync.store import open_store
from tests.flows import envelope, order


def test_ledger_and_verdicts_are_read_from_either_store(store_url: str) -> None:
    store = open_store(store_url)
    key, written = "clarity:invoice:1", {"entity": "invoice", "record_key": "order:1", "phase": "created"}
    ledger.open_intent(store, key, **written, total=Decimal("11.80"), currency="USD", now=1.0)
    ledger.confirm(store, key, remote_id="77", detail={"fields": {"create_date": "digest"}}, now=2.0)
    inbox.ingest(store, [envelope("order.created", order(id="1"))], source="file", now=1.0)
    event = inbox.next_due(store, now=2.0, owner=inbox.new_owner())
    assert event is not None
    reasons = [{"id": "a-reason", "message": "why"}]
    inbox.settle(store, event, state="held", fate="held", reasons=reasons, due=None, waits_for=None, now=3.0)
    store.close()
    reading = open_store(store_url, read_only=True)
    with Tables() as tables:
        tables.add("orders", {"id": "1", "ledger_key": key})
        tables.flush()
        Known(tables, reading).read()
        (entry,) = tables.rows("SELECT remote_id, total, day_digest FROM ledger")
        assert entry == {"remote_id": "77", "total": Decimal("11.80"), "day_digest": "digest"}
        (verdict,) = tables.rows("SELECT * FROM verdicts")
        assert verdict == {"record_key": "order:1", "state": "held", "reason_id": "a-reason", "reason": "why"}
        tables.run("DELETE FROM ledger")
        Known(tables, reading).read_of("invoice", ["77", "78"])
        assert tables.one("SELECT record_key FROM ledger") == "order:1"
    reading.close()
