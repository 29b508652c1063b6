"""Steps from the operation catalogue: proposed for a pair of fields, or written to an analyst's plain words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from mapper_ai.llm.asking import Question
from mapper_ai.llm.facts import FieldFacts, one_line
from mapper_ai.llm.prompts import (
    Brief,
    Told,
    compose,
    told_field,
    told_fields,
    told_operations,
    told_rule,
    told_words,
)
from mapper_ai.llm.tasks.kept import question_or_kept
from mapper_ai.llm.tasks.step_wire import in_words, operations_for, plain_steps, steps_kind
from mapper_ai.llm.trial import Place, problem_with, rule_of
from mapspec.model import Approval, FieldRule, Origin, TableRule

_EXAMPLE: Final = {"steps": [{"op": "path", "path": "contact.mail"}, {"op": "trim"}], "why": "as it is, without blanks"}
_PROPOSE: Final = Brief(
    "propose_steps",
    "Write the steps that make the target field from the given source fields. The first step reads fields (path, "
    "coalesce, template, join, when), each further one works on what came before. Use only what is needed. "
    "Say why in at most twelve words.",
    _EXAMPLE,
)
_WRITE: Final = Brief(
    "write_steps",
    "Write the steps that do what the request says, for the target field. The first step reads fields (path, "
    "coalesce, template, join, when), each further one works on what came before. "
    "Say in at most twelve words what they do.",
    _EXAMPLE,
)


@dataclass(frozen=True)
class Offer:
    """A proposal that held.

    Attributes:
        rule: What would stand there; nobody has approved it.
        why: The model's words.
        tables: Tables that the rule needs.
    """

    rule: FieldRule
    why: str
    tables: Mapping[str, TableRule] = field(default_factory=dict)


def offer(rule: FieldRule, why: str, tables: Mapping[str, TableRule] | None = None) -> Offer:
    """An offer of a rule, whatever rule it was made from: the model's, and approved by nobody."""
    fresh = rule.model_copy(update={"origin": Origin(by="llm"), "approval": Approval(), "note": None})
    return Offer(fresh, one_line(why, 120), tables or {})


def propose_question(
    place: Place, target: FieldFacts, sources: Sequence[FieldFacts], paths: Sequence[str], guarded: frozenset[str]
) -> Question[Offer]:
    """Propose steps; `paths` are the fields as the rule would write them."""
    return _question(_PROPOSE, place, target, sources, paths, guarded, {})


def write_question(
    place: Place,
    target: FieldFacts,
    sources: Sequence[FieldFacts],
    paths: Sequence[str],
    guarded: frozenset[str],
    request: str,
) -> Question[Offer]:
    """Steps to an analyst's words, which leave without what stands in the samples."""
    told = told_words(request, place.records, [*paths, *place.sources, target.path])
    return _question(_WRITE, place, target, sources, paths, guarded, {"request": told})


def _question(
    brief: Brief,
    place: Place,
    target: FieldFacts,
    sources: Sequence[FieldFacts],
    paths: Sequence[str],
    guarded: frozenset[str],
    more: Mapping[str, Told],
) -> Question[Offer]:
    names = operations_for(place.goal.type)
    zones = ("settings.timezone", "as_written") if "timezone" in place.spec.settings else ("as_written",)
    kind = steps_kind(names, paths, zones)
    old = place.rule

    def prompt() -> Any:
        parts = {
            **more,
            "target": told_field(target),
            "source_fields": told_fields(sources),
            "operations": told_operations(in_words(names)),
            "now": told_rule(old),
        }
        return compose(brief, {name: part for name, part in parts.items() if part.value is not None}, guarded)

    def judge(answer: Any) -> tuple[Offer | None, str]:
        kept = {"required": place.goal.required} if old is None else {"required": old.required, "check": old.check}
        rule, problem = rule_of({**kept, "steps": plain_steps(answer)})
        if rule is None:
            return None, problem
        problem = problem_with(place, rule)
        return (None, problem) if problem else (offer(rule, answer.why), "")

    return question_or_kept(place.part, brief.name, prompt, kind, 500, judge)
