"""Rotating OAuth tokens in the store: encrypted, and refreshed by one process at a time.

FreshBooks's refresh tokens are single use: two processes refreshing with the same one cut the connection. The lock is
a row lock on PostgreSQL; on SQLite it is a write transaction on a file of its own next to the store, so that a slow
token server never keeps webhooks from being stored.
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa
from cryptography.fernet import Fernet, InvalidToken
from pydantic import SecretStr
from sqlalchemy.engine import Connection

from connectors.tokens import TokenPair
from sync.errors import SettingsError, StoreError
from sync.store import Store
from sync.store import token as token_table

LOCK_TIMEOUT_S = 120
_memory_lock = threading.Lock()
_memory_key = Fernet.generate_key()


class DatabaseTokenStore:
    """Keeps one connection's token pair (``connectors.tokens.TokenStore``)."""

    def __init__(self, store: Store, connection: str, *, key: SecretStr | None = None) -> None:
        """Prepare; nothing is read yet.

        Args:
            connection: Its name, e.g. "freshbooks".
            key: Fernet key (MAPPER_TOKEN_KEY). Without it a SQLite store keeps one in ``<file>.key``, mode 0600.
        """
        self._store = store
        self._connection = connection
        self._key = key

    @contextmanager
    def exclusive(self) -> Iterator[_Cell]:
        """Hold the refresh lock across threads and processes.

        Raises:
            StoreError: Another process held it for two minutes.
            SettingsError: The key is missing or is no Fernet key.
        """
        with _sidecar_lock(self._store):
            fernet = self._fernet()
            if self._store.is_sqlite:
                yield _Cell(self._store, None, self._connection, fernet)
                return
            with self._store.write() as conn:
                values = {"connection": self._connection}
                conn.execute(self._store.insert(token_table).values(**values).on_conflict_do_nothing())
                mine = token_table.c.connection == self._connection
                conn.execute(sa.select(token_table.c.connection).where(mine).with_for_update())
                yield _Cell(self._store, conn, self._connection, fernet)

    def _fernet(self) -> Fernet:
        if self._key is not None:
            return _usable(self._key.get_secret_value().encode(), "MAPPER_TOKEN_KEY")
        path = self._store.path
        if path is None and not self._store.is_sqlite:
            raise SettingsError(
                "MAPPER_TOKEN_KEY is not set: a PostgreSQL store needs it to keep tokens encrypted; make one with"
                " python -c 'from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())'"
            )
        if path is None:
            return Fernet(_memory_key)
        key_file = path.with_name(path.name + ".key")
        try:
            return _usable(key_file.read_bytes().strip(), str(key_file))
        except FileNotFoundError:
            return Fernet(_create_key(key_file))


class _Cell:
    """The stored pair while the lock is held."""

    def __init__(self, store: Store, conn: Connection | None, connection: str, fernet: Fernet) -> None:
        self._store = store
        self._conn = conn
        self._connection = connection
        self._fernet = fernet

    def load(self) -> TokenPair | None:
        """The stored pair; None when there is none.

        Raises:
            SettingsError: The key is not the one it was encrypted with.
        """
        statement = sa.select(token_table).where(token_table.c.connection == self._connection)
        if self._conn is not None:
            row = self._conn.execute(statement).one_or_none()
        else:
            with self._store.read() as conn:
                row = conn.execute(statement).one_or_none()
        if row is None or row.sealed is None:
            return None
        try:
            found = json.loads(self._fernet.decrypt(row.sealed.encode()), parse_float=str)
        except InvalidToken:
            raise SettingsError(
                f"the stored {self._connection} token cannot be decrypted: put the former MAPPER_TOKEN_KEY or key"
                " file back, or connect anew"
            ) from None
        return TokenPair(found["access"], found["refresh"], float(found["expires_at"]))

    def save(self, pair: TokenPair) -> None:
        """Keep a new pair; durable before this returns."""
        plain = {"access": pair.access, "refresh": pair.refresh, "expires_at": str(pair.expires_at)}
        values = {"sealed": self._fernet.encrypt(json.dumps(plain).encode()).decode()}
        statement = self._store.insert(token_table).values(connection=self._connection, **values)
        statement = statement.on_conflict_do_update(index_elements=["connection"], set_=values)
        if self._conn is None:
            with self._store.write() as conn:
                conn.execute(statement)
            return
        self._conn.execute(statement)
        # Commit now: the other side has already burnt the old refresh token.
        self._conn.connection.commit()


def sealing_key(store: Store, key: SecretStr | None) -> Fernet:
    """What the token table is encrypted with, for secrets that stand there beside the tokens; made when missing.

    Raises:
        SettingsError: The key is missing or is no Fernet key.
    """
    with _sidecar_lock(store):
        return DatabaseTokenStore(store, "", key=key)._fernet()


@contextmanager
def _sidecar_lock(store: Store) -> Iterator[None]:
    if not store.is_sqlite:
        yield
        return
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
            raise StoreError(
                f"another process has been renewing the token for {LOCK_TIMEOUT_S} s ({lock_file})"
            ) from None
        yield
    finally:
        connection.close()  # ends the transaction; a killed process ends it as well


def _create_key(path: Path) -> bytes:
    key = Fernet.generate_key()
    # The refresh lock is held, so nobody else creates it; O_EXCL keeps a key that is there in any case.
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(key)
        file.flush()
        os.fsync(file.fileno())
    return key


def _usable(key: bytes, where: str) -> Fernet:
    try:
        return Fernet(key)
    except ValueError:
        raise SettingsError(f"{where}: expected a Fernet key (32 bytes, base64)") from None
