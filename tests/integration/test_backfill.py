"""Backfill against the sandbox over HTTP: pages, spans, resuming after a kill, dry run, and the first-run cap."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from connectors.profiles import load_profile
from connectors.registry import Known
from connectors.sandbox.generator import Case, generate
from sync import audit, inbox
from sync.backfill import Span, backfill
from sync.backfill_report import BackfillProgress, BackfillReport
from sync.errors import SettingsError
from sync.first_run import lift, uses
from sync.settings import CapSettings, Settings
from sync.store import Store, open_store
from tests.flows import MAPPINGS, Books, order, reasons

SPAN = Span(date(2026, 1, 1))
SPEC = "clarity-freshbooks/order-to-invoice"


@pytest.fixture
def shop(make_books: Callable[..., Books]) -> Books:
    return make_books(books={"with_clarity": True})


def plain_orders(count: int, **changes: Any) -> list[dict[str, Any]]:
    """Orders that go through, of as many customers, one a day from 1 March on."""
    made = []
    for number in range(1, count + 1):
        day = f"2026-{3 + number // 28:02d}-{1 + number % 28:02d}"
        made.append(
            order(
                id=str(5000 + number),
                orderNumber=f"B-{number}",
                orderDate=f"{day}T09:00:00Z",
                updatedAt=f"{day}T10:00:00Z",
                customer={"id": str(900 + number), "email": f"b{number}@example.com", "firstName": "B"},
                payments=[],
                paymentStatus="unpaid",
                **changes,
            )
        )
    return made


def fill(books: Books, *orders: dict[str, Any]) -> None:
    with books.sandbox.state.lock:
        for record in orders:
            books.sandbox.state.clarity.put("orders", record, silent=True)


def paged(books: Books, **changes: Any) -> Settings:
    """Settings with pages of ten."""
    known = load_profile("clarity-rest")
    profile = known.with_settings({"A7": {**known.assumed("A7"), "size": 10}, "A10": None})
    return books.settings.model_copy(update={"source": Known("clarity-rest", "shipped", profile), **changes})


def environ(books: Books, store_url: str | None = None) -> dict[str, str]:
    """The same for a child process."""
    config = books.folder / "mapper.toml"
    config.write_text("[systems.clarity-rest.settings]\nA7.size = 10\n", encoding="utf-8")
    return {
        **os.environ,
        **books.environ(),
        **({"MAPPER_STORE_URL": store_url} if store_url else {}),
        "MAPPER_CONFIG": str(config),
        "CLARITY_API_URL": books.sandbox.clarity_url,
        "CLARITY_CLIENT_ID": books.sandbox.client_id,
        "CLARITY_CLIENT_SECRET": books.sandbox.client_secret,
    }


def run(books: Books, settings: Settings | None = None, **more: Any) -> BackfillReport:
    more = {"span": SPAN, "entities": ["order"], "max_wait_s": 60, **more}
    return backfill(settings or paged(books), books.mappings, **more)


def numbers(books: Books) -> list[str]:
    return sorted(row["invoice_number"] for row in books.table("invoice"))


def opened(books: Books) -> Store:
    return open_store(books.settings.store_url)


def lists(books: Books) -> list[dict[str, Any]]:
    with books.sandbox.state.lock:
        return [entry for entry in books.sandbox.state.history if entry["system"] == "clarity"]


def test_the_past_is_posted_once_and_recognised_without_asking_freshbooks(shop: Books) -> None:
    fill(shop, *plain_orders(23))
    shown: list[BackfillProgress] = []
    first = run(shop, on_progress=shown.append)
    assert (first.exit_code, first.of("order").new, first.fates) == (0, 23, {"done": 23})
    assert len(set(numbers(shop))) == len(numbers(shop)) == 23
    assert [(one.read, one.total) for one in shown] == [(10, 23), (20, 23), (23, 23)]
    with shop.sandbox.state.lock:
        shop.sandbox.state.history.clear()
    again = run(shop)
    assert (again.of("order").read, again.of("order").settled, again.of("order").new) == (23, 23, 0)
    assert again.fates == {}
    with shop.sandbox.state.lock:
        assert {entry["system"] for entry in shop.sandbox.state.history} == {"clarity"}


def test_days_outside_the_span_stay_outside(shop: Books) -> None:
    fill(shop, *plain_orders(10))
    report = run(shop, span=Span(date(2026, 3, 4), date(2026, 3, 6)))
    assert (report.of("order").new, report.of("order").outside) == (3, 6)
    assert sorted(row["create_date"] for row in shop.table("invoice")) == ["2026-03-04", "2026-03-05", "2026-03-06"]


def test_an_old_order_that_changed_later_is_not_in_the_span(shop: Books) -> None:
    fill(shop, order(id="1", orderNumber="OLD", orderDate="2025-12-31T23:00:00Z", updatedAt="2026-05-01T00:00:00Z"))
    assert run(shop).of("order").outside == 1
    assert numbers(shop) == []


def test_customers_and_payments_come_too_and_in_the_order_of_need(shop: Books) -> None:
    shop.sandbox.seed(seed=3, orders=20)
    report = run(shop, entities=["payment", "order", "customer"], span=Span(date(2020, 1, 1)))
    assert list(report.entities) == ["customer", "order", "payment"]
    posted = [case for case in generate(3, 20) if case.label == "post"]
    assert numbers(shop) == sorted(number_of(case) for case in posted)
    again = run(shop, entities=["payment", "order", "customer"], span=Span(date(2020, 1, 1)))
    assert sum(one.new for one in again.entities.values()) == 0
    assert again.totals["counts"] == {}


def number_of(case: Case) -> str:
    return str(case.order["orderNumber"])


def test_what_a_webhook_brought_is_known(shop: Books) -> None:
    orders = plain_orders(3)
    fill(shop, *orders)
    store = opened(shop)
    body = {"id": "evt-1", "type": "order.created", "data": {"object": "order", "id": orders[0]["id"]}}
    body["data"] |= {"updatedAt": orders[0]["updatedAt"], "resource": orders[0]}  # type: ignore[operator]
    inbox.ingest(store, [body], source="webhook", now=1.0)
    store.close()
    report = run(shop)
    assert (report.of("order").settled, report.of("order").new) == (1, 2)
    assert numbers(shop) == ["B-1", "B-2", "B-3"]


def test_rows_of_one_instant_at_the_border_of_pages_all_come(shop: Books) -> None:
    orders = plain_orders(34)
    for record in orders[6:30]:
        record["updatedAt"] = "2026-04-01T00:00:00Z"
    for record in orders[30:]:
        record["updatedAt"] = "2026-05-01T00:00:00Z"
    fill(shop, *orders)
    report = run(shop)
    assert report.of("order").new == 34
    assert len(numbers(shop)) == 34


def test_a_dry_run_counts_requests_and_sums_by_month_and_writes_nothing(shop: Books) -> None:
    orders = plain_orders(9)
    fill(shop, *orders)
    report = run(shop, dry_run=True)
    assert shop.writes() == []
    told = report.as_dict()
    assert told["requests"] == {"POST client": 9, "POST invoice": 9, "PUT invoice": 9, "all": 27}
    expected: dict[str, list[Decimal]] = {}
    for record in orders:
        expected.setdefault(record["orderDate"][:7], []).append(Decimal(str(record["total"])))
    assert told["months"]["invoice"] == {
        month: {"USD": {"count": len(totals), "total": f"{sum(totals):f}"}} for month, totals in expected.items()
    }
    assert len(run(shop).fates) == 1
    assert len(shop.writes()) == told["requests"]["all"]


KILLED = """
import json, os, sys
from datetime import date
from pathlib import Path
import sync.backfill as module
from sync.settings import load_settings

left = int(sys.argv[2])
saved = module._Reader._save
def save(self, stream, place):
    global left
    if sys.argv[3] == "before" and left == 0:
        os._exit(9)
    saved(self, stream, place)
    if left == 0:
        os._exit(9)
    left -= 1
module._Reader._save = save
report = module.backfill(load_settings(), Path(sys.argv[1]), span=module.Span(date(2026, 1, 1)), entities=["order"])
print(json.dumps({"resumed_at": report.of("order").resumed_at, "code": report.exit_code}))
"""


def test_killed_at_the_cursor_it_goes_on_without_a_second_write(
    make_books: Callable[..., Books], store_url: str
) -> None:
    moment = "before" if store_url.startswith("sqlite") else "after"
    books = make_books(books={"with_clarity": True})
    fill(books, *plain_orders(22))
    child = environ(books, store_url)

    def go(pages: int) -> subprocess.CompletedProcess[str]:
        arguments = [sys.executable, "-c", KILLED, str(MAPPINGS), str(pages), moment]
        return subprocess.run(arguments, env=child, capture_output=True, text=True, check=False)

    assert go(1).returncode == 9
    assert 0 < len(numbers(books)) < 22
    done = go(99)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told == {"resumed_at": 10 if moment == "before" else 20, "code": 0}
    assert len(numbers(books)) == 22
    posts = [entry for entry in books.writes() if entry["method"] == "POST" and "invoices" in entry["path"]]
    assert len(posts) == 22


@pytest.mark.parametrize("after", [4, 25])
def test_killed_between_any_two_writes_nothing_is_written_twice(shop: Books, tmp_path: Path, after: int) -> None:
    fill(shop, *plain_orders(9))
    arguments = [
        sys.executable,
        "-m",
        "sync",
        "backfill",
        "--mappings",
        str(MAPPINGS),
        "--from",
        "2026-01-01",
        "--json",
    ]
    killed = subprocess.Popen([*arguments, "--entities", "order"], env=environ(shop), stdout=subprocess.PIPE)
    while len(shop.writes()) < after:
        assert killed.poll() is None
    killed.kill()
    killed.communicate()
    report = run(shop)
    assert report.exit_code == 0
    assert numbers(shop) == sorted(f"B-{n}" for n in range(1, 10))
    assert len({row["email"] for row in shop.table("client")}) == len(shop.table("client")) == 9


def test_a_backfill_without_clarity_says_what_is_missing(books: Books) -> None:
    with pytest.raises(SettingsError, match="CLARITY_API_URL is not set"):
        run(books)


def test_a_rate_limited_store_is_read_to_the_end(shop: Books) -> None:
    fill(shop, *plain_orders(12))
    shop.sandbox.state.change_switches(fault_rates={"rate_limited": 0.1, "server_error": 0.02}, retry_after_s=0)
    report = run(shop)
    assert report.exit_code == 0
    assert len(numbers(shop)) == 12


def test_the_first_run_cap_stops_politely_and_lets_go_on(shop: Books) -> None:
    fill(shop, *plain_orders(23))
    settings = paged(shop, caps=CapSettings(invoices=4, sum={}))
    report = run(shop, settings)
    assert report.exit_code == 1
    assert f"caps lift --spec {SPEC}" in str(report.stopped)
    assert (len(numbers(shop)), report.of("order").read) == (4, 10)
    assert len(shop.table("client")) == 4
    store = opened(shop)
    assert [(use.invoices, use.state) for use in uses(store)] == [(4, "counting")]
    assert lift(store, SPEC, now=2.0, by="anna")[1] == 6
    assert [(use.state, use.lifted_by) for use in uses(store)] == [("lifted", "anna")]
    assert [(deed.who, deed.what, deed.subject) for deed in audit.deeds(store)] == [("anna", "lift-caps", SPEC)]
    store.close()
    report = run(shop, settings)
    assert (report.exit_code, report.of("order").resumed_at) == (0, 10)
    assert len(numbers(shop)) == 23


@pytest.fixture
def framework(make_books: Callable[..., Books]) -> Iterator[Books]:
    yield make_books(books={"with_clarity": True}, clarity_flavour="cef")


def test_flat_rows_of_the_framework_are_fetched_only_when_they_are_new(framework: Books) -> None:
    from sync.settings import ClaritySettings

    framework.sandbox.seed(seed=4, orders=40)
    clarity = ClaritySettings(
        flavour="cef",
        api_url=framework.sandbox.clarity_url,
        client_id=framework.sandbox.cef_user_name,
        client_secret=SecretStr(framework.sandbox.cef_password),
    )
    source = Known("clarity-cef", "shipped", load_profile("clarity-cef").with_settings({"A10": None}))
    settings = framework.settings.model_copy(update={"clarity": clarity, "source": source})
    first = backfill(settings, MAPPINGS, span=Span(date(2020, 1, 1)), entities=["order"], max_wait_s=1)
    assert first.problems == []
    read = first.of("order").read
    assert first.of("order").new == read > 20
    with framework.sandbox.state.lock:
        framework.sandbox.state.history.clear()
    again = backfill(settings, MAPPINGS, span=Span(date(2020, 1, 1)), entities=["order"], max_wait_s=1)
    assert again.of("order").settled == read
    assert len(lists(framework)) <= 4  # the sign-in, the count, two pages


def test_the_command_prints_one_object_and_refuses_nonsense(
    shop: Books, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from sync.__main__ import main

    fill(shop, *plain_orders(2))
    for name, value in environ(shop).items():
        monkeypatch.setenv(name, value)
    base = ["backfill", "--mappings", str(MAPPINGS), "--from"]
    assert main([*base, "2026-01-01", "--entities", "order", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["entities"]["order"]["new"] == 2
    assert main([*base, "2026-03-01", "--to", "2026-02-01"]) == 2
    assert "--to 2026-02-01 is before --from 2026-03-01" in capsys.readouterr().err
    for bad in (["01/02/2026"], ["2026-01-01", "--entities", "refund"]):
        with pytest.raises(SystemExit):
            main([*base, *bad])
        assert "expected" in capsys.readouterr().err
    assert main(["caps", "list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["specs"][0]["invoices"] == 2
    assert main(["caps", "lift", "--spec", "nobody"]) == 3
    assert "no spec 'nobody' has run here" in capsys.readouterr().err


def test_reasons_of_the_cap_name_the_mend(books: Books) -> None:
    from sync.runner import run as run_once
    from tests.flows import envelope

    settings = books.settings.model_copy(update={"caps": CapSettings(invoices=0, sum={"USD": Decimal(25)})})
    events = books.file(envelope("order.created", one) for one in plain_orders(3))
    report = run_once(settings, books.mappings, events=events)
    assert set(reasons(report).values()) == {"first-run-cap"}
    spent = sum((Decimal(row["amount"]["amount"]) for row in books.table("invoice")), Decimal(0))
    assert spent == Decimal("23.60")
    assert "capped at 25 USD" in report.status["held"][0]["reason"]
