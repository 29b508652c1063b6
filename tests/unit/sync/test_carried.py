"""The end of a write goes with the event's next commit, in order, and is lost only where it is looked up again."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.exc import OperationalError

from sync import ledger
from sync.carried import Carried
from sync.errors import IntentOpenError
from sync.ledger import Change, Entry, Source, Tried
from sync.store import Store, open_store
from sync.store import note as note_table

KEY = "clarity:invoice:10045"


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    opened = open_store(store_url)
    yield opened
    opened.close()


def note(conn: Connection, subject: str) -> None:
    values = {"record_key": "order:1", "kind": "k", "subject": subject, "message": "m", "at": 1.0}
    conn.execute(sa.insert(note_table).values(**values))


def noted(store: Store) -> list[str]:
    return [row.subject for row in store.rows(sa.select(note_table.c.subject).order_by(note_table.c.subject))]


def begun(store: Store) -> Entry:
    return ledger.open_intent(
        store, KEY, entity="invoice", record_key="order:10045", phase="created", total=Decimal("25.570"), now=1.0
    )


def changed(_: Entry | None) -> Exception:
    return IntentOpenError("changed")


def test_what_is_carried_is_told_before_the_work_and_once(store: Store) -> None:
    carried = Carried()
    carried.add(lambda conn: note(conn, "a"))
    assert noted(store) == []

    def work(conn: Connection) -> str:
        note(conn, "b")
        return "done"

    assert carried.commit(store, work) == "done"
    assert noted(store) == ["a", "b"]
    assert not carried
    carried.flush(store)
    assert noted(store) == ["a", "b"]


def test_work_that_fails_keeps_it_for_the_next_commit(store: Store) -> None:
    carried = Carried()
    carried.add(lambda conn: note(conn, "a"))

    def failing(conn: Connection) -> None:
        note(conn, "b")
        raise IntentOpenError("taken")

    with pytest.raises(IntentOpenError, match="taken"):
        carried.commit(store, failing)
    assert noted(store) == []
    carried.flush(store)
    assert noted(store) == ["a"]


def test_nothing_is_built_on_an_end_that_was_not_as_expected(store: Store) -> None:
    carried = Carried()

    def told(conn: Connection) -> Exception:
        note(conn, "a")
        return IntentOpenError("written twice")

    carried.add(told)
    with pytest.raises(IntentOpenError, match="written twice"):
        carried.commit(store, lambda conn: note(conn, "b"))
    assert noted(store) == ["a"]
    assert not carried


def test_a_store_that_fails_lets_the_intent_stand(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    carried, entry = Carried(), begun(store)
    ledger.confirm_later(carried, entry, Change("confirmed", remote_id="77"), tried=None, lost=changed, now=2.0)

    def broken(_work: object) -> None:
        raise OperationalError("COMMIT", None, Exception("disk full"))

    with monkeypatch.context() as patched:
        patched.setattr(store, "transact", broken)
        with pytest.raises(OperationalError):
            carried.commit(store, lambda _: None)
    carried.flush(store)
    found = ledger.get(store, KEY)
    assert found is not None and found.state == "intent"


def test_the_row_is_known_before_it_is_told(store: Store) -> None:
    carried, entry = Carried(), begun(store)
    source = Source("order:10045", "2026-01-02", "f1")
    change = Change("confirmed", "agreed", "77", "c1", source, Decimal("25.57"), "USD", {"fields": {"number": "d"}})
    tried = Tried({"method": "POST"}, "done", {"id": 77})
    known = ledger.confirm_later(carried, entry, change, tried=tried, lost=changed, now=2.0)
    assert ledger.get(store, KEY) == entry
    assert ledger.attempts(store, KEY) == []
    carried.flush(store)
    assert ledger.get(store, KEY) == known
    assert [attempt.outcome for attempt in ledger.attempts(store, KEY)] == ["done"]


def test_a_row_that_somebody_changed_meanwhile_is_not_overwritten(store: Store) -> None:
    carried, entry = Carried(), begun(store)
    tried = Tried({"method": "POST"}, "done")
    seen: list[Entry | None] = []

    def lost(there: Entry | None) -> Exception:
        seen.append(there)
        return IntentOpenError("written twice")

    ledger.confirm_later(carried, entry, Change("confirmed", remote_id="77"), tried=tried, lost=lost, now=2.0)
    other = ledger.confirm(store, KEY, remote_id="78", now=3.0)
    with pytest.raises(IntentOpenError, match="written twice"):
        carried.flush(store)
    assert ledger.get(store, KEY) == other
    assert seen == [other]
    assert [attempt.outcome for attempt in ledger.attempts(store, KEY)] == [
        "done"
    ]  # what was sent is told all the same


def test_a_gate_that_is_closed_lets_what_is_carried_through_and_no_intent(store: Store) -> None:
    def closed(conn: Connection) -> Exception:
        note(conn, "asked")
        return IntentOpenError("paused")

    with pytest.raises(IntentOpenError, match="paused"):
        ledger.open_intent(store, KEY, entity="invoice", record_key="order:1", phase="created", gate=closed, now=1.0)
    assert noted(store) == ["asked"]
    assert ledger.get(store, KEY) is None
