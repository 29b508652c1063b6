"""Hand-typed invoices: proposed, accepted, refused; and the first-run cap with several workers."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from datetime import date
from decimal import Decimal
from functools import partial
from typing import Any

import pytest

from connectors.freshbooks import FreshBooks
from connectors.tokens import StaticToken
from sync import adoption, audit, ledger
from sync.adoption import proposals
from sync.backfill import Span, backfill
from sync.backfill_report import BackfillReport
from sync.errors import InputError, IntentOpenError
from sync.first_run import FirstRun, uses
from sync.runner import run as run_once
from sync.settings import AdoptionSettings, CapSettings, Settings
from sync.store import Store, open_store
from tests.flows import Books, envelope, order, reasons


@pytest.fixture
def shop(make_books: Callable[..., Books]) -> Books:
    return make_books(books={"with_clarity": True})


def put(books: Books, **changes: Any) -> dict[str, Any]:
    base = {"id": "71", "orderNumber": "H-71", "orderDate": "2026-03-10T09:00:00Z", "updatedAt": "2026-03-10T10:00:00Z"}
    record = order(**{**base, "customer": {"id": "9", "email": "kim@example.com"}, "payments": [], **changes})
    with books.sandbox.state.lock:
        books.sandbox.state.clarity.put("orders", record, silent=True)
    return record


class Bookkeeper:
    """A person at FreshBooks' own pages."""

    def __init__(self, api: FreshBooks) -> None:
        self.api = api
        self.client = self.api.create("client", {"email": "kim@example.com", "fname": "Kim"})["id"]

    def types(self, total: str = "11.80", day: str = "2026-03-10", **more: Any) -> str:
        line = {"name": "As agreed", "qty": "1", "unit_cost": {"amount": total, "code": "USD"}}
        body = {"customerid": self.client, "create_date": day, "currency_code": "USD", "lines": [line], **more}
        made = self.api.create("invoice", body)
        self.api.mark_invoice_sent(made["id"])
        return str(made["id"])

    def is_paid(self, invoice: str, amount: str) -> None:
        money = {"amount": amount, "code": "USD"}
        self.api.create("payment", {"invoiceid": int(invoice), "amount": money, "date": "2026-03-11", "type": "Cash"})


@pytest.fixture
def keeper(shop: Books) -> Iterator[Bookkeeper]:
    with FreshBooks(
        base_url=shop.sandbox.freshbooks_url,
        account_id=shop.sandbox.account_id,
        tokens=StaticToken(shop.sandbox.access_token),
    ) as api:
        yield Bookkeeper(api)


def go(books: Books, settings: Settings | None = None) -> BackfillReport:
    span = Span(date(2026, 1, 1))
    return backfill(settings or books.settings, books.mappings, span=span, entities=["order"], max_wait_s=20)


def opened(books: Books) -> Store:
    return open_store(books.settings.store_url)


def decide(books: Books, deed: Callable[[Store], Any]) -> Any:
    store = opened(books)
    try:
        return deed(store)
    finally:
        store.close()


def test_a_hand_typed_invoice_is_proposed_and_nothing_is_written(shop: Books, keeper: Bookkeeper) -> None:
    put(shop)
    typed = keeper.types()
    before = len(shop.writes())
    report = go(shop)
    assert (report.exit_code, report.proposed) == (3, 1)
    assert len(shop.writes()) == before
    (proposal,) = decide(shop, proposals)
    assert proposal.record_key == "order:71"
    assert [row["id"] for row in proposal.candidates] == [typed]
    assert go(shop).proposed == 1  # again nothing


def test_accepting_enters_it_into_the_ledger_and_never_changes_it(shop: Books, keeper: Bookkeeper) -> None:
    put(shop)
    typed = keeper.types()
    go(shop)
    before = shop.table("invoice")
    decide(shop, lambda store: adoption.accept(store, "H-71", now=5.0, by="eva"))
    deeds = decide(shop, audit.deeds)
    assert [(deed.who, deed.what, deed.subject, deed.detail) for deed in deeds] == [
        ("eva", "accept-adoption", "order:71", typed)
    ]
    report = go(shop)
    assert (report.exit_code, report.fates) == (0, {"done": 1})
    assert shop.table("invoice") == before
    entry = decide(shop, lambda store: ledger.get(store, "clarity:invoice:71"))
    assert (entry.remote_id, entry.phase, entry.total) == (typed, "sent", Decimal("11.80"))
    edited = put(shop, total="20.00", subtotal="18.20", updatedAt="2026-03-12T10:00:00Z")
    assert edited["id"] == "71"
    assert go(shop).open["held"] == 1  # an edit of an adopted one is a person's business like any other
    assert shop.table("invoice") == before


def test_a_payment_typed_by_hand_is_the_orders_own(shop: Books, keeper: Bookkeeper) -> None:
    paid = {"id": "p9", "amount": "11.80", "currency": "USD", "status": "captured", "method": "cash"}
    put(shop, payments=[{**paid, "paidAt": "2026-03-10T12:00:00Z"}])
    keeper.is_paid(keeper.types(), "11.80")
    go(shop)
    before = len(shop.writes())
    decide(shop, lambda store: adoption.accept(store, "order:71", now=5.0))
    assert go(shop).exit_code == 0
    assert len(shop.writes()) == before
    assert decide(shop, lambda store: ledger.get(store, "clarity:payment:p9")).state == "confirmed"


def test_refusing_posts_the_order(shop: Books, keeper: Bookkeeper) -> None:
    put(shop)
    keeper.types()
    go(shop)
    decide(shop, lambda store: adoption.refuse(store, "order 71", now=5.0))
    assert go(shop).exit_code == 0
    assert sorted(row["invoice_number"] for row in shop.table("invoice"))[-1] == "H-71"
    assert decide(shop, lambda store: [(one.state) for one in proposals(store, None)]) == ["refused"]


@pytest.mark.parametrize(
    ("typed", "proposed"),
    [
        ({"day": "2026-03-13"}, 1),
        ({"day": "2026-03-14"}, 0),
        ({"total": "11.81"}, 0),
        ({"notes": "Order H-70"}, 0),
        ({"notes": "Order H-71"}, 1),
    ],
)
def test_what_fits(shop: Books, keeper: Bookkeeper, typed: dict[str, str], proposed: int) -> None:
    put(shop)
    keeper.types(**typed)
    assert go(shop).proposed == proposed


def test_live_orders_are_not_looked_up_unless_wanted(shop: Books, keeper: Bookkeeper) -> None:
    record = put(shop)
    keeper.types()
    events = shop.file([envelope("order.created", record)])
    settings = shop.settings.model_copy(update={"adoption": AdoptionSettings(check="always")})
    without = settings.clarity.model_copy(update={"api_url": None})
    report = run_once(settings.model_copy(update={"clarity": without}), shop.mappings, events=events)
    assert reasons(report) == {"order:71": "adoption-proposed"}


def test_several_are_listed_and_one_is_named(
    shop: Books, keeper: Bookkeeper, capsys: pytest.CaptureFixture[str]
) -> None:
    put(shop)
    first, second = keeper.types(), keeper.types()
    go(shop)
    with pytest.raises(InputError, match=f"--invoice ID \\({first}, {second}\\)"):
        decide(shop, lambda store: adoption.accept(store, "order:71", now=5.0))
    assert decide(shop, lambda store: adoption.certain(store)) == []
    put(shop, id="72", orderNumber="H-72")
    decide(shop, lambda store: adoption.accept(store, "order:71", invoice=second, now=5.0))
    go(shop)
    (left,) = decide(shop, proposals)
    assert (left.record_key, [row["id"] for row in left.candidates]) == ("order:72", [first])
    with pytest.raises(InputError, match="no adoption is proposed"):
        decide(shop, lambda store: adoption.accept(store, "order:99", now=5.0))


def test_the_command_decides_for_all(
    shop: Books, keeper: Bookkeeper, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from sync.__main__ import main

    put(shop)
    put(shop, id="72", orderNumber="H-72", orderDate="2026-02-01T09:00:00Z")
    keeper.types()
    keeper.types(day="2026-02-01")
    go(shop)
    for name, value in shop.environ().items():
        monkeypatch.setenv(name, value)
    assert main(["adopt", "list"]) == 0
    assert "order:71 (H-71) 2026-03-10 11.80 USD: invoice" in capsys.readouterr().out
    assert main(["adopt", "accept"]) == 2
    assert "name one RECORD, or give --all" in capsys.readouterr().err
    assert main(["adopt", "accept", "--all", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"decided": ["order:71", "order:72"], "left": 0}
    before = len(shop.writes())
    assert go(shop).exit_code == 0
    assert len(shop.writes()) == before


def test_the_cap_holds_exactly_with_several_workers(store_url: str) -> None:
    stores = [open_store(store_url) for _ in range(4)]
    caps = CapSettings(invoices=25, sum={"USD": Decimal("100.00")})
    passed: list[str] = []
    start = threading.Barrier(4)

    def work(number: int) -> None:
        desk = FirstRun(stores[number], caps)
        start.wait()
        for turn in range(15):
            key = f"clarity:invoice:{number * 10 + turn}"  # neighbours have some in common
            place = desk.place("f" * 16, "spec", key, Decimal("3.00"), "EUR")
            full = stores[number].transact(partial(place.take, now=1.0))
            place.taken()
            if full is None:
                passed.append(key)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(passed)) == 25
    (use,) = uses(stores[0])
    assert (use.invoices, use.sums) == (25, {"EUR": Decimal("75.00")})
    for store in stores:
        store.close()


def test_a_spec_that_is_in_the_ledger_has_had_its_first_run(books: Books) -> None:
    go_on = books.settings.model_copy(update={"caps": CapSettings(invoices=0, sum={})})
    bodies = [envelope("order.created", order(id=str(n), orderNumber=f"L-{n}", payments=[])) for n in range(3)]
    run_once(go_on, books.mappings, events=books.file(bodies[:1]))
    capped = books.settings.model_copy(update={"caps": CapSettings(invoices=1, sum={})})
    assert run_once(capped, books.mappings, events=books.file(bodies)).exit_code == 0
    assert len(books.table("invoice")) == 3


def test_what_was_proposed_is_not_doubled_by_the_next_webhook_of_its_order(shop: Books, keeper: Bookkeeper) -> None:
    record = put(shop)
    keeper.types()
    go(shop)
    later = {**record, "updatedAt": "2026-03-12T10:00:00Z"}
    report = run_once(shop.settings, shop.mappings, events=shop.file([envelope("order.updated", later)]), max_wait_s=20)
    assert reasons(report) == {"order:71": "adoption-proposed"}
    assert len(shop.table("invoice")) == 1


def test_who_looked_before_an_invoice_was_adopted_may_not_create_one(shop: Books, keeper: Bookkeeper) -> None:
    put(shop)
    keeper.types()
    go(shop)
    store = opened(shop)
    key = proposals(store)[0].key
    ledger.open_intent(store, key, entity="invoice", record_key="order:71", phase="created", now=1.0)
    seen = ledger.set_state(store, key, "refused", now=2.0)  # as a server's refusal leaves it
    adoption.accept(store, "order:71", now=3.0)
    with pytest.raises(IntentOpenError):
        ledger.open_intent(store, key, entity="invoice", record_key="order:71", phase="created", seen=seen, now=4.0)
    store.close()
