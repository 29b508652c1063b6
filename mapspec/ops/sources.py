"""Operations that values come from: source fields, fixed texts, settings, earlier flow steps, the priced line."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from pydantic import Field, field_validator

from mapspec.conditions import Condition, PathField, is_present
from mapspec.errors import TransformError
from mapspec.ops.base import (
    MAX_TEXT_LENGTH,
    Chain,
    CompileContext,
    Example,
    Operation,
    SourceStep,
    Step,
    bind_chain,
    bind_source,
    text_of,
)
from mapspec.ops.plaintext import truncate
from mapspec.paths import Path, Scope, compile_path, parse_path

_PLACEHOLDER: Final = re.compile(r"\{([^{}]*)\}")
_MAX_SHOWN: Final = 60  # characters of a value in a message


class ReadPath(Operation):
    """Read a source field; the first present element where the path runs through a list."""

    name = "path"
    main = "path"
    gives = "any"
    source = True
    examples = (
        Example("customer.email", record={"customer": {"email": "ana@example.com"}}, gives="ana@example.com"),
        Example("lineItems[].sku", record={"lineItems": [{"sku": ""}, {"sku": "A-1"}]}, gives="A-1"),
        Example("customAttributes.po", record={"customAttributes": [{"key": "po", "value": "PO 7"}]}, gives="PO 7"),
    )
    path: PathField

    def bind(self, context: CompileContext) -> Step:
        return SourceStep(self.reader(), never_fails=self.path.root != "values")

    def reader(self) -> Callable[[Scope], Any]:
        """What the step does, as a function of the scope alone."""
        read = compile_path(self.path)
        if not self.path.many:
            return read

        def first(scope: Scope) -> Any:
            for found in read(scope):
                if is_present(found):
                    return found
            return None

        return first


class Const(Operation):
    """A fixed text."""

    name = "const"
    main = "value"
    gives = "text"
    source = True
    examples = (Example("en", gives="en"),)
    value: str

    def bind(self, context: CompileContext) -> Step:
        fixed = self.value
        return SourceStep(lambda scope: fixed, never_fails=True)


class Setting(Operation):
    """A setting of the spec."""

    name = "setting"
    main = "key"
    gives = "text"
    source = True
    examples = (Example("invoice_prefix", settings={"invoice_prefix": "WEB-"}, gives="WEB-"),)
    key: str

    def bind(self, context: CompileContext) -> Step:
        fixed = context.settings.get(self.key)
        return SourceStep(lambda scope: fixed)


class Coalesce(Operation):
    """The first present value of several paths."""

    name = "coalesce"
    main = "paths"
    gives = "any"
    source = True
    examples = (
        Example(
            ["company", "billingAddress.company"],
            record={"company": " ", "billingAddress": {"company": "Tea Ltd"}},
            gives="Tea Ltd",
        ),
    )
    paths_: tuple[PathField, ...] = Field(alias="paths", min_length=1)

    def bind(self, context: CompileContext) -> Step:
        reads = [ReadPath(path=path).reader() for path in self.paths_]

        def read_first(scope: Scope) -> Any:
            for read in reads:
                found = read(scope)
                if found is not None and is_present(found):
                    return found
            return None

        return SourceStep(read_first)


def placeholders(text: str) -> list[Path]:
    """The paths in braces in a text; {#} is the element's number and no path.

    Raises:
        ValueError: One of them is no path.
    """
    return [parse_path(found) for found in _PLACEHOLDER.findall(text) if found != "#"]


class Template(Operation):
    """Text with source fields in it, {#} for the element's number; absent when any field in it is absent."""

    name = "template"
    main = "text"
    gives = "text"
    source = True
    examples = (
        Example("Order {orderNumber}", record={"orderNumber": "1007"}, gives="Order 1007"),
        Example("Order {orderNumber}", gives=None),
        Example("{#}: {.sku}", record={"items": [{"sku": "A-1"}]}, each="items", gives="1: A-1"),
    )
    text: str = Field(max_length=10_000)

    @field_validator("text")
    @classmethod
    def _paths_are_paths(cls, text: str) -> str:
        placeholders(text)
        return text

    def paths(self) -> list[Path]:
        return placeholders(self.text)

    def bind(self, context: CompileContext) -> Step:
        parts = _PLACEHOLDER.split(self.text)
        start = parts[0]
        pairs = [(self.reader(parts[i], context), parts[i + 1]) for i in range(1, len(parts), 2)]

        def fill(scope: Scope) -> Any:
            made = start
            for read, literal in pairs:
                found = read(scope)
                if found is None:
                    return None
                text = (found if type(found) is str and len(found) <= MAX_TEXT_LENGTH else text_of(found)).strip()
                if text == "" and found != "":  # a blank setting; an empty one is a value
                    return None
                made += text + literal
                if len(made) > MAX_TEXT_LENGTH:
                    raise TransformError(f"more than {MAX_TEXT_LENGTH} characters", reason="too-long")
            return made

        return SourceStep(fill)

    @staticmethod
    def reader(placeholder: str, context: CompileContext) -> Callable[[Scope], Any]:
        """What stands in braces, as a function; it gives None where there is nothing."""
        if placeholder == "#":
            return lambda scope: scope.index + 1
        if placeholder.startswith("settings."):
            fixed = context.setting(placeholder)  # an empty setting is a value: no prefix
            return lambda scope: fixed
        read = ReadPath(path=parse_path(placeholder)).reader()

        def present(scope: Scope) -> Any:
            found = read(scope)
            return found if is_present(found) else None  # zero and false are values

        return present


def message_of(text: str, context: CompileContext) -> Callable[[Scope], str]:
    """A message with source fields in it, as a function that always gives one: what is absent reads "nothing".

    Raises:
        ValueError: A placeholder is no path.
    """
    parts = _PLACEHOLDER.split(text)
    reads = [Template.reader(placeholder, context) for placeholder in parts[1::2]]

    def shown(read: Callable[[Scope], Any], scope: Scope) -> str:
        try:
            found = read(scope)
            return "nothing" if found is None else truncate(text_of(found).strip(), _MAX_SHOWN)
        except TransformError:
            return "unreadable"

    def message(scope: Scope) -> str:
        pairs = zip(reads, parts[2::2], strict=True)
        return parts[0] + "".join(shown(read, scope) + literal for read, literal in pairs)

    return message


class Join(Operation):
    """Join the parts that are present, each made by steps of its own."""

    name = "join"
    main = "parts"
    gives = "text"
    source = True
    examples = (
        Example(
            {"parts": [[{"path": "city"}], [{"path": "state"}], [{"path": "zip"}]], "with": ", "},
            record={"city": "Austin", "zip": "78701"},
            gives="Austin, 78701",
        ),
    )
    parts: tuple[Chain, ...]
    with_: str = Field(default=" ", alias="with")

    def bind(self, context: CompileContext) -> Step:
        chains = [bind_source(part, context) for part in self.parts]

        between = self.with_

        def join(scope: Scope) -> Any:
            texts: list[str] = []
            length = 0
            for chain in chains:
                found = chain(scope)
                if is_present(found):
                    texts.append(text_of(found))
                    length += len(texts[-1]) + len(between)
                    if length > MAX_TEXT_LENGTH:
                        raise TransformError(f"more than {MAX_TEXT_LENGTH} characters", reason="too-long")
            return between.join(texts) if texts else None

        return SourceStep(join)

    def nested(self) -> list[tuple[Operation, ...]]:
        return list(self.parts)


class When(Operation):
    """One chain or the other, by a condition; both go on with what came in."""

    name = "when"
    gives = "any"
    source = True
    examples = (
        Example(
            {
                "if": {"in": ["status", ["captured", "settled"]]},
                "then": [{"const": "paid"}],
                "else": [{"const": "open"}],
            },
            record={"status": "Captured"},
            gives="paid",
        ),
    )
    if_: Condition = Field(alias="if")
    then: Chain
    else_: Chain = Field(default=(), alias="else")

    def bind(self, context: CompileContext) -> Step:
        test = self.if_.compile()
        then = bind_chain(self.then, context)
        otherwise = bind_chain(self.else_, context)
        if isinstance(then, SourceStep) and isinstance(otherwise, SourceStep):
            one, other = then.read, otherwise.read
            return SourceStep(lambda scope: one(scope) if test(scope) else other(scope))
        return lambda value, scope: then(value, scope) if test(scope) else otherwise(value, scope)

    def nested(self) -> list[tuple[Operation, ...]]:
        return [self.then, self.else_]


class Default(Operation):
    """A fixed text, or a setting, where nothing came."""

    name = "default"
    main = "value"
    examples = (
        Example("en", value=" ", gives="en"),
        Example("en", value=0, gives=0),
        Example("settings.currency", settings={"currency": "USD"}, gives="USD"),
    )
    value: str

    def bind(self, context: CompileContext) -> Step:
        fixed = context.setting(self.value)
        return lambda value, scope: fixed if value is None or not is_present(value) else value
