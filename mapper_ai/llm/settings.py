"""`[llm]` of mapper.toml, and the two variables every OpenAI-compatible tool reads."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError

from mapper_ai.llm.errors import LlmError, NotSetUpError

DEFAULT_CONFIG: Final = "mapper.toml"
OPENAI_URL: Final = "https://api.openai.com/v1"
Mode = Literal["auto", "json_schema", "json_object", "tools", "plain"]
Values = Literal["synthetic", "none"]


def _exact(value: Any) -> Any:
    return str(value) if isinstance(value, float) else value


Amount = Annotated[Decimal, BeforeValidator(_exact), Field(ge=0)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Price(_Part):
    """What a model costs, per million tokens."""

    input: Amount
    output: Amount


class Budget(_Part):
    """Where asking stops politely: tokens in and out together, and cost. None is no limit."""

    tokens: int | None = Field(default=200_000, ge=0)
    cost: Amount | None = None


class LlmSettings(_Part):
    """How the language model is asked.

    Attributes:
        model: Name at the endpoint; a deployment's name at Azure.
        mode: How it is held to a schema; "auto" begins with json_schema and steps down where that is refused.
        values: "synthetic" shows made-up values of a field's format, "none" shows no values at all.
        enums: Whose lists of values may leave: "contract" only, or of samples as well where they are codes of things
            (status, payment method, country), never of people.
        ask: "target" asks about several targets at once, "candidate" one yes/no question a candidate (small models).
        batch: Targets a question with ask = "target".
        top: Candidates a target that are put up for choice.
        fields: Source fields that are put up where any may be used, the likeliest.
        uncertain_below: Targets whose best candidate is surer are not asked.
        controls: Fields of known answer asked along as a test, at most.
        timeout_s: Of one try.
        retries: After 429, 5xx, timeouts and broken connections; with the provider's pauses.
        parallel: Questions at a time.
        answer_tokens: Limit of an answer, where its own limit is not lower.
        extra_tokens: Room for thinking, added to every answer's own limit.
        temperature: None leaves it out, which some models want.
        seed: The same.
        cache: DuckDB file of answers; "" for none.
        currency: Of the prices.
        prices: By model.
    """

    model: str = ""
    mode: Mode = "auto"
    values: Values = "synthetic"
    enums: Literal["contract", "samples"] = "samples"
    ask: Literal["target", "candidate"] = "target"
    batch: int = Field(default=5, ge=1, le=20)
    top: int = Field(default=5, ge=2, le=10)
    fields: int = Field(default=32, ge=2, le=200)
    uncertain_below: float = Field(default=0.9, gt=0, le=1)
    controls: int = Field(default=24, ge=0, le=40)
    timeout_s: float = Field(default=60.0, gt=0, le=600)
    retries: int = Field(default=2, ge=0, le=5)
    parallel: int = Field(default=4, ge=1, le=32)
    answer_tokens: int = Field(default=1_000, ge=16, le=32_000)
    extra_tokens: int = Field(default=0, ge=0, le=32_000)
    temperature: float | None = Field(default=0.0, ge=0, le=2)
    seed: int | None = 1
    cache: str = ".mapper/llm-cache.duckdb"
    currency: str = Field(default="USD", pattern=r"^[A-Z]{3}$")
    budget: Budget = Budget()
    prices: dict[str, Price] = {}
    base_url: str = Field(default=OPENAI_URL, exclude=True)
    api_key: SecretStr | None = Field(default=None, exclude=True)

    @property
    def price(self) -> Price | None:
        """Of the model; None when not known."""
        return self.prices.get(self.model)

    @property
    def host(self) -> str:
        """For people: where questions go."""
        return urlsplit(self.base_url).hostname or self.base_url


def load_llm_settings(environ: Mapping[str, str] | None = None, config: Path | None = None) -> LlmSettings:
    """Read mapper.toml's `[llm]`, OPENAI_BASE_URL and OPENAI_API_KEY.

    Args:
        environ: Variables; the process's own when None.
        config: The TOML file; when None the one MAPPER_CONFIG names, else mapper.toml of the working directory.

    Raises:
        LlmError: A value does not fit; one line naming file and key, or the variable.
        NotSetUpError: No model or key is set.
    """
    env = {key: value.strip() for key, value in (os.environ if environ is None else environ).items() if value.strip()}
    named = config or (Path(env["MAPPER_CONFIG"]) if "MAPPER_CONFIG" in env else None)
    path = named or Path(DEFAULT_CONFIG)
    section = _section(path, required=named is not None)
    try:
        settings = LlmSettings.model_validate({key: value for key, value in section.items() if key not in _FROM_ENV})
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        key = ".".join(["llm", *(str(part) for part in first["loc"])])
        told = first["msg"][:1].lower() + first["msg"][1:]
        if first["type"] == "extra_forbidden":
            told = f"unknown key; known here: {', '.join(sorted(LlmSettings.model_fields.keys() - _FROM_ENV))}"
        raise LlmError(f"{path}: {key}: {told}") from None
    wrong = next((key for key in section if key in _FROM_ENV), None)
    if wrong is not None:
        raise LlmError(f"{path}: llm.{wrong}: comes from the environment: set {_FROM_ENV[wrong]} instead")
    url = env.get("OPENAI_BASE_URL", OPENAI_URL).rstrip("/")
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise LlmError("OPENAI_BASE_URL: expected an address such as https://api.openai.com/v1")
    if parts.username or parts.password:
        raise LlmError("OPENAI_BASE_URL: holds a user or password; set OPENAI_API_KEY instead")
    if not settings.model:
        raise NotSetUpError(f"no language model is named: set model in [llm] of {path}")
    if settings.budget.cost is not None and settings.price is None:
        raise LlmError(f"{path}: llm.budget.cost: needs the price of {settings.model} in [llm.prices]")
    if "OPENAI_API_KEY" not in env and url == OPENAI_URL:
        raise NotSetUpError("OPENAI_API_KEY is not set: set it, or OPENAI_BASE_URL to an endpoint that needs none")
    key_given = SecretStr(env["OPENAI_API_KEY"]) if "OPENAI_API_KEY" in env else None
    return settings.model_copy(update={"base_url": url, "api_key": key_given})


_FROM_ENV: Final = {"base_url": "OPENAI_BASE_URL", "api_key": "OPENAI_API_KEY"}


def _section(path: Path, *, required: bool) -> dict[str, Any]:
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        if required:
            raise LlmError(f"{path}: no such file; give an existing mapper.toml") from None
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise LlmError(f"{path}: cannot be read ({type(error).__name__})") from None
    except tomllib.TOMLDecodeError as error:
        raise LlmError(f"{path}: not valid TOML: {error}") from None
    section = document.get("llm", {})
    if not isinstance(section, dict):
        raise LlmError(f"{path}: llm: expected a section [llm]")
    return section
