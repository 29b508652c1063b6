"""Payloads go after their time, a customer on request: no column and no file holds the values, the books stay."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from sync import audit, inbox, ledger, records, skips
from sync.__main__ import main
from sync.envelope import dumps
from sync.errors import InputError
from sync.forget import forget
from sync.reading import shipped
from sync.retention import DAY_S, Erased, erase_old
from sync.runner import run
from sync.settings import Settings
from sync.status import status
from sync.store import Store, metadata
from sync.store import adoption as adoption_table
from sync.store import reservation as reservation_table
from tests.flows import MAPPINGS, Books, envelope, order, reasons

NOW = 1_750_000_000.0


@pytest.fixture
def settings(books: Books, store_url: str) -> Settings:
    return books.settings.model_copy(update={"store_url": store_url})


def of_customer(name: str, number: int, **changes: Any) -> dict[str, Any]:
    """An order of which every personal value starts with the customer's name."""
    customer = {
        "id": f"c-{name}",
        "email": f"{name}@mail.example",
        "firstName": f"{name}first",
        "lastName": f"{name}last",
        "phone": f"{name}phone",
    }
    address = {"line1": f"{name}street", "city": f"{name}city", "postalCode": "78701", "country": "US", "state": "TX"}
    record = order("plain-card", id=str(number), orderNumber=f"WEB-{number}", customer=customer)
    record |= {"billingAddress": address, "shippingAddress": address, "notes": f"{name}note"}
    record["payments"][0]["id"] = f"p{number}"
    return {**record, **changes}


def without_customer_id(name: str, number: int) -> dict[str, Any]:
    record = of_customer(name, number)
    del record["customer"]["id"]
    return record


def everything(store: Store) -> str:
    """All text of all tables."""
    with store.read() as conn:
        rows = [tuple(row) for table in metadata.sorted_tables for row in conn.execute(sa.select(table))]
    return "\n".join(str(row) for row in rows).casefold()


def on_disk(folder: Path) -> str:
    return "".join(file.read_bytes().decode("latin-1") for file in folder.glob("store.db*")).casefold()


def work(books: Books, settings: Settings, *records_of: dict[str, Any]) -> Any:
    events = books.file([envelope("order.created", record) for record in records_of]) if records_of else None
    return run(settings, MAPPINGS, events=events, max_wait_s=60)


def test_what_is_settled_is_erased_after_its_time_and_what_is_open_stays(
    books: Books, settings: Settings, store: Store
) -> None:
    report = work(books, settings, of_customer("anna", 1), of_customer("berta", 2, total="999.99"))
    assert reasons(report) == {"order:2": "totals-do-not-add-up"}
    later = 2e9
    assert erase_old(store, before=NOW, fetchable=False) == Erased()  # all of it is younger
    erased = erase_old(store, before=later, fetchable=False)
    assert (erased.deliveries, erased.snapshots) == (1, 1) and erased.attempts >= 3
    text = everything(store)
    assert "annafirst" not in text and "annastreet" not in text
    assert "bertafirst" in text  # held: a person needs it
    entry = ledger.get(store, "clarity:invoice:1")
    assert entry is not None and entry.remote_id and str(entry.total) == "11.80"
    assert {attempt.outcome for attempt in ledger.attempts(store, entry.key)} == {"done"}
    assert erase_old(store, before=later, fetchable=False) == Erased()  # nothing is left to do


def test_an_erased_record_is_no_longer_known_and_never_posted_twice(
    books: Books, settings: Settings, store: Store
) -> None:
    work(books, settings, of_customer("anna", 1))
    writes = len(books.writes())
    erase_old(store, before=2e9, fetchable=False)
    skips.replay(store, "order:1", who="ana", now=NOW)
    report = work(books, settings)
    assert reasons(report) == {"order:1": "no-snapshot"}  # there is no Clarity here to ask
    assert work(books, settings, of_customer("anna", 1, updatedAt="2031-01-01T00:00:00Z")).exit_code == 0
    assert len(books.writes()) == writes


def test_a_customer_is_kept_while_orders_may_only_name_him(store: Store) -> None:
    person = {"id": "7", "email": "anna@mail.example", "updatedAt": "2025-01-01T00:00:00Z"}
    inbox.ingest(store, [envelope("customer.updated", person)], source="file", now=NOW)
    event = inbox.next_due(store, now=NOW, owner="w")
    assert event is not None
    inbox.settle(store, event, state="done", fate="done", now=NOW)
    assert erase_old(store, before=NOW + DAY_S, fetchable=False).snapshots == 0
    assert erase_old(store, before=NOW + DAY_S, fetchable=True).snapshots == 1
    known = records.latest(store, "customer:7")
    assert known is not None and known.payload == {} and known.version is not None


@pytest.mark.parametrize("who", ["c-anna", "ANNA@mail.example"])
def test_a_forgotten_customer_is_in_no_column_and_in_no_file(
    books: Books, settings: Settings, store: Store, tmp_path: Path, who: str
) -> None:
    payment = {**of_customer("anna", 1)["payments"][0], "orderId": "1", "payer": "annapayer"}
    work(books, settings, of_customer("anna", 1), of_customer("berta", 2), of_customer("anna", 3, total="999.99"))
    inbox.ingest(store, [envelope("payment.captured", payment)], source="file", now=NOW)
    with pytest.raises(InputError, match=r"still being worked on \(payment:p1\)"):
        forget(store, who, reading=shipped(), who="ana", now=NOW)
    work(books, settings)
    skips.replay(store, "order:3", who="annaclerk", now=NOW)  # a held record has its own deeds
    work(books, settings)
    before = {entry.key: (entry.remote_id, entry.total) for entry in ledger.list_by_state(store, "confirmed")}

    shown = forget(store, who, reading=shipped(), who="ana", now=NOW, dry_run=True)
    assert shown.records == ["order:1", "order:3", "payment:p1"] and "annafirst" in everything(store)
    found = forget(store, who, reading=shipped(), who="ana", now=NOW)
    assert (found.records, found.counts) == (shown.records, shown.counts)
    assert found.clean

    text = everything(store).replace("c-anna", "").replace("annaclerk", "")  # ids stay
    assert "anna" not in text
    assert "bertafirst" in text
    if store.is_sqlite:
        raw = on_disk(tmp_path).replace("c-anna", "").replace("annaclerk", "")
        assert "bertafirst" in raw and "anna" not in raw
    after = {entry.key: (entry.remote_id, entry.total) for entry in ledger.list_by_state(store, "confirmed")}
    assert after == before
    assert [(deed.what, deed.detail) for deed in audit.deeds(store, limit=1)] == [("forget", "3 records")]
    assert "order:3" not in {
        line["entity"] + ":" + line["id"] for line in status(store)["held"] if line["kind"] == "held"
    }


def test_an_e_mail_in_a_natural_key_gives_way_and_the_client_is_found_again(
    books: Books, settings: Settings, store: Store
) -> None:
    work(books, settings, without_customer_id("anna", 1))
    assert ledger.get(store, "clarity:client:anna@mail.example") is not None
    found = forget(store, "anna@mail.example", reading=shipped(), who="ana", now=NOW)
    assert found.records == ["order:1"]
    assert "anna" not in everything(store)
    clients = [entry for entry in ledger.list_by_state(store, "confirmed") if entry.entity == "client"]
    assert [entry.key.startswith("clarity:client:forgotten-") for entry in clients] == [True]
    assert work(books, settings, without_customer_id("anna", 2)).exit_code == 0
    assert len(books.table("client")) == 1  # adopted by e-mail, not doubled


def test_others_of_a_shared_mailbox_are_left_alone(store: Store) -> None:
    for name, mail in (
        ("anna", "office@mail.example"),
        ("berta", "office@mail.example"),
        ("cora", "cora@mail.example"),
    ):
        record = of_customer(name, ord(name[0]))
        record["customer"]["email"] = mail
        inbox.ingest(store, [envelope("order.created", record)], source="file", now=NOW)
    while (event := inbox.next_due(store, now=NOW, owner="w")) is not None:
        inbox.settle(store, event, state="done", fate="done", now=NOW)
    found = forget(store, "cora@mail.example", reading=shipped(), who="ana", now=NOW)
    assert found.records == [f"order:{ord('c')}"]
    # The other way an e-mail names everybody who uses it.
    assert len(forget(store, "office@mail.example", reading=shipped(), who="ana", now=NOW).records) == 2


def test_nobody_is_one_clear_line(store: Store) -> None:
    for name in ("nobody@mail.example", "404"):
        with pytest.raises(InputError, match="no record of this customer"):
            forget(store, name, reading=shipped(), who="ana", now=NOW)
    with pytest.raises(InputError, match="give the customer's id"):
        forget(store, " ", reading=shipped(), who="ana", now=NOW)


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
def test_the_command_says_when_somebody_keeps_old_pages_alive(
    books: Books,
    settings: Settings,
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    work(books, settings, of_customer("anna", 1))
    monkeypatch.setenv("MAPPER_STORE_URL", settings.store_url)
    monkeypatch.setattr("sync.store.BUSY_TIMEOUT_S", 0.1)
    reading, release = threading.Event(), threading.Event()

    def read() -> None:
        with store.read() as conn:
            conn.execute(sa.select(sa.func.count()).select_from(metadata.tables["inbox"]))
            reading.set()
            release.wait(30)

    thread = threading.Thread(target=read)
    thread.start()
    try:
        assert reading.wait(10)
        assert main(["forget", "c-anna"]) == 1
    finally:
        release.set()
        thread.join()
    out = capsys.readouterr().out
    assert "Another process is reading the store" in out and "annafirst" not in out
    assert main(["forget", "c-anna", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["clean"] is True
    assert "annafirst" not in on_disk(tmp_path)


def test_no_reservation_and_no_proposal_keeps_what_was_forgotten(
    books: Books, settings: Settings, store: Store
) -> None:
    work(books, settings, without_customer_id("canary", 1))
    with store.write() as conn:
        wanted = dumps({"number": "WEB-1", "fields": {"notes": "0123456789abcdef"}})
        row = {"key": "clarity:invoice:1", "record_key": "order:1", "candidates": "[]", "wanted": wanted, "at": NOW}
        conn.execute(sa.insert(adoption_table).values(state="refused", **row))
        before = conn.scalar(sa.select(sa.func.count()).select_from(reservation_table))
    assert "canary@mail.example" in everything(store) and before
    forget(store, "canary@mail.example", reading=shipped(), who="ana", now=NOW)
    assert "canary" not in everything(store)
    with store.read() as conn:
        assert not conn.execute(sa.select(reservation_table).where(reservation_table.c.key.contains("client"))).all()
        assert "0123456789abcdef" not in conn.scalar(sa.select(adoption_table.c.wanted))
