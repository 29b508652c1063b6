"""Generated orders through the command line, judged by labels, an oracle that shares no code, and the API's state."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable
from decimal import Decimal
from multiprocessing.connection import wait
from multiprocessing.context import ForkServerProcess
from typing import Any

import pytest

from connectors.sandbox import generator
from connectors.sandbox.generator import Case
from tests import oracle
from tests.flows import MAPPINGS, Books
from tests.starting import mapper_sync, start


def command(books: Books, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command with nothing but the FreshBooks connection configured."""
    environ = {"PATH": os.environ["PATH"], **books.environ()}
    return mapper_sync(*arguments, environ=environ, folder=books.folder, timeout_s=150)


def run_file(books: Books, cases: list[Case], *, shuffle_seed: int | None = 1) -> subprocess.CompletedProcess[str]:
    """The orders' events, shuffled and with duplicates, as one run."""
    path = books.folder / "orders.ndjson"
    path.write_text(generator.to_ndjson(generator.events(cases, shuffle_seed=shuffle_seed)), encoding="utf-8")
    return command(books, "run", "--mappings", str(MAPPINGS), "--events", str(path))


def status(books: Books) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(command(books, "status", "--json").stdout)
    return found


def judge(books: Books, cases: list[Case]) -> None:
    """Both sets exactly, and every posted invoice to the cent."""
    must_post = {str(case.order["orderNumber"]): case for case in cases if case.label == "post"}
    must_hold = {str(case.order["id"]): case.reason for case in cases if case.label == "hold"}
    invoices = {str(row["invoice_number"]): row for row in books.table("invoice")}
    assert set(invoices) == set(must_post)
    paid: dict[int, Decimal] = {}
    for payment in books.table("payment"):
        paid[payment["invoiceid"]] = paid.get(payment["invoiceid"], Decimal(0)) + Decimal(payment["amount"]["amount"])
    for number, case in must_post.items():
        invoice = invoices[number]
        assert invoice["status"] != 1, f"{number} was left a draft"
        assert Decimal(invoice["amount"]["amount"]) == Decimal(str(case.order["total"])), number
        assert Decimal(invoice["amount"]["amount"]) == oracle.expected_total(case.order), number
        assert paid.get(invoice["id"], Decimal(0)) == oracle.expected_payments(case.order), number
        assert invoice["amount"]["code"] == case.order.get("currency", invoice["amount"]["code"])
    held = {line["id"]: line["reason_id"] for line in status(books)["held"] if line["entity"] == "order"}
    assert held == must_hold


@pytest.mark.parametrize(
    ("seed", "switches"),
    [
        (1, {"rounding": "line"}),
        (2, {"rounding": "tax", "duplicate_email": "refuse"}),
        (3, {"rounding": "total", "invoice_number_search": "ignored"}),
        (4, {"rounding": "half_even_line", "negative_unit_cost": "refuse", "email_search": "casefold"}),
    ],
)
def test_what_must_post_is_posted_and_what_must_hold_is_held(
    make_books: Callable[..., Books], seed: int, switches: dict[str, Any]
) -> None:
    books = make_books(**switches)
    cases = generator.generate(seed, 90)
    assert run_file(books, cases).returncode == 3  # done, with records set aside
    judge(books, cases)
    before = len(books.writes())
    assert run_file(books, cases).returncode == 3
    assert len(books.writes()) == before


def test_faults_change_nothing_about_the_outcome(make_books: Callable[..., Books]) -> None:
    rates = {"lost_answer": 0.05, "error_after": 0.03, "server_error": 0.03, "rate_limited": 0.03}
    books = make_books(fault_rates=rates, duplicate_number="accept", retry_after_s=0, books={"settle_s": 0.05})
    cases = generator.generate(5, 25)
    run_file(books, cases)
    judge(books, cases)


@pytest.mark.parametrize("write", range(1, 9))
def test_killed_right_after_any_write_nothing_is_lost_or_doubled(
    make_books: Callable[..., Books], write: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """kill -9 after the server applied the n-th write and before the runner read the answer; then a new run."""
    books = make_books(books={"settle_s": 0.05, "http_timeout_s": 0.3})
    cases = [case for case in generator.generate(6, 150) if case.tags[0] in ("split-payment", "plain-card")][:2]
    assert len(cases) == 2
    path = books.folder / "orders.ndjson"
    path.write_text(generator.to_ndjson(generator.events(cases)), encoding="utf-8")
    victim: list[ForkServerProcess] = []
    freshbooks = books.sandbox.state.freshbooks
    seen = {"writes": 0}

    def killing(original: Callable[..., Any]) -> Callable[..., Any]:
        def write_and_kill(*arguments: Any) -> Any:
            answer = original(*arguments)
            seen["writes"] += 1
            if seen["writes"] == write:
                victim[0].kill()
                wait([victim[0].sentinel])
            return answer

        return write_and_kill

    monkeypatch.setattr(freshbooks, "create", killing(freshbooks.create))
    monkeypatch.setattr(freshbooks, "update", killing(freshbooks.update))
    environ = {"PATH": os.environ["PATH"], **books.environ()}
    run = ("run", "--mappings", str(MAPPINGS), "--events", str(path))
    with books.sandbox.state.lock:  # the child cannot write before it is known here
        victim.append(start(*run, environ=environ, folder=books.folder))
    victim[0].join(60)
    assert victim[0].exitcode == -signal.SIGKILL
    monkeypatch.undo()
    assert command(books, *run).returncode == 0
    judge(books, cases)
