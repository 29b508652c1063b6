"""Envelopes and paging that FreshBooks' accounting and events share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from connectors.errors import ConnectorError
from connectors.http import Api, unusable

PAGE_SIZE = 100
"""The server's silent maximum (FreshBooks docs, parameters)."""

Row = dict[str, Any]


def result_of(body: Any) -> Mapping[str, Any]:
    """The inside of `{"response": {"result": {...}}}`, empty when the envelope is another one."""
    response = body.get("response") if isinstance(body, dict) else None
    result = response.get("result") if isinstance(response, dict) else None
    return result if isinstance(result, dict) else {}


def has_id(row: Any, id_key: str) -> bool:
    """Whether something is an object with an id."""
    return isinstance(row, dict) and row.get(id_key) is not None


def read_pages(
    api: Api,
    path: str,
    *,
    list_key: str,
    id_key: str,
    query: Sequence[tuple[str, str]],
    operation: str,
    complete: bool = False,
) -> Iterator[Row]:
    """List rows, page by page, each id once.

    Args:
        complete: Count the rows as well: fewer than the server names in the end is an error.

    Raises:
        ConnectorError: A page was repeated, or empty before the last one, so the list cannot be trusted to end; rows
            are missing; or the request failed.
    """
    seen_ids: set[str] = set()
    seen_pages: set[tuple[str, ...]] = set()
    page = 1
    while True:
        asked = [*query, ("page", str(page)), ("per_page", str(PAGE_SIZE))]
        result = result_of(api.request("GET", path, query=asked, operation=operation))
        rows = result.get(list_key)
        if not isinstance(rows, list) or not all(has_id(row, id_key) for row in rows):
            raise unusable("GET", operation, f"list {list_key} of objects with {id_key}")
        ids = tuple(str(row[id_key]) for row in rows)
        if rows and ids in seen_pages:
            raise ConnectorError(f"{operation}: page {page} repeats an earlier page")
        seen_pages.add(ids)
        for row, row_id in zip(rows, ids, strict=True):
            if row_id not in seen_ids:  # rows shift between pages when others write meanwhile
                seen_ids.add(row_id)
                yield row
        pages, total = result.get("pages"), result.get("total")
        if not rows and isinstance(pages, int) and page < pages:
            raise ConnectorError(f"{operation}: page {page} of {pages} is empty")
        if not rows or (page >= pages if isinstance(pages, int) else len(rows) < PAGE_SIZE):
            if complete and isinstance(total, int) and len(seen_ids) < total:
                raise ConnectorError(f"{operation}: {len(seen_ids)} of {total} rows came; was the list being changed?")
            return
        page += 1
