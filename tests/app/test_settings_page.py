"""The Settings page: connecting, choosing an account, disconnecting, and what it says when that fails."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest
from studio_app import Studio, press, shown

from connectors.sandbox.server import Sandbox, running_sandbox
from mapper_ai.services import background
from sync.settings import load_settings
from sync.signin_status import ConnectionStatus, read_connections
from tests.llm_stub import running_stub
from tests.signin import code_of, consent, denied, oauth_stub, seen_secrets


@pytest.fixture
def sandbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    with running_sandbox() as started:
        monkeypatch.setenv("FRESHBOOKS_API_URL", started.freshbooks_url)
        monkeypatch.setenv("FRESHBOOKS_CLIENT_ID", started.freshbooks_client_id)
        monkeypatch.setenv("FRESHBOOKS_CLIENT_SECRET", started.freshbooks_client_secret)
        monkeypatch.setenv("CLARITY_API_URL", started.clarity_url)
        monkeypatch.setenv("CLARITY_CLIENT_ID", started.client_id)
        monkeypatch.setenv("CLARITY_CLIENT_SECRET", started.client_secret)
        yield started


def books() -> ConnectionStatus:
    return read_connections(load_settings(), {})[0]


def authorize_url(app: AppTest) -> str:
    """Of the link that opens the consent page."""
    return str(app.session_state["consent-freshbooks"])


def paste(app: AppTest, text: str) -> AppTest:
    app.text_input(key="pasted-freshbooks").set_value(text)
    return press(app, "finish-freshbooks")


def test_connecting_by_a_pasted_address_and_disconnecting(studio: Studio, sandbox: Sandbox) -> None:
    app = studio.page("settings")
    assert "not connected" in shown(app)
    press(app, "begin-freshbooks")
    assert "user%3Ainvoices%3Awrite" in authorize_url(app)
    with seen_secrets(sandbox) as secrets:
        paste(app, consent(authorize_url(app)))
    assert (books().state, books().account) == ("ok", "SANDBOX")
    text = shown(app)
    assert "Sandra Box <owner@sandbox.example>" in text
    assert "Sandbox (SANDBOX)" in text
    assert not any(secret in text + repr(app.session_state) for secret in secrets)
    # The Run page finds the account and the pair without any further setting.
    assert "FRESHBOOKS" not in "\n".join(entry.value for entry in studio.page("runs").text)
    app = press(studio.page("settings"), "disconnect-freshbooks")
    assert books().method == "none"
    assert sandbox.state.oauth.refresh_token is None
    assert "signed out" in shown(app)


def test_what_is_pasted_wrong_is_said_and_can_be_tried_again(studio: Studio, sandbox: Sandbox) -> None:
    app = press(studio.page("settings"), "begin-freshbooks")
    url = authorize_url(app)
    paste(app, "not a code")
    assert "FreshBooks is not connected" in shown(app)
    assert "that is no code" in shown(app)
    paste(app, denied(url))
    assert "the consent was denied" in shown(app)
    assert authorize_url(app) == url
    paste(app, code_of(consent(url)))
    assert books().state == "ok"


def test_cancel_forgets_the_address(studio: Studio, sandbox: Sandbox) -> None:
    app = press(studio.page("settings"), "begin-freshbooks")
    press(app, "cancel-freshbooks")
    assert "consent-freshbooks" not in app.session_state
    assert [entry.label for entry in app.button if entry.key == "begin-freshbooks"] == ["Connect FreshBooks"]


def test_one_of_several_accounts_is_chosen(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    with oauth_stub(accounts={"ONE": "First", "TWO": "Second"}) as stub:
        monkeypatch.setenv("FRESHBOOKS_API_URL", stub.url)
        monkeypatch.setenv("FRESHBOOKS_CLIENT_ID", "app")
        monkeypatch.setenv("FRESHBOOKS_CLIENT_SECRET", "hush-hush")
        app = press(studio.page("settings"), "begin-freshbooks")
        paste(app, "abcdef123456")
        assert "no account is chosen" in shown(app)
        app.selectbox(key="account").select("TWO").run()
        press(app, "use-account")
        assert (books().account, books().account_name) == ("TWO", "Second")
        press(app, "accounts")
        assert app.selectbox(key="account").value == "TWO"


def test_a_client_that_is_not_set_up_is_said(studio: Studio) -> None:
    app = press(studio.page("settings"), "begin-freshbooks")
    assert "FRESHBOOKS_CLIENT_ID and FRESHBOOKS_CLIENT_SECRET are not both set" in shown(app)
    assert "CLARITY_API_URL" in shown(app)


def test_clarity_is_tried_without_any_consent(
    studio: Studio, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = press(studio.page("settings"), "try-clarity")
    assert "nothing was stored" in shown(app)
    monkeypatch.setenv("CLARITY_CLIENT_SECRET", "not-the-secret")
    press(app, "try-clarity")
    assert "Clarity does not let us in" in shown(app)
    assert "not-the-secret" not in shown(app)


def test_limits_are_shown_with_what_sets_them(studio: Studio, tmp_path: Path) -> None:
    (tmp_path / "mapper.toml").write_text("[alerts]\nlag_s = 77\n", "utf-8")
    app = studio.page("settings", show="Limits & alerts")
    table = app.dataframe[0].value.set_index("Set by")
    assert table.loc["[alerts] lag_s", "Value"] == "77 s"
    assert table.loc["MAPPER_ADMIN_TOKEN", "Value"] == "no token"


def test_a_model_is_checked_beside_the_page_and_its_cost_is_told(
    studio: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "everything works without one" in shown(studio.page("settings", show="Language model"))
    with running_stub(lambda _body: '{"colour":"green","sure":"low"}') as stub:
        monkeypatch.setenv("OPENAI_BASE_URL", stub.url)
        monkeypatch.setenv("OPENAI_API_KEY", "Kanarillmkey8823")
        prices = '[llm.prices.clerk]\ninput = "1"\noutput = "2"\n'
        (tmp_path / "mapper.toml").write_text(f'[llm]\nmodel = "clerk"\ncache = ""\n{prices}', "utf-8")
        app = studio.page("settings", show="Language model")
        assert "1 USD in, 2 USD out, for a million tokens" in shown(app)
        press(app, "check-model")
        assert background.wait("language model check", 60).phase == "done"
        background_text = shown(app.run())
        background.clear("language model check")
    assert "clerk" in background_text
    assert "this check: " in background_text
    assert "Kanarillmkey8823" not in background_text


def test_masking_can_be_tried(studio: Studio) -> None:
    app = studio.page("settings", show="Masking")
    (masked,) = [str(entry.value) for entry in app.code]
    assert "anna" not in masked
    assert "@" in masked
    app.text_input(key="mask-name").set_value("total").run()
    app.text_input(key="mask-value").set_value("12.50").run()
    assert [entry.value for entry in app.code] == ["12.50"]


def test_people_and_roles_come_from_the_policy(studio: Studio, tmp_path: Path) -> None:
    (tmp_path / "mapper.toml").write_text(
        '[review]\nfour_eyes = true\n[review.owners]\n"invoice.lines*" = ["ben@example.com"]\n', "utf-8"
    )
    text = shown(studio.page("settings", show="People & roles"))
    for words in ("You are ana", "who changed a part does not approve it", "invoice.lines*", "ben@example.com"):
        assert words in text
