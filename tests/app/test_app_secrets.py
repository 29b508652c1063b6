"""No secret of the environment, and no card data of a sample, is on any page of the app or in what it keeps."""

from __future__ import annotations

import json

import pytest
from studio_app import FLOW, Studio, shown

from mapper_ai.ui.parts.frame import PAGES
from mapper_ai.ui.parts.records import read_text
from mapper_ai.ui.parts.settings_parts import OTHER_PARTS

SECRETS = {
    "FRESHBOOKS_ACCESS_TOKEN": "Kanarifbtoken1177",
    "FRESHBOOKS_CLIENT_SECRET": "Kanarifbsecret2299",
    "FRESHBOOKS_REFRESH_TOKEN": "Kanarirefresh3301",
    "CLARITY_CLIENT_SECRET": "Kanariclaritysecret4417",
    "CLARITY_API_KEY": "Kanariapikey5531",
    "CLARITY_WEBHOOK_SECRET": "Kanariwebhook6643",
    "MAPPER_ADMIN_TOKEN": "Kanariadmintoken8867",
    "OPENAI_API_KEY": "Kanariopenaikey9971",
    "MAPPER_ALERT_URLS": "json://user:Kanarialertpass6083@127.0.0.1:9",
    "MAPPER_TOKEN_KEY": "Kanaritokenkey7759AAAAAAAAAAAAAAAAAAAAAAAAA=",
}
CARD = {"cardNumber": "4929717358346122", "cvv": "Kanaricvv7391", "token": "Kanaricardtoken8841"}


def test_no_page_shows_a_secret(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    for name, value in (("FRESHBOOKS_ACCOUNT_ID", "A1"), ("CLARITY_CLIENT_ID", "me")):
        monkeypatch.setenv(name, value)
    for name in ("FRESHBOOKS_API_URL", "CLARITY_API_URL"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    work = studio.propose()
    sample = {
        "id": "1",
        "orderNumber": "W-1",
        "payments": [{"amount": "1.00", **CARD}],
        "password": "Kanaripassword5528",
    }
    work.set_samples(FLOW, read_text("orders.json", json.dumps([sample]).encode()))
    wanted = [*SECRETS.values(), "Kanarialertpass6083", *CARD.values(), "Kanaripassword5528"]
    places = [(page, {}) for page in PAGES]
    places += [("settings", {"show": part}) for part in OTHER_PARTS]
    places += [("runs", {"show": part}) for part in ("Dry run", "Error inbox", "Record", "Reconciliation", "By hand")]
    for page, looked_at in places:
        app = studio.page(page, flow=FLOW, **looked_at)
        text = shown(app) + "".join(str(entry.value) for entry in app.text_input)
        assert text
        assert [value for value in wanted if value in text] == [], page
    for file in studio.root.rglob("*"):
        if file.is_file():
            kept = file.read_bytes().decode("latin-1")
            assert [value for value in wanted if value in kept] == [], file.name
