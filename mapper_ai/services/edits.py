"""Changes a person makes to a spec: another source, other steps, without what was rejected. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from pydantic import ValidationError

from mapper_ai.core.profile import Profile
from mapper_ai.errors import UnknownPartError
from mapper_ai.services.additions import plan_rule
from mapper_ai.services.goals import Goal
from mapper_ai.services.sources import block_of
from mapper_ai.services.steps_by_rule import relative
from mapper_ai.services.targets import target_goals
from mapspec import MappingSpec, SpecError, ops
from mapspec.fingerprint import FLOW
from mapspec.model import FieldRule, ListBlock, Origin, TableRule, TargetRule
from mapspec.ops import first_problem
from mapspec.paths import parse_path
from mapspec.validations import parse_check
from mapspec.yamltext import read_yaml

# Members of the money block that a priced line's field is changed by.
_PRICED_BY: Final = {"quantity": "quantity", "unit_cost": "unit_price"}


def change_source(spec: MappingSpec, part: str, sources: Sequence[str], profile: Profile) -> MappingSpec:
    """A copy in which a part reads other source fields, with steps by rule.

    Args:
        spec: A spec.
        part: A field, a list member or a named value; it may have no rule yet.
        sources: Paths from the record's root.
        profile: What is known of the source fields.

    Raises:
        UnknownPartError: The part has no source of its own, or there is no such target.
        SpecError: A source is no path, or no rule can be made.
    """
    paths = [_checked(path) for path in sources]
    if not paths:
        raise SpecError("choose at least one source field", where=part)
    goal = goal_of(spec, part)
    old = spec.rules().get(part)
    priced = next((step for step in old.steps if isinstance(step, ops.LinePrice)), None) if old else None
    if priced is not None:
        return _change_pricing(spec, part, priced.part, paths)
    spec = with_list(spec, part, paths)
    rule, tables, problem = plan_rule(spec, part, paths, goal, profile)
    if old is not None:
        rule = rule.model_copy(update={"required": old.required, "check": rule.check or old.check})
    marked = rule.model_copy(update={"origin": Origin(by="person"), "note": problem or None})
    return with_rule(spec, part, marked, tables)


def change_steps(spec: MappingSpec, part: str, steps_yaml: str) -> MappingSpec:
    """A copy in which a part has other steps; checks and `required` stay.

    Raises:
        UnknownPartError: The part has no steps of its own, or there is no such target.
        SpecError: The text is no list of steps; with the line in it.
    """
    goal = goal_of(spec, part)
    old = spec.rules().get(part)
    data, lines = read_yaml(steps_yaml, where=part)
    if not isinstance(data, list) or not data:
        raise SpecError("write one step a line, such as '- {path: customer.email}'", where=part, line=1)
    kept: dict[str, Any] = {"required": goal.required}
    if old is not None:
        kept = {"required": old.required, "check": old.check, "on_fail": old.on_fail}
    try:
        rule = FieldRule.model_validate({**kept, "steps": data, "origin": {"by": "person"}})
    except ValidationError as error:
        loc, message = first_problem(error)
        place = tuple(piece for piece in loc if piece != "steps")
        line = next((lines[place[:end]] for end in range(len(place), 0, -1) if place[:end] in lines), 1)
        raise SpecError(message, where=part, line=line) from None
    return with_rule(with_list(spec, part, []), part, rule, {})


def change_checks(spec: MappingSpec, part: str, checks_yaml: str) -> MappingSpec:
    """A copy in which a part has other checks; an empty text takes all of them away.

    Raises:
        UnknownPartError: The part has no rule.
        SpecError: The text is no list of checks; with the line in it.
    """
    old = spec.rules().get(part)
    if old is None:
        raise UnknownPartError(f"{part} has no rule: choose a source first")
    data, lines = read_yaml(checks_yaml, where=part) if checks_yaml.strip() else ([], {})
    if not isinstance(data, list):
        raise SpecError("write one check a line, such as '- {format: email}'", where=part, line=1)
    found = []
    for number, entry in enumerate(data):
        try:
            found.append(parse_check(entry))
        except ValueError as error:
            raise SpecError(str(error), where=part, line=lines.get((number,), 1)) from None
    changed = old.model_copy(update={"check": tuple(found), "origin": Origin(by="person")})
    return with_rule(spec, part, changed, {})


def change_table(spec: MappingSpec, name: str, table: TableRule) -> MappingSpec:
    """A copy with another table; every part that uses it changes with it.

    Raises:
        UnknownPartError: There is no such table.
    """
    if name not in spec.tables:
        raise UnknownPartError(f"there is no table '{name}'; known: {', '.join(spec.tables) or 'none'}")
    return spec.model_copy(update={"tables": {**spec.tables, name: table}})


def goal_of(spec: MappingSpec, part: str) -> Goal:
    """The target field of a part; named values are texts.

    Raises:
        UnknownPartError: The flow, a list's head, or no target field.
    """
    if part == FLOW or part in spec.blocks():
        raise UnknownPartError(f"{part} is no field: change it in the mapping file")
    if part.startswith("values."):
        if part[7:] not in spec.values:
            raise UnknownPartError(f"there is no value '{part[7:]}'; known: {', '.join(spec.values) or 'none'}")
        return Goal(part[7:], part[7:], "text", format="currency" if part == "values.currency" else "")
    for goals in target_goals(spec):
        for goal in goals.goals:
            if f"{goals.name}.{goal.path}" == part and not goal.read_only and not goal.nested:
                return goal
    if part in spec.rules():
        # A target without a contract: its fields are what the spec says.
        name = part.split(".", 1)[1]
        return Goal(name, name, "text")
    raise UnknownPartError(f"there is no target field '{part}' that can be written")


def without_rejected(spec: MappingSpec) -> MappingSpec:
    """A copy without rejected fields and lists; a rejected flow or value stays and keeps the spec from running."""
    fields: dict[str, TargetRule] = {}
    for target, entry in spec.fields.items():
        if entry.approval.state == "rejected":
            continue
        if isinstance(entry, ListBlock):
            inner = {name: rule for name, rule in entry.fields.items() if rule.approval.state != "rejected"}
            fields[target] = entry.model_copy(update={"fields": inner})
        else:
            fields[target] = entry
    return spec.model_copy(update={"fields": fields})


def _checked(path: str) -> str:
    try:
        return parse_path(path).text.strip()
    except ValueError as error:
        raise SpecError(str(error), where="source") from None


def _change_pricing(spec: MappingSpec, part: str, priced: str, paths: Sequence[str]) -> MappingSpec:
    target = part[: part.index("[]") + 2]
    block = spec.blocks()[target]
    member = _PRICED_BY.get(priced)
    if member is None or block.money is None:
        raise UnknownPartError(f"{part} is worked out by pricing the lines: change {target} in the mapping file")
    if len(paths) != 1:
        raise SpecError("pricing reads one field: choose one source", where=part)
    path = parse_path(relative(paths[0], block.each.source_path()))
    money = block.money.model_copy(update={member: path})
    changed = block.model_copy(update={"money": money, "origin": Origin(by="person")})
    return spec.model_copy(update={"fields": {**spec.fields, target: changed}})


def with_list(spec: MappingSpec, part: str, paths: Sequence[str]) -> MappingSpec:
    """A spec that has the list block around a part.

    Raises:
        UnknownPartError: There is none, and no path says which source list it would be.
    """
    if "[]." not in part or block_of(spec, part) is not None:
        return spec
    target = part[: part.index("[]") + 2]
    first = next((path for path in paths if "[]" in path), None)
    if first is None:
        raise UnknownPartError(f"{target} has no source list yet: choose a source inside a list first")
    block = ListBlock.model_validate({"each": first[: first.index("[]") + 2], "fields": {}, "origin": {"by": "person"}})
    return spec.model_copy(update={"fields": {**spec.fields, target: block}})


def with_rule(spec: MappingSpec, part: str, rule: FieldRule, tables: dict[str, TableRule]) -> MappingSpec:
    """A copy with another rule for a part, and the tables it needs. The list block around it stands already."""
    changed: dict[str, Any] = {"tables": {**spec.tables, **tables}}
    if part.startswith("values."):
        changed["values"] = {**spec.values, part[7:]: rule}
    elif "[]." in part:
        target, member = part[: part.index("[]") + 2], part[part.index("[].") + 3 :]
        block = spec.blocks()[target]
        inner = block.model_copy(update={"fields": {**block.fields, member: rule}})
        changed["fields"] = {**spec.fields, target: inner}
    else:
        changed["fields"] = {**spec.fields, part: rule}
    return spec.model_copy(update=changed)
