"""When the store commits in the work on one event: an intent before every write, and nothing that is not needed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy.engine.default import DefaultDialect

from connectors.watching import Sent, Told, watched_by
from sync import budget
from tests.flows import Books, envelope, order


def test_an_order_commits_once_for_each_intent_and_once_for_its_outcome(
    make_books: Callable[..., Books], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(budget, "AHEAD_S", 600.0)  # places for all requests by one commit, however slow they are
    books = make_books(books={"http_timeout_s": 10.0})
    books.run(envelope("order.created", order(id="1", orderNumber="WEB-1")))  # the store and the mapping are known
    seen: list[str] = []
    commit = DefaultDialect.do_commit

    def do_commit(dialect: Any, connection: Any) -> None:
        commit(dialect, connection)
        seen.append("commit")

    @contextmanager
    def watching(sent: Sent) -> Iterator[Told]:
        seen.append(sent.operation.partition(" ")[0])
        yield lambda _outcome: None

    customer = {**order()["customer"], "id": "502", "email": "bo@example.org"}
    payments = [{**payment, "id": "9002", "transactionId": "ch_9002"} for payment in order()["payments"]]
    second = order(id="2", orderNumber="WEB-2", customer=customer, payments=payments)
    with watched_by(watching), monkeypatch.context() as patched:
        patched.setattr(DefaultDialect, "do_commit", do_commit)
        books.run(envelope("order.created", second))
    steps = [step for step in seen[: len(seen) - seen[::-1].index("POST")] if step != "GET"]
    client = steps.index("POST")
    # Client, invoice, its mark, payment: each intent takes the end of the write before it along; a mark needs none.
    assert steps[client - 1 :] == ["commit", "POST", "commit", "POST", "PUT", "commit", "POST"]
