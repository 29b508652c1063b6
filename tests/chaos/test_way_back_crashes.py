"""A process that ends at any boundary of the way back tells Clarity everything, and everything once."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from sync import ledger
from sync.store import open_store
from tests.back import BACK, BothWays
from tests.chaos.crash import forker, until_it_ends
from tests.flows import MAPPINGS, Books, order


def test_crashed_at_each_boundary_in_turn_everything_is_told_once(
    make_books: Callable[..., Books], tmp_path: Path
) -> None:
    books = make_books()
    both = BothWays(books.sandbox, tmp_path, http_timeout_s=10.0)
    mappings = tmp_path / "mappings"
    mappings.mkdir()
    for path in (*MAPPINGS.glob("*.yaml"), *BACK.glob("*.yaml")):
        shutil.copy(path, mappings / path.name)
    (tmp_path / "mapper.toml").write_text(
        "[systems.clarity-rest.settings]\nA10 = 6000\nA43.enabled = true\n", encoding="utf-8"
    )
    sandbox = both.sandbox
    environ = {
        **both.environ(),
        "MAPPER_CONFIG": str(tmp_path / "mapper.toml"),
        "CLARITY_API_URL": sandbox.clarity_url,
        "CLARITY_CLIENT_ID": sandbox.client_id,
        "CLARITY_CLIENT_SECRET": sandbox.client_secret,
    }
    record = order(payments=[], paymentStatus="unpaid")
    both.shop("orders", record)
    both.shop("customers", {**record["customer"], "updatedAt": record["updatedAt"]})
    both.sync()
    client, invoice = both.table("client")[0]["id"], both.table("invoice")[0]["id"]
    crashes = 0
    with forker(tmp_path) as runs, both.person() as person:

        def crash(number: int) -> dict[str, object] | None:
            person.update("client", client, {"fname": f"Name {number}"})
            if number % 2:
                money = {"amount": {"amount": "11.80", "code": "USD"}, "date": "2026-03-09", "type": "Cash"}
                person.create("payment", {"invoiceid": invoice, **money})
            else:
                person.delete("payment", next(row["id"] for row in both.table("payment") if not row["vis_state"]))
            return runs.run(environ, mappings, None, crash_at=number)

        for number in until_it_ends(crash):
            crashes = number
            report = runs.run(environ, mappings, None)
            assert report is not None
            assert (report["held"], report["left"]) == ({}, 0), runs.last_words()
            state = "paid" if number % 2 else "unpaid"
            assert both.in_shop("customers", "540")["firstName"] == f"Name {number}", runs.last_words()
            assert both.in_shop("orders", "10066")["paymentStatus"] == state, runs.last_words()
            assert len(both.told()) == 2 * number, runs.last_words()
    assert crashes > 10
    assert len(both.told()) == 2 * crashes + 2
    store = open_store(both.settings.store_url)
    assert {entry.state for entry in ledger.list_by_prefix(store, "freshbooks:")} == {"confirmed"}
    store.close()
