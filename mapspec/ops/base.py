"""What every operation is: a model with named arguments, typed in and out, compiled once to a function."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from functools import cached_property
from typing import Annotated, Any, ClassVar, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, SerializeAsAny, ValidationError

from mapspec.conditions import Condition, fold, is_present
from mapspec.errors import TransformError
from mapspec.numbers import Money as MoneyValue
from mapspec.numbers import decimals_of, plain, shape, short_plain
from mapspec.paths import Path, Scope

Step = Callable[[Any, Scope], Any]
MAX_TEXT_LENGTH: Final = 100_000  # characters of one value; no field of either system comes near
MAX_DIGITS: Final = 40  # of a number before and after its point: room for what arithmetic makes of 28 digits
# Type names that stand for several: a single value is anything but a list or an object.
SCALAR: Final = ("scalar",)
NUMBER: Final = ("text", "int", "decimal")


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
    """What compiling a chain needs from the spec; `spec` is its id, `lookups` what its `lookup` steps search by."""

    tables: Mapping[str, Table] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    spec: str = ""
    lookups: Mapping[str, Path] = field(default_factory=dict)

    def setting(self, text: str) -> str:
        """A literal, or the value of `settings.NAME`."""
        return self.settings.get(text[9:], "") if text.startswith("settings.") else text


@dataclass(frozen=True)
class Example:
    """One thing an operation does; tests run it and the page of operations shows it.

    Attributes:
        argument: As written in a spec; None for none.
        value: What the step before gave.
        gives: What comes out.
        refused: Reason id of the error that is raised instead.
        record: The source record.
        each: Name of the record's list whose element number `index` is the current one.
        values: Named values of the spec.
        tables: Rows by table name; what is missing in them holds the record.
        lookups: What a `lookup` step searches by, by the step's id; `found`: what it found, by that.
    """

    argument: Any = None
    value: Any = None
    gives: Any = None
    refused: str | None = None
    record: Mapping[str, Any] = field(default_factory=dict)
    each: str | None = None
    index: int = 0
    values: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    tables: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    lookups: Mapping[str, str] = field(default_factory=dict)
    found: Mapping[str, Mapping[str, Any]] | None = None


class Operation(BaseModel):
    """Base of all operations.

    Class attributes: `main` is the argument that the short form `{op: value}` sets; `takes` and `gives` are type
    names (text, bool, int, decimal, date, instant, money, list, object, any; "same" gives what came in; "scalar"
    takes all but list and object). `of_elements` names the arguments that are read against each element of the list
    at hand; `inner` are the types that chains inside must give, empty for any. `short_object` says that the short form
    may be an object, a condition say, of which no key is an argument's name.
    """

    # Built on first use: a spec needs a few of the many, and building them all would double the time of a start.
    model_config = ConfigDict(
        frozen=True, extra="forbid", arbitrary_types_allowed=True, populate_by_name=True, defer_build=True
    )
    name: ClassVar[str] = ""
    main: ClassVar[str | None] = None
    takes: ClassVar[tuple[str, ...]] = ("any",)
    gives: ClassVar[str] = "same"
    source: ClassVar[bool] = False
    of_elements: ClassVar[frozenset[str]] = frozenset()
    inner: ClassVar[tuple[str, ...]] = ()
    short_object: ClassVar[bool] = False
    examples: ClassVar[tuple[Example, ...]] = ()

    def bind(self, context: CompileContext) -> Step:
        """The operation as a function of (value, scope)."""
        raise NotImplementedError

    def starts(self) -> bool:
        """True when it reads its value itself and leaves alone what the step before gave."""
        return self.source

    def paths(self) -> list[Path]:
        """Every path the operation reads where it stands."""
        return [path for key, value in self.__dict__.items() if key not in self.of_elements for path in _paths(value)]

    def element_paths(self) -> list[Path]:
        """Every path the operation reads against each element of the list at hand."""
        return [path for key, value in self.__dict__.items() if key in self.of_elements for path in _paths(value)]

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


# Every operation by its name; `mapspec.ops` fills it.
CATALOGUE: Final[dict[str, type[Operation]]] = {}


def _paths(value: Any) -> list[Path]:
    if isinstance(value, Path):
        return [value]
    if isinstance(value, Condition):
        return value.paths()
    if isinstance(value, tuple):
        return [part for part in value if isinstance(part, Path)]
    return []


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
    if isinstance(argument, Mapping) and not (kind.short_object and not argument.keys() & kind.model_fields.keys()):
        arguments = dict(argument)
    elif argument in ("", None, []) and kind.main != "value":
        arguments = {}
    elif kind.main is None:
        what = "named arguments" if kind.model_fields else "no argument"
        raise ValueError(f"operation '{name}' takes {what}")
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
    if main is not None and set(written) == {main} and (step.short_object or not isinstance(written[main], dict)):
        return {step.name: written[main]}
    return {step.name: written}


StepField = Annotated[SerializeAsAny[Operation], BeforeValidator(parse_step)]
Chain = tuple[StepField, ...]


def bind_chain(chain: Sequence[Operation], context: CompileContext) -> Step:
    """Compile a chain to one function; a TransformError names the step it came from."""
    steps = [step.bind(context) for step in chain]
    labels = [f"step {position} ({step.name})" for position, step in enumerate(chain, start=1)]
    if steps and isinstance(steps[0], SourceStep):
        read = _reader(labels, steps[0], steps[1:])
        return SourceStep(read)
    return _any_steps(labels, steps)


def bind_source(chain: Sequence[Operation], context: CompileContext) -> Callable[[Scope], Any]:
    """Compile a chain that nothing comes before to one function of the scope."""
    step = bind_chain(chain, context)
    if isinstance(step, SourceStep):
        return step.read
    return lambda scope: step(None, scope)


# A chain is most often a source, what is done to its text, and what is done to the value that gives. The parts run in
# one function: that something came, and that it is a text, is found out without a call for each step.


def _reader(labels: Sequence[str], source: SourceStep, steps: Sequence[Step]) -> Callable[[Scope], Any]:
    count = next((i for i, step in enumerate(steps) if not isinstance(step, TextStep)), len(steps))
    first, read = labels[0], source.read
    texts = tuple(
        (label, step.function)
        for label, step in zip(labels[1:], steps[:count], strict=False)
        if isinstance(step, TextStep)
    )
    others = tuple(zip(labels[1 + count :], map(_as_function, steps[count:]), strict=True))

    def read_only(scope: Scope) -> Any:
        try:
            return read(scope)
        except TransformError as error:
            raise _of_step(error, first) from None

    def read_text(scope: Scope) -> Any:
        label = first
        try:
            value = read(scope)
            for label, function in texts:  # noqa: B007 - the label is for the error
                if value is None:
                    return None
                if type(value) is not str or len(value) > MAX_TEXT_LENGTH:
                    value = text_of(value)
                value = function(value)
            return value
        except TransformError as error:
            raise _of_step(error, label) from None

    def read_all(scope: Scope) -> Any:
        label = first
        try:
            value = read(scope)
            for label, function in texts:  # noqa: B007 - the label is for the error
                if value is None:
                    break
                if type(value) is not str or len(value) > MAX_TEXT_LENGTH:
                    value = text_of(value)
                value = function(value)
            for label, step in others:  # noqa: B007 - the label is for the error
                value = step(value, scope)
            return value
        except TransformError as error:
            raise _of_step(error, label) from None

    if others:
        return read_all
    if texts:
        return read_text
    return read if source.never_fails else read_only


def _any_steps(labels: Sequence[str], steps: Sequence[Step]) -> Step:
    pairs = tuple(zip(labels, map(_as_function, steps), strict=True))

    def run(value: Any, scope: Scope) -> Any:
        label = ""
        try:
            for label, step in pairs:  # noqa: B007 - the label is for the error
                value = step(value, scope)
        except TransformError as error:
            raise _of_step(error, label) from None
        return value

    return run


def _as_function(step: Step) -> Step:
    """The step as a plain function, which Python calls faster than an object."""
    if isinstance(step, SourceStep):
        read = step.read
        return lambda value, scope: read(scope)
    if isinstance(step, TextStep):
        function = step.function

        def run(value: Any, scope: Scope) -> Any:
            if value is None:
                return None
            return function(value if type(value) is str and len(value) <= MAX_TEXT_LENGTH else text_of(value))

        return run
    return step


def _of_step(error: TransformError, label: str) -> TransformError:
    """The error with the step it came from; that of a chain inside this one says it already."""
    if error.message.startswith("step ") or ": step " in error.message:
        return error
    return TransformError(f"{label}: {error.message}", reason=error.reason)


def text_of(value: Any) -> str:
    """A scalar as text: exact decimals, ISO dates, true/false.

    Raises:
        TransformError: Lists and objects have no text; or it would be longer than any field (`too-long`).
    """
    if isinstance(value, str):
        if len(value) > MAX_TEXT_LENGTH:
            raise TransformError(f"expected at most {MAX_TEXT_LENGTH} characters, got {len(value)}", reason="too-long")
        return value
    if value is True or value is False:
        return "true" if value else "false"
    if isinstance(value, Decimal):
        short = short_plain(value)
        if short is not None:
            return short
        # 1e999999 is nine characters of JSON and a million digits when written out
        if not value.is_finite() or abs(value.adjusted()) > MAX_DIGITS or decimals_of(value) > MAX_DIGITS:
            raise TransformError("the number is out of range", reason="bad-number")
        return plain(value)
    if isinstance(value, int):
        if value.bit_length() > 128:
            raise TransformError("the number is out of range", reason="bad-number")
        return str(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, MoneyValue):
        return value.wire()["amount"]
    raise TransformError(f"expected a text, got {shape(value)}")


def plain_text(value: Any) -> str | None:
    """A scalar as trimmed text for naming things; None for blank, lists and objects.

    Raises:
        TransformError: The number or text is out of all range.
    """
    if value is None:
        return None
    if type(value) is str and len(value) <= MAX_TEXT_LENGTH:
        return value.strip() or None
    if not is_present(value) or isinstance(value, list | dict):
        return None
    return text_of(value).strip()


@dataclass(frozen=True, slots=True)
class TextStep:
    """A step that works on the text of what came, and leaves nothing as nothing. Chains run its function by itself."""

    function: Callable[[str], Any]

    def __call__(self, value: Any, scope: Scope) -> Any:
        return None if value is None else self.function(text_of(value))


@dataclass(frozen=True, slots=True)
class SourceStep:
    """A step that leaves alone what the step before gave. Chains run its reader by itself.

    `never_fails` promises that the reader raises no TransformError.
    """

    read: Callable[[Scope], Any]
    never_fails: bool = False

    def __call__(self, value: Any, scope: Scope) -> Any:
        return self.read(scope)


def each_text(function: Callable[[str], Any]) -> Step:
    """A step that works on the text of what came, and leaves nothing as nothing."""
    return TextStep(function)
