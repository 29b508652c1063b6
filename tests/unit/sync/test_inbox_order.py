"""Who gets which event when: once each, in order within a lane, nobody blocked by what is set aside."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from sync import inbox, records
from sync.errors import LaneLostError
from sync.inbox import Event, ingest, next_due, settle
from sync.lanes import here
from sync.store import Store, open_store
from sync.store import inbox as inbox_table

ME, OTHER = "host|1|1|me", "host|1|1|other"


@pytest.fixture
def store() -> Iterator[Store]:
    opened = open_store("sqlite://")
    yield opened
    opened.close()


def event(number: int, *, record: str = "order:1", customer: str = "c", **resource: Any) -> dict[str, Any]:
    entity, _, record_id = record.partition(":")
    action = "captured" if entity == "payment" else "updated"
    return {
        "id": f"evt_{number}",
        "type": f"{entity}.{action}",
        "data": {"object": entity, "id": record_id, "resource": {"customerId": customer, **resource}},
    }


def put(store: Store, *events: dict[str, Any], now: float = 0.0) -> inbox.IngestResult:
    return ingest(store, events, source="test", now=now)


def take(store: Store, now: float = 1.0, owner: str = ME) -> Event | None:
    return next_due(store, now=now, owner=owner)


def taken(store: Store, now: float = 1.0) -> Event:
    found = take(store, now)
    assert found is not None
    return found


def drain(store: Store, now: float = 1.0) -> list[str]:
    order = []
    while (found := take(store, now)) is not None:
        order.append(found.delivery_id)
        settle(store, found, state="done", fate="done", now=now)
    return order


def test_an_event_is_stored_once(store: Store) -> None:
    assert put(store, event(1), event(2), event(1)) == inbox.IngestResult(new=2, duplicate=1)
    assert put(store, event(1)) == inbox.IngestResult(duplicate=1)


def test_events_without_an_id_are_known_by_their_content(store: Store) -> None:
    bare = {key: value for key, value in event(1).items() if key != "id"}
    assert put(store, bare, bare) == inbox.IngestResult(new=1, duplicate=1)


def test_unknown_types_are_kept_and_left_alone(store: Store) -> None:
    assert put(store, {"id": "e", "type": "coupon.created", "data": {"id": 1}}) == inbox.IngestResult(ignored=1)
    assert take(store) is None
    assert inbox.counts(store) == {"ignored": 1}


def test_an_event_that_names_no_record_is_dead_with_its_reason(store: Store) -> None:
    assert put(store, {"id": "e", "type": "order.created", "data": {}}) == inbox.IngestResult(new=1)
    assert inbox.counts(store) == {"dead": 1}


def test_card_data_never_reaches_the_store(store: Store) -> None:
    put(store, event(1, cardNumber="4111111111111111", notes="4111 1111 1111 1111", nested=[{"cvv": "123"}]))
    with store.read() as conn:
        for table in ("inbox", "record"):
            for row in conn.exec_driver_sql(f"SELECT * FROM {table}").all():  # noqa: S608  two fixed names
                assert "4111" not in str(row)
                assert "123" not in str(row.body if table == "inbox" else row.payload)


def test_all_or_nothing(store: Store) -> None:
    with pytest.raises(TypeError):
        put(store, event(1), event(2, amount=1.5))
    assert inbox.counts(store) == {}


def test_order_within_a_lane_is_the_order_of_arrival(store: Store) -> None:
    put(store, event(1), event(2), event(3))
    assert drain(store) == ["evt_1", "evt_2", "evt_3"]


def test_a_lane_is_held_by_one_worker_at_a_time(store: Store) -> None:
    put(store, event(1), event(2), event(3, record="order:9", customer="d"))
    assert taken(store).delivery_id == "evt_1"
    second = take(store, owner=OTHER)
    assert second is not None
    assert second.delivery_id == "evt_3"
    assert take(store, owner=OTHER) is None


def test_held_and_dead_events_block_nobody(store: Store) -> None:
    put(store, event(1), event(2, record="order:2"), event(3, record="order:3"))
    settle(store, taken(store), state="held", fate="held", now=1)
    settle(store, taken(store), state="dead", fate="dead", now=1)
    assert taken(store).delivery_id == "evt_3"


def test_a_retry_blocks_its_own_lane_only(store: Store) -> None:
    put(store, event(1), event(2, record="order:2"), event(3, record="order:3", customer="d"))
    settle(store, taken(store), state="pending", fate="retry", due=50, now=1)
    assert drain(store) == ["evt_3"]
    assert inbox.next_due_at(store, now=1, waiting=False) == 50
    assert drain(store, now=50) == ["evt_1", "evt_2"]


def test_what_waits_for_another_record_blocks_nobody_and_wakes_with_it(store: Store) -> None:
    put(store, event(1, record="payment:9", orderId="1"), event(2, record="order:1"), event(3, record="order:2"))
    first = taken(store)
    settle(store, first, state="pending", fate="waiting", waits_for="order:1", due=500, now=1)
    assert inbox.next_due_at(store, now=1, waiting=True) == 0
    assert drain(store) == ["evt_2", "evt_1", "evt_3"]
    assert inbox.next_due_at(store, now=1, waiting=True) is None


def test_what_waits_is_not_hidden_by_a_later_one_behind_a_retry(store: Store) -> None:
    put(store, event(1, record="payment:1"), event(2, record="order:8"), event(3, record="payment:3"))
    for _ in range(3):  # the order last: it is to be tried again, and what comes after it has to wait for that
        found = taken(store)
        if found.record_key.startswith("payment"):
            due = 9.0 if found.record_key == "payment:1" else 5.0
            settle(store, found, state="pending", fate="waiting", waits_for="order:77", due=due, now=1.0)
        else:
            settle(store, found, state="pending", fate="waiting", waits_for="order:66", due=1.0, now=1.0)
            with store.write() as conn:
                conn.execute(sa.update(inbox_table).where(inbox_table.c.seq == 2).values(due=2.0))
    order = taken(store, 2.0)
    assert order.record_key == "order:8"
    settle(store, order, state="pending", fate="retry", due=900.0, now=2.0)
    assert take(store, 5.0) is None
    assert taken(store, 9.0).record_key == "payment:1"


def test_what_waits_learns_that_its_record_is_held_and_wakes_again_when_it_is_done(store: Store) -> None:
    put(store, event(1, record="payment:9"), event(2, record="order:1"))
    settle(store, taken(store), state="pending", fate="waiting", waits_for="order:1", due=500, now=1)
    settle(store, taken(store), state="held", fate="held", now=1)
    payment = taken(store, now=1)
    assert payment.record_key == "payment:9"
    settle(store, payment, state="held", fate="held", waits_for="order:1", now=2)
    assert take(store) is None
    put(store, event(3, record="order:1"))
    settle(store, taken(store, now=3), state="done", fate="done", now=3)
    assert taken(store, now=3).record_key == "payment:9"


def test_a_record_settled_while_the_waiting_one_was_in_hand_is_not_missed(store: Store) -> None:
    put(store, event(1, record="payment:9", customer="p"), event(2, record="order:1"))
    payment, order = taken(store), taken(store)
    settle(store, order, state="done", fate="done", now=2)
    settle(store, payment, state="pending", fate="waiting", waits_for="order:1", due=500, now=3)
    assert taken(store, now=3).record_key == "payment:9"


def waiting_in_a_lane_of_its_own(store: Store) -> None:
    """A payment that came before anything was known of its order."""
    put(store, event(1, record="payment:9", customer="", orderId="5"))
    settle(store, taken(store), state="pending", fate="waiting", waits_for="order:5", due=3.0, now=1.0)
    put(store, event(2, record="order:5", customer="7"), now=2.0)


def test_what_is_woken_while_it_is_in_hand_is_given_to_nobody_else(store: Store) -> None:
    waiting_in_a_lane_of_its_own(store)
    order = taken(store, 2.0)
    payment = taken(store, 4.0)
    assert (order.record_key, payment.record_key) == ("order:5", "payment:9")
    settle(store, order, state="done", fate="done", now=5.0)
    assert take(store, 5.0, OTHER) is None
    settle(store, payment, state="pending", fate="retry", due=6.0, now=5.0)
    assert drain(store, 7.0) == ["evt_1"]


def test_an_outcome_of_an_event_that_has_gone_to_another_lane_does_not_count(store: Store) -> None:
    waiting_in_a_lane_of_its_own(store)
    order = taken(store, 2.0)
    payment = taken(store, 4.0)
    with store.write() as conn:  # as a claim and a wake that do not see each other leave it
        conn.execute(sa.update(inbox_table).where(inbox_table.c.seq == 1).values(lane_key="customer:7"))
    settle(store, order, state="done", fate="done", now=5.0)
    again = taken(store, 5.0)
    assert again.record_key == "payment:9"
    assert settle(store, again, state="done", fate="done", now=6.0)
    assert not settle(store, payment, state="pending", fate="retry", due=7.0, now=6.0)
    assert inbox.counts(store) == {"done": 2}


def test_a_payment_goes_into_the_lane_of_its_order(store: Store) -> None:
    put(store, event(1, record="order:1", customer="501"))
    put(store, event(2, record="payment:9", customer="", orderId="1"))
    assert taken(store).lane_key == "customer:501"
    assert take(store, owner=OTHER) is None


def test_a_dead_runners_event_is_due_again_after_its_lease(store: Store) -> None:
    put(store, event(1))
    first = taken(store)
    assert take(store, now=2, owner=OTHER) is None
    assert inbox.next_due_at(store, now=2, waiting=False) == 1 + inbox.LEASE_S
    again = take(store, now=2 + inbox.LEASE_S, owner=OTHER)
    assert again is not None
    assert again.fence > first.fence
    assert not settle(store, first, state="done", fate="done", now=3)
    with pytest.raises(LaneLostError):
        inbox.renew(store, first, now=3)
    assert settle(store, again, state="done", fate="done", now=400)


def test_renewing_prolongs_the_lease(store: Store) -> None:
    put(store, event(1))
    inbox.renew(store, taken(store), now=100)
    assert take(store, now=99 + inbox.LEASE_S, owner=OTHER) is None


@pytest.mark.parametrize(
    ("host", "pid", "freed"),
    [
        ("", 999_999_999, True),  # no such process
        ("", os.getpid, Path("/proc").exists()),  # our number, given to another process before
        ("elsewhere-", 999_999_999, False),  # only its lease can tell
    ],
    ids=["gone", "reused-number", "elsewhere"],
)
def test_lanes_of_dead_processes_of_this_machine_are_freed_at_once(
    store: Store, host: str, pid: Any, freed: bool
) -> None:
    put(store, event(1))
    take(store, owner=f"{host}{here()}|{pid() if callable(pid) else pid}|1|x")
    assert inbox.release_dead(store) == int(freed)
    assert (take(store, now=2) is not None) == freed


def test_lanes_of_a_living_worker_stay(store: Store) -> None:
    put(store, event(1))
    take(store, owner=inbox.new_owner())
    assert inbox.release_dead(store) == 0


def test_an_event_that_kills_its_runner_again_and_again_is_set_aside(store: Store) -> None:
    put(store, event(1), event(2))
    for round_number in range(inbox.MAX_CLAIMS):
        assert taken(store, now=1 + round_number * 1000).delivery_id == "evt_1"
    assert taken(store, now=99_000).delivery_id == "evt_2"
    assert inbox.counts(store) == {"dead": 1, "pending": 1}


def test_a_released_event_counts_as_untouched(store: Store) -> None:
    put(store, event(1))
    inbox.release(store, taken(store))
    assert taken(store).attempts == 0


def test_attempts_count_the_same_fate_in_a_row(store: Store) -> None:
    put(store, event(1))
    for fate, expected in [("waiting", 0), ("waiting", 1), ("retry", 2), ("retry", 1)]:
        found = taken(store, now=10)
        assert found.attempts == expected
        settle(store, found, state="pending", fate=fate, due=5, now=5)


def test_a_later_verdict_replaces_earlier_ones_of_the_record(store: Store) -> None:
    put(store, event(1), event(2), event(3, record="order:2"))
    settle(store, taken(store), state="held", fate="held", now=1)
    settle(store, taken(store), state="done", fate="done", now=1)
    assert inbox.counts(store) == {"superseded": 1, "done": 1, "pending": 1}


def test_a_stale_event_does_not_lift_a_verdict(store: Store) -> None:
    put(store, event(1), event(2))
    settle(store, taken(store), state="held", fate="held", now=1)
    settle(store, taken(store), state="skipped", fate="skipped", now=1)
    assert inbox.counts(store) == {"held": 1, "skipped": 1}


@pytest.mark.parametrize("name", ["order:1", "order 1", "Order 1 (WEB-1)", "WEB-1", None])
def test_replay_takes_a_record_by_any_of_its_names(store: Store, name: str | None) -> None:
    put(store, event(1, orderNumber="WEB-1"), event(2, record="order:2", orderNumber="WEB-2"))
    settle(store, taken(store), state="dead", fate="dead", now=1)
    settle(store, taken(store), state="done", fate="done", now=1)
    assert inbox.redrive(store, name, now=5) == ["order:1"]
    assert taken(store, now=5).delivery_id == "evt_1"


def test_replaying_an_unknown_record_changes_nothing(store: Store) -> None:
    put(store, event(1))
    assert inbox.redrive(store, "order:77", now=5) == []


def test_the_newest_snapshot_is_kept(store: Store) -> None:
    def remember(payload: dict[str, Any], updated: str | None, now: float) -> bool:
        return records.remember(store, "order", "1", payload, updated=updated, now=now)

    assert remember({"a": 1}, "2026-03-02T00:00:00Z", 1)
    assert not remember({"a": 2}, "2026-03-01T00:00:00Z", 2)
    assert not remember({"a": 3}, None, 3)
    assert not remember({}, "2026-03-02T00:00:00Z", 4)
    assert remember({"a": 5}, "2026-03-02T01:00:00+01:00", 5)
    found = records.latest(store, "order:1")
    assert found is not None
    assert found.payload["a"] == 5
    assert records.latest(store, "order:2") is None


def test_ingesting_keeps_the_snapshot_exact(store: Store) -> None:
    ingest(
        store,
        [inbox.parse_delivery(b'{"type":"order.created","data":{"id":1,"resource":{"total":25.570}}}')],
        source="test",
        now=1,
    )
    found = records.latest(store, "order:1")
    assert found is not None
    assert str(found.payload["total"]) == "25.570"
    claimed = taken(store)
    assert claimed.resource is not None
    assert str(claimed.resource["total"]) == "25.570"
