"""Polling Clarity's framework by digests: what changed, how it is fetched, and what happens without them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from connectors.cef_session import CefSession
from connectors.clarity_cef import ClarityCef
from connectors.profiles import load_profile
from connectors.sandbox.cef_books import CefError
from connectors.sandbox.server import Sandbox, running_sandbox
from sync import records
from sync.poll import poll_clarity
from sync.reading import reading_of
from sync.store import Store, open_store

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


def connect(sandbox: Sandbox, **settings: Any) -> ClarityCef:
    session = CefSession(base_url=sandbox.cef_url, user_name=sandbox.cef_user_name, password=sandbox.cef_password)
    profile = CEF.with_settings({"A10": "none", "A37": {"fetch": False}, **settings})
    return ClarityCef(base_url=sandbox.cef_url, session=session, timeout_s=5, profile=profile)


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


def test_many_flat_records_come_in_one_bulk_answer_and_others_by_pages(sandbox: Sandbox, store: Store) -> None:
    put(sandbox, "Product", *products(*range(1, 9)))
    contact = {"ID": 1, "FirstName": "Ana"}
    put(sandbox, "User", *({"ID": number, "Email": "a@example.com", "Contact": contact} for number in range(1, 9)))
    with connect(sandbox, A7={"size": 5, "first": 1}) as clarity:
        assert poll(store, clarity).new == 8
        assert asked(sandbox) == ["/Products/ProductsDigest", "/Products/ProductsForConnect"]
        assert poll(store, clarity, "customer").new == 8
        paths = asked(sandbox)
        assert paths[0] == "/Contacts/UsersDigest"
        assert paths.count("/Contacts/Users") == 2


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
