"""Many people at work on both sides at once: everything ends quiet, and no write answers a write of ours."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from sync.back import echo
from tests.back import BothWays
from tests.flows import Books, order

FIELDS = {"firstName": "fname", "lastName": "lname", "phone": "bus_phone", "company": "organization"}
"""Of a customer in Clarity, and what they are called in FreshBooks."""
# Untidy on purpose: what the mapping tidies up is written differently from what Clarity has.
WORDS = ("Ana  María", " Béla", "Chloé ", "Dvořák", "Eve\tLynn", "Fía", "Gus  van  Zandt", "Hà", "Ian", "Jo")


class People:
    """Two offices that do not talk to each other."""

    def __init__(self, both: BothWays, seed: int) -> None:
        self.both = both
        self.random = random.Random(seed)  # noqa: S311  no secret
        self.in_books = self.in_shop = self.before = 0
        self.customers: list[str] = []
        self.orders: list[str] = []

    def open(self, count: int) -> None:
        """Customers with an unpaid order each, and their invoices."""
        for number in range(count):
            record = order(payments=[], paymentStatus="unpaid", id=str(9000 + number), orderNumber=f"WEB-L-{number}")
            customer = {**record["customer"], "id": str(700 + number), "email": f"loop{number}@example.org"}
            record["customer"] = customer
            self.both.shop("orders", record)
            self.both.shop("customers", {**customer, "updatedAt": record["updatedAt"]})
            self.customers.append(customer["id"])
            self.orders.append(record["id"])
        self.both.sync()

    def edit(self) -> None:
        """Somebody changes something somewhere."""
        self.random.choice((self.customer, self.customer, self.client, self.client, self.payment, self.undo))()

    def customer(self) -> None:
        """In Clarity."""
        member = self.random.choice([*FIELDS, "billingAddress"])
        word = self.random.choice(WORDS)
        value: Any = {"city": word} if member == "billingAddress" else word
        self.both.shop_changes("customers", self.random.choice(self.customers), **{member: value})
        self.in_shop += 1

    def client(self) -> None:
        """In FreshBooks, as the next ones."""
        row = self.random.choice(self.both.table("client"))
        member = self.random.choice([*FIELDS.values(), "p_city"])
        with self.both.person() as books:
            books.update("client", row["id"], {member: self.random.choice(WORDS)})
        self.in_books += 1

    def payment(self) -> None:
        owed = [row for row in self.both.table("invoice") if row["outstanding"]["amount"] not in ("0.00", "0")]
        if not owed:
            return
        row = self.random.choice(owed)
        half = self.random.choice((row["outstanding"]["amount"], "1.00"))
        body = {"invoiceid": row["id"], "date": "2026-03-09", "type": "Cash"}
        with self.both.person() as books:
            books.create("payment", {**body, "amount": {"amount": half, "code": row["currency_code"]}})
        self.in_books += 1

    def undo(self) -> None:
        typed = [row for row in self.both.table("payment") if row["vis_state"] == 0]
        if not typed:
            return
        with self.both.person() as books:
            books.delete("payment", self.random.choice(typed)["id"])
        self.in_books += 1


def quiet(both: BothWays) -> int:
    """Sync until a run changes nothing on either side; how many runs that took."""
    for runs in range(1, 12):
        before = len(both.told()), len(both.writes())
        report = both.sync()
        assert report.problems == []
        assert not report.left
        if (len(both.told()), len(both.writes())) == before:
            return runs
    pytest.fail("the two systems keep answering each other")


def play(make_books: Callable[..., Books], tmp_path: Any, seed: int, *, edits: int = 24) -> tuple[BothWays, People]:
    books = make_books()
    both = BothWays(books.sandbox, tmp_path)
    people = People(both, seed)
    people.open(3)
    people.before = len(both.writes())
    for number in range(edits):
        people.edit()
        if people.random.random() < 0.3:
            both.sync()
        if number == edits // 2:
            quiet(both)
    return both, people


def own_writes(both: BothWays, people: People) -> int:
    """Writes of ours to FreshBooks since the beginning: people's are written by the same API."""
    return len(both.writes()) - people.before - people.in_books


def tidy(value: Any) -> str:
    return " ".join(str(value or "").split())


@pytest.mark.parametrize("seed", [1, 2])
def test_random_edits_on_both_sides_end_quiet_and_agreed(
    make_books: Callable[..., Books], tmp_path: Any, seed: int
) -> None:
    both, people = play(make_books, tmp_path, seed)
    assert quiet(both) <= 4
    assert len(both.told()) <= people.in_books
    assert own_writes(both, people) <= people.in_shop
    by_mail = {row["email"]: row for row in both.table("client")}
    for number in people.customers:
        customer = both.in_shop("customers", number)
        client = by_mail[customer["email"]]
        for ours, theirs in FIELDS.items():
            nothing = client["email"] if ours == "company" else ""  # what FreshBooks fills in by itself
            assert (tidy(customer.get(ours)) or nothing) == tidy(client[theirs]), (number, ours)
    states = {"unpaid": "unpaid", "partial": "partially_paid", "paid": "paid"}
    for row in both.table("invoice"):
        name = next(o for o in people.orders if both.in_shop("orders", o)["orderNumber"] in row["invoice_number"])
        assert both.in_shop("orders", name)["paymentStatus"] == states[row["payment_status"]]


def test_one_sided_edits_are_answered_by_no_write_to_their_own_side(
    make_books: Callable[..., Books], tmp_path: Any
) -> None:
    both, people = play(make_books, tmp_path, 4, edits=6)
    quiet(both)
    told, written = one_sided(both, people)
    assert told == 0
    assert written == 0


def test_without_knowing_our_own_writes_they_would_travel(
    make_books: Callable[..., Books], tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: with echo suppression off, what we write to FreshBooks does come back to Clarity."""
    both, people = play(make_books, tmp_path, 4, edits=6)
    quiet(both)
    monkeypatch.setattr(echo, "client_as_left", lambda _client, _written: {})
    told, _ = one_sided(both, people)
    assert told > 0


def one_sided(both: BothWays, people: People) -> tuple[int, int]:
    """Writes to Clarity while only people in Clarity work, and to FreshBooks while only people there do."""
    before = len(both.told())
    for _ in range(3):
        people.customer()
        both.sync()
    quiet(both)
    told = len(both.told()) - before
    before = own_writes(both, people)
    for _ in range(3):
        people.random.choice((people.client, people.payment, people.undo))()
        both.sync()
    quiet(both)
    return told, own_writes(both, people) - before
