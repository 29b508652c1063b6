"""Apply a spec to a record: the same code in preview, review and runner.

Pure and deterministic: no clock, no I/O. A spec is compiled once; `apply` gives a draft that says what would be
written, or why nothing may be.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, Literal

from pydantic import ValidationError

from mapspec.assertions import bind_assertion
from mapspec.conditions import fold, is_present
from mapspec.errors import SpecError, TransformError
from mapspec.lines import Charge, Item, OrderMoney, PricedOrder, TaxAmount, price_order
from mapspec.model import Assertion, ChargeRule, FieldRule, FlowStep, LineMoney, ListBlock, MappingSpec
from mapspec.numbers import ZERO, Money, exactly, to_decimal
from mapspec.ops import (
    CompileContext,
    Output,
    Step,
    Table,
    Template,
    bind_chain,
    first_problem,
    message_of,
    parse_instant,
    text_of,
    well_formed,
)
from mapspec.paths import Path, Scope, compile_path, set_at
from mapspec.validations import BoundCheck, Missed, bind_checks, run_checks

Decision = Literal["go", "skip", "wait", "hold"]
_MISSING: Final = object()


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
        self._id = compile_path(spec.source.id)
        self._number = compile_path(spec.source.number) if spec.source.number else None
        self._updated = compile_path(spec.source.updated) if spec.source.updated else None
        self._fields: dict[str, list[tuple[str, FieldRule, _Bound] | _Block]] = {name: [] for name in spec.targets}
        for target, entry in spec.fields.items():
            name, member = target.split(".", 1)
            if isinstance(entry, FieldRule):
                self._fields[name].append((member, entry, self._bind(target, entry)))
            else:
                self._fields[name].append(_Block(target, member, entry, self._context, self._bind))
        self._create_only = {
            name: tuple(entry[0] for entry in entries if not isinstance(entry, _Block) and entry[1].only_on_create)
            for name, entries in self._fields.items()
        }
        self._steps = [_Step(step, self._context) for step in spec.flow]
        self._assertions = [_Assert(assertion) for assertion in spec.assertions]

    def _bind(self, target: str, rule: FieldRule) -> _Bound:
        try:
            return _Bound(bind_chain(rule.steps, self._context), bind_checks(rule.check))
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
        for name in self.spec.targets:
            step = next((s for s in self._steps if s.step.target == name), None)
            run.documents[name] = self._documents(name, step, scope, run)
        for compiled in self._steps:
            compiled.collect(scope, run)
        for assertion in self._assertions:
            assertion.check(scope, run)
        run.currency = (
            _read_text(lambda scope: scope.value_of("currency"), scope) if "currency" in self._values else None
        )
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
            name, member = target.split(".", 1)
            for entry in self._fields[name]:
                if not isinstance(entry, _Block) and entry[0] == member:
                    return wire(entry[2].steps(None, scope))
        raise KeyError(target)

    def _scope(self, record: Mapping[str, Any], run: _Run) -> Scope:
        cache: dict[str, Any] = {}
        failed: dict[str, tuple[str, str]] = {}

        def value_of(name: str) -> Any:
            if name in failed:  # every reader learns of it: to the second it must not look absent
                message, reason = failed[name]
                raise TransformError(message, reason=reason)
            if name not in cache:
                if name not in self._values:
                    raise TransformError(f"there is no value '{name}' in the spec", reason="unknown-value")
                cache[name] = None  # a value that reads itself is absent, not endless
                outer = scope.item, scope.index, scope.extras
                scope.item, scope.index, scope.extras = None, 0, {}  # the same for whoever asks first
                try:
                    cache[name] = self._named_value(name, scope, run)
                except TransformError as error:
                    failed[name] = error.message, error.reason
                    raise
                finally:
                    scope.item, scope.index, scope.extras = outer
            return cache[name]

        scope = Scope(record, self.spec.settings, value_of)
        return scope

    def _named_value(self, name: str, scope: Scope, run: _Run) -> Any:
        rule = self.spec.values[name]
        bound = self._values[name]
        try:
            value = bound.steps(None, scope)
            if not isinstance(value, bool) and not is_present(value):
                if rule.required:
                    raise TransformError(f"values.{name}: {_sources(rule)} is empty", reason="missing-required")
                return None
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

    def _documents(self, name: str, step: _Step | None, scope: Scope, run: _Run) -> tuple[Document, ...]:
        made: list[Document] = []
        keys: set[str] = set()
        for index, item in step.items(scope, run) if step else [(0, None)]:
            scope.item, scope.index = item, index
            body: dict[str, Any] = {}
            for entry in self._fields[name]:
                if isinstance(entry, _Block):
                    entry.fill(body, scope, run)
                    scope.item, scope.index = item, index
                    continue
                member, rule, bound = entry
                value = evaluate(f"{name}.{member}", rule, bound, scope, run)
                if value is not _MISSING:
                    set_at(body, member, value)
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


@dataclass(frozen=True)
class _Bound:
    """A rule's steps and checks as functions."""

    steps: Step
    checks: tuple[BoundCheck, ...]

    def missed(self, value: Any, scope: Scope, run: _Run, target: str) -> Missed | None:
        """What the value may not go without; what is only to be told goes to the run's warnings."""
        stops = None
        for missed in run_checks(self.checks, value, scope, run.seen.setdefault(target, set())):
            if missed.on_fail == "warn":
                run.warnings.append(Reason("check-failed", f"{target}: {missed.expected}", target))
            else:
                stops = missed
        return stops


def evaluate(target: str, rule: FieldRule, bound: _Bound, scope: Scope, run: _Run, *, optional: bool = False) -> Any:
    """One field's value as it is sent, after its checks, or _MISSING; misfits go to the run's reasons."""
    on_fail = "hold" if rule.required and not optional else rule.on_fail  # without it the record is not complete
    try:
        value = bound.steps(None, scope)
        sent = wire(value) if is_present(value) else value
    except TransformError as error:
        run.miss(on_fail, error.reason, f"{target}: {error.message}", target)
        return _MISSING
    if not isinstance(value, bool) and not is_present(value):
        if rule.required and not optional:
            run.hold("missing-required", f"{target}: {_sources(rule)} is empty and the field is required", target)
        return _MISSING
    if bound.checks and not isinstance(value, Output):
        missed = bound.missed(value, scope, run, target)
        if missed is not None:
            run.miss(missed.on_fail or on_fail, "check-failed", f"{target}: {missed.expected}", target)
            return _MISSING
    return sent


def wire(value: Any) -> Any:
    """A mapped value as FreshBooks takes it: exact texts for decimals, ISO dates, {amount, code} for money.

    Raises:
        TransformError: A list, an object or a float; or a number or text out of all range.
    """
    if value is None or isinstance(value, bool | Output):
        return value
    if isinstance(value, Money):
        return value.wire()
    if isinstance(value, int):
        text_of(value)
        return value
    return well_formed(text_of(value))


def _one_line(error: ValueError | TransformError) -> str:
    return first_problem(error)[1] if isinstance(error, ValidationError) else str(error)


def _sources(rule: FieldRule) -> str:
    paths = [path.text for step in rule.steps for path in step.paths()]
    return " / ".join(paths) if paths else "its value"


def _plain_text(value: Any) -> str | None:
    if not is_present(value) or isinstance(value, list | dict):
        return None
    return text_of(value).strip()


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
        if self.step.do == "find":
            key = self.key(scope, run)
            if key is not None:
                run.keys[self.step.id] = key
        if self.step.do == "lookup" and self._value is not None:
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
        self._rules = [(name, rule, bind(f"{target}.{name}", rule)) for name, rule in block.fields.items()]

    def fill(self, body: dict[str, Any], scope: Scope, run: _Run) -> None:
        rows = _rows_of(self._each(scope))
        for name, _, bound in self._rules:
            if bound.checks:
                run.seen.pop(f"{self._target}.{name}", None)  # another document has a list of its own
        if self._money is None:
            set_at(body, self._member, [self._element(row, index, {}, scope, run) for index, row in enumerate(rows)])
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
            for number, tax in enumerate(line.taxes, start=1):
                extras[f"line.tax_name_{number}"] = tax.name
                extras[f"line.tax_percent_{number}"] = tax.percent
            row = {} if line.index is None else rows[line.index]
            element = self._element(row, line.index or 0, extras, scope, run, charge=line.index is None)
            if line.index is None:
                element.setdefault("name", line.name)
            elements.append(element)
        set_at(body, self._member, elements)

    def _element(
        self, row: Any, index: int, extras: dict[str, Any], scope: Scope, run: _Run, *, charge: bool = False
    ) -> dict[str, Any]:
        scope.item, scope.index, scope.extras = row, index, extras
        element: dict[str, Any] = {}
        for name, rule, bound in self._rules:
            value = evaluate(f"{self._target}.{name}", rule, bound, scope, run, optional=charge)
            if value is not _MISSING:
                set_at(element, name, value)
        scope.item, scope.index, scope.extras = None, 0, {}
        return element


Reader = Callable[[Scope], Any]


class _MoneyReader:
    """Reads an order's money by the paths of a money block."""

    def __init__(self, rule: LineMoney, each: Path, context: CompileContext) -> None:
        self._rule = rule
        self._paths: dict[str, tuple[Reader, str]] = {
            name: (compile_path(value), value.source_path(each.text))
            for name, value in rule.__dict__.items()
            if isinstance(value, Path)
        }
        self._charges = [_ChargeReader(charge) for charge in rule.charges]
        places = context.setting(rule.unit_cost_places).strip() or "2"
        if not re.fullmatch(r"[0-9]|1[0-2]", places):
            raise ValueError("unit_cost_places must be a whole number from 0 to 12")
        self._places = int(places)
        self._negative = context.setting(rule.negative_lines).strip().casefold() in {"true", "yes", "1"}
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
        code = _plain_text(self._paths["currency"][0](scope))
        if code is None:
            raise TransformError("the order has no currency", reason="currency-missing")
        return well_formed(code.upper())

    def _number(self, name: str, scope: Scope) -> Decimal | None:
        if name not in self._paths:
            return None
        read, text = self._paths[name]
        return _number(read(scope), text)

    def _need(self, name: str, scope: Scope) -> Decimal:
        number = self._number(name, scope)
        if number is None:
            raise TransformError(f"{self._paths[name][1]} is empty", reason="bad-number")
        return number

    def read(self, rows: Sequence[Any], scope: Scope) -> OrderMoney:
        """The order's money.

        Raises:
            TransformError: A number or the currency is missing or no number.
        """
        flag = self._paths.get("prices_include_tax")
        gross = flag[0](scope) if flag else None
        order = {
            "currency": self.currency(scope),
            "total": self._need("total", scope),
            "subtotal": self._number("subtotal", scope),
            "discount": self._number("order_discount", scope),
            "tax": self._number("order_tax", scope),
            "taxes": self._taxes("order_taxes", scope),
            "prices_include_tax": gross is not None and fold(gross) in {"true", "1", "yes"},
        }
        items = []
        for index, row in enumerate(rows):
            if not isinstance(row, Mapping):
                raise TransformError("an order line is no object", reason="bad-line")
            scope.item, scope.index = row, index
            items.append(self._item(index, scope))
        scope.item, scope.index = None, 0
        return OrderMoney(
            items=tuple(items),
            charges=tuple(made for charge in self._charges for made in charge.read(scope)),
            unit_cost_places=self._places,
            negative_lines=self._negative,
            approved_rates=self._rates,
            combined_taxes=self._combined,
            **order,  # type: ignore[arg-type]  # the names and types are those of the model
        )

    def _item(self, index: int, scope: Scope) -> Item:
        kind = self._paths.get("kind")
        is_discount = bool(self._discount_kinds) and kind is not None and fold(kind[0](scope)) in self._discount_kinds
        line_total = self._number("line_total", scope)
        if is_discount:
            amount = line_total if line_total is not None else self._need("unit_price", scope)
            return Item(index, Decimal(1), amount, amount, ZERO, None, (), is_discount=True)
        return Item(
            index=index,
            quantity=self._need("quantity", scope),
            unit_price=self._need("unit_price", scope),
            line_total=line_total,
            discount=abs(self._number("discount", scope) or ZERO),
            tax=self._number("tax", scope),
            taxes=self._taxes("taxes", scope),
        )

    def _taxes(self, name: str, scope: Scope) -> tuple[TaxAmount, ...]:
        if name not in self._paths:
            return ()
        outer = scope.item
        found = []
        for row in _rows_of(self._paths[name][0](scope)):
            if not isinstance(row, Mapping):
                raise TransformError(f"{self._paths[name][1]}: a tax line is no object", reason="bad-line")
            scope.item = row
            rate = self._number("tax_rate", scope)
            label = _plain_text(self._paths["tax_name"][0](scope)) or "Tax"
            percent = None if rate is None else rate * self._rule.rate_factor
            found.append(TaxAmount(label, percent, self._number("tax_amount", scope)))
        scope.item = outer
        return tuple(found)


class _ChargeReader:
    """Reads one kind of charge: its sum, or the rows that make up the sum."""

    def __init__(self, rule: ChargeRule) -> None:
        self._rule = rule
        self._paths = {name: compile_path(value) for name, value in rule.__dict__.items() if isinstance(value, Path)}

    def read(self, scope: Scope) -> list[Charge]:
        rule = self._rule
        amount = _number(self._paths["amount"](scope), rule.amount.text)
        tax = _number(self._paths["tax"](scope), rule.tax.text) if rule.tax else None
        rows = self._rows(scope)
        if rows and amount is None:
            return rows
        if rows and sum((row.amount for row in rows), ZERO) == amount:
            return [row for row in rows if row.amount or row.tax]
        if rows and amount is not None:
            raise TransformError(f"{rule.amount.text} is not the sum of its rows", reason="charge-rows-differ")
        return [Charge(rule.name, amount, tax)] if amount else []

    def _rows(self, scope: Scope) -> list[Charge]:
        if self._rule.rows is None or "row_amount" not in self._paths:
            return []
        made = []
        for row in _rows_of(self._paths["rows"](scope)):
            scope.item = row
            amount = _number(self._paths["row_amount"](scope), self._rule.rows.text + ".amount")
            title = _plain_text(self._paths["row_title"](scope)) if "row_title" in self._paths else None
            tax = (
                _number(self._paths["row_tax"](scope), self._rule.rows.text + ".tax")
                if "row_tax" in self._paths
                else None
            )
            if amount is not None:
                made.append(Charge(f"{self._rule.name}: {title}" if title else self._rule.name, amount, tax))
        scope.item = None
        return made


def _number(value: Any, what: str) -> Decimal | None:
    return to_decimal(value, what) if is_present(value) else None


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
