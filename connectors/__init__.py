"""Clients of Clarity eCommerce and FreshBooks, their system profiles, tokens and webhook signatures.

Names load on first use: a command that reads only a profile does not pay for the HTTP client.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from connectors.cef_session import CefSession
    from connectors.clarity import Clarity
    from connectors.clarity_cef import ClarityCef
    from connectors.clarity_port import ClarityPort, detect_flavour
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
    "CefSession",
    "Clarity",
    "ClarityCef",
    "ClarityPort",
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
    "detect_flavour",
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
    "cef_session": ("CefSession",),
    "clarity": ("Clarity",),
    "clarity_cef": ("ClarityCef",),
    "clarity_port": ("ClarityPort", "detect_flavour"),
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
