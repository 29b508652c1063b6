"""Trains the scorer and measures it honestly: every platform pair in turn is left out of fitting and calibration."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import numpy as np

from mapper_ai.core.features import FEATURES
from mapper_ai.core.model import FORMAT, Model
from mapper_ai.errors import InputError
from mapper_ai.services.learning.fitting import STRENGTH, Array, fit_curve, fit_weights
from mapper_ai.services.learning.generated import generate
from mapper_ai.services.learning.gold import Case
from mapper_ai.services.learning.measures import Figure, Scored, figures, per_case, wrong_share
from mapper_ai.services.learning.outcomes import Described, Outcome, describe, examples, groups, outcome
from mapper_ai.services.learning.rivals import RIVALS

# Variations made of each gold case, and what a candidate of one counts beside a real one.
GENERATED = 3
GENERATED_WEIGHT = 0.3
# Log-odds kept back from every confidence. The vocabulary was written with the benchmark in sight, so that platforms
# nobody has seen are stranger than the ones left out; the size is a judgement, not a fit.
CAUTION = 0.25
_PROMISED_AT = tuple(round(0.5 + step / 100, 2) for step in range(0, 50, 1))


@dataclass(frozen=True)
class Trained:
    """What training gave.

    Attributes:
        document: The artefact, ready to be written as JSON.
        learned: Figures of the learned scorer on left-out platform pairs.
        hand: The same for the hand-set weights, which need no training.
        others: The same for other kinds of models, when they were asked for.
        cases: Case -> its own measures, left out.
    """

    document: dict[str, Any]
    learned: Mapping[str, Figure]
    hand: Mapping[str, Figure]
    others: Mapping[str, Mapping[str, Figure]]
    cases: Mapping[str, Mapping[str, float]]


def train(
    cases: Sequence[Case],
    *,
    generated: int = GENERATED,
    compare: bool = False,
    tell: Callable[[str], None] = lambda _: None,
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
    pairs = groups(cases)
    if len(pairs) < 3:
        raise InputError(
            f"training needs gold of at least 3 platform pairs, got {len(pairs)} ({', '.join(pairs)}): each is left"
            " out in turn; add --gold folders"
        )
    for case in cases:
        if not case.gold or not case.source.fields or not case.target.fields:
            raise InputError(f"{case.name}: needs records on both sides and at least one pair in its gold")
    tell(f"{len(cases)} cases of {len(pairs)} platform pairs; making {generated} variations of each")
    real = {case.name: describe(case) for case in cases}
    made = {case.name: [describe(generate(case, number)) for number in range(generated)] for case in cases}
    table = _Table(real, made)
    odds = {}
    for number, pair in enumerate(pairs, 1):
        odds[pair] = _linear(table.rows(without=pair))
        tell(f"left out {pair} ({number} of {len(pairs)})")
    folds = table.out_of_fold(odds)
    scored = _left_out(folds, pairs)
    others = {}
    for name, fit in RIVALS.items() if compare else ():
        tell(f"measuring {name}")
        rival = table.out_of_fold({pair: fit(table.rows(without=pair)) for pair in pairs})
        others[name] = figures(_left_out(rival, pairs))
    weights, bias = fit_weights(table.rows(without=""))
    best = _curve(folds, without="")
    any_source = _curve(folds, without="", answer="has_gold")
    # The promise is made, and measured, for what may be accepted without a person: no money, tax or key.
    safe = [case.without_risk() for case in scored]
    promises = [dict(zip(_PROMISE, (at, *_rounded(wrong_share(safe, at))), strict=True)) for at in _PROMISED_AT]
    learned = figures(scored)
    hand = figures([_scored(outcome(entry, table.hand(entry)), 1.0, 0.0) for entry in real.values()])
    each = per_case(scored)
    document = {
        "format": FORMAT,
        "weights": {name: float(weight) for name, weight in zip(FEATURES, weights, strict=True)},
        "bias": bias,
        "calibration": {
            "best_is_right": {"slope": best[0], "offset": best[1]},
            "has_a_source": {"slope": any_source[0], "offset": any_source[1]},
        },
        "promises": promises,
        "record": {
            "cases": {
                entry.case.name: {
                    "platform_pair": entry.case.group,
                    "targets": int(entry.scored.sum()),
                    "gold": len(entry.case.gold),
                    **each[entry.case.name],
                }
                for entry in real.values()
            },
            "generated": {"per_case": generated, "weight": GENERATED_WEIGHT},
            "candidates": int(sum(len(entry.candidates.rows) for entry in real.values())),
            "prior_strength": STRENGTH,
            "versions": {name: version(name) for name in ("numpy", "scipy", "rapidfuzz")}
            | {"python": ".".join(platform.python_version_tuple()[:2])},
            "left_out": {
                "learned": {name: _written(figure) for name, figure in learned.items()},
                "hand_weights": {name: _written(figure) for name, figure in hand.items()},
                **{label: {name: _written(row) for name, row in found.items()} for label, found in others.items()},
            },
        },
    }
    return Trained(document, learned, hand, others, each)


@dataclass(frozen=True)
class _Table:
    """All cases described once, and their variations."""

    real: Mapping[str, Described]
    made: Mapping[str, Sequence[Described]]

    def rows(self, *, without: str) -> list[tuple[Array, Array, Array]]:
        """Examples of the cases of the other platform pairs, and of their variations."""
        kept = [name for name, entry in self.real.items() if entry.case.group != without]
        rows = examples(self.real[name] for name in kept)
        return rows + examples((entry for name in kept for entry in self.made[name]), GENERATED_WEIGHT)

    def out_of_fold(self, odds: Mapping[str, Callable[[Array], Array]]) -> list[Outcome]:
        """Outcomes of every case and variation under the model that has not seen its platform pair."""
        return [
            outcome(each, odds[entry.case.group](each.candidates.features.astype(np.float64)))
            for name, entry in self.real.items()
            for each in (entry, *self.made[name])
        ]

    def hand(self, entry: Described) -> Array:
        """Log-odds by the hand-set weights."""
        return entry.candidates.odds.astype(np.float64)


_PROMISE = ("at", "count", "wrong", "expected", "low", "high", "covered")


def _linear(rows: Sequence[tuple[Array, Array, Array]]) -> Callable[[Array], Array]:
    weights, bias = fit_weights(rows)
    return Model(dict(zip(FEATURES, weights.tolist(), strict=True)), bias).odds


def _left_out(folds: Sequence[Outcome], pairs: Sequence[str]) -> list[Scored]:
    """Confidences of the real cases, calibrated on the other platform pairs."""
    scored = []
    for pair in pairs:
        slope, offset = _curve(folds, without=pair)
        scored += [_scored(fold, slope, offset) for fold in folds if fold.group == pair and "~" not in fold.name]
    return scored


def _curve(folds: Sequence[Outcome], *, without: str, answer: str = "right") -> tuple[float, float]:
    kept = [fold for fold in folds if fold.group != without]
    weight = [np.full(len(fold.odds), GENERATED_WEIGHT if "~" in fold.name else 1.0) for fold in kept]
    answers = np.concatenate([getattr(fold, answer) for fold in kept]).astype(np.float64)
    slope, offset = fit_curve(np.concatenate([fold.odds for fold in kept]), answers, np.concatenate(weight))
    return slope, round(offset - CAUTION, 3)


def _scored(fold: Outcome, slope: float, offset: float) -> Scored:
    model = Model({}, 0.0, slope, offset)
    return Scored(fold, model.confidence(fold.odds))


def _rounded(row: tuple[int, int, float, float, float, float]) -> tuple[float, ...]:
    return tuple(value if isinstance(value, int) else round(value, 4) for value in row)


def _written(figure: Figure) -> list[float]:
    return [round(figure.value, 4), round(figure.low, 4), round(figure.high, 4)]
