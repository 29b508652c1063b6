"""The closed catalogue of operations. A field's value is made by a chain of them, each with typed input and output.

Nothing here evaluates text: an operation is a model with named arguments, compiled once to a function. In YAML a
step is one key with its argument: `{trim: }`, `{case: lower}`, `{max_length: {n: 255, over: truncate}}`.
An absent value (None) runs through every operation but those that supply one (const, default, coalesce, ...).
"""

from __future__ import annotations

import difflib
import html
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import cache, cached_property
from importlib import resources
from typing import Annotated, Any, ClassVar, Final, Literal
from zoneinfo import ZoneInfo

import re2
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SerializeAsAny, ValidationError, field_validator

from mapspec.conditions import Condition, PathField, fold, is_present
from mapspec.errors import TransformError
from mapspec.numbers import Money as MoneyValue
from mapspec.numbers import Rounding, decimals_of, plain, round_to, shape, to_decimal
from mapspec.paths import Path, Scope, compile_path, parse_path

Step = Callable[[Any, Scope], Any]
AS_WRITTEN: Final = "as_written"
_PLACEHOLDER: Final = re.compile(r"\{([^{}]*)\}")
MAX_TEXT_LENGTH: Final = 100_000  # characters of one value; no field of either system comes near
_MAX_MARKS: Final = 30  # combining marks on one letter (Unicode's stream-safe limit): sorting more takes quadratic time
_MAX_SHOWN: Final = 60  # characters of a value in a message


@dataclass(frozen=True)
class Table:
    """A value table of the spec; keys compare trimmed and without case."""

    name: str
    rows: Mapping[str, str]
    missing: str
    default: str | None

    def find(self, key: str) -> str | None:
        """The value of a key, None when there is no row for it."""
        return self._folded.get(fold(key))

    @cached_property
    def _folded(self) -> dict[str, str]:
        return {fold(key): value for key, value in self.rows.items()}


@dataclass
class CompileContext:
    """What compiling a chain needs from the spec."""

    tables: Mapping[str, Table] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)

    def setting(self, text: str) -> str:
        """A literal, or the value of `settings.NAME`."""
        return self.settings.get(text[9:], "") if text.startswith("settings.") else text


class Operation(BaseModel):
    """Base of all operations.

    Class attributes: `main` is the argument that the short form `{op: value}` sets; `takes` and `gives` are type
    names (text, bool, int, decimal, date, instant, money, list, object, any; "same" gives what came in).
    """

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True, populate_by_name=True)
    name: ClassVar[str] = ""
    main: ClassVar[str | None] = None
    takes: ClassVar[tuple[str, ...]] = ("any",)
    gives: ClassVar[str] = "same"
    source: ClassVar[bool] = False

    def bind(self, context: CompileContext) -> Step:
        """The operation as a function of (value, scope)."""
        raise NotImplementedError

    def paths(self) -> list[Path]:
        """Every path the operation reads."""
        return [value for value in self.__dict__.values() if isinstance(value, Path)]

    def nested(self) -> list[tuple[Operation, ...]]:
        """Chains inside the operation."""
        return []

    def arguments(self) -> dict[str, Any]:
        """Arguments that differ from their defaults, as written in a spec."""
        written: dict[str, Any] = {}
        for key, info in type(self).model_fields.items():
            value = getattr(self, key)
            if info.is_required() or value != info.default:
                written[info.alias or key] = _written(value)
        return written


def _written(value: Any) -> Any:
    if isinstance(value, Path):
        return value.text
    if isinstance(value, Condition):
        return value.plain()
    if isinstance(value, Operation):
        return write_step(value)
    if isinstance(value, tuple | list):
        return [_written(part) for part in value]
    if isinstance(value, Decimal):
        return plain(value)
    return value


def parse_step(data: Any) -> Operation:
    """One step from its YAML form.

    Raises:
        ValueError: Unknown operation (with the nearest name) or wrong arguments.
    """
    if isinstance(data, Operation):
        return data
    if not isinstance(data, Mapping) or len(data) != 1:
        raise ValueError("a step is one operation with its argument, such as {trim: } or {path: customer.email}")
    name, argument = next(iter(data.items()))
    kind = CATALOGUE.get(name)
    if kind is None:
        near = difflib.get_close_matches(str(name), CATALOGUE, n=1)
        hint = f"; did you mean '{near[0]}'?" if near else f"; known: {', '.join(sorted(CATALOGUE))}"
        raise ValueError(f"unknown operation '{name}'{hint}")
    if isinstance(argument, Mapping):
        arguments = dict(argument)
    elif argument in ("", None, []) and kind.main != "value":
        arguments = {}
    elif kind.main is None:
        raise ValueError(f"operation '{name}' takes no argument")
    else:
        arguments = {kind.main: argument}
    try:
        return kind.model_validate(arguments)
    except ValidationError as error:
        raise ValueError(f"operation '{name}': {first_problem(error)[1]}") from None


def first_problem(error: ValidationError) -> tuple[tuple[str | int, ...], str]:
    """Location and one-line message of the first problem pydantic found."""
    problem = error.errors(include_url=False, include_context=False, include_input=False)[0]
    loc, message, kind = problem["loc"], str(problem["msg"]), problem["type"]
    last = str(loc[-1]) if loc else ""
    if kind == "missing":
        return loc, f"'{last}' is missing"
    if kind == "extra_forbidden":
        return loc, f"unknown key '{last}'"
    if kind == "value_error":
        return loc, message.removeprefix("Value error, ")
    message = message[0].lower() + message[1:]
    return loc, f"'{last}': {message}" if isinstance(loc[-1] if loc else 0, str) else message


def write_step(step: Operation) -> dict[str, Any]:
    """The shortest YAML form of a step."""
    written = step.arguments()
    main = step.main
    if not written:
        return {step.name: None}
    if main is not None and set(written) == {main} and not isinstance(written[main], dict):
        return {step.name: written[main]}
    return {step.name: written}


StepField = Annotated[SerializeAsAny[Operation], BeforeValidator(parse_step)]
Chain = tuple[StepField, ...]


def bind_chain(chain: Sequence[Operation], context: CompileContext) -> Step:
    """Compile a chain to one function; a TransformError names the step it came from."""
    steps = [(step.name, step.bind(context)) for step in chain]

    def run(value: Any, scope: Scope) -> Any:
        for position, (name, step) in enumerate(steps):
            try:
                value = step(value, scope)
            except TransformError as error:
                if "step " in error.message:
                    raise
                raise TransformError(f"step {position + 1} ({name}): {error.message}", reason=error.reason) from None
        return value

    return run


def text_of(value: Any) -> str:
    """A scalar as text: exact decimals, ISO dates, true/false.

    Raises:
        TransformError: Lists and objects have no text; or it would be longer than any field (`too-long`).
    """
    if isinstance(value, str):
        if len(value) > MAX_TEXT_LENGTH:
            raise TransformError(f"expected at most {MAX_TEXT_LENGTH} characters, got {len(value)}", reason="too-long")
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        # 1e999999 is nine characters of JSON and a million digits when written out
        if not value.is_finite() or abs(value.adjusted()) > 40 or decimals_of(value) > 40:
            raise TransformError("the number is out of range", reason="bad-number")
        return plain(value)
    if isinstance(value, int):
        if value.bit_length() > 128:
            raise TransformError("the number is out of range", reason="bad-number")
        return str(value)
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, MoneyValue):
        return value.wire()["amount"]
    raise TransformError(f"expected a text, got {shape(value)}")


def _each_text(function: Callable[[str], Any]) -> Step:
    return lambda value, scope: None if value is None else function(text_of(value))


# --- where values come from ------------------------------------------------------------------------------------


class ReadPath(Operation):
    """Read a source field: `{path: customer.email}`; the first present element where the path runs through a list."""

    name = "path"
    main = "path"
    gives = "any"
    source = True
    path: PathField

    def bind(self, context: CompileContext) -> Step:
        read = compile_path(self.path)
        if not self.path.many:
            return lambda value, scope: read(scope)
        return lambda value, scope: next((v for v in read(scope) if is_present(v)), None)


class Const(Operation):
    """A fixed text: `{const: en}`."""

    name = "const"
    main = "value"
    gives = "text"
    source = True
    value: str

    def bind(self, context: CompileContext) -> Step:
        fixed = self.value
        return lambda value, scope: fixed


class Setting(Operation):
    """A setting of the spec: `{setting: invoice_prefix}`."""

    name = "setting"
    main = "key"
    gives = "text"
    source = True
    key: str

    def bind(self, context: CompileContext) -> Step:
        fixed = context.settings.get(self.key)
        return lambda value, scope: fixed


class Coalesce(Operation):
    """The first present value of several paths: `{coalesce: [customer.company, billingAddress.company]}`."""

    name = "coalesce"
    main = "paths"
    gives = "any"
    source = True
    paths_: tuple[PathField, ...] = Field(alias="paths", min_length=1)

    def bind(self, context: CompileContext) -> Step:
        reads = [ReadPath(path=path).bind(context) for path in self.paths_]

        def step(value: Any, scope: Scope) -> Any:
            for read in reads:
                found = read(None, scope)
                if is_present(found):
                    return found
            return None

        return step

    def paths(self) -> list[Path]:
        return list(self.paths_)


def placeholders(text: str) -> list[Path]:
    """The paths in braces in a text; {#} is the element's number and no path.

    Raises:
        ValueError: One of them is no path.
    """
    return [parse_path(found) for found in _PLACEHOLDER.findall(text) if found != "#"]


class Template(Operation):
    """Text with source fields in it: `{template: "Order {orderNumber}"}`; absent when any field in it is absent."""

    name = "template"
    main = "text"
    gives = "text"
    source = True
    text: str

    @field_validator("text")
    @classmethod
    def _paths_are_paths(cls, text: str) -> str:
        placeholders(text)
        return text

    def paths(self) -> list[Path]:
        return placeholders(self.text)

    def bind(self, context: CompileContext) -> Step:
        parts = _PLACEHOLDER.split(self.text)
        literals = parts[0::2]
        reads = [self._reader(placeholder, context) for placeholder in parts[1::2]]

        def step(value: Any, scope: Scope) -> Any:
            pieces = [literals[0]]
            for read, literal in zip(reads, literals[1:], strict=True):
                found = read(None, scope)
                if found is None or not (found == "" or is_present(found)):
                    return None
                pieces += [text_of(found).strip(), literal]
            return "".join(pieces)

        return step

    @staticmethod
    def _reader(placeholder: str, context: CompileContext) -> Step:
        if placeholder == "#":
            return lambda value, scope: scope.index + 1
        if placeholder.startswith("settings."):
            fixed = context.setting(placeholder)  # an empty setting is a value: no prefix
            return lambda value, scope: fixed
        read = ReadPath(path=parse_path(placeholder)).bind(context)

        def present(value: Any, scope: Scope) -> Any:
            found = read(None, scope)
            return found if is_present(found) else None  # zero and false are values

        return present


def message_of(text: str, context: CompileContext) -> Callable[[Scope], str]:
    """A message with source fields in it, as a function that always gives one: what is absent reads "nothing".

    Raises:
        ValueError: A placeholder is no path.
    """
    parts = _PLACEHOLDER.split(text)
    reads = [Template._reader(placeholder, context) for placeholder in parts[1::2]]

    def shown(read: Step, scope: Scope) -> str:
        try:
            found = read(None, scope)
            return "nothing" if found is None else truncate(text_of(found).strip(), _MAX_SHOWN)
        except TransformError:
            return "unreadable"

    def message(scope: Scope) -> str:
        pairs = zip(reads, parts[2::2], strict=True)
        return parts[0] + "".join(shown(read, scope) + literal for read, literal in pairs)

    return message


class Join(Operation):
    """Join the parts that are present: `{join: {with: ", ", parts: [[{path: a}], [{path: b}]]}}`."""

    name = "join"
    main = "parts"
    gives = "text"
    source = True
    parts: tuple[Chain, ...]
    with_: str = Field(default=" ", alias="with")

    def bind(self, context: CompileContext) -> Step:
        chains = [bind_chain(part, context) for part in self.parts]

        def step(value: Any, scope: Scope) -> Any:
            found = [made for chain in chains if is_present(made := chain(None, scope))]
            return self.with_.join(text_of(part) for part in found) if found else None

        return step

    def nested(self) -> list[tuple[Operation, ...]]:
        return list(self.parts)


class When(Operation):
    """One chain or the other: `{when: {if: {present: email}, then: [...], else: [...]}}`."""

    name = "when"
    gives = "any"
    source = True
    if_: Condition = Field(alias="if")
    then: Chain
    else_: Chain = Field(default=(), alias="else")

    def bind(self, context: CompileContext) -> Step:
        test = self.if_.compile()
        then = bind_chain(self.then, context)
        otherwise = bind_chain(self.else_, context)
        return lambda value, scope: then(value, scope) if test(scope) else otherwise(value, scope)

    def paths(self) -> list[Path]:
        return self.if_.paths()

    def nested(self) -> list[tuple[Operation, ...]]:
        return [self.then, self.else_]


class StepOutput(Operation):
    """What an earlier flow step made: `{step_output: client.id}`; filled in by the runner."""

    name = "step_output"
    main = "of"
    gives = "any"
    source = True
    of: str

    @field_validator("of")
    @classmethod
    def _step_and_member(cls, of: str) -> str:
        if of.count(".") != 1:
            raise ValueError("write STEP.MEMBER, such as client.id")
        return of

    def bind(self, context: CompileContext) -> Step:
        step_id, member = self.of.split(".")
        placeholder = Output(step_id, member)
        return lambda value, scope: placeholder


@dataclass(frozen=True)
class Output:
    """Stands in a draft for a value that an earlier step's answer will bring."""

    step: str
    member: str


class LinePrice(Operation):
    """A part of the priced order line: quantity, unit_cost, name, note, tax_name_1, tax_percent_1, ... (rules 3-6)."""

    name = "line_price"
    main = "part"
    gives = "any"
    source = True
    part: Literal[
        "quantity",
        "unit_cost",
        "name",
        "note",
        "tax_name_1",
        "tax_percent_1",
        "tax_name_2",
        "tax_percent_2",
        "compound",
    ]

    def bind(self, context: CompileContext) -> Step:
        key = "line." + self.part
        return lambda value, scope: scope.extras.get(key)


# --- texts -----------------------------------------------------------------------------------------------------


class Default(Operation):
    """A fixed text where nothing came: `{default: en}`."""

    name = "default"
    main = "value"
    value: str

    def bind(self, context: CompileContext) -> Step:
        fixed = context.setting(self.value)
        return lambda value, scope: value if is_present(value) else fixed


class Trim(Operation):
    """Remove blanks at both ends; blank text becomes absent."""

    name = "trim"
    gives = "text"

    def bind(self, context: CompileContext) -> Step:
        return _each_text(lambda text: text.strip() or None)


class Case(Operation):
    """Change case: `{case: lower}`; lower, upper."""

    name = "case"
    main = "to"
    gives = "text"
    to: Literal["lower", "upper"]

    def bind(self, context: CompileContext) -> Step:
        return _each_text(str.lower if self.to == "lower" else str.upper)


class CollapseSpace(Operation):
    """Runs of white space become one blank, ends are trimmed."""

    name = "collapse_space"
    gives = "text"

    def bind(self, context: CompileContext) -> Step:
        return _each_text(lambda text: " ".join(text.split()) or None)


class StripHtml(Operation):
    """Remove tags, turn entities into characters: descriptions of shops hold HTML."""

    name = "strip_html"
    gives = "text"

    def bind(self, context: CompileContext) -> Step:
        return _each_text(lambda text: strip_html(text) or None)


class CleanText(Operation):
    """Unicode NFC without control characters; `emoji: remove` drops characters outside the basic plane."""

    name = "clean_text"
    main = "emoji"
    gives = "text"
    emoji: Literal["keep", "remove"] = "keep"

    def bind(self, context: CompileContext) -> Step:
        remove = self.emoji == "remove"

        def clean(text: str) -> str | None:
            normal = unicodedata.normalize("NFC", _limit_marks(text))
            kept = "".join(
                c
                for c in normal
                if (c in "\n\t" or unicodedata.category(c) not in {"Cc", "Cs", "Co", "Cn"})
                and not (remove and (ord(c) > 0xFFFF or c in "\u200d\ufe0f"))
            )
            return kept.strip() or None

        return _each_text(clean)


class MaxLength(Operation):
    """At most n characters: `over: truncate` cuts at a character boundary and marks the cut, `over: error` refuses."""

    name = "max_length"
    main = "n"
    gives = "text"
    n: int = Field(ge=1)
    over: Literal["truncate", "error"] = "error"

    def bind(self, context: CompileContext) -> Step:
        def limit(text: str) -> str:
            if len(text) <= self.n:
                return text
            if self.over == "error":
                raise TransformError(f"expected at most {self.n} characters, got {len(text)}", reason="too-long")
            return truncate(text, self.n)

        return _each_text(limit)


class ReplaceLiteral(Operation):
    """Replace a text by another, no patterns: `{replace_literal: {find: "-", with: ""}}`."""

    name = "replace_literal"
    gives = "text"
    find: str = Field(min_length=1)
    with_: str = Field(default="", alias="with")

    def bind(self, context: CompileContext) -> Step:
        return _each_text(lambda text: text.replace(self.find, self.with_))


class RegexExtract(Operation):
    """The first group (or the whole match) of a linear-time pattern; absent where it does not match."""

    name = "regex_extract"
    main = "pattern"
    gives = "text"
    pattern: str = Field(max_length=500)

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, pattern: str) -> str:
        linear_pattern(pattern)
        return pattern

    def bind(self, context: CompileContext) -> Step:
        compiled = linear_pattern(self.pattern)

        def extract(text: str) -> str | None:
            match = compiled.search(well_formed(text))
            if match is None:
                return None
            found = match.group(1) if match.re.groups else match.group(0)
            return str(found) if found is not None else None

        return _each_text(extract)


class LookupTable(Operation):
    """A value from a table of the spec: `{lookup_table: payment_terms}`. The table says what a missing key means."""

    name = "lookup_table"
    main = "table"
    gives = "text"
    table: str

    def bind(self, context: CompileContext) -> Step:
        table = context.tables.get(self.table)
        if table is None:
            raise ValueError(f"there is no table '{self.table}'")

        def find(value: Any, scope: Scope) -> Any:
            found = table.find(text_of(value)) if is_present(value) else None
            if found is not None:
                return found
            if table.missing == "default":
                return context.setting(table.default or "") or None
            if table.missing == "keep":
                return value
            if table.missing == "absent" or not is_present(value):
                return None
            raise TransformError(f"the table {table.name} has no row for this value", reason="not-in-table")

        return find


class CountryName(Operation):
    """ISO 3166 alpha-2 code to the English name FreshBooks uses; other spellings pass unchanged (clarity A29)."""

    name = "country_name"
    gives = "text"

    def bind(self, context: CompileContext) -> Step:
        return _each_text(lambda text: countries().get(text.strip().upper(), text))


# --- dates -----------------------------------------------------------------------------------------------------


class ParseInstant(Operation):
    """ISO 8601 text to an instant; fraction digits beyond microseconds are cut. Without offset it stays local."""

    name = "parse_instant"
    gives = "instant"

    def bind(self, context: CompileContext) -> Step:
        return _each_text(parse_instant)


class ToDate(Operation):
    """The calendar date of an instant: `{to_date: settings.timezone}`, an IANA zone, or as_written.

    as_written keeps the date as the offset in the text says it: shops write `orderDate` with the store's own offset.
    """

    name = "to_date"
    main = "zone"
    takes = ("instant", "date")
    gives = "date"
    zone: str = AS_WRITTEN

    def bind(self, context: CompileContext) -> Step:
        zone_name = context.setting(self.zone)
        zone = None if zone_name in ("", AS_WRITTEN) else load_zone(zone_name)

        def step(value: Any, scope: Scope) -> Any:
            if value is None:
                return None
            if isinstance(value, datetime):
                try:
                    return value.date() if zone is None or value.tzinfo is None else value.astimezone(zone).date()
                except OverflowError:
                    raise TransformError("the date leaves the calendar", reason="bad-date") from None
            if isinstance(value, date):
                return value
            raise TransformError(f"expected a date, got {shape(value)}", reason="bad-date")

        return step


class AddDays(Operation):
    """Move a date by whole days: `{add_days: 30}`."""

    name = "add_days"
    main = "days"
    takes = ("date",)
    gives = "date"
    days: int = Field(ge=-36500, le=36500)

    def bind(self, context: CompileContext) -> Step:
        def step(value: Any, scope: Scope) -> Any:
            if value is None:
                return None
            if not isinstance(value, date) or isinstance(value, datetime):
                raise TransformError(f"expected a date, got {shape(value)}", reason="bad-date")
            try:
                return value + timedelta(days=self.days)
            except OverflowError:
                raise TransformError("the date leaves the calendar", reason="bad-date") from None

        return step


# --- numbers ---------------------------------------------------------------------------------------------------


class ToDecimal(Operation):
    """Text or number to an exact decimal; `places` rounds (half up unless said)."""

    name = "decimal"
    gives = "decimal"
    places: int | None = Field(default=None, ge=0, le=12)
    rounding: Rounding = "half_up"

    def bind(self, context: CompileContext) -> Step:
        def step(value: Any, scope: Scope) -> Any:
            if not is_present(value):
                return None
            number = to_decimal(value, "value")
            return number if self.places is None else round_to(number, self.places, self.rounding)

        return step


class ToInt(Operation):
    """Text or number to a whole number; a fraction is refused."""

    name = "int"
    gives = "int"

    def bind(self, context: CompileContext) -> Step:
        def step(value: Any, scope: Scope) -> Any:
            if not is_present(value):
                return None
            number = to_decimal(value, "value")
            if number != number.to_integral_value():
                raise TransformError("expected a whole number, got a fraction", reason="bad-number")
            return int(number)

        return step


class ToBool(Operation):
    """true/false from the spellings shops use (true, yes, y, 1, on)."""

    name = "bool"
    gives = "bool"

    def bind(self, context: CompileContext) -> Step:
        def step(value: Any, scope: Scope) -> Any:
            if value is None or isinstance(value, bool):
                return value
            word = text_of(value).strip().casefold()
            if word in {"true", "yes", "y", "1", "on"}:
                return True
            if word in {"false", "no", "n", "0", "off", ""}:
                return False
            raise TransformError("expected true or false", reason="bad-boolean")

        return step


class ToMoney(Operation):
    """An amount with its currency: `{money: {currency: values.currency}}`."""

    name = "money"
    main = "currency"
    gives = "money"
    currency: PathField

    def bind(self, context: CompileContext) -> Step:
        read = ReadPath(path=self.currency).bind(context)

        def step(value: Any, scope: Scope) -> Any:
            if not is_present(value):
                return None
            code = read(None, scope)
            if not is_present(code):
                raise TransformError("the amount has no currency", reason="currency-missing")
            return MoneyValue(to_decimal(value, "amount"), text_of(code).strip().upper())

        return step


class Multiply(Operation):
    """Multiply by a fixed number: a rate as fraction to percent is `{multiply: "100"}`."""

    name = "multiply"
    main = "by"
    gives = "decimal"
    by: Decimal = Field(max_digits=28, decimal_places=12)

    def bind(self, context: CompileContext) -> Step:
        return lambda value, scope: None if not is_present(value) else to_decimal(value, "value") * self.by


class Negate(Operation):
    """The number with the other sign."""

    name = "negate"
    gives = "decimal"

    def bind(self, context: CompileContext) -> Step:
        return lambda value, scope: None if not is_present(value) else -to_decimal(value, "value")


class Abs(Operation):
    """The number without sign."""

    name = "abs"
    gives = "decimal"

    def bind(self, context: CompileContext) -> Step:
        return lambda value, scope: None if not is_present(value) else abs(to_decimal(value, "value"))


CATALOGUE: Final[dict[str, type[Operation]]] = {
    kind.name: kind
    for kind in (
        ReadPath, Const, Setting, Coalesce, Template, Join, When, StepOutput, LinePrice, Default, Trim, Case,
        CollapseSpace, StripHtml, CleanText, MaxLength, ReplaceLiteral, RegexExtract, LookupTable, CountryName,
        ParseInstant, ToDate, AddDays, ToDecimal, ToInt, ToBool, ToMoney, Multiply, Negate, Abs,
    )
}  # fmt: skip


# --- the functions behind --------------------------------------------------------------------------------------

# Both patterns look at each character a bounded number of times, whatever the text.
_TAG: Final = re.compile(r"<(/?[a-zA-Z][a-zA-Z0-9]{0,20})(?![a-zA-Z0-9])[^<>]{0,2000}>")
_BLOCK: Final = re.compile(r"/(?:p|li|div|h[0-9]|tr)|/?br", re.IGNORECASE)
_INSTANT: Final = re.compile(
    r"(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2}(?::\d{2})?)(?:[.,](\d{1,12}))?\s*(Z|z|[+-]\d{2}:?\d{2})?)?"
)


def strip_html(text: str) -> str:
    """Text of an HTML fragment; block ends become a blank."""
    if "<" in text:
        text = _TAG.sub(lambda tag: " " if _BLOCK.fullmatch(tag[1]) else "", _without_comments(text))
    try:
        text = html.unescape(text)
    except ValueError:  # a character number of more digits than Python converts
        raise TransformError("the text has a character reference that stands for no character") from None
    return " ".join(text.split())


def _without_comments(text: str) -> str:
    kept = []
    start = 0
    while (begin := text.find("<!--", start)) >= 0 and (end := text.find("-->", begin + 4)) >= 0:
        kept.append(text[start:begin])
        start = end + 3
    return "".join(kept) + text[start:]


def _limit_marks(text: str) -> str:
    if text.isascii():
        return text
    kept = []
    marks = 0
    for character in text:
        marks = marks + 1 if unicodedata.combining(character) else 0
        if marks <= _MAX_MARKS:
            kept.append(character)
    return "".join(kept)


def well_formed(text: str) -> str:
    """The text itself.

    Raises:
        TransformError: `bad-text`: half a surrogate pair, which JSON can spell but nothing can send.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        raise TransformError("the text has half a surrogate pair in it", reason="bad-text") from None
    return text


def truncate(text: str, n: int) -> str:
    """At most n characters; a cut is marked by an ellipsis and never parts a letter from its combining marks."""
    if len(text) <= n:
        return text
    cut = n - 1
    while cut > 0 and (unicodedata.combining(text[cut]) or text[cut] in "\u200d\ufe0f" or text[cut - 1] == "\u200d"):
        cut -= 1
    return text[:cut].rstrip() + "…"


def parse_instant(text: str) -> datetime:
    """ISO 8601 instant or date.

    Raises:
        TransformError: `bad-date`.
    """
    match = _INSTANT.fullmatch(text.strip())
    try:
        if match is None:
            raise ValueError
        day, clock, fraction, offset = match.groups()
        if clock is None:
            return datetime.fromisoformat(day)
        if offset is not None and offset not in "Zz" and ":" not in offset:
            offset = offset[:3] + ":" + offset[3:]
        zone = "" if offset is None else "+00:00" if offset in "Zz" else offset
        micro = "." + (fraction or "0")[:6].ljust(6, "0")
        seconds = clock if clock.count(":") == 2 else clock + ":00"
        return datetime.fromisoformat(f"{day}T{seconds}{micro}{zone}")
    except ValueError:
        raise TransformError(
            f"expected a date such as 2026-03-01 or 2026-03-01T09:05:08-05:00, got {shape(text)}",
            reason="bad-date",
        ) from None


@cache
def load_zone(name: str) -> ZoneInfo:
    """An IANA time zone.

    Raises:
        ValueError: Unknown name.
    """
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError(f"unknown time zone '{name}': write an IANA name such as America/Chicago") from None


@cache
def countries() -> Mapping[str, str]:
    """Country names by ISO 3166-1 alpha-2 code."""
    text = resources.files("mapspec").joinpath("data/countries.txt").read_text(encoding="utf-8")
    rows = (line.split(" ", 1) for line in text.splitlines() if line and not line.startswith("#"))
    return {row[0]: row[1] for row in rows}


@cache
def linear_pattern(pattern: str) -> Any:
    options = re2.Options()
    options.log_errors = False
    options.max_mem = 1 << 20
    try:
        return re2.compile(pattern, options)
    except re2.error:
        raise ValueError(
            "the pattern is not valid for a linear-time engine (no look-around, no back-references)"
        ) from None
