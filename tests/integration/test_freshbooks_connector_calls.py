"""Calls of our connector beyond records, against the stand-in: callbacks, businesses, settings, taxes, credit notes."""

from collections.abc import Iterator
from decimal import Decimal

import pytest

from connectors import FreshBooks, RejectedError, StaticToken
from connectors.freshbooks import Business
from connectors.sandbox.server import Sandbox, running_sandbox


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with running_sandbox(webhook_attempts=1) as running:
        yield running


@pytest.fixture
def books(sandbox: Sandbox) -> Iterator[FreshBooks]:
    tokens = StaticToken(sandbox.access_token)
    with FreshBooks(base_url=sandbox.freshbooks_url, account_id=sandbox.account_id, tokens=tokens) as made:
        yield made


def test_a_callback_from_registration_to_its_end(sandbox: Sandbox, books: FreshBooks) -> None:
    nowhere = f"{sandbox.freshbooks_url}/nowhere"
    made = books.callbacks.register("payment.create", nowhere)
    assert (made.event, made.uri, made.verified) == ("payment.create", nowhere, False)
    assert made.updated_at is not None
    assert made.updated_at.utcoffset() is not None
    assert books.callbacks.get(made.id) == made
    with pytest.raises(RejectedError) as wrong:
        books.callbacks.verify(made.id, "guessed")
    assert (wrong.value.status, wrong.value.field) == (422, "verifier")
    assert books.callbacks.resend(made.id).id == made.id
    verifier = sandbox.state.callbacks.rows[made.id].verifier
    assert books.callbacks.verify(made.id, verifier).verified is True
    assert [callback.verified for callback in books.callbacks.list_all()] == [True]
    books.callbacks.delete(made.id)
    assert books.callbacks.list_all() == []
    with pytest.raises(RejectedError) as gone:
        books.callbacks.delete(made.id)
    assert gone.value.status == 404


def test_a_callback_can_be_deleted_whatever_the_answer_looks_like(sandbox: Sandbox, books: FreshBooks) -> None:
    sandbox.state.change_switches(callback_delete="body")
    made = books.callbacks.register("invoice", f"{sandbox.freshbooks_url}/nowhere")
    books.callbacks.delete(made.id)
    assert books.callbacks.list_all() == []


@pytest.mark.parametrize(
    ("event", "uri", "field"), [("invoice.paid", "https://a.example", "event"), ("invoice", "x", "uri")]
)
def test_refused_registrations_name_their_field(books: FreshBooks, event: str, uri: str, field: str) -> None:
    with pytest.raises(RejectedError) as refused:
        books.callbacks.register(event, uri)
    assert (refused.value.status, refused.value.field) == (422, field)


def test_every_page_of_callbacks_is_read(sandbox: Sandbox, books: FreshBooks) -> None:
    sandbox.state.callbacks.outbox.close()
    for _ in range(101):
        sandbox.state.callbacks.create({"event": "invoice", "uri": "http://127.0.0.1:9/"})
    assert len({callback.id for callback in books.callbacks.list_all()}) == 101


def test_businesses_and_their_settings(sandbox: Sandbox, books: FreshBooks) -> None:
    assert books.businesses() == [Business(sandbox.account_id, 4711, "Sandbox", "owner")]
    (role,) = books.whoami()["roles"]
    assert books.system(role["systemid"])["currency_code"] == "USD"
    with pytest.raises(RejectedError):
        books.system(1)


def test_taxes_match_by_name_and_percent(books: FreshBooks) -> None:
    wanted = books.create("tax", {"name": "Sales Tax", "amount": "8.250"})
    books.create("tax", {"name": "Sales Tax Reno", "amount": "8.25"})
    books.create("tax", {"name": "Sales Tax", "amount": "5"})
    assert [tax["id"] for tax in books.find_taxes(" sales tax", Decimal("8.25"))] == [wanted["id"]]
    assert len(books.find_taxes("Sales Tax")) == 2


def test_credit_notes_of_one_client_come_with_lines(books: FreshBooks) -> None:
    one, two = (books.create("client", {"email": f"{n}@b.example"})["id"] for n in range(2))
    line = {"name": "Refund", "qty": 1, "unit_cost": {"amount": "2.50", "code": "USD"}}
    made = [books.create("credit_note", {"clientid": client, "lines": [line]}) for client in (one, one, two)]
    books.delete("credit_note", made[0]["id"])
    (found,) = books.find_credit_notes_of_client(one)
    assert (found["id"], found["lines"][0]["amount"]["amount"]) == (made[1]["id"], "2.50")
