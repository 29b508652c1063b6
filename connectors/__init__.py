"""Clients of Clarity eCommerce and FreshBooks, their system profiles, tokens and webhook signatures.

Names load on first use: a command that reads only a profile does not pay for the HTTP client.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from connectors.clarity import Clarity
    from connectors.errors import (
        AmbiguousWriteError,
        AuthError,
        ConnectorError,
        RejectedError,
        TransientError,
    )
    from connectors.freshbooks import FreshBooks
    from connectors.http import dumps, loads
    from connectors.profiles import (
        ContractField,
        EntityProfile,
        SystemProfile,
        entity_schema,
        list_systems,
        load_profile,
    )
    from connectors.tokens import (
        ClientCredentials,
        RefreshingToken,
        StaticToken,
        TokenCell,
        TokenPair,
        TokenSource,
        TokenStore,
    )
    from connectors.webhooks import WebhookRefused, sign_clarity, sign_freshbooks, verify_clarity, verify_freshbooks

__all__ = [
    "AmbiguousWriteError",
    "AuthError",
    "Clarity",
    "ClientCredentials",
    "ConnectorError",
    "ContractField",
    "EntityProfile",
    "FreshBooks",
    "RefreshingToken",
    "RejectedError",
    "StaticToken",
    "SystemProfile",
    "TokenCell",
    "TokenPair",
    "TokenSource",
    "TokenStore",
    "TransientError",
    "WebhookRefused",
    "dumps",
    "entity_schema",
    "list_systems",
    "load_profile",
    "loads",
    "sign_clarity",
    "sign_freshbooks",
    "verify_clarity",
    "verify_freshbooks",
]

_HOMES = {
    "clarity": ("Clarity",),
    "errors": ("AmbiguousWriteError", "AuthError", "ConnectorError", "RejectedError", "TransientError"),
    "freshbooks": ("FreshBooks",),
    "http": ("dumps", "loads"),
    "profiles": (
        "ContractField",
        "EntityProfile",
        "SystemProfile",
        "entity_schema",
        "list_systems",
        "load_profile",
    ),
    "tokens": (
        "ClientCredentials",
        "RefreshingToken",
        "StaticToken",
        "TokenCell",
        "TokenPair",
        "TokenSource",
        "TokenStore",
    ),
    "webhooks": ("WebhookRefused", "sign_clarity", "sign_freshbooks", "verify_clarity", "verify_freshbooks"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module 'connectors' has no attribute {name!r}")
    return getattr(import_module(f"connectors.{home}"), name)
