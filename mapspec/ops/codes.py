"""Operations that turn one spelling into another by a table: tables of the spec, countries, regions, currencies."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import Any, Final, Literal

from pydantic import Field, field_validator, model_validator

from mapspec.conditions import PathField, fold, is_present
from mapspec.errors import TransformError
from mapspec.ops.base import (
    MAX_TEXT_LENGTH,
    SCALAR,
    CompileContext,
    Example,
    Operation,
    Step,
    Table,
    each_text,
    text_of,
)
from mapspec.ops.plaintext import bare
from mapspec.paths import Scope, compile_path

Missing = Literal["keep", "hold", "absent"]
# Spellings that shops send beside the code and the name of the table.
_COUNTRY_ALIASES: Final = {
    "usa": "US", "us of a": "US", "united states of america": "US", "america": "US", "uk": "GB", "great britain": "GB",
    "england": "GB", "scotland": "GB", "wales": "GB", "northern ireland": "GB", "holland": "NL",
    "the netherlands": "NL", "deutschland": "DE", "espana": "ES", "italia": "IT", "osterreich": "AT", "schweiz": "CH",
    "suisse": "CH", "brasil": "BR", "czech republic": "CZ", "turkey": "TR", "uae": "AE", "korea": "KR",
    "south korea": "KR", "republic of korea": "KR", "russian federation": "RU", "viet nam": "VN", "macedonia": "MK",
    "ivory coast": "CI", "hong kong": "HK", "macau": "MO", "burma": "MM",
}  # fmt: skip
# Signs and names that stand for more than one currency; they are refused unless the step says which is meant.
AMBIGUOUS: Final = frozenset({
    "$", "¥", "kr", "rs", "fr", "dollar", "dollars", "peso", "pesos", "pound", "pounds", "franc", "francs",
    "rupee", "rupees", "krone", "kroner", "krona", "kronor", "dinar", "dinars", "real", "reais", "riyal", "rial",
    "shilling", "shillings",
})  # fmt: skip


def _finder(table: Table, context: CompileContext, what: str) -> Step:
    def find(value: Any, scope: Scope) -> Any:
        if value is None or not is_present(value):
            found = None
        else:
            found = table.find(value if type(value) is str and len(value) <= MAX_TEXT_LENGTH else text_of(value))
        if found is not None:
            return found
        if table.missing == "default":
            return context.setting(table.default or "") or None
        if table.missing == "keep":
            return value
        if table.missing == "absent" or not is_present(value):
            return None
        raise TransformError(f"{what} no row for this value", reason="not-in-table")

    return find


class LookupTable(Operation):
    """A value from a table of the spec; the table says what a missing key means."""

    name = "lookup_table"
    main = "table"
    takes = SCALAR
    gives = "text"
    examples = (
        Example("terms", value=" net 30 ", tables={"terms": {"Net 30": "30"}}, gives="30"),
        Example("terms", value="Net 45", tables={"terms": {"Net 30": "30"}}, refused="not-in-table"),
    )
    table: str

    def bind(self, context: CompileContext) -> Step:
        table = context.tables.get(self.table)
        if table is None:
            raise ValueError(f"there is no table '{self.table}'")
        return _finder(table, context, f"the table {table.name} has")


class MapEnum(Operation):
    """A value from rows in the step itself; `missing`: hold (default), default, keep the value, or absent."""

    name = "map_enum"
    takes = SCALAR
    gives = "text"
    examples = (
        Example({"rows": {"credit_card": "Credit Card", "ach": "ACH"}}, value="ACH", gives="ACH"),
        Example({"rows": {"ach": "ACH"}, "missing": "default", "default": "Other"}, value="barter", gives="Other"),
        Example({"rows": {"ach": "ACH"}}, value="barter", refused="not-in-table"),
    )
    rows: dict[str, str] = Field(min_length=1)
    missing: Literal["hold", "default", "keep", "absent"] = "hold"
    default: str | None = None

    @model_validator(mode="after")
    def _rows_and_default_fit(self) -> MapEnum:
        if len({fold(key) for key in self.rows}) != len(self.rows):
            raise ValueError("two rows have the same key; case does not count")
        if (self.missing == "default") != (self.default is not None):
            raise ValueError("'default' goes with 'missing: default'")
        return self

    def bind(self, context: CompileContext) -> Step:
        return _finder(Table("", self.rows, self.missing, self.default), context, "there is")


class CountryName(Operation):
    """ISO 3166 alpha-2 code to the English name FreshBooks uses; other spellings pass unchanged."""

    name = "country_name"
    takes = SCALAR
    gives = "text"
    examples = (Example(value="us", gives="United States"), Example(value="Ruritania", gives="Ruritania"))

    def bind(self, context: CompileContext) -> Step:
        return each_text(lambda text: countries().get(text.strip().upper(), text))


class CountryCode(Operation):
    """A country's English name, a usual other spelling or its code to the ISO 3166 alpha-2 code."""

    name = "country_code"
    main = "missing"
    takes = SCALAR
    gives = "text"
    examples = (
        Example(value="United States", gives="US"),
        Example(value="U.K.", gives="GB"),
        Example(value="Ruritania", gives="Ruritania"),
        Example("hold", value="Ruritania", refused="unknown-country"),
    )
    missing: Missing = "keep"

    def bind(self, context: CompileContext) -> Step:
        return each_text(lambda text: _or_missing(country_code(text), text, self.missing, "country"))


class Region(Operation):
    """A US state or Canadian province as its code or name; with `country`, those of other countries stay unchanged."""

    name = "region"
    main = "to"
    takes = SCALAR
    gives = "text"
    examples = (
        Example(value="texas", gives="TX"),
        Example("name", value="QC", gives="Quebec"),
        Example({"country": "country"}, value="WA", record={"country": "Australia"}, gives="WA"),
        Example({"to": "name", "country": "country"}, value="WA", record={"country": "US"}, gives="Washington"),
        Example({"missing": "hold"}, value="Bavaria", refused="unknown-region"),
    )
    to: Literal["code", "name"] = "code"
    country: PathField | None = None
    missing: Missing = "keep"

    def bind(self, context: CompileContext) -> Step:
        read = compile_path(self.country) if self.country else None

        def step(value: Any, scope: Scope) -> Any:
            if not is_present(value):
                return None
            text = text_of(value)
            country = read(scope) if read else None
            code = country_code(text_of(country)) if is_present(country) else None
            if is_present(country) and code not in ("US", "CA"):
                return text.strip()
            found = regions().get(bare(text))
            if found is not None and code not in (None, found[0]):
                found = None
            return _or_missing(found and found[1 if self.to == "code" else 2], text, self.missing, "region")

        return step


class CurrencyCode(Operation):
    """A currency's sign, English name or code to the ISO 4217 code; `signs` says what an ambiguous one means."""

    name = "currency_code"
    takes = SCALAR
    gives = "text"
    examples = (
        Example(value="€", gives="EUR"),
        Example(value="canadian dollars", gives="CAD"),
        Example(value="usd", gives="USD"),
        Example(value="$", refused="ambiguous-currency"),
        Example({"signs": {"$": "CAD"}}, value="$", gives="CAD"),
        Example(value="shells", refused="unknown-currency"),
    )
    signs: dict[str, str] = Field(default={})

    @field_validator("signs")
    @classmethod
    def _codes_are_known(cls, signs: dict[str, str]) -> dict[str, str]:
        for code in signs.values():
            if currencies().get(code.casefold()) != code:
                raise ValueError(f"'{code}' is no ISO 4217 code")
        return signs

    def bind(self, context: CompileContext) -> Step:
        told = {bare(sign): code for sign, code in self.signs.items()}

        def code_of(text: str) -> str | None:
            key = bare(text)
            if not key:
                return None
            found = told.get(key) or (None if key in AMBIGUOUS else currencies().get(key))
            if found is not None:
                return found
            if key in AMBIGUOUS:
                message = "the sign or name stands for several currencies: say with 'signs' which one is meant"
                raise TransformError(message, reason="ambiguous-currency")
            raise TransformError("expected a currency's code, sign or English name", reason="unknown-currency")

        return each_text(code_of)


def _or_missing(found: str | None, text: str, missing: Missing, what: str) -> str | None:
    if found is not None:
        return found
    if missing == "keep":
        return text.strip() or None
    if missing == "absent" or not text.strip():
        return None
    raise TransformError(f"expected a known {what}, got a text of {len(text)} characters", reason=f"unknown-{what}")


def _lines(name: str) -> list[str]:
    text = resources.files("mapspec").joinpath("data", name).read_text(encoding="utf-8")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


@cache
def countries() -> Mapping[str, str]:
    """Country names by ISO 3166-1 alpha-2 code."""
    rows = (line.split(" ", 1) for line in _lines("countries.txt"))
    return {row[0]: row[1] for row in rows}


@cache
def _country_codes() -> Mapping[str, str]:
    return {bare(name): code for code, name in countries().items()} | _COUNTRY_ALIASES


def country_code(text: str) -> str | None:
    """The alpha-2 code of a country's code, name or usual other spelling; None for none of these."""
    code = text.strip().upper()
    return code if code in countries() else _country_codes().get(bare(text))


@cache
def regions() -> Mapping[str, tuple[str, str, str]]:
    """(country, code, name) by code, by name, and by code with its country (US-TX); keys are `bare`."""
    found: dict[str, tuple[str, str, str]] = {}
    for line in _lines("regions.txt"):
        country, code, name = line.split(" ", 2)
        for key in (code, f"{country}-{code}", name):
            found[bare(key)] = (country, code, name)
    return MappingProxyType(found)


@cache
def currencies() -> Mapping[str, str]:
    """ISO 4217 code by code, by English names and by signs that stand for one currency only; keys are `bare`."""
    found: dict[str, str] = {}
    for line in _lines("currencies.txt"):
        code, _, spellings = line.partition(" ")
        for spelling in (code, *spellings.split("|")):
            key = bare(spelling)
            found[key] = code
            if key[-1:].isalpha() and len(key) > 3:
                found.setdefault(key + "s", code)
    return MappingProxyType(found)
