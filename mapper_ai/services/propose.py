"""Propose a spec: a blueprint of the flow, what the suggester finds, steps by rule, and the proof on the samples.

A blueprint says what a flow of its kind looks like, written with the paths of one of Clarity's flavours. Another
source's fields are found by suggesting them for Clarity's `rest` contract first, and the blueprint is carried over.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from connectors.registry import has_entity, load_system
from mapper_ai.core.explain import Explainer
from mapper_ai.core.profile import Profile, profile_contract, profile_records
from mapper_ai.core.suggest import Candidate, Ranker, TargetSuggestion, suggest
from mapper_ai.services.additions import Additions, fuzzy_origin
from mapper_ai.services.carried import with_corrections
from mapper_ai.services.findings import Finding
from mapper_ai.services.goals import Goal
from mapper_ai.services.kinds import SYSTEMS, blueprint, why_left_out
from mapper_ai.services.proof import failures
from mapper_ai.services.rewrite import rewrite_spec
from mapper_ai.services.shop_flow import (
    PAYMENTS,
    for_other_shop,
    is_payment_as_a_whole,
    named_after,
    pays_as_a_whole,
    without_payments,
)
from mapper_ai.services.shop_money import with_proved_money
from mapper_ai.services.sources import part_sources, step_list
from mapper_ai.services.targets import Recall, Record, TargetGoals, missing_required, source_profile, target_goals
from mapspec import MappingSpec
from mapspec.model import ListBlock, Origin, TargetRule

# What another shop's flow gets of its own, so that it is not missed.
_MADE_ANEW: Final = ("gate rule ", "step payment ", "the check payment-currency ", "the check overpaid ")
ORDERS: Final = "order-to-invoice"
# Below this share of known paths a source is not taken for a Clarity one.
_NATIVE_SHARE: Final = 0.5
_TOP: Final = 5
_MAX_TRIED: Final = 200
# What is not carried over is lost to the flow, what is carried over wrongly is seen by the person who approves it:
# a likeliest source is taken here well below the confidence at which a field of its own would be proposed.
_CARRY_AT: Final = 0.25


@dataclass(frozen=True)
class Alternative:
    """Another source a target could come from.

    Attributes:
        source: Path, or several joined by " + ".
        confidence: 0..1.
        reason: In words.
        evidence: Signal -> what it added, in log-odds.
    """

    source: str
    confidence: float
    reason: str
    evidence: Mapping[str, float] = field(default_factory=dict)

    @property
    def sources(self) -> tuple[str, ...]:
        """The paths one by one."""
        return tuple(self.source.split(" + "))


@dataclass(frozen=True)
class Proposal:
    """A spec that nobody has approved, and what is known about it.

    Attributes:
        alternatives: Part, with or without a rule -> ranked sources.
        findings: What a person must look at.
    """

    spec: MappingSpec
    alternatives: Mapping[str, tuple[Alternative, ...]]
    findings: tuple[Finding, ...]


def propose(
    kind: str,
    records: Sequence[Record],
    *,
    system: str = "samples",
    recall: Recall | None = None,
    rank: Ranker = suggest,
    flavour: str = "",
) -> Proposal:
    """Propose a flow of a known kind.

    Args:
        kind: One of KINDS.
        records: Samples; without any the contracts alone are read and the source is taken for a Clarity one.
        system: What to call the source where it is none of Clarity: small letters, digits and hyphens.
        recall: Earlier decisions.
        rank: Ranks sources for targets.
        flavour: Clarity's flavour whose blueprint is meant, one of SYSTEMS; told by the samples when empty.

    Raises:
        KeyError: No such kind.
    """
    spec = blueprint(kind, flavour or _flavour_of(kind, records))
    told: list[tuple[str, str]] = []
    seen: list[tuple[str, str]] = []
    if records and not flavour and not is_native(spec, records):
        samples = profile_records(records)
        found = correspondences(samples, spec)
        as_a_whole = kind == ORDERS and pays_as_a_whole(found)
        spec, told = rewrite_spec(spec, without_payments(found) if as_a_whole else found)
        if kind == ORDERS:
            told = [row for row in told if not (as_a_whole and row[1].startswith(_MADE_ANEW))]
            spec, more = for_other_shop(spec, found, samples, records)
            spec, proved = with_proved_money(spec, records)
            told, seen = [*told, *more], proved
        spec = named_after(spec, system)
        source = spec.source.model_copy(update={"system": system})
        spec = spec.model_copy(update={"spec": f"{system}-freshbooks/{kind}", "description": None, "source": source})
    if has_entity(spec.source.system, spec.source.entity):
        spec = with_corrections(spec, load_system(spec.source.system))
    proposal = complete(spec, records, target_goals(spec), source_profile(spec, records), recall, rank)
    carried = [Finding("not-carried-over", "warning", part, f"{part}: {text}") for part, text in told]
    looked = [Finding("look-at", "note", part, f"{part}: {text}") for part, text in seen]
    return replace(proposal, findings=(*carried, *looked, *proposal.findings))


def _flavour_of(kind: str, records: Sequence[Record]) -> str:
    return next((name for name in SYSTEMS if records and is_native(blueprint(kind, name), records)), SYSTEMS[0])


def complete(
    spec: MappingSpec,
    records: Sequence[Record],
    targets: Sequence[TargetGoals],
    source: Profile,
    recall: Recall | None = None,
    rank: Ranker = suggest,
) -> Proposal:
    """Fill origins and confidences into a spec's rules and propose rules where it is silent."""
    ranked = _ranked(spec, targets, source, recall, rank)
    alternatives = _alternatives(targets, ranked, source)
    marked = _with_origins(spec, targets, ranked)
    made = Additions(marked, source)
    for goals in targets:
        for suggestion in ranked[goals.name]:
            goal = goals.goal(suggestion.target)
            candidate = suggestion.candidates[0] if suggestion.accepted else None
            if candidate is not None and _may_be_added(spec, goals.name, goal, candidate):
                made.add(goals, goal, candidate)
        for suggestion in ranked[goals.name]:
            goal = goals.goal(suggestion.target)
            if (
                suggestion.state == "no-match"
                and goal.constant
                and not suggestion.risky
                and not why_left_out(spec, goals.name, goal.path)
            ):
                made.add_constant(goals, goal)
    tried = records[:_MAX_TRIED]
    wanting = failures(made.spec(), tried)
    if "" in wanting:  # a rule made here does not compile: find out which by leaving all out
        made.drop_all(wanting[""].message)
        wanting = failures(made.spec(), tried)
    for part in made.parts():
        if part in wanting:
            row = wanting.pop(part)
            made.drop(part, f"fails on {row.count} of {row.tried} samples: {row.message}")
    found = [
        Finding("sample-fails", "warning", part, f"{part} fails on {row.count} of {row.tried} samples: {row.message}")
        for part, row in wanting.items()
    ]
    done = made.spec()
    return Proposal(done, alternatives, (*found, *made.problems, *missing_required(done, targets)))


def alternatives_of(
    spec: MappingSpec, source: Profile, recall: Recall | None = None
) -> dict[str, tuple[Alternative, ...]]:
    """Ranked sources of every part of a spec that stands already, out of what is known of its source."""
    targets = target_goals(spec)
    return _alternatives(targets, _ranked(spec, targets, source, recall, suggest), source)


def _ranked(
    spec: MappingSpec, targets: Sequence[TargetGoals], source: Profile, recall: Recall | None, rank: Ranker
) -> dict[str, list[TargetSuggestion]]:
    own = f"{spec.source.system}/{spec.source.entity}"
    return {
        goals.name: rank(
            source,
            goals.profile(),
            top=_TOP,
            history=recall(own, spec.targets[goals.name]).naming(goals.names()) if recall else (),
        )
        for goals in targets
    }


def is_native(spec: MappingSpec, records: Sequence[Record]) -> bool:
    """Whether the samples look like the source that the spec is written for."""
    known = {entry.path for entry in load_system(spec.source.system).fields(spec.source.entity)}
    paths = profile_records(records).paths
    return bool(paths) and sum(path in known for path in paths) / len(paths) >= _NATIVE_SHARE


def correspondences(samples: Profile, spec: MappingSpec) -> dict[str, str]:
    """Path of the spec's own source -> path of the samples that means the same."""
    contract = profile_contract(load_system(spec.source.system).fields(spec.source.entity))
    rows = suggest(samples, contract, top=_TOP, accept_at=_CARRY_AT)
    listed = any(
        row.target == PAYMENTS + "amount" and row.accepted and "[]" in row.candidates[0].source for row in rows
    )
    found = {}
    for row in rows:
        likely = [c.source for c in row.candidates if not c.joined_with and c.confidence >= _CARRY_AT]
        if row.target.startswith(PAYMENTS) and not listed:  # the order itself says how it was paid
            likely = [path for path in likely if "[]." not in path]
        if row.accepted and likely and _may_stand_for(row.target, likely[0]):
            found[row.target] = likely[0]
    for name in contract.paths:  # a field of the very same name, which says too little to be sure of: `test`
        if "." not in name and name not in found and name in samples.paths:
            found[name] = name
    own = spec.source.id.source_path()
    # A bare `id` says little to the suggester; nothing identifies a record better than its own id or number.
    if own not in found and own in samples.paths:
        found[own] = own
    if own not in found and spec.source.number is not None and spec.source.number.source_path() in found:
        found[own] = found[spec.source.number.source_path()]
    return found


def _may_be_added(spec: MappingSpec, target: str, goal: Goal, candidate: Candidate) -> bool:
    """Whether a suggestion may become a rule beside the blueprint's."""
    if why_left_out(spec, target, goal.path) or is_payment_as_a_whole(spec, target):
        return False
    of_order = spec.source.entity == "order" and not goal.list_path and not step_list(spec, f"{target}.{goal.path}")
    # One value of an order is no member of one of its lines' taxes, whichever of them comes first.
    return not (of_order and candidate.how != "sum" and any("[]." in path for path in candidate.sources))


# What these are called, whatever the samples' values look like; nothing else is worth a guess.
_CALLED: Final = {
    "storeId": re.compile(r"(?i)(store|shop|site|channel|location)(_?(id|code|name|number))?$"),
    "payments[].transactionId": re.compile(r"(?i)transaction|charge|txn|payment_?id|capture"),
    "customer.taxId": re.compile(r"(?i)(tax|vat|gst|abn|ein).*(id|no|number|code)?$"),
}


def _may_stand_for(old: str, new: str) -> bool:
    """False for one value of the order that some element of a list would give, and for names that say otherwise."""
    called = _CALLED.get(old)
    if called is not None and not called.search(new.rsplit(".", 1)[-1]):
        return False
    return new.count("[]") <= old.count("[]") or old.startswith(PAYMENTS)


def _alternatives(
    targets: Sequence[TargetGoals], ranked: Mapping[str, Sequence[TargetSuggestion]], source: Profile
) -> dict[str, tuple[Alternative, ...]]:
    found = {}
    for goals in targets:
        explainer = Explainer(source, goals.profile())
        for suggestion in ranked[goals.name]:
            found[f"{goals.name}.{goals.goal(suggestion.target).path}"] = tuple(
                Alternative(" + ".join(row.sources), row.confidence, explainer.reason(row), dict(row.evidence))
                for row in suggestion.candidates
                # A product or sum is no list of fields to pick from; it is shown where it is the proposal.
                if row.how in ("", "join") or (suggestion.accepted and row is suggestion.candidates[0])
            )
    return found


def _with_origins(
    spec: MappingSpec, targets: Sequence[TargetGoals], ranked: Mapping[str, Sequence[TargetSuggestion]]
) -> MappingSpec:
    """The blueprint's rules, each with who stands behind it: the suggester where it agrees, else the rule itself."""
    best = {
        f"{goals.name}.{goals.goal(row.target).path}": row.candidates[0]
        for goals in targets
        for row in ranked[goals.name]
        if row.accepted
    }

    def origin(part: str) -> Origin:
        candidate = best.get(part)
        if candidate is not None and set(candidate.sources) & set(part_sources(spec, part)):
            return fuzzy_origin(candidate)
        return Origin(by="rule")

    fields: dict[str, TargetRule] = {}
    for target, entry in spec.fields.items():
        changed: dict[str, Any] = {"origin": origin(target)}
        if isinstance(entry, ListBlock):
            changed["fields"] = {
                name: rule.model_copy(update={"origin": origin(f"{target}.{name}")})
                for name, rule in entry.fields.items()
            }
        fields[target] = entry.model_copy(update=changed)
    values = {name: rule.model_copy(update={"origin": Origin(by="rule")}) for name, rule in spec.values.items()}
    return spec.model_copy(update={"fields": fields, "values": values})
