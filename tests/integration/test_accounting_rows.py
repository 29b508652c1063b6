"""The rows of docs/accounting.md that are about orders: their fixtures, through runner and sandbox."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from connectors.sandbox.server import running_sandbox
from mapspec.approval import approve
from mapspec.engine import compile_spec
from sync.runner import RunReport
from sync.settings import Policies
from tests.books import LOCK_DATE, mappings, order_spec
from tests.flows import ROOT, Books, envelope

FIXTURES = ROOT / "fixtures" / "books"
PREFIXES = {"us": "US-", "uk": "UK-"}


def fixture(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FIXTURES / f"order__{name}.json").read_text("utf-8"), parse_float=Decimal)
    return found


@dataclass
class Run:
    """The books after all fixtures went through."""

    books: Books
    report: RunReport

    @cached_property
    def _invoices(self) -> dict[str, dict[str, Any]]:
        return {str(row["invoice_number"]): row for row in self.books.table("invoice")}

    def invoice(self, name: str, *, prefix: str = "") -> dict[str, Any]:
        return self._invoices[prefix + fixture(name)["orderNumber"]]

    def lines(self, name: str) -> list[tuple[str, str, str]]:
        """Name, quantity and unit cost of an invoice's lines."""
        return [(line["name"], str(line["qty"]), line["unit_cost"]["amount"]) for line in self.invoice(name)["lines"]]

    def payments(self, name: str) -> list[tuple[str, str]]:
        """Type and amount of what was paid on an invoice."""
        number = self.invoice(name)["id"]
        rows = [row for row in self.books.table("payment") if row["invoiceid"] == number]
        return sorted((row["type"], row["amount"]["amount"]) for row in rows)

    def client(self, name: str) -> dict[str, Any]:
        number = self.invoice(name)["customerid"]
        return next(row for row in self.books.table("client") if row["id"] == number)

    def held(self, name: str) -> str | None:
        wanted = fixture(name)["id"]
        lines = (line for line in self.report.status["held"] if line["entity"] == "order")
        return next((line["reason_id"] for line in lines if line["id"] == wanted), None)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    folder = tmp_path_factory.mktemp("books")
    with running_sandbox() as sandbox:
        spec = order_spec(tables={"store_prefixes": PREFIXES})
        books = Books(sandbox, folder, mappings(folder, spec), Policies(lock_date=LOCK_DATE))
        names = sorted(path.stem.removeprefix("order__") for path in FIXTURES.glob("order__*.json"))
        yield Run(books, books.run(*[envelope("order.created", fixture(name)) for name in names]))


@pytest.mark.parametrize(
    "name",
    [
        "tax-rounding", "equal-gross-lines", "gross-order-tax-only", "custom-and-deleted-products",
        "discounts-of-all-kinds", "charges-with-own-taxes", "negative-fee", "three-decimal-currency",
        "currency-on-the-lines", "many-payments", "gateway-fee", "gift-card-and-credit", "gift-card-sold",
        "just-before-midnight", "clocks-go-back", "long-and-odd-texts", "free", "odd-quantities",
        "company-first-buyer", "company-second-buyer", "three-taxes", "amounts-without-rates",
        "two-rates-by-amount",
    ],
)  # fmt: skip
def test_the_invoice_comes_to_the_order_s_total_and_is_sent(run: Run, name: str) -> None:
    invoice = run.invoice(name)
    assert Decimal(invoice["amount"]["amount"]) == Decimal(fixture(name)["total"])
    assert invoice["status"] != 1
    assert run.held(name) is None


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("charged-twice", "overpaid"),
        ("closed-period", "closed-period"),
        ("returned-line", "negative-line"),
        ("test-order", "test-order"),
    ],
)
def test_what_may_not_be_posted_is_held_by_name_and_leaves_nothing_sent(run: Run, name: str, reason: str) -> None:
    assert run.held(name) == reason
    assert fixture(name)["orderNumber"] not in run._invoices


def test_every_fixture_is_posted_or_held(run: Run) -> None:
    for path in FIXTURES.glob("order__*.json"):
        name = path.stem.removeprefix("order__")
        number = PREFIXES.get(fixture(name)["storeId"], "") + fixture(name)["orderNumber"]
        assert (run.held(name) is None) == (number in run._invoices), name


def test_a_cent_of_rounding_stands_on_one_marked_line(run: Run) -> None:
    assert run.lines("tax-rounding")[-1] == ("Rounding", "1", "0.02")
    assert len(run.lines("tax-rounding")) == 5


def test_gross_lines_are_netted_from_amounts_and_balance_each_other(run: Run) -> None:
    assert sorted(cost for _, _, cost in run.lines("equal-gross-lines")) == ["8.32"] * 3 + ["8.33"] * 3
    assert run.lines("gross-order-tax-only") == [
        ("Lamp", "1", "10.11"),
        ("Bulb", "1", "5.45"),
        ("Shipping: Post", "1", "1.91"),
    ]


def test_a_line_without_a_known_sku_is_free_text_and_listed(run: Run) -> None:
    names = [name for name, _, _ in run.lines("custom-and-deleted-products")]
    assert names == ["Engraving to your text", "Teapot, no longer sold", "Tray"]
    assert "GONE-7" in {row["sku"] for row in run.report.status["unknown_skus"]}


def test_discounts_are_counted_once_and_zero_is_a_value(run: Run) -> None:
    assert run.lines("discounts-of-all-kinds") == [
        ("Kettle", "1", "44.99"),
        ("Free sample by coupon", "1", "0.00"),
        ("Gift with purchase", "1", "0.00"),
    ]
    assert "list price 50.00, discount 5.01" in run.invoice("discounts-of-all-kinds")["lines"][0]["description"]


def test_every_charge_is_a_line_with_its_own_tax(run: Run) -> None:
    lines = run.invoice("charges-with-own-taxes")["lines"]
    assert {line["name"]: bool(line["taxAmount1"] not in (None, "", "0")) for line in lines} == {
        "Shelf": True,
        "Shipping: Parcel": True,
        "Shipping: Cold pack": False,
        "Handling": False,
        "Fees: Gift wrap": True,
        "Fees: Tip": False,
    }
    assert run.lines("negative-fee") == [("Chair", "1", "95.00")]


def test_invoice_lines_and_payments_are_in_the_order_s_currency(run: Run) -> None:
    for name, code in (("three-decimal-currency", "KWD"), ("currency-on-the-lines", "EUR")):
        invoice = run.invoice(name)
        assert {invoice["currency_code"], *(line["unit_cost"]["code"] for line in invoice["lines"])} == {code}
        assert all(
            row["amount"]["code"] == code for row in run.books.table("payment") if row["invoiceid"] == invoice["id"]
        )
    assert run.lines("three-decimal-currency") == [("Saffron 5 g", "3", "2.505")]


def test_captured_money_alone_is_paid_and_gross_of_the_gateway_s_fee(run: Run) -> None:
    assert run.payments("many-payments") == [("Bank Transfer", "50.00"), ("PayPal", "150.00"), ("VISA", "100.00")]
    assert run.payments("gateway-fee") == [("VISA", "100.00")]
    assert run.payments("free") == []


def test_gift_cards_pay_and_lower_no_price(run: Run) -> None:
    assert run.payments("gift-card-and-credit") == [("Other", "16.50"), ("Other", "50.00"), ("VISA", "150.00")]
    assert run.lines("gift-card-and-credit") == [("Rug", "1", "200.00")]


def test_the_date_is_the_store_s_day(run: Run) -> None:
    assert run.invoice("just-before-midnight")["create_date"] == "2026-03-31"
    assert run.invoice("clocks-go-back")["create_date"] == "2026-11-01"


def test_texts_are_shortened_and_cleaned_and_keep_their_letters(run: Run) -> None:
    lines = run.invoice("long-and-odd-texts")["lines"]
    assert len(lines[0]["name"]) == 255
    assert 990 < len(lines[0]["description"]) <= 1000
    assert lines[1]["name"] == 'Bowl "Koi" & lid'
    assert "track" not in lines[1]["description"]
    client = run.client("long-and-odd-texts")
    assert (client["fname"], client["lname"], client["email"]) == ("Zoë", "O’Sample", "zoe@example.com")


def test_quantities_keep_their_fractions_and_prices_their_decimals(run: Run) -> None:
    assert run.lines("odd-quantities") == [("Cloth per metre", "1", "27.23"), ("Wax per 100 g", "1", "86.42")]
    wax = run.invoice("odd-quantities")["lines"][1]
    assert "7 × 12.345" in wax["description"]


def test_two_stores_may_use_the_same_number(run: Run) -> None:
    assert fixture("store-us")["orderNumber"] == fixture("store-uk")["orderNumber"]
    assert run.invoice("store-us", prefix="US-")["amount"] == {"amount": "11.00", "code": "USD"}
    assert run.invoice("store-uk", prefix="UK-")["amount"] == {"amount": "9.00", "code": "GBP"}


def test_buyers_of_a_company_share_its_client_and_are_named_on_the_invoice(run: Run) -> None:
    first, second = run.invoice("company-first-buyer"), run.invoice("company-second-buyer")
    assert first["customerid"] == second["customerid"]
    assert first["notes"].splitlines()[1] == "Ordered by Mona Buyer"
    assert second["notes"].splitlines()[1] == "Ordered by Nils Buyer"
    assert run.client("company-first-buyer")["organization"] == "Copper Lantern Bistro LLC"


def test_terms_are_understood_or_said_not_to_be(run: Run) -> None:
    assert run.invoice("company-first-buyer")["due_offset_days"] == 30
    assert run.invoice("company-second-buyer")["due_offset_days"] == 0
    said = [note for note in run.report.status["notes"] if "payment terms" in note["message"]]
    assert len(said) == 1
    assert fixture("company-second-buyer")["orderNumber"] in said[0]["record"]


@pytest.mark.parametrize(
    ("terms", "days"),
    [
        ("Net 30", "30"), ("net10", "10"), ("45", "45"), ("14 days", "14"), ("Net 60 days", "60"),
        ("30 days net", "30"),
        ("2/10 net 30", "30"), ("2/10, n/30", "30"), ("1.5% 10 Net 60", "60"), ("n/45", "45"), ("On receipt", "0"),
        ("COD", "0"), ("2/10 EOM", None), ("whenever", None), ("Net 1000", None), ("2/10", None),
    ],
)  # fmt: skip
def test_terms_become_days_or_nothing(terms: str, days: str | None) -> None:
    assert compile_spec(order_spec()).value("values.terms_days", {"paymentTerms": terms}) == days


def test_three_taxes_become_the_one_that_was_approved(run: Run) -> None:
    (line,) = run.invoice("three-taxes")["lines"]
    assert (line["taxName1"], Decimal(line["taxAmount1"])) == ("Louisiana sales tax", Decimal("6.375"))


def test_the_amounts_of_two_rates_tell_their_lines(run: Run) -> None:
    lines = run.invoice("two-rates-by-amount")["lines"]
    assert [(line["name"], Decimal(line["taxAmount1"] or 0)) for line in lines] == [
        ("Desk lamp", 19),
        ("Atlas", 7),
        ("Donation", 0),
        ("Shipping: Paket", 19),
    ]


def test_amounts_without_rates_take_the_one_approved_rate_that_makes_them_all(run: Run) -> None:
    lines = run.invoice("amounts-without-rates")["lines"]
    assert {(line["taxName1"], Decimal(line["taxAmount1"])) for line in lines} == {("Sales tax TX", Decimal("8.25"))}


# --- choices of the mapping ------------------------------------------------------------------------------------------


def test_a_gift_card_that_is_sold_can_be_held_as_a_liability(make_books: Callable[..., Books], tmp_path: Path) -> None:
    spec = order_spec(settings={"gift_cards_sold": "hold"})
    books = make_books(books={"mappings": mappings(tmp_path, spec)})
    held = books.run(envelope("order.created", fixture("gift-card-sold"))).status["held"]
    assert [line["reason_id"] for line in held] == ["gift-card-sold"]
    assert books.table("invoice") == []


def test_unknown_skus_become_items_where_the_mapping_says_so(make_books: Callable[..., Books], tmp_path: Path) -> None:
    spec = order_spec(settings={"unknown_items": "create"})
    books = make_books(books={"mappings": mappings(tmp_path, spec)})
    record = fixture("custom-and-deleted-products")
    assert books.run(envelope("order.created", record)).status["unknown_skus"] == []
    items = {row["sku"]: row for row in books.table("item")}
    assert {sku: (row["name"], row["unit_cost"]["amount"]) for sku, row in items.items()} == {
        "GONE-7": ("Teapot, no longer sold", "30.00"),
        "tray-01": ("Tray", "12.00"),
    }
    assert [row["amount"]["amount"] for row in books.table("invoice")] == ["55.75"]
    again = {**record, "id": "20999", "orderNumber": "WEB-26-20999", "payments": []}
    books.run(envelope("order.created", again))
    assert len(books.table("item")) == 2


def test_invoices_are_posted_without_payments_where_the_mapping_has_no_step_for_them(
    make_books: Callable[..., Books], tmp_path: Path
) -> None:
    """Invoices and payments are two switches: the steps of the flow."""
    spec = order_spec()
    changed = spec.model_copy(
        update={
            "flow": tuple(step for step in spec.flow if step.target != "payment"),
            "targets": {name: there for name, there in spec.targets.items() if name != "payment"},
            "fields": {name: rule for name, rule in spec.fields.items() if not name.startswith("payment.")},
        }
    )
    approved = approve(changed, None, by="books", at="2026-11-22T12:00:00Z")
    folder = mappings(tmp_path, approved)
    (folder / "payment-to-payment.yaml").unlink()
    books = Books(make_books().sandbox, tmp_path, folder)
    report = books.run(envelope("order.created", fixture("many-payments")))
    assert report.status["held"] == []
    (invoice,) = books.table("invoice")
    assert invoice["status"] != 1  # no draft
    assert books.table("payment") == []
