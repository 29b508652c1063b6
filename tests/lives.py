"""Lives of customers and products, from `fixtures/lives`, and what FreshBooks holds of them."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from connectors import FreshBooks, StaticToken
from sync.settings import Policies
from tests.flows import ROOT, Books, envelope, order

LIVES = ROOT / "fixtures" / "lives"


def life(name: str) -> list[dict[str, Any]]:
    """The events of a fixture, in order."""
    events = json.loads((LIVES / f"{name}.json").read_text("utf-8"), parse_float=Decimal)
    return [envelope(event["type"], event["record"]) for event in events]


def policies(**sections: dict[str, str]) -> dict[str, Any]:
    """Policies for `make_books`, such as clients={"ended": "archive"}."""
    return {"policies": Policies.model_validate(sections)}


def order_of(customer_id: str, number: int, **changes: Any) -> dict[str, Any]:
    """A paid order of a customer, with nothing of the customer but id and e-mail."""
    customer = {"id": customer_id, "email": f"c{customer_id}@example.com", **changes.pop("customer", {})}
    base = order(id=str(number), orderNumber=f"WEB-26-{number}", customer=customer, **changes)
    for payment in base.get("payments", ()):
        payment["id"] = f"{number}-{payment['id']}"
    return base


def freshbooks(books: Books) -> FreshBooks:
    """A person's hand in FreshBooks: the connector, with nothing of the runner."""
    sandbox = books.sandbox
    return FreshBooks(
        base_url=sandbox.freshbooks_url, account_id=sandbox.account_id, tokens=StaticToken(sandbox.access_token)
    )


def by_person(books: Books, entity: str, number: int, **fields: Any) -> None:
    """A person changes an object in FreshBooks."""
    with freshbooks(books) as hand:
        hand.update(entity, number, fields)


def made_by_person(books: Books, entity: str, **fields: Any) -> int:
    """A person creates an object in FreshBooks; its id."""
    with freshbooks(books) as hand:
        return int(hand.create(entity, fields)["id"])


def again_writes_nothing(books: Books, *events: dict[str, Any]) -> None:
    """The same events under new ids change nothing in FreshBooks."""
    before = len(books.writes())
    books.run(*[{**event, "id": f"{event['id']}-again"} for event in events])
    assert books.writes()[before:] == []
