"""Polling Clarity's framework by digests: what changed, how it is fetched, and what happens without them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from connectors.cef_session import CefSession
from connectors.clarity_cef import ClarityCef
from connectors.profiles import load_profile
from connectors.sandbox.cef_books import CefError, failed
from connectors.sandbox.server import Sandbox, running_sandbox
from sync import records
from sync.budget import Budget
from sync.poll import poll_clarity
from sync.reading import reading_of
from sync.store import Store, open_store
from sync.store import inbox as inbox_table

CEF = load_profile("clarity-cef")


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with running_sandbox() as running:
        yield running


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(f"sqlite:///{tmp_path}/store.db")
    yield opened
    opened.close()


def connect(sandbox: Sandbox, pace: Budget | None = None, **settings: Any) -> ClarityCef:
    session = CefSession(base_url=sandbox.cef_url, user_name=sandbox.cef_user_name, password=sandbox.cef_password)
    profile = CEF.with_settings({"A10": "none", "A37": {"fetch": False}, **settings})
    return ClarityCef(base_url=sandbox.cef_url, session=session, timeout_s=5, profile=profile, pace=pace)


def put(sandbox: Sandbox, entity: str, *rows: dict[str, Any]) -> None:
    with sandbox.state.lock:
        for row in rows:
            sandbox.state.cef.put(entity, row)


def products(*numbers: int, **more: Any) -> list[dict[str, Any]]:
    return [{"ID": number, "CustomKey": f"SKU-{number}", "Name": f"Thing {number}", **more} for number in numbers]


def asked(sandbox: Sandbox) -> list[str]:
    with sandbox.state.lock:
        paths = [entry["path"].partition("API-Admin")[2] for entry in sandbox.state.history]
        sandbox.state.history.clear()
    return [path for path in paths if path and not path.startswith("/auth")]


def inbox_sources(store: Store) -> list[str]:
    return [row.source for row in store.rows(sa.select(inbox_table.c.source))]


def poll(store: Store, clarity: ClarityCef, entity: str = "product", **options: Any) -> Any:
    report = poll_clarity(store, clarity, now=1.0, entities=[entity], reading=reading_of(CEF), **options)
    assert report.problems == []
    return report.result


def test_few_changes_are_fetched_one_by_one_and_no_change_costs_one_request(sandbox: Sandbox, store: Store) -> None:
    put(sandbox, "Product", *products(1, 2, 3))
    with connect(sandbox) as clarity:
        assert poll(store, clarity).new == 3
        assert asked(sandbox) == ["/Products/ProductsDigest", *(f"/Products/Product/ID/{n}" for n in (1, 2, 3))]
        assert (poll(store, clarity).new, asked(sandbox)) == (0, ["/Products/ProductsDigest"])
        put(sandbox, "Product", *products(2, Name="Other"))
        assert poll(store, clarity).new == 1
        assert asked(sandbox) == ["/Products/ProductsDigest", "/Products/Product/ID/2"]
    known = records.latest(store, "product:2")
    assert known is not None
    assert known.payload["Name"] == "Other"


def test_a_change_that_leaves_the_time_alone_is_seen(sandbox: Sandbox, store: Store) -> None:
    put(sandbox, "Product", *products(1, UpdatedDate="2026-03-01T10:00:00"))
    with connect(sandbox) as clarity:
        poll(store, clarity)
        put(sandbox, "Product", *products(1, UpdatedDate="2026-03-01T10:00:00", Name="Other"))
        assert poll(store, clarity).new == 1


def test_many_flat_records_come_in_one_bulk_answer(sandbox: Sandbox, store: Store) -> None:
    put(sandbox, "Product", *products(*range(1, 9)))
    with connect(sandbox, A7={"size": 5, "first": 1}) as clarity:
        assert poll(store, clarity).new == 8
        assert asked(sandbox) == ["/Products/ProductsDigest", "/Products/ProductsForConnect"]


def test_without_the_bulk_route_they_are_fetched_one_by_one(
    sandbox: Sandbox, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lacking(entity: str) -> list[dict[str, Any]]:
        raise CefError(404, "NotFound", f"No such address of {entity}.")

    monkeypatch.setattr(sandbox.state.cef, "for_connect", lacking)
    put(sandbox, "Product", *products(*range(1, 9)))
    with connect(sandbox, A7={"size": 5, "first": 1}) as clarity:
        assert poll(store, clarity).new == 8


@pytest.mark.parametrize(("lists", "pages", "singly"), [("whole", 3, 0), ("flat", 1, 12)])
def test_pages_are_read_where_they_have_the_records_whole(store: Store, lists: str, pages: int, singly: int) -> None:
    with running_sandbox(cef_lists=lists) as sandbox:
        contact = {"ID": 1, "FirstName": "Ana"}
        users = [{"ID": number, "Email": "a@example.com", "Contact": contact} for number in range(1, 13)]
        put(sandbox, "User", *users)
        with connect(sandbox, A7={"size": 5, "first": 1}) as clarity:
            assert poll(store, clarity, "customer").new == 12
            paths = asked(sandbox)
            assert (paths.count("/Contacts/Users"), len(paths) - paths.count("/Contacts/Users") - 1) == (pages, singly)


class Failing:
    """A store that cannot give some of its orders."""

    def __init__(self, sandbox: Sandbox, *ids: int) -> None:
        self._get = sandbox.state.cef.get
        self.ids = {str(one) for one in ids}
        sandbox.state.cef.get = self  # type: ignore[method-assign]

    def __call__(self, entity: str, by: str, value: str) -> Any:
        if entity == "SalesOrder" and value in self.ids:
            return failed("ERROR! Object reference not set to an instance of an object.")
        return self._get(entity, by, value)


def orders(*numbers: int) -> list[dict[str, Any]]:
    line = {"ID": 1, "Sku": "A", "Quantity": 1}
    day = "2026-03-01T10:00:00"
    return [{"ID": one, "CustomKey": f"W-{one}", "SalesItems": [line], "UpdatedDate": day} for one in numbers]


def test_one_record_that_cannot_be_read_does_not_keep_back_the_others(sandbox: Sandbox, store: Store) -> None:
    put(sandbox, "SalesOrder", *orders(1, 2, 3))
    bad = Failing(sandbox, 2)
    with connect(sandbox) as clarity:
        report = poll_clarity(store, clarity, now=1.0, entities=["order"], reading=reading_of(CEF))
        assert report.result.new == 2
        assert "Object reference" in report.problems[0]
        asked(sandbox)
        bad.ids.clear()
        assert poll(store, clarity, "order").new == 1  # it alone is asked for again
        assert asked(sandbox) == ["/Ordering/SalesOrdersDigest", "/Ordering/SalesOrder/ID/2"]


def test_a_server_that_can_give_none_is_not_asked_for_all(sandbox: Sandbox, store: Store) -> None:
    put(sandbox, "SalesOrder", *orders(*range(1, 21)))
    Failing(sandbox, *range(2, 21))
    with connect(sandbox) as clarity:
        report = poll_clarity(store, clarity, now=1.0, entities=["order"], reading=reading_of(CEF))
    assert report.result.new == 1
    assert len(report.problems) == 1
    assert len([path for path in asked(sandbox) if "/ID/" in path]) == 4


def test_a_poll_that_the_rate_limit_ends_goes_on_where_it_was(sandbox: Sandbox, store: Store) -> None:
    put(sandbox, "SalesOrder", *orders(*range(1, 31)))
    clock = [0.0]
    budget = Budget(store, "clarity", 20, now=lambda: clock[0], clock=lambda: clock[0], sleep=lambda _s: None)
    seen: list[int] = []
    with connect(sandbox, pace=budget) as clarity:
        while len(seen) < 5:
            report = poll_clarity(store, clarity, now=1.0, entities=["order"], reading=reading_of(CEF))
            seen.append(report.result.new)
            if not report.problems:
                break
            assert report.go_on_in_s is not None
            clock[0] += report.go_on_in_s
    assert (len(seen), sum(seen)) == (2, 30)
    assert set(inbox_sources(store)) == {"backfill"}  # all of it was a first poll


def test_the_start_date_counts_until_a_first_poll_has_come_to_its_end(sandbox: Sandbox, store: Store) -> None:
    put(sandbox, "SalesOrder", *orders(1, 2, 3, 4))
    put(sandbox, "SalesOrder", {**orders(4)[0], "UpdatedDate": "2026-01-01T10:00:00"})
    bad = Failing(sandbox, 3)
    with connect(sandbox) as clarity:
        since = {"start_date": date(2026, 2, 1), "entities": ["order"], "reading": reading_of(CEF)}
        assert poll_clarity(store, clarity, now=1.0, **since).result.new == 2  # type: ignore[arg-type]
        bad.ids.clear()
        assert poll(store, clarity, "order", start_date=date(2026, 2, 1)).new == 1


def test_the_start_date_leaves_out_what_is_older_and_only_at_first(sandbox: Sandbox, store: Store) -> None:
    put(sandbox, "Product", *products(1, UpdatedDate="2026-01-31T10:00:00"))
    put(sandbox, "Product", *products(2, UpdatedDate="2026-02-01T10:00:00"))
    with connect(sandbox) as clarity:
        assert poll(store, clarity, start_date=date(2026, 2, 1)).new == 1
        put(sandbox, "Product", *products(1, UpdatedDate="2026-01-31T10:00:00", Name="Other"))
        assert poll(store, clarity, start_date=date(2026, 2, 1)).new == 1


@pytest.mark.parametrize("missing", ["hashes", "route", "setting"])
def test_without_digests_it_is_asked_by_last_change(sandbox: Sandbox, store: Store, missing: str) -> None:
    put(sandbox, "Product", *products(1, UpdatedDate="2026-03-01T10:00:00"))
    digest = sandbox.state.cef.digest

    def lacking(entity: str) -> list[dict[str, Any]]:
        if missing == "route":
            raise CefError(404, "NotFound", "No such address.")
        return [{"ID": row["ID"]} for row in digest(entity)]

    if missing != "setting":
        sandbox.state.cef.digest = lacking  # type: ignore[method-assign]
    with connect(sandbox, A8={"by": "modified" if missing == "setting" else "digest"}) as clarity:
        assert poll(store, clarity).new == 1
        asked(sandbox)
        again = poll(store, clarity)
        assert (again.new, again.duplicate) == (0, 1)  # the overlap
        assert asked(sandbox)[-1] == "/Products/Products"


def test_a_record_that_went_between_digest_and_reading_is_passed_over(sandbox: Sandbox) -> None:
    put(sandbox, "Product", *products(1, 2))
    with connect(sandbox) as clarity:
        found = clarity.list_changed("product", {})
        assert found is not None
        del sandbox.state.cef.records["Product"][1]
        assert [row["ID"] for row in found[1]] == [2]


def test_another_refusal_of_the_digest_is_told(sandbox: Sandbox, store: Store) -> None:
    with connect(sandbox) as clarity:
        sandbox.state.cef.failures = ["ERROR! Not allowed"]
        report = poll_clarity(store, clarity, now=1.0, entities=["order"], reading=reading_of(CEF))
    (problem,) = report.problems
    assert problem.startswith("Clarity, order list:")


def test_a_setting_that_is_neither_is_named(sandbox: Sandbox) -> None:
    with pytest.raises(ValueError, match=r"A8\.by: expected digest or modified"):
        connect(sandbox, A8={"by": "guess"})


def test_children_of_a_split_checkout_are_left_out_and_asked_for_once(sandbox: Sandbox, store: Store) -> None:
    put(
        sandbox,
        "SalesOrder",
        {"ID": 1, "CustomKey": "W-1", "SalesItems": [{"ID": 1}], "SalesGroupAsMasterID": 5},
        {"ID": 2, "CustomKey": "W-1-1", "SalesItems": [{"ID": 2}], "TypeKey": "Sales Order Child"},
    )
    with connect(sandbox) as clarity:
        assert poll(store, clarity, "order").new == 1
        asked(sandbox)
        assert poll(store, clarity, "order").new == 0
        assert asked(sandbox) == ["/Ordering/SalesOrdersDigest"]
        assert datetime.fromisoformat(clarity.head({"ID": 1, "UpdatedDate": "2026-03-01T10:00:00"}).updated or "") == (
            datetime(2026, 3, 1, 10, tzinfo=UTC)
        )
