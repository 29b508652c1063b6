"""Apply a spec to a record: the same code in preview, review and runner.

Pure and deterministic: no clock, no I/O. A spec is compiled once; `apply` gives a draft that says what would be
written, or why nothing may be.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pydantic import ValidationError

from mapspec.assertions import bind_assertion
from mapspec.conditions import is_present
from mapspec.drafts import Decision, Document, Draft, Lookup, Reason
from mapspec.errors import SpecError, TransformError
from mapspec.lines import price_order
from mapspec.model import Assertion, FieldRule, FlowStep, ListBlock, MappingSpec, operations_of
from mapspec.numbers import Money, exactly
from mapspec.ops import (
    MAX_TEXT_LENGTH,
    NOT_LOOKED_UP,
    CompileContext,
    LookupRemote,
    Output,
    Table,
    Template,
    bind_source,
    first_problem,
    message_of,
    parse_instant,
    plain_text,
    well_formed,
)
from mapspec.order_money import OrderReader
from mapspec.order_parts import PricedOrder
from mapspec.paths import Found, Scope, compile_path, rows_of, set_at
from mapspec.quick import Quick, compile_quick
from mapspec.validations import BoundCheck, Missed, bind_checks, run_checks
from mapspec.wire import WIRES, wire

# A spec for a preview or a few orders is not worth the time of compiling it twice.
_RECORDS_BEFORE_QUICK: Final = 10
MAX_VALUE_DEPTH: Final = 40  # named values that read one another, each some calls deep


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
        for part, other in spec.written_twice():
            raise SpecError(f"{part}: '{other}' writes this place too; keep one of the two", where=spec.spec)
        lookups = {step.id: step.value for step in spec.flow if step.do == "lookup" and step.value is not None}
        self._context = CompileContext(_tables(spec), spec.settings, spec.spec, lookups)
        # Lookup steps whose answers fields are made of: `apply` wants what they find.
        self.looked_up = frozenset(
            op.step
            for rule in spec.rules().values()
            for op in operations_of(rule.steps)
            if isinstance(op, LookupRemote)
        )
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
                if isinstance(entry, FieldRule) and entry.only_on_create and target.split(".", 1)[0] == name
            )
            for name in spec.targets
        }
        self._steps = [_Step(step, self._context) for step in spec.flow]
        first_steps = {step.step.target: step for step in reversed(self._steps)}
        self._targets = [(name, first_steps.get(name), self._fields[name]) for name in spec.targets]
        self._assertions = [_Assert(assertion) for assertion in spec.assertions]
        self._quick: Quick | None = None
        self._records_before_quick = _RECORDS_BEFORE_QUICK

    def _bind(self, target: str, rule: FieldRule) -> _Bound:
        try:
            return _Bound(bind_source(rule.steps, self._context), bind_checks(rule.check))
        except ValueError as error:
            raise SpecError(f"{target}: {error}", where=self.spec.spec) from None

    def apply(self, record: Mapping[str, Any], found: Found | None = None) -> Draft:
        """Map one record. Never raises for what the record holds: misfits become reasons to hold it.

        Args:
            record: The record.
            found: What the lookups of an earlier draft brought. Without it a field that is made of such an answer
                is an `Output`, with a warning.
        """
        with exactly():
            if self._records_before_quick > 0:
                self._records_before_quick -= 1
                if self._records_before_quick <= 0:
                    self.warm_up()
            return self.quick(record) or self.thorough(record, found)

    def warm_up(self) -> None:
        """Compile for many records at once; happens by itself after a few."""
        with exactly():
            self._quick = None if self.looked_up else compile_quick(self.spec, self._context)

    def quick(self, record: Mapping[str, Any]) -> Draft | None:
        """The draft of a record that has nothing unusual; None for all others. Needs `warm_up` and exact arithmetic."""
        if self._quick is None or type(record) is not dict:
            return None
        try:
            return self._quick(record)
        except TransformError:
            return None

    def thorough(self, record: Mapping[str, Any], found: Found | None = None) -> Draft:
        """What the spec makes of a record, step by step, with every reason and warning. Needs exact arithmetic."""
        run = _Run()
        scope = self._scope(record, run)
        scope.found = found
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
        depth = 0

        def value_of(name: str) -> Any:
            nonlocal depth
            if name in failed:  # every reader learns of it: to the second it must not look absent
                message, reason = failed[name]
                raise TransformError(message, reason=reason)
            known = scope.known
            if name not in known:
                if name not in self._values:
                    raise TransformError(f"there is no value '{name}' in the spec", reason="unknown-value")
                if depth >= MAX_VALUE_DEPTH:
                    raise TransformError(f"more than {MAX_VALUE_DEPTH} values read one another", reason="too-deep")
                known[name] = None  # a value that reads itself is absent, not endless
                outer = scope.item, scope.index, scope.extras
                scope.item, scope.index, scope.extras = None, 0, {}  # the same for whoever asks first
                depth += 1
                try:
                    known[name] = self._named_value(name, scope, run)
                except TransformError as error:
                    del known[name]
                    failed[name] = error.message, error.reason
                    raise
                finally:
                    depth -= 1
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
                run.ends = rule.ends
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
            same = step.identity(scope) if step else None
            made.append(Document(name, key, index, body, self._create_only[name], same))
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
        self.ends = False

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
            ends=self.ends,
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
    asked = [Output(op.step, op.member) for op in operations_of(rule.steps) if isinstance(op, LookupRemote)]

    def fill(body: dict[str, Any], scope: Scope, run: _Run) -> None:
        try:
            value = read(scope)
            if value is None:
                sent = None
            elif type(value) is str and len(value) <= MAX_TEXT_LENGTH:
                sent = None if value == "" or value.isspace() else value if value.isascii() else well_formed(value)
            else:
                write = WIRES.get(type(value))
                sent = write(value) if write is not None else wire(value) if is_present(value) else None
        except TransformError as error:
            unknown = bool(asked) and error.reason == NOT_LOOKED_UP
            run.miss("warn" if unknown else on_fail, error.reason, f"{target}: {error.message}", target)
            if unknown:
                set_at(body, member, asked[0])
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


def _one_line(error: ValueError | TransformError) -> str:
    return first_problem(error)[1] if isinstance(error, ValidationError) else str(error)


def _sources(rule: FieldRule) -> str:
    paths = [path.text for step in rule.steps for path in step.paths()]
    return " / ".join(paths) if paths else "its value"


def _read_currency(scope: Scope) -> Any:
    return scope.value_of("currency")


def _read_text(read: Reader | None, scope: Scope) -> str | None:
    """A scalar as text for naming a record; None where it is none."""
    try:
        return None if read is None else plain_text(read(scope))
    except TransformError:
        return None


def _tables(spec: MappingSpec) -> dict[str, Table]:
    return {name: Table(name, table.rows, table.missing, table.default) for name, table in spec.tables.items()}


class _Step:
    """A flow step, compiled as far as it depends on the record."""

    def __init__(self, step: FlowStep, context: CompileContext) -> None:
        self.step = step
        self._find = step.do == "find"
        self._lookup = step.do == "lookup"
        self._keys = [Template(text=text).bind(context) for text in step.key]
        self._identities = [Template(text=text).bind(context) for text in step.identity]
        self._each = compile_path(step.each) if step.each else None
        self._when = step.when.compile() if step.when else None
        self._otherwise = message_of(step.otherwise, context) if step.otherwise else None
        self._value = compile_path(step.value) if step.value else None

    def items(self, scope: Scope, run: _Run) -> list[tuple[int, Any]]:
        """(position, element) of the list the step runs over, those that fail `when` left out with a warning."""
        try:
            rows = [scope.record] if self._each is None else rows_of(self._each(scope))
        except TransformError as error:
            run.hold(error.reason, f"step {self.step.id}: {error.message}")
            return []
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

    def identity(self, scope: Scope) -> str | None:
        """The first identity that can be made; None without one, which a record can do without."""
        try:
            texts = [str(text) for template in self._identities if (text := template(None, scope))]
        except TransformError:
            return None
        return well_formed(f"{self.step.id}:{texts[0]}") if texts else None

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
        if self._lines is not None and any(
            reason.target.startswith(self._lines)
            for reason in (*run.reasons, *(known for known in run.warnings if known.id == NOT_LOOKED_UP))
        ):
            return  # the lines are not complete: their sum says nothing, and the record is held, or not sent like this
        try:
            rows = [None] if self._each is None else rows_of(self._each(scope))
        except TransformError as error:
            run.miss(self.rule.on_fail, error.reason, f"{self.rule.id}: {error.message}")
            return
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
        self._money = OrderReader(block.money, block.each, context) if block.money else None
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
        try:
            rows = rows_of(self._each(scope))
        except TransformError as error:
            run.hold(error.reason, f"{self._target}: {error.message}", self._target)
            return
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
            if line.row is not None:
                element = self._element(rows[line.row], line.row, extras, self._fields, scope, run)
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


def record_instant(text: str | None) -> Any:
    """`updatedAt` as an instant for ordering, None when it is none."""
    if not text:
        return None
    try:
        return parse_instant(text)
    except TransformError:
        return None
