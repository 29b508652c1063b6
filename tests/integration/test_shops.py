"""A newcomer's path with shops that the product was not made for: suggest, approve, preview, run, to the cent.

What is expected is read from the shops' own orders (`tests/shop_oracle.py`), never from the mapping.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from connectors.registry import registry
from mapper_ai.__main__ import main
from mapspec import fingerprint, load_spec, unapproved
from sync.runner import run
from sync.status import read_status
from tests.flows import Books
from tests.shop_oracle import contradicts_itself, expected, orders_of, real_orders, same_books

ROOT = Path(__file__).parents[2]
SHOPS = ("woocommerce", "shopify")
REAL = ROOT.parent / "shared" / "samples"


@dataclass
class Newcomer:
    """A working folder with nothing in it, and the commands that a newcomer types there."""

    folder: Path
    shop: str

    @property
    def spec(self) -> Path:
        return self.folder / "mappings" / f"{self.shop}-freshbooks" / "order-to-invoice.yaml"

    def prepare(self, samples: Path) -> None:
        (self.folder / "mapper.toml").write_text(f'[systems]\nsource = "{self.shop}"\n')
        assert main(["systems", "add", self.shop, "--samples", str(samples)]) == 0
        (self.folder / "mapper.toml").write_text(f'[systems]\nsource = "{self.shop}"\n')
        source = ["--source", f"{self.shop}:order", "--samples", str(samples)]
        assert main(["suggest", *source, "--target", "freshbooks:invoice", "--spec", str(self.spec)]) == 0

    def approve(self) -> None:
        assert main(["approve", str(self.spec), "--all", "--by", "newcomer"]) == 0

    def run(self, books: Books, orders: list[dict[str, Any]]) -> Any:
        events = self.folder / "orders.ndjson"
        events.write_text("".join(json.dumps(order) + "\n" for order in orders), encoding="utf-8")
        settings = books.settings.model_copy(update={"source": registry(self.folder / "mapper.toml").get(self.shop)})
        return run(settings, self.spec.parent, events=events, max_wait_s=60)


def held_of(books: Books) -> set[str]:
    found = read_status(books.settings.store_url)["held"]
    return {row["id"] for row in found if row["kind"] == "held"}


@pytest.fixture
def newcomer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Newcomer]]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MAPPER_CONFIG", raising=False)
    yield lambda shop: Newcomer(tmp_path, shop)


@pytest.mark.parametrize("shop", SHOPS)
def test_the_path_ends_in_books_that_agree_with_the_shops_own_totals(
    shop: str, newcomer: Callable[[str], Newcomer], make_books: Callable[..., Books]
) -> None:
    new, books, samples = newcomer(shop), make_books(), ROOT / "fixtures" / shop
    new.prepare(samples)
    new.approve()
    orders = orders_of(samples)
    new.run(books, orders)
    same_books(books, [expected(shop, order) for order in orders], held_of(books))


def shipped(shop: str, books: Books, orders: list[dict[str, Any]], tmp_path: Path) -> None:
    """One run of the mapping set that ships, over the shop's own bodies."""
    config = tmp_path / "mapper.toml"
    if not config.exists():
        assert main(["systems", "add", shop, "--samples", str(ROOT / "fixtures" / shop)]) == 0
        config.write_text(f'[systems]\nsource = "{shop}"\n')
    events = tmp_path / "orders.ndjson"
    events.write_text("".join(json.dumps(order) + "\n" for order in orders), encoding="utf-8")
    settings = books.settings.model_copy(update={"source": registry(config).get(shop)})
    run(settings, ROOT / "mappings" / f"{shop}-freshbooks", events=events, max_wait_s=60)


@pytest.mark.parametrize("shop", SHOPS)
@pytest.mark.parametrize("rounding", ["total", "half_even_line"])
def test_the_shipped_mappings_agree_however_freshbooks_rounds_and_do_nothing_twice(
    shop: str, rounding: str, make_books: Callable[..., Books], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    books, orders = make_books(rounding=rounding), orders_of(ROOT / "fixtures" / shop)
    wanted = [expected(shop, order) for order in orders]
    shipped(shop, books, orders, tmp_path)
    same_books(books, wanted, held_of(books))
    writes = len(books.writes())
    stamp = {"woocommerce": "date_modified", "shopify": "updated_at"}[shop]
    shipped(shop, books, [{**order, stamp: "2027-01-05T10:00:00"} for order in orders], tmp_path)
    same_books(books, wanted, held_of(books))
    assert len(books.writes()) == writes


@pytest.mark.parametrize(
    ("shop", "name", "change", "reason"),
    [
        ("woocommerce", "plain-card", {"total": "88.00"}, "the order's total is not"),
        ("woocommerce", "plain-card", {"status": "wc-lost-in-transit"}, "the status is not known"),
        ("woocommerce", "plain-card", {"refunds": [{"id": 1, "total": "-5.00"}]}, "a part of the order was refunded"),
        ("shopify", "plain-card", {"total_price": "110.00"}, "the order's total is not"),
        ("shopify", "plain-card", {"total_tip_received": "4.00"}, "the order's total is not"),
        ("shopify", "plain-card", {"financial_status": "partially_refunded"}, "a part of the order was refunded"),
    ],
)
def test_what_does_not_add_up_is_held_with_the_reason_and_never_posted(
    shop: str,
    name: str,
    change: dict[str, Any],
    reason: str,
    books: Books,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    order = json.loads((ROOT / "fixtures" / shop / f"order__{name}.json").read_text("utf-8"))
    shipped(shop, books, [{**order, **change}], tmp_path)
    (row,) = read_status(books.settings.store_url)["held"]
    assert row["kind"] == "held" and reason in row["reason"]
    assert books.table("invoice") == []


def test_a_refund_after_the_invoice_is_held_and_the_invoice_stays(
    books: Books, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    order = json.loads((ROOT / "fixtures" / "woocommerce" / "order__plain-card.json").read_text("utf-8"))
    shipped("woocommerce", books, [order], tmp_path)
    (before,) = books.table("invoice")
    back = {"status": "refunded", "refunds": [{"id": 1, "total": f"-{order['total']}"}]}
    shipped("woocommerce", books, [{**order, **back, "date_modified": "2027-01-05T10:00:00"}], tmp_path)
    (row,) = read_status(books.settings.store_url)["held"]
    assert "FreshBooks invoice" in row["reason"]
    assert books.table("invoice") == [before]


def test_customers_are_created_once_and_guests_never_share_customer_zero(
    books: Books, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shipped("woocommerce", books, orders_of(ROOT / "fixtures" / "woocommerce"), tmp_path)
    emails = [row["email"] for row in books.table("client") if row.get("email")]
    assert len(emails) == len(set(emails)) == 4
    assert not any(str(row.get("note", "")).endswith(" 0") for row in books.table("client"))


@pytest.mark.parametrize("shop", SHOPS)
def test_the_shipped_mapping_is_what_the_tool_proposes_without_an_edit(
    shop: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = tmp_path / f"{shop}-freshbooks" / "order-to-invoice.yaml"
    source = ["--source", str(ROOT / "fixtures" / shop), "--no-history"]
    assert main(["suggest", *source, "--target", "freshbooks:invoice", "--spec", str(made)]) == 0
    text = (ROOT / "mappings" / f"{shop}-freshbooks" / "order-to-invoice.yaml").read_text("utf-8")
    kept = load_spec(text)
    assert fingerprint(load_spec(made.read_text("utf-8"))) == fingerprint(kept)
    assert unapproved(kept) == []


@pytest.mark.skipif(not REAL.is_dir(), reason="the recorded samples are not part of this tree")
@pytest.mark.parametrize("shop", SHOPS)
def test_the_path_on_the_vendors_own_samples(
    shop: str, newcomer: Callable[[str], Newcomer], make_books: Callable[..., Books], tmp_path: Path
) -> None:
    orders = real_orders(shop, REAL)
    samples = tmp_path / "samples"
    samples.mkdir()
    for order in orders:
        (samples / f"order__{order['id']}.json").write_text(json.dumps(order), encoding="utf-8")
    new, books = newcomer(shop), make_books()
    new.prepare(samples)
    new.approve()
    new.run(books, orders)
    wanted = [
        replace(row, fate="held") if row.fate == "posted" and contradicts_itself(shop, order) else row
        for order in orders
        for row in [expected(shop, order)]
    ]
    assert sum(row.fate == "posted" for row in wanted) >= 1
    same_books(books, wanted, held_of(books))
