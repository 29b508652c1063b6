"""A whole spec as one function: record in, draft out, for records that are as records usually are.

`apply` in `mapspec.engine` says what a spec means. What is written here gives the same draft in a fraction of the
time, or None: for anything that is missing, does not fit or is told about, the engine runs. So there is no reason, no
message and no warning of a field in here, and a mistake in here can be found by comparing the two.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from mapspec.assertions import bind_assertion
from mapspec.drafts import Document, Draft, Lookup, Reason
from mapspec.errors import TransformError
from mapspec.formats import form_of
from mapspec.model import Assertion, FieldRule, FlowStep, ListBlock, MappingSpec
from mapspec.ops import CompileContext, Operation, Output, ToDate, ToMoney, message_of, plain_text, well_formed
from mapspec.paths import Path, Scope, member, set_at
from mapspec.quick.code import Code
from mapspec.quick.money import OrderWriter
from mapspec.quick.values import RECORD, At, Held, UnusualSpecError, Values, chain_key
from mapspec.validations import Check, FormatCheck

_MAX_VALUE_DEPTH = 20  # named values that read one another; the engine has a limit of its own
Quick = Callable[[dict[str, Any]], Draft | None]


def compile_quick(spec: MappingSpec, context: CompileContext) -> Quick | None:
    """The function, to be called with exact arithmetic on (`numbers.exactly`).

    It may raise TransformError, which says as little as None.

    Returns:
        None for a spec with something in it that has no lines here: a list in a list, values that read each other,
        a fixed text that never fits, more conditions inside each other than Python takes.
    """
    try:
        first = _Writer(spec, context, with_scope=False)
        return (_Writer(spec, context, with_scope=True) if first.values.needs_scope else first).code.function()
    except (UnusualSpecError, TransformError, SyntaxError, RecursionError, MemoryError):
        return None


@dataclass(frozen=True)
class _Field:
    """A rule of a document or of a list's element."""

    target: str
    member: str
    rule: FieldRule


class _Writer:
    """Writes the function. A first go finds out whether anything in it needs a scope."""

    def __init__(self, spec: MappingSpec, context: CompileContext, *, with_scope: bool) -> None:
        self.code = Code()
        self._spec = spec
        self._context = context
        self._with_scope = with_scope
        getters: dict[tuple[str, ...], str] = {}
        self.values = Values(self.code, context, getters, with_scope=with_scope)
        self._write()
        # The objects of the record that anything is read from, found first.
        head = Code()
        head.names = self.code.names
        head.put("if record.__class__ is not dict: return None")
        self.values.getter(())
        for names, getter in sorted(getters.items(), key=lambda pair: len(pair[0])):
            if names:
                outer = getters[names[:-1]]
                head.put(
                    f"{getter} = {outer}({self.code.name(names[-1])})",
                    f"{getter} = {getter}.get if {getter}.__class__ is dict else {self.code.name(_getter)}({getter})",
                )
            else:
                head.put(f"{getter} = record.get")
        if with_scope:
            settings, refuse = self.code.name(dict(spec.settings)), self.code.name(_refuse)
            head.put(f"scope = {self.code.name(Scope)}(record, {settings}, {refuse})", "known = scope.known")
        self.code.begin_with(head)

    def _write(self) -> None:
        c, spec = self.code, self._spec
        c.put("reasons = []", "warnings = []", "priced = None")
        for name in _in_order(spec):
            self._named_value(name, spec.values[name])
        parts = (spec.source.id, spec.source.number, spec.source.updated)
        identity = ["None" if path is None else self.values.plain_text(path, RECORD) for path in parts]
        c.put(f"if not {identity[0]}: return None")
        self._gate(", ".join(identity))
        entries = [self._fields(name) for name in spec.targets]
        self._shared_chains(entries)
        c.put("documents = {}")
        steps = {step.target: step for step in reversed(spec.flow)}
        for name, fields in zip(spec.targets, entries, strict=True):
            self._documents(name, steps.get(name), fields)
        c.put("keys = {}", "lookups = []")
        for step in spec.flow:
            self._collect(step)
        for assertion in spec.assertions:
            self._assertion(assertion)
        currency = "None"
        if "currency" in self.values.values:
            held = self.values.values["currency"]
            currency = f"{c.name(plain_text)}({held.name})"
        decided = ", ".join([*identity, "'hold' if reasons else 'go'", "tuple(reasons)"])
        made = "documents, keys, tuple(lookups), tuple(warnings), priced"
        c.put(f"return {c.name(Draft)}({decided}, {made}, {currency})")

    # --- values, identity, gate

    def _named_value(self, name: str, rule: FieldRule) -> None:
        c = self.code
        held = self.values.chain(rule.steps, RECORD)
        own = c.local()
        c.put(f"{own} = {held.name}")
        if held.kind in ("any", "made") or rule.required:
            with c.block(f"if {self.values.absent(Held(own, held.kind))}:"):
                c.put("return None" if rule.required else f"{own} = None")
        held = Held(own, "given" if held.kind in ("any", "none") else held.kind)
        if rule.check:
            with c.block(f"if {own} is not None:"):
                self._checks(rule.check, held, "set()")
        self.values.values[name] = held
        if self._with_scope:
            c.put(f"known[{c.name(name)}] = {held.name}")

    def _checks(self, checks: Sequence[Check], value: Held, seen: str) -> None:
        c = self.code
        for check in checks:
            if isinstance(check, FormatCheck) and check.format == "date" and value.kind == "date":
                continue  # a day of the calendar is always written so
            if isinstance(check, FormatCheck) and value.kind == "word":
                c.put(f"if not {c.name(form_of(check.format))}({value.name}): return None")
            elif type(check).bind is Check.bind:  # it looks at the value alone
                c.put(f"if {c.name(check.test)}({value.name}) is not None: return None")
            else:
                self.values.needs_scope = True
                c.put(f"if {c.name(check.bind())}({value.name}, scope, {seen}) is not None: return None")

    def _gate(self, identity: str) -> None:
        if not self._spec.gate:
            return
        c = self.code
        self.values.needs_scope = True
        self.values.folded = {}
        with c.block("while True:"):
            for rule in self._spec.gate:
                with c.block(f"if {self.values.condition(rule.when, RECORD)}:"):
                    if rule.do != "go":
                        text = c.name(message_of(rule.reason, self._context))
                        c.put(f"reasons.append({c.name(Reason)}({c.name(rule.id)}, {text}(scope)))")
                    if rule.do in ("skip", "wait"):
                        made = f"{identity}, '{rule.do}', tuple(reasons), {{}}, {{}}, (), (), None, None, {rule.ends}"
                        c.put(f"return {c.name(Draft)}({made})")
                    else:
                        c.put("break")
            c.put("break")
        self.values.folded = None

    # --- documents

    def _fields(self, name: str) -> list[_Field | tuple[str, str, ListBlock]]:
        found: list[_Field | tuple[str, str, ListBlock]] = []
        for target, entry in self._spec.fields.items():
            of, member_name = target.split(".", 1)
            if of != name:
                continue
            if isinstance(entry, FieldRule):
                found.append(_Field(target, member_name, entry))
            else:
                found.append((target, member_name.removesuffix("[]"), entry))
        return found

    def _shared_chains(self, entries: Sequence[Sequence[_Field | tuple[str, str, ListBlock]]]) -> None:
        """What several documents have in common is made once: a client and an invoice have the same address."""
        rules = [f.rule for fields in entries for f in fields if isinstance(f, _Field)]
        inner = [r for fields in entries for f in fields if isinstance(f, tuple) for r in f[2].fields.values()]
        currencies = [
            step.currency
            for chain in [rule.steps for rule in [*rules, *inner]]
            for step in chain
            if isinstance(step, ToMoney)
        ]
        self.values.currencies(currencies)
        chains = [rule.steps for rule in rules if not rule.check and _of_record(rule.steps)]
        counted = Counter(chain_key(chain) for chain in chains)
        for chain in chains:
            key = chain_key(chain)
            if counted.pop(key, 0) > 1:
                self.values.share(chain)

    def _documents(
        self, name: str, step: FlowStep | None, fields: Sequence[_Field | tuple[str, str, ListBlock]]
    ) -> None:
        c = self.code
        made = c.local()
        c.put(f"{made} = []")
        seen = self._seen(fields)
        if step is None:
            self._document(name, made, None, fields, RECORD, seen)
        elif step.each is None:
            test = self.values.condition(step.when, RECORD) if step.when else "True"
            with c.block(f"if {test}:"):
                self._document(name, made, step, fields, RECORD, seen)
            self._otherwise(step)
        else:
            known = c.local()
            c.put(f"{known} = set()")
            with self.values.loop(step.each, RECORD) as at:
                test = self.values.condition(step.when, at) if step.when else "True"
                with c.block(f"if {test}:"):
                    self._document(name, made, step, fields, at, seen, keys=known)
                self._otherwise(step)
        c.put(f"documents[{c.name(name)}] = tuple({made})")

    def _otherwise(self, step: FlowStep) -> None:
        if step.when and step.otherwise:
            self.values.needs_scope = True
            text = self.code.name(message_of(step.otherwise, self._context))
            reason = f"{self.code.name(Reason)}({self.code.name(f'not-{step.id}')}, {text}(scope))"
            self.code.put(f"else: warnings.append({reason})")

    def _seen(self, fields: Sequence[_Field | tuple[str, str, ListBlock]]) -> dict[str, str]:
        """Variables for what the elements of a list had so far, of the fields that a check compares."""
        seen = {}
        for found in fields:
            if isinstance(found, _Field) and found.rule.check:
                seen[found.target] = self.code.local()
                self.code.put(f"{seen[found.target]} = set()")
        return seen

    def _document(
        self,
        name: str,
        made: str,
        step: FlowStep | None,
        fields: Sequence[_Field | tuple[str, str, ListBlock]],
        at: At,
        seen: Mapping[str, str],
        keys: str | None = None,
    ) -> None:
        c = self.code
        body = c.local()
        c.put(f"{body} = {{}}")
        for found in fields:
            if isinstance(found, _Field):
                self._field(body, found, at, seen.get(found.target, "set()"))
            else:
                self._block(body, *found, at)
        key = self._key(step, at) if step is not None else "None"
        if keys is not None and key != "None":
            c.put(f"if {key} in {keys}: return None", f"{keys}.add({key})")
        create_only = tuple(f.member for f in fields if isinstance(f, _Field) and f.rule.only_on_create)
        c.put(f"{made}.append({c.name(Document)}({c.name(name)}, {key}, {at.index}, {body}, {c.name(create_only)}))")

    def _key(self, step: FlowStep, at: At) -> str:
        """A variable with the natural key; the first of the templates that can be filled."""
        if step.identity:  # of products, of which there are few
            raise UnusualSpecError
        if not step.key:
            return "None"
        c = self.code
        key = c.local()
        for position, text in enumerate(step.key):
            if position:
                with c.block(f"if not {key}:"):
                    c.put(f"{key} = {self.values.template(text, at).name}")
            else:
                c.put(f"{key} = {self.values.template(text, at).name}")
        c.put(f"if not {key}: return None", f"if not {key}.isascii(): {key} = {c.name(well_formed)}({key})")
        return key

    def _field(self, body: str, found: _Field, at: At, seen: str, *, optional: bool = False) -> None:
        c, rule = self.code, found.rule
        if _is_looked_at(rule):
            value = self.values.chain(rule.steps, at)
            sent = self.values.sent(value)
        else:
            value = sent = self.values.sent_chain(rule.steps, at)
        must = rule.required and not optional
        if sent.kind == "none":
            if must:
                c.put("return None")
            return
        with c.block("if True:" if sent.kind == "fixed" else f"if {sent.name} is not None:"):
            if _is_looked_at(rule) and not isinstance(c.names.get(value.name), Output):
                self._checks(found.rule.check, value, seen)
            if "." in found.member:
                c.put(f"{c.name(set_at)}({body}, {c.name(found.member)}, {sent.name})")
            else:
                c.put(f"{body}[{c.name(found.member)}] = {sent.name}")
        if must and sent.kind != "fixed":
            c.put("else: return None")

    # --- list blocks

    def _block(self, body: str, target: str, member_name: str, block: ListBlock, at: At) -> None:
        c = self.code
        if at.item is not None:
            raise UnusualSpecError
        elements = c.local()
        fields = [_Field(f"{target}.{name}", name, rule) for name, rule in block.fields.items()]
        seen = self._seen(fields)
        c.put(f"{elements} = []")
        if block.money is None:
            with self.values.loop(block.each, RECORD) as inside:
                element = self._element(fields, inside, seen)
                c.put(f"{elements}.append({element})")
        else:
            self._priced(elements, fields, seen, block, target)
        filled = f"{c.name(set_at)}({body}, {c.name(member_name)}, {elements})"
        c.put(filled if block.money is None else f"if lines is not None: {filled}")

    def _element(self, fields: Sequence[_Field], at: At, seen: Mapping[str, str], *, optional: bool = False) -> str:
        element = self.code.local()
        self.code.put(f"{element} = {{}}")
        for found in fields:
            self._field(element, found, at, seen.get(found.target, "set()"), optional=optional)
        return element

    def _priced(
        self, elements: str, fields: Sequence[_Field], seen: Mapping[str, str], block: ListBlock, target: str
    ) -> None:
        c = self.code
        assert block.money is not None  # noqa: S101 - the caller looked
        order = OrderWriter(self.values, block.money, block.each, self._context).write()
        rows, currency, digits = order.rows, order.currency, order.digits
        c.put("lines = None")
        with c.block("try:"):
            c.put(f"priced = {order.price}")
        with c.block(f"except {c.name(TransformError)} as error:"):
            reason = f"{c.name(Reason)}(error.reason, {c.name(target + ': ')} + error.message, {c.name(target)})"
            c.put(f"reasons.append({reason})")
        with c.block("else:"):
            c.put("lines = priced.lines")
            c.put(f"for note in priced.notes: warnings.append({c.name(Reason)}(*note))")
        with c.block("for line in lines or ():"):
            c.put(
                "line_name, line_note, line_quantity, unit_cost = "
                "line.name or None, line.note or None, line.quantity, line.unit_cost",
                "compound, tax_1, tax_2, percent_1, percent_2 = line.compound or None, None, None, None, None",
                "taxes = line.taxes",
            )
            with c.block("if taxes:"):
                c.put("tax_1, percent_1 = taxes[0].name, taxes[0].percent")
                c.put("if len(taxes) > 1: tax_2, percent_2 = taxes[1].name, taxes[1].percent")
            item, index = c.local(), c.local()
            at = At(item, index, _LINE, ("unit_cost", currency, digits))
            c.put(f"{index} = line.row")
            with c.block(f"if {index} is not None:"):
                c.put(f"{item} = {rows}[{index}]")
                self.values.element(item, index)
                c.put(f"{elements}.append({self._element(fields, at, seen)})")
            with c.block("else:"):
                if self._with_scope:
                    c.put("scope.item, scope.index = {}, 0")
                element = self._element(fields, At(None, "0", _LINE, at.cost), seen, optional=True)
                c.put(f"{element}.setdefault('name', line.name)", f"{elements}.append({element})")
        if self._with_scope:
            c.put("scope.item, scope.index = None, 0")

    # --- flow and assertions

    def _collect(self, step: FlowStep) -> None:
        c = self.code
        if step.do == "find":
            c.put(f"keys[{c.name(step.id)}] = {self._key(step, RECORD)}" if step.key else "return None")
        if step.do == "lookup" and step.value is not None:
            if step.each is None:
                with c.block("if True:"):
                    self._search(step, step.value, RECORD)
            else:
                with self.values.loop(step.each, RECORD) as at:
                    self._search(step, step.value, at)

    def _search(self, step: FlowStep, value: Path, at: At) -> None:
        c = self.code
        test = self.values.condition(step.when, at) if step.when else "True"
        with c.block(f"if {test}:"):
            text = self.values.plain_text(value, at)
            entity, found = c.name(step.entity or ""), c.name(step.match[0])
            made = f"{c.name(Lookup)}({c.name(step.id)}, {entity}, {found}, {text}, f'line {{{at.index} + 1}}')"
            c.put(f"if {text}: lookups.append({made})")
        self._otherwise(step)

    def _assertion(self, rule: Assertion) -> None:
        c = self.code
        incomplete = "False"
        if rule.predicted_total is not None:  # lines that are not complete have no total
            lines = c.name(rule.predicted_total.lines)
            incomplete = f"any(reason.target.startswith({lines}) for reason in reasons)"
        with c.block(f"if not {incomplete}:"):
            if rule.each is None:
                with c.block("while True:"):
                    self._agrees(rule, RECORD)
                    c.put("break")
            else:
                with self.values.loop(rule.each, RECORD) as at:
                    self._agrees(rule, at)

    def _agrees(self, rule: Assertion, at: At) -> None:
        """Write the test of an assertion, inside a loop that its first failure ends."""
        c, values = self.code, self.values
        with c.block(f"if {values.condition(rule.when, at)}:" if rule.when else "if True:"):
            if rule.same_text is not None and not any(path.many for path in rule.same_text):
                one, other = (values.folded_text(path, at) for path in rule.same_text)
                fails = f"{one} and {other} and {one} != {other}"
            elif rule.equal is not None or rule.at_most is not None:
                left, right = (values.expression(side, at) for side in rule.equal or rule.at_most or ())
                difference = f"{left} - {right}" if rule.equal is None else f"abs({left} - {right})"
                fails = f"{difference} > {c.name(rule.within)}"
            else:
                values.needs_scope = True
                c.put("bodies = lambda target: [found.body for found in documents.get(target, ())]")
                fails = f"not {c.name(bind_assertion(rule))}(scope, bodies)"
            with c.block(f"if {fails}:"):
                told = "reasons" if rule.on_fail == "hold" else "warnings"
                c.put(f"{told}.append({c.name(Reason)}({c.name(rule.id)}, {c.name(rule.message)}))", "break")


_LINE = {
    "name": Held("line_name", "any"),
    "note": Held("line_note", "any"),
    "quantity": Held("line_quantity", "decimal"),
    "compound": Held("compound", "made"),
    "tax_name_1": Held("tax_1", "any"),  # an approved table may have a blank name
    "tax_percent_1": Held("percent_1", "decimal"),
    "tax_name_2": Held("tax_2", "any"),
    "tax_percent_2": Held("percent_2", "decimal"),
}


def _in_order(spec: MappingSpec) -> list[str]:
    """The named values, those that others read first."""
    done: dict[str, None] = {}
    open_: set[str] = set()

    def visit(name: str) -> None:
        if name in done or name not in spec.values:
            return
        if name in open_ or len(open_) - len(done) >= _MAX_VALUE_DEPTH:
            raise UnusualSpecError
        open_.add(name)
        for path in _paths(spec.values[name].steps) + [p for c in spec.values[name].check for p in c.paths()]:
            if path.root == "values":
                visit(path.segments[0][0])
        done[name] = None

    for name in spec.values:
        visit(name)
    return list(done)


def _paths(chain: Sequence[Operation]) -> list[Path]:
    return [
        path
        for step in chain
        for path in [*step.paths(), *step.element_paths(), *(p for inner in step.nested() for p in _paths(inner))]
    ]


def _is_looked_at(rule: FieldRule) -> bool:
    """True when a check looks at the value; that a day of the calendar is written as one needs no look."""
    is_day = bool(rule.steps) and isinstance(rule.steps[-1], ToDate)
    return not all(is_day and isinstance(check, FormatCheck) and check.format == "date" for check in rule.check)


def _of_record(chain: Sequence[Operation]) -> bool:
    """True when the chain reads nothing of a list's element, so that it gives the same wherever it stands."""
    if any(path.root == "item" for path in _paths(chain)):
        return False
    text = chain_key(chain)
    return "{#}" not in text and "line_price" not in text


def _getter(value: Any) -> Callable[[str], Any]:
    """The `get` of what should be an object and is none."""
    return lambda name: member(value, name)


def _refuse(name: str) -> NoReturn:
    raise TransformError(f"values.{name} is not known yet")
