"""The ledger: intent before a write, one live write a key, and what is kept of it."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from sync import ledger
from sync.errors import IntentOpenError
from sync.store import Store, open_store

KEY = "clarity:invoice:10045"


@pytest.fixture
def store() -> Iterator[Store]:
    opened = open_store("sqlite://")
    yield opened
    opened.close()


def begin(store: Store, key: str = KEY, **more: Any) -> ledger.Entry:
    given = {"entity": "invoice", "record_key": "order:10045", "phase": "create", "now": 1.0}
    return ledger.open_intent(store, key, **{**given, **more})


def test_an_intent_is_there_before_the_write(store: Store) -> None:
    begin(store, total=Decimal("25.570"), currency="USD", body_hash="h", detail={"rate": Decimal("0.0825")})
    found = ledger.get(store, KEY)
    assert found is not None
    assert (found.state, found.total, found.currency, found.body_hash) == ("intent", Decimal("25.570"), "USD", "h")
    assert str(found.total) == "25.570"
    assert found.detail == {"rate": Decimal("0.0825")}


@pytest.mark.parametrize("state", ["intent", "doubt"])
def test_a_second_write_of_a_key_is_refused_while_one_is_live(store: Store, state: Any) -> None:
    begin(store)
    ledger.set_state(store, KEY, state, now=2)
    with pytest.raises(IntentOpenError):
        begin(store)


@pytest.mark.parametrize("state", ["refused", "held"])
def test_after_a_known_end_the_write_may_be_tried_again(store: Store, state: Any) -> None:
    begin(store)
    ledger.set_state(store, KEY, state, now=2)
    assert begin(store, now=3.0).at == 3.0


def test_an_update_keeps_the_remote_id_and_the_confirmed_content(store: Store) -> None:
    begin(store)
    ledger.confirm(store, KEY, remote_id="77", content_hash="c1", total=Decimal("1.00"), currency="USD", now=2)
    entry = begin(store, phase="update", now=3.0)
    assert (entry.state, entry.remote_id, entry.content_hash, entry.created_at) == ("intent", "77", "c1", 1.0)


def test_confirming_keeps_what_it_is_not_told(store: Store) -> None:
    begin(store, total=Decimal("5.00"), currency="EUR")
    entry = ledger.confirm(store, KEY, remote_id="77", now=2)
    assert (entry.state, entry.total, entry.currency, entry.phase) == ("confirmed", Decimal("5.00"), "EUR", "create")


def test_a_change_from_another_state_than_expected_is_refused(store: Store) -> None:
    begin(store)
    ledger.confirm(store, KEY, remote_id="77", now=2)
    with pytest.raises(IntentOpenError, match="changed meanwhile"):
        ledger.set_state(store, KEY, "refused", expected=["intent", "doubt"], now=3)


def test_confirming_without_an_intent_is_an_error(store: Store) -> None:
    with pytest.raises(KeyError):
        ledger.confirm(store, KEY, remote_id="77", now=2)


def test_entries_are_found_by_record_prefix_and_state(store: Store) -> None:
    begin(store)
    begin(store, "clarity:payment:9", entity="payment")
    begin(store, "clarity:item:a_1%", entity="item", record_key="product:7")
    assert list(ledger.known(store, "order:10045")) == [KEY, "clarity:payment:9"]
    assert [entry.key for entry in ledger.list_by_prefix(store, "clarity:item:a_1%")] == ["clarity:item:a_1%"]
    assert ledger.list_by_prefix(store, "clarity:item:a_%x") == []
    ledger.set_state(store, "clarity:payment:9", "doubt", now=2)
    assert [entry.key for entry in ledger.list_by_state(store, "doubt")] == ["clarity:payment:9"]


def test_attempts_are_numbered_scrubbed_and_cut(store: Store) -> None:
    first = {"method": "POST", "path": "/x", "body": {"amount": Decimal("1.10"), "token": "s3cret"}}
    assert ledger.add_attempt(store, KEY, request=first, outcome="doubt", now=1) == 1
    assert (
        ledger.add_attempt(store, KEY, request={"body": "x" * 99_999}, response={"id": 1}, outcome="done", now=2) == 2
    )
    one, two = ledger.attempts(store, KEY)
    assert one.request["body"] == {"amount": Decimal("1.10"), "token": "[removed]"}
    assert (one.response, two.response, two.n) == (None, {"id": 1}, 2)
    assert len(two.request) == ledger.MAX_ATTEMPT_CHARS
