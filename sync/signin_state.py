"""What the store tells of a sign-in without opening any token: who, which account, which scopes, until when."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass

import sqlalchemy as sa

from sync.errors import NoStoreError
from sync.settings import Settings, with_findings
from sync.store import Store, open_store, sqlite_file
from sync.store import sign_in as sign_in_table
from sync.store import token as token_table


@dataclass(frozen=True)
class SignIn:
    """A stored pair, described; times are unix seconds.

    Attributes:
        person: Who consented; None for a pair that came from the settings.
        account_id: Chosen FreshBooks account; None until one is chosen.
        redirect_uri: Of the consent; a renewal names it again.
        scopes: As granted; empty when the server did not say.
        signed_in_at: None for a pair that came from the settings.
    """

    connection: str
    person: str | None
    account_id: str | None
    account_name: str | None
    redirect_uri: str | None
    scopes: frozenset[str]
    expires_at: float | None
    renewed_at: float | None
    signed_in_at: float | None


def read_sign_in(url: str, connection: str) -> SignIn | None:
    """The sign-in of a connection; None without one, and without a store.

    Raises:
        StoreError: The store cannot be read.
    """
    if url.startswith("sqlite:") and sqlite_file(url) is None:
        return None  # a store in memory lives in one process; nobody has signed in to it before
    try:
        opened = open_store(url, read_only=True)
    except NoStoreError:
        return None
    with closing(opened) as store:
        return sign_in_of(store, connection)


def with_sign_in(settings: Settings) -> Settings:
    """The settings with what ``mapper-sync auth login freshbooks`` stored: that there is a pair, and the account.

    FRESHBOOKS_ACCOUNT_ID goes before the account chosen at sign-in.

    Raises:
        StoreError: The store cannot be read.
    """
    books = settings.freshbooks
    known = None if books.signed_in else read_sign_in(settings.store_url, "freshbooks")
    if known is None:
        return settings
    update = {
        "signed_in": True,
        "account_id": books.account_id or known.account_id,
        "redirect_uri": known.redirect_uri or "",
    }
    found = settings.model_copy(update={"freshbooks": books.model_copy(update=update)})
    # Findings belong to an account: one that was chosen at sign-in is known only now.
    return found if books.account_id else with_findings(found)


def sign_in_of(store: Store, connection: str) -> SignIn | None:
    """The sign-in of a connection; None without one."""
    with store.read() as conn:
        if not sa.inspect(conn).has_table(sign_in_table.name):
            return None  # written before sign-in was kept; opening the store for writing adds the table
        row = conn.execute(
            sa.select(sign_in_table)
            .join(token_table, token_table.c.connection == sign_in_table.c.connection)
            .where(sign_in_table.c.connection == connection, token_table.c.sealed.is_not(None))
        ).one_or_none()
    if row is None:
        return None
    return SignIn(
        row.connection,
        row.person,
        row.account_id,
        row.account_name,
        row.redirect_uri,
        frozenset((row.scopes or "").split()),
        row.expires_at,
        row.renewed_at,
        row.signed_in_at,
    )


def describe(store: Store, connection: str, **values: str | float | None) -> None:
    """Keep columns of a sign-in's description."""
    statement = sa.update(sign_in_table).where(sign_in_table.c.connection == connection)
    with store.write() as conn:
        conn.execute(statement.values(**values))
