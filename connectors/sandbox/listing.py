"""Lists of the FreshBooks stand-in: filters, sorting and paging.

A filter that a resource does not know is ignored silently, as FreshBooks ignores it: the whole list comes back.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from connectors.sandbox import errors, filters
from connectors.sandbox.books import Books
from connectors.sandbox.errors import AccountingError
from connectors.sandbox.resources import Resource
from connectors.sandbox.wire import JsonObject

Row = TypeVar("Row")
Pairs = Sequence[tuple[str, str]]
"""Decoded query parameters in the order sent."""

DEFAULT_PER_PAGE = 15
MAX_PER_PAGE = 100
_SEARCH = re.compile(r"^search\[(?P<name>[^\]]+)\](?P<many>\[\])?$")

_SORTS: dict[str, dict[str, Callable[[JsonObject], Any]]] = {
    "client": {
        "organization_name": lambda client: client["organization"],
        "fullname": lambda client: f"{client['fname']} {client['lname']}",
        "email": lambda client: client["email"],
        "updated": lambda client: client["updated"],
    },
    "invoice": {"invoice_date": lambda invoice: invoice["create_date"]},
}
"""The only keys seen to work; every other one is ignored."""


def select(books: Books, resource: Resource, query: Pairs) -> list[JsonObject]:
    """Records that pass every known filter, sorted; deleted ones only when vis_state asks for them.

    Raises:
        AccountingError: A filter's value has the wrong type (1023, 1024, 1032).
    """
    tests: list[filters.Test] = []
    visible: frozenset[int] = frozenset({0, 2})
    many: dict[str, list[str]] = {}
    for key, value in query:
        match = _SEARCH.match(key)
        if match is None:
            continue
        name = match["name"]
        if name == "vis_state" and resource.has_vis_state:
            visible = frozenset({filters.whole_number(name, value)})
        elif match["many"]:
            many.setdefault(name, []).append(value)
        else:
            tests += filters.single(books, resource, name, value)
    for name, values in many.items():
        tests += filters.among(resource, name, values)
    found = [
        record
        for record in books.tables[resource.name].values()
        if record.get("vis_state", 0) in visible
        and books.is_listed(record)
        and all(test(books, record) for test in tests)
    ]
    return _sorted(resource, found, dict(query).get("sort", ""))


def page_of(records: Sequence[Row], query: Pairs) -> tuple[list[Row], JsonObject]:
    """One page and its numbers.

    Page 0 counts as 1; behind the last page the list is empty; `pages` is 0 when there is nothing; more than 100 a
    page are cut to 100 silently.

    Raises:
        AccountingError: errno 1013 for per_page, 1014 for page.
    """
    sent = dict(query)
    per_page = _whole(sent.get("per_page", str(DEFAULT_PER_PAGE)))
    if per_page is None or per_page < 1:
        message = "per_page must be a positive integer."
        raise AccountingError(422, errors.INVALID_PER_PAGE, message, "per_page", "", sent["per_page"])
    page = _whole(sent.get("page", "1"))
    if page is None or page < 0:
        message = "page must be a positive integer."
        raise AccountingError(422, errors.INVALID_PAGE, message, "page", "", sent["page"])
    page, per_page = max(page, 1), min(per_page, MAX_PER_PAGE)
    total = len(records)
    numbers = {"page": page, "pages": -(-total // per_page), "per_page": per_page, "total": total}
    return list(records[(page - 1) * per_page : page * per_page]), numbers


def _sorted(resource: Resource, records: list[JsonObject], sort: str) -> list[JsonObject]:
    name, _, direction = sort.rpartition("_")
    getter = _SORTS.get(resource.name, {}).get(name)
    if getter is None or direction not in ("asc", "desc"):
        return records
    return sorted(records, key=lambda record: str(getter(record)).casefold(), reverse=direction == "desc")


def _whole(text: str) -> int | None:
    return int(text) if re.fullmatch(r"-?[0-9]{1,9}", text) else None
