"""Read-only searches in FreshBooks, remembered for a while: the same few SKUs and taxes stand on most orders."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, Final

from connectors.freshbooks import FreshBooks, normalised
from mapspec import Lookup
from mapspec.conditions import fold
from sync.outcome import held

REMEMBERED_S: Final = 300.0
MOST_REMEMBERED: Final = 10_000  # a shop's SKUs fit; who is never asked for again must not fill the memory
_NAMED: Final = {"email": "e-mail", "sku": "SKU"}

Row = dict[str, Any]


class Finder:
    """Finds records by what a `lookup` step may search by (`mapspec.model.LOOKUPS`); an answer is kept for a while."""

    def __init__(
        self,
        freshbooks: FreshBooks,
        now: Callable[[], float],
        *,
        exact_skus: bool = False,
        alias: Callable[[str], str] = str,
    ) -> None:
        """Ask nothing yet.

        Args:
            exact_skus: Compares SKUs letter by letter (A36).
            alias: The SKU that an operator has put in a SKU's place; itself without one.
        """
        self._alias = alias
        self._freshbooks = freshbooks
        self._now = now
        self._exact_skus = exact_skus
        self._known: dict[tuple[str, str, str], tuple[float, list[Row]]] = {}

    def find(self, lookup: Lookup) -> list[Row]:
        """The records that have the value, compared trimmed and without case (SKUs as A36 says), without deleted ones.

        Raises:
            EndedError: Nothing proves what such a search finds.
            ConnectorError: The request failed.
        """
        if (lookup.entity, lookup.field) == ("item", "sku"):
            lookup = replace(lookup, value=self._alias(lookup.value))
        exact = self._exact_skus and (lookup.entity, lookup.field) == ("item", "sku")
        key = (lookup.entity, lookup.field, lookup.value if exact else normalised(lookup.value))
        known = self._known.get(key)
        if known is not None and known[0] > self._now():
            return known[1]
        rows = self._search(lookup)
        if exact:
            rows = [row for row in rows if row.get("sku") == lookup.value]
        if len(self._known) >= MOST_REMEMBERED:
            self._known = {}
        self._known[key] = (self._now() + REMEMBERED_S, rows)
        return rows

    def _search(self, lookup: Lookup) -> list[Row]:
        match lookup.entity, lookup.field:
            case "item", "sku":
                return self._freshbooks.find_items_by_sku(lookup.value)
            case "client", "email":
                return [row for row in self._freshbooks.find_clients_by_email(lookup.value) if not row.get("vis_state")]
            case "tax", "name":
                return self._freshbooks.find_taxes(lookup.value)
        raise held("no-such-lookup", f"{lookup.entity} cannot be looked up by {lookup.field}")


def gather(lookups: Iterable[Lookup], finder: Finder) -> dict[tuple[str, str], Row | None]:
    """What the lookups find, for `CompiledSpec.apply`.

    Raises:
        EndedError: Several records have a value: none is the first.
        ConnectorError: A request failed.
    """
    found: dict[tuple[str, str], Row | None] = {}
    for lookup in lookups:
        rows = finder.find(lookup)
        if len(rows) > 1:
            ids = ", ".join(sorted(str(row["id"]) for row in rows))
            named = _NAMED.get(lookup.field, lookup.field)
            message = f"{lookup.where}: FreshBooks has {len(rows)} records of kind {lookup.entity} with this {named}"
            raise held(f"several-{lookup.entity}s", f"{message} ({ids}): keep one")
        found[lookup.step, fold(lookup.value)] = rows[0] if rows else None
    return found
