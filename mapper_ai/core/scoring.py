"""Signals weighed by hand: what retrieves candidates and aligns lists before the trained scorer looks closer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from mapper_ai.core.signals import SIGNALS, Matrix

# Log-odds a full signal adds. Set by hand from what the signals mean; the trained scorer starts from them.
DEFAULT_WEIGHTS: Mapping[str, float] = {
    "name": 3.4,
    "path": 2.6,
    "head": 1.0,
    "spelling": 1.2,
    "text": 1.2,
    "format": 1.2,
    "clash": 1.0,
    "values": 1.0,
    "shape": 0.3,
    "side": 1.2,
    "scope": 0.8,
    "reference": 1.0,
    "natural_key": 2.2,
    "number": 0.8,
    "technical": 1.0,
    "target_prior": 2.0,
    "assigned": 6.0,
    "source_prior": 1.0,
    "structure": 2.0,
}
DEFAULT_BIAS = -6.0


@dataclass(frozen=True)
class WeightedScorer:
    """Logistic combination with fixed weights.

    Attributes:
        weights: Signal -> log-odds a full signal adds.
        bias: Log-odds of a pair about which nothing is known.
    """

    weights: Mapping[str, float] = field(default_factory=lambda: DEFAULT_WEIGHTS)
    bias: float = DEFAULT_BIAS

    def __post_init__(self) -> None:
        unknown = self.weights.keys() - set(SIGNALS)
        if unknown:
            raise ValueError(f"unknown signals: {', '.join(sorted(unknown))}")

    @property
    def signals(self) -> Sequence[str]:
        """Names of the weighted signals."""
        return tuple(self.weights)

    def confidence(self, signals: Mapping[str, Matrix]) -> Matrix:
        """Sigmoid of the weighted sum; signals that are absent count as 0."""
        shape = next(iter(signals.values())).shape
        total: npt.NDArray[np.float32] = np.full(shape, self.bias, dtype=np.float32)
        for name, weight in self.weights.items():
            if name in signals:
                total += np.float32(weight) * signals[name]
        return sigmoid(total)


def sigmoid(log_odds: npt.NDArray[np.float32]) -> Matrix:
    """Probability of log-odds, without overflow."""
    result: Matrix = (1.0 / (1.0 + np.exp(-np.clip(log_odds, -30.0, 30.0)))).astype(np.float32)
    return result


def logit(probability: npt.NDArray[np.float32]) -> Matrix:
    """Log-odds of probabilities; 0 and 1 are kept finite."""
    safe = np.clip(probability, 1e-6, 1.0 - 1e-6)
    result: Matrix = np.log(safe / (1.0 - safe)).astype(np.float32)
    return result
