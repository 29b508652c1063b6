"""Nothing personal is stored: samples are masked on the way in, and what is worked out of them still agrees."""

from __future__ import annotations

import json
import stat
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from mapper_ai.core.profile import profile_records
from mapper_ai.errors import InputError
from mapper_ai.services.masking import KEY_FILE, Masker, project_key
from mapper_ai.services.sampling import read_samples
from mapper_ai.services.workspace import Sample, Workspace

FIXTURES = Path(__file__).resolve().parents[3] / "fixtures" / "clarity"
FLOW = "order-to-invoice"

# Each of them stands for somebody; none may be found on the disk.
CANARIES = {
    "first": "Wilhelmine",
    "last": "Quastenflosser",
    "email": "wilhelmine.q@quastenflosser-privat.de",
    "phone": "+49 171 5558823",
    "street": "Zwetschgenallee 1747",
    "city": "Oberammerbach",
    "zip": "91867",
    "company": "Quastenflosser Feinkost GmbH",
    "tax": "DE811907980",
    "note": "Bitte beim Nachbarn Schnurrbart klingeln",
    "ip": "198.51.100.77",
    "card": "4111111111111111",
    "token": "tok_live_9f8e7d6c5b",
    "birth": "1961-07-23",
}


def order() -> dict[str, Any]:
    record = read_samples(FIXTURES / "order__plain-card.json")[0]
    person = {"firstName": CANARIES["first"], "lastName": CANARIES["last"], "phone": CANARIES["phone"]}
    address = {
        **person,
        "line1": CANARIES["street"],
        "city": CANARIES["city"],
        "postalCode": CANARIES["zip"],
        "country": "DE",
        "company": CANARIES["company"],
    }
    return {
        **record,
        "customer": {
            **record["customer"],
            **person,
            "email": CANARIES["email"],
            "company": CANARIES["company"],
            "taxId": CANARIES["tax"],
            "dateOfBirth": CANARIES["birth"],
        },
        "billingAddress": address,
        "shippingAddress": address,
        "customerNote": f"{CANARIES['note']} oder {CANARIES['phone']} anrufen",
        "clientIp": CANARIES["ip"],
        "cardNumber": CANARIES["card"],
        "accessToken": CANARIES["token"],
        "reference": f"Bestellung von {CANARIES['first']} {CANARIES['last']}, {CANARIES['email'].upper()}",
        "contacts": {CANARIES["email"]: {"role": "buyer"}},
        "customAttributes": [
            {"key": "contact_email", "value": CANARIES["email"]},
            {"key": "last_name", "value": CANARIES["last"]},
        ],
    }


def on_disk(folder: Path) -> str:
    return "\n".join(path.read_bytes().decode("utf-8", "replace") for path in folder.rglob("*") if path.is_file())


def test_no_personal_value_reaches_the_disk(tmp_path: Path) -> None:
    work = Workspace.open(tmp_path / "work", mappings=tmp_path / "mappings")
    work.start(FLOW, [Sample(f"{CANARIES['last']}, {CANARIES['email']}", order())])
    row = next(row for row in work.rows(FLOW) if row.digest and not row.money)
    work.accept(FLOW, row.part, digest=row.digest, by="ana")
    stored = on_disk(tmp_path).casefold()
    words = {word for canary in CANARIES.values() for word in (canary, *canary.split()) if len(word) >= 5} - {"+49"}
    assert [word for word in sorted(words) if word.casefold() in stored] == []


def test_amounts_dates_codes_and_states_stay(tmp_path: Path) -> None:
    given = order()
    masked = Masker(b"k" * 32).mask(given)
    for name in ("id", "orderNumber", "status", "currency", "total", "orderDate", "createdAt", "lineItems", "payments"):
        assert masked[name] == given[name], name
    assert masked["billingAddress"]["country"] == "DE"
    assert masked["customer"]["id"] == given["customer"]["id"]
    assert (masked["cardNumber"], masked["accessToken"]) == ("[removed]", "[removed]")


def test_masked_samples_still_join_and_agree_to_the_cent(tmp_path: Path) -> None:
    work = Workspace.open(tmp_path / "work", mappings=tmp_path / "mappings")
    given = read_samples(FIXTURES / "order__plain-card.json")
    work.start(FLOW, [Sample("plain", given[0])])
    plain = Workspace.open(tmp_path / "plain", mappings=tmp_path / "mappings")
    plain.start(FLOW, [Sample("plain", given[0], masked=True)])
    for part in ("invoice.lines[].unit_cost", "invoice.create_date", "invoice.invoice_number", "invoice.currency_code"):
        masked, raw = work.preview(FLOW, part=part)[0], plain.preview(FLOW, part=part)[0]
        assert (masked.after, masked.failed) == (raw.after, False), part
    masker = Masker.of_project(tmp_path / "work")
    customer = masker.mask({"id": "511", "email": given[0]["customer"]["email"].upper(), "firstName": "x"})
    assert customer["email"].casefold() == work.samples(FLOW)[0].record["customer"]["email"].casefold()


def test_taking_masked_samples_again_changes_nothing(tmp_path: Path) -> None:
    work = Workspace.open(tmp_path / "work", mappings=tmp_path / "mappings")
    work.set_samples(FLOW, [Sample("one", order())])
    before = work.samples(FLOW)
    work.start(FLOW, before)
    assert work.samples(FLOW) == before


def test_samples_of_an_earlier_version_are_masked_when_they_are_met(tmp_path: Path) -> None:
    work = Workspace.open(tmp_path / "work", mappings=tmp_path / "mappings")
    file = tmp_path / "work" / "flows" / f"{FLOW}.samples.json"
    file.write_text(json.dumps([{"name": "old", "record": {"customer": {"email": CANARIES["email"]}}}]), "utf-8")
    assert CANARIES["email"] not in str(work.samples(FLOW))
    assert CANARIES["email"] not in file.read_text("utf-8")


def test_the_key_is_private_made_once_and_of_one_project(tmp_path: Path) -> None:
    key = project_key(tmp_path / "a")
    assert stat.S_IMODE((tmp_path / "a" / KEY_FILE).stat().st_mode) == 0o600
    assert project_key(tmp_path / "a") == key != project_key(tmp_path / "b")
    assert [path.name for path in (tmp_path / "a").iterdir()] == [KEY_FILE]
    (tmp_path / "a" / KEY_FILE).write_text("short", "ascii")
    with pytest.raises(InputError, match="is no masking key"):
        project_key(tmp_path / "a")


def test_numbers_and_ids_in_personal_places_keep_their_type() -> None:
    masked = Masker(b"k" * 32).mask(
        {
            "customer": "C-1001",
            "email": "a@b.de",
            "name": "#1001",
            "phone": 4930123456,
            "zip": 10115,
            "latitude": Decimal("52.520008"),
            "notes": None,
            "company": "",
            "emailVerified": True,
            "vat": Decimal("19.5"),
            "tax": {"vat": "19.00"},
        }
    )
    assert (masked["customer"], masked["name"]) == ("C-1001", "#1001")
    assert isinstance(masked["phone"], int) and masked["phone"] != 4930123456
    assert isinstance(masked["zip"], int) and len(str(masked["zip"])) == 5
    assert str(masked["latitude"]).startswith("52.") and masked["latitude"] != Decimal("52.520008")
    assert (masked["vat"], masked["tax"]) == (Decimal("19.5"), {"vat": "19.00"})
    assert (masked["notes"], masked["company"], masked["emailVerified"]) == (None, "", True)


def test_who_is_called_like_a_status_does_not_change_it() -> None:
    given = {"customer": {"lastName": "Shipped"}, "status": "Shipped", "title": "for Shipped, with love"}
    masked = Masker(b"k" * 32).mask(given)
    assert masked["status"] == "Shipped"
    assert "Shipped" not in (masked["customer"]["lastName"], *masked["title"].replace(",", "").split())


def test_a_profile_shows_pseudonyms_and_keeps_its_statistics() -> None:
    records = [
        {"customer": {"name": "Wilhelmine", "phone": n}, "total": n, "status": "paid"} for n in (4930123, 4930124)
    ]
    given = profile_records(records)
    shown = Masker(b"k" * 32).mask_profile(given)
    assert "Wilhelmine" not in str(shown) and "4930123" not in str(shown.field("customer.phone"))
    assert shown.field("total") == given.field("total")
    assert shown.field("status") == given.field("status")
    assert shown.field("customer.name").distinct == 1


def test_a_sample_without_end_is_not_stored(tmp_path: Path) -> None:
    record: dict[str, Any] = {"email": CANARIES["email"]}
    for _ in range(900):
        record = {"a": record}
    work = Workspace.open(tmp_path / "work", mappings=tmp_path / "mappings")
    with pytest.raises(InputError, match="nested too deeply"):
        work.set_samples(FLOW, [Sample("deep", record)])
    assert CANARIES["email"] not in on_disk(tmp_path)


def test_the_clock_of_a_workspace_does_not_change_pseudonyms(tmp_path: Path) -> None:
    stored = []
    for year in (2026, 2027):
        at = datetime(year, 1, 1, tzinfo=UTC)
        work = Workspace.open(tmp_path / "work", mappings=tmp_path / "mappings", now=lambda at=at: at)  # type: ignore[misc]
        work.set_samples(FLOW, [Sample("one", order())])
        stored.append(work.samples(FLOW))
    assert stored[0] == stored[1]
