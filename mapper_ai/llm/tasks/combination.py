"""Which fields feed a target together, or which one does, where no candidate is good enough; or that nothing does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, Literal

from mapper_ai.core.combine import How
from mapper_ai.llm.asking import Question
from mapper_ai.llm.facts import FieldFacts
from mapper_ai.llm.prompts import Brief, compose, told_field, told_fields
from mapper_ai.llm.tasks.kept import question_or_kept
from mapper_ai.llm.tasks.step_wire import path_enum
from mapper_ai.llm.tasks.steps import Offer, offer
from mapper_ai.llm.trial import Place, problem_with
from mapper_ai.llm.wire import answer_type, list_of, one_of, text
from mapspec.model import FieldRule, TableRule

# How the answer calls it -> how the suggester does.
_HOW: Final[dict[str, How]] = {"copy": "", "join": "join", "multiply": "multiply", "sum": "sum"}
_BRIEF: Final = Brief(
    "propose_combination",
    "Which source fields make the target field, and how: copy one, join texts (first and last name), multiply numbers "
    "(quantity and price), sum numbers? Answer none with an empty list when nothing does. Say why in at most twelve "
    "words.",
    {"how": "join", "sources": ["buyer.given", "buyer.family"], "why": "the full name in two parts"},
)
# Makes a rule of sources and a way, with its tables and why it is not ready.
Plan = Callable[[Sequence[str], How], tuple[FieldRule, dict[str, TableRule], str]]


def question(
    place: Place, target: FieldFacts, sources: Sequence[FieldFacts], plan: Plan, guarded: frozenset[str]
) -> Question[Offer | Literal["none"]]:
    """Ask for a combination; "none" is an answer, no failure."""
    source = path_enum([entry.path for entry in sources])
    kind = answer_type("Combination", how=one_of(("none", *_HOW)), sources=list_of(source, 3), why=text(120))

    def judge(answer: Any) -> tuple[Offer | Literal["none"] | None, str]:
        paths = [str(one.value) for one in answer.sources]
        if answer.how == "none":
            return (None, "how is none, but sources are given") if paths else ("none", "")
        if not paths or len(set(paths)) != len(paths):
            return None, "sources: give one to three different fields"
        if (answer.how == "copy") != (len(paths) == 1) and answer.how != "sum":
            return (
                None,
                f"how is {answer.how}: it takes {'one field' if answer.how == 'copy' else 'two fields or more'}",
            )
        rule, tables, problem = plan(paths, _HOW[answer.how])
        problem = problem or problem_with(place, rule, tables)
        return (None, problem) if problem else (offer(rule, answer.why, tables), "")

    return question_or_kept(
        place.part,
        _BRIEF.name,
        lambda: compose(_BRIEF, {"target": told_field(target), "source_fields": told_fields(sources)}, guarded),
        kind,
        240,
        judge,
    )
