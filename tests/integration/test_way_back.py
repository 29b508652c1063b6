"""The way back: what a person changes in FreshBooks is told to Clarity, once, by safe routes, and nothing else is."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from connectors.sandbox.faults import ScriptedFault
from mapspec import approve, dump_spec, load_spec
from mapspec.errors import SpecError
from sync import inbox, ledger, proposals
from sync.back.doctor import way_back
from sync.errors import SettingsError
from sync.forget import forget
from sync.store import open_store
from tests.back import BACK, BothWays
from tests.flows import Books, order, reasons

Make = Callable[..., BothWays]


@pytest.fixture
def make(make_books: Callable[..., Books], tmp_path: Path) -> Make:
    """Both systems with one order and its customer, posted; `payments` of the order, switches of the sandbox."""

    def made(*, record: dict[str, Any] | None = None, both: dict[str, Any] | None = None, **switches: Any) -> BothWays:
        books = make_books(**switches)
        found = BothWays(books.sandbox, tmp_path, **(both or {}))
        record = record or order(payments=[], paymentStatus="unpaid")
        found.shop("orders", record)
        if "id" in record.get("customer", {}):
            found.shop("customers", {**record["customer"], "updatedAt": record["updatedAt"]})
        report = found.sync()
        assert report.problems == []
        return found

    return made


def pay(both: BothWays, amount: str, **changes: Any) -> int:
    """A person books a payment on the only invoice; its id."""
    invoice = both.table("invoice")[0]
    body = {"invoiceid": invoice["id"], "date": "2026-03-09", "type": "Cash", **changes}
    with both.person() as books:
        money = {"amount": amount, "code": invoice["currency_code"]}
        return int(books.create("payment", {**body, "amount": money})["id"])


def client(both: BothWays, **changes: Any) -> None:
    """A person changes the only client."""
    with both.person() as books:
        books.update("client", both.table("client")[0]["id"], changes)


def bodies(both: BothWays) -> list[Any]:
    return [entry["body"] for entry in both.told()]


def with_policies(folder: Path, **policies: str) -> Path:
    """The shipped mappings with other conflict policies, approved."""
    folder.mkdir()
    for path in BACK.glob("*.yaml"):
        spec = load_spec(path.read_text("utf-8"))
        fields = {
            part: rule.model_copy(update={"conflict": policies.get(part.partition(".")[2], rule.conflict)})  # type: ignore[union-attr]  # rules only
            for part, rule in spec.fields.items()
        }
        spec = approve(spec.model_copy(update={"fields": fields}), None, by="test", at="2026-03-01T00:00:00Z")
        (folder / path.name).write_text(dump_spec(spec), encoding="utf-8")
    return folder


# --- the switch and what is safe -------------------------------------------------------------------------------------


def test_it_is_off_unless_it_is_switched_on(make: Make) -> None:
    both = make(both={"on": False})
    pay(both, "11.80")
    client(both, fname="Typed")
    both.sync()
    assert both.told() == []


def test_on_without_a_mapping_refuses_with_one_line(make: Make, tmp_path: Path) -> None:
    both = make(both={"on": False})
    both.on, both.back = True, None  # type: ignore[assignment]  # as an operator may leave it
    with pytest.raises(SettingsError, match=r"has no mapping: name their folder .*\[way_back\] mappings"):
        both.sync(live=True)


@pytest.mark.parametrize(
    ("members", "says"),
    [
        ({"customer": ["externalRefs"]}, r"customer: .*firstName.* is not written back: add it to the setting A43"),
        ({"order": ["externalRefs"]}, "order: paymentStatus is not written back: add it to the setting A43.order"),
    ],
)
def test_a_member_that_is_not_listed_refuses_with_one_line(make: Make, members: dict[str, Any], says: str) -> None:
    both = make(both={"on": False})
    both.on, both.members = True, members
    with pytest.raises(SpecError, match=says):
        both.sync(live=True)


@pytest.mark.parametrize("member", ["payments", "email"])
def test_what_moves_money_or_signs_in_is_never_written_whatever_is_listed(
    make: Make, tmp_path: Path, member: str
) -> None:
    both = make(both={"on": False})
    entity, file = ("customer", "client-to-customer") if member == "email" else ("order", "invoice-paid")
    both.on, both.members = True, {entity: [member, "externalRefs"]}
    text = (BACK / f"{file}.yaml").read_text("utf-8")
    first = "customer.firstName" if member == "email" else "order.paymentStatus"
    spec = load_spec(text.replace(f"{first}:", f"{entity}.{member}:"))
    folder = tmp_path / "unsafe"
    folder.mkdir()
    approved = approve(spec, None, by="test", at="2026-03-01T00:00:00Z")
    (folder / f"{file}.yaml").write_text(dump_spec(approved), encoding="utf-8")
    both.back = folder
    with pytest.raises(SpecError, match=f"{member} is never written back"):
        both.sync(live=True)


def test_an_unapproved_mapping_does_not_run(make: Make, tmp_path: Path) -> None:
    both = make(both={"on": False})
    both.on, both.back = True, tmp_path / "proposed"
    both.back.mkdir()
    text = (BACK / "invoice-paid.yaml").read_text("utf-8").replace("paid: paid", "paid: unpaid")
    (both.back / "invoice-paid.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(SpecError, match="approved mappings only"):
        both.sync(live=True)


def test_card_numbers_never_leave(make: Make) -> None:
    both = make()
    client(both, organization="4111 1111 1111 1111")
    assert reasons(both.sync())["freshbooks-client:301001"] == "no-safe-route"
    assert both.told() == []


def test_a_dry_run_shows_the_request_and_sends_none(make: Make) -> None:
    both = make()
    pay(both, "11.80")
    planned = [row for row in both.sync(dry_run=True).planned if row.get("system") == "clarity"]
    assert both.told() == []
    assert planned == [
        {
            "method": "PATCH",
            "path": "/api/v1/orders/10066",
            "body": {"paymentStatus": "paid", "externalRefs": {"freshbooksInvoiceId": "501001"}},
            "entity": "order",
            "record": "freshbooks-invoice:501001",
            "system": "clarity",
        }
    ]
    both.sync()
    assert bodies(both) == [planned[0]["body"]]


# --- payments --------------------------------------------------------------------------------------------------------


def test_a_person_s_payments_become_the_order_s_payment_state(make: Make) -> None:
    both = make()
    pay(both, "5.00")
    both.sync()
    assert both.in_shop("orders", "10066")["paymentStatus"] == "partially_paid"
    rest = pay(both, "6.80")
    both.sync()
    assert both.in_shop("orders", "10066")["paymentStatus"] == "paid"
    with both.person() as books:
        books.delete("payment", rest)
    both.sync()
    assert both.in_shop("orders", "10066")["paymentStatus"] == "partially_paid"
    refs = {"externalRefs": {"freshbooksInvoiceId": "501001"}}
    assert bodies(both) == [
        {"paymentStatus": "partially_paid", **refs},
        {"paymentStatus": "paid"},
        {"paymentStatus": "partially_paid"},
    ]
    both.sync()
    assert len(both.told()) == 3


@pytest.mark.parametrize("state", ["unpaid", "authorized"])
def test_payments_that_we_booked_ourselves_are_no_news(make: Make, state: str) -> None:
    both = make(record=order(paymentStatus=state))
    assert both.table("invoice")[0]["payment_status"] == "paid"
    both.sync()
    assert both.told() == []
    assert both.in_shop("orders", "10066")["paymentStatus"] == state


def test_a_person_s_payment_beside_ours_is_news(make: Make) -> None:
    half = {**order()["payments"][0], "amount": "5.90"}
    both = make(record=order(payments=[half], paymentStatus="partially_paid"))
    both.sync()
    assert both.told() == []
    pay(both, "5.90")
    both.sync()
    assert both.in_shop("orders", "10066")["paymentStatus"] == "paid"


def test_a_payment_of_ours_that_a_person_removes_never_lowers_the_order(make: Make) -> None:
    both = make(record=order(paymentStatus="paid"))
    with both.person() as books:
        books.delete("payment", both.table("payment")[0]["id"])
    assert reasons(both.sync())["freshbooks-invoice:501001"] == "payment-state"
    assert both.told() == []


def refunded(both: BothWays, amount: str, *, name: str = "r1") -> None:
    """Clarity pays back; a person accepts that the payment is lowered for it."""
    at = "2026-03-20T09:00:00-05:00"
    refund = {"id": name, "orderId": "10066", "amount": amount, "currency": "USD", "createdAt": at, "updatedAt": at}
    both.shop("refunds", {**refund, "status": "completed"})
    assert reasons(both.sync()) == {f"refund:{name}": "refund-proposed"}
    with closing(open_store(both.settings.store_url)) as store:
        proposals.accept(store, f"refund:{name}", way="lower_payment", who="ana", now=1.0)
    assert reasons(both.sync()) == {}


@pytest.mark.parametrize(("amounts", "left"), [(["3.00"], "8.80"), (["3.00", "8.80"], "0.00")])
def test_a_refund_that_lowered_our_payment_is_no_news(make: Make, amounts: list[str], left: str) -> None:
    both = make(record=order(paymentStatus="paid"))
    for number, amount in enumerate(amounts):
        refunded(both, amount, name=f"r{number}")
    assert both.table("invoice")[0]["paid"]["amount"] == left
    payment = str(both.table("payment")[0]["id"])
    feed(both, {"name": "payment.update", "object_id": payment}, {"name": "invoice.update", "object_id": "501001"})
    assert reasons(both.sync()) == {}
    assert both.told() == []


def test_a_payment_that_a_person_removes_after_our_refund_waits_for_a_person(make: Make) -> None:
    both = make(record=order(paymentStatus="paid"))
    refunded(both, "3.00")
    with both.person() as books:
        books.delete("payment", both.table("payment")[0]["id"])
    assert reasons(both.sync()) == {"freshbooks-invoice:501001": "changed-on-both-sides"}
    assert both.told() == []


def test_a_payment_that_a_person_lowers_waits_for_a_person(make: Make) -> None:
    both = make(record=order(paymentStatus="paid"))
    with both.person() as books:
        books.update("payment", both.table("payment")[0]["id"], {"amount": {"amount": "8.80", "code": "USD"}})
    assert reasons(both.sync()) == {"freshbooks-invoice:501001": "payment-state"}
    assert both.told() == []


def test_a_refund_that_lowered_a_payment_of_a_person_takes_nothing_back_in_clarity(make: Make) -> None:
    both = make()
    pay(both, "11.80")
    both.sync()
    refunded(both, "3.00")
    assert both.table("invoice")[0]["paid"]["amount"] == "8.80"
    assert [body["paymentStatus"] for body in bodies(both)] == ["paid"]
    with both.person() as books:  # and then the person deletes it after all
        books.delete("payment", both.table("payment")[0]["id"])
    assert reasons(both.sync()) == {}
    assert [body["paymentStatus"] for body in bodies(both)] == ["paid", "unpaid"]


@pytest.mark.parametrize("state", ["refunded", "authorized"])
def test_states_that_payments_do_not_undo_wait_for_a_person(make: Make, state: str) -> None:
    both = make(record=order(payments=[], paymentStatus="unpaid"))
    both.shop_changes("orders", "10066", paymentStatus=state)
    both.sync()
    pay(both, "11.80")
    assert reasons(both.sync())["freshbooks-invoice:501001"] in ("payment-state", "changed-on-both-sides")
    assert both.told() == []


@pytest.mark.parametrize("name", ["currency-jpy", "two-taxes"])
def test_every_currency_and_kind_of_order(make: Make, name: str) -> None:
    both = make(record=order(name, payments=[], paymentStatus="unpaid", status="Processing"))
    invoice = both.table("invoice")[0]
    pay(both, invoice["outstanding"]["amount"])
    both.sync()
    number = order(name)["id"]
    assert both.in_shop("orders", number)["paymentStatus"] == "paid"
    assert "amount" not in json.dumps(bodies(both))


def test_a_draft_and_a_deleted_invoice_tell_nothing(make: Make) -> None:
    both = make()
    with both.person() as books:
        books.delete("invoice", both.table("invoice")[0]["id"])
    assert reasons(both.sync())["freshbooks-invoice:501001"] == "invoice-deleted"
    assert both.told() == []


def test_an_invoice_that_no_order_made_is_passed_over(make: Make) -> None:
    both = make()
    with both.person() as books:
        line = {"name": "Advice", "qty": "1", "unit_cost": {"amount": "9.00", "code": "USD"}}
        row = {"customerid": both.table("client")[0]["id"], "create_date": "2026-03-09", "lines": [line]}
        books.mark_invoice_sent(books.create("invoice", row)["id"])
    both.sync()
    assert both.told() == []


# --- clients ---------------------------------------------------------------------------------------------------------


def test_a_person_s_change_of_a_client_goes_to_the_customer(make: Make) -> None:
    both = make()
    client(both, fname=" Paweł ", p_city="Kraków", p_country="Poland", bus_phone="")
    both.sync()
    customer = both.in_shop("customers", "540")
    assert customer["firstName"] == "Paweł"
    assert customer["billingAddress"] == {"city": "Kraków", "country": "PL"}
    assert customer["phone"] == "+1 512 555 0166", "an empty value never blanks a stored one"
    assert customer["email"] == "pavel.ibarra.40@example.org"
    writes = len(both.writes())
    both.sync()
    assert (len(both.told()), len(both.writes())) == (1, writes)


def test_an_object_is_sent_whole(make: Make) -> None:
    both = make()
    both.shop_changes("customers", "540", billingAddress={"line1": "1 Main St", "city": "Austin"})
    both.sync()
    client(both, p_city="Dallas")
    both.sync()
    assert bodies(both)[0]["billingAddress"] == {"line1": "1 Main St", "city": "Dallas"}


def test_what_freshbooks_fills_in_by_itself_is_no_news(make: Make) -> None:
    both = make()
    assert both.table("client")[0]["organization"] == "pavel.ibarra.40@example.org"
    both.sync()
    assert both.told() == []


def test_a_deleted_client_changes_nothing_in_clarity(make: Make) -> None:
    both = make()
    with both.person() as books:
        books.delete("client", both.table("client")[0]["id"])
    store = open_store(both.settings.store_url)
    callback = {"name": "client.delete", "object_id": "301001"}
    feed(both, callback)
    both.sync()
    assert both.told() == []
    assert inbox.verdict(store, "freshbooks-client:301001") == "skipped"
    store.close()


def test_guests_and_buyers_of_a_company_are_left_alone(make: Make) -> None:
    company = {**order()["customer"], "accountId": "540"}
    both = make(record=order(customer=company, payments=[]))
    client(both, fname="Typed")
    both.sync()
    assert both.told() == []


def test_a_customer_that_is_gone_from_clarity(make: Make) -> None:
    both = make()
    with both.sandbox.state.lock:
        both.sandbox.state.clarity.delete("customers", "540")
    client(both, fname="Typed")
    assert both.sync().problems == []
    assert both.told() == []


# --- conflicts: both sides changed between two runs ------------------------------------------------------------------


def test_the_source_wins(make: Make, tmp_path: Path) -> None:
    both = make(both={"back": with_policies(tmp_path / "back", firstName="source_wins")})
    client(both, fname="Books")
    both.shop_changes("customers", "540", firstName="Shop", lastName="New")
    both.sync()
    both.sync()
    assert (both.in_shop("customers", "540")["firstName"], both.table("client")[0]["fname"]) == ("Books", "Books")
    assert both.table("client")[0]["lname"] == "New"


def test_the_target_wins(make: Make, tmp_path: Path) -> None:
    both = make(both={"back": with_policies(tmp_path / "back", firstName="target_wins")})
    client(both, fname="Books")
    both.shop_changes("customers", "540", firstName="Shop")
    both.sync()
    both.sync()
    assert (both.in_shop("customers", "540")["firstName"], both.table("client")[0]["fname"]) == ("Shop", "Shop")
    assert both.told() == []


@pytest.mark.parametrize(("shop_at", "wins"), [("2020-01-01T00:00:00Z", "Books"), ("2090-01-01T00:00:00Z", "Shop")])
def test_the_newest_wins(make: Make, shop_at: str, wins: str) -> None:
    both = make()
    client(both, fname="Books")
    customer = both.in_shop("customers", "540")
    both.sandbox.state.clarity.lists["customers"]["540"] = {**customer, "firstName": "Shop", "updatedAt": shop_at}
    both.sync()
    both.sync()
    assert both.table("client")[0]["fname"] == wins
    assert both.in_shop("customers", "540")["firstName"] == wins


def test_a_conflict_is_held_until_both_sides_say_the_same(make: Make, tmp_path: Path) -> None:
    both = make(both={"back": with_policies(tmp_path / "back", firstName="hold")})
    client(both, fname="Books", lname="Typed")
    both.shop_changes("customers", "540", firstName="Shop")
    report = both.sync()
    assert reasons(report)["freshbooks-client:301001"] == "changed-on-both-sides"
    assert reasons(report)["customer:540"] == "changed-in-freshbooks"
    assert "firstName of customer:540" in next(
        row["reason"] for row in report.status["held"] if "both" in row["reason"]
    )
    assert both.told() == []
    client(both, fname="Shop")
    assert both.sync().status["held"] == []
    assert (both.in_shop("customers", "540")["lastName"], both.table("client")[0]["fname"]) == ("Typed", "Shop")


def test_a_conflict_of_payment_states_waits_for_a_person(make: Make) -> None:
    both = make()
    pay(both, "11.80")
    both.shop_changes("orders", "10066", paymentStatus="partially_paid")
    assert reasons(both.sync())["freshbooks-invoice:501001"] == "changed-on-both-sides"
    assert both.told() == []


# --- deliveries and failures -----------------------------------------------------------------------------------------


def feed(both: BothWays, *callbacks: dict[str, str]) -> None:
    """Callbacks as ingress files them."""
    settings = both.settings
    store = open_store(settings.store_url)
    envelopes = [
        {
            "id": f"freshbooks:{number}:{fields['name']}:{fields['object_id']}",
            "type": f"freshbooks.{fields['name']}",
            "data": {
                "object": f"freshbooks-{fields['name'].partition('.')[0]}",
                "id": fields["object_id"],
                "resource": fields,
            },
        }
        for number, fields in enumerate(callbacks)
    ]
    inbox.ingest(store, envelopes, source="freshbooks", now=0.0, reading=settings.reading)
    store.close()


@pytest.mark.parametrize("turned", [False, True])
def test_repeated_and_reordered_callbacks_write_once(make: Make, turned: bool) -> None:
    both = make()
    number = str(pay(both, "11.80"))
    names = [("payment.create", number), ("invoice.update", "501001"), ("payment.update", number)] * 3
    callbacks = [{"name": name, "object_id": one} for name, one in (reversed(names) if turned else names)]
    feed(both, *callbacks)
    both.sync()
    assert [body["paymentStatus"] for body in bodies(both)] == ["paid"]


def test_a_callback_about_a_payment_that_is_gone_reaches_its_order(make: Make) -> None:
    both = make()
    number = pay(both, "11.80")
    both.sync()
    with both.person() as books:
        books.delete("payment", number)
    feed(both, {"name": "payment.delete", "object_id": str(number)})
    both.sync()
    assert both.in_shop("orders", "10066")["paymentStatus"] == "unpaid"


def test_a_lost_answer_is_looked_at_and_not_sent_again(make: Make) -> None:
    both = make()
    pay(both, "11.80")
    both.sandbox.state.faults.script(ScriptedFault("lost_answer", "clarity", "PATCH"))
    report = both.sync()
    assert report.left == 0
    assert len(both.told()) == 1
    store = open_store(both.settings.store_url)
    entry = ledger.get(store, "freshbooks:order:10066")
    outcomes = [attempt.outcome for attempt in ledger.attempts(store, "freshbooks:order:10066")]
    store.close()
    assert entry is not None
    assert (entry.state, outcomes) == ("confirmed", ["doubt"])


def test_a_refused_write_is_set_aside_with_the_mend(make: Make) -> None:
    both = make(both={"corrections": {"A4": {"write": "customers:write"}}})
    pay(both, "11.80")
    held = both.sync().status["held"]
    assert [row["reason_id"] for row in held] == ["rejected"]
    assert "A4" in held[0]["reason"]


def test_forgetting_a_customer_erases_what_was_told(make: Make) -> None:
    both = make()
    client(both, fname="Secretive")
    both.sync()
    store = open_store(both.settings.store_url)
    assert ledger.attempts(store, "freshbooks:customer:540")[0].request["body"]["firstName"] == "Secretive"
    forget(store, "540", reading=both.settings.reading, who="test", now=0.0)
    entry = ledger.get(store, "freshbooks:customer:540")
    assert ledger.attempts(store, "freshbooks:customer:540") == []
    assert entry is not None
    assert entry.detail == {}
    store.close()


def test_the_doctor_says_whether_it_is_on_and_can_run(make_books: Callable[..., Books], tmp_path: Path) -> None:
    both = BothWays(make_books().sandbox, tmp_path, on=False)
    assert way_back(both.settings).result == "off: nothing is written to Clarity"
    both.on = True
    assert way_back(both.settings).result.endswith("2 mappings are approved")
    both.members = {"order": ["externalRefs"]}
    assert "paymentStatus is not written back: add it to the setting A43.order" in way_back(both.settings).result
    both.back = None  # type: ignore[assignment]  # as an operator may leave it
    assert "no mappings: set [way_back] mappings" in way_back(both.settings).result
