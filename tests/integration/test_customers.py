"""Customers in their life: e-mails that change, merges, ends, comebacks, and what people did to clients meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from connectors.sandbox.faults import ScriptedFault
from tests.flows import Books, envelope, order, reasons
from tests.lives import again_writes_nothing, by_person, life, made_by_person, order_of, policies

ACTIVE, DELETED, ARCHIVED = 0, 1, 2
ARCHIVE = policies(clients={"ended": "archive"})
ANA = {"id": "801", "email": "ana.ferro@example.com", "firstName": "Ana", "lastName": "Ferro"}


def updated(day: int, **changes: Any) -> dict[str, Any]:
    return envelope("customer.updated", {**ANA, "updatedAt": f"2026-04-{day:02}T10:00:00Z", **changes})


def notes(report: Any) -> set[str]:
    return {row["kind"] for row in report.status["notes"]} - {"unknown-sku"}


# --- e-mails ---------------------------------------------------------------------------------------------------------


def test_a_new_e_mail_goes_to_the_client_of_the_id_map(books: Books) -> None:
    events = life("customer__new-email")
    books.run(events[0])
    assert books.run(events[1]).status["held"] == []
    (client,) = books.table("client")
    assert client["email"] == "ana@ferro.example"
    books.run(envelope("order.created", order_of("801", 31, customer={"email": "ana.ferro@example.com"})))
    assert [row["customerid"] for row in books.table("invoice")] == [client["id"]]
    again_writes_nothing(books, *events)


def test_an_e_mail_that_another_client_has_is_held_with_the_mend(books: Books) -> None:
    events = life("customer__email-of-another")
    books.run(*events[:2])
    assert reasons(books.run(events[2])) == {"customer:802": "email-taken"}
    assert {row["email"] for row in books.table("client")} == {"ana.ferro@example.com", "bo.lind@example.com"}
    ana = next(row for row in books.table("client") if row["fname"] == "Ana")
    by_person(books, "client", ana["id"], email="ana@elsewhere.example")
    again = books.run({**events[2], "id": "again"})
    assert reasons(again) == {}
    emails = {row["fname"]: row["email"] for row in books.table("client")}
    assert emails == {"Ana": "ana@elsewhere.example", "Bo": "ana.ferro@example.com"}


def test_an_archived_client_keeps_its_e_mail_and_a_deleted_one_does_not(books: Books) -> None:
    number = made_by_person(books, "client", email="ana@ferro.example", fname="Other")
    by_person(books, "client", number, vis_state=ARCHIVED)
    events = life("customer__new-email")
    books.run(events[0])
    assert reasons(books.run(events[1])) == {"customer:801": "email-taken"}
    by_person(books, "client", number, vis_state=DELETED)
    assert reasons(books.run({**events[1], "id": "again"})) == {}
    assert [row["email"] for row in books.table("client")] == ["ana@ferro.example", "ana@ferro.example"]


def test_a_guest_s_order_with_the_new_e_mail_finds_the_client(books: Books) -> None:
    books.run(*life("customer__new-email"))
    guest = order(id="32", orderNumber="WEB-26-32", customer={"email": "Ana@Ferro.example"}, payments=[])
    assert books.run(envelope("order.created", guest)).status["held"] == []
    (client,) = books.table("client")
    assert [row["customerid"] for row in books.table("invoice")] == [client["id"]]


# --- people's changes ------------------------------------------------------------------------------------------------


def test_what_a_person_changed_stays_and_other_fields_follow_the_shop(books: Books) -> None:
    books.run(updated(1, phone="1", company="Ferro"))
    by_person(books, "client", books.table("client")[0]["id"], fname="Anna-Maria", bus_phone="")
    report = books.run(updated(2, phone="1", company="Ferro and Sons"))
    (client,) = books.table("client")
    assert (client["fname"], client["bus_phone"], client["organization"]) == ("Anna-Maria", "", "Ferro and Sons")
    assert report.status["held"] == []
    assert {row["subject"] for row in report.status["notes"]} == {"fname", "bus_phone"}
    again_writes_nothing(books, updated(2, phone="1", company="Ferro and Sons"))


def test_what_both_changed_is_held_or_kept_by_policy(make_books: Callable[..., Books]) -> None:
    for choice, held in (("hold", {"customer:801": "changed-in-freshbooks"}), ("keep", {})):
        books = make_books(books=policies(clients={"both_changed": choice}))
        books.store_url = f"sqlite:///{books.folder / choice}.db"
        books.run(updated(1, phone="1"))
        by_person(books, "client", books.table("client")[0]["id"], fname="Anna-Maria")
        report = books.run(updated(2, firstName="Annie", phone="2"))
        assert reasons(report) == held
        (client,) = books.table("client")
        assert client["fname"] == "Anna-Maria"
        assert client["bus_phone"] == ("1" if held else "2")


def test_blank_values_erase_nothing(books: Books) -> None:
    events = life("customer__blanked")
    books.run(events[0])
    before = books.table("client")
    books.run(events[1])
    changed = [name for name in before[0] if books.table("client")[0][name] != before[0][name]]
    assert changed == []
    again_writes_nothing(books, *events)


def test_a_client_that_was_there_before_is_only_filled_in_where_the_policy_says_so(
    make_books: Callable[..., Books],
) -> None:
    books = make_books(books=policies(clients={"found": "fill"}))
    number = made_by_person(books, "client", email=ANA["email"], fname="A.", bus_phone="")
    report = books.run(updated(1, phone="+1 512 555 0101"))
    (client,) = books.table("client")
    assert (client["id"], client["fname"], client["lname"]) == (number, "A.", "Ferro")
    assert client["bus_phone"] == "+1 512 555 0101"
    assert notes(report) == {"kept-from-freshbooks"}


# --- ends and comebacks ----------------------------------------------------------------------------------------------


def test_a_customer_that_ends_leaves_the_client_alone_by_default(books: Books) -> None:
    events = life("customer__deactivated")
    books.run(events[0])
    before = len(books.writes())
    report = books.run(events[1])
    assert books.writes()[before:] == []
    assert [line["reason_id"] for line in report.status["skipped"]] == ["inactive"]
    assert "stays as it is" in report.status["skipped"][0]["reason"]


def test_a_client_is_archived_with_its_customer_and_comes_back_with_it(make_books: Callable[..., Books]) -> None:
    books = make_books(books=ARCHIVE)
    events = life("customer__deactivated")
    books.run(events[0])
    assert books.run(events[1]).status["held"] == []
    (client,) = books.table("client")
    assert client["vis_state"] == ARCHIVED
    again_writes_nothing(books, *events[:2])
    assert books.run(events[2]).status["held"] == []
    (client,) = books.table("client")
    assert (client["vis_state"], client["bus_phone"]) == (ACTIVE, "+1 512 555 0199")
    again_writes_nothing(books, *events)


def test_what_was_said_before_the_end_does_not_bring_a_client_back(make_books: Callable[..., Books]) -> None:
    books = make_books(books=ARCHIVE)
    for event in life("customer__deleted"):
        assert books.run(event).status["held"] == []
    (client,) = books.table("client")
    assert (client["vis_state"], client["bus_phone"]) == (ARCHIVED, "+1 512 555 0101")


@pytest.mark.parametrize("when", [{"updatedAt": "2026-04-09T10:00:00Z"}, {}])
def test_a_deletion_needs_no_record(make_books: Callable[..., Books], when: dict[str, str]) -> None:
    books = make_books(books=ARCHIVE)
    books.run(life("customer__deleted")[0])
    deleted = {"id": "gone", "type": "customer.deleted", "data": {"object": "customer", "id": "801", **when}}
    assert books.run(deleted).status["held"] == []
    assert [row["vis_state"] for row in books.table("client")] == [ARCHIVED]
    again_writes_nothing(books, deleted)


def test_a_client_that_owes_something_is_not_archived_before_it_is_paid(make_books: Callable[..., Books]) -> None:
    books = make_books(books=ARCHIVE)
    unpaid = order_of("801", 33, payments=[], customer={"email": ANA["email"]})
    events = life("customer__deactivated")
    report = books.run(envelope("order.created", unpaid), events[1])
    assert reasons(report) == {"customer:801": "open-invoices"}
    assert "WEB-26-33" in report.status["held"][0]["reason"]
    (invoice,) = books.table("invoice")
    money = {"amount": invoice["outstanding"]["amount"], "code": "USD"}
    made_by_person(books, "payment", invoiceid=invoice["id"], amount=money, date="2026-04-20", type="Cash")
    assert books.run({**events[1], "id": "again"}).status["held"] == []
    assert [row["vis_state"] for row in books.table("client")] == [ARCHIVED]


def test_a_client_of_two_customers_is_archived_with_the_last(make_books: Callable[..., Books]) -> None:
    books = make_books(books=ARCHIVE)
    books.run(updated(1), updated(1, id="804"))
    assert len(books.table("client")) == 1
    books.run(updated(2, active=False))
    assert [row["vis_state"] for row in books.table("client")] == [ACTIVE]
    books.run(updated(2, id="804", active=False))
    assert [row["vis_state"] for row in books.table("client")] == [ARCHIVED]


def test_a_client_that_a_person_took_out_of_the_archive_stays_out(make_books: Callable[..., Books]) -> None:
    books = make_books(books=ARCHIVE)
    events = life("customer__deactivated")
    books.run(events[0])
    books.run(events[1])
    by_person(books, "client", books.table("client")[0]["id"], vis_state=ACTIVE)
    again_writes_nothing(books, *events[:2])
    assert [row["vis_state"] for row in books.table("client")] == [ACTIVE]


# --- archived, deleted and merged in FreshBooks ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("choice", "state", "held"),
    [("restore", ACTIVE, {}), ("use", ARCHIVED, {}), ("hold", ARCHIVED, {"order:35": "client-archived"})],
)
def test_an_order_for_an_archived_client(
    make_books: Callable[..., Books], choice: str, state: int, held: dict[str, str]
) -> None:
    books = make_books(books=policies(clients={"archived": choice}))
    books.run(envelope("order.created", order_of("801", 34)))
    by_person(books, "client", books.table("client")[0]["id"], vis_state=ARCHIVED)
    report = books.run(envelope("order.created", order_of("801", 35)))
    assert reasons(report) == held
    assert [row["vis_state"] for row in books.table("client")] == [state]
    assert len(books.table("invoice")) == (1 if held else 2)
    if choice == "restore":
        assert "client-restored" in notes(report)
        again_writes_nothing(books, envelope("order.created", order_of("801", 35)))


def test_an_order_wakes_an_archived_client_that_is_found_by_e_mail(books: Books) -> None:
    number = made_by_person(books, "client", email="c801@example.com", fname="Ana")
    by_person(books, "client", number, vis_state=ARCHIVED)
    assert books.run(envelope("order.created", order_of("801", 36))).status["held"] == []
    assert [row["vis_state"] for row in books.table("client")] == [ACTIVE]


def test_the_only_other_client_with_the_e_mail_follows_a_deleted_one(books: Books) -> None:
    """As when a person merged two clients by hand."""
    books.run(envelope("order.created", order_of("801", 37)))
    (client,) = books.table("client")
    other = made_by_person(books, "client", email="c801@example.com", fname="Kept")
    by_person(books, "client", client["id"], vis_state=DELETED)
    report = books.run(envelope("order.created", order_of("801", 38)))
    assert report.status["held"] == []
    assert notes(report) == {"client-followed"}
    assert [row["customerid"] for row in books.table("invoice")] == [client["id"], other]
    books.run(updated(1, email="c801@example.com", phone="5"))
    kept = next(row for row in books.table("client") if row["id"] == other)
    assert (kept["bus_phone"], kept["fname"]) == ("5", "Ana")


@pytest.mark.parametrize(("choice", "others"), [("follow", 0), ("follow", 2), ("hold", 1)])
def test_a_deleted_client_that_nothing_certain_follows_is_held(
    make_books: Callable[..., Books], choice: str, others: int
) -> None:
    books = make_books(books=policies(clients={"deleted": choice}))
    books.run(envelope("order.created", order_of("801", 39)))
    (client,) = books.table("client")
    for _ in range(others):
        made_by_person(books, "client", email="c801@example.com")
    by_person(books, "client", client["id"], vis_state=DELETED)
    report = books.run(
        envelope("order.created", order_of("801", 40)), updated(1, email="c801@example.com", firstName="Anna")
    )
    assert reasons(report) == {"order:40": "client-deleted", "customer:801": "client-deleted"}
    by_person(books, "client", client["id"], vis_state=ACTIVE)
    assert books.run({**envelope("order.created", order_of("801", 40)), "id": "again"}).status["held"] != []
    assert len(books.table("invoice")) == 2


# --- merged in Clarity -----------------------------------------------------------------------------------------------


def test_a_merged_customer_s_orders_go_to_the_other_s_client(make_books: Callable[..., Books]) -> None:
    books = make_books(books=ARCHIVE)
    events = life("customer__merged")
    for event in events:
        assert books.run(event).status["held"] == []
    ana, bo = books.table("client")
    assert [row["vis_state"] for row in books.table("client")] == [ACTIVE, ARCHIVED]
    books.run(envelope("order.created", order_of("802", 41, customer={"email": bo["email"]})))
    guest = order(id="42", orderNumber="WEB-26-42", customer={"email": bo["email"]}, payments=[])
    books.run(envelope("order.created", guest))
    assert {row["customerid"] for row in books.table("invoice")} == {ana["id"]}
    again_writes_nothing(books, *events)


def test_the_other_customer_may_take_the_merged_one_s_e_mail(books: Books) -> None:
    for event in life("customer__merged"):
        books.run(event)
    assert reasons(books.run(updated(5, email="bo.lind@example.com"))) == {}
    assert books.table("client")[0]["email"] == "bo.lind@example.com"


def test_the_other_customer_gets_the_merged_one_s_client_where_it_has_none(books: Books) -> None:
    events = life("customer__merged")
    books.run(events[1])
    assert books.run(events[2]).status["held"] == []
    assert books.run(events[0]).status["held"] == []
    (client,) = books.table("client")
    assert (client["fname"], client["email"]) == ("Ana", "ana.ferro@example.com")
    again_writes_nothing(books, *events)


def test_a_merged_client_that_owes_something_is_held_and_leads_to_the_other_all_the_same(
    make_books: Callable[..., Books],
) -> None:
    books = make_books(books=ARCHIVE)
    events = life("customer__merged")
    unpaid = order_of("802", 43, payments=[], customer={"email": "bo.lind@example.com"})
    books.run(events[0])
    books.run(envelope("order.created", unpaid))
    assert reasons(books.run(events[2])) == {"customer:802": "open-invoices"}
    books.run(envelope("order.created", order_of("802", 44)))
    ana, bo = books.table("client")
    assert [row["customerid"] for row in books.table("invoice")] == [bo["id"], ana["id"]]


def test_customers_merged_in_a_circle_wait_for_a_person(books: Books) -> None:
    for event in life("customer__merged"):
        books.run(event)
    assert reasons(books.run(updated(6, mergedIntoId="802"))) == {"customer:801": "merged-in-a-circle"}


def test_an_order_of_a_customer_that_was_merged_before_it_had_a_client_makes_the_other_s(books: Books) -> None:
    books.run(life("customer__merged")[2])
    books.run(envelope("order.created", order_of("802", 45)))
    books.run(updated(7, email="c802@example.com"))
    (client,) = books.table("client")
    assert client["fname"] == "Ana"
    assert [row["customerid"] for row in books.table("invoice")] == [client["id"]]


# --- doubt -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["lost_answer", "cut_before", "late_apply", "error_after"])
def test_a_lost_answer_to_an_archiving_ends_archived_and_comes_back(
    make_books: Callable[..., Books], fault: str
) -> None:
    books = make_books(books=ARCHIVE)
    events = life("customer__deactivated")
    for step, state in ((1, ARCHIVED), (2, ACTIVE)):
        books.run(*events[:step])
        with books.sandbox.state.lock:
            books.sandbox.state.faults.script(ScriptedFault(fault, method="PUT", path="users/clients/"))
        assert books.run(events[step]).status["held"] == []
        assert [row["vis_state"] for row in books.table("client")] == [state]
    assert books.table("client")[0]["bus_phone"] == "+1 512 555 0199"
