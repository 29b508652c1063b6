"""The two ends of a spec as the suggester sees them: profiles of the source, writable fields of each target."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from connectors.profiles import ContractField
from connectors.registry import has_entity, load_system
from mapper_ai.core.profile import Profile, merge_profiles, profile_contract, profile_records
from mapper_ai.core.remembered import PastDecisions
from mapper_ai.services.findings import Finding
from mapper_ai.services.goals import Goal, contract_goals
from mapspec import MappingSpec

Record = Mapping[str, Any]
# (source, target), each as SYSTEM/ENTITY -> what was decided about such pairs before.
Recall = Callable[[str, str], PastDecisions]


@dataclass(frozen=True)
class TargetGoals:
    """The fields of one target of a spec, and the source list that a flow step runs over for it.

    Attributes:
        known: What is known of them from samples; the goals alone tell when None.
    """

    name: str
    goals: tuple[Goal, ...]
    each: str = ""
    known: Profile | None = None

    def profile(self) -> Profile:
        """What the suggester sees: writable fields, put into a list where a step runs over one."""
        if self.known is not None:
            wanted = {goal.leaf for goal in self.goals if not goal.read_only}
            return replace(self.known, fields=tuple(row for row in self.known.fields if row.path in wanted))
        prefix = f"{self.name}[]." if self.each else ""
        return profile_contract(
            ContractField(
                path=prefix + goal.leaf,
                type="decimal" if goal.type == "money" else goal.type,
                required=goal.required,
                enum=goal.enum,
                max_length=goal.max_length,
                aliases=goal.aliases,
                note=goal.note,
            )
            for goal in self.goals
            if not goal.read_only
        )

    def names(self) -> dict[str, str]:
        """Path of `profile` -> path below the target, as a spec has it."""
        prefix = f"{self.name}[]." if self.each else ""
        return {prefix + goal.leaf: goal.path for goal in self.goals}

    def goal(self, path: str) -> Goal:
        """The goal of a path of `profile`."""
        leaf = path.removeprefix(f"{self.name}[].") if self.each else path
        return next(goal for goal in self.goals if goal.leaf == leaf)


def target_goals(spec: MappingSpec) -> list[TargetGoals]:
    """The fields of every target of a spec whose system has a profile."""
    found = []
    for name, ref in spec.targets.items():
        system, _, entity = ref.partition("/")
        if has_entity(system, entity):
            each = next((step.each.text for step in spec.flow if step.target == name and step.each), "")
            found.append(TargetGoals(name, tuple(contract_goals(system, entity)), each))
    return found


def source_profile(spec: MappingSpec, records: Sequence[Record]) -> Profile:
    """What is known of a spec's source: its samples, and the contract where its system has one."""
    samples = profile_records(records)
    if not has_entity(spec.source.system, spec.source.entity):
        return samples
    contract = profile_contract(load_system(spec.source.system).fields(spec.source.entity))
    return merge_profiles(samples, contract) if records else contract


def missing_required(spec: MappingSpec, targets: Sequence[TargetGoals]) -> list[Finding]:
    """Fields that the target system refuses a record without, and that have no rule."""
    found = []
    changed_only = {step.target for step in spec.flow if step.do == "update"}
    for goals in targets:
        for goal in goals.goals if goals.name not in changed_only else ():
            part = f"{goals.name}.{goal.path}"
            in_absent_list = goal.list_path and f"{goals.name}.{goal.list_path}" not in spec.fields
            if goal.required and not goal.read_only and not in_absent_list and not has_rule(spec, part):
                found.append(Finding("required-missing", "error", part, f"{part} is required and has no source"))
    return found


def has_rule(spec: MappingSpec, part: str) -> bool:
    """Whether a part has a rule, or a rule for members of it."""
    rules = {**spec.rules(), **spec.blocks()}
    return part in rules or any(name.startswith(part + ".") for name in rules)
