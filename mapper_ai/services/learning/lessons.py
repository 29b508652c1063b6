"""What is learned from gold cases, with any platform pair left out of both weights and calibration."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from mapper_ai.core.features import FEATURES
from mapper_ai.core.model import Model
from mapper_ai.errors import InputError
from mapper_ai.services.learning.fitting import Array, fit_curve, fit_weights
from mapper_ai.services.learning.generated import generate
from mapper_ai.services.learning.gold import Case
from mapper_ai.services.learning.outcomes import Described, describe, examples, outcome

# Variations made of each gold case, and what a candidate of one counts beside a real one.
GENERATED = 3
GENERATED_WEIGHT = 0.3
# Log-odds kept back from every confidence. The vocabulary was written with the benchmark in sight, so that platforms
# nobody has seen are stranger than the ones left out; the size is a judgement, not a fit.
CAUTION = 0.25

Rows = Sequence[tuple[Array, Array, Array]]
# Examples, and a model of nearly the same ones or None -> a model that is not calibrated yet.
Fit = Callable[[Rows, Model | None], Model]


def linear(rows: Rows, near: Model | None) -> Model:
    """The product's own kind of model."""
    start = None if near is None else np.array([*(near.weights[name] for name in FEATURES), near.bias])
    weights, bias = fit_weights(rows, start=start)
    return Model(dict(zip(FEATURES, weights.tolist(), strict=True)), bias)


@dataclass(frozen=True)
class Lessons:
    """All cases described once, with their variations, and the fits made of them so far.

    Attributes:
        real: Case -> what the trainer sees of it.
        made: Case -> the same of its variations.
        fit: Kind of model.
    """

    real: Mapping[str, Described]
    made: Mapping[str, Sequence[Described]]
    fit: Fit = linear
    _fits: dict[frozenset[str], Model] = field(default_factory=dict)

    @classmethod
    def of(cls, cases: Sequence[Case], *, generated: int = GENERATED) -> Lessons:
        """Describe the cases.

        Raises:
            InputError: Too few platform pairs, or a case without a usable target.
        """
        pairs = sorted({case.group for case in cases})
        if len(pairs) < 3:
            raise InputError(
                f"training needs gold of at least 3 platform pairs, got {len(pairs)} ({', '.join(pairs)}): each is"
                " left out in turn; add folders of cases"
            )
        for case in cases:
            if not case.gold.sources or not case.source.fields or not case.target.fields:
                raise InputError(f"{case.name}: needs records on both sides and at least one pair in its gold")
        ordered = sorted(cases, key=lambda case: case.name)
        return cls(
            {case.name: describe(case) for case in ordered},
            {case.name: [describe(generate(case, number)) for number in range(generated)] for case in ordered},
        )

    def by(self, fit: Fit) -> Lessons:
        """The same cases for another kind of model."""
        return Lessons(self.real, self.made, fit)

    def learn(self, *without: str) -> Model:
        """A calibrated model that has seen nothing of these platform pairs.

        Its calibration rests on the other pairs, each scored by weights that saw neither it nor the ones left out.
        """
        kept = [entry for entry in self.real.values() if entry.case.group not in without]
        odds, right, has_gold, weight = [], [], [], []
        for entry in kept:
            weights = self._fitted(frozenset({*without, entry.case.group}))
            for each, counts in ((entry, 1.0), *((made, GENERATED_WEIGHT) for made in self.made[entry.case.name])):
                found = outcome(each, weights.odds(each.candidates.features))
                odds.append(found.odds)
                right.append(found.right)
                has_gold.append(found.has_gold)
                weight.append(np.full(len(found.odds), counts))
        given, counted = np.concatenate(odds), np.concatenate(weight)
        best = fit_curve(given, np.concatenate(right).astype(np.float64), counted)
        any_source = fit_curve(given, np.concatenate(has_gold).astype(np.float64), counted)
        return replace(
            self._fitted(frozenset(without)),
            slope=best[0],
            offset=round(best[1] - CAUTION, 3),
            any_slope=any_source[0],
            any_offset=round(any_source[1] - CAUTION, 3),
        )

    def without_group_of(self, others: Sequence[Case]) -> Model:
        """The model learned from other cases than the ones that `others` leaves out."""
        seen = {case.group for case in others}
        return self.learn(*sorted({entry.case.group for entry in self.real.values()} - seen))

    def _fitted(self, without: frozenset[str]) -> Model:
        if without not in self._fits:
            kept = [name for name, entry in self.real.items() if entry.case.group not in without]
            rows = examples(self.real[name] for name in kept)
            rows += examples((entry for name in kept for entry in self.made[name]), GENERATED_WEIGHT)
            # With two pairs left out the search begins where it ended with one: there are many of these fits.
            near = self._fitted(without - {max(without)}) if len(without) > 1 else None
            self._fits[without] = self.fit(rows, near)
        return self._fits[without]
