"""Runs the suggester on gold cases and measures it, and draws the line between what was learned from and the rest."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from mapper_ai.core.evaluation import (
    CaseScore,
    Figure,
    Prediction,
    area_under_risk,
    figures,
    plain_path,
    pooled,
    score_case,
)
from mapper_ai.core.model import Model
from mapper_ai.core.suggest import TargetSuggestion, suggest
from mapper_ai.errors import InputError
from mapper_ai.services.learning.gold import Case

Predict = Callable[[Case], Sequence[Prediction]]
# Learns from cases; what it gives is only ever asked about cases of other groups.
Train = Callable[[Sequence[Case]], Predict]


@dataclass(frozen=True)
class Report:
    """What was measured.

    Attributes:
        cases: Case -> its score, by name.
        groups: Group -> its cases.
        figures: Measure -> value and interval over all cases.
        held_out: Every case was scored by a scorer that had not seen its group.
    """

    cases: Mapping[str, CaseScore]
    groups: Mapping[str, tuple[str, ...]]
    figures: Mapping[str, Figure]
    held_out: bool = False

    def as_data(self) -> dict[str, Any]:
        """For machines."""
        return {
            "held_out": self.held_out,
            "figures": {name: asdict(figure) for name, figure in self.figures.items()},
            "groups": {name: list(cases) for name, cases in self.groups.items()},
            "cases": {
                name: {
                    **{key: value for key, value in asdict(score).items() if key != "points"},
                    "ece": score.ece,
                    "aurc": area_under_risk(score.points),
                }
                for name, score in self.cases.items()
            },
            "points": [[confidence, right] for confidence, right in pooled(list(self.cases.values()))],
        }


def run_bench(cases: Sequence[Case], *, predict: Predict | None = None, train: Train | None = None) -> Report:
    """Score all cases.

    Args:
        cases: At least one.
        predict: The suggester; the product's own when None.
        train: Makes one for each group from the cases of all others, in place of `predict`.

    Raises:
        InputError: `train` is given and all cases are of one group.
    """
    groups: dict[str, list[Case]] = {}
    for case in sorted(cases, key=lambda case: case.name):
        groups.setdefault(case.group, []).append(case)
    if train is not None and len(groups) < 2:
        raise InputError("leaving one group out needs cases of two pairs of systems at least")
    scores: dict[str, CaseScore] = {}
    for name, members in groups.items():
        others = [case for other, rest in groups.items() if other != name for case in rest]
        ask = train(others) if train is not None else predict or (lambda case: predictions(suggested(case)))
        for case in members:
            scores[case.name] = score_case(
                case.gold, ask(case), targets=[plain_path(path) for path in case.target.paths]
            )
    return Report(
        dict(sorted(scores.items())),
        {name: tuple(case.name for case in members) for name, members in sorted(groups.items())},
        figures({name: [scores[case.name] for case in members] for name, members in groups.items()}),
        train is not None,
    )


def suggested(case: Case, model: Model | None = None) -> list[TargetSuggestion]:
    """What `mapper suggest` proposes for a case, with the shipped scorer or another."""
    return suggest(case.source, case.target, model=model)


def predictions(suggestions: Sequence[TargetSuggestion]) -> list[Prediction]:
    """Suggestions in the measures' terms."""
    return [
        Prediction(
            tuple(map(plain_path, row.sources)),
            plain_path(row.target),
            row.confidence,
            suggestion.accepted and place == 0,
        )
        for suggestion in suggestions
        for place, row in enumerate(suggestion.candidates)
    ]
