"""Status: every record that was not posted, once, with its reason; counts and sums."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from sync import ledger, records
from sync.errors import StoreError
from sync.inbox import ingest, next_due, settle
from sync.status import grouped_errors, ledger_totals, read_status, status
from sync.store import Store, open_store
from sync.store import ledger as ledger_table


@pytest.fixture
def store() -> Iterator[Store]:
    opened = open_store("sqlite://")
    yield opened
    opened.close()


def work(
    store: Store,
    record: str,
    state: Any,
    fate: str,
    *,
    reason: str = "",
    number: str | None = None,
    waits_for: str | None = None,
    type_: str | None = None,
) -> None:
    entity, _, record_id = record.partition(":")
    events = {"order": "order.updated", "payment": "payment.captured", "customer": "customer.updated"}
    resource = {"orderNumber": number} if number else {"x": 1}
    work.count += 1  # type: ignore[attr-defined]
    envelope = {
        "id": f"e{work.count}",
        "type": type_ or events[entity],  # type: ignore[attr-defined]
        "data": {"id": record_id, "resource": resource},
    }
    ingest(store, [envelope], source="test", now=0)
    event = next_due(store, now=1, owner="me")
    assert event is not None
    assert event.record_key == record
    reasons = [{"id": reason, "message": f"because of {reason}"}] if reason else []
    settle(store, event, state=state, fate=fate, reasons=reasons, waits_for=waits_for, due=1e6, now=2)


work.count = 0  # type: ignore[attr-defined]


def held(store: Store) -> list[tuple[str, str, str]]:
    return [(line["record"], line["kind"], line["reason_id"]) for line in status(store)["held"]]


def test_everything_that_was_not_posted_is_listed_with_its_reason(store: Store) -> None:
    work(store, "order:1", "held", "held", reason="total-differs", number="WEB-1")
    work(store, "order:2", "dead", "dead", reason="rejected")
    work(store, "order:3", "skipped", "skipped", reason="cancelled", number="WEB-3")
    work(store, "payment:9", "pending", "waiting", reason="order-missing", waits_for="order:77")
    work(store, "order:4", "done", "done", number="WEB-4")
    work(store, "order:5", "pending", "retry", reason="transient")
    work(store, "payment:8", "skipped", "skipped", reason="payment-failed")
    work(store, "customer:7", "skipped", "skipped", reason="unchanged")
    assert held(store) == [
        ("order 1 (WEB-1)", "held", "total-differs"),
        ("order 2", "dead", "rejected"),
        ("order 3 (WEB-3)", "skipped", "cancelled"),
        ("payment 9", "waiting", "order-missing"),
    ]
    found = status(store)
    assert found["held"][0]["reason"] == "because of total-differs"
    assert (found["held"][0]["entity"], found["held"][0]["id"], found["held"][0]["number"]) == ("order", "1", "WEB-1")
    assert [line["record"] for line in found["waiting"]] == ["payment 9", "order 5"]
    assert [line["record"] for line in found["skipped"]] == ["order 3 (WEB-3)", "payment 8", "customer 7"]
    assert found["inbox"]["pending"] == 2
    assert found["inbox"]["done"] == 1
    assert found["inbox"]["dead"] == 1
    json.dumps(found)


def test_a_record_is_listed_once_and_not_after_it_was_posted(store: Store) -> None:
    work(store, "order:1", "held", "held", reason="a")
    work(store, "order:1", "held", "held", reason="b")
    assert held(store) == [("order 1", "held", "b")]
    work(store, "order:1", "done", "done")
    assert held(store) == []
    work(store, "order:1", "skipped", "skipped", reason="stale")
    assert held(store) == []


def test_a_posted_order_that_is_skipped_later_is_not_missing(store: Store) -> None:
    work(store, "order:1", "done", "done")
    ledger.open_intent(store, "clarity:invoice:1", entity="invoice", record_key="order:1", phase="create", now=1)
    ledger.confirm(store, "clarity:invoice:1", remote_id="5", now=1)
    work(store, "order:1", "skipped", "skipped", reason="older-version")
    assert held(store) == []
    assert len(status(store)["skipped"]) == 1


def test_a_stale_event_does_not_hide_a_verdict(store: Store) -> None:
    work(store, "order:1", "held", "held", reason="a")
    work(store, "order:1", "skipped", "skipped", reason="older-version")
    assert held(store) == [("order 1", "held", "a")]


def test_events_without_a_record_are_listed_each(store: Store) -> None:
    for number in (1, 2):
        envelope = {"id": f"n{number}", "type": "order.created", "data": {"resource": {"orderNumber": f"W{number}"}}}
        ingest(store, [envelope], source="test", now=0)
    assert held(store) == [("order ? (W1)", "dead", "no-record-id"), ("order ? (W2)", "dead", "no-record-id")]


def test_the_ledger_is_summed_by_currency(store: Store) -> None:
    amounts = [("1", "10.00", "USD"), ("2", "0.10", "USD"), ("3", "7", "JPY")]
    for at, (key, total, currency) in enumerate(amounts):
        ledger.open_intent(
            store,
            f"k:invoice:{key}",
            entity="invoice",
            record_key=f"order:{key}",
            phase="create",
            total=Decimal(total),
            currency=currency,
            now=at,
        )
        ledger.confirm(store, f"k:invoice:{key}", remote_id=key, now=at)
    ledger.open_intent(
        store,
        "k:invoice:4",
        entity="invoice",
        record_key="order:4",
        phase="create",
        total=Decimal(99),
        currency="USD",
        now=5,
    )
    found = status(store)["ledger"]
    assert found["counts"] == {"invoice": {"confirmed": 3, "intent": 1}}
    assert found["sums"] == {"invoice": {"JPY": "7", "USD": "10.10"}}
    assert ledger_totals(store, since=2)["sums"] == {"invoice": {"JPY": "7"}}


def test_lists_may_be_cut_short_and_say_so_while_counts_are_of_everything(store: Store) -> None:
    for number in range(4):
        work(store, f"order:{number}", "held", "held", reason="a")
        work(store, f"payment:{number}", "skipped", "skipped", reason="b")
    found = status(store, most=3)
    assert (len(found["held"]), len(found["skipped"]), found["complete"]) == (3, 3, False)
    assert (found["inbox"]["held"], found["inbox"]["skipped"]) == (4, 4)
    assert status(store, most=5) == {**status(store), "complete": True}


def test_the_status_does_not_load_what_is_posted(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path / 's.db'}")
    with store.write() as conn:
        rows = [
            {
                "key": f"k:invoice:{n}",
                "entity": "invoice",
                "record_key": f"order:{n}",
                "state": "confirmed",
                "phase": "",
            }
            | {"total": "1.10", "currency": "USD", "detail": "{}", "created_at": 1.0, "at": 1.0, "remote_id": str(n)}
            for n in range(500)
        ]
        conn.execute(sa.insert(ledger_table), rows)
    fetched: list[int] = []

    @sa.event.listens_for(store.engine, "before_cursor_execute")
    def plan(_conn: Any, cursor: Any, statement: str, values: Any, _context: Any, _many: bool) -> None:
        if statement.startswith("SELECT"):
            cursor.execute(f"SELECT count(*) FROM ({statement})", values)  # noqa: S608
            fetched.append(cursor.fetchone()[0])

    assert status(store)["ledger"]["sums"] == {"invoice": {"USD": "550.00"}}
    assert sum(fetched) < 50
    store.close()


def test_notes_name_their_record_and_unknown_skus_are_gathered(store: Store) -> None:
    work(store, "order:1", "done", "done", number="WEB-1")
    skipped = ("payment-skipped", "payment 9 has failed", "9")
    for message in ("first", "again"):
        records.set_notes(store, "order:1", [("unknown-sku", message, "ABC"), skipped], now=1)
    records.set_notes(store, "order:2", [("unknown-sku", "x", "ABC")], now=1)
    found = status(store)
    assert found["unknown_skus"] == [{"sku": "ABC", "records": ["order 1 (WEB-1)", "order 2"]}]
    assert [(line["record"], line["reason"]) for line in found["skipped"]] == [
        ("order 1 (WEB-1)", "payment 9 has failed")
    ]
    records.set_notes(store, "order:1", [skipped], now=2)
    assert [note.kind for note in records.notes(store)] == ["payment-skipped", "unknown-sku"]


def test_errors_are_grouped_by_reason(store: Store) -> None:
    for number in ("1", "2", "3"):
        work(store, f"order:{number}", "held", "held", reason="b" if number == "2" else "a")
    work(store, "order:4", "skipped", "skipped", reason="cancelled")
    assert [(group["reason_id"], group["count"]) for group in grouped_errors(status(store))] == [("a", 2), ("b", 1)]


def test_connections_say_why_they_stopped(store: Store) -> None:
    records.set_connection(store, "freshbooks", "stopped", reason="reconnect FreshBooks", now=0)
    assert status(store)["connections"] == {
        "freshbooks": {"state": "stopped", "reason": "reconnect FreshBooks", "at": "1970-01-01T00:00:00+00:00"}
    }


def test_a_missing_store_is_said_and_not_created(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="there is no store at"):
        read_status(f"sqlite:///{tmp_path / 'm.db'}")
    assert not (tmp_path / "m.db").exists()
