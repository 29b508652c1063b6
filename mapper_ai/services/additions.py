"""Rules by the suggester's word where a spec is silent, each with steps by rule and its provenance. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from decimal import ROUND_DOWN, Decimal
from typing import Final, Literal

from mapper_ai.core.combine import How
from mapper_ai.core.opinions import unaided
from mapper_ai.core.profile import FieldProfile, Profile, split_path
from mapper_ai.core.recall import FIRM, SHIFT
from mapper_ai.core.suggest import ACCEPT_AT, Candidate
from mapper_ai.services.findings import Finding
from mapper_ai.services.goals import Goal
from mapper_ai.services.steps_by_rule import Place, Plan, plan_steps, relative
from mapper_ai.services.targets import TargetGoals, has_rule
from mapspec import MappingSpec
from mapspec.model import FieldRule, ListBlock, Origin, TableRule, TargetRule

_TELLING: Final = Decimal("0.3")
_SIGNALS_KEPT: Final = 4


def plan_rule(
    spec: MappingSpec, part: str, sources: Sequence[str], goal: Goal, source: Profile, how: How = ""
) -> tuple[FieldRule, dict[str, TableRule], str]:
    """A rule for one part from the given sources; `how` several become one is left to the target when "".

    Returns:
        The rule, the tables it needs, and why it is not ready ("" when it is).
    """
    known = {entry.path: entry for entry in source.fields}
    entries = [known.get(path) or FieldProfile(path=path, segments=split_path(path)) for path in sources]
    plan = plan_steps(entries, goal, _place(spec, part, entries, source), how)
    tables = {_free_name(spec, name): TableRule.model_validate(table) for name, table in plan.tables.items()}
    return _rule(plan, goal, dict(zip(plan.tables, tables, strict=True))), tables, plan.problem


def fuzzy_origin(candidate: Candidate) -> Origin:
    """The suggester's word: its confidence, rounded down, and the features that told most."""
    shares = {name: Decimal(str(round(value, 1))) for name, value in candidate.evidence.items()}
    # An opinion is named however much else was told: it bars acceptance without a person.
    telling = sorted(
        (row for row in shares.items() if abs(row[1]) >= _TELLING or row[0] == "llm"),
        key=lambda row: (row[0] != "llm", -abs(row[1]), row[0]),
    )
    remembered = candidate.evidence.get("history", 0.0) >= SHIFT * FIRM
    told = candidate.evidence.get("llm", 0.0) > 0 and unaided(candidate.confidence, candidate.evidence) < ACCEPT_AT
    by: Literal["history", "llm", "learned"] = "history" if remembered else "llm" if told else "learned"
    return Origin(
        by=by,
        confidence=Decimal(str(candidate.confidence)).quantize(Decimal("0.01"), ROUND_DOWN),
        why={name: f"{share:+}" for name, share in telling[:_SIGNALS_KEPT]},
    )


class Additions:
    """Rules that are proposed beside those that stand already."""

    def __init__(self, spec: MappingSpec, source: Profile) -> None:
        self._spec = spec
        self._source = source
        self._rules: dict[str, FieldRule] = {}
        self._tables: dict[str, dict[str, TableRule]] = {}
        self._lists: dict[str, str] = {}
        self.problems: list[Finding] = []

    def add(self, goals: TargetGoals, goal: Goal, candidate: Candidate) -> None:
        """Plan a rule; what cannot be planned becomes a finding."""
        part = f"{goals.name}.{goal.path}"
        if has_rule(self._spec, part):
            return None
        if candidate.lookup and not candidate.evidence.get("history"):
            return self._refuse(part, candidate, f"it points at a {candidate.lookup}: look that up with a flow step")
        each = goals.each
        if goal.nested:
            return self._refuse(part, candidate, "a list within a list has no place in a spec")
        if goal.list_path:
            each = self._list(f"{goals.name}.{goal.list_path}", candidate)
            if not each:
                return self._refuse(part, candidate, "no source list stands for the target's list")
        summed = candidate.how == "sum"
        elsewhere = ["[]" in path and not path.startswith((each + ".", each)) for path in candidate.sources]
        if each and any(elsewhere) and not summed:
            return self._refuse(part, candidate, f"it stands in another list than {each}")
        entries = [self._source.field(path) for path in candidate.sources]
        place = replace(_place(self._spec, part, entries, self._source), each=each)
        plan = plan_steps(entries, goal, place, candidate.how)
        if plan.problem:
            return self._refuse(part, candidate, plan.problem)
        if plan.doubt:
            self.problems.append(Finding("check-units", "warning", part, f"{part}: {plan.doubt}"))
        names = {name: _free_name(self._spec, name, self._taken()) for name in plan.tables}
        self._tables[part] = {names[name]: TableRule.model_validate(table) for name, table in plan.tables.items()}
        self._rules[part] = _rule(plan, goal, names).model_copy(update={"origin": fuzzy_origin(candidate)})
        return None

    def add_constant(self, goals: TargetGoals, goal: Goal) -> None:
        """A rule with the one value that the target always holds, where no source feeds it."""
        part = f"{goals.name}.{goal.path}"
        inside = f"{goals.name}.{goal.list_path}"
        if has_rule(self._spec, part) or goal.nested or (goal.list_path and inside not in self._lists):
            return
        steps = [{"const": goal.constant}, *([{goal.type: None}] if goal.type in ("bool", "int", "decimal") else [])]
        rule = FieldRule.model_validate({"steps": steps, "required": goal.required})
        self._tables[part] = {}
        self._rules[part] = rule.model_copy(update={"origin": Origin(by="rule")})
        text = f"{part} has no source and is always “{goal.constant}” on the target's side: taken as a constant"
        self.problems.append(Finding("constant", "note", part, text))

    def parts(self) -> list[str]:
        """The parts that were added."""
        return list(self._rules)

    def drop(self, part: str, why: str) -> None:
        """Take an addition back; it is told as a finding."""
        origin = self._rules.pop(part).origin
        self._tables.pop(part, None)
        sure = f" ({origin.confidence})" if origin else ""
        self.problems.append(Finding("not-ready", "note", part, f"{part} was suggested{sure} and {why}"))

    def drop_all(self, why: str) -> None:
        """Take all additions back."""
        for part in self.parts():
            self.drop(part, why)

    def spec(self) -> MappingSpec:
        """The spec with the additions."""
        fields: dict[str, TargetRule] = dict(self._spec.fields)
        tables = dict(self._spec.tables)
        for part, rule in self._rules.items():
            tables.update(self._tables[part])
            if "[]." not in part:
                fields[part] = rule
                continue
            target, member = part[: part.index("[].") + 2], part[part.index("[].") + 3 :]
            block = fields.get(target) or ListBlock.model_validate(
                {"each": self._lists[target], "fields": {}, "origin": {"by": "rule"}}
            )
            if isinstance(block, ListBlock):
                fields[target] = block.model_copy(update={"fields": {**block.fields, member: rule}})
        return self._spec.model_copy(update={"fields": fields, "tables": tables})

    def _taken(self) -> set[str]:
        return {name for tables in self._tables.values() for name in tables}

    def _list(self, target: str, candidate: Candidate) -> str:
        block = self._spec.fields.get(target)
        if isinstance(block, ListBlock):
            return block.each.source_path()
        first = candidate.source
        if target not in self._lists and "[]" in first:
            # The suggester aligned the lists; the first member that comes from one says which.
            self._lists[target] = first[: first.index("[]") + 2]
        return self._lists.get(target, "")

    def _refuse(self, part: str, candidate: Candidate, why: str) -> None:
        text = f"{part} was suggested from {' + '.join(candidate.sources)} ({candidate.confidence:.2f}) but {why}"
        self.problems.append(Finding("not-ready", "note", part, text))


def _place(spec: MappingSpec, part: str, entries: Sequence[FieldProfile], source: Profile) -> Place:
    """Surroundings of a part: its list, where its currency stands, the zone of its dates."""
    block = spec.blocks().get(part[: part.index("[]") + 2]) if "[]." in part else None
    target = part.split(".", 1)[0]
    stepped = next((step.each.source_path() for step in spec.flow if step.target == target and step.each), "")
    each = block.each.source_path() if block else stepped
    zone = "settings.timezone" if "timezone" in spec.settings else "as_written"
    if "currency" in spec.values:
        return Place(each, "values.currency", zone)
    found = next(_currencies(entries[0], source), "") if entries else ""
    return Place(each, relative(found, each) if found else "", zone)


def _currencies(entry: FieldProfile, source: Profile) -> Iterator[str]:
    """Fields that hold a currency code, those beside the amount first."""
    codes = [
        other.path
        for other in source.fields
        if other.format == "currency" or other.path.rsplit(".", 1)[-1].lower() in ("currency", "currency_code")
    ]
    beside = entry.path.rpartition(".")[0]
    yield from sorted(
        (path for path in codes if "[]" not in path or path.rpartition(".")[0] == beside),
        key=lambda path: (path.rpartition(".")[0] != beside, path.count("."), path),
    )


def _rule(plan: Plan, goal: Goal, tables: Mapping[str, str]) -> FieldRule:
    steps = [{"lookup_table": tables[step["lookup_table"]]} if "lookup_table" in step else step for step in plan.steps]
    return FieldRule.model_validate({"steps": steps, "check": list(plan.check), "required": goal.required})


def _free_name(spec: MappingSpec, name: str, taken: set[str] | None = None) -> str:
    used = set(spec.tables) | (taken or set())
    if name not in used:
        return name
    return next(f"{name}_{number}" for number in range(2, 10_000) if f"{name}_{number}" not in used)
