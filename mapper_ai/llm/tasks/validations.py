"""Checks for a target field, from the catalogue of checks; they must hold on the samples."""

from __future__ import annotations

from typing import Any, Final

from mapper_ai.llm.asking import Question
from mapper_ai.llm.facts import FieldFacts
from mapper_ai.llm.prompts import Brief, compose, told_field, told_rule
from mapper_ai.llm.tasks.kept import question_or_kept
from mapper_ai.llm.tasks.step_wire import checks_kind, plain_checks
from mapper_ai.llm.tasks.steps import Offer, offer
from mapper_ai.llm.trial import Place, problem_with, rule_of

_BRIEF: Final = Brief(
    "propose_checks",
    "Which checks must a value of the target field pass before it is sent? Only such that every right value passes; an "
    "empty list when none is sensible. Say why in at most twelve words.",
    {"checks": [{"check": "max_length", "value": 50}], "why": "the target takes 50 characters"},
)


def question(place: Place, target: FieldFacts, guarded: frozenset[str]) -> Question[Offer]:
    """Ask for checks beside those that stand already; an offer without new ones says that none is needed."""
    old = place.rule

    def judge(answer: Any) -> tuple[Offer | None, str]:
        if old is None:
            return None, "there is no rule to check yet"
        # What a person or the contract asks for already is never loosened; of each new kind the first counts.
        kept = [check.plain() for check in old.check]
        known, added = {next(iter(check)) for check in kept}, []
        for check in plain_checks(answer):
            if next(iter(check)) not in known:
                known |= check.keys()
                added.append(check)
        rule, problem = rule_of({"steps": old.steps, "check": [*kept, *added]})
        if rule is None:
            return None, problem.replace("step ", "check ")
        rule = old.model_copy(update={"check": rule.check})
        problem = problem_with(place, rule)
        return (None, problem) if problem else (offer(rule, answer.why), "")

    return question_or_kept(
        place.part,
        _BRIEF.name,
        lambda: compose(_BRIEF, {"target": told_field(target), "now": told_rule(old)}, guarded),
        checks_kind(),
        320,
        judge,
    )
