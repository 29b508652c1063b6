"""What is set, where it is set, and who may do what, for the Settings page; of a secret only whether there is one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from mapper_ai.errors import InputError
from mapper_ai.llm.budget import in_words
from mapper_ai.llm.check import Checkup, check
from mapper_ai.llm.errors import WORDS, LlmError, NotSetUpError
from mapper_ai.llm.settings import LlmSettings, load_llm_settings
from mapper_ai.services.decisions import DecisionRow
from mapper_ai.services.masking import KEY_FILE, Masker
from mapper_ai.services.review.policy import Policy
from sync.settings import Settings

_UNSET: Final = "—"


@dataclass(frozen=True)
class Setting:
    """One setting: what it decides, what it is, and the line of mapper.toml or the variable that sets it."""

    group: str
    what: str
    value: str
    where: str


@dataclass(frozen=True)
class Model:
    """The language model as it is set up.

    Attributes:
        settings: None when none is set up.
        why_not: Why none is used; "" when one is.
    """

    settings: LlmSettings | None
    why_not: str = ""


def thresholds(settings: Settings) -> list[Setting]:
    """What the runner goes by."""
    policies, alerts, caps = settings.policies, settings.alerts, settings.caps
    sums = ", ".join(f"{amount:,f} {code}" for code, amount in caps.sum.items())
    runner, poll = settings.runner, settings.poll
    rows = [
        ("Books", "Nothing is written that is dated before", policies.lock_date, "policies.lock_date"),
        ("Books", "Such a record is", policies.lock_date_action, "policies.lock_date_action"),
        ("Books", "A payment in doubt is settled by", policies.payments.in_doubt, "policies.payments.in_doubt"),
        ("First run", "Invoices of a new mapping, at most", caps.invoices, "caps.invoices"),
        ("First run", "Their sum, at most", sums, "caps.sum"),
        ("Past", "Look for hand-typed invoices", settings.adoption.check, "adoption.check"),
        ("Past", "Whose dates are apart, at most", f"{settings.adoption.days} days", "adoption.days"),
        ("Alerts", "Lag from which on somebody is told", f"{alerts.lag_s} s", "alerts.lag_s"),
        ("Alerts", "Pause after which somebody is reminded", f"{alerts.paused_s} s", "alerts.paused_s"),
        ("Alerts", "Quiet time between two messages", f"{alerts.quiet_s} s", "alerts.quiet_s"),
        ("Alerts", "Channels", f"{len(alerts.urls)} set" if alerts.urls else "none set", "MAPPER_ALERT_URLS"),
        ("Runner", "Workers of a process", runner.workers, "runner.workers"),
        ("Runner", "Wait for a lost answer", f"{settings.settle_s:g} s", "MAPPER_SETTLE_S"),
        ("Runner", "Clarity is asked every", f"{poll.interval_s} s", "poll.interval_s"),
        ("Runner", "Payloads are kept", f"{settings.retention.days} days", "retention.days"),
        ("Runner", "Admin API", "token set" if settings.admin_token else "no token", "MAPPER_ADMIN_TOKEN"),
        ("Reconciliation", "Compared every day at", settings.reconcile.daily_at, "reconcile.daily_at"),
        ("Reconciliation", "An invoice that no order made is", settings.reconcile.hand_made, "reconcile.hand_made"),
    ]
    return [Setting(group, what, _shown(value), _where(where)) for group, what, value, where in rows]


def model() -> Model:
    """The language model of the settings.

    Raises:
        InputError: They do not fit.
    """
    try:
        return Model(load_llm_settings())
    except NotSetUpError as error:
        return Model(None, str(error))
    except LlmError as error:
        raise InputError(str(error)) from None


def model_facts(settings: LlmSettings) -> list[tuple[str, str]]:
    """What is worth knowing before anything is asked: where it goes, what it sees, what it may cost."""
    price, budget = settings.price, settings.budget
    cost = "no price is set, so the cost is not known" if price is None else _price(price, settings.currency)
    most = [] if budget.tokens is None else [f"{budget.tokens:,} tokens"]
    most += [] if budget.cost is None else [f"{budget.cost} {settings.currency}"]
    values = "made-up values of each field's format" if settings.values == "synthetic" else "no values at all"
    return [
        ("Model", f"{settings.model} at {settings.host}"),
        ("Key", "set" if settings.api_key else "none, the endpoint needs none"),
        ("What it sees", f"names, types, descriptions, and {values}"),
        ("Asked below a confidence of", f"{settings.uncertain_below:g}"),
        ("Price", cost),
        ("Budget of a run", " and ".join(most) or "no limit"),
        ("Answers are kept in", settings.cache or "nothing"),
    ]


def check_model(settings: LlmSettings) -> Checkup:
    """Ask the endpoint a few small questions; takes some seconds and costs a little.

    Raises:
        InputError: It cannot be asked.
    """
    try:
        return check(settings)
    except LlmError as error:
        raise InputError(str(error)) from None


def checkup_words(found: Checkup, settings: LlmSettings) -> tuple[bool, str, str]:
    """Whether it may be used, the verdict in a line, and what was found and spent."""
    lines = [f"{found.server}, model {settings.model}"]
    if found.listed is False:
        lines.append("the model is not in the endpoint's list")
    for way in found.ways:
        held = {True: "enforced", False: "works, but is not enforced", None: "works"}[way.enforced]
        lines.append(f"{way.held}: {held if way.works else f'does not work: {way.trouble}'}")
    if found.failure is not None:
        lines.append(f"{WORDS[found.failure]}{': ' + found.detail if found.detail else ''}")
    lines.append(f"this check: {in_words(found.spent, settings)}")
    usable = found.best is not None
    return usable, "It can be used" if usable else "It cannot be used", "\n".join(lines)


def masking_facts(root: Path) -> list[tuple[str, str]]:
    """How personal values of samples are covered in this workspace."""
    there = (root / KEY_FILE).is_file()
    return [
        ("Key", f"{root / KEY_FILE}" if there else "is made with the first sample"),
        ("Card data and secrets", "are removed before anything is stored"),
        ("Names, addresses, e-mails, phones, tax numbers", "become pseudonyms of the same form, the same each time"),
        ("Amounts, dates, codes, states", "stay as they are"),
    ]


def masked_example(root: Path, name: str, value: str) -> str:
    """What a value of a field of that name is stored as."""
    found = Masker.of_project(root).mask({name.strip() or "value": value})
    return str(next(iter(found.values())))


def people(rows: Sequence[DecisionRow], user: str) -> list[tuple[str, int, str]]:
    """Who decided how much, and when last; who is here stands first."""
    found: dict[str, tuple[int, str]] = {user: (0, _UNSET)}
    for row in rows:
        count, _ = found.get(row.person, (0, ""))
        found[row.person] = (count + 1, f"{row.at:%Y-%m-%d}")
    return [(name, count, last) for name, (count, last) in found.items()]


def roles(policy: Policy) -> list[tuple[str, str]]:
    """Who may approve what, by pattern."""
    found = [(pattern, ", ".join(names)) for pattern, names in policy.owners.items()]
    return found or [("every part", "everybody")]


def _shown(value: Any) -> str:
    if value is None:
        return "not set"
    return f"{value:,}" if isinstance(value, int | Decimal) and not isinstance(value, bool) else str(value)


def _where(name: str) -> str:
    if name.isupper():
        return name
    section, _, key = name.rpartition(".")
    return f"[{section}] {key}"


def _price(price: Any, currency: str) -> str:
    return f"{price.input} {currency} in, {price.output} {currency} out, for a million tokens"
