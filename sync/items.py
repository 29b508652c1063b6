"""SKUs among FreshBooks' items, remembered for a while: the same few SKUs stand on most orders."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from connectors.freshbooks import FreshBooks, normalised

REMEMBERED_S: Final = 300.0


class ItemFinder:
    """Finds items by SKU; an answer is kept for five minutes."""

    def __init__(self, freshbooks: FreshBooks, now: Callable[[], float], *, exact: bool = False) -> None:
        """Ask nothing yet; `exact` compares SKUs letter by letter (A36)."""
        self._freshbooks = freshbooks
        self._now = now
        self._exact = exact
        self._known: dict[str, tuple[float, list[dict[str, Any]]]] = {}

    def find(self, sku: str) -> list[dict[str, Any]]:
        """Items with this SKU, compared as A36 says (trimmed and without case); empty when there is none."""
        name = sku if self._exact else normalised(sku)
        known = self._known.get(name)
        if known is not None and known[0] > self._now():
            return known[1]
        rows = self._freshbooks.find_items_by_sku(sku)
        if self._exact:
            rows = [row for row in rows if row.get("sku") == sku]
        self._known[name] = (self._now() + REMEMBERED_S, rows)
        return rows
