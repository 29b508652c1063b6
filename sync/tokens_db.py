"""Rotating OAuth tokens in the store: encrypted, and refreshed by one process at a time.

FreshBooks's refresh tokens are single use: two processes refreshing with the same one cut the connection. The lock is
a row lock on PostgreSQL; on SQLite it is a write transaction on a file of its own next to the store, so that a slow
token server never keeps webhooks from being stored.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Any

import sqlalchemy as sa
from cryptography.fernet import InvalidToken, MultiFernet
from pydantic import SecretStr
from sqlalchemy.engine import Connection
from sqlalchemy.exc import OperationalError

from connectors.tokens import TokenPair
from sync.errors import SettingsError, StoreError
from sync.store import Store, open_store
from sync.store import sign_in as sign_in_table
from sync.store import token as token_table
from sync.token_key import KeyChoice, KeySource, drop_former_keys, load_keys, replace_key, with_former

LOCK_TIMEOUT_S = 120
_memory_lock = threading.Lock()


class DatabaseTokenStore:
    """Keeps one connection's token pair (``connectors.tokens.TokenStore``)."""

    def __init__(
        self,
        store: Store,
        connection: str,
        *,
        key: SecretStr | None = None,
        key_source: KeySource | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        """Prepare; nothing is read yet.

        Args:
            connection: Its name, e.g. "freshbooks".
            key: Fernet keys (MAPPER_TOKEN_KEY), separated by commas; the first one writes.
            key_source: Where the keys are; None takes `key`, or else a file ``<store>.key``, mode 0600.
            now: Unix seconds, for the time of the last renewal.
        """
        self._store = store
        self._connection = connection
        self._key = KeyChoice(key_source, key)
        self._now = now

    @contextmanager
    def exclusive(self) -> Iterator[Cell]:
        """Hold the refresh lock across threads and processes.

        Raises:
            StoreError: Another process held it for two minutes.
            SettingsError: The key is missing or is no Fernet key, or there is no keyring.
        """
        with _locked(self._store, self._connection) as conn:
            keys = load_keys(self._key, self._store)
            yield Cell(self._store, conn, self._connection, keys, self._now)


class StoredTokens:
    """As `DatabaseTokenStore`, for whoever has no open store: opens one for every renewal."""

    def __init__(self, url: str, connection: str, *, key: KeyChoice) -> None:
        """Prepare; nothing is opened yet."""
        self._url = url
        self._connection = connection
        self._key = key

    @contextmanager
    def exclusive(self) -> Iterator[Cell]:
        """Hold the refresh lock; raises as `DatabaseTokenStore` and `open_store`."""
        with (
            closing(open_store(self._url)) as store,
            DatabaseTokenStore(
                store, self._connection, key=self._key.env, key_source=self._key.source
            ).exclusive() as cell,
        ):
            yield cell


class Cell:
    """What is kept of a connection, while the lock is held."""

    def __init__(
        self, store: Store, conn: Connection | None, connection: str, keys: MultiFernet, now: Callable[[], float]
    ) -> None:
        self._store = store
        self._conn = conn
        self._connection = connection
        self._keys = keys
        self._now = now

    def load(self) -> TokenPair | None:
        """The stored pair; None when there is none.

        Raises:
            SettingsError: The key is not the one it was encrypted with.
        """
        found = self._opened(self._connection)
        if found is None:
            return None
        return TokenPair(
            found["access"],
            found["refresh"],
            float(found["expires_at"]),
            found.get("scope", ""),
            float(found.get("obtained_at", 0)),
        )

    def save(self, pair: TokenPair) -> None:
        """Keep a new pair; durable before this returns."""
        plain = {
            "access": pair.access,
            "refresh": pair.refresh,
            "expires_at": str(pair.expires_at),
            "scope": pair.scope,
            "obtained_at": str(pair.obtained_at),
        }
        shown: dict[str, Any] = {"expires_at": pair.expires_at, "renewed_at": self._now()}
        if pair.scope:
            shown["scopes"] = pair.scope
        with self._writing() as conn:
            self._seal(conn, self._connection, plain)
            statement = self._store.insert(sign_in_table).values(connection=self._connection, **shown)
            conn.execute(statement.on_conflict_do_update(index_elements=["connection"], set_=shown))

    def forget(self) -> None:
        """Keep neither the pair nor what is known of the sign-in."""
        with self._writing() as conn:
            conn.execute(sa.delete(token_table).where(token_table.c.connection == self._connection))
            conn.execute(sa.delete(sign_in_table).where(sign_in_table.c.connection == self._connection))

    def load_consent(self) -> Mapping[str, Any] | None:
        """The open request for consent, as `save_consent` got it."""
        return self._opened(f"{self._connection}:consent")

    def save_consent(self, consent: Mapping[str, str] | None) -> None:
        """Keep the open request for consent, encrypted; None forgets it."""
        name = f"{self._connection}:consent"
        with self._writing() as conn:
            if consent is None:
                conn.execute(sa.delete(token_table).where(token_table.c.connection == name))
            else:
                self._seal(conn, name, consent)

    def _opened(self, name: str) -> dict[str, Any] | None:
        statement = sa.select(token_table.c.sealed).where(token_table.c.connection == name)
        if self._conn is not None:
            sealed = self._conn.scalar(statement)
        else:
            with self._store.read() as conn:
                sealed = conn.scalar(statement)
        if sealed is None:
            return None
        try:
            found: dict[str, Any] = json.loads(self._keys.decrypt(sealed.encode()), parse_float=str)
        except InvalidToken:
            raise _wrong_key(name) from None
        return found

    def _seal(self, conn: Connection, name: str, plain: Mapping[str, str]) -> None:
        values = {"sealed": self._keys.encrypt(json.dumps(dict(plain)).encode()).decode()}
        statement = self._store.insert(token_table).values(connection=name, **values)
        conn.execute(statement.on_conflict_do_update(index_elements=["connection"], set_=values))

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        if self._conn is None:
            with self._store.write() as conn:
                yield conn
            return
        yield self._conn
        # Commit now: the other side has already burnt the old refresh token.
        self._conn.connection.commit()


def sealing_key(store: Store, key: SecretStr | None, source: KeySource | None = None) -> MultiFernet:
    """What the token table is encrypted with, for secrets that stand there beside the tokens; made when missing.

    Raises:
        SettingsError: The key is missing or is no Fernet key, or there is no keyring.
        StoreError: Another process held the refresh lock for two minutes.
    """
    if not store.is_sqlite:
        return load_keys(KeyChoice(source, key), store)
    with _sidecar_lock(store):
        return load_keys(KeyChoice(source, key), store)


def rekey(store: Store, choice: KeyChoice, *, former: KeySource | None = None) -> int:
    """Encrypt everything anew: with a fresh key of the keyring or file, or the first one of MAPPER_TOKEN_KEY.

    A kill between two steps loses nothing: the former keys are dropped last.

    Args:
        former: Another source whose keys were used until now.

    Returns:
        How many entries were encrypted anew.

    Raises:
        SettingsError: A key is missing, or does not fit what is stored; nothing changed then.
        StoreError: Another process held the refresh lock for two minutes.
    """
    with _locked(store, None) as locked:
        # Every entry must open before any key is made.
        _rotated(store, locked, with_former(choice, store, former))
        if choice.resolved() != "env" and former in (None, choice.resolved()):
            replace_key(choice, store)
        rows = _rotated(store, locked, with_former(choice, store, former))
        with _maybe_write(store, locked) as conn:
            for name, sealed in rows.items():
                conn.execute(sa.update(token_table).where(token_table.c.connection == name).values(sealed=sealed))
        drop_former_keys(choice, store)
    return len(rows)


def _rotated(store: Store, locked: Connection | None, keys: MultiFernet) -> dict[str, str]:
    statement = sa.select(token_table).where(token_table.c.sealed.is_not(None))
    if locked is not None:
        rows = locked.execute(statement).all()
    else:
        with store.read() as conn:
            rows = conn.execute(statement).all()
    found = {}
    for row in rows:
        try:
            found[row.connection] = keys.rotate(row.sealed.encode()).decode()
        except InvalidToken:
            raise _wrong_key(row.connection) from None
    return found


@contextmanager
def _maybe_write(store: Store, locked: Connection | None) -> Iterator[Connection]:
    if locked is None:
        with store.write() as conn:
            yield conn
        return
    yield locked
    locked.connection.commit()


def _wrong_key(name: str) -> SettingsError:
    return SettingsError(
        f"the stored {name.partition(':')[0]} token cannot be decrypted: put the former MAPPER_TOKEN_KEY or key"
        " file back, or connect anew with 'mapper-sync auth login'"
    )


@contextmanager
def _locked(store: Store, connection: str | None) -> Iterator[Connection | None]:
    """The refresh lock of a connection, None for all of them; gives the transaction that holds it on PostgreSQL."""
    if store.is_sqlite:
        with _sidecar_lock(store):
            yield None
        return
    with store.write() as conn:
        conn.execute(sa.text(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT_S}s'"))
        try:
            if connection is None:
                conn.execute(sa.select(token_table.c.connection).with_for_update()).all()
            else:
                conn.execute(store.insert(token_table).values(connection=connection).on_conflict_do_nothing())
                mine = token_table.c.connection == connection
                conn.execute(sa.select(token_table.c.connection).where(mine).with_for_update())
        except OperationalError as error:
            if getattr(error.orig, "sqlstate", None) != "55P03":  # lock_not_available
                raise
            raise _busy("PostgreSQL") from None
        yield conn


@contextmanager
def _sidecar_lock(store: Store) -> Iterator[None]:
    if store.path is None:
        with _memory_lock:
            yield
        return
    lock_file = store.path.with_name(store.path.name + ".token-lock")
    connection = sqlite3.connect(lock_file, timeout=LOCK_TIMEOUT_S, isolation_level=None)
    try:
        try:
            connection.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError:
            raise _busy(str(lock_file)) from None
        yield
    finally:
        connection.close()  # ends the transaction; a killed process ends it as well


def _busy(where: str) -> StoreError:
    return StoreError(f"another process has been renewing the token for {LOCK_TIMEOUT_S} s ({where})")
