"""The two connections for the Settings page: the same functions of the runner that `mapper-sync auth` calls."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sync import signin
from sync.scopes import needed_scopes
from sync.settings import Settings
from sync.signin import Account, SignedIn, System
from sync.signin_status import ConnectionStatus, read_connections

SYSTEMS: tuple[System, ...] = ("freshbooks", "clarity")
TITLES: dict[str, str] = {"freshbooks": "FreshBooks", "clarity": "Clarity"}


@dataclass(frozen=True)
class Connection:
    """One connection as the page shows it.

    Attributes:
        by_consent: A person has to consent; else the settings alone let the runner in.
        signed_in: There is a stored pair to be revoked.
    """

    system: System
    title: str
    status: ConnectionStatus
    by_consent: bool
    signed_in: bool


def connections(settings: Settings, mappings: Path) -> list[Connection]:
    """Both connections, from settings and store alone.

    Raises:
        SyncError: The store cannot be read.
        SpecError: A mapping cannot be read.
    """
    needed: dict[str, tuple[str, ...]] = {system: needed_scopes(system, mappings, settings) for system in SYSTEMS}
    found = {status.system: status for status in read_connections(settings, needed)}
    return [
        Connection(
            system,
            TITLES[system],
            found[system],
            signin.needs_consent(settings, system),
            found[system].method == "sign-in",
        )
        for system in SYSTEMS
    ]


def authorize_url(settings: Settings, system: System, mappings: Path) -> str:
    """A fresh address to consent at; the ones before it cannot be answered any more."""
    return signin.begin(settings, system, scopes=needed_scopes(system, mappings, settings))


def connect(settings: Settings, system: System, pasted: str, mappings: Path) -> SignedIn:
    """Finish a sign-in with what the person pasted; raises as `sync.signin.finish`."""
    return signin.finish(settings, system, pasted, needed=needed_scopes(system, mappings, settings))


def try_connection(settings: Settings) -> SignedIn:
    """Try Clarity's client credentials or API key; raises as `sync.signin.try_clarity`."""
    return signin.try_clarity(settings)


def accounts(settings: Settings) -> tuple[Account, ...]:
    """The FreshBooks accounts to choose from; raises as `sync.signin.accounts`."""
    return signin.accounts(settings).accounts


def choose(settings: Settings, account_id: str) -> SignedIn:
    """Work with this account from now on; raises as `sync.signin.choose_account`."""
    return signin.choose_account(settings, account_id)


def disconnect(settings: Settings, system: System, *, local: bool = False) -> str:
    """Revoke and forget; one line that says what was done. Raises as `sync.signin.sign_out`."""
    return signin.sign_out(settings, system, local=local)
