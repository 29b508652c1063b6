"""Signing in and out on the command line: what is said, how it ends, and what is kept."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from cryptography.fernet import Fernet

from connectors.sandbox.server import Sandbox, running_sandbox
from sync.__main__ import main
from tests.flows import MAPPINGS, envelope, order
from tests.signin import REDIRECT, OAuthStub, code_of, consent, denied, oauth_stub, seen_secrets

_FOREIGN = ("FRESHBOOKS_", "CLARITY_", "MAPPER_")


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with running_sandbox() as started:
        yield started


@pytest.fixture
def stub() -> Iterator[OAuthStub]:
    with oauth_stub() as started:
        yield started


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in list(os.environ):
        if name.startswith(_FOREIGN):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MAPPER_STORE_URL", f"sqlite:///{tmp_path / 'm.db'}")
    return tmp_path


@pytest.fixture
def books(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """The environment of somebody who registered an application and did not sign in yet."""
    monkeypatch.setenv("FRESHBOOKS_API_URL", sandbox.freshbooks_url)
    monkeypatch.setenv("FRESHBOOKS_CLIENT_ID", sandbox.freshbooks_client_id)
    monkeypatch.setenv("FRESHBOOKS_CLIENT_SECRET", sandbox.freshbooks_client_secret)
    return sandbox


def at_stub(stub: OAuthStub, monkeypatch: pytest.MonkeyPatch, *systems: str) -> None:
    for system in systems or ("FRESHBOOKS",):
        monkeypatch.setenv(f"{system}_API_URL", stub.url)
        monkeypatch.setenv(f"{system}_CLIENT_ID", "app")
        monkeypatch.setenv(f"{system}_CLIENT_SECRET", "hush-hush")


class Cli:
    """Runs the command in this process."""

    def __init__(self, capture: pytest.CaptureFixture[str]) -> None:
        self._capture = capture
        self.out = self.err = ""

    def __call__(self, *words: str) -> int:
        self._capture.readouterr()
        code = main(["auth", *words])
        self.out, self.err = self._capture.readouterr()
        return code

    def json(self, *words: str) -> Any:
        assert self(*words, "--json") == 0, self.err
        return json.loads(self.out)

    def url(self, system: str = "freshbooks", *words: str) -> str:
        """An authorize address to be answered with --code."""
        assert self("login", system, "--print-url", *words) == 0, self.err
        return self.out.strip()

    def status(self, system: str = "freshbooks") -> dict[str, Any]:
        found: list[dict[str, Any]] = self.json("status")
        return next(line for line in found if line["system"] == system)

    def line(self) -> str:
        """The one line on stderr."""
        lines = self.err.splitlines()
        assert len(lines) == 1, self.err
        return lines[0]


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Cli:
    return Cli(capsys)


def test_a_pasted_address_signs_in_and_the_runner_works_with_it(books: Sandbox, cli: Cli, place: Path) -> None:
    assert cli("login", "freshbooks", "--code", consent(cli.url("freshbooks", "--mappings", str(MAPPINGS)))) == 0
    assert cli.out == "Connected as Sandra Box <owner@sandbox.example>, account SANDBOX (Sandbox)\n"
    found = cli.status()
    assert (found["state"], found["method"], found["account"], found["needs_reconnect"]) == (
        "ok",
        "sign-in",
        "SANDBOX",
        False,
    )
    assert "user:invoices:write" in found["scopes"]
    assert found["missing"] == []
    assert found["expires_at"] > found["renewed_at"]
    events = place / "events.ndjson"
    from connectors.sandbox.generator import dumps_exact

    events.write_text(dumps_exact(envelope("order.created", order())) + "\n", "utf-8")
    assert main(["run", "--mappings", str(MAPPINGS), "--events", str(events), "--json"]) == 0
    assert len(books.state.freshbooks.tables["invoice"]) == 1


def test_the_address_asks_for_what_the_mappings_need_and_hides_the_verifier(books: Sandbox, cli: Cli) -> None:
    url = cli.url("freshbooks", "--mappings", str(MAPPINGS))
    for part in (
        "response_type=code",
        f"client_id={books.freshbooks_client_id}",
        "redirect_uri=https%3A%2F%2Flocalhost%2Fcallback",
        "code_challenge_method=S256",
        "user%3Abillable_items%3Aread",
        "user%3Aprofile%3Aread",
    ):
        assert part in url
    assert "taxes" not in url
    assert books.freshbooks_client_secret not in url
    assert "scope=user%3Aclients%3Aread&" in cli.url("freshbooks", "--scope", "user:clients:read")
    assert "scope=" not in cli.url("freshbooks", "--scope", "")


def test_the_real_servers_have_their_own_authorize_address(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRESHBOOKS_CLIENT_ID", "app")
    monkeypatch.setenv("FRESHBOOKS_CLIENT_SECRET", "hush-hush")
    assert cli.url().startswith("https://auth.freshbooks.com/oauth/authorize?response_type=code&client_id=app&")
    assert cli("login", "freshbooks", "--listen") == 2
    assert "https redirect addresses only" in cli.line()
    monkeypatch.setenv("FRESHBOOKS_AUTH_URL", "https://auth.example.com")
    assert cli.url().startswith("https://auth.example.com/oauth/authorize?")


def test_a_person_pastes_the_bare_code_at_the_prompt(books: Sandbox, place: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "sync", "auth", "login", "freshbooks"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])},
    ) as child:
        assert child.stdout is not None
        url = next(line.strip() for line in child.stdout if "/oauth/authorize?" in line)
        code = code_of(consent(url))
        out, err = child.communicate(code + "\n", timeout=60)
    assert child.returncode == 0, err
    assert "Connected as Sandra Box" in out
    assert code not in out + err


@pytest.mark.parametrize(
    ("pasted", "code", "says"),
    [
        ("", 3, "that is no code"),
        ("not a code at all", 3, "that is no code"),
        ("<script>", 3, "that is no code"),
        (f"{REDIRECT}?code=abcdef123456&state=another", 3, "the state does not match"),
        (f"{REDIRECT}?code=abcdef123456", 3, "the state does not match"),
        ("https://[half", 3, "no address"),
        (lambda url: denied(url), 1, "the consent was denied"),
        (lambda url: denied(url).replace("access_denied", "invalid_scope"), 1, "the consent failed: invalid_scope"),
        (lambda url: re.sub("code=[^&]*", "code=", consent(url)), 3, "the address holds no code"),
        ("0123456789abcdef0123456789abcdef", 1, "FreshBooks refused the code (invalid_grant"),
    ],
)
def test_what_is_pasted_wrong_ends_in_one_line(
    books: Sandbox, cli: Cli, pasted: str | Callable[[str], str], code: int, says: str
) -> None:
    url = cli.url()
    text = pasted if isinstance(pasted, str) else pasted(url)
    assert cli("login", "freshbooks", "--code", text) == code
    assert says in cli.line()
    assert text not in cli.err or not text
    assert cli.status()["method"] == "none"


def test_nothing_pasted_leaves_the_address_good(books: Sandbox, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    assert cli("login", "freshbooks") == 1
    assert "no code was pasted" in cli.err
    url = next(line for line in cli.out.splitlines() if "authorize?" in line)
    monkeypatch.setattr(sys, "stdin", io.StringIO(consent(url) + "\n"))
    assert cli("login", "freshbooks", "--code", "-") == 0


def test_a_code_works_once_and_for_five_minutes(books: Sandbox, cli: Cli) -> None:
    first = consent(cli.url())
    assert cli("login", "freshbooks", "--code", first) == 0
    before = cli.status()
    assert cli("login", "freshbooks", "--code", code_of(first)) == 1
    assert "codes work once" in cli.line()
    late = consent(cli.url())
    clock = books.state.oauth._clock
    books.state.oauth._clock = lambda: clock() + timedelta(minutes=5, seconds=1)
    assert cli("login", "freshbooks", "--code", late) == 1
    assert "for 5 minutes" in cli.line()
    assert code_of(late) not in cli.err
    assert cli.status() == before


def test_an_address_shown_long_ago_is_not_answered(books: Sandbox, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    address = consent(cli.url())
    monkeypatch.setattr("sync.signin.CONSENT_LIFE_S", -1.0)
    assert cli("login", "freshbooks", "--code", address) == 3
    assert "the state does not match" in cli.line()


def test_a_wrong_secret_keeps_the_pair_that_is_there(books: Sandbox, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cli("login", "freshbooks", "--code", consent(cli.url())) == 0
    before = cli.status()
    address = consent(cli.url())
    monkeypatch.setenv("FRESHBOOKS_CLIENT_SECRET", "not-the-secret")
    assert cli("login", "freshbooks", "--code", address) == 1
    assert "FreshBooks sign-in refused, status 401: invalid_client" in cli.line()
    assert "not-the-secret" not in cli.err
    assert cli.status() == before


def test_an_unreachable_server_is_said_before_anybody_consents(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRESHBOOKS_API_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("FRESHBOOKS_CLIENT_ID", "app")
    monkeypatch.setenv("FRESHBOOKS_CLIENT_SECRET", "hush-hush")
    assert cli("login", "freshbooks") == 1
    assert "cannot reach http://127.0.0.1:1" in cli.line()
    assert cli("login", "freshbooks", "--code", "abcdef123456") == 1
    assert "check FRESHBOOKS_API_URL" in cli.line()


@pytest.mark.parametrize(
    ("environ", "words", "says"),
    [
        ({}, ("login", "freshbooks"), "FRESHBOOKS_CLIENT_ID and FRESHBOOKS_CLIENT_SECRET are not both set"),
        ({}, ("login", "clarity"), "CLARITY_API_URL is not set"),
        ({}, ("logout", "freshbooks"), "nobody is signed in at FreshBooks"),
        ({}, ("account", "freshbooks"), "nobody is signed in at FreshBooks"),
        ({"FRESHBOOKS_REDIRECT_URI": "http://shop.example/cb"}, ("status",), "FRESHBOOKS_REDIRECT_URI: expected https"),
        ({"MAPPER_TOKEN_KEY_FROM": "cloud"}, ("status",), "MAPPER_TOKEN_KEY_FROM: input should be 'env', 'keyring'"),
        ({"CLARITY_GRANT": "password"}, ("status",), "CLARITY_GRANT: input should be"),
        ({"MAPPER_STORE_URL": "sqlite://"}, ("logout", "freshbooks"), "a store in memory"),
    ],
)
def test_settings_that_do_not_fit_are_named(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], words: tuple[str, ...], says: str
) -> None:
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert cli(*words) == 2
    assert says in cli.line()


def test_a_redirect_address_with_a_query_is_refused(books: Sandbox, cli: Cli) -> None:
    assert cli("login", "freshbooks", "--print-url", "--redirect-uri", "https://shop.example/cb?x=1") == 2
    assert "--redirect-uri: expected https://host/path without a query" in cli.line()


def test_logout_revokes_at_the_server_and_forgets(books: Sandbox, cli: Cli, place: Path) -> None:
    assert cli("login", "freshbooks", "--code", consent(cli.url())) == 0
    assert cli("revoke", "freshbooks") == 0
    assert cli.out == "FreshBooks: the tokens are revoked at the server and forgotten here\n"
    assert books.state.oauth.refresh_token is None
    found = cli.status()
    assert (found["state"], found["method"], found["needs_reconnect"]) == ("not connected", "none", True)
    assert main(["run", "--mappings", str(MAPPINGS)]) == 2


def test_logout_without_the_server_keeps_the_pair_unless_told(
    books: Sandbox, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cli("login", "freshbooks", "--code", consent(cli.url())) == 0
    monkeypatch.setenv("FRESHBOOKS_API_URL", "http://127.0.0.1:1")
    assert cli("logout", "freshbooks") == 1
    assert cli.status()["method"] == "sign-in"
    assert cli("logout", "freshbooks", "--local") == 0
    assert "live on until revoked there" in cli.out
    assert cli.status()["method"] == "none"


def test_several_accounts_wait_for_a_choice(
    stub: OAuthStub, cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from sync.settings import load_settings
    from sync.signin_state import with_sign_in

    at_stub(stub, monkeypatch)
    stub.accounts = {"ONE": "First", "TWO": "Second"}
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    assert cli("login", "freshbooks", "--code", "abcdef123456") == 2
    assert "several accounts: ONE (First, owner), TWO (Second, owner)" in cli.line()
    assert (cli.status()["state"], cli.status()["account"]) == ("stopped", None)
    assert cli("account", "freshbooks", "THREE") == 2
    assert "account 'THREE' is none of this sign-in's; there are: ONE (First), TWO (Second)" in cli.line()
    assert cli.json("account", "freshbooks", "TWO")["account"] == "TWO"
    assert (cli.status()["state"], cli.status()["account_name"]) == ("ok", "Second")
    # What the doctor found is of one account: it counts once that account is known from the sign-in.
    config = tmp_path / "mapper.toml"
    config.touch()
    common = f'date = 2026-03-01\nurl = "{stub.url}"\nlag_s = 30\n'
    (tmp_path / "doctor.toml").write_text(f'[systems.freshbooks.findings]\naccount = "TWO"\n{common}')
    before = load_settings(config=config)
    after = with_sign_in(before)
    assert (before.findings, before.settle_s) == (None, 20.0)
    assert (after.findings is not None, after.settle_s, len(after.notices)) == (True, 60.0, 1)
    # Signing in again keeps the choice; naming one changes it.
    assert cli("login", "freshbooks", "--code", "abcdef123457") == 0
    assert "account TWO (Second)" in cli.out
    assert cli("login", "freshbooks", "--code", "abcdef123458", "--account", "ONE") == 0
    assert cli.status()["account"] == "ONE"


def test_a_person_chooses_by_number(stub: OAuthStub, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    at_stub(stub, monkeypatch)
    stub.accounts = {"ONE": "First", "TWO": "Second"}
    terminal = io.StringIO("2\n")
    monkeypatch.setattr(terminal, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(sys, "stdin", terminal)
    assert cli("login", "freshbooks", "--code", "abcdef123456") == 0
    assert "account TWO (Second)" in cli.out


def test_missing_scopes_are_named(stub: OAuthStub, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    at_stub(stub, monkeypatch)
    stub.scope = "user:profile:read user:clients:read user:clients:write user:invoices:read user:payments:read"
    words = ("login", "freshbooks", "--code", "abcdef123456", "--mappings", str(MAPPINGS))
    assert cli(*words) == 1
    assert "lacks scopes the mappings need: user:billable_items:read" in cli.line()
    assert "user:invoices:write user:payments:write" in cli.err
    assert cli("status", "--mappings", str(MAPPINGS)) == 0
    assert "missing       user:billable_items:read" in cli.out


def test_a_narrower_consent_is_held_against_the_mappings(books: Sandbox, cli: Cli) -> None:
    address = consent(cli.url("freshbooks", "--scope", "user:profile:read user:clients:read"))
    assert cli("login", "freshbooks", "--code", address, "--mappings", str(MAPPINGS)) == 1
    assert "user:invoices:write" in cli.line()
    address = consent(cli.url("freshbooks", "--scope", "user:profile:read user:clients:read"))
    assert cli("login", "freshbooks", "--code", address) == 0
    assert cli.status()["scopes"] == ["user:clients:read", "user:profile:read"]


def test_pkce_ties_the_code_to_this_request(books: Sandbox, cli: Cli) -> None:
    first = consent(cli.url())
    second = consent(cli.url())
    assert cli("login", "freshbooks", "--code", code_of(first)) == 1
    assert "FreshBooks refused the code" in cli.line()
    assert cli("login", "freshbooks", "--code", second) == 0


def test_a_setting_that_goes_before_the_sign_in_is_said(
    books: Sandbox, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FRESHBOOKS_ACCESS_TOKEN", books.access_token)
    monkeypatch.setenv("FRESHBOOKS_ACCOUNT_ID", "OTHER")
    assert cli("login", "freshbooks", "--code", consent(cli.url())) == 0
    assert "FRESHBOOKS_ACCESS_TOKEN is set and goes before" in cli.out
    assert "FRESHBOOKS_ACCOUNT_ID is set to an account this sign-in does not reach" in cli.out
    assert cli.status()["method"] == "access token of the settings"


def test_clarity_s_client_credentials_are_tried_and_nothing_is_stored(
    sandbox: Sandbox, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLARITY_API_URL", sandbox.clarity_url)
    monkeypatch.setenv("CLARITY_CLIENT_ID", sandbox.client_id)
    monkeypatch.setenv("CLARITY_CLIENT_SECRET", sandbox.client_secret)
    assert cli("login", "clarity") == 0
    assert cli.out == "Clarity takes the client id and secret; no consent is needed and nothing was stored.\n"
    assert (cli.status("clarity")["method"], cli.status("clarity")["state"]) == ("client credentials", "ok")
    monkeypatch.setenv("CLARITY_CLIENT_SECRET", "not-the-secret")
    assert cli("login", "clarity") == 1
    assert "Clarity sign-in refused, status 401" in cli.line()


def test_clarity_s_api_key_goes_into_its_own_header(stub: OAuthStub, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLARITY_API_URL", stub.url)
    monkeypatch.setenv("CLARITY_API_KEY", "key-of-the-shop")
    assert cli("login", "clarity") == 0
    assert "takes the API key" in cli.out
    assert stub.keys == ["key-of-the-shop"]


def test_clarity_s_consent_page_signs_in(sandbox: Sandbox, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    from sync.connections import open_clarity
    from sync.settings import load_settings

    monkeypatch.setenv("CLARITY_API_URL", sandbox.clarity_url)
    monkeypatch.setenv("CLARITY_CLIENT_ID", sandbox.client_id)
    monkeypatch.setenv("CLARITY_CLIENT_SECRET", sandbox.client_secret)
    monkeypatch.setenv("CLARITY_GRANT", "authorization_code")
    page = httpx2.post(cli.url("clarity", "--mappings", str(MAPPINGS)), data={"decision": "allow"})
    assert cli("login", "clarity", "--code", page.headers["location"]) == 0
    assert cli.status("clarity")["scopes"] == ["customers:read", "orders:read", "payments:read", "products:read"]
    client = open_clarity(load_settings())
    assert client is not None
    with closing(client):
        httpx2.post(f"{sandbox.clarity_url}/_control/oauth/expire", json={})
        assert list(client.list_updated("order", None)) == []
    assert cli("logout", "clarity") == 0
    assert cli.status("clarity")["state"] != "ok"


@pytest.mark.parametrize("rotates", [True, False])
def test_clarity_s_consent_is_renewed_like_freshbooks(
    stub: OAuthStub, cli: Cli, monkeypatch: pytest.MonkeyPatch, rotates: bool
) -> None:
    from sync.connections import open_clarity
    from sync.settings import load_settings

    stub.rotates = rotates
    at_stub(stub, monkeypatch, "CLARITY")
    monkeypatch.setenv("CLARITY_GRANT", "authorization_code")
    url = cli.url("clarity")
    assert url.startswith(f"{stub.url}/oauth/authorize?")
    assert "scope=customers%3Aread%20orders%3Aread" in url
    assert cli("login", "clarity", "--code", "abcdef123456") == 0
    assert (cli.out, stub.forms[0]["redirect_uri"]) == ("Connected.\n", REDIRECT)
    assert len(stub.forms[0]["code_verifier"]) >= 43
    for answered in (2, 3):
        client = open_clarity(load_settings())
        assert client is not None
        with client:
            stub.count += 1  # the server's token moved on: the next call is refused and renews
            assert list(client.list_updated("order", None)) == []
        assert len(stub.forms) == answered
    assert cli("logout", "clarity") == 0
    assert stub.revoked == [stub.refresh, stub.access]


def test_a_server_without_revoking_is_forgotten_all_the_same(
    stub: OAuthStub, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    stub.has_revoke = False
    at_stub(stub, monkeypatch, "CLARITY")
    monkeypatch.setenv("CLARITY_GRANT", "authorization_code")
    assert cli("login", "clarity", "--code", "abcdef123456") == 0
    assert cli("logout", "clarity") == 0
    assert "live on until revoked there" in cli.out


def test_a_loopback_listener_takes_the_code(stub: OAuthStub, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import httpx2

    at_stub(stub, monkeypatch, "CLARITY")
    monkeypatch.setenv("CLARITY_GRANT", "authorization_code")
    with subprocess.Popen(
        [sys.executable, "-m", "sync", "auth", "login", "clarity", "--listen"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])},
    ) as child:
        assert child.stdout is not None
        url = next(line.strip() for line in child.stdout if "/oauth/authorize?" in line)
        asked = dict(httpx2.URL(url).params)
        with httpx2.Client(trust_env=False) as browser:
            assert browser.get(asked["redirect_uri"].replace("/callback", "/favicon.ico")).status_code == 404
            answer = browser.get(asked["redirect_uri"], params={"code": "abcdef123456", "state": asked["state"]})
        assert answer.status_code == 200
        out, err = child.communicate(timeout=60)
    assert (child.returncode, out.strip()) == (0, "Connected."), err
    assert stub.forms[0]["code"] == "abcdef123456"
    assert stub.forms[0]["redirect_uri"] == asked["redirect_uri"]


def test_no_secret_is_left_anywhere(books: Sandbox, cli: Cli, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything a full round printed and wrote, byte by byte."""
    monkeypatch.setenv("MAPPER_TOKEN_KEY", Fernet.generate_key().decode())
    monkeypatch.setenv("MAPPER_LOG", str(place / "run.log"))
    said: list[str] = []

    def do(*words: str) -> None:
        cli(*words)
        said.extend([cli.out, cli.err])

    with seen_secrets(books) as secrets:
        address = consent(cli.url())
        do("login", "freshbooks", "--code", address)
        do("status")
        do("login", "freshbooks", "--code", address)  # used
        do("login", "freshbooks", "--code", consent(cli.url()).replace("state=", "state=x"))
        do("login", "freshbooks", "--code", consent(cli.url()), "--account", "NONE")
        do("account", "freshbooks", "SANDBOX")
        with books.state.lock:
            books.state.oauth.expire_all()
        do("account", "freshbooks")  # renews
        assert main(["run", "--mappings", str(MAPPINGS)]) == 0
        with books.state.lock:
            books.state.oauth.expire_all()
            books.state.oauth.refresh_token = "gone"
        do("account", "freshbooks")
        do("rekey")
        do("login", "freshbooks", "--code", consent(cli.url()))
        do("logout", "freshbooks")
        do("login", "freshbooks", "--code", consent(cli.url()))
    assert len(secrets) > 12
    files = [path for path in place.rglob("*") if path.is_file()]
    assert {"m.db", "run.log"} <= {path.name for path in files}
    everything = b"\n".join([*(path.read_bytes() for path in files), "\n".join(said).encode()])
    assert b"Sandra Box" in everything
    assert [number for number, secret in enumerate(secrets) if secret.encode() in everything] == []


def test_a_lost_key_costs_a_new_sign_in_and_nothing_else(
    books: Sandbox, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAPPER_TOKEN_KEY", Fernet.generate_key().decode())
    assert cli("login", "freshbooks", "--code", consent(cli.url())) == 0
    monkeypatch.setenv("MAPPER_TOKEN_KEY", Fernet.generate_key().decode())
    assert cli("account", "freshbooks") == 2
    assert "cannot be decrypted: put the former MAPPER_TOKEN_KEY" in cli.line()
    assert cli("rekey") == 2
    assert cli("login", "freshbooks", "--code", consent(cli.url())) == 0
    assert cli("account", "freshbooks") == 0
    assert cli("rekey") == 0
    assert cli.out.startswith("1 entry is encrypted")


def test_status_without_a_store_creates_none(cli: Cli, place: Path) -> None:
    assert cli("status") == 0
    assert cli.out.splitlines()[0] == "FreshBooks: not connected"
    assert "mapper-sync auth login freshbooks" in cli.out
    assert not (place / "m.db").exists()


def test_times_are_utc(books: Sandbox, cli: Cli) -> None:
    assert cli("login", "freshbooks", "--code", consent(cli.url())) == 0
    ends = datetime.fromisoformat(cli.status()["expires_at"])
    assert timedelta(hours=11) < ends - datetime.now(UTC) <= timedelta(hours=12)
