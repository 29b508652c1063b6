"""Pages of the framework's lists that move while they are read, and the orders of payments."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.cef_answers import OrdersOfPayments
from connectors.cef_lists import Failures, ListPage, hash_of, in_pages
from connectors.errors import ConnectorError, RateLimitedError, RejectedError, TransientError


class Shelf:
    """A list of ids of which some are deleted before a page is asked for."""

    def __init__(self, ids: list[int], size: int, deleted: dict[int, set[int]]) -> None:
        self.ids, self.size, self.deleted = ids, size, deleted
        self.asked = 0

    def __call__(self, number: int) -> ListPage:
        self.asked += 1
        gone = self.deleted.pop(self.asked, set())
        self.ids = [one for one in self.ids if one not in gone]
        rows = [{"ID": one} for one in self.ids[(number - 1) * self.size : number * self.size]]
        return ListPage(rows, -(-len(self.ids) // self.size), len(self.ids))


@given(
    st.integers(1, 40),
    st.integers(1, 7),
    st.dictionaries(st.integers(1, 12), st.sets(st.integers(1, 40), max_size=9), max_size=6),
)
def test_no_row_is_missed_or_given_twice_whatever_is_deleted_meanwhile(
    count: int, size: int, deleted: dict[int, set[int]]
) -> None:
    shelf = Shelf(list(range(1, count + 1)), size, {at: set(gone) for at, gone in deleted.items()})
    read = [row["ID"] for _, rows in in_pages(shelf, "GET /X", size=size) for row in rows]
    assert len(read) == len(set(read))
    assert set(shelf.ids) <= set(read)


def test_a_list_that_always_becomes_shorter_is_not_believed() -> None:
    shelf = Shelf(list(range(1, 2001)), 10, {at: {2001 - at} for at in range(2, 500)})
    with pytest.raises(ConnectorError, match="became shorter"):
        list(in_pages(shelf, "GET /X", size=10))


def test_a_page_that_repeats_the_one_before_is_not_believed() -> None:
    with pytest.raises(ConnectorError, match="page 2 repeats"):
        list(in_pages(lambda _number: ListPage([{"ID": 1}], 3, 3), "GET /X", size=1))


@pytest.mark.parametrize(
    ("value", "wanted"),
    [(7, 7), ("-9123456789012345678", -9123456789012345678), ("", None), (None, None), (True, None)],
)
def test_a_hash_is_a_number_however_it_is_written(value: Any, wanted: int | None) -> None:
    assert hash_of({"Hash": value}) == wanted


def test_what_is_no_single_record_s_fault_is_raised_at_once() -> None:
    with pytest.raises(RateLimitedError):
        Failures().add(RateLimitedError("later", 1.0))
    failures = Failures()
    for _ in range(2):
        failures.add(TransientError("busy"))
    with pytest.raises(RejectedError, match="third"):
        failures.add(RejectedError(200, None, None, "third"))
    with pytest.raises(TransientError):
        failures.tell()


class Relations:
    """Relation rows by page, the newest first."""

    def __init__(self, *pages: list[dict[str, Any]]) -> None:
        self.pages, self.read = list(pages), 0
        self.limit: int | None = None

    def __call__(self, done: set[int]) -> Iterator[list[dict[str, Any]]]:
        for number, rows in enumerate(self.pages):
            if self.limit is not None and self.read == self.limit:
                raise RateLimitedError("later", 1.0)
            if len(self.pages) - number not in done:
                self.read += 1
                yield rows
                if number:
                    done.add(len(self.pages) - number)


def relation(payment: int, order: int, **more: Any) -> dict[str, Any]:
    return {"ID": payment, "SlaveID": payment, "MasterID": order, "MasterKey": f"W-{order}", **more}


def test_only_what_is_needed_is_read_and_what_was_read_stays_known() -> None:
    relations = Relations([relation(4, 40), relation(3, 30)], [relation(2, 20), relation(1, 10)])
    orders = OrdersOfPayments(relations)
    joined = orders.looking()
    assert joined({"ID": 4}) == {"ID": 4, "MasterID": 40, "MasterKey": "W-40"}
    assert relations.read == 1
    assert joined({"ID": 1})["MasterID"] == 10
    assert joined({"ID": 99}) == {"ID": 99}
    assert relations.read == 2
    relations.pages[0:0] = [[relation(5, 50)]]
    again = orders.looking()
    assert again({"ID": 2})["MasterID"] == 20
    assert again({"ID": 5})["MasterID"] == 50
    assert again({"ID": 99}) == {"ID": 99}
    assert relations.read == 4  # the new page, and the one that was the newest before


def test_a_relation_that_was_taken_back_names_no_order() -> None:
    orders = OrdersOfPayments(Relations([relation(1, 10, Active=False)], [relation(1, 20)]))
    assert orders.looking()({"ID": 1})["MasterID"] == 20


def test_reading_that_the_rate_limit_ended_goes_on_where_it_was() -> None:
    relations = Relations(*([relation(number, number * 10)] for number in range(9, 0, -1)))
    orders = OrdersOfPayments(relations)
    for limit in (4, 7):
        relations.limit = limit
        with pytest.raises(RateLimitedError):
            orders.looking()({"ID": 1})
    relations.limit = None
    assert orders.looking()({"ID": 1})["MasterID"] == 10
    assert relations.read == 9 + 2  # the newest page is read by each
