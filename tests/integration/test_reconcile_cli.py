"""``mapper-sync reconcile`` as people and schedulers use it: exit codes, formats, and what cannot be compared."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from sync.__main__ import main
from tests.flows import Books
from tests.reconciling import Shop, opening, sale

MARCH = ("reconcile", "--from", "2026-03-01", "--to", "2026-03-31")


@pytest.fixture
def make_shop(make_books: Callable[..., Books], monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Shop]]:
    """Makes a shop with one posted sale, to which the environment points."""
    with opening(make_books) as make:

        def posted(*sales: dict[str, Any], **switches: Any) -> Shop:
            shop = make(**switches)
            shop.put(*(sales or (sale(1),)))
            shop.books.run()
            sandbox = shop.books.sandbox
            environ = {
                **shop.books.environ(),
                "MAPPER_HTTP_TIMEOUT_S": "5",
                "MAPPER_MAPPINGS": str(shop.books.mappings),
                "CLARITY_API_URL": sandbox.clarity_url,
                "CLARITY_CLIENT_ID": sandbox.client_id,
                "CLARITY_CLIENT_SECRET": sandbox.client_secret,
            }
            for name, value in environ.items():
                monkeypatch.setenv(name, value)
            return shop

        yield posted


def test_agreement_and_difference_have_their_exit_codes(
    make_shop: Callable[..., Shop], capsys: pytest.CaptureFixture[str]
) -> None:
    shop = make_shop()
    assert main([*MARCH]) == 0
    assert capsys.readouterr().out.startswith("The books agree, 2026-03-01 to 2026-03-31.\n")
    assert main(["reconcile", "--from", "2025-03-01", "--to", "2025-03-31"]) == 0
    assert capsys.readouterr().out.startswith("Neither system has an order, an invoice or a payment, 2025-03-01")
    shop.person.delete("payment", shop.payment(1)["id"])
    assert main([*MARCH, "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert (found["verdict"], found["differences"], found["exit_code"]) == ("differ", 2, 1)
    assert [(one["kind"], one["cause"], one["difference"]) for one in found["records"]] == [
        ("invoice", "payment: deleted-in-freshbooks", "0.00"),
        ("payment", "deleted-in-freshbooks", "-20.00"),
    ]
    assert main([*MARCH]) == 1
    assert "payment p1 of order WEB-1, 2026-03-10, 20.00 USD: missing in the books" in capsys.readouterr().out


def test_every_format_can_go_into_a_file(make_shop: Callable[..., Shop], capsys: pytest.CaptureFixture[str]) -> None:
    shop = make_shop(sale(1), sale(2, orderNumber="=cmd|' /C calc'!A0"))
    for kind in ("table", "csv", "html", "json"):
        path = shop.books.folder / f"march.{kind}"
        assert main([*MARCH, "--format", kind, "--output", str(path)]) == 0
        assert path.stat().st_size
    assert "Written to" in capsys.readouterr().out
    rows = list(csv.DictReader(io.StringIO((shop.books.folder / "march.csv").read_text(encoding="utf-8"))))
    assert {row["number"] for row in rows} == {"WEB-1", "'=cmd|' /C calc'!A0"}
    assert {row["kind"] for row in rows} == {"invoice", "payment"}
    page = (shop.books.folder / "march.html").read_text(encoding="utf-8")
    assert "<svg" in page
    assert "<script" not in page
    assert not re.search(r"(src|href|url)\s*[=(]", page)


def test_nobody_is_named_in_any_format(make_shop: Callable[..., Shop], capsys: pytest.CaptureFixture[str]) -> None:
    shop = make_shop(sale(1), sale(2))
    shop.person.delete("invoice", shop.invoice(1)["id"])
    for kind in ("table", "csv", "html", "json"):
        main([*MARCH, "--format", kind])
    shown = capsys.readouterr().out
    customer = sale(1)["customer"]
    for value in ("buyer.", "example.org", customer["firstName"], customer["lastName"], "Example Bluff"):
        assert value not in shown


def not_answering(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRESHBOOKS_API_URL", "http://127.0.0.1:9")


def no_clarity(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLARITY_API_URL", "http://127.0.0.1:9")


def login_refused(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLARITY_CLIENT_SECRET", "wrong")


def token_refused(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRESHBOOKS_ACCESS_TOKEN", "wrong")


def page_lost_in_the_books(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    from connectors.sandbox import listing

    original = listing.page_of

    def losing(records: Any, query: Any) -> Any:
        rows, numbers = original(records, query)
        return ([], {**numbers, "pages": 2}) if numbers["total"] else (rows, numbers)

    monkeypatch.setattr(listing, "page_of", losing)


def rows_lost_in_the_books(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    from connectors.sandbox import listing

    original = listing.page_of

    def losing(records: Any, query: Any) -> Any:
        rows, numbers = original(records, query)
        return rows[1:], numbers

    monkeypatch.setattr(listing, "page_of", losing)


def page_lost_in_the_shop(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    books = shop.books.sandbox.state.clarity
    original = books.page

    def losing(list_name: str, query: Any) -> Any:
        return {**original(list_name, query), "data": [], "totalPages": 3}

    monkeypatch.setattr(books, "page", losing)


def failing_server(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.books.sandbox.state.change_switches(fault_rates={"server_error": 1.0})


@pytest.mark.parametrize(
    "trouble",
    [
        not_answering,
        no_clarity,
        login_refused,
        token_refused,
        page_lost_in_the_books,
        rows_lost_in_the_books,
        page_lost_in_the_shop,
        failing_server,
    ],
)
def test_what_cannot_be_compared_is_never_an_agreement(
    make_shop: Callable[..., Shop],
    trouble: Callable[[Shop, pytest.MonkeyPatch], None],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shop = make_shop()
    trouble(shop, monkeypatch)
    target = shop.books.folder / "march.html"
    assert main([*MARCH, "--format", "html", "--output", str(target)]) == 4
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("mapper-sync: the books could not be compared: ")
    assert len(shown.err.splitlines()) == 1
    assert not target.exists()
    assert not [path for path in target.parent.iterdir() if path.name.startswith(".march")]


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["--from", "2026-03-31", "--to", "2026-03-01"], 2, "the period ends on 2026-03-01, before it begins"),
        (["--from", "2026-03-01", "--to", "2026-03-31", "--output", "no/such/folder/x.csv"], 3, "cannot be written"),
        (["--from", "2026-03-01", "--to", "2026-03-31", "--mappings", "nowhere"], 3, "there are no mapping files"),
    ],
)
def test_wrong_arguments_are_one_clear_line(
    make_shop: Callable[..., Shop], arguments: list[str], code: int, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    make_shop()
    assert main(["reconcile", *arguments]) == code
    shown = capsys.readouterr()
    assert (told in shown.err, len(shown.err.splitlines()), shown.out) == (True, 1, "")


def test_an_unapproved_mapping_decides_nothing(
    make_shop: Callable[..., Shop], capsys: pytest.CaptureFixture[str]
) -> None:
    shop = make_shop()
    changed = shop.books.folder / "mappings"
    changed.mkdir()
    for path in shop.books.mappings.glob("*.yaml"):
        text = path.read_text(encoding="utf-8").replace('invoice_prefix: ""', 'invoice_prefix: "X-"')
        (changed / path.name).write_text(text, encoding="utf-8")
    assert main([*MARCH, "--mappings", str(changed)]) == 3
    assert "approved" in capsys.readouterr().err
