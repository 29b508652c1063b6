"""Signing in and out, for the command line and the app: begin, finish, choose the account, test, forget.

`begin` keeps the request for consent (its state and PKCE secret, encrypted) in the store, so that the code can be
pasted into another process than the one that showed the address.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from connectors.errors import ConnectorError
from connectors.freshbooks import FreshBooks
from connectors.oauth import Consent, PastedError, exchange_code, read_pasted, revoke_token
from connectors.tokens import CLARITY_OAUTH, FRESHBOOKS_OAUTH, OAuthPaths, StaticToken
from sync import records
from sync.connections import clarity_oauth, open_clarity, open_freshbooks, require_reachable
from sync.errors import InputError, SettingsError, SyncError
from sync.inbox import wake
from sync.poll import CLARITY_LOGIN
from sync.scopes import missing_scopes
from sync.settings import Settings
from sync.signin_settings import SignInSettings
from sync.signin_state import describe, sign_in_of, with_sign_in
from sync.store import Store, open_store, sqlite_file
from sync.tokens_db import Cell, DatabaseTokenStore

System = Literal["freshbooks", "clarity"]

CONSENT_LIFE_S = 3600.0
"""An address shown longer ago is not answered any more."""


@dataclass(frozen=True)
class Account:
    """A business the signed-in person may work for."""

    account_id: str
    name: str
    role: str


@dataclass(frozen=True)
class SignedIn:
    """What a sign-in brought.

    Attributes:
        person: Name and address of who consented; "" where the system does not say.
        accounts: To choose from.
        account_id: The chosen one; None when several are possible and none was named.
        scopes: As granted; empty when the server did not say.
        missing: Scopes the mappings need and the consent does not give.
        notes: One line each, for the person.
    """

    system: System
    person: str = ""
    accounts: tuple[Account, ...] = ()
    account_id: str | None = None
    scopes: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Client:
    """One system's end of OAuth, from the settings."""

    system: System
    oauth: OAuthPaths
    base_url: str
    authorize_url: str
    client_id: str
    client_secret: str
    url_variable: str


def begin(
    settings: Settings,
    system: System,
    *,
    scopes: Sequence[str],
    redirect_uri: str | None = None,
    now: Callable[[], float] = time.time,
) -> str:
    """The address where a person consents. Only the newest one of a system can be answered.

    Args:
        scopes: To ask for; none leaves it to what the application has. One that is not enabled for the application
            makes FreshBooks refuse the whole consent.
        redirect_uri: Instead of the one in the settings.

    Raises:
        SettingsError: The client is not set up, or the redirect address cannot work.
    """
    client = _client(settings, system)
    consent = Consent.new(
        _redirect(settings, system, redirect_uri), " ".join(scopes), now=now(), pkce=client.oauth.pkce
    )
    kept = {name: str(value) for name, value in asdict(consent).items()}
    with _tokens(settings, system) as (_, tokens), tokens.exclusive() as cell:
        cell.save_consent(kept)
    return consent.url(client.authorize_url, client.client_id)


def finish(
    settings: Settings,
    system: System,
    pasted: str,
    *,
    needed: Iterable[str] | None = None,
    account: str | None = None,
    redirect_uri: str | None = None,
    now: Callable[[], float] = time.time,
) -> SignedIn:
    """Trade what was pasted for a pair, save it, and only then use it: who is it, which account.

    Args:
        pasted: The code, or the whole address of the page after the consent.
        needed: Scopes the mappings need; None for those that were asked for.
        account: The account id to work with.
        redirect_uri: Of a code that was asked for elsewhere; an open request knows its own.

    Raises:
        InputError: Neither a code nor such an address, or an address of another sign-in.
        ConsentError: The consent was denied, or the code is used or too old.
        SettingsError: The client is not set up, or the account is none of this sign-in's.
        ConnectorError, UnreachableError: The server cannot be asked.
    """
    client = _client(settings, system)
    with _tokens(settings, system) as (store, tokens):
        # Under the refresh lock: the new pair ends the old refresh token, and nobody may use that one meanwhile.
        with tokens.exclusive() as cell:
            consent = _open_consent(cell, now())
            try:
                code = read_pasted(pasted, consent.state if consent else None)
            except PastedError as error:
                raise InputError(str(error)) from None
            require_reachable(client.base_url, client.url_variable)
            redirect = consent.redirect_uri if consent else _redirect(settings, system, redirect_uri)
            before = sign_in_of(store, system)
            pair = exchange_code(
                client.base_url,
                client.oauth,
                client_id=client.client_id,
                client_secret=client.client_secret,
                code=code,
                redirect_uri=redirect,
                verifier=(consent.verifier or None) if consent else None,
                timeout_s=settings.http_timeout_s,
                now=now,
            )
            cell.save(pair)
            cell.save_consent(None)
        describe(
            store, system, redirect_uri=redirect, scopes=pair.scope, signed_in_at=now(), account_id=None, person=None
        )
        records.set_connection(store, system, "ok", now=now())
        if system == "clarity":
            wake(store, CLARITY_LOGIN, now=now())
        scopes = tuple(sorted(pair.scope.split()))
        if needed is None:
            needed = consent.scope.split() if consent else ()
        found = SignedIn(system, scopes=scopes, missing=missing_scopes(needed, scopes))
        if system == "clarity":
            return replace(found, notes=_notes(settings, system, ()))
        return _identified(settings, store, found, pair.access, account, before.account_id if before else None)


def accounts(settings: Settings) -> SignedIn:
    """Who is signed in at FreshBooks and the accounts to choose from, asked anew.

    Raises:
        SettingsError: Nobody is signed in.
        ConnectorError: FreshBooks cannot be asked.
    """
    with _opened(settings) as store:
        known = sign_in_of(store, "freshbooks")
        if known is None:
            raise SettingsError("nobody is signed in at FreshBooks: run 'mapper-sync auth login freshbooks'")
        found = with_sign_in(settings)
        placeholder = found.freshbooks.account_id or "unchosen"  # users/me stands above all accounts
        found = found.model_copy(update={"freshbooks": found.freshbooks.model_copy(update={"account_id": placeholder})})
        with open_freshbooks(found, lambda: store) as client:
            person, choices = _identity(client.whoami())
        return SignedIn("freshbooks", person, choices, known.account_id, tuple(sorted(known.scopes)))


def choose_account(settings: Settings, account_id: str) -> SignedIn:
    """Work with this account from now on.

    Raises:
        SettingsError: Nobody is signed in, or the account is none of this sign-in's.
        ConnectorError: FreshBooks cannot be asked.
    """
    found = accounts(settings)
    chosen = _chosen(found.accounts, account_id)
    with _opened(settings) as store:
        describe(store, "freshbooks", account_id=chosen.account_id, account_name=chosen.name, person=found.person)
    return replace(found, account_id=chosen.account_id, notes=_notes(settings, "freshbooks", found.accounts))


def try_clarity(settings: Settings) -> SignedIn:
    """Try Clarity's client credentials or API key with one small read; nothing is stored.

    Raises:
        SettingsError: Clarity is not set up.
        ConnectorError, UnreachableError: It does not let us in.
    """
    url = settings.clarity.api_url
    client = open_clarity(settings)
    if client is None or url is None:
        raise SettingsError("CLARITY_API_URL is not set: set it to the address of the Clarity store")
    require_reachable(url, "CLARITY_API_URL")
    with closing(client):
        next(client.list_updated("order", None), None)
    key = settings.clarity.api_key is not None
    what = "the API key" if key else "the client id and secret"
    with _opened(settings) as store:
        records.set_connection(store, "clarity", "ok", now=time.time())
        wake(store, CLARITY_LOGIN, now=time.time())
    return SignedIn("clarity", notes=(f"Clarity takes {what}; no consent is needed and nothing was stored",))


def needs_consent(settings: Settings, system: System) -> bool:
    """Whether a person has to consent, or the settings alone let us in."""
    return system == "freshbooks" or (
        settings.clarity.api_key is None and settings.sign_in.clarity_grant == "authorization_code"
    )


def sign_out(settings: Settings, system: System, *, local: bool = False, now: Callable[[], float] = time.time) -> str:
    """End the pair at the server and forget it; one line that says what was done.

    Args:
        local: Do not ask the server.

    Raises:
        SettingsError: Nobody is signed in.
        ConnectorError, UnreachableError: The server cannot be asked; the pair is kept.
    """
    name = FRESHBOOKS_OAUTH.system if system == "freshbooks" else CLARITY_OAUTH.system
    with _tokens(settings, system) as (store, tokens):
        with tokens.exclusive() as cell:
            known = sign_in_of(store, system)
            if known is None:
                raise SettingsError(f"nobody is signed in at {name}: there is nothing to revoke")
            done = "forgotten here; at the server they live on until revoked there"
            if not local:
                client = _client(settings, system)
                require_reachable(client.base_url, client.url_variable)
                pair = cell.load()
                for token in (pair.refresh, pair.access) if pair is not None else ():
                    if revoke_token(
                        client.base_url,
                        client.oauth,
                        client_id=client.client_id,
                        client_secret=client.client_secret,
                        token=token,
                        timeout_s=settings.http_timeout_s,
                    ):
                        done = "revoked at the server and forgotten here"
            cell.forget()
            cell.save_consent(None)
        records.set_connection(store, system, "reconnect", reason="signed out", now=now())
    return f"{name}: the tokens are {done}"


def _identified(
    settings: Settings, store: Store, found: SignedIn, access: str, wanted: str | None, before: str | None
) -> SignedIn:
    books = settings.freshbooks
    try:
        with FreshBooks(
            base_url=books.api_url,
            account_id=wanted or "unchosen",
            tokens=StaticToken(access),
            timeout_s=settings.http_timeout_s,
        ) as client:
            person, choices = _identity(client.whoami())
    except ConnectorError as error:
        again = "run 'mapper-sync auth account freshbooks'"
        raise SyncError(f"signed in, but the account could not be read ({error.message}); {again}") from None
    found = replace(found, person=person, accounts=choices)
    describe(store, "freshbooks", person=person)
    if not choices:
        raise SettingsError(f"signed in, but {person} belongs to no FreshBooks business with accounting")
    ids = [choice.account_id for choice in choices]
    chosen = None
    if wanted is not None:
        chosen = _chosen(choices, wanted)
    elif len(choices) == 1:
        chosen = choices[0]
    else:
        # Signing in again keeps the account; so does a setting.
        kept = next((name for name in (books.account_id, before) if name in ids), None)
        chosen = _chosen(choices, kept) if kept is not None else None
    if chosen is not None:
        describe(store, "freshbooks", account_id=chosen.account_id, account_name=chosen.name)
        found = replace(found, account_id=chosen.account_id)
    return replace(found, notes=_notes(settings, "freshbooks", choices))


def _identity(me: dict[str, Any]) -> tuple[str, tuple[Account, ...]]:
    name = " ".join(str(me.get(key) or "") for key in ("first_name", "last_name")).strip()
    email = str(me.get("email") or "")
    found: dict[str, Account] = {}
    memberships = me.get("business_memberships")
    for membership in memberships if isinstance(memberships, list) else []:
        business = membership.get("business") if isinstance(membership, dict) else None
        if isinstance(business, dict) and business.get("account_id"):
            account_id = str(business["account_id"])
            role = str(membership.get("role") or "")
            found[account_id] = Account(account_id, str(business.get("name") or account_id), role)
    person = f"{name} <{email}>" if name and email else name or email or "an unnamed person"
    return person, tuple(found.values())


def _chosen(choices: Sequence[Account], wanted: str) -> Account:
    for choice in choices:
        if choice.account_id == wanted:
            return choice
    known = ", ".join(f"{choice.account_id} ({choice.name})" for choice in choices) or "none"
    raise SettingsError(f"account {wanted!r} is none of this sign-in's; there are: {known}")


def _notes(settings: Settings, system: System, choices: Sequence[Account]) -> tuple[str, ...]:
    """What in the settings goes before, or against, the sign-in."""
    if system != "freshbooks":
        return ()
    notes = []
    books = settings.freshbooks
    if books.access_token is not None:
        notes.append("FRESHBOOKS_ACCESS_TOKEN is set and goes before this sign-in: unset it")
    if books.account_id and books.account_id not in {choice.account_id for choice in choices}:
        notes.append("FRESHBOOKS_ACCOUNT_ID is set to an account this sign-in does not reach: unset or correct it")
    return tuple(notes)


def _client(settings: Settings, system: System) -> _Client:
    client_id, secret = settings.freshbooks.client_id, settings.freshbooks.client_secret
    base_url: str | None = settings.freshbooks.api_url
    oauth = FRESHBOOKS_OAUTH
    if system == "clarity":
        client_id, secret = settings.clarity.client_id, settings.clarity.client_secret
        base_url, oauth = settings.clarity.api_url, clarity_oauth(settings.profile)
    prefix = system.upper()
    if base_url is None:
        raise SettingsError("CLARITY_API_URL is not set: set it to the address of the Clarity store")
    if not client_id or secret is None:
        raise SettingsError(
            f"{prefix}_CLIENT_ID and {prefix}_CLIENT_SECRET are not both set: set them to those of the application"
            f" you registered with {oauth.system}"
        )
    authorize_base = settings.sign_in.authorize_base(base_url) if system == "freshbooks" else base_url
    return _Client(
        system,
        oauth,
        base_url,
        oauth.url(authorize_base, oauth.authorize),
        client_id,
        secret.get_secret_value(),
        f"{prefix}_API_URL",
    )


def _redirect(settings: Settings, system: System, given: str | None) -> str:
    known = settings.sign_in
    if given is None:
        return known.freshbooks_redirect_uri if system == "freshbooks" else known.clarity_redirect_uri
    try:
        return SignInSettings(clarity_redirect_uri=given).clarity_redirect_uri
    except ValueError:
        raise SettingsError(
            "--redirect-uri: expected https://host/path without a query (or http://127.0.0.1:PORT/path)"
        ) from None


def _open_consent(cell: Cell, now: float) -> Consent | None:
    kept = cell.load_consent()
    if kept is None or now - float(kept["made_at"]) > CONSENT_LIFE_S:
        return None
    return Consent(kept["redirect_uri"], kept["scope"], kept["state"], kept["verifier"], float(kept["made_at"]))


@contextmanager
def _opened(settings: Settings) -> Iterator[Store]:
    url = settings.store_url
    if url.startswith("sqlite:") and sqlite_file(url) is None:
        raise SettingsError("MAPPER_STORE_URL names a store in memory, which keeps no sign-in: name a file or a server")
    with closing(open_store(url)) as store:
        yield store


@contextmanager
def _tokens(settings: Settings, system: System) -> Iterator[tuple[Store, DatabaseTokenStore]]:
    with _opened(settings) as store:
        yield (
            store,
            DatabaseTokenStore(store, system, key=settings.token_key, key_source=settings.sign_in.token_key),
        )
