"""Steps and checks for a pair of fields, made from types, formats, contract and sample values. Pure.

A plan is a proposal in YAML terms; whoever asked for it runs it on the samples before showing it as ready.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from mapper_ai.core.combine import How
from mapper_ai.core.profile import FieldProfile
from mapper_ai.services.goals import Goal
from mapspec.ops import countries

Step = dict[str, Any]
# Texts where a line break or a run of blanks is a slip of the keyboard, and where it is meant.
_PROSE: Final = re.compile(r"note|description|memo|comment|text|terms|address$|body", re.IGNORECASE)
_KEYS: Final = re.compile(r"number|sku|(^|[._])id$|code$|reference|token|email", re.IGNORECASE)
_JOINED: Final = re.compile(r"name|address|street|note|description|memo|comment", re.IGNORECASE)
_DAY: Final = re.compile(r"(\d{1,2})([/.])(\d{1,2})[/.]\d{4}")
_AMOUNT: Final = re.compile(r"amount|price|total|tax$|cost|fee|discount|balance|money|tip|paid|due$", re.IGNORECASE)
_MINOR_FROM: Final = 1000
_MINOR_COUNT: Final = 3
_LAST: Final = re.compile(r"[_\s.-]+")
# Values that mean the same in the trade; what they become is a proposal, and never accepted without a person.
_ALIKE: Final = (
    frozenset({"open", "unpaid", "notpaid", "outstanding", "awaitingpayment", "pending", "paymentdue", "due"}),
    frozenset({"paid", "settled", "paidinfull", "fullypaid"}),
    frozenset({"cancelled", "canceled", "void", "voided"}),
    frozenset({"physical", "goods", "good", "product", "inventory", "material"}),
    frozenset({"service", "services"}),
    frozenset({"active", "enabled"}),
    frozenset({"inactive", "disabled", "archived"}),
)
_TAG: Final = re.compile(r"<[a-zA-Z/][^<>]*>|&[a-z]{2,8};")


@dataclass(frozen=True)
class Plan:
    """What was planned.

    Attributes:
        steps: Operations as in a spec file.
        check: Checks as in a spec file.
        tables: New tables by name, as in a spec file.
        problem: Why the plan is not ready; "" when it is.
        doubt: What a person must look at although it is ready; "" when nothing.
    """

    steps: tuple[Step, ...] = ()
    check: tuple[Step, ...] = ()
    tables: dict[str, dict[str, Any]] = field(default_factory=dict)
    problem: str = ""
    doubt: str = ""


@dataclass(frozen=True)
class Place:
    """Where a rule stands.

    Attributes:
        each: Source list of the block or step around it, "" at the top.
        currency: Path that gives the currency, as the rule would write it; "" when none is known.
        zone: Argument of to_date.
    """

    each: str = ""
    currency: str = ""
    zone: str = "as_written"


def plan_steps(sources: Sequence[FieldProfile], goal: Goal, place: Place, how: How = "") -> Plan:
    """Steps from one or several source fields to a target field.

    Args:
        sources: In order of preference, or of joining. A field without samples may be a bare profile.
        goal: The target field.
        place: Surroundings of the rule.
        how: How several sources, or the items of a list, become one value; "" leaves it to the target.
    """
    if not sources:
        return Plan(problem="no source field")
    for entry in sources:
        if not entry.addressable or "[][]" in entry.path:
            return Plan(problem=f"{entry.path} cannot be written as a path")
    steps = _combined(sources, goal, place.each, how)
    if goal.enum and goal.type == "text" and (not goal.seen or all(entry.is_enum for entry in sources)):
        return _by_table(steps, sources, goal)
    maker = {
        "date": _date,
        "instant": _instant,
        "money": _money,
        "decimal": _number,
        "int": _number,
        "bool": _number,
        "list": _refused,
        "object": _refused,
    }.get(goal.type, _text)
    return maker(steps, sources, goal, place)


def relative(path: str, each: str) -> str:
    """A source path as a rule inside a list writes it: `.sku` within `lineItems[]`."""
    if each and path == each:
        return "."
    if each and path.startswith(each + "."):
        return path[len(each) :]
    return f"$.{path}" if path.startswith(("values.", "settings.")) else path


def _combined(sources: Sequence[FieldProfile], goal: Goal, each: str, how: How) -> list[Step]:
    paths = [relative(entry.path, each) for entry in sources]
    if how == "multiply":
        return [{"path": paths[0]}, {"decimal": None}, *({"multiply": path} for path in paths[1:])]
    if how == "sum":
        return [{"sum": paths}]
    if how == "join":
        return [{"join": [[{"path": path}, {"trim": None}] for path in paths]}]
    return [_read(sources, goal, each)]


def _read(sources: Sequence[FieldProfile], goal: Goal, each: str) -> Step:
    paths = [relative(entry.path, each) for entry in sources]
    if len(paths) == 1:
        return {"path": paths[0]}
    if goal.type == "text" and not goal.enum and _JOINED.search(goal.path.rsplit(".", 1)[-1]):
        return {"join": [[{"path": path}, {"trim": None}] for path in paths]}
    return {"coalesce": paths}


def _refused(steps: list[Step], sources: Sequence[FieldProfile], goal: Goal, place: Place) -> Plan:
    return Plan(tuple(steps), problem=f"{goal.path} is {'a list' if goal.type == 'list' else 'an object'} of its own")


def _date(steps: list[Step], sources: Sequence[FieldProfile], goal: Goal, place: Place) -> Plan:
    reading, problem = _read_moment(sources)
    made = [*steps, reading, *([] if "parse_date" in reading else [{"to_date": place.zone}])]
    return Plan(tuple(made), ({"format": "date"},), problem=problem)


def _instant(steps: list[Step], sources: Sequence[FieldProfile], goal: Goal, place: Place) -> Plan:
    reading, problem = _read_moment(sources)
    if "parse_date" in reading:
        problem = problem or "the source holds days without a time"
    return Plan((*steps, reading), problem=problem)


def _read_moment(sources: Sequence[FieldProfile]) -> tuple[Step, str]:
    """The step that reads what the samples hold, and why there is none that surely does."""
    digits = {len(value) for entry in sources for value in entry.values if entry.format == "integer"}
    if digits and digits <= {9, 10}:
        return {"from_epoch": "s"}, ""
    if digits and digits <= {12, 13}:
        return {"from_epoch": "ms"}, ""
    written = [match for entry in sources for value in entry.values if (match := _DAY.fullmatch(value.strip()))]
    if not written or len(written) < sum(len(entry.values) for entry in sources):
        return {"parse_instant": None}, ""
    sign = written[0][2]
    if sign == ".":
        return {"parse_date": "D.M.YYYY"}, ""
    first, second = (max(int(match[group]) for match in written) for group in (1, 3))
    if first > 12 and second <= 12:
        return {"parse_date": f"D{sign}M{sign}YYYY"}, ""
    if second > 12 and first <= 12:
        return {"parse_date": f"M{sign}D{sign}YYYY"}, ""
    return {"parse_date": f"D{sign}M{sign}YYYY"}, "the samples do not show which is the day and which the month"


def _money(steps: list[Step], sources: Sequence[FieldProfile], goal: Goal, place: Place) -> Plan:
    if not place.currency:
        return Plan(tuple(steps), problem="no source field gives the currency of the amount")
    scale, doubt = _scale(sources, place)
    return Plan((*steps, *scale, {"money": place.currency}), doubt=doubt)


def _number(steps: list[Step], sources: Sequence[FieldProfile], goal: Goal, place: Place) -> Plan:
    if goal.type != "decimal":
        return Plan((*steps, {goal.type: None}))
    scale, doubt = _scale(sources, place)
    return Plan((*steps, *(scale or [{"decimal": None}])), doubt=doubt)


def _scale(sources: Sequence[FieldProfile], place: Place) -> tuple[list[Step], str]:
    """Minor units to an amount where the samples hold whole numbers only, as payment systems write money."""
    whole = [entry for entry in sources if entry.types.get("integer", 0.0) + entry.types.get("null", 0.0) == 1.0]
    counted = any((entry.maximum or 0) >= _MINOR_FROM and entry.distinct >= _MINOR_COUNT for entry in whole)
    if len(whole) < len(sources) or not counted or not all(_AMOUNT.search(entry.path) for entry in sources):
        return [], ""
    names = " + ".join(entry.path for entry in sources)
    doubt = f"{names} holds whole numbers only and is taken for minor units (cents)"
    return [{"scale": {"minor_units_of": place.currency} if place.currency else "-2"}], doubt


def _text(steps: list[Step], sources: Sequence[FieldProfile], goal: Goal, place: Place) -> Plan:
    made = list(steps)
    last = goal.path.rsplit(".", 1)[-1]
    if goal.format == "email":
        return Plan((*made, {"trim": None}, {"case": "lower"}), ({"format": "email"},))
    if goal.format == "currency":
        return Plan((*made, {"trim": None}, {"case": "upper"}), ({"format": "currency"},))
    if goal.format == "country-name":
        return Plan((*made, {"trim": None}, {"country_name": None}))
    if goal.format == "country-code":
        return Plan((*made, {"trim": None}, {"country_code": "hold"}))
    if goal.format == "phone":
        made.append({"phone": None})
    if any(_TAG.search(value) for entry in sources for value in entry.examples):
        made.append({"strip_html": None})
    if _KEYS.search(last):
        made.append({"trim": None})
    else:
        made.append({"clean_text": None})
        if not _PROSE.search(last):
            made.append({"collapse_space": None})
    if goal.max_length:
        # A key that was cut points to another record; prose that was cut is still prose.
        over = "error" if _KEYS.search(last) else "truncate"
        made.append({"max_length": {"n": str(goal.max_length), "over": over}})
    return Plan(tuple(made))


def _by_table(steps: list[Step], sources: Sequence[FieldProfile], goal: Goal) -> Plan:
    """A table from the samples' values to the allowed ones; a value without a like one is named."""
    seen = sorted({value for entry in sources for value in entry.values})
    rows: dict[str, str] = {}
    unknown: list[str] = []
    for value in seen:
        like = _like(value, goal.enum)
        if like is None:
            unknown.append(value)
        else:
            rows.setdefault(value.casefold(), like)
    name = re.sub(r"[^a-z0-9]+", "_", goal.path.lower()).strip("_")
    plan = Plan(
        (*steps, {"trim": None}, {"lookup_table": name}),
        () if goal.seen else ({"enum": list(goal.enum)},),
        {name: {"rows": rows}},
    )
    if unknown:
        shown = ", ".join(f"“{value[:40]}”" for value in unknown[:3])
        more = f" and {len(unknown) - 3} more" if len(unknown) > 3 else ""
        return Plan(plan.steps, plan.check, plan.tables, f"no allowed value is like {shown}{more}: fill the table")
    return plan


def _like(value: str, allowed: Sequence[str]) -> str | None:
    """The allowed value that reads the same without case, blanks and punctuation, or means the same in the trade.

    A country is known by its code or name. Of two values that would do, neither is chosen.
    """
    wanted = _bare(value)
    for candidate in allowed:
        if _bare(candidate) == wanted:
            return candidate
    group = next((words for words in _ALIKE if wanted in words), frozenset())
    alike = [
        candidate for candidate in allowed if _bare(candidate) in group or _bare(_LAST.split(candidate)[-1]) in group
    ]
    if len(alike) == 1:
        return alike[0]
    named = countries().get(value.strip().upper())
    return next((candidate for candidate in allowed if named and _bare(candidate) == _bare(named)), None)


def _bare(text: str) -> str:
    return re.sub(r"[\W_]+", "", text.casefold())
