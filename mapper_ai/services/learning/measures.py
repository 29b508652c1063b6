"""How well outcomes turned out: rank, accepted set, calibration; each with an interval by drawing platform pairs anew.

The measures are those of the field: mean reciprocal rank, share of targets whose first candidate is right, F1 of what
is accepted (means over cases), expected calibration error over ten bins, and what confidences from 0.9 hold (pooled).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from mapper_ai.core.suggest import ACCEPT_AT
from mapper_ai.services.learning.outcomes import Outcome

BINS = 10
HIGH = 0.9
_DRAWS = 1000
_SEED = 20260101


@dataclass(frozen=True)
class Scored:
    """An outcome with the confidence of each scored target's best candidate."""

    outcome: Outcome
    confidence: npt.NDArray[np.float64]

    def without_risk(self) -> Scored:
        """Only the targets that may be accepted without a person; the gold and ranks stay those of all."""
        kept = ~self.outcome.risky
        fewer = replace(self.outcome, odds=self.outcome.odds[kept], right=self.outcome.right[kept])
        return Scored(fewer, self.confidence[kept])


def mrr(cases: Sequence[Scored]) -> float:
    """Mean reciprocal rank of the first right candidate, over gold targets, then over cases."""
    return _mean([float(np.where(c.outcome.rank > 0, 1.0 / np.maximum(1, c.outcome.rank), 0.0).mean()) for c in cases])


def recall_at_1(cases: Sequence[Scored]) -> float:
    """Share of gold targets whose first candidate is right, then over cases."""
    return _mean([float((c.outcome.rank == 1).mean()) for c in cases])


def f1(cases: Sequence[Scored]) -> float:
    """F1 of the best candidates at or above acceptance, over cases."""
    found = []
    for case in cases:
        accepted = case.confidence >= ACCEPT_AT
        right = float((accepted & case.outcome.right).sum())
        found.append(2.0 * right / max(1.0, float(accepted.sum()) + case.outcome.gold))
    return _mean(found)


def calibration_error(cases: Sequence[Scored]) -> float:
    """Expected calibration error of all best candidates together."""
    confidence, right = _pooled(cases)
    place = np.minimum(BINS - 1, (confidence * BINS).astype(int))
    gaps = [abs(float((confidence - right)[place == number].sum())) for number in range(BINS)]
    return sum(gaps) / max(1, len(confidence))


def high_precision(cases: Sequence[Scored]) -> float:
    """Share of right ones among confidences from 0.9; 1 when there are none."""
    confidence, right = _pooled(cases)
    high = confidence >= HIGH
    return float(right[high].mean()) if high.any() else 1.0


def high_coverage(cases: Sequence[Scored]) -> float:
    """Best candidates with confidence from 0.9, as a share of the gold targets."""
    confidence, _ = _pooled(cases)
    return float((confidence >= HIGH).sum()) / max(1, sum(case.outcome.gold for case in cases))


MEASURES: Mapping[str, Callable[[Sequence[Scored]], float]] = {
    "MRR": mrr,
    "Recall@1": recall_at_1,
    "F1": f1,
    "ECE": calibration_error,
    "P>=0.9": high_precision,
    "coverage>=0.9": high_coverage,
}


@dataclass(frozen=True)
class Figure:
    """A measure with its 95 % interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f})"


def figures(cases: Sequence[Scored]) -> dict[str, Figure]:
    """All measures; intervals by drawing platform pairs with replacement, the same draws in every run."""
    by_group: dict[str, list[Scored]] = {}
    for case in cases:
        by_group.setdefault(case.outcome.group, []).append(case)
    names = sorted(by_group)
    draws = np.random.default_rng(_SEED).integers(0, len(names), size=(_DRAWS, len(names)))
    samples = [[case for pick in draw for case in by_group[names[pick]]] for draw in draws]
    return {
        name: Figure(measure(cases), *_interval([measure(sample) for sample in samples]))
        for name, measure in MEASURES.items()
    }


def per_case(cases: Sequence[Scored]) -> dict[str, dict[str, float]]:
    """The case-wise measures of each case."""
    return {
        case.outcome.name: {
            name: round(measure([case]), 3) for name, measure in MEASURES.items() if name in ("MRR", "Recall@1", "F1")
        }
        for case in cases
    }


def wrong_share(cases: Sequence[Scored], at: float) -> tuple[int, int, float, float, float, float]:
    """Count, wrong ones, foretold wrong share, interval of the measured one, gold covered; of confidences from `at`."""
    confidence, right = _pooled(cases)
    high = confidence >= at
    count, wrong = int(high.sum()), int((high & ~right.astype(bool)).sum())
    gold = max(1, sum(case.outcome.gold for case in cases))
    by_group: dict[str, tuple[int, int]] = {}
    for case in cases:
        chosen = case.confidence >= at
        n, bad = by_group.get(case.outcome.group, (0, 0))
        by_group[case.outcome.group] = (n + int(chosen.sum()), bad + int((chosen & ~case.outcome.right).sum()))
    pairs = np.array([by_group[name] for name in sorted(by_group)], dtype=float)
    draws = np.random.default_rng(_SEED).integers(0, len(pairs), size=(_DRAWS, len(pairs)))
    sums = pairs[draws].sum(axis=1)
    shares = sums[:, 1] / np.maximum(1.0, sums[:, 0])
    low, high_end = _interval(shares.tolist())
    # A clean sweep proves little: no fewer errors than the rule of three allows.
    high_end = max(high_end, _wilson_high(wrong, count))
    expected = float((1.0 - confidence[high]).mean()) if count else 0.0
    return count, wrong, expected, low, high_end, (count - wrong) / gold


def _wilson_high(wrong: int, count: int) -> float:
    """Upper end of Wilson's 95 % interval of a share."""
    if not count:
        return 1.0
    z = 1.96
    share, spread = wrong / count, z * z / count
    return min(
        1.0, (share + spread / 2 + z * float(np.sqrt(share * (1 - share) / count + spread / count / 4))) / (1 + spread)
    )


def _pooled(cases: Sequence[Scored]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    return (
        np.concatenate([case.confidence for case in cases]),
        np.concatenate([case.outcome.right for case in cases]).astype(np.float64),
    )


def _interval(values: Sequence[float]) -> tuple[float, float]:
    low, high = np.percentile(np.array(values), [2.5, 97.5])
    return round(float(low), 4), round(float(high), 4)


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else 0.0
