"""Asks about targets in doubt, and some of known answer as a test; gives opinions and what they are worth."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import exp
from typing import Final

from mapper_ai.core.opinions import HARDER, MOST, Opinion, Trust
from mapper_ai.core.suggest import Candidate, TargetSuggestion
from mapper_ai.llm.asking import Outcome, Question
from mapper_ai.llm.facts import Side
from mapper_ai.llm.settings import LlmSettings
from mapper_ai.llm.tasks.rerank import Choice, Fits, choice_of, fits_questions, opinion_of, pick_question

# From here on the best candidate, or that there is none, counts as known: at such confidences one in fifty is wrong.
_KNOWN: Final = 0.9
_NONE: Final = 0.97
# Two good candidates are often the same value under two names, and either is right.
_RIVAL: Final = 0.2
# A target, and the sources that are known to be right; none where it has none.
Known = tuple[str, tuple[str, ...]]


@dataclass(frozen=True)
class Plan:
    """What is to be asked.

    Attributes:
        doubtful: Targets in doubt.
        tests: Targets of known answer: its sources, or none.
        picks: Questions about several targets.
        fits: Or, a choice, one question a candidate.
        total: Targets there are.
        asked: Those in doubt and those of the test, in an order that says nothing.
    """

    doubtful: tuple[Choice, ...]
    tests: Mapping[str, tuple[str, ...]]
    picks: tuple[Question[list[Opinion]], ...] = ()
    fits: tuple[tuple[Choice, tuple[Question[tuple[Candidate, Fits]], ...]], ...] = ()
    total: int = 0
    asked: tuple[Choice, ...] = ()

    @property
    def paths(self) -> set[str]:
        """Fields that are spoken of."""
        return {
            path
            for choice in self.asked
            for path in (choice.target, *(one for row in choice.candidates for one in row.sources))
        }

    @property
    def questions(self) -> list[Question[list[Opinion]] | Question[tuple[Candidate, Fits]]]:
        """All of them."""
        return [*self.picks, *(one for _, many in self.fits for one in many)]


@dataclass
class Answers:
    """What was said.

    Attributes:
        opinions: By target in doubt.
        tests: Target of known answer and that answer -> whether it was given.
    """

    opinions: dict[str, Opinion]
    tests: dict[Known, bool]

    @property
    def words(self) -> dict[str, str]:
        """Target -> the model's reason."""
        return {target: one.why for target, one in self.opinions.items() if one.why}


def trust_of(tests: Mapping[Known, bool]) -> Trust:
    """What the answers on targets of known answer show."""
    picks = [right for (_, sources), right in tests.items() if sources]
    nones = [right for (_, sources), right in tests.items() if not sources]
    return Trust(sum(picks), len(picks), sum(nones), len(nones))


def plan(
    suggestions: Sequence[TargetSuggestion], source: Side, target: Side, settings: LlmSettings, guarded: frozenset[str]
) -> Plan:
    """Choose what to ask. Targets that no opinion could change are not asked about."""
    # Below this even the strongest word leaves a candidate unaccepted.
    reach = 1.0 / (1.0 + exp(MOST * HARDER))
    doubtful, sure, idle = [], [], []
    for row in suggestions:
        if row.state == "not-tried" or not row.candidates:
            continue
        choice = choice_of(row, settings.top, source, target)
        if choice is None:
            continue
        best = row.candidates[0].confidence
        if reach <= best < min(settings.uncertain_below, _KNOWN):
            doubtful.append(choice)
        elif len(choice.candidates) > 1 and best >= _KNOWN and row.candidates[1].confidence < _RIVAL:
            sure.append((choice, row.candidates[0].sources))
        elif len(choice.candidates) > 1 and row.no_match >= _NONE:
            idle.append((choice, ()))
    if not doubtful:
        return Plan((), {}, total=len(suggestions))
    third = settings.controls // 3
    tests = [*_some(sure, settings.controls - third), *_some(idle, third)]
    asked = sorted([*doubtful, *(choice for choice, _ in tests)], key=lambda one: _scatter(one.target))
    made = Plan(
        tuple(doubtful), {choice.target: right for choice, right in tests}, total=len(suggestions), asked=tuple(asked)
    )
    if settings.ask == "candidate":
        return replace(
            made, fits=tuple((choice, tuple(fits_questions(choice, source, target, guarded))) for choice in asked)
        )
    groups = [asked[start : start + settings.batch] for start in range(0, len(asked), settings.batch)]
    return replace(made, picks=tuple(one for group in groups for one in _picks(group, source, target, guarded)))


def _picks(
    group: Sequence[Choice], source: Side, target: Side, guarded: frozenset[str]
) -> list[Question[list[Opinion]]]:
    """One question; when it must not leave, one a target, so that the others are asked all the same."""
    together = pick_question(group, source, target, guarded)
    if together.kept is None or len(group) == 1:
        return [together]
    return [pick_question([choice], source, target, guarded) for choice in group]


def answers_of_picks(asked: Plan, outcomes: Sequence[Outcome[list[Opinion]]]) -> Answers:
    """Opinions from questions about several targets."""
    return _answers(asked, [opinion for outcome in outcomes for opinion in outcome.value or ()])


def answers_of_fits(asked: Plan, outcomes: Sequence[Outcome[tuple[Candidate, Fits]]]) -> Answers:
    """Opinions from questions about one candidate."""
    said: dict[str, list[tuple[Candidate, Fits]]] = {}
    for outcome in outcomes:
        if outcome.value is not None:
            said.setdefault(outcome.about, []).append(outcome.value)
    found = [opinion_of(choice, said.get(choice.target, [])) for choice, _ in asked.fits]
    return _answers(asked, [opinion for opinion in found if opinion is not None])


def _answers(asked: Plan, said: Sequence[Opinion]) -> Answers:
    doubtful = {choice.target for choice in asked.doubtful}
    rights = [(one, asked.tests[one.target]) for one in said if one.target in asked.tests]
    return Answers(
        {one.target: one for one in said if one.target in doubtful},
        {(one.target, right): set(one.sources) == set(right) for one, right in rights},
    )


def _some(rows: Sequence[tuple[Choice, tuple[str, ...]]], most: int) -> list[tuple[Choice, tuple[str, ...]]]:
    return sorted(rows, key=lambda row: _scatter(row[0].target))[:most]


def _scatter(text: str) -> bytes:
    """An order that says nothing, the same in every run."""
    return hashlib.sha256(text.encode()).digest()
