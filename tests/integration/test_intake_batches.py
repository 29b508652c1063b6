"""Deliveries stored together leave what the same deliveries leave one by one, on SQLite and on PostgreSQL."""

from __future__ import annotations

import json
import random
import threading
from typing import Any

import pytest
import sqlalchemy as sa

from connectors.scrub import REMOVED
from sync import records
from sync.envelope import Delivery, dumps, loads, parse_delivery
from sync.intake import Prepared, prepare, store_all, store_in
from sync.store import Store, inbox, lane, open_store, record
from tests.engines import wait_until


def delivery(event_id: str, entity: str, record_id: str, day: int | None, **resource: Any) -> Prepared:
    at = None if day is None else f"2026-03-{day:02}T10:00:00Z"
    data = {"object": entity, "id": record_id, "updatedAt": at, "resource": {"id": record_id, **resource}}
    body = {"id": event_id, "type": f"{entity}.created", "data": data}
    return prepare(parse_delivery(json.dumps(body).encode()), source="webhook")


def some(seed: int) -> list[Prepared]:
    """A crowd in which ids, orders and customers meet again, some events older and some without a time."""
    chance = random.Random(seed)  # noqa: S311
    made = []
    for _ in range(60):
        order, day = str(chance.randint(1, 8)), chance.choice([None, 1, 2, 2, 3])
        customer = {"id": str(int(order) % 3)}
        extra = {"note": "more"} if chance.random() < 0.3 else {}
        kind = chance.choice(["order", "order", "payment", "coupon"])
        event_id = f"{kind}-{order}-{day}-{len(extra)}"
        if kind == "payment":
            made.append(delivery(event_id, kind, f"p{order}", day, orderId=order, **extra))
        else:
            made.append(delivery(event_id, kind, order, day, customer=customer, **extra))
    return made


def rows(store: Store) -> tuple[list[Any], ...]:
    with store.read() as conn:
        events = conn.execute(sa.select(*[c for c in inbox.c if c.name != "seq"]).order_by(inbox.c.seq)).all()
        lanes = conn.execute(sa.select(lane.c.key).order_by(lane.c.key)).all()
        snapshots = conn.execute(sa.select(record).order_by(record.c.key)).all()
    return [tuple(row) for row in events], [tuple(row) for row in lanes], [tuple(row) for row in snapshots]


@pytest.mark.parametrize("seed", range(4))
def test_a_batch_is_as_good_as_one_by_one(store: Store, tmp_path: Any, seed: int) -> None:
    other = open_store(f"sqlite:///{tmp_path / 'single.db'}")
    try:
        crowd = some(seed)
        half = len(crowd) // 2
        together = [*store_all(store, crowd[:half], now=1.0), *store_all(store, crowd[half:], now=1.0)]
        single = [store_all(other, [one], now=1.0)[0] for one in crowd]
        assert together == single
        assert set(together) == {"new", "duplicate", "ignored"}
        assert rows(store) == rows(other)
    finally:
        other.close()


def test_all_or_none(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    good = delivery("evt_1", "order", "1", 1)
    with store.write() as conn:
        conn.execute(sa.text("ALTER TABLE record RENAME TO elsewhere"))
    with pytest.raises(sa.exc.SQLAlchemyError):
        store_all(store, [good], now=1.0)
    with store.read() as conn:
        assert conn.scalar(sa.select(sa.func.count()).select_from(inbox)) == 0


def test_nothing_is_nothing(store: Store) -> None:
    assert store_all(store, [], now=1.0) == []


def test_what_is_stored_reads_back_to_the_cent_and_without_card_data() -> None:
    raw = (
        b'{"id": "e", "type": "order.created", "note": "\\u00e4 \\ud83d\\ude42", "data": {"object": "order", "id": "1",'
        b' "resource": {"total": 10.10, "rate": 1E-7, "big": 123456789012345678901234567890.5, "n": 7, "none": null,'
        b' "cvv": "123", "payment": {"cardNumber": "4111111111111111"}, "memo": "card 4111 1111 1111 1111 it was"}}}'
    )
    one = prepare(parse_delivery(raw), source="webhook")
    assert one.snapshot is not None
    kept = loads(one.body)
    assert dumps(kept) == one.body  # the text is exact
    assert loads(one.snapshot.text) == kept["data"]["resource"]
    assert kept["data"]["resource"] == {
        **loads(raw)["data"]["resource"],
        "cvv": REMOVED,
        "payment": {"cardNumber": REMOVED},
        "memo": f"card {REMOVED} it was",
    }
    assert "10.10" in one.body and "4111" not in one.body


def test_a_text_that_looks_like_our_marks_stays_a_text() -> None:
    from sync import envelope, intake

    value = {"id": "e", "type": "order.created", "data": {"object": "order", "id": "1", "resource": {"a": "x1.5"}}}
    one = prepare(Delivery(value, "0" * 64), source="webhook")
    assert loads(one.body) == value
    assert len(envelope._MARK) == len(intake._SLOT) == 24  # 96 random bits of this process, unknown to any sender


def test_a_snapshot_that_was_fetched_meanwhile_does_not_replace_a_newer_one(postgres_url: str) -> None:
    store = open_store(postgres_url)
    store_all(store, [delivery("e1", "order", "5", 1, v=1)], now=1.0)

    def fetched() -> None:
        records.remember(store, "order", "5", {"id": "5", "v": 2}, updated="2026-03-02T10:00:00Z", now=2.0)

    def waits() -> int:
        asked = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        with store.read() as conn:
            return int(conn.exec_driver_sql(asked).scalar() or 0)

    late = threading.Thread(target=fetched)
    with store.write() as conn:
        store_in(conn, [delivery("e3", "order", "5", 3, v=3)], now=3.0, settled_by={})
        late.start()
        wait_until(waits, what="the fetched one waits for the delivery's transaction")
    late.join()
    newest = records.latest(store, "order:5")
    store.close()
    assert newest is not None and newest.payload["v"] == 3
