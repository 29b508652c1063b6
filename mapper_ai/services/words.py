"""Steps, conditions and flows in plain words, for people who do not read YAML. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from mapspec import ops, validations
from mapspec.conditions import Condition
from mapspec.formats import NAMES
from mapspec.model import Assertion, FieldRule, FlowStep, GateRule, LineMoney, ListBlock, MappingSpec
from mapspec.paths import Path
from mapspec.yamltext import flow as one_line

_LINE_PRICE: Final = {
    "quantity": "the quantity of the priced line",
    "unit_cost": "the net unit price of the priced line",
    "name": "the name of the priced line",
    "note": "what pricing the line has to say (discount, odd unit price)",
    "tax_name_1": "the name of the line's first tax",
    "tax_percent_1": "the percent of the line's first tax",
    "tax_name_2": "the name of the line's second tax",
    "tax_percent_2": "the percent of the line's second tax",
    "compound": "whether the second tax is on top of the first",
}
_ORDERED: Final = {"gt": "is above", "gte": "is at least", "lt": "is below", "lte": "is at most"}
_ACTIONS: Final = {"go": "goes on", "skip": "is skipped", "wait": "waits", "hold": "is held"}


def rule_in_words(rule: FieldRule, settings: Mapping[str, str] | None = None) -> str:
    """A rule: its steps, then its checks. `settings` show what `settings.NAME` is now."""
    text = steps_in_words(rule.steps, settings or {})
    return f"{text}; must be {checks_in_words(rule.check)}" if rule.check else text


def steps_in_words(steps: Sequence[ops.Operation], settings: Mapping[str, str] | None = None) -> str:
    """A chain: `orderDate, read as a moment in time, as calendar date in the store's time zone`."""
    if not steps:
        return "nothing"
    return ", ".join(_step(step, settings or {}) for step in steps)


def checks_in_words(checks: Sequence[validations.Check]) -> str:
    """What a value must be, to stand after `must be`; empty without checks."""
    return _list([check_in_words(check) for check in checks], "and")


def check_in_words(check: validations.Check) -> str:
    """One check, to stand after `must be`."""
    words = _CHECKS.get(type(check))
    text = words(check) if words else one_line(check.plain())
    if check.on_fail is None:
        return text
    return f"{text} (or it is noted)" if check.on_fail == "warn" else f"{text} (or the record is held)"


def _window(check: Any) -> str:
    ends = [
        f"not {'before' if name == 'from' else 'after'} {_bound(b)}" for name, b in check.date_window.bounds().items()
    ]
    return f"a date {_list(ends, 'and')}"


def _bound(bound: validations.DateBound) -> str:
    if bound.path is None:
        return bound.in_words()
    moved = f"{abs(bound.days)} days {'after' if bound.days > 0 else 'before'} " if bound.days else ""
    return moved + _path(bound.path)


_CHECKS: Final[dict[type[validations.Check], Callable[[Any], str]]] = {
    validations.FormatCheck: lambda check: NAMES[check.format],
    validations.MinLengthCheck: lambda check: f"at least {check.min_length} characters long",
    validations.LengthCheck: lambda check: f"at most {check.max_length} characters long",
    validations.BetweenCheck: lambda check: f"from {check.between[0]} to {check.between[1]}",
    validations.AtLeastCheck: lambda check: f"at least {check.argument()}",
    validations.AtMostCheck: lambda check: f"at most {check.argument()}",
    validations.IntegerCheck: lambda check: f"a whole number{check.integer.in_words()}",
    validations.EnumCheck: lambda check: f"one of {_list([f'“{value}”' for value in check.enum], 'or')}",
    validations.PatternCheck: lambda check: f"of the form {check.regex}",
    validations.MoneyCheck: lambda check: (
        "an amount above zero" if check.money == "positive" else "an amount that is not negative"
    ),
    validations.DateWindowCheck: _window,
    validations.UniqueCheck: lambda check: "different from every other element of the list",
}


def condition_in_words(condition: Condition) -> str:
    """A condition, to stand after `if`."""
    if condition.all is not None:
        return _list([_bracketed(part) for part in condition.all], "and")
    if condition.any is not None:
        return _list([_bracketed(part) for part in condition.any], "or")
    if condition.not_ is not None:
        return _negated(condition.not_)
    if condition.present is not None:
        return f"{_path(condition.present)} is there"
    if condition.absent is not None:
        return f"{_path(condition.absent)} is empty"
    if condition.in_ is not None:
        path, values = condition.in_
        if len(values) == 1:
            return f"{_path(path)} is “{values[0]}”"
        return f"{_path(path)} is one of {_list([f'“{value}”' for value in values], 'or')}"
    if condition.equal is not None:
        return f"{_path(condition.equal[0])} is “{condition.equal[1]}”"
    if condition.not_equal is not None:
        return f"{_path(condition.not_equal[0])} is not “{condition.not_equal[1]}”"
    name, pair = next((n, p) for n in _ORDERED if (p := getattr(condition, n)) is not None)
    return f"{_path(pair[0])} {_ORDERED[name]} {pair[1]}"


def block_in_words(target: str, block: ListBlock) -> str:
    """A list block's head."""
    text = f"one element of {target} for each of {_path(block.each)}"
    return f"{text}; {_money(block.money)}" if block.money else text


def flow_in_words(spec: MappingSpec) -> str:
    """Gate, steps and record checks, one sentence a line."""
    lines = [_gate(rule) for rule in spec.gate]
    lines += [f"{number}. {_flow_step(step)}" for number, step in enumerate(spec.flow, 1)]
    lines += [_assertion(rule) for rule in spec.assertions]
    if spec.settings:
        lines.append("Settings: " + ", ".join(f"{key} = “{value}”" for key, value in spec.settings.items()) + ".")
    return "\n".join(lines)


def _path(path: Path) -> str:
    if path.root == "settings":
        return f"the setting {path.segments[0][0]}"
    if path.root == "values":
        return f"the value {path.segments[0][0]}"
    if path.root == "item":
        return f"the item's {path.source_path().lstrip('.')}" if path.segments else "the item"
    return path.source_path() or "the record"


def _zone(text: str, settings: Mapping[str, str]) -> str:
    if text == ops.AS_WRITTEN:
        return "as written there"
    if not text.startswith("settings."):
        return f"in {text}"
    zone = settings.get(text[9:])
    if zone is None:
        return "in the store's time zone"
    return (
        "as written there" if zone in ("", ops.AS_WRITTEN) else f"in the store's time zone ({zone.replace('_', ' ')})"
    )


def _step(step: ops.Operation, settings: Mapping[str, str]) -> str:
    words = _WORDS.get(type(step))
    if words:
        return words(step, settings)
    arguments = step.arguments()
    return step.name.replace("_", " ") + (f" ({one_line(arguments).strip('{}')})" if arguments else "")


def _coalesce(step: Any, settings: Mapping[str, str]) -> str:
    paths = [_path(path) for path in step.paths()]
    return paths[0] if len(paths) == 1 else f"the first of {_list(paths, 'or')} that is there"


def _template(step: Any, settings: Mapping[str, str]) -> str:
    text = step.text
    for path in step.paths():
        text = text.replace("{" + path.text + "}", f"‹{_path(path)}›")
    return f"the text “{text.replace('{#}', '‹position›')}”"


def _join(step: Any, settings: Mapping[str, str]) -> str:
    names = {" ": "a blank", "\n": "a new line", ", ": "a comma", "": "nothing"}
    glue = names.get(step.with_, f"“{step.with_.strip()}”")
    parts = [steps_in_words(part, settings) for part in step.parts]
    return f"joined by {glue}: {_list([f'({part})' if ', ' in part else part for part in parts], 'and')}"


def _when(step: Any, settings: Mapping[str, str]) -> str:
    text = f"if {condition_in_words(step.if_)}: {steps_in_words(step.then, settings)}"
    return f"{text}; otherwise: {steps_in_words(step.else_, settings)}" if step.else_ else text


def _max_length(step: Any, settings: Mapping[str, str]) -> str:
    return f"cut to {step.n} characters" if step.over == "truncate" else f"refused above {step.n} characters"


def _default(step: Any, settings: Mapping[str, str]) -> str:
    if step.value.startswith("settings."):
        name = step.value[9:]
        now = f" (“{settings[name]}”)" if name in settings else ""
        return f"else the setting {name}{now}"
    return f"else “{step.value}”"


def _decimal(step: Any, settings: Mapping[str, str]) -> str:
    return "as an exact number" if step.places is None else f"rounded to {step.places} digits after the point"


_WORDS: Final[dict[type[ops.Operation], Callable[[Any, Mapping[str, str]], str]]] = {
    ops.ReadPath: lambda step, _: _path(step.path) if not step.path.many else f"the first {_path(step.path)}",
    ops.Const: lambda step, _: f"always “{step.value}”",
    ops.Setting: lambda step, settings: f"the setting {step.key} (“{settings.get(step.key, '')}”)",
    ops.Coalesce: _coalesce,
    ops.Template: _template,
    ops.Join: _join,
    ops.When: _when,
    ops.StepOutput: lambda step, _: "the {1} of the {0} made before".format(*step.of.split(".")),
    ops.LinePrice: lambda step, _: _LINE_PRICE[step.part],
    ops.Default: _default,
    ops.Trim: lambda step, _: "without blanks at the ends",
    ops.Case: lambda step, _: "in small letters" if step.to == "lower" else "in capital letters",
    ops.CollapseSpace: lambda step, _: "with single blanks",
    ops.StripHtml: lambda step, _: "without HTML",
    ops.CleanText: lambda step, _: (
        "without control characters and emoji" if step.emoji == "remove" else "without control characters"
    ),
    ops.MaxLength: _max_length,
    ops.ReplaceLiteral: lambda step, _: (
        f"with “{step.find}” replaced by “{step.with_}”" if step.with_ else f"without “{step.find}”"
    ),
    ops.RegexExtract: lambda step, _: f"the part that fits {step.pattern}",
    ops.LookupTable: lambda step, _: f"by the table {step.table}",
    ops.CountryName: lambda step, _: "as the country's English name",
    ops.ParseInstant: lambda step, _: "read as a moment in time",
    ops.ToDate: lambda step, settings: f"as calendar date {_zone(step.zone, settings)}",
    ops.AddDays: lambda step, _: f"{abs(step.days)} days {'later' if step.days >= 0 else 'earlier'}",
    ops.ToDecimal: _decimal,
    ops.ToInt: lambda step, _: "as a whole number",
    ops.ToBool: lambda step, _: "as true or false",
    ops.ToMoney: lambda step, _: f"as an amount in {_path(step.currency)}",
    ops.Multiply: lambda step, _: f"times {step.by}",
    ops.Negate: lambda step, _: "with the other sign",
    ops.Abs: lambda step, _: "without sign",
}


def _money(money: LineMoney) -> str:
    text = (
        f"priced from {_path(money.quantity)} and {_path(money.unit_price)} in {_path(money.currency)}"
        f" so that the lines come to {_path(money.total)}"
    )
    extras = [charge.name.lower() for charge in money.charges]
    return f"{text}; {_list(extras, 'and')} become lines of their own" if extras else text


def _gate(rule: GateRule) -> str:
    if rule.when.present is not None and not rule.when.present.segments:
        return f"Otherwise the record {_ACTIONS[rule.do]}: {rule.reason}."
    return f"If {condition_in_words(rule.when)}, the record {_ACTIONS[rule.do]}: {rule.reason}."


def _flow_step(step: FlowStep) -> str:
    what = step.target or step.entity or step.of or ""
    match = f" looked up by {_list(step.match, 'or')}" if step.match else ""
    text = {
        "create_if_missing": f"Create the {what} unless there is one{match}",
        "create_once": f"Create the {what} exactly once",
        "upsert": f"Create the {what}, or update what changed{match}",
        "find": f"Find the {what} that another flow made, or wait for it",
        "lookup": f"Look for the {what}{match}; nothing is written",
        "mark_as_sent": f"Mark the {what} as sent once its total agrees",
    }[step.do]
    if step.each is not None:
        text += f", for each of {_path(step.each)}"
    if step.when is not None:
        text += f", if {condition_in_words(step.when)}"
    keys = f" (key {' or '.join(step.key)})" if step.key else ""
    return f"{text}{keys}."


def _assertion(rule: Assertion) -> str:
    unless = f" unless {_must(rule)}" if rule.equal is None and rule.at_most is None else ""
    fate = "Held" if rule.on_fail == "hold" else "Noted"
    return f"{fate}{unless}: {rule.id} ({rule.message})." if unless else f"{fate} when not: {rule.id} ({rule.message})."


def _must(rule: Assertion) -> str:
    if rule.same_text is not None:
        return f"{_path(rule.same_text[0])} and {_path(rule.same_text[1])} read the same"
    if rule.required_together is not None:
        return f"{_list(map(_path, rule.required_together), 'and')} are all there or all empty"
    if rule.one_of_present is not None:
        return f"{_list(map(_path, rule.one_of_present), 'or')} is there"
    if rule.not_empty is not None:
        return f"{_path(rule.not_empty)} has an element"
    if rule.unique is not None:
        return f"no two of {_path(rule.unique)} are the same"
    predicted = rule.predicted_total
    if predicted is None:
        return "the totals agree"
    under = "every" if predicted.rounding == "every" else "a"
    near = f" within {rule.within} minor units" if rule.within else ""
    return f"FreshBooks' total of {predicted.lines} comes to {_path(predicted.total)}{near} under {under} rounding rule"


def _bracketed(condition: Condition) -> str:
    text = condition_in_words(condition)
    return f"({text})" if condition.all is not None or condition.any is not None else text


def _negated(condition: Condition) -> str:
    text = condition_in_words(condition)
    if (condition.in_ or condition.equal) and " is " in text:
        return text.replace(" is ", " is not ", 1)
    return f"not ({text})"


def _list(parts: Iterable[str], word: str) -> str:
    found = list(parts)
    if len(found) < 2:
        return "".join(found)
    return f"{', '.join(found[:-1])} {word} {found[-1]}"
