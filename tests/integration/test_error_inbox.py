"""What is set aside: by cause with its mend, a record's whole story, and what a person decides about it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from mapspec import fingerprint, load_spec
from sync import audit, inbox, ledger, skips
from sync.__main__ import main
from sync.aliases import list_aliases, method_tables, set_alias, with_methods
from sync.errors import InputError
from sync.masked import COVERED
from sync.runner import RunReport, run
from sync.settings import Settings
from sync.status import grouped_errors, status
from sync.store import Store
from sync.story import story
from tests.flows import MAPPINGS, Books, envelope, order, reasons

NOW = 1_750_000_000.0
ON_SQLITE = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
"""For what does not depend on the store."""


@pytest.fixture
def settings(books: Books, store_url: str) -> Settings:
    return books.settings.model_copy(update={"store_url": store_url})


Work = Callable[..., RunReport]


@pytest.fixture
def work(books: Books, settings: Settings) -> Work:
    def work(*envelopes: dict[str, Any]) -> RunReport:
        return run(settings, MAPPINGS, events=books.file(envelopes) if envelopes else None, max_wait_s=60)

    return work


def wrong(number: int, **changes: Any) -> dict[str, Any]:
    """An order whose total does not add up, so that it is held."""
    customer = {"id": f"77{number}", "email": f"c{number}@example.com", "firstName": "Ann", "lastName": "Doe"}
    record = order(id=str(number), orderNumber=f"WEB-{number}", total="999.99", payments=[], customer=customer)
    return envelope("order.created", {**record, **changes})


@ON_SQLITE
def test_errors_are_grouped_by_cause_with_count_age_and_mend(work: Work, store: Store) -> None:
    report = work(wrong(1), wrong(2), wrong(3, orderNumber=None))
    groups = grouped_errors(status(store))
    assert [(group["reason_id"], group["count"]) for group in groups] == [
        ("totals-do-not-add-up", 2),
        ("missing-order-number", 1),
    ]
    assert groups[0]["oldest"] == min(line["since"] for line in groups[0]["records"])
    assert groups[0]["mend"].startswith("Correct the record in Clarity")
    assert report.exit_code == 3


def test_a_cause_or_everything_is_tried_again(work: Work, store: Store) -> None:
    work(wrong(1), wrong(2), wrong(3, orderNumber=None))
    assert skips.replay(store, None, reason="missing-order-number", who="ana", now=NOW) == ["order:3"]
    assert skips.replay(store, None, reason="total", who="ana", now=NOW) == []  # the whole id, no beginning
    assert skips.replay(store, None, who="ana", now=NOW) == ["order:1", "order:2"]
    assert [(deed.what, deed.subject, deed.detail) for deed in audit.deeds(store)] == [
        ("replay", "everything held or dead", "2 records"),
        ("replay", "missing-order-number", "1 records"),
    ]
    assert work().fates == {"held": 3}


@ON_SQLITE
def test_a_story_tells_all_from_delivery_to_ledger(work: Work, store: Store, books: Books) -> None:
    record = order("plain-card")
    work(envelope("order.created", record))
    told = story(store, record["orderNumber"])
    assert told["record"] == f"order:{record['id']}"
    assert [(row["from"], row["event"], row["state"]) for row in told["deliveries"]] == [
        ("file", "order.created", "done")
    ]
    assert told["snapshot"]["version"].startswith(record["updatedAt"][:10])
    assert told["plan"]["decision"] == "go"
    assert [action["do"] for action in told["plan"]["actions"]][-1] == "create_once"
    fingerprints = {fingerprint(load_spec((MAPPINGS / "order-to-invoice.yaml").read_text("utf-8")))}
    assert {row["spec"] for row in told["ledger"]} == fingerprints == {told["plan"]["spec"]}
    invoice = books.table("invoice")[0]
    entry = next(row for row in told["ledger"] if row["key"] == f"clarity:invoice:{record['id']}")
    assert (entry["remote_id"], entry["total"], entry["phase"]) == (str(invoice["id"]), "11.80", "sent")
    assert {row["outcome"] for row in told["attempts"]} == {"done"}
    assert record["customer"]["email"] not in json.dumps(told)


@ON_SQLITE
def test_payloads_are_covered_unless_somebody_reveals_them_and_that_is_kept(
    work: Work, books: Books, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], store_url: str
) -> None:
    monkeypatch.setenv("MAPPER_STORE_URL", store_url)
    work(wrong(1))

    def told(*words: str) -> str:
        assert main([*words]) == 0
        return capsys.readouterr().out

    plain, covered = told("errors", "order:1"), told("story", "WEB-1", "--show-payload")
    assert "totals-do-not-add-up" in plain and "c1@example.com" not in plain
    assert (
        COVERED
        in json.loads(told("story", "WEB-1", "--show-payload", "--json"))["snapshot"]["payload"]["customer"]["email"]
    )
    assert "c1@example.com" not in covered and "Ann" not in covered
    assert "c1@example.com" in told("errors", "order:1", "--reveal")
    deeds = json.loads(told("audit", "--json"))
    assert [(deed["what"], deed["subject"]) for deed in deeds] == [("reveal", "order:1")]
    assert deeds[0]["who"] == audit.os_user()
    assert told("errors", "totals-do-not-add-up").startswith("totals-do-not-add-up (held, 1)")
    assert main(["errors", "order:404"]) == 3
    assert "no record 'order:404'" in capsys.readouterr().err


def test_a_skipped_record_stays_so_until_it_is_replayed(work: Work, store: Store, books: Books) -> None:
    work(wrong(1))
    with pytest.raises(InputError, match="needs a reason"):
        skips.skip(store, "WEB-1", reason=" ", who="ana", now=NOW)
    assert skips.skip(store, "WEB-1", reason="booked by hand", who="ana", now=NOW) == ("order:1", True)
    assert grouped_errors(status(store)) == []
    right = order(id="1", orderNumber="WEB-1", updatedAt="2030-01-01T00:00:00Z")
    paid = {**right["payments"][0], "orderId": "1"}
    report = work(envelope("order.updated", right), envelope("payment.captured", paid))
    assert books.table("invoice") == [] and books.table("payment") == []
    assert reasons(report)["order:1"] == "skipped-by-person"
    assert reasons(report)[f"payment:{paid['id']}"] == "order-not-posted"
    skips.replay(store, "order:1", who="ana", now=NOW)
    report = work()
    assert reasons(report) == {}
    assert len(books.table("invoice")) == 1
    assert [(deed.what, deed.subject) for deed in audit.deeds(store)] == [("replay", "order:1"), ("skip", "order:1")]


@ON_SQLITE
def test_a_change_of_a_posted_order_is_passed_over_once(work: Work, store: Store, books: Books) -> None:
    work(envelope("order.created", order(id="1", orderNumber="WEB-1")))
    with pytest.raises(InputError, match="nothing of it is open"):
        skips.skip(store, "order:1", reason="no", who="ana", now=NOW)
    changed = order(id="1", orderNumber="WEB-1", updatedAt="2030-01-01T00:00:00Z", poNumber="PO-9")
    assert reasons(work(envelope("order.updated", changed))) == {"order:1": "edited-after-invoice"}
    assert skips.skip(store, "order:1", reason="corrected by hand", who="ana", now=NOW) == ("order:1", False)
    assert grouped_errors(status(store)) == []
    later = {**changed, "updatedAt": "2031-01-01T00:00:00Z", "poNumber": "PO-10"}
    assert reasons(work(envelope("order.updated", later))) == {"order:1": "edited-after-invoice"}


@ON_SQLITE
def test_a_skipped_payment_is_not_posted_with_its_order(work: Work, store: Store, books: Books) -> None:
    record = order("plain-card")
    payment = {**record["payments"][0], "id": "p9"}
    work(envelope("payment.captured", {**payment, "orderId": record["id"]}))
    skips.skip(store, "payment:p9", reason="entered by hand", who="ana", now=NOW)
    assert work(envelope("order.created", {**record, "payments": [payment]})).exit_code == 0
    assert len(books.table("invoice")) == 1 and books.table("payment") == []


def test_nothing_is_decided_over_a_workers_head(store: Store) -> None:
    inbox.ingest(store, [wrong(1)], source="file", now=NOW)
    event = inbox.next_due(store, now=NOW, owner="w")
    assert event is not None
    with pytest.raises(InputError, match="being worked on"):
        skips.skip(store, "order:1", reason="no", who="ana", now=NOW)
    inbox.release(store, event)
    ledger.open_intent(store, "clarity:invoice:1", entity="invoice", record_key="order:1", phase="created", now=NOW)
    with pytest.raises(InputError, match="no clear answer yet"):
        skips.skip(store, "order:1", reason="no", who="ana", now=NOW)


@ON_SQLITE
def test_an_alias_of_a_sku_finds_the_item_and_the_document_keeps_its_own_name(
    work: Work, store: Store, books: Books
) -> None:
    record = order("plain-card", id="1", orderNumber="WEB-1")
    sku = record["lineItems"][0]["sku"]
    make_item(books, "BOOK-1")
    assert [row["sku"] for row in work(envelope("order.created", record)).status["unknown_skus"]] == [
        line["sku"] for line in record["lineItems"]
    ]
    set_alias(store, "sku", sku.lower(), "BOOK-1", who="ana", now=NOW)
    again = {**record, "id": "2", "orderNumber": "WEB-2", "payments": []}
    report = work(envelope("order.created", again))
    unknown = {row["sku"]: row["records"] for row in report.status["unknown_skus"]}
    assert "order 2 (WEB-2)" not in unknown.get(sku, [])
    lines = [line for row in books.table("invoice") for line in row["lines"]]
    assert all("BOOK-1" not in json.dumps(line, default=str) for line in lines)


def make_item(books: Books, sku: str) -> None:
    import httpx2

    box = books.sandbox
    url = f"{box.freshbooks_url}/accounting/account/{box.account_id}/items/items"
    body = {"item": {"name": "Book", "sku": sku, "unit_cost": {"amount": "1.00", "code": "USD"}}}
    answer = httpx2.post(url, json=body, headers={"Authorization": f"Bearer {box.access_token}"})
    assert answer.status_code == 200


@ON_SQLITE
def test_an_alias_of_a_method_gives_the_payment_its_type_outside_the_fingerprint(
    work: Work, store: Store, books: Books
) -> None:
    record = order("plain-card", id="1", orderNumber="WEB-1")
    record["payments"][0] |= {"id": "p1", "method": "ApplePay"}
    work(envelope("order.created", record))
    assert [row["type"] for row in books.table("payment")] == ["Other"]
    with pytest.raises(InputError, match=r"no approved mapping knows the payment method 'bitcoin'; known: .*paypal"):
        set_alias(store, "method", "applepay", "bitcoin", who="ana", now=NOW)
    set_alias(store, "method", "applepay", "PayPal", who="ana", now=NOW)
    second = order("plain-card", id="2", orderNumber="WEB-2")
    second["payments"][0] |= {"id": "p2", "method": "ApplePay"}
    work(envelope("order.created", second))
    assert sorted(row["type"] for row in books.table("payment")) == ["Other", "PayPal"]
    prints = {entry.spec_fingerprint for entry in ledger.list_by_state(store, "confirmed")}
    assert prints == {fingerprint(load_spec((MAPPINGS / "order-to-invoice.yaml").read_text("utf-8")))}


def test_aliases_change_nothing_that_a_mapping_says_itself() -> None:
    spec = load_spec((MAPPINGS / "order-to-invoice.yaml").read_text("utf-8"))
    assert method_tables(spec) == ["card_types", "payment_types"]  # no terms, no taxes
    assert with_methods(spec, {"paypal": "cash"}) is spec
    changed = with_methods(spec, {"klarna": "cash"})
    assert changed.tables["payment_types"].rows["klarna"] == "Cash"
    assert changed.tables["payment_terms"] == spec.tables["payment_terms"]


@pytest.mark.parametrize(
    ("kind", "name", "target", "says"),
    [
        ("tax", "a", "b", "money, tax and keys have no aliases"),
        ("sku", " ", "b", "needs a name"),
        ("sku", "A-1", "a-1 ", "needs a name"),
        ("sku", "x", "OLD", "is an alias itself"),
    ],
)
def test_aliases_that_mean_nothing_are_refused(store: Store, kind: str, name: str, target: str, says: str) -> None:
    set_alias(store, "sku", "old", "new", who="ana", now=NOW)
    with pytest.raises(InputError, match=says):
        set_alias(store, kind, name, target, who="ana", now=NOW)
    assert [(alias.name, alias.target) for alias in list_aliases(store)] == [("old", "new")]


@ON_SQLITE
def test_setting_an_alias_tries_again_what_waited_for_the_name(
    books: Books,
    make_strict: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    store_url: str,
) -> None:
    monkeypatch.setenv("MAPPER_STORE_URL", store_url)
    make_strict()
    record = order("plain-card", id="1", orderNumber="WEB-1")
    record["payments"][0] |= {"id": "p1", "method": "ApplePay"}
    settings = books.settings.model_copy(update={"store_url": store_url})
    report = run(settings, books.mappings, events=books.file([envelope("order.created", record)]), max_wait_s=60)
    assert reasons(report) == {"order:1": "not-in-table"}
    assert main(["alias", "set", "method", "applepay", "paypal"]) == 0
    assert "1 held records are tried again" in capsys.readouterr().out
    assert run(settings, books.mappings, max_wait_s=60).exit_code == 0
    assert [row["type"] for row in books.table("payment")] == ["PayPal"]
    assert main(["alias", "list", "--json"]) == 0
    assert [row["target"] for row in json.loads(capsys.readouterr().out)] == ["paypal"]
    assert main(["alias", "remove", "method", "APPLEPAY"]) == 0
    assert main(["alias", "remove", "method", "applepay"]) == 3


@pytest.fixture
def make_strict(books: Books) -> Callable[[], None]:
    """Mappings whose payment methods hold what they do not know."""
    from mapspec import approve, dump_spec

    def make() -> None:
        folder = books.folder / "strict"
        folder.mkdir()
        spec = load_spec((MAPPINGS / "order-to-invoice.yaml").read_text("utf-8"))
        table = spec.tables["payment_types"].model_copy(update={"missing": "hold", "default": None})
        spec = spec.model_copy(update={"tables": {**spec.tables, "payment_types": table}})
        approved = approve(spec, None, by="ana", at="2026-03-01T09:00:00Z")
        (folder / "order-to-invoice.yaml").write_text(dump_spec(approved), "utf-8")
        books.mappings = folder

    return make
