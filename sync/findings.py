"""What `mapper-sync doctor` found out about an account, as the runner reads it.

The section ``[systems.<system>.findings]`` of doctor.toml (or of mapper.toml) holds it. A value that is not there is
not known, and then the runner does what it always did. Findings belong to one account at one address: those of
another one are left alone, and said so.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from mapspec.totals import Mode

DOCTOR_FILE = "doctor.toml"
USABLE_FILTERS = frozenset({"equals", "equals-nocase", "like", "like-nocase", "range", "applied"})

FilterKind = Literal["equals", "equals-nocase", "like", "like-nocase", "range", "applied", "ignored", "misses"]
Answer = Literal["accept", "refuse"]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _Findings(_Part):
    """Common to both systems.

    Attributes:
        date: Of the last examination.
        url: Base address of the examined system.
        checked: Setting -> the day it was found; older than ``date`` when the last examination left it out.
    """

    date: datetime.date
    url: str
    checked: dict[str, datetime.date] = {}


class FreshBooksFindings(_Findings):
    """What is known of one FreshBooks account; None and missing keys: not known.

    Attributes:
        account: Account id.
        wrote: Whether test records were written to find it out.
        rounding: The one rule of ``mapspec.totals`` that explains the server's totals. The runner compares totals
            all the same and never relies on it (rules, 7).
        unit_cost_places: Decimals of a unit cost that are kept and calculated with.
        tax_percent_places: Decimals of a tax percent that are kept.
        negative_lines: Whether a line below zero is accepted.
        duplicate_number, deleted_number: A used invoice number, and one of a deleted invoice.
        duplicate_email: A second client with the same e-mail.
        emoji: Characters outside the basic multilingual plane; "altered" are stored as something else.
        payment_on_draft: What a partial payment does to a draft.
        negative_payment: Whether a payment below zero is taken; the runner sends none.
        transactionid: What becomes of a payment's `transactionid`; the runner searches the note.
        lag_s: Whole seconds until a new record showed in searches, rounded up.
        error_shape: Of an answer without X-API-VERSION.
        new_errors_since: First X-API-VERSION that is answered in the new shape; "any" or "none".
        rate_limit: Requests that the server's header promises.
        filters: "client.email" -> how the filter matches; "applied" works in a way that could not be told.
        max_lengths: "invoice.invoice_number" -> characters; 0 when no limit was met.
    """

    account: str
    wrote: bool = False
    rounding: Mode | None = None
    unit_cost_places: int | None = Field(default=None, ge=0)
    tax_percent_places: int | None = Field(default=None, ge=0)
    negative_lines: bool | None = None
    duplicate_number: Answer | None = None
    deleted_number: Answer | None = None
    duplicate_email: Answer | None = None
    emoji: Literal["accept", "refuse", "altered"] | None = None
    payment_on_draft: Literal["stays-draft", "becomes-sent", "refuse"] | None = None
    negative_payment: Answer | None = None
    transactionid: Literal["kept", "dropped", "refuse"] | None = None
    lag_s: int | None = Field(default=None, ge=0)
    error_shape: Literal["old", "new"] | None = None
    new_errors_since: str | None = None
    rate_limit: int | None = None
    filters: dict[str, FilterKind] = {}
    max_lengths: dict[str, int] = {}

    @property
    def unusable_filters(self) -> frozenset[str]:
        """Filters that must not be relied on: ignored ones, and those that miss rows they should find."""
        return frozenset(name for name, kind in self.filters.items() if kind not in USABLE_FILTERS)

    @property
    def email_case_ignored(self) -> bool:
        """True when one search by e-mail finds every spelling."""
        return self.filters.get("client.email") in ("equals-nocase", "like-nocase")


class ClarityFindings(_Findings):
    """What is known of one Clarity store; all by reading.

    Attributes:
        start_index: What it counts in the framework's lists; the members after it are the framework's, too.
    """

    lists: dict[str, Literal["works", "missing", "refused"]] = {}
    paging: Literal["envelope", "bare"] | None = None
    updated_since: Literal["inclusive", "exclusive", "ignored"] | None = None
    sorted_by_update: bool | None = None
    complete_rows: bool | None = None
    error_shape: Literal["A11", "other"] | None = None
    offsets: bool | None = None
    start_index: Literal["pages", "rows", "ignored"] | None = None
    digest: Literal["hashes", "ids", "missing"] | None = None
    prices: Literal["works", "refused"] | None = None
    future_times: bool | None = None


FINDINGS: Mapping[str, type[FreshBooksFindings] | type[ClarityFindings]] = {
    "freshbooks": FreshBooksFindings,
    "clarity": ClarityFindings,
}


def refusals(findings: FreshBooksFindings | None, entity: str, body: Mapping[str, Any]) -> list[str]:
    """Why the account is known not to take a body as it is; empty when nothing is known against it. Pure.

    FreshBooks cuts and rounds silently, so what it would change is refused here before anything is written.
    """
    if findings is None:
        return []
    found = [*_too_long(findings, entity, body)]
    if findings.emoji in ("refuse", "altered"):
        word = "refuses" if findings.emoji == "refuse" else "changes"
        names = sorted({name for name, text in _texts(entity, body) if any(ord(letter) > 0xFFFF for letter in text)})
        found += [f"{name} holds a character that this account {word} (such as an emoji)" for name in names]
    if entity == "invoice":
        for number, line in enumerate(body.get("lines") or [], start=1):
            if isinstance(line, Mapping):
                found += [f"line {number}: {why}" for why in _line(findings, line, str(body.get("currency_code")))]
    return found


def _line(findings: FreshBooksFindings, line: Mapping[str, Any], currency: str) -> Iterator[str]:
    from mapspec.numbers import currency_digits

    cost = line.get("unit_cost")
    amount = _decimal(cost.get("amount")) if isinstance(cost, Mapping) else None
    if amount is not None:
        if amount < 0 and findings.negative_lines is False:
            yield "is below zero, which this account refuses"
        places = findings.unit_cost_places
        # Stated for a currency of two digits, as the account was examined in one.
        if places is not None and currency_digits(currency) == 2 and _places(amount) > places:
            yield f"unit_cost has {_places(amount)} decimals, this account keeps {places}"
    if findings.tax_percent_places is None:
        return
    for name in ("taxAmount1", "taxAmount2"):
        percent = _decimal(line.get(name))
        if percent is not None and _places(percent) > findings.tax_percent_places:
            yield f"{name} has {_places(percent)} decimals, this account keeps {findings.tax_percent_places}"


def _too_long(findings: FreshBooksFindings, entity: str, body: Mapping[str, Any]) -> Iterator[str]:
    for name, text in _texts(entity, body):
        limit = findings.max_lengths.get(name, 0)
        if limit and len(text) > limit:
            yield f"{name} has {len(text)} characters, this account takes {limit}"


def _texts(entity: str, body: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Text members with the name of their limit: "client.fname", "line.description"."""
    for name, value in body.items():
        if isinstance(value, str):
            yield f"{entity}.{name}", value
    for line in body.get("lines") or []:
        if isinstance(line, Mapping):
            yield from ((f"line.{name}", value) for name, value in line.items() if isinstance(value, str))


def _decimal(value: Any) -> Decimal | None:
    try:
        return None if value is None or isinstance(value, bool) else Decimal(str(value))
    except InvalidOperation:
        return None


def _places(number: Decimal) -> int:
    exponent = number.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0
