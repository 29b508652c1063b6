"""Settings: defaults, both forms of an address, and one line for what does not fit."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from sync.errors import SettingsError
from sync.settings import Settings, load_settings

CLARITY = {"CLARITY_CLIENT_ID": "id", "CLARITY_CLIENT_SECRET": "s3cret"}


def read(environ: dict[str, str] | None = None, config: Path | None = None) -> Settings:
    return load_settings({"MAPPER_CONFIG": "", **(environ or {})}, config)


def test_defaults(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    found = read()
    assert found.store_url == "sqlite:///mapper.db"
    assert found.freshbooks.api_url == "https://api.freshbooks.com"
    assert (found.settle_s, found.http_timeout_s) == (20.0, 30.0)
    assert not found.clarity.configured
    assert found.policies.lock_date is None


@pytest.mark.parametrize("end", ["", "/", "/api/v1", "/api/v1/"])
def test_clarity_s_address_may_name_the_api_or_not(end: str) -> None:
    assert read({"CLARITY_API_URL": f"https://shop.example.com{end}", **CLARITY}).clarity.api_url == (
        "https://shop.example.com"
    )


def test_the_flavour_is_rest_unless_told_otherwise() -> None:
    assert read().clarity.flavour == "rest"
    assert read({"CLARITY_FLAVOUR": "CEF"}).clarity.flavour == "cef"
    with pytest.raises(SettingsError, match="CLARITY_FLAVOUR: expected rest or cef, got 'soap'"):
        read({"CLARITY_FLAVOUR": "soap"})


def test_a_flavour_brings_its_profile_with_its_corrections(tmp_path: Path) -> None:
    file = tmp_path / "mapper.toml"
    file.write_text('[systems]\nsource = "clarity-cef"\n[systems.clarity-cef.settings]\nA21 = "America/New_York"\n')
    by_file, by_variable = load_settings({}, file), load_settings({"CLARITY_FLAVOUR": "cef"}, file)
    for found in (by_file, by_variable):
        assert (found.clarity.flavour, found.profile.system) == ("cef", "clarity-cef")
        assert (found.profile.assumed("A21"), found.reading.zone.key) == ("America/New_York", "America/New_York")
    assert load_settings({"CLARITY_FLAVOUR": "rest"}, file).profile.system == "clarity-rest"


def test_several_webhook_secrets_while_rotating() -> None:
    found = read({"CLARITY_WEBHOOK_SECRET": "new, old,"}).clarity.webhook_secrets
    assert [secret.get_secret_value() for secret in found] == ["new", "old"]


def test_secrets_do_not_show_when_printed() -> None:
    found = read({"FRESHBOOKS_ACCESS_TOKEN": "s3cret", "CLARITY_API_URL": "https://x.example", **CLARITY})
    assert "s3cret" not in repr(found)


@pytest.mark.parametrize(
    ("environ", "says"),
    [
        ({"FRESHBOOKS_API_URL": "api.freshbooks.com"}, "FRESHBOOKS_API_URL: expected an address"),
        ({"FRESHBOOKS_API_URL": "http://x:99999"}, "FRESHBOOKS_API_URL: expected an address"),
        ({"CLARITY_API_URL": "https://x.example"}, "CLARITY_CLIENT_ID is not set"),
        ({"MAPPER_TOKEN_KEY": "short"}, "MAPPER_TOKEN_KEY: expected a Fernet key (32 bytes, base64); make one with"),
        ({"MAPPER_SETTLE_S": "soon"}, "MAPPER_SETTLE_S: expected a number of seconds of 0 or more, got 'soon'"),
        ({"MAPPER_SETTLE_S": "-1"}, "MAPPER_SETTLE_S"),
        ({"MAPPER_SETTLE_S": "nan"}, "MAPPER_SETTLE_S"),
        ({"MAPPER_HTTP_TIMEOUT_S": "0"}, "MAPPER_HTTP_TIMEOUT_S: expected a number of seconds above 0"),
        ({"MAPPER_CONFIG": "/nowhere/mapper.toml"}, "/nowhere/mapper.toml: no such file"),
    ],
)
def test_what_does_not_fit_is_named(environ: dict[str, str], says: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read(environ)
    assert says in caught.value.message
    assert "\n" not in caught.value.message


def test_zero_settle_time_is_allowed() -> None:
    assert read({"MAPPER_SETTLE_S": "0"}).settle_s == 0


def test_the_toml_file(tmp_path: Path) -> None:
    path = tmp_path / "mapper.toml"
    path.write_text(
        '[llm]\nmodel = "x"\n[policies]\nlock_date = 2026-01-01\nlock_date_action = "today"\n'
        'payments.in_doubt = "person"\n'
        "[poll]\noverlap_s = 60\nstart_date = 2026-02-01\n"
    )
    found = read(config=path)
    assert found.policies.lock_date == date(2026, 1, 1)
    assert (found.policies.payments.in_doubt, found.policies.lock_date_action) == ("person", "today")
    assert (found.poll.overlap_s, found.poll.start_date) == (60, date(2026, 2, 1))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "[policies]\nlok_date = 2026-01-01",
            "policies.lok_date: unknown key; known here: clients, items, lock_date, lock_date_action, payments",
        ),
        ('[policies]\nlock_date_action = "guess"', "policies.lock_date_action: input should be 'hold' or 'today'"),
        ("[policies]\npayments.in_doubt = 1", "policies.payments.in_doubt: "),
        ("[poll]\noverlap_s = -1", "poll.overlap_s: "),
        ("poll = 3", "poll: "),
        ('[policies]\nclients.ended = "delete"', "policies.clients.ended: input should be 'leave' or 'archive'"),
        (
            '[policies]\nitems.newsku = "new"',
            "items.newsku: unknown key; known here: both_changed, ended, found, new_sku",
        ),
        ('[runner]\nengine = "cron"', "runner.engine: input should be 'dbos' or 'inprocess'"),
        ("[runner]\nworkers = -1", "runner.workers: input should be greater than or equal to 0"),
        ("[policies\n", "not valid TOML"),
    ],
)
def test_a_wrong_toml_names_file_and_key(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "mapper.toml"
    path.write_text(text)
    with pytest.raises(SettingsError) as caught:
        read(config=path)
    assert caught.value.message.startswith(f"{path}: ")
    assert says in caught.value.message


@pytest.mark.parametrize(
    ("environ", "says"),
    [
        ({}, "FRESHBOOKS_ACCOUNT_ID is not set"),
        ({"FRESHBOOKS_ACCOUNT_ID": "A1"}, "no FreshBooks token: set FRESHBOOKS_ACCESS_TOKEN, or"),
        ({"FRESHBOOKS_ACCOUNT_ID": "A1", "FRESHBOOKS_CLIENT_ID": "x"}, "no FreshBooks token"),
    ],
)
def test_an_incomplete_freshbooks_connection_names_the_variables(environ: dict[str, str], says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        read(environ).require_freshbooks()


def test_either_kind_of_freshbooks_token_will_do() -> None:
    account = {"FRESHBOOKS_ACCOUNT_ID": "A1"}
    read({**account, "FRESHBOOKS_ACCESS_TOKEN": "t"}).require_freshbooks()
    rotating = {f"FRESHBOOKS_{name}": "x" for name in ("CLIENT_ID", "CLIENT_SECRET", "REFRESH_TOKEN")}
    read({**account, **rotating}).require_freshbooks()
