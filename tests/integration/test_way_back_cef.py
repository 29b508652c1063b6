"""The way back to Clarity's framework: custom attributes through the update route, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from connectors import FreshBooks, StaticToken
from connectors.clarity_writes import refusal
from connectors.profiles import load_profile
from connectors.sandbox.server import running_sandbox
from mapspec.errors import SpecError
from sync.settings import Settings, WayBackSettings
from tests.back import BACK
from tests.flows import ROOT
from tests.framework import CefBooks, plain, put

CEF_BACK = ROOT / "mappings" / "freshbooks-clarity-cef"


@dataclass
class BothWays(CefBooks):
    back: Any = CEF_BACK

    @property
    def settings(self) -> Settings:
        known = super().settings
        assert known.source is not None
        profile = known.source.profile.with_settings({"A43": {"enabled": True}})
        source = type(known.source)("clarity-cef", "shipped", profile)
        return known.model_copy(update={"source": source, "way_back": WayBackSettings(mappings=self.back)})

    def order(self, number: int) -> dict[str, Any]:
        with self.sandbox.state.lock:
            return dict(self.sandbox.state.cef.records["SalesOrder"][number])


@pytest.fixture
def both(tmp_path: Any) -> Any:
    with running_sandbox(clarity_flavour="both") as sandbox:
        yield BothWays(sandbox, tmp_path)


def test_a_person_s_payment_becomes_an_attribute_and_nothing_else_changes(both: BothWays) -> None:
    record = {
        **plain(),
        "SalesOrderPayments": [],
        "SerializableAttributes": {"campaign": {"Key": "campaign", "Value": "s"}},
    }
    put(both.sandbox, "SalesOrder", record)
    both.run()
    invoice, before = both.table("invoice")[0], both.order(record["ID"])
    sandbox = both.sandbox
    with FreshBooks(
        base_url=sandbox.freshbooks_url, account_id=sandbox.account_id, tokens=StaticToken(sandbox.access_token)
    ) as person:
        money = {"amount": invoice["outstanding"], "date": "2026-03-09", "type": "Cash"}
        person.create("payment", {"invoiceid": invoice["id"], **money})
    for _ in range(3):
        both.run()
    after = both.order(record["ID"])
    attributes = {name: row["Value"] for name, row in after["SerializableAttributes"].items()}
    assert attributes == {
        "campaign": "s",
        "FreshBooksPaymentStatus": "paid",
        "FreshBooksInvoiceID": str(invoice["id"]),
    }
    changing = ("SerializableAttributes", "UpdatedDate", "Hash")
    assert {n: v for n, v in after.items() if n not in changing} == {
        n: v for n, v in before.items() if n not in changing
    }
    with sandbox.state.lock:
        writes = [row["path"] for row in sandbox.state.history if row["system"] == "clarity" and row["method"] == "PUT"]
    assert [path.rpartition("/API-Admin")[2] for path in writes] == ["/Ordering/SalesOrder/Update"]


def test_the_mappings_of_the_other_flavour_do_not_start(both: BothWays) -> None:
    both.back = BACK
    with pytest.raises(SpecError, match="writes to clarity-rest, and the shop here is clarity-cef"):
        both.run()


def test_only_attributes_may_be_written() -> None:
    profile = load_profile("clarity-cef").with_settings({"A43": {"enabled": True}})
    assert refusal(profile, "order", ["SerializableAttributes.X"]) is None
    assert "BalanceDue is never written back" in str(refusal(profile, "order", ["BalanceDue"]))
    assert "payment: SerializableAttributes is never" in str(refusal(profile, "payment", ["SerializableAttributes.X"]))
