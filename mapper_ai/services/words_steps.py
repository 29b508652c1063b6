"""Steps in plain words: `orderDate, read as a moment in time, as calendar date in the store's time zone`. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from mapper_ai.services.words_conditions import condition_in_words, listed, path_in_words
from mapspec import ops
from mapspec.numbers import plain
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


def steps_in_words(steps: Sequence[ops.Operation], settings: Mapping[str, str] | None = None) -> str:
    """A chain: `orderDate, read as a moment in time, as calendar date in the store's time zone`."""
    if not steps:
        return "nothing"
    return ", ".join(_step(step, settings or {}) for step in steps)


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
    paths = [path_in_words(path) for path in step.paths()]
    return paths[0] if len(paths) == 1 else f"the first of {listed(paths, 'or')} that is there"


def _template(step: Any, settings: Mapping[str, str]) -> str:
    text = step.text
    for path in step.paths():
        text = text.replace("{" + path.text + "}", f"‹{path_in_words(path)}›")
    return f"the text “{text.replace('{#}', '‹position›')}”"


def _join(step: Any, settings: Mapping[str, str]) -> str:
    parts = [steps_in_words(part, settings) for part in step.parts]
    return f"joined by {_glue(step.with_)}: {listed([f'({part})' if ', ' in part else part for part in parts], 'and')}"


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


def _glue(text: str) -> str:
    names = {" ": "a blank", "\n": "a new line", ", ": "a comma", "": "nothing"}
    return names.get(text, f"“{text.strip()}”")


def _number(other: Decimal | Path) -> str:
    return path_in_words(other) if isinstance(other, Path) else plain(other)


def _rounded(step: Any) -> str:
    way = {"half_up": "", "half_even": ", halves to the even digit", "down": ", downwards"}[step.rounding]
    return f"rounded to {step.places} digits after the point{way}"


def _scale(step: Any, settings: Mapping[str, str]) -> str:
    if step.minor_units_of is not None:
        return f"from minor units of {path_in_words(step.minor_units_of)}"
    by = step.by or 0
    return f"with the point {abs(by)} digits to the {'right' if by > 0 else 'left'}"


def _place(part: int) -> str:
    return f"number {part}" if part > 0 else "the last" if part == -1 else f"number {-part} from the end"


def _phone(step: Any, settings: Mapping[str, str]) -> str:
    code = step.country_code
    if code is not None and code.startswith("settings."):
        code = settings.get(code[9:], f"the setting {code[9:]}")
    return "as a phone number" + (f" of the calling code {code}" if code else "")


def _map_enum(step: Any, settings: Mapping[str, str]) -> str:
    rows = listed([f"“{key}” becomes “{value}”" for key, value in step.rows.items()], "and")
    other = {"keep": ", others stay", "absent": ", others are left out", "default": f", others “{step.default}”"}
    return rows + other.get(step.missing, "")


def _formats(formats: str | tuple[str, ...]) -> str:
    return formats if isinstance(formats, str) else listed(formats, "or")


def _where(step: Any) -> str:
    return f" where {condition_in_words(step.where)}" if step.where is not None else ""


def _allocate(step: Any, settings: Mapping[str, str]) -> str:
    share = "the shares" if step.give == "list" else "its share"
    amount, over = path_in_words(step.amount), path_in_words(step.over)
    return f"{share} of {amount}, spread over {over} by {path_in_words(step.weight)}"


_WORDS: Final[dict[type[ops.Operation], Callable[[Any, Mapping[str, str]], str]]] = {
    ops.ReadPath: lambda step, _: (
        path_in_words(step.path) if not step.path.many else f"the first {path_in_words(step.path)}"
    ),
    ops.Const: lambda step, _: f"always “{step.value}”",
    ops.Setting: lambda step, settings: f"the setting {step.key} (“{settings.get(step.key, '')}”)",
    ops.Coalesce: _coalesce,
    ops.Template: _template,
    ops.Join: _join,
    ops.When: _when,
    ops.LookupRemote: lambda step, _: f"the {step.member} that the search {step.step} found",
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
    ops.FromEpoch: lambda step, _: f"read as {'milli' if step.unit == 'ms' else ''}seconds since 1970",
    ops.ToDate: lambda step, settings: f"as calendar date {_zone(step.zone, settings)}",
    ops.AddDays: lambda step, _: f"{abs(step.days)} days {'later' if step.days >= 0 else 'earlier'}",
    ops.ToDecimal: _decimal,
    ops.ToInt: lambda step, _: "as a whole number",
    ops.ToBool: lambda step, _: "as true or false",
    ops.ToMoney: lambda step, _: f"as an amount in {path_in_words(step.currency)}",
    ops.Multiply: lambda step, _: f"times {_number(step.by)}",
    ops.Add: lambda step, _: f"plus {_number(step.number)}",
    ops.Subtract: lambda step, _: f"less {_number(step.number)}",
    ops.Divide: lambda step, _: f"divided by {_number(step.by)}, {_rounded(step)}",
    ops.PercentOf: lambda step, _: (
        f"that many percent of {_number(step.number)}" + ("" if step.places is None else f", {_rounded(step)}")
    ),
    ops.Scale: _scale,
    ops.Round: lambda step, _: _rounded(step),
    ops.ParseNumber: lambda step, _: (
        "read as a number" if step.locale == "auto" else f"read as a number written the {step.locale} way"
    ),
    ops.NormalizeUnicode: lambda step, _: f"in the Unicode form {step.form}",
    ops.SplitPart: lambda step, _: f"{_place(step.part)} of its parts between “{step.on}”",
    ops.Split: lambda step, _: f"cut at “{step.on}”",
    ops.UrlEncode: lambda step, _: "encoded for a web address",
    ops.EscapeHtml: lambda step, _: "escaped for HTML",
    ops.Hash: lambda step, _: f"as a hash of {step.length} digits",
    ops.SplitName: lambda step, _: f"the {step.part} name in it",
    ops.Phone: _phone,
    ops.MapEnum: _map_enum,
    ops.CountryCode: lambda step, _: "as the country's code of two letters",
    ops.Region: lambda step, _: f"as the {step.to} of the state or province",
    ops.CurrencyCode: lambda step, _: "as the currency's code",
    ops.ParseDate: lambda step, _: f"read as a date written {_formats(step.format)}",
    ops.FormatDate: lambda step, _: f"as a date written {step.format}",
    ops.DaysBetween: lambda step, settings: f"the days until ({steps_in_words(step.to, settings)})",
    ops.ReadList: lambda step, _: f"all of {path_in_words(step.path)}",
    ops.Each: lambda step, settings: f"each of them ({steps_in_words(step.steps, settings)})",
    ops.Filter: lambda step, _: f"those where {condition_in_words(step.where)}",
    ops.First: lambda step, _: "the first of them" + _where(step),
    ops.Last: lambda step, _: "the last of them" + _where(step),
    ops.IndexBy: lambda step, _: f"by {path_in_words(step.key)}",
    ops.GroupBy: lambda step, _: f"in groups by {path_in_words(step.key)}",
    ops.Get: lambda step, _: (
        f"its {step.member}" if step.by is None else f"the member that {path_in_words(step.by)} names"
    ),
    ops.Flatten: lambda step, _: "as one list",
    ops.Append: lambda step, settings: f"and ({steps_in_words(step.steps, settings)})",
    ops.Count: lambda step, _: (
        "how many there are" if step.path is None else f"how many {path_in_words(step.path)} there are"
    ),
    ops.Sum: lambda step, _: f"the sum of {listed(map(path_in_words, step.paths()), 'and') or 'them'}",
    ops.Concat: lambda step, _: f"joined by {_glue(step.with_)}",
    ops.Allocate: _allocate,
    ops.Negate: lambda step, _: "with the other sign",
    ops.Abs: lambda step, _: "without sign",
}
