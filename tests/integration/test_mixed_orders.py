"""Orders with every awkwardness mixed: the posted and the held set as labelled, and every total to the cent.

`make books` does the same with ten thousand orders.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from connectors.sandbox.generator import Case
from connectors.sandbox.generator_mixed import STORE_ZONE
from mapspec.codec import dump_spec
from mapspec.engine import CompiledSpec, compile_spec
from sync.settings import Policies
from sync.specs import load_mappings
from tests.books import LOCK_DATE, compare_books, mappings, mixed, order_spec, run_cases, try_drafts
from tests.flows import Books


@pytest.fixture(scope="module")
def compiled() -> CompiledSpec:
    return compile_spec(order_spec())


@pytest.mark.parametrize("seed", [1, 2])
def test_every_order_becomes_what_its_label_and_the_oracle_say(seed: int, compiled: CompiledSpec) -> None:
    found = try_drafts(mixed(seed, 600), compiled)
    assert found.differences == []
    assert found.posted > 400
    assert len(found.held) == 19


def test_every_awkwardness_is_met(compiled: CompiledSpec) -> None:
    met = {tag for case in mixed(3, 1500) for tag in case.tags}
    assert met >= {
        "company-buyer", "day-edge", "equal-lines", "fee-taxed", "fee-untaxed", "fine-price", "fractional", "free-line",
        "free-order", "gift-card-sold", "guest", "guest-without-email", "handling-taxed", "handling-untaxed",
        "line-discount-all", "line-discount-amount", "line-discount-fine", "line-discount-percent", "long-company",
        "missing-sku", "mixed-rates", "near-midnight", "negative-fee", "order-discount-all", "order-discount-amount",
        "order-discount-percent", "paid-authorized", "paid-failed", "paid-none", "paid-partial", "paid-purchase-order",
        "paid-retried", "paid-split", "paid-three", "paid-voided", "shipping-taxed", "shipping-untaxed", "split-order",
        "tip", "unicode-buyer", "unknown-sku", "untaxed-line", "zero-quantity",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("seed", "switches"),
    [
        (11, {"rounding": "line"}),
        (12, {"rounding": "tax", "invoice_number_search": "like"}),
        (13, {"rounding": "total", "duplicate_email": "refuse"}),
        (14, {"rounding": "half_even_line", "payment_on_draft": "refuse"}),
    ],
)
def test_the_books_agree_to_the_cent_however_the_server_rounds(
    make_books: Callable[..., Books], tmp_path: Path, seed: int, switches: dict[str, Any]
) -> None:
    books = make_books(**switches)
    books.mappings = mappings(tmp_path)
    books.policies = Policies(lock_date=LOCK_DATE)
    cases = mixed(seed, 45)
    assert run_cases(books, cases) == []
    assert compare_books(books, cases) == []


def test_a_wrong_book_is_seen(make_books: Callable[..., Books], tmp_path: Path) -> None:
    """The judge itself: an invoice of another amount, a lost one and a payment too many are each named."""
    books = make_books()
    books.mappings = mappings(tmp_path)
    books.policies = Policies(lock_date=LOCK_DATE)
    cases: list[Case] = mixed(15, 12)
    assert run_cases(books, cases) == []
    with books.sandbox.state.lock:
        tables = books.sandbox.state.freshbooks.tables
        first, second, *_ = tables["invoice"].values()
        first["amount"] = {**first["amount"], "amount": "0.01"}
        second["invoice_number"] = "SOMETHING-ELSE"
        others = (row for row in tables["payment"].values() if row["invoiceid"] not in (first["id"], second["id"]))
        payment = next(others)
        payment["amount"] = {**payment["amount"], "amount": "1.23"}
        paid = tables["invoice"][payment["invoiceid"]]["invoice_number"]
    told = "\n".join(run_cases(books, cases))
    assert f"{first['invoice_number']}: comes to 0.01" in told
    assert "SOMETHING-ELSE: posted" in told
    assert f"{paid}: payments of " in told
    told = "\n".join(compare_books(books, cases))
    order = next(case.order for case in cases if case.order["orderNumber"] == first["invoice_number"])
    assert f"invoice of order {order['id']}: agrees or not" in told


def test_mappings_that_differ_in_a_setting_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = mappings(tmp_path)
    load_mappings(folder)
    assert caplog.records == []
    folder.joinpath("order-to-invoice.yaml").write_text(dump_spec(order_spec(settings={"timezone": "Asia/Tokyo"})))
    load_mappings(folder)
    (told,) = caplog.records
    said = vars(told)["said"]
    assert (vars(told)["setting"], said["clarity-freshbooks/payment-to-payment"]) == ("timezone", STORE_ZONE)
    assert said["clarity-freshbooks/order-to-invoice"] == "Asia/Tokyo"
