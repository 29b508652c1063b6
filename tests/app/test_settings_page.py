"""The Settings page: connecting, choosing an account, disconnecting, and what it says when that fails."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from streamlit.testing.v1 import AppTest
from studio_app import Studio, press, shown

from connectors.sandbox.server import Sandbox, running_sandbox
from sync.settings import load_settings
from sync.signin_status import ConnectionStatus, read_connections
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
