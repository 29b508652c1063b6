"""Fits the scorer: weights that keep to what the hand-set ones say until the gold says otherwise.

A logistic regression with a Gaussian prior around the hand-set weights and no weight below zero: every feature is
oriented so that more of it speaks for the pair, and a few hundred targets must not teach the opposite by accident.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from mapper_ai.core.features import FEATURES
from mapper_ai.core.scoring import DEFAULT_BIAS, DEFAULT_WEIGHTS

Array = npt.NDArray[np.float64]

# How strongly the weights are held to the prior: a weight one off costs as much as this half in log-likelihood.
STRENGTH = 2.0
# Without the gold a candidate is taken for less likely than by hand alone, because the new features add to it.
_PRIOR_SHARE = 0.5
# What every bookkeeper knows, whatever a few cases say: the order's total is no line's, a flag is no quantity.
_KNOWN = {"level": 3.0, "flag_gap": 1.5}


def prior_weights() -> Array:
    """What the weights are before any gold is seen: the hand-set ones, shrunk, and what is known beyond them."""
    return np.array([_KNOWN.get(name, _PRIOR_SHARE * DEFAULT_WEIGHTS.get(name, 0.0)) for name in FEATURES])


def fit_weights(examples: Sequence[tuple[Array, Array, Array]], *, strength: float = STRENGTH) -> tuple[Array, float]:
    """Maximum a posteriori weights and bias; the same examples give the same answer.

    Args:
        examples: Features, answers and weights of some candidates each.
        strength: Of the prior.
    """
    from scipy.optimize import minimize

    features = np.vstack([features for features, _, _ in examples])
    right = np.concatenate([right for _, right, _ in examples])
    weight = np.concatenate([weight for _, _, weight in examples])
    prior = prior_weights()

    def loss(point: Array) -> tuple[float, Array]:
        odds = features @ point[:-1] + point[-1]
        # log(1 + exp(odds)) without overflow
        value = float((weight * (np.logaddexp(0.0, odds) - right * odds)).sum())
        error = weight * (0.5 * (1.0 + np.tanh(odds / 2.0)) - right)
        off = point[:-1] - prior
        gradient = np.append(features.T @ error + strength * off, error.sum())
        return value + 0.5 * strength * float(off @ off), gradient

    bounds = [(0.0, None)] * len(prior) + [(None, None)]
    found = minimize(
        loss, np.append(prior, DEFAULT_BIAS), jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 500}
    )
    # Rounded: the last digits depend on the machine, and nothing rests on them.
    return np.round(found.x[:-1], 3), round(float(found.x[-1]), 3)


def fit_curve(odds: Array, right: Array, weight: Array) -> tuple[float, float]:
    """Slope and offset of the logistic curve from log-odds to the share that is right (Platt's scaling).

    Answers are smoothed as Platt did, so that a clean sweep does not promise certainty. Without examples of both
    kinds the curve stays as it is.
    """
    from scipy.optimize import minimize

    yes, no = float((weight * right).sum()), float((weight * (1.0 - right)).sum())
    if yes == 0.0 or no == 0.0:
        return 1.0, 0.0
    wanted = np.where(right > 0.5, (yes + 1.0) / (yes + 2.0), 1.0 / (no + 2.0))

    def loss(point: Array) -> tuple[float, Array]:
        curve = point[0] * odds + point[1]
        error = weight * (0.5 * (1.0 + np.tanh(curve / 2.0)) - wanted)
        value = float((weight * (np.logaddexp(0.0, curve) - wanted * curve)).sum())
        return value, np.array([(error * odds).sum(), error.sum()])

    found = minimize(loss, np.array([1.0, 0.0]), jac=True, method="L-BFGS-B", bounds=[(0.2, 3.0), (None, None)])
    return round(float(found.x[0]), 3), round(float(found.x[1]), 3)
