"""Chains and conditions as lines of source: what each does to a value that is as it usually is."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final, Literal

from mapspec.conditions import Condition, fold, is_present, number_at
from mapspec.errors import TransformError
from mapspec.expressions import ExpressionNode, split_at_list
from mapspec.numbers import (
    MAX_ADJUSTED,
    MAX_INT,
    ROUNDINGS,
    SMALL,
    ZERO,
    Money,
    currency_digits,
    minor_unit,
    plain,
    to_decimal,
)
from mapspec.ops import (
    AS_WRITTEN,
    MAX_TEXT_LENGTH,
    Case,
    CleanText,
    Coalesce,
    CollapseSpace,
    CompileContext,
    Const,
    Default,
    Join,
    LinePrice,
    MaxLength,
    Operation,
    ParseInstant,
    ReadPath,
    Round,
    Setting,
    Step,
    StepOutput,
    StripHtml,
    Template,
    ToDate,
    ToDecimal,
    ToInt,
    ToMoney,
    Trim,
    When,
    bind_chain,
    bind_source,
    parse_instant,
    plain_text,
    text_of,
    well_formed,
)
from mapspec.ops.base import TextStep
from mapspec.paths import Path, Scope, compile_path, member, parse_path
from mapspec.quick.code import Code
from mapspec.wire import WIRES, wire

# What a variable can hold besides None. any: whatever JSON has; given: the same, and not blank; word: a str that is not
# blank and of usual length; made: whatever an operation gives; sent: ready to be sent; fixed: ready, and never None.
Kind = Literal["any", "given", "word", "instant", "date", "decimal", "int", "money", "made", "sent", "fixed", "none"]
_WORD_STEPS: Final = (Trim, CollapseSpace, CleanText, StripHtml, Case, MaxLength)
# All of them are a value or None, never blank.
_SURE: Final = frozenset({"given", "word", "instant", "date", "decimal", "int", "money", "sent"})
_VARIABLE: Final = re.compile(r"v\d+")
_PLACEHOLDER: Final = re.compile(r"\{([^{}]*)\}")
_KEPT: Final = 2000  # numbers and their texts that are remembered
_COMPARED: Final = {"gt": operator.gt, "gte": operator.ge, "lt": operator.lt, "lte": operator.le}


class UnusualSpecError(Exception):
    """The spec has something that has no lines here; the engine maps all its records."""


@dataclass(frozen=True)
class Held:
    """A value of the function that is being written: the variable it is in, and what can be in it."""

    name: str
    kind: Kind


NOTHING: Final = Held("None", "none")


@dataclass(frozen=True)
class At:
    """Where a chain stands.

    Attributes:
        item: Variable of the list element at hand; None outside of lists.
        index: Its position.
        line: The parts of its priced line (`line_price`).
        cost: Variables of that line's unit cost, its currency and the currency's digits.
    """

    item: str | None = None
    index: str = "0"
    line: Mapping[str, Held] = field(default_factory=dict)
    cost: tuple[str, str, str] | None = None


RECORD: Final = At()


class Values:
    """Writes chains and conditions into a function.

    What has no lines of its own here runs as the function its operation is bound to, against a `Scope`; `needs_scope`
    then turns true.
    """

    def __init__(
        self, code: Code, context: CompileContext, getters: dict[tuple[str, ...], str], *, with_scope: bool
    ) -> None:
        self.code = code
        self.with_scope = with_scope
        self.context = context
        self.values: dict[str, Held] = {}
        self.needs_scope = False
        self._getters = getters
        self._sent: dict[str, Held] = {}
        self.folded: dict[str, str] | None = None  # by path, while all that is written runs one after the other
        self._currencies: dict[str, tuple[str, str]] = {}
        self._numbers = _Numbers()

    # --- paths

    def read(self, path: Path, at: At) -> Held:
        """An expression for what a path finds."""
        if path.root == "settings":
            text = self.context.settings.get(path.segments[0][0])
            return NOTHING if text is None else Held(self.code.name(text), "any")
        if path.root == "values":
            found = self.values.get(path.segments[0][0])
            return found if found is not None else self._scoped(compile_path(path))
        if path.many or not path.segments:
            return self._scoped(compile_path(path))
        names = [name for name, _ in path.segments]
        if path.root == "item":
            if at.item is None:
                return NOTHING
            value = f"{at.item}_get({self.code.name(names[0])})"
            for name in names[1:]:
                value = f"{self.code.name(member)}({value}, {self.code.name(name)})"
            return Held(value, "any")
        return Held(f"{self.getter(tuple(names[:-1]))}({self.code.name(names[-1])})", "any")

    def getter(self, names: tuple[str, ...]) -> str:
        """The variable that holds the `get` of an object of the record."""
        if names not in self._getters:
            if names:
                self.getter(names[:-1])
            self._getters[names] = f"get{len(self._getters)}"
        return self._getters[names]

    def rows(self, path: Path, at: At) -> str:
        """A variable with the list that a path finds."""
        found = self.code.local()
        *objects, last = path.segments or [("", True)]
        plain = bool(path.segments) and not any(is_array for _, is_array in objects)
        if plain and path.root == "record":
            value = f"{self.getter(tuple(name for name, _ in objects))}({self.code.name(last[0])})"
        elif plain and path.root == "item" and at.item is not None and not objects:
            value = f"{at.item}_get({self.code.name(last[0])})"
        else:
            value = self.read(path, at).name
        self.code.put(
            f"{found} = {value}",
            f"if {found}.__class__ is not list: {found} = () if {found} is None else [{found}]",
        )
        return found

    def _scoped(self, read: Callable[[Scope], Any]) -> Held:
        self.needs_scope = True
        return Held(f"{self.code.name(read)}(scope)", "any")

    # --- chains

    def chain(self, chain: Sequence[Operation], at: At, start: Held = NOTHING) -> Held:
        """The value of a chain, in a variable."""
        fixed = self._fixed(chain) if start is NOTHING else None
        if fixed is None and start is NOTHING and chain:
            fixed = self._words(chain, at, sent=False)
        if fixed is not None:
            return fixed
        held = start
        steps = list(chain)
        while steps:
            held = self._step(steps, held, at)
        if held.kind == "none" or held.name in self.code.names or _VARIABLE.fullmatch(held.name):
            return held
        return self._keep(held)

    def _keep(self, held: Held) -> Held:
        found = self.code.local()
        self.code.put(f"{found} = {held.name}")
        return Held(found, held.kind)

    def _fixed(self, chain: Sequence[Operation]) -> Held | None:
        """What a chain gives that starts with a fixed text and reads nothing; None for every other chain."""
        if not chain or not isinstance(chain[0], Const | Setting | StepOutput):
            return None
        if any(step.source or step.nested() or step.paths() for step in chain[1:]):
            return None
        try:
            value = bind_chain(chain, self.context)(None, Scope({}, self.context.settings, lambda name: None))
        except TransformError:
            return None
        return NOTHING if value is None else Held(self.code.name(value), "made")

    def _step(self, steps: list[Operation], held: Held, at: At) -> Held:
        """Write the first of the steps, or the first few; what was written is taken from the list."""
        step = steps.pop(0)
        if isinstance(step, When):  # its branches go on with what came
            return self._when(step, at, held)
        if step.starts():
            if "(" in held.name:  # nobody looks at it any more, and still it may be what does not fit
                self._keep(held)
            return self._source(step, at)
        if isinstance(step, Default):
            return self._default(step, held)
        if isinstance(step, ToDate) and held.kind == "instant":
            zone = self.context.setting(step.zone)
            if zone in ("", AS_WRITTEN):
                held = self._own(held)
                self.code.put(f"if {held.name} is not None: {held.name} = {held.name}.date()")
                return replace(held, kind="date")
        if isinstance(step, Round):
            return self._round(step, held)
        if isinstance(step, ToDecimal) and step.places is None:
            held = self._own(held)
            self.code.put(
                f"if {held.name} is not None: {held.name} = {self.code.name(number_at)}({held.name}, 'value')"
            )
            return replace(held, kind="decimal")
        if isinstance(step, ToMoney) and held.kind == "decimal" and not step.currency.many:
            code, _ = self.currency(step.currency, at)
            made = self.code.local()
            self.code.put(f"{made} = None")
            with self.code.block(f"if {held.name} is not None:"):
                self.code.put(
                    f"if {code} is None: return None",
                    f"{made} = {self.code.name(Money)}({self.code.name(to_decimal)}({held.name}, 'amount'), {code})",
                )
            return Held(made, "money")
        function = self._function(step)
        if isinstance(step, ToInt):
            held = self._own(held)
            self.code.put(f"{held.name} = {self.code.name(function)}({held.name}, None)")
            return replace(held, kind="int")
        if isinstance(function, TextStep):
            return self._text(step, function.function, held)
        held = self._own(held)
        self.needs_scope = True
        self.code.put(f"{held.name} = {self.code.name(function)}({held.name}, scope)")
        return replace(held, kind="made" if held.kind == "made" else "any")

    def _own(self, held: Held) -> Held:
        """The value in a variable that may be written to."""
        return held if _VARIABLE.fullmatch(held.name) and held.name not in self._shared() else self._keep(held)

    def _shared(self) -> set[str]:
        return {held.name for held in self.values.values()} | {held.name for held in self._sent.values()}

    def _text(self, step: Operation, function: Callable[[str], Any], held: Held) -> Held:
        if held.kind == "none":
            return held
        c = self.code
        v = self._own(held)
        name = v.name
        call, kind = self._text_call(step, f"{c.name(function)}({name})", v)
        if v.kind == "word":
            c.put(f"if {name} is not None: {name} = {call}")
        else:
            with c.block(f"if {name} is not None:"):
                c.put(self._as_text(name), f"{name} = {call}")
        if isinstance(step, Case | CleanText):  # another case and another form may be longer
            self._of_usual_length(name)
        return Held(name, kind)

    def _text_call(self, step: Operation, call: str, held: Held) -> tuple[str, Kind]:
        """An expression for what a text operation makes of the text in a variable, and the kind of that."""
        name = held.name
        if isinstance(step, Trim):
            return f"{name}.strip() or None", "word"
        if isinstance(step, CollapseSpace):
            return f'" ".join({name}.split()) or None', "word"
        if isinstance(step, CleanText):
            return f"({name}.strip() or None) if {name}.isascii() and {name}.isprintable() else {call}", "word"
        if isinstance(step, StripHtml):
            return f'(" ".join({name}.split()) or None) if "<" not in {name} and "&" not in {name} else {call}', "word"
        if isinstance(step, Case):
            return f"{name}.{step.to}()", held.kind if held.kind == "word" else "any"
        if isinstance(step, MaxLength):
            return f"{name} if len({name}) <= {step.n} else {call}", held.kind if held.kind == "word" else "any"
        return call, "instant" if isinstance(step, ParseInstant) else "any"

    def _as_text(self, name: str) -> str:
        return (
            f"if {name}.__class__ is not str or len({name}) > {MAX_TEXT_LENGTH}: "
            f"{name} = {self.code.name(text_of)}({name})"
        )

    def _round(self, step: Round, held: Held) -> Held:
        v = self._own(held)
        number = f"{self.code.name(number_at)}({v.name}, 'value')"
        if v.kind != "any":
            number = f"{self.code.name(step.bind(self.context))}({v.name}, None)"
            self.code.put(f"{v.name} = {number}")
            return Held(v.name, "decimal")
        unit, rounding = self.code.name(minor_unit(step.places)), self.code.name(ROUNDINGS[step.rounding])
        whole = self.code.name(step.bind(self.context))
        with self.code.block(f"if {v.name}.__class__ is str and {_digits_only(v.name)}:"):
            self.code.put(f"{v.name} = {self.code.name(Decimal)}({v.name}).quantize({unit}, {rounding})")
        with self.code.block(f"elif {v.name} is not None:"):
            self.code.put(f"{v.name} = {whole}({v.name}, None)")
        return Held(v.name, "decimal")

    def currency(self, path: Path, at: At) -> tuple[str, str]:
        """Variables with an order's currency, None where there is none, and its digits; read once for the record."""
        found = self._currencies.get(path.text)
        return found if found is not None and path.root != "item" else self._write_currency(path, at)

    def currencies(self, paths: Sequence[Path]) -> None:
        """Read the currencies of the whole record, at the start of the function."""
        for path in paths:
            if path.root != "item" and not path.many and path.text not in self._currencies:
                self._currencies[path.text] = self._write_currency(path, RECORD)

    def _write_currency(self, path: Path, at: At) -> tuple[str, str]:
        code = self._keep(self.read(path, at)).name
        digits = self.code.local()
        self.code.put(
            f"if {code}.__class__ is str and len({code}) <= {SMALL}: {code} = {code}.strip().upper() or None",
            f"elif {code} is not None: return None",
            f"{digits} = {self.code.name(currency_digits)}({code})",
        )
        return code, digits

    # --- texts

    def _words(self, chain: Sequence[Operation], at: At, *, sent: bool) -> Held | None:
        """A chain that makes one text of one: of plain ASCII, as most are, at once, else by the chain's own function.

        None for a chain of another kind.
        """
        c, first, steps = self.code, chain[0], chain[1:]
        if not all(isinstance(step, _WORD_STEPS) for step in steps):
            return None
        if isinstance(first, Template):
            found = self._filled(first, at)
        elif isinstance(first, ReadPath | Coalesce):
            paths = (first.path,) if isinstance(first, ReadPath) else first.paths_
            if (len(paths) == 1 and self.read(paths[0], at).kind == "word") or (not steps and not sent):
                return None
            found = self._first_not_null(paths, at, empty_too=sent)
        else:
            return None
        if found is None or found.kind == "none":
            return found
        v = found.name
        tests, made = _of_ascii(v, steps)
        whole = c.name(self._whole(chain, sent=sent))
        self.needs_scope = True
        usual = f"if {v}.__class__ is str and {' and '.join(tests)} and ({v} := {made}): pass"
        if sent:  # an empty text is not sent; a blank one may stand before another of several paths
            c.put(f"if {v} == '': {v} = None", f"el{usual}")
        else:
            c.put(usual)
        c.put(f"elif {v} is not None: {v} = {whole}(scope)")
        if not sent:  # a word, or nothing for this function
            usual = f"{v}.__class__ is str and len({v}) <= {MAX_TEXT_LENGTH} and {v} and not {v}.isspace()"
            c.put(f"if {v} is not None and not ({usual}): return None")
        return Held(v, "sent" if sent else "word")

    def _whole(self, chain: Sequence[Operation], *, sent: bool) -> Callable[[Scope], Any]:
        read = bind_source(chain, self.context)
        return (lambda scope: _wire_present(read(scope))) if sent else read

    def _first_not_null(self, paths: Sequence[Path], at: At, *, empty_too: bool) -> Held:
        """A variable with the first of some paths' values that is not null, nor empty where that says as little.

        A blank one is for the chain's own function.
        """
        reads = [found for path in paths if (found := self._first(path, at)).kind != "none"]
        if not reads:
            return NOTHING
        v = self._keep(reads[0]).name
        for found in reads[1:]:
            empty = f" or {v} == ''" if empty_too else ""
            self.code.put(f"if {v} is None{empty}: {v} = {found.name}")
        return Held(v, "any")

    def _filled(self, step: Template, at: At) -> Held | None:
        """A variable with a template's text where all its fields are texts, else with whatever the first of them is."""
        parts = _PLACEHOLDER.split(step.text)
        pieces, shown = [parts[0]], []
        for placeholder, literal in zip(parts[1::2], parts[2::2], strict=True):
            if placeholder == "#" or placeholder.startswith("settings."):
                return None
            found = self._first(parse_path(placeholder), at)
            if found.kind == "none":
                return None
            shown.append(self._keep(found).name)
            pieces += [shown[-1], literal]
        if not shown:
            return None
        made = " + ".join(
            f"{piece}.strip()" if position % 2 else self.code.name(piece)
            for position, piece in enumerate(pieces)
            if piece
        )
        blank = "".join(f" and {name}.__class__ is str and {name} and not {name}.isspace()" for name in shown)
        v = self.code.local()
        # Where the first is there and another is not, the first may be no text: that is for the chain's function.
        self.code.put(f"if {blank[5:]}: {v} = {made}", f"else: {v} = None if {shown[0]} is None else False")
        return Held(v, "any")

    # --- sources

    def _source(self, step: Operation, at: At) -> Held:
        if isinstance(step, ReadPath) and not step.path.many:
            return self.read(step.path, at)
        if isinstance(step, Coalesce):
            return self._coalesce(step, at)
        if isinstance(step, Template):
            return self.template(step.text, at)
        if isinstance(step, Join):
            return self._join(step, at)
        if isinstance(step, LinePrice):
            if step.part == "unit_cost" and at.cost is not None:
                amount, code, _ = at.cost
                return Held(f"{self.code.name(Money)}({amount}, {code})", "money")
            return at.line.get(step.part, NOTHING)
        if isinstance(step, Const | Setting | StepOutput):
            return self._fixed((step,)) or NOTHING
        self.needs_scope = True
        return Held(f"{self.code.name(self._function(step))}(None, scope)", "any")

    def _function(self, step: Operation) -> Step:
        if LinePrice.name in repr(step.arguments()):  # the scope knows nothing of priced lines here
            raise UnusualSpecError
        return step.bind(self.context)

    def _coalesce(self, step: Coalesce, at: At) -> Held:
        reads = [(path, self.read(path, at).kind) for path in step.paths_ if not path.many]
        if all(kind == "none" for _, kind in reads) and len(reads) == len(step.paths_):
            return NOTHING
        v = self.code.local()
        self._first_of(v, list(step.paths_), at)
        return Held(v, "given")

    def _first_of(self, v: str, paths: list[Path], at: At) -> None:
        """Give a variable the first present value of several paths, None where there is none."""
        c = self.code
        if not paths:
            c.put(f"{v} = None")
            return
        found = self._first(paths.pop(0), at)
        if found.kind == "none":
            self._first_of(v, paths, at)
            return
        c.put(f"{v} = {found.name}")
        if found.kind in _SURE and not paths:
            return
        with c.block(f"if {self.absent(Held(v, found.kind))}:"):
            self._first_of(v, paths, at)

    def _first(self, path: Path, at: At) -> Held:
        if not path.many:
            return self.read(path, at)
        return self._scoped(ReadPath(path=path).reader())

    def template(self, text: str, at: At) -> Held:
        """A text with fields in it, None where one of them is absent."""
        parts = _PLACEHOLDER.split(text)
        whole = bind_source((Template(text=text),), self.context)
        pieces = [self.code.name(parts[0])] if parts[0] else []
        needed = []
        fixed_length = len(text)
        for placeholder, literal in zip(parts[1::2], parts[2::2], strict=True):
            if placeholder == "#":
                pieces.append(f"str({at.index} + 1)")
            elif placeholder.startswith("settings."):
                fixed = self.context.setting(placeholder)
                fixed_length += len(fixed)
                if fixed_length > MAX_TEXT_LENGTH or (fixed and not fixed.strip()):
                    return self._scoped(whole)
                if fixed:
                    pieces.append(self.code.name(fixed.strip()))
            else:
                found = self._first(parse_path(placeholder), at)
                if found.kind == "none":
                    return self._scoped(whole)
                shown = self._keep(found).name
                if found.kind != "word":
                    self.code.put(
                        f"{shown} = {shown}.strip() if {shown}.__class__ is str and len({shown}) <= {MAX_TEXT_LENGTH} "
                        f"else {self.code.name(_shown)}({shown})"
                    )
                else:
                    self.code.put(f"if {shown} is not None: {shown} = {shown}.strip()")
                pieces.append(shown)
                needed.append(shown)
            if literal:
                pieces.append(self.code.name(literal))
        made = " + ".join(pieces) or "''"
        if not needed:
            return Held(made, "any")
        v = self._keep(Held(f"{made} if {' and '.join(needed)} else None", "word"))
        if len(needed) > 1:  # before the one that is absent it may have become too long
            self.code.put(f"if {v.name} is None and {needed[0]}: {v.name} = {self._scoped(whole).name}")
        self._of_usual_length(v.name)
        return v

    def _of_usual_length(self, name: str, most: int = MAX_TEXT_LENGTH) -> None:
        self.code.put(f"if {name} is not None and len({name}) > {most}: return None")

    def _join(self, step: Join, at: At) -> Held:
        parts = self.code.local()
        self.code.put(f"{parts} = []")
        for chain in step.parts:
            part = self.chain(chain, at)
            if part.kind == "none":
                continue
            text = part.name if part.kind == "word" else f"{self.code.name(text_of)}({part.name})"
            self.code.put(f"if {self.present(part)}: {parts}.append({text})")
        joined = self.code.local()
        self.code.put(f"{joined} = {self.code.name(step.with_)}.join({parts}) if {parts} else None")
        self._of_usual_length(joined, MAX_TEXT_LENGTH - len(step.with_))  # as it is counted there
        return Held(joined, "word")

    def _when(self, step: When, at: At, held: Held) -> Held:
        found = self.code.local()
        start = held if held.kind == "none" else self._keep(held)
        test = self.condition(step.if_, at)
        kinds = []
        for head, chain in ((f"if {test}:", step.then), ("else:", step.else_)):
            with self.code.block(head):
                branch = self.chain(chain, at, start)
                self.code.put(f"{found} = {branch.name}")
                kinds.append(branch.kind)
        kind: Kind = kinds[0] if kinds[0] == kinds[1] else "any" if "made" not in kinds else "made"
        return Held(found, kind if kind != "none" else "any")

    def _default(self, step: Default, held: Held) -> Held:
        fixed = self.context.setting(step.value)
        v = self._own(held)
        self.code.put(f"if {self.absent(v)}: {v.name} = {self.code.name(fixed)}")
        if v.kind == "word" and len(fixed) <= MAX_TEXT_LENGTH and is_present(fixed):
            return v
        return Held(v.name, "made" if v.kind == "made" else "any")

    # --- what is sent

    def sent(self, held: Held) -> Held:
        """The value in the form in which it is sent, None where nothing is."""
        c, name = self.code, held.name
        if held.kind in ("none", "sent", "fixed"):
            return held
        if held.kind == "made" and name in c.names:
            fixed = _wire_present(c.names[name])
            return NOTHING if fixed is None else Held(c.name(fixed), "fixed")
        out = c.local()
        formed, any_wire = c.name(well_formed), c.name(_wire_present)
        if held.kind == "word":
            c.put(f"{out} = {name} if {name} is None or {name}.isascii() else {formed}({name})")
        elif held.kind == "date":
            c.put(f"{out} = None if {name} is None else {name}.isoformat()")
        elif held.kind == "decimal":
            c.put(f"{out} = None if {name} is None else {c.name(_decimal_text)}({name})")
        elif held.kind == "money":
            c.put(f"{out} = None if {name} is None else {name}.wire()")
        elif held.kind == "int":
            c.put(f"{out} = {name} if {name} is None or {name}.bit_length() < 63 else {any_wire}({name})")
        elif held.kind == "made":
            c.put(f"{out} = None if {name} is None else {any_wire}({name})")
        else:
            with c.block(f"if {name}.__class__ is str and len({name}) <= {MAX_TEXT_LENGTH}:"):
                blank = "" if held.kind == "given" else f"None if not {name} or {name}.isspace() else "
                c.put(f"{out} = {blank}{name} if {name}.isascii() else {formed}({name})")
            c.put(f"elif {name} is None: {out} = None", f"else: {out} = {any_wire}({name})")
        return Held(out, "sent")

    def sent_chain(self, chain: Sequence[Operation], at: At) -> Held:
        """The sent form of a chain whose value nobody looks at: the last steps may write it at once."""
        key = chain_key(chain)
        if key in self._sent:
            return self._sent[key]
        at_once = self._words(chain, at, sent=True) or self._sent_at_once(chain, at)
        return at_once or self.sent(self.chain(chain, at))

    def share(self, chain: Sequence[Operation]) -> None:
        """Make a chain's sent form here, for all fields of the record that have the same chain."""
        made = self.sent_chain(chain, RECORD)
        self._sent[chain_key(chain)] = made

    def _sent_at_once(self, chain: Sequence[Operation], at: At) -> Held | None:
        c = self.code
        last = chain[-1]
        if len(chain) == 1 and isinstance(last, LinePrice) and last.part == "unit_cost" and at.cost is not None:
            amount, code, digits = at.cost
            return Held(f"{{'amount': {c.name(plain)}({amount}, {digits}), 'code': {code}}}", "fixed")
        if len(chain) == 3 and isinstance(last, ToDate) and isinstance(chain[1], ParseInstant):
            if self.context.setting(last.zone) not in ("", AS_WRITTEN):
                return None
            v = self._own(self.chain(chain[:1], at))
            with c.block(f"if {v.name} is not None:"):
                c.put(self._as_text(v.name), f"{v.name} = {c.name(_day_text)}({v.name})")
            return Held(v.name, "sent")
        if isinstance(last, ToMoney) and not last.currency.many and len(chain) > 1 and isinstance(chain[-2], Round):
            code, digits = self.currency(last.currency, at)
            v = self._own(self.chain(chain[:-1], at))
            if v.kind == "none":
                return v
            with c.block(f"if {v.name} is not None:"):
                c.put(f"if {code} is None or {v.name}.adjusted() > {MAX_ADJUSTED}: return None")
                amount = f"{c.name(plain)}({v.name}, {digits})"
                short = f"str({v.name}) if {v.name} and {digits} == {chain[-2].places} else {amount}"
                c.put(f"{v.name} = {{'amount': {short}, 'code': {code}}}")
            return Held(v.name, "sent")
        if isinstance(last, ToDecimal) and last.places is None:
            v = self._own(self.chain(chain[:-1], at))
            if v.kind == "none":
                return v
            with c.block(f"if {v.name}.__class__ is int and 0 <= {v.name} <= {MAX_INT}:"):
                c.put(f"{v.name} = str({v.name})")
            with c.block(f"elif {v.name} is not None:"):
                c.put(
                    f"{v.name} = {c.name(number_at)}({v.name}, 'value')",
                    f"if {v.name} is not None: {v.name} = {c.name(text_of)}({v.name})",
                )
            return Held(v.name, "sent")
        return None

    # --- numbers

    def number(self, path: Path, at: At) -> str:
        """A variable with a number of the record; None where there is none."""
        held = self.read(path, at)
        v = self._keep(held).name
        if held.kind == "none":
            return v
        c = self.code
        c.put(
            f"if {v}.__class__ is str: {v} = {c.name(self._numbers)}[{v}]",
            f"elif {v} is not None: {v} = {c.name(number_at)}({v}, 'value')",
        )
        return v

    def plain_text(self, path: Path, at: At) -> str:
        """A variable with a scalar of the record as trimmed text; None where there is none."""
        v = self._keep(self.read(path, at)).name
        c = self.code
        short = f"{v}.strip() or None if {v}.__class__ is str and len({v}) <= {MAX_TEXT_LENGTH}"
        c.put(f"{v} = {short} else {c.name(plain_text)}({v})")
        return v

    def expression(self, node: ExpressionNode, at: At) -> str:
        """A variable with the number that an assertion computes; what is absent counts as zero."""
        c = self.code
        if node.path is None:
            parts = node.sum or tuple(part for part in (node.abs, node.negate) if part is not None)
            names = [self.expression(part, at) for part in parts]
            if node.sum is not None:
                return self._keep(Held(" + ".join(names) or c.name(ZERO), "decimal")).name
            return self._keep(Held(f"abs({names[0]})" if node.abs is not None else f"-{names[0]}", "decimal")).name
        if node.where is None:
            if node.path.many:
                return self._keep(self._scoped(node.compile())).name
            found = self.number(node.path, at)
            c.put(f"if {found} is None: {found} = {c.name(ZERO)}")
            return found
        total = c.local()
        c.put(f"{total} = {c.name(ZERO)}")
        rows, member = split_at_list(node.path)
        with self.loop(rows, at) as inside:
            value = self.number(member, inside)
            c.put(f"if {value} is not None and {self.condition(node.where, inside)}: {total} += {value}")
        return total

    @contextmanager
    def loop(self, each: Path, at: At, rows: str | None = None) -> Iterator[At]:
        """Write what is done with every element of a list; all of them have to be objects."""
        c = self.code
        rows = rows or self.rows(each, at)
        item, index = c.local(), c.local()
        with c.block(f"for {index}, {item} in enumerate({rows}):"):
            self.element(item, index)
            yield At(item, index)
        if self.with_scope:
            c.put(f"scope.item, scope.index = {at.item}, {at.index}")

    def element(self, item: str, index: str) -> None:
        """Write what makes a variable the element that paths are read against."""
        self.code.put(f"if {item}.__class__ is not dict: return None", f"{item}_get = {item}.get")
        if self.with_scope:
            self.code.put(f"scope.item, scope.index = {item}, {index}")

    # --- conditions

    def present(self, held: Held) -> str:
        """An expression: there is a value."""
        if held.kind == "none":
            return "False"
        if held.kind == "fixed":
            return "True"
        if held.kind in _SURE:
            return f"{held.name} is not None"
        name = held.name
        text = f"(not {name}.isspace() and {name} != '') if {name}.__class__ is str"
        return f"({name} is not None and ({text} else {self.code.name(is_present)}({name})))"

    def absent(self, held: Held) -> str:
        """An expression: there is no value."""
        if held.kind in _SURE:
            return f"{held.name} is None"
        return f"not {self.present(held)}"

    def condition(self, condition: Condition, at: At) -> str:
        """An expression for a condition; what it reads is read before it."""
        if condition.all is not None:
            return "(" + (" and ".join(self.condition(part, at) for part in condition.all) or "True") + ")"
        if condition.any is not None:
            return "(" + (" or ".join(self.condition(part, at) for part in condition.any) or "False") + ")"
        if condition.not_ is not None:
            return f"(not {self.condition(condition.not_, at)})"
        if any(path.many or not path.segments for path in condition.paths()):
            self.needs_scope = True
            return f"{self.code.name(condition.compile())}(scope)"
        if all(path.root == "settings" for path in condition.paths()):
            return str(condition.compile()(Scope({}, self.context.settings, lambda name: None)))
        if condition.present is not None:
            return self.present(self._plain(condition.present, at))
        if condition.absent is not None:
            return self.absent(self._plain(condition.absent, at))
        if condition.in_ is not None:
            return self._among(condition.in_[0], [fold(value) for value in condition.in_[1]], at)
        if condition.equal is not None:
            return self._among(condition.equal[0], [fold(condition.equal[1])], at)
        if condition.not_equal is not None:
            path, literal = condition.not_equal
            folded = self.folded_text(path, at)
            return f"(not {folded} or {folded} != {self.code.name(fold(literal))})"
        name = next(name for name in _COMPARED if getattr(condition, name) is not None)
        path, number = getattr(condition, name)
        v = self._plain(path, at)
        compare, decimal = self.code.name(_COMPARED[name]), self.code.name(to_decimal)
        return f"({self.present(v)} and {compare}({decimal}({v.name}, 'value'), {self.code.name(number)}))"

    def _plain(self, path: Path, at: At) -> Held:
        held = self.read(path, at)
        return held if held.kind == "none" or _VARIABLE.fullmatch(held.name) else self._keep(held)

    def _among(self, path: Path, literals: Sequence[str], at: At) -> str:
        return f"{self.folded_text(path, at)} in {self.code.name(frozenset(literals) - {''})}"

    def folded_text(self, path: Path, at: At) -> str:
        """A variable with a value as it compares; None, or blank, where it is absent."""
        if self.folded is not None and path.text in self.folded:
            return self.folded[path.text]
        name = self._keep(self.read(path, at)).name
        if self.folded is not None:
            self.folded[path.text] = name
        self.code.put(
            f"if {name}.__class__ is str: {name} = {name}.strip().casefold()",
            f"elif {name} is not None: {name} = {self.code.name(_folded)}({name})",
        )
        return name


def _of_ascii(v: str, steps: Sequence[Operation]) -> tuple[list[str], str]:
    """Tests for a text of plain ASCII, and what the steps make of one that passes: the order in which they stand, and
    how often, does not matter to it."""
    kinds = {type(step) for step in steps}
    longest = min([MAX_TEXT_LENGTH, *[step.n for step in steps if isinstance(step, MaxLength)]])
    tests = [f"{v}.isascii()", f"len({v}) <= {longest}"]
    if CleanText in kinds:
        tests.append(f"{v}.isprintable()")
    if StripHtml in kinds:
        tests.append(f'"<" not in {v} and "&" not in {v}')
    made = v
    if kinds & {CollapseSpace, StripHtml}:
        made = f'" ".join({v}.split())'
    elif kinds & {Trim, CleanText}:
        made = f"{v}.strip()"
    else:
        tests.append(f"not {v}.isspace()")
    cases = [step.to for step in steps if isinstance(step, Case)]
    return tests, f"{made}.{cases[-1]}()" if cases else made


def chain_key(chain: Sequence[Operation]) -> str:
    """A text that equal chains share, arguments included."""
    return repr([(step.name, step.arguments()) for step in chain])


def _digits_only(name: str) -> str:
    return f"len({name}) <= {SMALL} and {name}.isascii() and {name}.replace('.', '', 1).isdigit()"


def _shown(value: Any) -> str | None:
    """What a template shows of a value that is no text; None where there is nothing."""
    return text_of(value).strip() if is_present(value) else None


def _folded(value: Any) -> str | None:
    if not is_present(value):
        return None
    if isinstance(value, list):  # each of its elements would count
        raise TransformError("a list where one value is usual")
    return fold(value)


def _wire_present(value: Any) -> Any:
    write = WIRES.get(type(value))
    return write(value) if write is not None else wire(value) if is_present(value) else None


class _Numbers(dict[str, Decimal | None]):
    """Numbers by their texts: the same prices, rates and zeros come again and again."""

    def __missing__(self, text: str) -> Decimal | None:
        number = number_at(text, "value")
        if len(text) <= SMALL:
            if len(self) >= _KEPT:
                self.clear()
            self[text] = number
        return number


@lru_cache(maxsize=_KEPT)
def _decimal_text(number: Decimal) -> str:
    """`text_of`; equal numbers have equal texts, and quantities and rates come again and again."""
    return text_of(number)


def _day_text(text: str) -> str:
    return parse_instant(text).date().isoformat()
