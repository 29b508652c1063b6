"""A seeded stream of what happens in a shop, and what all of it must come to in the books."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from connectors.sandbox import generator
from connectors.sandbox.generator import Case
from tests import oracle
from tests.chaos.judge import Wanted, WantedOrder

Record = dict[str, Any]
_MOST_REVISIONS = 3
_LOST_SHARE = 0.05
_LATE_ACCOUNTS = 0.4


@dataclass(frozen=True)
class Step:
    """One change in the shop.

    Attributes:
        list_name: Of Clarity: orders, customers, payments, products.
        record: Complete but for its ``updatedAt``, which is the moment of the change.
        webhook: False: its webhook is lost, and only polling tells of it.
    """

    list_name: str
    record: Record
    webhook: bool


@dataclass(frozen=True)
class Stream:
    """Steps in the order of the shop, and what they must lead to."""

    seed: int
    steps: tuple[Step, ...]
    wanted: Wanted


def make_stream(seed: int, size: int) -> Stream:
    """Make at least `size` changes: orders of every kind, their payments, customers and products with revisions.

    Payments may come before their order and changes of one customer between them; only the revisions of one record
    keep their order. Some guests open an account with the e-mail they ordered with.
    """
    chance = random.Random(seed)  # noqa: S311 - reproducible disorder, nothing secret
    count = max(4, size * 10 // 34)
    while True:
        cases = generator.generate(seed, count)
        chains = list(_chains(cases, chance))
        if sum(len(chain) for chain in chains) >= size:
            break
        count += count // 10 + 1
    steps = _shuffled(chains, chance)
    return Stream(seed, tuple(steps), _wanted(cases, steps))


def _chains(cases: Sequence[Case], chance: random.Random) -> Iterator[list[tuple[str, Record]]]:
    """Changes that keep their order among themselves."""
    for case in cases:
        yield [("orders", case.order)]
    for record in generator.payments(cases):
        if record["status"] in ("captured", "settled") and Decimal(record["amount"]) > 0:
            yield [("payments", record)]
    people = list(generator.customers(cases))
    people += _late_accounts(cases, {_plain(person["email"]) for person in people}, chance)
    for person in people:
        yield [("customers", _revised(person, number)) for number in range(1, chance.randint(1, _MOST_REVISIONS) + 1)]
    products = generator.products()
    for product in chance.sample(products, min(len(products), max(1, len(cases) // 8))):
        yield [("products", _revised(product, number)) for number in range(1, chance.randint(1, 2) + 1)]


def _plain(email: Any) -> str:
    """As e-mails compare."""
    return str(email or "").strip().casefold()


def _late_accounts(cases: Sequence[Case], taken: set[str], chance: random.Random) -> Iterator[Record]:
    """Accounts that guests open after, or while, their order is on its way; one for each e-mail.

    Of two accounts with one e-mail, which share a client, nobody could say whose revision is the newest.
    """
    number = 900_000
    for case in cases:
        guest = case.order["customer"]
        email = _plain(guest.get("email"))
        if guest.get("id") is None and email and email not in taken and chance.random() < _LATE_ACCOUNTS:
            taken.add(email)
            number += 1
            address = case.order["billingAddress"]
            yield {
                **guest, "id": str(number), "currency": case.order["currency"], "language": "en",
                "billingAddress": dict(address), "addresses": [dict(address)], "createdAt": case.order["createdAt"],
            }  # fmt: skip


def _revised(record: Record, number: int) -> Record:
    revised = deepcopy(record)
    if "sku" in revised:
        revised["description"] = f"Rev {number} {revised['description']}"  # long ones are cut at their end
    else:
        revised["billingAddress"]["line2"] = f"Rev {number}"
        revised["addresses"] = [deepcopy(revised["billingAddress"])]
    return revised


def _shuffled(chains: list[list[tuple[str, Record]]], chance: random.Random) -> list[Step]:
    turns = [index for index, chain in enumerate(chains) for _ in chain]
    chance.shuffle(turns)
    next_of: dict[int, int] = defaultdict(int)
    steps = []
    for index in turns:
        list_name, record = chains[index][next_of[index]]
        next_of[index] += 1
        steps.append(Step(list_name, record, chance.random() >= _LOST_SHARE))
    return steps


def _wanted(cases: Sequence[Case], steps: Sequence[Step]) -> Wanted:
    orders = {str(case.order["id"]): _wanted_order(case) for case in cases}
    customers: dict[str, int] = {}
    items: dict[str, int] = {}
    payments: dict[str, str] = {}
    for case in cases:
        email = _plain(case.order["customer"].get("email"))
        if email and case.label == "post":
            customers.setdefault(email, 0)
    for step in steps:
        record = step.record
        if step.list_name == "customers":
            revision = int(record["billingAddress"]["line2"].removeprefix("Rev "))
            email = _plain(record["email"])
            customers[email] = max(revision, customers.get(email, 0))
        elif step.list_name == "products" and record["active"]:
            items[record["sku"]] = max(int(record["description"].split()[1]), items.get(record["sku"], 0))
        elif step.list_name == "payments":
            payments[str(record["id"])] = str(record["orderId"])
    return Wanted(orders, customers, items, payments)


def _wanted_order(case: Case) -> WantedOrder:
    order = case.order
    received = tuple(
        Decimal(str(row["amount"])) for row in oracle.received(order) if row["currency"] == order["currency"]
    )
    return WantedOrder(
        id=str(order["id"]),
        number=str(order.get("orderNumber")),
        total=Decimal(str(order["total"])) if case.label == "hold" else oracle.expected_total(order),
        currency=order.get("currency", "USD"),
        payments=tuple(amount for amount in received if amount),
        held_for=frozenset({case.reason} if case.reason else ()),
    )
