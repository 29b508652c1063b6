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
_TAG: Final = re.compile(r"<[a-zA-Z/][^<>]*>|&[a-z]{2,8};")


@dataclass(frozen=True)
class Plan:
    """What was planned.

    Attributes:
        steps: Operations as in a spec file.
        check: Checks as in a spec file.
        tables: New tables by name, as in a spec file.
        problem: Why the plan is not ready; "" when it is.
    """

    steps: tuple[Step, ...] = ()
    check: tuple[Step, ...] = ()
    tables: dict[str, dict[str, Any]] = field(default_factory=dict)
    problem: str = ""


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
    if goal.enum and goal.type == "text":
        return _by_table(steps, sources, goal)
    maker = {
        "date": _date,
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
    made = [*steps, {"parse_instant": None}, {"to_date": place.zone}]
    return Plan(tuple(made), ({"format": "date"},))


def _money(steps: list[Step], sources: Sequence[FieldProfile], goal: Goal, place: Place) -> Plan:
    if not place.currency:
        return Plan(tuple(steps), problem="no source field gives the currency of the amount")
    return Plan((*steps, {"money": place.currency}))


def _number(steps: list[Step], sources: Sequence[FieldProfile], goal: Goal, place: Place) -> Plan:
    return Plan((*steps, {goal.type: None}))


def _text(steps: list[Step], sources: Sequence[FieldProfile], goal: Goal, place: Place) -> Plan:
    made = list(steps)
    last = goal.path.rsplit(".", 1)[-1]
    if goal.format == "email":
        return Plan((*made, {"trim": None}, {"case": "lower"}), ({"format": "email"},))
    if goal.format == "currency":
        return Plan((*made, {"trim": None}, {"case": "upper"}), ({"format": "currency"},))
    if goal.format == "country-name":
        return Plan((*made, {"trim": None}, {"country_name": None}))
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
        ({"enum": list(goal.enum)},),
        {name: {"rows": rows}},
    )
    if unknown:
        shown = ", ".join(f"“{value[:40]}”" for value in unknown[:3])
        more = f" and {len(unknown) - 3} more" if len(unknown) > 3 else ""
        return Plan(plan.steps, plan.check, plan.tables, f"no allowed value is like {shown}{more}: fill the table")
    return plan


def _like(value: str, allowed: Sequence[str]) -> str | None:
    """The allowed value that reads the same without case, blanks and punctuation; a country by its code or name."""
    wanted = _bare(value)
    for candidate in allowed:
        if _bare(candidate) == wanted:
            return candidate
    named = countries().get(value.strip().upper())
    return next((candidate for candidate in allowed if named and _bare(candidate) == _bare(named)), None)


def _bare(text: str) -> str:
    return re.sub(r"[\W_]+", "", text.casefold())
