"""A newcomer's path with shops that the product was not made for: suggest, approve, preview, run, to the cent.

What is expected is read from the shops' own orders (`tests/shop_oracle.py`), never from the mapping.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from connectors.registry import registry
from mapper_ai.__main__ import main
from sync.runner import run
from sync.status import read_status
from tests.flows import Books
from tests.shop_oracle import expected, orders_of, same_books

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
