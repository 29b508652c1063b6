"""The framework's client against its stand-in, over HTTP: sessions, pages, flat rows, failures that answer 200."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx2
import pytest

from connectors.cef_session import CefSession
from connectors.clarity_cef import ClarityCef
from connectors.clarity_port import Head, detect_flavour
from connectors.errors import AmbiguousWriteError, AuthError, RejectedError, TransientError
from connectors.profiles import SystemProfile, load_profile
from connectors.sandbox.generator import generate
from connectors.sandbox.generator_cef import CefCase, cef_batch
from connectors.sandbox.server import Sandbox, running_sandbox
from connectors.sandbox.wire import dumps
from connectors.scrub import REMOVED
from sync import records
from sync.connections import open_clarity
from sync.poll import poll_clarity
from sync.settings import load_settings
from sync.store import open_store

SEED, COUNT = 2026, 120
ZONE = "America/New_York"


def profile(**settings: Any) -> SystemProfile:
    unhurried = {"A21": ZONE, "A10": "none"}  # the stand-in needs no pace
    return load_profile("clarity-cef").with_settings({**unhurried, **settings})


WRITING = {"enabled": True, "member": "SerializableAttributes"}


def connect(sandbox: Sandbox, **settings: Any) -> ClarityCef:
    session = CefSession(base_url=sandbox.cef_url, user_name=sandbox.cef_user_name, password=sandbox.cef_password)
    return ClarityCef(base_url=sandbox.cef_url, session=session, timeout_s=5, profile=profile(**settings))


@pytest.fixture(scope="module")
def seeded() -> Iterator[Sandbox]:
    """Read only: tests that change something start a sandbox of their own."""
    with running_sandbox() as running:
        running.seed(seed=SEED, orders=COUNT)
        yield running


@pytest.fixture(scope="module")
def cases() -> list[CefCase]:
    return cef_batch(generate(SEED, COUNT)).cases


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with running_sandbox() as running:
        yield running


@pytest.fixture
def clarity(seeded: Sandbox) -> Iterator[ClarityCef]:
    with connect(seeded) as made:
        yield made


def control(sandbox: Sandbox, path: str, body: Any) -> None:
    answer = httpx2.post(f"{sandbox.clarity_url}/_control/{path}", json=body)
    assert answer.status_code == 200, answer.text


def requests_of(sandbox: Sandbox, path: str) -> list[dict[str, Any]]:
    answer = httpx2.get(f"{sandbox.clarity_url}/_control/history", params={"system": "clarity", "path": path})
    rows: list[dict[str, Any]] = answer.json()["history"]
    return rows


def test_masters_come_whole_and_children_do_not(clarity: ClarityCef, cases: list[CefCase]) -> None:
    orders = list(clarity.fetch_orders())
    assert [row["ID"] for row in orders] == [case.order["ID"] for case in cases]
    assert any(case.children for case in cases)
    for row, case in zip(orders, cases, strict=True):
        assert row.get("SalesItems") == case.order.get("SalesItems")
        assert row["Totals"] == case.order["Totals"]
        assert not any(isinstance(amount, float) for amount in row["Totals"].values())


@pytest.mark.parametrize("choice", ["masters", "children", "all"])
def test_a_split_checkout_counts_once(seeded: Sandbox, cases: list[CefCase], choice: str) -> None:
    with connect(seeded, A44=choice) as clarity:
        total = sum(row["Totals"]["Total"] for row in clarity.fetch_orders())
    once = sum(case.order["Totals"]["Total"] for case in cases)
    twice = sum(child["Totals"]["Total"] for case in cases for child in case.children)
    assert twice > 0
    assert total == once + (twice if choice == "all" else 0)


def test_no_card_data_and_no_secret_leaves_the_connector(clarity: ClarityCef) -> None:
    orders = [row for row in clarity.fetch_orders() if "SalesOrderPayments" in row]
    payments = list(clarity.fetch_payments())
    users = list(clarity.fetch_customers())
    text = json.dumps([orders, payments, users], default=str)
    for secret in ("4111111111111111", "tok_sandbox", "sandbox-hash", "sandbox-stamp"):
        assert secret not in text
    cards = [row["SalesOrderPayments"][0]["Slave"] for row in orders]
    assert {row["CVV"] for row in cards if "CVV" in row} == {REMOVED}
    assert all("TransactionNumber" in row or "Last4CardDigits" in row for row in cards if "CVV" in row)


def test_lists_are_asked_for_by_page_number_from_one(seeded: Sandbox, cases: list[CefCase]) -> None:
    httpx2.delete(f"{seeded.clarity_url}/_control/history")
    with connect(seeded, A7={"size": 50, "first": 1}, A9={}) as clarity:
        rows = list(clarity.fetch_orders())
    asked = [row["query"] for row in requests_of(seeded, "SalesOrders")]
    assert asked[0] == "Paging={Size:50,StartIndex:1}"
    assert asked == [f"Paging={{Size:50,StartIndex:{page}}}" for page in range(1, len(asked) + 1)]
    assert len(rows) == len(cases)
    assert not any("SalesItems" in row or "BillingContact" in row for row in rows)


def test_payments_know_their_order(clarity: ClarityCef, cases: list[CefCase]) -> None:
    expected = {
        row["SlaveID"]: (case.order["ID"], case.order.get("CustomKey"), row["Slave"]["Amount"])
        for case in cases
        for row in case.order.get("SalesOrderPayments", [])
    }
    payments = list(clarity.list_updated("payment", None))
    assert {row["ID"]: (row["MasterID"], row.get("MasterKey"), row["Amount"]) for row in payments} == expected
    assert clarity.get("payment", payments[-1]["ID"]) == payments[-1]


def test_other_records_and_names_of_the_rest_flavour(clarity: ClarityCef, cases: list[CefCase]) -> None:
    refunded = [case.order["ID"] for case in cases if case.reason == "refunded"]
    assert [row["SalesOrderIDs"] for row in clarity.list_updated("refund", None)] == [[number] for number in refunded]
    assert list(clarity.fetch_returns()) == list(clarity.list_updated("return", None))
    companies = {row["Name"] for row in clarity.fetch_accounts()}
    buyers = list(clarity.fetch_customers())
    assert {row["AccountName"] for row in buyers if "AccountName" in row} == companies
    assert all("Address" in row["Contact"] for row in buyers)
    product = next(clarity.fetch_products())
    assert product["RawPrices"] == clarity.fetch_prices(product["ID"])
    assert product["RawPrices"]["PriceBase"] > 0
    assert clarity.get("product", product["ID"]) == product
    assert "RawPrices" not in clarity.get_by_key("product", product["CustomKey"])


def test_one_record_by_id_and_by_key(clarity: ClarityCef, cases: list[CefCase]) -> None:
    order = clarity.get("order", cases[0].order["ID"])
    assert clarity.get_by_key("order", order["CustomKey"]) == order
    for missing in ("999999", "x"):
        with pytest.raises(RejectedError):
            clarity.get("order", missing)
    with pytest.raises(ValueError, match="empty id"):
        clarity.get("order", " ")
    with pytest.raises(ValueError, match="no route"):
        list(clarity.list_updated("quote", None))


def test_nothing_found_is_not_found_also_without_a_body() -> None:
    with running_sandbox(cef_missing="empty") as sandbox, connect(sandbox) as clarity:
        with pytest.raises(RejectedError) as caught:
            clarity.get("order", 7)
        assert caught.value.status == 404
        assert list(clarity.fetch_orders()) == []


def test_changes_since_an_instant_are_found_by_the_servers_clock(clarity: ClarityCef, cases: list[CefCase]) -> None:
    stamps = sorted(datetime.fromisoformat(case.order["UpdatedDate"]) for case in cases)
    since = stamps[len(stamps) // 2].replace(tzinfo=ZoneInfo(ZONE))
    found = list(clarity.list_updated("order", since.astimezone(UTC)))
    assert len(found) == sum(stamp.replace(tzinfo=ZoneInfo(ZONE)) >= since for stamp in stamps)
    head = clarity.head(found[0])
    assert head.id == str(found[0]["ID"])
    assert datetime.fromisoformat(head.updated or "") >= since
    with pytest.raises(ValueError, match="time zone"):
        list(clarity.list_updated("order", datetime(2026, 3, 1)))


def test_nothing_is_missed_while_the_clock_goes_back(sandbox: Sandbox) -> None:
    """01:10 comes twice on 1 November; the second one reads earlier than a 01:50 before it."""
    order = {"ID": 1, "SalesItems": [{"ID": 1}], "UpdatedDate": "2026-11-01T01:10:00.0000000"}
    control(sandbox, "cef/SalesOrder", [order, {**order, "ID": 2, "UpdatedDate": "2026-10-30T12:00:00"}])
    first_0150 = datetime(2026, 11, 1, 5, 50, tzinfo=UTC)
    with connect(sandbox) as clarity:
        assert [row["ID"] for row in clarity.list_updated("order", first_0150)] == [1]
        after = datetime(2026, 11, 1, 6, 30, tzinfo=UTC)
        assert list(clarity.list_updated("order", after)) == []


def test_ignored_filters_are_made_up_for(sandbox: Sandbox) -> None:
    control(sandbox, "cef/Product", [{"ID": 1, "CustomKey": "A", "UpdatedDate": "2026-03-01T10:00:00"}])
    with connect(sandbox, A8={"since_param": "ChangedAfter"}) as clarity:
        assert list(clarity.list_updated("product", datetime(2026, 3, 2, tzinfo=UTC))) == []
        assert len(list(clarity.list_updated("product", datetime(2026, 3, 1, tzinfo=UTC)))) == 1


def test_deleted_records_come_as_inactive(sandbox: Sandbox) -> None:
    control(sandbox, "cef/Product", {"ID": 1, "CustomKey": "A"})
    with connect(sandbox) as clarity, signed_in(sandbox) as client:
        assert client.patch("/Products/Product/Deactivate/ID/1").json() == {"ActionSucceeded": True}
        assert [row["Active"] for row in clarity.fetch_products()] == [False]


def test_digests_tell_what_changed(sandbox: Sandbox) -> None:
    control(sandbox, "cef/Product", [{"ID": number, "CustomKey": f"SKU-{number}"} for number in (1, 2, 3)])
    with connect(sandbox) as clarity:
        first = clarity.fetch_changes("product", {})
        assert (first.ids, first.gone) == (("1", "2", "3"), ())
        control(sandbox, "cef/Product", {"ID": 2, "CustomKey": "SKU-2", "Name": "changed"})
        second = clarity.fetch_changes("product", {**first.hashes, "9": 1})
        assert (second.ids, second.gone) == (("2",), ("9",))
        assert list(clarity.fetch_changes("product", second.hashes).ids) == []


def test_bulk_lists_are_unpaged_and_flat(clarity: ClarityCef, cases: list[CefCase]) -> None:
    rows = list(clarity.list_for_connect("order"))
    assert len(rows) == sum(1 + len(case.children) for case in cases)
    assert not any("SalesItems" in row or "SalesOrderPayments" in row for row in rows)
    assert all("Totals" in row for row in rows)


def test_dropped_sessions_are_renewed_once(sandbox: Sandbox) -> None:
    control(sandbox, "cef/Product", {"ID": 1, "CustomKey": "A"})
    with connect(sandbox) as clarity:
        for _ in range(3):
            assert clarity.get("product", 1)["CustomKey"] == "A"
            control(sandbox, "oauth/expire", {})
    assert [row["status"] for row in requests_of(sandbox, "/auth/identity")] == [200, 200, 200]
    assert all(row["body"] == "(not kept: credentials)" for row in requests_of(sandbox, "/auth/identity"))


def test_a_wrong_password_stops_the_connection(sandbox: Sandbox) -> None:
    session = CefSession(base_url=sandbox.clarity_url, user_name=sandbox.cef_user_name, password="wrong-one")
    with ClarityCef(base_url=sandbox.clarity_url, session=session) as clarity:
        with pytest.raises(AuthError, match="sign-in refused, status 401") as caught:
            clarity.get("order", 1)
        assert "wrong-one" not in str(caught.value)
    with pytest.raises(ValueError, match="empty"):
        CefSession(base_url=sandbox.clarity_url, user_name="", password="x")


def test_success_that_means_failure(sandbox: Sandbox) -> None:
    control(sandbox, "cef/Product", {"ID": 1, "CustomKey": "A"})
    with connect(sandbox) as clarity:
        control(sandbox, "cef/fail", {"message": "ERROR! Bad product of ana@example.com"})
        with pytest.raises(RejectedError, match="status 200: ERROR! Bad product of …"):
            clarity.get("product", 1)
        control(sandbox, "cef/fail", {"message": "Transaction was deadlocked, please try again", "times": 1})
        with pytest.raises(TransientError):
            clarity.get("product", 1)
        assert clarity.get("product", 1)["ID"] == 1


def test_attributes_are_written_without_losing_anything(sandbox: Sandbox) -> None:
    case = next(case for case in cef_batch(generate(SEED, COUNT)).cases if case.order.get("SerializableAttributes"))
    control_raw(sandbox, "cef/SalesOrder", case.order)
    before = sandbox.state.cef.records["SalesOrder"][case.order["ID"]]
    with connect(sandbox) as clarity, pytest.raises(ValueError, match=r"A43\.enabled"):
        clarity.set_attributes("order", case.order["ID"], {"freshbooksInvoiceId": "42"})
    with connect(sandbox, A43=WRITING) as clarity:
        clarity.set_attributes("order", case.order["ID"], {"freshbooksInvoiceId": "42"})
        with pytest.raises(ValueError, match="only"):
            clarity.set_attributes("payment", 1, {})
        with pytest.raises(RejectedError):
            clarity.set_attributes("order", 5, {"a": "b"})
    after = sandbox.state.cef.records["SalesOrder"][case.order["ID"]]
    assert after["SerializableAttributes"]["freshbooksInvoiceId"] == {"Key": "freshbooksInvoiceId", "Value": "42"}
    changed = {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
    assert changed == {"SerializableAttributes", "UpdatedDate", "Hash"}
    assert requests_of(sandbox, "AddPayment|CapturePayment|Void") == []


def test_a_write_that_timed_out_behind_a_200_is_in_doubt(sandbox: Sandbox) -> None:
    control(sandbox, "cef/Account", {"ID": 1, "CustomKey": "A", "Name": "Example"})
    with connect(sandbox, A43=WRITING) as clarity:
        clarity.get("account", 1)
        original = sandbox.state.cef.update
        sandbox.state.cef.update = lambda *_: {  # type: ignore[method-assign]
            "ActionSucceeded": False,
            "Messages": ["Timeout expired"],
        }
        with pytest.raises(AmbiguousWriteError):
            clarity.set_attributes("account", 1, {"a": "b"})
        sandbox.state.cef.update = original  # type: ignore[method-assign]


def test_faults_and_limits_speak_the_frameworks_errors(sandbox: Sandbox) -> None:
    control(sandbox, "cef/Product", {"ID": 1, "CustomKey": "A"})
    with signed_in(sandbox) as client:
        for fault, status in (("server_error", 503), ("rate_limited", 429), ("expired_token", 401)):
            control(sandbox, "faults", {"fault": fault, "system": "clarity", "path": "Products"})
            answer = client.get("/Products/Products")
            assert (answer.status_code, set(answer.json()["ResponseStatus"])) == (status, {"ErrorCode", "Message"})
        httpx2.patch(f"{sandbox.clarity_url}/_control/switches", json={"clarity_requests_per_minute": 1})
        assert client.get("/Products/Products").status_code == 200
        limited = client.get("/Products/Products")
        assert (limited.status_code, limited.headers["retry-after"].isdigit()) == (429, True)


@contextmanager
def signed_in(sandbox: Sandbox) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=sandbox.cef_url) as client:
        fields = {"UserName": sandbox.cef_user_name, "Password": sandbox.cef_password}
        assert client.post("/auth/identity", json=fields).status_code == 200
        yield client


def control_raw(sandbox: Sandbox, path: str, record: dict[str, Any]) -> None:
    headers = {"Content-Type": "application/json"}
    answer = httpx2.post(f"{sandbox.clarity_url}/_control/{path}", content=dumps(record), headers=headers)
    assert answer.status_code == 200, answer.text


def test_filters_of_the_framework(seeded: Sandbox) -> None:
    with signed_in(seeded) as client:

        def listed(**query: Any) -> dict[str, Any]:
            answer = client.get("/Ordering/SalesOrders", params=query)
            assert answer.status_code == 200, answer.text
            body: dict[str, Any] = answer.json()
            return body

        everything = listed()
        assert everything["CurrentCount"] == everything["TotalCount"] == len(everything["Results"])
        first, second = everything["Results"][:2]
        assert listed(ID=first["ID"])["Results"] == [first]
        assert listed(IDs=f"[{first['ID']},{second['ID']}]")["TotalCount"] == 2
        assert listed(IDOrCustomKey=second["CustomKey"].lower())["Results"] == [second]
        assert {row["StatusKey"] for row in listed(statuskey="shipped")["Results"]} <= {"Shipped", "SHIPPED", "shipped"}
        none = listed(CustomKey="nobody")
        assert "Results" not in none  # empty members are left out, lists of rows too
        assert (none["TotalCount"], none["TotalPages"]) == (0, 0)
        assert listed(Unknown="ignored")["TotalCount"] == everything["TotalCount"]
        page = listed(Paging="{Size:7,StartIndex:2}")
        assert page["Results"] == everything["Results"][7:14]
        assert (page["CurrentPage"], page["TotalPages"]) == (2, -(-everything["TotalCount"] // 7))
        assert "Results" not in listed(Paging='{"Size":50,"StartIndex":99}')
        late = first["UpdatedDate"]
        assert all(row["UpdatedDate"] <= late for row in listed(MaxUpdatedOrCreatedDate=late)["Results"])
        for bad in ({"Paging": "{Size:0}"}, {"ModifiedSince": "soon"}):
            answer = client.get("/Ordering/SalesOrders", params=bad)
            assert (answer.status_code, answer.json()["ResponseStatus"]["ErrorCode"]) == (
                400,
                "RequestBindingException",
            )
        assert client.get("/Ordering/SalesOrderStatuses").json()["Results"][0]["CustomKey"] == "Pending"
        assert httpx2.get(f"{seeded.cef_url}/Ordering/SalesOrders").status_code == 401


def test_only_the_chosen_flavour_answers() -> None:
    with running_sandbox(clarity_flavour="cef") as sandbox:
        assert httpx2.post(f"{sandbox.clarity_url}/oauth/token").status_code == 404
        with signed_in(sandbox) as client:
            assert client.get("/Products/Products").status_code == 200
    with running_sandbox(clarity_flavour="rest") as sandbox:
        assert httpx2.post(f"{sandbox.cef_url}/auth/identity", json={}).status_code == 404


def test_the_flavour_of_samples_is_told_by_their_keys(cases: list[CefCase]) -> None:
    assert detect_flavour([case.order for case in cases]) == "cef"
    assert detect_flavour(case.order for case in generate(1, 5)) == "rest"
    assert detect_flavour([]) == "rest"


@pytest.mark.parametrize(
    ("setting", "value"), [("A21", "Mars/Olympus"), ("A44", "both"), ("A45", "SalesQuote")], ids=["A21", "A44", "A45"]
)
def test_settings_that_do_not_fit_are_named(sandbox: Sandbox, setting: str, value: str) -> None:
    with pytest.raises(ValueError, match=f"{setting}: expected"):
        connect(sandbox, **{setting: value})


def test_invoices_can_be_the_source_document(seeded: Sandbox) -> None:
    with connect(seeded, A45="SalesInvoice") as clarity:
        rows = list(clarity.fetch_orders())
    assert rows
    assert {row["StatusKey"] for row in rows} <= {"Paid", "Partially Paid", "Unpaid"}


def test_heads_without_a_usable_time(clarity: ClarityCef) -> None:
    assert clarity.head({}) == Head(None, None)
    assert clarity.head({"ID": 3, "CreatedDate": "soon"}) == Head("3", None)
    aware = (datetime(2026, 3, 1, tzinfo=UTC) + timedelta(hours=1)).isoformat()
    assert clarity.head({"ID": 3, "UpdatedDate": aware}) == Head("3", "2026-03-01T01:00:00Z")


def test_the_runner_polls_the_framework_like_any_store(seeded: Sandbox, cases: list[CefCase], tmp_path: Path) -> None:
    environ = {
        "CLARITY_FLAVOUR": "cef",
        "CLARITY_API_URL": seeded.cef_url,
        "CLARITY_CLIENT_ID": seeded.cef_user_name,
        "CLARITY_CLIENT_SECRET": seeded.cef_password,
    }
    config = tmp_path / "mapper.toml"
    config.write_text('[systems.clarity-cef.settings]\nA10 = "none"\n')
    clarity = open_clarity(load_settings(environ, config))
    assert clarity is not None
    with contextlib.closing(clarity), contextlib.closing(open_store(f"sqlite:///{tmp_path}/runner.db")) as store:
        first = poll_clarity(store, clarity, now=1.0)
        assert first.problems == []
        again = poll_clarity(store, clarity, now=2.0)
        assert again.problems == []
        assert (again.result.new, again.result.duplicate) == (0, 0)  # the digests are as they were
        snapshot = records.latest(store, f"order:{cases[0].order['ID']}")
    assert snapshot is not None
    assert snapshot.payload["SalesItems"] == cases[0].order["SalesItems"]
    assert snapshot.version is not None
    payments = sum(len(case.order.get("SalesOrderPayments", ())) for case in cases)
    entities = sum(len(seeded.state.cef.records[name]) for name in ("User", "Product"))
    assert first.result.new == len(cases) + payments + entities


def test_the_profile_serves_suggesting() -> None:
    command = ["suggest", "--source", "clarity-cef:customer", "--samples", "fixtures/clarity-cef/customers.json"]
    done = subprocess.run(
        [sys.executable, "-m", "mapper_ai", *command, "--target", "freshbooks:client", "--json", "-"],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    best: dict[str, str] = {}
    for row in json.loads(done.stdout):  # ranked; two spellings of one field share what the first of them is sure of
        best.setdefault(row["target"], row["source"])
    assert best["fname"] == "ContactFirstName"
    assert best["email"] == "Email"
    assert best["organization"] == "AccountName"
