"""Settings of sign-in: where consent is asked for, where it comes back, and where the encryption key is."""

from __future__ import annotations

from base64 import urlsafe_b64decode
from collections.abc import Mapping
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, field_validator

FRESHBOOKS_API_URL = "https://api.freshbooks.com"
FRESHBOOKS_AUTH_URL = "https://auth.freshbooks.com"
DEFAULT_REDIRECT = "https://localhost/callback"
"""Nothing listens there: the browser shows an error page whose address holds the code."""

MAKE_KEY = "python -c 'from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())'"
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_VARIABLES = {
    "token_key": "MAPPER_TOKEN_KEY_FROM",
    "freshbooks_redirect_uri": "FRESHBOOKS_REDIRECT_URI",
    "freshbooks_auth_url": "FRESHBOOKS_AUTH_URL",
    "clarity_grant": "CLARITY_GRANT",
    "clarity_redirect_uri": "CLARITY_REDIRECT_URI",
}


class SignInSettings(BaseModel):
    """``[sign_in]`` of mapper.toml; the environment's values go before it.

    Attributes:
        token_key: Where the encryption key is; None takes MAPPER_TOKEN_KEY when set, else a file next to the store.
        freshbooks_redirect_uri: As registered with FreshBooks, letter by letter.
        freshbooks_auth_url: Where people consent; None for FreshBooks' own, or the API's host where that is another.
        clarity_grant: "authorization_code" when the store wants a person's consent (A3).
        clarity_redirect_uri: As registered with the store.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    token_key: Literal["env", "keyring", "file"] | None = None
    freshbooks_redirect_uri: str = DEFAULT_REDIRECT
    freshbooks_auth_url: str | None = None
    clarity_grant: Literal["client_credentials", "authorization_code"] = "client_credentials"
    clarity_redirect_uri: str = DEFAULT_REDIRECT

    @field_validator("freshbooks_redirect_uri", "clarity_redirect_uri")
    @classmethod
    def _usable(cls, value: str) -> str:
        check_redirect(value)
        return value

    @field_validator("freshbooks_auth_url")
    @classmethod
    def _address(cls, value: str | None) -> str | None:
        parts = urlsplit(value or "https://x")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("expected an address such as https://auth.example.com")
        return value

    def authorize_base(self, api_url: str) -> str:
        """The root below which FreshBooks' authorize page stands."""
        if self.freshbooks_auth_url:
            return self.freshbooks_auth_url.rstrip("/")
        return FRESHBOOKS_AUTH_URL if api_url == FRESHBOOKS_API_URL else api_url


def check_redirect(uri: str) -> None:
    """Refuse a redirect address that cannot work.

    Raises:
        ValueError: Neither https nor loopback, or with a query or fragment (FreshBooks takes none).
    """
    parts = urlsplit(uri)
    loopback = parts.scheme == "http" and parts.hostname in _LOOPBACK
    if not parts.hostname or not (parts.scheme == "https" or loopback) or parts.query or parts.fragment:
        raise ValueError("expected https://host/path without a query (or http://127.0.0.1:PORT/path)")


def is_key(text: str) -> bool:
    """Whether a text is a key of the token table, or several separated by commas."""
    try:
        return all(len(urlsafe_b64decode(part)) == 32 for part in text.replace(",", " ").split())
    except ValueError:
        return False


def from_environment(env: Mapping[str, str]) -> dict[str, Any]:
    """The variables that are set, by the setting's name."""
    return {name: env[variable] for name, variable in _VARIABLES.items() if variable in env}


def variable_of(name: str) -> str:
    """The variable that gives a setting."""
    return _VARIABLES[name]
