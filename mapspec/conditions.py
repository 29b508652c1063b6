"""Closed comparisons: `{equal: [status, processing]}`, `{in: [...]}`, `{present: path}`, joined by all, any, not.

The left side is a path, the right side literal values. Texts compare trimmed and without case (clarity A30);
numbers compare as decimals; an absent value equals nothing and is in no list.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, model_validator

from mapspec.numbers import MAX_ADJUSTED, SMALL, plain, to_decimal
from mapspec.paths import Path, Scope, compile_path, parse_path

_COMPOUND: Final = (list, dict)  # by name: making a union of types takes longer than asking for it
Test = Callable[[Scope], bool]
_ORDERED: Final[dict[str, Callable[[Decimal, Decimal], bool]]] = {
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}


def parse_path_field(value: Any) -> Path:
    """Pydantic hook for a path written as text."""
    if isinstance(value, Path):
        return value
    if not isinstance(value, str):
        raise ValueError("expected a path such as customer.email")
    return parse_path(value)


PathField = Annotated[Path, BeforeValidator(parse_path_field)]


class Condition(BaseModel):
    """One condition; exactly one member is set."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    equal: tuple[PathField, str] | None = None
    not_equal: tuple[PathField, str] | None = None
    in_: tuple[PathField, tuple[str, ...]] | None = None
    gt: tuple[PathField, Decimal] | None = None
    gte: tuple[PathField, Decimal] | None = None
    lt: tuple[PathField, Decimal] | None = None
    lte: tuple[PathField, Decimal] | None = None
    present: PathField | None = None
    absent: PathField | None = None
    all: tuple[Condition, ...] | None = None
    any: tuple[Condition, ...] | None = None
    not_: Condition | None = None

    @model_validator(mode="before")
    @classmethod
    def _keywords(cls, data: Any) -> Any:
        if isinstance(data, dict):
            return {{"in": "in_", "not": "not_"}.get(key, key): value for key, value in data.items()}
        return data

    @model_validator(mode="after")
    def _exactly_one(self) -> Condition:
        if sum(value is not None for value in self.__dict__.values()) != 1:
            names = ", ".join(name.rstrip("_") for name in type(self).model_fields)
            raise ValueError(f"a condition has exactly one of: {names}")
        return self

    def plain(self) -> dict[str, Any]:
        """The condition as written in a spec."""
        name, value = next((k, v) for k, v in self.__dict__.items() if v is not None)
        return {name.rstrip("_"): _plain(value)}

    def paths(self) -> list[Path]:
        """Every path the condition reads."""
        found: list[Path] = []
        for value in self.__dict__.values():
            if isinstance(value, Path):
                found.append(value)
            elif isinstance(value, Condition):
                found.extend(value.paths())
            elif isinstance(value, tuple):
                for part in value:
                    if isinstance(part, Path):
                        found.append(part)
                    elif isinstance(part, Condition):
                        found.extend(part.paths())
        return found

    def compile(self) -> Test:
        """The condition as a function of the scope."""
        if self.all is not None:
            return _all_of([part.compile() for part in self.all])
        if self.any is not None:
            return _any_of([part.compile() for part in self.any])
        if self.not_ is not None:
            test = self.not_.compile()
            return lambda scope: not test(scope)
        if self.present is not None:
            read = compile_path(self.present)
            return lambda scope: is_present(read(scope))
        if self.absent is not None:
            read = compile_path(self.absent)
            return lambda scope: not is_present(read(scope))
        if self.in_ is not None:
            read = compile_path(self.in_[0])
            return _any_in(read, frozenset(fold(value) for value in self.in_[1]))
        if self.equal is not None:
            read = compile_path(self.equal[0])
            return _any_in(read, frozenset({fold(self.equal[1])}))
        if self.not_equal is not None:
            read = compile_path(self.not_equal[0])
            literal = fold(self.not_equal[1])
            return lambda scope: all(fold(v) != literal for v in _values(read(scope)))
        return self._compile_order()

    def _compile_order(self) -> Test:
        name, pair = next((n, p) for n in _ORDERED if (p := getattr(self, n)) is not None)
        path, literal = pair
        read = compile_path(path)
        compare = _ORDERED[name]

        def test(scope: Scope) -> bool:
            value = read(scope)
            return is_present(value) and compare(to_decimal(value, path.text), literal)

        return test


def is_present(value: Any) -> bool:
    """False for null, blank text and empty lists or objects; zero and false are values."""
    if value is None:
        return False
    if isinstance(value, str):
        return value != "" and not value.isspace()
    if isinstance(value, _COMPOUND):
        return bool(value)
    return True


def number_at(value: Any, what: str) -> Decimal | None:
    """The number of a record's value, None where there is no value.

    Raises:
        TransformError: `bad-number`.
    """
    if value is None:
        return None
    if type(value) is str:
        # Digits with a point at most, nearly always: such a text is neither blank nor beside the range of a number.
        if len(value) <= SMALL and value.isascii() and value.replace(".", "", 1).isdigit():
            return Decimal(value)
        return None if value == "" or value.isspace() else to_decimal(value, what)
    if type(value) is Decimal or type(value) is int:
        return to_decimal(value, what)
    return to_decimal(value, what) if is_present(value) else None


def fold(value: Any) -> str:
    """The form in which two scalars compare; lists and objects are equal to no text."""
    if type(value) is str:  # what nearly always comes
        return value.strip().casefold()
    if isinstance(value, _COMPOUND):  # their text may be huge, and deep ones cannot be written out
        return "\0" + type(value).__name__
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) and value.bit_length() > 128:  # Python writes out no more than 4300 digits
        return "\0int"
    if isinstance(value, Decimal) and value.is_finite() and abs(value.adjusted()) <= MAX_ADJUSTED:
        return plain(value)
    return str(value).strip().casefold()


def _all_of(tests: Sequence[Test]) -> Test:
    def test(scope: Scope) -> bool:
        for part in tests:  # noqa: SIM110 - a generator takes longer than the tests
            if not part(scope):
                return False
        return True

    return test


def _any_of(tests: Sequence[Test]) -> Test:
    def test(scope: Scope) -> bool:
        for part in tests:  # noqa: SIM110 - a generator takes longer than the tests
            if part(scope):
                return True
        return False

    return test


def _any_in(read: Callable[[Scope], Any], wanted: frozenset[str]) -> Test:
    def test(scope: Scope) -> bool:
        value = read(scope)
        if value is None:
            return False
        if type(value) is str:
            folded = value.strip().casefold()
            return folded in wanted and folded != ""
        for one in _values(value):  # noqa: SIM110 - a generator takes longer than the tests
            if fold(one) in wanted:
                return True
        return False

    return test


def _values(value: Any) -> list[Any]:
    if isinstance(value, list):
        return value
    return [value] if is_present(value) else []


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return value.text
    if isinstance(value, Condition):
        return value.plain()
    if isinstance(value, tuple):
        return [_plain(part) for part in value]
    return str(value) if isinstance(value, Decimal) else value
