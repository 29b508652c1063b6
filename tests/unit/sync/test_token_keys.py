"""Where the encryption key comes from, that several keys read, and that replacing one loses nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import keyring
import pytest
from cryptography.fernet import Fernet
from keyring.backend import KeyringBackend
from keyring.backends.fail import Keyring as NoKeyring
from keyring.errors import KeyringLocked, PasswordSetError
from pydantic import SecretStr

from connectors.tokens import TokenPair
from sync.__main__ import main
from sync.errors import SettingsError
from sync.store import Store, open_store
from sync.token_key import KeyChoice, KeySource
from sync.tokens_db import DatabaseTokenStore, rekey

PAIR = TokenPair("access-1", "refresh-1", 1_772_000_000.5, "orders:read")
OLD, NEW = Fernet.generate_key().decode(), Fernet.generate_key().decode()


class MemoryKeyring(KeyringBackend):
    """A keyring that forgets everything at the end of the test."""

    priority = 1  # type: ignore[assignment]

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[tuple[str, str], str] = {}
        self.error: Exception | None = None

    def get_password(self, service: str, username: str) -> str | None:
        if self.error:
            raise self.error
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        if self.error:
            raise self.error
        self.kept[service, username] = password


@pytest.fixture
def backend() -> Iterator[MemoryKeyring]:
    before = keyring.get_keyring()
    found = MemoryKeyring()
    keyring.set_keyring(found)
    yield found
    keyring.set_keyring(before)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(f"sqlite:///{tmp_path / 'm.db'}")
    yield opened
    opened.close()


def tokens(store: Store, source: KeySource | None = None, env: str | None = None) -> DatabaseTokenStore:
    return DatabaseTokenStore(store, "freshbooks", key=SecretStr(env) if env else None, key_source=source)


def save(store: Store, source: KeySource | None = None, env: str | None = None) -> None:
    with tokens(store, source, env).exclusive() as cell:
        cell.save(PAIR)


def loaded(store: Store, source: KeySource | None = None, env: str | None = None) -> TokenPair | None:
    with tokens(store, source, env).exclusive() as cell:
        return cell.load()


def choice(source: KeySource | None = None, env: str | None = None) -> KeyChoice:
    return KeyChoice(source, SecretStr(env) if env else None)


def test_the_first_key_of_the_environment_writes_and_all_read(store: Store) -> None:
    save(store, env=OLD)
    assert loaded(store, env=f"{NEW}, {OLD}") == PAIR
    assert rekey(store, choice(env=f"{NEW},{OLD}")) == 1
    assert loaded(store, env=NEW) == PAIR
    with pytest.raises(SettingsError, match="cannot be decrypted"):
        loaded(store, env=OLD)


def test_a_key_file_is_replaced_and_the_former_key_is_gone(store: Store, tmp_path: Path) -> None:
    save(store)
    file = tmp_path / "m.db.key"
    before = file.read_text("ascii")
    assert rekey(store, choice()) == 1
    assert before not in file.read_text("ascii")
    assert file.stat().st_mode & 0o777 == 0o600
    assert loaded(store) == PAIR
    assert [path.name for path in tmp_path.glob("m.db.key*")] == ["m.db.key"]


def test_the_keyring_keeps_the_key(store: Store, backend: MemoryKeyring, tmp_path: Path) -> None:
    save(store, "keyring")
    ((place, key),) = backend.kept.items()
    assert place == ("mapper-ai", "token-key")
    assert loaded(store, "keyring") == PAIR
    assert rekey(store, choice("keyring")) == 1
    assert backend.kept[place] != key
    assert "," not in backend.kept[place]
    assert loaded(store, "keyring") == PAIR
    assert not (tmp_path / "m.db.key").exists()


def test_a_key_moves_from_the_file_to_the_keyring(store: Store, backend: MemoryKeyring) -> None:
    save(store)
    with pytest.raises(SettingsError, match="cannot be decrypted"):
        rekey(store, choice("keyring"))
    assert loaded(store) == PAIR
    assert rekey(store, choice("keyring"), former="file") == 1
    assert loaded(store, "keyring") == PAIR
    with pytest.raises(SettingsError, match="cannot be decrypted"):
        loaded(store)


def test_a_kill_while_replacing_leaves_a_key_that_reads(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    save(store)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("sync.tokens_db.drop_former_keys", killed)
    with pytest.raises(KeyboardInterrupt):
        rekey(store, choice())
    assert loaded(store) == PAIR
    monkeypatch.setattr("sync.tokens_db._maybe_write", killed)
    with pytest.raises(KeyboardInterrupt):
        rekey(store, choice())
    assert loaded(store) == PAIR


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (KeyringLocked("x"), "keyring is locked: unlock it"),
        (PasswordSetError("x"), r"keyring failed \(PasswordSetError\): set MAPPER_TOKEN_KEY_FROM"),
    ],
)
def test_a_keyring_that_fails_is_said(store: Store, backend: MemoryKeyring, error: Exception, says: str) -> None:
    backend.error = error
    with pytest.raises(SettingsError, match=says):
        save(store, "keyring")


def test_no_keyring_is_one_clear_line_of_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], backend: MemoryKeyring
) -> None:
    keyring.set_keyring(NoKeyring())
    monkeypatch.chdir(tmp_path)
    for name, value in {
        "MAPPER_STORE_URL": f"sqlite:///{tmp_path / 'm.db'}",
        "MAPPER_TOKEN_KEY_FROM": "keyring",
        "FRESHBOOKS_CLIENT_ID": "app",
        "FRESHBOOKS_CLIENT_SECRET": "hush-hush",
    }.items():
        monkeypatch.setenv(name, value)
    assert main(["auth", "login", "freshbooks", "--print-url"]) == 2
    assert capsys.readouterr().err == (
        "mapper-sync: the operating system's keyring is not there: set MAPPER_TOKEN_KEY_FROM (or [sign_in] token_key)"
        " to env or file\n"
    )


@pytest.mark.parametrize(
    ("source", "env", "says"),
    [
        ("env", None, "MAPPER_TOKEN_KEY is not set"),
        (None, "short", "MAPPER_TOKEN_KEY: expected a Fernet key"),
        (None, f"{NEW},short", "MAPPER_TOKEN_KEY: expected a Fernet key"),
    ],
    ids=["none", "too-short", "second-too-short"],  # not the values: keys are made anew in every process
)
def test_a_key_that_does_not_fit_is_said(store: Store, source: KeySource | None, env: str | None, says: str) -> None:
    with pytest.raises(SettingsError, match=says) as caught:
        save(store, source, env)
    assert "short" not in caught.value.message


def test_a_former_place_without_a_key_is_said(store: Store) -> None:
    with pytest.raises(SettingsError, match=r"there is no former key in .*m\.db\.key"):
        rekey(store, choice(env=NEW), former="file")


def test_the_file_settings_choose_and_the_environment_goes_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from sync.settings import load_settings

    file = tmp_path / "mapper.toml"
    file.write_text('[sign_in]\ntoken_key = "keyring"\nclarity_grant = "authorization_code"\n', "utf-8")
    assert load_settings({}, file).sign_in.token_key == "keyring"
    found = load_settings({"MAPPER_TOKEN_KEY_FROM": "env"}, file).sign_in
    assert (found.token_key, found.clarity_grant) == ("env", "authorization_code")
    file.write_text('[sign_in]\ntoken_key = "cloud"\n', "utf-8")
    with pytest.raises(SettingsError, match=r"mapper\.toml: sign_in\.token_key: input should be 'env'"):
        load_settings({}, file)
    file.write_text('[sign_in]\nkey = "x"\n', "utf-8")
    with pytest.raises(SettingsError, match=r"sign_in\.key: unknown key; known here: clarity_grant"):
        load_settings({}, file)
