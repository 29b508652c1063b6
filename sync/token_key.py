"""The keys that tokens are encrypted with: from the environment, the operating system's keyring, or a file.

Several keys are allowed; the first one writes, all of them read. That is how a key is replaced without losing a
connection.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cryptography.fernet import Fernet, MultiFernet
from pydantic import SecretStr

from sync.errors import SettingsError
from sync.signin_settings import MAKE_KEY
from sync.store import Store

KeySource = Literal["env", "keyring", "file"]

KEYRING_SERVICE = "mapper-ai"
KEYRING_USER = "token-key"
_VARIABLE = "MAPPER_TOKEN_KEY"
_memory_key = Fernet.generate_key()


@dataclass(frozen=True)
class KeyChoice:
    """Where the keys come from.

    Attributes:
        source: None takes MAPPER_TOKEN_KEY when it is set, else a file next to a SQLite store.
        env: The value of MAPPER_TOKEN_KEY: one key, or several separated by commas.
    """

    source: KeySource | None = None
    env: SecretStr | None = None

    def resolved(self) -> KeySource:
        """The source that is used."""
        return self.source or ("env" if self.env is not None else "file")


def load_keys(choice: KeyChoice, store: Store) -> MultiFernet:
    """The keys, the writing one first; makes the first key of a keyring or file. The caller holds the refresh lock.

    Raises:
        SettingsError: No key, no keyring, or something that is no key.
    """
    source = choice.resolved()
    return MultiFernet(_fernets(_texts(source, choice, store, create=True), source, store))


def replace_key(choice: KeyChoice, store: Store) -> None:
    """Put a fresh key in front of those of a keyring or file; the former ones still read."""
    source = choice.resolved()
    texts = _texts(source, choice, store, create=True)
    _keep(source, store, [Fernet.generate_key().decode(), *texts])


def drop_former_keys(choice: KeyChoice, store: Store) -> None:
    """Keep only the writing key of a keyring or file."""
    source = choice.resolved()
    _keep(source, store, _texts(source, choice, store, create=True)[:1])


def with_former(choice: KeyChoice, store: Store, former: KeySource | None) -> MultiFernet:
    """As `load_keys`, also reading what was encrypted with another source's keys.

    Raises:
        SettingsError: As `load_keys`, or the former source holds no key.
    """
    source = choice.resolved()
    found = _fernets(_texts(source, choice, store, create=True), source, store)
    if former is not None and former != source:
        old = _texts(former, choice, store, create=False)
        if not old:
            raise SettingsError(f"there is no former key in {_place(former, store)}")
        found += _fernets(old, former, store)
    return MultiFernet(found)


def _texts(source: KeySource, choice: KeyChoice, store: Store, *, create: bool) -> list[str]:
    if source == "env":
        found = choice.env.get_secret_value() if choice.env is not None else ""
        if not found and create:
            raise SettingsError(f"{_VARIABLE} is not set: tokens are kept encrypted with it; make one with {MAKE_KEY}")
    elif source == "keyring":
        found = _from_keyring()
        if not found and create:
            _into_keyring(Fernet.generate_key().decode())
            found = _from_keyring()  # the one that stayed, should another process have made one as well
    elif store.is_sqlite and store.path is None:
        found = _memory_key.decode()
    else:
        path = _key_file(store)
        try:
            found = path.read_text("ascii")
        except FileNotFoundError:
            found = Fernet.generate_key().decode() if create else ""
            if create:
                _write_key(path, found)
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"{path}: cannot be read ({type(error).__name__})") from None
    return [text for text in found.replace(",", " ").split() if text]


def _fernets(texts: Sequence[str], source: KeySource, store: Store) -> list[Fernet]:
    try:
        return [Fernet(text) for text in texts]
    except ValueError:
        where = _place(source, store)
        raise SettingsError(f"{where}: expected a Fernet key (32 bytes, base64); make one with {MAKE_KEY}") from None


def _keep(source: KeySource, store: Store, texts: Sequence[str]) -> None:
    if source == "keyring":
        _into_keyring(",".join(texts))
    elif source == "file" and store.path is not None:
        _write_key(_key_file(store), "\n".join(texts))


def _place(source: KeySource, store: Store) -> str:
    if source == "env":
        return _VARIABLE
    return "the keyring" if source == "keyring" else str(_key_file(store))


def _key_file(store: Store) -> Path:
    if store.path is None:
        raise SettingsError(
            f'{_VARIABLE} is not set: a PostgreSQL store needs it (or token_key = "keyring") to keep tokens'
            f" encrypted; make one with {MAKE_KEY}"
        )
    return store.path.with_name(store.path.name + ".key")


def _write_key(path: Path, text: str) -> None:
    """All or nothing, readable by the owner alone: a lost key is a lost connection."""
    draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def _from_keyring() -> str:
    import keyring
    from keyring.errors import KeyringError

    try:
        return keyring.get_password(KEYRING_SERVICE, KEYRING_USER) or ""
    except KeyringError as error:
        raise _no_keyring(error) from None


def _into_keyring(text: str) -> None:
    import keyring
    from keyring.errors import KeyringError

    try:
        keyring.set_password(KEYRING_SERVICE, KEYRING_USER, text)
    except KeyringError as error:
        raise _no_keyring(error) from None


def _no_keyring(error: Exception) -> SettingsError:
    from keyring.errors import KeyringLocked, NoKeyringError

    if isinstance(error, KeyringLocked):
        return SettingsError("the operating system's keyring is locked: unlock it and try again")
    why = "is not there" if isinstance(error, NoKeyringError) else f"failed ({type(error).__name__})"
    return SettingsError(
        f"the operating system's keyring {why}: set MAPPER_TOKEN_KEY_FROM (or [sign_in] token_key) to env or file"
    )
