"""What the runner is told from outside: environment variables, and the optional ``mapper.toml``.

Secrets come from the environment alone and are kept as ``SecretStr``, so that a printed settings object shows none.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping, Sequence
from datetime import date, time
from decimal import Decimal, InvalidOperation
from functools import cached_property
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator

from connectors import systems_config
from connectors.clarity_port import FLAVOURS, Flavour
from connectors.profiles import SystemProfile, load_profile
from connectors.registry import Known, registry
from connectors.systems_config import ProfileError
from sync.errors import SettingsError
from sync.findings import DOCTOR_FILE, FINDINGS, ClarityFindings, FreshBooksFindings
from sync.reading import Reading, assumed, reading_of
from sync.signin_settings import (
    FRESHBOOKS_API_URL,
    MAKE_KEY,
    SignInSettings,
    from_environment,
    is_key,
    variable_of,
)

DEFAULT_STORE_URL = "sqlite:///mapper.db"
FRESHBOOKS_URL = FRESHBOOKS_API_URL


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)


class PaymentPolicies(_Part):
    """``in_doubt``: "look" settles a payment in doubt by looking for it, "person" leaves every doubt to a person."""

    in_doubt: Literal["look", "person"] = "look"


class ClientPolicies(_Part):
    """What becomes of clients (``[policies.clients]`` of mapper.toml); nothing is ever deleted.

    Attributes:
        ended: A customer was deleted, deactivated or merged: its client is left, or archived once it owes nothing.
        archived: An order comes for an archived client: it is restored, used as it is, or the order is held.
        deleted: The client was deleted: the one other client with the e-mail follows it, or a person decides.
        both_changed: Source and FreshBooks changed a field: a person decides, or FreshBooks' value is kept.
        found: A client that was there before: brought up to date, or only filled in where it is empty.
    """

    ended: Literal["leave", "archive"] = "leave"
    archived: Literal["restore", "use", "hold"] = "restore"
    deleted: Literal["follow", "hold"] = "follow"
    both_changed: Literal["hold", "keep"] = "hold"
    found: Literal["update", "fill"] = "update"


class ItemPolicies(_Part):
    """What becomes of items (``[policies.items]`` of mapper.toml); nothing is ever deleted.

    Attributes:
        ended: A product or variant was deleted, deactivated or taken out: its item is left, or archived.
        new_sku: A product gets another SKU: its item gets it too, or ends, and a new one is made.
        both_changed: Source and FreshBooks changed a field: a person decides, or FreshBooks' value is kept.
        found: An item that was there before: brought up to date, or only filled in where it is empty.
    """

    ended: Literal["leave", "archive"] = "leave"
    new_sku: Literal["rename", "new"] = "rename"
    both_changed: Literal["hold", "keep"] = "hold"
    found: Literal["update", "fill"] = "update"


class Policies(_Part):
    """Choices of the operator (``[policies]`` of mapper.toml); what a mapping decides stands in its spec.

    Attributes:
        lock_date: Nothing dated before this day is written.
        lock_date_action: What becomes of such a record: held, or dated today (UTC).
    """

    lock_date: date | None = None
    lock_date_action: Literal["hold", "today"] = "hold"
    payments: PaymentPolicies = PaymentPolicies()
    clients: ClientPolicies = ClientPolicies()
    items: ItemPolicies = ItemPolicies()


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


class RetentionSettings(_Part):
    """How long payloads are kept (``[retention]`` of mapper.toml), in days; what is open is kept all the same."""

    days: int = Field(default=90, ge=1)


class AlertSettings(_Part):
    """When somebody is told (``[alerts]`` of mapper.toml); where to stands in MAPPER_ALERT_URLS, which holds secrets.

    Attributes:
        urls: Addresses of Apprise; without any, alerts are shown by ``status`` and ``top`` alone.
        quiet_s: Least time between two messages about one cause, in seconds.
        lag_s: Lag of the most overdue event from which on somebody is told.
        paused_s: How long a pause may last before somebody is reminded.
        held: Whether records that wait for a person are told about, or only those that failed.
    """

    urls: tuple[SecretStr, ...] = ()
    quiet_s: int = Field(default=21_600, ge=0)
    lag_s: int = Field(default=900, ge=1)
    paused_s: int = Field(default=3600, ge=0)
    held: bool = True

    @field_validator("urls", mode="before")
    @classmethod
    def _not_in_a_file(cls, urls: Any) -> Any:
        if urls and not all(isinstance(url, SecretStr) for url in urls):
            raise ValueError("these addresses hold secrets: set MAPPER_ALERT_URLS instead")
        return urls


class RunnerSettings(_Part):
    """How events are worked on (``[runner]`` of mapper.toml).

    Attributes:
        engine: "dbos" also wakes the other processes on the same store; "inprocess" leaves that to their sweeps.
        workers: Threads of one process; more processes may work on the same store. 0 takes webhooks only.
        lease_s: For how long a dead worker's lane stays its own when nobody sees that it died, in seconds.
        shutdown_s: Longest wait for the writes in hand when told to stop, in seconds.
        on_unapproved: What a mapping file does that is not approved as it stands: its last approved version goes on
            ("last"), or nothing starts with it ("refuse"). None: "last" for what runs on and on, "refuse" for ``run``.
    """

    engine: Literal["dbos", "inprocess"] = "dbos"
    workers: int = Field(default=4, ge=0, le=64)
    lease_s: float = Field(default=30.0, ge=1)
    shutdown_s: float = Field(default=20.0, gt=0, le=3600)
    on_unapproved: Literal["last", "refuse"] | None = None


class BudgetSettings(_Part):
    """Requests a minute of all processes on one store together (``[budget]`` of mapper.toml).

    Attributes:
        freshbooks_per_minute: None for no limit until FreshBooks answers 429. Clarity's is A10 of its profile.
    """

    freshbooks_per_minute: int | None = Field(default=None, ge=1, le=100_000)


class CapSettings(_Part):
    """How much a newly approved spec may invoice before somebody lifts its cap (``[caps]`` of mapper.toml).

    Attributes:
        invoices: Count; 0 for no cap on it.
        sum: Of the invoices' totals by currency; without a currency's entry there is no cap on its sum.
    """

    invoices: int = Field(default=1000, ge=0)
    sum: dict[str, Decimal] = {code: Decimal(1_000_000) for code in ("USD", "EUR", "GBP", "CAD", "AUD")}


class AdoptionSettings(_Part):
    """Looking for hand-typed invoices before one is created (``[adoption]`` of mapper.toml).

    Attributes:
        check: For orders of a backfill (a first poll is one), always, or never.
        days: How far the dates may be apart.
    """

    check: Literal["backfill", "always", "never"] = "backfill"
    days: int = Field(default=3, ge=0, le=60)


class ReconcileSettings(_Part):
    """Comparison of both systems' books (``[reconcile]`` of mapper.toml).

    Attributes:
        hand_made: Whether an invoice that no order made is a difference, or accepted as another business.
        daily_at: When ``serve`` compares every day, in the source's zone (A21); None for never.
        days: How many days before today that comparison covers.
    """

    hand_made: Literal["difference", "accept"] = "difference"
    daily_at: time | None = None
    days: int = Field(default=35, ge=1, le=366)


class FreshBooksSettings(_Part):
    """The FreshBooks connection; complete when it has an account and a way to get a token.

    Attributes:
        signed_in: A pair from ``mapper-sync auth login`` is in the store (``sync.signin_state.with_sign_in``).
        redirect_uri: Of that consent; a renewal names it again.
    """

    api_url: str = FRESHBOOKS_URL
    account_id: str | None = None
    access_token: SecretStr | None = None
    client_id: str | None = None
    client_secret: SecretStr | None = None
    refresh_token: SecretStr | None = None
    signed_in: bool = False
    redirect_uri: str = ""


class ClaritySettings(_Part):
    """The Clarity connection. ``api_url`` is the base without the path of A1; None when not configured.

    Attributes:
        flavour: With ``cef``, client id and secret are the user name and password of the framework's sign-in.
        api_key: Instead of OAuth (A5).
    """

    flavour: Flavour = "rest"
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
    """All settings of one run.

    Attributes:
        settle_s: Seconds until a look after a lost answer; never less than what the doctor measured.
        http_timeout_s: Seconds for one request.
        examined: What the doctor found out by system, of whichever account, with its file.
        findings: What the doctor found out about this FreshBooks account; None when it was not asked.
        clarity_findings: The same for this Clarity store.
        notices: Lines about findings that are there and do not count.
    """

    store_url: str = DEFAULT_STORE_URL
    freshbooks: FreshBooksSettings = FreshBooksSettings()
    clarity: ClaritySettings = ClaritySettings()
    settle_s: float = 20.0
    http_timeout_s: float = 30.0
    token_key: SecretStr | None = None
    log_file: str | None = None
    policies: Policies = Policies()
    poll: PollSettings = PollSettings()
    runner: RunnerSettings = RunnerSettings()
    budget: BudgetSettings = BudgetSettings()
    caps: CapSettings = CapSettings()
    adoption: AdoptionSettings = AdoptionSettings()
    reconcile: ReconcileSettings = ReconcileSettings()
    sign_in: SignInSettings = SignInSettings()
    retention: RetentionSettings = RetentionSettings()
    alerts: AlertSettings = AlertSettings()
    admin_token: SecretStr | None = None
    examined: dict[str, tuple[Path, FreshBooksFindings | ClarityFindings]] = {}
    findings: FreshBooksFindings | None = None
    clarity_findings: ClarityFindings | None = None
    notices: tuple[str, ...] = ()
    source: Known | None = None

    @property
    def source_system(self) -> Known:
        """The system that is polled and asked for records, with its corrected settings."""
        name = f"clarity-{self.clarity.flavour}"
        return self.source or Known(name, "shipped", load_profile(name))

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
            if books.signed_in:
                raise SettingsError("no FreshBooks account is chosen: run 'mapper-sync auth account freshbooks'")
            raise SettingsError(
                "FRESHBOOKS_ACCOUNT_ID is not set: set it to the account id of your FreshBooks business,"
                " or run 'mapper-sync auth login freshbooks'"
            )
        if books.access_token is not None:
            return books
        if not (books.signed_in or books.refresh_token is not None):
            raise SettingsError(
                "no FreshBooks token: set FRESHBOOKS_ACCESS_TOKEN, or FRESHBOOKS_CLIENT_ID and"
                " FRESHBOOKS_CLIENT_SECRET and run 'mapper-sync auth login freshbooks'"
            )
        if not books.client_id or books.client_secret is None:
            raise SettingsError(
                "FRESHBOOKS_CLIENT_ID and FRESHBOOKS_CLIENT_SECRET are needed to renew the FreshBooks token: set both"
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
    sections, examined = _sections(config, env)
    sections["sign_in"] = _sign_in(env, sections.get("sign_in", SignInSettings()))
    urls = tuple(SecretStr(url) for url in env.get("MAPPER_ALERT_URLS", "").split())
    sections["alerts"] = sections.get("alerts", AlertSettings()).model_copy(update={"urls": urls})
    source = _source(config, env)
    flavour: Flavour = "cef" if source.name == "clarity-cef" else "rest"
    clarity_url = _url(env, "CLARITY_API_URL")
    if clarity_url is not None:
        clarity_url = clarity_url.removesuffix(str(assumed(source.profile, "A1")))
        keyed = source.connect is not None or ("CLARITY_API_KEY" in env and flavour == "rest")
        for name in () if keyed else ("CLARITY_CLIENT_ID", "CLARITY_CLIENT_SECRET"):
            if name not in env:
                raise SettingsError(f"{name} is not set: CLARITY_API_URL needs it (or unset CLARITY_API_URL)")
    settings = Settings(
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
            flavour=flavour,
            api_url=clarity_url,
            client_id=env.get("CLARITY_CLIENT_ID"),
            client_secret=_secret(env, "CLARITY_CLIENT_SECRET"),
            api_key=_secret(env, "CLARITY_API_KEY"),
            webhook_secrets=_webhook_secrets(env, int(assumed(source.profile, "A13")["secrets"])),
        ),
        settle_s=_seconds(env, "MAPPER_SETTLE_S", 20.0, above_zero=False),
        http_timeout_s=_seconds(env, "MAPPER_HTTP_TIMEOUT_S", 30.0, above_zero=True),
        token_key=_token_key(env, sections["sign_in"]),
        log_file=env.get("MAPPER_LOG"),
        admin_token=_secret(env, "MAPPER_ADMIN_TOKEN"),
        examined=examined,
        source=source,
        **sections,
    )
    return with_findings(settings)


def with_findings(settings: Settings) -> Settings:
    """The settings with those of the examined findings that belong to these very accounts."""
    update: dict[str, Any] = {}
    notices: list[str] = []
    for system, (path, findings) in settings.examined.items():
        if isinstance(findings, FreshBooksFindings):
            here = (settings.freshbooks.account_id, settings.freshbooks.api_url)
            known, name = (findings.account, findings.url), "findings"
        else:
            here, known, name = (settings.clarity.api_url, ""), (findings.url, ""), "clarity_findings"
        if here == known:
            update[name] = findings
        elif None not in here:
            what = "account" if system == "freshbooks" else "store"
            notices.append(f"{path}: the findings are of another {system} {what} and do not count here")
    lag_s = update["findings"].lag_s if "findings" in update else None
    if lag_s is not None and 2 * lag_s > settings.settle_s:
        update["settle_s"] = float(2 * lag_s)
        notices.append(
            f"waiting {2 * lag_s} s and not {settings.settle_s:g} s for a lost answer: searches lag {lag_s} s"
        )
    return settings.model_copy(update={**update, "notices": tuple(notices)})


def _sections(config: Path | None, env: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, tuple[Path, Any]]]:
    """The checked sections of mapper.toml, and the findings of the doctor by system, with their file."""
    path, named = config_path(config, env)
    documents = [(file, _document(file, needed=named and file == path)) for file in (path, doctor_path(path))]
    found: dict[str, Any] = {}
    models: dict[str, type[BaseModel]] = {
        "policies": Policies,
        "poll": PollSettings,
        "sign_in": SignInSettings,
        "retention": RetentionSettings,
        "alerts": AlertSettings,
        "runner": RunnerSettings,
        "budget": BudgetSettings,
        "caps": CapSettings,
        "adoption": AdoptionSettings,
        "reconcile": ReconcileSettings,
    }
    for name, model in models.items():
        if name in documents[0][1]:
            found[name] = _checked(path, name, model, documents[0][1][name])
    findings: dict[str, tuple[Path, Any]] = {}
    for file, document in documents:  # doctor.toml, the second, wins
        for system, model in FINDINGS.items():
            section = _inside(_inside(document.get("systems"), system), "findings")
            if section is not None:
                findings[system] = (file, _checked(file, f"systems.{system}.findings", model, section))
    return found, findings


def config_path(config: Path | None, environ: Mapping[str, str]) -> tuple[Path, bool]:
    """Which mapper.toml counts, and whether somebody named it, so that it has to be there."""
    return config or systems_config.config_path(environ), bool(config or environ.get("MAPPER_CONFIG", "").strip())


def doctor_path(config: Path) -> Path:
    """Where the findings stand: beside mapper.toml."""
    return config.with_name(DOCTOR_FILE)


def _document(path: Path, *, needed: bool) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        if needed:
            raise SettingsError(f"{path}: no such file; give an existing mapper.toml") from None
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: cannot be read ({type(error).__name__})") from None
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path}: not valid TOML: {error}") from None


def _checked(path: Path, name: str, model: type[BaseModel], section: Any) -> Any:
    try:
        return model.model_validate(section)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        key = ".".join([name, *(str(part) for part in first["loc"])])
        raise SettingsError(f"{path}: {key}: {_mend(first['type'], first['msg'], _at(model, first['loc']))}") from None


def _at(model: type[BaseModel], place: Sequence[int | str]) -> type[BaseModel]:
    """The part of a section that holds the last member of a place."""
    for name in place[:-1]:
        field = model.model_fields.get(str(name))
        if field is None or not isinstance(field.annotation, type) or not issubclass(field.annotation, BaseModel):
            break
        model = field.annotation
    return model


def _inside(section: Any, name: str) -> Any:
    return section.get(name) if isinstance(section, Mapping) else None


def _sign_in(env: Mapping[str, str], section: SignInSettings) -> SignInSettings:
    found = from_environment(env)
    try:
        return SignInSettings.model_validate({**section.model_dump(), **found})
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        name = variable_of(str(first["loc"][0]))
        raise SettingsError(f"{name}: {_mend(first['type'], first['msg'], SignInSettings)}") from None


def _mend(kind: str, message: str, model: type[BaseModel]) -> str:
    if kind == "extra_forbidden":
        return f"unknown key; known here: {', '.join(sorted(model.model_fields))}"
    message = message.removeprefix("Value error, ")
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


def _token_key(env: Mapping[str, str], sign_in: SignInSettings) -> SecretStr | None:
    found = _secret(env, "MAPPER_TOKEN_KEY")
    if found is not None and sign_in.token_key in (None, "env") and not is_key(found.get_secret_value()):
        raise SettingsError(f"MAPPER_TOKEN_KEY: expected a Fernet key (32 bytes, base64); make one with {MAKE_KEY}")
    return found


def _source(config: Path | None, env: Mapping[str, str]) -> Known:
    """The system that CLARITY_FLAVOUR names, else the one of `[systems] source`."""
    try:
        found = registry(config_path(config, env)[0])
        return found.get(_flavour_system(env) or found.config.source)
    except ProfileError as error:
        raise SettingsError(str(error)) from None


def _flavour_system(env: Mapping[str, str]) -> str | None:
    told = env.get("CLARITY_FLAVOUR")
    if told is None:
        return None
    for flavour in FLAVOURS:
        if told.lower() == flavour:
            return f"clarity-{flavour}"
    raise SettingsError(f"CLARITY_FLAVOUR: expected {' or '.join(FLAVOURS)}, got {told!r}")


def _webhook_secrets(env: Mapping[str, str], most: int) -> tuple[SecretStr, ...]:
    found = [part.strip() for part in env.get("CLARITY_WEBHOOK_SECRET", "").split(",") if part.strip()]
    if len(found) > most:
        raise SettingsError(
            f"CLARITY_WEBHOOK_SECRET: holds {len(found)} secrets, {most} may be valid at a time (setting A13.secrets)"
        )
    return tuple(SecretStr(secret) for secret in found)


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
