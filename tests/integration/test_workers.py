"""Several workers and processes on one store: nothing twice, nothing lost, each customer's order kept."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sync import inbox, lane_statements, ledger, records
from sync.errors import IntentOpenError, LaneLostError, StaleLeaseError
from sync.intake import at_work_of
from sync.lanes import next_due
from sync.leases import Leases
from sync.outcome import Settled
from sync.prepared import Prepared
from sync.settings import RunnerSettings
from sync.store import Store, open_store
from tests.flows import Books, envelope, order

SLOW = {"fault_rates": {"slow": 1.0}, "slow_s": 0.02}
"""Every answer takes a moment, so that workers are in the middle of things at the same time."""


def sold(number: int, *, customer: str, email: str, **changes: Any) -> dict[str, Any]:
    """An order of its own number, customer and payment."""
    base = order()
    payment = {**base["payments"][0], "id": f"9{number}", "transactionId": f"ch_{number}"}
    return {
        **base,
        "id": str(number),
        "orderNumber": f"WEB-{number}",
        "customer": {**base["customer"], "id": customer, "email": email},
        "payments": [payment],
        **changes,
    }


def payment_event(record: dict[str, Any]) -> dict[str, Any]:
    """The same payment as in the order, told by an event of its own, without its order's id in the lane's reach."""
    return envelope(
        "payment.captured", {**record["payments"][0], "orderId": record["id"], "updatedAt": "2026-03-02T21:17:00Z"}
    )


@pytest.fixture
def crowd(make_books: Callable[..., Books], store_url: str) -> Books:
    """A slow sandbox, a store of each kind, and more workers than lanes that collide."""
    return make_books(
        books={"store_url": store_url, "runner": RunnerSettings(workers=8), "http_timeout_s": 10.0}, **SLOW
    )


def test_what_may_be_one_record_becomes_one_whatever_lanes_it_comes_in(crowd: Books) -> None:
    shared = [sold(number, customer=f"c{number}", email="Shared@Example.org") for number in range(1, 5)]
    regular = [sold(number, customer=f"r{number % 3}", email=f"r{number % 3}@example.org") for number in range(11, 20)]
    guests = [
        {**order("guest-without-email"), "id": str(n), "orderNumber": f"WEB-{n}", "payments": []}
        for n in range(901, 904)
    ]
    product = json.loads((Path("fixtures/clarity/products.json")).read_text("utf-8"))
    first = product[0] if isinstance(product, list) else next(iter(product.values()))[0]
    products = [{**first, "id": f"p{number}", "sku": "one-sku"} for number in range(4)]
    events = [envelope("order.created", record) for record in [*shared, *regular, *guests]]
    events += [envelope("product.created", record) for record in products]
    events += [payment_event(record) for record in [*shared, *regular]]

    report = crowd.run(*events)

    assert Counter(row["reason_id"] for row in report.status["held"]) == {"sku-of-another-product": 3}
    assert report.left == 0
    emails = Counter(row["email"].casefold() for row in crowd.table("client") if row.get("email"))
    assert set(emails.values()) == {1}
    assert len(crowd.table("client")) == 1 + 3 + 1
    assert [row["sku"].casefold() for row in crowd.table("item")] == ["one-sku"]
    invoices = crowd.table("invoice")
    assert Counter(row["invoice_number"] for row in invoices) == {
        f"WEB-{r['id']}": 1 for r in [*shared, *regular, *guests]
    }
    assert Counter(str(row["invoiceid"]) for row in crowd.table("payment")) == {
        str(row["id"]): 1 for row in invoices if not str(row["invoice_number"]).startswith("WEB-9")
    }
    for customer in range(3):
        made = [row["invoice_number"] for row in invoices if int(row["invoice_number"][4:]) in range(11, 20)]
        of_one = [number for number in made if int(number[4:]) % 3 == customer]
        assert of_one == sorted(of_one)


def test_a_payment_in_a_lane_of_its_own_is_not_posted_beside_the_one_in_its_order(crowd: Books) -> None:
    records = [sold(number, customer=f"c{number}", email=f"c{number}@example.org") for number in range(1, 7)]
    alone = [
        envelope("payment.captured", {**r["payments"][0], "id": f"x{r['id']}", "orderNumber": r["orderNumber"]})
        for r in records
    ]
    unpaid = [envelope("order.created", {**record, "payments": []}) for record in records]
    assert crowd.run(*unpaid).status["held"] == []
    # The order's own copy of the payment has no id, as shops send it.
    again = [{k: v for k, v in r["payments"][0].items() if k != "id"} for r in records]
    changed = [
        envelope("order.updated", {**r, "payments": [p], "updatedAt": "2026-03-09T00:00:00Z"})
        for r, p in zip(records, again, strict=True)
    ]
    report = crowd.run(*[event for pair in zip(alone, changed, strict=True) for event in pair])
    assert report.left == 0
    paid = Counter(str(row["invoiceid"]) for row in crowd.table("payment"))
    assert set(paid.values()) == {1}
    assert len(paid) == 6


CHILD = """
import json, os, signal, sys
from pathlib import Path
from pydantic import SecretStr
from sync import apply
from sync.runner import run
from sync.settings import FreshBooksSettings, RunnerSettings, Settings

given = json.loads(sys.argv[1])
if given["pause"]:
    send = apply.Applier._send
    def paused(self, *arguments):
        os.kill(os.getpid(), signal.SIGSTOP)  # its intent is committed, its lane was proved, nothing has left
        return send(self, *arguments)
    apply.Applier._send = paused
books = FreshBooksSettings(api_url=given["url"], account_id=given["account"], access_token=SecretStr(given["token"]))
settings = Settings(
    store_url=given["store"], freshbooks=books, settle_s=0.2, http_timeout_s=0.5,
    runner=RunnerSettings(workers=given["workers"], lease_s=1),
)
report = run(settings, Path(given["mappings"]), max_wait_s=30)
print(json.dumps({"fates": report.fates, "left": report.left}))
"""


@contextlib.contextmanager
def child(books: Books, *, pause: bool = False, workers: int = 1) -> Iterator[subprocess.Popen[str]]:
    """A runner in a process of its own, on the same store."""
    given = {
        "url": books.sandbox.freshbooks_url,
        "account": books.sandbox.account_id,
        "token": books.sandbox.access_token,
        "store": books.settings.store_url,
        "mappings": str(books.mappings),
        "pause": pause,
        "workers": workers,
    }
    arguments = [sys.executable, "-c", CHILD, json.dumps(given)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def stored(books: Books, *events: dict[str, Any]) -> Store:
    """The books' store with events in it."""
    store = open_store(books.settings.store_url)
    inbox.ingest(store, events, source="test", now=1.0)
    return store


def until_stopped(process: subprocess.Popen[str]) -> None:
    """Return when the process has stopped itself."""
    _, status = os.waitpid(process.pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status)


def test_a_process_paused_before_its_write_does_not_send_it_after_another_has_taken_over(
    make_books: Callable[..., Books], store_url: str
) -> None:
    books = make_books(books={"store_url": store_url, "runner": RunnerSettings(workers=2, lease_s=1)})
    stored(books, envelope("order.created", order())).close()
    with child(books, pause=True) as process:
        until_stopped(process)
        assert books.writes() == []
        report = books.run()
        assert (report.fates["done"], report.left) == (1, 0)
        before = books.writes()
        os.kill(process.pid, signal.SIGCONT)
        out, err = process.communicate(timeout=30)
        assert json.loads(out) == {"fates": {"lost": 1}, "left": 0}, err
    assert books.writes() == before
    assert [len(books.table(name)) for name in ("client", "invoice", "payment")] == [1, 1, 1]


def test_a_process_paused_before_its_write_goes_on_when_nobody_has_taken_over(books: Books) -> None:
    stored(books, envelope("order.created", order())).close()
    with child(books, pause=True) as process:
        for _ in range(4):  # client, invoice, mark as sent, payment
            until_stopped(process)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=0.7)  # more than half the lease of a second
            os.kill(process.pid, signal.SIGCONT)
        out, err = process.communicate(timeout=30)
        assert json.loads(out) == {"fates": {"done": 1}, "left": 0}, err
    assert [len(books.table(name)) for name in ("client", "invoice", "payment")] == [1, 1, 1]


def test_two_processes_share_a_store_and_one_goes_on_alone_when_the_other_is_killed(
    make_books: Callable[..., Books], store_url: str
) -> None:
    books = make_books(books={"store_url": store_url, "runner": RunnerSettings(workers=2, lease_s=1)}, **SLOW)
    records = [sold(number, customer=f"c{number % 7}", email=f"c{number % 5}@example.org") for number in range(10, 24)]
    stored(books, *[envelope("order.created", record) for record in records]).close()
    with child(books, workers=3) as doomed:
        while len(books.writes()) < 8:
            assert doomed.poll() is None, doomed.communicate()
        with child(books, workers=3) as other:
            while len(books.writes()) < 16:
                assert other.poll() is None, other.communicate()
            os.kill(doomed.pid, signal.SIGKILL)
            doomed.wait()
            out, err = other.communicate(timeout=60)
            assert json.loads(out)["left"] == 0, err
    assert books.run().left == 0
    assert Counter(row["invoice_number"] for row in books.table("invoice")) == {f"WEB-{n}": 1 for n in range(10, 24)}
    assert len(books.table("payment")) == 14
    assert Counter(row["email"] for row in books.table("client")) == {f"c{n}@example.org": 1 for n in range(5)}


def intent(store: Store, key: str, **more: Any) -> ledger.Entry:
    given: dict[str, Any] = {"entity": "client", "record_key": f"customer:{key}", "phase": "created", "now": 1.0}
    return ledger.open_intent(store, key, **{**given, **more})


def test_who_looked_before_another_wrote_may_not_write(store: Store) -> None:
    before = ledger.get(store, "clarity:client:1")
    intent(store, "clarity:client:1", seen=before)
    done = ledger.confirm(store, "clarity:client:1", remote_id="7", now=2)
    with pytest.raises(IntentOpenError):
        intent(store, "clarity:client:1", seen=before)
    assert intent(store, "clarity:client:1", seen=done).revision == done.revision + 1


def test_two_keys_with_one_reservation_are_written_one_after_the_other(store: Store) -> None:
    free = ledger.reservation(store, "e-mail", "clarity:client:2")
    intent(store, "clarity:client:1", seen=None, reserved=free)
    with pytest.raises(IntentOpenError, match="written meanwhile"):
        intent(store, "clarity:client:2", seen=None, reserved=free)
    # Whoever looked now could miss a write that arrives, and is confirmed, before the reservation is taken.
    with pytest.raises(IntentOpenError, match="clarity:client:1 is being written"):
        ledger.reservation(store, "e-mail", "clarity:client:2")
    assert ledger.reservation(store, "e-mail", "clarity:client:1") == free.taken("clarity:client:1")
    ledger.set_state(store, "clarity:client:1", "refused", now=2)
    refused = ledger.reservation(store, "e-mail", "clarity:client:2")
    # The refused one is tried again before the other begins.
    intent(store, "clarity:client:1", reserved=free.taken("clarity:client:1"))
    ledger.confirm(store, "clarity:client:1", remote_id="7", now=3)
    with pytest.raises(IntentOpenError, match="written meanwhile"):
        intent(store, "clarity:client:2", seen=None, reserved=refused)
    assert ledger.get(store, "clarity:client:2") is None
    intent(store, "clarity:client:2", seen=None, reserved=ledger.reservation(store, "e-mail", "clarity:client:2"))
    ledger.confirm(store, "clarity:client:2", remote_id="8", now=4)
    assert ledger.reservation(store, "e-mail", "clarity:client:1").key == "clarity:client:2"


def test_a_paused_writer_whose_intent_was_taken_over_may_not_send(store: Store) -> None:
    inbox.ingest(store, [envelope("order.created", order())], source="test", now=1.0)
    event = next_due(store, now=1.0, owner="me")
    assert event is not None
    mine = intent(store, "clarity:client:1", seen=None, event=event)
    ledger.set_state(store, "clarity:client:1", "doubt", seen=mine, now=2.0)
    with pytest.raises(IntentOpenError, match="taken this write over"):
        ledger.renew_intent(store, mine, event, now=3.0)


def test_a_lease_is_renewed_by_time_and_its_loss_is_told(store: Store) -> None:
    inbox.ingest(store, [envelope("order.created", order())], source="test", now=1.0)
    clock = [1.0]
    event = next_due(store, now=1.0, owner="me", lease_s=0.3)
    assert event is not None
    leases = Leases(store, lambda: clock[0], lease_s=0.3)
    try:
        with leases.held(event):
            clock[0] = 1.25
            while event.lease.proved_at == 1.0:
                pass
            assert next_due(store, now=1.4, owner="other") is None
            fresh = False
            while not fresh:  # a busy machine may need another renewal for it
                with contextlib.suppress(StaleLeaseError):
                    leases.check(event)
                    fresh = True
            clock[0] = 9.0
            assert next_due(store, now=9.0, owner="other") is not None
            told: type[Exception] = StaleLeaseError
            while told is StaleLeaseError:  # until the next renewal has failed
                with pytest.raises((StaleLeaseError, LaneLostError)) as refused:
                    leases.check(event)
                told = refused.type
            assert told is LaneLostError
    finally:
        leases.close()


def test_a_snapshot_that_was_done_is_known_again_without_a_request(books: Books) -> None:
    record = order()
    books.run(envelope("order.created", record))
    with books.sandbox.state.lock:
        books.sandbox.state.history.clear()
    report = books.run(envelope("order.updated", record, event_id="again"))
    assert report.fates == {"done": 1}
    with books.sandbox.state.lock:
        assert books.sandbox.state.history == []
    changed = envelope("order.updated", {**record, "total": "12.80", "updatedAt": "2026-03-09T00:00:00Z"})
    assert books.run(changed).fates == {"held": 1}


def test_what_is_polled_again_is_not_even_stored(store: Store) -> None:
    data: dict[str, Any] = {"object": "order", "id": "1", "resource": {"id": "1"}}
    snapshot = {"id": "poll:1", "type": "order.updated", "data": data}
    inbox.ingest(store, [snapshot], source="poll", now=1.0)
    event = next_due(store, now=1.0, owner="me")
    assert event is not None
    known = records.latest(store, "order:1")
    assert known is not None
    settled = Settled(known.sha256, "spec-1")
    inbox.settle(store, event, state="done", fate="done", settled=settled, now=2.0)

    def polled(by: str, **resource: Any) -> inbox.IngestResult:
        changed = {**data, "resource": {"id": "1", **resource}}
        again = {**snapshot, "id": f"poll:{by}:{resource}", "data": changed}
        return inbox.ingest(store, [again], source="poll", now=3.0, settled_by={"order": by})

    assert polled("spec-1") == inbox.IngestResult(duplicate=1)
    assert polled("spec-1", total="2") == inbox.IngestResult(new=1)
    assert polled("spec-2") == inbox.IngestResult(new=1)


def test_a_claim_looks_at_indexes_only(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path / 's.db'}")
    statements = {
        "lane_due": lane_statements.DUE_LANE,
        "inbox_ready": lane_statements.READY,
        "inbox_waiting": lane_statements.WAITING_EVENT,
        "inbox_record": Prepared(at_work_of(["x"])),
    }
    with store.read() as conn:
        for index, prepared in statements.items():
            statement: Any = prepared.of("sqlite")
            filled = statement.params(now=1.0, lane_key="x").compile(
                store.engine, compile_kwargs={"literal_binds": True}
            )
            steps = [row[3] for row in conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {prepared.text(str(filled))}")]
            steps = [step for step in steps if "TEMP B-TREE" not in step]  # sorting the few found costs nothing
            assert len(steps) == 1, steps
            assert steps[0].startswith("SEARCH"), steps
            assert index in steps[0], steps
    store.close()
