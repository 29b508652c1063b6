"""The closed catalogue of operations. A field's value is made by a chain of them, each with typed input and output.

Nothing here evaluates text: an operation is a model with named arguments, compiled once to a function. In YAML a
step is one key with its argument: `{trim: }`, `{case: lower}`, `{max_length: {n: 255, over: truncate}}`.
An absent value (None) runs through every operation but those that supply one (const, default, coalesce, ...).
`docs/spec-operations.md` shows them all; `mapspec.ops.page` writes it.
"""

from mapspec.ops.amounts import (
    Abs,
    Add,
    Divide,
    Multiply,
    Negate,
    PercentOf,
    Round,
    Scale,
    Subtract,
)
from mapspec.ops.base import (
    CATALOGUE,
    MAX_TEXT_LENGTH,
    Chain,
    CompileContext,
    Example,
    Operation,
    Step,
    StepField,
    Table,
    bind_chain,
    bind_source,
    first_problem,
    parse_step,
    plain_text,
    text_of,
    write_step,
)
from mapspec.ops.codes import CountryCode, CountryName, CurrencyCode, LookupTable, MapEnum, Region, countries
from mapspec.ops.convert import ToBool, ToDecimal, ToInt, ToMoney
from mapspec.ops.dates import (
    AS_WRITTEN,
    AddDays,
    DaysBetween,
    FormatDate,
    ParseDate,
    ParseInstant,
    ToDate,
    load_zone,
    parse_instant,
)
from mapspec.ops.flowvalues import NOT_LOOKED_UP, LinePrice, LookupRemote, Output, StepOutput
from mapspec.ops.gather import Concat, Count, Sum
from mapspec.ops.keyed import Get, GroupBy, IndexBy
from mapspec.ops.lists import Append, Each, Filter, First, Flatten, Last, ReadList
from mapspec.ops.localnumbers import ParseNumber
from mapspec.ops.operands import Operand
from mapspec.ops.people import Phone, SplitName
from mapspec.ops.plaintext import linear_pattern, strip_html, truncate, well_formed
from mapspec.ops.sources import (
    Coalesce,
    Const,
    Default,
    Join,
    ReadPath,
    Setting,
    Template,
    When,
    message_of,
    placeholders,
)
from mapspec.ops.spread import Allocate
from mapspec.ops.texts import (
    Case,
    CleanText,
    CollapseSpace,
    EscapeHtml,
    Hash,
    MaxLength,
    NormalizeUnicode,
    RegexExtract,
    ReplaceLiteral,
    Split,
    SplitPart,
    StripHtml,
    Trim,
    UrlEncode,
)

# The operations by theme, in the order in which the page shows them.
THEMES: dict[str, tuple[type[Operation], ...]] = {
    "Where values come from": (
        ReadPath, Const, Setting, Coalesce, Default, Template, Join, When, StepOutput, LookupRemote, LinePrice,
    ),
    "Texts": (
        Trim, Case, CollapseSpace, StripHtml, CleanText, NormalizeUnicode, MaxLength, ReplaceLiteral, RegexExtract,
        SplitPart, Split, UrlEncode, EscapeHtml, Hash,
    ),
    "People": (SplitName, Phone),
    "Codes and tables": (LookupTable, MapEnum, CountryName, CountryCode, Region, CurrencyCode),
    "Dates": (ParseDate, FormatDate, ParseInstant, ToDate, AddDays, DaysBetween),
    "Numbers": (
        ToDecimal, ParseNumber, ToInt, ToBool, ToMoney, Add, Subtract, Multiply, Divide, PercentOf, Scale, Round,
        Negate, Abs,
    ),
    "Lists": (
        ReadList, Each, Filter, First, Last, IndexBy, GroupBy, Get, Flatten, Append, Count, Sum, Concat, Allocate,
    ),
}  # fmt: skip
CATALOGUE.update({kind.name: kind for kinds in THEMES.values() for kind in kinds})

__all__ = [
    "AS_WRITTEN",
    "CATALOGUE",
    "MAX_TEXT_LENGTH",
    "NOT_LOOKED_UP",
    "THEMES",
    "Abs",
    "Add",
    "AddDays",
    "Allocate",
    "Append",
    "Case",
    "Chain",
    "CleanText",
    "Coalesce",
    "CollapseSpace",
    "CompileContext",
    "Concat",
    "Const",
    "Count",
    "CountryCode",
    "CountryName",
    "CurrencyCode",
    "DaysBetween",
    "Default",
    "Divide",
    "Each",
    "EscapeHtml",
    "Example",
    "Filter",
    "First",
    "Flatten",
    "FormatDate",
    "Get",
    "GroupBy",
    "Hash",
    "IndexBy",
    "Join",
    "Last",
    "LinePrice",
    "LookupRemote",
    "LookupTable",
    "MapEnum",
    "MaxLength",
    "Multiply",
    "Negate",
    "NormalizeUnicode",
    "Operand",
    "Operation",
    "Output",
    "ParseDate",
    "ParseInstant",
    "ParseNumber",
    "PercentOf",
    "Phone",
    "ReadList",
    "ReadPath",
    "RegexExtract",
    "Region",
    "ReplaceLiteral",
    "Round",
    "Scale",
    "Setting",
    "Split",
    "SplitName",
    "SplitPart",
    "Step",
    "StepField",
    "StepOutput",
    "StripHtml",
    "Subtract",
    "Sum",
    "Table",
    "Template",
    "ToBool",
    "ToDate",
    "ToDecimal",
    "ToInt",
    "ToMoney",
    "Trim",
    "UrlEncode",
    "When",
    "bind_chain",
    "bind_source",
    "countries",
    "first_problem",
    "linear_pattern",
    "load_zone",
    "message_of",
    "parse_instant",
    "parse_step",
    "placeholders",
    "plain_text",
    "strip_html",
    "text_of",
    "truncate",
    "well_formed",
    "write_step",
]
