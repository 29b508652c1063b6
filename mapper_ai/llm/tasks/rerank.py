"""Which of a target's candidates feeds it, or none: several targets a question, or one candidate a question."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from mapper_ai.core.opinions import Opinion
from mapper_ai.core.suggest import Candidate, TargetSuggestion
from mapper_ai.llm.asking import Question
from mapper_ai.llm.facts import Side, one_line
from mapper_ai.llm.prompts import Brief, compose, told_choices
from mapper_ai.llm.tasks.kept import question_or_kept
from mapper_ai.llm.wire import Wire, answer_type, one_of, text

_WHY: Final = 120
Sure = Literal["high", "medium", "low"]
_PICK: Final = Brief(
    "pick_source",
    "For every target field choose the candidate whose values belong into it, or none when no candidate does. Judge "
    "by meaning: whose name, address, date or amount it is, and at which level (record or line). Say how sure you are "
    "and why in at most twelve words.",
    {
        "t1": {"choice": "b", "sure": "high", "why": "both are the buyer's e-mail"},
        "t2": {"choice": "none", "sure": "low", "why": "no candidate is a due date"},
    },
)
_FITS: Final = Brief(
    "source_fits",
    "Does the value of candidate a belong into the target field? Judge by meaning: whose name, address, date or amount "
    "it is, and at which level (record or line).",
    {"fits": "yes", "sure": "high"},
)


class Fits(Wire):
    """Answer about one candidate."""

    fits: Literal["yes", "no"]
    sure: Sure


@dataclass(frozen=True)
class Choice:
    """A target with the candidates that are put up, in an order that says nothing of their rank."""

    target: str
    candidates: tuple[Candidate, ...]


def choice_of(suggestion: TargetSuggestion, top: int, source: Side, target: Side) -> Choice | None:
    """What can be asked about a target; None when it, or all its candidates, must not be spoken of."""
    if suggestion.target not in target.fields:
        return None
    spoken = [row for row in suggestion.candidates[:top] if all(path in source.fields for path in row.sources)]
    # Whoever always says "the first" must not look clever.
    spoken.sort(key=lambda row: hashlib.sha256("|".join((row.target, *row.sources)).encode()).digest())
    return Choice(suggestion.target, tuple(spoken)) if spoken else None


def pick_question(
    choices: Sequence[Choice], source: Side, target: Side, guarded: frozenset[str]
) -> Question[list[Opinion]]:
    """One question about several targets."""
    answers: dict[str, Any] = {}
    for number, choice in enumerate(choices, 1):
        keys = tuple(_key(place) for place in range(len(choice.candidates)))
        answers[f"t{number}"] = answer_type(
            f"T{number}", choice=one_of((*keys, "none")), sure=one_of(("high", "medium", "low")), why=text(_WHY)
        )
    kind = answer_type("Picks", **answers)

    def judge(answer: Any) -> tuple[list[Opinion], str]:
        return [_opinion(choice, getattr(answer, f"t{number}")) for number, choice in enumerate(choices, 1)], ""

    return question_or_kept(
        ", ".join(choice.target for choice in choices),
        _PICK.name,
        lambda: compose(_PICK, {"targets": told_choices([_told(row, source, target) for row in choices])}, guarded),
        kind,
        40 + 70 * len(choices),
        judge,
    )


def fits_questions(
    choice: Choice, source: Side, target: Side, guarded: frozenset[str]
) -> list[Question[tuple[Candidate, Fits]]]:
    """One question a candidate."""
    found = []
    for candidate in choice.candidates:
        alone = Choice(choice.target, (candidate,))

        def judge(answer: Any, candidate: Candidate = candidate) -> tuple[tuple[Candidate, Fits], str]:
            return (candidate, answer), ""

        def prompt(alone: Choice = alone) -> Any:
            return compose(_FITS, {"targets": told_choices([_told(alone, source, target)])}, guarded)

        found.append(question_or_kept(choice.target, _FITS.name, prompt, Fits, 40, judge))
    return found


def opinion_of(choice: Choice, answers: Sequence[tuple[Candidate, Fits]]) -> Opinion | None:
    """The word on a target from what was said of its candidates; None when two are as good, or one is missing."""
    if len(answers) < len(choice.candidates):
        return None
    weight: Mapping[str, int] = {"high": 3, "medium": 2, "low": 1}
    yes = sorted((row for row in answers if row[1].fits == "yes"), key=lambda row: -weight[row[1].sure])
    if not yes:
        sure = min((said.sure for _, said in answers), key=lambda one: weight[one])
        return Opinion(choice.target, (), len(choice.candidates), sure)
    if len(yes) > 1 and yes[0][1].sure == yes[1][1].sure:
        return None
    return Opinion(choice.target, yes[0][0].sources, len(choice.candidates), yes[0][1].sure)


def _told(choice: Choice, source: Side, target: Side) -> Any:
    return (
        target.fields[choice.target],
        {_key(place): (source.some(row.sources), row.how) for place, row in enumerate(choice.candidates)},
    )


def _opinion(choice: Choice, said: Any) -> Opinion:
    picked = () if said.choice == "none" else choice.candidates[ord(said.choice) - ord("a")].sources
    return Opinion(choice.target, picked, len(choice.candidates), said.sure, one_line(said.why, _WHY))


def _key(place: int) -> str:
    return chr(ord("a") + place)
