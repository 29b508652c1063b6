"""One script, two drivers: what the official SDK meets at the sandbox, our connector meets too."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from connectors.sandbox.resources import BY_NAME
from connectors.sandbox.server import Sandbox, running_sandbox
from tests.freshbooks_drivers import Driver, Row, SdkDriver, driving

LINES = ("lines",)
DAY = "2026-01-31"


def usd(amount: str) -> Row:
    return {"amount": amount, "code": "USD"}


def mug(amount: str = "10.00", qty: Any = 1, **more: Any) -> Row:
    return {"name": "Mug", "qty": qty, "unit_cost": usd(amount), **more}


@pytest.fixture(scope="module")
def shared() -> Iterator[Sandbox]:
    with running_sandbox() as running:
        yield running


@pytest.fixture
def sandbox(shared: Sandbox) -> Sandbox:
    """Empty books on a server that all tests share."""
    shared.state.reset()
    return shared


@pytest.fixture(params=["sdk", "connector"])
def driver(request: pytest.FixtureRequest, sandbox: Sandbox) -> Iterator[Driver]:
    with driving(request.param, sandbox) as made:
        yield made


def client(driver: Driver, **more: Any) -> int:
    return int(driver.create("client", {"email": "ana@b.example", **more})["id"])


def invoice(driver: Driver, **more: Any) -> Row:
    body = {"customerid": more.pop("customerid", None) or client(driver), "create_date": DAY, "lines": [mug()]}
    return driver.create("invoice", body | more)


def ids(rows: list[Row], key: str = "id") -> list[int]:
    return [row[key] for row in rows]


SIMPLE: list[tuple[str, Row, Row, dict[str, str]]] = [
    ("client", {"email": "a@b.example", "fname": "Ana"}, {"fname": "Bea"}, {"email": "a@b.example"}),
    ("item", {"name": "Mug", "sku": "M1", "unit_cost": usd("9.50")}, {"name": "Cup"}, {"sku": "M1"}),
    ("tax", {"name": "GST", "amount": "5", "number": "RT 1"}, {"name": "HST"}, {"name": "HS"}),
    ("other_income", {"amount": usd("5.00"), "date": DAY}, {"amount": usd("6.00"), "date": DAY, "note": "x"}, {}),
]


@pytest.mark.parametrize(("entity", "body", "change", "filters"), SIMPLE, ids=[row[0] for row in SIMPLE])
def test_create_read_update_search_delete(
    driver: Driver, entity: str, body: Row, change: Row, filters: dict[str, str]
) -> None:
    key = BY_NAME[entity].id_field
    made = driver.create(entity, body)
    assert made.items() >= body.items()
    assert driver.read(entity, made[key]) == made
    changed = driver.update(entity, made[key], change)
    assert changed.items() >= (body | change).items()
    assert ids(driver.search(entity, filters), key) == [made[key]]
    driver.delete(entity, made[key])
    assert driver.search(entity, filters) == []
    if entity == "tax":
        assert driver.refusal(lambda: driver.read(entity, made[key])) == (404, 1012)
    else:
        assert driver.read(entity, made[key])["vis_state"] == 1
        assert ids(driver.search(entity, {**filters, "vis_state": "1"}), key) == [made[key]]


def test_an_invoice_from_draft_to_paid_and_back(driver: Driver) -> None:
    made = invoice(driver, invoice_number="A-1", po_number="1001", due_offset_days=30)
    path = ("invoice", made["id"])
    assert (made["status"], made["v3_status"], made["due_date"]) == (1, "draft", "2026-03-02")
    assert "lines" not in driver.read(*path)
    assert [line["lineid"] for line in driver.read(*path, include=LINES)["lines"]] == [1]
    assert "lines" not in driver.search("invoice", {})[0]
    assert driver.search("invoice", {}, LINES)[0]["lines"][0]["qty"] == "1"
    assert driver.update(*path, {"action_mark_as_sent": True})["status"] == 2
    paid = driver.create("payment", {"invoiceid": made["id"], "amount": usd("4.00"), "date": DAY, "note": "pay_1"})
    assert (paid["type"], paid["overpaymentid"], paid["clientid"]) == ("Other", None, made["customerid"])
    assert driver.read(*path)["v3_status"] == "partial"
    rest = driver.create("payment", {"invoiceid": made["id"], "amount": usd("6.00"), "date": "2026-02-02"})
    now = driver.read(*path)
    assert (now["status"], now["v3_status"], now["date_paid"]) == (4, "paid", "2026-02-02")
    assert (now["paid"], now["outstanding"]) == (usd("10.00"), usd("0.00"))
    assert Decimal(now["net_paid_amount"]["amount"]) == 10
    assert ids(driver.search("payment", {"notes": "pay_"})) == [paid["id"]]
    assert ids(driver.search("payment", {"invoiceid": str(made["id"])})) == [paid["id"], rest["id"]]
    assert driver.update("payment", rest["id"], {"note": "later"})["note"] == "later"
    driver.delete("payment", rest["id"])
    assert (driver.read(*path)["status"], driver.read(*path)["v3_status"]) == (2, "partial")


def test_invoices_keep_their_number_beyond_deletion(driver: Driver) -> None:
    made = invoice(driver, invoice_number="A-1")
    driver.delete("invoice", made["id"])
    assert driver.read("invoice", made["id"])["vis_state"] == 1
    again = {"customerid": made["customerid"], "create_date": DAY, "invoice_number": "A-1"}
    assert driver.refusal(lambda: driver.create("invoice", again)) == (422, 1029)
    assert driver.update("invoice", made["id"], {"vis_state": 0})["vis_state"] == 0
    assert ids(driver.search("invoice", {"invoice_number": "A-1"})) == [made["id"]]


def test_put_replaces_lines_whole_and_merges_the_rest(driver: Driver) -> None:
    made = invoice(driver, lines=[mug("10.00"), mug("5.00")], notes="keep")
    changed = driver.update("invoice", made["id"], {"lines": [mug("6.00", lineid=2)]})
    assert ([line["lineid"] for line in changed["lines"]], changed["amount"]) == ([2], usd("6.00"))
    assert changed["notes"] == "keep"


def test_a_put_runs_its_first_phase_alone(sandbox: Sandbox) -> None:
    # our connector refuses to send what FreshBooks would drop, so that only the SDK can show it
    with driving("sdk", sandbox) as driver:
        made = invoice(driver, notes="old")
        mixed = driver.update("invoice", made["id"], {"vis_state": 2, "action_mark_as_sent": True, "notes": "new"})
        assert (mixed["vis_state"], mixed["status"], mixed["notes"]) == (2, 1, "old")
        acted = driver.update("invoice", made["id"], {"action_mark_as_sent": True, "notes": "new"})
        assert (acted["status"], acted["notes"]) == (2, "old")
        with driving("connector", sandbox) as ours, pytest.raises(ValueError, match="request each"):
            ours.update("invoice", made["id"], {"action_mark_as_sent": True, "notes": "new"})


def test_refusals_have_their_numbers(driver: Driver) -> None:
    made = invoice(driver)
    path = ("invoice", made["id"])
    for body, expected in (
        ({"due_date": DAY}, (403, 1038)),
        ({"status": 4}, (422, 1004)),
        ({"status": "sent"}, (422, 1015)),
        ({"create_date": "soon"}, (422, 1033)),
    ):
        assert driver.refusal(lambda body=body: driver.update(*path, body)) == expected
    assert driver.refusal(lambda: driver.read("client", 1)) == (404, 1012)
    assert driver.refusal(lambda: driver.create("invoice", {"create_date": DAY})) == (422, 1001)
    assert driver.update(*path, {"status": 2})["v3_status"] == "overdue"


def test_totals_discount_and_taxes_come_back_as_text(driver: Driver) -> None:
    lines = [mug("5.00", 4, taxName1="HST", taxAmount1=13), mug("4.00", "6")]
    made = invoice(driver, lines=lines, discount_value=10)
    assert (made["amount"], made["discount_total"]) == (usd("41.94"), usd("-4.40"))
    assert (made["discount_value"], made["lines"][0]["taxAmount1"], made["lines"][0]["qty"]) == ("10", "13", "4")


def test_a_surplus_becomes_a_credit_note(driver: Driver) -> None:
    made = invoice(driver)
    body = {"invoiceid": made["id"], "amount": usd("10.00"), "date": DAY}
    driver.create("payment", body)
    double = driver.create("payment", body)
    credit = driver.read("credit_note", double["overpaymentid"])
    assert (credit["credit_type"], credit["amount"]) == ("overpayment", usd("10.00"))
    balances = driver.read("client", made["customerid"], ("credit_balance",))["credit_balance"]
    assert balances == [{"amount": usd("10.00")}]


def test_credit_notes(driver: Driver) -> None:
    customer = client(driver)
    made = driver.create("credit_note", {"clientid": customer, "create_date": DAY, "lines": [mug("3.00", 2)]})
    assert (made["amount"], made["credit_type"], len(made["lines"])) == (usd("6.00"), "goodwill", 1)
    assert "lines" not in driver.read("credit_note", made["id"])
    assert driver.update("credit_note", made["id"], {"notes": "sorry"})["notes"] == "sorry"
    assert ids(driver.search("credit_note", {"clientid": str(customer), "date_min": DAY})) == [made["id"]]
    assert driver.search("credit_note", {"date_max": DAY}) == []
    driver.delete("credit_note", made["id"])
    assert driver.search("credit_note", {"clientid": str(customer)}) == []


def test_an_update_of_other_income_repeats_amount_and_date(driver: Driver) -> None:
    made = driver.create("other_income", {"amount": usd("5.00"), "date": DAY, "category_name": "online_sales"})
    assert driver.refusal(lambda: driver.update("other_income", made["incomeid"], {"note": "x"})) == (422, 1001)


def test_unknown_filters_are_ignored(driver: Driver) -> None:
    first, second = client(driver, email="1@b.example"), client(driver, email="2@b.example")
    assert ids(driver.search("client", {"external_id": "7", "fname": "nobody"})) == [first, second]
    invoice(driver, customerid=first)
    assert len(driver.search("invoice", {"status": "4", "po_number": "none"})) == 1
    driver.create("item", {"name": "Mug"})
    assert len(driver.search("item", {"name": "Cup"})) == 1


def test_every_page_is_read(sandbox: Sandbox, driver: Driver) -> None:
    with sandbox.state.lock:
        for number in range(205):
            sandbox.state.freshbooks.create(BY_NAME["client"], {"email": f"{number}@b.example"})
    found = driver.search("client", {})
    assert len(set(ids(found))) == len(found) == 205


def test_duplicates_that_freshbooks_accepts(driver: Driver) -> None:
    first, second = client(driver), client(driver)
    assert ids(driver.search("client", {"email": "ana@b.example"})) == [first, second]
    driver.delete("client", first)
    assert ids(driver.search("client", {"email": "ana@b.example", "vis_state": "1"})) == [first]


def test_a_plus_in_an_address_survives_our_encoding_alone(sandbox: Sandbox, driver: Driver) -> None:
    made = client(driver, email="a+b@c.example")
    found = ids(driver.search("client", {"email": "a+b@c.example"}))
    # the SDK leaves a plus as it is, and a server reads it as a space
    assert found == ([] if isinstance(driver, SdkDriver) else [made])
