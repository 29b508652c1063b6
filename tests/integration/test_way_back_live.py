"""`mapper-sync serve` with the way back switched on in mapper.toml: real webhooks from both systems, doubled."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sync import inbox
from sync.__main__ import main
from sync.runner import serve
from sync.settings import load_settings
from sync.store import open_store
from tests.back import BACK, BothWays
from tests.flows import MAPPINGS, Books, order

CONFIG = f"""
[poll]
interval_s = 3600

[systems.clarity-rest.settings]
A10 = 6000
A43.enabled = true

[way_back]
mappings = "{BACK}"
interval_s = 3600
"""


def test_both_systems_tell_each_other_and_then_are_quiet(
    make_books: Callable[..., Books],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    books = make_books(webhook_gap_s=0.0, webhook_duplicate_rate=1.0)
    both, sandbox = BothWays(books.sandbox, tmp_path), books.sandbox
    for name in [name for name in os.environ if name.startswith(("MAPPER_", "FRESHBOOKS_", "CLARITY_"))]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mapper.toml").write_text(CONFIG, encoding="utf-8")
    clarity = {"CLARITY_API_URL": sandbox.clarity_url, "CLARITY_WEBHOOK_SECRET": sandbox.webhook_secret}
    login = {"CLARITY_CLIENT_ID": sandbox.client_id, "CLARITY_CLIENT_SECRET": sandbox.client_secret}
    for name, value in {**both.environ(), **clarity, **login, "MAPPER_SETTLE_S": "0.2"}.items():
        monkeypatch.setenv(name, value)
    stop, ready, urls = threading.Event(), threading.Event(), list[str]()

    def on_ready(url: str) -> None:
        urls.append(url)
        ready.set()

    arguments: dict[str, Any] = {"port": 0, "on_ready": on_ready, "stop": stop}
    thread = threading.Thread(target=serve, args=(load_settings(), MAPPINGS), kwargs=arguments)
    thread.start()
    try:
        assert ready.wait(30)
        assert main(["webhooks", "register", "freshbooks", "--url", urls[0], "--json"]) == 0
        assert all(row["verified"] for row in json.loads(capsys.readouterr().out)["callbacks"])
        sandbox.state.deliveries.register(f"{urls[0]}/webhooks/clarity")
        record = order(payments=[], paymentStatus="unpaid")
        both.shop("orders", record)
        both.shop("customers", {**record["customer"], "updatedAt": record["updatedAt"]})
        settled(both)
        assert both.told() == []
        with both.person() as person:
            invoice, client = both.table("invoice")[0], both.table("client")[0]
            money = {"amount": invoice["amount"], "date": "2026-03-09", "type": "Cash"}
            person.create("payment", {"invoiceid": invoice["id"], **money})
            person.update("client", client["id"], {"fname": "Typed"})
        settled(both)
        both.shop_changes("customers", "540", lastName="Shopped")
        settled(both)
        assert both.table("client")[0]["lname"] == "Shopped"
        assert sorted(entry["path"] for entry in both.told()) == ["/api/v1/customers/540", "/api/v1/orders/10066"]
        customer = both.in_shop("customers", "540")
        assert (customer["firstName"], customer["lastName"]) == ("Typed", "Shopped")
        assert both.in_shop("orders", "10066")["paymentStatus"] == "paid"
    finally:
        stop.set()
        thread.join()
    store = open_store(both.settings.store_url)
    assert set(inbox.counts(store)) <= {"done", "skipped", "superseded", "ignored"}
    store.close()


def settled(both: BothWays) -> None:
    """Until every delivery has come in and nothing is left to do, twice in a row."""
    quiet = 0
    for _ in range(600):
        both.sandbox.state.callbacks.outbox.flush()
        both.sandbox.state.deliveries.flush()
        store = open_store(both.settings.store_url, read_only=True)
        quiet = quiet + 1 if not inbox.counts(store).get("pending") else 0
        store.close()
        if quiet == 2:
            return
        threading.Event().wait(0.05)
    raise AssertionError("the runner does not come to an end")
