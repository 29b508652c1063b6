"""Lists of Clarity's framework: pages that move while they are read, records that cannot be had, hashes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from connectors.clarity_port import Row
from connectors.errors import ConnectorError, RateLimitedError, RejectedError, TransientError
from connectors.http import unusable

_FAILING: Final = 3  # so many records in a row that cannot be had are the server's fault
_SHRINKING: Final = 20  # times that a list may become shorter while it is read


@dataclass(frozen=True)
class ListPage:
    """Rows of a page, and how many pages and records there are; None where the server does not say."""

    rows: list[Row]
    pages: int | None = None
    total: int | None = None


def page_of(body: Any, operation: str) -> ListPage:
    """Read one answer; an empty list is left out of it like every empty member.

    Raises:
        ConnectorError: It holds no records of the framework.
    """
    pages = total = None
    if isinstance(body, dict) and {"Results", "TotalCount", "CurrentCount"} & body.keys():
        rows, pages, total = body.get("Results", []), body.get("TotalPages"), body.get("TotalCount")
    else:
        rows = [] if body is None else body
    if isinstance(rows, list) and rows and all(isinstance(row, dict) and "id" in row for row in rows):
        raise ConnectorError(f"{operation}: these are not records of Clarity's framework; set CLARITY_FLAVOUR=rest")
    if not isinstance(rows, list) or not all(isinstance(row, dict) and row.get("ID") is not None for row in rows):
        raise unusable("GET", operation, "list of records with ID")
    return ListPage(rows, pages if isinstance(pages, int) else None, total if isinstance(total, int) else None)


def in_pages(
    fetch: Callable[[int], ListPage], operation: str, *, size: int, first: int = 1
) -> Iterator[tuple[int, list[Row]]]:
    """Number and rows of every page from `first` on, no row twice, and none missed that a deletion has moved.

    Raises:
        ConnectorError: A page was repeated, or the list kept becoming shorter: it cannot be trusted to end.
    """
    number, listed, shrunk = first, 0, 0
    before: list[tuple[str, str]] = []
    seen: set[str] = set()
    while True:
        page = fetch(number)
        keys = [(str(row["ID"]), str(row.get("UpdatedDate"))) for row in page.rows]
        if page.total is not None and page.total < listed and number > first:
            # What was deleted has moved the rows behind it forward, over the border of pages that were read already.
            shrunk += 1
            if shrunk > _SHRINKING:
                raise ConnectorError(f"{operation}: the list became shorter {shrunk} times while it was read")
            number = max(first, number + (page.total - listed) // size)
            listed, before = page.total, []
            continue
        if keys and keys == before:
            raise ConnectorError(f"{operation}: page {number} repeats the page before")
        yield number, [row for row in page.rows if str(row["ID"]) not in seen]
        # More rows than asked for is an unpaged list; it is complete.
        if not keys or not (number < page.pages if page.pages is not None else len(keys) == size):
            return
        seen.update(identifier for identifier, _ in keys)
        listed, before, number = page.total or 0, keys, number + 1


class Failures:
    """What single records failed with: a store may fail at some for ever, and the others are to be read."""

    def __init__(self) -> None:
        self.in_a_row = 0
        self._first: ConnectorError | None = None

    def add(self, error: ConnectorError) -> None:
        """Go on after this one; raises it where going on is of no use."""
        self.in_a_row += 1
        about_one = isinstance(error, RejectedError | TransientError) and not isinstance(error, RateLimitedError)
        if not about_one or self.in_a_row == _FAILING:
            raise error
        self._first = self._first or error

    def tell(self) -> None:
        """Raise the first of what was passed over."""
        if self._first is not None:
            raise self._first


def hash_of(row: Mapping[str, Any]) -> int | None:
    """A record's hash, also where it came as text because it has more digits than some readers keep."""
    value = row.get("Hash")
    if isinstance(value, bool) or not isinstance(value, int | str):
        return None
    try:
        return int(value)
    except ValueError:
        return None
