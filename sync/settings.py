"""What the runner is told from outside: environment variables, and the optional ``mapper.toml``.

Secrets come from the environment alone and are kept as ``SecretStr``, so that a printed settings object shows none.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from datetime import date
from decimal import Decimal, InvalidOperation
from functools import cached_property
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from connectors.profiles import SystemProfile, load_profile
from connectors.registry import Known, registry
from connectors.systems_config import ProfileError, config_path
from sync.errors import SettingsError
from sync.reading import Reading, assumed, reading_of

DEFAULT_STORE_URL = "sqlite:///mapper.db"
DEFAULT_CONFIG = "mapper.toml"
FRESHBOOKS_URL = "https://api.freshbooks.com"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)


class PaymentPolicies(_Part):
    """``in_doubt``: "look" settles a payment in doubt by looking for it, "person" leaves every doubt to a person."""

    in_doubt: Literal["look", "person"] = "look"


class Policies(_Part):
    """Choices of the operator (``[policies]`` of mapper.toml); what a mapping decides stands in its spec.

    Attributes:
        lock_date: Nothing dated before this day is written.
        lock_date_action: What becomes of such a record: held, or dated today (UTC).
    """

    lock_date: date | None = None
    lock_date_action: Literal["hold", "today"] = "hold"
    payments: PaymentPolicies = PaymentPolicies()


class PollSettings(_Part):
    """Polling of Clarity (``[poll]`` of mapper.toml).

    Attributes:
        overlap_s: How far before the cursor every poll starts, in seconds; None for what the profile says (A8).
        interval_s: Time between two polls of ``serve``, in seconds.
        start_date: The first poll asks for changes since this day, UTC; without it, for everything.
    """

    overlap_s: int | None = Field(default=None, ge=0)
    interval_s: int = Field(default=300, ge=1)
    start_date: date | None = None


class FreshBooksSettings(_Part):
    """The FreshBooks connection; complete when it has an account and a way to get a token."""

    api_url: str = FRESHBOOKS_URL
    account_id: str | None = None
    access_token: SecretStr | None = None
    client_id: str | None = None
    client_secret: SecretStr | None = None
    refresh_token: SecretStr | None = None


class ClaritySettings(_Part):
    """The Clarity connection. ``api_url`` is the base without the path of A1; None when not configured."""

    api_url: str | None = None
    client_id: str | None = None
    client_secret: SecretStr | None = None
    api_key: SecretStr | None = None
    webhook_secrets: tuple[SecretStr, ...] = ()

    @property
    def configured(self) -> bool:
        """Whether records can be fetched from Clarity."""
        return self.api_url is not None


class Settings(_Part):
    """All settings of one run. ``settle_s`` and ``http_timeout_s`` are seconds."""

    store_url: str = DEFAULT_STORE_URL
    freshbooks: FreshBooksSettings = FreshBooksSettings()
    clarity: ClaritySettings = ClaritySettings()
    settle_s: float = 20.0
    http_timeout_s: float = 30.0
    token_key: SecretStr | None = None
    log_file: str | None = None
    policies: Policies = Policies()
    poll: PollSettings = PollSettings()
    source: Known | None = None

    @property
    def source_system(self) -> Known:
        """The system that is polled and asked for records, with its corrected settings."""
        return self.source or Known("clarity-rest", "shipped", load_profile("clarity-rest"))

    @property
    def profile(self) -> SystemProfile:
        """The profile of the source."""
        return self.source_system.profile

    @cached_property
    def reading(self) -> Reading:
        """How the source's records are read."""
        return reading_of(self.profile)

    def require_freshbooks(self) -> FreshBooksSettings:
        """The FreshBooks connection, complete.

        Raises:
            SettingsError: The account or the token is missing; the message names the variables.
        """
        books = self.freshbooks
        if not books.account_id:
            raise SettingsError(
                "FRESHBOOKS_ACCOUNT_ID is not set: set it to the account id of your FreshBooks business"
            )
        if books.access_token is None and not (
            books.client_id and books.client_secret is not None and books.refresh_token is not None
        ):
            raise SettingsError(
                "no FreshBooks token: set FRESHBOOKS_ACCESS_TOKEN, or FRESHBOOKS_CLIENT_ID,"
                " FRESHBOOKS_CLIENT_SECRET and FRESHBOOKS_REFRESH_TOKEN"
            )
        return books


def load_settings(environ: Mapping[str, str] | None = None, config: Path | None = None) -> Settings:
    """Read the environment and mapper.toml.

    Args:
        environ: Variables; the process's own when None.
        config: The TOML file. When None: the one MAPPER_CONFIG names, else ``mapper.toml`` in the working
            directory if it is there. Its other sections belong to other parts and are left alone.

    Raises:
        SettingsError: A value does not fit; one line naming the variable, or the file and key.
    """
    env = {k: v.strip() for k, v in (os.environ if environ is None else environ).items() if v.strip()}
    sections = _sections(config, env)
    source = _source(config, env)
    clarity_url = _url(env, "CLARITY_API_URL")
    if clarity_url is not None:
        clarity_url = clarity_url.removesuffix(str(assumed(source.profile, "A1")))
        for name in (
            () if "CLARITY_API_KEY" in env or source.connect else ("CLARITY_CLIENT_ID", "CLARITY_CLIENT_SECRET")
        ):
            if name not in env:
                raise SettingsError(f"{name} is not set: CLARITY_API_URL needs it (or unset CLARITY_API_URL)")
    return Settings(
        store_url=env.get("MAPPER_STORE_URL", DEFAULT_STORE_URL),
        freshbooks=FreshBooksSettings(
            api_url=_url(env, "FRESHBOOKS_API_URL") or FRESHBOOKS_URL,
            account_id=env.get("FRESHBOOKS_ACCOUNT_ID"),
            access_token=_secret(env, "FRESHBOOKS_ACCESS_TOKEN"),
            client_id=env.get("FRESHBOOKS_CLIENT_ID"),
            client_secret=_secret(env, "FRESHBOOKS_CLIENT_SECRET"),
            refresh_token=_secret(env, "FRESHBOOKS_REFRESH_TOKEN"),
        ),
        clarity=ClaritySettings(
            api_url=clarity_url,
            client_id=env.get("CLARITY_CLIENT_ID"),
            client_secret=_secret(env, "CLARITY_CLIENT_SECRET"),
            api_key=_secret(env, "CLARITY_API_KEY"),
            webhook_secrets=_webhook_secrets(env, int(assumed(source.profile, "A13")["secrets"])),
        ),
        settle_s=_seconds(env, "MAPPER_SETTLE_S", 20.0, above_zero=False),
        http_timeout_s=_seconds(env, "MAPPER_HTTP_TIMEOUT_S", 30.0, above_zero=True),
        token_key=_secret(env, "MAPPER_TOKEN_KEY"),
        log_file=env.get("MAPPER_LOG"),
        source=source,
        **sections,
    )


def _source(config: Path | None, env: Mapping[str, str]) -> Known:
    try:
        found = registry(config or config_path(env))
        return found.get(found.config.source)
    except ProfileError as error:
        raise SettingsError(str(error)) from None


def _webhook_secrets(env: Mapping[str, str], most: int) -> tuple[SecretStr, ...]:
    found = [part.strip() for part in env.get("CLARITY_WEBHOOK_SECRET", "").split(",") if part.strip()]
    if len(found) > most:
        raise SettingsError(
            f"CLARITY_WEBHOOK_SECRET: holds {len(found)} secrets, {most} may be valid at a time (setting A13.secrets)"
        )
    return tuple(SecretStr(secret) for secret in found)


def _sections(config: Path | None, env: Mapping[str, str]) -> dict[str, Any]:
    named = config or (Path(env["MAPPER_CONFIG"]) if "MAPPER_CONFIG" in env else None)
    path = named or Path(DEFAULT_CONFIG)
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        if named is not None:
            raise SettingsError(f"{path}: no such file; give an existing mapper.toml") from None
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: cannot be read ({type(error).__name__})") from None
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path}: not valid TOML: {error}") from None
    found: dict[str, Any] = {}
    models: dict[str, type[_Part]] = {"policies": Policies, "poll": PollSettings}
    for name, model in models.items():
        if name not in document:
            continue
        try:
            found[name] = model.model_validate(document[name])
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            key = ".".join([name, *(str(part) for part in first["loc"])])
            raise SettingsError(f"{path}: {key}: {_mend(first['type'], first['msg'], model)}") from None
    return found


def _mend(kind: str, message: str, model: type[_Part]) -> str:
    if kind == "extra_forbidden":
        return f"unknown key; known here: {', '.join(sorted(model.model_fields))}"
    return message[:1].lower() + message[1:]


def _secret(env: Mapping[str, str], name: str) -> SecretStr | None:
    return SecretStr(env[name]) if name in env else None


def _url(env: Mapping[str, str], name: str) -> str | None:
    if name not in env:
        return None
    value = env[name].rstrip("/")
    try:
        parts = urlsplit(value)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and "@" not in value
    except ValueError:
        usable = False
    if not usable:
        got = "one with a password in it" if "@" in value else repr(value)
        raise SettingsError(f"{name}: expected an address such as https://api.example.com, got {got}")
    return value


def _seconds(env: Mapping[str, str], name: str, default: float, *, above_zero: bool) -> float:
    if name not in env:
        return default
    least = "above 0" if above_zero else "of 0 or more"
    try:
        value = Decimal(env[name])
    except InvalidOperation:
        value = Decimal("NaN")
    if not value.is_finite() or value < 0 or (above_zero and value == 0) or value > 86_400:
        raise SettingsError(f"{name}: expected a number of seconds {least}, got {env[name]!r}")
    return float(value)
