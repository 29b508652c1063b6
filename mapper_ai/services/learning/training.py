"""Trains the scorer and measures it honestly: every platform pair in turn is left out of weights and calibration."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any

from mapper_ai.core.evaluation import CaseScore, Figure, Prediction
from mapper_ai.core.features import FEATURES
from mapper_ai.core.model import FORMAT
from mapper_ai.services.bench import Predict, Report, Train, predictions, run_bench, suggested
from mapper_ai.services.learning.fitting import STRENGTH
from mapper_ai.services.learning.gold import Case
from mapper_ai.services.learning.lessons import GENERATED, GENERATED_WEIGHT, Lessons
from mapper_ai.services.learning.outcomes import retrieved
from mapper_ai.services.learning.promises import Taken, promises
from mapper_ai.services.learning.rivals import RIVALS

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Trained:
    """What training gave.

    Attributes:
        document: The artefact, ready to be written as JSON.
        learned: Figures of the learned scorer on left-out platform pairs.
        hand: The same for the hand-set weights, which need no training.
        others: The same for other kinds of models, when they were asked for.
        cases: Case -> its own score, left out.
    """

    document: dict[str, Any]
    learned: Mapping[str, Figure]
    hand: Mapping[str, Figure]
    others: Mapping[str, Mapping[str, Figure]]
    cases: Mapping[str, CaseScore]


def train(
    cases: Sequence[Case], *, generated: int = GENERATED, compare: bool = False, tell: Tell = lambda _: None
) -> Trained:
    """Fit, calibrate and measure.

    Args:
        cases: Gold cases of at least three platform pairs.
        generated: Variations made of each case.
        compare: Measure other kinds of models too.
        tell: Called with a line of progress now and then.

    Raises:
        InputError: Too few platform pairs, or a case without a usable target.
    """
    lessons = Lessons.of(cases, generated=generated)
    taken: list[Taken] = []
    left_out = run_bench(cases, train=_remembering(lessons, taken, tell))
    others = {}
    for name, fit in RIVALS.items() if compare else ():
        tell(f"measuring {name}")
        others[name] = leave_out(cases, lessons.by(fit)).figures
    hand = run_bench(cases, predict=lambda case: retrieved(lessons.real[case.name])).figures
    model = lessons.learn()
    gold = sum(len(case.gold.sources) for case in cases)
    document = {
        "format": FORMAT,
        "weights": {name: float(model.weights[name]) for name in FEATURES},
        "bias": model.bias,
        "calibration": {
            "best_is_right": {"slope": model.slope, "offset": model.offset},
            "has_a_source": {"slope": model.any_slope, "offset": model.any_offset},
        },
        "promises": [asdict(promise) for promise in promises(taken, gold=gold)],
        "record": {
            "cases": {
                name: {
                    "platform_pair": entry.case.group,
                    "targets": int(entry.scored.sum()),
                    "gold": len(entry.case.gold.sources),
                    "MRR": round(left_out.cases[name].mrr, 3),
                    "Recall@1": round(left_out.cases[name].recall_at_1, 3),
                    "F1": round(left_out.cases[name].f1, 3),
                }
                for name, entry in lessons.real.items()
            },
            "generated": {"per_case": generated, "weight": GENERATED_WEIGHT},
            "candidates": sum(len(entry.candidates.rows) for entry in lessons.real.values()),
            "prior_strength": STRENGTH,
            "versions": {name: version(name) for name in ("numpy", "scipy", "rapidfuzz")}
            | {"python": ".".join(platform.python_version_tuple()[:2])},
            "left_out": {
                name: {measure: _written(figure) for measure, figure in found.items()}
                for name, found in {"learned": left_out.figures, "hand_weights": hand, **others}.items()
            },
        },
    }
    return Trained(document, left_out.figures, hand, others, left_out.cases)


def leave_out(cases: Sequence[Case], lessons: Lessons | None = None, *, tell: Tell = lambda _: None) -> Report:
    """Score every case by a scorer trained and calibrated on the other platform pairs.

    Raises:
        InputError: Too few platform pairs, or a case without a usable target.
    """
    return run_bench(cases, train=_remembering(lessons or Lessons.of(cases), [], tell))


def _remembering(lessons: Lessons, taken: list[Taken], tell: Tell) -> Train:
    """A trainer for the bench that keeps what could be accepted without a person."""

    def learned(others: Sequence[Case]) -> Predict:
        model = lessons.without_group_of(others)

        def predict(case: Case) -> Sequence[Prediction]:
            tell(f"left out {case.group}: {case.name}")
            found = suggested(case, model)
            taken.extend(
                Taken(case.group, row.candidates[0].confidence, case.right(row.candidates[0].sources, row.target))
                for row in found
                if row.accepted and not row.risky and row.target not in case.gold.ignored
            )
            return predictions(found)

        return predict

    return learned


def _written(figure: Figure) -> list[float | None]:
    return [None if value is None else round(value, 4) for value in (figure.value, figure.low, figure.high)]
