"""Whether people can sign in: [auth] of secrets.toml and the provider it names, looked at before anybody is sent there.

What is wrong is said in one line with its mend. Without this a person would land on a bare error page of the provider,
or come back signed out without a word.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from connectors.errors import ConnectorError
from connectors.http import Transport, root_url
from mapper_ai.errors import InputError

CALLBACK: Final = "/oauth2callback"
SHORTEST_SECRET: Final = 32
_KEYS: Final = ("redirect_uri", "cookie_secret", "client_id", "client_secret", "server_metadata_url")
_ENDPOINTS: Final = ("issuer", "authorization_endpoint", "token_endpoint", "jwks_uri")
_PATIENCE_S: Final = 10.0


def broken_files(files: list[str], *, environ: Mapping[str, str] | None = None) -> list[str]:
    """Files of secrets that exist; asked when none could be read, as then at least one of them is broken."""
    home = (os.environ if environ is None else environ).get("HOME", "")
    return [str(Path(file)).replace(home, "~", 1) if home else file for file in files if Path(file).exists()]


def check_auth(auth: Mapping[str, Any]) -> None:
    """Refuse a section [auth] that nobody could sign in with, or that would let anybody pass for somebody else.

    Raises:
        InputError: One line: the key and the mend.
    """
    where = "secrets.toml: auth"
    if find_spec("authlib") is None:
        raise InputError("signing in needs authlib: pip install 'mapper-ai[studio]'")
    for key in _KEYS:
        if not isinstance(auth.get(key), str) or not auth[key].strip():
            raise InputError(f"{where}.{key}: missing; docs/app.md lists what signing in needs")
    if len(auth["cookie_secret"]) < SHORTEST_SECRET:
        raise InputError(
            f"{where}.cookie_secret: shorter than {SHORTEST_SECRET} characters; whoever guesses it is anybody: "
            "take the output of `openssl rand -hex 32`"
        )
    for key in ("redirect_uri", "server_metadata_url"):
        try:
            root_url(auth[key].replace("{port}", "1"))
        except ValueError:
            raise InputError(f"{where}.{key}: expected an address with http:// or https://") from None
    if not auth["redirect_uri"].endswith(CALLBACK):
        raise InputError(f"{where}.redirect_uri: expected the app's own address with {CALLBACK} at its end")


def check_address(auth: Mapping[str, Any], shown_at: str) -> None:
    """Refuse to start from an address that the provider does not send back to: its cookie would be missing there.

    Args:
        auth: As `check_auth` found it good.
        shown_at: Address in the browser; "" when unknown.

    Raises:
        InputError: One line with the address to open instead.
    """
    back, here = urlsplit(auth["redirect_uri"]), urlsplit(shown_at)
    same_host = back.hostname == here.hostname and back.scheme == here.scheme
    if here.hostname and "{port}" not in auth["redirect_uri"] and not same_host:
        own = auth["redirect_uri"].removesuffix(CALLBACK)
        raise InputError(f"open the app at {own}: the provider sends back there (secrets.toml: auth.redirect_uri)")


def check_provider(auth: Mapping[str, Any]) -> None:
    """Ask the provider how it wants to be asked, as signing in will do.

    Raises:
        InputError: It does not answer, or not as an OpenID Connect provider; one line with the mend.
    """
    url = auth["server_metadata_url"]
    where = f"secrets.toml: auth.server_metadata_url: {urlsplit(url).netloc.rpartition('@')[2]}"
    try:
        with Transport(url, timeout_s=_PATIENCE_S) as transport:
            answer = transport.exchange("GET", url, headers={}, content=None, operation="sign-in provider")
    except ConnectorError:
        raise InputError(f"{where} does not answer; nobody can sign in until it does") from None
    if answer.status != 200:
        raise InputError(f"{where} answers with {answer.status}; expected the address of its openid-configuration")
    try:
        told = json.loads(answer.body)
    except ValueError:
        told = None
    if not isinstance(told, dict) or not all(isinstance(told.get(key), str) for key in _ENDPOINTS):
        raise InputError(f"{where} is no OpenID Connect provider; expected the address of its openid-configuration")
