"""The trained scorer: weights, calibration and what it promises, read from an artefact a person can read.

Scoring is one product of numbers and one logistic curve; nothing of the training is needed for it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any

import numpy as np
import numpy.typing as npt

from mapper_ai.core.features import FEATURES
from mapper_ai.core.signals import Matrix

FORMAT = 1
# A field of a list that does not feed the target's list is shown, but stands below acceptance: 40 %.
_OTHER_LIST = -0.4

Odds = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Promise:
    """What happened to best candidates at or above a confidence, on platform pairs left out of training.

    Attributes:
        at: The confidence.
        count: Best candidates at or above it.
        wrong: Wrong ones among them.
        expected: Share of wrong ones that the confidences themselves foretold.
        low: Lower end of the 95 % interval of the wrong share, platform pairs drawn anew.
        high: Upper end.
        covered: Share of the gold found at or above it.
    """

    at: float
    count: int
    wrong: int
    expected: float
    low: float
    high: float
    covered: float

    @property
    def measured(self) -> float:
        """Share of wrong ones; 0 when there were none at all."""
        return self.wrong / self.count if self.count else 0.0


@dataclass(frozen=True)
class Model:
    """A fitted scorer.

    Attributes:
        weights: Feature -> log-odds a full feature adds; features it does not name count 0.
        bias: Log-odds of a candidate about which nothing is known.
        slope: Log-odds of a best candidate are stretched by it ...
        offset: ... and moved by it, so that they mean what they say on unseen platform pairs.
        any_slope: The same for the question whether the target has a source at all.
        any_offset: See any_slope.
        promises: By confidence, ascending.
        record: What it was trained on and how well it did; for people.
    """

    weights: Mapping[str, float]
    bias: float
    slope: float = 1.0
    offset: float = 0.0
    any_slope: float = 1.0
    any_offset: float = 0.0
    promises: tuple[Promise, ...] = ()
    record: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        unknown = self.weights.keys() - FEATURES.keys()
        if unknown:
            raise ValueError(f"unknown features: {', '.join(sorted(unknown))}")

    def odds(self, features: Matrix | Odds) -> Odds:
        """Log-odds of candidates before calibration, rounded so that every machine orders them alike."""
        weights = np.array([self.weights.get(name, 0.0) for name in FEATURES])
        odds = features.astype(np.float64) @ weights + self.bias
        elsewhere = features[:, _STRUCTURE] <= -1.0
        result: Odds = np.round(np.where(elsewhere, np.minimum(odds, _OTHER_LIST), odds), 4)
        return result

    def confidence(self, odds: Odds) -> Odds:
        """Probability that a best candidate with these log-odds is right."""
        return _sigmoid(self.slope * odds + self.offset)

    def has_source(self, odds: Odds) -> Odds:
        """Probability that a target whose best candidate has these log-odds has a source at all."""
        result: Odds = np.maximum(self.confidence(odds), _sigmoid(self.any_slope * odds + self.any_offset))
        return result

    def contributions(self, features: Sequence[float]) -> dict[str, float]:
        """Feature -> log-odds it adds to the confidence; what says nothing is left out."""
        shares = {
            name: round(self.slope * self.weights.get(name, 0.0) * value, 4)
            for name, value in zip(FEATURES, features, strict=True)
            if value
        }
        return {name: share for name, share in shares.items() if share}

    def promise(self, at: float) -> Promise | None:
        """What was measured at the nearest confidence not above `at`; None below the lowest, or when untrained."""
        below = [promise for promise in self.promises if promise.at <= at + 1e-9]
        return below[-1] if below else None


def read_model(document: Mapping[str, Any]) -> Model:
    """A model from its artefact.

    Raises:
        ValueError: Another format, or a part is missing or no number.
    """
    if document.get("format") != FORMAT:
        raise ValueError(f"scorer artefact: expected format {FORMAT}, got {document.get('format')!r}")
    try:
        calibration = document["calibration"]
        return Model(
            weights={str(name): float(value) for name, value in document["weights"].items()},
            bias=float(document["bias"]),
            slope=float(calibration["best_is_right"]["slope"]),
            offset=float(calibration["best_is_right"]["offset"]),
            any_slope=float(calibration["has_a_source"]["slope"]),
            any_offset=float(calibration["has_a_source"]["offset"]),
            promises=tuple(Promise(**{key: row[key] for key in _PROMISE}) for row in document["promises"]),
            record=document.get("record"),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"scorer artefact: incomplete: {error}") from None


@lru_cache(maxsize=1)
def load_model() -> Model:
    """The model that ships with the package, parsed once a process."""
    text = resources.files("mapper_ai.core").joinpath("data/scorer.json").read_text(encoding="utf-8")
    return read_model(json.loads(text))


def _sigmoid(odds: Odds) -> Odds:
    result: Odds = 1.0 / (1.0 + np.exp(-np.clip(odds, -30.0, 30.0)))
    return result


_STRUCTURE = list(FEATURES).index("structure")
_PROMISE = ("at", "count", "wrong", "expected", "low", "high", "covered")
