"""Apply a spec to a record: the same code in preview, review and runner.

Pure and deterministic: no clock, no I/O. A spec is compiled once; `apply` gives a draft that says what would be
written, or why nothing may be.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Final, Literal

from pydantic import ValidationError

from mapspec.assertions import bind_assertion
from mapspec.conditions import fold, is_present, number_at
from mapspec.errors import SpecError, TransformError
from mapspec.lines import Charge, Item, OrderMoney, PricedOrder, TaxAmount, price_order
from mapspec.model import Assertion, ChargeRule, FieldRule, FlowStep, LineMoney, ListBlock, MappingSpec
from mapspec.numbers import ZERO, Money, exactly, to_decimal
from mapspec.ops import (
    MAX_TEXT_LENGTH,
    CompileContext,
    Output,
    Table,
    Template,
    bind_source,
    first_problem,
    message_of,
    parse_instant,
    text_of,
    well_formed,
)
from mapspec.paths import Path, Scope, compile_path, set_at
from mapspec.validations import BoundCheck, Missed, bind_checks, run_checks

Decision = Literal["go", "skip", "wait", "hold"]


@dataclass(frozen=True)
class Reason:
    """Why a record does not go through as it is. `id` is stable and kebab-case; `message` has no customer values."""

    id: str
    message: str
    target: str = ""


@dataclass(frozen=True)
class Document:
    """One record for a target.

    Attributes:
        key: Last part of its natural key.
        index: Its place in the list the flow step runs over.
        body: Target-shaped members, ready for JSON but for `Output` placeholders.
        create_only: Members of the body that an update leaves alone.
    """

    target: str
    key: str | None
    index: int
    body: dict[str, Any]
    create_only: tuple[str, ...] = ()


@dataclass(frozen=True)
class Lookup:
    """A read-only search that a flow step asks for."""

    step: str
    entity: str
    field: str
    value: str
    where: str


@dataclass(frozen=True)
class Draft:
    """What a spec makes of one record.

    Attributes:
        decision: go, or why not; with hold the documents show as much as could be made.
        documents: By target name, in the order of the step's list.
        keys: Natural key parts of `find` steps by step id.
        warnings: Things to know that do not stop the record.
        priced: The order's money as lines, where the spec has a money block.
    """

    id: str
    number: str | None
    updated: str | None
    decision: Decision
    reasons: tuple[Reason, ...]
    documents: Mapping[str, tuple[Document, ...]]
    keys: Mapping[str, str]
    lookups: tuple[Lookup, ...]
    warnings: tuple[Reason, ...]
    priced: PricedOrder | None
    currency: str | None


class CompiledSpec:
    """A spec as functions. Make it with `compile_spec`; it can be used from several threads."""

    def __init__(self, spec: MappingSpec) -> None:
        self.spec = spec
        try:
            with exactly():
                self._compile(spec)
        except (ValueError, TransformError) as error:
            raise SpecError(_one_line(error), where=spec.spec) from None

    def _compile(self, spec: MappingSpec) -> None:
        self._context = CompileContext(tables=_tables(spec), settings=spec.settings, spec=spec.spec)
        self._values = {name: self._bind(f"values.{name}", rule) for name, rule in spec.values.items()}
        self._gate = [(rule, rule.when.compile(), message_of(rule.reason, self._context)) for rule in spec.gate]
        self._settings = dict(spec.settings)
        self._id = compile_path(spec.source.id)
        self._number = compile_path(spec.source.number) if spec.source.number else None
        self._updated = compile_path(spec.source.updated) if spec.source.updated else None
        self._bound: dict[str, _Bound] = {}
        self._fields: dict[str, list[Fill]] = {name: [] for name in spec.targets}
        for target, entry in spec.fields.items():
            name, member = target.split(".", 1)
            if isinstance(entry, FieldRule):
                self._bound[target] = self._bind(target, entry)
                self._fields[name].append(_field(member, target, entry, self._bound[target]))
            else:
                self._fields[name].append(_Block(target, member, entry, self._context, self._bind).fill)
        self._create_only: dict[str, tuple[str, ...]] = {
            name: tuple(
                target.removeprefix(f"{name}.")
                for target, entry in spec.fields.items()
                if isinstance(entry, FieldRule) and entry.only_on_create and target.startswith(f"{name}.")
            )
            for name in spec.targets
        }
        self._steps = [_Step(step, self._context) for step in spec.flow]
        first_steps = {step.step.target: step for step in reversed(self._steps)}
        self._targets = [(name, first_steps.get(name), self._fields[name]) for name in spec.targets]
        self._assertions = [_Assert(assertion) for assertion in spec.assertions]

    def _bind(self, target: str, rule: FieldRule) -> _Bound:
        try:
            return _Bound(bind_source(rule.steps, self._context), bind_checks(rule.check))
        except ValueError as error:
            raise SpecError(f"{target}: {error}", where=self.spec.spec) from None

    def apply(self, record: Mapping[str, Any]) -> Draft:
        """Map one record. Never raises for what the record holds: misfits become reasons to hold it."""
        with exactly():
            return self._apply(record)

    def _apply(self, record: Mapping[str, Any]) -> Draft:
        run = _Run()
        scope = self._scope(record, run)
        identity = {
            "id": _read_text(self._id, scope) or "",
            "number": _read_text(self._number, scope),
            "updated": _read_text(self._updated, scope),
        }
        if not identity["id"]:
            run.hold("missing-id", f"the record has no {self.spec.source.id.text}")
        decision = self._decide(scope, run)
        if decision in ("skip", "wait"):
            return run.draft(identity, decision)
        for name, step, fields in self._targets:
            run.documents[name] = self._documents(name, step, fields, scope, run)
        for compiled in self._steps:
            compiled.collect(scope, run)
        for assertion in self._assertions:
            assertion.check(scope, run)
        run.currency = _read_text(_read_currency, scope) if "currency" in self._values else None
        return run.draft(identity, "hold" if run.reasons else "go")

    def value(self, target: str, record: Mapping[str, Any]) -> Any:
        """The value of one plain target field or named value, for explanations.

        Raises:
            TransformError: The value does not fit.
            KeyError: No such field, or a list member.
        """
        scope = self._scope(record, _Run())
        with exactly():
            if target.startswith("values."):
                return scope.value_of(target[7:])
            return wire(self._bound[target].read(scope))

    def _scope(self, record: Mapping[str, Any], run: _Run) -> Scope:
        failed: dict[str, tuple[str, str]] = {}

        def value_of(name: str) -> Any:
            if name in failed:  # every reader learns of it: to the second it must not look absent
                message, reason = failed[name]
                raise TransformError(message, reason=reason)
            known = scope.known
            if name not in known:
                if name not in self._values:
                    raise TransformError(f"there is no value '{name}' in the spec", reason="unknown-value")
                known[name] = None  # a value that reads itself is absent, not endless
                outer = scope.item, scope.index, scope.extras
                scope.item, scope.index, scope.extras = None, 0, {}  # the same for whoever asks first
                try:
                    known[name] = self._named_value(name, scope, run)
                except TransformError as error:
                    del known[name]
                    failed[name] = error.message, error.reason
                    raise
                finally:
                    scope.item, scope.index, scope.extras = outer
            return known[name]

        scope = Scope(record, self._settings, value_of)
        return scope

    def _named_value(self, name: str, scope: Scope, run: _Run) -> Any:
        rule = self.spec.values[name]
        bound = self._values[name]
        try:
            value = bound.read(scope)
            if not is_present(value):
                if rule.required:
                    raise TransformError(f"values.{name}: {_sources(rule)} is empty", reason="missing-required")
                return None
            if not bound.checks:
                return value
            missed = bound.missed(value, scope, run, f"values.{name}")
            expected, on_fail, reason = (missed.expected, missed.on_fail, "check-failed") if missed else ("", None, "")
        except TransformError as error:
            expected, on_fail, reason = error.message, None, error.reason
        if not reason:
            return value
        if (on_fail or rule.on_fail) == "warn":
            run.warnings.append(Reason(reason, f"values.{name}: {expected}", f"values.{name}"))
            return None
        raise TransformError(f"values.{name}: {expected}", reason=reason)

    def _decide(self, scope: Scope, run: _Run) -> Decision:
        for rule, test, text in self._gate:
            try:
                holds = test(scope)
            except TransformError as error:
                run.hold(error.reason, f"gate {rule.id}: {error.message}")
                return "hold"
            if holds:
                if rule.do == "go":
                    return "go"
                run.reasons.append(Reason(rule.id, text(scope)))
                return rule.do
        return "go"

    def _documents(
        self, name: str, step: _Step | None, fields: Sequence[Fill], scope: Scope, run: _Run
    ) -> tuple[Document, ...]:
        made: list[Document] = []
        keys: set[str] = set()
        for index, item in step.items(scope, run) if step else [(0, None)]:
            scope.item, scope.index = item, index
            body: dict[str, Any] = {}
            for fill in fields:
                fill(body, scope, run)
            key = step.key(scope, run) if step else None
            if key is not None and key in keys:
                run.hold("duplicate-key", f"{name}: two elements of the record have the same key")
            keys.add(key or "")
            made.append(Document(name, key, index, body, self._create_only[name]))
        scope.item, scope.index = None, 0
        return tuple(made)


def compile_spec(spec: MappingSpec) -> CompiledSpec:
    """Compile a spec to functions.

    Raises:
        SpecError: A table or time zone that it names does not exist, or a text has a path in it that is none.
    """
    return CompiledSpec(spec)


class _Run:
    """What piles up while one record is mapped."""

    def __init__(self) -> None:
        self.reasons: list[Reason] = []
        self.warnings: list[Reason] = []
        self.documents: dict[str, tuple[Document, ...]] = {}
        self.keys: dict[str, str] = {}
        self.seen: dict[str, set[str]] = {}  # by target: texts of the list's elements so far
        self.lookups: list[Lookup] = []
        self.priced: PricedOrder | None = None
        self.currency: str | None = None

    def hold(self, reason: str, message: str, target: str = "") -> None:
        self.reasons.append(Reason(reason, message, target))

    def bodies(self, target: str) -> list[dict[str, Any]]:
        return [document.body for document in self.documents.get(target, ())]

    def miss(self, on_fail: str, reason: str, message: str, target: str = "") -> None:
        (self.reasons if on_fail == "hold" else self.warnings).append(Reason(reason, message, target))

    def draft(self, identity: Mapping[str, Any], decision: Decision) -> Draft:
        return Draft(
            id=identity["id"],
            number=identity["number"],
            updated=identity["updated"],
            decision=decision,
            reasons=tuple(self.reasons),
            documents=self.documents,
            keys=self.keys,
            lookups=tuple(self.lookups),
            warnings=tuple(self.warnings),
            priced=self.priced,
            currency=self.currency,
        )


Reader = Callable[[Scope], Any]
# Sets one member of a body that is made from the scope.
Fill = Callable[[dict[str, Any], Scope, _Run], None]


@dataclass(frozen=True)
class _Bound:
    """A rule's steps and checks as functions."""

    read: Reader
    checks: tuple[BoundCheck, ...]

    def missed(self, value: Any, scope: Scope, run: _Run, target: str) -> Missed | None:
        """What the value may not go without; what is only to be told goes to the run's warnings."""
        stops = None
        seen = run.seen.get(target)
        if seen is None:
            seen = run.seen[target] = set()
        for missed in run_checks(self.checks, value, scope, seen):
            if missed.on_fail == "warn":
                run.warnings.append(Reason("check-failed", f"{target}: {missed.expected}", target))
            else:
                stops = missed
        return stops


def _field(member: str, target: str, rule: FieldRule, bound: _Bound, *, optional: bool = False) -> Fill:
    """A rule as a function that sets its member in a body, after its checks; misfits go to the run's reasons."""
    required = rule.required and not optional
    on_fail = "hold" if required else rule.on_fail  # without it the record is not complete
    read, has_checks = bound.read, bool(bound.checks)
    nested = "." in member

    def fill(body: dict[str, Any], scope: Scope, run: _Run) -> None:
        try:
            value = read(scope)
            if value is None:
                sent = None
            elif type(value) is str and len(value) <= MAX_TEXT_LENGTH:
                sent = None if value == "" or value.isspace() else value if value.isascii() else well_formed(value)
            else:
                write = _WIRES.get(type(value))
                sent = write(value) if write is not None else wire(value) if is_present(value) else None
        except TransformError as error:
            run.miss(on_fail, error.reason, f"{target}: {error.message}", target)
            return
        if sent is None:
            if required:
                run.hold("missing-required", f"{target}: {_sources(rule)} is empty and the field is required", target)
            return
        if has_checks and not isinstance(value, Output):
            missed = bound.missed(value, scope, run, target)
            if missed is not None:
                run.miss(missed.on_fail or on_fail, "check-failed", f"{target}: {missed.expected}", target)
                return
        if nested:
            set_at(body, member, sent)
        else:
            body[member] = sent

    return fill


def wire(value: Any) -> Any:
    """A mapped value as FreshBooks takes it: exact texts for decimals, ISO dates, {amount, code} for money.

    Raises:
        TransformError: A list, an object or a float; or a number or text out of all range.
    """
    if isinstance(value, Money):
        return value.wire()
    if value is None or isinstance(value, (bool, Output)):
        return value
    if isinstance(value, int):
        text_of(value)
        return value
    return well_formed(text_of(value))


_WHOLE: Final = 2**63
# How single values of these types are sent, all of them present; the others pass through `wire`.
_WIRES: Final[dict[type, Callable[[Any], Any]]] = {
    Money: Money.wire,
    date: date.isoformat,
    Output: lambda value: value,
    bool: lambda value: value,
    Decimal: text_of,
    int: lambda value: value if -_WHOLE < value < _WHOLE else wire(value),
}


def _one_line(error: ValueError | TransformError) -> str:
    return first_problem(error)[1] if isinstance(error, ValidationError) else str(error)


def _sources(rule: FieldRule) -> str:
    paths = [path.text for step in rule.steps for path in step.paths()]
    return " / ".join(paths) if paths else "its value"


def _plain_text(value: Any) -> str | None:
    if value is None:
        return None
    if type(value) is str and len(value) <= MAX_TEXT_LENGTH:
        return value.strip() or None
    if not is_present(value) or isinstance(value, list | dict):
        return None
    return text_of(value).strip()


def _read_currency(scope: Scope) -> Any:
    return scope.value_of("currency")


def _read_text(read: Reader | None, scope: Scope) -> str | None:
    """A scalar as text for naming a record; None where it is none."""
    try:
        return None if read is None else _plain_text(read(scope))
    except TransformError:
        return None


def _rows_of(value: Any) -> list[Any]:
    """What a list path gave, as a list also where the record has one object in its place."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _tables(spec: MappingSpec) -> dict[str, Table]:
    return {name: Table(name, table.rows, table.missing, table.default) for name, table in spec.tables.items()}


class _Step:
    """A flow step, compiled as far as it depends on the record."""

    def __init__(self, step: FlowStep, context: CompileContext) -> None:
        self.step = step
        self._find = step.do == "find"
        self._lookup = step.do == "lookup"
        self._keys = [Template(text=text).bind(context) for text in step.key]
        self._each = compile_path(step.each) if step.each else None
        self._when = step.when.compile() if step.when else None
        self._otherwise = message_of(step.otherwise, context) if step.otherwise else None
        self._value = compile_path(step.value) if step.value else None

    def items(self, scope: Scope, run: _Run) -> list[tuple[int, Any]]:
        """(position, element) of the list the step runs over, those that fail `when` left out with a warning."""
        rows = [scope.record] if self._each is None else _rows_of(self._each(scope))
        chosen: list[tuple[int, Any]] = []
        for index, row in enumerate(rows):
            scope.item, scope.index = (None if self._each is None else row), index
            try:
                wanted = self._when is None or self._when(scope)
            except TransformError as error:
                run.hold(error.reason, f"step {self.step.id}: {error.message}")
                continue
            if wanted:
                chosen.append((index, scope.item))
            elif self._otherwise is not None:
                run.warnings.append(Reason(f"not-{self.step.id}", self._otherwise(scope)))
        scope.item, scope.index = None, 0
        return chosen

    def key(self, scope: Scope, run: _Run) -> str | None:
        """The first key that can be made; a member that is present but no text holds the record."""
        try:
            for template in self._keys:
                text = template(None, scope)
                if text:
                    return well_formed(str(text))
        except TransformError as error:
            run.hold(error.reason, f"step {self.step.id}: its key: {error.message}")
            return None
        if self._keys:
            run.hold("missing-key", f"step {self.step.id}: nothing to make its key from")
        return None

    def collect(self, scope: Scope, run: _Run) -> None:
        """Keys of `find` steps and the searches of `lookup` steps."""
        if self._find:
            key = self.key(scope, run)
            if key is not None:
                run.keys[self.step.id] = key
        if self._lookup and self._value is not None:
            for index, item in self.items(scope, run):
                scope.item, scope.index = item, index
                value = _read_text(self._value, scope)
                if value:
                    field = self.step.match[0]
                    lookup = Lookup(self.step.id, self.step.entity or "", field, value, f"line {index + 1}")
                    run.lookups.append(lookup)
            scope.item, scope.index = None, 0


class _Assert:
    """A record assertion, compiled."""

    def __init__(self, rule: Assertion) -> None:
        self.rule = rule
        self._each = compile_path(rule.each) if rule.each else None
        self._when = rule.when.compile() if rule.when else None
        self._agrees = bind_assertion(rule)
        self._lines = rule.predicted_total.lines if rule.predicted_total else None

    def check(self, scope: Scope, run: _Run) -> None:
        if self._lines is not None and any(reason.target.startswith(self._lines) for reason in run.reasons):
            return  # the lines are not complete: their sum says nothing, and the record is held already
        rows = [None] if self._each is None else _rows_of(self._each(scope))
        for index, row in enumerate(rows):
            scope.item, scope.index = row, index
            try:
                agrees = (self._when is not None and not self._when(scope)) or self._agrees(scope, run.bodies)
            except TransformError as error:
                run.miss(self.rule.on_fail, error.reason, f"{self.rule.id}: {error.message}")
                break
            if not agrees:
                run.miss(self.rule.on_fail, self.rule.id, self.rule.message)
                break
        scope.item, scope.index = None, 0


# What the first and the second tax of a priced line are called (`line_price`).
_TAX_EXTRAS: Final = (("line.tax_name_1", "line.tax_percent_1"), ("line.tax_name_2", "line.tax_percent_2"))


class _Block:
    """A list block, compiled."""

    def __init__(
        self,
        target: str,
        member: str,
        block: ListBlock,
        context: CompileContext,
        bind: Callable[[str, FieldRule], _Bound],
    ) -> None:
        self._target = target
        self._member = member.removesuffix("[]")
        self._each = compile_path(block.each)
        self._each_text = block.each.text
        self._money = _MoneyReader(block.money, block.each, context) if block.money else None
        rules = [
            (name, f"{target}.{name}", rule, bind(f"{target}.{name}", rule)) for name, rule in block.fields.items()
        ]
        self._checked = [place for _, place, _, bound in rules if bound.checks]
        self._fields = [_field(*rule) for rule in rules]
        self._fields_of_charge = [_field(*rule, optional=True) for rule in rules]

    def fill(self, body: dict[str, Any], scope: Scope, run: _Run) -> None:
        """Make the list, and leave the scope at the element it was at."""
        item, index = scope.item, scope.index
        self._fill(body, scope, run)
        scope.item, scope.index = item, index

    def _fill(self, body: dict[str, Any], scope: Scope, run: _Run) -> None:
        rows = _rows_of(self._each(scope))
        for place in self._checked:
            run.seen.pop(place, None)  # another document has a list of its own
        if self._money is None:
            made = [self._element(row, index, {}, self._fields, scope, run) for index, row in enumerate(rows)]
            set_at(body, self._member, made)
            return
        try:
            run.priced = price_order(self._money.read(rows, scope))
        except TransformError as error:
            run.hold(error.reason, f"{self._target}: {error.message}", self._target)
            return
        run.warnings.extend(Reason(reason, message) for reason, message in run.priced.notes)
        currency = self._money.currency(scope)
        elements = []
        for line in run.priced.lines:
            extras = {
                "line.name": line.name or None,
                "line.note": line.note or None,
                "line.quantity": line.quantity,
                "line.unit_cost": Money(line.unit_cost, currency),
                "line.compound": line.compound or None,
            }
            for (name, percent), tax in zip(_TAX_EXTRAS, line.taxes, strict=False):
                extras[name], extras[percent] = tax.name, tax.percent
            if line.index is not None:
                element = self._element(rows[line.index], line.index, extras, self._fields, scope, run)
            else:
                element = self._element({}, 0, extras, self._fields_of_charge, scope, run)
                element.setdefault("name", line.name)
            elements.append(element)
        set_at(body, self._member, elements)

    def _element(
        self, row: Any, index: int, extras: dict[str, Any], fields: Sequence[Fill], scope: Scope, run: _Run
    ) -> dict[str, Any]:
        scope.item, scope.index, scope.extras = row, index, extras
        element: dict[str, Any] = {}
        for fill in fields:
            fill(element, scope, run)
        scope.item, scope.index, scope.extras = None, 0, {}
        return element


class _MoneyReader:
    """Reads an order's money by the paths of a money block."""

    def __init__(self, rule: LineMoney, each: Path, context: CompileContext) -> None:
        number = {
            name: _number_reader(value, value.source_path(each.text))
            for name, value in rule.__dict__.items()
            if isinstance(value, Path)
        }
        self._currency = compile_path(rule.currency)
        self._total = _needed(number["total"], rule.total.source_path(each.text))
        self._subtotal = number.get("subtotal", _no_number)
        self._order_discount = number.get("order_discount", _no_number)
        self._order_tax = number.get("order_tax", _no_number)
        self._quantity = _needed(number["quantity"], rule.quantity.source_path(each.text))
        self._unit_price = _needed(number["unit_price"], rule.unit_price.source_path(each.text))
        self._line_total = number.get("line_total", _no_number)
        self._discount = number.get("discount", _no_number)
        self._tax = number.get("tax", _no_number)
        self._tax_name = compile_path(rule.tax_name)
        self._tax_rate = number["tax_rate"]
        self._tax_amount = number["tax_amount"]
        self._rate_factor = rule.rate_factor
        self._taxes = self._taxes_reader(rule.taxes, each)
        self._order_taxes = self._taxes_reader(rule.order_taxes, each)
        self._gross = compile_path(rule.prices_include_tax) if rule.prices_include_tax else None
        self._kind = compile_path(rule.kind) if rule.kind and rule.discount_kinds else None
        self._charges = [_ChargeReader(charge) for charge in rule.charges]
        places = context.setting(rule.unit_cost_places).strip() or "2"
        if not re.fullmatch(r"[0-9]|1[0-2]", places):
            raise ValueError("unit_cost_places must be a whole number from 0 to 12")
        self._places = int(places)
        self._negative = context.setting(rule.negative_lines).strip().casefold() in {"true", "yes", "1"}
        self._within = rule.totals_within
        self._discount_kinds = {fold(kind) for kind in rule.discount_kinds}
        self._rates = {
            name: to_decimal(percent, f"table {rule.rates}") for name, percent in _rows(context, rule.rates).items()
        }
        self._combined = dict(_rows(context, rule.combined_taxes))

    def currency(self, scope: Scope) -> str:
        """The order's currency.

        Raises:
            TransformError: None is given.
        """
        code = _plain_text(self._currency(scope))
        if code is None:
            raise TransformError("the order has no currency", reason="currency-missing")
        return well_formed(code.upper())

    def read(self, rows: Sequence[Any], scope: Scope) -> OrderMoney:
        """The order's money.

        Raises:
            TransformError: A number or the currency is missing or no number.
        """
        gross = self._gross(scope) if self._gross else None
        currency = self.currency(scope)
        total = self._total(scope)
        subtotal = self._subtotal(scope)
        discount = self._order_discount(scope)
        tax = self._order_tax(scope)
        taxes = self._order_taxes(scope)
        prices_include_tax = gross is not None and fold(gross) in {"true", "1", "yes"}
        items = []
        for index, row in enumerate(rows):
            if type(row) is not dict and not isinstance(row, Mapping):
                raise TransformError("an order line is no object", reason="bad-line")
            scope.item, scope.index = row, index
            items.append(self._item(index, scope))
        scope.item, scope.index = None, 0
        return OrderMoney(
            currency=currency,
            items=tuple(items),
            charges=tuple([made for charge in self._charges for made in charge.read(scope)]),
            total=total,
            subtotal=subtotal,
            discount=discount,
            tax=tax,
            taxes=taxes,
            prices_include_tax=prices_include_tax,
            unit_cost_places=self._places,
            negative_lines=self._negative,
            totals_within=self._within,
            approved_rates=self._rates,
            combined_taxes=self._combined,
        )

    def _item(self, index: int, scope: Scope) -> Item:
        is_discount = self._kind is not None and fold(self._kind(scope)) in self._discount_kinds
        line_total = self._line_total(scope)
        if is_discount:
            amount = line_total if line_total is not None else self._unit_price(scope)
            return Item(index, Decimal(1), amount, amount, ZERO, None, (), is_discount=True)
        return Item(
            index,
            self._quantity(scope),
            self._unit_price(scope),
            line_total,
            abs(self._discount(scope) or ZERO),
            self._tax(scope),
            self._taxes(scope),
        )

    def _taxes_reader(self, path: Path | None, each: Path) -> Callable[[Scope], tuple[TaxAmount, ...]]:
        if path is None:
            return lambda scope: ()
        read, text = compile_path(path), path.source_path(each.text)

        def taxes(scope: Scope) -> tuple[TaxAmount, ...]:
            rows = _rows_of(read(scope))
            if not rows:
                return ()
            outer = scope.item
            found = []
            for row in rows:
                if type(row) is not dict and not isinstance(row, Mapping):
                    raise TransformError(f"{text}: a tax line is no object", reason="bad-line")
                scope.item = row
                rate = self._tax_rate(scope)
                label = _plain_text(self._tax_name(scope)) or "Tax"
                percent = None if rate is None else rate * self._rate_factor
                found.append(TaxAmount(label, percent, self._tax_amount(scope)))
            scope.item = outer
            return tuple(found)

        return taxes


class _ChargeReader:
    """Reads one kind of charge: its sum, or the rows that make up the sum."""

    def __init__(self, rule: ChargeRule) -> None:
        self._rule = rule
        self._amount = _number_reader(rule.amount, rule.amount.text)
        self._tax = _number_reader(rule.tax, rule.tax.text) if rule.tax else _no_number
        self._each = compile_path(rule.rows) if rule.rows and rule.row_amount else None
        each = rule.rows.text if rule.rows else ""
        self._row_amount = _number_reader(rule.row_amount, each + ".amount") if rule.row_amount else _no_number
        self._row_title = compile_path(rule.row_title) if rule.row_title else None
        self._row_tax = _number_reader(rule.row_tax, each + ".tax") if rule.row_tax else _no_number

    def read(self, scope: Scope) -> list[Charge]:
        rule = self._rule
        amount = self._amount(scope)
        tax = self._tax(scope)
        rows = self._rows(scope) if self._each is not None else []
        if rows and amount is None:
            return rows
        if rows and sum((row.amount for row in rows), ZERO) == amount:
            return [row for row in rows if row.amount or row.tax]
        if rows and amount is not None:
            raise TransformError(f"{rule.amount.text} is not the sum of its rows", reason="charge-rows-differ")
        return [Charge(rule.name, amount, tax)] if amount else []

    def _rows(self, scope: Scope) -> list[Charge]:
        if self._each is None:
            return []
        made = []
        for row in _rows_of(self._each(scope)):
            scope.item = row
            amount = self._row_amount(scope)
            title = _plain_text(self._row_title(scope)) if self._row_title is not None else None
            tax = self._row_tax(scope)
            if amount is not None:
                made.append(Charge(f"{self._rule.name}: {title}" if title else self._rule.name, amount, tax))
        scope.item = None
        return made


def _number_reader(path: Path, what: str) -> Callable[[Scope], Decimal | None]:
    read = compile_path(path)

    def number(scope: Scope) -> Decimal | None:
        value = read(scope)
        return None if value is None else number_at(value, what)

    return number


def _no_number(scope: Scope) -> Decimal | None:
    return None


def _needed(number: Callable[[Scope], Decimal | None], what: str) -> Callable[[Scope], Decimal]:
    def read(scope: Scope) -> Decimal:
        found = number(scope)
        if found is None:
            raise TransformError(f"{what} is empty", reason="bad-number")
        return found

    return read


def _rows(context: CompileContext, table: str | None) -> Mapping[str, str]:
    if table is None:
        return {}
    found = context.tables.get(table)
    if found is None:
        raise ValueError(f"there is no table '{table}'")
    return found.rows


def record_instant(text: str | None) -> Any:
    """`updatedAt` as an instant for ordering, None when it is none."""
    if not text:
        return None
    try:
        return parse_instant(text)
    except TransformError:
        return None
